"""What an agent with several models is made of, and what each of them is sent."""

import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, Hook, Image, Message, Prices, Window, tool
from agentkit.backend import Capabilities, Request
from agentkit.backends import OpenAIBackend
from agentkit.event import Reply, ReplyDiscarded
from agentkit.limits import Usage
from agentkit.net.api_errors import status_error
from agentkit.record import result_record
from agentkit.testing import ScriptedBackend
from agentkit.transcript import Transcript
from tests.support.model_server import Answer, Asked, ModelServer, delta, serve, streamed, whole

A, B = "openai:a@http://localhost:1/v1", "openai:b@http://localhost:2/v1"
PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
    b"\x00\x00\x00\nIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xaeB`\x82"
)


class Named:
    """A scripted model with a name, and with what a test says of it; it keeps its requests."""

    def __init__(self, name: str, *steps: Any, **known: Any) -> None:
        self.script = ScriptedBackend(*steps)
        self.known = Capabilities(name, **known)
        self.seen: list[Request] = []
        self.closed = False

    def reply(self, request: Request) -> Any:
        self.seen.append(replace(request, transcript=Transcript(request.transcript)))
        for each in self.script.reply(request):
            yield replace(each, usage=Usage(1, 1000, 0, 100)) if isinstance(each, Reply) else each

    def capabilities(self, ask: bool = False) -> Capabilities:
        return self.known

    def close(self) -> None:
        self.closed = True


def down() -> Exception:
    return status_error(503, "down")


