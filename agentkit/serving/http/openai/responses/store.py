"""The responses that are stored: each with its answer, its input and the conversation so far, for its subject."""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from agentkit.errors import SessionError
from agentkit.message import Message, text_of
from agentkit.serving.http.openai.pruning import Pruning
from agentkit.session import INTERNAL, Sessions

logger = logging.getLogger("agentkit.http")

MAX_AGE = 2_592_000.0
"""Seconds for which a response is stored: 30 days."""
MAX_STORED = 1000
"""How many responses of one subject are stored; the oldest go first."""
MAX_CHARACTERS = 20_000_000
"""The size of a response that is stored, with its conversation, in characters."""
MAX_REFERENCED = 256
"""How many responses a request may refer to with its items."""

_PREFIX = f"{INTERNAL}response."
_ID = re.compile(r"resp_([0-9a-f]{48})")
_ITEM_ID = re.compile(r"(?:msg|rs|fc|ctc|tsc)_([0-9a-f]{48})[0-9]{2,4}")


@dataclass(frozen=True)
class StoredResponse:
    """A stored response. response: the object that the client was sent. input: the items of its request."""

    response: dict[str, Any]
    input: list[dict[str, Any]]


class Responses:
    """The stored responses of all subjects, in the session store. Thread-safe."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._pruning = Pruning(sessions, _PREFIX, owner_of=lambda name: name.partition(".")[0])

    def keep(
        self,
        subject: str,
        response: Mapping[str, Any],
        items: Sequence[Mapping[str, Any]],
        messages: Sequence[Mapping[str, Any]],
    ) -> bool:
        """Store a response; returns whether it is stored. It is not when it is too large, or the store fails."""
        written = json.dumps([response, items])
        if len(written) + sum(len(str(message)) for message in messages) > MAX_CHARACTERS:
            logger.warning("a response is too large to be stored")
            return False
        key = _key(subject, str(response["id"]))
        if key is None:
            return False
        try:
            self._pruning.note_addition(MAX_AGE, MAX_STORED)
            self._sessions[key].append([{"role": "system", "content": written}, *messages])
        except SessionError as error:
            logger.warning("a response can't be stored: %s", error)
            return False
        return True

    def get(self, subject: str, response_id: str) -> StoredResponse | None:
        """Return a response of a subject, None for any other. Raises SessionError."""
        key = _key(subject, response_id)
        found = self._sessions[key].entries(count=1) if key is not None else []
        return StoredResponse(*json.loads(text_of(cast(Message, found[0].value)))) if found else None

    def conversation(self, subject: str, response_id: str) -> list[Message] | None:
        """Return the messages up to the answer of a response, without instructions; None for a response that is not
        the subject's. Raises SessionError."""
        key = _key(subject, response_id)
        messages = self._sessions[key].messages if key is not None else []
        return messages[1:] if messages else None

    def items_of(self, subject: str) -> Callable[[str], Mapping[str, Any] | None]:
        """A function that returns an item of an answer of a subject by its id, None for any other, and for those of
        more than MAX_REFERENCED responses. It raises SessionError."""
        known: dict[str, list[dict[str, Any]]] = {}

        def item(item_id: str) -> Mapping[str, Any] | None:
            found = _ITEM_ID.fullmatch(item_id)
            if found is None:
                return None
            response_id = f"resp_{found[1]}"
            if response_id not in known and len(known) < MAX_REFERENCED:
                stored = self.get(subject, response_id)
                known[response_id] = stored.response["output"] if stored is not None else []
            return next((each for each in known.get(response_id, ()) if each["id"] == item_id), None)

        return item

    def delete(self, subject: str, response_id: str) -> bool:
        """Delete a response; returns whether there was one. Raises SessionError."""
        key = _key(subject, response_id)
        if key is None or key not in self._sessions:
            return False
        self._sessions.delete(key)
        return True


def _key(subject: str, response_id: str) -> str | None:
    """The id in the session store; None for what is no id of a response. It has the subject's digest in it, so that a
    response is found for its subject only."""
    found = _ID.fullmatch(response_id)
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()[:24]
    return f"{_PREFIX}{digest}.{found[1]}" if found else None
