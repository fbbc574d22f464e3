"""Large pages, PDFs and workbooks are read in processes of their own: nothing in them delays the run or its program."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, Limits, Page, ToolError
from agentkit.event import Result
from agentkit.testing import ScriptedBackend
from agentkit.tooling.subprocess_pool import PROCESSES
from agentkit_tools import documents, page_visitor, reader_process
from agentkit_tools.page_text import readable
from agentkit_tools.reader_process import NO_RUN, in_reader_process
from agentkit_tools.unreadable import NotNowError, TooComplexError
from tests.support import slow_documents
from tests.support.site import pdf
from tests.support.waiting import until

SLOW = {
    "pdf": ("application/pdf", slow_documents.slow_pdf(2, 1_500_000)),
    "page": ("text/html", slow_documents.large_page()),
}
SMALL = ("application/pdf", pdf("The tower is 31 metres high."))


@contextmanager
def serving(documents: dict[str, tuple[str, bytes]]) -> Iterator[str]:
    """Yields the address of a site with these documents at /NAME."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, body = documents.get(self.path[1:], ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving({**SLOW, "small": SMALL}) as found:
        yield found


def pid() -> int:
    """The id of the process that reads; it is started if there is none."""
    return in_reader_process(os.getpid, size=0, context=NO_RUN)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class Ticks:
    """A thread that does something each few milliseconds. longest: seconds between two of its turns."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        before = time.monotonic()
        while not self._stop.wait(0.005):
            now = time.monotonic()
            self.longest, before = max(self.longest, now - before), now

    def end(self) -> float:
        self._stop.set()
        self._thread.join()
        return self.longest


def visiting(address: str, name: str, **options: Any) -> Result[str]:
    visit = page_visitor(allow=[address], robots=False, cache=False)
    backend = ScriptedBackend(("visit", {"url": [f"http://{address}/{name}"], "goal": "the height"}), "Done.")
    return Agent(backend, tools=[visit]).run("Read.", **options)


# Limits and cancel


@pytest.mark.parametrize("name", ["pdf", "page"])
def test_cancelling_ends_the_reading_at_once_and_other_threads_go_on(address: str, name: str) -> None:
    reader, cancel, results = pid(), threading.Event(), []
    run = threading.Thread(target=lambda: results.append(visiting(address, name, cancel=cancel)))
    run.start()
    until(lambda: not PROCESSES.idle)  # the reader is at work
    ticks = Ticks()
    time.sleep(0.1)
    cancel.set()
    cancelled = time.monotonic()
    run.join()
    assert time.monotonic() - cancelled < 1
    assert results[0].stopped == "cancelled"
    until(lambda: not is_alive(reader), 1)
    assert ticks.end() < 0.4
    assert "31 metres" in visiting(address, "small").tool_calls[0].response


@pytest.mark.parametrize("name", ["pdf", "page"])
def test_the_seconds_of_a_run_hold_while_a_document_is_read(address: str, name: str) -> None:
    reader, started = pid(), time.monotonic()
    result = visiting(address, name, limits=Limits(seconds=0.8))
    assert time.monotonic() - started < 1.6
    assert result.stopped == "seconds"
    until(lambda: not is_alive(reader), 1)


def test_a_folder_is_searched_no_longer_when_the_run_is_cancelled(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(SLOW["pdf"][1])
    reader, cancel, results = pid(), threading.Event(), []
    backend = ScriptedBackend(("search_documents", {"query": ["tower"]}), "Done.")
    agent = Agent(backend, tools=documents(tmp_path))
    run = threading.Thread(target=lambda: results.append(agent.run("Find.", cancel=cancel)))
    run.start()
    until(lambda: not PROCESSES.idle)
    cancel.set()
    run.join(2)
    assert results[0].stopped == "cancelled"
    until(lambda: not is_alive(reader), 1)


def test_what_takes_too_long_is_named_and_the_rest_of_the_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.pdf").write_bytes(slow_documents.slow_pdf(300, 100_000))  # slow, and not large
    (tmp_path / "b.pdf").write_bytes(SMALL[1])
    monkeypatch.setattr(reader_process, "FILE_SECONDS", 3.0)
    text = documents(tmp_path)[0](["tower"])
    assert "The tower is 31 metres high." in text
    assert "a.pdf was not read: it is too large or too complex: reading it takes more than 3 seconds" in text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the system does not limit the memory of a process")
def test_what_takes_too_much_memory_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_process, "MEMORY", 300_000_000)
    with pytest.raises(TooComplexError, match="reading it needs more than 300 MB of memory"):
        in_reader_process(slow_documents.use_memory, 100_000_000, size=0, context=NO_RUN)


def test_a_crash_is_an_error_of_one_document() -> None:
    with pytest.raises(TooComplexError, match="what reads it crashed"):
        in_reader_process(slow_documents.crash, size=0, context=NO_RUN)
    assert pid() != os.getpid()


# The processes


def test_one_process_reads_many_documents_and_knows_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    PROCESSES.end()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert in_reader_process(os.getenv, "OPENAI_API_KEY", size=0, context=NO_RUN) is None
    assert pid() == pid() != os.getpid()


def test_a_document_is_read_here_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    PROCESSES.end()
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert in_reader_process(os.getpid, size=0, context=NO_RUN) == os.getpid()
    with pytest.raises(NotNowError, match="no process can be started"):
        in_reader_process(os.getpid, size=20_000_000, context=NO_RUN)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert in_reader_process(os.getpid, size=0, context=NO_RUN) == os.getpid()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_after_a_fork_the_child_has_processes_of_its_own() -> None:
    code = (
        "import os\n"
        "from agentkit_tools.reader_process import NO_RUN, in_reader_process\n"
        "first = in_reader_process(os.getpid, size=0, context=NO_RUN)\n"
        "child = os.fork()\n"
        "assert (in_reader_process(os.getpid, size=0, context=NO_RUN) == first) == (child > 0)\n"
        "if child:\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "a.pdf").write_bytes(SMALL[1])
    script = tmp_path / "script.py"
    script.write_text(
        "from agentkit_tools import documents\n"
        f"print(documents({str(folder)!r}, keep_index=False)[0](['tower']).count('source:'))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=True)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_reader_waits_for_room_no_longer_than_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_process._SLOTS, "free", threading.BoundedSemaphore(1))
    with reader_process._SLOTS.taken(NO_RUN), pytest.raises(ToolError, match="the run ended before"):
        in_reader_process(os.getpid, size=0, context=Context(deadline=time.monotonic() + 0.1))


def test_a_small_page_is_read_here() -> None:
    PROCESSES.end()
    assert readable(Page("u", 200, "text/html", None, b"<p>Hello</p>" * 2_000)).text.startswith("Hello")
    assert not PROCESSES.idle
