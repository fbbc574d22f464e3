"""Answers of a type: what the model is told of it, and its reply read and checked."""

import contextlib
import json
import re
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import from_json

from agentkit.backend import Backend, Pieces, Request
from agentkit.errors import ArgumentsError, ConfigurationError, OutputError
from agentkit.event import CallDelta, OutputDelta, ReplyDiscarded, TextDelta
from agentkit.message import Prompt, user
from agentkit.tooling.arguments import ArgumentsParser, is_json_object, signature_reader
from agentkit.tooling.json_repair import loads
from agentkit.tooling.schema import json_schema_of, wrapped_adapter
from agentkit.tools import Tool

_FENCED = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.DOTALL)
_BEGINS_JSON = tuple("{[\"'0123456789-")

FINAL = "final_answer"
"""The tool by which a model answers where its server has no response_format."""


class OutputType:
    """What `run(..., output=...)` was given: a pydantic model, dataclass, TypedDict, Literal, list, union, int, ...

    schema: of the JSON object that the model writes; a type that is no object stands in it under "value". Raises
    ConfigurationError for what has no JSON schema.
    """

    def __init__(self, given: Any) -> None:
        try:
            adapter, schema = json_schema_of(given)
            self._is_wrapped = schema.get("type") != "object" or "properties" not in schema
            if self._is_wrapped:
                adapter, schema = wrapped_adapter(given)
        except (PydanticUserError, TypeError, ValueError, NameError) as error:
            reason = str(error).split("\n")[0]
            raise ConfigurationError(f"output={given!r:.60} is no type that has a JSON schema: {reason}") from None
        self.schema: dict[str, Any] = schema
        self.name = re.sub(r"\W+", "_", getattr(given, "__name__", "") or "answer")[:64].strip("_") or "answer"
        self._adapter: TypeAdapter[Any] = adapter
        self._read: ArgumentsParser = signature_reader(adapter, schema["properties"])

    @property
    def response_format(self) -> dict[str, Any]:
        """The schema as OpenAI's chat completions take it."""
        described = {"name": self.name, "schema": self.schema, "strict": _is_strict(self.schema)}
        return {"type": "json_schema", "json_schema": described}

    def in_words(self) -> str:
        """The schema as a sentence to the model."""
        return f"Answer with JSON alone, which fits this schema: {json.dumps(self.schema, ensure_ascii=False)}"

    def read(self, text: str, *, broken_off: bool = False) -> Any:
        """The value that a text of the model stands for. broken_off: the reply did not come to its own end, so that
        only a whole object counts. Raises ArgumentsError with what is wrong."""
        if not text.strip():
            raise ArgumentsError("there is no answer")
        if broken_off and not is_json_object(text, strict=False):
            raise ArgumentsError("the answer is cut off: write it again, and shorter")
        try:
            value: Any = self._read(text)[0]
        except ArgumentsError:
            if not self._is_wrapped:
                raise
            value = self._bare(text)
            if value is None:
                raise
        return value["value"] if self._is_wrapped else value

    def _bare(self, text: str) -> Any:
        """The object around a value that stands alone (`42`, `["a"]`, `yes`); None when it has not the type."""
        fenced = _FENCED.fullmatch(text)
        text = (fenced[1] if fenced else text).strip()
        try:
            written = json.dumps({"value": loads(text)})
        except (ValueError, RecursionError):
            if text[:1] in _BEGINS_JSON:
                return None
            return self._plain(text)
        with contextlib.suppress(ArgumentsError):
            return self._read(written)[0]
        return None

    def _plain(self, text: str) -> Any:
        """The same for words, where the type has words for values."""
        with contextlib.suppress(ValidationError):
            return self._adapter.validate_json(json.dumps({"value": text}))
        return None

    def partly(self, text: str) -> Any:
        """What has come of the value so far, as JSON has it; None when nothing has."""
        begin = text.find("{")
        try:
            value = from_json(text[begin:], allow_partial="trailing-strings") if begin >= 0 else None
        except ValueError:
            return None
        return value.get("value") if self._is_wrapped and isinstance(value, dict) else value


