"""The numbered sources of a run, as they are kept."""

import copy
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

from agentkit._forking import freed_by_forks
from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass, field, replace
from agentkit._text import joined_surrogates
from agentkit.evidence.source import Source

MAX_TEXT = 500_000
"""Maximum characters that are kept of one text."""
MAX_ALSO = 8
"""How many other addresses of a source are kept."""
MAX_TEXTS = 200
"""How many texts of a source are kept: the last ones. Parts of it that a search has found are texts too."""
LAST = 8
"""How many of them are kept in any case."""
MAX_KEPT = 1_500_000
"""Characters of all texts of a source from which on only the last ones are kept."""
MAX_ADDRESS = 2_000
MAX_TITLE = 500
_CAMPAIGN = ("utm_", "fbclid=", "gclid=", "dclid=", "msclkid=", "yclid=", "igshid=", "mc_cid=", "mc_eid=", "srsltid=")
"""How the parameters begin by which sites count where their readers come from: they change no page."""
_ESCAPE = pattern("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_DEFAULT_PORT = pattern(r":(?:80|443)?\Z")
_SCHEME = pattern(r"https?://(?:www\.)?([^/?#\s]+)([^\s#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)


def digest_of(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal digits."""
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def key_of(address: str) -> str:
    """What the addresses of one source have in common: of a URL without scheme, "www.", default port, fragment, last
    slash, and what says in its query where a reader has come from; characters are escaped in one way."""
    found = _SCHEME.fullmatch(address.strip())
    if found is None:
        return address.strip()
    path, mark, query = found[2].partition("?")
    kept = "&".join(each for each in query.split("&") if not each.lower().startswith(_CAMPAIGN)) if mark else ""
    host = _DEFAULT_PORT.sub("", found[1].lower())
    return f"{_ascii_host(host)}{_escaped(path)}{mark if kept else ''}{_escaped(kept)}".rstrip("/")


def _ascii_host(host: str) -> str:
    """A host name as DNS has it; one that is none as it is."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def _escaped(part: str) -> str:
    """A part of a URL with escapes for what is no ASCII character, and for none that needs none (RFC 3986, 6.2.2)."""
    part = quote(part, safe=_PRINTABLE, errors="replace")
    return _ESCAPE.sub(_unescaped, part) if "%" in part else part


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found.group().upper()


def _encodable(source: Source) -> Source:
    """The source without lone surrogates, which neither a store nor a client takes."""
    address, title = joined_surrogates(source.address), joined_surrogates(source.title)
    also, texts = (tuple(map(joined_surrogates, each)) for each in (source.also, source.texts))
    return replace(source, address=address, title=title, also=also, texts=texts)


def _nothing(digest: str) -> None:
    """No text is stored."""


@dataclass
class Kept:
    """A source as it is kept. texts: by their SHA-256; None for one that is stored elsewhere."""

    number: int
    address: str
    title: str = ""
    read: bool = False
    at: str = ""
    also: tuple[str, ...] = ()
    texts: dict[str, str | None] = field(default_factory=dict)


def _keep(texts: dict[str, str | None], text: str) -> None:
    """Add a text behind those of a source. A part of one that is kept is not kept beside it, but makes that the last:
    the passages that searches find of a document would else take the place of the document."""
    known = {digest: each for digest, each in texts.items() if each}
    whole = next((digest for digest, each in known.items() if text in each), None)
    if whole is not None:
        texts[whole] = texts.pop(whole)
        return
    for digest, each in known.items():
        if each in text:
            del texts[digest]
    digest = digest_of(text)
    texts.pop(digest, None)
    texts[digest] = text
    size = sum(len(each or "") for each in texts.values())
    while len(texts) > MAX_TEXTS or (size > MAX_KEPT and len(texts) > LAST):
        size -= len(texts.pop(next(iter(texts))) or "")


class Ledger:
    """Sources by their numbers; thread-safe.

    keeps: whether their texts are kept. load: returns a text that is stored, by its SHA-256; None when it is not.
    earlier: returns the sources of earlier runs; it is called when the first one is asked for.
    """

    def __init__(
        self,
        keeps: bool = True,
        load: Callable[[str], str | None] = _nothing,
        earlier: Callable[[], Iterable[Kept]] = tuple,
    ) -> None:
        self.keeps = keeps
        self._load = load
        self._earlier: Callable[[], Iterable[Kept]] | None = earlier
        self._lock = freed_by_forks(threading.Lock())
        self._known: dict[int, Kept] = {}
        self._numbers: dict[str, int] = {}
        self._next = 1

    def __getstate__(self) -> dict[str, Any]:
        """A copy has what is known, and nothing that is read later."""
        with self._lock:
            self._restore()
            return {**self.__dict__, "_lock": None, "_load": None, "_known": copy.deepcopy(self._known)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=freed_by_forks(threading.Lock()), _load=_nothing)

    def note(self, source: Source) -> int:
        """Add a source as it was found, whatever its number there, and return the number that it has here."""
        source = _encodable(source)
        also = tuple(each[:MAX_ADDRESS] for each in source.also[:MAX_ALSO])
        keys = [key_of(each) for each in (source.address[:MAX_ADDRESS], *also)]
        with self._lock:
            self._restore()
            number = next((self._numbers[key] for key in keys if key in self._numbers), self._next)
            kept = self._known.setdefault(number, Kept(number, source.address[:MAX_ADDRESS]))
            kept.also = tuple(dict.fromkeys((*kept.also, *also)))[:MAX_ALSO]
            self._next = max(self._next, number + 1)
            self._merge(kept, source)
            for key in keys:
                self._numbers.setdefault(key, number)
        return number

    def _merge(self, kept: Kept, source: Source) -> None:
        texts = [text[:MAX_TEXT] for text in source.texts if text] if self.keeps else []
        if source.read and not kept.read:
            kept.texts = {}  # what is read counts, no longer the snippet
        if source.read or not kept.read:
            kept.address = source.address[:MAX_ADDRESS] or kept.address
            kept.title = " ".join(source.title[:MAX_TITLE].split()) or kept.title
            kept.at = source.at or kept.at
            for text in texts:
                _keep(kept.texts, text)
        kept.read = kept.read or source.read

    def _restore(self) -> None:
        if self._earlier is not None:
            found = list(self._earlier())
            self._earlier = None
            for kept in found:
                self._add_earlier(kept)

    def _add_earlier(self, kept: Kept) -> None:
        """Add a source of an earlier run under the number that it has; one whose number another has is left out."""
        known = self._known.get(kept.number)
        if known is not None:
            if key_of(known.address) != key_of(kept.address):
                return
            texts = kept.texts if kept.read and not known.read else {**known.texts, **kept.texts}
            kept = replace(kept, read=known.read or kept.read, texts=dict(list(texts.items())[-MAX_TEXTS:]))
        self._known[kept.number] = kept
        self._next = max(self._next, kept.number + 1)
        for address in (kept.address, *kept.also):
            self._numbers.setdefault(key_of(address), kept.number)

    def get(self, number: int) -> Source | None:
        """The source of a number, with its texts; None when there is none."""
        with self._lock:
            self._restore()
            kept = self._known.get(number)
            if kept is None:
                return None
            for digest, text in kept.texts.items():
                if text is None:
                    kept.texts[digest] = self._load(digest) or ""
            texts = tuple(text for text in kept.texts.values() if text)
            return Source(kept.number, kept.address, kept.title, kept.read, kept.at, kept.also, texts)

    @property
    def count(self) -> int:
        """How many there are."""
        with self._lock:
            self._restore()
            return len(self._known)

    @property
    def numbers(self) -> list[int]:
        """The numbers that there are."""
        with self._lock:
            self._restore()
            return sorted(self._known)
