"""Which protocol version a client and a server speak: "server/discover" of 2026-07-28 is tried first, then "initialize"
of the versions before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentkit._text import cut, shown
from agentkit.mcp.channel import Channel, Message, Patience
from agentkit.mcp.errors import METHOD_NOT_FOUND, MCPError, Slow

MODERN = ("2026-07-28",)
"""Versions without a handshake: each request says what it needs."""
HANDSHAKE = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "2024-10-07")
"""Versions that begin with "initialize", the newest first."""
UNSUPPORTED_VERSION = -32022
INVALID_ANSWER = -32603
DISCOVER_SECONDS = 3.0
"""Maximum seconds that an old server is given to say that it does not know "server/discover"; most say so at once."""
MAX_MESSAGE = 2000
"""Characters of a server's error message that are told."""

_META = "io.modelcontextprotocol/"
Exchange = Callable[[str, Mapping[str, Any], Patience], Mapping[str, Any]]


@dataclass(frozen=True)
class Server:
    """What a server has said of itself. version: the protocol version in use. capabilities: such as {"tools": {...}}.
    instructions: how a model should use it, "" for none. name: of its program."""

    version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    instructions: str = ""
    name: str = ""

    @property
    def is_modern(self) -> bool:
        """Whether each request says what it needs, and there was no handshake."""
        return self.version in MODERN

    @property
    def lists_change(self) -> bool:
        """Whether the server says when its tools change."""
        return bool(_object(self.capabilities.get("tools")).get("listChanged"))


@dataclass(frozen=True)
class Introduction:
    """What a client says of itself. capabilities: in the modern form."""

    name: str
    version: str
    capabilities: Mapping[str, Any]

    def meta(self, version: str) -> dict[str, Any]:
        """What each request has to say in a modern version."""
        return {
            f"{_META}protocolVersion": version,
            f"{_META}clientInfo": {"name": self.name, "version": self.version},
            f"{_META}clientCapabilities": self.capabilities,
        }

    def initialize(self, version: str) -> dict[str, Any]:
        """The parameters of "initialize"."""
        client = {"name": self.name, "version": self.version}
        return {"protocolVersion": version, "capabilities": self.capabilities, "clientInfo": client}


class Handshake:
    """Finds out what a server speaks, and tells the channel. exchange: sends a request and returns its result.
    was_silent: it has not answered "server/discover", or not in time."""

    def __init__(self, channel: Channel, introduction: Introduction, exchange: Exchange) -> None:
        self._channel, self._introduction, self._exchange = channel, introduction, exchange
        self.was_silent = False

    def discover(self, patience: Patience) -> Server | None:
        """Ask for the versions of a modern server; None for a server that is none. Raises Gone where it ends at that,
        MCPError for one that has no version in common with us, Slow."""
        return self._discover(patience, DISCOVER_SECONDS)

    def initialize(self, patience: Patience) -> Server:
        """Shake hands with an older server. Raises Gone, Slow and MCPError."""
        return self._initialize(patience, HANDSHAKE[0])

    def _discover(
        self, patience: Patience, seconds: float, version: str = MODERN[0], has_refused: bool = False
    ) -> Server | None:
        """What a modern server says; None for a server that is none. has_refused: whether it has refused a version, and
        named this one."""
        self._channel.version = version
        brief = Patience(min(seconds, patience.left / 2), cancel=patience.cancel)
        try:
            result = self._exchange("server/discover", {"_meta": self._introduction.meta(version)}, brief)
        except Slow:
            if patience.left <= 0:
                raise
            self.was_silent = True
            return None
        except MCPError as error:
            supported = supported_versions(error)
            modern = _first(MODERN, supported)
            if modern is not None and not has_refused:
                return self._discover(patience, seconds, modern, has_refused=True)
            if error.code == UNSUPPORTED_VERSION and supported and _first(HANDSHAKE, supported) is None:
                raise
            return None
        modern = _first(MODERN, result.get("supportedVersions"))
        if modern is None:
            return None
        self._channel.version = modern
        info = _object(_object(result.get("_meta")).get(f"{_META}serverInfo"))
        return _server(modern, result, info)

    def _initialize(self, patience: Patience, version: str) -> Server:
        self._channel.version = ""
        try:
            result = self._exchange("initialize", self._introduction.initialize(version), patience)
        except MCPError as error:
            return self._other_version(error, patience, version)
        answered = result.get("protocolVersion")
        if answered not in HANDSHAKE:
            raise MCPError(f"the server speaks the protocol version {_told(answered)}", UNSUPPORTED_VERSION)
        self._channel.version = str(answered)
        self._channel.send({"jsonrpc": "2.0", "method": "notifications/initialized"}, patience)
        return _server(str(answered), result, _object(result.get("serverInfo")))

    def _other_version(self, error: MCPError, patience: Patience, version: str) -> Server:
        """A server that refuses a handshake may name what it speaks; a modern one was too slow before."""
        supported = supported_versions(error)
        older = _first(HANDSHAKE[HANDSHAKE.index(version) + 1 :], supported)
        if older is not None:
            return self._initialize(patience, older)
        if _first(MODERN, supported) is not None or error.code == METHOD_NOT_FOUND:
            server = self._discover(patience, patience.left)
            if server is not None:
                return server
        raise error


def result_of(answer: Message) -> dict[str, Any]:
    """The result in an answer. Raises MCPError for an error, and for a result that is no object."""
    error = answer.get("error")
    if error is None:
        result = answer.get("result")
        if isinstance(result, dict):
            return result
        raise MCPError("the server's answer has no result", INVALID_ANSWER)
    if not isinstance(error, dict):
        raise MCPError(_told(error), INVALID_ANSWER)
    code, message = error.get("code"), error.get("message")
    if not isinstance(code, int) or isinstance(code, bool):
        code = INVALID_ANSWER
    raise MCPError(_told(message or "(no message)"), code, error.get("data"))


def supported_versions(error: MCPError) -> list[Any]:
    """The versions that a server names in an error."""
    supported = _object(error.data).get("supported")
    return supported if isinstance(supported, list) else []


def _first(known: Sequence[str], named: object) -> str | None:
    return next((each for each in known if each in named), None) if isinstance(named, list) else None


def _server(version: str, result: Mapping[str, Any], info: Mapping[str, Any]) -> Server:
    instructions, name = result.get("instructions"), info.get("name")
    return Server(
        version,
        _object(result.get("capabilities")),
        instructions if isinstance(instructions, str) else "",
        name if isinstance(name, str) else "",
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _told(value: object) -> str:
    return cut(value if isinstance(value, str) else shown(value, MAX_MESSAGE), MAX_MESSAGE)
