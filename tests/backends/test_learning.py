"""What the OpenAI backend learns of a server from its refusals: no more than the words say, and not for good."""

import base64
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Image, tool
from agentkit.backend import Request
from agentkit.backends import OpenAIBackend
from agentkit.backends.adapting import MAX_ATTEMPTS, Adapting
from agentkit.backends.refused_images import MAX_SINGLES
from agentkit.event import Reply, RunFinished
from agentkit.net import refusals
from agentkit.net.api_errors import status_error
from agentkit.net.error_words import words_of
from agentkit.net.learned import EXPIRY, MAX_FACTS, Learned
from agentkit.sessions import MemorySessions
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed, whole

GOOD, BAD, OTHER = (Image(f"\x89PNG {name}".encode("latin-1"), "image/png", name) for name in ("good", "bad", "other"))
either_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def data_of(image: Image) -> bytes:
    return base64.b64encode(image.data)


def refused(message: Any, status: int = 400) -> Answer:
    body = {"error": {"message": message}} if isinstance(message, str) else message
    return Answer(json.dumps(body).encode(), status)


def spoken(asked: Asked, text: str = "I see.") -> Answer:
    return streamed(delta(content=text), delta("stop")) if asked.body["stream"] else whole(text)


def result_of(agent: Agent, prompt: Any, stream: bool = False, **options: Any) -> Any:
    if not stream:
        return agent.run(prompt, **options)
    last = list(agent.stream(prompt, **options))[-1]
    assert isinstance(last, RunFinished)
    return last.result


def shown(server: ModelServer) -> list[list[str]]:
    """The names of the images in each request."""
    images = {image.name: data_of(image) for image in (GOOD, BAD, OTHER)}
    return [[name for name, data in images.items() if data in asked.raw] for asked in server.requests]


def against(words: Any, status: int = 400, *bad: Image) -> Callable[[Asked], Answer]:
    """A server that refuses some images."""

    def answer(asked: Asked) -> Answer:
        if any(data_of(image) in asked.raw for image in bad or (BAD,)):
            return refused(words, status)
        return spoken(asked)

    return answer


# Images

IMAGE_FAULTS = [
    "You uploaded an unsupported image. Please make sure your image has of one the following formats: ['png', 'jpeg'].",
    "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
    "Could not process image",
    "Invalid base64 image_url.",
    "messages.1.content.1.image.source.base64.data: At least one of the image dimensions exceed max allowed size: 8000",
    "failed to download image from https://example.com/cat.png",
    "Image format image/png not supported",
    "The image data you provided does not represent a valid image. Please check your input and try again.",
    "The model does not support image format webp",
    "The server does not support images larger than 5MB",
    "Failed to load image: cannot identify image file <_io.BytesIO object>",
    "图片格式不支持",
    "图片大小超过限制",
    "Unable to process input image. Please retry or report in https://developers.generativelanguage.googleapis.com",
    "The image length and width do not meet the model restrictions. [height:5 or width:5 must be larger than 10]",
    "Provided image is not valid.",
    "Timeout while downloading https://example.com/cat.png.",
]

NO_VISION = [
    "This model does not support image input",
    "Invalid content type. image_url is only supported by certain models.",
    "No endpoints found that support image input",
    "multimodal is not enabled",
    "Failed to deserialize the JSON body into the target type: unknown variant `image_url`, expected `text",
    "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
    "tiny is not a multimodal model",
    "At most 0 image(s) may be provided in one prompt.",
    "this model does not support vision",
    "Model do not support image input.\nRequest id: 021788846573420402c3547e09b7409e",
    "This model doesn't support the image content block that you provided.",
    "Image input modality is not enabled for models/gemma-3-1b-it",
    "Content type 'image_url' is not supported",
    "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : value must be a string)]",
    "当前模型不支持图片输入",
    "messages.content.type 参数非法，取值范围 ['text']",
    "Only text content is supported",
]


