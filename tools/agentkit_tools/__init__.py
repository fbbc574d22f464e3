"""The tool pack: searching the web, reading pages, loading images, answering from a folder of documents.

Written on the face of agentkit alone, as anybody's tools are. Each name loads what it needs on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agentkit import MissingExtraError

if TYPE_CHECKING:
    from agentkit_tools.folder import documents as documents
    from agentkit_tools.images import image_loader as image_loader
    from agentkit_tools.images import load_image as load_image
    from agentkit_tools.searching import search as search
    from agentkit_tools.searching import web_search as web_search
    from agentkit_tools.visiting import page_visitor as page_visitor
    from agentkit_tools.visiting import visit as visit

# No module bears the name of what it holds: loading it would put the module in the place of the tool.
_HOME = {
    "documents": "folder",
    "image_loader": "images",
    "load_image": "images",
    "page_visitor": "visiting",
    "search": "searching",
    "visit": "visiting",
    "web_search": "searching",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'agentkit_tools' has no attribute {name!r}")
    try:
        value = getattr(import_module(f"agentkit_tools.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("agentkit", "agentkit_tools"):
            raise  # a fault of ours, which no pip command mends
        raise MissingExtraError(f"agentkit_tools.{name}", "web") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
