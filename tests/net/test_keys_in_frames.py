"""The key of a server stands in no local variable of the frames that the errors of a request leave.

Sentry, loguru, rich, structlog and the error page of Django show these (aixplain/aiXplain#1098,
UKGovernmentBEIS/inspect_ai#43, livekit/agents#5300).
"""

import contextlib
import signal
import socket
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent
from agentkit.backends.openai import OpenAIBackend
from agentkit.lightllm import LightLLMClient
from agentkit.net.connections import Connection
from agentkit.net.plain_http import PlainPool
from agentkit.net.sent_headers import ChangedHeaders, SentHeaders
from tests.support.model_server import Answer, delta, serve, streamed

KEY = "sk-0123456789abcdef0123456789abcdef"
NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


class TimeIsUp(Exception):
    """As the time limit of Celery, which a handler of a signal raises."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    def handle(number: int, frame: Any) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def showing(error: BaseException | None) -> list[str]:
    """The variables with the key in the frames of an error and of what has led to it, also where that is hidden."""
    found = []
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if frame.f_code.co_name != "raised_by" and not frame.f_code.co_name.startswith("test_"):
                names = [name for name, value in frame.f_locals.items() if KEY in repr(value)]
                found += [f"{frame.f_code.co_filename}: {frame.f_code.co_name}: {name}" for name in names]
        error = error.__cause__ or error.__context__
    return found


def raised_by(ask: Callable[[], object], kind: type[BaseException] = openai.APIError) -> BaseException:
    with pytest.raises(kind) as raised:
        ask()
    assert len(traceback.extract_tb(raised.value.__traceback__)) > 1
    return raised.value


def agent(url: str) -> Agent:
    return Agent(OpenAIBackend("m", base_url=url, max_retries=0), window=10**9)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_server_that_is_not_reached(is_streamed: bool) -> None:
    ask = (lambda: list(agent(NOWHERE).stream("Hi."))) if is_streamed else lambda: agent(NOWHERE).run("Hi.")
    assert showing(raised_by(ask, openai.APIConnectionError)) == []


BROKEN_OFF = streamed(delta(content="Hello"), done=False, cut=True)


@pytest.mark.parametrize(
    "answer",
    [Answer(b"{}", drop=True), Answer(b"{}", 401), Answer(b"?"), BROKEN_OFF],
    ids=["dropped", "refused", "no JSON", "broken off"],
)
def test_a_request_that_fails(answer: Answer) -> None:
    with serve(lambda asked: answer) as server:
        assert showing(raised_by(lambda: list(agent(server.url).stream("Hi.")))) == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such signals")
@pytest.mark.parametrize("question", ["Hi.", "x" * 5_000_000], ids=["waiting", "sending"])
def test_a_run_that_a_time_limit_ends(question: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, time_limit(1.5):
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        assert showing(raised_by(lambda: agent(url).run(question), TimeIsUp)) == []


class Sending:
    """A socket that is interrupted while it sends, as that of TLS: its method is Python, and has what it sends."""

    def gettimeout(self) -> float:
        return 5.0

    def sendall(self, data: bytes) -> None:
        raise TimeIsUp

    def close(self) -> None:
        """Do nothing."""


def test_a_request_that_is_interrupted_while_tls_sends_it() -> None:
    connection = Connection(PlainPool("127.0.0.1", 8080, []))
    connection._http.sock = connection.sock = Sending()
    headers = SentHeaders({"authorization": f"Bearer {KEY}"})
    assert showing(raised_by(lambda: connection.exchange("POST", "/v1", b"{}", headers, 5.0), TimeIsUp)) == []


def test_a_request_of_the_client_for_lightllm() -> None:
    client = LightLLMClient(base_url="http://127.0.0.1:9", api_key=KEY, max_retries=0)
    message: Any = {"role": "user", "content": "Hi."}
    ask = lambda: client.chat.completions.create(model="m", messages=[message])  # noqa: E731
    assert showing(raised_by(ask, openai.APIConnectionError)) == []


NAMES = st.sampled_from(["Accept", "accept", "Authorization", "X-Odd"])
TEXTS = st.dictionaries(NAMES, st.text(max_size=3), max_size=3)


@given(TEXTS, st.dictionaries(NAMES, st.none() | st.text(max_size=3), max_size=3))
def test_headers_are_added_by_their_names_in_whatever_case(usual: dict[str, str], more: dict[str, Any]) -> None:
    expected: dict[str, Any] = {name.lower(): text for name, text in usual.items()}
    expected.update((name.lower(), text) for name, text in more.items())
    expected = {name: text for name, text in expected.items() if text is not None}
    for given_as in (more, ChangedHeaders(more)):
        assert dict(SentHeaders(usual).with_added(given_as).items()) == expected
    assert SentHeaders(usual).with_added(more) == SentHeaders(expected)


def test_another_server_gets_no_key() -> None:
    kept = SentHeaders({"Authorization": f"Bearer {KEY}", "Accept": "text/plain", "X-Odd": "1"}).for_any_server()
    assert dict(kept.items()) == {"accept": "text/plain"}
    assert kept.key == ""
