"""Every exception of agentkit's own, by whom it is for.

    AgentkitError
    ├── ConfigurationError        the programmer: a model name, key or option that can't be used
    │   ├── DependencyError       the programmer: a package is not installed
    │   │   └── MissingExtraError ... which an extra of agentkit installs
    │   └── ToolDefinitionError   the programmer: a function that can't become a tool
    ├── TranscriptError           the caller: a message list that breaks the pairing rule
    ├── LimitError                the caller: an invalid limit
    ├── SessionError              the caller: a session that can't be read or written
    │   └── SessionBusyError      ... because another writer holds it
    ├── OutputError               the caller: an answer that does not have the requested type
    ├── HookError                 the caller: a hook failed, and what it guards was stopped
    ├── FetchError                the caller or the model: a page that could not be fetched
    │   ├── StatusError           ... because the server answers with an error
    │   └── BlockedAddressError   ... because its address is not public
    └── ToolError                 the model: raise it in a tool to report an error to the model
        ├── ArgumentsError        the model: arguments that don't fit the tool
        ├── Refused               the model: a hook does not let a call run
        └── IsolationError        the model: a call in another process that did not return

Errors of a model server are raised as the openai package's own classes (`APIError`, `APIConnectionError`,
`APIStatusError`, ...), whatever the backend.

All of them can be pickled, with their attributes (`.messages`, ...).
"""

from collections.abc import Mapping
from typing import Any, Literal


def remade_error(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """An exception with these `args`, made without its `__init__`, which may have other parameters."""
    return kind.__new__(kind, *arguments)


class Remade(BaseException):
    """An exception that is pickled as its `args` and its attributes, whatever its `__init__` takes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return remade_error, (type(self), self.args), self.__dict__


class AgentkitError(Remade, Exception):
    """The base class of agentkit's own exceptions."""


class ConfigurationError(AgentkitError, ValueError):
    """An option can't work; the message says what to set instead."""


class DependencyError(ConfigurationError, ImportError):
    """A package is not installed. message: what needs it. suggestion: the pip command that installs it. error_type: a
    word for programs."""

    def __init__(self, message: str, suggestion: str, error_type: str = "missing_dependency") -> None:
        super().__init__(f"{message}: {suggestion}")
        self.message = message
        self.suggestion = suggestion
        self.error_type = error_type


INSTALL_EXTRA = "pip install '.[{extra}]'"
"""The command that installs an extra, in a checkout of agentkit."""


class MissingExtraError(DependencyError):
    """An optional package is not installed; an extra of agentkit installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'", INSTALL_EXTRA.format(extra=extra))
        self.extra = extra


class ToolDefinitionError(ConfigurationError, TypeError):
    """A function can't become a tool; the message names the function, the parameter and the reason."""


class TranscriptError(AgentkitError, ValueError):
    """A message list that no model server would accept; the error message names the position and the rule."""


class LimitError(AgentkitError, ValueError):
    """A limit is invalid, such as a negative number of turns; or a run reached one with `on_limit="raise"`."""


class SessionError(AgentkitError):
    """A session can't be read or written; no acknowledged entry is lost."""


class RequestConflictError(SessionError):
    """The id of a request was used before, in the same session, for a request with another content. Or its calls may
    have had effects, and another question was asked since (was_overtaken): it can't go on, and is not asked anew."""

    was_overtaken = False


class SessionBusyError(SessionError):
    """Another writer holds the session, and did not release it in time."""


class OutputError(AgentkitError):
    """The model gave no answer of the requested type. text: its last answer."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class HookError(AgentkitError):
    """A hook raised an error at a request or a reply, which it stopped; `__cause__` is that error. Or a hook tried to
    run a tool with effects twice for one call."""


class FetchError(AgentkitError):
    """A page could not be fetched; the message says why, in a sentence that a model can act on."""


class StatusError(FetchError):
    """A server answered with an error status (400 or more).

    status: the status code. headers: of the response, their names in lower case. content: the beginning of the body,
    decompressed; not more than 64 kB, and empty when it did not arrive in time.
    """

    def __init__(
        self, message: str, status: int, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.content = content


class BlockedAddressError(FetchError):
    """The address of a page is not public, and not on the allow-list."""


class ToolError(AgentkitError):
    """Raised by a tool to report an error to the model; the model reads its message."""


class ArgumentsError(ToolError):
    """The arguments written by the model don't fit the tool's schema; the message is returned to the model."""


class Refused(ToolError):
    """Raised in `Hook.around_tool`: the call is not run, and the model reads why."""


EndReason = Literal["timeout", "cancelled", "crashed", "not started"]
"""Why a process did not return: it was killed at its time limit, or because the run was cancelled; it ended by itself;
or it could not be started."""


class IsolationError(ToolError):
    """A call in another process did not return; .reason says why (`EndReason`)."""

    def __init__(self, message: str, reason: EndReason) -> None:
        super().__init__(message)
        self.reason: EndReason = reason
