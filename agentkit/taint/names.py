"""The addresses in a text: URLs, hosts, mail addresses and paths, each in the one form in which it is compared.

All of it is read from a folded text (agentkit.taint.folding), in time in proportion to it.
"""

import posixpath
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from agentkit.taint.folding import folded, unescaped

Kind = Literal["url", "host", "mail", "path"]

MAX_CHUNK = 4_096
"""Characters of an address that are read; a longer one is compared by its beginning."""
MAX_SENT = 2 * MAX_CHUNK
"""Characters of what is sent in a URL that are looked at; with more, it is taken for one that carries data."""
MAX_SCHEME = 16
MAX_PARTS = 256
"""Parts of one chunk, between brackets and commas, that are looked at."""

_SPACES = str.maketrans(
    dict.fromkeys("\t\r\n\f\v\"'<>`|\u2028\u2029\u00a0\u3000\u201c\u201d\u2018\u2019«»“”。，、；（）「」", " ")
)
_SIGN = re.compile(r"[@/\\~]|\.(?=[^\W\d_])|\$\{?home|%userprofile")
_SEPARATORS = re.compile(r"[,;(){}\[\]=*!]+")
_EDGE = ".,;:!?()[]{}*_=#$"
_WEB = "https?|hxxps?|wss?|ftps?"
_SCHEME = re.compile(rf"(?P<web>{_WEB}):/*|(?P<other>[a-z][a-z0-9+.-]{{0,15}})://")
"""Browsers follow the address of a page with any number of slashes."""
_READ_AS = {ord("\t"): None, ord("\r"): None, ord("\n"): None, ord("\\"): "/", ord("。"): ".", ord("｡"): "."}
"""How HTTP clients read what is no character of a URL."""
_ANY_SCHEME = re.compile(rf"(?:{_WEB}):[/\\]*|^[/\\]{{1,3}}", re.IGNORECASE)
_HOST = r"(?:[^\W_][\w-]{0,62}\.){1,8}[^\W\d_][\w-]{1,30}"
_BARE_URL = re.compile(rf"({_HOST}|localhost|\d{{1,3}}(?:\.\d{{1,3}}){{3}})((?::\d{{1,5}})?(?:[/?#].*)?)")
_MAIL_LOCAL = re.compile(r"[\w.+-]{1,64}$")
_QUOTED_LOCAL = re.compile(r'"([\w.+-]{1,64})"@')
_MAIL_DOMAIN = re.compile(_HOST)
_DRIVE = re.compile(r"[a-z]:/")
_HOME = re.compile(r"\$\{?home\}?|%userprofile%|%homepath%")
_FILE_NAME = re.compile(r"[^\W_][\w-]{0,80}(?:\.[\w-]{1,40}){0,4}\.[a-z][a-z0-9]{0,7}")
_PORTS = (":80", ":443")


@dataclass(frozen=True)
class Name:
    """An address. value: in the form in which it is compared. is_certain: whether it is one wherever it stands; else
    only where an address is expected, by the name of the argument (a file's name without a folder, a host alone). host:
    of a URL or a mail address. rest: of a URL, what follows its host."""

    kind: Kind
    value: str
    is_certain: bool = True
    host: str = ""
    rest: str = ""


def names_in(text: str) -> Iterator[Name]:
    """The addresses in a folded text, some of them more than once."""
    text = (_QUOTED_LOCAL.sub(r"\1@", text) if '"@' in text else text).translate(_SPACES)
    place = 0
    while found := _SIGN.search(text, place):
        start = text.rfind(" ", place, found.start()) + 1 or place
        end = text.find(" ", found.end())
        end = len(text) if end < 0 else end
        yield from _in_chunk(text[start:end])
        place = end


def _in_chunk(chunk: str) -> Iterator[Name]:
    chunk = _HOME.sub("~", chunk) if "$" in chunk or "%" in chunk else chunk
    for start in range(0, len(chunk), 16 * MAX_CHUNK):  # a text without spaces, such as minified JSON
        piece = chunk[start : start + 17 * MAX_CHUNK]
        parts = dict.fromkeys([piece.strip(_EDGE)[:MAX_CHUNK], *_SEPARATORS.split(piece)])
        for part in parts:
            yield from _in_part(part[:MAX_CHUNK].rstrip(_EDGE).lstrip(",;:!?()[]{}*_=#"))


def _in_part(part: str) -> Iterator[Name]:
    if not part:
        return
    part = part.replace("\\", "/") if "\\" in part else part
    if "@" in part:
        yield from _mails(part)
    scheme = _SCHEME.search(part)
    if scheme is not None:
        yield from _after_scheme(part, scheme)
    elif part.startswith("//"):
        yield from _web(part[2:], is_certain="." in part[2:].partition("/")[0])
        yield Name("path", part.rstrip("/"))
    else:
        yield from _bare(part)


def _after_scheme(part: str, scheme: re.Match[str]) -> Iterator[Name]:
    kind, rest = scheme["other"], part[scheme.end() :]
    if kind is None:
        yield from _web(rest, is_certain="/" in scheme.group() or "." in rest.partition("/")[0])
    elif kind == "file":
        path = rest.removeprefix("localhost").lstrip("/")
        yield from _path(path if _DRIVE.match(path) else f"/{path}", is_certain=True)
    else:
        yield Name("url", f"{kind}://{rest.rstrip('/')}", host=rest.partition("/")[0], rest=rest)


