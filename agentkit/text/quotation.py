"""Detects whether a text ends inside a quotation, where a model only quotes what somebody else wrote.

Recognises Markdown's code fences, code spans, indented code and block quotes (CommonMark 0.31, sections 4.4, 4.5, 5.1
and 6.1), quotation marks of any language, HTML's comments and its elements for code and quotations. In doubt a
quotation counts as open: double quotation marks up to their counterpart, an unpaired apostrophe or backtick up to the
end of its paragraph. Also says whether the text before a call makes it an example, or part of a sentence.
"""

import re

from agentkit._lazy.patterns import pattern

_MARKERS = r"(?:(?:[-*+•·–]|\d{1,9}[.)])[^\S\n]+)"
_BLOCK_QUOTE = pattern(rf"[^\S\n]*{_MARKERS}{{0,4}}>")
_FENCE = pattern(rf"(?P<lead>[^\S\n]*{_MARKERS}{{0,4}})(?P<run>`{{3,}}|~{{3,}})")
_INDENTED = pattern(r"(?: {4}| {0,3}\t)")
_LIST_ITEM = pattern(rf"[^\S\n]*{_MARKERS}")
_HEADING = pattern(r" {0,3}#{1,6}(?:\s|\Z)")
_INLINE = pattern(
    r"""(?P<escaped>\\[^"'\w])|(?P<ticks>`+)|(?P<mark>"+|'+|[＂＇“”„‟«»‘’‚‛「」『』｢｣《》〈〉‹›〝〞〟❝❞❛❜⟨⟩﹁﹂﹃﹄״])"""
    r"""|<(?P<end>/?)(?P<name>blockquote|pre|code|samp|q|kbd|tt|cite|xmp|listing|textarea|examples?|quote)"""
    r"""(?=[\s/>]|\Z)|(?P<comment><!--|-->)|\[(?P<closes>/?)(?P<tag>code|quote|pre)(?=[\]= ]|\Z)""",
    re.DOTALL | re.IGNORECASE,
)
_APOSTROPHE = pattern(r"(?:\d0s|t(?:is|was)|em|til|n|cause|bout|round)\b", re.IGNORECASE)
_PAIRS = "“”|””|„“”|«»|»«»|‹›|›‹|‘’|‚‘’|「」|『』|｢｣|《》|〈〉"
_PAIRS += "|‟”“|‛’‘|〝〞〟|❝❞|❛❜|⟨⟩|﹁﹂|﹃﹄|＂＂|＇＇|״״|\"\"|''"
_CLOSED_BY = {pair[0]: pair[1:] for pair in _PAIRS.split("|")}
_STRAIGHT = "\"'＂＇״”"
"""Quotation marks with the same character for opening and closing."""

_ENDS_WITH_PARAGRAPH = "'＇‘‚‛❛«»‹›”״⟨"
_BLOCKS = ("pre", "blockquote", "xmp", "listing", "textarea", "example", "examples", "quote")
"""Elements that may span paragraphs, where their tag begins a line."""
_BEFORE_OPENING = "([{<—–-:=>,;/|*_\"'“„«‘‚「『"
_ITEM = pattern(rf"[^\S\n]*(?:{_MARKERS}|\||:\s)")
_ENDS_SENTENCE = pattern(r"(?:[.!?…。！？؟।։]|\A)[\"'”’»›」』)\]*_`~]*\s*\Z")
_ANNOUNCES = pattern(
    r"(?:\b(?:for (?:example|instance)|e\.g\.|examples?|says?|said|writes?|wrote|reads|quotes?|quoted|such as|like"
    r"|like this|syntax|zum beispiel|z\. ?b\.|beispiel|par exemple|exemple|por ejemplo|ejemplo|per esempio|esempio"
    r"|por exemplo|exemplo|например|пример)|例如|比如|例えば|示例|写着|寫著|写道|예를 들어|예시)[\s:：,，*_]*+"
    r"(?:<[^<>\s]{1,40}>\s*+)?\Z|(?:\A|\n)\s*+\[[^\]\n]{1,40}\]:\s*+\Z",
    re.IGNORECASE,
)
"""Words directly before a call that make it an example, or somebody else's."""
_TAIL = 80
"""Characters before a call that are looked at for these."""
_MAX_DEPTH = 50
"""Maximum number of nested quotations; with more, all stay open."""


