"""Answers that belong to the service (`background`): they go on without their clients, are joined and stopped."""

import asyncio
import itertools
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from agentkit import tool
from agentkit.message import STOP_NOTES
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.page import live, recording
from agentkit.serving.http.page.announcements import PREFIX
from agentkit.serving.http.page.recording import Recording, SlowReaderError
from agentkit.sessions import open_sessions
from tests.support.http_service import LOOK_UP, Service, look_up, reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, ModelServer, calls, delta, serve, streamed
from tests.support.waiting import until

STREAM, WHOLE = "/api/llm/chat/session/stream", "/api/llm/chat/session"
JOIN, STOP = f"{WHOLE}/join", f"{WHOLE}/stop"
SIX = "word0 word1 word2 word3 word4 word5 "

approved = tool(name="approved", approve=True)(look_up)
_numbers = itertools.count()


class Scripted:
    """A model that holds its answers back. go: lets the rest of "hold" come; first: anything of "late"."""

    def __init__(self) -> None:
        self.go, self.first = threading.Event(), threading.Event()

    def __call__(self, asked: Asked) -> Answer:
        last = str(asked.body["messages"][-1]["content"])
        if "all about" in last:  # the result of the tool
            last = "hold"
        words = [delta(content=f"word{number} ") for number in range(6)]
        if "hold" in last:
            return streamed(*words, piece=len(streamed(*words[:3], done=False).body), hold=self.go)
        if "late" in last:
            return streamed(*words, piece=60, hold=self.first)
        if "endless" in last:
            return streamed(*(delta(content=f"word{number} ") for number in range(2000)), piece=200, pause=0.02)
        if "large" in last:
            return streamed(*(delta(content="large" * 400) for _ in range(500)), piece=100_000, hold=self.go)
        if "refused" in last:
            return Answer(b'{"error": {"message": "no"}}', status=400)
        if "approve" in last:
            return calls(("approved", {"topic": "tides"}))
        return reply(asked)


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(lambda asked: SCRIPT[0](asked)) as server:
        yield server


SCRIPT: list[Scripted] = []


@pytest.fixture
def script() -> Iterator[Scripted]:
    """What the model waits for in this test."""
    SCRIPT[:] = [made := Scripted()]
    yield made
    made.go.set()
    made.first.set()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    keys = Keys(folder / "keys.json")
    ann, bob = keys.add("ann"), keys.add("bob")
    tools = (LOOK_UP, f"{__name__}:approved")
    with serve_http(settings_for(folder, model.url, agentkit_tools=tools), ann) as running:
        running.app.state.bob = bob
        yield running


@pytest.fixture
def session() -> str:
    return f"s/{next(_numbers)} ü"


class Followed:
    """A stream that is being read."""

    def __init__(self, response: requests.Response) -> None:
        self.response = response
        self.frames: list[dict[str, Any]] = []
        self._lines = response.iter_lines(1 << 16)

    @property
    def text(self) -> str:
        return "".join(frame.get("content", "") for frame in self.frames)

    def until(self, text: str) -> "Followed":
        """Read until this text has come."""
        while text not in self.text:
            self._read()
        return self

    def all(self) -> "Followed":
        """Read to the end."""
        while not self.frames or "done" not in self.frames[-1]:
            self._read()
        return self

    def _read(self) -> None:
        line = next(self._lines)
        if line.startswith(b"data: "):
            self.frames.append(json.loads(line[6:]))


@contextmanager
def following(service: Service, path: str, body: dict[str, Any]) -> Iterator[Followed]:
    with service.ask("POST", path, body, stream=True) as response:
        assert response.status_code == 200, response.text
        yield Followed(response)


def sent(session: str, message: str, **more: Any) -> dict[str, Any]:
    return {"session_id": session, "message": message, "background": True, **more}


def history(service: Service, session: str, key: str | None = None) -> Any:
    response = service.ask("POST", f"{WHOLE}/history", {"session_id": session}, key)
    assert response.status_code == 200, response.text
    return response.json()


def is_running(service: Service, session: str) -> bool:
    """Whether the list of sessions and the history say that an answer is in progress."""
    listed = service.ask("GET", "/api/llm/chat/sessions").json()["sessions"]
    told = [each["running"] for each in listed if each["session_id"] == session]
    return any([*told, history(service, session)["running"]])


