"""The options of a tool."""

from collections.abc import Awaitable, Callable
from typing import Any, TypedDict

from agentkit._lazy.records import dataclass
from agentkit.errors import ToolDefinitionError

Approve = bool | Callable[[dict[str, Any]], bool | Awaitable[bool]]


class ToolArguments(TypedDict, total=False):
    """The options of a tool as keyword arguments of `@tool`, `Tool` and `Agent.as_tool`."""

    read_only: bool
    timeout: float | None
    retries: int
    isolate: bool
    memory: int | None
    approve: Approve
    ends_run: bool
    max_result: int | None
    cache: float | None
    shared: bool
    same_thread: bool


@dataclass(frozen=True, kw_only=True)
class ToolOptions:
    """How the calls of a tool are run.

    read_only: it changes nothing, so that it may run in parallel with others, be retried, and be run again after a
    crash. timeout: seconds after which the run continues without it. retries: how often it is retried after an
    exception other than ToolError. isolate: it runs in a process of its own, which is kept for the next call and killed
    on timeout or when the run is cancelled. memory: the limit of that process in bytes (not on Windows). approve:
    whether a person has to approve each call, or a function that decides it from the arguments, a dict. ends_run: a
    successful call ends the run, as soon as the other calls of its reply are answered; its result is `result.output`.
    max_result: how many characters of a result are sent (None: all; so are those of a tool that ends the run); the
    model can read the rest in parts. cache: seconds for which a result is kept for other calls of the same arguments,
    of runs with the same `deps` (and of the same session, where the tool takes the Context); None: it is not. shared:
    it is kept for all `deps` and sessions. same_thread: it is called in the thread that runs the agent, for functions
    whose objects belong to a thread; the run waits for it whatever happens.

    Raises ToolDefinitionError for an invalid value.
    """

    read_only: bool = False
    timeout: float | None = None
    retries: int = 0
    isolate: bool = False
    memory: int | None = None
    approve: Approve = False
    ends_run: bool = False
    max_result: int | None = 50_000
    cache: float | None = None
    shared: bool = False
    same_thread: bool = False

    def __post_init__(self) -> None:
        for name in ("read_only", "isolate", "ends_run", "shared", "same_thread"):
            if not isinstance(value := getattr(self, name), bool):
                raise ToolDefinitionError(f"{name}={value!r} must be True or False")
        if self.timeout is not None and not (_is_number(self.timeout) and self.timeout > 0):
            raise ToolDefinitionError(f"timeout={self.timeout!r} must be a number of seconds above 0")
        if not _is_integer(self.retries) or self.retries < 0:
            raise ToolDefinitionError(f"retries={self.retries!r} must be an integer of at least 0")
        if not (isinstance(self.approve, bool) or callable(self.approve)):
            raise ToolDefinitionError(f"approve={self.approve!r} must be True, False, or a function of the arguments")
        if self.memory is not None and not self.isolate:
            raise ToolDefinitionError(f"memory={self.memory} needs isolate=True (a subprocess)")
        if self.memory is not None and not (_is_integer(self.memory) and self.memory > 0):
            raise ToolDefinitionError(f"memory={self.memory!r} must be a number of bytes above 0")
        if self.max_result is not None and not (_is_integer(self.max_result) and self.max_result > 0):
            raise ToolDefinitionError(f"max_result={self.max_result!r} must be a number of characters above 0, or None")
        if self.same_thread and (self.isolate or self.timeout is not None):
            raise ToolDefinitionError(
                "same_thread=True has the run itself make the call, which no timeout= can end and isolate=True would "
                "take to another process: leave these out"
            )
        self._check_cache()

    @property
    def may_overlap(self) -> bool:
        """Whether it may run beside other calls, in a thread of its own."""
        return self.read_only and not self.same_thread

    def _check_cache(self) -> None:
        if self.cache is not None and not (_is_number(self.cache) and self.cache > 0):
            raise ToolDefinitionError(f"cache={self.cache!r} must be a number of seconds above 0, or None")
        if self.cache is not None and not self.read_only:
            raise ToolDefinitionError(
                f"cache={self.cache!r} needs read_only=True: a call that has an effect is made each time"
            )
        if self.shared and self.cache is None:
            raise ToolDefinitionError("shared=True is about the results that cache=... keeps: give the seconds")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
