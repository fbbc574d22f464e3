"""What a batch has done with each of its items, wherever that is: the agent, how it is asked, and what is kept."""

import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from agentkit import Agent, ConfigurationError, LimitError, Limits
from agentkit.batch.agent_reference import agent_of_reference, checked_reference
from agentkit.batch.by_reference import packed, unpacked
from agentkit.batch.fingerprint import fingerprint_of
from agentkit.batch.item_sessions import placed_sessions
from agentkit.batch.made_agents import MADE
from agentkit.batch.program_files import importable_from, is_loading
from agentkit.net.home_paths import expanded
from agentkit.serving.agent_loading import agent_of_options, checked_agent_options
from agentkit.serving.environment import DEFAULT_MODEL
from agentkit.tooling.toolset import Toolset

AT_ONCE = (4, 16, 128)
ATTEMPTS = 6
GRACE = 10.0
"""Seconds that a run has after its own limit, before it is left behind."""
KEPT = ("tool_calls", "messages")
"""Fields of a record that are left out where they are not asked for."""

CURE = (
    "Write a function at the top level of a module that makes the agent, and pass its name: module:make_agent "
    "(on the command line: --agent module:make_agent)"
)
_MAX_JSON = 64_000_000


@dataclass(frozen=True)
class Job:
    """See `Job.of`.

    agent: where it comes from: {"ref": reference}, the options of the command line, or {"pickle": text}; empty for an
    agent of this process. sampling: fields of each request. limits: of each run, over the agent's own. keep: of KEPT.
    attempts: how often an item is tried. at_once: runs in progress: least, at the start, most. sessions: the path or
    URL of a session store. output: the type of the answers; None: text. leave_after: the seconds after which a run is
    left behind; None: GRACE after its own limit. patient_until: the time (`time.time`) from which on no run waits for a
    server that refuses. name: of the batch, in the ids of its sessions. key: of this job. folder: where the driver was
    started, in which modules are searched too. given: the agent of this process.
    """

    agent: Mapping[str, Any] = field(default_factory=dict)
    sampling: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    attempts: int = ATTEMPTS
    at_once: tuple[int, int, int] = AT_ONCE
    sessions: str | None = None
    output: Any = None
    leave_after: float | None = None
    patient_until: float | None = None
    name: str = ""
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    folder: str = ""
    given: Agent | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, is_right in _FIELDS.items():
            value = getattr(self, name)
            if not is_right(value):
                raise ConfigurationError(f"a job can't have {name}={value!r:.100}")
        try:
            Limits(**self.limits)
        except (TypeError, LimitError) as error:
            raise ConfigurationError(f"a job can't have limits={self.limits!r:.100}: {error}") from None

    @classmethod
    def of(cls, agent: Agent | str | Mapping[str, Any], **rest: Any) -> "Job":
        """The job of an agent.

        agent: an Agent; a reference, "module:attribute" or "file.py:attribute", of an agent or of a function that makes
        one; or the options of the command line (see `agentkit.serving.agent_loading`). rest: the fields of a Job;
        limits may be a Limits, and at_once a number or (least, most).

        Raises ConfigurationError for what is none of these, and where a batch is begun by a file that is only imported
        to find its agent.
        """
        if is_loading():
            raise ConfigurationError(
                "a batch is begun while its own file is imported to find the agent: put what begins it under "
                'if __name__ == "__main__":'
            )
        if unknown := rest.keys() - {each.name for each in fields(cls)} - {"run_seconds"}:
            raise ConfigurationError(f"a job has no {min(unknown)!r}")
        folder = _working_folder()
        told: dict[str, Any] = {"folder": folder, **rest}
        if "run_seconds" in told:
            told["leave_after"] = told.pop("run_seconds")
        if isinstance(told.get("limits"), Limits):
            told["limits"] = asdict(told["limits"])
        if told.get("output") is str:
            told["output"] = None
        if isinstance(told.get("sessions"), str):
            told["sessions"] = placed_sessions(told["sessions"])
        told["keep"] = tuple(told.get("keep", ()))
        told["at_once"] = _range(told.get("at_once"))
        if isinstance(agent, Agent):
            return cls(given=agent, **told)
        if isinstance(agent, str):
            return cls({"ref": checked_reference(agent, folder)}, **told)
        if isinstance(agent, Mapping):
            return cls(_placed(checked_agent_options(agent)), **told)
        raise ConfigurationError(
            f"a batch needs an Agent, module:name or path/to/file.py:name, and not a {type(agent).__name__}"
        )

    def to_json(self) -> str:
        """The job for another process. Raises ConfigurationError, which names the part and what to do, where the agent
        or the output type can't be sent there."""
        return self._json

    @cached_property
    def _json(self) -> str:
        told = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in ("given", "output")}
        if self.given is not None:
            told["agent"] = {"pickle": packed(self.given, "the agent", CURE)}
        if self.output is not None:
            name = getattr(self.output, "__qualname__", repr(self.output))
            told["output"] = packed(self.output, f"output={name:.100}", "Define it at the top level of a module")
        try:
            return json.dumps(told, separators=(",", ":"), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"sampling and limits of a batch have to be JSON: {error}") from None

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """The job that another process has made JSON of. What is not known is left out. Raises ConfigurationError for
        what is no job, or names what can't be imported here."""
        told = _object(text)
        known = {each.name for each in fields(cls)} - {"given"}
        made = {name: value for name, value in told.items() if name in known and value is not None}
        for name in ("keep", "at_once"):
            if isinstance(made.get(name), list):
                made[name] = tuple(made[name])
        output = made.pop("output", None)
        job = cls(**made)
        if not job.agent:
            raise ConfigurationError("this is no job of a batch: it has no agent")
        with importable_from(job.folder):
            return job if output is None else replace(job, output=unpacked(output))

    @property
    def travels(self) -> bool:
        """Whether `to_json` works."""
        try:
            self.to_json()
        except ConfigurationError:
            return False
        return True

    def agent_here(self) -> Agent:
        """The agent in this process: made at the first call, for all threads. Raises ConfigurationError, LimitError
        when it can't be made."""
        return self.given or MADE.agent(self.key, self._made)

    def close_agent(self) -> None:
        """Close the agent of this process, if it was made for this job."""
        MADE.close(self.key)

    def run_limits(self) -> Limits | None:
        """The limits of each run; None: those of the agent."""
        return replace(self.agent_here().limits, **self.limits) if self.limits else None

    @property
    def run_seconds(self) -> float | None:
        """The seconds after which a run is left behind; None: never."""
        if self.leave_after is not None:
            return self.leave_after
        seconds = (self.run_limits() or self.agent_here().limits).seconds
        return None if seconds is None else seconds + GRACE

    def fingerprint(self) -> dict[str, str]:
        """See `agentkit.batch.fingerprint.fingerprint_of`."""
        agent = self.agent_here()
        return fingerprint_of(agent, self.sampling, self.run_limits() or agent.limits, self.output, self.agent)

    @property
    def has_effects(self) -> bool:
        """Whether the agent has a tool that may change something. Waits for the tools of toolsets; one that has none
        now may have such later, when its server can be reached."""
        agent = self.agent_here()
        is_missing = any(isinstance(each, Toolset) and not each.tools() for each in agent._tools.given)
        return is_missing or any(not each.options.read_only for each in agent.tools)

    def _made(self) -> tuple[Agent, bool]:
        with importable_from(self.folder):
            if "ref" in self.agent:
                return agent_of_reference(self.agent["ref"])
            if "pickle" not in self.agent:
                return agent_of_options(self.agent), True
            made = unpacked(self.agent["pickle"])
        if not isinstance(made, Agent):
            raise ConfigurationError(f"this is no job of a batch: its agent is a {type(made).__name__}")
        return made, True


