"""The media type of a response: what its header means, or what its first bytes say where the header says nothing."""

import re

from agentkit._lazy.patterns import pattern

_MEDIA_TYPE = pattern(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+)", re.ASCII)
_CHARSET = pattern(r"""charset\s*+[=:]\s*+["']?\s*+([^\s"';,]+)""", re.IGNORECASE)
_PART = pattern(r'(?:"[^"]*"|[^,"]|")+?(?=,|\Z)')

SAYS_NOTHING = frozenset(
    (
        *("", "application/octet-stream", "binary/octet-stream", "application/unknown", "unknown/unknown"),
        *("application/x-unknown-content-type", "application/force-download", "application/x-force-download"),
        *("application/download", "application/x-download", "application/binary", "application/x-octet-stream"),
        *("content/unknown", "text/unknown", "multipart/form-data", "application/x-httpd-php"),
        *("text/htm", "application/html", "application/x-html", "text/x-html", "application/x-pdf", "application/file"),
    )
)
"""Media types, as servers send them, that don't tell how a body is read."""

_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,500}>\s*)?(?><!--.{0,2000}?-->\s*)*+"
    rb"<(?:!doctype\s+html|html|head|body|title|meta|script|style|table|div|h1|p|br|a|b|iframe|font)(?=[\s>/])",
    re.IGNORECASE | re.DOTALL,
)
_WHOLE_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,500}>\s*)?(?><!--.{0,2000}?-->\s*)*+<(?:!doctype\s+html|html)(?=[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"PK\x03\x04", "application/zip"),
)
_TEXT_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def content_type_of(header: str) -> tuple[str, str | None]:
    """Return the media type, in lower case, and the charset of a Content-Type header.

    Of a header that was sent twice or joined with commas the last valid type counts, as in browsers; the charset of an
    earlier part is kept when the type is the same. "" when the header has no type that says anything.
    """
    kind, charset = "", None
    for part in _PART.findall(header[:2000]):
        found = _MEDIA_TYPE.match(part)
        named = _CHARSET.search(part)
        if found is None or found[1].startswith("*/"):
            charset = charset or (named[1] if named else None)
            continue
        if found[1].lower() != kind and kind:
            charset = None
        kind = found[1].lower()
        charset = named[1] if named else charset
    return kind, charset


def read_as(kind: str, content: bytes) -> str:
    """Return the media type a body is read as: the declared one unless it says nothing, or the body is a whole HTML
    page or a PDF under another name. A body that nothing tells is what it was declared."""
    if content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n\x00").startswith(b"%PDF-"):
        return "application/pdf"
    magic = next((each for begin, each in _MAGIC if content.startswith(begin)), None)
    if magic is not None and (kind in SAYS_NOTHING or kind.startswith("text/")):
        return magic
    if kind not in SAYS_NOTHING:
        is_lying = kind != "text/plain" and not kind.startswith("text/x-") and _WHOLE_HTML.match(content[:4096])
        return "text/html" if is_lying and kind != "application/xhtml+xml" else kind
    return _sniffed(content) or kind


def _sniffed(content: bytes) -> str:
    """Return the media type that the first bytes tell (the WHATWG's MIME sniffing standard, in short); "" if none."""
    head = content[:4096]
    if b"%PDF-" in head[:1024] and b"<" not in head[: head.index(b"%PDF-")]:  # behind headers of another protocol
        return "application/pdf"
    if _HTML.match(head):
        return "text/html"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml"):
        return "application/xml"
    if content and (head.startswith(_TEXT_MARKS) or not _BINARY.search(head)):
        return "application/json" if re.match(rb"\s*[{\[]\s*[\"\]}{\[0-9tfn-]", head) else "text/plain"
    return ""
