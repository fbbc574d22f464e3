"""Checks the abilities of a model server with requests through its backend, as a run sends them."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import openai

from agentkit import APIError, ConfigurationError, Image, tool
from agentkit._text import in_a_line
from agentkit.backend import Backend, Request
from agentkit.backends import LightLLMBackend
from agentkit.backends.tool_arrival import check_arrival
from agentkit.cli.doctor.prompt_form import form_of_prompt, same_as_servers
from agentkit.cli.doctor.questions import TIME_LIMIT, NoReplyError, Questions
from agentkit.cli.doctor.verdict import Verdict
from agentkit.event import Reply
from agentkit.message import REASONING_FIELDS, text_of, tool_result, user
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript

RED = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mP4z8CAFTEMLQkAKP8/wc53yE8AAAAASUVORK5CYII="
"""A PNG: a red square of 8 by 8 pixels."""


@dataclass(frozen=True)
class Check:
    """One line of the table. what: what is checked. detail: what was observed, in a few words. seconds: duration."""

    what: str
    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0


@tool(read_only=True, description="Get the current weather of a city.")
def get_weather(city: Annotated[str, "Name of the city."]) -> str:
    """A tool for the model to call."""
    return f"9 degrees and rain in {city}"


TOOLS = Toolbox([get_weather])
MAX_DETAIL = 1000
"""Characters of an error of the server; a terminal shows what fits into its line."""


def check_server(backend: Backend, time_limit: float = TIME_LIMIT) -> Iterator[Check]:
    """Run the checks of a server one after another; stops after the first if the server does not answer. Each question
    is short and has a time limit in seconds (`questions`)."""
    if isinstance(backend, LightLLMBackend):
        form = _check("form of the prompt", partial(form_of_prompt, backend))
        yield form
        if form.verdict == "failed":
            return
        yield _check("same prompt as the server's", partial(same_as_servers, backend))
    backend = Questions(backend, time_limit)
    first = _check("answers", lambda: _answers(backend))
    yield first
    if first.verdict == "failed":
        return
    for what, ask in CHECKS.items():
        yield _check(what, lambda ask=ask: ask(backend))  # type: ignore[misc]


def _check(what: str, ask: Callable[[], tuple[Verdict, str]]) -> Check:
    started = time.monotonic()
    try:
        verdict, detail = ask()
    except openai.APIStatusError as error:
        verdict, detail = ("no" if 400 <= error.status_code < 500 else "failed"), in_a_line(str(error), MAX_DETAIL)
    except (APIError, NoReplyError, ConfigurationError) as error:
        verdict, detail = "failed", in_a_line(str(error), MAX_DETAIL)
    return Check(what, verdict, detail, time.monotonic() - started)


def _ask(
    backend: Backend, messages: list[Any], tools: Toolbox | None = None, stream: bool = False
) -> tuple[list[Any], Reply]:
    """Returns the deltas of a reply, and the reply."""
    *deltas, reply = backend.reply(Request(Transcript(messages), tools or Toolbox(), stream))
    assert isinstance(reply, Reply)
    return deltas, reply


def _answers(backend: Backend) -> tuple[Verdict, str]:
    _, reply = _ask(backend, [user("Say hello.")])
    return "yes", _quoted(text_of(reply.message) or reply.finish_reason)


def _streams(backend: Backend) -> tuple[Verdict, str]:
    deltas, _ = _ask(backend, [user("Count from one to ten, in words.")], stream=True)
    return ("yes" if len(deltas) > 1 else "no"), f"{len(deltas)} chunks"


def _reports_usage(stream: bool) -> Callable[[Backend], tuple[Verdict, str]]:
    def ask(backend: Backend) -> tuple[Verdict, str]:
        _, reply = _ask(backend, [user("Say hello.")], stream=stream)
        usage = reply.usage
        detail = f"{usage.input_tokens} in, {usage.output_tokens} out"
        return ("yes" if usage.input_tokens and usage.output_tokens else "no"), detail

    return ask


def _calls(question: str, min_calls: int) -> Callable[[Backend], tuple[Verdict, str]]:
    def ask(backend: Backend) -> tuple[Verdict, str]:
        _, reply = _ask(backend, [user(question)], TOOLS)
        calls = reply.message.get("tool_calls") or []
        if len(calls) >= min_calls:
            return "yes", ", ".join(f"{call['function']['name']}{call['function']['arguments']}" for call in calls)
        text = text_of(reply.message)
        if calls:
            return "no", f"{len(calls)} call in the reply (making one call at a time is not an error)"
        if "get_weather" in text:
            return "no", f"the call is in the text: {_quoted(text)} (agentkit parses known formats)"
        return "unknown", f"no call, but the text {_quoted(text)}"

    return ask


def _tools_reach(backend: Backend) -> tuple[Verdict, str]:
    found = check_arrival(backend)
    if found.reach is False:
        _, reply = _ask(backend, [user("What is the weather in Oslo? Use the tool.")], TOOLS)
        if reply.message.get("tool_calls"):  # whatever its counts are
            return "yes", "the model called one"
    return ("unknown" if found.reach is None else "yes" if found.reach else "no"), found.detail


def _requires_calls(backend: Backend) -> tuple[Verdict, str]:
    question = user("Say hello. Use the tool only if you have to.")
    *_, reply = backend.reply(Request(Transcript([question]), TOOLS, sampling={"tool_choice": "required"}))
    assert isinstance(reply, Reply)
    if reply.message.get("tool_calls"):
        return "yes", 'tool_choice="required" makes the model call a tool'
    return "no", f'tool_choice="required" was ignored: {_quoted(text_of(reply.message) or reply.finish_reason)}'


def _streams_calls(backend: Backend) -> tuple[Verdict, str]:
    started: list[str] = []
    request = Request(
        Transcript([user("What is the weather in Oslo? Use the tool.")]),
        TOOLS,
        stream=True,
        begin=lambda name, arguments, before: started.append(name),
    )
    *_, reply = backend.reply(request)
    assert isinstance(reply, Reply)
    calls = reply.message.get("tool_calls") or []
    if not calls:
        return "unknown", "no call"
    broken = [
        call["function"]["arguments"] for call in calls if "unreadable_arguments" in call["function"]["arguments"]
    ]
    if broken:
        return "no", f"arguments are not valid JSON: {broken[0]:.80}"
    return "yes", f"{len(started)} of {len(calls)} complete before the end of the reply"


def _accepts_results(backend: Backend) -> tuple[Verdict, str]:
    call: Any = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps({"city": "Oslo"})},
    }
    messages = [user("What is the weather in Oslo?"), {"role": "assistant", "content": None, "tool_calls": [call]}]
    _, reply = _ask(backend, [*messages, tool_result("call_1", "9 degrees and rain")], TOOLS)
    text = text_of(reply.message)
    if not text.strip():
        return "no", "the reply to the result is empty"
    return ("yes" if "9" in text or "nine" in text.lower() else "unknown"), _quoted(text)


def _reasons(backend: Backend) -> tuple[Verdict, str]:
    _, reply = _ask(backend, [user("Which is greater, 9.11 or 9.9? Think first.")])
    for name in (*REASONING_FIELDS, "reasoning_details", "thinking_blocks"):
        if reply.message.get(name):
            return "yes", f"in the field {name}"
    if isinstance(reply.message.get("content"), list):
        return "yes", "as parts of the content"
    text = text_of(reply.message)
    return "no", "it is in the text (<think>)" if "<think>" in text else "the reply has no reasoning"


def _sees_images(backend: Backend) -> tuple[Verdict, str]:
    image = Image(base64.b64decode(RED), "image/png")
    return _about_red(backend, [user(["What colour is this image? One word.", image])])


def _sees_images_of_tools(backend: Backend) -> tuple[Verdict, str]:
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{RED}"}}
    call: Any = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "x"}'}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "An image:"}, part]}
    question = user("What colour is the image from the tool? One word.")
    return _about_red(backend, [question, {"role": "assistant", "content": None, "tool_calls": [call]}, result])


def _about_red(backend: Backend, messages: list[Any]) -> tuple[Verdict, str]:
    _, reply = _ask(backend, messages, TOOLS)
    if backend.capabilities().images is False:
        return "no", "the server rejects images; agentkit replaces them by a sentence"
    text = text_of(reply.message)
    return ("yes" if "red" in text.lower() else "unknown"), f"accepted; the reply about a red image: {_quoted(text)}"


def _context_length(backend: Backend) -> tuple[Verdict, str]:
    length = backend.capabilities(ask=True).context_length
    return ("yes", f"{length:,} tokens") if length else ("unknown", "the server does not report it")


def _quoted(text: str) -> str:
    return repr(in_a_line(text, 60))


CHECKS: dict[str, Callable[[Backend], tuple[Verdict, str]]] = {
    "streams": _streams,
    "reports usage": _reports_usage(stream=False),
    "reports usage when streaming": _reports_usage(stream=True),
    "tools reach the model": _tools_reach,
    "native tool calls": _calls("What is the weather in Oslo? Use the tool.", 1),
    "streamed tool calls": _streams_calls,
    "parallel tool calls": _calls("What is the weather in Oslo and in Rome? Ask for both at once.", 2),
    "required tool calls": _requires_calls,
    "accepts tool results": _accepts_results,
    "reasoning in its own field": _reasons,
    "images": _sees_images,
    "images in the tool role": _sees_images_of_tools,
    "reports context length": _context_length,
}
