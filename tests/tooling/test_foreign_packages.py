"""The real tools of other frameworks, where their packages are installed. (The development extra does not have them;
test_foreign.py has objects of their form.)"""

import asyncio
import contextlib
import json
import pickle
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from agentkit import Agent, Tool
from agentkit.errors import ToolDefinitionError
from agentkit.testing import ScriptedBackend
from agentkit.tooling.foreign import tool_from

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages


class Parcel(BaseModel):
    to: str
    grams: int = 100


def order(parcels: list[Parcel], speed: Literal["slow", "fast"] = "slow", note: str | None = None) -> dict[str, Any]:
    """Orders parcels.

    Args:
        parcels: What is sent.
        speed: How fast.
        note: A note.
    """
    to = [each.to if isinstance(each, Parcel) else each["to"] for each in parcels]
    return {"to": to, "speed": speed, "note": note}


async def order_later(city: str, days: int = 2) -> str:
    """Orders later.

    Args:
        city: Where.
        days: When.
    """
    await asyncio.sleep(0)
    return f"{city} in {days} days"


ARGUMENTS = {"parcels": [{"to": "Oslo", "grams": "5"}], "speed": "FAST"}
ORDERED = '{"to": ["Oslo"], "speed": "fast", "note": null}'


def answers(given: Any, *arguments: dict[str, Any], name: str = "") -> list[str]:
    name = name or tool_from(given).name
    agent = Agent(ScriptedBackend(*[(name, each) for each in arguments], "Done."), tools=[given])
    return [call.response for call in agent.run("Go.").tool_calls]


@contextlib.contextmanager
def refused() -> Iterator[None]:
    with pytest.raises(ToolDefinitionError, match=r"^tool "):
        yield


def test_tools_of_langchain() -> None:
    tools = pytest.importorskip("langchain_core.tools")
    runnables = pytest.importorskip("langchain_core.runnables")
    assert answers(tools.tool(order), ARGUMENTS) == [ORDERED]
    assert tool_from(tools.tool(order)).parameters["required"] == ["parcels"]
    assert answers(tools.tool(order_later), {"city": "Oslo", "days": "3"}) == ["Oslo in 3 days"]
    assert answers(tools.StructuredTool.from_function(order, description="d"), ARGUMENTS) == [ORDERED]
    search = tools.Tool(name="Google Search", description="d", func=lambda text: f"found {text}")
    assert answers(search, {"tool_input": "cats"}) == ["found cats"]

    class Lookup(tools.BaseTool):  # type: ignore[misc, name-defined]
        name: str = "lookup"
        description: str = "Looks up."

        def _run(self, city: str, run_manager: Any = None) -> str:
            raise tools.ToolException(f"{city} is closed")

    assert answers(Lookup(), {"city": "Oslo"}) == ["Error: Oslo is closed"]
    assert answers(Lookup(handle_tool_error="No."), {"city": "Oslo"}) == ["Error: No."]

    def with_id(city: str, call: Annotated[str, tools.InjectedToolCallId]) -> str:
        """D."""
        return city

    def with_user(city: str, user: Annotated[str, tools.InjectedToolArg]) -> str:
        """D."""
        return city

    def with_config(city: str, config: runnables.RunnableConfig) -> str:  # type: ignore[name-defined]
        """D."""
        return city

    def with_default(city: str, user: Annotated[str, tools.InjectedToolArg] = "nobody") -> str:
        """D."""
        return f"{city} {user}"

    for needing in (with_id, with_user, with_config):
        with refused():
            tool_from(tools.tool(needing))
    assert "root" not in answers(tools.tool(with_default), {"city": "Oslo", "user": "root"})[0]

    def content(text: str) -> Any:
        """D."""
        return "content", {"artifact": text}

    assert answers(tools.tool(response_format="content_and_artifact")(content), {"text": "a"}) == ["content"]


def test_tools_of_openai_agents() -> None:
    agents = pytest.importorskip("agents")
    agents.set_tracing_disabled(True)
    made = agents.function_tool(order)
    assert tool_from(made).parameters["required"] == ["parcels"]
    assert answers(made, ARGUMENTS) == [ORDERED]
    assert answers(agents.function_tool(order_later), {"city": "Oslo"}) == ["Oslo in 2 days"]

    def fails(city: str) -> str:
        """D."""
        raise ValueError(f"no {city}")

    (said,) = answers(agents.function_tool(fails), {"city": "Oslo"})
    assert said.startswith("Error: ")
    assert said.endswith("no Oslo")
    told = agents.function_tool(fails, failure_error_function=lambda context, error: f"told: {error}")
    assert answers(told, {"city": "Oslo"}) == ["Error: told: no Oslo"]

    def with_context(context: agents.RunContextWrapper, city: str) -> str:  # type: ignore[name-defined]
        """D."""
        return city

    for needing in (
        agents.function_tool(with_context),
        agents.function_tool(order_later, is_enabled=False),
        agents.function_tool(order_later, is_enabled=lambda context, agent: True),
    ):
        with refused():
            tool_from(needing)
    assert tool_from(agents.function_tool(order_later, needs_approval=True)).options.approve is True


