"""What is loaded on first use: the names of a package (PEP 562), so that importing the package loads nothing, and
implementations by name."""

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from types import CodeType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentkit.plugins.installed import Plugin

READ_WITHOUT_DIS = (3, 15)
"""The newest Python whose compiled imports are known here."""


def lazy_exports(package: str, extra: str | None = None) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` for a package whose `if TYPE_CHECKING:` block imports what it exports.

    The block is the one list of names: type checkers read it as it stands, this function reads it from the compiled
    module when the first name is asked for. extra: named by the MissingExtraError that is raised when a module needs a
    package that is not installed.

        if TYPE_CHECKING:
            from agentkit.agent import Agent as Agent
        else:
            __getattr__, __dir__ = lazy_exports(__name__)
    """
    found: dict[str, str] = {}

    def modules() -> dict[str, str]:
        if not found:
            found.update(_imported_names(package))
        return found

    def get(name: str) -> Any:
        if name == "__all__":
            return sorted(modules())
        if (name.startswith("__") and name.endswith("__")) or name not in modules():
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(_import(modules()[name], f"{package}.{name}", extra), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *modules()})

    return get, names


def _import(module: str, wanted_by: str, extra: str | None) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if extra is None or (error.name or "").partition(".")[0] == module.partition(".")[0]:
            raise  # a defect of the package itself, which installing an extra does not cure
        from agentkit.errors import MissingExtraError

        raise MissingExtraError(wanted_by, extra) from None


def _imported_names(package: str) -> dict[str, str]:
    """The names that the module's code imports and that are not there yet, with their modules. (Read from the compiled
    code and not from the source, which frozen applications don't have.)"""
    module = sys.modules[package]
    assert module.__spec__ is not None
    names, source = {}, ""
    for operation, name in _imports(module.__spec__.loader.get_code(package)):  # type: ignore[union-attr]
        if operation == "IMPORT_NAME":
            source = name
        elif name not in vars(module):
            names[name] = source
    return names


def _imports(code: CodeType) -> Iterator[tuple[str, str]]:
    """The instructions IMPORT_NAME and IMPORT_FROM of a code object, each with its name.

    Read without `dis`, which takes longer to load than all of this, where the form of the arguments is known: since
    Python 3.15 the lowest two bits of that of IMPORT_NAME say whether the import is lazy (PEP 810).
    """
    if sys.version_info[:2] > READ_WITHOUT_DIS:
        from dis import get_instructions

        yield from ((each.opname, each.argval) for each in get_instructions(code) if each.opname.startswith("IMPORT_"))
        return
    from opcode import opmap

    import_name, import_from, extended = opmap["IMPORT_NAME"], opmap["IMPORT_FROM"], opmap["EXTENDED_ARG"]
    flags = 2 if sys.version_info >= (3, 15) else 0
    argument = 0
    for operation, low in zip(code.co_code[::2], code.co_code[1::2], strict=True):
        argument = argument << 8 | low
        if operation == extended:  # the rest of the argument follows
            continue
        if operation == import_name:
            yield "IMPORT_NAME", code.co_names[argument >> flags]
        elif operation == import_from:
            yield "IMPORT_FROM", code.co_names[argument]
        argument = 0


class Registry:
    """Implementations by name: agentkit's own, and those that installed packages add by entry points.

    group: the group of the entry points. built_in: agentkit's own names, which entry points can't replace, each as
    "module:attribute", imported when it is needed. problem: says of what an entry point stands for what is wrong with
    it, "" for nothing.
    """

    def __init__(self, group: str, built_in: Mapping[str, str], problem: Callable[[Any], str] = lambda _: "") -> None:
        self.group = group
        self.built_in = built_in
        self._problem = problem

    def names(self) -> list[str]:
        """agentkit's own names in the order of the table, then those of other packages in alphabetical order."""
        return [*self.built_in, *sorted({each.name for each in self.usable()})]

    def hint(self) -> str:
        """What to add to an error about an unknown name: that plug-ins are turned off."""
        from agentkit.plugins.installed import off_hint

        return off_hint()

    def plugins(self) -> "list[Plugin]":
        """What installed packages add; nothing of it is imported."""
        from agentkit.plugins.installed import plugins

        return plugins(self.group)

    def usable(self) -> "list[Plugin]":
        """What installed packages add under names that are not agentkit's own."""
        return [each for each in self.plugins() if not self._is_ours(each)]

    def find(self, name: str) -> Any:
        """Return what a name stands for, None when it is unknown. The entry points are looked up for a name that is not
        agentkit's own, and only what has the name is imported. Raises ConfigurationError as `load` does."""
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(import_module(module), attribute)
        plugin = self.plugin_named(name)
        return None if plugin is None else self.load(plugin)

    def plugin_named(self, name: str) -> "Plugin | None":
        """The plug-in of a name, also when it is written with other separators or capitals; None when it is unknown."""
        from agentkit.plugins.installed import normal

        found = self.usable()
        exact = [each for each in found if each.name == name]
        alike = exact or [each for each in found if normal(each.name) == normal(name)]
        return alike[0] if len({each.name for each in alike}) == 1 else None

    def load(self, plugin: "Plugin") -> Any:
        """Return what an entry point stands for. Raises ConfigurationError, which names the distribution and the entry
        point, when it can't be imported or is not what it has to be, when its name is agentkit's own, and when two
        distributions give the name to different objects."""
        if self._is_ours(plugin):
            raise plugin.problem("the name is agentkit's own, which a package can't replace")
        others = {
            each.origin: each.value
            for each in self.plugins()
            if each.name == plugin.name and each.value != plugin.value and each.package != plugin.package
        }
        if others:
            said = " and ".join(f"{origin} ({value})" for origin, value in others.items())
            raise plugin.problem(f"the name is also that of {said}: uninstall one of the packages")
        found = plugin.load()
        try:
            problem = self._problem(found)
        except Exception as error:  # of what it is asked for
            raise plugin.problem(f"{type(error).__name__}: {error}".removesuffix(": ")) from error
        if problem:
            raise plugin.problem(problem)
        return found

    def _is_ours(self, plugin: "Plugin") -> bool:
        from agentkit.plugins.installed import normal

        return normal(plugin.name) in map(normal, self.built_in)


def not_callable(found: object) -> str:
    """What is wrong with an object that has to be a function or a class; "" for one."""
    return "" if callable(found) else f"it is neither a function nor a class (it is a {type(found).__name__})"
