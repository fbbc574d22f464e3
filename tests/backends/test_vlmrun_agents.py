"""VLMRun's `agent.create`, `execute`, `get`, `get_by_id` and `list`: VLM Run's own routes over HTTP."""

import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from agentkit import ConfigurationError, VLMRun
from agentkit.errors import DependencyError
from tests.support.model_server import QuietServer, running
from tests.support.vlmrun_gate import KEY

AGENT = {
    "id": "a-1",
    "name": "invoices",
    "version": "v2",
    "prompt": "Read it.",
    "created_at": "2026-05-01T05:31:56Z",
    "status": "completed",
    "new_field": {"x": 1},
}
RUN = {
    "id": "e-1",
    "name": "invoices",
    "status": "completed",
    "created_at": "2026-05-01T05:31:56Z",
    "response": {"total": 7},
    "usage": {"credits_used": 3, "element_type": "page"},
}


class Total(BaseModel):
    total: int


@contextmanager
def agents(answer: Any, status: int = 200) -> Iterator[tuple[VLMRun, list[tuple[str, str, Any]]]]:
    """A client of a server that gives one answer, and what it was asked: method, path, JSON."""
    seen: list[tuple[str, str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            seen.append((self.command, self.path, json.loads(raw) if raw else None))
            known = self.headers["authorization"] == f"Bearer {KEY}"
            body = json.dumps(answer).encode()
            self.send_response(status if known else 401)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            """Do not log."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    with running(server), VLMRun(api_key=KEY, base_url=f"http://127.0.0.1:{server.server_port}/v1") as client:
        assert client.api_key == KEY
        yield client, seen


def test_an_agent_is_found_by_name_id_or_prompt() -> None:
    with agents(AGENT) as (client, seen):
        found = client.agent.get(name="invoices:v2")
        client.agent.get(id="a-1")
        client.agent.get(prompt="Read it.")
        client.agent.get_by_id("a/1?x")
    assert (found.id, found.name, found.version, found.status) == ("a-1", "invoices", "v2", "completed")
    assert found.created_at is not None
    assert (found.created_at.year, found.new_field) == (2026, {"x": 1})  # type: ignore[attr-defined]
    assert seen == [
        ("POST", "/v1/agent/lookup", {"name": "invoices:v2"}),
        ("POST", "/v1/agent/lookup", {"id": "a-1"}),
        ("POST", "/v1/agent/lookup", {"prompt": "Read it."}),
        ("GET", "/v1/agents/a%2F1%3Fx", None),
    ]


def test_agents_are_listed() -> None:
    with agents([AGENT, AGENT]) as (client, seen):
        assert [each.name for each in client.agent.list()] == ["invoices", "invoices"]
        client.agent.list(skip=0, limit=10)
    assert [path for _, path, _ in seen] == ["/v1/agent", "/v1/agent?skip=0&limit=10"]


@pytest.mark.parametrize(
    "config",
    [
        {"prompt": "Read it.", "response_model": Total},
        SimpleNamespace(prompt="Read it.", response_model=None, json_schema=Total.model_json_schema()),
        {"prompt": "Read it.", "json_schema": Total.model_json_schema(), "response_model": None},
    ],
    ids=["a model", "an object", "a schema"],
)
def test_an_agent_is_created(config: Any) -> None:
    with agents(AGENT) as (client, seen):
        made = client.agent.create(config=config, name="invoices", inputs={"file": {"url": "https://example.org/i"}})
    assert (made.id, made.status) == ("a-1", "completed")
    assert seen[0][:2] == ("POST", "/v1/agent/create")
    assert seen[0][2] == {
        "name": "invoices",
        "inputs": {"file": {"url": "https://example.org/i"}},
        "config": {"prompt": "Read it.", "json_schema": Total.model_json_schema()},
    }


def test_an_agent_is_executed() -> None:
    with agents(RUN) as (client, seen):
        run = client.agent.execute(
            name="invoices", inputs={"n": 1}, metadata={"environment": "dev"}, callback_url="https://example.org/done"
        )
        client.agent.execute(config={"prompt": "Read it."}, toolsets=["document"])
    assert (run.id, run.status, run.response) == ("e-1", "completed", {"total": 7})
    assert run.usage is not None
    assert run.usage.credits_used == 3
    assert [body for _, _, body in seen] == [
        {
            "name": "invoices",
            "inputs": {"n": 1},
            "callback_url": "https://example.org/done",
            "metadata": {"environment": "dev"},
            "batch": True,
        },
        {"toolsets": ["document"], "config": {"prompt": "Read it."}, "batch": True},
    ]
    assert {path for _, path, _ in seen} == {"/v1/agent/execute"}


def test_arguments_that_can_not_be_are_refused_before_anything_is_sent() -> None:
    with agents(RUN) as (client, seen):
        wrong: list[tuple[Any, str]] = [
            (lambda: client.agent.get(), "one of id="),
            (lambda: client.agent.get(name="a", id="b"), "one of id="),
            (lambda: client.agent.create({"name": "a"}), "needs a prompt"),
            (lambda: client.agent.create(7), "config must be"),
            (lambda: client.agent.create({"prompt": "a", "response_model": "b"}), "response_model must be"),
            (lambda: client.agent.create({"prompt": "a", "response_model": Total, "json_schema": {}}), "both"),
            (lambda: client.agent.execute("a", batch=False), "batch mode"),
        ]
        for call, said in wrong:
            with pytest.raises(ConfigurationError, match=said):
                call()
    assert seen == []


def test_errors_are_the_openai_packages() -> None:
    with agents({"error": {"message": "no such agent"}}, status=404) as (client, _):
        with pytest.raises(openai.NotFoundError, match="no such agent"):
            client.agent.get(name="nobody")


def test_a_dependency_error_has_three_fields() -> None:
    error = DependencyError(message="It needs x", suggestion="pip install x", error_type="dependency_error")
    copied = pickle.loads(pickle.dumps(error))
    for each in (error, copied):
        assert (each.message, each.suggestion, each.error_type) == ("It needs x", "pip install x", "dependency_error")
    assert DependencyError("It needs x", "pip install x").error_type == "missing_dependency"
