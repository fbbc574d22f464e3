"""A research that was killed or interrupted goes on where it was: nothing that is done is done again."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError, Context, Limits, Usage, tool
from agentkit.errors import SessionBusyError
from agentkit.event import Reply
from agentkit.message import Message
from agentkit.research import Begun, Planned, ResearchEvent, research
from agentkit.research.journal import PREFIX, latest
from agentkit.sessions import MemorySessions, SQLiteSessions
from agentkit.testing import ScriptedBackend
from tests.support.forked_cli import command
from tests.support.model_server import Answer, Asked, calls, serve, whole

ROOT = Path(__file__).parents[2]
TOOLS = '''
from agentkit import Context, tool

TEXTS = {"a": "The Tallow light is 31 m high.", "b": "The Tallow light was lit in 1794."}

@tool(read_only=True)
def read(name: str, ctx: Context) -> str:
    """Read a text."""
    number = ctx.source(f"https://lights.example/{name}", f"Text {name}", TEXTS[name])
    return f"[{number}] Text {name}\\nsource: https://lights.example/{name}\\n\\n{TEXTS[name]}"
'''
QUESTION = "How high is the Tallow light, and when was it lit?"


class Model:
    """A model for two sub-questions, of which the second does not end while `holds` is set."""

    def __init__(self) -> None:
        self.holds = True
        self.is_held = threading.Event()
        self.prompts: list[tuple[str, str]] = []

    def __call__(self, asked: Asked) -> Answer:
        messages = asked.body["messages"]
        system, prompt, last = messages[0]["content"], messages[1]["content"], messages[-1]["content"]
        self.prompts.append((system, prompt))
        if "You plan" in system:
            return whole(json.dumps({"questions": ["How high is it?", "When was it lit?"]}))
        if "You write" in system:
            return whole("\n".join(re.findall(r"^- (.*)", prompt, re.MULTILINE)))
        name = "a" if "sub-question: How high" in prompt else "b"
        if "Noted." in (last or "") or "Your notes so far" in prompt:
            if name == "b" and self.holds:
                self.is_held.set()
                return Answer(b"{}", delay=60.0)
            return whole("Done.")
        found = re.findall(r"\[(\d+)\] Text \w\nsource: .*\n\n(.*)\.", last or "")
        if found:
            return calls(("note", {"text": f"{found[0][1]} [{found[0][0]}]."}))
        return calls(("read", {"name": name}))

    def asked(self, words: str) -> int:
        return sum(words in system or words in prompt for system, prompt in self.prompts)


def started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    (folder / "lighttools.py").write_text(TOOLS)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT", "OPENAI"))}
    kept |= {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")]), "AGENTKIT_SESSIONS": str(folder / "s.db")}
    return subprocess.Popen(
        [*command(), "research", *arguments],
        cwd=folder,
        env=kept,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGINT"])
def test_a_killed_research_goes_on_and_repeats_nothing(tmp_path: Path, sent: str) -> None:
    model = Model()
    with serve(model) as server:
        options = ("--model", f"openai:any@{server.url}", "--no-web", "--tool", "lighttools:read", "--parallel", "1")
        process = started(tmp_path, QUESTION, *options)
        assert model.is_held.wait(60)
        process.send_signal(getattr(signal, sent))
        _, said = process.communicate(timeout=60)
        assert process.returncode == (130 if sent == "SIGINT" else process.returncode)
        assert process.returncode != 0
        if sent == "SIGINT":
            assert "agentkit research --resume 20" in said
        model.holds, model.prompts = False, []
        process = started(tmp_path, "--resume", "--out", "report.md", "--out", "report.json", "--out", "r.bib")
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (0, "", "")
    assert model.asked("You plan") == 0
    assert model.asked("sub-question: How high") == 0
    assert model.asked("sub-question: When was it lit?") == 1
    assert model.asked("- The Tallow light was lit in 1794 [2].") == 2  # the note is known to the researcher
    text = (tmp_path / "report.md").read_text()
    assert "The Tallow light is 31 m high [1]." in text
    assert "The Tallow light was lit in 1794 [2]." in text
    record = json.loads((tmp_path / "report.json").read_text())
    assert {each["verdict"] for each in record["citations"]} == {"supported"}
    assert record["usage"]["requests"] >= 7  # of both runs
    assert (tmp_path / "r.bib").read_text().count("@online") == 2


@tool(read_only=True)
def read(name: str, ctx: Context) -> str:
    """Read a text."""
    text = f"The {name} light is {len(name)} m high."
    number = ctx.source(f"https://lights.example/{name}", name, text)
    return f"[{number}] {name}\nsource: https://lights.example/{name}\n\n{text}"


def scripted(messages: list[Message]) -> Any:
    system, last = str(messages[0]["content"]), str(messages[-1].get("content"))
    if "You plan" in system:
        return '{"questions": ["Alder?", "Birch?", "Cedar?"]}'
    if "You write" in system:
        return "\n".join(re.findall(r"^- (.*)", str(messages[1]["content"]), re.MULTILINE))
    name = re.findall(r"Your sub-question: (\w+)\?", str(messages[1]["content"]))[0]
    number = re.findall(r"\[(\d+)\] ", last)
    if "Noted" in last:
        return "Done."
    return (
        ("note", {"text": f"The {name} light is {len(name)} m high [{number[0]}]."})
        if number
        else ("read", {"name": name})
    )


def test_a_finished_research_is_written_again_without_a_request() -> None:
    session = MemorySessions()[f"{PREFIX}lights"]
    first = research("How high are they?", model=ScriptedBackend(*[scripted] * 20), tools=[read], session=session)
    again = research(None, model=ScriptedBackend(), tools=[read], session=session)
    assert again.text == first.text
    assert [(each.number, each.address, each.at) for each in again.sources] == [
        (each.number, each.address, each.at) for each in first.sources
    ]
    assert again.usage.requests == first.usage.requests
    assert again.session == "lights"


def test_what_a_limit_has_ended_goes_on_with_more() -> None:
    """anthropics/claude-code#79958: after a limit everything was done again from the beginning."""
    session = MemorySessions()[f"{PREFIX}lights"]
    limits = Limits(tool_calls=1)
    options: dict[str, Any] = {"tools": [read], "session": session, "parallel": 1}
    first = research("How high are they?", model=ScriptedBackend(*[scripted] * 20), limits=limits, **options)
    assert first.stopped == "tool_calls"
    assert "It can be resumed." in first.remarks[-1]
    events: list[ResearchEvent] = []
    again = research(None, model=ScriptedBackend(*[scripted] * 20), on_event=events.append, **options)
    assert Planned(("Alder?", "Birch?", "Cedar?"), resumed=True) in events
    assert [event.number for event in events if isinstance(event, Begun)] == [1, 2, 3]
    assert again.stopped == "answer"
    assert len(again.sources) == 3


