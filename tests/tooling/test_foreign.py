"""Tools of other frameworks in `tools=[...]`: known by their form, called as their framework calls them, refused with a
sentence where they need it. The real packages are in test_foreign_packages.py."""

import asyncio
import base64
import contextvars
import copy
import inspect
import json
import logging
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest.mock import MagicMock, Mock

import pytest
from pydantic import BaseModel, Field

from agentkit import Agent, Context, Tool, ToolError, tool
from agentkit.errors import ToolDefinitionError
from agentkit.serving.tool_loading import load
from agentkit.testing import ScriptedBackend
from agentkit.tooling.foreign import tool_from
from tests.support.foreign_tools import (
    QWEN,
    AgnoFunction,
    AgnoImage,
    AsyncOnlyTool,
    Attachment,
    BaseToolkit,
    CallbackManagerForToolRun,
    FunctionTool,
    ImageBlock,
    InjectedState,
    LlamaTool,
    LlmOutput,
    LlmTool,
    Memory,
    OneInput,
    Parcel,
    QwenTool,
    RetryAgentRun,
    RunContextWrapper,
    RunnableConfig,
    SingleInputTool,
    SmolTool,
    StructuredTool,
    TextBlock,
    ToolException,
    Toolkit,
    ToolMetadata,
    ToolOutput,
    ToolResult,
    function_tool,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
SHOWN = "[image: the image is in the next message]"
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
USER: contextvars.ContextVar[str] = contextvars.ContextVar("USER", default="nobody")


def answers(given: Any, *arguments: dict[str, Any], name: str = "") -> list[str]:
    """What a model reads that calls a tool of an agent with these arguments."""
    name = name or tool_from(given).name
    agent = Agent(ScriptedBackend(*[(name, each) for each in arguments], "Done."), tools=[given])
    return [call.response for call in agent.run("Go.").tool_calls]


def tools_of(given: Any) -> list[Tool[..., Any]]:
    return list(Agent("extractive", tools=[given]).tools)


def upper(text: str) -> str:
    """Returns it in capitals."""
    return text.upper()


async def later(text: str) -> str:
    """Returns it with the user."""
    await asyncio.sleep(0)
    return f"{text} for {USER.get()}"


class Text(BaseModel):
    text: str


class Order(BaseModel):
    parcels: list[Parcel]
    speed: Literal["slow", "fast"] = "slow"
    note: str | None = None


def order(parcels: list[Parcel], speed: str, note: str | None) -> dict[str, Any]:
    return {"to": [each.to for each in parcels], "speed": speed, "note": note}


def langchain(function: Any = upper, **options: Any) -> Any:
    is_async = inspect.iscoroutinefunction(function)
    options = {"args_schema": Text, "coroutine" if is_async else "func": function, **options}
    return StructuredTool("upper", "Capitals.", **options)


def llama(function: Any = upper, schema: Any = Text, **about: Any) -> Any:
    return LlamaTool(function, ToolMetadata("Capitals.", "upper", schema, **about))


def agno(function: Any = upper, schema: Any = None, **options: Any) -> Any:
    return AgnoFunction("upper", function, schema or {**TEXT, "additionalProperties": False}, **options)


class Upper(QwenTool):
    name = "upper"
    parameters: Any = TEXT

    def call(self, params: str | dict[str, Any], **kwargs: Any) -> str:
        return upper(json.loads(params)["text"])  # type: ignore[arg-type]


class Capitals(SmolTool):
    name = "upper"
    inputs = {"text": {"type": "string", "description": "Which."}}  # noqa: RUF012

    def forward(self, text: str) -> str:  # type: ignore[override]
        return upper(text)


EVERY: dict[str, Callable[[], Any]] = {
    "langchain": langchain,
    "openai-agents": lambda: function_tool(upper, TEXT),
    "smolagents": Capitals,
    "llama-index": llama,
    "agno": agno,
    "llm": lambda: LlmTool("upper", "Capitals.", TEXT, upper),
    "qwen-agent": Upper,
}
kinds = pytest.mark.parametrize("kind", sorted(EVERY))


# Every kind


@kinds
def test_a_tool_of_another_framework_is_a_tool_of_the_agent(kind: str) -> None:
    given: Any = EVERY[kind]()
    (made,) = tools_of(given)
    assert made.name == "upper"
    assert made.description.strip()
    assert made.parameters["properties"]["text"]["type"] == "string"
    assert made.parameters["required"] == ["text"]
    assert not made.options.read_only
    replies = answers(given, {"text": "hello"}, {"texts": 3})
    assert replies[0] == "HELLO"
    assert replies[1].startswith("Error: the arguments of upper don't fit: ")
    assert "'text' is a required property" in replies[1]


@kinds
def test_sixteen_threads_call_one_tool(kind: str) -> None:
    given: Any = EVERY[kind]()
    made, read = tool_from(given), []
    ready = threading.Barrier(16)

    def call(number: int) -> None:
        ready.wait()
        read.append(made.answer(json.dumps({"text": f"t{number}"}), Context()).text)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(read) == sorted(f"T{number}" for number in range(16))


@kinds
def test_a_tool_keeps_its_options_in_copies_and_in_another_process_or_says_what_can_not_go_there(kind: str) -> None:
    made = tool_from(EVERY[kind](), timeout=7).replace(read_only=True, cache=60)
    again = []
    copies: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda tool: pickle.loads(pickle.dumps(tool))]
    for each in copies:
        try:
            again.append(each(made))
        except pickle.PicklingError as error:
            assert str(error).startswith("tool upper: its ")
            assert kind == "openai-agents"  # it holds a function inside of a function
    assert len(again) == (2 if kind == "openai-agents" else 3)
    for it in again:
        assert (it.options.read_only, it.options.timeout, it.options.cache) == (True, 7, 60)
        assert it.answer('{"text": "a"}', Context()).text == "A"


