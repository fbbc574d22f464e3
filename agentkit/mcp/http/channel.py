"""The channel over HTTP: each request is a POST, answered by a message or by a stream that ends with the answer."""

import contextlib
import threading
import weakref
from collections.abc import Mapping
from typing import Any

import requests
from requests.auth import AuthBase

from agentkit._forking import notice_fork, renewed_by_forks
from agentkit._lazy.logs import logger_of
from agentkit._threads import WORKERS
from agentkit.errors import ToolError
from agentkit.mcp.channel import Heard, Message, Patience, encoded
from agentkit.mcp.errors import Gone, MCPError, Unreadable
from agentkit.mcp.http.calls import Call, Calls, meta_of
from agentkit.mcp.http.problems import UNREACHABLE, Problem, as_error, problem_of, without_secrets
from agentkit.mcp.http.sending import Flight, Sender, finish
from agentkit.mcp.http.streams import (
    NAMED,
    PARSE_ERROR,
    Listening,
    OldTransport,
    endpoint_in,
    ends_with_connection,
    is_event_stream,
    messages,
)
from agentkit.mcp.param_headers import header_value
from agentkit.mcp.secrets import without_keys_in_errors
from agentkit.net.abort import Aborted
from agentkit.net.event_stream import EventReader

logger = logger_of("agentkit.mcp")

STATELESS = "2026-07-28"
"""From this version on there are no sessions, no streams for all calls, and closing a stream cancels."""
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CLOSE_SECONDS = 1.0
CANCEL_SECONDS = 5.0
LISTEN_SECONDS = 2.0
"""How long the first call waits for the stream on which a server may ask something."""
RETRY_SECONDS, LEAST_RETRY_SECONDS = 1.0, 0.1
"""How long to wait before a stream is resumed, where the server says nothing, and at least."""
MAX_ATTEMPTS = 3
INVALID_REQUEST = -32600
_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}


class _OldStreamError(Exception):
    """A response is the stream of a server of 2024-11-05, which names an address for requests."""


