"""Tool calls of replies: dicts, so that they are JSON as they stand, whose keys are attributes as well.

json.dumps(message.tool_calls)
call["function"]["name"] == call.function.name
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic_core import core_schema

from agentkit._text import json_text
from agentkit.history.plain import plain

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


class FieldsDict(dict[str, Any]):
    """A dict whose keys are attributes as well. It has the methods of the openai package's objects that write them as
    plain data."""

    nested: ClassVar[Mapping[str, type["FieldsDict"]]] = {}
    """The keys whose values are such dicts too."""
    optional: ClassVar[frozenset[str]] = frozenset()
    """The keys that are None when they are missing."""

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        for name, kind in self.nested.items():
            if isinstance(self.get(name), Mapping):
                self[name] = kind(self[name])

    @classmethod
    def of(cls, value: Any) -> Any:
        """Return a value as one of these: a dict, or an object of an SDK. Others stay as they are."""
        if isinstance(value, cls):
            return value
        value = plain(value)
        return cls(value) if isinstance(value, Mapping) else value

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name in self.optional:
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        del self[name]

    def __missing__(self, name: str) -> Any:
        if name in self.optional:
            return None
        raise KeyError(name)

    def __copy__(self) -> Self:
        return type(self)(self)

    def model_dump(self, *, exclude_none: bool = False, **options: Any) -> dict[str, Any]:
        """Return the fields as plain data. Other options of pydantic change nothing."""
        fields: dict[str, Any] = plain(dict(self))
        return {name: value for name, value in fields.items() if value is not None} if exclude_none else fields

    def to_dict(self, **options: Any) -> dict[str, Any]:
        """Return the fields as plain data."""
        return self.model_dump()

    def model_dump_json(self, *, exclude_none: bool = False, **options: Any) -> str:
        """Return the fields as JSON."""
        return json_text(self.model_dump(exclude_none=exclude_none))

    def to_json(self, **options: Any) -> str:
        """Return the fields as JSON."""
        return self.model_dump_json()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> core_schema.CoreSchema:
        """Let models have such dicts as fields."""
        dump = core_schema.plain_serializer_function_ser_schema(plain)
        return core_schema.no_info_plain_validator_function(cls._checked, serialization=dump)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        return {"type": "object", "title": cls.__name__}

    @classmethod
    def _checked(cls, value: Any) -> Self:
        made = cls.of(value)
        if not isinstance(made, cls):
            raise ValueError(f"a {cls.__name__} must be a dict")
        return made


class Function(FieldsDict):
    """The name and the JSON text of the arguments."""

    name: str
    arguments: str


class ToolCallObject(FieldsDict):
    """A tool call; `index` is its position in the reply."""

    nested: ClassVar = {"function": Function}

    id: str
    type: str
    function: Function
    index: int


class DeltaFunction(FieldsDict):
    """A delta of a call's name and arguments."""

    optional = frozenset({"name", "arguments"})

    name: str | None
    arguments: str | None


class DeltaToolCall(FieldsDict):
    """A delta of a call."""

    nested: ClassVar = {"function": DeltaFunction}
    optional = frozenset({"id", "type", "function"})

    index: int
    id: str | None
    type: str | None
    function: DeltaFunction | None
