"""Which errors are the openai package's, without importing it: whoever has raised one has imported it."""

import sys


def is_api_error(error: BaseException) -> bool:
    """Whether an error is the openai package's APIError."""
    return _is_kind(error, "APIError")


def is_connection_error(error: BaseException) -> bool:
    """Whether an error is the openai package's APIConnectionError, or APITimeoutError."""
    return _is_kind(error, "APIConnectionError")


def is_timeout_error(error: BaseException) -> bool:
    """Whether an error is the openai package's APITimeoutError."""
    return _is_kind(error, "APITimeoutError")


def _is_kind(error: BaseException, name: str) -> bool:
    openai = sys.modules.get("openai")
    kind = getattr(openai, name, None) if openai is not None else None
    return isinstance(kind, type) and isinstance(error, kind)