def test_tools_of_smolagents() -> None:
    smolagents = pytest.importorskip("smolagents")

    class Weather(smolagents.Tool):  # type: ignore[misc, name-defined]
        name = "weather"
        description = "Returns the weather."
        inputs = {  # noqa: RUF012
            "city": {"type": "string", "description": "Where."},
            "days": {"type": "integer", "description": "How many.", "nullable": True},
        }
        output_type = "string"

        def forward(self, city: str, days: int | None = None) -> str:
            return f"{city} {days}"

    assert answers(Weather(), {"city": "Oslo"}, {"city": "Oslo", "days": "2"}) == ["Oslo None", "Oslo 2"]
    with pytest.raises(ToolDefinitionError, match="pass an object of it"):
        Agent("extractive", tools=[Weather])


def test_tools_of_llama_index() -> None:
    tools = pytest.importorskip("llama_index.core.tools")
    workflow = pytest.importorskip("llama_index.core.workflow")
    assert answers(tools.FunctionTool.from_defaults(order), ARGUMENTS) == [ORDERED]
    for made in (tools.FunctionTool.from_defaults(order_later), tools.FunctionTool.from_defaults(async_fn=order_later)):
        assert answers(made, {"city": "Oslo", "days": "3"}) == ["Oslo in 3 days"]

    def with_context(ctx: workflow.Context, city: str) -> str:  # type: ignore[name-defined]
        """D."""
        return city

    with refused():
        tool_from(tools.FunctionTool.from_defaults(with_context))
    assert tool_from(tools.FunctionTool.from_defaults(order, return_direct=True)).options.ends_run


def test_functions_and_toolkits_of_agno() -> None:
    tools = pytest.importorskip("agno.tools")
    exceptions = pytest.importorskip("agno.exceptions")
    assert answers(tools.tool(order), ARGUMENTS) == [ORDERED]
    assert answers(tools.tool(order_later), {"city": "Oslo", "days": "3"}) == ["Oslo in 3 days"]
    hooked: list[str] = []

    def hook(function_name: str, function_call: Any, arguments: dict[str, Any]) -> Any:
        hooked.append(function_name)
        return function_call(**arguments)

    assert answers(tools.tool(tool_hooks=[hook])(order), ARGUMENTS) == [ORDERED]
    assert hooked == ["order"]

    def retry(city: str) -> str:
        """D."""
        raise exceptions.RetryAgentRun("Give another city.")

    assert answers(tools.tool(retry), {"city": "Oslo"}) == ["Error: Give another city."]

    def with_agent(agent: Any, city: str) -> str:
        """D."""
        return city

    for needing in (
        tools.tool(with_agent),
        tools.tool(external_execution=True)(order),
        tools.tool(requires_user_input=True)(order),
    ):
        with refused():
            tool_from(needing)
    kit = tools.Toolkit(name="kit", tools=[order, retry], requires_confirmation_tools=["retry"])
    (first, second) = Agent("extractive", tools=[kit]).tools
    assert (first.name, first.options.approve, second.name, second.options.approve) == ("order", False, "retry", True)
    assert answers(kit, ARGUMENTS, name="order") == [ORDERED]


def test_tools_and_toolboxes_of_llm() -> None:
    llm = pytest.importorskip("llm")
    if not hasattr(llm, "Toolbox"):
        pytest.skip("another package of this name")

    class Box(llm.Toolbox):  # type: ignore[misc, name-defined]
        def later(self, city: str) -> Any:
            """D."""
            return order_later(city)

        def given(self, city: str, llm_tool_call: Any) -> str:
            """D."""
            return f"{city} {llm_tool_call.name}"

    assert answers(llm.Tool.function(order), ARGUMENTS) == [ORDERED]
    assert answers(Box(), {"city": "Oslo"}, name="Box_later") == ["Oslo in 2 days"]
    assert answers(Box(), {"city": "Oslo"}, name="Box_given") == ["Oslo Box_given"]


def test_tools_of_qwen_agent() -> None:
    base = pytest.importorskip("qwen_agent.tools.base")

    class Draw(base.BaseTool):  # type: ignore[misc, name-defined]
        name = "draw"
        description = "Draws."
        parameters = [{"name": "what", "type": "string", "description": "D.", "required": True}]  # noqa: RUF012

        def call(self, params: Any, **kwargs: Any) -> str:
            return f"{json.loads(params)['what']} {self._verify_json_format_args(params)['what']} {params['what']}"

    assert answers(Draw(), {"what": "a cat"}) == ["a cat a cat a cat"]


def test_a_decorated_tool_goes_to_another_process_by_its_name() -> None:
    pytest.importorskip("langchain_core.tools")
    made: Tool[..., Any] = tool_from(_now(), timeout=5)
    again = pickle.loads(pickle.dumps(made))
    assert (again.options.timeout, again.name) == (5, "now")


class _Nothing(BaseModel):
    place: str = Field("here", description="Where.")


def _now() -> Any:
    tools = pytest.importorskip("langchain_core.tools")
    return tools.StructuredTool(name="now", description="The time.", args_schema=_Nothing, func=_noon)


def _noon(place: str) -> str:
    return f"noon {place}"
