"""Errors in the form of Anthropic's API."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

MESSAGES_API = "/v1/messages"
"""Where the Messages API is; in the paths below it, errors have its form."""


class AnthropicError(BaseModel):
    """The error of a response."""

    type: str = Field(description="Kind of the error, such as `invalid_request_error`.")
    message: str = Field(description="What is wrong.")


class AnthropicErrorResponse(BaseModel):
    """An error in the format of Anthropic's API."""

    type: Literal["error"] = Field(description="Always `error`.")
    error: AnthropicError = Field(description="The error.")


_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def is_of_anthropic(path: str) -> bool:
    """Whether clients of Anthropic's API ask for a path: also where their base URL ends in /v1, to which they add it
    once more, or has a prefix."""
    return path.rstrip("/").endswith(MESSAGES_API) or f"{MESSAGES_API}/" in path


def anthropic_error(status: int, detail: str) -> dict[str, Any]:
    """The body of an error, and the data of an event `error`. status: of the response."""
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": detail}}
