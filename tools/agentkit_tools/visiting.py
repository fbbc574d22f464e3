"""Reads web pages: the tool `visit`."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from agentkit import FetchError, Tool, ToolError, fetch, tool
from agentkit_tools.cutting import cut_to_goal
from agentkit_tools.page_text import UnreadableError, readable
from agentkit_tools.parallel import in_parallel
from agentkit_tools.results import MAX_SOURCES, block, combined, over_limit

DESCRIPTION = "Read web pages. Long pages are reduced to the passages that match the goal."
READING = 50.0
"""Seconds allowed for parsing, in addition to the time for fetching: a huge page must not delay the others."""


def page_visitor(
    *, allow: Iterable[str] = (), max_bytes: int = 10_000_000, max_characters: int = 12_000, timeout: float = 30.0
) -> Tool[[list[str], str], str]:
    """Returns the tool `visit` with custom limits.

    allow: hosts that may be visited although they are not public, such as an intranet (see `agentkit.fetch`).
    max_bytes: maximum size of a page; larger ones are truncated. max_characters: maximum length of the text returned
    for a page. timeout: seconds for fetching a page.
    """
    visitor = _Visitor(tuple(allow), max_bytes, max_characters, timeout)
    return tool(read_only=True, timeout=timeout + READING + 10, description=DESCRIPTION)(visitor.visit)


@dataclass(frozen=True)
class _Visitor:
    """The parameters of `page_visitor`, and the function that the model calls."""

    allow: tuple[str, ...]
    max_bytes: int
    max_characters: int
    timeout: float

    def visit(
        self,
        url: Annotated[list[str], "Addresses of the pages, as returned by search; several are read at once."],
        goal: Annotated[str, "What you want to know from the pages."],
    ) -> str:
        """The tool `visit`."""
        addresses = list(dict.fromkeys(each.strip() for each in url if each.strip()))
        if not addresses:
            raise ToolError("url is empty: provide the address of at least one page.")
        return _visited(addresses, lambda address: self._read(address, goal), self.timeout + READING)

    def _read(self, address: str, goal: str) -> str:
        page = fetch(address, allow=self.allow, max_bytes=self.max_bytes, timeout=self.timeout, truncate=True)
        found = readable(page)
        text = cut_to_goal(found.text, goal, self.max_characters) or "(the page has no text)"
        note = f"\n\n[… the page is longer than {self.max_bytes:,} bytes and was truncated]" if page.truncated else ""
        return block(page.url, found.title, text) + note


def _visited(addresses: Sequence[str], read: Callable[[str], str], seconds: float) -> str:
    """Reads the pages in parallel and notes those that failed. Raises ToolError when all failed."""
    visited = addresses[:MAX_SOURCES]
    pages = in_parallel(read, visited, seconds)
    failed = [
        _reason(address, page) for address, page in zip(visited, pages, strict=True) if isinstance(page, Exception)
    ]
    if len(failed) == len(pages):
        raise ToolError(" ".join(failed))
    notes = [f"({reason})" for reason in failed] + over_limit(len(addresses), MAX_SOURCES, "pages were read")
    return combined([page for page in pages if isinstance(page, str)], notes)


def _reason(address: str, error: Exception) -> str:
    if isinstance(error, FetchError):
        return f"{error}."
    if isinstance(error, UnreadableError | TimeoutError):
        return f"{address} was not read: {error}."
    return f"{address} was not read: it could not be parsed."


visit = page_visitor()