def _object(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text) if len(text) <= _MAX_JSON else None
    except (ValueError, RecursionError, TypeError):
        told = None
    if not isinstance(told, dict):
        raise ConfigurationError("this is no job of a batch: it has to be a JSON object")
    return told


def _range(given: Any) -> tuple[int, int, int]:
    """(least, at the start, most) of the runs in progress. Raises ConfigurationError."""
    if given is None:
        return AT_ONCE
    made = (given, given) if type(given) is int else tuple(given) if isinstance(given, list | tuple) else ()
    if len(made) == 2 and all(type(each) is int for each in made):
        made = made[0], max(made[0], min(AT_ONCE[1], made[1])), made[1]
    if not _is_range(made):
        raise ConfigurationError(f"at_once={given!r:.100}: use a number of at least 1, or (least, most)")
    return cast(tuple[int, int, int], made)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return ""


def _absolute(path: str) -> str:
    return str(expanded(path).absolute()) if path else ""


def _placed(options: dict[str, Any]) -> dict[str, Any]:
    """Options that mean the same in each folder."""
    placed: dict[str, Any] = {name: _plain(value) for name, value in options.items()}
    placed.setdefault("model", DEFAULT_MODEL)
    if "docs" in placed:
        docs = placed["docs"] or ""
        places = [_absolute(each) for each in ([docs] if isinstance(docs, str) else docs)]
        placed["docs"] = places[0] if len(places) == 1 else places
    if "mcp" in placed:
        placed["mcp"] = [_absolute_file(each) for each in placed["mcp"]]
    return placed


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int) else list(value)


def _absolute_file(name: str) -> str:
    """An existing file by its absolute path; anything else as it is."""
    try:
        path = Path(name.strip()).expanduser()
        return str(path.absolute()) if path.is_file() else name
    except (OSError, ValueError, RuntimeError):
        return name


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_dict(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value))


def _is_agent(value: Any) -> bool:
    if not _is_dict(value):
        return False
    for name in ("ref", "pickle"):
        if name in value:
            return isinstance(value[name], str) and len(value) == 1
    return not value or bool(checked_agent_options(value)) or True


def _is_range(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) != 3 or not all(type(each) is int for each in value):
        return False
    return bool(1 <= value[0] <= value[1] <= value[2])


def _is_seconds(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value > 0)


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "agent": _is_agent,
    "sampling": _is_dict,
    "limits": _is_dict,
    "keep": lambda value: isinstance(value, tuple) and all(each in KEPT for each in value),
    "attempts": lambda value: type(value) is int and value >= 1,
    "at_once": _is_range,
    "sessions": lambda value: value is None or _is_text(value),
    "leave_after": _is_seconds,
    "patient_until": _is_seconds,
    "name": _is_text,
    "key": _is_text,
    "folder": _is_text,
}