@kinds
def test_options_are_given_where_the_tool_is_made(kind: str) -> None:
    made = tool_from(EVERY[kind](), name="shout", description="Shouts.", read_only=True, approve=True)
    assert (made.name, made.description, made.options.read_only, made.options.approve) == (
        *("shout", "Shouts."),
        *(True, True),
    )
    assert tool_from(made, approve=False).options.approve is False
    with pytest.raises(ToolDefinitionError, match="isolate=True runs it in another process"):
        made.replace(isolate=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'readonly'"):
        tool_from(EVERY[kind](), readonly=True)  # type: ignore[call-arg]


@kinds
def test_one_tool_in_place_of_a_list_is_said_to_be_one(kind: str) -> None:
    with pytest.raises(ToolDefinitionError, match=r"pass a list, tools=\[|is not a list of functions"):
        Agent("extractive", tools=EVERY[kind]())


@pytest.mark.parametrize("kind", [SmolTool, QwenTool, Memory, Toolkit])
def test_a_class_in_place_of_an_object_is_an_error(kind: Any) -> None:
    with pytest.raises(ToolDefinitionError, match=rf"the class {kind.__name__}: pass an object of it"):
        Agent("extractive", tools=[kind])


def test_what_is_no_tool_is_none() -> None:
    class Counter:
        name = "count"
        metadata = None

        def __call__(self, text: str) -> int:
            """Counts."""
            return len(text)

    (made,) = tools_of(Counter())
    assert made(text="abc") == 3
    for each in (Mock(__name__="m"), MagicMock(__name__="m"), object(), 3):
        with pytest.raises(ToolDefinitionError, match="it is no tool of LangChain, openai-agents"):
            tool_from(each)
    with pytest.raises(ToolDefinitionError, match="it holds several tools"):
        tool_from(Memory())


def test_whatever_takes_tools_takes_them() -> None:
    (loaded,) = load("tests.support.foreign_tools:QWEN")
    assert loaded is QWEN
    agent = Agent(ScriptedBackend(("image_gen", {"prompt": "a"}), "Done."))
    assert agent.run("Go.", tools=[QWEN]).tool_calls[0].response == "drew a, 512 wide"

    @tool
    def more(ctx: Context) -> str:
        """Get another tool."""
        ctx.tools.add(QWEN)
        return "Call image_gen."

    agent = Agent(ScriptedBackend(("more", {}), ("image_gen", {"prompt": "b"}), "Done."), tools=[more])
    assert [call.response for call in agent.run("Go.").tool_calls] == ["Call image_gen.", "drew b, 512 wide"]


def test_nothing_of_this_is_loaded_without_such_tools() -> None:
    code = (
        "import sys, agentkit\n"
        "def f(x: int) -> int:\n    'D.'\n    return x\n"
        "agentkit.Agent('extractive', tools=[f])\n"
        "print([name for name in sys.modules if name.startswith('agentkit.tooling.foreign.') or name == 'asyncio'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("Google Search", "Google_Search"),
        ("files.read", "files_read"),
        ("a" * 80, "a" * 64),
        ("画图", "tool_8ecb440e"),
        ("/web/", "web"),
    ],
    ids=["space", "dot", "long", "chinese", "slashes"],
)
def test_a_name_that_servers_refuse_is_made_valid(name: str, made: str) -> None:
    given = langchain()
    given.name = name
    assert tool_from(given).name == made
    assert answers(given, {"text": "a"}) == ["A"]


