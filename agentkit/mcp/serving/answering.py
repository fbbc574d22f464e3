"""What the server answers to each message, whichever way it came."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from agentkit import __version__
from agentkit._lazy.logs import ERROR, logger_of
from agentkit._text import short_repr
from agentkit.agent import Agent
from agentkit.errors import ConfigurationError, ToolError
from agentkit.mcp.serving.calls import QUESTION, Progress, ServedContext, answer_of, asked_by, check_approval, run
from agentkit.mcp.serving.envelope import VERSION_HEADER, check_parameters, checked_envelope
from agentkit.mcp.serving.link import Link
from agentkit.mcp.serving.offered import Offer, Offered, failed
from agentkit.mcp.serving.protocol import (
    DEFAULT_VERSION,
    HANDSHAKE,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    SERVER_KEY,
    STATELESS,
    VERSION_KEY,
    WITH_BATCHES,
    Message,
    Refusal,
    Reply,
    checked,
    encoded,
    id_of,
    meta_of,
)
from agentkit.mcp.serving.questions import NeedsInput, States, inputs_of
from agentkit.running.agent_tools import AnyTool
from agentkit.tooling.call_names import nearest
from agentkit.tooling.error_log import log_raised

logger = logger_of("agentkit.mcp")

MAX_CALLS = 100
"""How many calls run at once. One whose tool does not end is one of them, though nobody waits for it any more."""
MAX_QUESTIONS = 20
"""How often a call asks the user of a client with a handshake."""
MAX_BATCH = 100
"""How many messages a list of them may have."""
FRESH_MS = 60_000
"""For how long clients may keep a list, in milliseconds."""

_NOTHING = Reply(b"", 202)


@dataclass(frozen=True)
class Request:
    """A request that is to be answered. capabilities: of the client, in the stateless era; None before it."""

    number: Any
    method: str
    params: Message
    link: Link
    capabilities: Mapping[str, Any] | None


class _Busy(ToolError):
    """No further call can run now."""


class Server:
    """Answers the messages of MCP clients with the tools of an agent. Threads share it.

    tools: an agent, or tools, functions, toolsets and agents. name, version: what clients are told. instructions: for
    the models of clients, about the tools together. deps: what tools get as `ctx.deps`. timeout: seconds after which a
    call of a tool without a timeout of its own is given up; None: no limit. is_private: whether what it offers is for
    some clients only. Raises ToolDefinitionError for an invalid tool, ConfigurationError for an invalid timeout.
    """

    def __init__(
        self,
        tools: Agent | Iterable[AnyTool | Agent],
        *,
        name: str = "agentkit",
        version: str = "",
        instructions: str = "",
        deps: Any = None,
        timeout: float | None = None,
        is_private: bool = False,
    ) -> None:
        if timeout is not None and not timeout > 0:
            raise ConfigurationError(f"timeout={timeout!r} must be a number of seconds above 0")
        self._offer = Offer(tools)
        self._info = {"name": name, "version": version or __version__}
        self._instructions = {"instructions": instructions} if instructions else {}
        self._deps, self._timeout = deps, timeout
        self._cached = {"ttlMs": FRESH_MS, "cacheScope": "private" if is_private else "public"}
        self._states = States()
        self._room = threading.BoundedSemaphore(MAX_CALLS)
        lists: dict[str, Callable[[Request], Message]] = {
            "tools/list": lambda _: {"tools": [each.entry for each in self._offer.now().values()]},
            "prompts/list": lambda _: {"prompts": []},
            "resources/list": lambda _: {"resources": []},
            "resources/templates/list": lambda _: {"resourceTemplates": []},
        }
        others = {"prompts/get": _no_prompt, "resources/read": _no_resource}
        self._handshake = {**lists, **others, "initialize": self._initialize, "ping": lambda _: {}}
        self._stateless = {**lists, **others, "server/discover": self._discover}
        self._kept_fresh = {*lists, "server/discover"}

    @property
    def names(self) -> list[str]:
        """The names of the tools. Raises what a toolset raises."""
        return list(self._offer.now())

    def handle(self, message: Any, link: Link) -> Reply:
        """Answer a message, which any JSON value may be. It never raises."""
        return self.begin(message, link)()

    def begin(self, message: Any, link: Link) -> Callable[[], Reply]:
        """Begin to answer a message; what is returned does the rest, in whatever thread. From now on the call that it
        makes can be cancelled."""
        if isinstance(message, list):
            return self._begin_batch(message, link)
        if isinstance(message, Mapping) and "method" not in message and ("result" in message or "error" in message):
            link.session.asked.take(message)
            return lambda: _NOTHING
        try:
            method, params = checked(message)
            if "id" not in message:
                return lambda: self._noted(method, params, link)
            if is_stateless(message, link.headers):
                capabilities = checked_envelope(message, method, link.headers)
                return self._begin(Request(message["id"], method, params, link, capabilities))
        except Refusal as refusal:
            reply = Reply(encoded(refusal.answer(id_of(message))), refusal.status)
            return lambda: reply
        return self._begin(Request(message["id"], method, params, link, None))

    def _begin_batch(self, messages: list[Any], link: Link) -> Callable[[], Reply]:
        refusal = _batch_refusal(messages, link)
        if refusal is not None:
            reply = Reply(encoded(refusal.answer()), refusal.status)
            return lambda: reply
        begun = [self.begin(each, link) for each in messages]

        def answer() -> Reply:
            found = [content for content in (each().content for each in begun) if content]
            return Reply(b"[%b]" % b",".join(found)) if found else _NOTHING

        return answer

    def _noted(self, method: str, params: Message, link: Link) -> Reply:
        if method == "notifications/cancelled":
            link.session.cancel(id_of({"id": params.get("requestId")}))
        return _NOTHING

    def _begin(self, request: Request) -> Callable[[], Reply]:
        if request.method == "tools/call":
            cancel = request.link.new_cancel()
            request.link.session.begin(request.number, cancel)
            return lambda: self._called(request, cancel)
        methods = self._handshake if request.capabilities is None else self._stateless
        return lambda: self._answered(request, lambda: _method(methods, request.method)(request))

    def _called(self, request: Request, cancel: threading.Event) -> Reply:
        try:
            with ExitStack() as place:
                if cancel.is_set():
                    return Reply()
                try:
                    self._take_room(place)
                except _Busy as busy:
                    why = str(busy)
                    return self._answered(request, lambda: failed(why))
                return self._answered(request, lambda: self._call(request, cancel, place))
        finally:
            request.link.session.end(request.number, cancel)

    def _answered(self, request: Request, make: Callable[[], Message | None]) -> Reply:
        is_stateless = request.capabilities is not None
        try:
            result = make()
            if result is None:
                return Reply()
            session = result.pop("session", "") if request.method == "initialize" else ""
            if is_stateless:
                fresh = self._cached if request.method in self._kept_fresh else {}
                result = {"resultType": "complete", **result, **fresh, "_meta": {SERVER_KEY: self._info}}
            return Reply(encoded({"jsonrpc": "2.0", "id": request.number, "result": result}), session=session)
        except Refusal as refusal:
            return Reply(encoded(refusal.answer(request.number)), refusal.status if is_stateless else 200)
        except BaseException as error:  # a client gets an answer whatever happens
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise  # Ctrl-C
            log_raised(logger, ERROR, f"answering {short_repr(request.method)} raised", error)
            text = str(error) if isinstance(error, ToolError) else "the server failed to answer this; its log says why"
            answer = Refusal(INTERNAL_ERROR, text).answer(request.number)
            return Reply(encoded(answer), 500 if is_stateless else 200)

    def _about(self) -> Message:
        return {"capabilities": {"tools": {}, "prompts": {}, "resources": {}}, **self._instructions}

    def _initialize(self, request: Request) -> Message:
        asked = request.params.get("protocolVersion")
        if not isinstance(asked, str):
            raise Refusal(INVALID_PARAMS, "initialize needs protocolVersion, such as 2025-11-25")
        session = request.link.session
        session.version = asked if asked in HANDSHAKE else HANDSHAKE[-1]
        able = request.params.get("capabilities")
        session.capabilities = able if isinstance(able, Mapping) else {}
        about = {"protocolVersion": session.version, "serverInfo": self._info, **self._about()}
        return {**about, "session": request.link.opened(session)}

    def _discover(self, request: Request) -> Message:
        return {"supportedVersions": list(STATELESS), **self._about()}

    def _call(self, request: Request, cancel: threading.Event, place: ExitStack) -> Message | None:
        name, given = request.params.get("name"), request.params.get("arguments")
        if not isinstance(name, str):
            raise Refusal(INVALID_PARAMS, "tools/call needs the name of a tool")
        tools = self._offer.now()
        offered = tools.get(name)
        if offered is None:
            likely = nearest(name, list(tools))
            hint = f": did you mean {likely!r}?" if likely else ""
            raise Refusal(INVALID_PARAMS, f"there is no tool named {short_repr(name)}{hint}")
        if request.capabilities is not None and request.link.headers is not None:
            check_parameters(offered.tool.parameters, given, request.link.headers)
        given = {} if given is None else given
        try:
            arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        except RecursionError:
            return failed(f"the arguments of {name} are nested too deeply. Correct them and call it again.")
        progress = Progress(meta_of({"params": request.params}).get("progressToken"), request.link.notify)
        inputs, state = self._answers_of(request, name, arguments)
        asks = request.capabilities is None and request.link.able is not None
        able = request.link.able if asks else request.capabilities
        context = ServedContext(
            deps=self._deps,
            cancel=cancel,
            progress=progress,
            tool_timeout=self._timeout,
            inputs=inputs,
            state=state,
            capabilities=able,
        )
        try:
            return self._told(offered, arguments, context, place, request.link if asks else None)
        except _Busy as error:
            return failed(str(error))
        except NeedsInput as needs:
            return self._asked(needs, request, _identity(name, arguments))
        finally:
            progress.end()

    def _told(
        self, offered: Offered, arguments: str, context: ServedContext, place: ExitStack, link: Link | None
    ) -> Message | None:
        """The result of a call. link: to a client that is asked in the middle of it; None for one that calls again.
        Raises NeedsInput for that, and where it is asked too often."""
        for _ in range(MAX_QUESTIONS):
            try:
                return _result(offered, arguments, context, place)
            except NeedsInput as needs:
                if link is None or context.cancel is None:
                    raise
                inputs = link.session.asked.answers(needs, link.notify, context.cancel, link.session.version)
                if inputs is None:
                    return None
                if needs.state == QUESTION:  # the call has ended, and given its place back
                    self._take_room(place)
                context = replace(context, inputs=inputs, state=needs.state)
        return failed(f"{offered.tool.name} was ended: it has asked {MAX_QUESTIONS} questions.")

    def _take_room(self, place: ExitStack) -> None:
        """Take the place of a call that runs. Raises _Busy when there is none."""
        if not self._room.acquire(blocking=False):
            raise _Busy(f"The server is busy: {MAX_CALLS} calls are running. Nothing was run; try again later.")
        place.callback(self._room.release)

    def _answers_of(self, request: Request, name: str, arguments: str) -> tuple[Mapping[str, Any], str | None]:
        """The answers that a call brings, and the state that came back with them."""
        if request.capabilities is None:
            return {}, None
        inputs, state = inputs_of(request.params), request.params.get("requestState")
        if state is None:
            return inputs, None
        text = self._states.read(state, _identity(name, arguments))
        return ({} if text is None else inputs), text

    def _asked(self, needs: NeedsInput, request: Request, call: str) -> Message:
        if request.capabilities is None:
            return failed("This call has a question for the user, and this client can't be asked. Nothing was run.")
        needs.check(request.capabilities)
        state = self._states.made(needs, call)
        kept = {} if state is None else {"requestState": state}
        return {"resultType": "input_required", "inputRequests": needs.requests, **kept}


def _result(offered: Offered, arguments: str, context: ServedContext, place: ExitStack) -> Message | None:
    """The result of a call; None when it was cancelled. place: see `run`. Raises NeedsInput."""
    tool = offered.tool
    refused = check_approval(tool, arguments, context)
    answer, unanswered = answer_of(tool, context)
    if refused or unanswered:
        return failed(refused or unanswered)
    outcome = run(tool, arguments, replace(context, answer=answer), place)
    if outcome is not None and outcome.question is not None and context.capabilities is not None:
        raise asked_by(outcome.question)
    return None if outcome is None else offered.result(outcome)


def is_stateless(message: Any, headers: Mapping[str, str] | None) -> bool:
    """Whether a request is of the stateless era. headers: of its HTTP request."""
    given = None if headers is None else headers.get(VERSION_HEADER)
    return VERSION_KEY in meta_of(message) or (given is not None and given not in HANDSHAKE)


def _batch_refusal(messages: list[Any], link: Link) -> Refusal | None:
    given = None if link.headers is None else link.headers.get(VERSION_HEADER)
    if (link.session.version or given or "") not in WITH_BATCHES:
        return Refusal(INVALID_REQUEST, f"lists of messages are of the version {DEFAULT_VERSION} alone")
    if not 0 < len(messages) <= MAX_BATCH:
        return Refusal(INVALID_REQUEST, f"a list of messages has between 1 and {MAX_BATCH} of them")
    if any(map(_is_no_part, messages)):
        return Refusal(INVALID_REQUEST, "neither a list nor initialize can be in a list of messages")
    return None


def _is_no_part(message: Any) -> bool:
    """Whether a message can't be one of a list."""
    return isinstance(message, list) or (isinstance(message, Mapping) and message.get("method") == "initialize")


def _method(methods: Mapping[str, Callable[[Request], Message]], name: str) -> Callable[[Request], Message]:
    if name not in methods:
        raise Refusal(METHOD_NOT_FOUND, f"there is no method {short_repr(name)}")
    return methods[name]


def _no_prompt(request: Request) -> Message:
    raise Refusal(INVALID_PARAMS, "this server has no prompts")


def _no_resource(request: Request) -> Message:
    code = RESOURCE_NOT_FOUND if request.capabilities is None else INVALID_PARAMS
    uri = request.params.get("uri")
    raise Refusal(code, "this server has no resources", {"uri": uri} if isinstance(uri, str) else None)


def _identity(name: str, arguments: str) -> str:
    """What a call is, for a signature. Equal arguments in another order are another call."""
    return f"{name}\0{arguments}"
