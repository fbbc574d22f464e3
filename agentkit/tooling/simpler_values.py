"""Values that tools return, as simpler ones: an object as its fields, a table as CSV, an array as its numbers.

The classes of other packages are known by what they offer: none of them is imported.
"""

import contextlib
import dataclasses
import io
import re
import sys
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, time
from enum import Enum
from itertools import islice
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._text import joined_surrogates
from agentkit.message import Image
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.objects import CODE, field_of, get, has, has_own_text, is_described, public_fields, safe_text
from agentkit.tooling.readable import readable_of

MAX_ITEMS = 1_000_000
"""Maximum number of items of an iterator, an array or a table that are read."""

NOTHING = object()


def simpler(value: Any) -> Any:
    """The value with one layer less of what JSON does not have; NOTHING where nothing is known of it.

    It ends in str, int, float, bool, None, list and dict. Never raises.
    """
    for make in _MAKERS:
        try:
            made = make(value)
        except Exception as error:
            if stops_the_run(error):
                raise
            return f"({type(value).__name__}, which can't be shown: {safe_text(error)})"
        if made is not NOTHING:
            return made
    return NOTHING


# Kinds of values


def _scalar(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value if type(value.value) in (str, int, float, bool) else value.name
    for kind in (str, int, float):
        if isinstance(value, kind) and type(value) is not bool:
            return getattr(kind, f"__{kind.__name__}__", kind)(value) if type(value) is not kind else NOTHING
    return NOTHING


_SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF file",
}


def _bytes(value: Any) -> Any:
    if not isinstance(value, bytes | bytearray | memoryview):
        return NOTHING
    data = bytes(value)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        what = next((name for start, name in _SIGNATURES.items() if data.startswith(start)), "no UTF-8 text")
        what += " and can't be shown"
        count = f"{len(data):,} {'byte' if len(data) == 1 else 'bytes'}"
        return f"({count}, {what}: {data[:16].hex(' ')}{' …' if len(data) > 16 else ''})"


def _image(value: Any) -> Any:
    buffer = io.BytesIO()
    if has(value, "savefig"):  # matplotlib
        value.savefig(buffer, format="png")
        return Image(buffer.getvalue(), "image/png", "figure.png")
    if has(value, "save", "convert", "resize") and isinstance(get(value, "mode"), str):  # Pillow
        kind = value.format if value.format in ("PNG", "JPEG", "GIF", "WEBP") else "PNG"
        can_be_png = value.mode in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
        (value if can_be_png or kind == "JPEG" else value.convert("RGB")).save(buffer, format=kind)
        return Image(buffer.getvalue(), f"image/{kind.lower()}", f"image.{kind.lower()}")
    return NOTHING


def _exception(value: Any) -> Any:
    return safe_text(value) if isinstance(value, BaseException) else NOTHING


def _code(value: Any) -> Any:
    if isinstance(value, types.CoroutineType):
        value.close()
        return "(a coroutine that was not awaited)"
    if not isinstance(value, CODE):
        return NOTHING
    kind = "class" if isinstance(value, type) else "module" if isinstance(value, types.ModuleType) else "function"
    return f"({kind} {getattr(value, '__qualname__', value.__name__)})"


def _readable(value: Any) -> Any:
    found = readable_of(value)
    if found is None:
        return NOTHING
    made = {"status": found.heading} if found.heading else {}
    return {**made, "text": found.text, **{name: each for name, each in found.about.items() if name != "text"}}


def _table(value: Any) -> Any:
    """A table or a column of pandas, polars or pyarrow."""
    if has(value, "to_csv", "head"):  # pandas
        has_index = type(get(value, "index")).__name__ != "RangeIndex"
        return _shortened(value, lambda rows: rows.to_csv(index=has_index))
    if has(value, "write_csv", "head", "to_dicts"):  # polars
        return _shortened(value, _polars_text)
    if has(value, "to_pylist"):  # pyarrow
        return value.slice(0, MAX_ITEMS).to_pylist()
    if has(value, "to_list", "head"):  # a column of polars
        return _shortened(value, lambda rows: rows.to_list())
    return NOTHING


def _polars_text(rows: Any) -> Any:
    try:
        return rows.write_csv()
    except Exception:  # noqa: BLE001 - CSV has no lists
        return rows.to_dicts()


