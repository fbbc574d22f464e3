"""Pages of which a site shows only the beginning to those who don't pay, by what it tells search engines.

Sources: https://schema.org/isAccessibleForFree; the property `article:content_tier` of pages in Facebook's Open Graph.
"""

import re

SHORT = 3_000
"""Length of a text, in characters, up to which it may be the beginning of an article; many sites mark all articles."""

NOTE = "[… the site says that this page is not free: its text may be only the beginning of the article]"

_NOT_FREE = re.compile(
    rb"[\"']isAccessibleForFree[\"']\s{0,9}:\s{0,9}[\"']?false\b"
    rb"|<meta\b[^<>]{0,200}\barticle:content_tier[\"'][^<>]{0,200}[\"']locked\b"
    rb"|<meta\b[^<>]{0,200}\bisAccessibleForFree[\"'][^<>]{0,200}[\"']false\b",
    re.IGNORECASE,
)


def may_be_a_beginning(markup: bytes, text: str) -> bool:
    """Whether the text of a page may be only its beginning. markup: the HTML. text: as it was read."""
    return 0 < len(text) < SHORT and _NOT_FREE.search(markup) is not None
