"""Markdown on a terminal: nothing is lost, and each block is printed once."""

import io
import itertools
import os
import pty
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.cli.rendered import MarkdownWriter, shows_markdown
from tests.cli.test_ask import environment
from tests.support.growth import assert_linear
from tests.support.model_server import delta, serve, streamed

TEXT = """# Title

Some **bold** and `code` with <div>, [a link](http://x.example/y) and <http://auto.example>.
Second line.

- one

  more of one
- two

| a | b |
|---|---|
| 1 | 2 |

```python
print(1)

print(2)
```

[1]: https://source.example

![picture](http://p.example/q.png) end"""


def rendered(pieces: list[str]) -> str:
    stream = io.StringIO()
    writer = MarkdownWriter(stream)
    for piece in pieces:
        writer.print(writer.write(piece))
    writer.print(writer.rest())
    return stream.getvalue()


def test_nothing_that_a_terminal_can_not_show_is_lost() -> None:
    shown = rendered([TEXT])
    for kept in ("<div>", "a link (http://x.example/y)", "http://auto.example.\nSecond line.", "[1]: https://source"):
        assert kept in shown
    assert "![picture](http://p.example/q.png)" in shown
    assert "**" not in shown


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, len(TEXT)), max_size=40))
def test_how_the_text_arrives_makes_no_difference_but_for_blank_lines(cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in itertools.pairwise(ends)]
    assert rendered(pieces).split() == rendered([TEXT]).split()


@pytest.mark.parametrize("line", ["a line\n", "- [[[[\n\n", "```\n\n"], ids=["text", "list", "code"])
def test_a_long_block_is_read_in_linear_time(line: str) -> None:
    def work(size: int) -> None:
        writer = MarkdownWriter(io.StringIO())
        for _ in range(size):
            writer.write(line * 25)

    assert_linear(work, 20)


def test_markdown_is_rendered_on_a_terminal() -> None:
    with serve([streamed(delta(content="It is **bo"), delta(content="ld**."), delta("stop"))]) as server:
        leader, follower = pty.openpty()
        command = [sys.executable, "-m", "agentkit", "ask", "x", "-q", "-m", f"openai:m@{server.url}"]
        tool = ["-T", "tests.cli.test_habits:print_everywhere"]
        terminal = environment(TERM="xterm-256color", LC_ALL="C.UTF-8", NO_COLOR="1")
        done = subprocess.run([*command, *tool], stdout=follower, stdin=follower, env=terminal, timeout=60, check=False)
        os.close(follower)
        assert done.returncode == 0
        assert os.read(leader, 10_000).decode() == "It is \x1b[1mbold\x1b[0m.\r\n"
        os.close(leader)


@pytest.mark.parametrize(
    ("is_terminal", "encoding", "term", "shows"),
    [
        (True, "utf-8", "xterm-256color", True),
        (True, "utf-8", "dumb", False),
        (True, "ascii", "xterm-256color", False),
        (False, "utf-8", "xterm-256color", False),
    ],
    ids=["terminal", "dumb", "ascii", "pipe"],
)
def test_elsewhere_it_is_printed_as_it_is(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool, encoding: str, term: str, shows: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("FORCE_COLOR", "1")  # is about colours alone
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    assert shows_markdown(stream) is shows
