"""What the arguments of an agent and of a run have to be; the error for another value says what to pass instead."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from types import CoroutineType
from typing import Any, get_args

from agentkit._lazy.records import parameters_of
from agentkit.errors import ConfigurationError, TranscriptError
from agentkit.evidence.settings import Mode
from agentkit.limits import Limits
from agentkit.message import Image, Prompt
from agentkit.middleware.context_window import Window
from agentkit.running.options import RunOptions
from agentkit.running.unknown_options import unknown_option
from agentkit.session import Session
from agentkit.sessions.turn import Turn


def checked_options(method: str, output: Any, given: Mapping[str, Any]) -> RunOptions:
    """The options of a run. method: whose keyword arguments they are. Raises TypeError for one that is not known,
    ConfigurationError and TranscriptError for one that can't work."""
    if "output" in given:
        raise ConfigurationError(
            f"{method}: an answer of another type is no text: use agent.stream(prompt, output=...)"
        )
    known = parameters_of(RunOptions)
    unknown = next((name for name in given if name not in known), None)
    if unknown is not None:
        raise unknown_option(method, unknown, known)
    options = RunOptions(output=output, **given)
    for name, value in given.items():
        if value is not None:
            _check(name, value)
    if output is None:
        raise ConfigurationError("output=None is not a type: leave it out for an answer that is text")
    session, messages = options.session, options.messages
    if session is not None and not isinstance(session, Session | Turn):
        raise ConfigurationError(f"session={session!r:.80} is not a Session: pass SQLiteSessions(path)[id]")
    is_list = type(messages) in (tuple, list)  # nearly always, and quicker to see
    if not is_list and (isinstance(messages, str | Mapping) or not isinstance(messages, Iterable)):
        raise TranscriptError(f"messages is a {type(messages).__name__}: pass a list of messages, or result.messages")
    if options.request_id is not None and not isinstance(session, Session):
        raise ConfigurationError("request_id needs a session to know the request by: pass session= too")
    return options


def check_agent(**options: Any) -> None:
    """Raise ConfigurationError for the first option of an agent that can't work."""
    for name, value in options.items():
        _check(name, value)


def checked_model(model: Any) -> Any:
    """Return a backend. Raises ConfigurationError for what is none."""
    if callable(getattr(model, "reply", None)) and not isinstance(model, type):
        return model
    raise ConfigurationError(
        f"Agent({model!r:.80}): the model must be a backend or a name such as 'openai:gpt-5-mini'"
        f"{', with a server as openai:NAME@URL' if hasattr(model, 'chat') else ''}"
    )


def checked_prompt(prompt: Prompt) -> Prompt:
    """Return a prompt. Raises TranscriptError for one that is empty, or is none."""
    if isinstance(prompt, str):
        if not prompt.strip():
            raise TranscriptError("the prompt is empty")
        return prompt
    if not isinstance(prompt, Sequence) or isinstance(prompt, bytes | bytearray):
        raise TranscriptError(
            f"the prompt is {_what(prompt)}: pass a str, or a list of str and Image{_instead(prompt)}"
        )
    for part in prompt:
        if not isinstance(part, str | Image):
            raise TranscriptError(
                f"the prompt has a part of type {type(part).__name__}: pass only str and Image{_instead(part)}"
            )
    if not any(isinstance(part, Image) or part.strip() for part in prompt):
        raise TranscriptError("the prompt is a list without a text or an Image: it is empty")
    return prompt


def text_from(instructions: Callable[[Any], Any], context: Any) -> str | None:
    """Return what a function says as the instructions. Raises what it raises, with a note, and ConfigurationError when
    it returns no text."""
    try:
        text = instructions(context)
    except Exception as error:
        error.add_note("(raised by the function given as instructions=; nothing was sent to the model)")
        raise
    if text is None or isinstance(text, str):
        return text
    if isinstance(text, CoroutineType):
        text.close()  # no warning that it was never awaited
    called = getattr(instructions, "__name__", type(instructions).__name__)
    raise ConfigurationError(f"instructions: {called} returned {_what(text)}: return a str, or None for none")


def _what(value: Any) -> str:
    return f"a {type(value).__name__}"


def _instead(value: Any) -> str:
    """What to do with something that was given as a prompt, or as a part of one."""
    if isinstance(value, Mapping) and "role" in value:
        return "; messages are passed as messages=[...], the new question beside them as the prompt"
    if isinstance(value, PathLike):
        return ": Image.from_file(path), or the text of the file"
    if isinstance(value, bytes | bytearray):
        return ": Image.from_bytes(data), or data.decode()"
    if isinstance(value, Image):
        return ": [text, image]"
    is_picture = isinstance(value, Mapping) or hasattr(value, "convert")
    return "; an image is Image.from_file(path), Image.from_url(url) or Image.from_bytes(data)" if is_picture else ""


def _check(name: str, value: Any) -> None:
    instead = _CHECKS[name](value) if value is not None and name in _CHECKS else None
    if instead:
        raise ConfigurationError(f"{name}={value!r:.80} is not valid: {instead}")


def _function_wrong(value: Any, of: str, other: str = "") -> str | None:
    """What is wrong with a function of one argument. other: what may be given instead of one."""
    if not callable(value):
        return f"pass {other}a function of {of}"
    import inspect

    from agentkit.tooling.annotations import signature_of

    if inspect.iscoroutinefunction(value):
        return f"it is async; agentkit is synchronous: pass a plain function of {of}"
    try:
        signature_of(value).bind(None)
    except TypeError:
        return f"it is called with one argument, {of}"
    except ValueError:  # of some built-in functions the parameters are not known
        return None
    return None


