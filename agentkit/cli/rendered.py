"""Markdown on a terminal, while it arrives: each block is printed once, when it is complete.

Nothing that was printed is changed later. Redrawing what is unfinished would flicker, and leave stale lines behind
where the terminal and the program disagree on the width of a letter, or the window is resized.
"""

from typing import TYPE_CHECKING, TextIO

from agentkit.cli.printable import printable

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token
    from rich.console import Console


def shows_markdown(stream: TextIO) -> bool:
    """Whether Markdown is rendered on a stream by default: on a terminal that can do more than print letters."""
    from rich.console import Console

    encoding = (getattr(stream, "encoding", None) or "").lower()
    return stream.isatty() and encoding.startswith("utf") and not Console(file=stream).is_dumb_terminal


SHORT, LONG = 800, 50_000
"""Characters up to which a block is parsed at each line that arrives, and from which on it is printed as it is."""


class MarkdownWriter:
    """Prints Markdown block by block: paragraphs, lists, tables, code."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._waiting = ""
        self._next_try = 0
        self._has_printed = False
        self._console: Console | None = None
        self._parser: MarkdownIt | None = None

    @property
    def last_line(self) -> str:
        """The end of what is not printed yet."""
        return self._waiting[-500:].rstrip("\n").rpartition("\n")[2]

    def write(self, text: str) -> str:
        """Take text; return the blocks that are complete now, for `print`."""
        self._waiting += printable(text)
        if "\n" not in text or len(self._waiting) < self._next_try:
            return ""
        end = self._start_of_last_block()
        # A block that only grows is not parsed at each of its lines: all of it has to stay linear.
        self._next_try = len(self._waiting) * 5 // 4 if end == 0 and len(self._waiting) > SHORT else 0
        done, self._waiting = self._waiting[:end], self._waiting[end:]
        return done

    def rest(self) -> str:
        """Return what is left, for `print`, and begin anew."""
        done, self._waiting, self._next_try = self._waiting, "", 0
        return done

    def print(self, blocks: str) -> None:
        """Print complete blocks."""
        from rich.console import Console
        from rich.markdown import Markdown

        if not blocks.strip():
            return
        if len(blocks) > LONG:
            self._stream.write(blocks.rstrip("\n") + "\n")
            self._stream.flush()
            return
        console = self._console = self._console or Console(file=self._stream, highlight=False)
        shown = Markdown("", hyperlinks=False, code_theme="ansi_dark")  # with addresses, since a link's text may lie
        shown.parsed = self._parsed(blocks)
        with console.capture() as capture:
            console.print(shown)
        lines = [line.rstrip() for line in capture.get().strip("\n").split("\n")]  # without what fills them up
        self._stream.write("\n" * self._has_printed + "\n".join(lines) + "\n")
        self._stream.flush()
        self._has_printed = True

    def _start_of_last_block(self) -> int:
        """Where the last block begins, of which more may come. The last line counts when it is complete."""
        lines = self._waiting.split("\n")[:-1]
        tokens: list[Token] = []
        parser = self._markdown()
        parser.block.parse("\n".join(lines), parser, {}, tokens)
        starts = [token.map[0] for token in tokens if token.level == 0 and token.map]
        return sum(len(line) + 1 for line in lines[: starts[-1]]) if starts else 0

    def _parsed(self, text: str) -> "list[Token]":
        tokens = self._markdown().parse(text)
        for token in tokens:
            if token.children:
                token.children = [_shown(child) for child in token.children if not _is_automatic(child)]
        return tokens

    def _markdown(self) -> "MarkdownIt":
        """The parser. HTML and the targets of links are text: what a terminal can't show would be lost without a
        word."""
        if self._parser is None:
            from markdown_it import MarkdownIt

            parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
            self._parser = parser.disable("reference")
        return self._parser


def _shown(child: "Token") -> "Token":
    if child.type == "softbreak":  # models mean the line breaks that they write
        child.type = "hardbreak"
    elif child.type == "image":
        child.type, child.tag, child.children = "text", "", None
        child.content = f"![{child.content}]({child.attrs.get('src', '')})"
    return child


def _is_automatic(child: "Token") -> bool:
    """Whether it belongs to a link whose text is its address."""
    return child.type in ("link_open", "link_close") and child.info == "auto"
