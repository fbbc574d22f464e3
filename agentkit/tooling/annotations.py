"""Signatures and annotations of functions and classes that may name what is not there at run time.

Since Python 3.14 annotations are evaluated when they are asked for (PEP 649): one that names what is imported only `if
TYPE_CHECKING:` fails then, and not when the function is defined. Here such a name is a `typing.ForwardRef` in it.
"""

import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from agentkit._lazy.patterns import pattern

_WORD = pattern(r"[^\W\d]\w*")


def signature_of(function: Callable[..., Any], *, follow_wrapped: bool = True) -> inspect.Signature:
    """`inspect.signature`. Raises TypeError and ValueError as it does, and NameError never."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, follow_wrapped=follow_wrapped, annotation_format=Format.FORWARDREF)
    return inspect.signature(function, follow_wrapped=follow_wrapped)


def annotations_of(holder: Any) -> dict[str, Any]:
    """The annotations of a function or class as they stand there; none for what has none."""
    if sys.version_info >= (3, 14):
        from annotationlib import Format, get_annotations

        try:
            return get_annotations(holder, format=Format.FORWARDREF)
        except TypeError:  # an object of another kind
            return {}
    return dict(getattr(holder, "__annotations__", None) or {})


def names_in(annotation: Any) -> Iterator[str]:
    """The names that may have to be looked up for an annotation: all words of its texts."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        yield from _WORD.findall(annotation)
        return
    for part in typing.get_args(annotation):
        yield from names_in(part)


def loaded(value: Any) -> Any:
    """What a lazy import of Python 3.15 (PEP 810) in the dictionary of a module stands for; any other value itself."""
    lazy = getattr(types, "LazyImportType", None)
    return value.resolve() if lazy is not None and isinstance(value, lazy) else value
