"""Values that tools return, as simpler ones: an object as its fields, a table as CSV, an array as its numbers.

The classes of other packages are known by what they offer: none of them is imported.
"""

import contextlib
import dataclasses
import io
import re
import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import date, time
from enum import Enum
from itertools import islice
from typing import Any, NamedTuple

from agentkit._text import joined_surrogates
from agentkit.message import Image
from agentkit.tooling.error_text import message_of, without_paths

MAX_ITEMS = 1_000_000
"""Maximum number of items of an iterator, an array or a table that are read."""

NOTHING = object()


class Readable(NamedTuple):
    """A document or a response. heading: what comes before its text, or "". about: what else is known of it."""

    heading: str
    text: str
    about: dict[str, Any]


def simpler(value: Any) -> Any:
    """The value with one layer less of what JSON does not have; NOTHING where nothing is known of it.

    It ends in str, int, float, bool, None, list and dict. Never raises.
    """
    for make in _MAKERS:
        try:
            made = make(value)
        except Exception as error:  # noqa: BLE001 - of any class
            return f"({type(value).__name__}, which can't be shown: {safe_text(error)})"
        if made is not NOTHING:
            return made
    return NOTHING


def safe_text(error: BaseException) -> str:
    """An exception as one line."""
    return without_paths(f"{type(error).__name__}: {message_of(error)}")


def readable_of(value: Any) -> Readable | None:
    """A document or a response as its text; None for anything else."""
    if value is None or isinstance(value, _NEVER_READABLE):
        return None
    try:
        return _response(value) or _document(value)
    except Exception:  # noqa: BLE001 - of any class
        return None


_NEVER_READABLE = (
    str,
    int,
    float,
    bytes,
    list,
    tuple,
    dict,
    set,
    frozenset,
    Enum,
    Image,
    type,
    date,
    time,
    types.ModuleType,
)


def _get(value: Any, *names: str) -> Any:
    """The first attribute of these that there is; None when there is none, or it fails."""
    for name in names:
        with contextlib.suppress(Exception):
            found = getattr(value, name)
            if found is not None:
                return found
    return None


def _has(value: Any, *names: str) -> bool:
    """Whether the class has all of these methods."""
    return all(callable(getattr(type(value), name, None)) for name in names)


# Documents and responses


def _document(value: Any) -> Readable | None:
    """LangChain, LlamaIndex and Haystack have documents with a text and what is known of it; so have others."""
    text = _get(value, "page_content")
    if not isinstance(text, str) and _has(value, "get_content"):
        text = value.get_content()
    about = _get(value, "metadata", "meta", "extra_info")
    is_plain = not _is_described(value) and not _has_own_text(value) and hasattr(value, "__dict__")
    if not isinstance(text, str) and (isinstance(about, Mapping) or is_plain):
        text = _get(value, "text", "content")
    if not isinstance(text, str):
        return None
    known: dict[str, Any] = dict(about) if isinstance(about, Mapping) else {}
    if is_plain:
        fields = _public_fields(value)
        known = {name: each for name, each in fields.items() if not _is_same(each, text) and each is not about} | known
    score = _get(value, "score")
    if isinstance(score, float):
        known["score"] = score
    return Readable("", text, known)


def _is_same(value: Any, text: str) -> bool:
    return isinstance(value, str) and value == text


def _response(value: Any) -> Readable | None:
    status = _get(value, "status_code", "status")
    if isinstance(status, bool) or not isinstance(status, int) or _get(value, "headers") is None:
        return None
    reason = _get(value, "reason_phrase", "reason")
    heading = f"HTTP {int(status)} {reason if isinstance(reason, str) else ''}".strip()
    return Readable(heading, _body(value), {})


_TEXT_TYPES = re.compile(r"text/|json|xml|javascript|yaml|csv|html|urlencoded|^$", re.IGNORECASE)


def _body(response: Any) -> str:
    kind = str(_get(response, "content_type") or response.headers.get("content-type") or "")
    data = _get(response, "content", "body", "_body", "data")
    if not isinstance(data, bytes) and _has(response, "read") and not isinstance(_get(response, "text"), str):
        data = response.read(MAX_ITEMS) if isinstance(response, io.IOBase) else None
    if isinstance(data, bytes) and not _TEXT_TYPES.search(kind.partition(";")[0]):
        return f"({len(data):,} bytes of {kind})"
    text = _get(response, "text")
    if isinstance(text, str):
        return text
    return str(_bytes(data)) if isinstance(data, bytes) else "(its body was not read)"


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
        count = f"{len(data):,} {'byte' if len(data) == 1 else 'bytes'}"
        return f"({count}, {what}: {data[:16].hex(' ')}{' …' if len(data) > 16 else ''})"


def _image(value: Any) -> Any:
    buffer = io.BytesIO()
    if _has(value, "savefig"):  # matplotlib
        value.savefig(buffer, format="png")
        return Image(buffer.getvalue(), "image/png", "figure.png")
    if _has(value, "save", "convert", "resize") and isinstance(_get(value, "mode"), str):  # Pillow
        kind = value.format if value.format in ("PNG", "JPEG", "GIF", "WEBP") else "PNG"
        can_be_png = value.mode in ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
        (value if can_be_png or kind == "JPEG" else value.convert("RGB")).save(buffer, format=kind)
        return Image(buffer.getvalue(), f"image/{kind.lower()}", f"image.{kind.lower()}")
    return NOTHING


def _exception(value: Any) -> Any:
    return safe_text(value) if isinstance(value, BaseException) else NOTHING


_CODE = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType)


