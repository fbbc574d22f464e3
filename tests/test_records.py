"""Dataclasses whose methods are made when they are used are dataclasses to all who look at them."""

import copy
import dataclasses
import functools
import inspect
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from pydantic import TypeAdapter

from agentkit._lazy.records import dataclass as lazy
from agentkit._lazy.records import replace
from agentkit.limits import Limits

T = TypeVar("T")

Make = Callable[..., Any]


def _family(dataclass: Make) -> tuple[Any, ...]:
    """Classes of each form that agentkit has."""

    @dataclass(frozen=True)
    class Base:
        """Something."""

        name: str
        count: int = 3
        tags: list[str] = field(default_factory=list)
        at: float = field(default=0.5, init=False, compare=False, repr=False)
        kind: ClassVar[str] = "base"

    @dataclass(frozen=True)
    class Derived(Base):
        """Something else."""

        count: int = 4
        more: dict[str, int] = field(default_factory=dict, kw_only=True)

    @dataclass(frozen=True, eq=False)
    class ByIdentity:
        """Equal to itself alone."""

        name: str

    @dataclass(frozen=True, repr=False)
    class Typed(Generic[T]):
        """Of a type."""

        value: T

        def __repr__(self) -> str:
            return f"<{self.value!r}>"

    @dataclass
    class Open:
        """May be changed."""

        name: str
        total: int = 0
        parts: list[int] = field(default_factory=list, init=False)

        def __post_init__(self) -> None:
            self.total += 1

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Open) and other.name == self.name

    @dataclass(frozen=True, kw_only=True)
    class Options:
        """By name."""

        first: int
        second: int = 2

    return Base, Derived, ByIdentity, Typed, Open, Options


MADE: list[Callable[[tuple[Any, ...]], Any]] = [
    lambda kinds: kinds[0]("a"),
    lambda kinds: kinds[0]("a", 5, ["x"]),
    lambda kinds: kinds[1]("b", more={"c": 1}),
    lambda kinds: kinds[2]("c"),
    lambda kinds: kinds[3]([1]),
    lambda kinds: kinds[3][int](1),
    lambda kinds: kinds[4]("d", total=7),
    lambda kinds: kinds[5](first=1),
]


@pytest.mark.parametrize("number", range(len(MADE)))
def test_an_object_is_that_of_a_dataclass(number: int) -> None:
    shown = []
    for dataclass in (dataclasses.dataclass, lazy):
        kinds = _family(dataclass)
        made, same = MADE[number](kinds), MADE[number](kinds)
        kind = type(made)
        described = {
            "repr": repr(made),
            "dict": dataclasses.asdict(made),
            "equal": (made == same, made != same, made == object()),
            "signature": str(inspect.signature(kind)),
            "match": kind.__match_args__,
            "fields": [(each.name, str(each.type), each.init, each.kw_only) for each in dataclasses.fields(kind)],
            "is": (dataclasses.is_dataclass(kind), dataclasses.is_dataclass(made)),
            "vars": (vars(made), sorted(vars(copy.copy(made)))),
            "defaults": [getattr(kind, each.name, None) for each in dataclasses.fields(kind)],
            "frozen": kind.__dataclass_params__.frozen,
        }
        acts: dict[str, Callable[..., Any]] = {
            "hash": lambda made=made, same=same: hash(made) == hash(same),
            "set": lambda made=made: setattr(made, "name", "z"),
            "other": lambda made=made: setattr(made, "unknown", "z"),
            "delete": lambda made=made: delattr(made, "name"),
            "none": lambda kind=kind: kind(),
            "many": lambda kind=kind: kind(1, 2, 3, 4, 5, 6),
            "replaced": lambda made=made: repr(dataclasses.replace(made, **{next(iter(vars(made))): "new"})),
        }
        for name, act in acts.items():
            try:
                described[name] = act()
            except (TypeError, AttributeError, FrozenInstanceError) as error:
                described[name] = f"{type(error).__name__}: {error}"
        shown.append(described)
    assert shown[0] == shown[1]


@pytest.mark.parametrize("frozen", [True, False])
def test_classes_of_a_program_may_be_derived_from_one(frozen: bool) -> None:
    for base in _family(lazy)[:2]:
        try:
            own: Any = type("Own", (base,), {"__annotations__": {"own": int}, "own": 1})
            derived: Any = dataclasses.dataclass(frozen=frozen)(own)
        except TypeError as error:
            assert not frozen, error
            continue
        made = derived("a")
        assert (made.own, made.name, made.tags) == (1, "a", [])
        assert "own=1" in repr(made)
        with pytest.raises(FrozenInstanceError):
            made.own = 2


def test_threads_that_make_the_first_objects_at_once_all_get_one() -> None:
    for _ in range(20):
        kinds = _family(lazy)
        begin = threading.Barrier(4)
        made: list[Any] = []

        def work(kinds: tuple[Any, ...] = kinds, begin: threading.Barrier = begin, made: list[Any] = made) -> None:
            begin.wait()
            made.append((repr(kinds[1]("x")), kinds[0]("y") == kinds[0]("y"), kinds[1].count))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(made) == 4
        assert len(set(made)) == 1


