"""Tools of Qwen-Agent: subclasses of `BaseTool`, whose `call` takes all arguments as one JSON text or dict."""

import json
from collections.abc import Iterator, KeysView, Mapping
from typing import Any

from agentkit.tooling.annotations import signature_of
from agentkit.tooling.foreign.call import ForeignCall, Found
from agentkit.tooling.foreign.content import image_part, joined
from agentkit.tooling.foreign.schemas import parameters_of, valid_name
from agentkit.tooling.objects import get, has


def is_tool(value: Any) -> bool:
    """Whether it has the form of a tool of Qwen-Agent."""
    is_described = isinstance(get(value, "parameters"), list | Mapping) and isinstance(get(value, "name"), str)
    return is_described and has(value, "call") and hasattr(value, "description")


def is_class(kind: type) -> bool:
    """Whether objects of this class have the form."""
    return callable(getattr(kind, "call", None)) and isinstance(getattr(kind, "parameters", None), list | dict)


def found(tool: Any) -> Found:
    """The tool for a model."""
    name = valid_name(tool.name)
    parameters = parameters_of(tool.parameters, name)
    return Found(name, str(get(tool, "description") or ""), parameters, QwenCall(tool), {})


class QwenCall(ForeignCall):
    """Calls a tool of Qwen-Agent."""

    kind = "Qwen-Agent tool"

    def begun(self, arguments: dict[str, Any]) -> Any:
        """Call the tool."""
        return self.target.call(arguments if _wants_dict(self.target.call) else Arguments(arguments))

    def result(self, value: Any) -> Any:
        """The texts and images of a list of `ContentItem`s; anything else as it is."""
        items = value if isinstance(value, list) else [value]
        if not items or not all(map(_is_item, items)):
            return value
        return joined([_shown(each) for each in items])


def _wants_dict(call: Any) -> bool:
    try:
        first = next(iter(signature_of(call).parameters.values()), None)
    except (TypeError, ValueError):
        return False
    hint = first.annotation if first is not None else None
    return (hint if isinstance(hint, str) else getattr(hint, "__name__", "")).lower().partition("[")[0] == "dict"


class Arguments(str):
    """The arguments of a call as JSON text, which is what Qwen-Agent passes; a tool that takes it for a dict may read
    it as one."""

    __slots__ = ("_values",)
    _values: dict[str, Any]

    def __new__(cls, values: dict[str, Any]) -> "Arguments":
        made = super().__new__(cls, json.dumps(values, ensure_ascii=False))
        made._values = values
        return made

    def __getitem__(self, key: Any) -> Any:
        return self._values[key] if isinstance(key, str) else super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return key in self._values or (isinstance(key, str) and super().__contains__(key))

    def keys(self) -> KeysView[str]:
        """Those of the dict."""
        return self._values.keys()

    def get(self, key: str, default: Any = None) -> Any:
        """As that of the dict."""
        return self._values.get(key, default)

    def items(self) -> Iterator[tuple[str, Any]]:
        """Those of the dict."""
        return iter(self._values.items())


def _is_item(value: Any) -> bool:
    fields = getattr(type(value), "model_fields", None) or ()
    return {"text", "image", "file"} <= set(fields)


def _shown(item: Any) -> Any:
    if item.text is not None:
        return item.text
    if item.image is not None:
        return image_part(url=item.image)
    return f"(a file, which can't be shown: {get(item, 'file', 'audio', 'video')})"
