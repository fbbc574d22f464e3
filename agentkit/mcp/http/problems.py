"""What a response says that is no answer (a lost session, refused credentials, another status), and what to do."""

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import requests

from agentkit._text import in_a_line
from agentkit.mcp.handshake import UNSUPPORTED_VERSION
from agentkit.mcp.http.addresses import joined, shown_location
from agentkit.mcp.http.sending import Sender, chunks
from agentkit.mcp.lost_session import says_lost_session
from agentkit.mcp.secrets import without_keys
from agentkit.net.error_body import message_of, page_text
from agentkit.net.rate_headers import told_by

MAX_ERROR_BYTES = 1_000_000
MAX_WORDS = 500

UNREACHABLE = (502, 503, 504)
_LOST = (404, 410)
_NOT_EXPECTED = (400, 404, 405, 406, 411, 415, 501)
"""What is answered to a POST that is not expected: the first three by the specification, the others by proxies."""
_REFUSED = (*_LOST, 400, 401, 503)
"""What a server answers that has not run the request."""
_NOT_BEGUN = re.compile(r"(?:bad request:\s?)?server not initialized\b", re.IGNORECASE)
_OTHER_VERSION = re.compile(
    r"(?:bad request:\s?)?(?:(?:unsupported|unknown|invalid) (?:mcp[ -])?protocol[ -]version\b"
    r"|(?:the )?mcp-protocol-version header [^.]{0,80}not supported)",
    re.IGNORECASE,
)
_SESSION_CODES = (-32000, -32001, -32600, -32603)
INTERNAL_ERROR = -32603


@dataclass(frozen=True)
class Problem:
    """A response with a status that is no success.

    reported: the JSON-RPC error in its body, if there is one. words: what it says, without secrets.
    """

    status: int
    reported: Mapping[str, Any] | None
    words: str
    message: str
    wait: float | None = None

    @property
    def is_lost_session(self) -> bool:
        """Whether it means, for a request with a session id, that the server does not know the session: 404 by the
        specification, another status with such words by many servers."""
        if not self._is_general:
            return False
        is_not_begun = self.status == 400 and _NOT_BEGUN.match(self.words) is not None
        return self.status in _LOST or is_not_begun or says_lost_session(self.words)

    @property
    def has_refused(self) -> bool:
        """Whether the status says that the request was not run."""
        return self.status in _REFUSED

    @property
    def _is_general(self) -> bool:
        """Whether it is no JSON-RPC error that says more than that there is one."""
        return self.reported is None or self.reported["code"] in _SESSION_CODES

    @property
    def _is_of_version(self) -> bool:
        return self.status == 400 and self._is_general and _OTHER_VERSION.match(self.words) is not None

    @property
    def may_be_old(self) -> bool:
        """Whether a server of 2024-11-05 may be at this address: it does not expect a POST there."""
        return self.status in _NOT_EXPECTED and self.reported is None

    def as_error(self) -> dict[str, Any]:
        """The error of a JSON-RPC answer. code: the server's, or the HTTP status where it has given none; that of an
        unsupported version where older servers say so in words."""
        if self._is_of_version:
            return {**(self.reported or {"message": self.message}), "code": UNSUPPORTED_VERSION}
        if self.reported is not None and self.status not in (401, 403):
            return dict(self.reported)
        return {"code": self.status, "message": self.message}


def problem_of(response: requests.Response, sender: Sender) -> Problem:
    """Read a response with an error status, or a redirect that is not followed."""
    content = _beginning(response)
    body: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        body = json.loads(content)
    reported = _reported(body)
    if reported is not None:
        reported = without_secrets(reported, sender, response)
    words = str(reported["message"]) if reported else sender.blotted(_words(body, content), response)
    words = in_a_line(words, MAX_WORDS)
    wait = told_by(response.headers).retry_after
    message = _message(response, sender, words) + (f" (ask again after {wait:.0f} s)" if wait else "")
    return Problem(response.status_code, reported, words, message, wait)


def without_secrets(
    error: Mapping[str, Any], sender: Sender, response: requests.Response | None = None
) -> Mapping[str, Any]:
    """A JSON-RPC error without what authorizes the request, which some servers repeat."""
    masked: Mapping[str, Any] = without_keys(error, lambda text: sender.blotted(text, response))
    return masked


def as_error(error: Any) -> Mapping[str, Any]:
    """An error of a JSON-RPC answer in the form that the specification gives it."""
    if not isinstance(error, Mapping):
        return {"code": INTERNAL_ERROR, "message": error if isinstance(error, str) else "no message"}
    code, message = error.get("code"), error.get("message")
    is_code = isinstance(code, int) and not isinstance(code, bool)
    return {
        **error,
        "code": code if is_code else INTERNAL_ERROR,
        "message": message if isinstance(message, str) else "no message",
    }


def _beginning(response: requests.Response) -> bytes:
    content = bytearray()
    with contextlib.suppress(Exception):
        for chunk in chunks(response):
            content += chunk
            if len(content) > MAX_ERROR_BYTES:
                break
    return bytes(content)


def _reported(body: Any) -> Mapping[str, Any] | None:
    """The JSON-RPC error of a body."""
    error = body.get("error") if isinstance(body, Mapping) and "jsonrpc" in body else None
    return as_error(error) if isinstance(error, Mapping) else None


def _words(body: Any, content: bytes) -> str:
    if isinstance(body, Mapping):
        return message_of(body)
    return page_text(content) if content.strip() else ""


def _message(response: requests.Response, sender: Sender, words: str) -> str:
    status = response.status_code
    said = f": {words}" if words else ""
    if status == 401:
        if sender.has_credentials:
            return f"{sender.where} does not accept the credentials of headers= or auth= (401){said}"
        return (
            f"{sender.where} asks for authorization (401): log in (agentkit mcp login URL), give headers="
            f'{{"Authorization": "Bearer ..."}}, or auth= a requests AuthBase that adds a token to each request{said}'
        )
    if status == 403:
        return f"{sender.where} forbids this request with these credentials (403){said}"
    if 300 <= status < 400:
        return _redirected(response, sender)
    message = f"{sender.where} answered {status} {_phrase(status)}".rstrip() + said
    return message + " (is the path of the URL right? often it is /mcp)" if status in (404, 405) else message


def _redirected(response: requests.Response, sender: Sender) -> str:
    location = response.headers.get("Location", "")
    target = sender.blotted(shown_location(joined(response.url, location) or location))
    hint = "if that is the server, give its URL" if location else "it does not say where to"
    shown = f"redirects ({response.status_code}) to {target!r}, which is not followed: {hint}"
    return f"{sender.where} {shown}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