def test_a_session_has_one_research_and_one_writer(tmp_path: Path) -> None:
    with SQLiteSessions(tmp_path / "s.db") as sessions:
        session = sessions[f"{PREFIX}lights"]
        with pytest.raises(ConfigurationError, match="no research in the session"):
            research(None, session=session, tools=[read])
        research("How high is it?", model=ScriptedBackend(*[scripted] * 20), tools=[read], session=session)
        with pytest.raises(ConfigurationError, match="another question"):
            research("How old is it?", session=session, tools=[read])
        with session.hold(), pytest.raises(SessionBusyError, match="another process works on the research 'lights'"):
            research(None, session=session, tools=[read])
        assert latest(sessions) == "lights"
        assert sessions.list() == []  # it is no conversation


def looks(cost: float | None = 1.0, *, unknown_first: bool = False) -> Any:
    """A model that looks for something new for ever, for 500 tokens a reply."""
    count = 0

    def reply(messages: list[Message]) -> Reply:
        nonlocal count
        count += 1
        spent = Usage(1, 400, 0, 100, cost=None if unknown_first and count == 1 else cost)
        if str(messages[-1]["content"]).startswith("No more tool") or "You write" in str(messages[0]["content"]):
            return Reply({"role": "assistant", "content": "The light is 31 m high [1]."}, usage=spent)
        call = {"name": "read", "arguments": json.dumps({"name": f"light{count}"})}
        calls: Any = [{"id": f"c{count}", "type": "function", "function": call}]
        return Reply({"role": "assistant", "content": None, "tool_calls": calls}, usage=spent)

    return reply


