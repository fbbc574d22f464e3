"""Reads web pages: the tool `visit`."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from agentkit import Agent, Context, FetchError, Page, Tool, ToolError, fetch, tool
from agentkit.errors import ConfigurationError, StatusError
from agentkit_tools.as_meant import addresses_in
from agentkit_tools.cutting import cut_for
from agentkit_tools.for_subscribers import NOTE, may_be_a_beginning
from agentkit_tools.index_file import cache_folder
from agentkit_tools.page_files import page_text
from agentkit_tools.page_reader import LIMITS, SECONDS, PageReader
from agentkit_tools.page_text import Readable, readable
from agentkit_tools.parallel import in_parallel
from agentkit_tools.politeness import Visit
from agentkit_tools.reader_process import NO_RUN, numbering
from agentkit_tools.results import MAX_SOURCES, block, combined, over_limit, source_of
from agentkit_tools.unreadable import UnreadableError
from agentkit_tools.walls import HEAD, wall_of

DESCRIPTION = "Read web pages. Long pages are reduced to the passages that match the goal."
HTML = ("text/html", "application/xhtml+xml", "")
READING = 50.0
"""Seconds allowed for parsing, in addition to the time for fetching: a huge page must not delay the others."""


def page_visitor(
    *,
    allow: Iterable[str] = (),
    max_bytes: int = 10_000_000,
    max_characters: int = 12_000,
    timeout: float = 30.0,
    robots: bool = True,
    cache: bool | str | os.PathLike[str] = True,
    reader: Any = None,
) -> Tool[[list[str], str], str]:
    """Returns the tool `visit` with custom limits.

    allow: hosts that may be visited although they are not public, such as an intranet (see `agentkit.fetch`).
    max_bytes: maximum size of a page; larger ones are truncated. max_characters: maximum length of the text returned
    for a page. timeout: seconds for fetching a page, with waiting for its site. robots: respect robots.txt and its
    crawl delay. cache: keep pages on disk as HTTP allows, in the cache folder or in this file. reader: an Agent, a
    backend or a model's name that reads each page for the goal and returns evidence and a summary, under the limits of
    the run; its text is then not cut to the goal.

    Raises ConfigurationError for a reader that is none of these.
    """
    at = cache if isinstance(cache, bool) else Path(cache)
    reading = None if reader is None else PageReader(_agent(reader), max_characters)
    visitor = _Visitor(tuple(allow), max_bytes, max_characters, timeout, robots, at, reading)
    seconds = timeout + READING + 10 + (0.0 if reading is None else SECONDS)
    return tool(read_only=True, timeout=seconds, description=DESCRIPTION)(visitor.visit)


def _agent(reader: Any) -> Agent:
    if isinstance(reader, Agent):
        return reader
    if not isinstance(reader, str) and not hasattr(reader, "reply"):
        raise ConfigurationError(f"page_visitor(reader={reader!r:.80}): pass an Agent, a backend or a model's name")
    return Agent(reader, limits=LIMITS)


@dataclass(frozen=True)
class _Visitor:
    """The parameters of `page_visitor`, and the function that the model calls."""

    allow: tuple[str, ...]
    max_bytes: int
    max_characters: int
    timeout: float
    robots: bool
    cache: bool | Path
    reader: PageReader | None

    def visit(
        self,
        url: Annotated[list[str], "Addresses of the pages, as returned by search; several are read at once."],
        goal: Annotated[str, "What you want to know from the pages."],
        context: Context = NO_RUN,
    ) -> str:
        """The tool `visit`."""
        addresses = list(dict.fromkeys(address for each in url for address in addresses_in(each)))
        if not addresses:
            raise ToolError("url is empty: provide the address of at least one page.")
        seconds = self.timeout + READING + (0.0 if self.reader is None else SECONDS)
        pages = in_parallel(lambda address: self._read(address, goal, context), addresses[:MAX_SOURCES], seconds)
        return _shown(addresses, pages, numbering(context))

    def _read(self, address: str, goal: str, context: Context) -> "_Read":
        page = Visit(self._get, self.robots, self.timeout).page(address)
        found = _without_walls(page, context)
        notes = [f"[… the page is longer than {self.max_bytes:,} bytes and was truncated]"] if page.truncated else []
        if page.incomplete:
            notes.append("[… the page was broken off or damaged on its way: this is what could be read of it]")
        if page.content_type in HTML and may_be_a_beginning(_beginning(page.content), found.text):
            notes.append(NOTE)
        text = self._text(page, found, goal, context)
        shown = "\n\n".join([text, *notes])
        return _Read(page.url, found.title, found.text, shown, text if self.reader is None else "")

    def _text(self, page: Page, found: Readable, goal: str, context: Context) -> str:
        if self.reader is not None and found.text:
            return self.reader.read(page.url, found.title, found.text, goal, context)
        return cut_for(found.text, goal, self.max_characters, context) or "(the page has no text)"

    def _get(self, url: str, **options: Any) -> Page:
        at = (cache_folder() / "pages.sqlite3" if self.cache else None) if isinstance(self.cache, bool) else self.cache
        chosen = {"max_bytes": self.max_bytes, "allow": self.allow, "cache": at, "truncate": True}
        return fetch(url, **{**chosen, **options})


@dataclass(frozen=True)
class _Read:
    """A page that was read. shown: what the model is sent. passages: what that has of the page's own text."""

    url: str
    title: str
    text: str
    shown: str
    passages: str