def test_a_tool_without_a_description_has_its_name_for_one(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "agentkit"):
        assert tool_from(LlmTool("upper", None, TEXT, upper)).description == "upper"
    assert caplog.messages == ["tool upper: it has no description, and the model sees its name for one"]
    with pytest.raises(ToolDefinitionError, match="a tool has no name"):
        tool_from(LlmTool("", "d", TEXT, upper))


def test_approval_and_the_end_of_a_run_are_taken_over() -> None:
    async def large(context: Any, arguments: dict[str, Any], call_id: str) -> bool:
        return len(arguments["text"]) > 3

    async def of_the_user(context: Any, arguments: dict[str, Any], call_id: str) -> bool:
        return bool(context.context.user == "root")

    assert tool_from(agno(requires_confirmation=True)).options.approve is True
    assert tool_from(function_tool(upper, TEXT, needs_approval=True)).options.approve is True
    some = tool_from(function_tool(upper, TEXT, needs_approval=large))
    assert [some.needs_approval(json.dumps({"text": text})) for text in ("ab", "abcd")] == [False, True]
    assert tool_from(function_tool(upper, TEXT, needs_approval=of_the_user)).needs_approval('{"text": "a"}')
    assert tool_from(function_tool(upper, TEXT, timeout_seconds=3)).options.timeout == 3
    for each in (langchain(return_direct=True), llama(return_direct=True), agno(stop_after_tool_call=True)):
        agent = Agent(ScriptedBackend(("upper", {"text": "a"})), tools=[each])
        assert agent.run("Go.").output == "A"


# Asynchronous tools


@pytest.mark.parametrize("kind", ["langchain", "openai-agents", "llama-index", "agno", "llm"])
def test_an_asynchronous_tool_runs_on_the_loop_of_all_async_tools_with_the_context_of_the_run(kind: str) -> None:
    makers: dict[str, Callable[[], Any]] = {
        "langchain": lambda: langchain(later),
        "openai-agents": lambda: function_tool(later, TEXT),
        "llama-index": lambda: llama(later),
        "agno": lambda: agno(later),
        "llm": lambda: LlmTool("later", "d", TEXT, later),
    }
    made = makers[kind]()
    token = USER.set("Ada")
    try:
        assert answers(made, {"text": "tea"}) == ["tea for Ada"]

        async def in_a_notebook() -> list[str]:
            return answers(made, {"text": "tea"})

        assert asyncio.run(in_a_notebook()) == ["tea for Ada"]
    finally:
        USER.reset(token)


def test_a_tool_whose_synchronous_form_only_raises_is_called_asynchronously() -> None:
    """langchain-ai/langchain-mcp-adapters#576: such tools were of no use to a synchronous agent."""
    assert answers(AsyncOnlyTool(), {"to": "Oslo", "grams": "20"}) == ["Oslo: 20 g"]

    def raises(text: str) -> str:
        raise NotImplementedError("not for this city")

    called: list[str] = []
    both = StructuredTool("both", "d", Text, raises, later)
    both.ainvoke = called.append  # type: ignore[method-assign, assignment]
    assert answers(both, {"text": "a"}) == ["Error: both raised NotImplementedError: not for this city"]
    assert called == []  # what it did before is not done twice


# Schemas and arguments


def test_nested_models_and_values_of_the_schema_reach_the_function() -> None:
    """run-llama/llama_index#23094, #10401: definitions of nested schemas were lost on the way to the model."""
    made = langchain(order, args_schema=Order)
    schema = tool_from(made).parameters
    assert schema["properties"]["parcels"] == {"type": "array", "items": {"$ref": "#/$defs/Parcel"}}
    assert schema["$defs"]["Parcel"]["properties"]["grams"] == {"type": "integer", "default": 100}
    assert schema["required"] == ["parcels"]
    assert schema["additionalProperties"] is False
    replies = answers(
        made, {"parcels": [{"to": "Oslo", "grams": "5"}], "speed": "FAST", "note": None}, {"parcels": "{"}
    )
    assert json.loads(replies[0]) == {"to": ["Oslo"], "speed": "fast", "note": None}
    assert replies[1].startswith("Error: the arguments of upper don't fit: parcels: ")


def test_a_schema_of_the_first_pydantic_is_read_too() -> None:
    v1 = pytest.importorskip("pydantic.v1")
    schema = v1.create_model("Args", text=(str, v1.Field(..., description="What.")), times=(int, 2))
    made = langchain(lambda text, times=2: text * times, args_schema=schema)
    assert tool_from(made).parameters == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "What."},
            "times": {"type": "integer", "default": 2},
        },
        "required": ["text"],
        "additionalProperties": False,
    }
    assert answers(made, {"text": "a", "times": "3"}) == ["aaa"]


