"""Recordings of evaluations: replayed without key, network and model, and never for another request."""

import errno
import json
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentkit import Agent, ConfigurationError, tool
from agentkit.batch.append_file import AppendFile
from agentkit.cli import app
from agentkit.evaluation import evaluate
from agentkit.middleware.reply_cache import ReplyCache
from tests.evaluation.capitals import knows, lines, question_of, written
from tests.support.model_server import Answer, Asked, calls, serve, whole

SECRET = "sk-secret-0123456789abcdef"


def agentkit(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["eval", *map(str, arguments), "-q"])


def means(found: Any) -> dict[str, float]:
    return {name: each.mean for name, each in found.first.summaries.items()}


class Sometimes:
    """Answers each question differently each time it is asked."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()

    def __call__(self, asked: Asked) -> Answer:
        question = question_of(asked)
        with self.lock:
            self.asked[question] += 1
            times = self.asked[question]
        return knows()(asked) if times % 2 else whole(f"I don't know, for the {times}th time.")


def test_a_recording_is_replayed_without_a_key_and_without_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, folder = written(tmp_path / "capitals.jsonl", lines(6)), tmp_path / "recorded"
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serve(Sometimes()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        recorded = agentkit(given, "-m", "openai:tiny", "--no-tools", "--repeat", 3, "--record", folder)
    assert recorded.exit_code == 0, recorded.output
    monkeypatch.delenv("OPENAI_API_KEY")
    replayed = agentkit(given, "-m", "openai:tiny", "--no-tools", "--repeat", 3, "--replay", folder)
    assert replayed.exit_code == 0, replayed.output
    assert "contains  66.7 %" in replayed.stdout
    assert replayed.stdout.splitlines()[:4] == recorded.stdout.splitlines()[:4]
    more = agentkit(given, "-m", "openai:tiny", "--no-tools", "--repeat", 4, "--replay", folder)
    assert more.exit_code == 2
    assert "recorded for fewer repeats or requests (this is repeat 4" in " ".join(more.stderr.split())


def test_no_key_and_no_address_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    rows = [{"question": f"Is {SECRET} my key?", "checks": ["contains: yes"]}]
    with serve([whole(f"yes, {SECRET}; also " + '{"api_key": "hunter22hunter22"}')]) as server:
        evaluate(Agent(f"openai:tiny@{server.url}"), rows, record=tmp_path)
    kept = "".join(each.read_text(encoding="utf-8") for each in tmp_path.iterdir())
    assert "yes, SECRET" in kept
    assert SECRET not in kept
    assert "hunter22" not in kept
    assert "127.0.0.1" not in kept


def test_a_word_that_is_a_secret_here_hides_no_recorded_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"question": f"Is {word} a word?", "checks": ["contains: yes"]} for word in ("replayed", "postgres")]
    given, folder = written(tmp_path / "words.jsonl", rows), tmp_path / "recorded"
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serve(lambda asked: whole("yes")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        assert agentkit(given, "-m", "openai:tiny", "--no-tools", "--record", folder).exit_code == 0
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    replayed = agentkit(given, "-m", "openai:tiny", "--no-tools", "--replay", folder, "--min", "contains>=1")
    assert replayed.exit_code == 0, replayed.output


def test_a_secret_in_a_request_may_be_another_where_it_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @tool(read_only=True)
    def look() -> str:
        """Look."""
        return f"The token is {os.environ['SERVICE_TOKEN']}."

    def answer(asked: Asked) -> Answer:
        last = asked.body["messages"][-1]
        return whole(f"It says: {last['content']}") if last["role"] == "tool" else calls(("look", {}))

    rows = [{"question": f"Look, {name}.", "checks": ["contains: The token is"]} for name in ("Ann", "Bob")]
    with serve(answer) as server:
        agent = Agent(f"openai:tiny@{server.url}", tools=[look])
        monkeypatch.setenv("SERVICE_TOKEN", "tok-one-0123456789")
        evaluate(agent, rows, record=tmp_path, repeat=2)
        monkeypatch.setenv("SERVICE_TOKEN", "tok-two-9876543210")
        asked = len(server.requests)
        assert means(evaluate(agent, rows, replay=tmp_path, repeat=2)) == {"contains": 1.0}
        assert len(server.requests) == asked
        before = [json.loads(line) for line in (tmp_path / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()]
        old = [{**each, **each.pop("without_secrets", {})} for each in before]  # as it was written by 0.2
        assert old != before
        written(tmp_path / "exchanges.jsonl", old)
        assert means(evaluate(agent, rows, replay=tmp_path, repeat=2)) == {"contains": 1.0}


def test_a_changed_prompt_is_told_and_not_answered_from_the_old(tmp_path: Path) -> None:
    with serve(knows()) as server:
        name = f"openai:tiny@{server.url}"
        evaluate(Agent(name, instructions="Be brief."), lines(5), record=tmp_path)
        with pytest.raises(
            ConfigurationError, match=r"5 requests are not in the recording .*: messages\[0\] \(system\) is"
        ):
            evaluate(Agent(name, instructions="Be kind."), lines(5), replay=tmp_path)
        with pytest.raises(ConfigurationError, match=r"model is another than when it was recorded"):
            evaluate(Agent(f"openai:big@{server.url}", instructions="Be brief."), lines(5), replay=tmp_path)
        assert len(server.requests) == 5


def test_runs_with_tools_are_replayed_request_by_request(tmp_path: Path) -> None:
    looked: list[str] = []

    @tool(read_only=True)
    def look(place: str) -> str:
        """Look at a place."""
        looked.append(place)
        return f"{place} is {len(place)} letters long."

    def answer(asked: Asked) -> Answer:
        last = asked.body["messages"][-1]
        if last["role"] == "tool":
            return whole(f"It says: {last['content']}")
        return calls(("look", {"place": question_of(asked)}))

    rows = [
        {"question": word, "checks": [{"check": "called", "tool": "look"}, f"contains: {len(word)} letters"]}
        for word in ("Rome", "Athens", "Cairo")
    ]
    with serve(answer) as server:
        agent = Agent(f"openai:tiny@{server.url}", tools=[look])
        first = evaluate(agent, rows, record=tmp_path)
        asked = len(server.requests)
        second = evaluate(agent, rows, replay=tmp_path)
        assert len(server.requests) == asked == 6
    assert means(first) == means(second) == {"called": 1.0, "contains": 1.0}
    assert len(looked) == 6


def test_what_a_server_refuses_for_a_while_is_not_recorded(tmp_path: Path) -> None:
    answers = [Answer(b"{}", status=429, headers={"retry-after": "0"}), Answer(b"{}", status=503), whole("City 0")]
    with serve(answers) as server:
        agent = Agent(f"openai:tiny@{server.url}")
        evaluate(agent, lines(1), record=tmp_path)
        assert len(server.requests) == 3
        assert means(evaluate(agent, lines(1), replay=tmp_path)) == {"contains": 1.0}
        assert len(server.requests) == 3


def test_a_recording_goes_on_and_the_last_answer_to_a_request_counts(tmp_path: Path) -> None:
    with serve([whole("no idea")]) as server:
        evaluate(Agent(f"openai:tiny@{server.url}"), lines(2), record=tmp_path)
    with serve(knows()) as server:
        agent = Agent(f"openai:tiny@{server.url}")
        evaluate(agent, lines(4), record=tmp_path)
        assert means(evaluate(agent, lines(4), replay=tmp_path)) == {"contains": 1.0}
    file = tmp_path / "exchanges.jsonl"
    file.write_bytes(file.read_bytes() + b'{"torn": ')
    assert means(evaluate(agent, lines(4), replay=tmp_path)) == {"contains": 1.0}
    renamed = [{**each, "id": f"new-{each['id']}"} for each in lines(4)]
    assert means(evaluate(agent, renamed, replay=tmp_path)) == {"contains": 1.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no recording: make one with --record"),
        ("[]\n", "line 1 is no exchange"),
        ("{\n", "line 1 is no exchange"),
    ],
    ids=["none", "another", "broken"],
)
def test_a_folder_that_is_no_recording_is_refused(content: str | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "exchanges.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        evaluate(Agent("extractive"), lines(1), replay=tmp_path)
    with pytest.raises(ConfigurationError, match="exclude each other"):
        evaluate(Agent("extractive"), lines(1), replay=tmp_path, record=tmp_path)


def test_repeats_are_not_answered_from_one_cached_reply(tmp_path: Path) -> None:
    """promptfoo/promptfoo#360: the cache of the agent keeps the reply of each repeat apart."""
    sometimes = Sometimes()
    with serve(sometimes) as server:
        agent = Agent(f"openai:tiny@{server.url}", middleware=[ReplyCache(tmp_path / "replies.db")])
        first = evaluate(agent, lines(3), repeat=2)
        assert len(server.requests) == 6
        assert means(first) == {"contains": 0.5}
        assert means(evaluate(agent, lines(3), repeat=2)) == {"contains": 0.5}
        assert len(server.requests) == 6


