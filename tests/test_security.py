"""docs/security.md tells the truth: each limit in it is the code's."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from agentkit import Limits
from agentkit.serving.http.settings import HttpSettings

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| `(None|[\d_.]+)` \| (.*?) ?\| `([\w.]+(?:\(\w+=\))?)` \|$", PAGE, re.MULTILINE)
STATED = re.findall(r"^\|.*\| `(?:None|[\d_.]+)` \|.*$", PAGE, re.MULTILINE)


def value_of(where: str) -> Any:
    """The value of a constant, of a parameter's default, or of a setting of the service."""
    if where.isupper():
        return HttpSettings.model_fields[where.lower()].default
    path, _, parameter = where.removesuffix("=)").partition("(")
    pieces = path.split(".")
    length = next(size for size in range(len(pieces), 0, -1) if is_module(".".join(pieces[:size])))
    found: Any = import_module(".".join(pieces[:length]))
    for piece in pieces[length:]:
        found = getattr(found, piece)
    return inspect.signature(found).parameters[parameter].default if parameter else found


def is_module(name: str) -> bool:
    try:
        import_module(name)
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize(("stated", "where"), [(row[1], row[3]) for row in ROWS], ids=[row[3] for row in ROWS])
def test_a_limit_in_the_docs_is_that_of_the_code(stated: str, where: str) -> None:
    assert value_of(where) == (None if stated == "None" else float(stated))


def test_each_row_says_where_its_limit_is() -> None:
    assert len(ROWS) == len(STATED) > 40
    assert all(unit or default == "None" for _, default, unit, _ in ROWS)


def test_each_numeric_setting_of_the_chat_service_has_a_row() -> None:
    """A limit that is added is described where all are."""
    no_limits = {"llm_temperature", "llm_top_p", "agentkit_mqtt_port", "agentkit_port", "agentkit_workers"}
    numbers = {
        name.upper()
        for name, field in HttpSettings.model_fields.items()
        if name not in no_limits and {int, float} & {field.annotation, *get_args(field.annotation)}
    }
    assert numbers - {where for _, _, _, where in ROWS} == set(), "add a row to docs/security.md"


def test_a_vulnerability_can_be_reported() -> None:
    policy = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert "private vulnerability reporting" in policy
    assert "@" not in policy  # no address that nobody reads
    for page in ("README.md", "docs/http.md"):
        assert "security.md" in (ROOT / page).read_text(encoding="utf-8")


def test_a_run_has_no_limit_of_tokens_seconds_cost_or_tool_calls_of_its_own() -> None:
    limits = Limits()
    assert (limits.tokens, limits.seconds, limits.cost, limits.tool_calls) == (None, None, None, None)
