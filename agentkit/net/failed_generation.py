"""The error of a server that could not parse the tool call of its model, which is no fault of the request: Groq's, and
llama.cpp's ("Failed to parse input at pos 12: <tool_call>...")."""

from collections.abc import Mapping

CODE = "tool_use_failed"
UNPARSED = "Failed to parse input at pos "
"""What llama.cpp says before the place, and the text from there on."""
MAX_BEFORE = 300
"""Characters of a message among which these words are looked for: a gateway writes its own before them."""


def failed_generation(error: BaseException) -> str | None:
    """What the model wrote, "" when the server does not say it, None for any other error."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    if inner.get("code") != CODE:
        return _unparsed(inner.get("message"))
    written = inner.get("failed_generation")
    return written if isinstance(written, str) else ""


def _unparsed(message: object) -> str | None:
    if not isinstance(message, str) or UNPARSED not in message[:MAX_BEFORE]:
        return None
    place, _, written = message.partition(UNPARSED)[2].partition(":")
    return written.removeprefix(" ") if place.isdigit() else None
