"""Hooks: what a program does around the requests, replies and tool calls of its agents (docs/hooks.md).

class Masked(Hook):
    def outgoing(self, message):
        return {**message, "content": mask(message["content"])}

agent = Agent("openai:gpt-5-mini", tools=[search], hooks=[Masked()])
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from agentkit._lazy.records import dataclass, field, replace
from agentkit._text import json_bytes
from agentkit.backend import Backend, Request
from agentkit.errors import ConfigurationError, remade_error
from agentkit.errors import HookError as HookError
from agentkit.errors import Refused as Refused
from agentkit.event import Event, Steps
from agentkit.event import Reply as Reply
from agentkit.message import REASONING_FIELDS, RESPONSE_ITEMS, Message
from agentkit.tooling.arguments import read_arguments
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context, Tool


class WrongTypeError(TypeError):
    """A method of a hook has returned what it may not. made: that value. instead: what to return."""

    def __init__(self, hook: "Hook", method: str, made: object, instead: str) -> None:
        name = f"{type(hook).__name__}.{method}"
        super().__init__(f"{name} returned {made!r:.80} (a {type(made).__name__}): return {instead}")

    def __reduce__(self) -> tuple[Any, ...]:
        return remade_error, (type(self), self.args), self.__dict__


@dataclass(frozen=True)
class ToolCallRequest:
    """A tool call that is about to run. arguments: as the function gets them, checked and coerced. read_only: whether
    the tool changes nothing. context: the run. tool: its description, parameters and options."""

    name: str
    arguments: dict[str, Any]
    read_only: bool
    context: Context[Any] = field(repr=False, compare=False)
    tool: Tool[..., Any] = field(repr=False, compare=False)
    _written: "WrittenArguments | None" = field(default=None, repr=False, compare=False)

    @property
    def arguments_text(self) -> str:
        """The arguments as JSON text: as the model wrote them, but for those that were changed. Raises TypeError or
        ValueError for values that JSON does not have."""
        if self._written is not None:
            return self._written.changed_to(self.arguments)
        return json.dumps(_as_json(self.arguments), ensure_ascii=False)

    @property
    def key(self) -> tuple[str, str]:
        """The name and the arguments, in a form in which equal calls are equal; for a cache."""
        return self.name, json.dumps(_as_json(self.arguments), ensure_ascii=False, sort_keys=True)

    def replace(self, arguments: Mapping[str, Any]) -> "ToolCallRequest":
        """The call with other arguments, which are checked and coerced again before it runs."""
        return replace(self, arguments=dict(arguments))


class WrittenArguments:
    """The arguments of a call as the model wrote them. text: JSON. values: as the function gets them."""

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self._text = text
        self._values = dict(values)
        self._json = {name: _encoded(value) for name, value in values.items()}

    def changed_to(self, values: Mapping[str, Any]) -> str:
        """The text for other values, in which each is as it was written that is still the same, inside too."""
        if values.keys() == self._values.keys() and all(map(self._is_same, values, values.values())):
            return self._text
        written = read_arguments(self._text)
        kept = {name for name in values.keys() & written.keys() if self._is_same(name, values[name])}
        made = _as_json({name: value for name, value in values.items() if name not in kept})
        return json.dumps({name: (written if name in kept else made)[name] for name in values}, ensure_ascii=False)

    def _is_same(self, name: str, value: Any) -> bool:
        if name not in self._values or _encoded(value) != self._json[name]:
            return False
        return self._json[name] is not None or value is self._values[name]


def _encoded(value: Any) -> str | None:
    """None for a value that JSON does not have."""
    try:
        return json.dumps(_as_json({"": value}))
    except (TypeError, ValueError, RecursionError):
        return None


def _as_json(arguments: Mapping[str, Any]) -> Any:
    from pydantic_core import to_jsonable_python

    values = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value  # which is JSON as asterisks
        for name, value in arguments.items()
    }
    return to_jsonable_python(values)


Proceed = Callable[[ToolCallRequest], Outcome]
"""Runs a call and returns its result; an error of the tool is a result too (`failed`)."""


class Hook:
    """What is done around the requests, replies and tool calls of an agent: `Agent(hooks=[...])`, the first outermost.
    Override what you need. The methods are synchronous, and called by the threads of all runs at once. What they are
    given is theirs: a message, a reply or the arguments of a call that they change in place and let pass is used as
    they leave it; the messages of a request can't be changed in place (TypeError).

    What a hook guards is stopped when the hook fails: a request or a reply by HookError, which the run raises; a tool
    call by a result that says that a check failed. A hook that returns another type than its method may raises
    TypeError.

    inherit: whether it also stands around what agents do that run inside of this one's tools, but for `on_event`. Those
    that have this hook themselves, or one with the same `inherited_as` (if that is not None), don't inherit it.
    """

    inherit: bool = True
    inherited_as: object = None

    def outgoing(self, message: Message) -> Mapping[str, Any] | None:
        """What is sent to the model instead of a message; None: the message itself. What is stored stays as it is.

        Called once in a run for each message that is sent, so that each request begins with the bytes of the one
        before; return the same for the same message, and later runs keep that too.
        """
        return None

    def before_model(self, request: Request) -> Request | Reply | None:
        """Called before each request. Returns another request (`dataclasses.replace(request, ...)`), a Reply
        (`Reply.text("...")`: then no model is asked), or None. The messages are what `outgoing` has made of them."""
        return None

    def after_model(self, reply: Reply) -> Reply | str | None:
        """Called with each complete reply. Returns another one, a text that stands for all of it, or None. Nothing of
        the reply is shown and none of its calls begun before that, so deltas arrive all at once."""
        return None

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome | str:
        """Called for each tool call, in the thread in which it runs. Returns what `proceed(call)` returns, or a text
        for the model. `proceed` may be called never, once, or, for read-only tools, again; with `call.replace(...)` to
        run it with other arguments. Raise Refused with a reason for the model to refuse the call."""
        return proceed(call)

    def on_event(self, event: Event) -> None:
        """Called with each event of a run but the deltas of replies, before the caller of the run gets it. What it
        raises is logged."""

    def for_run(self, context: Context[Any]) -> "Hook":
        """The hook that is called in one run; the same object unless a hook keeps a state of each run."""
        return self


class RunHook(Hook):
    """A hook of one run (`Hook.for_run`) that also sees where the run, each request to a model and each execution of a
    tool begin and end."""

    def around_run(self, steps: Steps) -> Steps:
        """The events of the run."""
        return steps

    def around_request(self, backend: Backend) -> Backend:
        """One of the models of the agent, each attempt of a request to which is asked for here."""
        return backend

    def around_execution(self, tool: Tool[..., Any], arguments: str, execute: Callable[[], Outcome]) -> Outcome:
        """One execution of a tool, in the thread in which it runs, inside of what `around_tool` does: not called for a
        call that is refused, or waits for a person. arguments: JSON text."""
        return execute()


class Streamed(Hook):
    """Filters the text and the reasoning of replies while they stream: all but the last `lookback` characters are shown
    as they arrive.

    after_model: returns what is shown of a text. Where it changes parts of at most `lookback` characters, each by what
    stands in it, what is shown is what it makes of the whole text; else the reply is shown anew
    (`ReplyDiscarded`). Tool calls pass unchanged.
    """

    def __init__(self, after_model: Callable[[str], str], *, lookback: int = 64) -> None:
        if not callable(after_model):
            raise ConfigurationError(f"Streamed({after_model!r:.80}): pass a function from a text to a text")
        if isinstance(lookback, bool) or not isinstance(lookback, int) or lookback < 1:
            raise ConfigurationError(f"Streamed(lookback={lookback!r}): pass a number of characters of at least 1")
        self.filter = after_model
        self.lookback = lookback

    def filtered(self, text: str) -> str:
        """What is shown of a text. Raises TypeError when the function returns no text."""
        made: object = self.filter(text)
        if not isinstance(made, str):
            raise WrongTypeError(self, "after_model", made, "a str")
        return made

    def after_model(self, reply: Reply) -> Reply | str | None:
        """See `Hook.after_model`."""
        made = _with_texts(reply.message, self.filtered)
        return None if made == reply.message else replace(reply, message=made)


def _with_texts(message: Message, made: Callable[[str], str]) -> Message:
    """The message with its text and its reasoning replaced, in whatever form a server has them."""
    changed = {key: _in_part(value, made) if key in _TEXTS else value for key, value in message.items()}
    return cast(Message, changed)


_TEXTS = frozenset(["content", *REASONING_FIELDS, "reasoning_details", "thinking_blocks", RESPONSE_ITEMS, "refusal"])
_NO_TEXT = frozenset(
    (
        *("type", "id", "format", "detail", "url", "image_url", "input_audio", "data", "file_data", "file_id"),
        *("signature", "thought_signature", "encrypted_content", "cache_control"),
    )
)
"""Keys in parts of messages: what would be worth nothing to a server once it is changed."""


def _in_part(part: Any, made: Callable[[str], str]) -> Any:
    if isinstance(part, str):
        return made(part)
    if isinstance(part, list):
        return [_in_part(each, made) for each in part]
    if not isinstance(part, dict) or part.get("signature"):  # which is of the text as the server wrote it
        return part
    return {key: value if key in _NO_TEXT else _in_part(value, made) for key, value in part.items()}


def with_json_texts(text: str, made: Callable[[str], str]) -> str:
    """A JSON text with the texts in it replaced; a text that is no JSON replaced as a whole."""
    try:
        value = json.loads(text, strict=False)
        changed = _with_each_text(value, made, numbers=False)
    except (ValueError, RecursionError):
        return made(text)
    return text if changed == value else json_bytes(changed).decode()


def _with_each_text(value: Any, made: Callable[[str], str], *, numbers: bool) -> Any:
    """A JSON value with the texts in it replaced. numbers: also those that are written as what is replaced."""
    if isinstance(value, dict):
        return {made(key): _with_each_text(each, made, numbers=numbers) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_each_text(each, made, numbers=numbers) for each in value]
    if isinstance(value, str):
        return made(value)
    if not numbers or isinstance(value, bool) or value is None:
        return value
    text = json.dumps(value)
    changed = made(text)
    return value if changed == text else changed


class Redact(Hook):
    """Replaces what matches in everything that is sent to the model: texts, results, and the arguments of calls.

    patterns: regular expressions; each has to take linear time, since results and pages are searched too. replacement:
    what stands there instead. Raises ConfigurationError for a pattern that is not valid.
    """

    def __init__(self, patterns: Iterable[str | re.Pattern[str]], replacement: str = "[redacted]") -> None:
        if isinstance(patterns, str | re.Pattern):
            raise ConfigurationError(f"Redact({patterns!r:.80}): pass a list of patterns")
        try:
            self._patterns = [re.compile(each) for each in patterns]
        except (re.error, TypeError) as error:
            raise ConfigurationError(f"Redact(...): not a regular expression: {error}") from None
        if any(isinstance(each.pattern, bytes) for each in self._patterns) or not isinstance(replacement, str):
            raise ConfigurationError("Redact(...): the patterns and the replacement are for texts, not for bytes")
        self._replacement = replacement

    def mask(self, text: str) -> str:
        """The text with the matches replaced."""
        for pattern in self._patterns:
            text = pattern.sub(lambda match: self._replacement, text)
        return text

    def outgoing(self, message: Message) -> Mapping[str, Any] | None:
        """See `Hook.outgoing`."""
        made: dict[str, Any] = dict(_with_texts(message, self.mask))
        if message.get("tool_calls"):
            made["tool_calls"] = [self._masked_call(call) for call in message["tool_calls"]]
        return made

    def _masked_call(self, call: Any) -> Any:
        text = call["function"]["arguments"]
        try:
            given = json.loads(text)
            masked = _with_each_text(given, self.mask, numbers=True)
        except (ValueError, RecursionError):
            given, masked = text, self.mask(text)
        if masked == given and self.mask(text) == text:
            return call
        made = json_bytes(masked).decode()
        if not isinstance(masked, dict) or self.mask(made) != made:  # what matches goes beyond a value
            made = json_bytes({"arguments": self.mask(made)}).decode()
        return {**call, "function": {**call["function"], "arguments": made}}


class Cache(Hook):
    """Keeps the results of all read-only tools, as `@tool(cache=seconds)` does those of one.

    Equal calls at the same time run once; errors are not kept. seconds: how long a result is kept. shared: whether runs
    with other `deps`, or of other sessions, get it too. Raises ConfigurationError for seconds that are not above 0.
    """

    def __init__(self, seconds: float, *, shared: bool = False) -> None:
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
            raise ConfigurationError(f"Cache({seconds!r}): pass a number of seconds above 0")
        from agentkit.tooling.result_cache import ResultCache

        self._seconds = seconds
        self._results = ResultCache(seconds)
        self._is_shared = shared

    def __reduce__(self) -> Any:  # what it keeps stays in its process
        return functools.partial(type(self), shared=self._is_shared), (self._seconds,)

    def __copy__(self) -> "Cache":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Cache":
        return self

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Outcome:
        """See `Hook.around_tool`."""
        if not call.read_only or call.context.answer is not None:  # a person's answer is not for others
            return proceed(call)
        scope = () if self._is_shared else (call.context.deps, call.context.session)
        from agentkit.tooling.result_cache import Key

        key = Key.of(call.arguments, call.tool, *scope)
        return self._results.outcome(key, lambda: proceed(call), call.tool.stop(call.context))
