"""The entry points that installed packages declare for agentkit, read from their metadata without importing them.

The metadata is read here and not by `importlib.metadata.entry_points`, which fails as a whole when one distribution has
no name or one file of entry points is no UTF-8, and takes what an interrupted update has left for what is installed.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import reduce
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from agentkit._lazy.logs import logger_of
from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass
from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import Distribution

PREFIX = "agentkit."
KINDS = ("tools", "backends", "sessions", "families", "hooks", "cli")
"""The kinds of plug-ins; the group of the entry points of each is "agentkit." and this word."""
OFF = "AGENTKIT_NO_PLUGINS"
"""The environment variable that turns all plug-ins off; child processes have it too."""

_FALSE = ("", "0", "false", "no", "off")
_SEPARATORS = pattern(r"[-_.]+")
_NUMBERS = pattern(r"[0-9]{1,9}")
_METADATA = (".dist-info", ".egg-info")
_INTERRUPTED = "~"
"""What pip puts before the name of a distribution that it is about to remove."""

logger = logger_of("agentkit")


_surroundings: Callable[[], AbstractContextManager[object]] = nullcontext


def surround_imports(made: Callable[[], AbstractContextManager[object]]) -> None:
    """Have what `made` returns entered while the modules of others are imported: a command keeps its output free of
    what they print."""
    global _surroundings
    _surroundings = made


def surroundings() -> AbstractContextManager[object]:
    """What surrounds the import of a module that is not agentkit's."""
    return _surroundings()


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed distribution. group: such as "agentkit.tools". name: its own. value: the object,
    as "module:attribute". package, version: the distribution's, "" when its metadata lacks them. folder: where the
    distribution is."""

    group: str
    name: str
    value: str
    package: str
    version: str
    folder: str

    @property
    def kind(self) -> str:
        """Such as "tools"."""
        return self.group.removeprefix(PREFIX)

    @property
    def origin(self) -> str:
        """The distribution, such as "weather 1.0"."""
        return f"{self.package or '(a package without a name)'} {self.version}".rstrip()

    def load(self) -> Any:
        """Import the module and return the object. Raises ConfigurationError, which names the distribution and the
        entry point, whatever the module raises."""
        module, _, attribute = self.value.partition("[")[0].partition(":")
        path = [each.strip() for each in attribute.split(".")] if attribute.strip() else []
        try:
            with surroundings():
                return reduce(getattr, path, import_module(module.strip()))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # what it raises is not known: SystemExit, pytest's Skipped
            raise self.problem(f"{type(error).__name__}: {error}".removesuffix(": ")) from error

    def problem(self, reason: str) -> ConfigurationError:
        """The error that says why the plug-in can't be used."""
        return ConfigurationError(
            f"{self.name!r} of the package {self.origin} can't be used (entry point {self.group}, "
            f"{self.value or 'without a value'}): {in_a_line(reason, 600)}"
        )


def is_off() -> bool:
    """Whether AGENTKIT_NO_PLUGINS turns the plug-ins off."""
    return os.environ.get(OFF, "").strip().lower() not in _FALSE


def off_hint() -> str:
    """What an error about an unknown name says of the plug-ins; "" while they are on."""
    return f" (plug-ins are turned off: --no-plugins, {OFF})" if is_off() else ""


def normal(name: str) -> str:
    """A name in the form in which `My_Tool` and `my-tool` are the same."""
    return _SEPARATORS.sub("-", name).lower()


def plugins(group: str | None = None) -> list[Plugin]:
    """Return the plug-ins of a group, or of all that begin with "agentkit.", in the order of sys.path; none when they
    are turned off. Nothing of them is imported. A distribution that can't be read is left out, with a warning in the
    log when it is likely to have plug-ins."""
    if is_off() or not _may_be_any():
        return []
    return [each for found in _current() for each in found if group is None or each.group == group]


def _may_be_any() -> bool:
    """Whether a distribution may have entry points for agentkit, by the files in the folders of sys.path: where none
    has, as in most programs, `importlib.metadata` is not loaded, whose import takes longer than this. Whatever is not
    as usual has to be looked at."""
    finders = [each for each in sys.meta_path if hasattr(each, "find_distributions")]
    return finders != [PathFinder] or any(map(_may_have_any, filter(_is_text, sys.path)))


def _is_text(folder: object) -> bool:
    return isinstance(folder, str)


def _may_have_any(folder: str) -> bool:
    """The same for one folder of sys.path."""
    folder = folder or "."
    try:
        names = os.listdir(folder)
    except OSError:
        return os.path.exists(folder)
    places = [name for name in names if name.lower().endswith(_METADATA)]
    return folder.lower().endswith(".egg") or any(_mentions_us(os.path.join(folder, place)) for place in places)


def _mentions_us(place: str) -> bool:
    try:
        with open(os.path.join(place, "entry_points.txt"), "rb", buffering=0) as file:
            declared = file.readall()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return any(group.lstrip().startswith(b"agentkit.") for group in declared.split(b"[")[1:])


def _current() -> list[tuple[Plugin, ...]]:
    """The plug-ins of each distribution. Of several with one name the first folder of sys.path counts, as for modules,
    and in one folder the newest version: an update that was interrupted leaves the older one there."""
    first: dict[str, tuple[Plugin, ...]] = {}
    for found in _each():
        name = normal(found[0].package) or found[0].folder
        known = first.get(name)
        if known is None or (known[0].folder == found[0].folder and _number(known[0]) < _number(found[0])):
            first[name] = found
    return list(first.values())


def _number(plugin: Plugin) -> list[int]:
    return [int(each) for each in _NUMBERS.findall(plugin.version)]


def _each() -> Iterator[tuple[Plugin, ...]]:
    from importlib.metadata import distributions  # takes 30 ms, so it is imported at the first look

    try:
        for distribution in distributions():
            try:
                found = tuple(_plugins_of(distribution))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one hurts no other
                logger.warning("the entry points of %s can't be read: %r", _place(distribution), error)
                continue
            if found:
                yield found
    except Exception as error:  # noqa: BLE001 - of a finder that another package has installed
        logger.warning("the installed packages can't be listed: %r", error)


def _plugins_of(distribution: "Distribution") -> Iterator[Plugin]:
    if _place(distribution).rpartition(os.sep)[2].startswith(_INTERRUPTED):
        return
    text = distribution.read_text("entry_points.txt")
    if not text or PREFIX not in text:
        return
    package, version = _named(distribution)
    folder = os.path.realpath(str(distribution.locate_file("")))
    for group, name, value in dict.fromkeys(_entries(text)):
        yield Plugin(group, name, value, package, version, folder)


def _entries(text: str) -> Iterator[tuple[str, str, str]]:
    """The group, name and value of each entry point in groups of agentkit's. A line without a value is one that can't
    be loaded; the lines beside it are read."""
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group.startswith(PREFIX) and line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield group, name.strip(), value.strip()


def _named(distribution: "Distribution") -> tuple[str, str]:
    """The name and the version, "" for what the metadata lacks."""
    try:
        metadata: Any = distribution.metadata
        return str(metadata.get("Name") or ""), str(metadata.get("Version") or "")
    except Exception:  # noqa: BLE001 - there is no METADATA, or it can't be read
        return "", ""


def _place(distribution: "Distribution") -> str:
    return str(getattr(distribution, "_path", None) or type(distribution).__name__)
