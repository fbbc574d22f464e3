"""Requests of a researcher do not grow, and no citation is lost on the way to the report."""

import itertools
import json
import re
from typing import Any

from agentkit import Context, tool
from agentkit.backend import ReplyStream, Request
from agentkit.message import Message
from agentkit.research import Noted, ResearchEvent, research
from agentkit.research.marks import numbers_cited
from agentkit.research.notes import Note, Notebook, lines_within
from agentkit.testing import ScriptedBackend
from agentkit.testing.scripted import Recorded

BYTES_PER_TOKEN = 3.0
"""Fewer than the agent's own estimate of 3.5, so that the count is on the safe side."""
FILLER = (
    "Herring were landed at the quay, salted there, and sold inland until the railway came to the valley. " * 3 + "\n\n"
) * 5


def tokens_of(request: Recorded) -> float:
    """The tokens of a request, of its messages and its tools."""
    return (len(request.body) + len(json.dumps(request.tools))) / BYTES_PER_TOKEN


@tool(read_only=True)
def visit(url: str, ctx: Context) -> str:
    """Read a page."""
    place = int(url.rpartition("/")[2])
    text = f"{FILLER}Lighthouse {place} of the Tallow coast is {place + 3000} cubits high.\n\n{FILLER}"
    return f"[{ctx.source(url, f'Light {place}', text)}] Light {place}\nsource: {url}\n\n{text}"


def fact(place: int) -> str:
    return f"Lighthouse {place} of the Tallow coast is {place + 3000} cubits high"


class Tireless:
    """A model of 500 steps, which reads a page, notes it, and so on; of each tenth page it forgets the note."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.step = 0

    def __call__(self, messages: list[Message]) -> Any:
        if "You write" in str(messages[0]["content"]):
            return "\n".join(f"{line}." for line in re.findall(r"^- (.*?\[\d+\])", str(messages[-1]["content"]), re.M))
        self.step += 1
        if self.step > self.steps:
            return "That is all."
        page = (self.step + 1) // 2
        if self.step % 2 or page % 10 == 0:
            return "visit", {"url": f"https://lights.example/{page}-{self.step}/{page}"}
        number = re.findall(r"\[(\d+)\] Light", str(messages[-1]["content"]))[-1]
        return "note", {"text": f"{fact(page)} [{number}]."}


def test_500_steps_fit_40_000_tokens_and_every_citation_stands_in_the_report() -> None:
    model = Tireless(500)
    backend = ScriptedBackend(*[model] * 600)
    noted: list[ResearchEvent] = []
    report = research(
        "How high are the lighthouses of the Tallow coast?",
        model=backend,
        tools=[visit],
        sub_questions=1,
        turns=1000,
        on_event=noted.append,
    )
    taken = [event for event in noted if isinstance(event, Noted)]
    assert model.step > 500
    assert sum(not event.automatic for event in taken) == 225
    assert len({number for event in taken for number in numbers_cited(event.text)}) > 225
    assert max(map(tokens_of, backend.requests)) <= 40_000
    for event in taken:
        for place in re.findall(r"^Lighthouse (\d+) ", event.text):
            assert re.search(rf"{fact(int(place))}.*? ?\[\d+\]", report.text), place
    assert [source.number for source in report.sources] == list(range(1, len(report.sources) + 1))
    assert {each.verdict for each in report.citations} == {"supported"}


def test_within_a_round_each_request_begins_with_the_bytes_of_the_one_before() -> None:
    backend = ScriptedBackend(*[Tireless(40)] * 50)
    research("How high are they?", model=backend, tools=[visit], sub_questions=1, turns=100, tokens=8_000)
    bodies = [request.body for request in backend.requests if b"You are one of several researchers" in request.body]
    begun_anew = sum(not after.startswith(before) for before, after in itertools.pairwise(bodies))
    assert 0 < begun_anew < len(bodies) / 4


class TooLongError(RuntimeError):
    status_code = 400
    body: Any = None


class Small(ScriptedBackend):
    """A model with a window of 12,000 bytes."""

    def reply(self, request: Request) -> ReplyStream:
        if len(request.transcript.encoded()) > 12_000:
            raise TooLongError("This model's maximum context length is 4096 tokens, however you requested more")
        return super().reply(request)


def test_a_server_with_a_small_window_gets_shorter_requests() -> None:
    """browser-use/web-ui#278: what was found is lost when a prompt gets too long."""
    model = Tireless(20)
    backend = Small(*[model] * 40)
    report = research("How high are the lighthouses?", model=backend, tools=[visit], sub_questions=1)
    assert report.remarks == []
    assert model.step > 20
    assert len(report.sources) >= 9


def test_notes_that_are_too_many_for_a_prompt_keep_their_numbers() -> None:
    notes = [f"{'a fact of a long sentence ' * 8} number {place} [{place}]." for place in range(1, 301)]
    lines = lines_within(notes, 20_000)
    assert sum(len(line.encode()) + 1 for line in lines) <= 20_000
    assert lines[-1] == f"- {notes[-1]}"
    text = "\n".join(lines)
    covered = set(numbers_cited(text))
    for first, last in re.findall(r"\[(\d+)\]-\[(\d+)\]", text):
        covered |= set(range(int(first), int(last) + 1))
    assert covered == set(range(1, 301))


def test_a_note_is_kept_once() -> None:
    notebook = Notebook()
    assert notebook.add(Note("It is 31 m high [1]."))
    assert not notebook.add(Note("It is  31 m high [1]"))
    assert len(notebook) == 1
