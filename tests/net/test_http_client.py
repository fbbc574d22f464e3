"""Network errors: retried where that is safe, otherwise raised as the openai error of the right class."""

import json
import socket
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest

from agentkit import Agent, tool
from agentkit.backend import Backend
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import ReplyDiscarded, TextDelta
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, delta, serve, streamed, whole

HELLO = [{"role": "user", "content": "Hello"}]


def error(status: int, message: str = "no", **headers: str) -> Answer:
    return Answer(json.dumps({"error": {"message": message}}).encode(), status=status, headers=headers)


def good(stream: bool) -> Answer:
    return streamed(delta(content="Here."), delta("stop")) if stream else whole("Here.")


def outcome(backend: Backend, stream: bool) -> Any:
    """The result of a run, streamed or not."""
    agent = Agent(backend)
    return list(agent.stream("Hello"))[-1].result if stream else agent.run("Hello")  # type: ignore[attr-defined]


DROPPED = Answer(b"", drop=True)
CUT_BODY = Answer(whole("Half").body[:40], length=1000)
PASSING: dict[str, Answer] = {
    "reset": DROPPED,
    "cut body": CUT_BODY,
    **{str(status): error(status) for status in (408, 409, 429, 500, 502, 503, 504, 529)},
    **{f"{status} with Retry-After": error(status, **{"retry-after": "0.05"}) for status in (429, 503)},
    "429 with Retry-After in ms": error(429, **{"retry-after-ms": "50"}),
    "502 with a page": Answer(b"<html>Bad gateway</html>", 502, "text/html"),
    "200 and then busy": Answer(b'{"error": {"message": "busy", "code": 429}}'),
    "200 and then failed": Answer(b'{"error": {"message": "upstream", "code": 502}}'),
    "200 and then nothing": Answer(b'{"choices": [{"index": 0, "message": {}}]}'),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", PASSING)
def test_transient_errors_are_retried(fault: str, stream: bool) -> None:
    with serve([PASSING[fault], good(stream)]) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        started = time.monotonic()
        result = outcome(backend, stream)
        took = time.monotonic() - started
        backend.close()
    assert (result.output, result.stopped) == ("Here.", "answer")
    assert [asked.body["messages"] for asked in server.requests] == [HELLO, HELLO]
    if "Retry-After" in fault:
        assert took < 0.45 + 0.5  # without it the wait is 0.4 s and more; importing the openai package may add to it


FINAL = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", FINAL)
def test_permanent_errors_are_raised_without_a_retry(status: int, stream: bool) -> None:
    with serve([error(status, "because")]) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        with pytest.raises(FINAL[status], match="because") as caught:
            outcome(backend, stream)
        backend.close()
    assert len(server.requests) == 1
    assert caught.value.messages == HELLO  # type: ignore[attr-defined]


LASTING: list[tuple[str, Answer, type[Exception], int]] = [
    ("reset", DROPPED, openai.APIConnectionError, 3),
    ("cut body", CUT_BODY, openai.APIConnectionError, 3),
    ("429", error(429, **{"retry-after": "0.02"}), openai.RateLimitError, 3),
    ("503", error(503, **{"retry-after": "0.02"}), openai.InternalServerError, 3),
    ("a page", Answer(b"<html>Hello</html>", content_type="text/html"), openai.APIError, 1),
    ("text", Answer(b"Hello", content_type="text/plain"), openai.APIError, 1),
    ("no choices", Answer(b'{"choices": []}'), openai.APIError, 2),
    ("a list", Answer(b"[]"), openai.APIError, 1),
    ("200 and then busy", PASSING["200 and then busy"], openai.RateLimitError, 2),
    ("200 and then not found", Answer(b'{"error": {"message": "no model", "code": 404}}'), openai.NotFoundError, 1),
]


@pytest.mark.parametrize(("fault", "answer", "kind", "requests"), LASTING, ids=[each[0] for each in LASTING])
def test_lasting_errors_are_raised_with_their_class(
    fault: str, answer: Answer, kind: type[Exception], requests: int
) -> None:
    with serve([answer]) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=2)
        with pytest.raises(kind) as caught:
            outcome(backend, stream=False)
        backend.close()
    assert len(server.requests) == requests
    assert caught.value.messages == HELLO  # type: ignore[attr-defined]


def test_a_refused_connection_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with Agent(OpenAIBackend("m", base_url=f"http://127.0.0.1:{port}/v1", max_retries=1)) as agent:
        with pytest.raises(openai.APIConnectionError, match="is the server running"):
            agent.run("Hello")


