"""The sources in the history of a conversation: as a session stores them, and as they stand in the results of tools."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from agentkit.evidence.ledger import MAX_ADDRESS, MAX_TEXTS, MAX_TITLE, Kept, digest_of
from agentkit.evidence.source import Source

MAX_NUMBER = 100_000_000
"""What a stored number may be at most."""

_HEADER = re.compile(rf"^\[(\d{{1,6}})\] ([^\n]{{0,{MAX_TITLE}}})\nsource: ([^\n]{{1,{MAX_ADDRESS}}})$", re.MULTILINE)
_DIGEST = re.compile("[0-9a-f]{64}")


def stored(sources: Iterable[Source]) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Sources as the entry of a session has them, and their texts by their SHA-256."""
    records: list[dict[str, Any]] = []
    blobs: dict[str, bytes] = {}
    for source in sources:
        texts = {digest_of(text): text for text in source.texts}
        blobs |= {digest: text.encode("utf-8", "surrogatepass") for digest, text in texts.items()}
        record = {"number": source.number, "address": source.address, "title": source.title, "read": source.read}
        record |= {"at": source.at, "texts": list(texts)}
        records.append({**record, "also": list(source.also)} if source.also else record)
    return records, blobs


def restored(records: Any) -> Iterator[Kept]:
    """The sources of an entry, whose texts are stored under their SHA-256. What has another shape is left out."""
    for record in records if isinstance(records, list) else ():
        if not isinstance(record, Mapping):
            continue
        number, address = record.get("number"), record.get("address")
        if not isinstance(number, int) or not 0 < number <= MAX_NUMBER or not isinstance(address, str) or not address:
            continue
        title, at = (each if isinstance(each, str) else "" for each in (record.get("title"), record.get("at")))
        texts = {digest: None for digest in _texts(record.get("texts")) if _DIGEST.fullmatch(digest)}
        yield Kept(number, address, title, record.get("read") is True, at, _texts(record.get("also")), {**texts})


def found_in(results: Iterable[str]) -> Iterator[Kept]:
    """The sources in the results of tools, which have the form "[3] title", "source: address"; each with the text below
    it, as the model was sent it."""
    for result in results:
        headers = list(_HEADER.finditer(result))
        ends = [*(header.start() for header in headers), len(result)]
        for header, (_, end) in zip(headers, pairwise(ends), strict=True):
            text = result[header.end() : end].strip()
            yield Kept(int(header[1]), header[3], header[2], True, texts={digest_of(text): text})


def _texts(value: Any) -> tuple[str, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else ()
    return tuple(each for each in values[:MAX_TEXTS] if isinstance(each, str))
