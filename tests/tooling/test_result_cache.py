"""`@tool(cache=...)`: results of read-only calls are kept, for whom they were made and as long as it was said."""

import copy
import gc
import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from agentkit import Agent, Context, Image, Limits, Tool, ToolError, tool
from agentkit.errors import ToolDefinitionError
from agentkit.event import ToolRecord, ToolStarted
from agentkit.testing import ScriptedBackend
from agentkit.tooling.outcome import Outcome
from agentkit.tooling.result_cache import Key, ResultCache
from agentkit.tooling.stop import Stop
from tests.support.forks import in_child
from tests.support.waiting import until


def ask(called: Tool[..., Any], *arguments: Any, **options: Any) -> list[ToolRecord]:
    """The records of calls in one run, a reply each."""
    steps = [(called.name, each) for each in arguments]
    limits = options.pop("limits", Limits(repeats=None))
    return Agent(ScriptedBackend(*steps, "Done."), tools=[called], limits=limits).run("Go.", **options).tool_calls


class Counter:
    """Counts, in any thread."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.count = 0

    def next(self) -> int:
        self.count = next(self._numbers)
        return self.count


def counting(**options: Any) -> tuple[Tool[..., str], Counter]:
    counter = Counter()

    @tool(read_only=True, **{"cache": 60, **options})
    def price(n: int, currency: str = "EUR") -> str:
        """The price of a thing."""
        return f"{n} {currency} ({counter.next()})"

    return price, counter


def texts(records: list[ToolRecord]) -> list[str]:
    return [each.response for each in records]


SAME = {"text": {"n": "5"}, "float": {"n": 5.0}, "default": {"currency": "EUR", "n": 5}}


@pytest.mark.parametrize("other", SAME.values(), ids=SAME.keys())
def test_calls_with_the_same_validated_arguments_are_one_call(other: dict[str, Any]) -> None:
    price, counter = counting()
    assert texts(ask(price, {"n": 5}, other)) == ["5 EUR (1)"] * 2
    assert counter.count == 1


def test_other_arguments_are_another_call() -> None:
    price, _ = counting()
    assert texts(ask(price, {"n": 5}, {"n": 6}, {"n": 5, "currency": "USD"}, {"n": 5})) == [
        *("5 EUR (1)", "6 EUR (2)", "5 USD (3)", "5 EUR (1)")
    ]


def test_results_are_kept_between_runs_for_the_time_that_was_said() -> None:
    price, counter = counting(cache=0.3)
    ask(price, {"n": 1})
    ask(price, {"n": 1})
    assert counter.count == 1
    time.sleep(0.35)
    ask(price, {"n": 1})
    assert counter.count == 2


def test_without_cache_each_call_is_made() -> None:
    price, counter = counting(cache=None)
    ask(price, {"n": 1}, {"n": 1})
    assert counter.count == 2


class Account:
    def __init__(self, owner: str) -> None:
        self.owner = owner


def test_results_are_kept_for_the_deps_that_they_were_made_with() -> None:
    counter = Counter()

    @tool(read_only=True, cache=60)
    def balance(ctx: Context[Account]) -> str:
        """The balance."""
        return f"{ctx.deps.owner}: {counter.next()}"

    anna, bob = Account("Anna"), Account("Bob")
    assert texts(ask(balance, {}, {}, deps=anna)) == ["Anna: 1"] * 2
    assert texts(ask(balance, {}, deps=bob)) == ["Bob: 2"]
    assert texts(ask(balance, {}, deps=anna)) == ["Anna: 1"]


def test_a_new_object_at_the_address_of_one_that_is_gone_has_no_part_in_its_results() -> None:
    @tool(read_only=True, cache=60)
    def balance(ctx: Context[Account]) -> str:
        """The balance."""
        return ctx.deps.owner

    addresses = set()
    for number in range(200):
        account = Account(str(number))
        addresses.add(id(account))
        assert texts(ask(balance, {}, deps=account)) == [str(number)]
        del account
        gc.collect(0)
    assert len(addresses) < 200


def test_texts_and_numbers_as_deps_count_by_their_value() -> None:
    price, counter = counting()
    for user in ("anna", "".join(["an", "na"]), "bob", 1, True):
        ask(price, {"n": 1}, deps=user)
    assert counter.count == 4


def test_with_the_context_results_are_those_of_a_session() -> None:
    from agentkit import MemorySessions

    @tool(read_only=True, cache=60)
    def note(ctx: Context) -> str:
        """What was noted."""
        return f"of {ctx.session}"

    sessions = MemorySessions()
    assert texts(ask(note, {}, session=sessions["a"])) == ["of a"]
    assert texts(ask(note, {}, session=sessions["b"])) == ["of b"]


def test_shared_results_are_for_everybody() -> None:
    from agentkit import MemorySessions

    price, counter = counting(shared=True)
    ask(price, {"n": 1}, deps=Account("Anna"), session=MemorySessions()["a"])
    ask(price, {"n": 1}, deps=Account("Bob"), session=MemorySessions()["b"])
    assert counter.count == 1


@pytest.mark.parametrize("error", [ToolError("not now"), ValueError("broken"), KeyboardInterrupt], ids=str)
def test_errors_are_never_kept(error: Any) -> None:
    outcomes = iter([error, "fine", AssertionError("called a third time")])

    @tool(read_only=True, cache=60)
    def fetch_it() -> str:
        """Fetch it."""
        outcome = next(outcomes)
        if isinstance(outcome, str):
            return outcome
        raise outcome

    if error is KeyboardInterrupt:
        agent = Agent(ScriptedBackend(("fetch_it", {}), "Done."), tools=[fetch_it], early_start=False)  # in this thread
        with pytest.raises(KeyboardInterrupt):
            agent.run("Go.")
    else:
        assert ask(fetch_it, {})[0].error is not None
    assert texts(ask(fetch_it, {}, {})) == ["fine", "fine"]


def together(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` returns in each of so many threads."""
    results: list[Any] = [None] * count

    def run(number: int) -> None:
        results[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    return results


def test_equal_calls_at_the_same_time_run_once() -> None:
    counter = Counter()

    @tool(read_only=True, cache=60)
    def slow(n: int) -> str:
        """Slow."""
        time.sleep(0.2)
        return f"{n}: {counter.next()}"

    started = time.monotonic()
    results = together(16, lambda number: texts(ask(slow, {"n": number % 2})))
    assert time.monotonic() - started < 3
    assert counter.count == 2
    assert len({str(each) for each in results}) == 2
    reply = [("slow", {"n": 7})] * 8  # in one reply as well
    assert len(set(texts(Agent(ScriptedBackend(reply, "Done."), tools=[slow]).run("Go.").tool_calls))) == 1
    assert counter.count == 3


def test_calls_that_wait_for_one_that_fails_get_its_error_and_the_next_is_made() -> None:
    counter = Counter()

    @tool(read_only=True, cache=60)
    def slow() -> str:
        """Slow."""
        number = counter.next()
        time.sleep(0.3)
        if number == 1:
            raise ToolError("the server is away")
        return "fine"

    results = together(8, lambda number: ask(slow, {})[0].error)
    assert results == ["Error: the server is away"] * 8
    assert counter.count == 1
    assert texts(ask(slow, {})) == ["fine"]


def test_a_call_that_waits_keeps_its_own_timeout_and_cancel() -> None:
    release, begun = threading.Event(), threading.Event()

    @tool(read_only=True, cache=60)
    def stuck(ctx: Context) -> str:
        """Stuck."""
        begun.set()
        release.wait(20)
        return "done"

    agent = Agent(ScriptedBackend(*[("stuck", {})] * 2, "Done."), tools=[stuck])
    first = threading.Thread(target=lambda: agent.run("Go."))
    first.start()
    assert begun.wait(10)
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    started = time.monotonic()
    assert agent.run("Go.", cancel=cancel).stopped == "cancelled"
    limited = Agent(ScriptedBackend(("stuck", {}), "Done."), tools=[stuck], tool_timeout=0.2)
    assert "did not finish within 0.2 seconds" in limited.run("Go.").tool_calls[0].response
    assert time.monotonic() - started < 5
    release.set()
    first.join(10)


def test_a_call_whose_run_was_cancelled_does_not_fail_those_that_wait_for_it() -> None:
    counter, cancel = Counter(), threading.Event()

    @tool(read_only=True, cache=60)
    async def slow() -> str:
        """Slow."""
        import asyncio

        number = counter.next()
        await asyncio.sleep(10 if number == 1 else 0)
        return f"made by {number}"

    agent = Agent(ScriptedBackend(*[("slow", {})] * 2, "Done.", "Done."), tools=[slow])
    first = threading.Thread(target=lambda: agent.run("Go.", cancel=cancel))
    first.start()
    until(lambda: counter.count == 1)
    threading.Timer(0.2, cancel.set).start()
    assert texts(agent.run("Go.").tool_calls) == ["made by 2"]
    first.join(10)


def test_a_tool_that_asks_itself_by_an_agent_does_not_wait_for_itself() -> None:
    depth = Counter()

    @tool(read_only=True, cache=60)
    def think(ctx: Context) -> str:
        """Think."""
        if depth.next() > 1:
            return "deep"
        inner = Agent(ScriptedBackend(("think", {}), "Done."), tools=[think])
        return ctx.run(inner, "Think.").tool_calls[0].response

    assert texts(ask(think, {}, limits=Limits(seconds=10))) == ["deep"]


def test_long_results_and_images_come_out_right() -> None:
    counter = Counter()
    pixel = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")

    @tool(read_only=True, cache=60, max_result=10)
    def page() -> list[Any]:
        """A page."""
        counter.next()
        return ["0123456789 the rest", Image(pixel, "image/png", "dot")]

    steps: list[Any] = [("page", {}), ("earlier_result", {"number": 2, "start": 10}), "Done."]
    for question in ("Go.", "Again."):
        result = Agent(ScriptedBackend(*steps), tools=[page]).run(question)
        assert "These are the first 10 of" in result.tool_calls[0].response
        assert "earlier_result with number 2 and start 10" in result.tool_calls[0].response
        assert sum("image_url" in str(message) for message in result.messages) == 1
        assert "the rest" in result.tool_calls[1].response
    assert counter.count == 1


class Shelf:
    def __init__(self, name: str) -> None:
        self.name = name
        self.counter = Counter()

    @tool(read_only=True, cache=60)
    def find(self, title: str) -> str:
        """Find a book."""
        return f"{title} on {self.name} ({self.counter.next()})"


def test_each_object_of_a_method_has_its_own_results() -> None:
    one, other = Shelf("A"), Shelf("B")
    for _ in range(2):
        assert texts(ask(one.find, {"title": "Emma"})) == ["Emma on A (1)"]
        assert texts(ask(other.find, {"title": "Emma"})) == ["Emma on B (1)"]


def process_of(n: int) -> str:
    """The process."""
    return f"{n} in {os.getpid()} at {time.monotonic()}"


def test_tools_in_processes_generators_and_coroutines_are_kept() -> None:
    isolated = tool(read_only=True, cache=60, isolate=True)(process_of)
    assert len(set(texts(ask(isolated, {"n": 1}, {"n": 1})))) == 1
    counter = Counter()

    @tool(read_only=True, cache=60)
    def lines(n: int) -> Any:
        """Lines."""
        for number in range(n):
            yield f"{number} ({counter.next()})"

    @tool(read_only=True, cache=60)
    async def later(n: int) -> str:
        """Later."""
        return f"{n} ({counter.next()})"

    assert len(set(texts(ask(lines, {"n": 3}, {"n": 3})))) == 1
    assert len(set(texts(ask(later, {"n": 3}, {"n": 3})))) == 1
    assert counter.count == 4


def test_a_tool_is_retried_before_its_result_is_kept() -> None:
    counter = Counter()

    @tool(read_only=True, cache=60, retries=1)
    def flaky() -> str:
        """Flaky."""
        if counter.next() == 1:
            raise OSError("away")
        return "fine"

    assert texts(ask(flaky, {}, {})) == ["fine", "fine"]
    assert counter.count == 2


def test_an_agent_as_a_tool_is_kept() -> None:
    inner = ScriptedBackend("42")
    asked = Agent(inner).as_tool("think", "Thinks.", read_only=True, cache=60)
    assert texts(ask(asked, {"task": "What?"}, {"task": "What?"})) == ["42", "42"]
    assert len(inner.requests) == 1


def test_what_an_agent_says_that_was_stopped_is_not_kept() -> None:
    begun = threading.Event()

    def slowly(_: Any) -> str:
        begun.set()
        time.sleep(0.3)
        return "too late"

    asked = Agent(ScriptedBackend(slowly, "42")).as_tool("think", "Thinks.", read_only=True, cache=60)
    agent = Agent(ScriptedBackend(("think", {"task": "What?"}), ("think", {"task": "What?"}), "Done."), tools=[asked])
    run = agent.stream("Go.")
    next(event for event in run if isinstance(event, ToolStarted))
    assert begun.wait(5)
    run.close()
    time.sleep(0.6)
    assert [call.response for call in agent.run("Go.").tool_calls] == ["42"]


@dataclass(frozen=True)
class Place:
    city: str
    since: date


class Kind(Enum):
    BIG = "big"
    SMALL = "small"


class Filter(BaseModel):
    kind: Kind
    hidden: int = Field(default=0, exclude=True)
    tags: set[str] = set()


class Login(BaseModel):
    password: SecretStr


def test_arguments_of_types_are_compared_by_all_that_they_have() -> None:
    counter = Counter()

    @tool(read_only=True, cache=60)
    def look(place: Place, wanted: Filter) -> str:
        """Look."""
        return f"{place.city} {wanted.hidden} ({counter.next()})"

    where = {"city": "Oslo", "since": "2024-01-02"}
    first = {"place": where, "wanted": {"kind": "big", "tags": ["a", "b"]}}
    again = {"wanted": {"kind": "BIG", "tags": ["b", "a"]}, "place": {"since": "2 January 2024", "city": "Oslo"}}
    other = {"place": where, "wanted": {"kind": "big", "tags": ["a", "b"], "hidden": 1}}
    assert texts(ask(look, first, again, other)) == ["Oslo 0 (1)", "Oslo 0 (1)", "Oslo 1 (2)"]


def test_what_can_not_be_compared_is_not_kept() -> None:
    counter = Counter()

    @tool(read_only=True, cache=60)
    def log_in(login: Login) -> str:
        """Log in."""
        return f"{login.password.get_secret_value()} ({counter.next()})"

    answers = texts(ask(log_in, *({"login": {"password": each}} for each in "aba")))
    assert answers == ["a (1)", "b (2)", "a (3)"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200)
@given(VALUES, VALUES)
def test_two_values_share_a_key_only_when_json_writes_them_the_same(one: Any, other: Any) -> None:
    written = [json.dumps(each, sort_keys=True) for each in (one, other)]
    assert (Key.of(one) == Key.of(other)) == (written[0] == written[1])
    assert Key.of(one) == Key.of(copy.deepcopy(one))


NEVER = Stop("none")


def kept(cache: ResultCache, name: str, text: str = "text") -> bool:
    """Whether a result was kept; it is afterwards."""
    made = []
    cache.outcome(Key.of(name), lambda: made.append(name) or Outcome(text), NEVER)  # type: ignore[func-returns-value]
    return not made


def test_what_is_kept_is_limited_in_number_and_in_size() -> None:
    cache = ResultCache(60, max_entries=3, max_characters=100)
    assert [kept(cache, name) for name in "abcd"] == [False] * 4
    assert [kept(cache, name) for name in "bcd"] == [True] * 3
    assert not kept(cache, "a")
    assert not kept(cache, "large", "x" * 101)
    assert not kept(cache, "large", "x" * 101)
    assert not kept(cache, "long", "x" * 99)
    assert not kept(cache, "d")


def test_an_outcome_that_failed_is_told_to_those_that_wait_and_not_kept() -> None:
    cache, counter = ResultCache(60), Counter()

    def fails() -> Outcome:
        counter.next()
        time.sleep(0.2)
        return Outcome("Error: away", failed=True)

    outcomes = together(4, lambda number: cache.outcome(Key.of("it"), fails, NEVER))
    assert [each.text for each in outcomes] == ["Error: away"] * 4
    assert counter.count == 1
    cache.outcome(Key.of("it"), fails, NEVER)
    assert counter.count == 2


def test_a_child_begins_without_the_calls_of_its_parent() -> None:
    cache, release = ResultCache(60), threading.Event()
    assert not kept(cache, "known")
    begun = threading.Event()

    def slow() -> Outcome:
        begun.set()
        release.wait(20)
        return Outcome("parent")

    thread = threading.Thread(target=lambda: cache.outcome(Key.of("slow"), slow, NEVER))
    thread.start()
    begun.wait(10)

    def made_in_child() -> list[Any]:
        return [kept(cache, "known"), cache.outcome(Key.of("slow"), lambda: Outcome("child"), NEVER).text]

    assert in_child(made_in_child) == [True, "child"]
    release.set()
    thread.join(10)


def test_64_threads_agree() -> None:
    price, counter = counting()
    results = together(64, lambda number: texts(ask(price, *({"n": n} for n in range(5)))))
    assert len({str(each) for each in results}) == 1
    assert counter.count == 5


def test_copies_and_pickles_of_a_tool_have_the_option_and_results_of_their_own() -> None:
    import pickle

    price, counter = counting()
    ask(price, {"n": 1})
    ask(copy.deepcopy(price), {"n": 1})
    assert counter.count == 2
    given = Tool("f", "F.", {"type": "object"}, process_of, read_only=True, cache=5, shared=True)
    again = pickle.loads(pickle.dumps(given))
    assert (again.options.cache, again.options.shared) == (5, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cache": 60}, "read_only=True"),
        ({"cache": 0, "read_only": True}, "above 0"),
        ({"cache": -1, "read_only": True}, "above 0"),
        ({"cache": float("nan"), "read_only": True}, "above 0"),
        ({"cache": True, "read_only": True}, "number of seconds"),
        ({"cache": "60", "read_only": True}, "number of seconds"),
        ({"shared": True, "read_only": True}, "cache="),
        ({"shared": 1, "cache": 5, "read_only": True}, "True or False"),
    ],
    ids=["effect", "zero", "negative", "nan", "bool", "text", "shared", "shared-int"],
)
def test_what_can_not_be_kept_is_an_error_of_the_definition(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ToolDefinitionError, match=words):
        tool(**options)(process_of)


def test_the_answer_of_one_person_is_not_kept_for_another() -> None:
    @tool(read_only=True, cache=60)
    def look(place: str, ctx: Context) -> str:
        """Look into a place."""
        answer = ctx.ask("As whom?", {"type": "object", "properties": {"name": {"type": "string"}}})
        return f"{place} for {answer['name']}"

    for name in ("Ada", "Bob"):
        agent = Agent(ScriptedBackend(("look", {"place": "hall"}), "Done."), tools=[look])
        first = agent.run("Go.")
        assert [each.question is not None for each in first.pending] == [True]
        result = agent.resume(first.messages, approve={first.pending[0].id: {"name": name}})
        assert result.tool_calls[0].response == f"hall for {name}"
