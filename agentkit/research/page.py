"""A report as one HTML file: no script, nothing that is loaded, everything that others wrote escaped."""

import base64
import functools
import hashlib
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from agentkit._text import in_a_line, visible
from agentkit.errors import MissingExtraError
from agentkit.evidence.citation import Citation, pages_cited
from agentkit.evidence.source import Source
from agentkit.research.addresses import web_address
from agentkit.research.assembling import UNKNOWN
from agentkit.research.bibtex import bibtex
from agentkit.research.findings import Findings
from agentkit.research.marks import behind_marks, marks_outside_code

FOLDER = Path(__file__).parent
LONG = 4
"""Headings from which on there is a table of contents."""
QUOTE = 420
"""Characters of a quotation that are shown."""
WORDS = {
    "supported": "The source says this.",
    "weak": "The source says only a part of this.",
    "not found": "Not found in the source.",
    "no source": "No source for this.",
}
COUNTED = {
    "supported": "supported",
    "weak": "partly supported",
    "not found": "not found in the source",
    "no source": "without a source",
}
SYMBOLS = {"weak": "~", "not found": "✗", "no source": "?"}
BEGIN, END, MARK, STOP = "\ue000", "\ue001", "\ue002", "\ue003"
"""In the Markdown, before it is rendered: a sentence with a verdict (BEGIN, its number, STOP ... END) and a mark (MARK,
its number, STOP). The text itself has no such characters (`agentkit.research.report.clean`)."""
_UNKNOWN = re.compile(re.escape(UNKNOWN))
_PLACES = re.compile(f"({BEGIN}\\d+{STOP}|{END}|{MARK}\\d+{STOP})")


def page(report: Findings) -> str:
    """The page."""
    style = Markup((FOLDER / "page.css").read_text(encoding="utf-8"))
    body = _Body(report)
    html = Markup(body.rendered())
    return _template().render(
        report=report,
        style=style,
        digest="sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        language=_language(report.question + report.text[:500]),
        body=html,
        contents=body.headings if len(body.headings) >= LONG else [],
        references=[
            _Reference(each, body.marks, pages_cited(report.citations, each.number)) for each in report.sources
        ],
        bibtex=bibtex(report.sources),
        counts=_counts(report.citations),
        verdicts=COUNTED,
    )


@functools.cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_seen)
    return environment.from_string((FOLDER / "page.html.jinja").read_text(encoding="utf-8"))


def _seen(value: Any) -> Any:
    return visible(value) if type(value) is str else value


def _language(text: str) -> str:
    """The language, as far as the script says it: for fonts and line breaks."""
    if re.search("[\u3040-\u30ff]", text):
        return "ja"
    if re.search("[\uac00-\ud7af]", text):
        return "ko"
    return (
        "zh"
        if re.search("[\u4e00-\u9fff]", text)
        else "und"
        if re.search("[^\x00-\u024f\u2000-\u206f]", text)
        else "en"
    )


def _counts(citations: Sequence[Citation]) -> dict[str, int]:
    """How many sentences have each verdict: the worst of their sources."""
    order = list(WORDS)
    worst: dict[tuple[int, int], int] = {}
    for each in citations:
        place = (each.start, each.end)
        worst[place] = max(worst.get(place, 0), order.index(each.verdict))
    return {verdict: count for verdict in order if (count := list(worst.values()).count(order.index(verdict)))}


@dataclass(frozen=True)
class _Mark:
    """A mark in the text. number: of the source; None for one that cites nothing. place: from 1, in the text."""

    place: int
    number: int | None
    citation: Citation | None
    source: Source | None

    @property
    def verdict(self) -> str:
        return self.citation.verdict if self.citation is not None else "supported" if self.number else "no source"

    @property
    def kind(self) -> str:
        return self.verdict.replace(" ", "-")

    @property
    def symbol(self) -> str:
        return SYMBOLS.get(self.verdict, "")

    @property
    def words(self) -> str:
        return WORDS[self.verdict] if self.citation is not None or not self.number else ""

    @property
    def reason(self) -> str:
        return self.citation.reason if self.citation is not None else ""

    @property
    def quote(self) -> str:
        return in_a_line(self.citation.quote, QUOTE) if self.citation is not None else ""

    @property
    def title(self) -> str:
        return (self.source.title or self.source.address) if self.source is not None else ""

    @property
    def address(self) -> str:
        return web_address(self.source.address) if self.source is not None else ""

    @property
    def host(self) -> str:
        return re.sub(r"^\w+:(?://)?(?:www\.)?|[/?#].*$", "", self.address)