def too_long() -> Exception:
    body = {"error": {"code": "context_length_exceeded", "message": "maximum context length is 8192 tokens"}}
    return status_error(400, "too long", None, body)


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ([], {}, "the list of models is empty"),
        ([A, A], {}, "listed twice"),
        ([A, [B]], {}, "model 2 is a list"),
        ([A, 5], {}, "must be a backend or a name"),
        ([A, ""], {}, "is not a model name"),
        ([A, "B"], {}, "no model provider 'b'|no model provider 'B'"),
        ({A, B}, {}, "must be a backend or a name"),
        (A, {"balance": "sticky"}, "pass them as a list"),
        ([A, B], {"balance": "random"}, 'pass "sticky"'),
        ([A, B], {"prices": {"a": 3}}, "pass Prices"),
    ],
    ids=range(10),
)
def test_a_list_that_can_not_be_is_said_to_be(model: Any, options: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Agent(model, **options)


def test_a_backend_listed_twice_is_one_too_many() -> None:
    backend = ScriptedBackend("x")
    with pytest.raises(ConfigurationError, match="listed twice"):
        Agent([backend, backend])


def test_a_list_of_one_is_just_it() -> None:
    backend = ScriptedBackend("x", "y")
    assert Agent([backend]).backend is backend
    assert Agent([backend], balance="sticky").run("Hi").output == "x"


def test_it_is_shown_copied_pickled_and_closed_like_any_other() -> None:
    own = OpenAIBackend("c", base_url="http://localhost:3/v1")
    agent = Agent([A, own], instructions="Be brief.", balance="sticky")
    assert "'a'" in repr(agent)
    assert "'c'" in repr(agent)
    made: Agent = pickle.loads(pickle.dumps(Agent([A, B], instructions="Be brief.", balance="sticky")))
    assert repr(made) == repr(Agent([A, B]))
    assert made._made_of()["balance"] == "sticky"
    assert repr(copy.copy(agent)) == repr(copy.deepcopy(agent)) == repr(agent)
    assert agent.backend.capabilities().model == "a"
    agent.close()
    with pytest.raises(ConfigurationError, match="is closed"):
        Agent([agent.backend]).run("Hi")
    assert not own._closed
    with pytest.raises(pickle.PicklingError, match="Unpicklable"):
        pickle.dumps(Agent([A, Unpicklable("d")]))


class Unpicklable(Named):
    def __reduce__(self) -> Any:
        raise TypeError("no")


def test_user_middleware_sees_each_request_as_each_model_is_sent_it() -> None:
    seen: list[str] = []

    class Watched:
        def __init__(self, backend: Any) -> None:
            self.backend = backend

        def reply(self, request: Request) -> Any:
            seen.append(self.backend.capabilities().model)
            return self.backend.reply(request)

        def capabilities(self, ask: bool = False) -> Capabilities:
            return self.backend.capabilities(ask)  # type: ignore[no-any-return]

        def close(self) -> None: ...

    Agent([Named("a", down()), Named("b", "Hello")], middleware=[Watched]).run("Hi")
    assert seen == ["a", "b"]


def test_tools_go_as_text_to_the_model_that_has_none() -> None:
    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        return f"{what}: 15"

    first = Named("a", ("look_up", {"what": "boat"}), down())
    second = Named("b", "It is 15.", tools=False)
    assert Agent([first, second], tools=[look_up]).run("Price?").output == "It is 15."
    assert [bool(each.tools) for each in first.seen] == [True, True]
    assert not second.seen[0].tools
    assert "look_up" in str(second.seen[0].transcript[0]["content"])


def test_usage_and_price_are_those_of_each_model() -> None:
    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        return "15"

    prices = {"a": Prices(1, 10), "b": Prices(2, 20)}
    first, second = Named("a", ("look_up", {"what": "boat"}), down()), Named("b", "It is 15.", "Hello")
    agent = Agent([first, second], tools=[look_up], prices=prices)
    result = agent.run("Price?")
    assert list(result.models) == ["a", "b"]
    assert [round(each.cost or 0, 6) for each in result.models.values()] == [0.002, 0.004]
    assert round(result.usage.cost or 0, 6) == 0.006
    assert result_record(result)["models"]["b"]["input_tokens"] == 1000
    assert list(agent.run("Hi").models) == ["b"]
    single = Agent(Named("a", "Hello")).run("Hi")
    assert single.models == {"a": replace(single.usage, seconds=0.0)}
    assert list(Agent(ScriptedBackend("Hello")).run("Hi").models) == ["ScriptedBackend"]


def test_what_nested_agents_take_is_in_the_usage_and_the_models_of_the_outer_one() -> None:
    inner = Agent([Named("a", down()), Named("b", "15")])
    helper = inner.as_tool("helper", "Knows prices.")
    result = Agent(Named("outer", ("helper", {"task": "price"}), "It is 15."), tools=[helper]).run("Price?")
    assert list(result.models) == ["b", "outer"] or list(result.models) == ["outer", "b"]
    assert sum(each.input_tokens for each in result.models.values()) == result.usage.input_tokens == 3000


def test_sampling_that_one_model_does_not_know_is_left_out_for_it_alone() -> None:
    first = Named("a", down())
    second = Named("b", "Hello", sampling=("temperature",))
    Agent([first, second]).run("Hi", sampling={"temperature": 0, "reasoning_effort": "low"})
    assert first.seen[0].sampling == {"temperature": 0, "reasoning_effort": "low"}
    assert second.seen[0].sampling == {"temperature": 0}


def test_a_forced_tool_of_a_backends_own_is_released_for_each(tmp_path: Any) -> None:
    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        return "15"

    first = Named("a", ("look_up", {"what": "x"}), down())
    second = Named("b", "It is 15.", tool_choice="required")
    assert Agent([first, second], tools=[look_up]).run("Price?").output == "It is 15."
    assert second.seen[0].sampling["tool_choice"] == "auto"


def test_images_are_sent_to_the_model_that_sees_them() -> None:
    with serve([whole("", finish_reason="error")]) as first, serve([whole("A dot.")]) as second:
        blind = OpenAIBackend("blind", base_url=first.url, images=False)
        seeing = OpenAIBackend("seeing", base_url=second.url, images=True)
        assert Agent([blind, seeing]).run(["What is it?", Image(PNG, "image/png")]).output == "A dot."
        assert "image_url" not in first.requests[0].raw.decode()
        assert "image_url" in second.requests[0].raw.decode()
        blind.close()
        seeing.close()


LONG: list[Any] = [
    {"role": role, "content": f"{turn} " + "word " * 300} for turn in range(12) for role in ("user", "assistant")
]


@pytest.mark.parametrize("how", ["known", "refused"])
def test_a_conversation_that_is_too_long_goes_to_the_model_with_more_room(how: str) -> None:
    steps = [too_long(), "never"] if how == "refused" else ["never"]
    small = Named("small", *steps, context_length=None if how == "refused" else 4000)
    large = Named("large", "One", "Two", context_length=100_000)
    agent = Agent([small, large])
    result = agent.run("And now?", messages=LONG)
    assert result.output == "One"
    assert agent.run("And now?", messages=result.messages).output == "Two"
    assert len(small.seen) == (1 if how == "refused" else 0)
    assert [len(each.transcript) for each in large.seen] == [25, 27]  # nothing is cut for the small one
    assert agent.run("Hi", messages=[]).output == "never"  # which is not out for it


def test_it_is_cut_for_the_small_one_when_the_large_one_is_down() -> None:
    small = Named("small", "Short", context_length=4000)
    large = Named("large", down(), context_length=100_000)
    result = Agent([small, large]).run("And now?", messages=LONG)
    assert result.output == "Short"
    assert len(small.seen[0].transcript) < 20
    assert len(result.messages) == 26


def test_when_no_model_has_room_it_is_cut_for_the_first() -> None:
    first, second = (Named(name, "Short", context_length=4000) for name in "ab")
    assert Agent([first, second]).run("And now?", messages=LONG).models.keys() == {"a"}
    agent = Agent([Named("a", "Short"), Named("b", "Never")], window=Window(4000))
    assert agent.run("And now?", messages=LONG).models.keys() == {"a"}


THOUGHT: dict[str, Any] = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm. It is."}
DETAILS = [{"type": "reasoning.encrypted", "data": "c2VjcmV0"}]


def test_a_providers_own_fields_go_back_only_to_the_model_that_made_them() -> None:
    def said(server: ModelServer) -> list[Any]:
        return [each for each in server.requests[-1].body["messages"] if each["role"] == "assistant"]

    def reply(name: str) -> Any:
        call = {
            "id": "c1",
            "type": "function",
            "function": {"name": "look_up", "arguments": '{"what": "x"}'},
            "extra_content": {"google": {"thought_signature": name}},
        }
        message = {"role": "assistant", "content": None, "tool_calls": [call], "reasoning_details": DETAILS}
        return whole({**message, "reasoning_content": f"{name} thinks"}, finish_reason="tool_calls")

    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        return "15"

    first_fails: list[bool] = [False]

    def first_answer(asked: Asked) -> Any:
        if first_fails[0]:
            return whole("", finish_reason="error")
        return reply("a") if asked.body["messages"][-1]["role"] == "user" else whole("Done a.")

    def second_answer(asked: Asked) -> Any:
        is_new = asked.body["messages"][-1]["role"] == "user"
        return reply("b") if is_new else whole("Done b.")

    with serve(first_answer) as one, serve(second_answer) as two:
        agent = Agent(
            [OpenAIBackend("a", base_url=one.url), OpenAIBackend("b", base_url=two.url)],
            tools=[look_up],
            early_start=False,
        )
        earlier = [{"role": "user", "content": "Sure?"}, THOUGHT]
        result = agent.run("Look.", messages=earlier)
        unknown, own = said(one)
        assert "reasoning_content" not in unknown  # its maker is not known
        assert own["reasoning_content"] == "a thinks"
        assert own["reasoning_details"] == DETAILS
        assert own["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "a"}}
        assert one.requests[1].raw.startswith(one.requests[0].raw[:-2])

        first_fails[0] = True
        result = agent.run("Again.", messages=result.messages)
        foreign = said(two)[1]
        assert foreign.keys() == {"role", "content", "tool_calls"}
        assert foreign["tool_calls"][0].keys() == {"id", "type", "function"}
        assert said(two)[-1]["reasoning_content"] == "b thinks"
        assert two.requests[1].raw.startswith(two.requests[0].raw[:-2])
        assert [each.get("reasoning_content") for each in result.messages if each["role"] == "assistant"] == [
            *("Hm. It is.", "a thinks", None, "b thinks", None)  # what is stored keeps them
        ]
        for backend in agent.backend.backends:  # type: ignore[attr-defined]
            backend.close()


def test_several_servers_of_one_model_share_its_fields() -> None:
    first, second = Named("m", down()), Named("m", "Hello")
    Agent([first, second]).run("Hi", messages=[{"role": "user", "content": "Sure?"}, THOUGHT])
    assert second.seen[0].transcript[1]["reasoning_content"] == "Hm. It is."


def test_thinking_parts_of_another_model_are_left_out() -> None:
    parts = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "Yes."}]
    alone = [{"type": "redacted_thinking", "data": "x"}]
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "Sure?"},
        {"role": "assistant", "content": parts},
        {"role": "user", "content": "Really?"},
        {"role": "assistant", "content": alone},
    ]
    first, second = Named("a", down()), Named("b", "Hello")
    result = Agent([first, second]).run("Hi", messages=history)
    sent = second.seen[0].transcript
    assert sent[1]["content"] == [{"type": "text", "text": "Yes."}]
    assert sent[3]["content"] == ""
    assert result.messages[1]["content"] == parts


