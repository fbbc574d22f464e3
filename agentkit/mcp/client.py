"""The client of one MCP server: starts it when it is first needed, agrees on a protocol version, calls, starts again.

client = Client(lambda heard: Stdio("npx -y some-server", heard=heard), label="files", timeout=30)
tools = client.list_all("tools/list", "tools").items
result = client.call_tool("read_file", {"path": "a.txt"}, read_only=True)
"""

import contextlib
import copy
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agentkit._closing import Closable
from agentkit._forking import notice_fork, renewed_by_forks
from agentkit._lazy.logs import logger_of
from agentkit._text import short_repr
from agentkit.errors import AgentkitError, ConfigurationError
from agentkit.mcp.channel import MAX_TIMEOUT, Channel, Heard, Patience
from agentkit.mcp.errors import METHOD_NOT_FOUND, PAGE_REQUIRED, Gone, MCPError, Slow, Unreadable
from agentkit.mcp.handshake import INVALID_ANSWER, Introduction, Server
from agentkit.mcp.in_flight import InFlight
from agentkit.mcp.inbox import Inbox
from agentkit.mcp.json_size import size_of
from agentkit.mcp.opening import Opening
from agentkit.mcp.questions import Ask, answer_to, answer_to_request

logger = logger_of("agentkit")

__all__ = ["Client", "Listed", "Server"]

MIN_START_SECONDS = 60.0
"""How long a start may take at least: some download their server first."""
MAX_STARTS, STARTS_WITHIN = 3, 60.0
"""A process is started this often within that many seconds."""
MAX_PAGES, MAX_ITEMS = 1_000, 10_000
MAX_PAGES_SIZE, MAX_CURSOR = 32_000_000, 10_000
"""Characters of all pages of a list, and of the cursor of the next one."""
MAX_ROUNDS = 10
"""How often a server may ask for more in one call."""
FIRST_PAUSE, MAX_PAUSE = 0.05, 0.25
"""Seconds before a request is sent again that a server has put off, without a question."""
DOUBT = "it is not known whether the call had an effect"


@dataclass(frozen=True)
class Listed:
    """A whole list. items: its objects (others are left out). ttl: seconds for which it is fresh; None: not said."""

    items: list[dict[str, Any]]
    ttl: float | None = None


@dataclass(frozen=True)
class _Call:
    """A request, as `Client.request` has it."""

    method: str
    params: Mapping[str, Any]
    patience: Patience
    read_only: bool
    headers: Mapping[str, str] | None
    ask: Ask | None


