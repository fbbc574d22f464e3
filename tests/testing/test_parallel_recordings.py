"""What threads send at the same time is recorded whole, and replayed without a server."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.testing import recorded
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed, whole

AT_ONCE = 8
TIMES = 6


def ask(url: str, question: str, model: str = "m", **options: Any) -> str:
    """A question through a client of its own, and so through a connection of its own."""
    backend = OpenAIBackend(model, base_url=url, max_retries=0)
    try:
        run = Agent(backend, **options).stream(question)  # `run` streams or not by how long tools take
        for _ in run:
            pass
        assert run.result is not None
        return str(run.result.output)
    finally:
        backend.close()


def ask_with_requests(url: str, question: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": question}]}
    answer = requests.post(f"{url}/chat/completions", json=body, timeout=10).json()
    return str(answer["choices"][0]["message"]["content"])


def in_threads(asking: Callable[[str], str], questions: list[str]) -> list[str]:
    """The answers in the order of the questions; what a thread raises is an answer too."""
    answers = [""] * len(questions)
    begin = threading.Barrier(len(questions))

    def answer(place: int) -> None:
        begin.wait()
        try:
            answers[place] = asking(questions[place])
        except Exception as error:  # noqa: BLE001
            answers[place] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=answer, args=(place,)) for place in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def echo(asked: Asked) -> Answer:
    return whole(f"Answer to {asked.body['messages'][-1]['content']}")


def is_recorded(file: Path, question: str) -> bool:
    return f"Answer to {question}" in file.read_text()


@pytest.mark.parametrize("asking", [ask, ask_with_requests])
def test_requests_in_threads_are_all_recorded_and_replayed(tmp_path: Path, asking: Callable[[str, str], str]) -> None:
    questions = [f"q{number}" for number in range(AT_ONCE)]
    expected = [f"Answer to {question}" for question in questions]
    for round_ in range(TIMES):
        file = tmp_path / f"{round_}.yaml"
        with serve(echo) as server:
            with recorded(file, mode="once"):
                assert in_threads(lambda question: asking(server.url, question), questions) == expected
            assert [question for question in questions if not is_recorded(file, question)] == []
            sent = len(server.requests)
            with recorded(file, mode="none") as cassette:
                assert in_threads(lambda question: asking(server.url, question), questions) == expected
                assert cassette.all_played
            assert len(server.requests) == sent


def test_a_run_with_parallel_calls_that_ask_models_is_recorded_whole(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.body["model"] == "inner":
            return echo(asked)
        if asked.body["messages"][-1]["role"] == "tool":
            return whole("Done.")
        return calls(*(("look_up", {"topic": f"t{number}"}) for number in range(AT_ONCE)))

    with serve(answer) as server:

        @tool(read_only=True)
        def look_up(topic: str) -> str:
            """Look something up."""
            return ask(server.url, topic, "inner")

        for round_ in range(TIMES):
            file = tmp_path / f"{round_}.yaml"
            with recorded(file, mode="once"):
                assert ask(server.url, "Go.", tools=[look_up]) == "Done."
            sent = len(server.requests)
            with recorded(file, mode="none"):
                assert ask(server.url, "Go.", tools=[look_up]) == "Done."
            assert len(server.requests) == sent


def test_equal_requests_in_threads_get_a_recorded_response_each(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    answers = [whole(f"{number}.") for number in range(AT_ONCE)]
    with serve(answers) as server, recorded(file, mode="once"):
        [ask(server.url, "Go.") for _ in range(AT_ONCE)]
    for _ in range(TIMES):
        with recorded(file):
            said = in_threads(lambda question: ask(server.url, question), ["Go."] * AT_ONCE)
            assert sorted(said) == [f"{number}." for number in range(AT_ONCE)]


def test_of_equal_requests_in_threads_those_without_a_response_are_told(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    with serve([whole("One.")]) as server, recorded(file, mode="once"):
        ask(server.url, "Go.")
    with recorded(file):
        said = in_threads(lambda question: ask(server.url, question), ["Go."] * 3)
    assert "One." in said
    assert sum("replayed already" in each for each in said) == 2


def test_a_client_in_use_when_a_recording_begins_goes_on_with_its_connection(tmp_path: Path) -> None:
    held = threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.body["messages"][-1]["content"] == "first":
            held.wait(10)
        return echo(asked)

    with serve(answer) as server:
        before: list[str] = []
        thread = threading.Thread(target=lambda: before.append(ask(server.url, "first")))
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        with recorded(tmp_path / "run.yaml", mode="once"):
            held.set()
            thread.join()
            assert ask(server.url, "second") == "Answer to second"
        assert before == ["Answer to first"]


@pytest.mark.parametrize(("recorded_with", "replayed_with"), [(0.4, 0.0), (0.0, 0.4)])
def test_a_recording_is_replayed_however_long_the_tools_take_now(
    tmp_path: Path, recorded_with: float, replayed_with: float
) -> None:
    """`run` has replies streamed where the tools are slow enough to gain from it."""
    seconds = recorded_with

    @tool(read_only=True)
    def look() -> str:
        """Look."""
        time.sleep(seconds)
        return "seen"

    def run(url: str) -> list[str]:
        backend = OpenAIBackend("m", base_url=url, max_retries=0)
        agent = Agent(backend, tools=[look])
        try:
            return [agent.run(question).output for question in ("one", "two", "three")]
        finally:
            backend.close()

    streams = []

    def reply(asked: Asked) -> Answer:
        is_streamed = bool(asked.body.get("stream"))
        streams.append(is_streamed)
        if asked.body["messages"][-1]["role"] == "user":
            return calls(("look", {}))
        return streamed(delta("stop", content="done")) if is_streamed else whole("done")

    file = tmp_path / "cassette.yaml"
    with serve(reply) as server:
        url = server.url
        with recorded(file, mode="once"):
            assert run(url) == ["done"] * 3
    seconds, first = replayed_with, list(streams)
    with recorded(file, mode="none"):
        assert run(url) == ["done"] * 3
    assert streams == first  # nothing was sent