class _Reference:
    """A source in the list of references, with the marks that cite it, and its pages that they are from."""

    def __init__(self, source: Source, marks: Sequence[_Mark], pages: str) -> None:
        self.source = source
        self.pages = pages
        self.address = web_address(source.address)
        self.marks = [mark for mark in marks if mark.number == source.number]
        self.date = source.at[:10]


class _Body:
    """The text of a report as HTML. headings: (level, id, text) of each."""

    def __init__(self, report: Findings) -> None:
        self._report = report
        self._sources = {each.number: each for each in report.sources}
        self._sentences: list[str] = []
        self.marks: list[_Mark] = []
        self.headings: list[tuple[int, str, str]] = []
        self._in_sentence = ""

    def rendered(self) -> str:
        """The HTML. Raises MissingExtraError."""
        try:
            from markdown_it import MarkdownIt
        except ImportError:
            raise MissingExtraError("a report as HTML", "cli") from None
        parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
        parser.disable(["image", "link", "autolink", "reference", "html_block", "html_inline", "entity"])
        rules: Any = parser.renderer
        rules.rules |= {"text": self._text, "code_inline": self._code, "heading_open": self._heading}
        rules.rules |= {"fence": self._block, "code_block": self._block}
        return str(parser.render(self._with_places()))

    def _with_places(self) -> str:
        """The Markdown with places for marks and sentences."""
        text = self._report.text
        inserted: list[tuple[int, int, str]] = []
        sentences = _Sentences(text, self._report.citations)
        for start, end, found in sentences:
            verdict = max((each.verdict for each in found), key=list(WORDS).index)
            if verdict != "supported":
                self._sentences.append(verdict)
                inserted += [(start, 1, f"{BEGIN}{len(self._sentences) - 1}{STOP}"), (end, 0, END)]
                if all(each.source is None for each in found) and UNKNOWN not in text[start:end]:
                    self.marks.append(_Mark(len(self.marks) + 1, None, found[0], None))
                    inserted.append((end, -1, f"{MARK}{len(self.marks) - 1}{STOP}"))
        return _inserted(text, inserted, self._marks_of(text, sentences))

    def _marks_of(self, text: str, sentences: "_Sentences") -> list[tuple[int, int, str]]:
        """Where marks stand, and what stands there instead."""
        found: list[tuple[int, int, tuple[int | None, ...]]] = []
        found += [(mark.start, mark.end, mark.numbers) for mark in marks_outside_code(text, self._sources)]
        found += [(each.start(), each.end(), (None,)) for each in _UNKNOWN.finditer(text)]
        made = []
        for begin, end, numbers in sorted(found):
            places = ""
            for number in numbers:
                source = None if number is None else self._sources.get(number)
                citation = sentences.at(begin, number)
                self.marks.append(_Mark(len(self.marks) + 1, number if source else None, citation, source))
                places += f"{MARK}{len(self.marks) - 1}{STOP}"
            has_space = begin > 0 and text[begin - 1] == " "
            made.append((begin - has_space, end, places))
        return made

    def _text(self, tokens: Any, index: int, options: Any, environment: Any) -> str:
        return self._placed(tokens[index].content)

    def _placed(self, content: str) -> str:
        """Text with the marks and sentences at their places; each piece of a sentence is an element of its own, so that
        it is nested rightly whatever stands around it."""
        made = []
        for piece in _PLACES.split(content):
            if piece.startswith(BEGIN):
                self._in_sentence = self._sentences[int(piece[1:-1])].replace(" ", "-")
            elif piece == END:
                self._in_sentence = ""
            elif piece.startswith(MARK):
                made.append(_mark(self.marks[int(piece[1:-1])]))
            elif piece:
                own = f'<span class="said {self._in_sentence}">' if self._in_sentence and piece.strip() else ""
                made.append(f"{own}{escape(visible(piece))}{'</span>' if own else ''}")
        return "".join(made)

    def _code(self, tokens: Any, index: int, options: Any, environment: Any) -> str:
        return f"<code>{self._placed(tokens[index].content)}</code>"

    def _block(self, tokens: Any, index: int, options: Any, environment: Any) -> str:
        return f"<pre><code>{self._placed(tokens[index].content)}</code></pre>\n"

    def _heading(self, tokens: Any, index: int, options: Any, environment: Any) -> str:
        level = min(6, max(2, int(tokens[index].tag[1])))
        tokens[index].tag = tokens[index + 2].tag = f"h{level}"
        place = f"h{len(self.headings) + 1}"
        self.headings.append((level, place, _PLACES.sub("", _plain(tokens[index + 1]))))
        return f'<h{level} id="{place}">'


