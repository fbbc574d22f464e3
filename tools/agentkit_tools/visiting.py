"""Reading web pages."""

from collections.abc import Iterable

from agentkit import FetchError, Tool, ToolError, fetch, tool
from agentkit_tools.beside import beside
from agentkit_tools.cutting import block, cut_to_goal
from agentkit_tools.page_text import UnreadableError, readable

MOST_PAGES = 8


def page_visitor(
    *, allow: Iterable[str] = (), max_bytes: int = 10_000_000, max_characters: int = 12_000, timeout: float = 30.0
) -> Tool[[list[str], str], str]:
    """The tool `visit`, with limits of one's choice.

    allow: hosts of an intranet that may be visited although they are not public (see `agentkit.fetch`).
    max_bytes: of a page; longer ones are cut. max_characters: of what the model is shown of a page. timeout:
    seconds for a page.
    """
    allowed = tuple(allow)

    @tool(read_only=True, timeout=timeout + 30)
    def visit(url: list[str], goal: str) -> str:
        """Read web pages. Long pages are cut to the passages that match the goal.

        Args:
            url: Addresses of the pages, such as search gives them; several are read at once.
            goal: What you want to know from the pages.
        """
        asked = list(dict.fromkeys(each.strip() for each in url if each.strip()))
        if not asked:
            raise ToolError("url is empty: give the address of at least one page.")

        def read(address: str) -> str:
            page = fetch(address, allow=allowed, max_bytes=max_bytes, timeout=timeout, truncate=True)
            found = readable(page)
            text = cut_to_goal(found.text, goal, max_characters) or "(the page has no text)"
            note = f"\n\n[… the page is longer than {max_bytes:,} bytes and was cut]" if page.truncated else ""
            return block(page.url, found.title, text) + note

        read_pages = beside(read, asked[:MOST_PAGES])
        if all(isinstance(page, Exception) for page in read_pages):
            raise ToolError(" ".join(_reason(address, page) for address, page in zip(asked, read_pages, strict=False)))
        blocks = [
            f"({_reason(address, page)})" if isinstance(page, Exception) else page
            for address, page in zip(asked, read_pages, strict=False)
        ]
        if len(asked) > MOST_PAGES:
            blocks.append(f"(only the first {MOST_PAGES} of {len(asked)} pages were read)")
        return "\n\n".join(blocks)

    return visit


def _reason(address: str, error: object) -> str:
    if isinstance(error, FetchError):
        return f"{error}."
    if isinstance(error, UnreadableError):
        return f"{address} was not read: {error}."
    return f"{address} was not read: its form is unknown."


visit = page_visitor()