def test_arguments_have_the_names_by_which_the_schema_takes_them() -> None:
    """ComposioHQ/composio#4093: aliases got lost, and arguments that were not given were sent as null."""

    class Query(BaseModel):
        validate_: bool | None = Field(None, alias="validate")
        limit: int | None = None

    given: list[dict[str, Any]] = []

    def keep(**values: Any) -> str:
        given.append(values)
        return "ok"

    made = langchain(keep, args_schema=Query)
    assert set(tool_from(made).parameters["properties"]) == {"validate", "limit"}
    answers(made, {"validate": "yes"}, {"limit": None})
    assert given == [{"validate_": True, "limit": None}, {"validate_": None, "limit": None}]


def test_a_schema_without_arguments_takes_none() -> None:
    """Libertai/libertai-agents#51 (args_schema is None), huggingface/smolagents#23 (models give some all the same)."""
    made = StructuredTool("now", "The time.", None, lambda: "noon")
    assert answers(made, {}, {"content": "now"})[0] == "noon"
    assert tool_from(LlmTool("now", "d", {}, lambda: "noon")).parameters["properties"] == {}
    qwen = QwenTool()
    qwen.parameters = []
    assert tool_from(qwen).parameters == {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_tool_that_takes_one_text_gets_it() -> None:
    """gleanwork/glean-agent-toolkit#74: a single-input tool refused arguments by name."""
    made = SingleInputTool("Search", "Searches.", None, lambda text: f"found {text}")
    assert tool_from(made).parameters["required"] == ["tool_input"]
    assert answers(made, {"tool_input": "cats"}) == ["found cats"]
    assert answers(OneInput(), {"input": "why"}) == ["answer to why"]


def test_a_schema_as_plain_json_is_kept() -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "title": "T"}}, "$schema": "x", "title": "y"}
    made = langchain(lambda **values: json.dumps(values), args_schema=schema)
    assert tool_from(made).parameters == {"type": "object", "properties": {"text": {"type": "string", "title": "T"}}}
    assert answers(made, {"text": 3, "more": 4}) == ['{"text": "3", "more": 4}']


@pytest.mark.parametrize(
    "schema", [3, {"type": "object", "properties": {"a": {"type": "nothing"}}}, {"type": "array", "items": {}}]
)
def test_a_schema_that_is_none_is_an_error_that_names_the_tool(schema: Any) -> None:
    with pytest.raises(ToolDefinitionError, match="tool upper: "):
        tool_from(langchain(args_schema=schema))


def test_optional_arguments_of_a_strict_schema_may_be_left_out() -> None:
    """aipotheosis-labs/aci-agents#25: strict mode asks for all of them, and few servers have it."""
    schema = {
        "type": "object",
        "properties": {
            "q": {"type": "string", "title": "Q"},
            "count": {"type": "integer", "default": 5},
            "near": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "page": {"$ref": "#/$defs/Page"},
        },
        "$defs": {
            "Page": {
                "type": "object",
                "properties": {"size": {"type": "integer", "default": 10}},
                "required": ["size"],
            }
        },
        "required": ["q", "count", "near", "page"],
        "additionalProperties": False,
    }
    made = function_tool(lambda **values: values, schema)
    made.name = "search"
    assert tool_from(made).parameters["required"] == ["q", "page"]
    assert "title" not in tool_from(made).parameters["properties"]["q"]
    replies = answers(made, {"q": "x", "page": {}}, {"q": "x", "near": "y", "page": {"size": "3"}, "count": 1})
    assert [json.loads(each) for each in replies] == [
        {"near": None, "q": "x", "page": {}},
        {"near": "y", "q": "x", "page": {"size": 3}, "count": 1},
    ]


def test_inputs_that_may_be_null_are_optional() -> None:
    """huggingface/smolagents#1142."""
    assert tool_from(SmolTool()).parameters["required"] == ["city"]
    assert answers(SmolTool(), {"city": "Oslo"}, {"city": "Oslo", "days": "2", "unit": None}) == [
        "Oslo None C",
        "Oslo 2 C",
    ]

    class Several(SmolTool):
        inputs = {  # noqa: RUF012
            "value": {"type": "any", "description": "Anything."},
            "key": {"type": ["string", "integer"], "description": "Which."},
        }

        def forward(self, value: Any, key: str | int) -> str:  # type: ignore[override]
            return f"{value} {key}"

    assert answers(Several(), {"value": {"a": 1}, "key": 3}) == ["{'a': 1} 3"]
    several: Any = Several()
    several.inputs = {"picture": {"type": "image", "description": "Which."}}
    with pytest.raises(ToolDefinitionError, match="its input 'picture' is of the type image"):
        tool_from(several)


