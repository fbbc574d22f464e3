"""ReplyCache: the same request is sent once, any other is sent, and only complete replies are kept."""

import copy
import json
import logging
import os
import pickle
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from openai import APIError
from pydantic import BaseModel

from agentkit import Agent, Limits, Prices, tool
from agentkit.backends.lightllm import LightLLMBackend
from agentkit.backends.openai import OpenAIBackend
from agentkit.errors import ConfigurationError
from agentkit.event import TextDelta
from agentkit.middleware.reply_cache import ReplyCache
from agentkit.testing import ScriptedBackend
from tests.support.forks import in_child
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole

USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replies.db"


def numbered(asked: Asked) -> Answer:
    """Another answer each time."""
    text = f"Answer {time.monotonic_ns()}"
    if asked.body.get("stream"):
        usage = {"object": "chat.completion.chunk", "choices": [], "usage": USAGE}
        return streamed(delta(content=text[:5]), delta(content=text[5:]), delta("stop"), usage)
    return whole(text, usage=USAGE)


def agent(
    server: Any, path: Path, *, model: str = "any", sampling: dict[str, Any] | None = None, **options: Any
) -> Agent:
    backend = OpenAIBackend(model, base_url=server.url, max_retries=0, **(sampling or {}))
    return Agent(backend, middleware=[ReplyCache(path)], **options)


def test_the_same_question_is_asked_once(path: Path) -> None:
    with serve(numbered) as server:
        answers = {agent(server, path).run("Hi?").output for _ in range(3)}
        assert len(answers) == 1
        assert len(server.requests) == 1
        agent(server, path).run("Hi!")
        assert len(server.requests) == 2


@tool
def look(place: str) -> str:
    """Look there."""
    return "nothing"


@tool(name="look")
def look_well(place: str) -> str:
    """Look there well."""
    return "nothing"


@tool(name="look")
def look_long(place: str, hours: int = 1) -> str:
    """Look there."""
    return "nothing"


class City(BaseModel):
    name: str


class Town(BaseModel):
    name: str
    size: int = 0


def last_of(run: Any) -> Any:
    """The result of a run that is streamed."""
    return list(run)[-1].result


CHANGES: dict[str, Callable[[Any, Path], Any]] = {
    "temperature": lambda server, path: agent(server, path, sampling={"temperature": 0.5}).run("Hi?"),
    "sampling of a run": lambda server, path: agent(server, path).run("Hi?", sampling={"temperature": 0.6}),
    "seed": lambda server, path: agent(server, path, sampling={"seed": 1}).run("Hi?"),
    "model": lambda server, path: agent(server, path, model="other").run("Hi?"),
    "tools": lambda server, path: agent(server, path, tools=[look]).run("Hi?"),
    "description of a tool": lambda server, path: agent(server, path, tools=[look_well]).run("Hi?"),
    "parameters of a tool": lambda server, path: agent(server, path, tools=[look_long]).run("Hi?"),
    "tool_choice": lambda server, path: agent(server, path, tools=[look]).run("Hi?", sampling={"tool_choice": "none"}),
    "system message": lambda server, path: agent(server, path, instructions="Be brief.").run("Hi?"),
    "history": lambda server, path: agent(server, path).run("Hi?", messages=[{"role": "user", "content": "Hm."}]),
    "stream": lambda server, path: list(agent(server, path).stream("Hi?")),
}


def test_whatever_changes_in_a_request_it_is_sent_anew(path: Path) -> None:
    with serve(numbered) as server:
        agent(server, path).run("Hi?")
        for number, (what, ask) in enumerate(CHANGES.items()):
            ask(server, path)
            assert len(server.requests) == number + 2, what
        for ask in CHANGES.values():
            ask(server, path)
        assert len(server.requests) == len(CHANGES) + 1


def test_another_schema_is_asked_anew(path: Path) -> None:
    def typed(asked: Asked) -> Answer:
        return whole('{"name": "Oslo"}')

    with serve(typed) as server:
        for kind in (City, Town, City, Town):
            agent(server, path).run("Which?", output=kind)
        assert len(server.requests) == 2


def test_another_address_is_asked_anew(path: Path) -> None:
    with serve(numbered) as one, serve(numbered) as other:
        agent(one, path).run("Hi?")
        agent(other, path).run("Hi?")
        agent(one, path).run("Hi?")
        assert (len(one.requests), len(other.requests)) == (1, 1)


def test_a_stream_is_replayed_as_the_same_events(path: Path) -> None:
    with serve(numbered) as server:
        texts = [[e.text for e in agent(server, path).stream("Hi?") if isinstance(e, TextDelta)] for _ in "12"]
        assert texts[0] == texts[1]
        assert len(texts[0]) == 2
        assert len(server.requests) == 1