class Client(Closable):
    """One MCP server, for several threads at once.

    open_channel: opens a connection (starts the process); is given what hears the server's own messages. It is called
    in a thread of agentkit's, again after the server has ended, and in a forked child; it raises Gone, and
    ConfigurationError for what can't work. label: what errors and questions call the server. timeout: seconds without
    a sign of life after which a call that has no patience of its own ends; also how long a start may take, where that
    is more than 60 seconds. ask: answers what the server asks a person; None: each question is declined. changed:
    called when the server has said that its tools have changed, in a thread of agentkit's; must not wait. may_discover:
    whether it is asked for the version without a handshake first.

    A channel over HTTP has an attribute `session` (str, "" for none). When its session is lost, it raises
    Gone(sent=False) and is lost: then a new channel is opened, once, and the call sent again. So is a read-only call
    where the channel passes on an answer that says the same; for a call with effects that is an error, as it may have
    run. A server that does not speak the version any more that was agreed on is asked anew, too. A channel with
    `is_process = True` starts a process: not more than three times within 60 seconds.

    Raises ConfigurationError for a timeout that is not a positive number.
    """

    def __init__(
        self,
        open_channel: Callable[[Heard], Channel],
        label: str,
        timeout: float = 30.0,
        *,
        ask: Ask | None = None,
        changed: Callable[[], None] | None = None,
        may_discover: bool = True,
    ) -> None:
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if not is_number or not 0 < timeout <= MAX_TIMEOUT:
            raise ConfigurationError(
                f"timeout={short_repr(timeout)} of MCP server {label}: a number of seconds above 0"
            )
        self._open_channel, self._label, self._timeout = open_channel, label, timeout
        self._ask, self._changed = ask, changed
        capabilities = {} if ask is None else {"elicitation": _ELICITATION}
        self._introduction = Introduction("agentkit", getattr(sys.modules["agentkit"], "__version__", ""), capabilities)
        self._may_discover = may_discover
        self.renew_in_child()
        renewed_by_forks(self)

    def __repr__(self) -> str:
        return f"Client({self._label!r})"

    def renew_in_child(self) -> None:
        """Begin without a connection: in a forked child it stays with the parent."""
        self._lock = threading.Lock()
        self._opening: Opening | None = None
        self._closings = 0
        self._starts: deque[float] = deque(maxlen=MAX_STARTS)
        self._in_flight = InFlight(self._ask)
        self._inbox = Inbox(self._label, self._in_flight.answer, self._changed)

    def begin(self) -> None:
        """Start the server without waiting for it; what goes wrong is raised by the next call."""
        notice_fork()
        with contextlib.suppress(Gone):
            self._current()

    def server(self, patience: Patience | None = None) -> Server:
        """What the server has said of itself; starts it. Raises Gone, Slow, MCPError, and ConfigurationError where the
        channel can't be opened."""
        notice_fork()
        try:
            return self._current().wait(patience or Patience(self._timeout))
        except AgentkitError as error:
            raise self._named(error) from None

    def request(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        patience: Patience | None = None,
        *,
        read_only: bool = True,
        headers: Mapping[str, str] | None = None,
        ask: Ask | None = None,
    ) -> dict[str, Any]:
        """Send a request and return its result. Questions in between are answered. read_only: it may be sent once more
        to a fresh server when the connection ends. headers: for a channel over HTTP. ask: instead of the client's, for
        questions of this call (without the client's, servers are told that they can't ask). Raises what `server`
        raises, and what `ask` does."""
        notice_fork()
        call = _Call(method, params or {}, patience or Patience(self._timeout), read_only, headers, ask or self._ask)
        try:
            return self._complete(call)
        except AgentkitError as error:
            may_have_run = isinstance(error, Unreadable) or (isinstance(error, Gone | Slow) and error.sent)
            raise self._named(error, not read_only and may_have_run) from None

    def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        read_only: bool = False,
        patience: Patience | None = None,
        headers: Mapping[str, str] | None = None,
        ask: Ask | None = None,
    ) -> dict[str, Any]:
        """Call a tool and return its result object; one with `isError` too. Raises what `request` raises; for a tool
        with effects whose connection ended, the message says that it is not known whether it had an effect."""
        params = {"name": name, "arguments": dict(arguments)}
        return self.request("tools/call", params, patience, read_only=read_only, headers=headers, ask=ask)

    def list_all(self, method: str, key: str, patience: Patience | None = None) -> Listed:
        """All pages of a list, such as `list_all("tools/list", "tools")`. Stops at a cursor that it has seen, and after
        1,000 pages, 10,000 objects or 32 million characters, with a warning. An empty list where the server has no such
        method. Raises what `server` raises."""
        patience = patience or Patience(self._timeout)
        items: list[dict[str, Any]] = []
        ttl: float | None = None
        cursor, size = None, 0
        seen: set[str] = set()
        while (page := self._page(method, cursor, patience)) is not None:
            size += size_of(page, MAX_PAGES_SIZE - size)
            found = page.get(key) if size <= MAX_PAGES_SIZE else None
            items += [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
            ttl = _shorter(ttl, page.get("ttlMs"))
            cursor = page.get("nextCursor")
            is_too_much = len(items) > MAX_ITEMS or size > MAX_PAGES_SIZE or size_of(cursor, MAX_CURSOR) > MAX_CURSOR
            if not cursor and not is_too_much:
                break
            if is_too_much or str(cursor) in seen or len(seen) + 1 == MAX_PAGES:
                why = "has more than is read" if is_too_much or str(cursor) not in seen else "repeats a page"
                logger.warning("MCP server %s: the list %s %s", self._label, method, why)
                break
            seen.add(str(cursor))
        return Listed(items[:MAX_ITEMS], ttl)

    def _page(self, method: str, cursor: Any, patience: Patience) -> dict[str, Any] | None:
        """A page of a list; None where the server has no such method."""
        try:
            page = self.request(method, {} if cursor is None else {"cursor": cursor}, patience)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return None
            raise
        patience.heard()
        return page

    def close(self) -> None:
        """End the connection, and the process of the server. A later call starts it again."""
        with self._lock:
            opening, self._opening = self._opening, None
            self._starts.clear()
            self._closings += 1
        if opening is not None:
            opening.close()

    def _named(self, error: AgentkitError, is_doubtful: bool = False) -> AgentkitError:
        """The same error for the caller: its message begins with the server."""
        made = copy.copy(error)
        doubt = f"{DOUBT}: " if is_doubtful else ""
        made.args = (f"MCP server {self._label}: {doubt}{error}", *error.args[1:])
        return made

    def _current(self) -> Opening:
        """The connection, or a new one that starts. Raises Gone when it has started too often."""
        with self._lock:
            last = self._opening
            if last is not None and not last.is_over:
                return last
            if last is not None:
                self._note(last)
            opening = Opening(
                self._open_channel,
                self._introduction,
                self._inbox.hear,
                max(self._timeout, MIN_START_SECONDS),
                self._may_discover,
            )
            self._opening = opening
            opening.begin()
        return opening

    def _note(self, last: Opening) -> None:
        """Note that a connection has ended; called with the lock. Raises Gone when a process has ended too often."""
        self._may_discover = not last.fails_at_discover
        if not last.is_process:
            return
        if not self._starts or self._starts[-1] != last.at:
            self._starts.append(last.at)
        wait = self._starts[0] + STARTS_WITHIN - time.monotonic()
        if len(self._starts) == MAX_STARTS and wait > 0:
            raise Gone(
                f"it was started {MAX_STARTS} times within {STARTS_WITHIN:g} seconds, and has ended each time; it is "
                f"started again after {wait:.0f} seconds. The last time: {last.ended_by()}",
                sent=False,
            )

    def _complete(self, call: "_Call") -> dict[str, Any]:
        """Send a request until its result is complete: a server of 2026-07-28 may ask for more first, or put it off."""
        more: Mapping[str, Any] = {}
        rounds, pause = 0, FIRST_PAUSE
        while rounds < MAX_ROUNDS:
            try:
                result = self._twice(call, {**call.params, **more})
            except MCPError as error:
                if not self._has_agreed(error, call):
                    raise
                rounds += 1
                continue
            if result.get("resultType") != "input_required":
                return result
            questions, state = result.get("inputRequests"), result.get("requestState")
            more = {"requestState": state} if isinstance(state, str) else {}
            if isinstance(questions, dict) and questions:
                more = {**more, "inputResponses": self._answers(questions, call)}
                rounds, pause = rounds + 1, FIRST_PAUSE
            else:
                _wait(pause, call.patience)
                pause = min(2 * pause, MAX_PAUSE)
        raise MCPError(f"the server has asked for more {MAX_ROUNDS} times in one call", INVALID_ANSWER)

    def _has_agreed(self, error: MCPError, call: "_Call") -> bool:
        """Whether a server of 2025-11-25 has refused a call until a person has visited pages, and they have."""
        pages = error.data.get("elicitations") if error.code == PAGE_REQUIRED and isinstance(error.data, dict) else None
        if not isinstance(pages, list) or not pages:
            return False
        requests = {
            str(number): {"method": "elicitation/create", "params": {"mode": "url", **page}}
            for number, page in enumerate(pages)
            if isinstance(page, dict)
        }
        return bool(requests) and all(answer["action"] == "accept" for answer in self._answers(requests, call).values())

    def _answers(self, questions: Mapping[str, Any], call: "_Call") -> dict[str, Any]:
        answers = {}
        with call.patience.asking():
            for key, each in questions.items():
                request = each if isinstance(each, dict) else {}
                answers[key] = answer_to_request(request, self._label, lambda question: answer_to(question, call.ask))
        return answers

    def _twice(self, call: "_Call", params: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, and once more to a fresh connection where the first has not run it, or may run it twice."""
        closings = self._closings
        opening = self._current()
        opening.wait(call.patience)
        try:
            return self._once(opening, call, params)
        except Gone as gone:
            if (gone.sent and not call.read_only) or call.patience.left <= 0 or self._closings != closings:
                raise
            ended = gone
        except MCPError as error:
            is_lost, was_refused = opening.has_lost_session(error), opening.has_other_version(error)
            if is_lost or was_refused:
                self._drop(opening)
            if not was_refused and not (is_lost and call.read_only):
                raise
            ended = Gone(str(error), sent=False)
        try:
            opening = self._current()
            opening.wait(call.patience)
        except Gone as gone:
            raise ended from gone
        return self._once(opening, call, params)

    def _once(self, opening: Opening, call: "_Call", params: Mapping[str, Any]) -> dict[str, Any]:
        if call.patience.left <= 0:
            raise Slow("there is no time left for the call", sent=False)
        flight = self._in_flight.begin(call.method, call.patience, call.ask)
        try:
            return opening.exchange(call.method, params, call.patience, call.headers)
        finally:
            self._in_flight.end(flight)

    def _drop(self, opening: Opening) -> None:
        """Let the next call open another connection; calls that still wait on this one are not disturbed."""
        with self._lock:
            if self._opening is opening:
                self._opening = None


_ELICITATION: Mapping[str, Any] = {"form": {}, "url": {}}


def _wait(seconds: float, patience: Patience) -> None:
    """Wait a moment. Raises Slow when there is no patience left then."""
    (patience.cancel or threading.Event()).wait(min(seconds, patience.left))
    if patience.left <= 0:
        raise Slow("the server has put off the call for too long")


def _shorter(ttl: float | None, milliseconds: object) -> float | None:
    if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool) or not milliseconds >= 0:
        return ttl
    seconds = min(milliseconds, 1e12) / 1000
    return seconds if ttl is None else min(ttl, seconds)
