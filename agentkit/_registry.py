"""Implementations by name: agentkit's own in a table, those of other packages by entry points."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentkit.errors import AgentkitError, ConfigurationError


@dataclass(frozen=True)
class Registry:
    """What the names of one kind stand for.

    group: the group of the entry points by which installed packages add names. built_in: agentkit's own names, which
    entry points can't replace, each as "module:attribute", imported when it is needed.
    """

    group: str
    built_in: Mapping[str, str]

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
            return getattr(importlib.import_module(module), attribute)
        from importlib.metadata import entry_points

        for entry_point in entry_points(group=self.group, name=name):
            try:
                return entry_point.load()
            except AgentkitError:
                raise
            except Exception as error:
                package = f" of the package {entry_point.dist.name}" if entry_point.dist is not None else ""
                raise ConfigurationError(
                    f"{name!r}{package} can't be loaded (entry point {self.group}, {entry_point.value}): "
                    f"{type(error).__name__}: {error}"
                ) from error
        return None
