"""Shares the compiling of the tests between the processes of pytest-xdist."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.assertion.rewrite import assertstate_key


def rewrite_share(config: pytest.Config, files: Sequence[Path]) -> None:
    """Write those of the compiled files, with pytest's assertions, that are missing or old, of this process's share.
    Without it, each process compiles all files of a new checkout, 19 s of CPU, at the same time as the others.

    Does nothing in a process that is no worker of pytest-xdist."""
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode:
        return
    number = int(worker["workerid"].removeprefix("gw"))
    for path in files[number :: worker["workercount"]]:
        compiled = rewrite.get_cache_dir(path) / (path.stem + rewrite.PYC_TAIL)
        if rewrite._read_pyc(path, compiled) is None:
            rewrite.try_makedirs(compiled.parent)
            state, code = rewrite._rewrite_test(path, config)
            rewrite._write_pyc(config.stash[assertstate_key], code, state, compiled)
