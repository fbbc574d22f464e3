"""Streams of servers and gateways, through a run: control frames cost nothing, what is broken is asked for again."""

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, APIError
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.lightllm import LightLLMClient
from agentkit.net.event_stream import EventReader, EventTooLongError
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, delta, serve, streamed, whole

RETRIED = streamed(delta(content="Asked again."), delta("stop"))
A, B = (json.dumps(delta(content=text)) for text in ("Hel", "lo."))
END = json.dumps(delta("stop"))
WHOLE = whole("Hello.").body.decode()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.middleware.retry.PAUSE", 0.0)


def sent(body: str | bytes, kind: str = "text/event-stream") -> Answer:
    return Answer(body if isinstance(body, bytes) else body.encode(), content_type=kind)


def outcome(*answers: Answer, stream: bool = True) -> tuple[Any, int]:
    """The output of a run, and the number of requests that it took."""
    with serve(answers) as server, Agent(f"openai:m@{server.url}") as agent:
        result = list(agent.stream("Hi"))[-1].result if stream else agent.run("Hi")  # type: ignore[attr-defined]
        return result.output, len(server.requests)


INDENTED = json.dumps(json.loads(WHOLE), indent=1)
STREAMS: dict[str, str | bytes] = {
    "retry, id": f"retry: 3000\n\ndata: {A}\n\nid: 5\n\ndata: {B}\n\nevent: ping\n\ndata: {END}\n\n",
    "empty data": f"data:\n\ndata: {A}\n\ndata: \n\ndata: {B}\n\ndata\n\ndata: {END}\n\n",
    "comments around ids": f": a\nid: 1\n: b\ndata: {A}\n: c\n\n: ping\n\nid: 2\n: d\ndata: {B}\n\ndata: {END}\n\n",
    "OpenRouter": f": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\ndata: {A}\n\ndata: {B}\n\ndata: {END}\n\n",
    "a comment inside data": f"data: : PROCESSING\n\ndata: {A}\n\ndata: {B}\n\ndata: {END}\n\n",
    "a ping with a time": f"event: ping\ndata: 10:00\n\ndata: {A}\n\ndata: ping\n\ndata: {B}\n\ndata: {END}\n\n",
    "no finish reason but [DONE]": f"data: {A}\n\ndata: {B}\n\ndata: [DONE]\n\n",
    "[DONE] with spaces": f"data: {A}\n\ndata: {B}\n\ndata:   [DONE]  \n\n",
    "[DONE] without a space": f"data:{A}\n\ndata:{B}\n\ndata:[DONE]",
    "[DONE] in quotes": f'data: {A}\n\ndata: {B}\n\ndata: "[DONE]"\n\n',
    "an event named done": f"data: {A}\n\ndata: {B}\n\nevent: done\ndata:\n\n",
    "an event named end": f"data: {A}\n\ndata: {B}\n\nevent: end\ndata: {{}}\n\n",
    "another mark of the end": f"data: {A}\n\ndata: {B}\n\ndata: [END]\n\n",
    "no [DONE]": f"data: {A}\n\ndata: {B}\n\ndata: {END}\n\n",
    "CR": f"data: {A}\r\rdata: {B}\r\rdata: {END}\r\r",
    "CRLF": f"data: {A}\r\n\r\ndata: {B}\r\n\r\ndata: {END}\r\n\r\n",
    "a byte order mark": f"\ufeffdata: {A}\n\ndata: {B}\n\ndata: {END}",
    "no blank lines": f"data: {A}\ndata: {B}\ndata: {END}\ndata: [DONE]\n",
    "several objects in one event": f"data: {A}{B} {END}\n\n",
    "a list of objects": f"data: [{A},{B},{END}]\n\n",
    "data twice": f"data: data: {A}\n\ndata: {B}\n\ndata: data: {END}\n\ndata: data: [DONE]\n\n",
    "data in several lines": "".join(
        f"data: {line}\n" for line in json.dumps(json.loads(WHOLE), indent=1).splitlines()
    ),
    "named events": f"event: message\ndata: {A}\n\nevent: completion\ndata: {B}\n\nevent: done\ndata: {END}\n\n",
    "other values": f"data: null\n\ndata: {A}\n\ndata: 5\n\ndata: {B}\n\ndata: []\n\ndata: {END}\n\n",
    "an object a line": f"{A}\n{B}\n{END}\n",
    "a whole reply": WHOLE,
    "a whole reply, indented": json.dumps(json.loads(WHOLE), indent=2),
    "a whole reply as an event": f"data: {WHOLE}\n\ndata: [DONE]\n\n",
    "a cut event behind the end": f'data: {A}\n\ndata: {B}\n\ndata: {END}\n\ndata: {{"usage": {{"pro',
    "a byte that is not UTF-8 in a comment": f": \xff\n\ndata: {A}\n\ndata: {B}\n\ndata: {END}\n\n".encode("latin-1"),
    "empty error fields": f'data: {{"error": null, {A[1:]}\n\n'
    f'data: {{"error": {{"code": null}}, {B[1:]}\n\ndata: {END}\n\n',
    "a choice without a delta": 'data: {"choices": [null]}\n\ndata: {"choices": [{"delta": null}]}\n\n'
    f"data: {A}\n\ndata: {B}\n\ndata: {END}\n\n",
    "a usage chunk without choices": f"data: {A}\n\ndata: {B}\n\ndata: {END}\n\n"
    'data: {"choices": null, "usage": "?"}\n\n',
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_reads_the_same_whatever_is_around_its_objects(name: str) -> None:
    for kind in ("text/event-stream", "text/plain", "application/json", "application/x-ndjson"):
        assert outcome(sent(STREAMS[name], kind), RETRIED) == ("Hello.", 1), kind
    assert outcome(sent(STREAMS[name]), RETRIED, stream=False) == ("Hello.", 1)  # streamed though not asked to


def test_a_reply_that_is_complete_stands_when_the_connection_breaks_behind_it() -> None:
    assert outcome(streamed(delta(content="Hello."), delta("stop"), done=False, cut=True), RETRIED) == ("Hello.", 1)


BROKEN = {
    "neither finish reason nor [DONE]": f"data: {A}\n\n",
    "cut JSON": f"data: {A[:-9]}\n\n",
    "cut JSON in the middle": f"data: {A}\n\ndata: {B[:20]}\n\ndata: {END}\n\n",
    "text": f"data: {A}\n\ndata: error: upstream timed out\n\n",
    "a page": f"data: {A}\n\ndata: <html>Bad gateway</html>\n\n",
    "a page in a field error": f"data: {A}\n\n<p>error: gone</p>\n\n",
    "only empty data": "data:\n\n",
    "only control frames": "retry: 5\n\nevent: ping\n\n: x\n\n",
    "text instead of events": "upstream connect error\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_asked_for_again_once_and_then_an_error(name: str) -> None:
    assert outcome(sent(BROKEN[name]), RETRIED) == ("Asked again.", 2)
    with serve([sent(BROKEN[name])]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(APIError, match=r"not JSON|ended before|empty reply|no event"):
            list(agent.stream("Hi"))
        assert len(server.requests) == 2


def test_a_broken_stream_is_asked_for_again_where_none_was_requested() -> None:
    assert outcome(sent(f"data: {A}\n\n"), whole("Asked again."), stream=False) == ("Asked again.", 2)
    assert outcome(Answer(b'{"choices": [{"mess'), whole("Asked again."), stream=False) == ("Asked again.", 2)


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_without_choices_is_asked_for_again_as_an_empty_reply(stream: bool) -> None:
    empty = Answer(b'{"id": "x", "object": "chat.completion", "choices": null, "usage": null}')
    assert outcome(empty, whole("Asked again."), stream=stream) == ("Asked again.", 2)


# ---- errors in a 200

ERRORS: dict[str, tuple[str, type[Exception], str, int]] = {
    "OpenAI": ('{"error": {"message": "too long", "code": 400}}', openai.BadRequestError, "too long", 1),
    "a code as text": ('{"error": {"message": "slow down", "code": "429"}}', openai.RateLimitError, "slow down", 2),
    "a code as a word": (
        '{"error": {"message": "too long", "code": "context_length_exceeded"}}',
        openai.BadRequestError,
        "too long",
        1,
    ),
    "a type": ('{"error": {"message": "busy", "type": "overloaded_error"}}', openai.InternalServerError, "busy", 2),
    "text": ('{"error": "it broke"}', APIError, "it broke", 2),
    "a flag": ('{"error": true, "message": "it broke"}', APIError, "it broke", 2),
    "SiliconFlow": ('{"code": 50505, "message": "overloaded", "data": null}', APIError, "overloaded", 2),
    "FastAPI": ('{"detail": "no GPU"}', APIError, "no GPU", 2),
    "vLLM": ('{"object": "error", "message": "too long", "code": 400}', openai.BadRequestError, "too long", 1),
    "a status": ('{"status": "error", "message": "it broke"}', APIError, "it broke", 2),
    "no choices": ('{"choices": [], "error": {"message": "gone", "code": 502}}', APIError, "gone", 2),
    "OpenRouter": (
        '{"choices": [{"delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "gone"}}]}',
        openai.InternalServerError,
        "gone",
        2,
    ),
    "what OpenRouter was told": (
        '{"error": {"message": "Provider returned error", "code": 429, "metadata": {"raw": "queue full"}}}',
        openai.RateLimitError,
        "queue full",
        2,
    ),
    "Gemini": ('[{"error": {"code": 400, "message": "bad schema"}}]', openai.BadRequestError, "bad schema", 1),
    "MiniMax": (
        '{"choices": null, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}',
        APIError,
        "rate limit",
        2,
    ),
    "Cloudflare": ('{"success": false, "errors": [{"code": 7009, "message": "down"}]}', APIError, "down", 2),
    "Baidu": ('{"error_code": 17, "error_msg": "daily limit"}', APIError, "daily limit", 2),
    "a gateway": ('{"message": "Internal server error"}', APIError, "Internal server error", 2),
}
FORMS = {
    "a body": ("application/json", "{}"),
    "a body as an event stream": ("text/event-stream", "{}"),
    "an event": ("text/event-stream", "data: {}\n\n"),
    "an event behind text": ("text/event-stream", f"data: {A}\n\ndata: {{}}\n\ndata: [DONE]\n\n"),
    "an event named error": ("text/event-stream", f"data: {A}\n\nevent: error\ndata: {{}}\n\n"),
    # ggml-org/llama.cpp#16104, coddy-project/coddy-agent#106: a field that the standard does not have
    "a field error": ("text/event-stream", "error: {}\n\ndata: [DONE]\n\n"),
    "a field error behind text": ("text/event-stream", f"data: {A}\n\nerror: {{}}\n\n"),
    # lemonade-sdk/lemonade#2826: without a field, behind events
    "a line behind text": ("text/event-stream", f"data: {A}\n\n{{}}\n\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_in_a_200_is_retried_or_raised_with_its_words(name: str, form: str) -> None:
    body, error, words, requests = ERRORS[name]
    kind, template = FORMS[form]
    answer = sent(template.replace("{}", body, 1) if "data: {}" in template else template.replace("{}", body), kind)
    with serve([answer]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(error, match=words):
            list(agent.stream("Hi"))
        assert len(server.requests) == requests
    if requests > 1:
        assert outcome(answer, RETRIED) == ("Asked again.", 2)
    if form == "a body":
        with serve([answer]) as server, Agent(f"openai:m@{server.url}") as agent:
            with pytest.raises(error, match=words):
                agent.run("Hi")


@pytest.mark.parametrize(
    "body",
    [
        '"error": null,',
        '"error": {},',
        '"error": "",',
        '"error": {"code": 0, "message": ""},',
        '"code": 0, "message": "success", "status": "ok",',
        '"code": 200, "msg": "ok", "success": true,',
        '"base_resp": {"status_code": 0, "status_msg": ""},',
        '"status": "completed", "detail": [], "errors": [],',
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_fields_that_say_that_all_is_well_are_no_error(body: str, stream: bool) -> None:
    assert outcome(Answer(WHOLE.replace("{", "{" + body, 1).encode()), RETRIED, stream=stream) == ("Hello.", 1)


def test_an_error_event_with_plain_text_is_an_error_with_its_words() -> None:
    said = sent(f"data: {A}\n\nevent: error\ndata: the GPU\ndata: fell off the bus\n\n")
    with serve([said]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(APIError, match="the GPU\nfell off the bus"):
            list(agent.stream("Hi"))
    assert outcome(said, RETRIED) == ("Asked again.", 2)


def test_a_key_that_an_error_in_a_stream_repeats_is_hidden() -> None:
    key = "sk-very-secret-key"
    for body in (f'data: {{"error": "no such key {key}"}}\n\n', f"event: error\ndata: {key} is wrong\n\n"):
        for kind in (OpenAIBackend, LightLLMBackend):
            with serve([sent(body)]) as server, Agent(kind("qwen3", base_url=server.url, api_key=key)) as agent:
                with pytest.raises(APIError) as raised:
                    list(agent.stream("Hi"))
            assert "no such key" in str(raised.value) or "is wrong" in str(raised.value)
            assert key not in f"{raised.value} {raised.value.body} {raised.value.args}"


@pytest.mark.parametrize("mode", ["generate", "chat"])
def test_an_error_in_a_200_of_lightllm_is_raised_with_its_words_and_without_the_key(mode: Any) -> None:
    with serve([Answer(b'{"error": {"message": "no such key key-1234567", "code": 401}}')]) as server:
        with LightLLMClient("key-1234567", server.url.removesuffix("/v1"), mode=mode) as client:
            with pytest.raises(openai.AuthenticationError, match="no such key") as raised:
                client.chat.completions.create(model="qwen3", messages=[{"role": "user", "content": "Hi"}])
    assert "key-1234567" not in f"{raised.value} {raised.value.body}"


# ---- the reader

CONTROL = [
    "retry: 3\n\n",
    "id: 7\n\n",
    ": comment\n\n",
    ":\n",
    "event: ping\n\n",
    "data:\n\n",
    "data: : PROCESSING\n\n",
]
CONTROL += ["\n", "\r\n\r\n", "event: ping\ndata: {}\n\n", "unknown: field\n\n", "data: [1]\n\n", "id\n\n"]


@settings(deadline=None, max_examples=300)
@given(
    texts=st.lists(st.text(max_size=5), max_size=5),
    controls=st.lists(st.lists(st.sampled_from(CONTROL), max_size=3), min_size=6, max_size=6),
    cuts=st.lists(st.integers(0, 2000), max_size=8),
    end=st.sampled_from(["\n\n", "\r\n\r\n", "\r\r", "\n"]),
    escapes=st.booleans(),
)
def test_a_stream_reads_the_same_however_it_is_split_and_whatever_control_frames_are_in_it(
    texts: list[str], controls: list[list[str]], cuts: list[int], end: str, escapes: bool
) -> None:
    chunks = [{"choices": [{"delta": {"content": text}}]} for text in texts]
    body = ""
    for frames, chunk in zip(controls, [*chunks, None], strict=False):
        body += "".join(frames)
        body += f"data: {'[DONE]' if chunk is None else json.dumps(chunk, ensure_ascii=escapes)}{end}"
    data = body.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:stop] for start, stop in pairwise(places)]
    reader = EventReader()
    found = [each for each in reader.read(pieces) if each]
    assert found == chunks
    assert reader.is_done
    assert found == [each for each in EventReader().read([data]) if each]


PIECES = [
    *CONTROL,
    *('data: {"a": 1}\n\n', 'data: {"a": 1}\n', 'data: {"a": 1}\r\n\r\n', 'data: {"a":\ndata: 1}\n\n', "\r"),
    *('data: {"a": "x\ry"}\n\n', 'data: {"a": 1', "}\n\n", "event: ping\n", 'data: {"a": 1}}\n\n', "data: [DONE]\n\n"),
]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=8), st.booleans())
def test_events_that_arrive_one_by_one_read_as_in_one_piece(pieces: list[str], is_far: bool) -> None:
    """is_far: behind the beginning of the response, which is kept for errors."""
    arrived = [each.encode() for each in ([f": {'x' * 400}\n\n"] if is_far else []) + pieces]
    assert _read_all(arrived) == _read_all([b"".join(arrived)])


def _read_all(pieces: list[bytes]) -> Any:
    found: list[Any] = []
    reader = EventReader()
    try:
        found.extend(reader.read(pieces))
    except ValueError as error:
        return found, str(error), reader.count
    return found, reader.is_done, reader.count, reader.has_fields


@given(st.binary(max_size=60), st.lists(st.integers(1, 60), max_size=4))
def test_any_bytes_read_the_same_however_they_are_split(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assert _read_all([data[start:stop] for start, stop in pairwise(places)]) == _read_all([data])


@pytest.mark.parametrize(
    "piece", [b"data: {\n", b"data: {}\n", b"data: {} {}", b"{", b"data:" * 3, b"\r", b": x\n", b"[", b"x" * 9, b"\x00"]
)
def test_reading_takes_linear_time(piece: bytes) -> None:
    def read(size: int) -> None:
        with suppress(ValueError):
            list(EventReader().read([b"data: ", *[piece] * size]))

    assert_linear(read, 4000)


def test_an_event_of_endless_size_is_an_error() -> None:
    for endless in ([b"data: {"] + [b"x" * 1000] * 100, [b"data: {\n"] * 10_000, [b'{"a": [\n'] * 10_000):
        with pytest.raises(EventTooLongError, match="more than 5,000 bytes"):
            list(EventReader(5000).read(endless))
    many = [b'data: {"a": 1}\n\n'] * 1000
    assert len(list(EventReader(5000).read(many))) == 1000


def test_an_event_of_endless_size_ends_a_run_with_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.net.chat_objects.EventReader", lambda: EventReader(1000))
    with serve([sent(f"data: {A}\n\ndata: {{" + "x" * 5000)]) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(APIError, match="an event of more than 1,000 bytes"):
            list(agent.stream("Hi"))
        assert len(server.requests) == 1


def test_the_id_of_an_event_of_which_the_rest_is_missing_does_not_count() -> None:
    """A stream is resumed behind the last event that has arrived."""
    stream = b'id: 1\ndata:\n\nid: 2\ndata: {"n": 2}\n\ndata: {"n": 3}\nid: 3\n\nid: 4\ndata: {"n": 4}\n\n'
    for size in range(len(stream) + 1):
        reader = EventReader()
        with suppress(ValueError):
            found = [each["n"] for each in reader.read(iter([stream[:size]]))]
            assert reader.last_id in ({b"", b"1"} if not found else {str(found[-1]).encode(), b"2"})
        whole = stream[:size].count(b"\n\n")
        assert int(reader.last_id or 0) in (whole, whole + 1)
        assert reader.last_id != b"4" or b'"n": 4}' in stream[:size]
