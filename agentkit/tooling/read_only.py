"""Dicts and lists that can't be changed in place, for what a program is shown of something that it does not own."""

from typing import Any, NoReturn


def _refused(self: object, *args: object, **kwargs: object) -> NoReturn:
    raise TypeError("this can't be changed in place: make a changed copy, and return that")


class ReadOnlyDict(dict[str, Any]):
    """A dict of read-only values; a copy of it can be changed."""

    __setitem__ = __delitem__ = __ior__ = _refused
    update = setdefault = pop = popitem = clear = _refused

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (changeable(self),)

    def copy(self) -> dict[str, Any]:
        """A dict of the same values."""
        return dict(self)


class ReadOnlyList(list[Any]):
    """A list of read-only values; a copy of it can be changed."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refused
    append = extend = insert = pop = remove = clear = sort = reverse = _refused

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return list, (changeable(self),)


def read_only(value: Any) -> Any:
    """A JSON value that can't be changed in place."""
    if isinstance(value, dict):
        return ReadOnlyDict({key: read_only(each) for key, each in value.items()})
    return ReadOnlyList(map(read_only, value)) if isinstance(value, list) else value


def changeable(value: Any) -> Any:
    """A copy of a JSON value that can be changed in place."""
    if isinstance(value, dict):
        return {key: changeable(each) for key, each in value.items()}
    return list(map(changeable, value)) if isinstance(value, list) else value