def test_a_tool_is_set_up_once() -> None:
    given = SmolTool()
    answers(given, {"city": "Oslo"}, {"city": "Bergen"})
    assert given.set_up == 1


def test_a_schema_that_is_made_when_an_agent_runs_is_made_before() -> None:
    """agno-agi/agno#3936: parameters stayed empty until then; #6720: values of a Literal became objects."""
    schema = {"type": "object", "properties": {"mode": {"type": "string", "enum": ["r", "w"]}}, "required": ["mode"]}
    given = agno(lambda mode: f"mode {mode}", schema)
    assert tool_from(given).parameters["properties"] == schema["properties"]
    assert given.parameters["properties"] == {}  # the user's object is left as it is
    assert answers(given, {"mode": "W"}) == ["mode w"]


def test_other_arguments_of_a_function_that_takes_any_are_passed_on() -> None:
    """agno-agi/agno#9075: the model saw one argument `kwargs`, and the wrong folder was listed."""

    def list_files(pattern: str = "*", **kwargs: Any) -> str:
        return json.dumps({"pattern": pattern, **kwargs})

    schema = {
        "type": "object",
        "properties": {"pattern": {"type": "string"}, "kwargs": {"type": "string"}},
        "required": ["kwargs"],
        "additionalProperties": False,
    }
    for given in (agno(list_files, schema), LlmTool("upper", "d", schema, list_files)):
        made = tool_from(given)
        assert (set(made.parameters["properties"]), made.parameters["additionalProperties"]) == ({"pattern"}, True)
        assert answers(given, {"directory": "src"}, {"kwargs": {"directory": "src"}}, {}) == [
            '{"pattern": "*", "directory": "src"}',
            '{"pattern": "*", "directory": "src"}',
            '{"pattern": "*"}',
        ]


def test_a_list_of_parameters_describes_the_arguments() -> None:
    assert tool_from(QwenTool()).parameters == {
        "type": "object",
        "properties": {
            "prompt": {"description": "What to draw.", "type": "string"},
            "width": {"description": "In pixels.", "type": "integer"},
        },
        "required": ["prompt"],
        "additionalProperties": False,
    }
    assert answers(QwenTool(), {"prompt": "a cat", "width": "64"}) == ["drew a cat, 64 wide"]


def test_a_tool_may_read_its_arguments_as_text_or_as_a_dict() -> None:
    class AsDict(QwenTool):
        def call(self, params: Any, **kwargs: Any) -> Any:
            taken = [params["prompt"], params.get("width", 1), "width" in params, dict(**params), dict(params.items())]
            return [*taken, json.loads(params), isinstance(params, str)]

    class Declared(QwenTool):
        def call(self, params: dict[str, Any], **kwargs: Any) -> Any:  # type: ignore[override]
            return type(params).__name__

    values = {"prompt": "a cat"}
    assert json.loads(answers(AsDict(), values)[0]) == ["a cat", 1, False, values, values, values, True]
    assert answers(Declared(), values) == ["dict"]


# What needs the framework


def test_what_a_graph_would_fill_in_is_refused_where_it_is_needed() -> None:
    """goruck/home-generative-agent#630: the state of a graph was offered to the model as an argument."""

    def with_state(text: str, state: Annotated[dict[str, Any], InjectedState]) -> str:
        return text

    def with_config(text: str, config: RunnableConfig) -> str:
        return text

    def with_default(text: str, state: Annotated[dict[str, Any], InjectedState] = {}) -> str:  # noqa: B006
        return f"{text} {state}"

    def with_callbacks(text: str, run_manager: CallbackManagerForToolRun | None = None) -> str:
        return text

    def with_agent(text: str, agent: Any) -> str:
        return f"{text} {agent}"

    class Names(BaseModel):
        text: str
        agent: Any

    class Hidden(BaseModel):
        text: str
        user: Annotated[str, InjectedState]

    class HiddenDefault(BaseModel):
        text: str
        user: Annotated[str, InjectedState] = "nobody"

    for needing in (langchain(with_state), langchain(with_config), langchain(args_schema=Hidden)):
        with pytest.raises(ToolDefinitionError, match=r"LangGraph fills in its parameter '(state|config|user)' \("):
            Agent("extractive", tools=[needing])
    schema = {"type": "object", "properties": {"text": {"type": "string"}, "state": {"type": "object"}}}
    assert set(tool_from(langchain(with_default, args_schema=schema)).parameters["properties"]) == {"text"}
    assert answers(langchain(with_callbacks), {"text": "a"}) == ["a"]
    assert answers(langchain(with_agent, args_schema=Names), {"text": "a", "agent": "Ada"}) == ["a Ada"]
    hidden = langchain(lambda text, user: f"{text} {user}", args_schema=HiddenDefault)
    hidden.tool_call_schema = Text
    assert answers(hidden, {"text": "a"}, {"text": "a", "user": "root"})[0] == "a nobody"
    assert "root" not in answers(hidden, {"text": "a", "user": "root"})[0]


