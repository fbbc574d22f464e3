"""Modules that are looked up without being imported may be in the middle of their import, in another thread."""

import sys
import types
from collections.abc import Callable

import pytest

from agentkit.net.dialling import failures
from agentkit.net.unpatched import is_recorded
from agentkit.running.run_hooks import _guard_among
from agentkit.tooling.description import _is_model
from agentkit.tooling.result_cache import _is_path
from agentkit.tooling.settling import called
from agentkit.tooling.stop import Stop

ASKED: dict[str, tuple[Callable[[], object], object]] = {
    "urllib3.connectionpool": (is_recorded, False),
    "urllib3.exceptions": (lambda: OSError in failures(), True),
    "agentkit.taint.guard": (lambda: _guard_among([]), None),
    "asyncio": (lambda: called(lambda: 7, Stop.of("f", None, None, None)), 7),
    "pydantic": (lambda: _is_model(dict), False),
    "pathlib": (lambda: _is_path("x"), False),
}


@pytest.mark.parametrize("module", ASKED)
def test_a_module_of_which_nothing_is_there_yet_is_as_one_that_is_not_loaded(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, answer = ASKED[module]
    assert ask() == answer
    monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    assert ask() == answer
    monkeypatch.delitem(sys.modules, module)
    assert ask() == answer
