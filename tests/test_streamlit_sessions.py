"""A thread of agentkit works for the session of Streamlit for which the thread of its run does.

Streamlit knows it by an attribute of the thread (streamlit/streamlit#12051, langchain-ai/langchain#18684)."""

import threading
from typing import Any

from agentkit import Agent, Limits, tool
from agentkit._threads import OF_STREAMLIT
from agentkit.testing import ScriptedBackend


def session() -> Any:
    """As `streamlit.runtime.scriptrunner.get_script_run_ctx` finds it."""
    return getattr(threading.current_thread(), OF_STREAMLIT, None)


@tool(read_only=True, timeout=10)
def look(topic: str) -> str:
    """Look something up."""
    return f"{topic} for {session()}"


def answers(name: str | None) -> list[str]:
    """What parallel calls answer in a run of a script that has a session, or none."""
    found: list[str] = []

    def script() -> None:
        if name is not None:
            setattr(threading.current_thread(), OF_STREAMLIT, name)
        calls: list[Any] = [("look", {"topic": topic}) for topic in "ab"]
        inner = Agent(ScriptedBackend(("look", {"topic": "c"}), "Done."), tools=[look])

        @tool(read_only=True, timeout=10)
        def ask() -> str:
            """Ask another agent."""
            return inner.run("Go.").tool_calls[0].response

        agent = Agent(ScriptedBackend([*calls, ("ask", {})], "Done."), tools=[look, ask])
        found.extend(each.response for each in agent.run("Go.", limits=Limits(seconds=30)).tool_calls)

    thread = threading.Thread(target=script)
    thread.start()
    thread.join(30)
    return found


def test_tools_in_other_threads_see_the_session_of_their_run() -> None:
    assert answers("Ann") == ["a for Ann", "b for Ann", "c for Ann"]


def test_the_same_threads_see_no_session_of_an_earlier_run() -> None:
    answers("Ann")
    assert answers(None) == ["a for None", "b for None", "c for None"]
    assert answers("Bob") == ["a for Bob", "b for Bob", "c for Bob"]
