"""Simulates errors of models, tools and connections with a scripted server on loopback, and checks that a run handles
them. Each line is an error that can break or hang an agent loop."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from agentkit import Agent, Limits, Result, Tool, ToolError, tool
from agentkit.backends import OpenAIBackend
from agentkit.cli.doctor.checks import Check
from agentkit.cli.doctor.oddities import ODDITIES, Oddity, Sent
from agentkit.transcript import Transcript

Answer = dict[str, Any] | int | str | Sent | None
"""A response body; or an HTTP status; or a text sent instead of JSON; or a response as it is sent; or None for a closed
connection."""


@tool(read_only=True, description="Double a number.")
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@tool(description="Fail.")
def fail(reason: str) -> str:
    """Fail."""
    raise RuntimeError(reason)


@tool(description="Refuse.")
def refuse(reason: str) -> str:
    """Refuse."""
    raise ToolError(reason)


@tool(timeout=0.5, description="Hang.")
def hang() -> str:
    """Hang."""
    time.sleep(30)
    return "never"


@tool(isolate=True, timeout=0.5, description="Run an endless loop.")
def spin() -> str:
    """Run an endless loop."""
    while True:
        pass


@tool(description="Charge an amount.")
def charge(number: int = 0) -> str:
    """Charge an amount."""
    return f"Charged {number}."


@tool(description="Send a letter.")
def send(to: str = "nobody") -> str:
    """Send a letter."""
    return f"Sent to {to}."


TOOLS: list[Tool[..., Any]] = [double, fail, refuse, hang, spin, charge, send]


def say(text: str | None, *calls: tuple[str, str], reason: str = "stop", ids: Sequence[str] = ()) -> dict[str, Any]:
    """Returns a response with a text and tool calls. calls: pairs of name and arguments, sent as they are."""
    made = [
        {
            "id": ids[index] if ids else f"c{index}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        }
        for index, (name, arguments) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text} | ({"tool_calls": made} if made else {})
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if made else reason}]}


DONE = say("Done.")
TWO = '{"number": 2}'


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Do nothing: some checks abort the connection on purpose."""


@contextmanager
def _served(answers: Sequence[Answer], received: list[str] | None = None) -> Iterator[str]:
    """Run a server on loopback that sends the answers in turn and repeats the last one. Yields its base URL. received:
    takes the body of each request."""
    remaining, bodies = list(answers), [] if received is None else received

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))).decode())
            answer = remaining.pop(0) if len(remaining) > 1 else remaining[0]
            if answer is None:
                self.close_connection = True
                return
            sent = _sent(answer)
            body = sent.body.encode()
            self.send_response(sent.status)
            self.send_header("content-type", sent.kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _sent(answer: dict[str, Any] | int | str | Sent) -> Sent:
    if isinstance(answer, Sent):
        return answer
    if isinstance(answer, str):
        return Sent(answer, kind="text/html")
    if isinstance(answer, int):
        return Sent('{"error": {"message": "busy"}}', answer, "application/json")
    return Sent(json.dumps(answer), kind="application/json")


def _run(answers: Sequence[Answer], received: list[str] | None = None, **options: Any) -> Result:
    limits = options.pop("limits", Limits())
    with _served(answers, received) as url:
        backend = OpenAIBackend("scripted", base_url=url, timeout=5.0)
        try:
            return Agent(backend, tools=TOOLS, limits=limits).run(options.pop("prompt", "Go."), **options)
        finally:
            backend.close()


def _completes(*answers: Answer, expected: str = "", **options: Any) -> Callable[[], str]:
    """Returns a check that a run with these answers ends with "Done." and a valid transcript.

    expected: text that a tool result or a repair note contains.
    """

    def check() -> str:
        result = _run([*answers, DONE], **options)
        assert result.output == "Done.", f"the output is {result.output!r}, stopped: {result.stopped}"
        Transcript(result.messages)
        reported = " ".join([*(record.response for record in result.tool_calls), *result.repairs])
        assert expected in reported, f"the model received {reported!r}"
        return reported

    return check


def _meets(oddity: Oddity) -> Callable[[], str]:
    """Returns a check that a run which meets a fault of a server ends with "Done.", and runs each call once."""

    def check() -> str:
        received: list[str] = []
        result = _run([*oddity.sent, DONE], received, messages=oddity.messages)
        assert result.output == "Done.", f"the output is {result.output!r}, stopped: {result.stopped}"
        Transcript(result.messages)
        ran = tuple(record.name for record in result.tool_calls if record.error is None)
        assert ran == oddity.ran, f"it ran {', '.join(ran) or 'nothing'}"
        assert oddity.told in received[-1], f"the model received {received[-1][-200:]}"
        return f"{len(received)} requests"

    return check


QUOTED_CALL = '<tool_call>{"name": "fail", "arguments": {"reason": "only quoted"}}</tool_call>'


def _runs_nothing(text: str, output: str = "", prompt: str = "Go.") -> Callable[[], str]:
    """Returns a check that a reply with this text is an answer and no call in it is run."""

    def check() -> str:
        result = _run([say(text)], prompt=prompt)
        ran = [record.name for record in result.tool_calls]
        assert not ran, f"it ran {', '.join(ran)}"
        assert result.output == (output or text), f"the output is {result.output!r}"
        return "no tool was run"

    return check


def _rejects_truncated_value() -> str:
    result = _run([say('{"number": 4', reason="length"), say('{"number": 42}')], output=Number)
    assert result.output.number == 42, f"the output is {result.output!r}"
    return "requested again"


@dataclass
class Number:
    """The type of a typed answer."""

    number: int


def _cancelled() -> str:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
    result = _run([say(None, ("hang", "{}"))], cancel=cancel)
    took = time.monotonic() - started - 0.3
    assert result.stopped == "cancelled", f"stopped: {result.stopped}"
    assert took < 1.0, f"it took {took:.1f} s"
    Transcript(result.messages)
    return "stopped in time, with a valid transcript"


def _ends_a_loop() -> str:
    result = _run([say(None, ("double", TWO))] * 40)
    assert result.stopped == "loop", f"stopped: {result.stopped}"
    return f"ended after {result.usage.requests} replies"


def _answers_at_the_limit() -> str:
    answers = [say(None, ("double", f'{{"number": {number}}}')) for number in range(3)]
    result = _run([*answers, say("My best answer.")], limits=Limits(turns=3))
    assert (result.stopped, result.output) == ("turns", "My best answer."), f"stopped: {result.stopped}"
    return "a final answer was requested"


DANGLING = [
    {"role": "user", "content": "Before."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "old", "type": "function", "function": {"name": "double", "arguments": TWO}}],
    },
]