def _bare(part: str) -> Iterator[Name]:
    """What has no scheme."""
    if part.startswith("file:/"):
        part = part[5:]
    found = _BARE_URL.fullmatch(part)
    if found is not None:
        is_file = "/" not in part and _FILE_NAME.fullmatch(part) is not None
        if is_file:
            yield Name("path", part, is_certain=False)
        yield from _web(part, is_certain=part.startswith("www.") or (bool(found[2]) and not found[2].startswith("#")))
        return
    yield from _path(part, is_certain=False)


def _web(address: str, *, is_certain: bool) -> Iterator[Name]:
    url = url_of(address, is_certain=is_certain)
    if url is not None:
        yield url
        yield Name("host", url.host, is_certain=False)


def url_of(address: str, *, is_certain: bool = True) -> Name | None:
    """A URL without its scheme, as it is compared; None where it has no host."""
    end = next((place for place, sign in enumerate(address) if sign in "/?#"), len(address))
    place, rest = address[:end], address[end:].partition("#")[0]
    user, _, host = place.rpartition("@")
    host = host_of(host)
    if not host:
        return None
    path, _, query = rest.partition("?")
    value = f"{user}@{host}" if user else host
    value += unescaped(path).rstrip("/").lower()
    if query:
        value += f"?{unescaped(query.replace('+', ' ')).lower()}"
    return Name("url", value, is_certain, host, f"{user} {rest}" if user else rest)


def whole_urls(text: str, *, hosts: bool) -> Iterator[tuple[Name, str]]:
    """The URLs in a text that is not folded, each with what is sent to its host beside the host, as it is written.
    hosts: the text is one URL, or a host alone, whatever characters stand in it, as HTTP clients read it. Of a longer
    URL than is looked at, what is sent is longer than MAX_SENT."""
    size = 2 * MAX_CHUNK + MAX_SENT  # of a part, so that the last URL that begins in its first MAX_CHUNK is that long
    if hosts:
        yield from _whole(text.translate(_READ_AS)[:size].strip().rstrip(_EDGE), hosts)
    for chunk in text.translate(_SPACES).split():
        for part in dict.fromkeys(chunk[start : start + size] for start in range(0, len(chunk), MAX_CHUNK)):
            yield from _whole(part.strip(_EDGE), hosts)


def _whole(part: str, hosts: bool) -> Iterator[tuple[Name, str]]:
    is_certain = "://" in part or ":\\" in part
    starts = [each.end() for each in islice(_ANY_SCHEME.finditer(part), 32) if each.start() < MAX_CHUNK]
    found = None if starts else (_BARE_URL.match if hosts else _BARE_URL.fullmatch)(folded(part[:MAX_CHUNK]))
    if not starts and (found is None or not (hosts or found[2] or found[1].startswith("www."))):
        return
    for start in starts or [0]:
        address = part[start:].replace("\\", "/")
        scheme = start if start <= MAX_SCHEME else 0  # `names_in` has cut a long URL with its scheme
        url = url_of(folded(address[: MAX_CHUNK - scheme]))
        if url is not None and (is_certain or "." in url.host):
            yield url, _beside_host(address)


def _beside_host(address: str) -> str:
    """What a URL without its scheme sends to its host: also the name and the password before that."""
    end = next((place for place, sign in enumerate(address) if sign in "/?#"), len(address))
    user = address[:end].rpartition("@")[0]
    return f"{user} {address[end:]}" if user else address[end:]


def host_of(place: str) -> str:
    """A host as it is compared: without a default port, a dot at its end and `www.`."""
    host = place.strip()
    for port in _PORTS:
        host = host.removesuffix(port)
    host = host.rstrip(".")
    if "xn--" in host:
        with suppress(UnicodeError):
            host = folded(host.encode("ascii").decode("idna"))
    return host.removeprefix("www.")


def domain_of(host: str) -> str:
    """The part of a host that one owner has: its last two labels, three where the second to last is short (co.uk)."""
    name = host.partition(":")[0]
    labels = name.split(".")
    if labels[-1].isdigit():
        return name
    count = 3 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-count:])


def above(url: str) -> Iterator[str]:
    """The beginnings of a URL that end where a part of it ends."""
    value = url.partition("?")[0]
    for _ in range(16):
        yield value
        value, slash, _ = value.rpartition("/")
        if not slash:
            return


def _mails(part: str) -> Iterator[Name]:
    place = part.find("@")
    for _ in range(32):
        if place < 0:
            return
        local = _MAIL_LOCAL.search(part[max(0, place - 64) : place])
        domain = _MAIL_DOMAIN.match(part, place + 1, place + 256)
        if local and domain:
            host = host_of(domain.group())
            yield Name("mail", f"{local.group()}@{host}", host=host)
            yield Name("host", host, is_certain=False)
        place = part.find("@", place + 1)


def _path(part: str, *, is_certain: bool) -> Iterator[Name]:
    value = posixpath.normpath(part).removeprefix("./")
    count = value.strip("/").count("/") + 1
    if part.startswith("~"):
        yield Name("path", value, "/" in part)
    elif _DRIVE.match(part):
        yield Name("path", value)
    elif part.startswith("/") and value.strip("/"):
        yield Name("path", value, is_certain or count > 1)
    elif part.startswith(("./", "../")):
        yield Name("path", value, is_certain=value not in (".", ".."))
    elif "/" in part or _FILE_NAME.fullmatch(value):
        yield Name("path", value, is_certain=False)
