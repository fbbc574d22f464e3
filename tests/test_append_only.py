"""Streamed text is never doubled for readers that can't take back: the OpenAI API, MQTT and a pipe, over a model server
whose stream breaks in the middle."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit.event import Event, ReasoningDelta, Reply, ReplyDiscarded, ReplyFinished, ReplyStarted, TextDelta
from agentkit.running.append_only import AppendOnlyText, LateReasoningSeen, ReplyChangedError
from tests.serving.mqtt.test_bridge import Setting
from tests.support import forked_cli
from tests.support.http_service import LOOK_UP, serve_http, settings_for
from tests.support.model_server import Answer, calls, delta, serve, streamed
from tests.support.mosquitto import EXECUTABLE, Broker, serve_mqtt
from tests.support.waiting import until

ANSWER = "The answer is forty-two."
HELLO: Any = [{"role": "user", "content": "Hello"}]
mosquitto = pytest.mark.skipif(EXECUTABLE is None, reason="Mosquitto is not installed (apt-get install mosquitto)")


def said(text: str, *, breaks: bool = False) -> Answer:
    """A stream of a text in pieces of five characters."""
    pieces = [delta(content=text[start : start + 5]) for start in range(0, len(text), 5)]
    return streamed(*pieces, done=False, cut=True) if breaks else streamed(*pieces, delta("stop"))


BROKEN = {
    "other text": said("forty", breaks=True),
    "the beginning": said("The answer is", breaks=True),
    "a part of a piece": streamed(delta(content="The ans"), done=False, cut=True),
    "nothing": streamed(done=False, cut=True),
    "an event that is not JSON": Answer(said("The an", breaks=True).body + b"data: oops\n\n"),
    "an error": Answer(said("forty", breaks=True).body + b'data: {"error": {"message": "gone", "code": 502}}\n\n'),
    "more than the answer": said(f"{ANSWER} Or", breaks=True),
    "late reasoning": said(f"Let me think. Yes.</think>{ANSWER}"),
}
CONTINUES = ("the beginning", "a part of a piece", "nothing", "an event that is not JSON")


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.middleware.retry.PAUSE", 0.0)


def asked(client: openai.OpenAI) -> tuple[str, openai.APIError | None]:
    """The text of a stream, and the error that ended it."""
    received = []
    try:
        for chunk in client.chat.completions.create(model="agentkit", messages=HELLO, stream=True):
            received.append(chunk.choices[0].delta.content or "")
    except openai.APIError as error:
        return "".join(received), error
    return "".join(received), None


@pytest.mark.parametrize("name", BROKEN)
def test_the_openai_api_continues_the_text_or_ends_with_an_error(tmp_path: Path, name: str) -> None:
    with serve([BROKEN[name], said(ANSWER)]) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
            text, error = asked(client)
            if name in CONTINUES:
                assert (text, error) == (ANSWER, None)
            else:
                assert error is not None
                assert "send the request again" in error.message
                assert text.count("answer") <= 1
                assert asked(client) == (ANSWER, None)


def test_the_text_of_a_model_whose_reasoning_is_recognised_late_is_held_back(tmp_path: Path) -> None:
    thinking = said(f"Let me think. Yes.</think>{ANSWER}")
    with serve([thinking]) as server, serve_http(settings_for(tmp_path, server.url)) as service:
        with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
            _, error = asked(client)
            assert error is not None
            assert "its reasoning" in error.message
            for _ in range(2):
                assert asked(client) == (ANSWER, None)


def test_only_the_reply_that_broke_is_compared(tmp_path: Path) -> None:
    call = calls(("look_up", {"topic": "x"}))
    script = [said("I look.", breaks=True), call, said(ANSWER)]
    settings = {"agentkit_tools": (LOOK_UP,)}
    for first in (said("", breaks=True), streamed(delta(content=""), done=False, cut=True)):
        with serve([first, *script[1:]]) as server:
            with serve_http(settings_for(tmp_path, server.url, **settings)) as service:
                with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
                    assert asked(client) == (ANSWER, None)


# ---- MQTT


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with serve_mqtt(tmp_path_factory.mktemp("broker")) as running:
        yield running


@mosquitto
@pytest.mark.parametrize("name", BROKEN)
def test_mqtt_continues_the_text_or_says_that_it_does_not_count(broker: Broker, name: str) -> None:
    with serve([BROKEN[name], said(ANSWER)]) as server:
        setting = Setting(broker, server.url)
        setting.ask(sessionId="s", message="Hello", stream=True)
        until(lambda: (f"{setting.project}/assistant_response/s", ANSWER) in setting.client.got)
        until(lambda: any('"usage"' in text for _, text in setting.client.got))
        frames = [json.loads(text) for topic, text in setting.client.got if topic.endswith("/s/stream")]
        setting.close()
    text = "".join(frame["delta"] for frame in frames)
    discarded = [place for place, frame in enumerate(frames) if "discarded" in frame]
    assert text.count("answer") <= 1
    if name in CONTINUES:
        assert (text, discarded) == (ANSWER, [])
    else:
        assert len(discarded) == 1
        assert not any(frame["delta"] for frame in frames[discarded[0] :])


# ---- the command line


def command(*arguments: str, question: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*forked_cli.command(), *arguments],
        input=question,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.mark.parametrize("name", ["other text", "the beginning"])
def test_a_pipe_gets_each_text_once(name: str) -> None:
    with serve([BROKEN[name], said(ANSWER)]) as server:
        done = command("ask", "x", "--model", f"openai:m@{server.url}", "--stream")
    with serve([BROKEN[name], said(ANSWER)]) as server:
        talk = command("chat", "--model", f"openai:m@{server.url}", question="Hello\n")
    assert (talk.stdout, talk.returncode) == (f"{ANSWER}\n", 0)  # each reply when it is complete
    if name in CONTINUES:
        assert (done.stdout, done.returncode) == (f"{ANSWER}\n", 0)
    else:
        assert (done.stdout.strip(), done.returncode) == ("forty", 1)
        assert "begun anew with another text" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_pipe_without_stream_gets_the_answer() -> None:
    with serve([BROKEN["other text"], said(ANSWER)]) as server:
        done = command("ask", "x", "--model", f"openai:m@{server.url}", "--no-stream")
    assert (done.stdout, done.returncode) == (f"{ANSWER}\n", 0)


# ---- the text itself


def finished() -> Event:
    return ReplyFinished(Reply({"role": "assistant", "content": ""}))


def read(text: AppendOnlyText, events: list[Event]) -> tuple[str, bool]:
    """What was sent, and whether the reply was found to differ."""
    received, differs = "", False
    for event in events:
        try:
            received += text.take(event)
        except ReplyChangedError:
            differs = True
    return received, differs


pieces = st.lists(st.text("ab", max_size=3), max_size=6)


@given(attempts=st.lists(pieces, min_size=1, max_size=3), last=pieces)
def test_what_was_sent_is_the_reply_or_said_to_differ(attempts: list[list[str]], last: list[str]) -> None:
    events: list[Event] = [ReplyStarted(1)]
    for attempt in attempts:
        events += [*map(TextDelta, attempt), ReplyDiscarded()]
    events += [*map(TextDelta, last), finished()]
    received, differs = read(AppendOnlyText(), events)
    assert differs or received == "".join(last)
    longest = max(("".join(attempt) for attempt in attempts), key=len)
    assert len(received) <= max(len(longest), len("".join(last)))
    if all("".join(last).startswith("".join(attempt)) for attempt in attempts):
        assert not differs


def test_reasoning_that_is_recognised_late_is_held_back_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    late = LateReasoningSeen()
    events = [ReplyStarted(1), TextDelta("Hm, "), TextDelta("yes."), ReplyDiscarded(), ReasoningDelta("Hm, yes.")]
    events += [TextDelta("It is 42."), finished()]
    assert read(AppendOnlyText(late), events) == ("Hm, yes.", True)
    assert read(AppendOnlyText(late), events) == ("It is 42.", False)
    now = time.monotonic()
    monkeypatch.setattr("agentkit.running.append_only.time.monotonic", lambda: now + 4000)
    assert read(AppendOnlyText(late), [ReplyStarted(1), TextDelta("At "), TextDelta("once.")]) == ("At once.", False)


def test_a_broken_stream_of_a_reasoning_model_holds_nothing_back() -> None:
    late = LateReasoningSeen()
    events = [ReplyStarted(1), ReasoningDelta("Hm"), TextDelta("A"), ReplyDiscarded(), ReasoningDelta("Hm")]
    assert read(AppendOnlyText(late), [*events, TextDelta("Ab"), finished()]) == ("Ab", False)
    assert not late.is_recent
