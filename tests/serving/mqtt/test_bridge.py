"""Tests the bridge between a real Mosquitto and a model server, from a client's view."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agentkit import SessionError
from agentkit.backends import OpenAIBackend
from agentkit.serving.chat_service import ChatService
from agentkit.serving.mqtt import embedded
from agentkit.serving.mqtt.bridge import OVERLOADED, TOO_FAST, Bridge
from agentkit.serving.mqtt.projects import projects_named
from agentkit.serving.mqtt.settings import BridgeSettings
from agentkit.sessions import MemorySessions
from tests.support.cited_tools import READ, citing
from tests.support.model_server import Answer, Asked, calls, serve, whole
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with serve_mqtt(tmp_path_factory.mktemp("broker")) as running:
        yield running


class Client:
    """A client like that of a game: it publishes messages and records the answers."""

    def __init__(self, broker: Broker, *topics: str) -> None:
        self.got: list[tuple[str, str]] = []
        self._changed = threading.Condition()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        ready = threading.Event()
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", broker.port)
        self._client.subscribe([(topic, 1) for topic in topics])
        self._client.loop_start()
        assert ready.wait(5)

    def _on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            self.got.append((message.topic, message.payload.decode()))
            self._changed.notify_all()

    def publish(self, topic: str, payload: Any) -> None:
        data = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        self._client.publish(topic, data, qos=1).wait_for_publish(5)

    def wait(self, count: int, seconds: float = 10) -> list[tuple[str, str]]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.got) >= count, seconds)
            return list(self.got)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def remember(sentence: str) -> str:
    """Remember a sentence.

    Args:
        sentence: What to remember.
    """
    return f"kept: {sentence}"


def reply(asked: Asked) -> Answer:
    """Repeats the user messages of the session; slowly if the last one contains "slow"."""
    messages = asked.body["messages"]
    last = str(messages[-1]["content"])
    if "Answer in JSON" in str(messages[0]["content"]):
        return whole('<think>Up.</think>```json\n{"hint": "Up.", "path": [[1, 1], [1, 2]], "breaks_remaining": 3}\n```')
    if "player_pos" in last:
        return calls(("break_wall", {"x": 1, "y": 2}), ("speed_boost", {}))
    texts = [str(message["content"]) for message in messages if message["role"] == "user"]
    return Answer(
        whole(f"{messages[0]['content'][:9]}: {' | '.join(texts)}").body, delay=0.3 if "slow" in last else 0.0
    )


class Setting:
    """A bridge, its model server, and a client that receives all answers."""

    def __init__(
        self,
        broker: Broker,
        url: str,
        project: dict[str, Any] | None = None,
        service_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self.server: Any = None
        self.backend = OpenAIBackend("default", base_url=url, api_key="not-needed", max_retries=0)
        self.sessions = MemorySessions()
        name = f"bridge-{time.monotonic_ns()}"
        settings = BridgeSettings(broker="127.0.0.1", port=broker.port, client_id=name, **options)
        projects = projects_named([f"maze,game{time.monotonic_ns()}"])
        projects = (projects[0], replace(projects[1], **(project or {})))
        self.project = projects[1].name
        self.bridge = Bridge(projects, ChatService(self.backend, self.sessions, **(service_options or {})), settings)
        self.bridge.start()
        self.client = Client(broker, f"{self.project}/assistant_response/#", "maze/hint/#", "maze/assistant_response/#")

    def asked(self) -> list[Any]:
        return [request.body["messages"] for request in self.server.requests]

    def topic(self, number: int) -> str:
        return f"{self.project}/assistant_response/s/c/{number}"

    def ask(self, **message: Any) -> None:
        self.client.publish(f"{self.project}/user_input", message)

    def close(self) -> None:
        self.bridge.stop()
        self.client.close()
        self.backend.close()


@pytest.fixture
def setting(broker: Broker) -> Iterator[Setting]:
    with serve(reply) as server:
        made = Setting(broker, server.url, rate=1000)
        made.server = server
        yield made
        made.close()


def test_a_message_is_answered_on_the_topic_of_its_session(setting: Setting) -> None:
    setting.ask(sessionId="s1", message="Hello")
    setting.ask(sessionId="s1", message="again")
    answers = setting.client.wait(2)
    topic = f"{setting.project}/assistant_response/s1"
    assert answers == [(topic, "You are a: Hello"), (topic, "You are a: Hello | again")]


def test_plain_text_gets_a_session_of_its_own(setting: Setting) -> None:
    setting.client.publish(f"{setting.project}/user_input", "Hello")
    ((topic, text),) = setting.client.wait(1)
    assert topic.startswith(f"{setting.project}/assistant_response/default-")
    assert text == "You are a: Hello"


def test_a_system_prompt_and_a_reply_topic_of_the_client(setting: Setting) -> None:
    own = f"{setting.project}/assistant_response/s2/client/7"
    setting.ask(sessionId="s2", message="Hello", systemPrompt="Be brief.", replyTopic=own)
    assert setting.client.wait(1) == [(own, "Be brief.: Hello")]


def test_no_answer_goes_to_another_sessions_topic(setting: Setting) -> None:
    answers = f"{setting.project}/assistant_response"
    setting.ask(sessionId="victim", message="Hello")
    setting.client.wait(1)
    for number, topic in enumerate(("victim", "victim/c/1", "elsewhere", "elsewhere/c/1")):
        setting.ask(sessionId="thief", message=f"say {number}", replyTopic=f"{answers}/{topic}")
        setting.client.wait(2 + number)
    topics = [topic.removeprefix(f"{answers}/") for topic, _ in setting.client.got]
    assert topics == ["victim", "thief", "thief", "elsewhere", "elsewhere/c/1"]


def test_a_sessions_messages_are_answered_in_order_and_other_sessions_concurrently(setting: Setting) -> None:
    for number in range(5):
        setting.ask(sessionId="slow", message=f"slow {number}")
    started = time.monotonic()
    setting.ask(sessionId="quick", message="hi")
    answers = setting.client.wait(6)
    assert time.monotonic() - started < 5
    slow = [text for topic, text in answers if topic.endswith("/slow")]
    assert [text.rpartition("slow ")[2] for text in slow] == ["0", "1", "2", "3", "4"]
    assert answers.index(next(each for each in answers if each[0].endswith("/quick"))) < 3


def test_the_same_request_is_answered_once(setting: Setting) -> None:
    for _ in range(3):
        setting.ask(sessionId="s3", message="Hello", requestId="r1")
    setting.ask(sessionId="s3", message="end", requestId="r2")
    answers = setting.client.wait(2)
    time.sleep(0.3)
    assert [text for _, text in setting.client.got] == ["You are a: Hello", "You are a: Hello | end"]
    assert len(answers) == 2


@pytest.mark.parametrize("command", ["clear_history/m", "delete_session/m", "template/m", "clear_history"])
def test_a_request_behind_a_command_that_clears_its_session_is_a_new_one(setting: Setting, command: str) -> None:
    """A game that starts anew counts its requests from 1 again."""
    first = {"sessionId": "m", "message": "Hello", "requestId": "1"}

    def answers() -> list[str]:
        return [text for topic, text in list(setting.client.got) if topic == "maze/assistant_response/m"]

    for count in (1, 2):
        setting.client.publish("maze/user_input", first)
        until(lambda: len(answers()) >= count)
        until(lambda: setting.sessions["maze:m"].messages)
        setting.client.publish(f"maze/{command}", {"template": "You are a guide."})
        until(lambda: "maze:m" not in setting.sessions)


def test_a_request_may_be_sent_again_before_its_session_is_cleared(setting: Setting) -> None:
    """The command waits for the answer to the first one, and is remembered in its place."""
    for _ in range(2):
        setting.client.publish("maze/user_input", {"sessionId": "m", "message": "slow", "requestId": "1"})
        setting.client.publish("maze/clear_history/m", {})
    until(lambda: [topic for topic, _ in setting.client.got].count("maze/assistant_response/m") == 2)


def test_a_request_whose_session_was_dropped_elsewhere_is_a_new_one(setting: Setting) -> None:
    first = {"sessionId": "s", "message": "Hello", "requestId": "1"}
    key = f"{setting.project}:s"
    setting.ask(**first)
    setting.client.wait(1)
    until(lambda: setting.sessions[key].messages)
    setting.bridge._settings = replace(setting.bridge._settings, idle_seconds=-1)
    until(lambda: not setting.sessions[key].is_held)  # one that is held is not dropped
    setting.bridge.tidy()
    setting.ask(**first)
    assert len(setting.client.wait(2)) == 2
    setting.sessions.delete(key)  # by another program that uses the store
    setting.ask(**first)
    setting.client.wait(3)
    setting.ask(**first)
    setting.ask(sessionId="s", message="end")
    setting.client.wait(4)
    assert [text for _, text in setting.client.got] == [*["You are a: Hello"] * 3, "You are a: Hello | end"]


def test_a_failure_of_the_model_server_is_an_error_text_and_not_kept_in_the_history(broker: Broker) -> None:
    answers = [Answer(b'{"error": {"message": "no model"}}', status=404), whole("Here.")]
    with serve(answers) as server:
        made = Setting(broker, server.url)
        made.ask(sessionId="s", message="one")
        assert made.client.wait(1)[0][1].startswith("Error: ")
        made.ask(sessionId="s", message="two")
        assert made.client.wait(2)[1][1] == "Here."
        made.close()
    assert [message["content"] for message in server.requests[1].body["messages"][1:]] == ["two"]


def test_messages_over_the_rate_limit_are_rejected(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, rate=2)
        for number in range(4):
            made.ask(sessionId="s", message=str(number))
        texts = [text for _, text in made.client.wait(4)]
        made.close()
    assert sorted(texts).count(TOO_FAST) == 2


def test_messages_are_rejected_at_once_when_the_queue_is_full(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, queue=2, workers=1, rate=1000)
        for number in range(8):
            made.ask(sessionId=f"s{number}", message="slow")
        texts = [text for _, text in made.client.wait(8, 20)]
        made.close()
    assert texts.count(OVERLOADED) >= 3
    assert len(texts) == 8


def test_messages_wait_in_the_bridges_queue_and_not_in_the_brokers(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, queue=40, workers=1, rate=1000)
        for number in range(60):  # Mosquitto has up to 20 in flight unless the client sets Receive Maximum
            made.ask(sessionId=f"s{number}", message="slow")
        made.client.wait(15, 5)
        texts = [text for _, text in made.client.got]
        made.bridge.stop()
        made.client.close()
        made.backend.close()
    assert texts.count(OVERLOADED) >= 10


def test_a_rejected_request_may_be_sent_again(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, queue=1, workers=1, rate=1000)
        for number in range(6):
            made.ask(sessionId="s", message=f"slow {number}", requestId=str(number), replyTopic=made.topic(number))
        made.client.wait(6, 10)
        rejected = [topic for topic, text in made.client.got if text == OVERLOADED]
        assert rejected
        number = int(rejected[0].rpartition("/")[2])
        made.ask(sessionId="s", message="again", requestId=str(number), replyTopic=made.topic(number))
        assert made.client.wait(7)[6][0] == rejected[0]
        made.close()


def test_a_long_history_is_cut_and_the_client_is_informed(broker: Broker) -> None:
    def brief(asked: Asked) -> Answer:
        return whole("word " * 60)

    with serve(brief) as server:
        made = Setting(broker, server.url, service_options={"history_tokens": 400}, rate=1000)
        for number in range(8):
            made.ask(sessionId="s", message=f"{number} " + "and so on " * 20)
            made.client.wait(number + 1)
        texts = [text for _, text in made.client.got]
        made.close()
    notice = "[Session history was too long and was reset]\n\nword word"
    assert not texts[0].startswith("[")
    assert any(text.startswith(notice) for text in texts)
    assert all(request.body["messages"][0]["role"] == "system" for request in server.requests)
    assert all(len(request.body["messages"]) <= 9 for request in server.requests)


def test_a_project_with_python_tools_runs_the_agent(broker: Broker) -> None:
    answers = [calls(("remember", {"sentence": "The key is under the mat."})), whole("I shall remember.")]
    with serve(answers) as server:
        made = Setting(broker, server.url, project={"tools": (f"{__name__}:remember",), "tool_choice": "auto"})
        made.ask(sessionId="s", message="The key is under the mat.")
        texts = [text for _, text in made.client.wait(1)]
        made.close()
    assert texts == ["I shall remember."]
    first, second = server.requests
    assert first.body["tool_choice"] == "auto"
    assert [tool["function"]["name"] for tool in first.body["tools"]] == ["remember"]
    assert "kept: The key is under the mat." in second.body["messages"][-1]["content"]


def test_the_model_is_informed_when_the_player_is_stuck(setting: Setting) -> None:
    state = {"sessionId": "m3", "player_pos": {"x": 1, "y": 1}, "exit_pos": [2, 2], "visible_map": [[0]]}
    for number in range(3):
        setting.client.publish("maze/state", state)
        setting.client.wait(number + 1)
    asked = [str(messages[-1]["content"]) for messages in setting.asked()]
    assert "STUCK_CONTEXT" not in asked[0]
    first, _, second = asked[2].partition("\n\nSTUCK_CONTEXT: ")
    assert first == asked[0]
    stuck = json.loads(second)
    assert (stuck["stuck"], stuck["state_repeat_count"], stuck["assistant_repeat_count"]) == (True, 2, 1)


def test_a_session_is_cleared_in_the_order_of_its_messages(setting: Setting) -> None:
    setting.client.publish("maze/user_input", {"sessionId": "m4", "message": "slow one"})
    setting.client.publish("maze/clear_history/m4", {})
    setting.client.publish("maze/user_input", {"sessionId": "m4", "message": "two"})
    setting.client.wait(3)
    texts = [text for topic, text in setting.client.got if topic == "maze/assistant_response/m4"]
    assert texts == ["You guide: slow one", "You guide: two"]


def test_the_maze_gets_hints_with_the_models_calls(setting: Setting) -> None:
    state = {"sessionId": "m1", "player_pos": [1, 1], "exit_pos": [2, 2], "visible_map": [[0]]}
    setting.client.publish("maze/state", state)
    ((topic, payload),) = setting.client.wait(1)
    assert topic == "maze/hint/m1"
    assert json.loads(payload) == {"hint": "", "break_wall": [1, 2], "speed_boost_ms": 1500}


def test_a_json_reply_to_a_template_moves_the_player_in_the_original_game(setting: Setting) -> None:
    """The game reads these keys from the hint, and nothing else."""
    setting.client.publish("maze/template/m5", {"template": "Answer in JSON."})
    setting.client.publish("maze/state", {"sessionId": "m5", "player_pos": [1, 1], "thinking_budget": 9})
    guidance = json.loads(setting.client.wait(2)[1][1])
    assert (guidance["hint"], guidance["path"], guidance["breaks_remaining"]) == ("Up.", [[1, 1], [1, 2]], 3)
    assert setting.server.requests[-1].body["thinking_budget"] == 9


def test_any_other_field_reaches_the_model_server(setting: Setting) -> None:
    """Of a deployment that does not think, it still does not when a message has variables of the template."""
    setting.backend._sampling.update({"enable_thinking": False, "chat_template_kwargs": {"enable_thinking": False}})
    setting.ask(sessionId="c1", message="Hi", thinking_budget=256, top_k=20, chat_template_kwargs={"a": 1}, model="x")
    setting.client.wait(1)
    body = setting.server.requests[-1].body
    assert (body["thinking_budget"], body["top_k"], body["model"]) == (256, 20, "default")
    assert (body["enable_thinking"], body["chat_template_kwargs"]) == (False, {"enable_thinking": False, "a": 1})
    setting.ask(sessionId="c1", message="Hi", enable_thinking=True)
    setting.client.wait(2)
    body = setting.server.requests[-1].body
    assert (body["enable_thinking"], body["chat_template_kwargs"]) == (True, {"enable_thinking": True})


def test_templates_and_histories_are_changed_by_messages(setting: Setting) -> None:
    setting.client.publish("maze/template/m2", {"template": "Be a pirate."})
    assert setting.client.wait(1)[0] == ("maze/hint/m2", '{"hint": "Template updated"}')
    setting.client.publish("maze/clear_history", {"sessionId": "m2"})
    assert setting.client.wait(2)[1] == ("maze/hint/m2", '{"hint": "History cleared"}')


@pytest.mark.parametrize("command", ["template/m", "clear_history/m", "clear_history", "delete_session/m"])
def test_a_command_waits_for_a_store_that_is_away(setting: Setting, monkeypatch: Any, command: str) -> None:
    """Nobody sends it again, and its client is told of no error."""
    setting.client.publish("maze/user_input", {"sessionId": "m", "message": "Hello"})
    setting.client.wait(1)
    until(lambda: setting.sessions["maze:m"].messages)
    failures: list[Any] = []

    def obey(command: Any, obey: Any = setting.bridge._responder.obey) -> None:
        if len(failures) < 2:
            failures.append(command)
            raise SessionError("the store can't be reached")
        obey(command)

    monkeypatch.setattr(setting.bridge._responder, "obey", obey)
    setting.client.publish(f"maze/{command}", {"template": "You are a guide."})
    until(lambda: "maze:m" not in setting.sessions)
    until(lambda: not setting.bridge._intake.open_echo_ids())


@pytest.mark.parametrize("command", ["template/m", "clear_history/m", "clear_history", "delete_session/m"])
def test_histories_are_deleted_when_the_store_can_be_used_again(
    setting: Setting, monkeypatch: Any, command: str
) -> None:
    for session in ("m", "m2"):
        setting.client.publish("maze/user_input", {"sessionId": session, "message": "Hello"})
    setting.client.wait(2)
    until(lambda: all(setting.sessions[f"maze:{session}"].messages for session in ("m", "m2")))
    failures: list[str] = []

    def delete(session_id: str, delete: Any = setting.sessions._delete) -> None:
        if session_id == "maze:m" and len(failures) < 2:
            failures.append(session_id)
            raise SessionError("the store can't be reached")
        delete(session_id)

    monkeypatch.setattr(setting.sessions, "_delete", delete)
    setting.client.publish(f"maze/{command}", {"template": "You are a guide."})
    until(lambda: "maze:m" not in setting.sessions)
    until(lambda: not setting.bridge._intake.open_echo_ids())
    assert ("maze:m2" in setting.sessions) == (command != "clear_history")
    notices = 0 if command in ("clear_history", "delete_session/m") else 1
    until(lambda: [topic for topic, _ in setting.client.got].count("maze/hint/m") == notices)


@pytest.mark.parametrize("command", ["clear_history/m", "clear_history"])
def test_a_history_that_another_writer_holds_is_deleted_behind_it(setting: Setting, command: str) -> None:
    setting.sessions.wait = 0.2
    for session in ("m", "m2"):
        setting.client.publish("maze/user_input", {"sessionId": session, "message": "Hello"})
    setting.client.wait(2)
    until(lambda: all(setting.sessions[f"maze:{session}"].messages for session in ("m", "m2")))
    with setting.sessions["maze:m"].hold():
        setting.client.publish(f"maze/{command}", {})
        if command == "clear_history":
            until(lambda: "maze:m2" not in setting.sessions)
            setting.sessions["maze:m2"].append([{"role": "user", "content": "Begun anew."}])
        time.sleep(1)
        assert "maze:m" in setting.sessions
    until(lambda: "maze:m" not in setting.sessions)
    until(lambda: not setting.bridge._intake.open_echo_ids())
    assert setting.sessions["maze:m2"].messages  # also what was begun there since


def test_a_command_that_fails_for_good_is_acknowledged(setting: Setting, monkeypatch: Any) -> None:
    def obey(command: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(setting.bridge._responder, "obey", obey)
    setting.client.publish("maze/clear_history/m", {})
    until(lambda: setting.bridge.counts["errors"])
    until(lambda: not setting.bridge._intake.open_echo_ids())


def test_hostile_messages_do_no_harm(setting: Setting) -> None:
    for session in ("a/b", "#", "+", "$SYS", "a\0b", "x" * 65_536, "../s"):
        setting.ask(sessionId=session, message="hi")
    topic = f"{setting.project}/user_input"
    for payload in (b"\xff\xfe" * 100, b"x" * 2_000_000, b'{"message": ' + b"[" * 50_000, b"{", b"", b"null"):
        setting.client.publish(topic, payload)
    setting.ask(sessionId="good", message="still there?")
    expected = {f"{setting.project}/assistant_response/good", f"{setting.project}/assistant_response/a%2Fb"}
    until(lambda: expected <= {topic for topic, _ in setting.client.got})
    topics = [each[0] for each in setting.client.got]
    assert not any("/a/b" in each for each in topics)


def test_the_text_is_streamed_on_request(setting: Setting) -> None:
    setting.ask(sessionId="s9", message="Hello", stream=True)

    def streamed() -> str:
        got = list(setting.client.got)
        return "".join(json.loads(text)["delta"] for topic, text in got if topic.endswith("/s9/stream"))

    until(lambda: streamed() == "You are a: Hello")
    until(lambda: (f"{setting.project}/assistant_response/s9", "You are a: Hello") in setting.client.got)
    assert streamed() == "You are a: Hello"


@pytest.mark.parametrize("cost", [None, 0.25])
def test_a_stream_has_the_calls_and_the_usage_of_the_answer_beside_its_text(broker: Broker, cost: float | None) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 2, **({} if cost is None else {"cost": cost})}
    script = [calls(("remember", {"sentence": "x"}), usage=usage), whole("I will.", usage=usage)]
    with serve(script) as server:
        setting = Setting(broker, server.url, {"tools": (f"{__name__}:remember",)})
        setting.ask(sessionId="s", message="Remember x", stream=True, requestId="7")
        until(lambda: (f"{setting.project}/assistant_response/s", "I will.") in setting.client.got)
        until(lambda: any('"usage"' in text for _, text in setting.client.got))
        got = [json.loads(text) for topic, text in setting.client.got if topic.endswith("/s/stream")]
        setting.close()
    assert "".join(frame["delta"] for frame in got) == "I will."
    assert {frame["requestId"] for frame in got} == {"7"}
    assert [frame["tool"]["state"] for frame in got if "tool" in frame] == ["started", "finished"]
    finished = next(frame["tool"] for frame in got if frame.get("tool", {}).get("state") == "finished")
    assert (finished["arguments"], finished["response"]) == ('{"sentence": "x"}', "kept: x")
    ending = got[-1]
    assert set(ending) == {"delta", "requestId", "usage", "stopped"}
    assert ending["usage"]["cost"] == (None if cost is None else 0.5)
    assert ending["usage"]["tool_calls"] == 1


def test_a_stream_says_what_the_sources_say_of_the_answer(broker: Broker) -> None:
    with serve(citing) as server:
        setting = Setting(broker, server.url, {"tools": (READ,)})
        setting.ask(sessionId="s", message="Norway?", stream=True)
        until(lambda: any('"usage"' in text for _, text in setting.client.got))
        got = [json.loads(text) for topic, text in setting.client.got if topic.endswith("/s/stream")]
        setting.close()
    (cited,) = [frame["citations"] for frame in got if "citations" in frame]
    text = "".join(frame["delta"] for frame in got)
    assert [text[each["start"] : each["end"]] for each in cited] == [each["sentence"] for each in cited]
    assert [each["verdict"] for each in cited] == ["supported", "not found", "supported", "no source"]


def test_messages_sent_while_the_bridge_is_stopped_are_answered_later(broker: Broker, tmp_path: Path) -> None:
    with serve(reply) as server:
        backend = OpenAIBackend("default", base_url=server.url, api_key="not-needed")
        project = f"away{time.monotonic_ns()}"
        settings = BridgeSettings(broker="127.0.0.1", port=broker.port, client_id=project)
        client = Client(broker, f"{project}/assistant_response/#")
        sessions = MemorySessions()
        for turn in range(2):
            bridge = Bridge(projects_named([project]), ChatService(backend, sessions), settings)
            bridge.start()
            bridge.stop()
            if turn == 0:
                client.publish(f"{project}/user_input", {"sessionId": "s", "message": "Are you there?"})
                time.sleep(0.2)
                assert client.got == []
                bridge = Bridge(projects_named([project]), ChatService(backend, sessions), settings)
                bridge.start()
                assert client.wait(1) == [(f"{project}/assistant_response/s", "You are a: Are you there?")]
                bridge.stop()
        client.close()
        backend.close()


def test_the_rate_limit_does_not_apply_to_messages_sent_while_the_bridge_was_stopped(broker: Broker) -> None:
    with serve(reply) as server:
        backend = OpenAIBackend("default", base_url=server.url, api_key="not-needed")
        project = f"away{time.monotonic_ns()}"
        settings = BridgeSettings(broker="127.0.0.1", port=broker.port, client_id=project, rate=2)
        client = Client(broker, f"{project}/assistant_response/#")
        sessions = MemorySessions()
        for turn in range(2):
            bridge = Bridge(projects_named([project]), ChatService(backend, sessions), settings)
            bridge.start()
            if turn == 0:
                bridge.stop()
                for number in range(5):
                    client.publish(f"{project}/user_input", {"sessionId": "s", "message": f"m{number}"})
        texts = [text for _, text in client.wait(5)]
        bridge.stop()
        client.close()
        backend.close()
    assert len(texts) == 5
    assert TOO_FAST not in texts


def test_brokers_with_mqtt_3_1_1_are_supported(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, protocol="3.1.1")
        made.ask(sessionId="s1", message="Hello")
        assert made.client.wait(1)[0][1] == "You are a: Hello"
        made.close()


def test_response_topic_and_correlation_data_of_mqtt_5_are_honoured(setting: Setting, broker: Broker) -> None:
    got: list[Any] = []
    ready = threading.Event()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _, __, message: got.append(message)
    client.on_subscribe = lambda *_: ready.set()
    client.connect("127.0.0.1", broker.port)
    own = f"{setting.project}/assistant_response/s/mine/1"
    client.subscribe(own, 1)
    client.loop_start()
    assert ready.wait(5)
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = own
    properties.CorrelationData = b"42"
    payload = json.dumps({"sessionId": "s", "message": "Hello"})
    client.publish(f"{setting.project}/user_input", payload, qos=1, properties=properties)
    until(lambda: got)
    client.disconnect()
    client.loop_stop()
    assert [(message.payload, message.properties.CorrelationData) for message in got] == [(b"You are a: Hello", b"42")]


def test_histories_that_are_idle_or_too_many_are_dropped(setting: Setting) -> None:
    for number in range(5):
        setting.ask(sessionId=f"t{number}", message="hi")
        setting.client.wait(number + 1)
    responder, project = setting.bridge._responder, setting.bridge._projects[1]
    responder.tidy(project, 3, 3600)
    assert responder.sessions_of(project) == [f"{project.name}:t{number}" for number in (4, 3, 2)]
    responder.tidy(project, 3, 0)
    assert responder.sessions_of(project) == []


def test_the_bridge_publishes_its_status(broker: Broker) -> None:
    watcher = Client(broker, "agentkit/bridge/+/status")
    with serve(reply) as server:
        made = Setting(broker, server.url)
        topic = made.bridge.status_topic
        made.close()

    def states() -> list[str]:
        return [text for where, text in list(watcher.got) if where == topic]

    until(lambda: len(states()) == 2)  # the retained ones of other bridges may come between
    watcher.close()
    assert states() == ["online", "offline"]


@pytest.mark.parametrize(
    "fields",
    [
        {"sessionId": "p", "replyTopic": "a/\x01/b"},
        {"sessionId": "p\uffff"},
        {"sessionId": "p\ufdd0"},
        {"sessionId": "p", "replyTopic": "/".join("x" * 300)},
        {"sessionId": "p", "requestId": "\ud800"},
    ],
)
def test_no_message_makes_the_broker_close_the_connection_for_answers(setting: Setting, fields: dict[str, str]) -> None:
    if "replyTopic" in fields:
        fields = {**fields, "replyTopic": f"{setting.project}/assistant_response/{fields['replyTopic']}"}
    setting.ask(message="poison", **fields)
    for number in range(4):
        setting.ask(sessionId=f"good{number}", message="hi")
    answers = setting.client.wait(5, 8)
    assert len([topic for topic, _ in answers if "/good" in topic]) == 4
    assert len(answers) == 5


def test_requests_are_identified_by_client_and_topic(setting: Setting) -> None:
    for client in ("a", "b"):
        for _ in range(2):
            setting.ask(sessionId="s", message=f"from {client}", clientId=client, requestId="1")
    setting.client.publish("maze/state", {"sessionId": "m9", "player_pos": [1, 1], "requestId": "1"})
    setting.client.publish("maze/user_input", {"sessionId": "m9", "message": "hi", "requestId": "1"})
    assert len(setting.client.wait(4)) == 4
    time.sleep(0.3)
    assert len(setting.client.got) == 4


def test_a_retained_message_is_not_answered(setting: Setting, broker: Broker) -> None:
    other = mqtt.Client(CallbackAPIVersion.VERSION2)
    other.connect("127.0.0.1", broker.port)
    other.loop_start()
    topic = f"{setting.project}/user_input"
    other.publish(topic, '{"sessionId": "r", "message": "hi"}', qos=1, retain=True).wait_for_publish(5)
    setting.client.wait(1)  # the bridge was subscribed when it was published
    setting.bridge._connection._listener.reconnect()
    time.sleep(1.0)
    other.publish(topic, b"", retain=True).wait_for_publish(5)
    other.disconnect()
    other.loop_stop()
    assert len(setting.client.got) == 1


def test_deleting_a_session_deletes_its_template(setting: Setting) -> None:
    setting.client.publish("maze/template/m5", {"template": "Be a pirate."})
    setting.client.wait(1)
    setting.client.publish("maze/user_input", {"sessionId": "m5", "message": "one"})
    setting.client.wait(2)
    setting.client.publish("maze/delete_session", {"sessionId": "m5"})
    setting.client.publish("maze/user_input", {"sessionId": "m5", "message": "two"})
    texts = [text for _, text in setting.client.wait(3)]
    assert texts[1:] == ["Be a pira: one", "You guide: two"]


@pytest.mark.parametrize("payload", ['{"sessionId": "m6"', '{"sessionId": [1]}', "\x80".encode("latin-1")])
def test_a_broken_command_does_not_apply_to_all_sessions(setting: Setting, payload: Any) -> None:
    setting.client.publish("maze/user_input", {"sessionId": "m6", "message": "one"})
    setting.client.wait(1)
    setting.client.publish("maze/delete_session", payload)
    time.sleep(0.3)
    setting.client.publish("maze/user_input", {"sessionId": "m6", "message": "two"})
    assert setting.client.wait(2)[1][1] == "You guide: one | two"


def test_sessions_with_escaped_ids_are_cleared_by_topic_level(setting: Setting) -> None:
    setting.client.publish("maze/user_input", {"sessionId": "a/b", "message": "one"})
    setting.client.wait(1)
    setting.client.publish("maze/clear_history/a%2Fb", "")
    assert setting.client.wait(2)[1] == ("maze/hint/a%2Fb", '{"hint": "History cleared"}')
    setting.client.publish("maze/user_input", {"sessionId": "a/b", "message": "two"})
    assert setting.client.wait(3)[2][1] == "You guide: two"


def test_a_message_quoted_in_an_error_of_the_model_server_is_not_logged(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    quoting = Answer(b'{"error": {"message": "no template for: MY-SECRET-PIN"}}', status=400)
    with serve([quoting]) as server:
        made = Setting(broker, server.url)
        made.ask(sessionId="s", message="MY-SECRET-PIN")
        assert made.client.wait(1)[0][1].startswith("Error: ")
        made.close()
    assert "BadRequestError 400" in caplog.text
    assert "MY-SECRET-PIN" not in caplog.text


def test_a_stopped_bridge_rejects_waiting_messages_with_qos_0(broker: Broker) -> None:
    with serve(reply) as server:
        made = Setting(broker, server.url, workers=1, rate=1000)
        sender_client = mqtt.Client(CallbackAPIVersion.VERSION2)
        sender_client.connect("127.0.0.1", broker.port)
        sender_client.loop_start()
        for number in range(5):
            payload = json.dumps({"sessionId": f"q{number}", "message": "slow"})
            sender_client.publish(f"{made.project}/user_input", payload, qos=0)
        until(lambda: made.bridge.counts["processed"] + len(made.bridge._queue) >= 4)
        made.bridge.stop()
        texts = [text for _, text in made.client.wait(5)]
        sender_client.disconnect()
        made.client.close()
        sender_client.loop_stop()
        made.backend.close()
    assert texts.count(OVERLOADED) >= 3
    assert len(texts) == 5


def test_a_large_backlog_is_answered_and_not_refused(tmp_path: Path) -> None:
    with serve_mqtt(tmp_path) as own, serve(reply) as server:
        backend = OpenAIBackend("default", base_url=server.url, api_key="not-needed")
        settings = BridgeSettings(broker="127.0.0.1", port=own.port, client_id="b", queue=50, rate=2)
        client = Client(own, "general/assistant_response/#")
        sessions = MemorySessions()
        first = Bridge(projects_named(["general"]), ChatService(backend, sessions), settings)
        first.start()
        first.stop()
        payloads = [json.dumps({"sessionId": f"s{number}", "message": "hi"}) for number in range(400)]
        published = [client._client.publish("general/user_input", payload, qos=1) for payload in payloads]
        for info in published:  # a message that the broker gets after the bridge's start is not backlog
            info.wait_for_publish(30)
        second = Bridge(projects_named(["general"]), ChatService(backend, sessions), settings)
        second.start()
        texts = [text for _, text in client.wait(400, 60)]
        second.stop()
        client.close()
        backend.close()
    assert len(texts) == 400
    assert OVERLOADED not in texts


def test_a_bridge_that_waits_for_its_broker_leaks_no_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RETRY_SECONDS", "FIRST_PAUSE", "LAST_PAUSE"):
        monkeypatch.setattr(embedded, name, 0.05)
    backend = OpenAIBackend("default", base_url="http://127.0.0.1:9", api_key="not-needed")
    before = threading.active_count()
    settings = BridgeSettings(broker="127.0.0.1", port=9, client_id="away")
    bridge = embedded.EmbeddedBridge(
        projects_named(["general"]), ChatService(backend, MemorySessions()), settings, tmp_path
    )
    time.sleep(1.0)
    assert threading.active_count() <= before + 3
    assert bridge.problem() == "the broker has not been reached yet"
    bridge.stop()