@pytest.mark.parametrize("path", [STREAM, WHOLE])
def test_an_answer_whose_client_leaves_before_its_first_word_is_in_the_history(
    service: Service, script: Scripted, session: str, path: str
) -> None:
    """danny-avila/LibreChat#13335."""
    headers = {"Authorization": f"Bearer {service.key}"}
    with pytest.raises(requests.Timeout):
        requests.post(service.url + path, json=sent(session, "late"), headers=headers, timeout=(10, 0.3))
    until(lambda: service.ask("POST", JOIN, {"session_id": session}, stream=True).status_code == 200)
    until(lambda: history(service, session)["messages"])
    found = history(service, session)
    assert is_running(service, session)
    assert (found["running"], [turn["role"] for turn in found["messages"]]) == (True, ["user"])
    script.first.set()
    until(lambda: not is_running(service, session))
    question, answer = history(service, session)["messages"]
    assert (question["content"], question["stopped"], question["usage"]) == ("late", "", None)
    assert (answer["content"].strip(), answer["stopped"]) == (SIX.strip(), "answer")
    assert question["time"] <= answer["time"]


def test_who_joins_gets_the_answer_from_its_beginning_and_what_comes(
    service: Service, script: Scripted, session: str
) -> None:
    """open-webui/open-webui#29596."""
    image = "data:image/png;base64,iVBORw0KGgo="
    with following(service, STREAM, sent(session, "hold", images=[image])) as sender:
        sender.until("word2")
        with following(service, JOIN, {"session_id": session}) as joined:
            joined.until("word2")
            question = joined.frames[0]["question"]
            assert (question["content"], question["images"]) == ("hold", [image])
            script.go.set()
            assert (sender.all().text, joined.all().text) == (SIX, SIX)
            assert joined.frames[2:] == sender.frames[-len(joined.frames) + 2 :]
            assert joined.frames[-1] == {"done": True, "session_id": session}
    gone = service.ask("POST", JOIN, {"session_id": session})
    assert (gone.status_code, gone.json()) == (404, {"detail": "No answer is in progress"})


def test_nothing_is_missing_whenever_one_joins(service: Service, script: Scripted, session: str) -> None:
    """dam-agents/dam#26: pieces that come at the moment of joining were lost."""
    with following(service, STREAM, sent(session, "endless")) as sender:
        sender.until("word1 ")
    seen = []

    def join(count: int) -> None:
        with following(service, JOIN, {"session_id": session}) as joined:
            joined.until(f"word{count} ")
            seen.append(joined.all().text)

    threads = [threading.Thread(target=join, args=(count,)) for count in range(0, 60, 10)]
    for number, thread in enumerate(threads):
        with following(service, JOIN, {"session_id": session}) as joined:
            joined.until(f"word{number} ")
        thread.start()
    with following(service, JOIN, {"session_id": session}) as joined:
        joined.until("word60 ")
        assert service.ask("POST", STOP, {"session_id": session}).status_code == 200
    for thread in threads:
        thread.join()
    (text,) = set(seen)
    assert text == "".join(f"word{number} " for number in range(text.count("word")))
    assert text.strip() == history(service, session)["messages"][1]["content"]


def test_another_client_stops_an_answer_and_what_came_is_kept(
    service: Service, script: Scripted, model: ModelServer, session: str
) -> None:
    """vercel/ai#6502, nesquena/hermes-webui#893."""
    left = model.left
    with following(service, STREAM, sent(session, "endless")) as sender:
        sender.until("word2 ")
    with following(service, JOIN, {"session_id": session}) as joined:
        joined.until("word4 ")
        assert service.ask("POST", STOP, {"session_id": session}).status_code == 200
        joined.all()
        assert [frame["stopped"] for frame in joined.frames if "stopped" in frame] == ["cancelled"]
    until(lambda: model.left > left and not is_running(service, session))
    found = history(service, session)
    assert found["messages"][1]["stopped"] == "cancelled"
    assert found["messages"][1]["content"] == joined.text.strip()
    assert service.ask("POST", STOP, {"session_id": session}).status_code == 200
    more = service.ask("POST", WHOLE, sent(session, "more")).json()
    assert more["response"].endswith("endless | more")
    told = model.requests[-1].body["messages"][2]["content"]
    assert told == f"{joined.text.strip()}\n\n{STOP_NOTES['cancelled']}"


def test_a_question_that_is_stopped_before_its_first_word_stays(
    service: Service, script: Scripted, session: str
) -> None:
    """aaif-goose/goose#1750: stopping took the question away."""
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(service.ask, "POST", WHOLE, sent(session, "late"))
        until(lambda: service.ask("POST", JOIN, {"session_id": session}, stream=True).status_code == 200)
        until(lambda: history(service, session)["messages"])
        assert service.ask("POST", STOP, {"session_id": session}).status_code == 200
        answer = asking.result().json()
    assert (answer["response"], answer["stopped"]) == ("", "cancelled")
    question, stopped = history(service, session)["messages"]
    assert (question["content"], question["stopped"]) == ("late", "")
    assert (stopped["content"], stopped["stopped"], stopped["begins"]) == ("", "cancelled", 1)


