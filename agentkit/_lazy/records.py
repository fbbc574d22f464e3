"""Dataclasses whose methods are made when they are first used.

`dataclasses.dataclass` compiles up to six functions for each class when its module is imported, which was the larger
part of the time that a program with one request took, and the import of `dataclasses` itself (with `inspect`, `ast`,
`dis`) a tenth of what was left. Here a class gets `__init__` when the first object is made, `__eq__` and `__hash__`
when objects are compared, and the rest (the fields, `__repr__`, ...) from `dataclasses` when it is asked for. To type
checkers, and to whoever looks at a class or an object, they are dataclasses. Fields may be those of
`dataclasses.field`, too.
"""

import sys
from collections.abc import Callable, Collection, Iterable, KeysView, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
else:

    def dataclass(kind: type | None = None, /, **options: bool) -> Any:
        """See `dataclasses.dataclass`. options: frozen, eq, repr, kw_only."""
        return _Record(kind, options).kind if kind is not None else lambda kind: _Record(kind, options).kind

    def field(**options: Any) -> Any:
        """See `dataclasses.field`."""
        return _Given(options)

    def replace(instance: Any, /, **changes: Any) -> Any:
        """See `dataclasses.replace`, which does it for objects of other dataclasses, and says what is wrong."""
        kind = type(instance)
        record = kind.__dict__.get(_RECORD)
        names = None if record is None else record.parameters()
        if names is not None and record.only_sets_fields:
            values = {**instance.__dict__, **changes}
            if values.keys() == names:
                made = object.__new__(kind)
                made.__dict__.update(values)
                return made
        if names is None or not changes.keys() <= names:
            from dataclasses import replace as replaced

            return replaced(instance, **changes)
        for name in names:
            if name not in changes:
                changes[name] = getattr(instance, name)
        return record.kind(**changes)


def parameters_of(kind: type) -> Collection[str]:
    """The names that `__init__` of such a class takes, in their order."""
    record: _Record = vars(kind)[_RECORD]
    return record.parameters()


_RECORD = "__record__"
_FIELDS = ("__match_args__", "__dataclass_fields__")
_METHODS = ("__dataclass_params__", "__repr__")


class _Given:
    """What a field was declared with. options: as `dataclasses.field` takes them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options


class _Field:
    """A field, or a ClassVar. options: as for `dataclasses.field`."""

    def __init__(self, name: str, annotation: Any, options: Mapping[str, Any]) -> None:
        self.name = name
        self.annotation = annotation
        self.options = options
        self.is_class_variable = annotation is ClassVar or getattr(annotation, "__origin__", None) is ClassVar

    @property
    def is_parameter(self) -> bool:
        return not self.is_class_variable and bool(self.options.get("init", True))


class _Record:
    """What makes the methods of one class. There is no lock: threads that make them at once make the same."""

    def __init__(self, kind: type, options: dict[str, bool]) -> None:
        self.kind = kind
        self._options = options
        self._own = dict(kind.__annotations__)
        self._given = {name: vars(kind)[name] for name in self._own if name in vars(kind)}
        self._parameters: KeysView[str] | None = None
        waiting = dict.fromkeys(_FIELDS, self._make_fields)
        makers = dict.fromkeys(_METHODS, self._make_methods) | {"__eq__": self._make_eq, "__hash__": self._make_hash}
        waiting |= {name: make for name, make in makers.items() if self._makes(name)}
        makes_init = "__init__" not in vars(kind)
        if makes_init:
            waiting["__init__"] = self._make_init
        has_slots = any(vars(base).get("__slots__") for base in kind.__mro__)  # that of Generic is empty
        keeps_all_in_a_dict = bool(kind.__dictoffset__) and not has_slots
        self.only_sets_fields = makes_init and keeps_all_in_a_dict and not hasattr(kind, "__post_init__")
        for name, make in waiting.items():
            setattr(kind, name, _Waiting(kind, name, make))
        for name, given in self._given.items():
            if (said := _said_of(given)) is not None:
                _replace(kind, name, said)
        setattr(kind, _RECORD, self)
        if "__replace__" not in vars(kind):  # of Python 3.13
            kind.__replace__ = _replaced  # type: ignore[attr-defined]
        if options.get("frozen"):
            for name, function in _of_frozen(kind).items():
                setattr(kind, name, function)
        elif options.get("eq", True) and "__hash__" not in vars(kind):
            kind.__hash__ = None  # type: ignore[assignment]

    def fields(self) -> dict[str, _Field]:
        """The fields by name, those of the bases included."""
        found: dict[str, _Field] = {}
        for base in self.kind.__mro__[-1:0:-1]:
            found |= _fields_of(base)
        for name, annotation in self._own.items():
            options = self._options_of(name) if name in self._given else {}
            found[name] = _Field(name, annotation, {"kw_only": self._options.get("kw_only", False), **options})
        return found

    def _options_of(self, name: str) -> Mapping[str, Any]:
        said = _said_of(self._given[name])
        if said is not None:
            return said
        try:
            return {"default": getattr(self.kind, name)}
        except AttributeError:  # a descriptor, which the objects alone have
            return {}

    def parameters(self) -> KeysView[str]:
        """The names of the fields that `__init__` sets from its arguments."""
        if self._parameters is None:
            names = [name for name, each in self.fields().items() if each.is_parameter]
            self._parameters = dict.fromkeys(names).keys()
        return self._parameters

    def _makes(self, name: str) -> bool:
        """Whether `dataclasses` sets an attribute."""
        has_eq, written = self._options.get("eq", True), vars(self.kind)
        if name == "__hash__":  # Python sets None for a class with an `__eq__`
            return has_eq and self._options.get("frozen", False) and written.get(name) is None
        if name in ("__eq__", "__repr__") and not self._options.get(name.strip("_"), True):
            return False
        return name not in written

    def _make_fields(self) -> None:
        made = self._made_by_dataclasses(eq=False, repr=False)
        self._take(made, _FIELDS)

    def _make_methods(self) -> None:
        self._take(self._made_by_dataclasses(**self._options), _METHODS)

    def _make_eq(self) -> None:
        kind, values = self.kind, self._values_of(lambda options: options.get("compare", True))

        def is_equal(self: Any, other: object) -> Any:
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        is_equal.__name__, is_equal.__qualname__ = "__eq__", f"{kind.__qualname__}.__eq__"
        kind.__eq__ = is_equal  # type: ignore[assignment]

    def _make_hash(self) -> None:
        def counts(options: Mapping[str, Any]) -> bool:
            said = options.get("hash")
            return bool(options.get("compare", True) if said is None else said)

        kind, values = self.kind, self._values_of(counts)

        def hash_of(self: Any) -> int:
            return hash(values(self))

        hash_of.__name__, hash_of.__qualname__ = "__hash__", f"{kind.__qualname__}.__hash__"
        kind.__hash__ = hash_of  # type: ignore[assignment]

    def _values_of(self, counts: Callable[[Mapping[str, Any]], Any]) -> Callable[[Any], Any]:
        """What the values of an object's fields are compared by."""
        fields = self.fields().items()
        names = [name for name, each in fields if not each.is_class_variable and counts(each.options)]
        if len(names) > 1:
            return attrgetter(*names)
        return lambda instance: tuple(getattr(instance, name) for name in names)

    def _take(self, made: type, names: Iterable[str]) -> None:
        for name in names:
            if isinstance(vars(self.kind).get(name), _Waiting):
                setattr(self.kind, name, vars(made)[name])

    def _made_by_dataclasses(self, **options: bool) -> type:
        """A class with the same fields, those of its bases included, which `dataclasses` has made."""
        import dataclasses

        body: dict[str, Any] = {"__annotations__": {}}
        for name, each in self.fields().items():
            body["__annotations__"][name] = each.annotation
            if not each.is_class_variable:
                body[name] = dataclasses.field(**each.options)
            elif "default" in each.options:
                body[name] = each.options["default"]
        for name in ("__module__", "__qualname__"):
            body[name] = getattr(self.kind, name)
        body["__doc__"] = self.kind.__doc__ or self.kind.__name__
        if "__eq__" in vars(self.kind) and not isinstance(vars(self.kind)["__eq__"], _Waiting):
            body["__eq__"] = vars(self.kind)["__eq__"]
        make: Any = dataclasses.dataclass
        made: type = make(**options, init=False)(type(self.kind.__name__, (), body))
        return made

    def _make_init(self) -> None:
        is_frozen = self._options.get("frozen", False)
        init = _init_of(self.fields().values(), is_frozen=is_frozen, has_post_init=hasattr(self.kind, "__post_init__"))
        init.__module__, init.__qualname__ = self.kind.__module__, f"{self.kind.__qualname__}.__init__"
        setattr(self.kind, "__init__", init)  # noqa: B010 - mypy takes an assignment for a mistake


