"""A client of an MCP server that runs in the process of the tests."""

import os
import threading
from collections.abc import Callable, Iterator

import pytest

from agentkit.mcp.serving.answering import Server
from agentkit.mcp.serving.stdio import serve_stdio
from tests.support import mcp_tools
from tests.support.mcp_clients import PATIENCE, Lines

Connect = Callable[[Server], Lines]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects a client with a server, over pipes."""
    mcp_tools.NOTED.clear()
    mcp_tools.STARTED.clear()
    mcp_tools.CANCELLED.clear()
    clients: list[tuple[Lines, threading.Thread]] = []

    def begin(server: Server) -> Lines:
        (server_reads, client_writes), (client_reads, server_writes) = os.pipe(), os.pipe()

        def run() -> None:
            serve_stdio(server, server_reads, server_writes)
            os.close(server_writes)
            os.close(server_reads)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        made = Lines(os.fdopen(client_reads, "rb"), os.fdopen(client_writes, "wb"))
        clients.append((made, thread))
        return made

    yield begin
    for made, thread in clients:
        made.sink.close()
        thread.join(PATIENCE)
        made.wait()
        made.source.close()


@pytest.fixture
def client(connect: Connect) -> Lines:
    """A client of a server with the tools of `tests.support.mcp_tools`."""
    return connect(Server(mcp_tools.TOOLS))
