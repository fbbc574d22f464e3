"""One JSON form: --json, HTTP, MQTT and stored sessions show the same object for the same thing."""

import dataclasses
import datetime
import enum
import json
import os
import subprocess
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pydantic
import pytest

from agentkit import Agent, Image, Result, Usage
from agentkit.backends import OpenAIBackend
from agentkit.event import (
    ApprovalNeeded,
    CallDelta,
    CitationsChecked,
    Event,
    LimitReached,
    LoopDetected,
    OpenCall,
    OutputDelta,
    ReasoningDelta,
    Reply,
    ReplyDiscarded,
    ReplyFinished,
    ReplyStarted,
    RunFinished,
    TextDelta,
    ToolFinished,
    ToolProgress,
    ToolRecord,
    ToolStarted,
)
from agentkit.evidence.citation import Citation
from agentkit.record import (
    call_record,
    error_record,
    event_record,
    frame_of,
    result_record,
    stored_usage,
    usage_from,
    usage_record,
)
from agentkit.serving.chat_service import ChatService
from agentkit.serving.http.schemas import ToolCallOut, UsageOut
from agentkit.serving.mqtt.payloads import UserMessage
from agentkit.serving.mqtt.projects import Project
from agentkit.serving.mqtt.responder import Responder, Response
from agentkit.sessions import MemorySessions
from agentkit.testing import ScriptedBackend
from tests.support import forked_cli
from tests.support.growth import assert_linear
from tests.support.http_service import LOOK_UP, serve_http, settings_for
from tests.support.model_server import ModelServer, calls, serve, whole

ROOT = Path(__file__).parents[1]
USAGE = Usage(2, 12, 4, 3, 1, 1, None, 0.5)
USAGE_JSON = {
    "requests": 2,
    "input_tokens": 12,
    "cached_tokens": 4,
    "output_tokens": 3,
    "reasoning_tokens": 1,
    "tool_calls": 1,
    "cost": None,
    "seconds": 0.5,
}
RECORD = ToolRecord("c1", "look_up", {"topic": "tides"}, '{"topic": "tides"}', "All about tides.", None, 0.25)
RECORD_JSON = {
    "id": "c1",
    "name": "look_up",
    "arguments": {"topic": "tides"},
    "raw_arguments": '{"topic": "tides"}',
    "response": "All about tides.",
    "error": None,
    "seconds": 0.25,
}
OPEN = OpenCall("c2", "pay", {}, "broken")
OPEN_JSON = {"id": "c2", "name": "pay", "arguments": {}, "raw_arguments": "broken"}
SAID: Any = {"role": "assistant", "content": "Hi"}
RESULT = Result("Hi", [SAID], USAGE, "answer", [RECORD], ["repaired"], [OPEN], [OPEN])
RESULT_JSON = {
    "output": "Hi",
    "messages": [{"role": "assistant", "content": "Hi"}],
    "usage": USAGE_JSON,
    "stopped": "answer",
    "tool_calls": [RECORD_JSON],
    "repairs": ["repaired"],
    "pending": [OPEN_JSON],
    "unknown_calls": [OPEN_JSON],
    "replayed": False,
    "finish_reason": "",
    "models": {},
    "citations": [],
    "sources": [],
}
CITATION = Citation("Hi.", 0, 3, 1, "supported", "a.txt", "A", "Hi.", (0, 3))
CITATION_JSON = {
    "sentence": "Hi.",
    "start": 0,
    "end": 3,
    "source": 1,
    "verdict": "supported",
    "address": "a.txt",
    "title": "A",
    "quote": "Hi.",
    "span": [0, 3],
    "reason": "",
}