def _shortened(table: Any, text: Callable[[Any], Any]) -> Any:
    columns = get(table, "columns")
    count, rows = len(table), max(1, MAX_ITEMS // max(1, len(columns) if columns is not None else 1))
    if count <= rows:
        made = text(table)
        return (made.rstrip("\n") or "(an empty table)") if isinstance(made, str) else made
    return f"(the first {rows:,} of {count:,} rows)\n{text(table.head(rows))}"


def _array(value: Any) -> Any:
    """An array or a number of numpy, or of what is like it (torch, jax)."""
    if not has(value, "tolist") or get(value, "dtype") is None:
        return NOTHING
    if getattr(value.dtype, "kind", "") in ("M", "m"):  # times; as numbers they would say nothing
        value = value.astype(str)
    shape = tuple(get(value, "shape") or ())
    size = 1
    for each in shape:
        size *= each
    if size <= MAX_ITEMS:
        return value.tolist()
    return {"shape": list(shape), f"the first {MAX_ITEMS:,} values": value.reshape(-1)[:MAX_ITEMS].tolist()}


def _model(value: Any) -> Any:
    """The fields of a pydantic model."""
    if not has(value, "model_dump") or not hasattr(type(value), "model_fields"):
        return NOTHING
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value, inf_nan_mode="strings")
    except Exception:  # noqa: BLE001 - bytes, images, what has no JSON form
        try:
            return value.model_dump(by_alias=True, warnings=False)
        except Exception:  # noqa: BLE001 - a serializer of the user's that fails
            return public_fields(value)


def _described(value: Any) -> Any:
    """The fields of a dataclass, an attrs class, a named tuple, a row of a database, a namespace."""
    if isinstance(value, types.SimpleNamespace):
        return dict(vars(value))
    if has(value, "_asdict"):
        return dict(value._asdict())
    if not is_described(value):
        return NOTHING
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        names = [field.name for field in getattr(type(value), "__attrs_attrs__", ())]
    return {name: field_of(value, name) for name in names} if names else NOTHING


def _markup(value: Any) -> Any:
    """The XML of an element or a tree, of the standard library or lxml. (Its items are the outermost attributes.)"""
    root = value.getroot() if has(value, "getroot", "iterfind") else value
    if has(value, "toxml"):  # xml.dom.minidom
        return value.toxml()
    if not has(root, "iterfind", "itertext", "findtext"):
        return NOTHING
    library = "lxml.etree" if type(root).__module__.startswith("lxml") else "xml.etree.ElementTree"
    text: str = sys.modules[library].tostring(root, encoding="unicode")
    return text


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value.items())
    if has(value, "keys", "__getitem__"):  # a row of sqlite3
        return {key: value[key] for key in value.keys()}  # noqa: SIM118 - iterating it gives its values
    return NOTHING


def _set(value: Any) -> Any:
    if not isinstance(value, set | frozenset):
        return NOTHING
    try:
        return sorted(value)
    except TypeError:
        return sorted(value, key=repr)


def _moment(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | time) else NOTHING


def _iterator(value: Any) -> Any:
    if not isinstance(value, Iterator):
        return NOTHING
    made: list[Any] = []
    try:
        made.extend(islice(value, MAX_ITEMS))
    except Exception as error:
        if stops_the_run(error):
            raise
        made.append(f"(then it raised {safe_text(error)})")
    if made and all(isinstance(each, bytes) for each in made):  # the lines of a file
        return b"".join(made)
    is_lines = isinstance(value, io.IOBase) and all(isinstance(each, str) for each in made)
    return "".join(made) if is_lines else made


def _like_text(value: Any) -> Any:
    """A text of a class of its own, such as UserString or one that is translated late: its items are texts again."""
    return str(value) if has(value, "casefold", "splitlines", "__len__") else NOTHING


def _sequence(value: Any) -> Any:
    is_sequence = isinstance(value, Collection) or has(value, "__len__", "__getitem__", "__iter__")
    return list(islice(value, MAX_ITEMS)) if is_sequence and isinstance(value, Iterable) else NOTHING


def _own_form(value: Any) -> Any:
    """What the object itself says it is."""
    if has(value, "to_dict"):
        with contextlib.suppress(Exception):
            return dict(value.to_dict())
    if not has_own_text(value):
        return NOTHING
    text = str(value)
    return NOTHING if _ADDRESS.fullmatch(text) else joined_surrogates(text)


_ADDRESS = pattern(r"<.{1,300} at 0x[0-9a-fA-F]+>", re.DOTALL)


def _fields(value: Any) -> Any:
    return public_fields(value) or NOTHING


_MAKERS = (
    _bytes,
    _exception,
    _code,
    _moment,
    _image,
    _table,
    _array,
    _scalar,
    _readable,
    _model,
    _described,
    _markup,
    _mapping,
    _set,
    _iterator,
    _like_text,
    _sequence,
    _own_form,
    _fields,
)
"""In this order: what is more than a sequence or a text comes first."""
