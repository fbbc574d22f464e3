"""Branches of a conversation, its pin and its name, over HTTP."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentkit import Image
from agentkit.serving.http.page.branches import MAX_BRANCHES
from agentkit.serving.http.page.metadata import SessionMeta, branches_of, read
from tests.support.cited_tools import READ
from tests.support.http_service import LOOK_UP, Service, reply, talk
from tests.support.model_server import Answer, Asked, calls, whole
from tests.support.scripted_agent import agent, somebody
from tests.support.waiting import until

PIXEL = "data:image/png;base64,iVBORw0KGgo="
going_on = threading.Event()


def draw() -> Image:
    """Draw an image."""
    return Image(b"\x89PNG", "image/png")


def script(asked: Asked) -> Answer:
    """Echo, with tools as the last message says; "wait" waits until the test goes on, "fail" fails."""
    last = str(asked.body["messages"][-1]["content"])
    if last == "draw":
        return calls(("draw", {}))
    if last == "Norway?":
        return calls(("read_pages", {}))
    if asked.body["messages"][-1]["role"] == "tool" and "[1]" in last:
        return whole("Oslo is the capital of Norway [1].")
    if "wait" in last:
        assert going_on.wait(15)
    if "fail" in last:
        return Answer(b'{"error": {"message": "refused"}}', status=400)
    return reply(asked)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("branches")


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    going_on.clear()
    with agent(folder, script, agentkit_tools=(LOOK_UP, READ, f"{__name__}:draw")) as (running, _):
        yield somebody(running, folder)


def branch(service: Service, session: str, begins: int | None, new: str, status: int = 200) -> Any:
    body = {"session_id": session, "new_session_id": new, **({} if begins is None else {"begins": begins})}
    response = service.ask("POST", "/api/llm/chat/session/branch", body)
    assert response.status_code == status, response.text
    return response.json()


def history(service: Service, session: str, status: int = 200) -> Any:
    response = service.ask("POST", "/api/llm/chat/session/history", {"session_id": session})
    assert response.status_code == status, response.text
    return response.json()


def said(service: Service, session: str) -> list[str]:
    return [turn["content"] for turn in history(service, session)["messages"] if turn["role"] == "user"]


def listed(service: Service) -> list[tuple[str, str, bool]]:
    found = service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]
    return [(each["session_id"], each["name"], each["pinned"]) for each in found]


def versions(service: Service, session: str) -> list[tuple[int, str]]:
    return [(each["begins"], each["session_id"]) for each in history(service, session)["branches"]]


def test_a_message_is_edited_in_a_branch_and_nothing_is_lost(service: Service) -> None:
    for message in ("one", "two", "three"):
        talk(service, "a", message, system_prompt="Be quick.")
    assert [turn["begins"] for turn in history(service, "a")["messages"]] == [0, 1, 2, 3, 4, 5]
    assert (history(service, "a")["branches"], history(service, "a")["pinned"]) == ([], False)
    branch(service, "a", 2, "b")
    assert talk(service, "b", "2nd")["response"] == "Be quick.: one | 2nd"
    assert (said(service, "a"), said(service, "b")) == (["one", "two", "three"], ["one", "2nd"])
    assert versions(service, "a") == versions(service, "b") == [(2, "a"), (2, "b")]
    assert listed(service) == [("b", "one", False)]
    talk(service, "a", "four")
    assert listed(service) == [("a", "one", False)]
    assert said(service, "b") == ["one", "2nd"]


def test_the_first_message_is_edited_before_anything_is_stored_of_the_branch(service: Service) -> None:
    talk(service, "a", "one", system_prompt="Be quick.")
    branch(service, "a", 0, "b")
    assert history(service, "b")["messages"] == []
    assert versions(service, "a") == []  # there is nothing yet that it could show
    assert talk(service, "b", "first")["response"] == "Be quick.: first"
    assert versions(service, "a") == versions(service, "b") == [(0, "a"), (0, "b")]
    branch(service, "b", 0, "c")
    assert service.ask("DELETE", "/api/llm/chat/session/c").status_code == 200
    assert listed(service) == []


def test_an_older_version_that_is_looked_at_leaves_the_newer_one_as_it_is(service: Service) -> None:
    """ggml-org/llama.cpp#16406: the messages of the latest branch were gone after a look at an older one."""
    for message in ("one", "two"):
        talk(service, "a", message)
    branch(service, "a", 2, "b")
    for message in ("2nd", "3rd"):
        talk(service, "b", message)
    for session in ("a", "b", "a"):
        history(service, session)
    assert said(service, "b") == ["one", "2nd", "3rd"]
    assert said(service, "a") == ["one", "two"]
    assert listed(service) == [("b", "one", False)]


