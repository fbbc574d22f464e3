"""Conversations that are shared by a link: as they were, for whoever has it, until it ends."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.serving.http.gate import address_of
from agentkit.serving.http.page import sharing, snapshots
from agentkit.sessions import MemorySessions
from tests.support.cited_tools import READ
from tests.support.http_service import LOOK_UP, Service, reply, serve_http, settings_for, talk
from tests.support.model_server import Answer, Asked, ModelServer, calls, whole
from tests.support.scripted_agent import agent, somebody

PIXEL = "data:image/png;base64,iVBORw0KGgo="
UNKNOWN = {"detail": "There is no such shared conversation"}


def script(asked: Asked) -> Answer:
    """Cite what was read of Norway; else as `reply`."""
    last = asked.body["messages"][-1]
    if str(last["content"]) == "Norway?":
        return calls(("read_pages", {}))
    if last["role"] == "tool" and "[1]" in str(last["content"]):
        return whole("Oslo is the capital of Norway [1]. Bergen is known for its rain [2].")
    return whole("Done.") if last["role"] == "tool" else reply(asked)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sharing")


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    with agent(folder, script, agentkit_sharing=True, agentkit_tools=(LOOK_UP, READ)) as (running, _):
        yield somebody(running, folder)


def share(service: Service, session: str) -> str:
    response = service.ask("POST", "/api/llm/chat/session/share", {"session_id": session})
    assert response.status_code == 200, response.text
    return str(response.json()["token"])


def unshare(service: Service, session: str, status: int = 200) -> None:
    assert service.ask("POST", "/api/llm/chat/session/unshare", {"session_id": session}).status_code == status


def seen(service: Service, token: str) -> Any:
    """What a reader without a key gets."""
    response = replace(service, key=None).ask("POST", "/api/llm/shared", {"token": token})
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.status_code in (200, 404), response.text
    return response.json()


def texts(shared: Any) -> list[str]:
    return [turn["content"] for turn in shared["messages"]]


def token_in_history(service: Service, session: str) -> str | None:
    found = service.ask("POST", "/api/llm/chat/session/history", {"session_id": session}).json()
    token: str | None = found["shared"]
    return token


def test_a_shared_conversation_stays_as_it_was_and_is_read_without_a_key(service: Service) -> None:
    """danny-avila/LibreChat#12890: a link that was to be public led to the login."""
    talk(service, "a", "one", images=[PIXEL])
    token = share(service, "a")
    assert re.fullmatch(r"[\w-]{32}", token)
    assert token_in_history(service, "a") == token
    talk(service, "a", "two")
    service.ask("POST", "/api/llm/chat/session/rename", {"session_id": "a", "name": "Better"})
    shared = seen(service, token)
    assert set(shared) == {"name", "messages", "time"}
    assert (shared["name"], texts(shared)[0], len(texts(shared))) == ("one", "one", 2)
    assert shared["messages"][0]["images"] == [PIXEL]
    assert shared["time"].endswith("+00:00")


def test_shared_again_the_link_stays_and_shows_what_there_is_then(service: Service) -> None:
    """danny-avila/LibreChat#11205, #14712: it went on showing the old messages, or the links that others had broke."""
    talk(service, "a", "one")
    token = share(service, "a")
    for number in range(3):
        talk(service, "a", f"more {number}")
        assert share(service, "a") == token
        assert len(texts(seen(service, token))) == 4 + 2 * number


def test_a_link_shows_the_branch_that_was_shared(service: Service) -> None:
    """danny-avila/LibreChat#10007: a link always showed the last fork, whichever it was made of."""
    talk(service, "a", "one")
    talk(service, "a", "two")
    service.ask("POST", "/api/llm/chat/session/branch", {"session_id": "a", "begins": 2, "new_session_id": "b"})
    talk(service, "b", "2nd")
    token = share(service, "a")
    assert texts(seen(service, token))[::2] == ["one", "two"]
    assert [token_in_history(service, session) for session in ("a", "b")] == [token, token]
    service.ask("POST", "/api/llm/chat/session/branch", {"session_id": "b", "new_session_id": "c"})
    assert (token_in_history(service, "c"), share(service, "c")) == (token, token)  # one link a conversation
    assert texts(seen(service, token))[::2] == ["one", "2nd"]
    unshare(service, "b")
    assert seen(service, token) == UNKNOWN
    assert {token_in_history(service, session) for session in ("a", "b", "c")} == {None}