@pytest.mark.parametrize("stream", [False, True])
def test_a_silent_server_is_a_timeout(stream: bool) -> None:
    with serve([Answer(b"{}", delay=3.0)]) as server:
        backend = OpenAIBackend("m", base_url=server.url, timeout=0.3, max_retries=1)
        with pytest.raises(openai.APITimeoutError):
            outcome(backend, stream)
        backend.close()
    assert len(server.requests) == 2


def test_a_stream_that_stalls_is_a_timeout_and_is_not_retried() -> None:
    halting = streamed(*[delta(content="word")] * 2, piece=80, pause=2.0)
    with serve([halting]) as server:
        backend = OpenAIBackend("m", base_url=server.url, timeout=0.4, max_retries=2)
        with pytest.raises(openai.APITimeoutError):
            outcome(backend, stream=True)
        backend.close()
    assert len(server.requests) == 1


ENDS_EARLY = streamed(delta(content="Half a"), done=False)
"""A stream that ends correctly in HTTP, but without a finish reason and [DONE], as with a proxy's timeout."""
FAILS_WITHIN = streamed(delta(content="Half a"), {"error": {"message": "upstream failed", "code": 502}})


@pytest.mark.parametrize("broken", [ENDS_EARLY, FAILS_WITHIN], ids=["ends early", "fails within"])
def test_a_stream_that_fails_after_its_first_delta_is_retried_and_its_deltas_discarded(broken: Answer) -> None:
    with serve([broken, good(True)]) as server, Agent(f"openai:m@{server.url}") as agent:
        events = list(agent.stream("Hello"))
    place = [type(event) for event in events].index(ReplyDiscarded)
    assert [event.text for event in events[place:] if isinstance(event, TextDelta)] == ["Here."]
    assert events[-1].result.output == "Here."  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("broken", "kind"), [(ENDS_EARLY, openai.APIConnectionError), (FAILS_WITHIN, openai.InternalServerError)]
)
def test_a_stream_that_fails_twice_raises(broken: Answer, kind: type[Exception]) -> None:
    with serve([broken]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(kind) as caught:
            list(agent.stream("Hello"))
    assert len(server.requests) == 2
    assert caught.value.messages == HELLO  # type: ignore[attr-defined]


def test_a_stream_without_done_is_complete_when_it_has_a_finish_reason() -> None:
    with serve([streamed(delta(content="Here."), delta("stop"), done=False)]) as server:
        with Agent(f"openai:m@{server.url}") as agent:
            assert list(agent.stream("Hello"))[-1].result.output == "Here."  # type: ignore[attr-defined]
    assert len(server.requests) == 1


def test_a_content_filter_and_a_refusal_are_not_errors() -> None:
    filtered = whole({"content": "Half a"}, finish_reason="content_filter")
    refusal = whole({"content": None, "refusal": "I won't."})
    with serve([filtered, refusal]) as server, Agent(f"openai:m@{server.url}") as agent:
        first, second = agent.run("Hello"), agent.run("Hello")
    assert (first.output, first.stopped) == ("Half a", "content_filter")
    assert (second.output, second.stopped) == ("I won't.", "answer")


def test_a_failure_after_a_tool_has_run_keeps_its_result_and_does_not_run_it_again() -> None:
    ran = []

    @tool
    def send(text: str) -> str:
        """Send a text."""
        ran.append(text)
        return "Sent."

    call = {"id": "c", "type": "function", "function": {"name": "send", "arguments": '{"text": "x"}'}}
    answers = [whole({"content": None, "tool_calls": [call]}), error(400, "too long"), whole("Done.")]
    with serve(answers) as server, Agent(f"openai:m@{server.url}", tools=[send]) as agent:
        with pytest.raises(openai.BadRequestError) as caught:
            agent.run("Hello")
        result = agent.run(messages=caught.value.messages)  # type: ignore[attr-defined]
    assert (result.output, ran) == ("Done.", ["x"])


LIGHTLLM: dict[str, Says] = {
    "reset": Says("", drop=True),
    "429": Says("", status=429, error="busy", headers={"Retry-After": "0.05"}),
    "500": Says("", status=500, error="failed", headers={"Retry-After": "0.05"}),
    "cut stream": Says("Half a reply", cut_after=1),
}


@pytest.mark.parametrize("fault", LIGHTLLM)
@pytest.mark.parametrize(
    "ask", [lambda agent: agent.run("Hello"), lambda agent: list(agent.stream("Hello"))[-1].result]
)
def test_requests_to_lightllm_are_retried_too(fault: str, ask: Callable[[Agent], Any]) -> None:
    with serve_lightllm([LIGHTLLM[fault], Says("Here.")]) as server:
        backend = LightLLMBackend("Qwen3-8B", server.url)
        result = ask(Agent(backend))
        backend.close()
    assert result.output in ("Here.", "Half a reply")  # only a stream is cut
