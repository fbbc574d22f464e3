"""Every exception of agentkit's own, sorted by who is told.

    AgentkitError
    ├── ConfigurationError        the programmer: a model name, key or option that can't be used
    │   ├── DependencyError       the programmer: a package is not installed
    │   │   └── MissingExtraError ... which an extra of agentkit brings
    │   └── ToolDefinitionError   the programmer: a function that can't become a tool
    ├── TranscriptError           the caller: a message list that breaks the pairing rule
    ├── LimitError                the caller: a limit that makes no sense
    ├── SessionError              the caller: a session that can't be read or written
    │   └── SessionBusyError      ... because somebody else is writing to it
    ├── OutputError               the caller: an answer that does not have the type that was asked for
    ├── FetchError                the caller or the model: a page that could not be read
    │   └── BlockedAddressError   ... because its address is not public
    └── ToolError                 the model: raise it in a tool to tell the model what went wrong
        └── ArgumentsError        the model: arguments that don't fit the tool

What goes wrong between agentkit and a model server is told in the openai package's own classes
(`APIError`, `APIConnectionError`, `APIStatusError`, ...), whatever the backend.
"""


class AgentkitError(Exception):
    """The root of agentkit's own exceptions."""


class ConfigurationError(AgentkitError, ValueError):
    """Something the programmer set can't work; the message says what to set instead."""


class DependencyError(ConfigurationError, ImportError):
    """A package is missing. message: what needs it. suggestion: the pip command that installs it."""

    error_type = "missing_dependency"

    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(f"{message}: {suggestion}")
        self.message = message
        self.suggestion = suggestion


INSTALL_EXTRA = "pip install '.[{extra}]'"
"""The command that installs an extra, in a checkout of agentkit."""


class MissingExtraError(DependencyError):
    """An optional package is missing; an extra of agentkit installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'", INSTALL_EXTRA.format(extra=extra))
        self.extra = extra


class ToolDefinitionError(ConfigurationError, TypeError):
    """A function can't be described to a model; the message names function, parameter and reason."""


class TranscriptError(AgentkitError, ValueError):
    """A message list that no model server would accept; the message names the position and the rule."""


class LimitError(AgentkitError, ValueError):
    """A limit that can't be kept, such as a negative number of turns."""


class SessionError(AgentkitError):
    """A session can't be read or written; nothing that was acknowledged is lost."""


class SessionBusyError(SessionError):
    """Somebody else is writing to a session, and did not come to an end in time."""


class OutputError(AgentkitError):
    """The model did not come to an answer of the type that was asked for. text: the last thing it said."""

    def __init__(self, message: str, text: str) -> None:
        super().__init__(message)
        self.text = text


class FetchError(AgentkitError):
    """A page could not be fetched; the message says why in words a model can act on."""


class BlockedAddressError(FetchError):
    """The address of a page is not a public one, or not one that may be asked."""


class ToolError(AgentkitError):
    """Raised by a tool to tell the model what went wrong; its message is what the model reads."""


class ArgumentsError(ToolError):
    """Arguments written by a model that don't fit the tool; told to the model in one sentence."""
