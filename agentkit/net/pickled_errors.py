"""Makes the openai package's errors picklable, which they are not by themselves.

Importing this module does it. The headers and the body of the request are left out: they hold the key and the whole
conversation.
"""

import contextlib
from typing import Any

import httpx2
import openai

from agentkit.errors import remade_error


def _reduced(error: openai.APIError) -> tuple[Any, ...]:
    attributes: dict[str, Any] = {**error.__dict__, "request": _without_secrets(error.request)}
    response = attributes.get("response")
    if isinstance(response, httpx2.Response):
        attributes["response"] = _complete(response, error.body is not None)  # None: it repeated the key
    return remade_error, (type(error), error.args), attributes


def _without_secrets(request: httpx2.Request) -> httpx2.Request:
    return httpx2.Request(request.method, request.url.copy_with(username="", password="", query=None))


def _complete(response: httpx2.Response, has_body: bool) -> httpx2.Response:
    """The response without its connection, and without a body that was not read."""
    headers = {name: value for name, value in response.headers.items() if name.lower() not in _DROPPED}
    content = b""
    with contextlib.suppress(httpx2.ResponseNotRead):
        content = response.content if has_body else b""
    request = _without_secrets(response.request)
    return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


_DROPPED = ("content-encoding", "content-length", "transfer-encoding", "set-cookie")


def _pickled(error: openai.OpenAIError) -> tuple[Any, ...]:
    if isinstance(error, openai.APIError):
        return _reduced(error)
    return remade_error, (type(error), error.args), error.__dict__


# Not by copyreg: tblib, which Dask uses, replaces what is registered there for exceptions, and so pickled the headers
# of the request. This holds for subclasses of other packages too.
openai.OpenAIError.__reduce__ = _pickled  # type: ignore[method-assign, assignment]
