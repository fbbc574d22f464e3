"""References to agents: `module:name` and `path/to/file.py:name`."""

import inspect
from pathlib import Path
from typing import Any

from agentkit import Agent, AgentkitError, ConfigurationError
from agentkit.batch.program_files import is_file, loading, module_of_file
from agentkit.net.home_paths import expanded
from agentkit.serving.tool_loading import attribute_in, attribute_of, said
from agentkit.tooling.annotations import signature_of

HOW = "write module:name or path/to/file.py:name, of an Agent or of a function that makes one"


def checked_reference(reference: str, folder: str | Path = "") -> str:
    """A reference that means the same in each folder: the path of a file is made absolute. folder: where a relative
    path begins. Raises ConfigurationError for what is none."""
    where, sign, name = reference.strip().rpartition(":")
    if not sign or not where or not name or not all(map(str.isidentifier, name.split("."))):
        raise ConfigurationError(f"--agent {reference!r:.200}: {HOW}")
    return f"{(Path(folder) / expanded(where)).absolute()}:{name}" if is_file(where) else f"{where}:{name}"


def agent_of_reference(reference: str) -> tuple[Agent, bool]:
    """The agent that a reference names, and whether it was made for this call, by a function. Raises
    ConfigurationError, with the reason, where there is none, and what the function raises of agentkit's own errors."""
    found = _found(checked_reference(reference), reference)
    if isinstance(found, Agent):
        return found, False
    if not callable(found):
        raise ConfigurationError(f"--agent {reference!r:.200}: it is a {type(found).__name__}: {HOW}")
    try:
        with loading():
            made = found()
    except AgentkitError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"--agent {reference!r:.200}: it can't be called without arguments: {said(error)}"
            if _has_parameters(found)
            else f"--agent {reference!r:.200}: making the agent failed: {said(error)}"
        ) from error
    if inspect.iscoroutine(made):
        made.close()
        raise ConfigurationError(f"--agent {reference!r:.200}: it is an async function: make it a plain one")
    if not isinstance(made, Agent):
        raise ConfigurationError(f"--agent {reference!r:.200}: it made a {type(made).__name__}, and no Agent")
    return made, True


def _found(checked: str, reference: str) -> Any:
    where, _, name = checked.rpartition(":")
    first, *others = name.split(".")
    given = f"--agent {reference!r:.200}"
    found = _in_file(where, first, given) if is_file(where) else _in_module(where, first)
    for each in others:
        found = attribute_in(found, each, given, first)
    return found


def _in_module(where: str, name: str) -> Any:
    with loading():
        return attribute_of("--agent", f"{where}:{name}")


def _in_file(where: str, name: str, given: str) -> Any:
    try:
        module = module_of_file(where)
    except KeyboardInterrupt:
        raise
    except (FileNotFoundError, NotADirectoryError):
        if Path(where).exists():  # it is the file that has opened another one
            raise ConfigurationError(f"{given}: the file can't be imported") from None
        raise ConfigurationError(f"{given}: there is no file {where}") from None
    except BaseException as error:  # what it raises is not known: SystemExit, pytest's Skipped
        raise ConfigurationError(f"{given}: the file can't be imported: {said(error)}") from error
    return attribute_in(module, name, given, f"the file {Path(where).name}")


def _has_parameters(function: Any) -> bool:
    try:
        parameters = signature_of(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(
        each.default is each.empty
        and each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
        for each in parameters
    )
