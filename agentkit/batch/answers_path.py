"""Where the answers of a batch may be written."""

import os
from pathlib import Path

from agentkit.errors import ConfigurationError

_OTHER_FORMS = {".gz", ".csv", ".parquet", ".xlsx"}


def answers_path(path: str | os.PathLike[str], questions: object = None) -> Path:
    """The path of an answers file, without symbolic links. questions: the input of the batch, where it is a path.
    Raises ConfigurationError for what can't be one."""
    given = os.fsdecode(path)
    if not given.strip() or "\0" in given or given == "-":
        raise ConfigurationError(f"{given!r} is not the name of a file for the answers: give one, as answers.jsonl")
    found = Path(os.path.realpath(given))
    if found.suffix.lower() in _OTHER_FORMS:
        raise ConfigurationError(
            f"the answers are written as JSON lines, and {found.name} would be another kind of file: name it .jsonl, "
            "and make the other one from it with `agentkit batch export`"
        )
    if found.is_dir():
        raise ConfigurationError(f"{given} is a folder: give the name of a file in it for the answers")
    if not found.parent.is_dir():
        raise ConfigurationError(f"{given} can't be written: there is no folder {found.parent}")
    if found.exists() and not found.is_file():
        raise ConfigurationError(f"{given} is not a regular file, and the answers can't be read back from it")
    if isinstance(questions, str | os.PathLike) and _is_same(found, questions):
        raise ConfigurationError(f"{given} has the questions: give another file for the answers")
    return found


def _is_same(answers: Path, questions: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(answers, questions)
    except (OSError, ValueError):
        return os.path.realpath(questions) == str(answers)