def test_the_schema_stands_at_the_same_place_in_each_request() -> None:
    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        return "15"

    first = Named("a", down(), schema="always", tells_schema=True)
    steps = (("look_up", {"what": "x"}), "no JSON", '{"value": 15}')
    second = Named("b", *steps)
    assert Agent([first, second], tools=[look_up]).run("Price?", output=int).output == 15
    bodies = [json.dumps(list(each.transcript))[:-1] for each in second.seen]
    assert bodies[1].startswith(bodies[0])
    assert bodies[2].startswith(bodies[1])
    assert bodies[2].count("conforming to this schema") == 2  # with that of what was wrong with the answer


def test_a_stream_that_breaks_twice_takes_back_each_of_its_replies() -> None:
    broken = streamed(delta(content="Half a"), done=False, cut=True)
    with (
        serve([broken]) as one,
        serve([broken]) as two,
        serve([streamed(delta(content="Whole"), delta("stop"))]) as three,
    ):
        servers = [OpenAIBackend(name, base_url=each.url) for name, each in zip("abc", (one, two, three), strict=True)]
        events = list(Agent(servers).stream("Hi"))
        kinds = [type(event).__name__ for event in events]
        assert kinds == [
            *("ReplyStarted", "TextDelta", "ReplyDiscarded", "TextDelta", "ReplyDiscarded"),
            *("TextDelta", "ReplyFinished", "RunFinished"),
        ]
        assert [event.model for event in events if type(event).__name__ == "ReplyDiscarded"] == ["a", "b"]  # type: ignore[attr-defined]
        for backend in servers:
            backend.close()