EVENTS: list[tuple[Event, dict[str, Any]]] = [
    (ReplyStarted(1), {"event": "reply_started", "at": 0.0, "turn": 1}),
    (TextDelta("a"), {"event": "text_delta", "at": 0.0, "text": "a"}),
    (ReasoningDelta("b"), {"event": "reasoning_delta", "at": 0.0, "text": "b"}),
    (CallDelta("pay", '{"a'), {"event": "call_delta", "at": 0.0, "name": "pay", "arguments": '{"a'}),
    (OutputDelta({"a": [1]}), {"event": "output_delta", "at": 0.0, "value": {"a": [1]}}),
    (ReplyDiscarded(), {"event": "reply_discarded", "at": 0.0, "reason": "", "model": ""}),
    (
        ReplyFinished(Reply(SAID, "stop", USAGE, {"citations": [1]}), adds=(SAID,)),
        {
            "event": "reply_finished",
            "at": 0.0,
            "reply": {
                "message": SAID,
                "finish_reason": "stop",
                "usage": USAGE_JSON,
                "extra": {"citations": [1]},
                "then": [],
                "model": "",
            },
            "adds": [SAID],
        },
    ),
    (
        ToolStarted("c1", name="look_up", arguments={"topic": "x"}, raw_arguments='{"topic": "x"}', read_only=True),
        {
            "event": "tool_started",
            "at": 0.0,
            "id": "c1",
            "name": "look_up",
            "arguments": {"topic": "x"},
            "raw_arguments": '{"topic": "x"}',
            "read_only": True,
        },
    ),
    (ToolProgress("c1", text="half"), {"event": "tool_progress", "at": 0.0, "id": "c1", "text": "half"}),
    (ToolFinished(RECORD), {"event": "tool_finished", "at": 0.0, "record": RECORD_JSON, "ends_run": False}),
    (ApprovalNeeded((OPEN,)), {"event": "approval_needed", "at": 0.0, "calls": [OPEN_JSON]}),
    (LimitReached("cost"), {"event": "limit_reached", "at": 0.0, "limit": "cost"}),
    (LoopDetected("again"), {"event": "loop_detected", "at": 0.0, "what": "again"}),
    (CitationsChecked((CITATION,)), {"event": "citations_checked", "at": 0.0, "citations": [CITATION_JSON]}),
    (RunFinished(RESULT), {"event": "run_finished", "at": 0.0, "result": RESULT_JSON}),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=lambda value: type(value).__name__)
def test_an_event_has_exactly_these_fields(event: Event, expected: dict[str, Any]) -> None:
    assert event_record(event) == expected
    assert json.loads(json.dumps(event_record(event), allow_nan=False)) == expected


def test_the_table_has_every_event() -> None:
    assert {type(event) for event, _ in EVENTS} == set(Event.__subclasses__())


FRAMES: list[tuple[Event, dict[str, Any] | None]] = [
    (TextDelta("a"), {"content": "a"}),
    (ReasoningDelta("b"), {"reasoning": "b"}),
    (ReplyDiscarded(), {"discarded": True}),
    (
        ToolStarted("c1", name="look_up", arguments={"t": 1}, raw_arguments='{"t": 1}'),
        {
            "tool": {
                "id": "c1",
                "name": "look_up",
                "arguments": '{"t": 1}',
                "raw_arguments": '{"t": 1}',
                "read_only": False,
                "state": "started",
            }
        },
    ),
    (ToolProgress("c1", text="half"), {"tool": {"id": "c1", "progress": "half", "state": "running"}}),
    (
        ToolFinished(RECORD),
        {"tool": {**RECORD_JSON, "arguments": RECORD.raw_arguments, "state": "finished"}},
    ),
    (CitationsChecked((CITATION,)), {"citations": [CITATION_JSON]}),
    (LimitReached("cost"), None),
    (ReplyStarted(1), None),
]


@pytest.mark.parametrize(("event", "expected"), FRAMES, ids=lambda value: type(value).__name__)
def test_a_frame_has_exactly_these_fields(event: Event, expected: dict[str, Any] | None) -> None:
    assert frame_of(event) == expected


def test_calls_and_usage_over_http_have_the_fields_of_their_records() -> None:
    assert set(ToolCallOut.model_fields) == set(RECORD_JSON)
    assert set(UsageOut.model_fields) == set(USAGE_JSON)
    assert call_record(RECORD, as_text=True) == {**RECORD_JSON, "arguments": RECORD.raw_arguments}
    assert call_record(OPEN) == OPEN_JSON


