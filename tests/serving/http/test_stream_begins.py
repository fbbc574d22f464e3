"""When a stream begins: with its first frame, or after a while without one."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit.serving.http import runs
from agentkit.serving.http.page import recording
from agentkit.serving.http.page.recording import Recording
from agentkit.serving.http.sse import streamed
from tests.support.http_service import reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, serve


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
        ((None, {"b": 2}), 'data: {"b": 2}\n\ndata: [DONE]\n\n'),  # that the stream begins says that it lives
        ((None, None, {"b": 2}), ': still here\n\ndata: {"b": 2}\n\ndata: [DONE]\n\n'),
        ((None, ValueError("late")), 'data: {"error": "late"}\n\n'),
        (({"a": 1}, ValueError("late")), 'data: {"a": 1}\n\ndata: {"error": "late"}\n\n'),
        ((), ""),  # the client has left
    ],
)
def test_a_stream_has_its_frames_and_an_end(given: tuple[Any, ...], text: str) -> None:
    assert asyncio.run(sent(frames_of(*given))) == text


def test_what_fails_before_the_first_frame_is_no_stream() -> None:
    with pytest.raises(ValueError, match="early"):
        asyncio.run(sent(frames_of(ValueError("early"))))


def test_a_reader_of_a_recording_hears_soon_that_there_is_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "FIRST_SECONDS", 0.05)

    async def read() -> list[Any]:
        made = Recording()
        reading = made.read()
        found = [await asyncio.wait_for(anext(reading), 5)]
        made.add({"content": "Hello."})
        made.end()
        return [*found, *[each async for each in reading]]

    assert asyncio.run(read()) == [None, {"content": "Hello."}]


def test_a_stream_begins_while_its_model_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(runs, "POLL_SECONDS", 0.05)
    may_answer = threading.Event()

    def slow(request: Asked) -> Answer:
        may_answer.wait(30)
        return reply(request)

    with serve(slow) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        asked = {"messages": [{"role": "user", "content": "hello"}], "stream": True}
        with requests.post(f"{service.url}/v1/chat/completions", json=asked, stream=True, timeout=30) as response:
            assert response.status_code == 200
            assert not may_answer.is_set()
            may_answer.set()
            assert response.text.endswith("data: [DONE]\n\n")
