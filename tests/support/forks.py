"""Runs work in forked children of the process of a test."""

import json
import os
import select
import time
import traceback
from collections.abc import Callable
from typing import Any

SECONDS = 20.0


class Child:
    """A forked child that runs `work`, which returns what JSON has a form for."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                try:
                    answer = {"result": work()}
                except BaseException:  # noqa: BLE001 - told to the parent
                    answer = {"error": traceback.format_exc()}
                os.write(writer, json.dumps(answer).encode())
            finally:
                os._exit(0)
        os.close(writer)

    def result(self) -> Any:
        """Wait for the result. Raises AssertionError when the child raised, hung or was killed."""
        data, end = b"", time.monotonic() + SECONDS
        while select.select([self._reader], [], [], max(0.0, end - time.monotonic()))[0]:
            piece = os.read(self._reader, 65536)
            if not piece:
                break
            data += piece
        else:
            os.kill(self.pid, 9)
        os.close(self._reader)
        os.waitpid(self.pid, 0)
        assert data, "the child hung, or was killed"
        answer = json.loads(data)
        assert "error" not in answer, answer.get("error")
        return answer["result"]


def in_child(work: Callable[[], Any]) -> Any:
    """Run `work` in a child and return its result."""
    return Child(work).result()
