"""One thread watches all runs that may be cancelled or have a deadline; none is kept for a reply whose backend stops
when its request is aborted; any other backend is left."""

import contextlib
import gc
import os
import queue
import socket
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from agentkit import Agent, AgentkitError, Hook, Limits, tool
from agentkit.backend import Capabilities, ReplyStream, Request
from agentkit.event import Reply, RunFinished, TextDelta
from agentkit.limits import Usage
from agentkit.middleware.base import Middleware, stops_on_abort
from agentkit.middleware.retry import Retrying
from agentkit.net import watcher
from agentkit.net.abort import AbortableRequest, record_owner
from agentkit.net.api_errors import api_error, mark_in_body
from agentkit.net.watcher import Watched, Watcher
from agentkit.testing import ScriptedBackend
from tests.support.forks import in_child
from tests.support.waiting import until

SOON = 0.8
"""Seconds that stopping may take here: 0.2, and what a busy machine with other tests running adds."""

FOREVER = 20.0
"""Seconds that a test would take in which nothing is woken."""


class Server:
    """Sends each connection some lines, and then nothing."""

    def __init__(self, lines: bytes = b"") -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lines = lines
        self.connections: list[socket.socket] = []
        self.address = self._listening.getsockname()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                connection.sendall(self._lines)
                self.connections.append(connection)

    def is_left(self) -> bool:
        """Whether all its clients have closed their connections."""
        for connection in self.connections:
            connection.settimeout(5)
            if connection.recv(1):
                return False
        return True

    def close(self) -> None:
        self._listening.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(b"one\ntwo\n")
    yield made
    made.close()


class Connection:
    def __init__(self, address: Any) -> None:
        self.sock = socket.create_connection(address)
        self.owner: Any = None


class Lines:
    """A backend that yields the lines that a server sends, as text."""

    stops_on_abort = True

    def __init__(self, server: Server) -> None:
        self._server = server

    def reply(self, request: Request) -> ReplyStream:
        connection = Connection(self._server.address)
        try:
            record_owner(connection)
            with connection.sock.makefile("r") as lines:
                for line in lines:
                    yield TextDelta(line)
            raise OSError("the connection broke off")
        finally:
            connection.sock.close()

    def capabilities(self, ask: bool = False) -> Capabilities:
        return Capabilities()

    def close(self) -> None:
        pass


class Asleep(Lines):
    """One that has the attribute from the class that it extends, and waits for what nothing wakes."""

    def __init__(self) -> None:
        self.woken = threading.Event()

    def reply(self, request: Request) -> ReplyStream:
        self.woken.wait(FOREVER)
        yield Reply({"role": "assistant", "content": "Late."}, "stop", Usage(1))


class AsleepBefore(Middleware):
    """A user's own wrapper that waits."""

    def reply(self, request: Request) -> ReplyStream:
        threading.Event().wait(FOREVER)
        return self.backend.reply(request)


class AsleepHook(Hook):
    """A hook that waits before each request."""

    def before_model(self, request: Any) -> Any:
        threading.Event().wait(FOREVER)


def names() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def stopped_after(agent: Agent, seconds: float = 0.2) -> tuple[Any, float]:
    """The result of a run that is cancelled after some seconds, and how long it took to stop."""
    cancel = threading.Event()
    timer = threading.Timer(seconds, cancel.set)
    started = time.monotonic()
    timer.start()
    return agent.run("Go.", cancel=cancel), time.monotonic() - started - seconds


@pytest.mark.parametrize("way", ["cancel", "seconds", "both"])
def test_fifty_runs_have_one_thread_that_watches_them(server: Server, way: str) -> None:
    cancel = threading.Event()
    options: dict[str, Any] = {}
    if way != "seconds":
        options["cancel"] = cancel
    agent = Agent(Lines(server), limits=Limits() if way == "cancel" else Limits(seconds=3 if way == "seconds" else 60))
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    before = names().count("agentkit-tool")
    for _ in range(50):
        threading.Thread(target=lambda: results.put(agent.run("Go.", **options)), daemon=True).start()
    until(lambda: len(server.connections) >= 50)
    assert names().count("agentkit-watcher") == 1
    assert names().count("agentkit-tool") <= before
    cancel.set()
    stopped = {results.get(timeout=15).stopped for _ in range(50)}
    assert stopped == {"seconds" if way == "seconds" else "cancelled"}
    assert server.is_left()


