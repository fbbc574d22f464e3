"""Questions that a program gives: texts, objects and Items, in any iterable."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO

from agentkit._text import canonical_json
from agentkit.batch.item import Item
from agentkit.batch.json_lines import Skipped, check_text, check_texts
from agentkit.batch.text_lines import MAX_BYTES, TOO_LONG, Entry, LineError
from agentkit.errors import ConfigurationError

_VALUE, _ITEM, _PROBLEM = "v", "i", "p"
_PLAIN = (str, dict)
_AS_TEXTS = (date, time, timedelta, Decimal)
"""What JSON lacks, and has one form as a text."""
SURELY_SHORT = MAX_BYTES // 6 - 1
"""Characters of a text whose JSON is never too long."""


def check_iterable(source: object) -> None:
    """Raises ConfigurationError for what is no iterable of questions."""
    if isinstance(source, bytes | bytearray | Mapping):
        raise ConfigurationError(
            f"questions: a {type(source).__name__} can't be asked: pass the path of a file, or a list of texts or dicts"
        )
    if hasattr(source, "columns") and not isinstance(source, Iterator):
        raise ConfigurationError(
            'questions: pass the rows of a table as dicts (pandas: df.to_dict("records"); polars: df.to_dicts())'
        )
    if not isinstance(source, Iterable):
        raise ConfigurationError(
            f"questions: {type(source).__name__} is not iterable: pass the path of a file, or a list of texts or dicts"
        )


def given_entries(source: Iterable[Any], is_skipped: Skipped | None = None) -> Iterator[Entry]:
    """What an iterable gives, as JSON; Items as they are. An entry's line is the number of its place, from 1. Of a
    table's row (pandas, NumPy), what JSON lacks is a text (a time, a decimal), and NaN is null, as in parquet files.
    is_skipped: whether a text is left out, before it is looked at."""
    for number, each in enumerate(source, 1):
        if is_skipped is not None and type(each) is str and is_skipped(number, each):
            continue
        if isinstance(each, Item):
            yield number, each, b"", ""
            continue
        try:
            value = _checked(dict(each) if type(each) not in _PLAIN and isinstance(each, Mapping) else each)
        except LineError as error:
            yield number, None, repr(type(each)).encode(), str(error)
        else:
            yield number, value, b"", ""


def _checked(value: Any) -> Any:
    if type(value) is str and len(value) <= SURELY_SHORT:
        check_text(value)  # nothing else can be wrong with a text
        return value
    try:
        try:
            text = canonical_json(value)
        except (TypeError, ValueError):
            value = _plain(value)
            text = canonical_json(value)
    except (TypeError, ValueError) as error:
        raise LineError(f"can't be written as JSON: {error!s:.200}") from None
    except RecursionError:
        raise LineError("is nested too deeply") from None
    if len(text) > MAX_BYTES:
        raise LineError(TOO_LONG)
    if not text.isascii() or "\\u" in text:
        check_texts(value)
    return value


def _plain(value: Any) -> Any:
    """A value as JSON, as far as it is what tables have. A subclass of str (`numpy.str_`) is a text as it is."""
    if isinstance(value, Mapping):
        made = {str(key): _plain(each) for key, each in value.items()}
        if len(made) < len(value):
            raise ValueError("two keys are the same text")
        return made
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if type(value).__module__.partition(".")[0] == "numpy" and callable(getattr(value, "tolist", None)):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if type(value).__name__ in ("NaTType", "NAType"):  # what pandas has for no value, a time too
        return None
    is_text = isinstance(value, _AS_TEXTS) or type(value).__name__ == "UUID"  # whose module takes long to import
    return str(value) if is_text else value


def spool(source: Iterable[Any], file: BinaryIO) -> None:
    """Write what an iterable gives to a file, from which `spooled_entries` reads it again and again."""
    for _, value, content, problem in given_entries(source):
        kind = _PROBLEM if problem else _VALUE
        value = [content.decode(), problem] if problem else value
        if isinstance(value, Item):
            kind, value = _ITEM, value.as_json()
        file.write(json.dumps([kind, value]).encode() + b"\n")


def spooled_entries(file: BinaryIO) -> Iterator[Entry]:
    """What `spool` has written."""
    for number, line in enumerate(file, 1):
        kind, value = json.loads(line)
        if kind == _PROBLEM:
            yield number, None, value[0].encode(), value[1]
        else:
            yield number, Item.from_json(value) if kind == _ITEM else value, b"", ""
