"""Typed answers (`output=`): how the type is described to the model, and how its reply is parsed and validated."""

import ast
import contextlib
import json
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from enum import Enum
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import from_json

from agentkit._lazy.records import replace
from agentkit.backend import (
    Backend,
    Capabilities,
    ReplyStream,
    Request,
    ending_of,
    is_broken_off,
    schema_in_words,
)
from agentkit.errors import ArgumentsError, ConfigurationError, OutputError
from agentkit.event import CallDelta, OutputDelta, Reply, ReplyDiscarded, TextDelta, ToolRecord
from agentkit.limits import Budget
from agentkit.message import INVALID_ANSWER, Message, Prompt, ToolCall, stop_reason, text_of, user
from agentkit.middleware.base import Middleware
from agentkit.middleware.text_answer import TextAnswer, objection
from agentkit.tooling.argument_readers import ArgumentsParser, signature_reader
from agentkit.tooling.arguments import is_json_object
from agentkit.tooling.bare_answers import in_wrapper, undecorated
from agentkit.tooling.json_repair import loads, read_json
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.schema import json_schema_of, wrapped_adapter
from agentkit.tooling.schema_dialects import is_strict
from agentkit.tooling.written_numbers import in_object
from agentkit.tools import Context, Tool

_MAX_LITERAL = 10_000
"""Maximum characters of a Python list or tuple that is read as an answer."""
_BEGINS_JSON = tuple("{[\"'0123456789-")

FINAL = "final_answer"
"""The tool through which a model answers where its server does not support response_format."""