def test_each_turn_has_its_versions_once_in_the_order_in_which_they_were_made(service: Service) -> None:
    for message in ("one", "two", "three"):
        talk(service, "a", message)
    for new, old, begins in (("b", "a", 2), ("c", "b", 4), ("d", "a", 2), ("e", "c", 0)):
        if new == "c":
            talk(service, "b", "more")
        branch(service, old, begins, new)
        talk(service, new, f"of {new}")
    assert versions(service, "a") == [(0, "a"), (0, "e"), (2, "a"), (2, "c"), (2, "d")]
    assert versions(service, "c") == [(0, "c"), (0, "e"), (2, "a"), (2, "c"), (2, "d"), (4, "b"), (4, "c")]
    assert versions(service, "e") == [(0, "d"), (0, "e")]
    talk(service, "b", "again")  # the version is shown as the branch of it that was written last
    assert versions(service, "a")[3] == (2, "b")


def test_a_branch_has_the_images_tools_and_sources_of_the_messages_it_shares(service: Service) -> None:
    """cubeplexai/cubeplex#281: what was attached to the messages of a fork could not be opened there."""
    talk(service, "a", "see", images=[PIXEL])
    talk(service, "a", "draw")
    talk(service, "a", "Norway?")
    talk(service, "a", "last")
    turns = history(service, "a")["messages"]
    branch(service, "a", turns[-2]["begins"], "b")
    assert history(service, "b")["messages"] == turns[:-2]
    assert [turn["images"] for turn in turns[:4]] == [[PIXEL], [], [], ["data:image/png;base64,iVBORw=="]]
    assert turns[5]["citations"][0]["verdict"] == "supported"
    assert "717,710" in service.ask("POST", "/api/llm/chat/session/source", {"session_id": "b", "number": 1}).text
    for session in ("a", "b"):
        assert history(service, session)["messages"][:6] == turns[:6]


def test_a_branch_whose_message_was_not_sent_or_refused_is_no_version(service: Service) -> None:
    for message in ("one", "two needles"):
        talk(service, "a", message)
    branch(service, "a", 2, "b")
    assert (versions(service, "a"), listed(service)) == ([], [("a", "one", False)])
    for _ in range(2):
        assert service.ask("POST", "/api/llm/chat/session", {"session_id": "b", "message": "fail"}).status_code >= 500
        assert (versions(service, "a"), listed(service)) == ([], [("a", "one", False)])
    assert (said(service, "b"), versions(service, "b")) == (["one"], [(2, "a"), (2, "b")])
    assert found(service, "one") == ["a"]
    branch(service, "b", None, "c")
    assert found(service, "one") == ["a"]
    talk(service, "b", "2nd")
    assert (versions(service, "a"), listed(service)) == ([(2, "a"), (2, "b")], [("b", "one", False)])
    assert (found(service, "one"), found(service, "needles")) == (["b"], ["a"])


def test_a_branch_with_nothing_of_its_own_is_listed_where_it_is_all_that_is_left(service: Service) -> None:
    talk(service, "a", "one")
    branch(service, "a", None, "b")
    conversations = service.app.state.service.conversations
    conversations.service.sessions.delete(conversations.session(f"key:{_name(service)}", "a").id)
    assert (listed(service), found(service, "one")) == ([("b", "one", False)], ["b"])


def test_the_list_says_which_branches_a_conversation_has(service: Service) -> None:
    talk(service, "z", "alone")
    talk(service, "a", "one")
    branch(service, "a", 0, "c")
    branch(service, "a", None, "b")
    talk(service, "b", "two")
    entries = service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]
    assert {each["session_id"]: each["branches"] for each in entries} == {"b": ["a", "c", "b"], "z": []}
    (entry,) = service.ask("POST", "/api/llm/chat/sessions/search", {"query": "two"}).json()["sessions"]
    assert (entry["session_id"], entry["branches"]) == ("b", ["a", "c", "b"])


