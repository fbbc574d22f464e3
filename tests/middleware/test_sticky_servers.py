"""Several servers of one model: a conversation stays on its server, and moves when that fails."""

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.message import user
from agentkit.middleware.server_placement import ServerPlacement
from agentkit.sessions import MemorySessions
from agentkit.transcript import Transcript
from tests.support.forks import in_child
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole

SERVERS, CONVERSATIONS, TURNS = 3, 40, 5


class Fleet:
    """Servers of one model, and an agent over them. asked: which servers each conversation was sent to, in order."""

    def __init__(self, servers: list[ModelServer], backends: list[Any]) -> None:
        self.servers, self.backends = servers, backends
        self.asked: dict[str, list[int]] = defaultdict(list)
        self.down: set[int] = set()
        self.delay = 0.0

    def agent(self, **options: Any) -> Agent:
        return Agent(self.backends, balance="sticky", **options)

    def answer(self, place: int, asked: Asked) -> Answer:
        if place in self.down:
            return Answer(b'{"error": {"message": "down"}}', status=503)
        first = next(each["content"] for each in asked.body["messages"] if each["role"] == "user")
        self.asked[first].append(place)
        turn = sum(each["role"] == "user" for each in asked.body["messages"])
        return replace(whole(f"Answer {turn} to {first}"), delay=self.delay)


@contextmanager
def fleet_of(count: int) -> Iterator[Fleet]:
    made: list[Fleet] = []
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serve(lambda asked, place=place: made[0].answer(place, asked)))  # type: ignore[misc]
            for place in range(count)
        ]
        backends = [OpenAIBackend("m", base_url=server.url) for server in servers]
        made.append(Fleet(servers, backends))
        yield made[0]
        for backend in backends:
            backend.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Fleet]:
    with fleet_of(SERVERS) as fleet:
        yield fleet


@pytest.fixture
def fleet(servers: Fleet) -> Fleet:
    for server in servers.servers:
        server.requests.clear()
    servers.asked.clear()
    servers.down.clear()
    servers.delay = 0.0
    return servers


def conversed(agent: Agent, name: str, turns: int, messages: list[Any] | None = None) -> list[Any]:
    """The messages of a conversation after some turns."""
    history = list(messages or [])
    for _ in range(turns):
        question = "And then?" if history else name
        history = agent.run(question, messages=history).messages
    return history


def all_at_once(*work: Any) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_40_conversations_of_5_turns_stay_on_their_servers_and_the_load_is_even(fleet: Fleet) -> None:
    agent, fleet.delay = fleet.agent(), 0.03
    kept: dict[str, list[Any]] = {}

    def converse(name: str, turns: int) -> None:
        kept[name] = conversed(agent, name, turns, kept.get(name))

    names = [f"conversation {number}" for number in range(CONVERSATIONS)]
    all_at_once(*(lambda name=name: converse(name, TURNS) for name in names))
    homes = {name: set(places) for name, places in fleet.asked.items()}
    assert all(len(places) == 1 for places in homes.values())
    assert len(homes) == CONVERSATIONS
    load = Counter(place for places in fleet.asked.values() for place in places)
    assert sum(load.values()) == CONVERSATIONS * TURNS
    mean = CONVERSATIONS * TURNS / SERVERS
    assert all(abs(load[place] - mean) <= mean / 4 for place in range(SERVERS)), load

    fleet.down.add(1)
    fleet.asked.clear()
    all_at_once(*(lambda name=name: converse(name, 2) for name in names))
    assert len(fleet.asked) == CONVERSATIONS
    assert all(len(set(places)) == 1 for places in fleet.asked.values())
    assert all(set(fleet.asked[name]) == homes[name] for name in names if homes[name] != {1})
    moved = Counter(fleet.asked[name][0] for name in names if homes[name] == {1})
    assert set(moved) == {0, 2}  # the load of the one that is down is shared
    assert all(len(messages) == 2 * (TURNS + 2) for messages in kept.values())

    fleet.down.clear()
    before = {name: places[0] for name, places in fleet.asked.items()}
    fleet.asked.clear()
    for name in names[:10]:
        converse(name, 1)
    assert all(fleet.asked[name] == [before[name]] for name in names[:10])  # and stays at the new one


