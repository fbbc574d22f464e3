"""Record and replay for users' tests: both HTTP libraries, streams, no secrets, and a message with the difference."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, ConfigurationError, ToolError, fetch, tool
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.event import TextDelta
from agentkit.testing import CassetteError, ScriptedBackend, recorded
from agentkit.testing.cassette import difference
from agentkit.tooling.outcome import failures_watched_by
from tests.support.lightllm_server import Says, serve_lightllm
from tests.support.model_server import calls, delta, serve, streamed, whole

ROOT = Path(__file__).parents[2]
KEY = "sk-very-secret-0123456789"


@tool
def look_up(topic: str) -> str:
    """Look something up."""
    return f"All about {topic}."


def ask(url: str, question: str = "Go.", **options: Any) -> str:
    backend = OpenAIBackend("m", base_url=url, api_key=KEY, max_retries=0, **options)
    try:
        return str(Agent(backend, tools=[look_up]).run(question).output)
    finally:
        backend.close()


def test_a_recording_is_replayed_without_the_server(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    with serve([calls(("look_up", {"topic": "x"})), whole("Done.")]) as server, recorded(file, mode="once"):
        assert ask(server.url) == "Done."
    with recorded(file) as cassette:
        assert ask(server.url) == "Done."  # the server is gone
        assert cassette.all_played


def test_streams_are_replayed_as_streams(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"

    def pieces(url: str) -> list[str]:
        backend = OpenAIBackend("m", base_url=url, max_retries=0)
        texts = [event.text for event in Agent(backend).stream("Go.") if isinstance(event, TextDelta)]
        backend.close()
        return texts

    with serve([streamed(delta(content="One "), delta(content="two."), delta("stop"))]) as server:
        with recorded(file, mode="once"):
            assert pieces(server.url) == ["One ", "two."]
    with recorded(file):
        assert pieces(server.url) == ["One ", "two."]


@pytest.mark.parametrize("stream", [False, True])
def test_requests_through_the_other_library_are_recorded_too(tmp_path: Path, stream: bool) -> None:
    file = tmp_path / "run.yaml"

    def answer(url: str) -> str:
        backend = LightLLMBackend("Qwen3-8B", url, api_key=KEY)
        try:
            if stream:
                return "".join(event.text for event in Agent(backend).stream("Go.") if isinstance(event, TextDelta))
            return str(Agent(backend).run("Go.").output)
        finally:
            backend.close()

    with serve_lightllm([Says("Done.")]) as server, recorded(file, mode="once"):
        assert answer(server.url) == "Done."
    with recorded(file):
        assert answer(server.url) == "Done."
    assert KEY not in file.read_text()


def test_secrets_are_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_SERVICE_TOKEN", "token-of-some-service")
    file = tmp_path / "run.yaml"
    answer = whole(f"Your key is {KEY}, the token token-of-some-service, the word is hunter22.")
    with serve([answer]) as server, recorded(file, mode="once", secrets=[KEY, "hunter22"]):
        ask(server.url + "?api_key=abcdef", "My token is token-of-some-service.")
    kept = file.read_text()
    for secret in (KEY, "token-of-some-service", "hunter22", "abcdef", "Authorization", "authorization"):
        assert secret not in kept, secret
    with recorded(file, secrets=[KEY, "hunter22"]):
        assert "SECRET" in ask(server.url + "?api_key=other", "My token is token-of-some-service.")


@pytest.mark.parametrize(
    "name",
    ["OPENAI_APIKEY", "SESSION_COOKIE", "GOOGLE_CREDENTIALS", "AUTHORIZATION", "PGPASSWORD", "SSH_KEY", "MY_AUTH"],
)
def test_the_environments_secrets_are_not_recorded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "value-of-the-variable")
    file = tmp_path / "run.yaml"
    with serve([whole("It is value-of-the-variable.")]) as server, recorded(file, mode="once"):
        ask(server.url, "Is it value-of-the-variable?")
    assert "value-of-the-variable" not in file.read_text()


def test_the_folder_in_which_a_test_runs_is_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PWD", "/home/somebody")
    file = tmp_path / "run.yaml"
    with serve([whole("It is /home/somebody.")]) as server, recorded(file, mode="once"):
        ask(server.url)
    assert "/home/somebody" in file.read_text()


def test_a_request_that_differs_names_the_first_field(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    with serve([whole("Done.")]) as server, recorded(file, mode="once"):
        ask(server.url, "How deep is the sea?")
    message = r'run.yaml: body.messages\[0\].content was "How deep.*and is "How high'
    with pytest.raises(CassetteError, match=message), recorded(file):
        ask(server.url, "How high is the sky?")
    with pytest.raises(CassetteError, match=r"body.temperature is new"), recorded(file):
        ask(server.url, "How deep is the sea?", temperature=0.5)


def test_one_request_too_many_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    with serve([whole("Done.")]) as server, recorded(file, mode="once"):
        ask(server.url)
    with recorded(file) as cassette:
        ask(server.url)
        assert cassette.all_played
    with pytest.raises(CassetteError, match="replayed already"), recorded(file):
        [ask(server.url) for _ in range(2)]


def test_modes_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "run.yaml"
    with pytest.raises(ConfigurationError, match="AGENTKIT_RECORD=once"), recorded(file):
        pass
    monkeypatch.setenv("AGENTKIT_RECORD", "once")
    with serve([whole("One."), whole("Two.")]) as server:
        with recorded(file):
            assert ask(server.url) == "One."
        with recorded(file):
            assert ask(server.url) == "One."  # from the file
        monkeypatch.setenv("AGENTKIT_RECORD", "all")
        with recorded(file):
            assert ask(server.url) == "Two."
        monkeypatch.setenv("AGENTKIT_RECORD", "new")
        with recorded(file):
            assert ask(server.url, "Something else.") == "Two."
    monkeypatch.setenv("AGENTKIT_RECORD", "sometimes")
    with pytest.raises(ConfigurationError, match="must be one of"), recorded(file):
        pass


def test_other_errors_are_unchanged(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), recorded(tmp_path / "run.yaml", mode="once"):
        raise ValueError("mine")


def run_tests(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    more = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment}
    return subprocess.run(command, cwd=folder, env={**os.environ, **more}, capture_output=True, text=True, check=False)


def test_the_fixture_records_next_to_the_test(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["agentkit.testing.pytest_plugin"]\n')
    with serve([whole("Done.")]) as server:
        (tmp_path / "test_mine.py").write_text(
            "from agentkit import Agent\n"
            "def test_an_answer(recording):\n"
            f"    with Agent('openai:m@{server.url}') as agent:\n"
            "        assert agent.run('Go.').output == 'Done.'\n"
        )
        assert "does not exist: record it with" in run_tests(tmp_path).stdout
        assert run_tests(tmp_path, AGENTKIT_RECORD="once").returncode == 0
    assert (tmp_path / "cassettes" / "test_mine" / "test_an_answer.yaml").exists()
    assert run_tests(tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("then", "now", "sentence"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1}, {"a": 2}, "a was 1 and is 2"),
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "y"}]}, 'a[1].b was "x" and is "y"'),
        ({"a": [1]}, {"a": [1, 2]}, "a[1] is new"),
        ({"a": [1, 2]}, {"a": [1]}, "a[1] is missing now"),
        ({"a": 1}, {}, "a is missing now"),
        ({}, {"b": 1}, "b is new"),
        ({"a": None}, {"a": 0}, "a was null and is 0"),
    ],
)
def test_the_first_difference_is_named(then: Any, now: Any, sentence: str | None) -> None:
    assert difference(then, now) == sentence


def test_pages_are_recorded_too(tmp_path: Path, site: Any) -> None:
    url = f"{site.url}/article"
    with recorded(tmp_path / "page.yaml", mode="once"):
        first = fetch(url, allow=[site.address])
    with recorded(tmp_path / "page.yaml"):
        assert fetch(url, allow=[site.address]).content == first.content


def test_the_difference_is_that_from_the_next_exchange_of_the_recording(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    with serve([whole("One."), whole("Two."), whole("Three.")]) as server, recorded(file, mode="once"):
        for question in ("First?", "Second?", "Third?"):
            ask(server.url, question)
    with pytest.raises(CassetteError, match=r'content was "Third\?" and is "Fourth\?"'), recorded(file):
        [ask(server.url, question) for question in ("First?", "Second?", "Fourth?")]


def test_a_missing_request_that_a_tool_has_failed_with_is_reported_at_the_end(tmp_path: Path, site: Any) -> None:
    file = tmp_path / "run.yaml"

    @tool
    def read(name: str) -> str:
        """Read a page."""
        return fetch(f"{site.url}/{name}", allow=[site.address]).text

    with recorded(file, mode="once"):
        read.function("article")
    agent = Agent(ScriptedBackend(("read", {"name": "other"}), "I could not read it."), tools=[read])
    with pytest.raises(CassetteError, match=r"/article.*and is.*/other"), recorded(file):
        agent.run("Read it.")
    agent = Agent(ScriptedBackend(("read", {"name": "other"}), "It failed."), tools=[read])
    with pytest.raises(ValueError, match="literal") as raised, recorded(file):
        int(str(agent.run("Read it.").output))
    assert "not in the recording" in raised.value.__notes__[0]


@pytest.mark.parametrize("how", ["from error", "from None", "in a ToolError", "caught"])
def test_a_missing_request_is_reported_also_where_the_tool_has_wrapped_it(tmp_path: Path, site: Any, how: str) -> None:
    file = tmp_path / "run.yaml"

    @tool
    def read(name: str) -> str:
        """Read a page."""
        try:
            return fetch(f"{site.url}/{name}", allow=[site.address]).text
        except AssertionError as error:
            if how == "caught":
                return "There is no such page."
            kind = ToolError if how == "in a ToolError" else RuntimeError
            raise kind("the page can't be read") from (None if how == "from None" else error)

    with recorded(file, mode="once"):
        read.function("article")
    agent = Agent(ScriptedBackend(("read", {"name": "other"}), "I could not read it."), tools=[read])
    reported: Any = (
        nullcontext() if how == "caught" else pytest.raises(CassetteError, match=r"/article.*and is.*/other")
    )
    with reported, recorded(file):
        agent.run("Read it.")
    assert not failures_watched_by


TESTS = """
import pytest
from agentkit import Agent

