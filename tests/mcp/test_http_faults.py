"""Whatever a server does over HTTP, a call ends in time, with the answer or one of three errors; the next succeeds.

The faults are those of tests/mcp/http_bad.py.
"""

import contextlib
import itertools
import os
import random
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentkit.mcp.channel import Patience
from agentkit.mcp.client import Client
from agentkit.mcp.errors import Gone, MCPError, Slow
from agentkit.mcp.http import Http
from tests.mcp.http_bad import BIG, FAULTS, MODERN, VERSION, Exchange, HttpBad, event
from tests.support.waiting import until

TIMEOUT = 0.4
LATE = TIMEOUT + 5
"""The promise is one second; other programs use the machine, too."""
NUMBERS = itertools.count(1)

ANSWERED = {
    *("none", "big", "id as a text", "charset", "byte order mark", "batch", "no UTF-8", "gzip", "429 at first"),
    *("redirect 307 within", "redirect 308 within", "progress, then the answer", "open after the answer"),
    *("closed, to be resumed", "broken off, to be resumed"),
}
SLOW = {
    *("hangs before the headers", "trickled headers", "half of the headers", "half of the body", "trickled body"),
    *("keep-alives only", "notifications only", "progress for ever", "wrong id, and open", "endless 100 Continue"),
    *("endless body", "asks, then answers"),
}
GONE = {
    *("half of the headers, then closed", "half of the body, then closed", "half of a chunk, then closed"),
    *("garbage", "ends without the answer", "dropped", "reset", "endless headers", "bad chunks", "damaged gzip"),
    *("status 502", "status 503", "status 504", "closed, can't be resumed"),
}
CHUNKED = {"half of a chunk, then closed", "bad chunks", "chunk of a negative size"}
LOSES_SESSION = {"status 404", "status 410"}


def connected(server: HttpBad, heard: Any = lambda message: None, **options: Any) -> Http:
    """A channel on which the handshake is done."""
    channel = Http(server.url, heard, **options)
    if not server.with_session:
        channel.version = MODERN
        return channel
    params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
    answer = channel.exchange(request("initialize", **params), Patience(10))
    channel.version = answer["result"]["protocolVersion"]
    channel.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, Patience(10))
    return channel


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": next(NUMBERS), "method": method, "params": params}


def call(channel: Http, fault: str, streamed: bool = False, patience: Patience | None = None, **more: Any) -> Any:
    """The result of a call that meets a fault. Raises the three errors."""
    arguments = {"fault": fault, "streamed": streamed, **more}
    message = request("tools/call", name="fault", arguments=arguments)
    message["params"]["_meta"] = {"progressToken": message["id"]}
    if channel.version == MODERN:
        message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = MODERN
    answer = channel.exchange(message, patience or Patience(TIMEOUT))
    if "error" in answer:
        error = answer["error"]
        assert isinstance(error["code"], int)
        assert isinstance(error["message"], str)
        raise MCPError(error["message"], error["code"])
    return answer["result"]


@pytest.fixture(scope="module")
def server() -> Iterator[HttpBad]:
    with HttpBad() as server:
        yield server


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_ends_in_time_and_the_next_succeeds(server: HttpBad, fault: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda streamed: check(server, fault, streamed), (False, True)))


@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in CHUNKED])
def test_a_call_whose_response_ends_with_its_connection_ends_in_time(server: HttpBad, fault: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda streamed: check(server, fault, streamed, closing=True), (False, True)))


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_is_cut_anywhere_is_a_connection_that_broke(streamed: bool) -> None:
    def cut(it: Exchange) -> bool:
        size = it.request.arguments.get("size")
        if size is None:
            return False
        body = event(it.text(), event="message") if streamed else it.text()
        it.send(it.head(length=len(body)) + body[:size])
        it.is_kept = False
        return True

    with HttpBad(post=cut) as server, contextlib.closing(connected(server)) as channel:
        whole = len(it_text()) + (len("event: message\ndata: ") if streamed else 0)
        for size in range(whole):
            with pytest.raises(Gone) as caught:
                call(channel, "cut", streamed, Patience(30), closing=True, size=size)
            assert caught.value.sent


@pytest.mark.parametrize("fault", ["page", "accepted", "wrong id", "garbage in the body"])
def test_what_is_no_answer_to_a_call_with_effects_is_told_with_its_doubt(server: HttpBad, fault: str) -> None:
    with Client(lambda heard: Http(server.url, heard), "bad", 20) as client:
        for read_only in (False, True):
            with pytest.raises(MCPError) as caught:
                client.call_tool("fault", {"fault": fault}, read_only=read_only)
            assert ("it is not known whether the call had an effect" in str(caught.value)) is not read_only
        with pytest.raises(MCPError) as caught:  # which is an answer
            client.call_tool("fault", {"fault": "error with 400"})
        assert "not known" not in str(caught.value)


def it_text() -> bytes:
    return b'{"jsonrpc": "2.0", "id": 100, "result": {"content": [{"type": "text", "text": "here"}]}}'