def test_a_run_stays_on_its_server_with_all_its_requests(fleet: Fleet) -> None:
    @tool(read_only=True)
    def look_up(what: str) -> str:
        """Look up."""
        return "15"

    def answer(place: int, asked: Asked) -> Answer:
        used.append(place)
        return calls(("look_up", {"what": str(len(used))})) if len(used) < 6 else whole("It is 15.")

    used: list[int] = []
    with fleet_of(SERVERS) as other:
        other.answer = answer  # type: ignore[method-assign]
        agent = other.agent(tools=[look_up], early_start=False)
        result = agent.run("Price?")
        assert len(set(used)) == 1
        agent.run("Sure?", messages=result.messages)
        assert len(set(used)) == 1


def test_a_stored_conversation_stays_with_changing_instructions(fleet: Fleet) -> None:
    agent = fleet.agent(instructions=lambda ctx: f"It is {len(ctx.messages)} o'clock.")
    with MemorySessions() as sessions:
        for number in range(6):
            for _ in range(3):
                agent.run(f"Question {number}", session=sessions[f"s{number}"])
    assert all(len(set(places)) == 1 for places in fleet.asked.values())


def test_two_programs_send_an_idle_conversation_to_the_same_server(fleet: Fleet) -> None:
    first, second = fleet.agent(), fleet.agent()
    for number in range(12):
        messages = conversed(first, f"Hello {number}", 1)
        conversed(second, f"Hello {number}", 2, messages)
    assert all(len(set(places)) == 1 for places in fleet.asked.values())
    assert len({places[0] for places in fleet.asked.values()}) > 1


def test_what_is_remembered_of_conversations_is_bounded(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.middleware.server_placement.MAX_CONVERSATIONS", 4)
    agent: Any = fleet.agent()
    for number in range(9):
        conversed(agent, f"Hello {number}", 1)
    placement = agent.backend.placement
    assert len(placement._of_beginnings) == 4
    assert not any(placement._in_flight)


def test_a_provider_field_goes_back_to_whatever_server_is_asked(fleet: Fleet) -> None:
    thought = {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."}
    fleet.agent().run("Sure?", messages=[{"role": "user", "content": "Is it?"}, thought])
    sent = [server.requests[-1].body["messages"] for server in fleet.servers if server.requests]
    assert any(messages[1].get("reasoning_content") == "Hm." for messages in sent)


def test_a_long_conversation_is_cut_once_and_not_again_for_another_server(fleet: Fleet) -> None:
    long: list[Any] = [{"role": role, "content": "word " * 300} for _ in range(12) for role in ("user", "assistant")]
    agent = fleet.agent(window=4000)
    messages = agent.run("And now?", messages=long).messages
    home = next(place for place, server in enumerate(fleet.servers) if server.requests)
    fleet.down.add(home)
    agent.run("And then?", messages=messages)
    first = fleet.servers[home].requests[0].body["messages"]
    (second,) = (
        each.requests[0].body["messages"] for each in fleet.servers[:home] + fleet.servers[home + 1 :] if each.requests
    )
    assert len(first) < 20
    assert second[: len(first)] == first
    assert len(second) == len(first) + 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_what_is_in_flight_in_the_parent_is_not_in_a_child() -> None:
    placement = ServerPlacement(["a", "b"])
    begun = [Transcript([user(f"Question {number}")]) for number in range(3)]
    places = [placement.take(each, (0,)) for each in begun]

    def in_the_child() -> tuple[list[int], list[int]]:
        placement.settle(begun[0], places[0], None)  # it may go on with it
        return list(placement._in_flight), [placement.take(Transcript([user(f"{n}")]), (0, 1)) for n in range(2)]

    in_flight, taken = in_child(in_the_child)
    assert in_flight == [0, 0]
    assert sorted(taken) == [0, 1]
    assert placement._in_flight == [3, 0]
