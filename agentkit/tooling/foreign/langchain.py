"""Tools of LangChain: `@tool`, `StructuredTool`, `Tool`, subclasses of `BaseTool`."""

import inspect
from collections.abc import Mapping
from typing import Any

from agentkit.tooling.foreign.call import ForeignCall, Found, failed, raised_by, refused
from agentkit.tooling.foreign.content import shown_parts
from agentkit.tooling.foreign.needs import injected, injected_fields
from agentkit.tooling.foreign.schemas import parameters_of, valid_name
from agentkit.tooling.objects import get, has

_GIVEN = frozenset(("CallbackManagerForToolRun", "AsyncCallbackManagerForToolRun"))
"""What a tool of LangChain fills in by itself."""


def is_tool(value: Any) -> bool:
    """Whether it has the form of a tool of LangChain."""
    return has(value, "invoke") and isinstance(get(value, "name"), str) and hasattr(value, "args_schema")


def found(tool: Any) -> Found:
    """The tool for a model. Raises ToolDefinitionError for one that needs the state of a graph."""
    name = valid_name(tool.name)
    call = LangChainCall(tool)
    call.hidden = hidden = call.refuse_injected(name)
    parameters = parameters_of(_schema(tool, hidden), name, hidden, is_open=isinstance(tool.args_schema, Mapping))
    ends_run = bool(get(tool, "return_direct"))
    return Found(
        name, str(get(tool, "description") or ""), parameters, call, {"ends_run": ends_run} if ends_run else {}
    )


def _schema(tool: Any, hidden: frozenset[str]) -> Any:
    arguments = get(tool, "args")
    if tool.args_schema is None and isinstance(arguments, Mapping) and arguments.keys() == {"tool_input"}:
        return {"properties": arguments, "required": list(arguments)}  # a Tool, which takes one text
    if isinstance(tool.args_schema, Mapping) or (tool.args_schema is not None and not hidden):
        return tool.args_schema  # has the names by which it takes the arguments; the other may have others
    return get(tool, "tool_call_schema")


class LangChainCall(ForeignCall):
    """Calls a tool of LangChain; on the event loop of the async tools where it can't be called otherwise."""

    kind = "LangChain tool"

    def __init__(self, target: Any) -> None:
        functions = [each for each in (get(target, "func"), get(target, "coroutine")) if callable(each)]
        super().__init__(target, functions[0] if functions else None)
        self.is_async = bool(functions) and not callable(get(target, "func"))
        self._tells_failures = bool(get(target, "handle_tool_error") or get(target, "handle_validation_error"))
        self._has_function = bool(functions)

    def refuse_injected(self, name: str) -> frozenset[str]:
        """Raise ToolDefinitionError for what only LangGraph can fill in; returns the arguments that the model must not
        give."""
        if self._has_function:
            methods = [each for each in (get(self.target, "func"), get(self.target, "coroutine")) if callable(each)]
        else:
            methods = [each for each in (get(self.target, "_run"), get(self.target, "_arun")) if callable(each)]
        needs: dict[str, tuple[str, bool]] = {}
        for method in methods:
            for parameter, marker in injected(method, given=_GIVEN):
                needs[parameter.name] = marker, parameter.default is parameter.empty
        if isinstance(self.target.args_schema, type):
            needs |= injected_fields(self.target.args_schema)
        for argument, (marker, is_needed) in needs.items():
            if is_needed or marker == "InjectedToolCallId":  # without an id, LangChain itself raises
                raise refused(
                    name,
                    f"LangGraph fills in its parameter {argument!r} ({marker}), and there is no graph here: write a "
                    "function with @tool of agentkit that takes the run's `Context`, and calls what this tool calls",
                )
        return frozenset(needs)

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool."""
        given: Any = arguments
        if self._tells_failures:  # only as the answer to a call does a result say whether it is a failure
            given = {"type": "tool_call", "id": "agentkit", "name": self.target.name, "args": arguments}
        if self.is_async:
            return self.target.ainvoke(given)
        try:
            return self.target.invoke(given)
        except NotImplementedError as error:
            if not (has(self.target, "ainvoke") and raised_by(error, get(self.target, "_run"))):
                raise
            return self.target.ainvoke(given)

    def result(self, value: Any) -> Any:
        """The content of a result."""
        if get(value, "tool_call_id") is None or not hasattr(value, "content"):
            return shown_parts(value, may_be_one=False)
        content = shown_parts(value.content, may_be_one=False)
        if get(value, "status") != "error":
            return content
        texts = [each for each in content if isinstance(each, str)] if isinstance(content, list) else [content]
        raise failed("\n".join(map(str, texts)))


def is_class(kind: type) -> bool:
    """Whether objects of this class have the form."""
    return callable(getattr(kind, "invoke", None)) and "args_schema" in (getattr(kind, "model_fields", None) or ())


def toolkit_tools(value: Any) -> list[Any] | None:
    """The tools of a `BaseToolkit` of LangChain or a `BaseToolSpec` of LlamaIndex; None for anything else."""
    names = {kind.__name__ for kind in type(value).__mro__}
    method = {"BaseToolkit": "get_tools", "BaseToolSpec": "to_tool_list"}
    made = next((getattr(value, each)() for name, each in method.items() if name in names and has(value, each)), None)
    if inspect.iscoroutine(made):
        made.close()
    return list(made) if isinstance(made, list | tuple) else None
