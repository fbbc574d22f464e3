"""Dataclasses whose methods are made when they are first used.

`dataclasses.dataclass` compiles up to six functions for each class when its module is imported, which was the larger
part of the time that a program with one request took. Here a class gets `__init__` when the first object is made, and
the rest (the fields; `__eq__`, `__repr__`, ...) from `dataclasses` itself when it is asked for. To type checkers, and
to whoever looks at a class or an object, they are dataclasses.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, FrozenInstanceError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(kind: type | None = None, /, **options: bool) -> Any:
        """See `dataclasses.dataclass`. options: frozen, eq, repr, kw_only."""
        return _Record(kind, options).kind if kind is not None else lambda kind: _Record(kind, options).kind


_FIELDS = ("__match_args__", "__dataclass_fields__")
_METHODS = ("__dataclass_params__", "__repr__", "__eq__", "__hash__")


class _Record:
    """What makes the methods of one class. There is no lock: threads that make them at once make the same."""

    def __init__(self, kind: type, options: dict[str, bool]) -> None:
        self.kind = kind
        self._options = options
        self._own = inspect.get_annotations(kind)
        self._given = {name: vars(kind)[name] for name in self._own if name in vars(kind)}
        waiting = dict.fromkeys(_FIELDS, self._make_fields)
        waiting |= {name: self._make_methods for name in _METHODS if self._makes(name)}
        if "__init__" not in vars(kind):
            waiting["__init__"] = self._make_init
        for name, make in waiting.items():
            setattr(kind, name, _Waiting(kind, name, make))
        for name, given in self._given.items():
            if isinstance(given, Field):
                _replace(kind, name, given)
        if "__replace__" not in vars(kind):  # of Python 3.13
            kind.__replace__ = _replaced  # type: ignore[attr-defined]
        if options.get("frozen"):
            for name, function in _of_frozen(kind).items():
                setattr(kind, name, function)
        elif options.get("eq", True) and "__hash__" not in vars(kind):
            kind.__hash__ = None  # type: ignore[assignment]

    def _makes(self, name: str) -> bool:
        """Whether `dataclasses` sets an attribute."""
        has_eq, written = self._options.get("eq", True), vars(self.kind)
        if name == "__hash__":  # Python sets None for a class with an `__eq__`
            return has_eq and self._options.get("frozen", False) and written.get(name) is None
        if name in ("__eq__", "__repr__") and not self._options.get(name.strip("_"), True):
            return False
        return name not in written

    def _make_fields(self) -> None:
        made = self._made_by_dataclasses(eq=False, repr=False, kw_only=self._options.get("kw_only", False))
        self._take(made, _FIELDS)

    def _make_methods(self) -> None:
        self._take(self._made_by_dataclasses(**self._options), _METHODS)

    def _take(self, made: type, names: Iterable[str]) -> None:
        for name in names:
            if isinstance(vars(self.kind).get(name), _Waiting):
                setattr(self.kind, name, vars(made)[name])

    def _made_by_dataclasses(self, **options: bool) -> type:
        """A class with the same fields, those of its bases included, which `dataclasses` has made."""
        annotations: dict[str, Any] = {}
        body: dict[str, Any] = {}
        for base in self.kind.__mro__[-1:0:-1]:
            for name, field in getattr(base, "__dataclass_fields__", {}).items():
                annotations[name], body[name] = field.type, field
        for name, annotation in self._own.items():
            annotations[name] = annotation
            body.pop(name, None)
            if name in self._given:
                body[name] = self._given[name]
        body["__annotations__"] = annotations
        for name in ("__module__", "__qualname__"):
            body[name] = getattr(self.kind, name)
        body["__doc__"] = self.kind.__doc__ or self.kind.__name__
        if "__eq__" in vars(self.kind) and not isinstance(vars(self.kind)["__eq__"], _Waiting):
            body["__eq__"] = vars(self.kind)["__eq__"]
        make: Any = dataclasses.dataclass
        made: type = make(**options, init=False)(type(self.kind.__name__, (), body))
        return made

    def _make_init(self) -> None:
        fields = dataclasses.fields(self.kind)
        is_frozen = self._options.get("frozen", False)
        init = _init_of(fields, is_frozen=is_frozen, has_post_init=hasattr(self.kind, "__post_init__"))
        init.__module__, init.__qualname__ = self.kind.__module__, f"{self.kind.__qualname__}.__init__"
        setattr(self.kind, "__init__", init)  # noqa: B010 - mypy takes an assignment for a mistake


class _Waiting:
    """Stands for an attribute of a class until it is asked for. make: sets it, with others perhaps."""

    def __init__(self, kind: type, name: str, make: Callable[[], None]) -> None:
        self._kind = kind
        self._name = name
        self._make = make

    def __get__(self, instance: Any, owner: type) -> Any:
        self._make()
        found = vars(self._kind)[self._name]  # and not what a subclass has in its place, which may ask for this
        return found.__get__(instance, owner) if hasattr(found, "__get__") else found


def _replaced(self: Any, /, **changes: Any) -> Any:
    return dataclasses.replace(self, **changes)


def _replace(kind: type, name: str, field: "Field[Any]") -> None:
    """Set the default of a field in the place of its `field(...)`."""
    if field.default is not MISSING:
        setattr(kind, name, field.default)
        return
    try:
        delattr(kind, name)
    except AttributeError:  # another thread was quicker
        return


def _of_frozen(kind: Any) -> dict[str, Callable[..., None]]:
    """What refuses changes, as `dataclasses` has it."""

    def is_fixed(instance: Any, name: str) -> bool:
        return type(instance) is kind or name in kind.__dataclass_fields__

    def set_attribute(self: Any, name: str, value: Any) -> None:
        if is_fixed(self, name):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(kind, self).__setattr__(name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if is_fixed(self, name):
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(kind, self).__delattr__(name)

    return {"__setattr__": set_attribute, "__delattr__": delete_attribute}


class _Factory:
    """The default of a parameter whose value a function makes."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _init_of(fields: Iterable["Field[Any]"], *, is_frozen: bool, has_post_init: bool) -> Any:
    """The `__init__` of these fields, as `dataclasses` makes it."""
    names: dict[str, Any] = {"__FACTORY": _FACTORY}
    parameters: dict[bool, list[str]] = {False: ["self"], True: ["*"]}
    lines: list[str] = []
    annotations: dict[str, Any] = {}
    for number, field in enumerate(fields):
        made = f"__{number}"  # its default, or what makes it
        has_factory = field.default_factory is not MISSING
        names[made] = field.default_factory if has_factory else field.default
        value = field.name
        if field.init:
            annotations[field.name] = field.type
            default = "=__FACTORY" if has_factory else "" if field.default is MISSING else f"={made}"
            parameters[bool(field.kw_only)].append(field.name + default)
            value = f"{made}() if {value} is __FACTORY else {value}" if has_factory else value
        elif has_factory:
            value = f"{made}()"
        else:  # the class has it
            continue
        # `object.__setattr__`, with which dataclasses sets what is frozen, takes four times as long
        lines.append(f"__fields[{field.name!r}] = {value}" if is_frozen else f"self.{field.name} = {value}")
    lines[:0] = ["__fields = self.__dict__"] if is_frozen and lines else []
    lines += ["self.__post_init__()"] if has_post_init else []
    by_name = parameters[True] if len(parameters[True]) > 1 else []
    text = f"def __init__({', '.join([*parameters[False], *by_name])}):\n " + "\n ".join(lines or ["pass"])
    defined: dict[str, Any] = {}
    exec(text, names, defined)  # noqa: S102 - as dataclasses does it; what comes from a class are names of its fields
    init = defined["__init__"]
    init.__annotations__ = {**annotations, "return": None}
    return init
