"""agentkit: a synchronous agent loop. Tool schemas out, tool calls in, an answer at the end.

Importing it loads nothing but this package; each name below loads its module on first use. Events are in
`agentkit.event`, all errors in `agentkit.errors`.
"""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

__version__ = "0.1.0"

if TYPE_CHECKING:
    from openai import APIError as APIError

    from agentkit.agent import Agent as Agent
    from agentkit.backends.vlmrun import VLMRun as VLMRun
    from agentkit.errors import AgentkitError as AgentkitError
    from agentkit.errors import ConfigurationError as ConfigurationError
    from agentkit.errors import FetchError as FetchError
    from agentkit.errors import LimitError as LimitError
    from agentkit.errors import OutputError as OutputError
    from agentkit.errors import Refused as Refused
    from agentkit.errors import SessionError as SessionError
    from agentkit.errors import ToolError as ToolError
    from agentkit.event import Result as Result
    from agentkit.hooks import Hook as Hook
    from agentkit.lightllm.client import LightLLMClient as LightLLMClient
    from agentkit.lightllm.client import OpenAICompatibleClient as OpenAICompatibleClient
    from agentkit.lightllm.openai_types import ChatCompletionMessage as ChatCompletionMessage
    from agentkit.limits import Limits as Limits
    from agentkit.limits import Usage as Usage
    from agentkit.message import Image as Image
    from agentkit.message import Message as Message
    from agentkit.middleware.context_window import Window as Window
    from agentkit.middleware.pace import Pace as Pace
    from agentkit.middleware.pricing import Prices as Prices
    from agentkit.middleware.reply_cache import ReplyCache as ReplyCache
    from agentkit.net.fetch import Page as Page
    from agentkit.net.fetch import fetch as fetch
    from agentkit.run import Run as Run
    from agentkit.session import Session as Session
    from agentkit.sessions.memory import MemorySessions as MemorySessions
    from agentkit.sessions.redis import RedisSessions as RedisSessions
    from agentkit.sessions.sqlite import SQLiteSessions as SQLiteSessions
    from agentkit.tooling.subprocess_pool import call_isolated as call_isolated
    from agentkit.tools import Context as Context
    from agentkit.tools import Tool as Tool
    from agentkit.tools import tool as tool
else:
    __getattr__, __dir__ = lazy_exports(__name__)
