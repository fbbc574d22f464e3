"""Tools for the tests in which a model quotes the text of a page: one reads pages, one has an effect."""

import os
from pathlib import Path

from agentkit import tool
from agentkit_tools import page_visitor

visit = page_visitor(allow=["127.0.0.1"])


@tool
def send(to: str = "nobody") -> str:
    """Send the report to somebody.

    Args:
        to: Who gets it.
    """
    with Path(os.environ["QUOTING_SENT"]).open("a") as sent:
        sent.write(f"{to}\n")
    return f"sent to {to}"