def test_the_text_that_had_arrived_is_kept_and_the_connection_closed(server: Server) -> None:
    cancel = threading.Event()
    events = []
    for event in Agent(Lines(server)).stream("Go.", cancel=cancel):
        events.append(event)
        if isinstance(event, TextDelta) and event.text == "two\n":
            cancel.set()
    assert isinstance(events[-1], RunFinished)
    assert events[-1].result.stopped == "cancelled"
    assert events[-1].result.output == "one\ntwo"
    assert server.is_left()


@pytest.mark.parametrize("how", ["closed", "collected"])
def test_a_run_that_is_closed_between_deltas_leaves_its_server(server: Server, how: str) -> None:
    run = Agent(Lines(server), limits=Limits(seconds=60)).stream("Go.", cancel=threading.Event())
    next(event for event in run if isinstance(event, TextDelta))
    if how == "closed":
        run.close()
    del run
    gc.collect()
    assert server.is_left()


def test_a_deadline_ends_a_reply_also_while_nobody_takes_its_deltas(server: Server) -> None:
    run = Agent(Lines(server), limits=Limits(seconds=0.5)).stream("Go.")
    next(event for event in run if isinstance(event, TextDelta))
    assert server.is_left()
    assert list(run)[-1].result.stopped == "seconds"  # type: ignore[attr-defined]


@pytest.mark.parametrize("options", [{}, {"limits": Limits(seconds=60)}], ids=["cancel", "both"])
@pytest.mark.parametrize("way", ["backend", "middleware", "hook"])
def test_what_can_not_be_woken_is_left(way: str, options: dict[str, Any]) -> None:
    ready: Any = ScriptedBackend("Done.")
    backend = Asleep() if way == "backend" else ready
    middleware = [AsleepBefore] if way == "middleware" else []
    hooks = [AsleepHook()] if way == "hook" else []
    result, took = stopped_after(Agent(backend, middleware=middleware, hooks=hooks, **options))
    assert result.stopped == "cancelled"
    assert took < SOON


def test_a_class_answers_for_itself_alone(server: Server) -> None:
    assert stops_on_abort(Lines(server))
    assert not stops_on_abort(Asleep())
    assert not stops_on_abort(AsleepBefore(Lines(server)))
    assert not stops_on_abort(ScriptedBackend(lambda messages: "Done."))
    assert stops_on_abort(ScriptedBackend("Done."))


@pytest.mark.parametrize(
    "layer", [ScriptedBackend("Done."), Retrying(ScriptedBackend("Done."))], ids=["model", "layer"]
)
def test_a_reply_that_was_put_in_the_place_of_its_own_is_not_known(layer: Any) -> None:
    assert stops_on_abort(layer)
    for reply in (lambda request: iter(()), types.MethodType(lambda self, request: iter(()), layer)):
        layer.reply = reply
        assert not stops_on_abort(layer)
        del layer.reply
    assert stops_on_abort(layer)


def test_an_agent_inside_of_a_tool_is_stopped_with_the_run_around_it(server: Server) -> None:
    inner = Agent(Lines(server))
    ask = inner.as_tool("ask", "Ask the other one.")
    result, took = stopped_after(Agent(ScriptedBackend(("ask", {"task": "x"}), "Done."), tools=[ask]), 0.4)
    assert result.stopped == "cancelled"
    assert took < SOON
    assert server.is_left()


def test_a_run_stops_while_it_waits_to_send_a_request_again() -> None:
    failed = [mark_in_body(api_error("overloaded")) for _ in range(2)]
    backend = ScriptedBackend(*failed)
    assert stops_on_abort(backend)
    result, _ = stopped_after(Agent(backend), 0.1)
    assert result.stopped == "cancelled"
    assert len(backend.requests) == 1


class Looks(Watcher):
    """A watcher that counts how often it looks, and gives up soon."""

    IDLE_SECONDS = 0.2

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def _abort_what_is_due(self) -> None:
        self.count += 1
        super()._abort_what_is_due()


