"""What is loaded on first use: the names of a package (PEP 562), so that importing the package loads nothing, and
implementations by name."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


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
    """The names that the module's code imports and that are not there yet, with their modules.

    Read from the compiled code and not from the source, which frozen applications don't have.
    """
    import dis

    module = sys.modules[package]
    assert module.__spec__ is not None
    code = module.__spec__.loader.get_code(package)  # type: ignore[union-attr]
    names, source = {}, ""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            source = instruction.argval
        elif instruction.opname == "IMPORT_FROM" and instruction.argval not in vars(module):
            names[instruction.argval] = source
    return names


class Registry:
    """Implementations by name: agentkit's own, and those that installed packages add by entry points.

    group: the group of the entry points. built_in: agentkit's own names, which entry points can't replace, each as
    "module:attribute", imported when it is needed.
    """

    def __init__(self, group: str, built_in: Mapping[str, str]) -> None:
        self.group = group
        self.built_in = built_in

    def names(self) -> list[str]:
        """agentkit's own names in the order of the table, then those of other packages in alphabetical order."""
        from importlib.metadata import entry_points

        added = {each.name for each in entry_points(group=self.group)}
        return [*self.built_in, *sorted(added - self.built_in.keys())]

    def find(self, name: str) -> Any:
        """Return what a name stands for, None when it is unknown. Raises ConfigurationError when the entry point can't
        be loaded."""
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(import_module(module), attribute)
        from importlib.metadata import entry_points

        found = next(iter(entry_points(group=self.group, name=name)), None)
        return None if found is None else load_entry_point(found)


def load_entry_point(entry_point: "EntryPoint") -> Any:
    """Return what an entry point stands for. Raises ConfigurationError, which names it, when it can't be loaded."""
    from agentkit.errors import AgentkitError, ConfigurationError

    try:
        return entry_point.load()
    except AgentkitError:
        raise
    except Exception as error:
        package = f" of the package {entry_point.dist.name}" if entry_point.dist is not None else ""
        raise ConfigurationError(
            f"{entry_point.name!r}{package} can't be loaded (entry point {entry_point.group}, {entry_point.value}): "
            f"{type(error).__name__}: {error}"
        ) from error