def call_chunk(index: int, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": f"c{index}", "type": "function", "function": function}])


def test_tools_start_early_from_a_replayed_stream(path: Path) -> None:
    began: list[str] = []
    both = threading.Barrier(2, timeout=10)

    @tool(read_only=True)
    def read(page: str) -> str:
        """Read."""
        began.append(page)
        both.wait()
        time.sleep(0.05)  # long enough for a stream to be worth its cost
        return page

    def script(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["role"] == "tool":
            return streamed(delta(content="Done."), delta("stop"))
        both_calls = [call_chunk(index, "read", json.dumps({"page": str(index + 1)})) for index in range(2)]
        return streamed(*both_calls, delta("tool_calls"))

    with serve(script) as server:
        for _ in range(2):
            result = agent(server, path, tools=[read]).run("Read both.")
            assert [each.response for each in result.tool_calls] == ["1", "2"]
        assert sorted(began) == ["1", "1", "2", "2"]  # a tool runs each time
        assert len(server.requests) == 2


NOT_KEPT: dict[str, Answer] = {
    "400": Answer(b'{"error": {"message": "no"}}', status=400),
    "429": Answer(b'{"error": {"message": "slow down"}}', status=429),
    "500": Answer(b'{"error": {"message": "broken"}}', status=500),
    "error in a 200": Answer(b'{"error": {"message": "overloaded", "code": 503}}'),
    "no JSON": Answer(b"<html>busy</html>", content_type="text/html"),
    "empty": whole(""),
    "failed": whole("Half a", finish_reason="error"),
    "cut off": whole("Half a", finish_reason="length"),
    "filtered": whole("Half a", finish_reason="content_filter"),
    "broken body": replace(whole("Half a sentence"), cut=True),
    "broken stream": replace(streamed(delta(content="Half a"), done=False), cut=True),
    "stream without an end": streamed(delta(content="Half a"), done=False),
    "error in a stream": streamed(delta(content="Half a"), {"error": {"message": "broken", "code": 500}}),
    "cut off stream": streamed(delta(content="Half a"), delta("length")),
}


@pytest.mark.parametrize("answer", NOT_KEPT.values(), ids=NOT_KEPT.keys())
def test_what_is_not_complete_is_not_kept(answer: Answer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.middleware.retry.PAUSE", 0.0)
    is_streamed = "event-stream" in answer.content_type
    broken = [True]

    def script(asked: Asked) -> Answer:
        return answer if broken[0] else numbered(asked)

    with serve(script) as server:

        def output() -> str:
            one = agent(server, path)
            return str(last_of(one.stream("Hi?")).output if is_streamed else one.run("Hi?").output)

        with suppress(APIError):
            assert "Answer" not in output()
        broken[0] = False
        count = len(server.requests)
        for _ in range(2):
            assert "Answer" in output()
        assert len(server.requests) == count + 1


def test_a_reply_that_is_left_is_not_kept(path: Path) -> None:
    with serve(lambda asked: replace(numbered(asked), piece=40, pause=0.02)) as server:
        for event in agent(server, path).stream("Hi?"):
            if isinstance(event, TextDelta):
                break
        list(agent(server, path).stream("Hi?"))
        list(agent(server, path).stream("Hi?"))
        assert len(server.requests) == 2


def test_an_answer_that_is_not_of_the_schema_is_not_kept(path: Path) -> None:
    answers = iter([whole("I don't know"), whole('{"size": 5}'), whole('{"name": "Oslo"}')])
    with serve(lambda asked: next(answers)) as server:
        assert agent(server, path).run("Which?", output=City).output == City(name="Oslo")
        assert len(server.requests) == 3
        with closing(connect(path)) as database:
            assert database.execute("SELECT count(*) FROM kept").fetchone() == (1,)


def test_a_replayed_reply_has_its_usage_at_no_cost(path: Path) -> None:
    with serve(numbered) as server:
        prices = Prices(1_000_000, 1_000_000)
        runs = [agent(server, path, prices=prices).run("Hi?").usage for _ in "12"]
        assert [each.cost for each in runs] == [15.0, 0.0]
        assert [each.input_tokens for each in runs] == [12, 12]
        assert [each.requests for each in runs] == [1, 1]


def test_limits_end_a_replayed_run_where_they_ended_the_recorded_one(path: Path) -> None:
    def script(asked: Asked) -> Answer:
        call = ("look", {"place": str(len(asked.body["messages"]))})
        return calls(call) if asked.body.get("tools") else whole("Enough.")

    with serve(script) as server:
        limits = Limits(turns=3)
        first = agent(server, path, tools=[look], limits=limits).run("Look.")
        count = len(server.requests)
        again = agent(server, path, tools=[look], limits=limits).run("Look.")
        assert (first.stopped, again.stopped) == ("turns", "turns")
        assert first.messages == again.messages
        assert len(server.requests) == count


def test_16_threads_share_a_cache_and_a_file(path: Path) -> None:
    with serve(numbered) as server:
        shared = agent(server, path)
        answers: list[Any] = []

        def run(number: int) -> None:
            one = shared if number % 2 else agent(server, path)
            answers.append([one.run(f"Question {question}?").output for question in range(5)])

        threads = [threading.Thread(target=run, args=(number,)) for number in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert len(answers) == 16
        count = len(server.requests)
        assert count <= 80
        run(0)
        run(1)
        assert len(server.requests) == count


PROGRAM = """
import sys
from agentkit import Agent
from agentkit.backends.openai import OpenAIBackend
from agentkit.middleware.reply_cache import ReplyCache
print(Agent(OpenAIBackend("any", base_url=sys.argv[1]), middleware=[ReplyCache(sys.argv[2])]).run("Hi?").output)
"""


def test_another_process_has_the_replies(path: Path) -> None:
    with serve(numbered) as server:
        told = agent(server, path).run("Hi?").output
        command = [sys.executable, "-c", PROGRAM, server.url, str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.strip() == told
        assert len(server.requests) == 1


def test_a_reply_is_kept_as_long_as_was_said(path: Path) -> None:
    with serve(numbered) as server:
        backend = OpenAIBackend("any", base_url=server.url)
        brief = Agent(backend, middleware=[ReplyCache(path, seconds=0.3)])
        brief.run("Hi?")
        brief.run("Hi?")
        assert len(server.requests) == 1
        time.sleep(0.35)
        brief.run("Hi?")
        assert len(server.requests) == 2


def test_the_replies_that_were_not_used_go_first(path: Path) -> None:
    with serve(numbered) as server:
        backend = OpenAIBackend("any", base_url=server.url)
        body = len(numbered(Asked(b"", {}, {}, 0)).body)
        small = Agent(backend, middleware=[ReplyCache(path, max_bytes=3 * body + 10)])
        for question in "abcabdabc":  # c is dropped for d
            small.run(question)
        assert len(server.requests) == 5


def test_the_file_is_its_owners_and_has_no_key_and_no_question(path: Path) -> None:
    with serve(numbered) as server:
        backend = OpenAIBackend("any", base_url=server.url, api_key="sk-sentinel-123456")
        Agent(backend, middleware=[ReplyCache(path)]).run("The sentinel of the question?")
    content = b"".join(each.read_bytes() for each in path.parent.iterdir())
    assert b"Answer " in content
    assert b"sentinel" not in content
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_damaged_file_is_put_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"my notes, which are no database. " * 100)
    with serve(numbered) as server:
        for _ in range(2):
            agent(server, path).run("Hi?")
        assert len(server.requests) == 1
    assert b"my notes" in Path(f"{path}.damaged").read_bytes()
    assert "damaged" in caplog.text


def test_a_damaged_reply_is_asked_for_again(path: Path) -> None:
    with serve(numbered) as server:
        agent(server, path).run("Hi?")
        with closing(connect(path)) as database, database:
            database.execute("UPDATE kept SET content = ?", (b'{"choices": [{"mess',))
        assert "Answer" in agent(server, path).run("Hi?").output
        agent(server, path).run("Hi?")
        assert len(server.requests) == 2


@pytest.mark.skipif(os.name != "posix", reason="a folder without rights")
def test_where_nothing_can_be_written_the_agent_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with serve(numbered) as server:
        one = agent(server, tmp_path / "file" / "replies.db")
        assert "Answer" in one.run("Hi?").output
        assert "Answer" in one.run("Hi?").output
        assert len(server.requests) == 2
    assert sum("nothing is kept" in record.message for record in caplog.records) == 1


def test_a_damaged_reply_that_can_not_be_removed_is_asked_for_each_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(numbered) as server:
        agent(server, path).run("Hi?")
        with closing(connect(path)) as database, database:
            database.execute("UPDATE kept SET content = ?", (b'{"choices": [{"mess',))
            database.execute("CREATE TRIGGER stays BEFORE DELETE ON kept BEGIN SELECT RAISE(ABORT, 'read-only'); END")
        assert "Answer" in agent(server, path).run("Hi?").output
        assert len(server.requests) == 2


@pytest.mark.skipif(os.name != "posix", reason="a folder without rights")
def test_what_a_file_has_that_can_not_be_written_is_replayed() -> None:
    with TemporaryDirectory() as folder, serve(numbered) as server:
        path = Path(folder) / "replies.db"
        told = agent(server, path).run("Hi?").output
        path.chmod(0o444)
        Path(folder).chmod(0o555)

        def ask_without_rights() -> list[Any]:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            return [agent(server, path).run(question).output for question in ("Hi?", "Hi?", "Ho?", "Ho?")]

        answers = in_child(ask_without_rights)
        assert answers[:2] == [told, told]
        assert len({*answers}) == 3
        assert len(server.requests) == 3
        Path(folder).chmod(0o755)


def test_lightllm_is_replayed_whole_and_streamed(path: Path) -> None:
    said = iter(range(100))
    with serve_lightllm(lambda asked: Says(f"Answer {next(said)}")) as server:

        def one() -> Agent:
            return Agent(LightLLMBackend("qwen3", base_url=server.url), middleware=[ReplyCache(path)])

        assert [one().run("Hi?").output for _ in "12"] == ["Answer 0"] * 2
        pieces = [[e.text for e in one().stream("Hi?") if isinstance(e, TextDelta)] for _ in "12"]
        assert pieces[0] == pieces[1]
        assert "".join(pieces[0]) == "Answer 1"
        assert one().run("Ho?").output == "Answer 2"


def test_vlmrun_is_replayed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLMRUN_API_KEY", "vlm-key-123")
    with serve(numbered) as server:
        url = server.url.removesuffix("/v1")
        for _ in range(2):
            with Agent(f"vlmrun:vlm-1@{url}", middleware=[ReplyCache(path)]) as one:
                one.run("Hi?")
        assert len(server.requests) == 1


def test_a_request_without_what_the_server_refuses_is_kept(path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if "stream_options" in asked.body:
            return Answer(b'{"error": {"message": "unknown field stream_options"}}', status=400)
        return numbered(asked)

    with serve(script) as server:
        texts = [last_of(agent(server, path).stream("Hi?")).output for _ in "12"]
        assert texts[0] == texts[1]
        assert len(server.requests) == 3  # what is refused is asked for again by each new backend


def test_a_backend_without_requests_works_and_is_named_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Agent(ScriptedBackend("a", "b"), middleware=[ReplyCache(path)])
    with caplog.at_level(logging.WARNING):
        assert [one.run("Hi?").output, one.run("Hi?").output] == ["a", "b"]
    assert sum("keeps nothing of ScriptedBackend" in record.message for record in caplog.records) == 1


def test_a_recording_of_tests_works_with_it(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("vcr")
    from agentkit.testing import recorded

    cassette = tmp_path / "hi.yaml"
    with serve(numbered) as server:
        with recorded(cassette, mode="once"):
            told = agent(server, path).run("Hi?").output
        assert len(server.requests) == 1
        other = path.with_name("other.db")
        with recorded(cassette):
            assert agent(server, other).run("Hi?").output == told
        assert agent(server, other).run("Hi?").output == told  # from the file
        assert len(server.requests) == 1


def test_an_agent_that_has_one_can_be_pickled_and_copied(path: Path) -> None:
    cache = ReplyCache(path, seconds=60)
    assert repr(cache) == "ReplyCache('replies.db', seconds=60)"
    assert copy.deepcopy(cache) is cache
    assert repr(pickle.loads(pickle.dumps(cache))) == repr(cache)
    one = Agent("extractive", middleware=[cache])
    assert pickle.loads(pickle.dumps(one)).run("Hi?").stopped


@pytest.mark.parametrize(
    "make",
    [
        lambda path: ReplyCache(""),
        lambda path: ReplyCache(":memory:"),
        lambda path: ReplyCache("redis://localhost"),
        lambda path: ReplyCache(5),  # type: ignore[arg-type]
        lambda path: ReplyCache(path),
        lambda path: ReplyCache(path / "a", seconds=0),
        lambda path: ReplyCache(path / "a", seconds=float("nan")),
        lambda path: ReplyCache(path / "a", seconds=True),
        lambda path: ReplyCache(path / "a", max_bytes=-1),
        lambda path: ReplyCache(path / "a", max_bytes=float("inf")),  # type: ignore[arg-type]
    ],
    ids=["empty", "memory", "url", "number", "folder", "zero", "nan", "bool", "negative", "infinite"],
)
def test_what_can_not_be_a_cache_is_an_error(make: Callable[[Path], ReplyCache], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ReplyCache"):
        make(tmp_path)