def found(service: Service, query: str) -> list[str]:
    result = service.ask("POST", "/api/llm/chat/sessions/search", {"query": query}).json()
    return [each["session_id"] for each in result["sessions"]]


def test_a_branch_without_a_place_has_everything(service: Service) -> None:
    talk(service, "a", "one")
    branch(service, "a", None, "b")
    assert talk(service, "b", "two")["response"] == "You are a: one | two"
    assert said(service, "a") == ["one"]


@pytest.mark.parametrize(("begins", "status"), [(3, 400), (4, 400), (99, 400), (-1, 422)])
def test_a_conversation_branches_only_where_a_turn_begins(service: Service, begins: int, status: int) -> None:
    talk(service, "a", "look up tides")
    talk(service, "a", "thanks")
    assert [turn["begins"] for turn in history(service, "a")["messages"]] == [0, 1, 4, 5]
    wrong = begins if begins != 4 else 2
    assert "begins" in branch(service, "a", wrong, "b", status)["detail"]
    assert listed(service) == [("a", "look up tides", False)]


def test_a_branch_that_is_asked_for_again_is_made_once(service: Service) -> None:
    talk(service, "a", "one")
    talk(service, "a", "two")
    branch(service, "a", 2, "b")
    talk(service, "b", "2nd")
    branch(service, "a", 2, "b")
    assert said(service, "b") == ["one", "2nd"]
    assert "exists already" in branch(service, "a", 0, "b", 409)["detail"]
    assert "exists already" in branch(service, "a", 2, "a", 409)["detail"]
    talk(service, "other", "hello")
    assert "exists already" in branch(service, "a", 2, "other", 409)["detail"]
    assert said(service, "other") == ["hello"]


def test_two_tabs_branch_at_once(service: Service) -> None:
    talk(service, "a", "one")
    talk(service, "a", "two")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda new: branch(service, "a", 2, new), ["b", "b", "c", "d"]))
        list(pool.map(lambda new: talk(service, new, f"of {new}"), ["b", "c", "d"]))
    assert {session for _, session in versions(service, "a")} == {"a", "b", "c", "d"}
    assert len(listed(service)) == 1
    assert [said(service, new) for new in ("b", "c", "d")] == [["one", f"of {new}"] for new in ("b", "c", "d")]


def test_a_session_that_is_being_answered_can_branch_and_then_not_be_deleted(service: Service) -> None:
    talk(service, "a", "one")
    talk(service, "a", "two")
    answering = threading.Thread(target=talk, args=(service, "a", "wait"))
    answering.start()
    until(lambda: "wait" in said(service, "a"))
    branch(service, "a", 2, "b")
    assert talk(service, "b", "2nd")["response"] == "You are a: one | 2nd"
    service.app.state.service.conversations.rename("key:" + _name(service), "b", "Named")
    for session in ("a", "b"):  # one conversation, of which nothing is deleted while a part of it can't be
        assert service.ask("DELETE", f"/api/llm/chat/session/{session}").status_code == 409
    going_on.set()
    answering.join()
    assert (said(service, "a"), said(service, "b")) == (["one", "two", "wait"], ["one", "2nd"])
    assert service.ask("DELETE", "/api/llm/chat/session/b").status_code == 200
    assert listed(service) == []
    history(service, "a", 404)


def _name(service: Service) -> str:
    subject = service.ask("GET", "/api/llm/usage").json()["subject"]
    return str(subject).removeprefix("key:")


def test_a_failed_message_of_the_other_session_takes_nothing_from_a_branch(service: Service) -> None:
    talk(service, "a", "one")
    branch(service, "a", None, "b")
    assert service.ask("POST", "/api/llm/chat/session", {"session_id": "a", "message": "fail"}).status_code >= 500
    assert (said(service, "a"), said(service, "b")) == (["one"], ["one"])


def test_a_conversation_is_renamed_and_pinned_with_all_branches(service: Service) -> None:
    """epam/ai-dial-chat#7161: a pinned conversation that was renamed was no longer pinned."""
    talk(service, "a", "one")
    branch(service, "a", 0, "b")
    talk(service, "b", "first")
    talk(service, "z", "other")
    for session, pinned in (("b", True), ("a", True)):
        body = {"session_id": session, "pinned": pinned}
        assert service.ask("POST", "/api/llm/chat/session/pin", body).status_code == 200
    rename = {"session_id": "a", "name": "Better"}
    assert service.ask("POST", "/api/llm/chat/session/rename", rename).status_code == 200
    assert listed(service) == [("z", "other", False), ("b", "Better", True)]
    talk(service, "a", "more")
    branch(service, "a", None, "c")
    assert listed(service) == [("a", "Better", True), ("z", "other", False)]
    for session in ("a", "b", "c"):
        assert (history(service, session)["name"], history(service, session)["pinned"]) == ("Better", True)
    service.ask("POST", "/api/llm/chat/session/pin", {"session_id": "c", "pinned": False})
    assert listed(service)[0] == ("a", "Better", False)