def test_what_the_program_gives_is_never_taken_from_the_model() -> None:
    """Also where a tool takes any arguments, by name or in an object `kwargs`."""
    ran: list[Any] = []

    def search(q: str, tenant: str = "", **kwargs: Any) -> str:
        ran.append((q, tenant, kwargs))
        return tenant

    def for_user(q: str, user: Annotated[str, InjectedState] = "me") -> str:
        ran.append((q, user))
        return user

    def for_agent(q: str, agent: Any = None, **kwargs: Any) -> str:
        ran.append((q, agent, kwargs))
        return str(agent)

    def with_call(q: str, llm_tool_call: Any, **kwargs: Any) -> str:
        ran.append((q, llm_tool_call, kwargs))
        return str(llm_tool_call.arguments)

    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    llama_tool = LlamaTool(search, ToolMetadata("d", "upper", schema), partial_params={"tenant": "acme"})
    for given, name, own in (
        (llama_tool, "tenant", "acme"),
        (langchain(for_user, args_schema=schema), "user", "me"),
        (agno(for_agent, schema), "agent", "None"),
        (LlmTool("upper", "d", schema, with_call), "llm_tool_call", "{'q': 'x'}"),
    ):
        forged: list[dict[str, Any]] = [{"q": "x", name: "evil"}, {"q": "x", "kwargs": {name: "evil"}}]
        first, *others = answers(given, forged[0], *forged[: -1 if name == "user" else 2], {"q": "x"})
        assert first.startswith(f"Error: the program itself gives {name}:"), name
        assert all("evil" not in each for each in others)
        assert others[-1] == own
        assert "evil" not in str(ran), name


def test_a_tool_that_takes_the_context_of_an_agents_run_is_refused() -> None:
    def with_context(context: RunContextWrapper, text: str) -> str:
        return text

    with pytest.raises(ToolDefinitionError, match="takes the RunContextWrapper of openai-agents"):
        tool_from(function_tool(with_context, TEXT))

    async def invoke(context: Any, arguments: str) -> str:
        return f"{context.tool_name} {arguments} {context.agent} {bool(context.context)}"

    async def needs(context: Any, arguments: str) -> str:
        return str(context.context.user_id)

    assert answers(FunctionTool("by hand", "d", TEXT, invoke), {"text": "a"}) == ['by hand {"text": "a"} None False']
    (said,) = answers(FunctionTool("by_hand", "d", TEXT, needs), {"text": "a"})
    assert said.startswith("Error: this tool reads 'user_id' of the context of an openai-agents run")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"is_enabled": False}, "it says that it is not enabled"),
        ({"is_enabled": lambda context, agent: True}, "a function of the run context decides"),
        ({"tool_input_guardrails": [print]}, "its guardrails are run by the Runner"),
    ],
    ids=["disabled", "enabled-by-context", "guardrails"],
)
def test_what_the_runner_would_do_is_not_skipped_in_silence(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ToolDefinitionError, match=why):
        tool_from(function_tool(upper, TEXT, **options))


def test_a_tool_that_takes_the_context_of_a_workflow_is_refused() -> None:
    def both(text: str, ctx: Any) -> str:
        return f"{text} {ctx}"

    needing = LlamaTool(both, ToolMetadata("d", "both", Text), requires_context=True, ctx_param_name="ctx")
    with pytest.raises(ToolDefinitionError, match="takes the Context of a LlamaIndex workflow"):
        tool_from(needing)
    needing.partial_params = {"ctx": "given"}
    assert answers(needing, {"text": "a"}) == ["a given"]


def test_a_function_that_needs_an_agent_of_agno_is_refused() -> None:
    def with_agent(text: str, agent: Any) -> str:
        return text

    def with_default(text: str, agent: Any = None, images: Any = None) -> str:
        return f"{text} {agent}"

    for given, why in (
        (agno(with_agent), "agno fills in its parameter 'agent'"),
        (agno(external_execution=True), "external_execution"),
        (agno(None), "external_execution"),
        (agno(requires_user_input=True), "requires_user_input"),
        (agno(tool_hooks=[print]), "it has hooks"),
    ):
        with pytest.raises(ToolDefinitionError, match=why):
            tool_from(given)
    assert answers(agno(with_default), {"text": "a"}) == ["a None"]