WANTS = [
    ("Missing `reasoning_content` field in the assistant message at message index 1.", "reasoning_content"),
    ("thinking is enabled but reasoning_content is missing in assistant tool call message", "reasoning_content"),
    ("The reasoning_content in the thinking mode must be passed back to the API.", "reasoning_content"),
    ("Function call is missing a thought_signature in functionCall parts. This is required for tools", "signature"),
    # Vertex AI's words: GewoonJaap/gemini-cli-openai#156, Piebald-AI/piebald-issues#21
    (
        "Unable to submit request because function call `pay` in the 2. content block is missing a "
        "`thought_signature`.",
        "signature",
    ),
]


@pytest.mark.parametrize(("said", "wanted"), WANTS, ids=range(len(WANTS)))
def test_a_model_that_wants_its_own_fields_in_the_replies_of_another_gets_what_stands_for_them(
    said: str, wanted: str
) -> None:
    @tool
    def pay(amount: int) -> str:
        """Pay."""
        return "paid"

    def picky(asked: Asked) -> Any:
        replies = [each for each in asked.body["messages"] if each["role"] == "assistant"]
        if wanted == "signature":
            has_all = all(each["tool_calls"][0].get("extra_content") for each in replies if "tool_calls" in each)
        else:
            has_all = all(each.get("reasoning_content") for each in replies)
        if not has_all:
            return Answer(json.dumps({"error": {"message": said, "code": 400}}).encode(), status=400)
        return whole("Paid.")

    with serve(picky) as server:
        second = OpenAIBackend("picky", base_url=server.url)
        first = Named("a", ("pay", {"amount": 3}), down(), down())
        result = Agent([first, second], tools=[pay]).run("Pay 3.")
        again = Agent([first, second], tools=[pay]).run("Sure?", messages=result.messages)
        second.close()
    assert (result.output, again.output) == ("Paid.", "Paid.")
    assert len(result.tool_calls) == 1
    assert len(server.requests) == 3  # what it wants is known then
    assert "reasoning_content" not in json.dumps(result.messages)


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
def test_hooks_see_one_model(stream: bool) -> None:
    seen: list[str] = []

    class Watching(Hook):
        def outgoing(self, message: Message) -> Any:
            return {**message, "content": str(message["content"]).replace("Ann", "[name]")}

        def before_model(self, request: Request) -> None:
            seen.append(f"before {request.transcript[-1]['content']}")

        def after_model(self, reply: Reply) -> None:
            seen.append(f"after {reply.text} of {reply.model}")

    broken = streamed(delta(content="Half a"), done=False, cut=True)
    with serve([broken]) as one, serve([whole("Hello."), whole("Fine.")]) as two:
        models = [OpenAIBackend(name, base_url=each.url) for name, each in (("a", one), ("b", two))]
        agent = Agent(models, hooks=[Watching()])
        events = list(agent.stream("I am Ann.")) if stream else []
        result: Any = events[-1].result if stream else agent.run("I am Ann.")  # type: ignore[attr-defined]
        agent.run("And you?", messages=result.messages)
        assert seen[:2] == ["before I am [name].", "after Hello. of b"]
        assert not any(isinstance(event, ReplyDiscarded) for event in events)  # nothing was shown of the broken one
        assert "Ann" not in one.requests[0].raw.decode() + two.requests[1].raw.decode()
        assert two.requests[1].body["messages"][0] == two.requests[0].body["messages"][0]
        for model in models:
            model.close()
