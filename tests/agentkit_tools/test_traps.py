"""`visit` on pages as real servers send them: what is read, what is refused and named, and what a site asks for."""

from collections.abc import Iterator

import pytest

from agentkit import ToolError
from agentkit_tools import page_visitor
from agentkit_tools.walls import wall_of
from tests.support.growth import assert_linear
from tests.support.traps import TRAPS, Trap, TrapSite, serve_traps


@pytest.fixture(scope="module")
def traps() -> Iterator[TrapSite]:
    with serve_traps() as running:
        yield running


@pytest.mark.parametrize("number", range(len(TRAPS)), ids=[trap.name for trap in TRAPS])
def test_a_trap_comes_out_as_it_must(traps: TrapSite, number: int) -> None:
    trap: Trap = TRAPS[number]
    visit = page_visitor(allow=[traps.address], cache=False, timeout=5)
    if trap.is_error:
        with pytest.raises(ToolError) as raised:
            visit([traps.at(f"/trap/{number}")], "the height of the tower")
        text = str(raised.value)
    else:
        text = visit([traps.at(f"/trap/{number}")], "the height of the tower")
    assert trap.says in text
    if "damaged" not in trap.name:
        assert trap.never not in text


@pytest.mark.parametrize("tag", ["noscript", "div", "template", "p", "table><td"])
def test_an_empty_page_is_told_from_one_made_by_scripts_in_linear_time(tag: str) -> None:
    assert_linear(lambda size: wall_of({}, "<html><script></script>" + f"<{tag}>" * size, "", "x"), 3_000)