@either_way
@pytest.mark.parametrize("words", IMAGE_FAULTS)
def test_a_refused_image_is_the_error_of_its_request_and_the_next_one_is_sent(words: str, stream: bool) -> None:
    with serve(against(words)) as server, Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
        with pytest.raises(openai.BadRequestError) as raised:
            result_of(agent, ["What is this?", BAD], stream)
        assert words.split(".")[0][:20] in str(raised.value)
        assert "an image of the newest message" in str(raised.value)
        assert result_of(agent, ["And this?", GOOD], stream).output == "I see."
    assert shown(server)[-1] == ["good"]


@either_way
@pytest.mark.parametrize("words", IMAGE_FAULTS)
def test_a_conversation_with_a_refused_image_goes_on_without_it(words: str, stream: bool) -> None:
    with serve(against(words)) as server, Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
        history = agent.run(["One.", GOOD]).messages
        with pytest.raises(openai.BadRequestError) as raised:
            result_of(agent, ["Two?", BAD], stream, messages=history)
        messages = [*raised.value.messages, {"role": "assistant", "content": "Hm."}]  # type: ignore[attr-defined]
        result = result_of(agent, ["Three?", OTHER], stream, messages=messages)
        assert result.output == "I see."
    assert shown(server)[-1] == ["good", "other"]
    assert b"the model server refused it" in server.requests[-1].raw
    assert data_of(BAD).decode() in json.dumps(result.messages)  # nothing is lost


@either_way
def test_a_stored_conversation_with_a_bad_image_is_continued_by_another_program(stream: bool) -> None:
    """Nothing is known of its images: the bad one is found, and the good ones are sent."""
    history = result_history(["One.", GOOD], ["Two.", BAD], ["Three.", OTHER])
    with serve(against("Could not process image")) as server:
        with Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
            assert result_of(agent, "And now?", stream, messages=history).output == "I see."
            assert shown(server)[-1] == ["good", "other"]
            count = len(server.requests)
            assert count <= 4
            result_of(agent, "And then?", stream, messages=history)
            assert len(server.requests) == count + 1  # by now it is known


def result_history(*prompts: Any) -> list[Any]:
    from agentkit.message import user

    return [message for prompt in prompts for message in (user(prompt), {"role": "assistant", "content": "Ok."})]


def test_several_bad_images_are_left_out_together() -> None:
    history = result_history(["One.", OTHER], ["Two.", BAD], ["Three."])
    with serve(against("Could not process image", 400, BAD, OTHER)) as server:
        with Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
            assert agent.run("And now?", messages=history).output == "I see."
    assert shown(server)[-1] == []


def test_a_session_with_a_refused_image_is_not_stuck() -> None:
    with serve(against("Could not process image")) as server, MemorySessions() as sessions:
        with Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
            with pytest.raises(openai.BadRequestError):
                agent.run(["What is this?", BAD], session=sessions["a"])
            assert agent.run("Never mind.", session=sessions["a"]).output == "I see."
            assert agent.run(["And this?", GOOD], session=sessions["a"]).output == "I see."


# justrach/codegraff#812, continuedev/continue#13261
ZAI_FAULTS = [
    "Invalid API parameter, please check the documentation.",
    "The messages parameter is illegal. Please check the documentation.",
]


@either_way
@pytest.mark.parametrize("words", [*IMAGE_FAULTS, *ZAI_FAULTS, "Invalid request.", "Provider returned error"])
def test_a_tools_image_that_is_refused_is_told_to_the_model(words: str, stream: bool) -> None:
    @tool
    def view() -> Image:
        """View a picture."""
        return BAD

    def answer(asked: Asked) -> Answer:
        if data_of(BAD) in asked.raw:
            return refused(words)
        if asked.body["messages"][-1]["role"] == "user" and len(asked.body["messages"]) == 1:
            return calls(("view", {}))
        return spoken(asked, "It can't be shown.")

    with serve(answer) as server, Agent(OpenAIBackend("m", server.url, max_retries=0), tools=[view]) as agent:
        assert result_of(agent, "View it.", stream).output == "It can't be shown."
    assert "refused it" in json.dumps(server.requests[-1].body["messages"][-1])
    assert server.requests[-1].body["messages"][-1]["content"][0]["text"] == "Image returned by a tool: bad"