def test_a_recording_has_one_line_for_each_exchange(tmp_path: Path) -> None:
    with serve(knows()) as server:
        evaluate(Agent(f"openai:tiny@{server.url}"), lines(3), repeat=2, record=tmp_path)
    made = [json.loads(line) for line in (tmp_path / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted((each["id"], each["repeat"], each["nth"]) for each in made) == [
        (f"c{place}", repeat, 1) for place in range(3) for repeat in (1, 2)
    ]
    assert len({each["key"] for each in made}) == 3


def test_a_full_disk_ends_the_recording_and_sends_no_request_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the error of the file was taken for a broken connection: 129 requests for 10 questions, and a wrong score
    append = AppendFile.append

    def appended(self: AppendFile, data: bytes) -> int:
        if self.path.name == "exchanges.jsonl" and self.size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return append(self, data)

    monkeypatch.setattr(AppendFile, "append", appended)
    out, recording = tmp_path / "answers.jsonl", tmp_path / "recorded"
    with serve(knows()) as server:
        questions = written(tmp_path / "q.jsonl", lines(40))
        asked = (questions, "-m", f"openai:tiny@{server.url}", "--no-tools", "--record", recording, "-o", out)
        ended = agentkit(*asked, "--at-once", 2)
        answered = [json.loads(line) for line in out.read_text().splitlines()]
        assert (ended.exit_code, len(server.requests)) == (5, len(answered))
    assert "can't be written: No space left on device: make room, and record again in an empty folder" in ended.output
    assert len(answered) < 40
    assert all(each["ok"] for each in answered)
    assert len((recording / "exchanges.jsonl").read_bytes().splitlines()) == 1


def test_a_line_that_a_kill_has_torn_does_not_spoil_those_recorded_later(tmp_path: Path) -> None:
    with serve(knows()) as server:
        agent = Agent(f"openai:tiny@{server.url}")
        evaluate(agent, lines(2), record=tmp_path)
        file = tmp_path / "exchanges.jsonl"
        file.write_bytes(file.read_bytes() + b'{"id": "c9", "key": "')
        evaluate(agent, lines(4), record=tmp_path)
        assert evaluate(agent, lines(4), replay=tmp_path).first.summaries["contains"].mean == 1
