"""The tool pack: web search, reading pages, loading images, and searching and reading a folder of documents.

Uses only agentkit's public API, as custom tools do. Each name loads its dependencies on first use.
"""

from typing import TYPE_CHECKING

from agentkit._lazy import lazy_exports

# No module has the name of a tool: importing it would replace the tool with the module.
if TYPE_CHECKING:
    from agentkit_tools.folder import documents as documents
    from agentkit_tools.images import image_loader as image_loader
    from agentkit_tools.images import load_image as load_image
    from agentkit_tools.searching import search as search
    from agentkit_tools.searching import web_search as web_search
    from agentkit_tools.visiting import page_visitor as page_visitor
    from agentkit_tools.visiting import visit as visit
else:
    __getattr__, __dir__ = lazy_exports(__name__, extra="web")
