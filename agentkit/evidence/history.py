"""The sources in the history of a conversation: as a session stores them, and as they stand in the results of tools."""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit.evidence.ledger import MAX_ADDRESS, MAX_TEXTS, MAX_TITLE, Kept, digest_of
from agentkit.evidence.source import Source

CITE = "(Cite what you use of a source by its number, such as [{number}], behind the sentence.)"
"""Stands below a result with sources, and in no other."""
MAX_NUMBER = 99_999
"""What the number of an earlier source may be at most: an answer cites numbers of up to six digits."""

HEADER = pattern(rf"^\[(\d{{1,6}})\] ([^\n]{{0,{MAX_TITLE}}})\nsource: ([^\n]{{1,{MAX_ADDRESS}}})$", re.MULTILINE)
"""How a source stands in a result: group 1 is its number, 2 its title, 3 its address."""
_MARK = CITE.partition("{")[0]
_DIGEST = pattern("[0-9a-f]{64}")


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


def is_marked(result: str) -> bool:
    """Whether a result says that it has sources."""
    return _MARK in result


def unmarked(result: str, numbers: Container[int]) -> str:
    """A result in which nothing looks like a source but those with these numbers."""

    def line(header: re.Match[str]) -> str:
        is_own = int(header[1]) in numbers
        return header.group() if is_own else header.group().replace("\nsource:", "\n source:")

    return HEADER.sub(line, result.replace(_MARK, f"( {_MARK[1:]}"))


def found_in(results: Iterable[str]) -> Iterator[Kept]:
    """The sources in the results of tools, as `HEADER` has them; each with the text below it, as the model was sent it,
    or with the whole result where there is none."""
    for result in filter(is_marked, results):
        whole = result.partition(_MARK)[0].strip()
        headers = [header for header in HEADER.finditer(whole) if 0 < int(header[1]) <= MAX_NUMBER]
        ends = [*(header.start() for header in headers), len(whole)]
        for header, (_, end) in zip(headers, pairwise(ends), strict=True):
            text = whole[header.end() : end].strip() or whole
            yield Kept(int(header[1]), header[3], header[2], True, texts={digest_of(text): text})


def _texts(value: Any) -> tuple[str, ...]:
    values: Sequence[Any] = value if isinstance(value, list) else ()
    return tuple(each for each in values[:MAX_TEXTS] if isinstance(each, str))
