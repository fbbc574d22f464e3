"""Recorded responses of a real LightLLM server, replayed to the client by a loopback server."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import openai
import pytest

from agentkit import LightLLMClient
from tests.support.model_server import Answer, serve

SHARED = Path(__file__).parents[3] / "shared" / "cases" / "lightllm-wire-samples.jsonl"
MODES: dict[str, Literal["generate", "chat"]] = {
    "/generate": "generate",
    "/generate_stream": "generate",
    "/v1/chat/completions": "chat",
}
ERRORS = {
    400: openai.BadRequestError,
    417: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}
WEATHER = ("get_weather", {"city": "北京"})
OPENING = "<tool_call>"

Call = tuple[str, dict[str, Any]]


@dataclass
class Heard:
    """The client's result for one response."""

    content: str = ""
    calls: list[Call] = field(default_factory=list)
    finish: str | None = None
    unparsed: list[str] = field(default_factory=list)


def samples() -> Iterator[Any]:
    if not SHARED.exists():
        yield pytest.param(None, marks=pytest.mark.skip(reason="the recorded pairs are not beside this checkout"))
        return
    for line in SHARED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["path"] in MODES:
            yield pytest.param(row, id=row["name"])


def streamed(row: dict[str, Any]) -> bool:
    return row["path"] == "/generate_stream" or "stream" in row["name"].split("-")


def ask(row: dict[str, Any]) -> Heard:
    request = row["request"] if isinstance(row["request"], dict) else {}
    answer = Answer(row["body"].encode(), row["status"], row["content_type"] or "application/json", piece=7)
    options = {"tools": request["tools"]} if request.get("tools") else {}
    with (
        serve(lambda asked: answer) as server,
        LightLLMClient(base_url=server.url.removesuffix("/v1"), mode=MODES[row["path"]], max_retries=0) as client,
    ):
        reply = client.chat.completions.create(
            model="Qwen3-8B", messages=[{"role": "user", "content": "hi"}], stream=streamed(row), **options
        )
        return folded(reply) if streamed(row) else whole(reply)


def whole(reply: Any) -> Heard:
    choice = reply.choices[0]
    calls = choice.message.tool_calls or []
    unparsed = getattr(choice.message, "invalid_tool_calls", None) or getattr(choice, "invalid_tool_calls", None) or []
    return Heard(
        choice.message.content or "",
        [(call.function.name, json.loads(call.function.arguments)) for call in calls],
        choice.finish_reason,
        [each["error"] for each in unparsed],
    )


def folded(chunks: Any) -> Heard:
    heard = Heard()
    pieces: dict[int, list[str]] = {}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        heard.content += choice.delta.content or ""
        heard.finish = choice.finish_reason or heard.finish
        for part in choice.delta.tool_calls or []:
            call = pieces.setdefault(part.index, ["", ""])
            call[0] += part.function.name or ""
            call[1] += part.function.arguments or ""
    heard.calls = [(name, json.loads(arguments)) for _, (name, arguments) in sorted(pieces.items())]
    return heard


def expected_calls(row: dict[str, Any]) -> list[Call]:
    """The calls of the model, without those that the server itself lost (section 7 of its contract)."""
    by_hand: dict[str, list[Call]] = {
        "generate-tool-call": [WEATHER],
        "stream-tool-call": [WEATHER],
        "chat-tools": [WEATHER],
        "chat-two-calls": [WEATHER, ("now", {})],
        "chat-unknown-tool": [("nope", {"city": "北京"})],
        "chat-stream-tools": [WEATHER],
        "chat-stream-empty-args-bug": [("now", {})],
    }
    return by_hand.get(row["name"], [])


def message_in(body: str) -> str:
    """The server's message in an error response, wherever its body has it."""
    text = body.removeprefix("data:").strip()
    try:
        error = json.loads(text)
    except ValueError:
        return text
    if "detail" in error:
        return str(error["detail"][0]["msg"])
    inner = error.get("error", error)
    return str(inner["message"] if isinstance(inner, dict) else inner)


@pytest.mark.parametrize("row", list(samples()))
def test_each_recorded_response_is_parsed_as_expected(row: dict[str, Any]) -> None:
    if row["status"] != 200:
        with pytest.raises(ERRORS[row["status"]]) as refused:
            ask(row)
        assert refused.value.status_code == row["status"]
        assert message_in(row["body"])[:60] in str(refused.value)
        return
    if {"abort", "error", "long", "image"} & set(row["name"].split("-")) and row["name"] != "generate-image":
        with pytest.raises(openai.APIError) as given_up:
            ask(row)
        assert not isinstance(given_up.value, openai.APIConnectionError)
        return
    heard = ask(row)
    assert heard.calls == expected_calls(row)
    if heard.calls:
        assert heard.finish == "tool_calls"
    if row["name"].endswith("-bug"):
        assert OPENING not in heard.content
        return
    if row["name"] == "chat-malformed-call":
        assert heard.content == row["model_says"]
        assert heard.unparsed == ["the tool call is not valid JSON: a value is missing"]
    elif row["name"].endswith("-length"):
        assert (heard.content, heard.finish) == ("one two", "length")
    elif row["path"] == "/generate":
        assert heard.content == row["model_says"]  # the text as it was written, as the user's guide promises
    else:
        assert heard.content.strip() == row["model_says"].split(OPENING)[0].strip()
