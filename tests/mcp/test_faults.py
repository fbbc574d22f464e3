"""MCP over stdio: whatever a server does, a call ends in time: with what the server said, or one of three errors."""

import json
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentkit.errors import ToolError
from agentkit.mcp import lines
from agentkit.mcp.channel import Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, MCPError, Slow
from agentkit.mcp.stdio import Stdio
from tests.mcp.servers import bad, bad_command, is_running, text_of
from tests.support.waiting import until

BRIEF = 0.4
"""Seconds after which a call ends that is not answered."""

ANSWERED = {
    "garbage": "after the garbage",
    "log_lines": "after the log",
    "log_objects": "after the log",
    "odd_progress": "after the progress",
    "not_utf8": "caf\N{REPLACEMENT CHARACTER}",
    "bom": "",
    "stderr": "after the log",
    "wrong_id": "right",
    "text_id": "right",
    "twice": "first",
    "batch": "in a batch",
    "fails": "the disk is full",
    "prompt": "after a prompt",
    "notice": "before a notice",
    "joined": "joined",
}
ERRORS = {"error": -32602, "no_id": -32700, "no_result": -32603, "odd_error": -32603}
SILENT = ["hang", "only_wrong_id"]
ENDING = {"die": 3, "killed": -9, "half_line": 0, "child_keeps_output": 5}


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    """A server that goes on after most faults."""
    with bad() as client:
        yield client


def timed(client: Client, tool: str, timeout: float, **arguments: Any) -> Any:
    """The result of a call, or its error. Fails when it takes longer than its timeout and a second."""
    begun = time.monotonic()
    try:
        return client.call_tool(tool, arguments, patience=Patience(timeout))
    except ToolError as error:
        return error
    finally:
        assert time.monotonic() - begun < timeout + 1


@pytest.mark.parametrize("fault", sorted(ANSWERED))
def test_what_a_server_writes_besides_its_answer_does_not_matter(server: Client, fault: str) -> None:
    """Also on the line of the answer, as npx and prompts do: modelcontextprotocol/servers#3173."""
    result = timed(server, fault, 20.0)
    assert isinstance(result, dict), result
    assert text_of(result) == ANSWERED[fault]


@pytest.mark.parametrize("fault", sorted(ERRORS))
def test_an_error_of_the_server_says_what_the_server_said(server: Client, fault: str) -> None:
    error = timed(server, fault, 20.0)
    assert isinstance(error, MCPError)
    assert error.code == ERRORS[fault]
    assert str(error).startswith("MCP server bad: ")
    if fault == "error":
        assert "no such page" in str(error)
        assert error.data == {"page": 3}


@pytest.mark.parametrize("fault", SILENT)
def test_a_call_that_is_not_answered_is_slow_and_the_next_one_is_answered(server: Client, fault: str) -> None:
    error = timed(server, fault, BRIEF)
    assert isinstance(error, Slow)
    assert "it is not known whether the call had an effect" in str(error)
    assert "not answered within 0.4 seconds" in str(error)
    assert text_of(server.call_tool("echo", {"a": 1})) == '{"a": 1}'


def test_a_value_that_is_no_json_number_is_read_as_a_text(server: Client) -> None:
    assert timed(server, "nan", 20.0)["structuredContent"] == {"x": "NaN"}


def test_an_error_of_a_tool_is_a_result(server: Client) -> None:
    assert server.call_tool("fails", {})["isError"] is True