class Http:
    """A connection to an MCP server at a URL; see `Channel`.

    url: the server's, which is trusted: it may have a private address. heard: see `Heard`. headers: sent with each
    request. auth: a requests AuthBase, called for each request. expects_old: whether the transport of 2024-11-05 is
    tried first. version: set by the client. session: the session id of the server, "" for none.

    Errors of HTTP are answers with an error whose code is the status (401, 404, ...), but for what means that the
    server can't be reached (502, 503, 504), and for a session that the server does not know any more: these are Gone.

    Raises ConfigurationError for a URL, headers or an environment that can't work.
    """

    def __init__(
        self,
        url: str,
        heard: Heard,
        *,
        headers: Mapping[str, str] | None = None,
        auth: AuthBase | None = None,
        expects_old: bool = False,
    ) -> None:
        self.expects_old = expects_old
        self.version = ""
        self.session = ""
        self._sender = Sender(url, headers, auth)
        self._calls = Calls(heard)
        self._old: OldTransport | None = None
        self._endpoint: str | None = None
        self._listening: Listening | None = None
        self._is_to_listen = self._may_ask = False
        self._is_lost = self._is_closed = False
        renewed_by_forks(self)

    def __repr__(self) -> str:
        return f"Http({self._sender.where!r})"

    def renew_in_child(self) -> None:
        """In a child: the session and the streams are the parent's."""
        self._is_lost = self._is_lost or not self._is_stateless()
        self.session, self._old, self._listening = "", None, None
        self._calls.renew_in_child()

    @property
    def is_lost(self) -> bool:
        """Whether no request can succeed any more: the server does not know the session, or this is closed."""
        notice_fork()
        return self._is_lost or self._is_closed or (self._old is not None and self._old.has_ended)

    def exchange(self, message: Message, patience: Patience, headers: Mapping[str, str] | None = None) -> Message:
        """See `Channel.exchange`."""
        self._check_open()
        body = encoded(message)
        call = Call(message, patience, self._sender.where)
        self._calls.begin(call)
        try:
            self._submit(lambda: self._work(call, body, {**self._headers_of(message), **(headers or {})}))
            answer = call.wait()
        finally:
            if not call.is_settled:
                self._tell_cancelled(call)
            self._calls.end(call)
        if message.get("method") == "initialize":
            self._note(message, answer)
        if "error" not in answer:
            return without_keys_in_errors(answer, self._sender.blotted)
        return {**answer, "error": without_secrets(as_error(answer["error"]), self._sender)}

    def send(self, message: Message, patience: Patience) -> None:
        """See `Channel.send`."""
        self._check_open()
        body = encoded(message)
        call = Call(message, patience, self._sender.where)
        try:
            self._submit(lambda: self._post(call, body))
            call.wait()
        finally:
            call.leave()
        if message.get("method") == "notifications/initialized" and self._is_to_listen:
            self._listen(patience)

    def close(self) -> None:
        """End the session, if there is one, within CLOSE_SECONDS, and all calls."""
        if self._is_closed:
            return
        notice_fork()
        self._is_closed = True
        for stream in (self._listening, self._old):
            if stream is not None:
                stream.stop()
        self._calls.fail(Gone(f"the connection to {self._sender.where} was closed"))
        if self.session and not self._is_lost:
            self._delete_session()
        self._sender.close()

    def _check_open(self) -> None:
        notice_fork()
        if self.is_lost:
            raise Gone(f"the connection to {self._sender.where} has ended", sent=False)

    def _submit(self, work: Any) -> None:
        try:
            WORKERS.submit(work)
        except RuntimeError:  # no thread can be started when the program ends
            raise Gone("the program is about to end", sent=False) from None

    def _is_stateless(self, message: Message | None = None) -> bool:
        return self._version_of(message) >= STATELESS

    def _version_of(self, message: Message | None) -> str:
        found = meta_of(message).get(VERSION_KEY) if message is not None else None
        return found if isinstance(found, str) else self.version

    def _headers_of(self, message: Message) -> dict[str, str]:
        method, version = message.get("method"), self._version_of(message)
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if version and method != "initialize":
            headers["MCP-Protocol-Version"] = version
        if version < STATELESS:
            return headers | ({"Mcp-Session-Id": self.session} if self.session else {})
        if isinstance(method, str):
            headers["Mcp-Method"] = method
        name = message.get("params", {}).get(_NAMED_BY.get(str(method), ""))
        return headers | ({"Mcp-Name": header_value(name)} if isinstance(name, str) else {})

    def _stream_headers(self) -> dict[str, str]:
        headers = {"Accept": "text/event-stream"}
        if self.version:
            headers["MCP-Protocol-Version"] = self.version
        return headers | ({"Mcp-Session-Id": self.session} if self.session else {})

    # what follows until `_resumed` runs in a thread that works on the call

    def _work(self, call: Call, body: bytes, headers: Mapping[str, str]) -> None:
        try:
            with call.flight:
                self._ask(call, body, headers)
        except Aborted:
            pass
        except MCPError as error:
            if isinstance(error, Unreadable) and call.message.get("method") == "tools/call":
                call.settle(error)  # whoever called has to know that it may have run
                return
            call.settle({"jsonrpc": "2.0", "id": call.id, "error": {"code": error.code, "message": str(error)}})
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            call.settle(error)

    def _ask(self, call: Call, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a request until it is answered, or fails: again only where the server has refused to run it."""
        if self.expects_old:
            self._is_old(call)
        for attempt in range(MAX_ATTEMPTS):
            with contextlib.closing(self._posted(call, body, headers)) as response:
                if response.status_code < 300 and self._read(call, response):
                    return
                problem = None if response.status_code < 300 else problem_of(response, self._sender)
            if (problem is None or problem.may_be_old) and self._is_old(call):
                continue
            if problem is None:
                raise Gone(f"{self._sender.where} answered with the stream of an old server, which can't be used")
            wait = problem.wait if attempt + 1 < MAX_ATTEMPTS and _was_refused(problem, call) else None
            if wait is None or wait >= call.patience.left:
                self._fail(call, problem, headers)
                return
            call.pause(wait)

    def _posted(self, call: Call, body: bytes, headers: Mapping[str, str]) -> requests.Response:
        return self._sender.opened(call.flight, "POST", headers, body, call.patience.left, self._endpoint)

    def _fail(self, call: Call, problem: Problem, headers: Mapping[str, str]) -> None:
        if "Mcp-Session-Id" in headers and problem.is_lost_session:
            self._is_lost = True
            raise Gone(f"{self._sender.where} has ended the session", sent=not problem.has_refused)
        if problem.status in UNREACHABLE and problem.reported is None:
            raise Gone(problem.message)
        call.settle({"jsonrpc": "2.0", "id": call.id, "error": problem.as_error()}, is_ending=True)

    def _is_old(self, call: Call) -> bool:
        """Whether this is a server of 2024-11-05, asked at the handshake; then its address for requests is known from
        now on."""
        if self._old is not None or call.message.get("method") != "initialize":
            return False
        old = OldTransport(self._sender, self._stream_headers(), self._calls)
        old.start()
        self._endpoint = old.endpoint(call.patience.left)
        if self._endpoint is None or call.flight.is_aborted:
            old.stop()
            return False
        self._old = old
        weakref.finalize(self, old.stop)
        return True

    def _read(self, call: Call, response: requests.Response) -> bool:
        """Read the response to a request; settles the call, or raises. Returns False for the stream of an old server,
        which some open for a POST too."""
        call.was_accepted = True
        if self._old is not None:
            finish(response)
            return True
        is_handshake = call.message.get("method") == "initialize"
        if is_handshake:
            self.session = _session_id(response.headers.get("Mcp-Session-Id"))
        reader, broken = EventReader(named=NAMED if is_handshake else ()), None
        try:
            if self._has_answer(call, response, reader):
                return True
        except _OldStreamError:
            return False
        except Gone as error:
            broken = error
        if call.flight.is_aborted:
            raise Aborted
        if reader.last_id and not self._is_stateless(call.message) and self._is_resumed(call, reader):
            return True
        raise broken or self._unanswered(call, response, reader)

    def _has_answer(self, call: Call, response: requests.Response, reader: EventReader) -> bool:
        for message in messages(self._sender, call.flight, response, reader):
            if endpoint_in(message) is not None:
                raise _OldStreamError
            if self._calls.deliver(message, to=call):
                finish(response)
                return True
        return call.is_settled

    def _unanswered(self, call: Call, response: requests.Response, reader: EventReader) -> BaseException:
        """The error for a response that ended without the answer."""
        where, kind = self._sender.where, response.headers.get("Content-Type", "no Content-Type")[:100]
        is_cut = ends_with_connection(response) and not reader.count
        if reader.has_fields or (is_cut and is_event_stream(response)):
            return Gone(f"{where} ended its stream without an answer")
        if reader.count:
            return Unreadable(
                f"{where} did not answer this request, but with another id, or without one",
                INVALID_REQUEST,
            )
        if is_cut and response.status_code == 200 and not reader.excerpt.strip():
            return Gone(f"{where} closed the connection before its answer was complete")
        if response.status_code in (202, 204) or not reader.excerpt.strip():
            return Unreadable(
                f"{where} accepted the request ({response.status_code}) and gave no answer",
                response.status_code,
            )
        said = repr(self._sender.blotted(reader.excerpt, response)[:200])
        return Unreadable(
            f"{where} answered with {kind}, which is no MCP message (is the path of the URL right?): {said}",
            PARSE_ERROR,
        )

    def _is_resumed(self, call: Call, reader: EventReader) -> bool:
        """Whether the answer has come on a later part of the stream: the server closes it, and is to be asked again
        after a while (`retry:`)."""
        failures = 0
        while failures < MAX_ATTEMPTS:
            call.pause(RETRY_SECONDS if reader.retry is None else max(reader.retry, LEAST_RETRY_SECONDS))
            following = EventReader()
            following.last_id, following.retry = reader.last_id, reader.retry
            with contextlib.suppress(Gone):
                answered = self._has_rest(call, following)
                if answered is not None:
                    return answered
            failures = failures + 1 if following.last_id == reader.last_id else 0
            reader = following
        return False

    def _has_rest(self, call: Call, reader: EventReader) -> bool | None:
        """Ask for the rest of a stream; returns whether it has the answer, None when it may come later."""
        headers: dict[str, str | bytes] = {**self._stream_headers(), "Last-Event-ID": reader.last_id}
        opened = self._sender.opened(call.flight, "GET", headers, None, call.patience.left)
        with contextlib.closing(opened) as response:
            if response.status_code >= 300:
                return None if response.status_code >= 500 else False
            return self._has_answer(call, response, reader) or None

    def _post(self, call: Call, body: bytes) -> None:
        """Send a message that is not answered."""
        headers = self._headers_of(call.message)
        try:
            with call.flight, contextlib.closing(self._posted(call, body, headers)) as response:
                if response.status_code >= 300:
                    problem = problem_of(response, self._sender)
                    self._fail(call, problem, headers)
                    logger.warning("%s", problem.message)
                call.settle({}, is_ending=True)
                finish(response)
        except Aborted:
            pass
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            call.settle(error)

    def _tell_cancelled(self, call: Call) -> None:
        """Tell a server of an older version, to which a closed stream says nothing, that nobody waits any more."""
        if self._is_closed or call.message.get("method") == "initialize" or self._is_stateless(call.message):
            return
        note = {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": call.id, "reason": "it took too long, or its result is not needed any more"},
        }

        def tell() -> None:
            with contextlib.suppress(ToolError):
                self.send(note, Patience(CANCEL_SECONDS))

        with contextlib.suppress(Gone):
            self._submit(tell)

    def _note(self, message: Message, answer: Message) -> None:
        """Note whether the server may have something to say of its own: a question, or that its tools have changed."""
        self._may_ask = "elicitation" in _mapping(_mapping(message.get("params")).get("capabilities"))
        offered = _mapping(_mapping(answer.get("result")).get("capabilities"))
        changes = bool(_mapping(offered.get("tools")).get("listChanged"))
        self._is_to_listen = (self._may_ask or changes) and self._old is None

    def _listen(self, patience: Patience) -> None:
        if self._listening is None and not self._is_closed:
            self._listening = Listening(self._sender, self._stream_headers(), self._calls)
            weakref.finalize(self, self._listening.stop)
            self._listening.start()
            if self._may_ask:
                self._listening.wait(min(LISTEN_SECONDS, patience.left))

    def _delete_session(self) -> None:
        flight, done = Flight(), threading.Event()
        headers = self._stream_headers()

        def delete() -> None:
            with contextlib.suppress(Exception, Aborted), flight:
                self._sender.opened(flight, "DELETE", headers, None, CLOSE_SECONDS).close()
            done.set()

        with contextlib.suppress(Gone):
            self._submit(delete)
            done.wait(CLOSE_SECONDS)
            flight.abort()


def _was_refused(problem: Problem, call: Call) -> bool:
    """Whether a request that was answered so has not been run: a limit of requests refuses it. Who says that a service
    is unavailable may be a proxy that has passed it on, so that a call, which may have effects, is not sent again."""
    return problem.status == 429 or (problem.status == 503 and call.message.get("method") != "tools/call")


def _session_id(value: str | None) -> str:
    """The session id of a header; "" for one that can't be sent back."""
    return value if value and len(value) <= 4096 and value.isascii() and value.isprintable() else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