def test_an_object_from_another_process_is_whole_before_one_was_made_here() -> None:
    code = (
        "import pickle, sys, agentkit.limits as limits\n"
        "given = pickle.loads(sys.stdin.buffer.read())\n"
        "assert given == pickle.loads(pickle.dumps(given)), given\n"
        "print(repr(given), hash(given) == hash(limits.Limits(turns=7)), given.turns)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(Limits(turns=7)), capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().strip() == f"{Limits(turns=7)!r} True 7"


def test_pydantic_reads_them() -> None:
    made = TypeAdapter(Limits).validate_python({"turns": 3})
    assert made == Limits(turns=3)


COMPARED = """
import sys
if sys.argv[1] == "dataclasses":
    import dataclasses
    from agentkit._lazy import records
    records.dataclass, records.field, records.replace = dataclasses.dataclass, dataclasses.field, dataclasses.replace
    records.parameters_of = lambda kind: [each.name for each in dataclasses.fields(kind)]
import dataclasses, inspect, json, re
import agentkit.agent, agentkit.testing, agentkit.backends.chat_protocol, agentkit.sessions.memory
found = {}
for module in [each for name, each in sorted(sys.modules.items()) if name.startswith("agentkit.")]:
    for kind in [each for each in vars(module).values() if isinstance(each, type)]:
        if kind.__module__ == module.__name__ and "__dataclass_fields__" in vars(kind):
            fields = [(each.name, each.init, each.kw_only, each.repr) for each in dataclasses.fields(kind)]
            signature = re.sub(" at 0x[0-9a-f]+", "", str(inspect.signature(kind)))
            has_hash = kind.__hash__ is not None
            found[module.__name__ + "." + kind.__name__] = signature, fields, kind.__match_args__, has_hash
print(json.dumps(found, default=str))
"""


def test_the_classes_of_agentkit_are_as_dataclasses_makes_them() -> None:
    made = []
    for which in ("dataclasses", "lazily"):
        done = subprocess.run([sys.executable, "-c", COMPARED, which], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append(json.loads(done.stdout))
    assert len(made[0]) > 50
    assert made[0] == made[1]


@pytest.mark.parametrize("method", ["__init__", "__repr__", "__eq__", "__hash__"])
def test_a_subclass_may_ask_for_a_method_that_it_overrides(method: str) -> None:
    @lazy(frozen=True)
    class Base:
        number: int = 1

    def override(self: Any, *arguments: Any) -> Any:
        return getattr(super(Sub, self), method)(*arguments)

    Sub: Any = type("Sub", (Base,), {"__hash__": Base.__hash__, method: override})
    first, second = Sub(), Sub()
    assert (first.number, first == second, hash(first) == hash(second)) == (1, True, True)
    assert "number=1" in repr(first)


def test_a_class_has_its_defaults_before_the_first_object() -> None:
    @lazy()
    class Late:
        at: float = field(default=0.0, compare=False)
        names: list[str] = field(default_factory=list)

    assert Late.at == 0.0
    assert not hasattr(Late, "names")
    assert Late.__new__(Late).at == 0.0


def test_an_object_with_other_values_is_that_of_dataclasses() -> None:
    made = []
    for dataclass, with_others in ((dataclasses.dataclass, dataclasses.replace), (lazy, replace)):
        kinds = _family(dataclass)
        base, derived = kinds[0]("a", tags=["t"]), kinds[1]("b", more={"x": 1})
        others = [
            with_others(base, count=7),
            with_others(derived, name="c", more={}),
            with_others(kinds[2]("d"), name="e"),
        ]
        with pytest.raises((TypeError, ValueError)):
            with_others(base, at=1.0)
        with pytest.raises(TypeError):
            with_others(base, other=1)
        assert base.count == 3
        made.append([(repr(each), each == with_others(each), vars(each)) for each in others])
    assert made[0] == made[1]


def test_an_object_with_other_values_has_nothing_that_was_computed_of_the_first() -> None:
    @lazy(frozen=True)
    class Counted:
        number: int = 1

        @functools.cached_property
        def double(self) -> int:
            return 2 * self.number

    first = Counted(2)
    assert (first.double, replace(first, number=3).double) == (4, 6)


def test_another_thread_may_be_importing_dataclasses() -> None:
    code = (
        "import sys, types\n"
        "from agentkit._lazy.records import dataclass, field\n"
        "sys.modules['dataclasses'] = types.ModuleType('dataclasses')\n"
        "@dataclass(frozen=True)\n"
        "class One:\n"
        "    number: int = 1\n"
        "    names: list = field(default_factory=list)\n"
        "print(One().number, One(2, ['a']).names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "['a']"]