class Quotation:
    """Takes a text in chunks of any size, and parses it when a property is read. Takes linear time."""

    def __init__(self) -> None:
        self._pending: list[str] = []
        self._lead: str | None = ""  # white space at the beginning of a line; None after it
        self._is_blank = True
        self._follows_break = False
        self._breaks = False
        self._in_list = False
        self._fence = ""
        self._fence_lead = 0
        self._on_fence_line = False
        self._may_close = False
        self._in_block_quote = False
        self._in_indented = False
        self._ticks = 0
        self._marks: list[str] = []
        self._elements: list[tuple[str, bool]] = []
        self._last = self._last_visible = ""
        self._tail = ""
        self._on_item = False
        self._holds_markup = False

    def feed(self, text: str) -> None:
        """Add the next chunk."""
        self._pending.append(text)

    @property
    def is_open(self) -> bool:
        """Whether the text that follows is inside a quotation of any kind."""
        return self.is_block or bool(self._marks)

    @property
    def is_block(self) -> bool:
        """Whether it is inside code, a block quote or an element, which no stray quotation mark can open."""
        self._catch_up()
        in_code = bool(self._fence) or self._ticks > 0 or self._in_indented
        return in_code or self._in_block_quote or bool(self._elements)

    @property
    def follows_quotation_mark(self) -> bool:
        """Whether it directly follows a quotation mark or a backtick."""
        self._catch_up()
        return self._last == "`" or self._last in _CLOSED_BY

    @property
    def is_mention(self) -> bool:
        """Whether call markup here is only mentioned, though nothing quotes it: on the line of a list item or in the
        row of a table, after a backslash, or announced as an example or as somebody's words."""
        self._catch_up()
        tail = self._tail
        is_escaped = (len(tail) - len(tail.rstrip("\\"))) % 2 == 1
        return self._on_item or is_escaped or _ANNOUNCES.search(tail) is not None

    @property
    def runs_on(self) -> bool:
        """Whether the text so far ends within a sentence."""
        self._catch_up()
        return _ENDS_SENTENCE.search(self._tail) is None

    @property
    def follows_space(self) -> bool:
        """Whether it directly follows white space."""
        self._catch_up()
        return self._last.isspace()

    @property
    def after_colon(self) -> bool:
        """Whether the last that was written is a colon."""
        self._catch_up()
        return self._last_visible in (":", "：")

    def note_markup(self) -> None:
        """Record that the quotation contains call markup: it then extends to its own end, not only to the end of the
        paragraph."""
        self._holds_markup = True

    def _catch_up(self) -> None:
        text = "".join(self._pending)
        self._pending.clear()
        self._tail = (self._tail + text)[-_TAIL:]
        lines = text.split("\n")
        for index, line in enumerate(lines):
            if index:
                self._end_line()
            if line:
                self._read(line)
        if self._lead is not None:
            self._begin_line(self._lead)

    def _read(self, text: str) -> None:
        self._last = text[-1]
        visible = text.rstrip()[-1:]
        if self._lead is not None:
            text = self._lead + text
            if not visible:
                self._lead = text
                return
            self._begin_line(text)
        elif self._on_fence_line and self._fence in text:  # a code span of many backticks after all
            text = text.partition(self._fence)[2].lstrip("`")
            self._fence, self._on_fence_line = "", False
            self._read_inline(text)
        elif not (self._fence or self._in_block_quote):
            self._read_inline(text)
        self._may_close = self._may_close and not visible
        self._last_visible = visible or self._last_visible

    def _begin_line(self, line: str) -> None:
        self._lead, self._is_blank = None, False
        self._on_item = _ITEM.match(line) is not None
        fence = _FENCE.match(line)
        if self._fence:
            self._handle_fence(fence, line)
            return
        if _BLOCK_QUOTE.match(line) or (self._in_block_quote and self._holds_markup):
            self._in_block_quote = True
            return
        if fence and len(fence["run"]) != self._ticks and (fence["run"][0] == "~" or "`" not in line[fence.end() :]):
            self._in_block_quote = False
            self._fence, self._fence_lead, self._on_fence_line = fence["run"], len(fence["lead"]), True
            return
        is_indented = _INDENTED.match(line) is not None
        self._in_list = _LIST_ITEM.match(line) is not None or (
            self._in_list and (is_indented or not self._follows_break)
        )
        self._in_indented = is_indented and not self._in_list and (self._in_indented or self._follows_break)
        self._breaks = _HEADING.match(line) is not None
        if not self._in_block_quote:  # else the line continues the paragraph of the block quote
            self._read_inline(line)

    def _handle_fence(self, fence: "re.Match[str] | None", line: str) -> None:
        """Handle a line inside a fence that may close it: not indented deeper than the opening, with nothing after
        it."""
        if fence is None or fence["lead"].strip() or len(fence["lead"]) > self._fence_lead + 3:
            return
        closes = fence["run"].startswith(self._fence) and not line[fence.end() :].strip()
        if closes and not self._holds_markup:
            self._fence = ""
        self._may_close = closes  # call markup may contain fences: those don't end the quotation at the end of a line

    def _end_line(self) -> None:
        if self._may_close:
            self._fence, self._may_close, self._holds_markup = "", False, False
        if self._is_blank:
            self._end_paragraph()
        self._follows_break = bool(self._last_visible) and (self._is_blank or self._breaks)
        self._lead, self._is_blank, self._breaks = "", True, False
        self._on_item = False
        self._on_fence_line = False
        self._last = "\n"

    def _end_paragraph(self) -> None:
        if self._in_block_quote and self._last_visible != ">":
            self._in_block_quote = self._holds_markup = False
        is_just_opened = self._last_visible == "`" or self._last_visible in _CLOSED_BY
        is_just_opened = is_just_opened or (self._last_visible == ">" and bool(self._elements))
        if not (self._holds_markup or is_just_opened):
            self._ticks = 0
            self._marks = [mark for mark in self._marks if mark not in _ENDS_WITH_PARAGRAPH]
            self._elements = [(name, stays) for name, stays in self._elements if stays]

    def _read_inline(self, text: str) -> None:
        for found in _INLINE.finditer(text):
            if found["ticks"]:
                self._handle_ticks(len(found["ticks"]))
            elif self._ticks or found["escaped"]:
                continue
            elif found["mark"]:
                self._handle_mark(found["mark"], text, found.start())
            elif found["comment"]:
                self._handle_element("<!--", found["comment"] == "-->", begins_line=False, stays=True)
            else:
                name, end = found["name"] or f"[{found['tag']}", found["end"] or found["closes"]
                self._handle_element(name.lower(), bool(end), begins_line=_begins_line(text, found.start()))
        if not (self._ticks or self._marks or self._elements):
            self._holds_markup = False

    def _handle_ticks(self, count: int) -> None:
        if not self._ticks:
            self._ticks = count
        elif self._ticks == count:
            self._ticks = 0

    def _handle_element(self, name: str, is_end: bool, *, begins_line: bool, stays: bool = False) -> None:
        """Handle an HTML tag. At the beginning of a line it begins a block, which can span paragraphs; elsewhere the
        text may only mention it. stays: it spans paragraphs in any case."""
        if not is_end:
            if len(self._elements) < _MAX_DEPTH:
                self._elements.append((name, stays or (begins_line and name.lstrip("[") in _BLOCKS)))
            return
        index = next((at for at in range(len(self._elements) - 1, -1, -1) if self._elements[at][0] == name), -1)
        if index >= 0:
            del self._elements[index:]

    def _handle_mark(self, run: str, text: str, start: int) -> None:
        if len(self._marks) >= _MAX_DEPTH:
            return
        mark = run[0]
        before, after = text[start - 1 : start], text[start + len(run) : start + len(run) + 1]
        if self._closes(mark, before, after):
            self._marks.pop()
        elif len(run) == 2 and after and not after.isalnum():
            return  # an empty string
        elif self._marks[-1:] == [mark] and _begins_line(text, start):
            return  # a quotation of several paragraphs has a quotation mark at the beginning of each
        elif mark in _CLOSED_BY and self._opens(mark, before, after) and not _APOSTROPHE.match(text, start + len(run)):
            self._marks.append(mark)

    def _closes(self, mark: str, before: str, after: str) -> bool:
        if not self._marks:
            return False
        top = self._marks[-1]
        if mark == top == "“":  # used for opening and closing
            return bool(before.strip()) and not after.isalnum()
        if mark not in _CLOSED_BY[top]:
            return False
        if mark in "'’" and _is_word(before) and _is_word(after):
            return False  # an apostrophe
        opens_inside = mark in "\"'‘" and _is_word(after) and (before.isspace() or before in _BEFORE_OPENING)
        return not opens_inside

    @staticmethod
    def _opens(mark: str, before: str, after: str) -> bool:
        """before, after: the adjacent characters. A straight mark after a word closes a quotation or means inches; an
        arrow has space on both sides."""
        if mark in "»›":
            return not (_is_word(before) or after.isspace())
        if mark in _STRAIGHT or mark in "'‘":
            return not before.strip() or not (_is_word(before) or after.isspace())
        return True


def _begins_line(text: str, start: int) -> bool:
    return start < 100 and not text[:start].strip()


def _is_word(character: str) -> bool:
    """Whether a character is a letter or digit of a script that separates words by spaces."""
    return character.isalnum() and ord(character) < 0x2E80 and not 0x0E00 <= ord(character) < 0x1100
