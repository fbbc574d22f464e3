"""Sources as BibTeX, in UTF-8: @online for pages, @misc for files."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import urlsplit

from agentkit._text import visible
from agentkit.evidence.source import Source
from agentkit.research.addresses import web_address

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{each: f"\\{each}" for each in "&%$#_"},
}
_IN_A_URL = {"{": "%7B", "}": "%7D", "\\": "%5C", "^": "%5E", '"': "%22", "`": "%60"}


def bibtex(sources: Sequence[Source]) -> str:
    """An entry for each source."""
    return "\n".join(map(_entry, sources))


def _entry(source: Source) -> str:
    address = web_address(source.address)
    fields = {"title": f"{{{escaped(source.title or source.address)}}}"}
    if address:
        fields["url"] = "".join(_IN_A_URL.get(each, each) for each in address)
    else:
        fields["howpublished"] = escaped(source.address)
    if source.at:
        fields["urldate"] = source.at[:10]
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{'online' if address else 'misc'}{{{key_of(source)},", *lines, "}", ""])


def key_of(source: Source) -> str:
    """The key of a source, the same in each report: letters of its place and its title, and a digest of its address."""
    place = (urlsplit(web_address(source.address)).hostname or "file").removeprefix("www.")
    words = re.findall(r"[a-z0-9]+", _ascii(source.title).lower())
    digest = hashlib.sha256(source.address.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return "-".join(["".join(re.findall(r"[a-z0-9]+", _ascii(place).lower()))[:24], *words[:2], digest])


def _ascii(text: str) -> str:
    plain = text.replace("ß", "ss").replace("ø", "o").replace("æ", "ae").replace("ł", "l")
    return unicodedata.normalize("NFKD", plain[:500]).encode("ascii", "ignore").decode()


def escaped(text: str) -> str:
    """A text in a line, with what means something to LaTeX escaped; braces stay balanced."""
    return "".join(_ESCAPES.get(each, each) for each in " ".join(visible(text, "").split()))
