"""A history that outgrows the context is cut in one step; between steps each request is a prefix of the next."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, ConfigurationError, Limits, Window, tool
from agentkit.backends import OpenAIBackend
from agentkit.middleware.context_window import Digests
from agentkit.middleware.history_cut import TrimmedHistory, cut
from agentkit.net.overflow import too_long
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from agentkit.tooling.number_ranges import NumberRanges
from agentkit.transcript import Transcript
from tests.support.llama_server import LlamaServer, serve_llama
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole

BYTES = 4
"""Bytes of a request that the server here counts as a token."""


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}: " + f"{topic} is what it is. " * 60


def counting(context: int, answer: Any) -> Any:
    """A server with `context` tokens of context, which counts and rejects prompts like llama.cpp."""

    def reply(asked: Asked) -> Answer:
        tokens = len(json.dumps(asked.body["messages"])) // BYTES
        if tokens > context:
            error = {
                "code": 400,
                "message": f"request ({tokens} tokens) exceeds the available context size ({context} tokens)",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": tokens,
                "n_ctx": context,
            }
            return Answer(json.dumps({"error": error}).encode(), status=400)
        made: Answer = answer(asked)
        body = json.loads(made.body)
        body["usage"] = {"prompt_tokens": tokens, "completion_tokens": 10}
        return Answer(json.dumps(body).encode())

    return reply


def chatting(asked: Asked) -> Answer:
    return whole(f"Answer to {asked.body['messages'][-1]['content'][-20:]} " + "words " * 20)


def sent(server: ModelServer) -> list[list[Any]]:
    return [asked.body["messages"] for asked in server.requests]


def cuts(requests: list[list[Any]]) -> list[int]:
    """The indices of requests that do not start with the bytes of the one before."""
    return [
        index for index in range(1, len(requests)) if requests[index][: len(requests[index - 1])] != requests[index - 1]
    ]


def talk(agent: Agent, turns: int, **options: Any) -> list[Any]:
    messages: list[Any] = []
    for turn in range(turns):
        result = agent.run(f"Question {turn} " + "about this and that " * 10, messages=messages, **options)
        messages = result.messages
    return messages


def test_a_long_conversation_stays_within_the_window_in_few_steps() -> None:
    with MemorySessions() as sessions, serve(counting(2000, chatting)) as server:
        backend = OpenAIBackend("m", base_url=server.url)
        agent = Agent(backend, instructions="Be brief.", window=2000)
        for turn in range(60):
            agent.run(f"Question {turn} " + "about this and that " * 10, session=sessions["a"])
        backend.close()
        kept = sessions["a"].messages
    assert len(server.requests) == 60  # none was rejected
    assert len(kept) == 120  # the session keeps everything
    steps = cuts(sent(server))
    assert 1 <= len(steps) <= 8
    for messages in sent(server):
        assert messages[0] == {"role": "system", "content": "Be brief."}
        Transcript(messages)
    after = sent(server)[steps[0]]
    assert len(json.dumps(after)) / BYTES < 0.62 * 2000  # well below the limit, plus the new question
    assert "left out" in after[1]["content"]
    said = [message["content"] for message in kept[2 * steps[0] - 2 : 2 * steps[0] + 1]]
    assert [message["content"] for message in after[-3:]] == said


def test_the_view_of_a_session_holds_in_later_runs() -> None:
    with MemorySessions() as sessions, serve(counting(2000, chatting)) as server:
        for turn in range(30):
            backend = OpenAIBackend("m", base_url=server.url)  # another agent each time, as after a restart
            agent = Agent(backend, instructions="Be brief.", window=Window(2000))
            agent.run(f"Question {turn} " + "about this and that " * 10, session=sessions["a"])
            backend.close()
        assert len(cuts(sent(server))) <= 4
        assert any(entry.kind == "view" for entry in sessions["a"].entries())


def test_the_view_holds_in_later_runs_on_plain_messages_too() -> None:
    with serve(counting(2000, chatting)) as server:
        with Agent(f"openai:m@{server.url}", instructions="Be brief.", window=2000) as agent:
            talk(agent, 60)
    assert len(server.requests) == 60
    assert 1 <= len(cuts(sent(server))) <= 8


def test_large_results_become_lines_that_say_how_to_read_them_again() -> None:
    def reply(asked: Asked) -> Answer:
        last = asked.body["messages"][-1]
        text = str(last["content"])
        if last["role"] == "tool" and "earlier_result" in json.dumps(asked.body["messages"][-2]):
            return whole(f"I read: {text}")
        if last["role"] == "user" and "again" in text:
            stub = next(m["content"] for m in asked.body["messages"] if "left out to save space" in str(m["content"]))
            return calls(("earlier_result", {"number": int(stub.split("number ")[1].split()[0])}))
        if last["role"] == "user":
            return calls(("look_up", {"topic": text.split()[0]}))
        return whole("Seen.")

    with MemorySessions() as sessions, serve(counting(2500, reply)) as server:
        with Agent(f"openai:m@{server.url}", tools=[look_up], window=2500) as agent:
            for turn in range(8):
                agent.run(f"topic{turn} please", session=sessions["a"])
            result = agent.run("Read it again.", session=sessions["a"])
            kept = sessions["a"].messages
    assert "is what it is. topic" in result.output
    stubs = [m for m in sent(server)[-1] if "left out to save space" in str(m["content"])]
    assert stubs
    assert all(m["role"] == "tool" for m in stubs)
    assert not any("left out" in str(m["content"]) for m in kept if m["role"] == "user")
    assert sum("All about" in str(m["content"]) for m in kept) >= 8
    names = [each["function"]["name"] for each in server.requests[-1].body["tools"]]
    assert names == ["look_up", "earlier_result"]


def test_one_long_run_is_cut_too_calls_together_with_their_results() -> None:
    def reply(asked: Asked) -> Answer:
        count = sum(len(message.get("tool_calls") or ()) for message in asked.body["messages"])
        asked_for = len(server.requests)
        if asked_for > 25:
            return whole("Done.")
        return calls(("look_up", {"topic": f"t{asked_for}-{count}"}))

    with serve(counting(3000, reply)) as server:
        with Agent(f"openai:m@{server.url}", tools=[look_up], window=3000, limits=Limits(turns=None)) as agent:
            result = agent.run("Look everything up.")
    assert result.output == "Done."
    assert len(result.tool_calls) == 25
    assert len(cuts(sent(server))) <= 8
    for messages in sent(server):
        assert messages[0]["content"].endswith("Look everything up.")
        Transcript(messages)
    Transcript(result.messages)


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_by_the_server_cuts_once_and_asks_again(stream: bool) -> None:
    history = [
        {"role": role, "content": f"{role} {turn} " + "words " * 60}
        for turn in range(20)
        for role in ("user", "assistant")
    ]
    with serve(counting(1500, chatting)) as server:
        with Agent(f"openai:m@{server.url}", window=Window(last_turns=1)) as agent:
            if stream:
                result = list(agent.stream("And now?", messages=history))[-1].result  # type: ignore[attr-defined]
            else:
                result = agent.run("And now?", messages=history)
            assert result.output.startswith("Answer to")
            assert len(server.requests) == 2  # the rejected one, and its retry
            assert len(result.messages) == 42
            agent.run("And now?", messages=result.messages)
            assert len(server.requests) == 3  # by now it is known


def test_a_prompt_that_is_too_long_by_itself_raises_the_servers_error() -> None:
    with serve(counting(200, chatting)) as server, Agent(f"openai:m@{server.url}") as agent:
        with pytest.raises(openai.BadRequestError, match="exceeds the available context size"):
            agent.run("word " * 1000)


def test_turns_that_go_may_be_summed_up() -> None:
    def reply(asked: Asked) -> Answer:
        if "Summarise the conversation" in asked.body["messages"][0]["content"]:
            return whole("They talked about this and that.")
        return chatting(asked)

    with MemorySessions() as sessions, serve(counting(2000, reply)) as server:
        window = Window(2000, compaction="summarise")
        with Agent(f"openai:m@{server.url}", window=window) as agent:
            results = [
                agent.run(f"Question {turn} " + "on this and that " * 10, session=sessions["a"]) for turn in range(30)
            ]
    summed = [asked for asked in server.requests if "Summarise" in str(asked.body["messages"][0]["content"])]
    assert summed
    assert "Question 0" in summed[0].body["messages"][0]["content"]
    assert "Summary of the earlier conversation: They talked" in sent(server)[-1][0]["content"]
    assert sum(result.usage.requests for result in results) == len(server.requests)
    if len(summed) > 1:
        assert "They talked" in summed[1].body["messages"][0]["content"]


def test_a_summary_that_fails_does_not_end_the_run(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    def reply(asked: Asked) -> Answer:
        if "Summarise the conversation" in asked.body["messages"][0]["content"]:
            return Answer(b'{"error": {"message": "refused: what a user has said"}}', status=400)
        return chatting(asked)

    with serve(counting(2000, reply)) as server:
        with Agent(f"openai:m@{server.url}", window=Window(2000, compaction="summarise")) as agent:
            talk(agent, 30)
    assert "the summary of the turns that are left out failed with" in caplog.text
    assert "what a user has said" not in caplog.text


def test_the_tokens_of_the_server_count_and_short_runs_ask_nothing() -> None:
    with serve(counting(10**6, chatting)) as server, Agent(f"openai:m@{server.url}") as agent:
        talk(agent, 5)
        assert cuts(sent(server)) == []


@pytest.fixture(scope="module")
def small_llama(tiny_model: Any) -> Iterator[LlamaServer]:
    with serve_llama(tiny_model, context=1024, slots=1) as server:
        yield server


def test_a_real_server_reports_its_window_and_is_never_overrun(small_llama: LlamaServer) -> None:
    with MemorySessions() as sessions, Agent(f"openai:tiny@{small_llama.url}", window=Window()) as agent:
        agent._scope.keywords["sizes"][0].query(agent.backend)  # a run queries it only from 3,000 tokens on
        assert agent._scope.keywords["sizes"][0].tokens == 1024
        for turn in range(40):
            result = agent.run(f"Question {turn}: what about it?", session=sessions["a"])
            assert result.stopped in ("answer", "length")


def test_a_prompt_rejected_by_a_real_server_is_cut_and_sent_again(small_llama: LlamaServer) -> None:
    history = [
        {"role": role, "content": f"{role} {turn} what about it? " * 5}
        for turn in range(20)
        for role in ("user", "assistant")
    ]
    with Agent(f"openai:tiny@{small_llama.url}") as agent:
        assert agent.run("And now?", messages=history).stopped in ("answer", "length")


@pytest.mark.parametrize(
    ("status", "body", "reported"),
    [
        (
            400,
            {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens."},
            8192,
        ),
        (400, {"type": "exceed_context_size_error", "message": "too big", "n_ctx": 4096}, 4096),
        (400, {"message": "the input prompt token len 900 + max_new_tokens 100 > 500"}, 0),
        (400, {"message": "prompt text length 900000 exceeds the character limit 100"}, 0),
        (413, {"message": "Input is too long for requested model"}, 0),
        (400, {"message": "temperature is too large"}, None),
        (400, {"message": "no such model"}, None),
        (404, {"message": "maximum context length"}, None),
    ],
)
def test_refusals_for_the_length_are_known_as_such(status: int, body: Any, reported: int | None) -> None:
    from agentkit.net.api_errors import status_error

    assert too_long(status_error(status, body["message"], None, {"error": body})) == reported


@pytest.mark.parametrize(
    "options", [{"tokens": 0}, {"full": 2.0}, {"keep": 0.9}, {"last_turns": 0}, {"compaction": "x"}]
)
def test_an_invalid_window_is_rejected(options: Any) -> None:
    with pytest.raises(ConfigurationError, match="Window"):
        Window(**options)


def history_of(turns: list[list[int]]) -> list[Any]:
    """Turns of calls with results of these sizes."""
    messages: list[Any] = [{"role": "system", "content": "s"}]
    for place, sizes in enumerate(turns):
        messages.append({"role": "user", "content": f"q{place}"})
        for index, size in enumerate(sizes):
            function = {"name": "t", "arguments": "{}"}
            call = {"id": f"c{place}-{index}", "type": "function", "function": function}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": "x" * size})
        messages.append({"role": "assistant", "content": f"a{place}"})
    return messages


@given(
    st.lists(st.lists(st.integers(0, 5000), max_size=5), min_size=1, max_size=8), st.integers(100, 30_000), st.data()
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_cut_what_is_sent_is_valid_and_small_when_it_can_be(
    turns: list[list[int]], most: int, data: Any
) -> None:
    messages = history_of(turns)
    window = Window(last_turns=data.draw(st.integers(1, 3)))
    view = cut(messages, TrimmedHistory(), most, window.last_turns)
    kept = list(Transcript(view.messages(messages)))
    assert kept[0] == messages[0]
    assert kept[-1] == messages[-1]
    assert f"q{len(turns) - 1}" in str(kept)
    size = sum(len(json.dumps(message)) for message in kept)
    rest = sum(len(json.dumps(message)) for message in history_of([[]] * window.last_turns)) + 2 * (600 + 400)
    assert size <= max(most, rest) * 1.3 + 200
    again = cut(messages, view, most, window.last_turns)
    assert again == view  # cutting twice changes nothing
    more = cut(messages, view, max(1, most // 2), window.last_turns)
    assert view.left_out <= more.left_out


def test_a_user_who_writes_like_the_caption_of_an_image_begins_a_turn() -> None:
    messages: list[Any] = [
        {"role": "user", "content": "An old question. " * 200},
        {"role": "assistant", "content": "An old answer."},
        {"role": "user", "content": "Image returned by a tool: what does this log line mean?"},
        {"role": "assistant", "content": "That a tool returned an image."},
    ]
    view = cut(messages, TrimmedHistory(), 1000, 1)
    assert view.left_out == {0, 1}


def test_scripted_runs_are_not_cut() -> None:
    backend = ScriptedBackend("One.")
    assert Agent(backend, window=100).run("x").output == "One."


class Reads(list[Any]):
    """A history that counts which of its messages are read."""

    read = 0

    def __getitem__(self, index: Any) -> Any:
        self.read += 1
        return super().__getitem__(index)


def test_a_cut_takes_as_much_work_as_what_is_sent_however_much_is_left_out_already() -> None:
    reads: list[int] = []
    for old in (100, 1_000):
        messages = Reads(history_of([[2_000] * 5] * old))
        view = cut(messages, TrimmedHistory(), 4_000, 1)
        messages += history_of([[2_000] * 5] * 4)[1:]
        messages.read = 0
        again = cut(messages, view, 8_000, 1)
        assert len(list(again.messages(messages))) < 40
        reads.append(messages.read)
    assert reads[0] == reads[1]


def test_the_digest_of_a_conversation_reads_each_message_once() -> None:
    transcript, digests = Transcript(history_of([[10], [20]])), Digests()
    known = digests.of_all(transcript)
    transcript.extend(history_of([[30]])[1:])
    assert len(list(digests.of(transcript))) == 4
    assert [*Digests().of(transcript)][-1] == digests.of_all(transcript) != known


NUMBERS = st.sets(st.integers(0, 60), max_size=30)


@given(NUMBERS, NUMBERS, st.integers(0, 60), st.integers(0, 70))
def test_numbers_in_ranges_are_a_set(one: set[int], other: set[int], start: int, end: int) -> None:
    made = NumberRanges(one).plus(sorted(other)).plus(range(start, end))
    expected = one | other | set(range(start, end))
    assert made == expected
    assert (list(made), len(made)) == (sorted(expected), len(expected))
    assert NumberRanges(expected) == made
    assert [number for number in range(-1, 80) if number in made] == sorted(expected)
    assert list(made.missing(start // 2, end)) == [n for n in range(start // 2, end) if n not in expected]
