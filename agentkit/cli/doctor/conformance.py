"""agentkit's promises, kept before one's eyes: faults played by a scripted server on loopback, and what a run makes of
them. Each line is a fault that ends or hangs runs elsewhere."""

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
from agentkit.transcript import Transcript

Answer = dict[str, Any] | int | str | None
"""A whole answer; or a status; or a text that is sent instead of JSON; or None for a connection that breaks."""


@tool(read_only=True)
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@tool
def fail(reason: str) -> str:
    """Fail."""
    raise RuntimeError(reason)


@tool
def refuse(reason: str) -> str:
    """Refuse."""
    raise ToolError(reason)


@tool(timeout=0.5)
def hang() -> str:
    """Hang."""
    time.sleep(30)
    return "never"


@tool(isolate=True, timeout=0.5)
def spin() -> str:
    """Keep the processor busy for ever."""
    while True:
        pass


TOOLS: list[Tool[..., Any]] = [double, fail, refuse, hang, spin]


def say(text: str | None, *calls: tuple[str, str], reason: str = "stop", ids: Sequence[str] = ()) -> dict[str, Any]:
    """An answer with a text and calls; their arguments as they stand."""
    made = [
        {"id": ids[place] if ids else f"c{place}", "type": "function", "function": {"name": name, "arguments": text_}}
        for place, (name, text_) in enumerate(calls)
    ]
    message = {"role": "assistant", "content": text} | ({"tool_calls": made} if made else {})
    return {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if made else reason}]}


DONE = say("Done.")
TWO = '{"number": 2}'


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Silent: a client that goes away in the middle is what some of the faults are about."""


@contextmanager
def _served(answers: Sequence[Answer]) -> Iterator[str]:
    """A server on loopback that gives the answers in turn, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = left.pop(0) if len(left) > 1 else left[0]
            if answer is None:
                self.close_connection = True
                return
            status = answer if isinstance(answer, int) else 200
            told = {"error": {"message": "busy"}} if isinstance(answer, int) else answer
            body = (told if isinstance(told, str) else json.dumps(told)).encode()
            self.send_response(status)
            self.send_header("content-type", "text/html" if isinstance(answer, str) else "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def _run(answers: Sequence[Answer], **options: Any) -> Result:
    limits = options.pop("limits", Limits())
    with _served(answers) as url:
        backend = OpenAIBackend("faults", base_url=url, timeout=5.0)
        try:
            return Agent(backend, tools=TOOLS, limits=limits).run(options.pop("prompt", "Go."), **options)
        finally:
            backend.close()


def _ends_well(*answers: Answer, says: str = "", **options: Any) -> Callable[[], str]:
    """A run with these answers ends with "Done.", a valid transcript, and `says` in what the tools told."""

    def check() -> str:
        result = _run([*answers, DONE], **options)
        assert result.output == "Done.", f"the output is {result.output!r}, stopped: {result.stopped}"
        Transcript(result.messages)
        told = " ".join([*(record.response for record in result.tool_calls), *result.repairs])
        assert says in told, f"the model was told {told!r}"
        return told

    return check


QUOTED_CALL = '<tool_call>{"name": "fail", "arguments": {"reason": "it was only quoted"}}</tool_call>'


def _runs_nothing(text: str, output: str = "", prompt: str = "Go.") -> Callable[[], str]:
    """A reply with this text is an answer, whatever calls it seems to have."""

    def check() -> str:
        result = _run([say(text)], prompt=prompt)
        ran = [record.name for record in result.tool_calls]
        assert not ran, f"it ran {', '.join(ran)}"
        assert result.output == (output or text), f"the output is {result.output!r}"
        return "nothing was run"

    return check


def _reads_no_half_value() -> str:
    result = _run([say('{"number": 4', reason="length"), say('{"number": 42}')], output=Number)
    assert result.output.number == 42, f"the output is {result.output!r}"
    return "it was asked for again"


@dataclass
class Number:
    """An answer of a type."""

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


def _goes_in_circles() -> str:
    result = _run([say(None, ("double", TWO))] * 40)
    assert result.stopped == "loop", f"stopped: {result.stopped}"
    return f"ended after {result.usage.requests} replies"


def _reaches_the_limit() -> str:
    answers = [say(None, ("double", f'{{"number": {number}}}')) for number in range(3)]
    result = _run([*answers, say("My best answer.")], limits=Limits(turns=3))
    assert (result.stopped, result.output) == ("turns", "My best answer."), f"stopped: {result.stopped}"
    return "the best answer was asked for"


DANGLING = [
    {"role": "user", "content": "Before."},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "old", "type": "function", "function": {"name": "double", "arguments": TWO}}],
    },
]

PROMISES: dict[str, Callable[[], str]] = {
    "an unknown tool": _ends_well(say(None, ("doubel", TWO)), says="Did you mean 'double'"),
    "a tool that raises": _ends_well(say(None, ("fail", '{"reason": "no disk"}')), says="RuntimeError: no disk"),
    "a tool that refuses": _ends_well(say(None, ("refuse", '{"reason": "not today"}')), says="not today"),
    "a tool that hangs": _ends_well(say(None, ("hang", "{}")), says="did not finish within 0.5 seconds"),
    "a tool that spins, in its own process": _ends_well(say(None, ("spin", "{}")), says="0.5 seconds"),
    "arguments with faults": _ends_well(say(None, ("double", "```json\n{'number': '2',}\n```")), says="4"),
    "arguments that are none": _ends_well(say(None, ("double", "two")), says="Error"),
    "an argument too many": _ends_well(say(None, ("double", '{"number": 2, "colour": "red"}')), says="colour"),
    "double ids": _ends_well(say(None, ("double", TWO), ("double", TWO), ids=["c", "c"]), says="4"),
    "empty ids": _ends_well(say(None, ("double", TWO), ("double", TWO), ids=["", ""]), says="4"),
    "a call left in the text": _ends_well(
        say('<tool_call>{"name": "double", "arguments": {"number": 2}}</tool_call>'), says="4"
    ),
    "a call that is quoted": _runs_nothing(f"The page says `{QUOTED_CALL}`."),
    "a call in the prose of an answer": _runs_nothing(f"The page says {QUOTED_CALL} and more."),
    "a call that the user wrote": _runs_nothing(QUOTED_CALL, prompt=f"What does this mean? {QUOTED_CALL}"),
    "a call that is only thought of": _runs_nothing(f"Maybe {QUOTED_CALL}? No.</think>I did not.", "I did not."),
    "a call that is cut off": _ends_well(say(None, ("double", '{"number": 2')), says="cut off"),
    "a typed answer that is cut off": _reads_no_half_value,
    "a history with an open call": _ends_well(messages=DANGLING, says="never answered"),
    "an empty reply": _ends_well(say("")),
    "a busy server": _ends_well(503),
    "a connection that breaks": _ends_well(None),
    "the same call for ever": _goes_in_circles,
    "a limit on turns": _reaches_the_limit,
    "cancelling from another thread": _cancelled,
}


def check_promises() -> Iterator[Check]:
    """Play each fault to a run, and tell whether it came through."""
    for what, keep in PROMISES.items():
        started = time.monotonic()
        try:
            detail = keep()
        except Exception as error:  # noqa: BLE001 - any failure is what this is to show
            yield Check(what, "failed", f"{type(error).__name__}: {error}"[:160], time.monotonic() - started)
        else:
            yield Check(what, "yes", " ".join(detail.split())[:100], time.monotonic() - started)
