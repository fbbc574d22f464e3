"""What runs take and return, as fields of pydantic models and in the handlers of FastAPI."""

import inspect
from typing import Any

import pydantic
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import agentkit.event
from agentkit import Agent, Limits, Message, Result, Usage, tool
from agentkit.testing import ScriptedBackend

KINDS = [
    kind
    for name, kind in vars(agentkit.event).items()
    if inspect.isclass(kind) and kind.__module__ == "agentkit.event" and not name.startswith("_")
]


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


@pytest.mark.parametrize("kind", [*KINDS, Result[str], Result[int], Usage, Limits, Message, list[Message]], ids=str)
def test_pydantic_takes_each_type(kind: Any) -> None:
    """Of typing.TypedDict pydantic says that it is the wrong one before Python 3.12 (UKGovernmentBEIS/inspect_ai#3490,
    ollama/ollama-python#201, hardbyte/python-can#1845)."""
    pydantic.TypeAdapter(kind)


def test_a_result_goes_to_json_and_back() -> None:
    result = Agent(ScriptedBackend(("double", {"number": 4}), "8."), tools=[double]).run("Twice four?")
    adapter = pydantic.TypeAdapter(Result[str])
    assert adapter.validate_json(adapter.dump_json(result)) == result


def test_messages_are_checked_and_keep_what_servers_add() -> None:
    class Chat(pydantic.BaseModel):
        history: list[Message]

    given: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "Hi."}], "metadata": {"id": 7}},
        {"role": "assistant", "content": "Hello.", "reasoning_content": "Greet."},
    ]
    chat = Chat(history=given)
    assert chat.history == given
    assert Chat.model_validate_json(chat.model_dump_json()).history == given
    with pytest.raises(pydantic.ValidationError, match=r"history\.0\.role"):
        Chat(history=[{"role": "nobody", "content": "Hi."}])  # type: ignore[typeddict-item]


def test_fastapi_takes_messages_and_returns_a_result() -> None:
    app = FastAPI()
    backend = ScriptedBackend("Fine.")

    def chat(messages: list[Message]) -> Result[str]:
        return Agent(backend).run(messages=messages)

    app.post("/chat")(chat)
    client = TestClient(app)
    asked = [{"role": "user", "content": "How are you?"}]
    answer = client.post("/chat", json=asked).json()
    assert answer["output"] == "Fine."
    assert answer["messages"] == [*asked, {"role": "assistant", "content": "Fine."}]
    assert client.post("/chat", json=[{"content": "Hi."}]).status_code == 422
    assert "Message" in client.get("/openapi.json").json()["components"]["schemas"]
