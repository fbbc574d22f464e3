"""When a stream begins: with its first frame, or after a while without one."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit.serving.http import sse
from agentkit.serving.http.sse import streamed
from tests.support.http_service import reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, delta, serve
from tests.support.model_server import streamed as pieces_of

LONG = 2.0
"""Seconds of an answer's first frame."""

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
AS_JSON = {"type": "json_schema", "json_schema": {"name": "x", "schema": OBJECT}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}


def ending(error: Exception | None) -> Sequence[Any]:
    return [{"error": str(error)}] if error else ["[DONE]"]


async def sent(frames: AsyncGenerator[Any, None]) -> str:
    response = await streamed(frames, ending)
    pieces = [each async for each in response.body_iterator]
    return "".join(each if isinstance(each, str) else bytes(each).decode() for each in pieces)


async def frames_of(*given: Any) -> AsyncGenerator[Any, None]:
    for each in given:
        if isinstance(each, Exception):
            raise each
        yield each


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (({"a": 1}, {"b": 2}), 'data: {"a": 1}\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n'),
        ((None, {"b": 2}), ': still here\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n'),
        ((None, ValueError("late")), ': still here\n\ndata: {"error": "late"}\n\n'),
        (({"a": 1}, ValueError("late")), 'data: {"a": 1}\n\ndata: {"error": "late"}\n\n'),
        ((), ""),  # the client has left
    ],
)
def test_a_stream_has_its_frames_and_an_end(given: tuple[Any, ...], text: str) -> None:
    assert asyncio.run(sent(frames_of(*given))) == text


def test_what_fails_before_the_first_frame_is_no_stream() -> None:
    with pytest.raises(ValueError, match="early"):
        asyncio.run(sent(frames_of(ValueError("early"))))


def silent(request: Asked) -> Answer:
    return Answer(reply(request).body, delay=LONG)


def hidden(request: Asked) -> Answer:
    """JSON in many pieces, of which none is sent before its end where the model has tools."""
    text = json.dumps({"a": "x" * 120})
    pieces = [delta(content=text[place : place + 4]) for place in range(0, len(text), 4)]
    return pieces_of(*pieces, piece=90, pause=LONG / len(pieces))


@pytest.mark.parametrize(
    ("model", "path", "body"),
    [
        (silent, "/v1/chat/completions", HELLO),
        (silent, "/v1/responses", {"input": "hello"}),
        (silent, "/api/llm/chat/stream", HELLO),
        (silent, "/api/llm/chat/session/stream", {"session_id": "s", "message": "hello"}),
        (hidden, "/v1/chat/completions", {**HELLO, "response_format": AS_JSON, "tools": [TOOL]}),
    ],
)
def test_a_stream_begins_while_nothing_of_its_answer_is_sent(
    model: Callable[[Asked], Answer], path: str, body: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "FIRST_SECONDS", 0.1)
    with serve(model) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        asked = {**body, "stream": True}
        began = time.monotonic()
        with requests.post(f"{service.url}{path}", json=asked, stream=True, timeout=30) as response:
            headers = time.monotonic() - began
            assert response.status_code == 200
            assert response.text
        whole = time.monotonic() - began
    assert headers < LONG / 2 < LONG < whole