def _said_of(given: Any) -> Mapping[str, Any] | None:
    """The options of a declared field; None for a plain default."""
    if isinstance(given, _Given):
        return given.options
    dataclasses: Any = sys.modules.get("dataclasses")
    # it has no `Field` while another thread imports it: then nobody has made one
    if not hasattr(dataclasses, "Field") or not isinstance(given, dataclasses.Field):
        return None
    names = ("default", "default_factory", "init", "repr", "hash", "compare", "metadata", "kw_only")
    said = {name: getattr(given, name) for name in names}
    return {name: value for name, value in said.items() if value is not dataclasses.MISSING}


def _fields_of(base: type) -> dict[str, _Field]:
    """The fields of a base class, whoever has made it."""
    record = vars(base).get(_RECORD)
    if isinstance(record, _Record):
        return record.fields()
    fields = vars(base).get("__dataclass_fields__", {})
    return {name: _Field(name, each.type, _said_of(each) or {}) for name, each in fields.items()}


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
    return replace(self, **changes)


def _replace(kind: type, name: str, options: Mapping[str, Any]) -> None:
    """Set the default of a field in the place of its `field(...)`."""
    if "default" in options:
        setattr(kind, name, options["default"])
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
            raise _frozen(f"cannot assign to field {name!r}")
        super(kind, self).__setattr__(name, value)

    def delete_attribute(self: Any, name: str) -> None:
        if is_fixed(self, name):
            raise _frozen(f"cannot delete field {name!r}")
        super(kind, self).__delattr__(name)

    return {"__setattr__": set_attribute, "__delattr__": delete_attribute}


def _frozen(message: str) -> AttributeError:
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(message)


class _Factory:
    """The default of a parameter whose value a function makes."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _init_of(fields: Iterable[_Field], *, is_frozen: bool, has_post_init: bool) -> Any:
    """The `__init__` of these fields, as `dataclasses` makes it."""
    names: dict[str, Any] = {"__FACTORY": _FACTORY}
    parameters: dict[bool, list[str]] = {False: ["self"], True: ["*"]}
    lines: list[str] = []
    annotations: dict[str, Any] = {}
    for number, field in enumerate(fields):
        made = f"__{number}"  # its default, or what makes it
        has_factory = "default_factory" in field.options
        names[made] = field.options.get("default_factory" if has_factory else "default")
        value = field.name
        if field.is_parameter:
            annotations[field.name] = field.annotation
            default = "=__FACTORY" if has_factory else f"={made}" if "default" in field.options else ""
            parameters[bool(field.options.get("kw_only"))].append(field.name + default)
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