@either_way
@pytest.mark.parametrize("words", NO_VISION)
def test_a_model_that_sees_no_images_gets_a_sentence_for_minutes(words: str, stream: bool) -> None:
    def answer(asked: Asked) -> Answer:
        return refused(words, 404 if "endpoints" in words else 400) if b'"image_url"' in asked.raw else spoken(asked)

    with serve(answer) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        agent = Agent(backend)
        for _ in range(2):
            assert result_of(agent, ["What is this?", GOOD], stream).output == "I see."
        assert backend.capabilities().images is False
        assert shown(server) == [["good"], [], []]
        later(backend)
        assert backend.capabilities().images is None
        result_of(agent, ["What is this?", GOOD], stream)
        assert shown(server)[3:] == [["good"], []]
        backend.close()


def later(backend: OpenAIBackend) -> None:
    """Let the time pass for which a backend remembers."""
    before = backend._learned.clock
    backend._learned.clock = lambda: before() + EXPIRY + 1


@pytest.mark.parametrize(
    ("words", "most"),
    [
        ("too many images; at most 2 are allowed", 2),
        ("At most 2 image(s) may be provided in one prompt.", 2),
        ("Image count 3 exceeds limit 2 per request.", 2),
        ("Too much media: 0 document pages + 3 images > 2", 2),
        ("图片数量超过限制，最多支持2张", 2),
        ("Max images exceeded", 1),
    ],
)
def test_the_newest_images_are_sent_when_a_request_may_have_only_some(words: str, most: int) -> None:
    def answer(asked: Asked) -> Answer:
        return refused(words) if asked.raw.count(b'"image_url":') > most else spoken(asked)

    history = result_history(["One.", BAD], ["Two.", OTHER])
    with serve(answer) as server, Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
        result = agent.run(["Three.", GOOD], messages=history)
        assert len(shown(server)) == 2
        assert "good" in shown(server)[-1]
        assert "bad" not in shown(server)[-1]
        agent.run(["Four.", GOOD], messages=result.messages)
        assert len(shown(server)) == 3  # by now it is known


def test_more_images_in_one_question_than_a_server_takes_are_its_error() -> None:
    def answer(asked: Asked) -> Answer:
        return (
            refused("At most 1 image(s) may be provided in one prompt.") if asked.raw.count(b"data:") > 1 else whole("")
        )

    with serve(answer) as server, Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
        with pytest.raises(openai.BadRequestError, match="At most 1 image"):
            agent.run(["Compare.", GOOD, OTHER])
    assert len(server.requests) == 1


def test_an_image_of_a_question_that_is_refused_without_a_reason_is_the_servers_error() -> None:
    with serve(against("Invalid request.")) as server, Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
        with pytest.raises(openai.BadRequestError, match="Invalid request"):
            agent.run(["What is this?", BAD])
        assert agent.run(["And this?", GOOD]).output == "I see."


def test_an_error_that_is_not_about_images_leaves_them() -> None:
    with serve([refused("temperature must be at most 2"), whole("Hi.")]) as server:
        with Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
            with pytest.raises(openai.BadRequestError, match="temperature"):
                agent.run(["What is this?", GOOD])
            agent.run(["What is this?", GOOD])
    assert shown(server) == [["good"], ["good"]]


def test_one_user_of_a_shared_backend_does_not_blind_the_others() -> None:
    with serve(against("You uploaded an unsupported image")) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        with pytest.raises(openai.BadRequestError):
            Agent(backend).run(["What is this?", BAD])
        assert backend.capabilities().images is None
        assert Agent(backend).run(["What is this?", GOOD]).output == "I see."
        backend.close()
    assert shown(server) == [["bad"], ["good"]]


@either_way
def test_a_refusal_of_images_within_a_200_is_one_too(stream: bool) -> None:
    body = json.dumps({"error": {"message": "No endpoints found that support image input", "code": 404}}).encode()

    def answer(asked: Asked) -> Answer:
        if b'"image_url"' not in asked.raw:
            return spoken(asked)
        return Answer(b"data: " + body + b"\n\n", content_type="text/event-stream") if stream else Answer(body)

    with serve(answer) as server, Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
        assert result_of(agent, ["What is this?", GOOD], stream).output == "I see."


