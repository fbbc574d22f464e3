"""Makes the messages between the processes of a run of the tests fewer and cheaper: with nearly 20,000 tests, they took
a fifteenth of its CPU."""

import socket
from typing import Any

import pytest

SILENT = ("logstart", "logfinish")
"""Messages that pytest's terminal reads with `-v` alone."""


def read_lines(config: pytest.Config) -> None:
    """Let pytest-rerunfailures, which asks its server twice for each test, read a line at once, where it reads a byte.
    And let it send without delay: a question would wait 40 ms for the acknowledgement of a message that has no answer
    (Nagle's algorithm)."""
    database = getattr(config, "failures_db", None)
    if (own := getattr(database, "sock", None)) is None:
        return
    kept: dict[socket.socket, bytes] = {}

    def read(connection: socket.socket, max_length: int | None = None) -> bytes:
        text = kept.pop(connection, b"")
        while b"\n" not in text and (max_length is None or len(text) <= max_length):
            received = connection.recv(4096)
            if not received:
                raise ConnectionError("the connection was closed")
            text += received
        line, _, kept[connection] = text.partition(b"\n")
        return line

    database._sock_recv_bytes = read  # type: ignore[union-attr]
    if hasattr(config, "workerinput"):
        own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def send_less(config: pytest.Config) -> None:
    """Let a process of pytest-xdist send of each test what is shown: not that it begins and ends, nor that it was set
    up and taken down without a word. All is sent where durations, a report or more words are asked for."""
    if (
        config.option.verbose > 0
        or config.getoption("durations", None) is not None
        or config.getoption("xmlpath", None)
    ):
        return
    for plugin in config.pluginmanager.get_plugins():
        if type(plugin).__name__ == "WorkerInteractor":
            plugin.sendevent = _Sending(plugin.sendevent)


class _Sending:
    def __init__(self, send: Any) -> None:
        self._send = send

    def __call__(self, name: str, **content: Any) -> None:
        if name in SILENT:
            return
        if name == "testreport":
            report = content["data"]
            if report["outcome"] == "passed" and report["when"] != "call" and not report["sections"]:
                return
        self._send(name, **content)