def test_a_link_is_revoked_and_never_works_again(service: Service) -> None:
    """openai/codex#42185: a link could not be revoked; hackerai-tech/hackerai#1079: one that was revoked worked again
    when the conversation was shared anew."""
    talk(service, "a", "one")
    token = share(service, "a")
    unshare(service, "a")
    unshare(service, "a")
    assert (seen(service, token), token_in_history(service, "a")) == (UNKNOWN, None)
    later = share(service, "a")
    assert later != token
    assert (seen(service, token), texts(seen(service, later))[0]) == (UNKNOWN, "one")


def test_a_link_ends_with_its_conversation(service: Service) -> None:
    """open-webui/open-webui#1364: the copy that others see has to go with the chat."""
    talk(service, "a", "one")
    service.ask("POST", "/api/llm/chat/session/branch", {"session_id": "a", "new_session_id": "b"})
    token = share(service, "b")
    assert service.ask("DELETE", "/api/llm/chat/session/a").status_code == 200
    assert seen(service, token) == UNKNOWN
    talk(service, "a", "anew")
    assert token_in_history(service, "a") is None
    sessions = service.app.state.service.conversations.service.sessions
    assert not [info for info in sessions.list("_agentkit.http.shared.") if info.id in snapshots.keys(token)]


def test_what_is_shared_has_names_of_tools_but_nothing_they_were_given_or_have_read(service: Service) -> None:
    talk(service, "secret id", "look up secrets", system_prompt="Hidden words.")
    talk(service, "secret id", "Norway?")
    token = share(service, "secret id")
    shared = seen(service, token)
    assert [call["name"] for turn in shared["messages"] for call in turn["tool_calls"]] == ["look_up", "read_pages"]
    citations = shared["messages"][3]["citations"]
    assert [(each["source"], each["verdict"], each["address"]) for each in citations] == [
        (1, "supported", "https://a.example/oslo"),
        (2, "supported", ""),
    ]
    whole_text = json.dumps(shared)
    for hidden in ("all about", '"topic', "717,710", "bergen.txt", "secret id", "caller", "Hidden", "session", "call_"):
        assert hidden not in whole_text, hidden
    assert {turn["begins"] for turn in shared["messages"]} == {0}


def test_only_their_own_conversations_can_be_shared_and_revoked(service: Service, folder: Path) -> None:
    other = somebody(service, folder)
    talk(service, "a", "one")
    token = share(service, "a")
    assert other.ask("POST", "/api/llm/chat/session/share", {"session_id": "a"}).status_code == 404
    unshare(other, "a", 404)
    talk(other, "a", "mine")
    assert token_in_history(other, "a") is None
    unshare(other, "a")
    assert texts(seen(service, token))[0] == "one"
    assert (
        replace(service, key="wrong").ask("POST", "/api/llm/chat/session/share", {"session_id": "a"}).status_code == 401
    )


