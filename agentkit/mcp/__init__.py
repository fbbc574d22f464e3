"""The Model Context Protocol: the tools of its servers for an agent, and an agent's tools as a server."""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

if TYPE_CHECKING:
    from agentkit.mcp.config import load_config as load_config
    from agentkit.mcp.errors import Gone as Gone
    from agentkit.mcp.errors import MCPError as MCPError
    from agentkit.mcp.errors import Slow as Slow
    from agentkit.mcp.questions import Question as Question
    from agentkit.mcp.server import serve as serve
    from agentkit.mcp.tools import MCP as MCP
else:
    __getattr__, __dir__ = lazy_exports(__name__)
