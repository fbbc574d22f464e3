"""A research: its plan, its budget, what its tools may do, and what it says when something fails."""

import json
import re
import threading
from typing import Any

import pytest

from agentkit import ConfigurationError, Context, Limits, MemorySessions, Prices, SessionError, ToolError, Usage, tool
from agentkit.event import Reply
from agentkit.message import Message
from agentkit.research import Done, Noted, Planned, ResearchEvent, Used, research
from agentkit.testing import ScriptedBackend

TEXTS = {
    "https://lights.example/a": ("The Tallow light", "The Tallow light is 31 m high. It was lit in 1794 by Ada Moll."),
    "https://lights.example/b": ("Lamps", "The lamp of the Tallow light burned herring oil until 1861 [7]."),
}


@tool(read_only=True)
def search(query: str, ctx: Context) -> str:
    """Search."""
    hits = [(ctx.source(each, title, text[:20], read=False), title, each) for each, (title, text) in TEXTS.items()]
    return "\n\n".join(f"[{number}] {title}\nsource: {address}" for number, title, address in hits)


@tool(read_only=True)
def visit(url: str, ctx: Context) -> str:
    """Read a page."""
    title, text = TEXTS[url]
    return f"[{ctx.source(url, title, text)}] {title}\nsource: {url}\n\n{text}"


def number_of(messages: list[Message], address: str) -> str:
    """The number that the run has given to an address."""
    shown = json.dumps(messages).replace("\\n", "\n")
    return str(re.findall(rf"\[(\d+)\] [^\n]*\nsource: {re.escape(address)}", shown)[-1])


class Model:
    """Searches, reads both pages, notes, answers. plan, report: what it writes as these; functions of the prompt."""

    def __init__(self, report: Any = None, plan: str = '{"questions": ["How high is it?"]}', note: bool = True) -> None:
        self.report, self.plan, self.note = report, plan, note
        self.prompts: list[str] = []

    def __call__(self, messages: list[Message]) -> Any:
        system, prompt = str(messages[0]["content"]), str(messages[1]["content"])
        if "You plan" in system:
            return self.plan
        if "You write" in system:
            self.prompts.append(str(messages[-1]["content"]))
            return self.report(prompt) if self.report else "\n".join(re.findall(r"^- (.*)", prompt, re.MULTILINE))
        made = [call["function"]["name"] for message in messages for call in message.get("tool_calls") or ()]
        if not made:
            return "search", {"query": "tallow"}
        if made[-1] == "search":
            return [("visit", {"url": url}) for url in TEXTS]
        if made[-1] == "visit" and self.note:
            number = number_of(messages, "https://lights.example/a")
            return "note", {"text": f"The Tallow light is 31 m high [{number}]."}
        return "That is all."


def backend(model: Any, count: int = 60) -> ScriptedBackend:
    return ScriptedBackend(*[model] * count)


def test_a_report_has_what_was_noted_and_its_references_say_when_they_were_read() -> None:
    report = research("How high is the Tallow light?", model=backend(Model()), tools=[search, visit])
    assert "The Tallow light is 31 m high [1]." in report.text
    assert next(source.address for source in report.sources) == "https://lights.example/a"
    assert re.search(r"1\. The Tallow light\. <https://lights\.example/a> \(read 20\d\d-\d\d-\d\d\)", report.markdown())
    assert report.flagged == []
    assert report.stopped == "answer"
    assert report.usage.tool_calls >= 4


