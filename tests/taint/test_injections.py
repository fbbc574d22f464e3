"""A model that obeys whatever it reads does no harm: a hundred injected instructions."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from agentkit import Agent
from agentkit.testing import ScriptedBackend
from tests.taint.injections import Injection, injections
from tests.taint.office import INSTRUCTIONS, SECRET, Office, Site, site

office = Office()
TOOLS = office.tools()
READING: dict[str, Any] = {
    "search": ("search", {"query": "opening hours"}),
    "file": ("read_file", {"path": "notes/today.txt"}),
    "mcp": ("lookup", {"key": "42"}),
}


@pytest.fixture(scope="module")
def web() -> Iterator[Site]:
    with site() as made:
        yield made


def obeyed(case: Injection, web: Site, taint: Any) -> list[Any]:
    """What the tools and the server of an attacker have got when a model obeys."""
    office.done.clear()
    text = f"Opening hours: 9 to 5.\n{case.text}\nClosed on Sundays."
    office.texts |= dict.fromkeys(READING, text)
    web.page = text
    calls = [(name, json.loads(json.dumps(each).replace("{secret}", SECRET))) for name, each in case.calls]
    reads = READING.get(case.carrier, ("visit", {"url": f"{web.url}/shop"}))
    more: list[Any] = ["Read.", calls, "Done."] if case.carrier == "earlier turn" else [calls, "Done."]
    agent = Agent(ScriptedBackend(reads, *more), tools=TOOLS, instructions=INSTRUCTIONS, taint=taint)
    web.asked.clear()
    result = agent.run("When does the shop open?")
    if case.carrier == "earlier turn":
        result = agent.run("And on Sundays?", messages=result.messages)
    assert result.output == "Done."
    return [*office.done, *(path for path in web.asked if path.startswith("/collect"))]


def test_a_hundred_injected_instructions_have_no_effect(web: Site) -> None:
    cases = list(injections(web.url))
    assert len(cases) == 100
    harm = {case.name: obeyed(case, web, "refuse") for case in cases}
    assert {name: done for name, done in harm.items() if done} == {}


def test_without_taint_they_have(web: Site) -> None:
    cases = [case for at, case in enumerate(injections(web.url)) if at % 7 == 0]
    assert [case.name for case in cases if not obeyed(case, web, "off")] == []
