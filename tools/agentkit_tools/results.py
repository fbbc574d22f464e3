"""The text in which the tools tell what they found: one form for the web and for documents, read by models and by
the extractive backend. Only these tools write a line that begins with "source:"; what they quote never does."""

import re
from collections.abc import Iterable, Sequence

from agentkit import ToolError

MAX_QUERIES = 8
MAX_SOURCES = 8
"""So many pages or documents are read by one call."""
QUERY = 500
TITLE = 200
SNIPPET = 500
"""Characters that are taken of each; what is longer is cut at a word."""


def asked(query: Iterable[str]) -> list[str]:
    """The queries that a model wrote, each once, as one line. Raises ToolError when there are none."""
    lines = dict.fromkeys(shortened(each, QUERY) for each in query)
    lines.pop("", None)
    if not lines:
        raise ToolError("query is empty: give at least one thing to search for.")
    return list(lines)


def hit(number: int, title: str, source: str, snippet: str) -> str:
    """One result of a search."""
    told = without_forged_sources(shortened(snippet, SNIPPET))
    return f"[{number}] {shortened(title, TITLE) or source}\nsource: {source}\n{told}".rstrip()


def block(source: str, title: str, text: str) -> str:
    """One source that was read."""
    name = shortened(title, TITLE)
    head = f"source: {source}" + (f"\ntitle: {name}" if name else "")
    return f"{head}\n\n{without_forged_sources(text)}"


def told(blocks: Sequence[str], notes: Sequence[str]) -> str:
    """A whole result: what was found, then a line for each thing that was not."""
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])


def no_results(query: str) -> str:
    """The note on a query that found nothing."""
    return f'(no results for "{shortened(query, 100)}")'


def left_out(given: int, limit: int, what: str) -> list[str]:
    """The note that there were more than are taken at once, if there were."""
    return [f"(only the first {limit} of {given} {what})"] if given > limit else []


def shortened(text: str, max_chars: int) -> str:
    """A text as one line of at most about `max_chars` characters, cut at a word where it has words."""
    line = " ".join(text[: 20 * max_chars].split())
    if len(line) <= max_chars:
        return line
    return (line[:max_chars].rpartition(" ")[0] or line[:max_chars]) + " …"


def without_forged_sources(text: str) -> str:
    """A text in which no line begins as ours do that name a source."""
    return re.sub(r"^(?=source:)", " ", text, flags=re.MULTILINE | re.IGNORECASE)