def _plain(inline: Any) -> str:
    return "".join(each.content for each in inline.children or ())


class _Sentences:
    """The citations of the sentences of a text, by where each begins and ends with its marks."""

    def __init__(self, text: str, citations: Sequence[Citation]) -> None:
        self._by_place: dict[tuple[int, int], list[Citation]] = {}
        for each in citations:
            self._by_place.setdefault((each.start, behind_marks(text, each.end)), []).append(each)
        self._places = sorted(self._by_place)

    def __iter__(self) -> Iterator[tuple[int, int, list[Citation]]]:
        return ((*place, self._by_place[place]) for place in self._places)

    def at(self, place: int, number: int | None) -> Citation | None:
        """The citation of a source in the sentence that a mark stands in, or at the end of."""
        last = bisect_right(self._places, (place, sys.maxsize))
        around = [each for each in self._places[max(0, last - 3) : last] if each[1] >= place]
        return next((each for found in around for each in self._by_place[found] if each.source == number), None)


def _inserted(text: str, added: Sequence[tuple[int, int, str]], replaced: Sequence[tuple[int, int, str]]) -> str:
    """A text with some pieces replaced and others added. added: place, order at that place, what."""
    changes = [(place, 0, order, place, what) for place, order, what in added]
    changes += [(begin, 1, 0, end, what) for begin, end, what in replaced]
    made, last = [], 0
    for place, _, _, end, what in sorted(changes):
        if place < last:  # inside of a mark
            place = end = last
        made += [text[last:place], what]
        last = max(last, end)
    return "".join([*made, text[last:]])


def _mark(mark: _Mark) -> str:
    """A mark: a link to the reference, a button where one taps, and a card with the quotation."""
    label = str(mark.number) if mark.number else "no source"
    shown = f"{escape(label)}{f'<i>{mark.symbol}</i>' if mark.symbol and mark.number else ''}"
    link = (
        f'<a href="#s{mark.number}" aria-describedby="q{mark.place}">{shown}</a>'
        if mark.number
        else f'<a tabindex="0" aria-describedby="q{mark.place}">{shown}</a>'
    )
    button = f'<button type="button" popovertarget="q{mark.place}">{shown}</button>'
    return f'<span class="cite {mark.kind}" id="c{mark.place}">{link}{button}{_card(mark)}</span>'


def _card(mark: _Mark) -> str:
    parts = [f'<span class="verdict">{escape(mark.words)}</span>' if mark.words else ""]
    if mark.quote:
        parts.append(f'<q dir="auto">{escape(visible(mark.quote))}</q>')
    if mark.reason:
        parts.append(f'<span class="reason">{escape(visible(mark.reason))}</span>')
    if mark.source is not None:
        title = escape(visible(in_a_line(mark.title, 160)))
        where = f' <span class="host">{escape(mark.host)}</span>' if mark.host else ""
        page = f", p. {mark.citation.page}" if mark.citation is not None and mark.citation.page else ""
        to = f'<a href="#s{mark.number}">{title}</a>{where}{page}'
        parts.append(f'<span class="of" dir="auto"><b>{mark.number}</b> {to}</span>')
    return f'<span class="card" id="q{mark.place}" popover role="note">{"".join(parts)}</span>'
