"""Names of a package that load their module on first use (PEP 562), so that importing the package loads nothing."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any


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