def test_a_server_is_told_that_nobody_waits_any_more(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        assert isinstance(timed(client, "hang", BRIEF), Slow)
        until(lambda: "cancelled" in note.read_text())


@pytest.mark.parametrize("fault", sorted(ENDING))
def test_a_server_that_ends_is_gone_with_its_status_and_its_last_words(fault: str, tmp_path: Path) -> None:
    with bad(note=str(tmp_path / "note")) as client:
        error = timed(client, fault, 20.0)
        assert isinstance(error, Gone)
        assert error.status == ENDING[fault]
        assert error.sent
        assert "it is not known whether the call had an effect" in str(error)
        if fault == "die":
            assert error.stderr.endswith("MemoryError: out of pages")
            assert "MemoryError: out of pages" in str(error)
        assert text_of(client.call_tool("echo", {"a": 1})) == '{"a": 1}'


def test_all_waiting_calls_learn_at_once_that_the_server_has_ended() -> None:
    with bad() as client, ThreadPoolExecutor(16) as pool:
        client.server()
        hanging = [pool.submit(timed, client, "hang", 60.0) for _ in range(15)]
        timed(client, "slow", 20.0, seconds=0.1)
        begun = time.monotonic()
        assert isinstance(timed(client, "die", 20.0), Gone)
        errors = [each.result() for each in hanging]
        assert time.monotonic() - begun < 10
        assert all(isinstance(error, Gone) and error.status == 3 for error in errors)
        assert len({id(error) for error in errors}) == 15


def test_a_server_that_closes_its_output_is_gone_and_ended() -> None:
    with bad(ignore="eof") as client:
        process = int(text_of(client.call_tool("pid", {})))
        error = timed(client, "closes_output", 20.0)
        assert isinstance(error, Gone)
        until(lambda: not is_running(process))


def test_a_server_that_closes_its_input_is_gone_at_the_next_call_which_it_has_not_run(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note), ignore="eof") as client:
        timed(client, "closes_input", 20.0)
        first = text_of(client.call_tool("echo", {"a": 1}))  # it is certain that it was not run, so it is sent again
        assert first == '{"a": 1}'
        assert note.read_text().split().count("start") == 2
        assert note.read_text().split().count("echo") == 1


def test_a_call_of_a_dead_server_whose_child_keeps_its_output_ends_soon(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with bad(note=str(note)) as client:
        begun = time.monotonic()
        assert isinstance(timed(client, "child_keeps_output", 60.0), Gone)
        assert time.monotonic() - begun < 20
        child = int(note.read_text().split()[-1])
        until(lambda: not is_running(child))


def test_a_server_that_never_reads_blocks_no_call_and_no_close() -> None:
    client = bad()
    assert isinstance(timed(client, "no_read", BRIEF), Slow)
    for _ in range(3):
        error = timed(client, "echo", BRIEF, text="x" * 1_000_000)
        assert isinstance(error, Slow)
    assert not error.sent
    assert "was not sent" in str(error)
    assert "not known" not in str(error)
    begun = time.monotonic()
    client.close()
    assert time.monotonic() - begun < 5


def test_a_call_that_waits_for_a_server_that_does_not_read_ends_when_it_is_cancelled() -> None:
    cancel = threading.Event()
    with bad() as client, ThreadPoolExecutor(1) as pool:
        assert isinstance(timed(client, "no_read", BRIEF), Slow)
        waiting = pool.submit(
            client.call_tool, "echo", {"text": "x" * 1_000_000}, patience=Patience(60.0, cancel=cancel)
        )
        cancel.set()
        with pytest.raises(Slow):
            waiting.result(20)


def test_half_a_line_holds_back_only_its_own_call(server: Client) -> None:
    with bad() as client:
        assert isinstance(timed(client, "half_line_and_silence", BRIEF, seconds=1.0), Slow)
        assert text_of(client.call_tool("echo", {"a": 1})) == '{"a": 1}'


def test_large_arguments_and_results_pass() -> None:
    with bad() as client:
        assert len(text_of(client.call_tool("big", {"size": 20_000_000}))) == 20_000_000
        assert len(text_of(client.call_tool("echo", {"text": "x" * 5_000_000}))) > 5_000_000


def test_a_line_without_end_costs_its_call_and_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 2_000_000)
    with bad() as client:
        client.server()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert isinstance(timed(client, "endless_line", 1.0, pieces=100), Slow)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_an_answer_that_is_too_long_is_an_error_of_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 500_000)
    with bad() as client:
        error = timed(client, "big", 20.0, size=2_000_000)
        assert isinstance(error, MCPError)
        assert "longer than" in str(error)
        assert len(text_of(client.call_tool("big", {"size": 400_000}))) == 400_000


def test_progress_is_a_sign_of_life_and_is_told() -> None:
    told: list[str] = []
    with bad() as client:
        client.server()
        patience = Patience(1.5, progress=told.append)
        result = client.call_tool("progress", {"times": 8, "seconds": 0.25}, patience=patience)
    assert text_of(result) == "done"
    assert told == [f"step {number}" for number in range(8)]


