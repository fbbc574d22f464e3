"""What a model is told of an exception of a tool."""

import subprocess
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from agentkit import Agent, ToolError, tool
from agentkit.testing import ScriptedBackend
from agentkit.tooling.error_text import without_paths
from tests.support.growth import assert_linear


def told(error: BaseException, cause: BaseException | None = None) -> str:
    @tool
    def work() -> None:
        """Work."""
        raise error from cause

    record = Agent(ScriptedBackend(("work", {}), "Done."), tools=[work]).run("Go.").tool_calls[0]
    assert record.error is not None
    return record.error


@pytest.mark.parametrize(
    "text",
    [
        "GET /api/v1/users returned 404",
        "POST /users/42/orders: 500",
        "see https://host.example/home/user/3 and http://localhost:8000/a/b",
        "on 1/2/3 or 2026/01/02",
        "application/json, image/svg+xml",
        "src/app/main.py:12 and ./a/b and ../c/d",
        "s3://bucket/a/b, arn:aws:iam::1/role/x",
        "a / b / c, and/or, //comment",
        r"\alpha\beta",
        "/v1/chat/completions",
    ],
)
def test_routes_dates_types_and_relative_paths_stay_as_they_are(text: str) -> None:
    assert told(RuntimeError(text)) == f"Error: work raised RuntimeError: {text}"


def test_a_validator_tells_the_model_in_its_own_words() -> None:  # pydantic/pydantic-ai#4016
    def known(project: str) -> str:
        raise ToolError("Ask the user for the project first.")

    @tool
    def open_project(project: Annotated[str, AfterValidator(known)]) -> None:
        """Open it."""

    (record,) = (
        Agent(ScriptedBackend(("open_project", {"project": "x"}), "Done."), tools=[open_project]).run("Go").tool_calls
    )
    assert record.response == (
        "Error: the arguments of open_project don't fit: Ask the user for the project first. Correct them and call it "
        "again."
    )


def test_paths_of_this_machine_are_shortened(tmp_path: Path) -> None:
    there, missing = tmp_path / "there.txt", tmp_path / "missing.txt"
    there.touch()
    for text, says in (
        (f"'{there}' is locked", "'there.txt' is locked"),
        (f"({missing}).", "(missing.txt)."),
        (f"path={there}:12", "path=there.txt:12"),
        (f"file://{there}", "there.txt"),
        (f"{Path.home()}/.ssh/nothing denied", "nothing denied"),
        ("in /opt/x/lib/python3/site-packages/foo/bar.py", "in bar.py"),
        (r"C:\Users\me\x.txt and C:/Users/me/y.txt", "x.txt and y.txt"),
        (r"\\server\share\z.doc", "z.doc"),
    ):
        assert told(RuntimeError(text)) == f"Error: work raised RuntimeError: {says}"
    assert told(FileNotFoundError(2, "No such file", "/home/someone/a b/notes.txt")) == (
        "Error: work raised FileNotFoundError: [Errno 2] No such file: 'notes.txt'"
    )
    assert told(FileNotFoundError(2, "No such file", "notes/a.txt")).endswith("'notes/a.txt'")


NOTED = ValueError("bad")
NOTED.add_note("in line 3")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError(), "ValueError: (no message)"),
        (KeyError("town"), "KeyError: missing key 'town'"),
        (KeyError(3), "KeyError: missing key 3"),
        (KeyError("There is no town named Oslo"), "KeyError: There is no town named Oslo"),
        (ValueError("two\nlines"), "ValueError: two\nlines"),
        (NOTED, "ValueError: bad\nin line 3"),
        (
            ExceptionGroup("several", [ValueError("a"), ExceptionGroup("inner", [KeyError("b")])]),
            "ExceptionGroup: several (2 sub-exceptions)\n- ValueError: a\n"
            "- ExceptionGroup: inner (1 sub-exception)\n  - KeyError: missing key 'b'",
        ),
        (
            subprocess.CalledProcessError(3, ["make"], stderr=b"no rule\n"),
            f"CalledProcessError: {subprocess.CalledProcessError(3, ['make'])}\nno rule",
        ),
        (ValueError("x" * 5000), f"ValueError: {'x' * 3988}… (1,012 more characters)"),
    ],
)
def test_an_exception_is_told_in_words(error: Exception, says: str) -> None:
    assert told(error) == f"Error: work raised {says}"


def test_the_cause_and_the_parts_of_an_exception_are_told() -> None:
    assert told(RuntimeError("no weather"), KeyError("town")) == (
        "Error: work raised RuntimeError: no weather (caused by KeyError: missing key 'town')"
    )
    many: Any = ExceptionGroup("many", [ValueError(str(number)) for number in range(50)])
    assert told(many).endswith("- ValueError: 4\n- 45 more")


@pytest.mark.parametrize("part", ["/a", "/tmp/", "C:\\", "\\\\a", "file://", "a/", "/home/x "])
def test_paths_are_found_in_linear_time(part: str) -> None:
    assert_linear(lambda size: without_paths(part * size), 20_000)