def _instructions_wrong(value: Any) -> str | None:
    return None if isinstance(value, str) else _function_wrong(value, "the run's Context", "a text or ")


def _limits_wrong(value: Any) -> str | None:
    return None if isinstance(value, Limits) else "pass Limits(turns=10), Limits(seconds=60), ..."


def _count_wrong(value: Any, least: int) -> str | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return None if is_count else f"pass a whole number of at least {least}"


def _seconds_wrong(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return None if is_number else "pass a number of seconds above 0, or None"


def _middleware_wrong(value: Any) -> str | None:
    if isinstance(value, Sequence) and not isinstance(value, str) and all(map(callable, value)):
        return None
    return "pass a list of functions (or classes) that take a backend and return one"


def _prices_wrong(value: Any) -> str | None:
    from agentkit.middleware.pricing import Prices

    each = value.values() if isinstance(value, Mapping) else [value]
    is_valid = all(isinstance(price, Prices) for price in each)
    return None if is_valid else 'pass Prices(input=..., output=...), or {"gpt-5-mini": Prices(...), ...}'


def _always_wrong(value: Any) -> str | None:
    if isinstance(value, str) or not isinstance(value, Iterable):
        return 'pass a list of names of tools, or of the tools: always=["read_file"]'
    return None


def _methods_of(kinds: Iterable[type]) -> dict[str, Any]:
    """The methods of classes, by name."""
    each = ((name, getattr(kind, name)) for kind in kinds for name in vars(kind) if not name.startswith("_"))
    return {name: method for name, method in each if callable(method)}


def _hooks_wrong(value: Any) -> str | None:
    if value == ():
        return None
    from agentkit.hooks import Hook, RunHook

    if isinstance(value, Hook):
        return "pass a list of hooks: hooks=[...]"
    if not isinstance(value, Sequence) or isinstance(value, str):
        return "pass a list of hooks (agentkit.Hook)"
    methods = _methods_of((Hook, RunHook))
    return next(filter(None, (_hook_wrong(each, Hook, methods) for each in value)), None)


def _hook_wrong(hook: Any, kind: type, methods: Mapping[str, Any]) -> str | None:
    """What is wrong with one hook. kind: what it is derived from. methods: those that it may have."""
    import inspect

    if isinstance(hook, type):
        return f"{hook.__name__} is a class: pass an object of it, {hook.__name__}(...)"
    if not isinstance(hook, kind):
        return f"{hook!r:.60} is no hook: derive its class from agentkit.Hook"
    name_of_kind = type(hook).__name__
    if any(inspect.iscoroutinefunction(getattr(hook, name, None)) for name in methods):
        return f"{name_of_kind} has an async method; hooks are synchronous: write a plain one"
    own = {name: method for name, method in methods.items() if _overrides(hook, name, method)}
    if not own:
        return f"{name_of_kind} would do nothing, it has none of {', '.join(methods)}: see its names"
    wrong = ((name, _parameters_wrong(getattr(hook, name), method)) for name, method in own.items())
    return next((f"{name_of_kind}.{name} {what}" for name, what in wrong if what), None)


def _parameters_wrong(own: Callable[..., Any], method: Callable[..., Any]) -> str | None:
    """What is wrong with the parameters of a hook's method, as the end of a sentence. method: what it overrides."""
    from agentkit.tooling.annotations import signature_of

    names = list(signature_of(method).parameters)[1:]
    try:
        signature_of(own).bind(*names)
    except TypeError:
        return f"is called with {len(names)} arguments, ({', '.join(names)}): give it these parameters"
    except ValueError:  # of some built-in functions the parameters are not known
        return None
    return None


def _overrides(hook: object, name: str, method: object) -> bool:
    return getattr(type(hook), name, method) is not method or name in vars(hook)


def _window_wrong(value: Any) -> str | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return None if is_count or isinstance(value, Window) else "pass the model's context in tokens, or a Window"


def _approve_wrong(value: Any) -> str | None:
    return None if isinstance(value, Mapping) else "pass the decision on each call by its id: {call.id: True}"


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "instructions": _instructions_wrong,
    "limits": _limits_wrong,
    "output_check": lambda value: _function_wrong(value, "the answer"),
    "output_retries": lambda value: _count_wrong(value, 0),
    "parallel": lambda value: _count_wrong(value, 1),
    "tool_timeout": _seconds_wrong,
    "prices": _prices_wrong,
    "window": _window_wrong,
    "early_start": lambda value: None if isinstance(value, bool) else "pass True or False",
    "tools_as": lambda value: None if value in ("auto", "native", "text") else 'pass "auto", "native" or "text"',
    "tool_search": lambda value: None if value == "auto" or isinstance(value, bool) else 'pass "auto", True or False',
    "taint": lambda value: None if value in ("off", "ask", "refuse") else 'pass "off", "ask" or "refuse"',
    "always": _always_wrong,
    "evidence": lambda value: None if value in get_args(Mode) else 'pass "flag", "ask again" or "off"',
    "middleware": _middleware_wrong,
    "hooks": _hooks_wrong,
    "approve": _approve_wrong,
    "cancel": lambda value: None if hasattr(value, "is_set") else "pass a threading.Event()",
    "sampling": lambda value: None if isinstance(value, Mapping) else 'pass a dict, such as {"temperature": 0}',
}
"""What is wrong with the value of an option, as the end of a sentence; None when nothing is."""
