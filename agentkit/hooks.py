"""Hooks: what a program does around the requests, replies and tool calls of its agents (docs/hooks.md).

class Masked(Hook):
    def outgoing(self, message):
        return {**message, "content": mask(message["content"])}

agent = Agent("openai:gpt-5-mini", tools=[search], hooks=[Masked()])
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agentkit._text import json_bytes
from agentkit.backend import Backend, Request
from agentkit.errors import ConfigurationError, remade_error
from agentkit.errors import HookError as HookError
from agentkit.errors import Refused as Refused
from agentkit.event import Event, Steps
from agentkit.event import Reply as Reply
from agentkit.message import Message
from agentkit.tooling.outcome import Outcome
from agentkit.tools import Context


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
    the tool changes nothing. context: the run."""

    name: str
    arguments: dict[str, Any]
    read_only: bool
    context: Context[Any] = field(repr=False, compare=False)
    _written: str | None = field(default=None, repr=False, compare=False)

    @property
    def arguments_text(self) -> str:
        """The arguments as JSON text. Raises TypeError for values that JSON does not have."""
        if self._written is not None:
            return self._written
        return json.dumps(_as_json(self.arguments), ensure_ascii=False)

    @property
    def key(self) -> tuple[str, str]:
        """The name and the arguments, in a form in which equal calls are equal; for a cache."""
        return self.name, json.dumps(_as_json(self.arguments), ensure_ascii=False, sort_keys=True)

    def replace(self, arguments: Mapping[str, Any]) -> "ToolCallRequest":
        """The call with other arguments, which are checked and coerced again before it runs."""
        return replace(self, arguments=dict(arguments), _written=None)


def _as_json(arguments: Mapping[str, Any]) -> Any:
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(dict(arguments), bytes_mode="base64")


Proceed = Callable[[ToolCallRequest], Outcome]
"""Runs a call and returns its result; an error of the tool is a result too (`failed`)."""


class Hook:
    """What is done around the requests, replies and tool calls of an agent: `Agent(hooks=[...])`, the first outermost.
    Override what you need. The methods are synchronous, and called by the threads of all runs at once.

    What a hook guards is stopped when the hook fails: a request or a reply by HookError, which the run raises; a tool
    call by a result that says that a check failed. A hook that returns another type than its method may raises
    TypeError.

    inherit: whether it also stands around what agents do that run inside of this one's tools, but for `on_event`.
    """

    inherit: bool = True

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
    """A hook of one run (`Hook.for_run`) that also sees where the run and each request to a model begin and end."""

    def around_run(self, steps: Steps) -> Steps:
        """The events of the run."""
        return steps

    def around_request(self, backend: Backend) -> Backend:
        """One of the models of the agent, each attempt of a request to which is asked for here."""
        return backend


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
    """The message with its text and its reasoning replaced."""
    changed: dict[str, Any] = dict(message)
    for name in ("content", "reasoning_content", "refusal"):
        if isinstance(changed.get(name), str):
            changed[name] = made(changed[name])
    if isinstance(changed.get("content"), list):
        changed["content"] = [_with_text(part, made) for part in changed["content"]]
    return cast(Message, changed)


def _with_text(part: Any, made: Callable[[str], str]) -> Any:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return {**part, "text": made(part["text"])}
    return part


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
            masked = self._masked(given)
        except (ValueError, RecursionError):
            given, masked = text, self.mask(text)
        if masked == given and self.mask(text) == text:
            return call
        made = json_bytes(masked).decode()
        if not isinstance(masked, dict) or self.mask(made) != made:  # what matches goes beyond a value
            made = json_bytes({"arguments": self.mask(made)}).decode()
        return {**call, "function": {**call["function"], "arguments": made}}

    def _masked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.mask(key): self._masked(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        if isinstance(value, bool) or value is None:
            return value
        text = value if isinstance(value, str) else json.dumps(value)
        masked = self.mask(text)
        return value if masked == text else masked
