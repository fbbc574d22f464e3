"""Objects of the form of other frameworks' tools, written for these tests: the attributes and methods by which they are
known and called, and how each fails."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


class Parcel(BaseModel):
    """A model inside of arguments."""

    to: str
    grams: int = 100


# LangChain


class ToolException(Exception):
    """What a tool of LangChain raises for the model."""


class InjectedState:
    """Marks an argument that a graph fills in."""


class RunnableConfig(dict[str, Any]):
    """The configuration of a run of LangChain."""


class CallbackManagerForToolRun:
    """What LangChain fills in by itself."""


@dataclass
class ToolMessage:
    """The answer to a call."""

    content: Any
    tool_call_id: str
    status: str = "success"


@dataclass
class StructuredTool:
    """Like a StructuredTool of LangChain."""

    name: str
    description: str
    args_schema: Any = None
    func: Callable[..., Any] | None = None
    coroutine: Callable[..., Awaitable[Any]] | None = None
    handle_tool_error: Any = False
    return_direct: bool = False
    response_format: str = "content"

    def invoke(self, input: dict[str, Any]) -> Any:
        if self.func is None:
            raise NotImplementedError("this tool can only be called asynchronously")
        values, call_id = self._values(input)
        try:
            return self._content(self.func(**values), call_id)
        except ToolException as error:
            return self._handled(error, call_id)

    async def ainvoke(self, input: dict[str, Any]) -> Any:
        assert self.coroutine is not None
        values, call_id = self._values(input)
        try:
            return self._content(await self.coroutine(**values), call_id)
        except ToolException as error:
            return self._handled(error, call_id)

    def _values(self, given: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        values, call_id = (given["args"], given["id"]) if given.get("type") == "tool_call" else (given, None)
        if not hasattr(self.args_schema, "model_validate"):
            return values, call_id
        kind: Any = self.args_schema
        parsed = kind.model_validate(values)
        return {name: getattr(parsed, name) for name in kind.model_fields}, call_id

    def _content(self, value: Any, call_id: str | None) -> Any:
        content = value[0] if self.response_format == "content_and_artifact" else value
        return content if call_id is None else ToolMessage(content, call_id)

    def _handled(self, error: ToolException, call_id: str | None) -> Any:
        if not self.handle_tool_error:
            raise error
        text = self.handle_tool_error if isinstance(self.handle_tool_error, str) else str(error)
        return text if call_id is None else ToolMessage(text, call_id, "error")


class SingleInputTool(StructuredTool):
    """Like a Tool of LangChain: it takes one text."""

    @property
    def args(self) -> dict[str, Any]:
        return {"tool_input": {"type": "string"}}

    def invoke(self, input: dict[str, Any]) -> Any:
        assert self.func is not None
        return self.func(*input.values())


class AsyncOnlyTool:
    """Like a subclass of LangChain's BaseTool that has no synchronous form."""

    name = "lookup"
    description = "Looks up."
    args_schema: Any = None
    tool_call_schema: Any = Parcel

    def _run(self, to: str, grams: int = 100) -> str:
        raise NotImplementedError("use ainvoke")

    async def _arun(self, to: str, grams: int = 100) -> str:
        await asyncio.sleep(0)
        return f"{to}: {grams} g"

    def invoke(self, input: dict[str, Any]) -> Any:
        return self._run(**input)

    async def ainvoke(self, input: dict[str, Any]) -> Any:
        return await self._arun(**input)


class BaseToolkit:
    """Like a toolkit of LangChain."""

    def __init__(self, *tools: Any) -> None:
        self._tools = tools

    def get_tools(self) -> list[Any]:
        return list(self._tools)


# openai-agents


class RunContextWrapper:
    """The context of a run of openai-agents."""


@dataclass
class FunctionTool:
    """Like a FunctionTool of openai-agents."""

    name: str
    description: str
    params_json_schema: dict[str, Any]
    on_invoke_tool: Callable[[Any, str], Awaitable[Any]]
    is_enabled: Any = True
    needs_approval: Any = False
    tool_input_guardrails: list[Any] | None = None
    tool_output_guardrails: list[Any] | None = None
    timeout_seconds: float | None = None


def function_tool(function: Callable[..., Any], schema: dict[str, Any], **options: Any) -> FunctionTool:
    """A FunctionTool of a function that takes the arguments by name."""

    async def invoke(context: Any, arguments: str) -> Any:
        value = function(**json.loads(arguments))
        return await value if asyncio.iscoroutine(value) else value

    made = FunctionTool(function.__name__, function.__doc__ or "", schema, invoke, **options)
    made.__wrapped__ = function  # type: ignore[attr-defined]
    return made


# smolagents


class SmolTool:
    """Like a tool of smolagents."""

    name = "weather"
    description = "Returns the weather."
    inputs: Mapping[str, Any] = {
        "city": {"type": "string", "description": "Where."},
        "days": {"type": "integer", "description": "How many.", "nullable": True},
        "unit": {"type": "string", "description": "Of the temperature.", "enum": ["C", "F"], "nullable": True},
    }
    output_type = "string"

    def __init__(self) -> None:
        self.is_initialized = False
        self.set_up = 0

    def setup(self) -> None:
        self.set_up += 1
        self.is_initialized = True

    def forward(self, city: str, days: int | None, unit: str = "C") -> Any:
        return f"{city} {days} {unit}"

    def __call__(self, **values: Any) -> Any:
        assert self.is_initialized
        return self.forward(**values)


# LlamaIndex