def ask(question):
    with Agent("openai:m@URL") as agent:
        assert agent.run(question).output == "About " + question

class TestFirst:
    def test_it(self, recording):
        ask("one")

class TestSecond:
    def test_it(self, recording):
        ask("two")

@pytest.mark.parametrize("name", ["a/b", "a b", "日本", "中国", "é" * 40, "x" * 90 + " 1", "x" * 90 + " 2"], ids=str)
@pytest.mark.parametrize("more", ["y" * 90], ids=str)
def test_named(recording, name, more):
    ask(name)
"""


def test_no_two_tests_share_a_recording(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["agentkit.testing.pytest_plugin"]\n')

    def answered(asked: Any) -> Any:
        return whole(f"About {asked.body['messages'][-1]['content']}")

    with serve(answered) as server:
        (tmp_path / "test_mine.py").write_text(TESTS.replace("URL", server.url), encoding="utf-8")
        recording = run_tests(tmp_path, AGENTKIT_RECORD="once")
        assert recording.returncode == 0, recording.stdout
    names = {path.name for path in (tmp_path / "cassettes" / "test_mine").iterdir()}
    assert {"TestFirst.test_it.yaml", "TestSecond.test_it.yaml"} < names
    assert len(names) == 9
    assert run_tests(tmp_path).returncode == 0
    (tmp_path / "test_mine.py").write_text(TESTS.replace("URL", server.url).replace('"one"', '"three"'))
    failed = run_tests(tmp_path).stdout
    assert 'content was "one" and is "three"' in failed
    assert "1 failed, 8 passed" in failed  # and no error beside it


def test_a_recording_under_its_earlier_name_is_used(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["agentkit.testing.pytest_plugin"]\n')
    with serve([whole("About one")]) as server:
        mine = TESTS.partition("class TestSecond")[0].replace("URL", server.url)
        (tmp_path / "test_mine.py").write_text(mine)
        assert run_tests(tmp_path, AGENTKIT_RECORD="once").returncode == 0
    folder = tmp_path / "cassettes" / "test_mine"
    (folder / "TestFirst.test_it.yaml").rename(folder / "test_it.yaml")
    assert run_tests(tmp_path).returncode == 0
