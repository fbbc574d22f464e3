"""A decision whose service is killed while it is carried out is carried out once."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from agentkit import tool
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.sessions import SQLiteSessions
from agentkit.testing import ScriptedBackend


def test_what_a_killed_service_has_begun_is_not_run_again_and_the_rest_is_run(tmp_path: Path) -> None:
    effects: list[str] = []
    kept = tmp_path / "kept.db"

    @tool(approve=True)
    def send(to: str) -> str:
        """Send a message."""
        effects.append(to)
        if not kept.exists():  # the store as it is when the service is killed now
            with closing(sqlite3.connect(tmp_path / "sessions.db")) as source, closing(sqlite3.connect(kept)) as copy:
                source.backup(copy)
        return f"sent to {to}"

    asked = UserInput("Send it.", "s", tools=(send,), request_id="m1")
    with SQLiteSessions(tmp_path / "sessions.db") as sessions:
        service = ChatService(ScriptedBackend([("send", {"to": "ann"}), ("send", {"to": "bob"})], "Sent."), sessions)
        waiting = service.answer(asked).waiting
        assert waiting is not None
        approve = {call.id: True for call in waiting.calls}
        decided = replace(asked, text=None, approve=approve, asked=waiting.asked, request_id="d1")
        assert service.answer(decided).text == "Sent."
    assert effects == ["ann", "bob"]
    with SQLiteSessions(kept) as sessions:
        service = ChatService(ScriptedBackend("One of them may be sent."), sessions)
        again = [service.answer(each) for each in (decided, decided, asked)]
    assert {answer.text for answer in again} == {"One of them may be sent."}
    assert [call.arguments for call in again[0].result.unknown_calls] == [{"to": "ann"}]
    assert effects == ["ann", "bob", "bob"]
