"""The error of a server that could not parse the tool call of its model, which is no fault of the request."""

from collections.abc import Mapping

CODE = "tool_use_failed"


def failed_generation(error: BaseException) -> str | None:
    """What the model wrote, "" when the server does not say it, None for any other error."""
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, Mapping) else None
    if not isinstance(inner, Mapping) or inner.get("code") != CODE:
        return None
    written = inner.get("failed_generation")
    return written if isinstance(written, str) else ""
