"""Calls of an operation: the arguments become a request, which is sent to the server of the API and nowhere else."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Unpack
from urllib.parse import urljoin, urlsplit

from agentkit.errors import ArgumentsError, FetchError, ToolError
from agentkit.message import Image
from agentkit.net.api_call import ApiRequest, ApiResponse, NotAnsweredError, answered
from agentkit.openapi.answers import answer_of
from agentkit.openapi.bodies import Body, in_url
from agentkit.openapi.credentials import Credentials, Security
from agentkit.openapi.servers import origin_of
from agentkit.openapi.styles import Parameter, in_cookie, in_header, in_path, in_query
from agentkit.tooling.argument_readers import schema_reader
from agentkit.tooling.options import ToolArguments
from agentkit.tooling.pickling import Part
from agentkit.tooling.stop import Stop
from agentkit.tools import Tool

MAX_BYTES = 10_000_000
"""Bytes that are read of a response."""
MAX_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Api:
    """The server of an API. base_url: the address before the paths. timeout: seconds of a call. is_trusted: whether it
    may be in a private network: the user named it. slashes_in_path: whether values in a path may have some."""

    base_url: str
    credentials: Credentials = field(repr=False)
    timeout: float
    is_trusted: bool = True
    slashes_in_path: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "Api":
        return self  # nothing in it changes, and what signs requests perhaps can't be copied


class ApiTool(Tool[..., Any]):
    """A tool whose schema is valid by the way it was made (`agentkit.openapi.schemas`), and is not checked again: an
    API may have a thousand operations."""

    def __init__(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        function: Callable[..., Any],
        *,
        context: str | None = None,
        **options: Unpack[ToolArguments],
    ) -> None:
        self._set(name, description, dict(parameters), function, context, options)
        self._set_isolation()
        schema = self.parameters
        self._reader = lambda name, has_effect: schema_reader(schema, name, has_effect, is_valid=True)
        self._read = self._reader(name, not self.options.read_only)


@dataclass(frozen=True)
class Call:
    """The function of a tool. name: the tool's. context: the argument that is the run's Context. has_effect: whether it
    changes something: it is sent once then. accept: what it takes for an answer. defaults: the arguments that have to
    be sent, and may be left out."""

    api: Api = field(repr=False)
    name: str
    method: str
    path: str
    parameters: tuple[Parameter, ...] = field(repr=False)
    body: Body | None = field(repr=False)
    security: Security = field(repr=False)
    context: str = field(repr=False)
    has_effect: bool = True
    accept: str = field(default="*/*", repr=False)
    defaults: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, /, **arguments: Any) -> str | Image:
        """Make the call and return what the model reads. Raises ArgumentsError for a value that can't be sent, and
        ToolError when the server answers with an error, or not at all."""
        context = arguments.pop(self.context, None)
        request = self.request({**self.defaults, **arguments})
        deadline = None if context is None else context.deadline
        cancel: threading.Event | None = None if context is None else context.cancel
        stop = Stop.of(self.name, self.api.timeout, deadline, cancel)
        try:
            return self._answer(request, stop)
        except FetchError as error:
            raise ToolError(self._blotted(f"{self._where} was not called: {error}.")) from None
        except NotAnsweredError as error:
            unknown = "; whether it had an effect is not known" if error.is_sent and self.has_effect else ""
            raise ToolError(self._blotted(f"{self._where} was called, and {error}{unknown}.")) from None

    def pickled_parts(self) -> list[Part]:
        """What perhaps can't be pickled of it."""
        advice = "take its key from the environment, and define its class at the top level of a module"
        return [Part("its auth", self.api.credentials, advice)]

    def request(self, arguments: Mapping[str, Any]) -> ApiRequest:
        """The request for these arguments. Raises ArgumentsError."""
        given = [(each, arguments[each.argument]) for each in self.parameters if self._is_given(each, arguments)]
        keys = self.api.credentials.sent_for(self.security)
        query = [
            pair for each, value in given if each.place in ("query", "querystring") for pair in in_query(each, value)
        ]
        cookies = [pair for each, value in given if each.place == "cookie" for pair in in_cookie(each, value)]
        cookies += keys.cookies
        headers: dict[str, str | bytes] = {"Accept": self.accept}
        headers |= {each.name: in_header(each, value) for each, value in given if each.place == "header"}
        headers |= {"Cookie": "; ".join(cookies)} if cookies else {}
        body, content_type = self._body(arguments)
        headers |= {"Content-Type": content_type} if body is not None else {}
        slashes = self.api.slashes_in_path
        steps = {each.name: in_path(each, value, slashes) for each, value in given if each.place == "path"}
        url = self._url(steps, query)
        sent, signing = {**headers, **keys.headers}, self.api.credentials.signing
        only_public = not self.api.is_trusted
        return ApiRequest(self.method, url, sent, body, "&".join(keys.query), signing, only_public)

    @staticmethod
    def _is_given(parameter: Parameter, arguments: Mapping[str, Any]) -> bool:
        value = arguments.get(parameter.argument)
        if value is None and parameter.place == "path":
            raise ArgumentsError(f"{parameter.argument} is missing: it is a part of the path, so it needs a value")
        return parameter.place == "path" or (value is not None and value != [] and value != {})

    def _body(self, arguments: Mapping[str, Any]) -> tuple[bytes | None, str]:
        if self.body is None:
            return None, ""
        return self.body.made(arguments, frozenset(each.argument for each in self.parameters))

    def _url(self, values: Mapping[str, str], query: list[str]) -> str:
        path, _, fixed = self.path.partition("#")[0].partition("?")
        made = "/".join(self._segment(each, values) for each in path.split("/"))
        made = made if made.startswith("/") or not made else f"/{made}"
        pairs = [self._filled(fixed, values), *query] if fixed else query
        return self.api.base_url + made + ("?" + "&".join(pairs) if pairs else "")

    def _segment(self, template: str, values: Mapping[str, str]) -> str:
        made = self._filled(template, values)
        if made in (".", "..") and "{" in template:
            raise ArgumentsError(f"the path would have the step {made!r}: other values are needed")
        return made

    @staticmethod
    def _filled(template: str, values: Mapping[str, str]) -> str:
        parts = re.split(r"\{([^{}]{1,200})\}", template)
        texts = (values.get(each, "") if index % 2 else in_url(each) for index, each in enumerate(parts))
        return "".join(texts)

    def _answer(self, request: ApiRequest, stop: Stop) -> str | Image:
        for _ in range(MAX_REDIRECTS):
            response = self._answered(request, stop)
            following = self._following(request, response)
            if following is None:
                break
            request = following
        is_head = self.method == "HEAD"
        return answer_of(response, self._where, is_head, lambda text: self._blotted(text, response.signed))

    def _answered(self, request: ApiRequest, stop: Stop) -> ApiResponse:
        try:
            return answered(request, MAX_BYTES, stop.wait)
        except ToolError as error:  # nobody waits any more
            if not self.has_effect or "effect" in str(error):
                raise
            raise ToolError(f"{error} Whether it had an effect is not known.") from None

    def _following(self, request: ApiRequest, response: ApiResponse) -> ApiRequest | None:
        """The request to which a response redirects: for what changes nothing, on the same host. None for none."""
        location = response.headers.get("location", "")
        if self.has_effect or response.status not in REDIRECTS or not location:
            return None
        try:
            url = urljoin(request.url, location.strip().replace(" ", "%20")).partition("#")[0]
            if not url.isascii() or not _is_same_host(request.url, url):
                return None
        except ValueError:
            return None
        return replace(request, url=url)

    @property
    def _where(self) -> str:
        return f"{self.method} {self.path}"

    def _blotted(self, text: str, signed: tuple[str, ...] = ()) -> str:
        more = tuple(part for value in signed for part in (value, value.rpartition(" ")[2]))
        return self.api.credentials.blotted(text, more)


def _is_same_host(before: str, after: str) -> bool:
    """Whether a redirect stays on the server of the API, or changes to its TLS port."""
    if "@" in urlsplit(after).netloc:
        return False
    scheme, host, port = origin_of(before)
    return origin_of(after) in ((scheme, host, port), ("https", host, 443 if port == 80 else port))
