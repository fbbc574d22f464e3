"""Errors as the OpenAI API tells them: with the parameter and the code."""

import re
from collections.abc import Collection, Mapping

from openai import APIError, APIStatusError
from starlette.exceptions import HTTPException

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError, OutputError
from agentkit.net.error_body import message_of
from agentkit.net.error_words import words_of
from agentkit.net.overflow import too_long
from agentkit.serving.addresses import without_addresses
from agentkit.serving.http.errors import logged_status_and_detail, without_address

_NO_RETRY = {"x-should-retry": "false"}
_REFUSING = (400, 404, 413, 415, 422, 501)
"""Statuses of a model server that refuses a request for what is in it."""


class RefusedRequestError(HTTPException):
    """An error with the fields `param` and `code` of OpenAI's errors. param: the field of the request, as a path
    (`tools[0].function.name`). headers: of the response."""

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, headers)
        self.param = param
        self.code = code


def not_to_be_sent_again(error: Exception) -> RefusedRequestError:
    """The same error, with the header by which SDKs do not send the request again: a tool with an effect was run, and
    would be run again."""
    if isinstance(error, RefusedRequestError):
        return RefusedRequestError(error.status_code, error.detail, error.param, error.code, _NO_RETRY)
    status, detail = logged_status_and_detail(error)
    return RefusedRequestError(status, detail, headers=_NO_RETRY)


def refusal_of(error: Exception, fields: Collection[str]) -> Exception:
    """What the client is told of the error of a run: a 400 where the request is at fault, else the error itself.

    fields: names of the request's fields that are passed on to the model.
    """
    if too_long(error) is not None:
        return RefusedRequestError(400, _said(error), "messages", "context_length_exceeded")
    if isinstance(error, OutputError):
        return RefusedRequestError(502, in_a_line(str(error), 500), "response_format", "invalid_model_output")
    named = _named(error, fields)
    if isinstance(error, ConfigurationError) and named is not None:
        text = f"{named}: the model of this service does not support this field, or not this value of it"
        return RefusedRequestError(400, text, named, "unsupported_parameter")
    if isinstance(error, APIStatusError) and error.status_code in _REFUSING and (named or error.status_code != 404):
        return RefusedRequestError(400, _said(error), named)
    return error


def _said(error: Exception) -> str:
    body = getattr(error, "body", None)
    text = without_address(error) if isinstance(error, APIError) else str(error)
    text = without_addresses(message_of(body)) if body else text
    return f"the model server refused the request: {in_a_line(text, 500)}"


def _named(error: Exception, fields: Collection[str]) -> str | None:
    """The first field that an error names."""
    words = words_of(error) if isinstance(error, APIStatusError) else str(error).lower()
    found = ((at, name) for name in fields if (at := _place(name.lower(), words)) is not None)
    return min(found, default=(0, None))[1]


def _place(name: str, words: str) -> int | None:
    found = re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", words)
    return found.start() if found else None