@dataclass
class ToolMetadata:
    """What a tool of LlamaIndex says of itself."""

    description: str
    name: str | None = None
    fn_schema: Any = None
    return_direct: bool = False


@dataclass
class TextBlock:
    """A text in a result."""

    text: str
    block_type: str = "text"


@dataclass
class ImageBlock:
    """An image in a result, as Base64."""

    image: bytes
    block_type: str = "image"


@dataclass
class ToolOutput:
    """The result of a tool of LlamaIndex."""

    content: str
    raw_output: Any
    is_error: bool = False
    blocks: list[Any] = field(default_factory=list)


class LlamaTool:
    """Like a FunctionTool of LlamaIndex."""

    def __init__(self, function: Callable[..., Any], metadata: ToolMetadata, **attributes: Any) -> None:
        self.metadata = metadata
        self.real_fn = function
        self.requires_context = False
        self.partial_params: dict[str, Any] = {}
        self.__dict__.update(attributes)

    def __call__(self, **values: Any) -> Any:
        return self.call(**values)

    def call(self, **values: Any) -> Any:
        return _output(self.real_fn(**self.partial_params, **values))

    async def acall(self, **values: Any) -> Any:
        return _output(await self.real_fn(**self.partial_params, **values))


def _output(value: Any) -> Any:
    return value if isinstance(value, ToolOutput) else ToolOutput(str(value), value)


class OneInput:
    """Like a subclass of LlamaIndex's BaseTool whose method has a name of its own for the input."""

    metadata = ToolMetadata("Answers.", "ask it")

    def __call__(self, question: str) -> ToolOutput:
        return ToolOutput(f"answer to {question}", None, blocks=[TextBlock(f"answer to {question}")])


# agno


class AgentRunException(Exception):
    """What stops or retries a run of agno."""


class RetryAgentRun(AgentRunException):
    """What a function of agno raises for the model."""


@dataclass
class AgnoFunction:
    """Like a Function of agno, whose schema is made when an agent runs."""

    name: str
    entrypoint: Callable[..., Any] | None
    schema: dict[str, Any]
    description: str | None = None
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}, "required": []})
    stop_after_tool_call: bool = False
    requires_confirmation: bool | None = None
    requires_user_input: bool | None = None
    external_execution: bool | None = None
    pre_hook: Any = None
    post_hook: Any = None
    tool_hooks: Any = None

    def process_entrypoint(self) -> None:
        self.parameters = self.schema
        self.description = self.description or getattr(self.entrypoint, "__doc__", None)


@dataclass
class AgnoImage:
    """An image of agno."""

    content: bytes | None = None
    url: str | None = None
    filepath: str | None = None


@dataclass
class ToolResult:
    """A result of agno with media."""

    content: str
    images: list[AgnoImage] | None = None
    videos: list[Any] | None = None
    audios: list[Any] | None = None
    files: list[Any] | None = None


class Toolkit:
    """Like a toolkit of agno."""

    def __init__(self, name: str, *functions: AgnoFunction) -> None:
        self.name = name
        self.functions = {each.name: each for each in functions}
        self.async_functions: dict[str, AgnoFunction] = {}

    def register(self, function: AgnoFunction) -> None:
        self.functions[function.name] = function

    def get_functions(self) -> dict[str, AgnoFunction]:
        return self.functions


# llm


@dataclass
class LlmTool:
    """Like a tool of the package llm."""

    name: str
    description: str | None
    input_schema: dict[str, Any]
    implementation: Callable[..., Any] | None


@dataclass
class Attachment:
    """An attachment of llm."""

    type: str | None = None
    path: str | None = None
    url: str | None = None
    content: bytes | None = None


@dataclass
class LlmOutput:
    """A result of llm with attachments."""

    output: Any = None
    attachments: list[Attachment] = field(default_factory=list)


class Memory:
    """Like a toolbox of llm."""

    name: str | None = None

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._prepared = False
        self._extra: list[LlmTool] = []

    @classmethod
    def method_tools(cls) -> list[LlmTool]:
        return []

    def add_tool(self, tool: LlmTool) -> None:
        self._extra.append(tool)

    def prepare(self) -> None:
        self.add_tool(LlmTool("Memory_size", "Counts.", {"properties": {}}, lambda: len(self._kept)))

    def tools(self) -> Iterator[LlmTool]:
        one = {"type": "object", "properties": {"key": {"type": "string", "title": "Key"}}, "required": ["key"]}
        two = {"properties": {**one["properties"], "value": {"type": "string"}}, "required": ["key", "value"]}  # type: ignore[dict-item]
        yield LlmTool("Memory_set", "Keeps.", two, self.keep)
        yield LlmTool("Memory_get", "  Returns what is kept.\n", one, self.kept)
        yield from self._extra

    def keep(self, key: str, value: str) -> str:
        self._kept[key] = value
        return "kept"

    async def kept(self, key: str) -> str:
        await asyncio.sleep(0)
        return self._kept[key]


# Qwen-Agent


class QwenTool:
    """Like a tool of Qwen-Agent, which reads its arguments as JSON text."""

    name = "image_gen"
    description = "Draws."
    parameters: Any = [  # noqa: RUF012
        {"name": "prompt", "type": "string", "description": "What to draw.", "required": True},
        {"name": "width", "type": "int", "description": "In pixels."},
    ]

    def call(self, params: str | dict[str, Any], **kwargs: Any) -> Any:
        values = json.loads(params) if isinstance(params, str) else params
        return f"drew {values['prompt']}, {values.get('width', 512)} wide"


QWEN = QwenTool()
"""An object in a module, for `--tool module:name`."""
