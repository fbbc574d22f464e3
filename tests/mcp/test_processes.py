"""The processes of MCP servers: ended with all that they started, whatever ends their client; none is left as a zombie,
and no descriptor stays open."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentkit import Context
from agentkit.errors import ToolError
from agentkit.mcp import process
from agentkit.mcp.channel import Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, Slow
from agentkit.mcp.pipes import PolledOutputs
from agentkit.mcp.stdio import Stdio
from tests.mcp.isolated import server_process
from tests.mcp.servers import (
    bad,
    bad_command,
    children,
    client_of,
    is_running,
    keepers,
    open_files,
    process_of,
    process_of_one_use,
    text_of,
)
from tests.support.forks import in_child
from tests.support.waiting import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and process groups")
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("ignored", ["", "eof", "eof,term"])
def test_closing_ends_a_server_even_one_that_does_not_want_to(ignored: str) -> None:
    with bad(ignore=ignored) as client:
        number = process_of(client)
        begun = time.monotonic()
    assert not is_running(number)
    assert time.monotonic() - begun < {"": 3.0, "eof": 4.0, "eof,term": 5.0}[ignored]


def test_closing_twice_and_closing_what_was_not_started_does_nothing() -> None:
    client = bad()
    client.close()
    process_of(client)
    client.close()
    client.close()


def test_a_closed_client_starts_its_server_again() -> None:
    client = bad()
    first = process_of(client)
    client.close()
    second = process_of(client)
    client.close()
    assert first != second


def test_grandchildren_end_with_the_server() -> None:
    with client_of(["sh", "-c", f'"{sys.executable}" -ISX utf8 "{bad_command()[-1]}"; true']) as client:
        number = process_of(client)
        child = int(text_of(client.call_tool("leaves_a_child", {})))
        assert is_running(child)
    until(lambda: not is_running(number) and not is_running(child))


def test_grandchildren_end_with_a_server_that_dies() -> None:
    with bad() as client:
        child = int(text_of(client.call_tool("leaves_a_child", {})))
        with pytest.raises(Gone):
            client.call_tool("die", {})
        until(lambda: not is_running(child))


def test_a_server_ends_when_nobody_has_its_client_any_more() -> None:
    client = bad()
    number = process_of(client)
    del client
    gc.collect()
    until(lambda: not is_running(number))


def test_dead_servers_leave_no_descriptor_no_thread_and_no_zombie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.mcp.client.STARTS_WITHIN", 0.0)
    with bad() as client:
        client.server()
    until(lambda: not keepers())
    files, processes = open_files(), children()
    with bad() as client:
        for fault in ("die", "killed", "half_line", "closes_output", "die"):
            with pytest.raises(Gone):
                client.call_tool(fault, {})
    until(lambda: not keepers())
    assert open_files() <= files
    assert children() <= processes


def test_what_is_closed_twice_or_woken_later_touches_no_other_file(tmp_path: Path) -> None:
    pipes = [os.pipe() for _ in range(2)]
    streams = [os.fdopen(reading, "rb", 0) for reading, _ in pipes]
    outputs = PolledOutputs(streams[0], streams[1], lambda data: None, lambda data: None)
    outputs.wake()
    assert outputs.next(20)
    outputs.close()
    files = [open(tmp_path / str(number), "wb", 0) for number in range(6)]  # noqa: SIM115 - has the same numbers
    outputs.wake()
    outputs.close()
    assert all(os.fstat(each.fileno()).st_size == 0 for each in files)
    for each in files:
        each.close()
    for _, writing in pipes:
        os.close(writing)


@pytest.mark.parametrize("command", [["/no/such/program"], ["sh", "-c", "exit 3"], [str(ROOT / "README.md")]])
def test_a_server_that_does_not_start_leaves_no_descriptor(command: list[str]) -> None:
    until(lambda: not keepers())
    files = open_files()
    client = client_of(command)
    for _ in range(3):
        with pytest.raises((ToolError, ValueError)):
            client.server()
    until(lambda: not keepers())
    assert open_files() <= files


def test_a_thread_that_cannot_be_started_costs_the_start_and_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: not keepers())
    files = open_files()

    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("agentkit.mcp.process.threading.Thread", NoThread)
    with pytest.raises(Gone, match="can't start new thread"):
        Stdio(bad_command(), lambda message: None)
    assert open_files() == files


EXIT = """
import sys
from tests.mcp.servers import bad, process_of
client = bad(ignore="{ignore}")
print(process_of(client), flush=True)
{last}
"""


@pytest.mark.parametrize(
    ("last", "ignored"),
    [("", ""), ("sys.exit(3)", ""), ("raise ValueError('the program fails')", ""), ("", "eof,term")],
)
def test_servers_end_with_the_program(last: str, ignored: str) -> None:
    done = run(EXIT.format(last=last, ignore=ignored))
    number = int(done.stdout.split()[0])
    assert not is_running(number)
    assert "Traceback" not in done.stderr or "the program fails" in done.stderr


def test_a_server_ends_when_its_program_is_killed() -> None:
    done = run(EXIT.format(last="import os; os.kill(os.getpid(), 9)", ignore=""))
    number = int(done.stdout.split()[0])
    until(lambda: not is_running(number))


def run(code: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_neither_asyncio_nor_anyio_is_imported() -> None:
    code = """
import sys
from tests.mcp.servers import bad, text_of
with bad() as client:
    print(text_of(client.call_tool("echo", {"a": 1})))