class _WallError(UnreadableError):
    """What was fetched is not the page."""


def _without_walls(page: Page, context: Context[Any]) -> Readable:
    """Returns the text of a page. Raises UnreadableError when there is none, or something else in its place."""
    found = page_text(page, context)
    if page.content_type not in HTML:
        return found
    wall = wall_of(page.headers, replace(page, content=_beginning(page.content)).text, found.title, found.text)
    if wall:
        raise _WallError(f"it is {wall}. Use another source")
    return found


def _beginning(content: bytes) -> bytes:
    """What of a page is searched for the marks of a wall; it ends between two characters."""
    return content if len(content) <= 4 * HEAD else content[: 4 * HEAD].rpartition(b"<")[0]


def _shown(addresses: Sequence[str], pages: Sequence[_Read | Exception], context: Context) -> str:
    """Returns the pages, each once, whatever addresses lead to it, and notes on those that failed. Raises ToolError
    when all failed."""
    blocks, failed = dict[tuple[int, str], str](), []
    for address, page in zip(addresses, pages, strict=False):
        if isinstance(page, Exception):
            failed.append(_reason(address, page))
            continue
        number = source_of(context, page.url, page.title, page.text, page.passages, [address])
        blocks.setdefault((number, page.shown), block(number, page.url, page.title, page.shown))
    if not blocks:
        raise ToolError(" ".join(failed))
    notes = [f"({reason})" for reason in failed] + over_limit(len(addresses), MAX_SOURCES, "pages were read")
    return combined(list(blocks.values()), notes)


def _reason(address: str, error: Exception) -> str:
    if isinstance(error, StatusError):
        return f"{error}{_wall_behind(error)}."
    if isinstance(error, FetchError):
        return f"{error}."
    if isinstance(error, UnreadableError | TimeoutError | ConfigurationError):
        return f"{address} was not read: {error}."
    return f"{address} was not read: it could not be parsed."


def _wall_behind(error: StatusError) -> str:
    """Returns what the page of an error says, if it is more than the error."""
    if error.status in (404, 410):
        return ""
    try:
        page = Page("", error.status, "text/html", None, error.content)
        found = readable(page)
        wall = wall_of(error.headers, page.text, found.title, found.text)
    except Exception:  # noqa: BLE001 - the page of an error is only looked at for a hint
        return ""
    return f": it is {wall}. Use another source" if wall else ""


visit = page_visitor()
