"""What can't work is an error at once, which says what to pass instead."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import Agent, Image, tool
from agentkit.errors import ConfigurationError, ToolDefinitionError, TranscriptError
from agentkit.testing import ScriptedBackend

AnyAgent: Any = Agent


@tool(read_only=True)
def look(topic: str) -> str:
    """Look something up."""
    return topic


async def told(context: Any) -> str:
    return "x"


def short(value: Any) -> str:
    return value if isinstance(value, str) else type(value).__name__


def made(**options: Any) -> Any:
    return AnyAgent(ScriptedBackend("Hi."), **options)


@pytest.mark.parametrize(
    ("tools", "says"),
    [
        pytest.param(look, r"tools=look is one tool: pass a list, tools=\[look\]", id="a tool"),
        pytest.param(told, r"pass a list, tools=\[told\]", id="a function"),
        pytest.param("search", r"tools='search' is not a list of functions", id="a text"),
        pytest.param(5, "tools=5 is not a list of functions", id="a number"),
        pytest.param({"look": look}, "pass the function itself, not its name", id="a dict"),
        pytest.param(["look"], r"tools has 'look' \(a str\): pass the function itself", id="a name in it"),
        pytest.param([[look]], r"\(a list\): write its tools into the list", id="a list in it"),
        pytest.param([made()], r"by agent\.as_tool\(", id="an agent in it"),
        pytest.param(
            [{"type": "function"}], r"is Tool\(name, description, parameters, function\)", id="a schema in it"
        ),
    ],
)
def test_tools_that_are_no_list_of_functions_are_refused(tools: Any, says: str) -> None:
    with pytest.raises(ToolDefinitionError, match=says):
        made(tools=tools)
    with pytest.raises(ToolDefinitionError, match=says):
        made().run("Hi.", tools=tools)


def test_no_tools_are_none() -> None:
    assert made(tools=None).tools == ()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("limits", 5, r"limits=5 is not valid: pass Limits\(turns=10\)"),
        ("limits", {"turns": 5}, "pass Limits"),
        ("instructions", ["Be brief."], "pass a text or a function of the run's Context"),
        ("instructions", lambda: "Be brief.", "it is called with one argument, the run's Context"),
        ("instructions", told, "agentkit is synchronous"),
        ("output_check", "length", "pass a function of the answer"),
        ("output_check", told, "agentkit is synchronous"),
        ("prices", 0.5, r"pass Prices\("),
        ("window", "8k", "tokens, or a Window"),
        ("window", True, "tokens, or a Window"),
        ("parallel", 0, "a whole number of at least 1"),
        ("parallel", 2.5, "a whole number of at least 1"),
        ("parallel", True, "a whole number of at least 1"),
        ("tool_timeout", 0, "seconds above 0"),
        ("tool_timeout", float("nan"), "seconds above 0"),
        ("tool_timeout", "30", "seconds above 0"),
        ("early_start", "no", "True or False"),
        ("middleware", print, "pass a list"),
        ("middleware", ["log"], "pass a list"),
    ],
    ids=short,
)
def test_an_option_of_an_agent_of_another_type_is_refused(name: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as raised:
        made(**{name: value})
    assert str(raised.value).startswith(f"{name}=")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("limits", 5, "pass Limits"),
        ("cancel", True, r"pass a threading\.Event\(\)"),
        ("sampling", "hot", "pass a dict"),
        ("output_retries", -1, "at least 0"),
        ("approve", True, "by its id"),
        ("output", None, "leave it out"),
        ("output", "City", "has no JSON schema"),
        ("session", "ann", "is not a Session"),
        ("instructions", 7, "pass a text or a function"),
    ],
    ids=short,
)
def test_an_option_of_a_run_of_another_type_is_refused(name: str, value: Any, says: str) -> None:
    agent = made()
    for ask in (agent.run, agent.stream):
        with pytest.raises(ConfigurationError, match=says):
            ask("Hi.", **{name: value})
    assert agent.backend.requests == []


@pytest.mark.parametrize(
    "model",
    [None, b"openai:m", ScriptedBackend, openai.OpenAI(api_key="sk-secret", base_url="http://localhost:1")],
    ids=lambda model: type(model).__name__,
)
def test_a_model_that_is_none_is_refused(model: Any) -> None:
    with pytest.raises(ConfigurationError, match="the model must be a backend or a name") as raised:
        AnyAgent(model)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ([{"role": "user", "content": "Hi."}], "messages are passed as messages="),
        ({"role": "user", "content": "Hi."}, "messages are passed as messages="),
        ([{"type": "image_url", "image_url": {"url": "x"}}], r"an image is Image\.from_file"),
        (None, "pass a prompt"),
        ("", "the prompt is empty"),
        (["", " "], "it is empty"),
        (b"Hi.", r"data\.decode\(\)"),
        (Path("photo.png"), r"Image\.from_file\(path\)"),
        (Image(b"x", "image/png"), r"\[text, image\]"),
    ],
    ids=short,
)
def test_what_is_no_prompt_is_refused(prompt: Any, says: str) -> None:
    with pytest.raises(TranscriptError, match=says):
        made().run(prompt)


async def _iterates() -> None:
    async for _ in made().stream("Hi."):
        pass


async def _enters() -> None:
    async with made().stream("Hi."):
        pass


def test_a_coroutine_is_told_how_to_call_an_agent() -> None:
    with pytest.raises(TypeError, match=r"agentkit is synchronous.*await asyncio\.to_thread\(agent\.run, prompt\)"):
        asyncio.run(_enters())


def test_a_coroutine_can_not_iterate_over_a_run() -> None:
    with pytest.raises(TypeError, match=r"requires an object with __aiter__ method, got Run"):  # Python's own words
        asyncio.run(_iterates())


def test_a_result_is_no_list_of_messages() -> None:
    agent = made()
    result = agent.run("Hi.")
    says = r"messages is a Result: pass a list of messages, or result\.messages"
    with pytest.raises(TranscriptError, match=says):
        agent.run("And?", messages=result)
    with pytest.raises(TranscriptError, match=says):
        agent.resume(result)


def test_a_tool_may_return_a_result_of_another_agent() -> None:
    @tool
    def ask(question: str) -> Any:
        """Ask."""
        return made().run(question)

    agent = AnyAgent(ScriptedBackend(("ask", {"question": "Who?"}), "Done."), tools=[ask])
    assert agent.run("Go.").tool_calls[0].response == "Hi."
