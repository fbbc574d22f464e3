"""What a model server can do: questions put to it through its backend, as a run would put them."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import openai

from agentkit import APIError, Image, tool
from agentkit._text import in_a_line
from agentkit.backend import Backend, Request
from agentkit.event import Reply
from agentkit.message import text_of, tool_result, user
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

Verdict = Literal["yes", "no", "unknown", "failed"]

RED = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII="
"""A PNG: a red square of 8 by 8 pixels."""


@dataclass(frozen=True)
class Check:
    """One line of the table. what: the ability or promise. detail: what was seen, in a few words."""

    what: str
    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0


@tool(read_only=True)
def get_weather(city: str) -> str:
    """Tell the weather of a city now.

    Args:
        city: Name of the city.
    """
    return f"9 degrees and rain in {city}"


TOOLS = Toolbox([get_weather])


def check_server(backend: Backend) -> Iterator[Check]:
    """Ask a server what its users will need, one line after another; a server that does not answer ends it."""
    first = _told("answers", lambda: _answers(backend))
    yield first
    if first.verdict == "failed":
        return
    for what, ask in CHECKS.items():
        yield _told(what, lambda ask=ask: ask(backend))  # type: ignore[misc]


def _told(what: str, ask: Callable[[], tuple[Verdict, str]]) -> Check:
    started = time.monotonic()
    try:
        verdict, detail = ask()
    except openai.APIStatusError as error:
        verdict, detail = ("no" if 400 <= error.status_code < 500 else "failed"), in_a_line(str(error), 160)
    except APIError as error:
        verdict, detail = "failed", in_a_line(str(error), 160)
    return Check(what, verdict, detail, time.monotonic() - started)


def _asked(
    backend: Backend, messages: list[Any], tools: Toolbox | None = None, stream: bool = False
) -> tuple[list[Any], Reply]:
    """The pieces of a reply, and the reply."""
    *pieces, reply = backend.reply(Request(Transcript(messages), tools or Toolbox(), stream))
    assert isinstance(reply, Reply)
    return pieces, reply


def _answers(backend: Backend) -> tuple[Verdict, str]:
    _, reply = _asked(backend, [user("Say hello.")])
    return "yes", _quoted(text_of(reply.message) or reply.finish_reason)


def _streams(backend: Backend) -> tuple[Verdict, str]:
    pieces, _ = _asked(backend, [user("Count from one to ten, in words.")], stream=True)
    return ("yes" if len(pieces) > 1 else "no"), f"{len(pieces)} pieces"


def _counts_tokens(stream: bool) -> Callable[[Backend], tuple[Verdict, str]]:
    def ask(backend: Backend) -> tuple[Verdict, str]:
        _, reply = _asked(backend, [user("Say hello.")], stream=stream)
        usage = reply.usage
        detail = f"{usage.input_tokens} in, {usage.output_tokens} out"
        return ("yes" if usage.input_tokens and usage.output_tokens else "no"), detail

    return ask


def _calls(question: str, least: int) -> Callable[[Backend], tuple[Verdict, str]]:
    def ask(backend: Backend) -> tuple[Verdict, str]:
        _, reply = _asked(backend, [user(question)], TOOLS)
        calls = reply.message.get("tool_calls") or []
        if len(calls) >= least:
            return "yes", ", ".join(f"{call['function']['name']}{call['function']['arguments']}" for call in calls)
        said = text_of(reply.message)
        if calls:
            return "no", f"{len(calls)} call in the reply; a model that makes one at a time is no fault"
        if "get_weather" in said:
            return "no", f"the call was left in the text: {_quoted(said)} (agentkit reads known formats there)"
        return "unknown", f"it made no call, but said {_quoted(said)}"

    return ask


def _streams_calls(backend: Backend) -> tuple[Verdict, str]:
    begun: list[str] = []
    request = Request(
        Transcript([user("What is the weather in Oslo? Use the tool.")]),
        TOOLS,
        stream=True,
        begin=lambda name, arguments, before: begun.append(name),
    )
    *_, reply = backend.reply(request)
    assert isinstance(reply, Reply)
    calls = reply.message.get("tool_calls") or []
    if not calls:
        return "unknown", "it made no call"
    broken = [
        call["function"]["arguments"] for call in calls if "unreadable_arguments" in call["function"]["arguments"]
    ]
    if broken:
        return "no", f"arguments that are no JSON: {broken[0]:.80}"
    return "yes", f"{len(begun)} of {len(calls)} were whole before the reply was"


def _takes_results(backend: Backend) -> tuple[Verdict, str]:
    call: Any = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps({"city": "Oslo"})},
    }
    messages = [user("What is the weather in Oslo?"), {"role": "assistant", "content": None, "tool_calls": [call]}]
    _, reply = _asked(backend, [*messages, tool_result("call_1", "9 degrees and rain")], TOOLS)
    said = text_of(reply.message)
    if not said.strip():
        return "no", "it said nothing after the result"
    return ("yes" if "9" in said or "nine" in said.lower() else "unknown"), _quoted(said)


def _reasons(backend: Backend) -> tuple[Verdict, str]:
    _, reply = _asked(backend, [user("Which is greater, 9.11 or 9.9? Think first.")])
    for name in ("reasoning_content", "reasoning", "reasoning_details"):
        if reply.message.get(name):
            return "yes", f"in the field {name}"
    if isinstance(reply.message.get("content"), list):
        return "yes", "as parts of the content"
    said = text_of(reply.message)
    return "no", "it is in the text (<think>)" if "<think>" in said else "none was told"


def _sees_images(backend: Backend) -> tuple[Verdict, str]:
    picture = Image(base64.b64decode(RED), "image/png")
    return _about_red(backend, [user(["Which colour has this picture? One word.", picture])])


def _sees_images_of_tools(backend: Backend) -> tuple[Verdict, str]:
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED}"}}
    call: Any = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "x"}'}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "A picture:"}, part]}
    asked = user("Which colour has the picture of the tool? One word.")
    return _about_red(backend, [asked, {"role": "assistant", "content": None, "tool_calls": [call]}, result])


def _about_red(backend: Backend, messages: list[Any]) -> tuple[Verdict, str]:
    _, reply = _asked(backend, messages, TOOLS)
    if getattr(backend, "takes_images", None) is False:
        return "no", "it refuses images; agentkit puts a sentence in their place"
    said = text_of(reply.message)
    return ("yes" if "red" in said.lower() else "unknown"), f"it was taken; about a red picture it said {_quoted(said)}"


def _context_length(backend: Backend) -> tuple[Verdict, str]:
    ask = getattr(backend, "context_length", None)
    length = ask() if ask is not None else None
    return ("yes", f"{length:,} tokens") if length else ("unknown", "the server does not tell")


def _quoted(text: str) -> str:
    return repr(in_a_line(text, 60))


CHECKS: dict[str, Callable[[Backend], tuple[Verdict, str]]] = {
    "streams": _streams,
    "tells its usage": _counts_tokens(stream=False),
    "tells its usage in a stream": _counts_tokens(stream=True),
    "native tool calls": _calls("What is the weather in Oslo? Use the tool.", 1),
    "streamed tool calls": _streams_calls,
    "parallel tool calls": _calls("What is the weather in Oslo and in Rome? Ask for both at once.", 2),
    "takes tool results": _takes_results,
    "reasoning in a field": _reasons,
    "images": _sees_images,
    "images in the tool role": _sees_images_of_tools,
    "tells its context length": _context_length,
}
