"""How large a value from a server is, so that what is kept of it has a bound."""

from typing import Any


def size_of(value: Any, most: int) -> int:
    """The size of a JSON value: its characters, and one for each value. Above `most` it is not counted to its end."""
    size, left = 0, [value]
    while left and size <= most:
        each = left.pop()
        size += 1
        if isinstance(each, str):
            size += len(each)
        elif isinstance(each, int):
            size += each.bit_length() // 3
        elif isinstance(each, list):
            size += len(each)
            left += each if size <= most else ()
        elif isinstance(each, dict):
            size += sum(map(len, each))
            left += each.values() if size <= most else ()
    return size
