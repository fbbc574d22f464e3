"""The text format of tool results: the same for the web and for documents, read by models and by the extractive
backend. Only the tools themselves write lines that begin with "source:"; quoted text never contains such a line."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from agentkit import Context, ToolError

MAX_QUERIES = 8
MAX_SOURCES = 8
"""Maximum number of pages or documents read by one call."""
KEPT = 500_000
"""Characters of a text that a run keeps for the check of citations (agentkit/evidence/ledger.py)."""
QUERY = 500
TITLE = 200
SNIPPET = 500
"""Maximum length of each, in characters; longer texts are cut at a word boundary."""


def checked_queries(query: Iterable[str]) -> list[str]:
    """Returns the queries from a model without duplicates, each as one line. Raises ToolError when there are none."""
    lines = dict.fromkeys(shortened(each, QUERY) for each in query)
    lines.pop("", None)
    if not lines:
        raise ToolError("query is empty: provide at least one search query.")
    return list(lines)


def source_of(
    context: Context[Any], address: str, title: str, text: str, passages: str, also: Iterable[str] = ()
) -> int:
    """Adds what was read to the sources of a run and returns its number. passages: the part of the text that the model
    is sent, which is kept beside a text that is too long to be kept whole: the answer is from there."""
    number = context.source(address, title, text, also=also)
    if len(text) > KEPT and passages:
        context.source(address, title, passages)
    return number


def hit(number: int, title: str, source: str, snippet: str) -> str:
    """Returns the text of one search result. number: of the source in the run."""
    text = without_forged_sources(shortened(snippet, SNIPPET))
    return f"[{number}] {shortened(title, TITLE) or source}\nsource: {source}\n{text}".rstrip()


def block(number: int, source: str, title: str, text: str) -> str:
    """Returns the text of one source that was read."""
    return f"[{number}] {shortened(title, TITLE) or source}\nsource: {source}\n\n{without_forged_sources(text)}"


def combined(blocks: Sequence[str], notes: Sequence[str]) -> str:
    """Returns the complete result of a tool: the blocks, then one line for each note."""
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])


def no_results(query: str) -> str:
    """Returns the note on a query without results."""
    return f'(no results for "{shortened(query, 100)}")'


def over_limit(given: int, limit: int, what: str) -> list[str]:
    """Returns a note that only the first `limit` were processed, if there were more."""
    return [f"(only the first {limit} of {given} {what})"] if given > limit else []


def shortened(text: str, max_chars: int) -> str:
    """Returns a text as one line of about `max_chars` characters at most, cut at a word boundary if possible."""
    line = " ".join(text[: 20 * max_chars].split())
    if len(line) <= max_chars:
        return line
    return (line[:max_chars].rpartition(" ")[0] or line[:max_chars]) + " …"


def without_forged_sources(text: str) -> str:
    """Indents the lines of a text that begin with "source:", so that they can't pass for source lines of a tool."""
    return re.sub(r"^(?=source:)", " ", text, flags=re.MULTILINE | re.IGNORECASE)
