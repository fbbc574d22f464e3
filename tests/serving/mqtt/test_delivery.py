"""An answer is recorded as delivered while its session is still locked, unless the broker takes long."""

import logging
import threading
from collections.abc import Callable

import pytest

from agentkit.errors import SessionError
from agentkit.event import Event
from agentkit.serving.chat_service import ChatService, DeliveredError
from agentkit.serving.exchange import Answer, UserInput
from agentkit.serving.mqtt import delivery as deliveries
from agentkit.serving.mqtt.broker import Packet
from agentkit.serving.mqtt.delivery import Delivery, Echoes
from agentkit.serving.mqtt.intake import Intake
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder, Response
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.serving.mqtt.test_requests import read

PROJECT = Project.named("p")


def sending(sent: list[str], *, is_confirmed: bool) -> Callable[[str, Callable[[], object]], None]:
    def send(text: str, then: Callable[[], object]) -> None:
        sent.append(text)
        if is_confirmed:
            then()

    return send


def test_what_is_confirmed_at_once_is_recorded_while_the_session_is_locked() -> None:
    backend, sent, held = ScriptedBackend("One"), list[str](), list[bool]()
    with MemorySessions() as sessions:
        responder = Responder(ChatService(backend, sessions))
        asked = {"sessionId": "s", "message": "Hi", "requestId": "1"}
        message = read(Intake((PROJECT,), responder.knows), asked, "p/user_input").message
        assert message is not None
        delivery = Delivery(sending(sent, is_confirmed=True), threading.Event())

        def deliver(text: str, record: Callable[[], None]) -> None:
            held.append(sessions["p:s"].is_held)
            delivery.begin(text, record)
            assert sessions["p:s"].is_delivered(message.log_id)

        assert responder.answer(message, deliver=deliver) == Response("One")
        assert delivery.complete("One", lambda: pytest.fail("recorded twice"))
        assert (sent, held) == (["One"], [True])
        log = len(sessions["p:s"].entries())
        frames: list[object] = []
        known = responder._user_input(message, "Hi", ())
        with pytest.raises(DeliveredError):
            responder.service.answer(known, frames.append, on_answer=lambda *_: pytest.fail("answered twice"))
        assert (len(sessions["p:s"].entries()), len(backend.requests), frames) == (log, 1, [])


def test_a_broker_that_takes_long_holds_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "LOCKED_SECONDS", 0.01)
    confirm: list[Callable[[], object]] = []
    recorded: list[str] = []
    delivery = Delivery(lambda text, then: confirm.append(then), threading.Event())
    delivery.begin("One", lambda: recorded.append("locked"))
    thread = threading.Thread(target=delivery.complete, args=("One", lambda: recorded.append("later")))
    thread.start()
    assert recorded == []
    confirm[0]()
    thread.join(10)
    assert (len(confirm), recorded) == (1, ["later"])


def test_a_bridge_that_stops_waits_for_no_confirmation() -> None:
    stopped = threading.Event()
    delivery = Delivery(sending([], is_confirmed=False), stopped)
    stopped.set()
    assert delivery.complete("One", lambda: pytest.fail("it was not delivered")) is False


def test_an_answer_that_could_not_be_sent_is_sent_again() -> None:
    sent: list[str] = []

    def send(text: str, then: Callable[[], object]) -> None:
        sent.append(text)
        if len(sent) == 1:
            raise OSError("no route")
        then()

    delivery = Delivery(send, threading.Event())
    with pytest.raises(OSError, match="no route"):
        delivery.begin("One", lambda: None)
    assert delivery.complete("One")
    assert sent == ["One", "One"]


def test_a_record_that_fails_is_logged_and_makes_no_second_answer(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise SessionError("the disk is full")

    sent: list[str] = []
    with caplog.at_level(logging.ERROR, "agentkit.mqtt"):
        delivery = Delivery(sending(sent, is_confirmed=True), threading.Event())
        delivery.begin("One", fail)
        assert delivery.complete("One", fail)
    assert sent == ["One"]
    assert [record.getMessage() for record in caplog.records] == ["failed to record an answer: SessionError"]


def test_an_error_behind_the_answer_is_no_answer() -> None:
    """The lock of the session can't be released, for example."""
    with MemorySessions() as sessions:
        service = ChatService(ScriptedBackend("One"), sessions)
        responder = Responder(service)
        message = read(
            Intake((PROJECT,), responder.knows),
            {"sessionId": "s", "message": "Hi"},
            "p/user_input",
        ).message
        assert message is not None

        def deliver(text: str, record: Callable[[], None]) -> None:
            raise SessionError("gone")

        assert responder.answer(message, deliver=deliver) == Response("One")


def test_an_answer_without_a_session_is_returned_only() -> None:
    with MemorySessions() as sessions:
        service = ChatService(ScriptedBackend("One"), sessions)
        answers: list[Answer] = []
        events: list[Event] = []
        given = UserInput("Hi")
        answer = service.answer(given, events.append, on_answer=lambda answer, _: answers.append(answer))
        assert (answer.text, answers) == ("One", [])


def test_an_echo_is_kept_while_its_answer_is_on_its_way() -> None:
    echoes = Echoes()
    echo, weak = Packet("a", b"", 1, 1, echo_id="x"), Packet("a", b"", 2, 0, echo_id="x")
    assert not echoes.keep(echo)
    echoes.expect("x")
    assert not echoes.keep(weak)  # there is nothing to acknowledge
    assert echoes.keep(echo)
    assert echoes.end("x") is echo
    assert not echoes.keep(echo)
    assert echoes.end("x") is None
