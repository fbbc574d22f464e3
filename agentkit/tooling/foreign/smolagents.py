"""Tools of smolagents: `@tool`, subclasses of `Tool`."""

import threading
from collections.abc import Mapping
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit.tooling.annotations import signature_of
from agentkit.tooling.foreign.call import ForeignCall, Found, refused
from agentkit.tooling.foreign.schemas import parameters_of, valid_name
from agentkit.tooling.objects import get, has

_NO_JSON = ("image", "audio")


def is_tool(value: Any) -> bool:
    """Whether it has the form of a tool of smolagents."""
    is_described = isinstance(get(value, "inputs"), Mapping) and isinstance(get(value, "output_type"), str)
    return is_described and has(value, "forward", "__call__") and isinstance(get(value, "name"), str)


def found(tool: Any) -> Found:
    """The tool for a model. Raises ToolDefinitionError for one that takes images or sounds."""
    name = valid_name(tool.name)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for argument, schema in tool.inputs.items():
        kinds = schema.get("type") if isinstance(schema.get("type"), list) else [schema.get("type")]
        unknown = next((kind for kind in kinds if kind in _NO_JSON), None)
        if unknown is not None:
            raise refused(name, f"its input {argument!r} is of the type {unknown}, which a model can't write")
        made = {key: each for key, each in schema.items() if key != "nullable"}
        properties[argument] = {key: each for key, each in made.items() if key != "type"} if "any" in kinds else made
        if not schema.get("nullable"):
            required.append(argument)
    schema = {"properties": properties, "required": required}
    parameters = parameters_of(schema, name, is_open=False)
    return Found(name, str(get(tool, "description") or ""), parameters, SmolagentsCall(tool), {})


class SmolagentsCall(ForeignCall):
    """Calls a tool of smolagents, set up once."""

    kind = "smolagents tool"

    def __init__(self, target: Any) -> None:
        super().__init__(target)
        self._missing = _without_default(target)
        self._lock = freed_by_forks(threading.Lock())

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool."""
        if get(self.target, "is_initialized") is False:
            with self._lock:
                if get(self.target, "is_initialized") is False and has(self.target, "setup"):
                    self.target.setup()
        return self.target(**{**dict.fromkeys(self._missing), **arguments})

    def result(self, value: Any) -> Any:
        """What an AgentImage or AgentText holds."""
        if not has(value, "to_raw", "to_string"):
            return value
        if "Audio" in type(value).__name__:
            return "(a sound, which can't be shown)"
        return value.to_raw()

    def __getstate__(self) -> dict[str, Any]:
        return {key: each for key, each in super().__getstate__().items() if key != "_lock"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__(state)
        self._lock = freed_by_forks(threading.Lock())


def _without_default(tool: Any) -> tuple[str, ...]:
    """The inputs that may be null, and that the method does not give a value to."""
    try:
        parameters = signature_of(tool.forward).parameters.values()
    except (TypeError, ValueError):
        return ()
    nullable = {name for name, schema in tool.inputs.items() if schema.get("nullable")}
    return tuple(each.name for each in parameters if each.name in nullable and each.default is each.empty)


def is_class(kind: type) -> bool:
    """Whether objects of this class have the form."""
    return callable(getattr(kind, "forward", None)) and hasattr(kind, "output_type") and hasattr(kind, "inputs")
