"""Regular expressions that are compiled when they are first used: most programs use few of those that they load."""

import re
from typing import Any, AnyStr, cast


class LazyPattern:
    """A regular expression (see `pattern`)."""

    def __init__(self, expression: str | bytes, flags: int) -> None:
        self._made_of = (expression, flags)

    def __getattr__(self, name: str) -> Any:  # for what is not in the object yet
        if name.startswith("__"):  # how an object is copied
            raise AttributeError(name)
        compiled = self.compiled()
        self.__dict__.update({each: getattr(compiled, each) for each in dir(compiled) if not each.startswith("__")})
        return getattr(compiled, name)

    def compiled(self) -> "re.Pattern[Any]":
        """The expression itself."""
        return re.compile(*self._made_of)


def pattern(expression: AnyStr, flags: int = 0) -> "re.Pattern[AnyStr]":
    """The same as `re.compile` for the level of a module.

    It has the methods and attributes of a pattern; the functions of `re` don't take it in place of one."""
    return cast("re.Pattern[AnyStr]", LazyPattern(expression, flags))