def test_images_that_are_sent_on_demand_are_not_given_up() -> None:
    with serve([refused("This model does not support image input")]) as server:
        with Agent(OpenAIBackend("m", server.url, max_retries=0, images=True)) as agent:
            with pytest.raises(openai.BadRequestError, match="does not support image input"):
                agent.run(["What is this?", GOOD])


@given(st.lists(st.booleans(), min_size=1, max_size=9))
@settings(max_examples=200, deadline=None)
def test_whatever_images_of_a_history_are_bad_the_conversation_goes_on(bad: list[bool]) -> None:
    """A single bad one is found; the server is asked at most MAX_ATTEMPTS times."""
    images = [Image(f"{number} of them".encode(), "image/png") for number in range(len(bad))]
    messages = [*result_history(*(["Look.", image] for image in images)), {"role": "user", "content": "And now?"}]
    learned = Learned()
    adapting = Adapting("it", Request(Transcript(messages)), learned)
    refusal = status_error(400, "x", None, {"error": {"message": "Could not process image"}})
    sent = set(range(len(bad)))
    for _ in range(MAX_ATTEMPTS):
        encoded = adapting.sent().transcript.encoded()
        sent = {number for number, image in enumerate(images) if data_of(image) in encoded}
        if not any(bad[number] for number in sent):
            break
        assert adapting.adapts_to(refusal)
    adapting.note_accepted()
    assert not any(bad[number] for number in sent)
    if sum(bad) == 1 and not any(bad[: max(0, len(bad) - MAX_SINGLES)]):
        assert len(sent) == len(bad) - 1
    again = Adapting("it", Request(Transcript(messages)), learned)
    assert again.sent().transcript.encoded() == adapting.sent().transcript.encoded()  # by now it is known


# Schemas


@dataclass
class City:
    """A city."""

    name: str


@dataclass
class Person:
    """A person."""

    age: int


def filling(words: str, refuses: str) -> Callable[[Asked], Answer]:
    """A server that refuses the schemas that contain a text."""

    def answer(asked: Asked) -> Answer:
        if refuses in json.dumps(asked.body.get("response_format", {})):
            return refused(words)
        text = json.dumps(asked.body["messages"])
        return whole('{"name": "Oslo"}' if "city" in text.lower() else '{"age": 7}')

    return answer


@pytest.mark.parametrize(
    "words",
    [
        "Invalid schema for response_format 'City': In context=('properties', 'name'), 'uniqueItems' is not permitted.",
        "failed to parse grammar",
        "json schema conversion failed: unrecognized schema",
        "The provided JSON schema contains features not supported by xgrammar.",
        "Invalid JSON payload received. Unknown name \"prefixItems\" at 'generation_config.response_schema'",
    ],
)
def test_a_refused_schema_is_that_schemas_fault(words: str) -> None:
    with serve(filling(words, '"City"')) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        agent = Agent(backend)
        for _ in range(2):
            assert agent.run("Which city?", output=City).output == City("Oslo")
        assert agent.run("How old?", output=Person).output == Person(7)
        backend.close()
    sent = [asked.body.get("response_format", {}).get("json_schema", {}).get("name") for asked in server.requests]
    assert sent == ["City", None, None, "Person"]


@pytest.mark.parametrize(
    "words",
    [
        "Unrecognized request argument supplied: response_format",
        "This response_format type is unavailable now",
        "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
        "'response_format.type' must be 'json_object' or 'text'",
        "body.response_format: Extra inputs are not permitted",
        "Structured outputs are not supported by this model",
    ],
)
def test_a_server_that_takes_no_schema_is_asked_without_for_minutes(words: str) -> None:
    with serve(filling(words, "json_schema")) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        agent = Agent(backend)
        assert agent.run("Which city?", output=City).output == City("Oslo")
        assert backend.capabilities().schema == "no"
        later(backend)
        assert backend.capabilities().schema == "text"
        backend.close()
    assert ["response_format" in asked.body for asked in server.requests] == [True, False]


