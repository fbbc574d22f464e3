"""The public API is typed: an output of the type that was asked for, deps of the type of the context."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("typing_cases.py")


@pytest.mark.skipif(importlib.util.find_spec("basedpyright") is None, reason="pyright is not installed")
def test_pyright_infers_the_types_that_the_cases_state() -> None:
    command = [sys.executable, "-m", "basedpyright", "--level", "error", str(CASES)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CASES.parents[1], timeout=120)
    assert "0 errors" in done.stdout, re.sub(r"(?m)^.*/tests/", "", done.stdout)
