"""Tasks that copy what the user has written, and facts, need no question."""

from agentkit import Agent
from agentkit.testing import ScriptedBackend
from tests.taint.benign import TASKS
from tests.taint.office import INSTRUCTIONS, Office


def test_thirty_benign_tasks_need_no_question() -> None:
    office = Office()
    tools, asked = office.tools(), {}
    tools = [each for each in tools if each.name != "post"] + [_post(office)]
    for task in TASKS:
        office.done.clear()
        office.texts["search"] = task.read
        backend = ScriptedBackend(("search", {"query": "it"}), task.calls, "Done.")
        result = Agent(backend, tools=tools, instructions=INSTRUCTIONS, taint="ask").run(task.asked)
        if len(office.done) != len(task.calls) or result.stopped != "answer":
            asked[task.asked] = [call.reason for call in result.pending]
    assert len(TASKS) == 30
    assert asked == {}


def _post(office: Office) -> object:
    from agentkit import tool

    @tool
    def post(url: str, body: str = "") -> str:
        """Send a web request."""
        office.done.append(("post", {"url": url, "body": body}))
        return "200"

    return post
