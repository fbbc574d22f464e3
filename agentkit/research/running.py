"""A research: a plan, researchers in parallel under one budget, and a report whose citations are checked."""

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from queue import SimpleQueue

from agentkit._text import joined_surrogates
from agentkit.agent import Agent
from agentkit.errors import ConfigurationError
from agentkit.evidence.check import checked
from agentkit.evidence.ledger import Kept, Ledger, digest_of
from agentkit.evidence.source import Source
from agentkit.evidence.sources import Sources
from agentkit.hooks import Hook
from agentkit.limits import Budget, Limits
from agentkit.middleware.pricing import ModelPrices
from agentkit.research.assembling import assembled
from agentkit.research.bibliography import bibliography
from agentkit.research.crew import Inbox, worked
from agentkit.research.events import Planned, ResearchEvent
from agentkit.research.journal import Journal, opened, shown_id
from agentkit.research.limits import UNFINISHED, for_reading, left, reached
from agentkit.research.plan import plan_of
from agentkit.research.report import Report
from agentkit.research.researcher import Researcher, Work
from agentkit.research.writing import WRITER, Draft, Group, Writer, left_out, notes_as_sections
from agentkit.running.agent_tools import AnyTool
from agentkit.running.models import Model
from agentkit.serving.tool_loading import WEB_TOOLS, named_tools
from agentkit.session import Session
from agentkit.tools import Context

TOKENS = 40_000
"""Of one request at most."""
MAX_QUESTION = 10_000
ALSO = "Also noted"
"""The heading above the notes with a source that the model's text does not cite."""
NOTHING = "Nothing was found: no source that was read answers the question."
NOTHING_READ = "Nothing was found, since nothing could be read."
NOT_COVERED = "Nothing was found on: {questions}"
NO_MODEL = "No language model wrote this: these are the sentences of the sources that match the question best."
NOT_STORED = "This research can't be resumed, since its state could not be stored: {why}"
UNFINISHED_WORK = "The work on {count} of {all} sub-questions has not ended ({why}). It can be resumed."


@dataclass(frozen=True)
class Options:
    """How a research is done; see `research`."""

    sub_questions: int = 7
    parallel: int = 3
    turns: int = 100
    tokens: int = TOKENS

    def __post_init__(self) -> None:
        least = {"sub_questions": 1, "parallel": 1, "turns": 1, "tokens": 2_000}
        for name, smallest in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < smallest:
                raise ConfigurationError(f"research({name}={value!r}): pass a whole number of at least {smallest}")


def research(
    question: str | None,
    *,
    model: Model | Sequence[Model] = "extractive",
    tools: Iterable[AnyTool] | None = None,
    docs: str | Sequence[str] | None = None,
    limits: Limits | None = None,
    session: Session | None = None,
    sub_questions: int = 7,
    parallel: int = 3,
    turns: int = 100,
    tokens: int = TOKENS,
    hooks: Sequence[Hook] = (),
    prices: ModelPrices | None = None,
    cancel: threading.Event | None = None,
    on_event: Callable[[ResearchEvent], object] = lambda event: None,
) -> Report:
    """Research a question: a plan, sub-questions that are worked on in parallel, a report whose citations are checked.

    question: None continues the research of `session`. model: as of an Agent; "extractive" quotes instead of writing.
    tools: of each researcher, which may only read; None: search and visit. docs: a folder of documents, or several,
    whose tools are added. limits: of the whole (tokens, cost, seconds, tool_calls); a fifth is kept for the report.
    session: where the state is kept, so that what is done is not done again. sub_questions: at most; 1: no plan is
    asked for. parallel: researchers at once. turns: replies of a model for a sub-question at most. tokens: of a request
    at most.
    hooks, prices: as of an Agent. cancel: set it to end the research; what was found is in the session. on_event:
    called in this thread with what happens.

    Raises ConfigurationError for an invalid option, SessionError, and what the model server raises where nothing at all
    could be found; what fails later is said in `Report.remarks`.
    """
    options = Options(sub_questions, parallel, turns, tokens)
    question = None if question is None else checked_question(question)
    given = named_tools(WEB_TOOLS, None) if tools is None else list(tools)
    given += named_tools((), docs) if docs is not None else []
    with ExitStack() as leaving:
        journal = leaving.enter_context(opened(session, question))
        agent = Agent(model, instructions=WRITER, hooks=hooks, prices=prices, evidence="off")
        leaving.callback(agent.close)
        run = _Research(agent, given, limits or Limits(), journal, options, hooks, prices, cancel, on_event)
        return replace(run.report(), session=None if session is None else shown_id(session.id))


def checked_question(question: str) -> str:
    """A question as it is stored. Raises ConfigurationError."""
    if not 0 < len(question.strip()) <= MAX_QUESTION:
        raise ConfigurationError(f"the question is empty, or has more than {MAX_QUESTION:,} characters")
    return joined_surrogates(question.strip())


