"""Several folders and files that are searched as one: each has a name, with which the paths of its documents begin."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from agentkit_tools.files import Folder, SingleFile, State


class SeveralFolders:
    """Folders and files, as `Folder` has one. Used by one thread at a time.

    parts: by their names (see `names_of`).
    """

    def __init__(self, parts: dict[str, Folder | SingleFile]) -> None:
        self._parts = parts
        self.left_out: Counter[str] = Counter()
        self.closed: list[str] = []

    def states(self) -> dict[str, State]:
        """Returns the state of each file by its path behind the name of its folder. Raises ToolError when one of the
        folders can't be read."""
        self.left_out, self.closed = Counter(), []
        found: dict[str, State] = {}
        for name, part in self._parts.items():
            states = part.states()
            self.left_out += part.left_out
            self.closed += [f"{name}/{each}" for each in part.closed]
            is_file = isinstance(part, SingleFile)
            found |= {name if is_file else f"{name}/{path}": state for path, state in states.items()}
        return found

    def file(self, path: str) -> Path:
        """Returns where a file is, by its path as `states` returns it."""
        part = self._parts.get(path)
        if part is not None:
            return part.file(path)
        name = next(each for each in self._parts if path.startswith(f"{each}/"))
        return self._parts[name].file(path.removeprefix(f"{name}/"))


def names_of(roots: Sequence[Path]) -> list[str]:
    """What folders are called by the ends of their paths: as many parts of them as it takes to tell them apart."""
    for count in range(1, max((len(each.parts) for each in roots), default=1) + 1):
        names = ["/".join(PurePath(*each.parts[-count:]).parts).strip("/") or "root" for each in roots]
        if len({*names}) == len(names) and not any(one.startswith(f"{other}/") for one in names for other in names):
            return names
    return [f"{number}" for number, _ in enumerate(roots, 1)]