def test_a_tool_that_the_models_server_would_run_is_refused() -> None:
    with pytest.raises(ToolDefinitionError, match="it has no implementation"):
        tool_from(LlmTool("web", "d", TEXT, None))


# Several tools in one object


def test_a_toolkit_is_all_of_its_tools() -> None:
    kit = Toolkit("kit", agno(), AgnoFunction("lower", str.lower, TEXT, requires_confirmation=True))
    assert [(each.name, each.options.approve) for each in tools_of(kit)] == [("upper", False), ("lower", True)]
    assert answers(kit, {"text": "a"}, name="upper") == ["A"]
    with pytest.raises(ToolDefinitionError, match="the toolkit has no functions"):
        Agent("extractive", tools=[Toolkit("empty")])
    assert [each.name for each in tools_of(BaseToolkit(langchain(), SmolTool()))] == ["upper", "weather"]


def test_a_toolbox_is_prepared_and_all_of_its_tools_share_its_state() -> None:
    memory: Any = Memory()
    agent = Agent(
        ScriptedBackend(
            ("Memory_set", {"key": "a", "value": "1"}), ("Memory_get", {"key": "a"}), ("Memory_size", {}), "!"
        ),
        tools=[memory],
    )
    assert [call.response for call in agent.run("Go.").tool_calls] == ["kept", "1", "1"]
    described = {each.name: each for each in agent.tools}
    assert described["Memory_get"].description == "Returns what is kept."
    assert described["Memory_get"].parameters["properties"] == {"key": {"type": "string"}}


# Results


def test_results_are_shown_as_those_of_any_tool() -> None:
    for value, shown in (
        ({"a": [1, None]}, '{"a": [1, null]}'),
        (Parcel(to="Oslo"), '{"to":"Oslo","grams":100}'),
        (None, "null"),
        (3.5, "3.5"),
        ("text", "text"),
    ):
        for given in (langchain(lambda text, value=value: value), llama(lambda text, value=value: value)):
            assert answers(given, {"text": "a"}) == [shown]


def test_of_content_and_artifact_the_model_reads_the_content() -> None:
    """LibreChat-AI/agents#16: the artifact was sent to the model too."""
    given = langchain(lambda text: ("for the model", {"secret": 1}), response_format="content_and_artifact")
    assert answers(given, {"text": "a"}) == ["for the model"]


BLOCKS = [
    {"type": "text", "text": "See:"},
    {"type": "image_url", "image_url": {"url": DATA_URL}},
    {"type": "image", "source": {"type": "base64", "data": DATA_URL.partition(",")[2], "media_type": "image/png"}},
    {"type": "image", "base64": DATA_URL.partition(",")[2], "mime_type": "image/png"},
    {"type": "image", "url": "https://host.test/cat.png"},
    {"type": "image", "base64": base64.b64encode(b"no image").decode()},
    {"type": "image", "file_id": "file-1"},
    {"type": "file", "filename": "a.pdf", "file_data": "..."},
    {"type": "input_audio", "data": "UklGRg=="},
]


@pytest.mark.parametrize("kind", ["langchain", "openai-agents"])
def test_a_result_of_parts_is_its_texts_and_images(kind: str) -> None:
    """AnswerDotAI/lisette#116: a list of parts became the text of that list."""
    parts = lambda text: BLOCKS  # noqa: E731
    given: Any = langchain(parts) if kind == "langchain" else function_tool(parts, TEXT)
    given.name = "parts"
    (said,) = answers(given, {"text": "a"})
    lines = said.splitlines()
    assert lines.pop(5).startswith("(an image that can't be shown: ")
    assert lines == [
        *("See:", SHOWN, SHOWN, SHOWN, "(an image: https://host.test/cat.png)"),
        *("(an image: the file file-1)", "(a file a.pdf, which can't be shown)", "(an audio, which can't be shown)"),
    ]


def test_what_a_server_returns_in_place_of_an_image_is_no_image(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    hostile: list[Any] = [
        {"type": "image", "path": str(file)},
        {"type": "image", "data": 10**12},
        {"type": "image", "data": [1, 2]},
        {"type": "image", "base64": "é"},
        {"type": "image", "base64": "AAAAA"},
        {"type": "image", "source": {"data": {}}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}},
    ]
    (said,) = answers(langchain(lambda text: hostile), {"text": "a"})
    assert len(said.splitlines()) == len(hostile)
    assert all(
        line.startswith(("(an image that can't be shown: ", "(an image without data)")) for line in said.splitlines()
    )