def test_of_much_progress_at_once_the_newest_is_told() -> None:
    told: list[str] = []
    is_told = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        is_told.wait(20)

    with bad() as client, ThreadPoolExecutor(1) as pool:
        client.server()
        patience = Patience(20.0, progress=tell)
        waiting = pool.submit(client.call_tool, "progress", {"times": 1000, "seconds": 0.0}, patience=patience)
        until(lambda: told)
        until(lambda: text_of(client.call_tool("echo", {})) == "{}" and is_read_to_its_end(client))
        is_told.set()
        assert text_of(waiting.result()) == "done"
    assert told[-1] == "step 999"
    assert len(told) < 100


def is_read_to_its_end(client: Client) -> bool:
    """Whether no call waits for an answer that has not come yet."""
    return not client._opening._channel._calls._waiting  # type: ignore[union-attr]


def test_progress_without_end_ends_at_the_end_of_all_patience() -> None:
    with bad() as client:
        client.server()
        begun = time.monotonic()
        with pytest.raises(Slow):
            client.call_tool(
                "progress", {"times": 10_000, "seconds": 0.05}, patience=Patience(1.0, time.monotonic() + 0.8)
            )
        assert time.monotonic() - begun < 1.8


def test_what_is_told_of_progress_may_raise() -> None:
    def refuse(text: str) -> None:
        raise RuntimeError(text)

    with bad() as client:
        with pytest.raises(RuntimeError, match="step 0"):
            client.call_tool("progress", {"times": 2, "seconds": 0.0}, patience=Patience(20.0, progress=refuse))
        assert text_of(client.call_tool("echo", {})) == "{}"


def test_a_cancelled_call_ends_at_once_and_the_server_goes_on() -> None:
    cancel = threading.Event()
    with bad() as client, ThreadPoolExecutor(1) as pool:
        client.server()
        waiting = pool.submit(client.call_tool, "hang", {}, patience=Patience(60.0, cancel=cancel))
        process = text_of(client.call_tool("pid", {}))
        cancel.set()
        with pytest.raises(Slow, match="cancelled"):
            waiting.result(20)
        assert text_of(client.call_tool("pid", {})) == process


def test_sixteen_threads_share_a_connection_and_each_gets_its_own_answer() -> None:
    with bad() as client, ThreadPoolExecutor(16) as pool:

        def ask(number: int) -> bool:
            return all(
                json.loads(text_of(client.call_tool("echo", {"n": number, "i": index}))) == {"n": number, "i": index}
                for index in range(20)
            )

        assert all(pool.map(ask, range(16)))


def test_arguments_that_are_not_json_are_an_error_of_the_call(server: Client) -> None:
    with pytest.raises(ToolError, match="can't be sent"):
        server.call_tool("echo", {"x": float("nan")})


def test_a_hung_start_ends_with_the_call_and_a_later_call_waits_for_the_same_start() -> None:
    with bad(start="hang") as client:
        for _ in range(2):
            error = timed(client, "echo", BRIEF)
            assert isinstance(error, Slow)
            assert "still starting" in str(error)
            assert not error.sent


def test_a_server_that_ends_at_its_start_is_gone_with_its_last_words() -> None:
    with bad(start="die") as client:
        with pytest.raises(Gone, match="the database is locked") as caught:
            client.call_tool("echo", {})
        assert caught.value.status == 7
        assert not caught.value.sent
        assert "not known" not in str(caught.value)


def test_a_closed_connection_tells_those_that_wait() -> None:
    client = bad()
    with ThreadPoolExecutor(4) as pool:
        client.server()
        waiting = [pool.submit(client.call_tool, "hang", {}, read_only=True) for _ in range(4)]
        client.call_tool("slow", {"seconds": 0.1})
        client.close()
        for each in waiting:
            with pytest.raises(Gone, match="closed"):
                each.result(20)


def test_useless_lines_are_counted() -> None:
    heard: list[Any] = []
    with Stdio(bad_command(), heard.append) as channel:
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "garbage", "_meta": META}}
        channel.exchange(request, Patience(20.0))
        assert channel.skipped > 5
        assert [each["method"] for each in heard] == []


META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