def _code(value: Any) -> Any:
    if isinstance(value, types.CoroutineType):
        value.close()
        return "(a coroutine that was not awaited)"
    if not isinstance(value, _CODE):
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
    if _has(value, "to_csv", "head"):  # pandas
        has_index = type(_get(value, "index")).__name__ != "RangeIndex"
        return _shortened(value, lambda rows: rows.to_csv(index=has_index))
    if _has(value, "write_csv", "head", "to_dicts"):  # polars
        return _shortened(value, _polars_text)
    if _has(value, "to_pylist"):  # pyarrow
        return value.slice(0, MAX_ITEMS).to_pylist()
    if _has(value, "to_list", "head"):  # a column of polars
        return _shortened(value, lambda rows: rows.to_list())
    return NOTHING


def _polars_text(rows: Any) -> Any:
    try:
        return rows.write_csv()
    except Exception:  # noqa: BLE001 - CSV has no lists
        return rows.to_dicts()


def _shortened(table: Any, text: Callable[[Any], Any]) -> Any:
    columns = _get(table, "columns")
    count, rows = len(table), max(1, MAX_ITEMS // max(1, len(columns) if columns is not None else 1))
    if count <= rows:
        made = text(table)
        return (made.rstrip("\n") or "(an empty table)") if isinstance(made, str) else made
    return f"(the first {rows:,} of {count:,} rows)\n{text(table.head(rows))}"


def _array(value: Any) -> Any:
    """An array or a number of numpy, or of what is like it (torch, jax)."""
    if not _has(value, "tolist") or _get(value, "dtype") is None:
        return NOTHING
    if getattr(value.dtype, "kind", "") in ("M", "m"):  # times; as numbers they would say nothing
        value = value.astype(str)
    shape = tuple(_get(value, "shape") or ())
    size = 1
    for each in shape:
        size *= each
    if size <= MAX_ITEMS:
        return value.tolist()
    return {"shape": list(shape), f"the first {MAX_ITEMS:,} values": value.reshape(-1)[:MAX_ITEMS].tolist()}


def _is_described(value: Any) -> bool:
    """Whether the class says which fields it has."""
    kind = type(value)
    return any(hasattr(kind, name) for name in ("__dataclass_fields__", "__attrs_attrs__", "model_fields", "_fields"))


def _model(value: Any) -> Any:
    """The fields of a pydantic model."""
    if not _has(value, "model_dump") or not hasattr(type(value), "model_fields"):
        return NOTHING
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value, inf_nan_mode="strings")
    except Exception:  # noqa: BLE001 - bytes, images, what has no JSON form
        try:
            return value.model_dump(by_alias=True, warnings=False)
        except Exception:  # noqa: BLE001 - a serializer of the user's that fails
            return _public_fields(value)


def _described(value: Any) -> Any:
    """The fields of a dataclass, an attrs class, a named tuple, a row of a database, a namespace."""
    if isinstance(value, types.SimpleNamespace):
        return dict(vars(value))
    if _has(value, "_asdict"):
        return dict(value._asdict())
    if not _is_described(value):
        return NOTHING
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        names = [field.name for field in getattr(type(value), "__attrs_attrs__", ())]
    return {name: _field(value, name) for name in names} if names else NOTHING


def _field(value: Any, name: str) -> Any:
    try:
        return getattr(value, name)
    except Exception as error:  # noqa: BLE001 - a property of the user's class
        return f"(can't be read: {safe_text(error)})"


def _mapping(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value.items())
    if _has(value, "keys", "__getitem__"):  # a row of sqlite3
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
    except Exception as error:  # noqa: BLE001 - of any iterator
        made.append(f"(then it raised {safe_text(error)})")
    if made and all(isinstance(each, bytes) for each in made):  # the lines of a file
        return b"".join(made)
    is_lines = isinstance(value, io.IOBase) and all(isinstance(each, str) for each in made)
    return "".join(made) if is_lines else made


def _sequence(value: Any) -> Any:
    is_sequence = isinstance(value, Collection) or _has(value, "__len__", "__getitem__", "__iter__")
    return list(islice(value, MAX_ITEMS)) if is_sequence and isinstance(value, Iterable) else NOTHING


def _own_form(value: Any) -> Any:
    """What the object itself says it is."""
    if _has(value, "to_dict"):
        with contextlib.suppress(Exception):
            return dict(value.to_dict())
    if not _has_own_text(value):
        return NOTHING
    text = str(value)
    return NOTHING if _ADDRESS.fullmatch(text) else joined_surrogates(text)


def _has_own_text(value: Any) -> bool:
    return not all(vars(object)[name] is getattr(type(value), name) for name in ("__str__", "__repr__"))


_ADDRESS = re.compile(r"<.{1,300} at 0x[0-9a-fA-F]+>", re.DOTALL)


def _fields(value: Any) -> Any:
    return _public_fields(value) or NOTHING


def _public_fields(value: Any) -> dict[str, Any]:
    """The fields of an object, in the order in which they were set; the properties of one that has no others."""
    names = list(getattr(value, "__dict__", ()))
    classes = [kind for kind in type(value).__mro__ if kind is not object]
    for kind in reversed(classes):
        slots = kind.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    fields = {name: _field(value, name) for name in names if not name.startswith("_") and _is_set(value, name)}
    fields = {name: each for name, each in fields.items() if not isinstance(each, _CODE)}
    if fields:
        return fields
    properties = [name for kind in classes for name, each in vars(kind).items() if isinstance(each, property)]
    return {name: _field(value, name) for name in properties if not name.startswith("_")}


def _is_set(value: Any, name: str) -> bool:
    try:
        return hasattr(value, name)
    except Exception:  # noqa: BLE001 - a descriptor of the user's class
        return True


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
    _mapping,
    _set,
    _iterator,
    _sequence,
    _own_form,
    _fields,
)
"""In this order: what is more than a sequence or a text comes first."""