def _is_strict(schema: Any) -> bool:
    """Whether OpenAI takes the schema as strict: objects are closed, and all their keys required."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if properties is not None:
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    elif schema.get("type") == "object":
        return False
    return all(_is_strict(value) for value in schema.values())


class TypedAnswer:
    """The way of one run to an answer of a type.

    By response_format where the backend takes a schema beside these tools, else by a tool that takes the answer.
    retries: how often the model is told what is wrong with it.
    """

    def __init__(self, kind: OutputType, backend: Backend, has_tools: bool, retries: int) -> None:
        self.kind = kind
        self.value: Any = None
        self.is_there = False
        takes_schema = getattr(backend, "takes_schema", None)
        self.by_tool = not (takes_schema is not None and takes_schema(has_tools))
        self._says_schema = not self.by_tool and not getattr(backend, "tells_schema", False)
        self.failure: OutputError | None = None
        self._left = retries

    def tool(self) -> Tool[..., str]:
        """The tool that takes the answer."""

        def take(**given: Any) -> str:
            return "Taken."

        made: Tool[..., str] = Tool(
            FINAL, "Give the final answer. Call it once, when you know it.", self.kind.schema, take
        )
        made._read = self._taken
        return made

    def prompt(self, prompt: Prompt) -> Prompt:
        """The prompt, with the schema in words where the server does not tell the model of it."""
        if not self._says_schema:
            return prompt
        if isinstance(prompt, str):
            return f"{prompt}\n\n{self.kind.in_words()}"
        return [*prompt, self.kind.in_words()]

    def take_text(self, text: str, *, broken_off: bool) -> Mapping[str, Any] | None:
        """Read an answer in words; what to tell the model when it is none. broken_off: see `OutputType.read`. Raises
        OutputError when it was told so often enough."""
        try:
            self.value = self.kind.read(text, broken_off=broken_off)
        except ArgumentsError as error:
            self._count(text, error)
            if self.failure is not None:
                raise self.failure from None
            how = f"Call {FINAL} with it." if self.by_tool else self.kind.in_words()
            return user(f"Your answer does not fit: {error}. {how}")
        self.is_there = True
        return None

    def _taken(self, arguments: str) -> tuple[dict[str, Any], list[str]]:
        try:
            self.value = self.kind.read(arguments)
        except ArgumentsError as error:
            self._count(arguments, error)
            raise
        self.is_there = True
        return {}, []

    def _count(self, text: str, error: ArgumentsError) -> None:
        if self._left <= 0:
            self.failure = OutputError(f"the model gave no answer of the type {self.kind.name}: {error}", text)
        self._left -= 1


class StructuredOutput:
    """Wraps any backend for one run: asks for the type, and tells what has come of it."""

    def __init__(self, backend: Backend, answer: TypedAnswer) -> None:
        self._backend = backend
        self._answer = answer

    def __repr__(self) -> str:
        return repr(self._backend)

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        kind, by_tool = self._answer.kind, self._answer.by_tool
        if not by_tool or not request.tools:
            request = replace(request, response_format=kind.response_format)
        return self._told(self._backend.reply(replace(request, call_deltas=by_tool and request.stream)), by_tool)

    def _told(self, pieces: Pieces, by_tool: bool) -> Generator[Any, None, None]:
        text, shown = "", None
        try:
            for piece in pieces:
                if isinstance(piece, CallDelta):
                    if piece.name != FINAL:
                        continue
                    text += piece.arguments
                else:
                    yield piece
                    if isinstance(piece, ReplyDiscarded):
                        text = ""
                    if by_tool or not isinstance(piece, TextDelta):
                        continue
                    text += piece.text
                value = self._answer.kind.partly(text)
                if value is not None and value != shown:
                    shown = value
                    yield OutputDelta(value)
        finally:
            pieces.close()

    def close(self) -> None:
        """See `agentkit.backend.Backend.close`."""
        self._backend.close()
