"""Python files by their paths: each is imported once in a process, under a name that it has in every process."""

import contextlib
import hashlib
import importlib
import importlib.util
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from agentkit._forking import freed_by_forks
from agentkit.errors import ConfigurationError
from agentkit.tooling.subprocess_worker import MainProgram

_STATE = threading.local()
_LOCK = freed_by_forks(threading.RLock())
_MAIN = ("__main__", "__mp_main__")


def module_of_file(path: str | Path) -> ModuleType:
    """The module of a Python file; that of the running program, where it is its file.

    It has the name that `import` finds it by from its own folder, or from that of the outermost package that it is
    in; where another module has that name, one with a digest of its path. The folder is searched for other modules
    too, after all others. Raises what the file raises, and FileNotFoundError.
    """
    file = Path(path).resolve(strict=True)
    main = sys.modules.get("__main__")
    if main is not None and _is_of(main, file):
        return main
    with _LOCK, loading():
        folder, name = _place(file)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
        importlib.invalidate_caches()
        return importlib.import_module(name) if _is_found(name, folder, file) else _module_of(file)


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """While a module is imported of which only a part is needed: it must not begin a batch of its own."""
    before, _STATE.is_loading = is_loading(), True
    try:
        yield
    finally:
        _STATE.is_loading = before


@contextlib.contextmanager
def importable_from(folder: str) -> Iterator[None]:
    """Have modules be searched in a folder too, after all others, from now on: that in which the driver was started.
    Where this process runs on another machine there may be none."""
    if folder and folder not in sys.path and Path(folder).is_dir():
        sys.path.append(folder)
        importlib.invalidate_caches()
    with loading():
        yield


def is_loading() -> bool:
    """Whether this thread imports a module for a batch."""
    return getattr(_STATE, "is_loading", False)


def place_in_program(module: str | None, qualname: str) -> tuple[str, str]:
    """Where the other processes find what is defined in the running program itself: the path of its file, or the name
    of its module where it was started by `python -m`; and the name in it. Raises LookupError, which says why they
    can't."""
    program = MainProgram.of_this_process()
    if program.module:
        return program.module, qualname
    file = Path(program.file) if program.file else None
    if file is None or not file.is_file():
        raise LookupError(f"{qualname} is defined at a prompt or in a notebook, which other processes can't import")
    return str(file.resolve()), qualname


def is_of_program(module: object) -> bool:
    """Whether a module's name is that of the running program itself."""
    return module in _MAIN


def found_in_program(where: str, qualname: str) -> Any:
    """What `place_in_program` has named. Raises ConfigurationError where it is not there in this process."""
    try:
        if is_file(where):
            found: Any = module_of_file(where)
        else:
            main = sys.modules.get("__main__")
            is_main = getattr(getattr(main, "__spec__", None), "name", None) == where
            with loading():
                found = main if is_main else importlib.import_module(where)
        for name in qualname.split("."):
            found = getattr(found, name)
    except FileNotFoundError:
        raise ConfigurationError(
            f"the agent needs {qualname} of the program {where}, and this machine has no such file: put it where all "
            "processes can import it, or pass the agent as module:name"
        ) from None
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"the agent needs {qualname} of {where}: {error}") from error
    return found


def is_file(name: str) -> bool:
    """Whether a name is that of a file, and not of a module."""
    return name.endswith(".py") or "/" in name or "\\" in name


def _is_of(module: ModuleType, file: Path) -> bool:
    origin = getattr(module, "__file__", None)
    try:
        return bool(origin) and Path(str(origin)).resolve() == file
    except (OSError, ValueError):
        return False


def _place(file: Path) -> tuple[Path, str]:
    """The folder from which a file can be imported, and the name that it has then."""
    folder, names = file.parent, [file.stem]
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(names)


def _is_found(name: str, folder: Path, file: Path) -> bool:
    """Whether importing a name gives that very file. Looks at the outermost package alone, and imports nothing."""
    if not all(part.isidentifier() for part in name.split(".")):
        return False
    if name in sys.modules:
        return _is_of(sys.modules[name], file)
    first, _, rest = name.partition(".")
    wanted = folder / first / "__init__.py" if rest else file
    if first in sys.modules:
        return _is_of(sys.modules[first], wanted)
    spec = importlib.util.find_spec(first)
    return spec is not None and bool(spec.origin) and Path(str(spec.origin)).resolve() == wanted


def _module_of(file: Path) -> ModuleType:
    """The module of a file under a name of its own."""
    stem = "".join(each if each.isalnum() else "_" for each in file.stem)
    name = f"{stem}_{hashlib.blake2b(str(file).encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
