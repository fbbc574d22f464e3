"""The sessions of items: the book of a batch's tool calls, so that none has its effect twice, whatever dies when."""

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from agentkit.agent import Agent
from agentkit.batch.item import Item
from agentkit.errors import ConfigurationError, SessionError, TranscriptError
from agentkit.event import Result
from agentkit.history.given import storable_messages
from agentkit.net.home_paths import expanded
from agentkit.session import Session, Sessions
from agentkit.sessions.log import Marks, message_entries, messages_of
from agentkit.sessions.opening import SCHEME, open_sessions
from agentkit.sessions.turn import Turn

_PLAIN_ID = re.compile(r"[\w.:@=+-]{1,60}")
_REQUEST = "item"
"""The request of each session: a session has one item."""


class ItemSessions:
    """The sessions of a batch; thread-safe. url: of the store, which is opened when it is first needed. batch: the name
    of the batch, which no other has that asks with the same store."""

    def __init__(self, url: str, batch: str) -> None:
        self._url = url
        self._batch = batch
        self._store: Sessions | None = None
        self._lock = threading.Lock()

    def run(self, agent: Agent, item: Item, options: Mapping[str, Any]) -> Result[Any]:
        """A run of an item, which goes on where an earlier one has stopped, in whatever process that was. What is sent
        is the same as without a session."""
        session = self._session(item)
        if item.prompt is None:
            _begin(session, item)
        elif item.messages and not session.messages:
            session.append(item.messages)
        return agent.run(item.prompt, session=session, request_id=_REQUEST, **options)

    def reopen(self, item: Item) -> None:
        """Take back the answer of an item that has failed (it was empty, or a check has refused it), and nothing before
        it: another try asks for an answer again, and has the results of the calls that were made. Raises
        SessionError."""
        session = self._session(item)
        with session.hold(wait=1.0) as writer:
            turn = Turn(writer, _REQUEST, item.prompt)
            if turn.state != "answered":
                return
            entries = writer.entries()
            sent, held = messages_of(entries)
            if not held and sent and sent[-1]["role"] == "assistant" and not sent[-1].get("tool_calls"):
                writer.write_undo(1, len(entries), len(sent) - 1)

    def close(self) -> None:
        """Close the store."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None:
            store.close()

    def _session(self, item: Item) -> Session:
        with self._lock:
            if self._store is None:
                self._store = open_sessions(self._url)
            return self._store[session_id(self._batch, item)]


def session_id(batch: str, item: Item) -> str:
    """The id of the session of an item. batch: the name of its batch. A question that was changed is another item,
    under the same id too.

    The agent has no part in it: where another one goes on with a batch (`anyway`), the calls that the first has made
    must not be made again. A new batch has another name.
    """
    asked = json.dumps([item.prompt, list(item.messages)], sort_keys=True, default=str)
    name = item.id if _PLAIN_ID.fullmatch(item.id) else f"={_digest(item.id, 12)}"
    return f"batch.{batch}.{_digest(asked, 6)}.{name}"


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _begin(session: Session, item: Item) -> None:
    """Have a conversation as the question of the request: no prompt can stand for it where it ends with an image, or
    with a message of the role "tool" or "system"."""
    messages = storable_messages(item.messages)
    if messages[-1]["role"] == "assistant":
        raise TranscriptError("a conversation that ends with an answer can't be asked with sessions: end it before")
    with session.hold() as writer:
        if writer.mark(f"request:{_REQUEST}") is not None:
            return
        earlier, blobs = message_entries(messages[:-1])
        last, more = message_entries(messages[-1:])
        request = {"request": {"id": _REQUEST, "state": "begun"}}
        writer.write([*earlier, request, *last], {**blobs, **more}, Marks({f"request:{_REQUEST}": len(earlier)}))


def placed_sessions(url: str) -> str:
    """The same store from each folder: the path of an SQLite file is made absolute."""
    path = re.sub("^sqlite:", "", url.strip(), flags=re.IGNORECASE)
    if not path or path == ":memory:" or path.startswith("//") or SCHEME.match(path):
        return url
    return f"sqlite:{expanded(path).absolute()}"


def check_sessions(url: str, remote: bool = False) -> None:
    """Open the store of a batch once. remote: its runs take place on other machines, which have no file of this one.

    Raises ConfigurationError for a store that can't be opened, that does not outlast the process (what was in progress
    when it died would be asked again, and have its effects again), or that other machines don't share.
    """
    from agentkit.sessions.memory import MemorySessions
    from agentkit.sessions.sqlite import SQLiteSessions

    advice = "a batch needs a store that outlasts its process: the path of an SQLite file, or redis://HOST:PORT"
    if url.strip().removeprefix("sqlite:") == ":memory:":
        raise ConfigurationError(f"sessions={url!r}: {advice}")
    try:
        with contextlib.closing(open_sessions(url)) as store:
            if isinstance(store, MemorySessions):
                raise ConfigurationError(f"sessions={url!r}: {advice}")
            if remote and isinstance(store, SQLiteSessions):
                raise ConfigurationError(
                    f"sessions={str(store.path)!r}: other machines have no such file: use a store that they share, "
                    "redis://HOST:PORT"
                )
            _ = "batch" in store  # most are opened when they are first read
    except (SessionError, OSError) as error:
        raise ConfigurationError(f"the store of the sessions can't be used: {error}") from error
