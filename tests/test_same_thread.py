"""Tools that are called in the thread that runs the agent (`@tool(same_thread=True)`)."""

import sqlite3
import threading
from typing import Any

import pytest

from agentkit import Agent, Context, Hook, Limits, tool
from agentkit.errors import ToolDefinitionError
from agentkit.event import ToolProgress
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend


@tool(read_only=True, same_thread=True)
def population(city: str, ctx: Context[sqlite3.Connection]) -> str:
    """Look up a city's population."""
    ctx.progress(f"looking up {city}")
    return str(ctx.deps.execute("select people from cities where name = ?", [city]).fetchone()[0])


@tool(read_only=True)
def elsewhere(city: str) -> str:
    """Tell in which thread this is."""
    return threading.current_thread().name


@tool(same_thread=True)
def here(ctx: Context) -> str:
    """Tell in which thread this is."""
    return threading.current_thread().name


@pytest.fixture
def cities() -> Any:
    connection = sqlite3.connect(":memory:")  # may be used in this thread alone
    connection.execute("create table cities (name, people)")
    connection.executemany("insert into cities values (?, ?)", [("Oslo", 717_710), ("Bergen", 291_940)])
    yield connection
    connection.close()


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "limited": {"limits": Limits(seconds=60)},
    "cancellable": {"cancel": threading.Event()},
    "stored": {"session": MemorySessions()["a"]},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_connection_of_sqlite_is_used_in_its_own_thread(
    cities: sqlite3.Connection, count: int, options: dict[str, Any]
) -> None:
    """Its objects belong to a thread (cebel/pyctd#7), as do Django's connections and those who hold a transaction
    (dj-bolt/django-bolt#315), and widgets."""
    calls = [("population", {"city": city}) for city in ("Oslo", "Bergen", "Oslo")[:count]]
    agent = Agent(ScriptedBackend(calls, "Done."), tools=[population, elsewhere], tool_timeout=30)
    result = agent.run("How many?", deps=cities, **options)
    assert [call.response for call in result.tool_calls] == ["717710", "291940", "717710"][:count]


def test_it_is_called_where_a_stream_is_read_and_other_calls_stay_in_order(cities: sqlite3.Connection) -> None:
    calls: Any = [("elsewhere", {"city": "a"}), ("population", {"city": "Oslo"}), ("elsewhere", {"city": "b"})]
    agent = Agent(ScriptedBackend(calls, "Done."), tools=[population, elsewhere])
    run = agent.stream("How many?", deps=cities)
    events = list(run)
    assert [event.text for event in events if isinstance(event, ToolProgress)] == ["looking up Oslo"]
    assert run.result is not None
    assert [call.response for call in run.result.tool_calls][1] == "717710"
    assert [call.name for call in run.result.tool_calls] == ["elsewhere", "population", "elsewhere"]


def test_hooks_and_a_persons_approval_leave_it_there() -> None:
    class Passing(Hook):
        def around_tool(self, call: Any, proceed: Any) -> Any:
            return proceed(call)

    mine = threading.current_thread().name
    result = Agent(ScriptedBackend(("here", {}), "Done."), tools=[here], hooks=[Passing()]).run("Where?")
    assert result.tool_calls[0].response == mine
    agent = Agent(ScriptedBackend(("here", {}), "Done."), tools=[here.replace(approve=True)])
    waiting = agent.run("Where?")
    result = agent.resume(waiting.messages, approve={waiting.pending[0].id: True}, limits=Limits(seconds=60))
    assert result.tool_calls[0].response == mine


@pytest.mark.parametrize("options", [{"timeout": 5}, {"isolate": True}])
def test_what_the_run_can_not_leave_has_no_time_limit_and_no_process(options: dict[str, Any]) -> None:
    with pytest.raises(ToolDefinitionError, match="same_thread=True has the run itself make the call"):
        here.replace(**options)


def test_async_tools_have_a_thread_of_their_own() -> None:
    with pytest.raises(ToolDefinitionError, match="tool later: same_thread=True is for plain functions"):

        @tool(same_thread=True)
        async def later() -> str:
            """Tell something."""
            return ""