@pytest.mark.parametrize("name", ["tokens", "cost", "cost that is not known once"])
def test_a_limit_holds_for_all_runs_together(name: str) -> None:
    session = MemorySessions()[f"{PREFIX}lights"]
    limits = Limits(tokens=10_000) if name == "tokens" else Limits(cost=20.0)
    model = looks(unknown_first=name.endswith("once"))
    requests = 0
    for question in ("How high are they?", None, None):
        backend = ScriptedBackend(*[model] * 60)
        report = research(question, model=backend, tools=[read], session=session, limits=limits, sub_questions=1)
        requests += len(backend.requests)
        assert report.stopped in name
    assert requests <= 22  # the last request of a run may take what is left, and more


def test_each_text_of_a_source_is_stored() -> None:
    @tool(read_only=True)
    def look(ctx: Context) -> str:
        """Look."""
        ctx.source("https://a.example/x", "A", "The bridge of Oban was opened in 1932 by Queen Mary.")
        return str(ctx.source("https://a.example/x", "A", "Seventeen elephants crossed the river Tay near Perth."))

    session = MemorySessions()[f"{PREFIX}bridge"]
    fact = "The bridge of Oban was opened in 1932 by Queen Mary [1]."
    options: dict[str, Any] = {"tools": [look], "session": session, "sub_questions": 1}
    model = ScriptedBackend(("look", {}), ("note", {"text": fact}), "Done.", fact)
    first = research("When was the bridge of Oban opened?", model=model, **options)
    again = research(None, model=ScriptedBackend(), **options)
    assert [each.verdict for each in first.citations] == ["supported"]
    assert again.citations == first.citations


def test_what_was_read_before_a_crash_is_noted_after_it() -> None:
    session = MemorySessions()[f"{PREFIX}lights"]
    backend = ScriptedBackend(("read", {"name": "Tallow"}), "Nothing.", "The Tallow light is 6 m high [1].")
    research("How high is the Tallow light?", model=backend, tools=[read], session=session, sub_questions=1)
    stored = [entry.value["content"] for entry in session.entries()]
    place = next(place for place, each in enumerate(stored) if '"read":{' in each)
    crashed = MemorySessions()[f"{PREFIX}crashed"]
    with crashed.hold() as writer:
        writer.append([{"role": "user", "content": each} for each in stored[: place + 1]])
    again = research(
        None,
        model=ScriptedBackend("Nothing.", "The Tallow light is 6 m high [1]."),
        tools=[read],
        session=crashed,
        sub_questions=1,
    )
    assert [source.address for source in again.sources] == ["https://lights.example/Tallow"]
    assert [each.verdict for each in again.citations] == ["supported"]


def test_a_plan_that_a_limit_has_ended_is_made_when_the_research_goes_on() -> None:
    session = MemorySessions()[f"{PREFIX}lights"]
    spent = Usage(1, 900, 0, 100)
    planner = ScriptedBackend(*[lambda messages: Reply({"role": "assistant", "content": "I plan."}, usage=spent)] * 9)
    options: dict[str, Any] = {"tools": [read], "session": session}
    first = research("How high are they?", model=planner, limits=Limits(tokens=1_000), **options)
    assert (first.plan, first.stopped) == (["How high are they?"], "tokens")
    assert research(None, model=ScriptedBackend(), limits=Limits(tokens=1_000), **options).stopped == "tokens"
    again = research(None, model=ScriptedBackend(*[scripted] * 20), **options)
    assert again.plan == ["Alder?", "Birch?", "Cedar?"]
    assert again.stopped == "answer"
