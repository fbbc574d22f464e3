"""Connections over plain HTTP without a proxy, of `http.client` alone: a program that asks a server on its own machine
then does without urllib3, which takes longer to import than the request takes."""

import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from agentkit.net.dialling import dialled
from agentkit.net.unpatched import HTTPConnection


class PlainConnection(HTTPConnection):
    """A connection with the attributes that those of urllib3 have. socket_options: arguments of `setsockopt`."""

    def __init__(self, host: str, port: int, socket_options: list[tuple[int, int, int]]) -> None:
        super().__init__(host, port)
        self._dns_host = host
        self._news: Any = None
        self.socket_options = socket_options

    def connect(self) -> None:
        """Connect. Raises what `dialled` raises."""
        self.sock = self._new_conn()
        self._news = _news_of(self.sock)

    def _new_conn(self) -> socket.socket:
        return dialled(self, self.timeout, lambda made: None)

    @property
    def is_connected(self) -> bool:
        """Whether the server has neither closed it nor sent anything that nobody has asked for."""
        return self.sock is not None and not self._news()


class PlainPool:
    """What makes the connections to one server, as the pools of urllib3 do."""

    proxy = None
    proxy_headers: dict[str, str] = {}  # noqa: RUF012 - as urllib3 has it; nothing changes it

    def __init__(self, host: str, port: int, socket_options: list[tuple[int, int, int]]) -> None:
        self._made_of: tuple[Any, ...] = (host, port, socket_options)

    def _new_conn(self) -> PlainConnection:
        return PlainConnection(*self._made_of)


def _news_of(sock: socket.socket) -> Callable[[], object]:
    """What says whether something can be read from a socket, be it the end."""
    if not hasattr(select, "poll"):  # Windows, whose `select` takes any socket
        return lambda: select.select([sock], [], [], 0)[0]
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return partial(poll.poll, 0)