def test_an_unknown_token_is_told_from_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """danny-avila/LibreChat#5917: what is said must not tell whether there is something behind a token."""
    talk(service, "a", "one")
    token = share(service, "a")
    near = token[:-1] + ("A" if token[-1] != "A" else "B")
    for wrong in (near, token.swapcase(), "a", "x" * 100, "../a", "_agentkit.http.shared", "ü"):
        assert seen(service, wrong) == UNKNOWN
    monkeypatch.setattr(service.app.state.service.settings, "agentkit_sharing", False)
    assert seen(service, token) == UNKNOWN
    unshare(service, "a")  # also where no more is shared
    monkeypatch.setattr(service.app.state.service.settings, "agentkit_sharing", True)
    assert seen(service, token) == UNKNOWN


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b'{"token": 7}', 400),
        (b'{"token": ""}', 400),
        (b'{"token": "\\ud800"}', 400),
        (b'{"token": "' + b"x" * 101 + b'"}', 400),
        (b"[" * 900, 400),
        (b"[" * 100_000, 413),
        (b'{"token": "' + b"x" * 3_000_000 + b'"}', 413),
    ],
    ids=["empty", "cut", "list", "number", "blank", "half", "long", "deep", "deeper", "huge"],
)
def test_what_is_sent_without_a_key_is_read_in_bounds(service: Service, body: bytes, status: int) -> None:
    reader = replace(service, key=None)
    pieces: Any = iter([body[start : start + 50_000] for start in range(0, len(body), 50_000)])
    for data in (body, pieces):
        headers = {"Content-Type": "application/json"}
        assert reader.ask("POST", "/api/llm/shared", data=data, headers=headers).status_code == status


def test_sharing_is_off_unless_it_is_allowed(tmp_path: Path, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        talk(service, "a", "one")
        refused = service.ask("POST", "/api/llm/chat/session/share", {"session_id": "a"})
        assert refused.status_code == 403
        assert "AGENTKIT_SHARING" in refused.json()["detail"]
        assert seen(service, "x" * 32) == UNKNOWN


def test_readers_count_for_the_rate_of_their_address(tmp_path: Path, model: ModelServer) -> None:
    settings = settings_for(tmp_path, model.url, agentkit_sharing=True, agentkit_rate=5)
    with serve_http(settings) as open_service:
        service = somebody(open_service, tmp_path)
        talk(service, "a", "one")
        token = share(service, "a")
        reader = replace(service, key=None)
        tried = [reader.ask("POST", "/api/llm/shared", {"token": token}) for _ in range(6)]
        assert [each.status_code for each in tried] == [200] * 5 + [429]
        assert int(tried[-1].headers["retry-after"]) > 0
        forwarded = {"X-Forwarded-For": "198.51.100.7"}
        assert reader.ask("POST", "/api/llm/shared", {"token": token}, headers=forwarded).status_code == 200
        assert service.ask("GET", "/api/llm/chat/sessions").status_code == 200  # its owner has a rate of their own


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (("198.51.100.7", 80), "address:198.51.100.7"),
        (("2001:db8:1:2:3::4", 80), "address:2001:db8:1:2::"),
        (("fe80::1%eth0", 80), "address:fe80::"),
        (("key:ann", 80), "address:key:ann"),
        (None, "address:"),
    ],
)
def test_an_address_is_that_of_a_network_where_a_client_has_many(client: Any, name: str) -> None:
    assert address_of({"type": "http", "client": client}) == name


def test_nothing_and_too_much_are_not_shared(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(service, "a", "one")
    service.ask("POST", "/api/llm/chat/session/branch", {"session_id": "a", "begins": 0, "new_session_id": "b"})
    for session, text in (("b", "nothing to share"), ("a", "too long")):
        monkeypatch.setattr(sharing, "MAX_SHARED", 100)
        refused = service.ask("POST", "/api/llm/chat/session/share", {"session_id": session})
        assert (refused.status_code, text in refused.json()["detail"]) == (400, True)
    assert token_in_history(service, "a") is None


def test_a_reader_never_misses_a_snapshot_that_is_replaced() -> None:
    sessions, token = MemorySessions(), snapshots.new_token()
    snapshots.write(sessions, token, "0")
    done = threading.Event()

    def replace_often() -> None:
        for number in range(1, 300):
            snapshots.write(sessions, token, str(number))
        done.set()

    writer = threading.Thread(target=replace_often)
    writer.start()
    while not done.is_set():
        assert snapshots.find(sessions, token) is not None
    writer.join()
    assert snapshots.find(sessions, token) == "299"
    snapshots.delete(sessions, token)
    assert (snapshots.find(sessions, token), sessions.list("_agentkit.")) == (None, [])