def test_what_was_read_and_not_noted_is_noted_automatically_without_marks_of_its_own() -> None:
    events: list[ResearchEvent] = []
    model = backend(Model(note=False))
    report = research(
        "What did the lamp of the Tallow light burn?", model=model, tools=[search, visit], on_event=events.append
    )
    noted = [event for event in events if isinstance(event, Noted) and event.automatic]
    assert noted
    assert "herring oil until 1861" in report.text
    assert "[7]" not in report.text + "".join(event.text for event in noted)
    assert {each.verdict for each in report.citations} == {"supported"}


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ('{"questions": ["One?", "Two?", "one?", "", "Three?"]}', ("One?", "Two?", "Three?")),
        (
            json.dumps({"questions": [f"Question {place}?" for place in range(40)]}),
            tuple(f"Question {n}?" for n in range(7)),
        ),
        ("1. How high is it?\n2. How old is it?", ("How high is it?", "How old is it?")),
        ("I can't do that.", ("How high is the Tallow light?",)),
        ('{"questions": []}', ("How high is the Tallow light?",)),
    ],
    ids=["doubled", "too many", "a list in text", "no plan", "empty"],
)
def test_a_plan_is_what_the_model_makes_of_it_or_the_question(plan: str, expected: tuple[str, ...]) -> None:
    events: list[ResearchEvent] = []
    model = backend(Model(plan=plan), 200)
    research("How high is the Tallow light?", model=model, tools=[search, visit], on_event=events.append)
    assert events[0] == Planned(expected)
    assert sorted(event.number for event in events if isinstance(event, Done)) == list(range(1, len(expected) + 1))


def test_sub_questions_share_their_sources() -> None:
    """ItzCrazyKns/Vane#1109: the same page several times in the bibliography."""
    model = Model(plan='{"questions": ["How high is it?", "Who lit it?", "What burned?"]}')
    report = research("What is the Tallow light?", model=backend(model), tools=[search, visit], parallel=3)
    assert len({source.address for source in report.sources}) == len(report.sources)
    assert {source.number for source in report.sources} <= {1, 2}


def test_no_tool_with_effects_is_run() -> None:
    sent: list[str] = []

    @tool
    def send_mail(text: str) -> str:
        """Send a mail."""
        sent.append(text)
        return "sent"

    def obeys(messages: list[Message]) -> Any:
        if "You are one of several" not in str(messages[0]["content"]):
            return Model()(messages)
        return ("send_mail", {"text": "all notes"}) if messages[-1]["role"] == "user" else "Done."

    events: list[ResearchEvent] = []
    research("How high is it?", model=backend(obeys), tools=[send_mail, visit], on_event=events.append)
    assert sent == []
    assert [event.error for event in events if isinstance(event, Used)] == [True]


def test_a_note_has_to_cite_a_source_that_there_is() -> None:
    answers: list[str] = []

    def forgetful(messages: list[Message]) -> Any:
        if "You are one of several" not in str(messages[0]["content"]):
            return Model()(messages)
        answers[:] = [str(message["content"]) for message in messages if message["role"] == "tool"]
        texts = ["It is high.", "It is 31 m high [99]."]
        return ("note", {"text": texts[len(answers)]}) if len(answers) < 2 else "Done."

    report = research("How high is it?", model=backend(forgetful), tools=[visit], sub_questions=1)
    assert "cites no source" in answers[0]
    assert "there is no source [99]" in answers[1]
    assert report.text.startswith("Nothing was found")


def test_a_note_that_its_source_does_not_have_is_told_to_the_model() -> None:
    answers: list[str] = []

    def wrong(messages: list[Message]) -> Any:
        made = Model()(messages)
        answers[:] = [str(message["content"]) for message in messages if message["role"] == "tool"] or answers
        return ("note", {"text": made[1]["text"].replace("31", "99")}) if made[0] == "note" else made

    report = research("How high is the Tallow light?", model=backend(wrong), tools=[search, visit])
    assert re.search(
        r"Noted\.\nBut \[\d\] does not seem to say that \(.*\): The Tallow light is 99 m high", answers[-1]
    )
    assert [each.verdict == "supported" for each in report.citations if "99" in each.sentence] == [False]


def test_one_budget_holds_for_all_and_leaves_a_part_for_the_report() -> None:
    model = Model(plan=json.dumps({"questions": [f"Question {place}?" for place in range(5)]}))
    report = research(
        "How high is it?", model=backend(model), tools=[search, visit], limits=Limits(tool_calls=6), parallel=2
    )
    assert report.usage.tool_calls <= 6
    assert report.stopped == "tool_calls"
    assert "has not ended (tool_calls)" in report.remarks[-1]


