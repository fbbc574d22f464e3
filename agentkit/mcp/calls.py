"""The requests of one connection that wait for an answer, and the messages that come in."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._threads import POLL_INTERVAL
from agentkit.mcp.channel import Heard, Message, Patience
from agentkit.mcp.errors import Gone, Slow
from agentkit.mcp.lines import MAX_LINE, Lines, TooLong
from agentkit.mcp.progress import progress_text
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit")

LOOK_SECONDS = 0.25
"""Seconds between two looks at whether the server still runs, while a call waits."""
MAX_NESTED = 10
"""A batch in a batch in ... is read this deep."""
MAX_BRACES = 10
"""Of a line with other text, a message is looked for at so many places."""
MAX_UNTOLD = 20
"""The most reports of progress of a call that wait to be told: the newest ones."""
INTERNAL_ERROR = -32603

_DECODER = json.JSONDecoder(parse_constant=str)


class Waiting:
    """What has come for one call, for the thread that waits for it."""

    def __init__(self) -> None:
        self._come: SimpleQueue[Message | Gone | None] = SimpleQueue()
        self._untold: deque[str] = deque(maxlen=MAX_UNTOLD)

    def put(self, answer: "Message | Gone") -> None:
        """The answer."""
        self._come.put(answer)

    def report(self, progress: str) -> None:
        """The server has said that it works on the call."""
        self._untold.append(progress)
        if self._come.qsize() < MAX_UNTOLD:
            self._come.put(None)

    def next(self, seconds: float) -> "Message | Gone | None":
        """The answer; None where there is progress to be told. Raises Empty when nothing has come so long."""
        return self._come.get(timeout=seconds)

    def tell(self, patience: Patience) -> None:
        """Tell what the server has said."""
        while self._untold:
            patience.heard(self._untold.popleft())


class Calls:
    """Reads the output of a server: each answer goes to the call that waits for it, each other message to `heard`.

    Whatever is no message is skipped and counted (`skipped`): log lines, garbage, answers that nobody waits for. An
    answer is found on its line beside other text.
    has_ended: set when the connection has ended.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._lines = Lines()
        self._waiting: dict[int, Waiting] = {}
        self._gone: Gone | None = None
        self.has_ended = threading.Event()
        self.skipped = 0

    @property
    def gone(self) -> Gone | None:
        """How the connection has ended; each time another object, to be raised."""
        gone = self._gone
        return None if gone is None else Gone(str(gone), gone.status, gone.stderr, gone.sent)

    def expect(self, number: int) -> Waiting:
        """A request with this id is about to be sent. Raises Gone."""
        answers = Waiting()
        self._waiting[number] = answers
        if self._gone is not None:  # looked at after that, so that `end` sees it or is seen
            self.forget(number)
            raise Gone(str(self._gone), self._gone.status, self._gone.stderr, sent=False)
        return answers

    def forget(self, number: int) -> None:
        """Nobody waits for the answer to this request any more."""
        self._waiting.pop(number, None)

    def feed(self, data: bytes) -> None:
        """Read a piece of the output."""
        if self._gone is None:
            for line in self._lines.feed(data):
                try:
                    self._read(line)
                except Exception as error:  # noqa: BLE001 - the connection goes on
                    self._skip("a message that can't be read")
                    log_raised(logger, WARNING, "reading a message of an MCP server raised", error)

    def end(self, gone: Gone) -> None:
        """The connection has ended: all calls are told so."""
        self._gone = gone
        for answers in list(self._waiting.values()):
            answers.put(self.gone or gone)
        self.has_ended.set()

    def _read(self, line: bytes | TooLong) -> None:
        if isinstance(line, TooLong):
            error = {"code": INTERNAL_ERROR, "message": f"the answer is longer than {MAX_LINE:,} bytes"}
            self._answer(line.id, {"error": error})
            return
        text = line.decode("utf-8", "replace").strip("\ufeff \t\r\n")
        if not text:
            return
        try:
            message = _DECODER.decode(text)
        except (ValueError, RecursionError, MemoryError):
            if not self._has_answer(text):
                self._skip("a line that is no message")
            return
        self._take(message)

    def _has_answer(self, text: str) -> bool:
        """Take the answers in a line that has other text too: what npx says, a prompt, the next message. Only those
        that a call waits for, as it may be a line of a log."""
        found = [each for each in _objects(text) if _is_answer(each) and _number(each.get("id")) in self._waiting]
        for each in found:
            self._answer(each["id"], each)
        return bool(found)

    def _take(self, message: Any, depth: int = 0) -> None:
        if isinstance(message, list) and depth < MAX_NESTED:
            for each in message:
                self._take(each, depth + 1)
        elif not isinstance(message, dict):
            self._skip("a line that is no message")
        elif isinstance(message.get("method"), str):
            self._hear(message)
        elif _is_answer(message):
            self._answer(message.get("id"), message)
        else:
            self._skip("a message that is neither an answer nor a request")

    def _hear(self, message: Message) -> None:
        if message["method"] != "notifications/progress":
            try:
                self._heard(message)
            except Exception as error:  # noqa: BLE001 - the connection goes on
                log_raised(logger, WARNING, "what hears an MCP server raised", error)
            return
        params = message.get("params")
        if isinstance(params, dict):
            answers = self._waiting.get(_number(params.get("progressToken")))
            if answers is not None:
                answers.report(progress_text(params))

    def _answer(self, number: object, message: Message) -> None:
        """Hand an answer to its call; one to a message that the server could not read has no id: that is the only one
        that waits."""
        waiting = list(self._waiting) if number is None else [_number(number)]
        answers = self._waiting.pop(waiting[0], None) if len(waiting) == 1 else None
        if answers is None:
            self._skip("an answer that no call waits for")
        else:
            answers.put(message)

    def _skip(self, what: str) -> None:
        self.skipped += 1
        logger.debug("an MCP server has sent %s", what)


def wait_for_answer(answers: Waiting, patience: Patience, look: Callable[[], None]) -> Message:
    """The message that answers a call. look: is called now and then while nothing comes. Raises Gone, and Slow when
    time is up."""
    begun = time.monotonic()
    interval = LOOK_SECONDS if patience.cancel is None else POLL_INTERVAL
    while (left := patience.left) > 0:
        try:
            item = answers.next(min(left, interval))
        except Empty:
            look()
            continue
        answers.tell(patience)
        if isinstance(item, Gone):
            raise item
        if item is not None:
            return item
    if patience.is_cancelled:
        raise Slow("the call was cancelled")
    seconds = round(time.monotonic() - begun, 1)
    raise Slow(f"the server has not answered within {seconds:g} seconds; the request was cancelled")


def _objects(text: str) -> Iterator[Message]:
    """The JSON objects in a line, among other text; looked for at its first braces."""
    place = text.find("{")
    for _ in range(MAX_BRACES):
        if place < 0:
            return
        try:
            found, place = _DECODER.raw_decode(text, place)
            yield found
        except (ValueError, RecursionError, MemoryError):
            place += 1
        place = text.find("{", place)


def _number(value: object) -> int:
    """An id of ours, which some servers return as a text; -1 for what is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _is_answer(message: Message) -> bool:
    """Whether a message is an answer. One without an id is an error, in the whole form that the protocol gives it; a
    line of a log may have fields of these names, too."""
    if message.get("id") is not None:
        return "result" in message or "error" in message
    is_whole = message.get("jsonrpc") == "2.0" and "id" in message and "result" not in message
    return is_whole and isinstance(message.get("error"), dict)