def test_for_deadlines_alone_the_watcher_sleeps() -> None:
    watches, requests = Looks(), [AbortableRequest() for _ in range(3)]
    now = time.monotonic()
    for request, seconds in zip(requests, (0.6, 0.5, 0.4), strict=True):
        watches.add(Watched(request, now + seconds))
    until(lambda: all(request.is_aborted for request in requests))
    assert time.monotonic() - now >= 0.6
    assert watches.count <= 3 + 3 + 3  # when it begins, at each that is added, at each deadline
    until(lambda: watches._thread is None)
    again = AbortableRequest()
    watches.add(Watched(again, time.monotonic()))
    until(lambda: again.is_aborted)


def test_deadlines_hold_after_a_test_has_frozen_the_clock() -> None:
    """spulec/freezegun#384: libraries that wait in a thread were left waiting by a test that ended long before."""
    watches, before, after = Looks(), AbortableRequest(), AbortableRequest()
    first = Watched(before, time.monotonic() + 30)
    watches.add(first)
    until(lambda: watches._next_look == first.deadline)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 1.0)
        watches.remove(first)
        with watches._changed:
            watches._changed.notify()
        while watches._next_look == first.deadline:
            time.sleep(0.01)
    time.sleep(2 * watches.IDLE_SECONDS)
    watches.add(Watched(after, time.monotonic() + 0.1))
    until(lambda: after.is_aborted)


def test_an_event_that_raises_does_not_keep_the_others_from_being_watched() -> None:
    def broken() -> bool:
        raise RuntimeError("no event")

    watches, good, bad = Looks(), AbortableRequest(), AbortableRequest()
    watches.add(Watched(bad, None, broken))
    watches.add(Watched(good, None, lambda: True))
    until(lambda: good.is_aborted)
    assert not bad.is_aborted


def test_a_request_that_is_watched_no_longer_is_not_aborted() -> None:
    watches, request = Looks(), AbortableRequest()
    watched = Watched(request, time.monotonic() + 0.1)
    watches.add(watched)
    watches.remove(watched)
    other = AbortableRequest()
    watches.add(Watched(other, time.monotonic() + 0.2))
    until(lambda: other.is_aborted)
    assert not request.is_aborted


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


@needs_fork
def test_a_fork_ends_the_thread_and_the_parent_goes_on_to_watch(server: Server) -> None:
    watched = threading.Event()
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    agent = Agent(Lines(server))
    threading.Thread(target=lambda: results.put(agent.run("Go.", cancel=watched)), daemon=True).start()
    until(lambda: server.connections)

    def in_the_child() -> list[Any]:
        begun = [len(watcher.WATCHER._watched), names().count("agentkit-watcher")]
        stopped = Agent(Lines(server), limits=Limits(seconds=0.3)).run("Go.").stopped
        return [*begun, stopped]

    assert in_child(in_the_child) == [0, 0, "seconds"]
    watched.set()
    assert results.get(timeout=15).stopped == "cancelled"


@needs_fork
def test_a_run_that_was_begun_before_a_fork_goes_on_in_the_parent_alone(server: Server) -> None:
    run = Agent(Lines(server)).stream("Go.", cancel=threading.Event())
    next(event for event in run if isinstance(event, TextDelta))

    def read_on() -> str:
        with pytest.raises(AgentkitError, match=r"before os\.fork"):
            list(run)
        return "refused"

    assert in_child(read_on) == "refused"
    assert next(event for event in run if isinstance(event, TextDelta)).text == "two\n"
    run.close()


@tool(read_only=True)
def look_up(topic: str) -> str:
    """Look something up."""
    return topic


@pytest.mark.parametrize("ask", [Agent.run, lambda agent, *args, **more: list(agent.stream(*args, **more))[-1].result])
def test_runs_with_limits_are_what_they_are_without(ask: Callable[..., Any]) -> None:
    outputs = []
    kinds: list[dict[str, Any]] = [{}, {"limits": Limits(seconds=60)}]
    for options in kinds:
        agent = Agent(ScriptedBackend(("look_up", {"topic": "x"}), "Done."), tools=[look_up], **options)
        outputs.append(ask(agent, "Go.", **({"cancel": threading.Event()} if options else {})).messages)
    assert outputs[0] == outputs[1]