print(sorted(name for name in sys.modules if name.partition(".")[0] in ("asyncio", "anyio", "requests", "openai")))
"""
    done = run(code)
    assert done.stdout.splitlines() == ['{"a": 1}', "[]"], done.stderr


def test_a_child_of_a_fork_opens_its_own_connection_and_leaves_that_of_its_parent() -> None:
    with bad() as client:
        parents = process_of(client)
        childs = in_child(lambda: process_of_one_use(client))
        assert childs != parents
        assert process_of(client) == parents
        assert not is_running(childs)


def test_a_child_of_a_fork_that_ends_leaves_the_server_of_its_parent() -> None:
    with bad() as client:
        parents = process_of(client)
        in_child(lambda: None)
        for _ in range(5):
            in_child(lambda: client.close())
        assert process_of(client) == parents
    assert not is_running(parents)
    assert not keepers()


def test_a_server_ends_at_the_close_of_its_parent_while_a_child_of_a_fork_lives() -> None:
    client = bad()
    number = process_of(client)
    child = os.fork()
    if child == 0:
        time.sleep(60)
        os._exit(0)
    try:
        begun = time.monotonic()
        client.close()
        assert time.monotonic() - begun < 0.9  # at the end of its input, of which the child keeps no copy
        assert not is_running(number)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_fork_while_other_threads_call_harms_neither_side() -> None:
    with bad() as client, ThreadPoolExecutor(4) as pool:
        client.server()
        calls = [pool.submit(client.call_tool, "slow", {"seconds": 0.3}) for _ in range(4)]
        assert in_child(lambda: process_of_one_use(client)) != process_of(client)
        assert [text_of(each.result()) for each in calls] == ["done"] * 4


def test_a_connection_of_the_parent_is_lost_in_the_child() -> None:
    with Stdio(bad_command(), lambda message: None) as channel:

        def use() -> list[object]:
            lost = channel.is_lost
            try:
                channel.exchange({"jsonrpc": "2.0", "id": 1, "method": "ping"}, Patience(5.0))
            except Gone as gone:
                return [lost, gone.sent]
            return [lost]

        assert in_child(use) == [True, False]
        assert not channel.is_lost


def test_a_client_works_inside_a_running_event_loop_and_in_the_next_one() -> None:
    async def main() -> str:
        return text_of(client.call_tool("echo", {"a": 1}))

    with bad() as client:
        assert [asyncio.run(main()), asyncio.run(main())] == ['{"a": 1}'] * 2


def test_clients_are_closed_in_any_order_and_by_any_thread() -> None:
    clients = [bad() for _ in range(3)]
    processes = [process_of(client) for client in clients]
    clients[0].close()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(Client.close, clients[1:]))
    assert not any(map(is_running, processes))


def test_a_server_that_has_ended_between_two_calls_is_started_again_whatever_the_call(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        for _ in range(2):
            os.kill(process_of(client), signal.SIGKILL)
            until(lambda: not keepers())
            assert text_of(client.call_tool("echo", {})) == "{}"
    assert note.read_text().split().count("echo") == 2


def test_an_isolated_tool_has_a_server_of_its_own() -> None:
    with bad() as client:
        answer = server_process.answer("{}", Context())
        assert not answer.failed, answer.text
        assert int(answer.text) != process_of(client)
        assert is_running(int(answer.text))


def test_sixteen_threads_share_one_start(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client, ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: process_of(client), range(16)))) == 1
    assert note.read_text().split().count("start") == 1


def test_servers_that_begin_together_start_together() -> None:
    slow = ["sh", "-c", 'sleep 0.5; exec "$@"', "sh", *bad_command()]
    clients = [client_of(slow) for _ in range(4)]
    begun = time.monotonic()
    for client in clients:
        client.begin()
    for client in clients:
        client.server()
    assert time.monotonic() - begun < 1.9
    for client in clients:
        client.close()


def test_closing_a_client_that_is_still_starting_ends_its_process(tmp_path: Path) -> None:
    note = tmp_path / "note"
    client = bad(start="hang", note=str(note))
    client.begin()
    until(lambda: note.exists() and "start" in note.read_text())
    begun = time.monotonic()
    client.close()
    assert time.monotonic() - begun < 5
    until(lambda: not keepers())


def test_the_pipes_of_windows_are_read_and_written_by_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "CAN_POLL", False)
    with bad() as client:
        number = process_of(client)
        assert len(text_of(client.call_tool("echo", {"text": "x" * 1_000_000}))) > 1_000_000
        assert text_of(client.call_tool("stderr", {})) == "after the log"
        with pytest.raises(Gone) as caught:
            client.call_tool("die", {})
        assert caught.value.stderr.endswith("out of pages")
        assert process_of(client) != number
        with pytest.raises(Slow):
            client.call_tool("no_read", {}, patience=Patience(0.3))
        for _ in range(2):
            with pytest.raises(Slow):
                client.call_tool("echo", {"text": "x" * 1_000_000}, patience=Patience(0.3))
        number = client._opening._channel._process._popen.pid  # type: ignore[union-attr]
    until(lambda: not is_running(number))
    until(lambda: not keepers())


def test_no_warning_of_an_unclosed_file_or_a_running_process() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client: Client | None = bad()
        assert client is not None
        number = process_of(client)
        client = None
        gc.collect()
        until(lambda: not is_running(number) and not keepers())
        gc.collect()
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []
