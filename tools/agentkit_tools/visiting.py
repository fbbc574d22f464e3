"""Reading web pages."""

from collections.abc import Callable, Iterable, Sequence

from agentkit import FetchError, Tool, ToolError, fetch, tool
from agentkit_tools.beside import beside
from agentkit_tools.cutting import cut_to_goal
from agentkit_tools.page_text import UnreadableError, readable
from agentkit_tools.results import MAX_SOURCES, block, left_out, told

READING = 50.0
"""Seconds that pages may take beyond those for fetching them: a huge one must not cost the others."""


def page_visitor(
    *, allow: Iterable[str] = (), max_bytes: int = 10_000_000, max_characters: int = 12_000, timeout: float = 30.0
) -> Tool[[list[str], str], str]:
    """The tool `visit`, with limits of one's choice.

    allow: hosts of an intranet that may be visited although they are not public (see `agentkit.fetch`).
    max_bytes: of a page; longer ones are cut. max_characters: of what the model is shown of a page. timeout:
    seconds for fetching a page.
    """
    allowed = tuple(allow)

    @tool(read_only=True, timeout=timeout + READING + 10)
    def visit(url: list[str], goal: str) -> str:
        """Read web pages. Long pages are cut to the passages that match the goal.

        Args:
            url: Addresses of the pages, such as search gives them; several are read at once.
            goal: What you want to know from the pages.
        """
        addresses = list(dict.fromkeys(each.strip() for each in url if each.strip()))
        if not addresses:
            raise ToolError("url is empty: give the address of at least one page.")

        def read(address: str) -> str:
            page = fetch(address, allow=allowed, max_bytes=max_bytes, timeout=timeout, truncate=True)
            found = readable(page)
            text = cut_to_goal(found.text, goal, max_characters) or "(the page has no text)"
            note = f"\n\n[… the page is longer than {max_bytes:,} bytes and was cut]" if page.truncated else ""
            return block(page.url, found.title, text) + note

        return _visited(addresses, read, timeout + READING)

    return visit


def _visited(addresses: Sequence[str], read: Callable[[str], str], seconds: float) -> str:
    """The pages beside each other, and what became of those that failed. Raises ToolError when all did."""
    visited = addresses[:MAX_SOURCES]
    pages = beside(read, visited, seconds)
    failed = [
        _reason(address, page) for address, page in zip(visited, pages, strict=True) if isinstance(page, Exception)
    ]
    if len(failed) == len(pages):
        raise ToolError(" ".join(failed))
    notes = [f"({reason})" for reason in failed] + left_out(len(addresses), MAX_SOURCES, "pages were read")
    return told([page for page in pages if isinstance(page, str)], notes)


def _reason(address: str, error: Exception) -> str:
    if isinstance(error, FetchError):
        return f"{error}."
    if isinstance(error, UnreadableError | TimeoutError):
        return f"{address} was not read: {error}."
    return f"{address} was not read: its form is unknown."


visit = page_visitor()