def check(server: HttpBad, fault: str, streamed: bool, closing: bool = False) -> None:
    channel = connected(server)
    timeout = 0.2 if fault == "progress for ever" else 60 if fault not in SLOW else TIMEOUT
    started = time.monotonic()
    try:
        result = call(channel, fault, streamed, Patience(timeout), closing=closing)
    except (Gone, Slow, MCPError) as error:
        took = time.monotonic() - started
        assert expected(fault, streamed, error) or (closing and cut_short(fault, error)), (
            f"{type(error).__name__}: {error}"
        )
        assert server.url.removesuffix("/mcp") in str(error) or isinstance(error, MCPError)
    else:
        assert fault in ANSWERED
        took = 0.0
        assert isinstance(result["content"], list)
        if fault == "big":
            assert len(result["content"][0]["text"]) == BIG
    assert took < (timeout * 10 if fault == "progress for ever" else timeout) + LATE
    assert channel.is_lost == (fault in LOSES_SESSION)
    if not channel.is_lost:
        assert call(channel, "none", patience=Patience(30))["content"][0]["text"] in ("here", "moved")
    channel.close()


def cut_short(fault: str, error: Exception) -> bool:
    """Whether an error is that of a body that ended with its connection, and is none of JSON."""
    return isinstance(error, Gone) and (fault.startswith("body is ") or fault in ("empty", "garbage in the body"))


def expected(fault: str, streamed: bool, error: Exception) -> bool:
    if fault in LOSES_SESSION:
        return isinstance(error, Gone) and not error.sent
    if fault in GONE or (streamed and (fault.startswith("body is ") or fault == "wrong id")):
        return isinstance(error, Gone | MCPError) and (fault not in GONE or isinstance(error, Gone))
    if fault in SLOW:
        return isinstance(error, Slow)
    return isinstance(error, MCPError) and fault not in ANSWERED


@pytest.mark.parametrize("with_session", [True, False], ids=["old", "new"])
def test_random_faults_from_16_threads_leave_nothing_behind(with_session: bool) -> None:
    slow_or_changing = {"big", "gzip bomb", "progress for ever", "asks, then answers", "redirect 308 within"}
    names = sorted(set(FAULTS) - LOSES_SESSION - slow_or_changing)
    late, unexpected, after = [], [], []
    with HttpBad(with_session=with_session) as server:
        channel = connected(server)
        before = descriptors()

        def work(seed: int) -> None:
            chosen = random.Random(seed)
            for _ in range(25):
                fault, streamed = chosen.choice(names), chosen.random() < 0.5
                started = time.monotonic()
                try:
                    call(channel, fault, streamed)
                except (Gone, Slow, MCPError):
                    pass
                except BaseException as error:  # noqa: BLE001 - that is what is looked for
                    unexpected.append((fault, error))
                if time.monotonic() - started > LATE:
                    late.append(fault)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert call(channel, "none", patience=Patience(30))
        channel.close()
        until(lambda: descriptors() <= before, 20)
        after.append(descriptors())
    assert (late, unexpected) == ([], [])
    assert after[0] <= before


def descriptors() -> int:
    """How many of this process's descriptors are sockets of a client or anything else but the server's."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def test_a_body_that_decompresses_without_an_end_is_given_up_in_bounded_memory(server: HttpBad) -> None:
    channel = connected(server)
    tracemalloc.start()
    try:
        with pytest.raises(MCPError, match="64,000,000 bytes"):
            call(channel, "gzip bomb", patience=Patience(60))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    channel.close()
    assert peak < 250_000_000


def test_a_server_that_never_reads_does_not_hold_a_call(server: HttpBad) -> None:
    channel = Http(f"http://127.0.0.1:{server.port}/deaf", lambda message: None)
    started = time.monotonic()
    with pytest.raises(Slow):
        call(channel, "none", text="x" * 30_000_000)
    assert time.monotonic() - started < LATE
    channel.close()


def test_progress_keeps_a_call_alive_and_is_told(server: HttpBad) -> None:
    told: list[str] = []
    channel = connected(server)
    assert call(channel, "progress, then the answer", patience=Patience(3, progress=told.append), pause=1.0)
    channel.close()
    assert told == ["step 1", "step 2", "step 3", "step 4"]


def test_a_refused_connection_says_that_nothing_was_sent() -> None:
    with HttpBad() as server:
        url = server.url
    channel = Http(url, lambda message: None)
    with pytest.raises(Gone, match=r"can't be reached .*refused") as caught:
        call(channel, "none", patience=Patience(10))
    assert caught.value.sent is False
    channel.close()


def test_a_dropped_connection_costs_that_call_only(server: HttpBad) -> None:
    channel = connected(server)
    with ThreadPoolExecutor(8) as pool:
        slow = [pool.submit(call, channel, "progress, then the answer", True, Patience(20)) for _ in range(4)]
        dropped = [pool.submit(call, channel, "dropped", False, Patience(20)) for _ in range(4)]
        for each in dropped:
            with pytest.raises(Gone) as caught:
                each.result()
            assert caught.value.sent
        assert [each.result()["content"][0]["text"] for each in slow] == ["here"] * 4
    assert not channel.is_lost
    channel.close()


def test_a_cancelled_call_ends_at_once_and_the_server_is_told(server: HttpBad) -> None:
    channel = connected(server)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    started, seen = time.monotonic(), len(server.requests)
    with pytest.raises(Slow, match="cancelled"):
        call(channel, "hangs before the headers", patience=Patience(60, cancel=cancel))
    assert time.monotonic() - started < LATE
    until(lambda: "notifications/cancelled" in server.methods()[seen:], 20)
    told = next(each for each in reversed(server.requests) if each.message.get("method") == "notifications/cancelled")
    asked = next(each for each in server.requests[seen:] if each.message.get("method") == "tools/call")
    assert told.message["params"]["requestId"] == asked.message["id"]
    channel.close()
