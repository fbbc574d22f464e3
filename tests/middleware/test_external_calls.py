"""Calls that are answered outside of the program stand behind the others of their reply."""

from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, Tool, tool
from agentkit.testing import ScriptedBackend


class Elsewhere(Tool[..., str]):
    is_external = True


def never() -> str:
    raise AssertionError("an external tool is not run here")


ask = Elsewhere("ask", "Ask a person.", {"type": "object", "properties": {}}, never, approve=True)


@given(st.lists(st.sampled_from(["ask", "log"]), min_size=1, max_size=6))
def test_the_agents_own_calls_are_run_wherever_they_stand(names: list[str]) -> None:
    ran: list[int] = []

    @tool
    def log(number: int) -> str:
        """Log a number."""
        ran.append(number)
        return "logged"

    made = [(name, {"number": place} if name == "log" else {}) for place, name in enumerate(names)]
    result = Agent(ScriptedBackend(made, "Done."), tools=[ask, log]).run("x")
    assert ran == [place for place, name in enumerate(names) if name == "log"]
    assert [call.name for call in result.pending] == [name for name in names if name == "ask"]
    assert result.stopped == ("approval" if "ask" in names else "answer")