def test_names_and_pins_that_are_set_at_once_are_both_kept(service: Service) -> None:
    talk(service, "a", "one")
    bodies: list[tuple[str, Any]] = [("rename", {"session_id": "a", "name": "New"})]
    bodies += [("pin", {"session_id": "a", "pinned": True})]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: service.ask("POST", f"/api/llm/chat/session/{each[0]}", each[1]), bodies * 4))
    assert listed(service) == [("a", "New", True)]


def test_a_conversation_is_deleted_with_all_branches_and_its_ids_are_free(service: Service) -> None:
    """novvaccaine/llmchat#58 is the other way: there a deleted parent took messages of what stayed."""
    talk(service, "a", "one")
    talk(service, "z", "stays")
    branch(service, "a", None, "b")
    branch(service, "b", None, "c")
    assert service.ask("DELETE", "/api/llm/chat/session/b").status_code == 200
    assert listed(service) == [("z", "stays", False)]
    for session in ("a", "b", "c"):
        history(service, session, 404)
        assert service.ask("DELETE", f"/api/llm/chat/session/{session}").status_code == 404
    assert talk(service, "b", "anew")["response"] == "You are a: anew"
    assert (versions(service, "b"), listed(service)[0]) == ([], ("b", "anew", False))


def test_a_session_of_another_caller_can_not_be_branched_or_pinned(service: Service, folder: Path) -> None:
    other = somebody(service, folder)
    talk(service, "a", "secret")
    assert branch(other, "a", None, "b", 404) == {"detail": "Session not found"}
    assert other.ask("POST", "/api/llm/chat/session/pin", {"session_id": "a", "pinned": True}).status_code == 404
    talk(other, "a", "mine")
    branch(other, "a", None, "b")
    talk(service, "b", "my own b")
    assert (said(other, "b"), said(service, "b")) == (["mine"], ["my own b"])
    assert (versions(service, "a"), len(listed(service))) == ([], 2)


def test_a_conversation_has_a_limited_number_of_branches(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_BRANCHES >= 50
    monkeypatch.setattr("agentkit.serving.http.page.branches.MAX_BRANCHES", 2)
    talk(service, "a", "one")
    branch(service, "a", 0, "b")
    branch(service, "a", 0, "c")
    assert "2 branches" in branch(service, "a", 0, "d", 409)["detail"]


def test_a_branch_that_was_broken_off_is_made_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    talk(service, "a", "one")
    conversations = service.app.state.service.conversations
    left = conversations.session(f"key:{_name(service)}", "b")
    left.append([{"role": "user", "content": "of a process that was killed before it noted the branch"}])
    branch(service, "a", None, "b")
    assert said(service, "b") == ["one"]


def test_metadata_of_older_and_newer_versions_is_read() -> None:
    old = '{"name": "N", "told": "t", "prompt": "p", "version": "1"}'
    assert read(old) == SessionMeta("N", "t", "p", "1")
    assert read(old).as_json == old  # what older versions can't read is written only where it is needed
    assert read('{"name": "N", "color": "red"}') == SessionMeta("N")
    full = SessionMeta("N", of="a", parent="b", begins=3, pinned=True, shared="x")
    assert read(full.as_json) == full


def test_many_branches_in_a_row_take_little_time() -> None:
    count = MAX_BRANCHES
    branches = {"s0": SessionMeta()}
    branches |= {f"s{n}": SessionMeta(of="s0", parent=f"s{n - 1}", begins=2 * n) for n in range(1, count)}
    found = branches_of(f"s{count - 1}", branches, dict.fromkeys(branches, ""))
    assert len(found) == 2 * (count - 1)
    circle = {"a": SessionMeta(of="a", parent="b"), "b": SessionMeta(of="a", parent="a")}
    assert branches_of("a", circle, dict.fromkeys(circle, ""))