# Values that JSON can't represent


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    one: int
    two: Any


@dataclasses.dataclass
class Box:
    data: Any


class City(pydantic.BaseModel):
    name: str = pydantic.Field(alias="cityName")
    founded: datetime.date
    area: float


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


CIRCULAR: list[Any] = []
CIRCULAR += [CIRCULAR, CIRCULAR]

VALUES: list[tuple[Any, Any]] = [
    (
        City(cityName="Oslo", founded=datetime.date(1048, 1, 1), area=float("nan")),
        {"cityName": "Oslo", "founded": "1048-01-01", "area": None},
    ),
    (Box(Box(b"\xff")), {"data": {"data": "_w=="}}),
    (Image(b"\xff", "image/png"), {"data": "_w==", "media_type": "image/png", "name": "image"}),
    (Pair(1, Colour.RED), [1, "red"]),
    ({Colour.RED: {1}}, {"red": [1]}),
    (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00Z"),
    ([float("nan"), float("inf"), -float("inf"), 1.5], [None, None, None, 1.5]),
    (types.MappingProxyType({"a": (1, 2)}), {"a": [1, 2]}),
    ({"\ud83d": "\ud83d"}, {"\ud83d": "\ud83d"}),
    (CIRCULAR, ["…", "…"]),
    (Unprintable(), "<Unprintable>"),
    (10**30, 10**30),
    (None, None),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=lambda value: type(value).__name__)
def test_a_result_is_json_whatever_its_output_is(value: Any, expected: Any) -> None:
    result = Result(value, [], Usage(), "answer", [])
    made = result_record(result)
    assert json.loads(json.dumps(made, allow_nan=False))["output"] == expected
    assert event_record(RunFinished(result))["result"] == made


@pytest.mark.parametrize("value", [deep(20_000), Box(deep(20_000)), {"a": deep(500)}])
def test_values_of_any_depth_are_cut_and_not_refused(value: Any) -> None:
    text = json.dumps(event_record(OutputDelta(value)), ensure_ascii=False)
    assert "…" in text or "Box" in text
    assert len(text) < 1000


def test_what_a_server_adds_to_a_reply_is_json() -> None:
    extra: Any = {"score": float("nan"), "deep": deep(500)}
    reply = event_record(ReplyFinished(Reply(SAID, extra=extra)))["reply"]
    json.dumps(reply, allow_nan=False)
    assert reply["extra"]["score"] is None


def test_records_of_large_values_take_time_in_proportion() -> None:
    assert_linear(lambda size: event_record(OutputDelta([{"a": [1, "b"]}] * size)), 20_000)


def test_an_error_has_the_transcript_when_there_is_one() -> None:
    error = ValueError("broken")
    assert error_record(error) == {"error": "broken", "messages": []}
    error.messages = [{"role": "user", "content": "Hi"}]  # type: ignore[attr-defined]
    assert error_record(error)["messages"] == [{"role": "user", "content": "Hi"}]


# Stored usage


@pytest.mark.parametrize("usage", [USAGE, Usage(), Usage(1, cost=0.0), Usage(1, 5, cost=0.25)])
def test_usage_can_be_read_back(usage: Usage) -> None:
    assert usage_from(json.loads(json.dumps(usage_record(usage)))) == usage
    assert usage_from(json.loads(json.dumps(stored_usage(usage)))) == usage


def test_usage_of_an_older_entry_or_another_program_has_no_known_cost() -> None:
    assert usage_from({"requests": 1, "input_tokens": 12}) == Usage(1, 12)
    assert usage_from(None) == Usage()
    hostile = {"input_tokens": "12", "output_tokens": float("nan"), "cost": True, "seconds": -1, "other": 3}
    assert usage_from(hostile) == Usage()


@pytest.mark.parametrize("cost", [None, 0.0, 0.25])
def test_a_session_keeps_whether_the_cost_was_known(cost: float | None) -> None:
    usage = Usage(requests=1, input_tokens=3, cost=cost)
    with MemorySessions() as sessions:
        Agent(ScriptedBackend(Reply(SAID, "stop", usage))).run("Hi", session=sessions["a"])
        stored = sessions["a"].entries()[-1].usage
    assert usage_from(stored) == usage
    assert (stored or {}).get("cost") == cost


# The entry points


def script(cost: float | None) -> list[Any]:
    """A call and an answer, as a server sends them that reports this cost for each reply, or none."""
    usage = {"prompt_tokens": 10, "completion_tokens": 2, **({} if cost is None else {"cost": cost})}
    return [calls(("look_up", {"topic": "tides"}), usage=usage), whole("High at noon.", usage=usage)]


ASK = ["ask", "Tides?", "--json", "-q", "--tool", LOOK_UP, "--model"]


def by_command_line(model: ModelServer, folder: Path) -> tuple[Any, Any]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT", "OPENAI"))}
    done = subprocess.run(
        [*forked_cli.command(), *ASK, f"openai:m@{model.url}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=kept,
        timeout=60,
        check=True,
    )
    result = json.loads(done.stdout)
    return result["tool_calls"][0], result["usage"]


def by_http(model: ModelServer, folder: Path) -> tuple[Any, Any]:
    with serve_http(settings_for(folder, model.url, agentkit_tools=(LOOK_UP,))) as service:
        answer = service.ask("POST", "/api/llm/chat/session", {"session_id": "s", "message": "Tides?"}).json()
        history = service.ask("GET", "/api/llm/chat/session/s/history").json()
    stored = history["messages"][-1]["tool_calls"][0]
    assert stored == {**answer["tool_calls"][0], "seconds": stored["seconds"], "said": ""}
    assert (stored["seconds"] or 0.0) == pytest.approx(answer["tool_calls"][0]["seconds"], abs=0.001)
    return answer["tool_calls"][0], answer["usage"]


def by_http_stream(model: ModelServer, folder: Path) -> tuple[Any, Any]:
    with serve_http(settings_for(folder, model.url, agentkit_tools=(LOOK_UP,))) as service:
        body = {"messages": [{"role": "user", "content": "Tides?"}]}
        frames = service.frames("/api/llm/chat/stream", body)
    return _in_frames(frames)


def by_mqtt(model: ModelServer, folder: Path) -> tuple[Any, Any]:
    backend = OpenAIBackend("m", base_url=model.url)
    frames: list[Any] = []
    with MemorySessions() as sessions:
        responder = Responder(ChatService(backend, sessions))
        project = Project.named("quiz", tools=(LOOK_UP,))
        message = UserMessage(project, "s", "Tides?", "quiz/assistant_response/s", stream=True)
        assert responder.answer(message, frames.append) == Response("High at noon.")
    backend.close()
    return _in_frames(json.loads(json.dumps(frames)))


def _in_frames(frames: list[Any]) -> tuple[Any, Any]:
    finished = next(frame["tool"] for frame in frames if frame.get("tool", {}).get("state") == "finished")
    ending = next(frame for frame in frames if "usage" in frame)
    assert ending["stopped"] == "answer"
    return {name: value for name, value in finished.items() if name != "state"}, ending["usage"]


ENTRY_POINTS: list[Callable[[ModelServer, Path], tuple[Any, Any]]] = [by_http, by_http_stream, by_mqtt]


@pytest.mark.parametrize("cost", [None, 0.25])
def test_every_entry_point_shows_the_same_call_and_usage(tmp_path: Path, cost: float | None) -> None:
    with serve(script(cost)) as model:
        call, usage = by_command_line(model, tmp_path)
    assert usage["cost"] == (None if cost is None else 2 * cost)
    assert call["arguments"] == {"topic": "tides"}
    for shown in ENTRY_POINTS:
        with serve(script(cost)) as model:
            other_call, other_usage = shown(model, tmp_path)
        expected = {**call, "arguments": call["raw_arguments"], "seconds": other_call["seconds"]}
        assert other_call == expected, shown.__name__
        assert other_usage == {**usage, "seconds": other_usage["seconds"]}, shown.__name__