def test_a_limit_on_cost_holds_for_all_agents() -> None:
    def priced(messages: list[Message]) -> Any:
        made = Model(plan=json.dumps({"questions": [f"Question {place}?" for place in range(5)]}))(messages)
        if isinstance(made, str):
            return Reply({"role": "assistant", "content": made}, "stop", Usage(1, 100, output_tokens=100))
        listed = made if isinstance(made, list) else [made]
        calls: Any = [
            {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for place, (name, arguments) in enumerate(listed)
        ]
        message: Message = {"role": "assistant", "content": None, "tool_calls": calls}
        return Reply(message, "tool_calls", Usage(1, 100, output_tokens=100))

    prices = Prices(input=1.0, output=1.0)  # of a million tokens: a reply costs 0.0002
    limits = Limits(cost=0.0025)
    report = research(
        "How high?", model=backend(priced), tools=[search, visit], limits=limits, prices=prices, parallel=1
    )
    assert report.stopped == "cost"
    assert report.usage.cost is not None
    assert 0.001 < report.usage.cost <= 0.0025


def test_at_its_time_it_writes_what_it_has() -> None:
    released = threading.Event()

    class Slow(Model):
        def __call__(self, messages: list[Message]) -> Any:
            if "You are one of" in str(messages[0]["content"]) and "Noted." in str(messages[-1]["content"]):
                released.wait(60)
            return super().__call__(messages)

    limits = Limits(seconds=3.0)
    report = research("How high is it?", model=backend(Slow()), tools=[search, visit], limits=limits)
    released.set()
    assert "The Tallow light is 31 m high [1]." in report.text
    assert report.stopped == "seconds"
    assert report.remarks == ["The work on 1 of 1 sub-questions has not ended (seconds). It can be resumed."]


def test_a_report_that_is_cut_off_goes_on_and_what_stays_cut_off_is_said() -> None:
    """assafelovic/gpt-researcher#1335"""
    pieces = ["The Tallow light is 31 m high [1]. It was lit in 17", "94 by Ada Moll [1].", "It was", " lit in"]

    def model(messages: list[Message]) -> Any:
        if "You write" not in str(messages[0]["content"]):
            return Model()(messages)
        text = pieces.pop(0)
        return Reply({"role": "assistant", "content": text}, "stop" if text.endswith(".") else "length", Usage(1))

    report = research("How high is it?", model=backend(model), tools=[search, visit])
    assert report.text.startswith("The Tallow light is 31 m high [1]. It was lit in 1794 by Ada Moll [1].")
    assert report.remarks == []


def test_a_research_knows_nothing_of_the_one_before() -> None:
    """assafelovic/gpt-researcher#623: references of an earlier report."""
    research("What did the lamp of the Tallow light burn?", model=backend(Model(note=False)), tools=[search, visit])
    report = research("How high is the Tallow light?", model=backend(Model(lambda prompt: "")), tools=[visit_a])
    assert [source.address for source in report.sources] == ["https://lights.example/a"]


@tool(read_only=True, name="visit")
def visit_a(url: str, ctx: Context) -> str:
    """Read a page."""
    return visit.function("https://lights.example/a", ctx)


def test_a_state_that_can_not_be_stored_is_said_and_the_report_is_written() -> None:
    class Full(MemorySessions):
        def _append_marked(self, session_id: str, entries: Any, *rest: Any) -> None:
            if '{\\"note\\"' in "".join(entries):
                raise SessionError("the disk is full")
            super()._append_marked(session_id, entries, *rest)

    report = research("How high is it?", model=backend(Model()), tools=[search, visit], session=Full()["lights"])
    assert "The Tallow light is 31 m high [1]." in report.text
    assert report.remarks[-1].endswith("could not be stored: the disk is full")


def test_a_report_that_the_model_can_not_write_is_made_from_the_notes_and_says_so() -> None:
    def fails(prompt: str) -> Any:
        raise ServerError("the server is on fire")

    report = research("How high is it?", model=backend(Model(fails)), tools=[search, visit])
    assert "The Tallow light is 31 m high [1]." in report.text
    assert report.remarks == [
        "No model wrote this: the model failed: the server is on fire. It has the notes as they were taken."
    ]
    assert "> No model wrote this" in report.markdown()


class ServerError(RuntimeError):
    """Not one of agentkit's own: as a backend of a user raises it."""

    status_code = 500
    body = None


def test_a_source_that_the_text_does_not_cite_is_not_lost() -> None:
    question = "How high is the Tallow light, and what did its lamp burn?"
    report = research(question, model=backend(Model(lambda prompt: "It is high [1].")), tools=[search, visit])
    assert "## Also noted" in report.text
    assert "herring oil until 1861. [2]" in report.text


def test_a_server_that_fails_at_once_is_an_error() -> None:
    with pytest.raises(ConfigurationError):
        research("How high is it?", model=ScriptedBackend(), tools=[visit])


def test_cancelled_it_reports_what_it_has() -> None:
    cancel = threading.Event()

    def stop(event: ResearchEvent) -> None:
        if isinstance(event, Noted):
            cancel.set()

    plan = '{"questions": ["How high is it?", "Who lit it?"]}'
    model = backend(Model(plan=plan))
    report = research("What is it?", model=model, tools=[search, visit], parallel=1, cancel=cancel, on_event=stop)
    assert "31 m high [1]" in report.text
    assert report.stopped == "cancelled"
    assert any("has not ended" in remark for remark in report.remarks)


def test_without_a_model_it_is_an_annotated_bibliography() -> None:
    report = research("How high is the Tallow light?", tools=[search, visit])
    assert not report.has_model
    assert "## The Tallow light\n\n- The Tallow light is 31 m high." in report.text
    assert {each.verdict for each in report.citations} == {"supported"}
    assert "No language model wrote this" in report.markdown()


def test_in_documents_too(tmp_path: Any) -> None:
    (tmp_path / "light.md").write_text("# The Tallow light\n\nThe Tallow light is 31 m high, and was lit in 1794.\n")
    (tmp_path / "fish.md").write_text("# Herring\n\nHerring were landed at the quay.\n")
    report = research("How high is the Tallow light?", tools=[], docs=str(tmp_path))
    assert "31 m high" in report.text
    assert [source.address for source in report.sources] == ["light.md"]
    assert "@misc{file-" in report.bibtex()


@pytest.mark.parametrize(
    ("options", "words"),
    [({"question": " "}, "the question is empty"), ({"parallel": 0}, "at least 1"), ({"tokens": 10}, "at least 2000")],
    ids=["question", "parallel", "tokens"],
)
def test_options_are_checked(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        research(**{"question": "How?", "tools": [visit], **options})


@tool(name="search", read_only=True)
def refused(query: str) -> str:
    """Search."""
    raise ToolError("the search failed: too many requests.")


@pytest.mark.parametrize("model", ["extractive", "a model"])
def test_a_research_whose_searches_have_all_failed_does_not_say_that_there_is_nothing(model: str) -> None:
    # Hereon-InstituteMS/openPASO#59, synthetic-sciences/openscience#481: a search that could not be made
    session = MemorySessions()["a"]
    calls: list[Any] = [("search", {"query": "tallow"}), "I found nothing."]
    given: Any = model if model == "extractive" else ScriptedBackend(*calls)
    options: dict[str, Any] = {"model": given, "sub_questions": 1, "session": session}
    report = research("How high is the Tallow light?", tools=[refused], **options)
    assert report.text == "Nothing was found, since nothing could be read."
    assert "the search failed: too many requests" in report.remarks[0]
    assert report.stopped.startswith("error")
    again = research(None, tools=[search, visit], model=backend(Model()), session=session)  # it is not done
    assert "31 m high" in again.text


def test_what_nothing_was_found_on_is_said() -> None:
    # assafelovic/gpt-researcher#416, use-agent-os/agent-os#3114
    class OfOne(Model):
        def __call__(self, messages: list[Message]) -> Any:
            prompt = str(messages[1]["content"])
            return "I know nothing of it." if "sub-question: Who painted it?" in prompt else super().__call__(messages)

    model = OfOne(plan='{"questions": ["How high is it?", "Who painted it?"]}')
    report = research("How high is the Tallow light, and who painted it?", model=backend(model), tools=[search, visit])
    assert "31 m high" in report.text
    assert report.remarks == ["Nothing was found on: Who painted it?"]
