"""The files that an evaluation writes beside its answers file, and which of them are somebody else's."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agentkit.batch.journal import read_records
from agentkit.errors import ConfigurationError
from agentkit.evaluation.pairs import is_verdict


def beside(out: Path, place: int) -> Path:
    """The answers file of a configuration that another is compared with, beside that of the other. place: from 1."""
    return out.with_name(f"{out.stem}.against{'' if place == 1 else f'-{place}'}{out.suffix}")


def pairs_file(out: Path) -> Path:
    """Where is kept what a judge says of pairs of answers, beside the answers file."""
    return out.with_name(f"{out.stem}.pairs{out.suffix}")


def check_files(written: Iterable[Path], read: Iterable[Path], verdicts: Path | None, given: Any) -> None:
    """Raises ConfigurationError where answers would be written to a file that they are compared with, or what a judge
    says (`verdicts`, None where none is asked) to one of these, to the set (`given`) or among the records of others."""
    places = {os.path.realpath(each) for each in written}
    compared = {os.path.realpath(each): each for each in read}
    for place, each in compared.items():
        if place in places:
            raise ConfigurationError(f"{each} is written by this evaluation: it can't be compared with itself")
    if verdicts is None:
        return
    others = places | set(compared) | ({os.path.realpath(given)} if isinstance(given, str | Path) else set())
    if os.path.realpath(verdicts) in others:
        raise ConfigurationError(f"{verdicts} is where the judge's verdicts are kept: give another name for -o (out=)")
    if verdicts.exists() and not all(map(is_verdict, read_records(verdicts))):
        raise ConfigurationError(
            f"{verdicts} is where the judge's verdicts are kept, and has answers that are none: move it away, or give "
            "another name for -o (out=)"
        )
