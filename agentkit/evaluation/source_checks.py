"""Checks of what an answer cites, and of one that says that nothing was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from agentkit._text import in_a_line
from agentkit.batch.item import Record
from agentkit.evaluation.refusals import refuses
from agentkit.evaluation.score import Grade, Grader, right, text_of, texts_of


@dataclass(frozen=True)
class Cites(Grader):
    """Each source that the answer cites says what the answer says (docs/evidence.md), and it cites one at least. The
    value is the share of its citations that hold."""

    def grade(self, record: Record, answer: Any) -> Grade:
        cited = [each for each in _citations(record) if each.get("source") is not None]
        wrong = [each for each in cited if each.get("verdict") != "supported"]
        if not cited:
            return Grade(0.0, "cites nothing")
        return Grade(1 - len(wrong) / len(cited), "; ".join(map(_fault, wrong[:3])))


@dataclass(frozen=True)
class CitesPage(Grader):
    """The answer cites a page: of the check, or the one (or one of those) in the item. pages: an address, or the end of
    one behind a "/", such as the name of a file."""

    pages: tuple[str, ...] = ()

    @property
    def reads_answer(self) -> bool:  # type: ignore[override]
        return not self.pages

    def accept(self, answer: Any) -> None:
        if not self.pages:
            texts_of(answer)

    def grade(self, record: Record, answer: Any) -> Grade:
        wanted = self.pages or tuple(texts_of(answer))
        cited = dict.fromkeys(str(each.get("address") or "") for each in _citations(record) if each.get("source"))
        found = any(is_page(address, page) for address in cited for page in wanted)
        listed = ", ".join(address for address in cited if address)
        return right(found, f"cites {listed or 'nothing'}, not {' or '.join(wanted[:3])}")


@dataclass(frozen=True)
class Refuses(Grader):
    """The answer says in its first sentence that nothing was found, in one of a dozen languages. expected: False: it does
    not."""

    expected: bool = True

    def grade(self, record: Record, answer: Any) -> Grade:
        refused = refuses(text_of(record))
        why = "says that nothing was found" if refused else "does not say that nothing was found"
        return right(refused == self.expected, f"{why}: {in_a_line(text_of(record), 100)}")


def is_page(address: str, page: str) -> bool:
    """Whether an address is that of a page, or ends with its name."""
    found, wanted = _plain(address), _plain(page)
    if "#" not in page:
        found = found.partition("#")[0]
    found = found.rstrip("/")
    return bool(wanted) and (found == wanted or found.endswith(f"/{wanted}"))


def _plain(address: str) -> str:
    return unquote(address.strip()).replace("\\", "/").removeprefix("./").rstrip("/")


def _citations(record: Record) -> list[Mapping[str, Any]]:
    return [each for each in record.get("citations") or () if isinstance(each, Mapping)]


def _fault(citation: Mapping[str, Any]) -> str:
    reason = citation.get("reason") or citation.get("verdict") or "no verdict"
    return f'[{citation.get("source")}] {reason}: "{in_a_line(str(citation.get("sentence") or ""), 60)}"'
