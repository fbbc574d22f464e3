"""Whether a text ends inside a quotation: where a model only shows what somebody else wrote.

Markdown's code fences, code spans, indented code and block quotes (CommonMark 0.31, sections 4.4, 4.5, 5.1 and 6.1),
quotation marks of any language, and HTML's elements for code and quotations. In doubt a quotation is still open; an odd
quotation mark, apostrophe or backtick counts up to the end of its paragraph.
"""

import re

_LIST_MARKERS = r"(?:(?:[-*+]|\d{1,9}[.)])[ \t]+){0,4}"
_BLOCK_QUOTE = re.compile(rf"[ \t]*{_LIST_MARKERS}>")
_FENCE = re.compile(rf"[ \t]*{_LIST_MARKERS}(`{{3,}}|~{{3,}})")
_INDENTED = re.compile(r"(?: {4}| {0,3}\t)")
_INLINE = re.compile(
    r"""(?P<escaped>\\.)|(?P<ticks>`+)|(?P<mark>["'“”„«»‘’‚「」『』‹›])"""
    r"""|<(?P<end>/?)(?:blockquote|pre|code|samp|q)\b[^<>]*>""",
    re.DOTALL | re.IGNORECASE,
)
_CLOSED_BY = {
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "‘": "’",
    "‚": "‘’",
    "「": "」",
    "『": "』",
    "‹": "›",
    "›": "‹",
    '"': '"',
    "'": "'",
}
_TO_PARAGRAPHS_END = "\"'‘"
_DEEPEST = 50
"""So many quotations inside each other are told apart; with more, all stay open."""
_BEFORE_OPENING = "([{<—–-:=>,;/|*_\"'“„«‘‚「『"


class Quotation:
    """Is fed a text in pieces of any size, and takes it apart when it is asked; linear in the text's length."""

    def __init__(self) -> None:
        self._pending: list[str] = []
        self._lead: str | None = ""  # white space at the beginning of a line; None behind it
        self._is_blank = True
        self._follows_blank = False
        self._fence = ""
        self._on_fence_line = False
        self._in_block_quote = False
        self._in_indented = False
        self._ticks = 0
        self._marks: list[str] = []
        self._elements = 0
        self._last = self._last_visible = ""
        self._may_close = False
        self._holds_markup = False

    def feed(self, text: str) -> None:
        """Take in the next piece."""
        self._pending.append(text)

    @property
    def is_open(self) -> bool:
        """Whether what comes next stands inside a quotation of any kind."""
        return self.is_code or self._in_block_quote or bool(self._marks) or self._elements > 0

    @property
    def is_code(self) -> bool:
        """Whether it stands inside a fence, a code span or indented code."""
        self._catch_up()
        return bool(self._fence) or self._ticks > 0 or self._in_indented

    @property
    def follows_mark(self) -> bool:
        """Whether it stands directly behind a quotation mark or a backtick."""
        self._catch_up()
        return self._last == "`" or self._last in _CLOSED_BY

    def keep(self) -> None:
        """The quotation has markup in it: it goes on to its own end, not only to that of the paragraph."""
        self._holds_markup = True

    def _catch_up(self) -> None:
        lines = "".join(self._pending).split("\n")
        self._pending.clear()
        for place, line in enumerate(lines):
            if place:
                self._end_line()
            if line:
                self._read(line)
        if self._lead is not None:
            self._begin_line(self._lead)

    def _read(self, text: str) -> None:
        self._last = text[-1]
        self._last_visible = text.rstrip()[-1:] or self._last_visible
        self._may_close = False
        if self._lead is not None:
            text = self._lead + text
            if text.isspace():
                self._lead = text
                return
            self._begin_line(text)
        elif self._on_fence_line and self._fence in text:  # a code span of many backticks after all
            text = text.partition(self._fence)[2].lstrip("`")
            self._fence, self._on_fence_line = "", False
            self._read_inline(text)
        elif not (self._fence or self._in_block_quote):
            self._read_inline(text)

    def _begin_line(self, line: str) -> None:
        self._lead, self._is_blank = None, False
        fence = _FENCE.match(line)
        if self._fence:
            self._may_close = bool(fence and fence[1].startswith(self._fence) and not line[fence.end() :].strip())
            if self._may_close and not self._holds_markup:  # else the markup may have fences of its own
                self._fence = ""
            return
        if _BLOCK_QUOTE.match(line) or (self._in_block_quote and self._holds_markup):
            self._in_block_quote = True
            return
        if fence and (fence[1][0] == "~" or "`" not in line[fence.end() :]):
            self._in_block_quote = False
            self._fence, self._on_fence_line = fence[1], True
            return
        self._in_indented = _INDENTED.match(line) is not None and (self._in_indented or self._follows_blank)
        if not self._in_block_quote:  # else it goes on with the paragraph of the quotation
            self._read_inline(line)

    def _end_line(self) -> None:
        if self._may_close:
            self._fence, self._may_close, self._holds_markup = "", False, False
        if self._is_blank:
            self._end_paragraph()
        self._follows_blank = self._is_blank
        self._lead, self._is_blank = "", True
        self._on_fence_line = False
        self._last = "\n"

    def _end_paragraph(self) -> None:
        if self._in_block_quote and self._last_visible != ">":
            self._in_block_quote = self._holds_markup = False
        is_just_opened = self._last_visible == "`" or self._last_visible in _CLOSED_BY
        if not (self._holds_markup or is_just_opened):
            self._ticks = 0
            self._marks = [mark for mark in self._marks if mark not in _TO_PARAGRAPHS_END]

    def _read_inline(self, text: str) -> None:
        for found in _INLINE.finditer(text):
            if found["ticks"]:
                self._meet_ticks(len(found["ticks"]))
            elif self._ticks or found["escaped"]:
                continue
            elif found["mark"]:
                self._meet_mark(found["mark"], text, found.start())
            else:
                self._elements = max(0, self._elements + (-1 if found["end"] else 1))
        if not (self._ticks or self._marks or self._elements):
            self._holds_markup = False

    def _meet_ticks(self, count: int) -> None:
        if not self._ticks:
            self._ticks = count
        elif self._ticks == count:
            self._ticks = 0

    def _meet_mark(self, mark: str, text: str, place: int) -> None:
        if len(self._marks) >= _DEEPEST:
            return
        before, after = text[place - 1 : place], text[place + 1 : place + 2]
        is_behind_word = before.isalnum()
        if self._marks and mark in _CLOSED_BY.get(self._marks[-1], "") and not self._opens_inside(mark, before, after):
            is_apostrophe = mark in "'’" and is_behind_word and after.isalnum()
            self._marks[-1:] = self._marks[-1:] if is_apostrophe else []
        elif self._may_open(mark, before, after):
            self._marks.append(mark)

    @staticmethod
    def _may_open(mark: str, before: str, after: str) -> bool:
        """before, after: the letters beside it. A straight mark behind a word closes something or is an inch."""
        if mark not in _TO_PARAGRAPHS_END:
            return mark in _CLOSED_BY
        return not before.strip() or not (before.isalnum() or after.isspace())

    @staticmethod
    def _opens_inside(mark: str, before: str, after: str) -> bool:
        """Whether a straight mark inside a quotation opens another one."""
        return mark in _TO_PARAGRAPHS_END and after.isalnum() and (before.isspace() or before in _BEFORE_OPENING)