def test_a_message_that_is_accepted_while_it_is_stopped_is_stopped(
    service: Service, script: Scripted, model: ModelServer, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, is_asked, goes_on = len(model.requests), threading.Event(), threading.Event()
    answers = service.app.state.service.conversations.live
    first_look = answers._announcements.stop

    def stop(key: str) -> None:
        first_look(key)
        is_asked.set()
        assert goes_on.wait(15)

    monkeypatch.setattr(answers._announcements, "stop", stop)
    with ThreadPoolExecutor(2) as pool:
        stopping = pool.submit(service.ask, "POST", STOP, {"session_id": session})
        assert is_asked.wait(15)  # it has looked at what is in progress in this worker: nothing
        asking = pool.submit(service.ask, "POST", WHOLE, sent(session, "late"))
        until(lambda: len(model.requests) > asked)
        goes_on.set()
        assert stopping.result().json()["message"] == "No answer is in progress"
        assert asking.result().json()["stopped"] == "cancelled"


def test_a_message_that_was_stopped_before_it_came_is_stopped_at_once(
    service: Service, script: Scripted, model: ModelServer, session: str
) -> None:
    asked, other = len(model.requests), f"{session} other"
    stop = {"session_id": session, "requestId": "r1"}
    assert service.ask("POST", STOP, stop).json()["message"] == "No answer is in progress"
    body = sent(session, "hi", requestId="r1")
    assert service.ask("POST", WHOLE, sent(other, "hi", requestId="r1")).json()["stopped"] == "answer"
    assert service.ask("POST", WHOLE, sent(session, "ho", requestId="r2")).json()["stopped"] == "answer"
    with following(service, STREAM, body) as stopped:
        assert stopped.all().text == ""
        assert [frame["stopped"] for frame in stopped.frames if "stopped" in frame] == ["cancelled"]
    assert len(model.requests) == asked + 2
    assert [turn["content"] for turn in history(service, session)["messages"]][2:] == ["hi", ""]
    assert service.ask("POST", WHOLE, body).json()["response"].endswith("ho | hi")  # it is meant when it is sent again
    assert service.ask("POST", STOP, stop).status_code == 200  # and this one has come already
    assert service.ask("POST", WHOLE, body).json()["response"].endswith("ho | hi")
    assert len(model.requests) == asked + 3
    assert service.ask("POST", STOP, {**stop, "requestId": ""}).status_code == 400


def test_a_request_that_is_sent_again_joins_the_answer_and_runs_once(
    service: Service, script: Scripted, model: ModelServer, session: str
) -> None:
    """InternLM/MindSearch#145: coming back began everything anew."""
    asked, body = len(model.requests), sent(session, "hold", requestId="r1")
    with following(service, STREAM, body) as sender:
        sender.until("word2")
    with following(service, STREAM, body) as again, ThreadPoolExecutor(3) as pool:
        assert again.until("word2").frames[0]["content"].startswith("word0 ")
        whole = pool.submit(service.ask, "POST", WHOLE, body)
        waiting = pool.submit(service.ask, "POST", WHOLE, {**body, "background": False})
        other = pool.submit(service.ask, "POST", WHOLE, {**body, "message": "another"})
        until(lambda: service.app.state.service.runs.count == 3)  # those that wait for the session, and the answer
        script.go.set()
        assert again.all().text == SIX
        assert {each.result().json()["response"] for each in (whole, waiting)} == {SIX.strip()}
        assert other.result().status_code == 409
    with following(service, STREAM, body) as later:
        assert later.all().text.strip() == SIX.strip()
    assert len(model.requests) == asked + 1
    assert len(history(service, session)["messages"]) == 2


def test_another_subject_neither_joins_nor_stops(service: Service, script: Scripted, session: str) -> None:
    bob = service.app.state.bob
    with following(service, STREAM, sent(session, "hold")) as sender:
        sender.until("word2")
        assert service.ask("POST", JOIN, {"session_id": session}, bob).status_code == 404
        assert service.ask("POST", STOP, {"session_id": session}, bob).status_code == 200
        assert service.ask("DELETE", f"{WHOLE}/x", key=bob).status_code == 404
        script.go.set()
        assert sender.all().text == SIX


def test_a_session_is_deleted_with_its_answer_in_progress(
    service: Service, script: Scripted, model: ModelServer, session: str
) -> None:
    left = model.left
    with following(service, STREAM, sent(session, "endless")) as sender:
        sender.until("word2 ")
    assert service.ask("POST", f"{WHOLE}/clear", {"session_id": session}).status_code == 200
    until(lambda: model.left > left)
    assert service.ask("POST", f"{WHOLE}/history", {"session_id": session}).status_code == 404
    assert service.ask("POST", JOIN, {"session_id": session}).status_code == 404


def test_a_conversation_is_deleted_while_another_branch_of_it_is_answered(
    service: Service, script: Scripted, model: ModelServer, session: str
) -> None:
    left, branch = model.left, f"{session} branch"
    assert service.ask("POST", WHOLE, sent(session, "hi")).status_code == 200
    body = {"session_id": session, "begins": 0, "new_session_id": branch}
    assert service.ask("POST", f"{WHOLE}/branch", body).status_code == 200
    assert service.ask("POST", WHOLE, sent(branch, "ho")).status_code == 200
    with following(service, STREAM, sent(session, "endless")) as sender:
        sender.until("word2 ")
    assert service.ask("POST", f"{WHOLE}/clear", {"session_id": branch}).status_code == 200
    until(lambda: model.left > left)
    assert service.ask("POST", f"{WHOLE}/history", {"session_id": session}).status_code == 404


def test_an_approval_waits_for_whoever_comes_back(service: Service, script: Scripted, session: str) -> None:
    with following(service, STREAM, sent(session, "approve")):
        pass
    until(lambda: history(service, session)["pending"])
    found = history(service, session)
    assert (found["running"], found["messages"][1]["stopped"]) == (False, "approval")
    (call,) = found["pending"]
    decision = {"session_id": session, "approve": {call["id"]: True}, "asked": found["asked"], "background": True}
    with following(service, STREAM, decision) as decided:
        decided.until("word2")
        assert "all about tides" in str(decided.frames)
    with following(service, JOIN, {"session_id": session}) as joined:
        assert joined.until("word2").frames[0] == {"question": None}
        assert history(service, session)["messages"][1]["stopped"] == ""
        script.go.set()
        assert joined.all().text == SIX
    assert [turn["stopped"] for turn in history(service, session)["messages"]] == ["", "answer"]


def test_what_goes_wrong_is_told_to_all_that_follow(service: Service, script: Scripted, session: str) -> None:
    for path in (WHOLE, STREAM):
        refused = service.ask("POST", path, sent(session, "refused"))
        assert (refused.status_code, "model server error" in refused.json()["detail"]) == (502, True)
    assert service.ask("POST", JOIN, {"session_id": session}).status_code == 404


@pytest.mark.parametrize("path", [STREAM, WHOLE])
def test_what_goes_wrong_is_logged_once(
    service: Service, script: Scripted, session: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert service.ask("POST", path, sent(session, "refused")).status_code == 502
    until(lambda: not is_live(service, session))
    assert len([each for each in caplog.records if "BadRequestError" in each.getMessage()]) == 1


def is_live(service: Service, session: str) -> bool:
    return service.ask("POST", JOIN, {"session_id": session}, stream=True).status_code == 200


def test_a_reader_that_does_not_read_holds_up_nobody(service: Service, script: Scripted, session: str) -> None:
    body = json.dumps({"session_id": session}).encode()
    with following(service, STREAM, sent(session, "large")) as sender:
        sender.until("large")
        with socket.create_connection(("127.0.0.1", int(service.url.rpartition(":")[2]))) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"POST {JOIN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            head += f"Authorization: Bearer {service.key}\r\nContent-Length: {len(body)}\r\n\r\n"
            slow.sendall(head.encode() + body)
            assert slow.recv(10)  # and no more
            script.go.set()
            assert len(sender.all().text) == 1_000_000
            assert history(service, session)["messages"][1]["stopped"] == "answer"


def test_signs_of_life_come_while_nothing_else_does(
    service: Service, script: Scripted, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "KEEPALIVE_SECONDS", 0.05)
    with following(service, STREAM, sent(session, "hold")) as sender:
        sender.until("word2")
        with service.ask("POST", JOIN, {"session_id": session}, stream=True) as joined:
            lines = joined.iter_lines()
            assert len(list(itertools.islice((line for line in lines if line.startswith(b":")), 2))) == 2
            script.go.set()


def test_answers_that_belong_to_the_service_count_as_answers(
    tmp_path: Path, script: Scripted, model: ModelServer
) -> None:
    with serve_http(settings_for(tmp_path, model.url, agentkit_max_runs=1)) as service:
        with following(service, STREAM, sent("a", "hold")) as sender:
            sender.until("word2")
        assert service.ask("POST", STREAM, sent("b", "hi")).status_code == 503
        script.go.set()
        until(lambda: not is_running(service, "a"))
        assert service.ask("POST", WHOLE, sent("b", "hi")).status_code == 200


def test_a_service_that_stops_keeps_what_came(tmp_path: Path, script: Scripted, model: ModelServer) -> None:
    with serve_http(settings_for(tmp_path, model.url)) as service:
        service.app.state.service.settings.agentkit_stop_seconds = 0.7
        with following(service, STREAM, sent("s", "endless")) as sender:
            sender.until("word2 ")
    with serve_http(settings_for(tmp_path, model.url)) as service:
        found = history(service, "s")
        assert (found["running"], found["messages"][1]["stopped"]) == (False, "cancelled")
        assert found["messages"][1]["content"].startswith("word0 word1 word2 ")


def test_another_worker_knows_of_an_answer_and_stops_it(
    tmp_path: Path, script: Scripted, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WATCH_SECONDS", 0.05)
    settings = settings_for(tmp_path, model.url)
    body = sent("s", "endless", requestId="r1")
    with serve_http(settings) as one, serve_http(settings) as two, following(one, STREAM, body) as sender:
        sender.until("word2 ")
        until(lambda: is_running(two, "s"))
        assert two.ask("POST", JOIN, {"session_id": "s"}).status_code == 404
        asked = len(model.requests)
        with ThreadPoolExecutor(1) as pool:
            again = pool.submit(two.ask, "POST", WHOLE, body)
            until(lambda: two.app.state.service.runs.count == 1)
            assert two.ask("POST", STOP, {"session_id": "s"}).status_code == 200
            assert "stopped before" in again.result().json()["detail"]
        assert "cancelled" in {frame.get("stopped") for frame in sender.all().frames}
        assert len(model.requests) == asked
        assert not is_running(two, "s")
        assert one.ask("POST", WHOLE, sent("s", "more")).status_code == 200


def test_what_a_killed_service_was_answering_is_in_progress_no_more(
    tmp_path: Path, script: Scripted, model: ModelServer
) -> None:
    """bayesimpact/bayes-platform#673: such an answer seemed to go on for ever."""
    (tmp_path / "copy").mkdir()
    body = sent("s", "hold", requestId="r1")
    with serve_http(settings_for(tmp_path, model.url)) as service, following(service, STREAM, body) as sender:
        sender.until("word2")
        with open_sessions(str(tmp_path / "sessions.db")) as sessions:
            until(lambda: sessions.list(PREFIX))
        with closing(sqlite3.connect(tmp_path / "sessions.db")) as seen:
            with closing(sqlite3.connect(tmp_path / "copy" / "sessions.db")) as left:
                seen.backup(left)
        script.go.set()
    with serve_http(settings_for(tmp_path / "copy", model.url)) as service:
        assert not is_running(service, "s")
        assert [turn["content"] for turn in history(service, "s")["messages"]] == ["hold"]
        assert service.ask("POST", STOP, {"session_id": "s"}).status_code == 200
        assert service.ask("POST", WHOLE, body).json()["response"] == SIX.strip()
        assert [turn["role"] for turn in history(service, "s")["messages"]] == ["user", "assistant"]


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    async def play() -> None:
        made = Recording(max_bytes=20_000)
        slow = made.read()
        made.add({"content": "a"})
        assert await anext(slow) == {"content": "a"}
        for number in range(1000):
            made.add({"tool": {"id": str(number), "state": "running"}})
            made.add({"content": "word " * 10})
        assert made.was_cut
        with pytest.raises(SlowReaderError):
            await anext(slow)
        made.end()
        async with aclosing(made.read()) as late:
            frames = [frame async for frame in late]
        assert frames[-1] == {"content": "word " * 10}
        assert 10_000 < len(json.dumps(frames)) < 25_000

    asyncio.run(play())


def test_pieces_of_a_text_become_one() -> None:
    async def play() -> list[Any]:
        made = Recording()
        for kind, text in [
            ("reasoning", "a"),
            ("reasoning", "b"),
            ("content", "c"),
            ("content", "d"),
            ("content", "e"),
        ]:
            made.add({kind: text})
        made.add({"tool": {}})
        made.end()
        return [frame async for frame in made.read()]

    assert asyncio.run(play()) == [{"reasoning": "ab"}, {"content": "cde"}, {"tool": {}}]
