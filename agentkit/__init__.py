"""agentkit: a synchronous agent loop. Tool schemas out, tool calls in, an answer at the end.

Importing it loads nothing but this file; each name below loads its room on first use (PEP 562).
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openai import APIConnectionError as APIConnectionError
    from openai import APIError as APIError
    from openai import APIStatusError as APIStatusError
    from openai import APITimeoutError as APITimeoutError
    from openai import AuthenticationError as AuthenticationError
    from openai import BadRequestError as BadRequestError
    from openai import RateLimitError as RateLimitError

    from agentkit.agent import Agent as Agent
    from agentkit.agent import Run as Run
    from agentkit.backends.vlmrun import VLMRun as VLMRun
    from agentkit.budget import Limits as Limits
    from agentkit.budget import Usage as Usage
    from agentkit.errors import AgentkitError as AgentkitError
    from agentkit.errors import BlockedAddressError as BlockedAddressError
    from agentkit.errors import ConfigurationError as ConfigurationError
    from agentkit.errors import DependencyError as DependencyError
    from agentkit.errors import FetchError as FetchError
    from agentkit.errors import LimitError as LimitError
    from agentkit.errors import MissingExtraError as MissingExtraError
    from agentkit.errors import OutputError as OutputError
    from agentkit.errors import SessionBusyError as SessionBusyError
    from agentkit.errors import SessionError as SessionError
    from agentkit.errors import ToolDefinitionError as ToolDefinitionError
    from agentkit.errors import ToolError as ToolError
    from agentkit.errors import TranscriptError as TranscriptError
    from agentkit.event import ApprovalNeeded as ApprovalNeeded
    from agentkit.event import Event as Event
    from agentkit.event import LimitReached as LimitReached
    from agentkit.event import LoopNoticed as LoopNoticed
    from agentkit.event import OpenCall as OpenCall
    from agentkit.event import OutputDelta as OutputDelta
    from agentkit.event import ReasoningDelta as ReasoningDelta
    from agentkit.event import Reply as Reply
    from agentkit.event import ReplyDiscarded as ReplyDiscarded
    from agentkit.event import ReplyFinished as ReplyFinished
    from agentkit.event import ReplyStarted as ReplyStarted
    from agentkit.event import Result as Result
    from agentkit.event import RunFinished as RunFinished
    from agentkit.event import TextDelta as TextDelta
    from agentkit.event import ToolFinished as ToolFinished
    from agentkit.event import ToolProgress as ToolProgress
    from agentkit.event import ToolRecord as ToolRecord
    from agentkit.event import ToolStarted as ToolStarted
    from agentkit.fetch import Page as Page
    from agentkit.fetch import fetch as fetch
    from agentkit.lightllm import LightLLMClient as LightLLMClient
    from agentkit.lightllm import OpenAICompatibleClient as OpenAICompatibleClient
    from agentkit.message import Image as Image
    from agentkit.message import Message as Message
    from agentkit.passages import PassageIndex as PassageIndex
    from agentkit.prices import Prices as Prices
    from agentkit.session import MemorySessions as MemorySessions
    from agentkit.session import Session as Session
    from agentkit.sessions.redis import RedisSessions as RedisSessions
    from agentkit.sessions.sqlite import SQLiteSessions as SQLiteSessions
    from agentkit.tool import Context as Context
    from agentkit.tool import Tool as Tool
    from agentkit.tool import tool as tool
    from agentkit.window import Window as Window

_ROOMS = {
    "agent": ("Agent", "Run"),
    "backends.vlmrun": ("VLMRun",),
    "budget": ("Limits", "Usage"),
    "errors": (
        "AgentkitError",
        "BlockedAddressError",
        "ConfigurationError",
        "DependencyError",
        "FetchError",
        "LimitError",
        "MissingExtraError",
        "OutputError",
        "SessionBusyError",
        "SessionError",
        "ToolDefinitionError",
        "ToolError",
        "TranscriptError",
    ),
    "event": (
        "ApprovalNeeded",
        "Event",
        "LimitReached",
        "LoopNoticed",
        "OpenCall",
        "OutputDelta",
        "ReasoningDelta",
        "Reply",
        "ReplyDiscarded",
        "ReplyFinished",
        "ReplyStarted",
        "Result",
        "RunFinished",
        "TextDelta",
        "ToolFinished",
        "ToolProgress",
        "ToolRecord",
        "ToolStarted",
    ),
    "fetch": ("Page", "fetch"),
    "lightllm": ("LightLLMClient", "OpenAICompatibleClient"),
    "message": ("Image", "Message"),
    "passages": ("PassageIndex",),
    "prices": ("Prices",),
    "session": ("MemorySessions", "Session"),
    "sessions.redis": ("RedisSessions",),
    "sessions.sqlite": ("SQLiteSessions",),
    "tool": ("Context", "Tool", "tool"),
    "window": ("Window",),
}
_OPENAI_ERRORS = (
    "APIConnectionError",
    "APIError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "RateLimitError",
)
_HOME = {name: f"agentkit.{room}" for room, names in _ROOMS.items() for name in names} | dict.fromkeys(
    _OPENAI_ERRORS, "openai"
)

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'agentkit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


class _Face(ModuleType):
    """Keeps `agentkit.tool` and `agentkit.fetch` the functions: loading a submodule sets it as an attribute of its
    package, and two rooms bear the name of what they are for. `from agentkit.tool import ...` works all the same."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face


def __dir__() -> list[str]:
    return sorted(__all__)
