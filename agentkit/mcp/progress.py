"""What a server says of a call that it works on."""

from collections.abc import Mapping
from typing import Any

MAX_PROGRESS = 300
"""Characters of a report of progress."""


def progress_text(params: Mapping[str, Any]) -> str:
    """What a progress notification says, in words or as a number; "" for nothing."""
    text, done, total = params.get("message"), params.get("progress"), params.get("total")
    if isinstance(text, str) and text.strip():
        return text.strip()[:MAX_PROGRESS]
    if not _is_number(done):
        return ""
    return f"{done:g} of {total:g}" if _is_number(total) else f"{done:g}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18
