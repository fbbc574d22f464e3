"""Signatures and annotations of functions and classes that may name what is not there at run time.

Since Python 3.14 annotations are evaluated when they are asked for (PEP 649): one that names what is imported only `if
TYPE_CHECKING:` fails then, and not when the function is defined. Here such a name is a `typing.ForwardRef` in it.
"""

import ast
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any


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
    """The names that have to be looked up for an annotation: those in its texts, and in the texts inside these."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        yield from _names_in_text(annotation)
        return
    for part in typing.get_args(annotation):
        yield from names_in(part)


def _names_in_text(text: str) -> Iterator[str]:
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # no type, which is told where it is evaluated
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != text:
            yield from _names_in_text(node.value)


def loaded(value: Any) -> Any:
    """What a lazy import of Python 3.15 (PEP 810) in the dictionary of a module stands for; any other value itself."""
    lazy = getattr(types, "LazyImportType", None)
    return value.resolve() if lazy is not None and isinstance(value, lazy) else value
