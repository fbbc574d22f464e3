"""The HTTP service and the MQTT bridge, killed at random moments: every effect is had once or reported as unknown, and
every question is answered once.

More kills than a test run has time for: AGENTKIT_TEST_KILLS=200 pytest tests/serving/test_killed_services.py -s
"""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from agentkit.message import Message, text_of
from agentkit.session import Sessions
from agentkit.sessions import open_sessions
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.mosquitto import EXECUTABLE, serve_mqtt
from tests.support.mqtt_games import ROOT, Games
from tests.support.ports import free_port
from tests.support.redis_server import serve_redis

KILLS = int(os.environ.get("AGENTKIT_TEST_KILLS", "10"))
CALLERS = 3


def reply(asked: Asked) -> Answer:
    """Call the tool for the question, and answer with what is known of its effect."""
    messages = asked.body["messages"]
    question = next(str(each["content"]) for each in reversed(messages) if each["role"] == "user")
    if messages[-1]["role"] == "user":
        return Answer(calls(("act", {"step": question})).body, delay=0.005)
    is_unknown = "It is not known" in str(messages[-1]["content"])
    return Answer(whole(f"{'Unknown' if is_unknown else 'Done'} {question}").body, delay=0.01)


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield str(folder / "sessions.db")
        return
    with serve_redis(folder) as redis:
        yield redis.url


@contextmanager
def killed(door: str, store: str, folder: Path, url: str, port: int) -> Iterator[threading.Event]:
    """Serve, with KILLS kills; yields an event that is set after the last one."""
    (folder / "effects").touch()  # there may be none: each that is killed just before it is unknown
    command = [sys.executable, "-m", "tests.support.killed_service", door, store, str(folder), url, str(port)]
    with subprocess.Popen(
        [*command, str(KILLS)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        done, lines = threading.Event(), process.stdout

        def read() -> None:
            lines.readline()
            done.set()

        threading.Thread(target=read, daemon=True).start()
        yield done
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(30) == 0


@pytest.mark.timeout(60 + KILLS * 3)
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_http(tmp_path: Path, kind: str) -> None:
    port = free_port()
    asked: dict[str, list[str]] = {}
    answers: dict[str, str] = {}

    def ask(session: str, done: threading.Event) -> None:
        while not done.is_set():
            question = f"{session}.{len(asked.setdefault(session, []))}"
            asked[session].append(question)
            body = {"session_id": session, "message": question, "requestId": question}
            while question not in answers:
                try:
                    response = requests.post(f"http://127.0.0.1:{port}/api/llm/chat/session", json=body, timeout=10)
                    if response.status_code == 200:
                        answers[question] = response.json()["response"]
                except requests.RequestException:
                    time.sleep(0.01)

    with store_of(kind, tmp_path) as store, serve(reply) as server:
        with killed("http", store, tmp_path, server.url, port) as done:
            threads = [threading.Thread(target=ask, args=(f"s{number}", done)) for number in range(CALLERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60 + KILLS * 3)
        with open_sessions(store) as sessions:
            _check(tmp_path, [info.id for info in sessions.list("http.")], sessions, asked, answers)


@pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")
@pytest.mark.timeout(60 + KILLS * 3)
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_mqtt(tmp_path: Path, kind: str) -> None:
    asked: dict[str, list[str]] = {f"s{number}": [] for number in range(CALLERS)}
    chance = random.Random(3)
    with (
        store_of(kind, tmp_path) as store,
        serve(reply) as server,
        serve_mqtt(tmp_path) as broker,
        killed("mqtt", store, tmp_path, server.url, broker.port) as done,
    ):
        games = Games(broker)

        def ask(session: str) -> None:
            question = asked[session][-1]
            message = {"sessionId": session, "message": question, "requestId": question}
            topic = f"general/assistant_response/{session}/{question}"
            games.publish("general/user_input", json.dumps({**message, "replyTopic": topic}))

        def missing() -> list[str]:
            got = {topic.rpartition("/")[2] for topic, _ in list(games.got)}
            return [session for session, questions in asked.items() if questions and questions[-1] not in got]

        end = time.monotonic() + 50 + KILLS * 3
        while (not done.is_set() or missing()) and time.monotonic() < end:
            waits = missing()
            for session, questions in asked.items():
                if session in waits:
                    if chance.random() < 0.02:
                        ask(session)  # once more: the client has lost patience
                elif not done.is_set():
                    questions.append(f"{session}.{len(questions)}")
                    ask(session)
            time.sleep(0.01)
        time.sleep(0.5)
        games.close()
        received = Counter(topic.rpartition("/")[2] for topic, _ in games.got)
        assert [each for each in games.got if received[each[0].rpartition("/")[2]] != 1] == []
        answers = {topic.rpartition("/")[2]: text for topic, text in games.got}
        with open_sessions(store) as sessions:
            _check(tmp_path, [f"general:{session}" for session in asked], sessions, asked, answers)


def _check(
    folder: Path, ids: list[str], sessions: Sessions, asked: dict[str, list[str]], answers: dict[str, str]
) -> None:
    effects = Counter((folder / "effects").read_text().split())
    logs = [_turns(sessions[each].messages) for each in ids]
    assert sorted([question for question, _ in log] for log in logs) == sorted(asked.values())
    stored = {question: answer for log in logs for question, answer in log}
    assert stored == answers
    unknown = [question for question, answer in answers.items() if answer == f"Unknown {question}"]
    for question, answer in answers.items():
        if question in unknown:
            assert effects[question] <= 1
        else:
            assert (effects[question], answer) == (1, f"Done {question}")
    assert set(effects) <= set(answers)
    print(f"{KILLS} kills, {len(answers)} questions answered once each, {len(unknown)} effects reported as unknown")


def _turns(messages: list[Message]) -> list[tuple[str, str]]:
    """The questions of a log, each with its only answer."""
    found: list[tuple[str, str]] = []
    for message in messages:
        if message["role"] == "user":
            found.append((text_of(message), ""))
        elif message["role"] == "assistant" and not message.get("tool_calls"):
            assert found[-1][1] == "", found[-1]
            found[-1] = (found[-1][0], text_of(message))
    return found
