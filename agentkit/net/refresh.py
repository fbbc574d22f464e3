"""Where a page sends its reader by a Refresh header or <meta http-equiv="refresh">."""

import re

LONGEST = 20.0
"""Maximum delay in seconds of a refresh that is followed; a longer one is a clock or a session that ends."""
HEAD = 65_536
"""How many bytes at the beginning of a page are searched for a refresh."""

_REFRESH = re.compile(
    r"""\s*(\d{0,9})(?:\.[\d.]*)?(?:\s*[;,]\s*|\s+|\s*\Z)(?:url\s*=\s*)?(?:"([^"]*).*|'([^']*).*|(.*))""",
    re.IGNORECASE | re.DOTALL,
)
_NOT_READ = re.compile(
    rb"<!--.*?(?:-->|\Z)|<(script|noscript|template|textarea|style|xmp|iframe)\b.*?(?:</\1\s*>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_META = re.compile(rb"<meta\s[^<>]{1,5000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""(?<![a-z-])([a-z-]++)\s*+=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)


def refresh_of(header: str | None) -> str | None:
    """Return the address in the value of a Refresh header; None if it has none, or the delay is too long."""
    found = _REFRESH.fullmatch((header or "").strip()[:5000])
    if found is None or not found[1] or float(found[1]) > LONGEST:
        return None
    address = next((each for each in found.groups()[1:] if each), "").strip()
    return address or None


def refresh_in(content: bytes) -> str | None:
    """Return the address to which an HTML page refreshes itself. What is inside <noscript>, <script> or a comment does
    not count: it is often a page that asks for JavaScript."""
    head = content[:HEAD]
    if b"refresh" not in head.lower():
        return None
    from html import unescape

    for tag in _META.findall(_NOT_READ.sub(b"", head)):
        attributes = {
            name.lower(): double or single or bare
            for name, double, single, bare in _ATTRIBUTE.findall(tag.decode("utf-8", "replace"))
        }
        if attributes.get("http-equiv", "").strip().lower() == "refresh":
            address = refresh_of(unescape(attributes.get("content", "")))
            if address is not None:
                return address
    return None