def test_a_refused_tool_is_not_taken_for_the_schema_of_the_answer() -> None:
    with serve([refused("Invalid schema for function 'look_up': 'oneOf' is not permitted.")]) as server:
        with Agent(OpenAIBackend("m", server.url, max_retries=0)) as agent:
            with pytest.raises(openai.BadRequestError, match="function 'look_up'"):
                agent.run("Which city?", output=City)
    assert len(server.requests) == 1


def test_a_model_whose_server_told_it_the_schema_is_told_it_in_words_when_the_server_refuses_it() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "City", "schema": {"title": "A city"}}}
    request = Request(Transcript([{"role": "user", "content": "Which?"}]), response_format=form)
    adapting = Adapting("it", request, Learned(), schema="always", tells_schema=True)
    assert adapting.adapts_to(
        status_error(400, "x", None, {"error": {"message": "Invalid schema for response_format"}})
    )
    assert "A city" in str(adapting.sent().transcript[0]["content"])
    assert adapting.sent().response_format is None


# Streaming


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look a topic up."""
    return f"All about {topic}."


def streams(server: ModelServer) -> list[bool]:
    return [asked.body["stream"] for asked in server.requests]


@pytest.mark.parametrize(
    "words",
    [
        "Your organization must be verified to stream this model.",
        "Unsupported value: 'stream' does not support true with this model. Supported values are: false.",
        "streaming is not supported",
        "stream must be set to false",
        "该模型不支持流式输出",
    ],
)
def test_a_server_that_does_not_stream_is_asked_for_whole_replies_for_minutes(words: str) -> None:
    with serve(lambda asked: refused(words) if asked.body["stream"] else spoken(asked)) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        agent = Agent(backend)
        for _ in range(2):
            assert result_of(agent, "Hello.", stream=True).output == "I see."
        later(backend)
        result_of(agent, "Hello.", stream=True)
        backend.close()
    assert streams(server) == [True, False, False, True, False]


@pytest.mark.parametrize(
    "words", ["This model doesn't support tool use in streaming mode.", "Cannot use tools with stream"]
)
def test_a_server_that_does_not_stream_with_tools_streams_without(words: str) -> None:
    def answer(asked: Asked) -> Answer:
        return refused(words) if asked.body["stream"] and "tools" in asked.body else spoken(asked)

    with serve(answer) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        result_of(Agent(backend, tools=[look_up]), "Hello.", stream=True)
        result_of(Agent(backend), "Hello.", stream=True)
        result_of(Agent(backend, tools=[look_up]), "Hello.", stream=True)
        backend.close()
    assert streams(server) == [True, False, True, False]


def test_an_error_that_mentions_a_stream_turns_streaming_off_for_its_request_alone() -> None:
    with serve([refused("error reading stream from worker", 500), spoken_whole(), spoken_stream()]) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        for _ in range(2):
            assert result_of(Agent(backend), "Hello.", stream=True).output == "I see."
        backend.close()
    assert streams(server) == [True, False, True]


def spoken_whole() -> Answer:
    return whole("I see.")


def spoken_stream() -> Answer:
    return streamed(delta(content="I see."), delta("stop"))


@either_way
@pytest.mark.parametrize(
    "words",
    [
        "Stream must be set to true",
        "This model only support stream mode, please enable the stream parameter to access the model.",
        "parameter.enable_thinking must be set to false for non-streaming calls",
    ],
)
def test_a_server_that_only_streams_is_asked_for_streams(words: str, stream: bool) -> None:
    with serve(lambda asked: spoken(asked) if asked.body["stream"] else refused(words)) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        for _ in range(2):
            *deltas, reply = backend.reply(Request(Transcript([{"role": "user", "content": "Hello."}]), stream=stream))
            assert isinstance(reply, Reply)
            assert reply.message["content"] == "I see."
            assert bool(deltas) == stream
        backend.close()
    assert streams(server) == ([True, True] if stream else [False, True, True])


def test_stream_options_are_sent_again_after_minutes() -> None:
    def answer(asked: Asked) -> Answer:
        return refused("Unknown field: stream_options") if "stream_options" in asked.body else spoken(asked)

    with serve(answer) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        result_of(Agent(backend), "Hello.", stream=True)
        later(backend)
        result_of(Agent(backend), "Hello.", stream=True)
        backend.close()
    assert ["stream_options" in asked.body for asked in server.requests] == [True, False, True, False]


# Learning itself


def test_each_thing_that_is_learned_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with serve(against("this model does not support vision", 400, GOOD)) as server:
        with caplog.at_level(logging.WARNING, "agentkit"), Agent(OpenAIBackend("m", server.url)) as agent:
            for _ in range(3):
                agent.run(["What is this?", GOOD])
    (line,) = [record.getMessage() for record in caplog.records]
    assert "rejects images: they are replaced by a sentence" in line
    assert "does not support vision" in line
    assert "for the next 10 minutes" in line


def test_nothing_is_learned_when_the_request_fails_without_it_too() -> None:
    with serve([refused("streaming is not supported"), refused("no such model"), spoken_stream()]) as server:
        backend = OpenAIBackend("m", server.url, max_retries=0)
        with pytest.raises(openai.BadRequestError, match="no such model"):
            result_of(Agent(backend), "Hello.", stream=True)
        result_of(Agent(backend), "Hello.", stream=True)
        backend.close()
    assert streams(server) == [True, False, True]


def test_what_is_remembered_is_bounded_and_expires() -> None:
    now = [0.0]
    learned = Learned(lambda: now[0])
    for number in range(2 * MAX_FACTS):
        learned.learn(("schema", number), number)
    assert learned.value(("schema", 0)) is None
    assert learned.value(("schema", 2 * MAX_FACTS - 1)) == 2 * MAX_FACTS - 1
    now[0] = EXPIRY
    assert learned.value(("schema", 2 * MAX_FACTS - 1)) is None


def test_what_is_derived_of_facts_changes_with_them() -> None:
    now, made = [0.0], list[int]()
    learned = Learned(lambda: now[0])

    def derived() -> Any:
        def make() -> Any:
            made.append(1)
            return learned.value("a"), learned.value("b")

        return learned.derived("both", make)

    assert derived() == derived() == (None, None)
    assert len(made) == 1
    learned.learn("a", 1)
    now[0] = EXPIRY / 2
    learned.learn("b", 2)
    assert derived() == derived() == (1, 2)
    now[0] = EXPIRY
    assert derived() == derived() == (None, 2)
    learned.forget("b")
    assert derived() == derived() == (None, None)
    assert len(made) == 4


def test_what_is_derived_in_the_moment_in_which_a_fact_expires_is_not_kept() -> None:
    times = [0.0]
    learned = Learned(lambda: times.pop(0) if len(times) > 1 else times[0])
    learned.learn("a", 1)
    times[:] = [EXPIRY - 1, EXPIRY - 1, EXPIRY]  # it still holds when it is asked for, and not any more behind it
    assert learned.derived("a", lambda: learned.value("a")) == 1
    assert learned.derived("a", lambda: learned.value("a")) is None


def test_what_is_derived_while_a_fact_is_learned_is_not_kept() -> None:
    learned = Learned()

    def make() -> str:
        learned.learn("a")
        return "before"

    assert learned.derived("a", make) == "before"
    assert learned.derived("a", lambda: learned.value("a")) is True


@pytest.mark.parametrize(
    "unit", ["does not support ", "image ", "stream ", "response_format ", "unknown a b ", "400 |"]
)
def test_a_refusal_of_any_length_is_read_in_bounded_time(unit: str) -> None:
    def read(size: int) -> None:
        words = words_of(status_error(400, "x", None, {"error": {"message": unit * (size // len(unit))}}))
        for about in vars(refusals).values():
            if callable(about) and getattr(about, "__module__", "") == refusals.__name__:
                about(words)

    assert_linear(read, 20_000)


def test_a_real_server_without_vision_is_recognised(llama: Any, tiny_model: Path) -> None:
    backend = OpenAIBackend("tiny", llama.url, max_retries=0)
    Agent(backend).run(["What is this?", GOOD])
    assert backend.capabilities().images is False
    backend.close()
