"""What can go wrong with a call to an MCP server: three errors that a model and a program can tell apart.

ToolError            the model reads the message
├── Gone             the server has ended, or can't be reached; a fresh one is started at the next call
├── Slow             the server is alive and did not answer in time; the request was cancelled
└── MCPError         what the server said: a JSON-RPC error
    └── Unreadable   what the server said in place of an answer
"""

from typing import Any

from agentkit.errors import ToolError

METHOD_NOT_FOUND = -32601
"""The code of JSON-RPC for a request that the other side does not know."""
PAGE_REQUIRED = -32042
"""The code of an error whose data names pages that a person has to visit (2025-11-25)."""


class Gone(ToolError):
    """The connection to the server has ended. status: its exit status (negative: killed by that signal), None for a
    server that is not a process of ours or still runs. stderr: the last lines that it has written there. sent: False
    when it is certain that the server has not run the request: it may be sent again, whatever its effects."""

    def __init__(self, message: str, status: int | None = None, stderr: str = "", sent: bool = True) -> None:
        super().__init__(message)
        self.status = status
        self.stderr = stderr
        self.sent = sent


class Slow(ToolError):
    """The server is alive and did not answer in time; the request was cancelled. sent: False when it is certain that
    the server has not run the request."""

    def __init__(self, message: str, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class MCPError(ToolError):
    """The server answered with an error. code: of JSON-RPC, such as -32602. data: what it has added, any JSON value."""

    def __init__(self, message: str, code: int, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data


class Unreadable(MCPError):
    """The server accepted a request and sent no answer to it: it is not known whether the request has run."""
