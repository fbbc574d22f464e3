"""The examples run unchanged, without API key or network access."""

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import forked_cli

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_example(name: str, *arguments: str) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "AGENTKIT_MODEL"}
    done = subprocess.run(
        [*forked_cli.command(), str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_research_assistant_answers_with_its_sources() -> None:
    printed = run_example("research_assistant.py", "How many seconds slow was H4 after the voyage to Jamaica?")
    assert "5.1 seconds" in printed
    assert "Sources:\n[1]" in printed
    assert "search_documents" in printed


def test_a_custom_tool_is_called_with_python_values() -> None:
    printed = run_example("custom_tool.py")
    assert '-> ["Nansen"]' in printed
    assert "Nansen is booked for Tuesday, 01 December 2026." in printed
    assert "Booking(room='Nansen', day=datetime.date(2026, 12, 1), people=12)" in printed


def test_one_agent_answers_many_questions_in_a_thread_pool() -> None:
    printed = run_example("thread_pool.py")
    assert printed.count("Sources:") == 4
    assert "20,000" in printed


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("AGENTKIT_MODEL", raising=False)
    specification = importlib.util.spec_from_file_location("flask_app", EXAMPLES / "flask_app.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.create_app().test_client()


def test_an_agent_answers_in_a_flask_handler(client: Any) -> None:
    answered = client.post("/ask", json={"question": "What did the Longitude Act of 1714 offer?"})
    assert answered.status_code == 200
    assert "20,000" in answered.json["answer"]
    assert [step["tool"] for step in answered.json["looked_at"]] == ["search_documents", "read_document"]


def test_an_invalid_question_is_an_error_of_the_client(client: Any) -> None:
    answered = client.post("/ask", data="not json")
    assert answered.status_code == 400
    assert "prompt is empty" in answered.json["error"]