class OutputType:
    """The type passed as `run(..., output=...)`: a pydantic model, dataclass, TypedDict, Literal, list, union, ...

    schema: the schema of the JSON object that the model writes; a type that is not an object is wrapped in one, under
    the key "value". Raises ConfigurationError for a type that has no JSON schema.
    """

    takes_refusals = False
    """Whether a refusal of the model ends a run without a value, instead of being asked about."""

    def __init__(self, given: Any) -> None:
        try:
            adapter, schema = json_schema_of(given)
            self._is_wrapped = schema.get("type") != "object" or "properties" not in schema
            if self._is_wrapped:
                adapter, schema = wrapped_adapter(given)
        except (PydanticUserError, TypeError, ValueError, NameError) as error:
            reason = str(error).split("\n")[0]
            raise ConfigurationError(f"output={given!r:.60} has no JSON schema: {reason}") from None
        self.schema: dict[str, Any] = schema
        self.name = re.sub(r"\W+", "_", getattr(given, "__name__", "") or "answer")[:64].strip("_") or "answer"
        self._adapter: TypeAdapter[Any] = adapter
        self._given = given
        self._read: ArgumentsParser = signature_reader(adapter, schema)

    @property
    def response_format(self) -> dict[str, Any]:
        """The schema in the format of OpenAI's `response_format`."""
        described = {"name": self.name, "schema": self.schema, "strict": is_strict(self.schema)}
        return {"type": "json_schema", "json_schema": described}

    def instruction(self) -> str:
        """The schema as an instruction to the model."""
        return schema_in_words(self.schema)

    def of_prompt(self, prompt: Prompt) -> "OutputType":
        """The type of the answer to a prompt: this one, if what is asked does not change how it is read."""
        return self

    def read(self, text: str, *, finish_reason: str = "") -> Any:
        """Parse and validate the text of an answer. finish_reason: that of the reply; if it was cut off, only a
        complete object is accepted. Raises ArgumentsError, with a message for the model."""
        if not text.strip():
            raise ArgumentsError("the answer is empty")
        if is_broken_off(finish_reason) and not is_json_object(text, strict=False):
            how = ", shorter" if ending_of(finish_reason) == "length" else ""
            raise ArgumentsError(f"the answer was cut off: write it again{how}")
        try:
            value, unknown = self._read(text)
        except ArgumentsError:
            value = self._otherwise(text)
            if value is None:
                raise
        else:
            if unknown and not self._is_wrapped:  # a type whose fields all have defaults fits any object
                value = self._in_another(text) or value
        return value["value"] if self._is_wrapped else value

    def _otherwise(self, text: str) -> Any:
        """Parse a value without the object around it (`42`, `**yes**`, `["a"]`), or in another one (`{"answer": 42}`);
        None when it does not have the type."""
        if self._is_wrapped:
            for bare in undecorated(text):
                if (value := self._bare(bare)) is not None:
                    return value
                if self._takes_text:
                    break  # the rest would change the text of the answer
        return self._in_another(text)

    def _in_another(self, text: str) -> Any:
        """Parse a value in an object under a key that is not the type's own."""
        with contextlib.suppress(ArgumentsError, ValueError):
            inner = in_wrapper(read_json(text), self.name)
            if self._is_wrapped and isinstance(inner, str):
                return self._otherwise(inner)
            if inner is not None and (self._is_wrapped or isinstance(inner, dict)):
                return self._read(json.dumps({"value": inner} if self._is_wrapped else inner))[0]
        return None

    def _bare(self, text: str) -> Any:
        """Parse a value without the object around it; None when it does not have the type."""
        try:
            written = in_object(None if text == "None" else loads(text), text)
        except (ValueError, RecursionError):
            return self._loose(text)
        with contextlib.suppress(ArgumentsError):
            return self._read(written)[0]
        return self._plain(text) if text == "None" else None

    def _loose(self, text: str) -> Any:
        """The same for text that is no JSON."""
        if not (self._takes_text and text[:1] in _BEGINS_JSON) and (value := self._plain(text)) is not None:
            return value
        if text[:1] in ("[", "(") and len(text) <= _MAX_LITERAL:
            with contextlib.suppress(ArgumentsError, ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
                return self._read(json.dumps({"value": ast.literal_eval(text)}))[0]
        known = self._named.get(text.casefold())
        return None if known is None or self._takes_text else self._plain(known[0] if len(known) == 1 else text)

    def _plain(self, value: Any) -> Any:
        """The value as it is, for types that it may have."""
        with contextlib.suppress(ValidationError):
            return self._adapter.validate_json(json.dumps({"value": value}))
        return None

    @cached_property
    def _takes_text(self) -> bool:
        """Whether any text is a value of the type."""
        return self._is_wrapped and self._plain('{"any text') is not None

    @cached_property
    def _named(self) -> dict[str, list[Any]]:
        """The values that a Literal or an Enum allows, and null, by their names without regard to case."""
        named: dict[str, list[Any]] = {}
        for value in _choices(self.schema):
            named.setdefault(str(value).casefold(), []).append(value)
        if self._plain(None) is not None:
            for word in ("null", "none"):
                named.setdefault(word, []).append(None)
        if isinstance(self._given, type) and issubclass(self._given, Enum):
            for member in self._given:
                for name in (member.name, str(member)):
                    choices = named.setdefault(name.casefold(), [])
                    choices += [member.value] if member.value not in choices else []
        return named

    def partial(self, text: str) -> Any:
        """The value received so far, as JSON values and not validated; None when there is none yet."""
        begin = text.find("{")
        try:
            value = from_json(text[begin:], allow_partial="trailing-strings") if begin >= 0 else None
        except (ValueError, TypeError):  # TypeError: the text was cut inside a surrogate pair
            return None
        return value.get("value") if self._is_wrapped and isinstance(value, dict) else value


def _choices(schema: Any) -> Iterator[Any]:
    """Yields the values of the constants and enumerations in a schema."""
    if isinstance(schema, list):
        for each in schema:
            yield from _choices(each)
    elif isinstance(schema, dict):
        yield from schema.get("enum") or ()
        yield from [schema["const"]] if "const" in schema else ()
        for each in schema.values():
            yield from _choices(each)


class TypedAnswer(TextAnswer):
    """The typed answer of one run.

    Uses response_format where the backend supports a schema together with these tools, else a tool that takes the
    answer. retries: how often the model is sent the validation error to try again, however often it has called that
    tool in one reply. check: called with the value, raises ValueError for one that is not valid. failure: why there is
    no valid answer, or what the check has raised instead.
    """

    is_text = False

    def __init__(
        self,
        kind: OutputType,
        capabilities: Capabilities,
        has_tools: bool,
        retries: int,
        check: Callable[[Any], object] | None = None,
    ) -> None:
        self.kind = kind
        self.is_there = False
        self.failure: Exception | None = None
        self.by_tool = not capabilities.takes_schema(has_tools)
        self.tools = (_FinalAnswer(self),) if self.by_tool else ()
        self._adds_schema = not self.by_tool and not capabilities.tells_schema
        self._left = retries
        self._is_counted = False
        self._check = check
        self._value: Any = None

    def prompt(self, prompt: Prompt) -> Prompt:
        """The prompt, with the schema added as text where the server does not send it to the model."""
        self.kind = self.kind.of_prompt(prompt)
        if not self._adds_schema:
            return prompt
        if isinstance(prompt, str):
            return f"{prompt}\n\n{self.kind.instruction()}"
        return [*prompt, self.kind.instruction()]

    def opening(self, transcript: Sequence[Message], ended_by: ToolRecord | None) -> Sequence[Message]:
        """See `TextAnswer.opening`."""
        complaint: Sequence[Message] = ()
        last = transcript[-1]
        if ended_by is not None and ended_by.name == FINAL:
            try:
                self.take_call(ended_by.raw_arguments)
            except ArgumentsError as error:  # of an earlier run, which had another type or check
                complaint = self._complaint(error)
        elif ended_by is None and last["role"] == "assistant" and not last.get("tool_calls"):
            complaint = self.take_text(text_of(last))
        if self.failure is not None:
            raise self.failure
        return complaint

    def wrapped(self, backend: Backend, budget: Budget) -> Backend:
        """See `TextAnswer.wrapped`."""
        return StructuredOutput(backend, self, budget)

    def output(self, transcript: Sequence[Message], ended_by: ToolRecord | None) -> Any:
        """The value; None when the run stopped before there was one. ended_by: the call that ended the run.
        Raises OutputError when there is no valid one and no retries are left."""
        if stop_reason(transcript[-1]) is not None:
            return None  # whatever was read of the rest of the reply, which is not in the transcript
        if ended_by is not None and not self.is_there and self.failure is None:
            self.take_text(ended_by.response, is_last="its tool ended the run")
        if self.failure is not None:
            raise self.failure
        return self._value

    def take_text(self, text: str, *, finish_reason: str = "", is_last: str | None = None) -> Sequence[Message]:
        """Read an answer from text. Returns a message for the model when it is invalid, none when it is valid or when
        the model can't try again, which sets `failure`. finish_reason: see `OutputType.read`. is_last: why the model
        can't try again, whatever its retries."""
        try:
            self._value = self._checked(self.kind.read(text, finish_reason=finish_reason))
        except ArgumentsError as error:
            self._count(text, error)
            if is_last is not None and (self.failure is None or isinstance(self.failure, OutputError)):
                self.failure = OutputError(f"{is_last} without a valid answer of type {self.kind.name}: {error}", text)
            return () if self.failure is not None else self._complaint(error)
        self.is_there = True
        return ()

    def _complaint(self, error: ArgumentsError) -> Sequence[Message]:
        how = f"Call {FINAL} with it." if self.by_tool else self.kind.instruction()
        return (user(f"{INVALID_ANSWER}{error}. {how}"),)

    def take_last(self, calls: Sequence[ToolCall]) -> str | None:
        """Read an answer from the calls of a reply whose calls are not run any more. Returns the arguments of the first
        one that is valid."""
        for each in calls:
            arguments = each["function"]["arguments"]
            if self.by_tool and each["function"]["name"] == FINAL and self.failure is None:
                with contextlib.suppress(ArgumentsError):
                    self._value = self._checked(self.kind.read(arguments))
                    self.is_there = True
                    return arguments
        return None

    def begin_reply(self) -> None:
        """The model is asked again: what is invalid in its next reply is one try, however many calls that has."""
        self._is_counted = False

    @property
    def is_decided(self) -> bool:
        """Whether further calls of the reply count for nothing: there is an answer, or the check of one has failed."""
        return self.is_there or not isinstance(self.failure, OutputError | None)

    def take_call(self, arguments: str) -> None:
        """Read an answer from the arguments of the tool; a valid one makes up for invalid ones before it in the same
        reply. Raises ArgumentsError when it is invalid."""
        try:
            self._value = self._checked(self.kind.read(arguments))
        except ArgumentsError as error:
            self._count(arguments, error)
            raise
        self.is_there, self.failure = True, None

    def _checked(self, value: Any) -> Any:
        try:
            wrong = None if self._check is None else objection(self._check, value)
        except Exception as error:  # noqa: BLE001
            self.failure = error  # raised when the reply is in the transcript
            raise ArgumentsError("the check has failed") from None
        if wrong is not None:
            raise ArgumentsError(wrong)
        return value

    def _count(self, text: str, error: ArgumentsError) -> None:
        if self._is_counted:
            return
        self._is_counted = True
        if self._left <= 0 and self.failure is None:
            self.failure = OutputError(f"the model gave no valid answer of type {self.kind.name}: {error}", text)
        self._left -= 1


class _FinalAnswer(Tool[..., str]):
    """The tool that takes the answer, and ends the run with it, or when no retries are left."""

    has_hooks = False  # it is how the answer arrives from some servers, and no call of the program's

    def __init__(self, answer: TypedAnswer) -> None:
        description = "Give the final answer. Call it once, when you know the answer."
        super().__init__(FINAL, description, answer.kind.schema, _accepted, ends_run=True)
        self._answer = answer

    def answer(self, arguments: str, context: Context) -> Outcome:
        """See `Tool.answer`."""
        if self._answer.is_decided:
            return failure(f"this call was ignored: an earlier call of {FINAL} in the same reply has ended the run.")
        try:
            self._answer.take_call(arguments)
        except ArgumentsError as error:
            rejected = failure(f"the arguments of {FINAL} don't fit: {error}. Correct them and call it again.")
            return replace(rejected, ends_run=self._answer.failure is not None)
        return Outcome(_accepted(), ends_run=True)


def _accepted() -> str:
    return "Accepted."


class StructuredOutput(Middleware):
    """Wraps any backend for one run: requests the type, yields the value received so far, and has the model correct an
    invalid answer. Raises OutputError, behind the reply, when it can't try again."""

    def __init__(self, backend: Backend, answer: TypedAnswer, budget: Budget) -> None:
        super().__init__(backend)
        self._answer = answer
        self._budget = budget

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        self._answer.begin_reply()
        kind, by_tool = self._answer.kind, self._answer.by_tool
        if not by_tool or not request.tools:
            request = replace(request, response_format=kind.response_format)
        request = replace(request, call_deltas=by_tool and request.stream)
        with closing(self._with_output(self.backend.reply(request), by_tool)) as deltas:
            for delta in deltas:
                yield self._validated(delta) if isinstance(delta, Reply) else delta
        if self._answer.failure is not None:
            raise self._answer.failure

    def _validated(self, reply: Reply) -> Reply:
        limit, calls = self._budget.ending, reply.message.get("tool_calls") or ()
        if calls and limit is None:
            return reply
        if (given := self._answer.take_last(calls)) is not None:
            return replace(reply, message={**reply.message, "content": given})
        if reply.message.get("refusal") and self._answer.kind.takes_refusals:
            return reply
        text, reason = text_of(reply.message), reply.finish_reason
        is_last = None if limit is None else f"the run reached its limit ({limit})"
        return replace(reply, then=tuple(self._answer.take_text(text, finish_reason=reason, is_last=is_last)))

    def _with_output(self, deltas: ReplyStream, by_tool: bool) -> Generator[Any, None, None]:
        received = _Received(self._answer.kind)
        with closing(deltas):
            for delta in deltas:
                if not isinstance(delta, CallDelta | Reply):
                    yield delta
                if isinstance(delta, ReplyDiscarded):
                    received = _Received(self._answer.kind)
                elif isinstance(delta, Reply):
                    yield from received.last()
                    yield delta
                elif isinstance(delta, CallDelta):
                    yield from received.feed(delta.arguments if delta.name == FINAL else "")
                elif isinstance(delta, TextDelta) and not by_tool:
                    yield from received.feed(delta.text)


class _Received:
    """The text of an answer received so far, and its values.

    Reading the whole text at each delta would take quadratic time, so it is read again only when it has grown by a
    64th: up to 64 characters at each delta, and a text of n characters in time proportional to n.
    """

    def __init__(self, kind: OutputType) -> None:
        self._kind = kind
        self._text = ""
        self._read = 0
        self._emitted: Any = None

    def feed(self, text: str) -> Iterator[OutputDelta]:
        """Add to the text, and yield its value if it has changed."""
        self._text += text
        if text and (len(self._text) - self._read) * 64 >= len(self._text):
            yield from self.last()

    def last(self) -> Iterator[OutputDelta]:
        """Yield the value of the text if it has changed."""
        self._read = len(self._text)
        value = self._kind.partial(self._text)
        if value is not None and value != self._emitted:
            self._emitted = value
            yield OutputDelta(value)