class _Research:
    """One run of a research."""

    def __init__(
        self,
        agent: Agent,
        tools: Sequence[AnyTool],
        limits: Limits,
        journal: Journal,
        options: Options,
        hooks: Sequence[Hook],
        prices: ModelPrices | None,
        cancel: threading.Event | None,
        on_event: Callable[[ResearchEvent], object],
    ) -> None:
        self._agent, self._tools, self._journal, self._options = agent, tools, journal, options
        self._hooks, self._prices, self._on_event = hooks, prices, on_event
        self._cancel = threading.Event() if cancel is None else cancel
        self._ledger = _restored(journal)
        self._budget = Budget(left(limits, journal.state.spent, journal.state.known_cost))
        journal.budget = self._budget

    def report(self) -> Report:
        """Do what is to be done, and return the report. What was spent is stored, however it ends."""
        try:
            return self._report()
        finally:
            self._journal.write()

    def _report(self) -> Report:
        state, budget = self._journal.state, self._budget
        reading = self._context(Budget(for_reading(budget.limits), parent=budget))
        inbox: Inbox = SimpleQueue()
        work = self._work(self._plan(reading), reading, inbox)
        stopped = self._researched(work, inbox)
        draft = self._draft(work, stopped)
        known = Sources(self._ledger).as_mapping()
        text, citations, sources = assembled(draft.text, known, checked)
        return Report(
            question=state.question,
            text=text or (NOTHING_READ if not known and any(map(_is_error, stopped.values())) else NOTHING),
            citations=citations,
            sources=sources,
            remarks=draft.remarks,
            stopped=next((why for why in stopped.values() if why in UNFINISHED or _is_error(why)), "answer"),
            plan=work.plan,
            usage=state.spent + budget.usage,
            at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            has_model=work.has_model,
        )

    def _context(self, budget: Budget) -> Context:
        """What the agents of this research run in: one budget, one ledger of sources."""
        return Context(
            deadline=budget.deadline(),
            end=budget.end(),
            cancel=self._cancel,
            budget=budget,
            sources=Sources(self._ledger).of_call(),
        )

    def _work(self, plan: Sequence[str], context: Context, inbox: Inbox) -> Work:
        return Work(
            self._journal.state.question,
            plan,
            self._agent.backend,
            self._tools,
            context,
            self._journal,
            inbox.put,
            self._options.tokens,
            self._options.turns,
            self._hooks,
            self._prices,
        )

    def _plan(self, context: Context) -> list[str]:
        state = self._journal.state
        is_known = bool(state.plan)
        if not is_known:
            has_model = self._agent.backend.capabilities().samples
            most = self._options.sub_questions if has_model else 1
            state.plan = plan_of(state.question, most, self._agent, context)
            if state.plan:
                self._journal.write(plan=state.plan)
        plan = state.plan or [state.question]  # the planning goes on when the research is resumed
        self._on_event(Planned(tuple(plan), is_known))
        return plan

    def _researched(self, work: Work, inbox: Inbox) -> dict[int, str]:
        """Why the work on each sub-question has stopped. Raises the first error where nothing was found at all."""
        state = self._journal.state
        stopped = dict(state.stopped)
        todo = [Researcher(work, place) for place in range(len(work.plan)) if place not in stopped]
        budget = work.context.budget
        assert budget is not None
        stops = functools.partial(reached, budget)
        ended = worked(todo, self._options.parallel, inbox, self._cancel, self._on_event, stops)
        state.notes |= {each.place: list(each.notes) for each in todo}
        stopped |= {each.place: each.stopped for each in ended}
        if not state.plan and not UNFINISHED.intersection(stopped.values()):
            self._journal.write(plan=work.plan)  # it was done without a plan
        errors = [each.error for each in ended if each.error is not None]
        if errors and not any(state.notes.values()):
            raise errors[0]
        return stopped

    def _draft(self, work: Work, stopped: dict[int, str]) -> Draft:
        state = self._journal.state
        groups = [Group(title, state.notes.get(place, ())) for place, title in enumerate(work.plan)]
        known = Sources(self._ledger).as_mapping()
        if not work.has_model:
            draft = Draft(bibliography(groups, known), [NO_MODEL] if any(group.notes for group in groups) else [])
        else:
            writer = Writer(self._agent, self._context(self._budget), self._journal, self._on_event, work.tokens)
            draft = writer.draft(state.question, [group for group in groups if group.notes])
            rest = left_out(draft.text, groups, known)
            if rest:
                draft.text += f"\n\n## {ALSO}\n\n{notes_as_sections(rest, '###')}"
        open_ones = [why for why in stopped.values() if why in UNFINISHED or _is_error(why)]
        draft.remarks += _not_covered(groups, stopped)
        if open_ones:
            why = "; ".join(dict.fromkeys(open_ones))
            draft.remarks.append(UNFINISHED_WORK.format(count=len(open_ones), all=len(work.plan), why=why))
        if self._journal.failed:
            draft.remarks.append(NOT_STORED.format(why=self._journal.failed))
        return draft


def _is_error(stopped: str) -> bool:
    return stopped.startswith("error")


def _not_covered(groups: Sequence[Group], stopped: Mapping[int, str]) -> list[str]:
    """A remark on the sub-questions that were worked on to the end without a note, if others have some."""
    missing = [
        group.title.rstrip(" .")
        for place, group in enumerate(groups)
        if not group.notes and (why := stopped.get(place)) and why not in UNFINISHED and not _is_error(why)
    ]
    is_some = missing and any(group.notes for group in groups)
    return [NOT_COVERED.format(questions="; ".join(missing))] if is_some else []


def _restored(journal: Journal) -> Ledger:
    """The sources of earlier runs, under the numbers that they have."""
    return Ledger(earlier=lambda: [kept_of(source) for source in journal.state.sources.values()])


def kept_of(source: Source) -> Kept:
    """A source as a ledger keeps it."""
    texts: dict[str, str | None] = {digest_of(text): text for text in source.texts}
    return Kept(source.number, source.address, source.title, source.read, source.at, source.also, texts)