ERROR_CHECKS: dict[str, Callable[[], str]] = {
    "an unknown tool": _completes(say(None, ("doubel", TWO)), expected="Did you mean 'double'"),
    "a tool that raises": _completes(say(None, ("fail", '{"reason": "no disk"}')), expected="RuntimeError: no disk"),
    "a tool that raises ToolError": _completes(say(None, ("refuse", '{"reason": "not today"}')), expected="not today"),
    "a tool that hangs": _completes(say(None, ("hang", "{}")), expected="did not finish within 0.5 seconds"),
    "an endless loop in an isolated tool": _completes(say(None, ("spin", "{}")), expected="0.5 seconds"),
    "malformed arguments": _completes(say(None, ("double", "```json\n{'number': '2',}\n```")), expected="4"),
    "unreadable arguments": _completes(say(None, ("double", "two")), expected="Error"),
    "an unexpected argument": _completes(say(None, ("double", '{"number": 2, "colour": "red"}')), expected="colour"),
    "duplicate call ids": _completes(say(None, ("double", TWO), ("double", TWO), ids=["c", "c"]), expected="4"),
    "empty call ids": _completes(say(None, ("double", TWO), ("double", TWO), ids=["", ""]), expected="4"),
    "a call in the text": _completes(
        say('<tool_call>{"name": "double", "arguments": {"number": 2}}</tool_call>'), expected="4"
    ),
    "a quoted call": _runs_nothing(f"The page says `{QUOTED_CALL}`."),
    "a call within the text of an answer": _runs_nothing(f"The page says {QUOTED_CALL} and more."),
    "a call repeated from the prompt": _runs_nothing(QUOTED_CALL, prompt=f"What does this mean? {QUOTED_CALL}"),
    "a call in the reasoning": _runs_nothing(f"Maybe {QUOTED_CALL}? No.</think>I did not.", "I did not."),
    "a truncated call": _completes(say(None, ("double", '{"number": 2')), expected="cut off"),
    "a truncated typed answer": _rejects_truncated_value,
    "a history with an unanswered call": _completes(messages=DANGLING, expected="without a result"),
    "an empty reply": _completes(say("")),
    "a reply that the server broke off": _completes(say("Half a", reason="network_error")),
    "a busy server": _completes(503),
    "a closed connection": _completes(None),
    "the same call repeated": _ends_a_loop,
    "the limit on turns": _answers_at_the_limit,
    "cancellation from another thread": _cancelled,
    **{oddity.what: _meets(oddity) for oddity in ODDITIES},
}


def check_error_handling() -> Iterator[Check]:
    """Simulate each error in a run, and report whether the run handled it."""
    for what, check in ERROR_CHECKS.items():
        started = time.monotonic()
        try:
            detail = check()
        except Exception as error:  # noqa: BLE001 - every failure is reported
            yield Check(what, "failed", f"{type(error).__name__}: {error}"[:160], time.monotonic() - started)
        else:
            yield Check(what, "yes", " ".join(detail.split())[:100], time.monotonic() - started)