@pytest.mark.parametrize(
    "value",
    [
        [{"type": "song", "text": "x"}, {"type": "text", "text": "y"}],
        [{"type": "file", "name": "a.txt", "size": 3}],
        {"type": "text", "text": "x", "lines": 3},
        ["text", "more"],
        [],
    ],
    ids=["another type", "folder", "object", "texts", "nothing"],
)
def test_objects_that_only_look_like_parts_are_shown_whole(value: Any) -> None:
    assert answers(langchain(lambda text: value), {"text": "a"}) == [json.dumps(value)]


def test_images_of_a_result_are_shown_to_the_model(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(PNG)
    images = [AgnoImage(PNG), AgnoImage(filepath=str(file)), AgnoImage(filepath=str(tmp_path / "gone.png"))]
    result = ToolResult("See:", images, audios=["a"])
    agent = Agent(ScriptedBackend(("upper", {"text": "a"}), "Done."), tools=[agno(lambda text: result)])
    run = agent.run("Go.")
    assert run.tool_calls[0].response.splitlines() == [
        *("See:", SHOWN, "[a.png: the image is in the next message]"),
        "(an image that can't be shown: No such file or directory)",
        "(1 audio: can't be shown)",
    ]
    shown = [part for each in run.messages if isinstance(each["content"], list) for part in each["content"]]
    assert sum(part["type"] == "image_url" for part in shown) == 2
    attached = LlmOutput({"a": 1}, [Attachment(content=PNG), Attachment("audio/wav", content=b"x")])
    assert answers(LlmTool("upper", "d", TEXT, lambda text: attached), {"text": "a"})[0].splitlines() == [
        *('{"a": 1}', SHOWN, "(an attachment of the type audio/wav, which can't be shown)")
    ]
    blocks = ToolOutput("see", None, blocks=[TextBlock("see"), ImageBlock(base64.b64encode(PNG))])
    assert answers(llama(lambda text: blocks), {"text": "a"}) == [f"see\n{SHOWN}"]


def test_the_content_of_a_tool_output_is_what_its_maker_wrote_for_the_model() -> None:
    class Response:
        def __str__(self) -> str:
            return "the answer"

    sources = ToolOutput("the answer", Response())
    assert answers(llama(lambda text: sources), {"text": "a"}) == ["the answer"]
    overridden = ToolOutput("in short", {"much": "more"})
    assert answers(llama(lambda text: overridden), {"text": "a"}) == ["in short"]


def test_a_generator_is_its_items() -> None:
    def pieces(text: str) -> Any:
        yield from text

    assert answers(agno(pieces), {"text": "abc"}) == ["a\nb\nc"]


# Errors


@pytest.mark.parametrize("handled", [False, True, "It is closed."], ids=["not handled", "handled", "with a text"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_what_a_tool_raises_for_the_model_is_an_error_that_the_model_reads(handled: Any, is_async: bool) -> None:
    """langchain-ai/deepagents#5356: a ToolException ended the run."""

    def closed(text: str) -> str:
        raise ToolException("The shop is closed.")

    async def closed_later(text: str) -> str:
        raise ToolException("The shop is closed.")

    given = langchain(closed_later if is_async else closed, handle_tool_error=handled)
    agent = Agent(ScriptedBackend(("upper", {"text": "a"}), "Done."), tools=[given])
    (call,) = agent.run("Go.").tool_calls
    text = handled if isinstance(handled, str) else "The shop is closed."
    assert call.error == call.response == f"Error: {text}"


def test_failures_of_each_kind_are_errors() -> None:
    def retry(text: str) -> str:
        raise RetryAgentRun("Give a city.")

    def own(text: str) -> str:
        raise ToolError("Not today.")

    def other(text: str) -> str:
        raise ValueError("no such city")

    failing = function_tool(lambda text: "An error occurred while running the tool. Please try again. Error: x", TEXT)
    failing.name = "failing"
    assert answers(failing, {"text": "a"})[0].startswith("Error: An error occurred while running the tool.")
    broken = ToolOutput("It is broken.", None, is_error=True)
    assert answers(agno(retry), {"text": "a"}) == ["Error: Give a city."]
    assert answers(llama(lambda text: broken), {"text": "a"}) == ["Error: It is broken."]
    for make in (langchain, llama, agno, lambda function: LlmTool("upper", "d", TEXT, function)):
        assert answers(make(own), {"text": "a"}) == ["Error: Not today."]
        assert answers(make(other), {"text": "a"}) == ["Error: upper raised ValueError: no such city"]
