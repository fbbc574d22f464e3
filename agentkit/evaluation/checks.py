"""Checks: what an answer has to be, as a text or an object says it, and the score that an answer gets."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentkit._text import in_a_line
from agentkit.agent import Agent
from agentkit.batch.item import Record
from agentkit.errors import ConfigurationError
from agentkit.evaluation.call_checks import (
    MATCHES,
    Arguments,
    Called,
    CalledInOrder,
    NotCalled,
    OnlyCalled,
    Times,
)
from agentkit.evaluation.check_specs import Options, as_options, near
from agentkit.evaluation.choice_checks import Choice
from agentkit.evaluation.json_checks import Json, check_paths, check_schema
from agentkit.evaluation.judging import Judge, Judged
from agentkit.evaluation.python_checks import Python, function_of
from agentkit.evaluation.regexes import check_regex, flags_of
from agentkit.evaluation.score import MOST_WHY, CheckError, Grade, Grader, NoVerdictError, is_share, why_missing
from agentkit.evaluation.score import Score as Score
from agentkit.evaluation.script_rules import RULES
from agentkit.evaluation.source_checks import Cites, CitesPage, Refuses
from agentkit.evaluation.spent_checks import SPENT, Spent
from agentkit.evaluation.text_checks import F1, OWN, WHICH, Contains, Exact, Lacks, Number, Regex
from agentkit.evaluation.values import Tolerance
from agentkit.running.models import Model
from agentkit.tools import Tool

LEAST = {"f1": 0.5, "judge": 0.5}
"""From which value on an answer passes a check that says nothing of it; 1 for all others."""


@dataclass(frozen=True)
class Check:
    """One check of an answer.

    name: under which its scores stand. kind: what it does ("f1"). grader: what looks at the answer. least: the value
    from which on an answer passes. column: the column of the set that has the right answer, "" for "answer". line: of
    the set where it stands, 0 for none.
    """

    name: str
    kind: str
    grader: Grader
    least: float = 1.0
    column: str = ""
    line: int = 0

    @property
    def needs(self) -> frozenset[str]:
        """What has to be kept of a run beside its answer: "tool_calls", "messages"."""
        return self.grader.needs

    @property
    def reads(self) -> str:
        """The column of the set that each item with this check has to have: "answer", another, or "" for none."""
        return (self.column or "answer") if self.grader.reads_answer else self.column

    @property
    def is_graded(self) -> bool:
        """Whether an answer may be partly right."""
        return self.kind in ("f1", "judge", "python", "json", "contains", "cites", "called_in_order")

    def accept(self, answer: Any, columns: Mapping[str, Any] | None = None) -> None:
        """Raises CheckError for an item on which the check can't be made: look at all before asking anything.

        answer: its right answer, None for none. columns: its others.
        """
        answer = self._expected(answer, columns or {})
        if self.reads:
            try:
                self.grader.accept(answer)
            except ConfigurationError as error:
                raise self._error(error, "") from None

    def score(self, record: Record, answer: Any = None) -> Score:
        """The score of an answer. record: of a batch. answer: the right one of its item, None for none.

        An answer that there is not counts 0. Raises CheckError when the check can't be made, which is no score.
        """
        missing = why_missing(record)
        if missing:
            return Score(0.0, False, f"no answer: {missing}", missing=True)
        columns = record.get("item")
        try:
            answer = self._expected(answer, columns if isinstance(columns, Mapping) else {})
            grade = self.grader.grade(record, answer)
        except Exception as error:
            raise self._error(error, str(record.get("id") or "")) from error
        return self._scored(grade, record)

    def asked(self, record: Record, answer: Any = None) -> str:
        """What a model is asked for the score of an answer (see `Grader.asked`). Raises CheckError as `score` does."""
        columns = record.get("item")
        expected = self._expected(answer, columns if isinstance(columns, Mapping) else {})
        return self.grader.asked(record, expected)

    def _expected(self, answer: Any, columns: Mapping[str, Any]) -> Any:
        if self.column and self.column not in columns:
            raise self._error(ConfigurationError(f"there is no column {self.column!r}"), "")
        return columns[self.column] if self.column else answer

    def _scored(self, grade: Grade, record: Record) -> Score:
        if not is_share(grade.value):
            raise self._error(CheckError(f"its value is {grade.value!r}, and not 0 to 1"), str(record.get("id") or ""))
        why = in_a_line(grade.why, MOST_WHY)
        asked = (grade.asked,) if grade.asked else ()
        return Score(round(grade.value, 6), grade.value >= self.least - 1e-9, why, spent=grade.spent, asked=asked)

    def _error(self, error: Exception, item: str) -> CheckError:
        if isinstance(error, CheckError) and str(error).startswith("check "):
            return error
        what = str(error) if isinstance(error, ConfigurationError) else f"{type(error).__name__}: {error}"
        where = [f"item {item}"] * bool(item) + [f"line {self.line}"] * bool(self.line)
        place = f" ({', '.join(where)})" if where else ""
        made = NoVerdictError if isinstance(error, NoVerdictError) else CheckError
        return made(f"check {self.name}{place}: {in_a_line(what, 500)}")


@dataclass(frozen=True)
class Known:
    """What checks may name. tools: by the names of the agent's tools their schemas, None where one is not known; None:
    the tools are not known. columns: of the set; None: not known. judge: the model that judges."""

    tools: Mapping[str, Mapping[str, Any] | None] | None = None
    columns: Collection[str] | None = None
    judge: Judge | None = None

    @classmethod
    def of(
        cls,
        tools: "Iterable[Tool[..., Any] | str] | None" = None,
        columns: Collection[str] | None = None,
        judge: "Judge | Agent | Model | None" = None,
    ) -> "Known":
        """What there is. judge: a Judge is shared by all checks; from anything else one is made."""
        made = judge if isinstance(judge, Judge) or judge is None else Judge(judge)
        if tools is None:
            return cls(None, columns, made)
        described: dict[str, Mapping[str, Any] | None] = {
            each.name if isinstance(each, Tool) else each: each.parameters if isinstance(each, Tool) else None
            for each in tools
        }
        return cls(described, columns, made)

    def tool(self, name: Any) -> str:
        """The name of a tool. Raises ConfigurationError for an unknown one."""
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"a tool is named by a text, not {in_a_line(repr(name), 60)}")
        if self.tools is not None and name not in self.tools:
            what = near(name, self.tools) or ": the agent has no tools"
            raise ConfigurationError(f"there is no tool {name!r}{what}")
        return name

    def column(self, name: str) -> str:
        """The name of a column. Raises ConfigurationError for an unknown one."""
        if name and self.columns is not None and name not in self.columns:
            raise ConfigurationError(f"there is no column {name!r}{near(name, self.columns)}")
        return name


def parse_check(
    spec: str | Mapping[str, Any],
    tools: "Iterable[Tool[..., Any] | str] | None" = None,
    *,
    columns: Collection[str] | None = None,
    line: int = 0,
    judge: "Judge | Agent | Model | None" = None,
    known: Known | None = None,
) -> Check:
    """The check that a text or an object names (docs/evaluation.md has all of them).

    spec: "f1", "f1>=.6", "number~1%", "calls<=5", "contains: Paris", or {"check": "called", "tool": ...}. tools: those
    of the agent, or their names; None: any may be named. columns: those of the set; None: any may be named. line: of
    the set where it stands, for messages. judge: the model for `judge` where the check names none. known: these
    instead, for many checks.

    Raises ConfigurationError, with the line, for a check, an option, a tool or a column that there is not.
    """
    try:
        given = as_options(spec)
        return _made(given, known or Known.of(tools, columns, judge), line)
    except ConfigurationError as error:
        shown = in_a_line(spec if isinstance(spec, str) else repr(spec), 80)
        raise ConfigurationError(f"{f'line {line}: ' if line else ''}check {shown}: {error}") from None


def kinds() -> Sequence[str]:
    """The names of all checks."""
    return tuple(_MAKERS)


def _made(given: Mapping[str, Any], known: Known, line: int) -> Check:
    kind = str(given["check"])
    if kind not in _MAKERS:
        raise ConfigurationError(f"there is no check {kind!r}{near(kind, _MAKERS)}")
    options = Options(given, kind)
    name, column = options.text("name") or kind, known.column(options.text("column"))
    grader = _MAKERS[kind](options, known)
    least = None if kind in SPENT else options.number("least")
    options.done()
    if least is not None and not 0 < least <= 1:
        raise ConfigurationError(f"{kind}>={least:g}: a value is 0 to 1, such as .6")
    if column and not grader.reads_answer and kind not in ("python", "judge"):
        raise ConfigurationError(f"{kind} with a value of its own reads no column")
    return Check(name, kind, grader, LEAST.get(kind, 1.0) if least is None else least, column, line)


def _rule(options: Options) -> str:
    rule, known = options.text("rule", OWN), (OWN, *RULES)
    if rule not in known:
        raise ConfigurationError(f"rule is one of {', '.join(known)}, not {rule!r}")
    return rule


def _contains(options: Options, known: Known) -> Grader:
    return Contains(options.texts("text", main=True), options.flag("raw"))


def _lacks(options: Options, known: Known) -> Grader:
    return Lacks(options.texts("text", main=True), options.flag("raw"))


def _regex(options: Options, known: Known) -> Grader:
    expressions, flags = options.texts("pattern", main=True), flags_of(options.text("flags"))
    for each in expressions:
        check_regex(each, flags)
    return Regex(expressions, flags, options.flag("whole"))


def _number(options: Options, known: Known) -> Grader:
    within, which = options.take("within"), options.text("which", "answer")
    if which not in WHICH:
        raise ConfigurationError(f"which is one of {', '.join(WHICH)}, not {which!r}")
    tolerance = Tolerance() if within is None else Tolerance.read(within)
    check = Number(options.take("number", main=True), tolerance, which)
    if not check.reads_answer:
        check.accept(None)
    return check


def _choice(options: Options, known: Known) -> Grader:
    choices, picked = options.take("choices", main=True), options.text("text")
    if isinstance(choices, str):
        choices = [each.strip() for each in choices.replace("|", ",").split(",") if each.strip()]
    if isinstance(choices, Mapping):
        made = {str(label): str(text) for label, text in choices.items()}
    else:
        made = {str(each): "" for each in choices} if isinstance(choices, list) else {}
    if len(made) < 2:
        raise ConfigurationError('choice needs choices: "choice: A, B, C", or {"A": "Paris", "B": "Rome"}')
    check = Choice(made, picked)
    if picked:
        check.accept(None)
    return check


def _json(options: Options, known: Known) -> Grader:
    schema, paths = options.take("schema"), options.take("paths")
    equals = options.flag("equals")
    return Json({} if schema is None else check_schema(schema), {} if paths is None else check_paths(paths), equals)


def _called(options: Options, known: Known) -> Grader:
    tool = known.tool(options.take("tool", main=True))
    one_of, match = options.take("one_of", {}), options.text("match", "subset")
    given: Any = options.take("arguments", {} if one_of else "ignore")
    if isinstance(given, str):  # only how they are compared
        given, match = {}, given
    if match not in MATCHES or not isinstance(given, Mapping) or not _is_lists(one_of):
        raise ConfigurationError(
            f'arguments is an object, match is one of {", ".join(MATCHES)}, and one_of is {{"name": [values]}}'
        )
    schema = (known.tools or {}).get(tool)
    arguments = Arguments(tool, schema, given, match, one_of, options.flag("loose"))
    arguments.check()
    times = options.take("times")
    return Called(arguments, Times() if times is None else Times.read(times))


def _is_lists(one_of: Any) -> bool:
    return isinstance(one_of, Mapping) and all(isinstance(each, list) and each for each in one_of.values())


def _tools(options: Options, known: Known, *, may_be_empty: bool = False) -> tuple[str, ...]:
    names = options.texts("tools", main=True, split=True)
    if not names and not may_be_empty:
        raise ConfigurationError("it needs the names of tools")
    return tuple(map(known.tool, names))


def _judge(options: Options, known: Known) -> Grader:
    rubric, model = options.text("rubric", main=True), options.text("model")
    judge = Judge(model) if model else known.judge
    if not rubric.strip():
        raise ConfigurationError('judge needs a rubric: {"check": "judge", "rubric": "It names the year."}')
    if judge is None:
        raise ConfigurationError('judge needs a model of its own: {"model": "openai:..."}, or `--judge MODEL`')
    return Judged(judge, rubric)


def _python(options: Options, known: Known) -> Grader:
    reference = options.text("function", main=True)
    return Python(function_of(reference), reference)


def _spent(what: str) -> Callable[[Options, Known], Grader]:
    def make(options: Options, known: Known) -> Grader:
        most = options.number("most")
        if most is None:
            raise ConfigurationError(f"{what} needs its most: {what}<=5")
        return Spent(what, most)

    return make


_MAKERS: dict[str, Callable[[Options, Known], Grader]] = {
    "exact": lambda options, known: Exact(options.texts("text", main=True), _rule(options)),
    "contains": _contains,
    "lacks": _lacks,
    "regex": _regex,
    "choice": _choice,
    "f1": lambda options, known: F1(options.texts("text", main=True), _rule(options)),
    "number": _number,
    "json": _json,
    "cites": lambda options, known: Cites(),
    "cites_page": lambda options, known: CitesPage(options.texts("page", main=True)),
    "refuses": lambda options, known: Refuses(options.flag("expected", True)),
    "called": _called,
    "not_called": lambda options, known: NotCalled(_tools(options, known, may_be_empty=True)),
    "called_in_order": lambda options, known: CalledInOrder(_tools(options, known)),
    "only_called": lambda options, known: OnlyCalled(_tools(options, known)),
    **{what: _spent(what) for what in SPENT},
    "judge": _judge,
    "python": _python,
}
