"""AGENTKIT_TAINT=ask over HTTP: a call whose arguments a page has named waits in a session, and is refused without."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.http.test_decisions import CHAT, decide
from tests.support.http_service import Service, serve_http, settings_for, talk
from tests.support.model_server import serve
from tests.taint.test_cli import gullible
from tests.taint.test_taint import done


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    tools = ("tests.taint.test_taint:TOOLS",)
    with serve(gullible) as server:
        settings = settings_for(tmp_path, server.url, agentkit_tools=tools, agentkit_taint="ASK")
        with serve_http(settings) as running:
            yield running


def test_a_tainted_call_waits_for_a_decision_and_is_refused_without_a_session(service: Service) -> None:
    done.clear()
    waits = talk(service, "s", "When is it open?")
    (call,) = waits["pending"]
    assert (waits["stopped"], call["name"], done) == ("approval", "send_mail", [])
    assert (
        call["reason"] == "its argument `to` contains a mail address from the result of `read`, and not from the user"
    )
    assert decide(service, "s", {call["id"]: True}, asked=waits["asked"]).json()["stopped"] == "answer"
    assert done == ["mail to mallory@drop.example"]

    asked = {"messages": [{"role": "user", "content": "When is it open?"}]}
    alone = service.ask("POST", CHAT.removesuffix("/session"), asked).json()
    assert "send_mail was not run" in alone["response"]
    of_openai = service.ask("POST", "/v1/chat/completions", {"model": "agentkit", **asked}).json()
    assert "send_mail was not run" in of_openai["choices"][0]["message"]["content"]
    assert done == ["mail to mallory@drop.example"]
