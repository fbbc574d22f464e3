"""An evaluation as JUnit's XML, which the test reports of CI servers are made of.

Each answer of the agent that is evaluated is a test case: a failure where a check is not passed, and an error where
there is no answer. Whether the evaluation as a whole is good enough is said by its thresholds, not by this.
"""

import re
from xml.etree import ElementTree

from agentkit._text import in_a_line
from agentkit.evaluation.running import Evaluation
from agentkit.evaluation.scores import Outcome
from agentkit.net.repeats import joined_id

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MESSAGE = 500


def junit(evaluation: Evaluation) -> str:
    """The evaluation as JUnit's XML."""
    first = evaluation.first
    cases = [_case(evaluation.set, each) for each in first.outcomes]
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "time": f"{sum(each.seconds or 0.0 for each in first.outcomes):.3f}",
    }
    top = ElementTree.Element("testsuites", {"name": _xml(evaluation.set), **counts})
    suite = ElementTree.SubElement(top, "testsuite", {"name": _xml(first.name), **counts})
    if evaluation.at:
        suite.set("timestamp", evaluation.at[:19])
    suite.extend(cases)
    ElementTree.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(top, encoding="unicode")}\n'


def _case(set_: str, outcome: Outcome) -> ElementTree.Element:
    name = _xml(joined_id(outcome.item, outcome.repeat))
    case = ElementTree.Element("testcase", {"classname": _xml(set_), "name": name})
    if outcome.seconds is not None:
        case.set("time", f"{outcome.seconds:.3f}")
    failed = {name: score.why for name, score in outcome.scores.items() if not score.passed}
    if outcome.missing:
        _add(case, "error", outcome.missing, outcome.error or "there is no answer", outcome)
    elif failed:
        why = "; ".join(f"{name}: {why}" if why else name for name, why in failed.items())
        _add(case, "failure", ", ".join(failed), why, outcome)
    return case


def _add(case: ElementTree.Element, tag: str, kind: str, message: str, outcome: Outcome) -> None:
    made = ElementTree.SubElement(case, tag, {"type": _xml(kind), "message": _xml(in_a_line(message, _MESSAGE))})
    texts = {"question": outcome.question, "right answer": outcome.expected, "answer": outcome.output}
    made.text = _xml("\n".join(f"{what}: {text}" for what, text in texts.items() if text))


def _xml(text: str) -> str:
    """A text without the characters that XML can't have."""
    return _NO_XML.sub("\ufffd", text)
