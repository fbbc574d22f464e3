"""The connection to an MCP server that is a process of ours: JSON messages, one a line, over its standard streams."""

import os
import weakref
from collections.abc import Callable, Mapping, Sequence

from agentkit._closing import Closable
from agentkit._forking import notice_fork
from agentkit.mcp.calls import Calls, wait_for_answer
from agentkit.mcp.channel import Heard, Message, Patience, encoded
from agentkit.mcp.command import Command
from agentkit.mcp.errors import PAGE_REQUIRED, Gone
from agentkit.mcp.process import Process
from agentkit.mcp.secrets import without_keys, without_keys_in_errors

NOT_CANCELLED = ("initialize", "server/discover")
"""Requests that no server knows to be cancelled: it may not have got ready yet."""
CANCELLED = "notifications/cancelled"
NOTICE_SECONDS = 0.7
"""Seconds in which the end of a process is noticed that does not read any more."""


def _line_of(message: Message) -> bytes:
    return encoded(message) + b"\n"


class Stdio(Closable):
    """Starts a server and is the connection to it (a `Channel`). command, env, cwd: see `Command`, which may be given
    itself. heard: is given the server's own messages.

    The process ends with `close`, with this object, and with the program. In a forked child the connection has ended;
    the process stays with the parent.

    Raises ConfigurationError when it can't be started, Gone when that may succeed later.
    """

    is_process = True

    def __init__(
        self,
        command: Command | str | Sequence[str],
        heard: Heard,
        env: Mapping[str, str] | None = None,
        cwd: "str | os.PathLike[str] | None" = None,
    ) -> None:
        notice_fork()
        self.version = ""
        self._command = command if isinstance(command, Command) else Command(command, env, cwd)
        self._calls = Calls(heard)
        self._owner = os.getpid()
        self._is_broken = False
        self._process = Process(self._command, self._calls.feed, self._calls.end)
        weakref.finalize(self, self._process.ask_to_end).atexit = False  # all are ended together at exit

    def __repr__(self) -> str:
        return f"Stdio({self._command.name})"

    @property
    def skipped(self) -> int:
        """How many lines and messages of the server were no use."""
        return self._calls.skipped

    @property
    def is_lost(self) -> bool:
        """Whether the connection has ended."""
        return self._is_broken or self._calls.gone is not None or os.getpid() != self._owner

    @property
    def ended_by(self) -> str:
        """How the connection has ended; "" for one that has not."""
        return str(self._calls.gone or "")

    def exchange(self, message: Message, patience: Patience, headers: Mapping[str, str] | None = None) -> Message:
        """See `Channel`."""
        self._check_process()
        line = _line_of(message)
        number = message["id"]
        answers = self._calls.expect(number)
        try:
            self._process.input.write(line, patience)
            look = self._process.end_if_ended if message["method"] != "initialize" else self._looking(patience)
            return self._masked(wait_for_answer(answers, patience, look))
        except Gone as gone:
            raise self._whole(gone) from None
        except BaseException:  # Slow, Ctrl-C
            self._cancel(message)
            raise
        finally:
            self._calls.forget(number)

    def send(self, message: Message, patience: Patience) -> None:
        """See `Channel`."""
        self._check_process()
        if (gone := self._calls.gone) is not None:
            raise gone
        self._process.input.write(_line_of(message), patience)

    def close(self) -> None:
        """End the process, and what it has started: within about three seconds, where it does not end by itself."""
        if os.getpid() == self._owner:
            self._process.end()

    def _looking(self, patience: Patience) -> Callable[[], None]:
        """Looks after a process that starts: what it says on standard error is a sign of life, as that of npx, uvx and
        docker is while they download the server."""
        last = [self._process.noted_at]

        def look() -> None:
            self._process.end_if_ended()
            if self._process.noted_at > last[0]:
                last[0] = self._process.noted_at
                patience.heard()

        return look

    def _check_process(self) -> None:
        notice_fork()
        if os.getpid() != self._owner:
            raise Gone("the connection belongs to the parent of this process", sent=False)

    def _masked(self, answer: Message) -> Message:
        """An answer whose error does not repeat what the server was started with. The addresses of pages to visit stay
        as they are."""
        error = answer.get("error")
        if error is None:
            return without_keys_in_errors(answer, self._command.masked)
        masked = without_keys(error, self._command.masked)
        if isinstance(error, dict) and error.get("code") == PAGE_REQUIRED:
            masked["data"] = error.get("data")
        return {**answer, "error": masked}

    def _cancel(self, message: Message) -> None:
        if message["method"] not in NOT_CANCELLED:
            params = {"requestId": message["id"], "reason": "nobody waits for it any more"}
            self._process.input.write_soon(_line_of({"jsonrpc": "2.0", "method": CANCELLED, "params": params}))
        self._process.end_if_ended(is_slow=True)

    def _whole(self, gone: Gone) -> Gone:
        """What is known of how the process has ended; a call that could not be written may be the first to notice."""
        if gone.sent:
            return gone
        if not self._calls.has_ended.wait(NOTICE_SECONDS):  # it has closed its input alone
            self._is_broken = True
            self._process.ask_to_end()
        known = self._calls.gone
        return gone if known is None else Gone(str(known), known.status, known.stderr, sent=False)
