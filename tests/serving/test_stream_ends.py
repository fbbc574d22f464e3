"""A streamed answer of the chat service is ended by its event, without a thread that looks at it again and again."""

import socket
import threading
from functools import partial

from agentkit import providers
from agentkit.event import Event, TextDelta
from agentkit.net.abort import AbortingEvent
from agentkit.net.watcher import WATCHER
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import UserInput
from agentkit.sessions import open_sessions

TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "One"}}]}\n\n'
END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def head(length: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % length


def test_a_stream_that_waits_is_watched_by_no_thread_and_ends_with_its_event() -> None:
    tokens, cancel = threading.Semaphore(0), AbortingEvent()
    stopped: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, TextDelta):
            tokens.release()

    with socket.create_server(("127.0.0.1", 0)) as listening, open_sessions("memory:") as sessions:
        backend = providers.resolve(f"openai:m@http://127.0.0.1:{listening.getsockname()[1]}/v1")
        service = ChatService(backend, sessions)

        def work() -> None:
            for _ in range(2):  # the first request loads what sends them
                ask = partial(service.answer, UserInput("Go."), note, cancel)
                stopped.append(cancel.within(ask).stopped)

        thread = threading.Thread(target=work)
        thread.start()
        with listening.accept()[0] as connection:
            connection.settimeout(10)
            for events in (TOKEN + END, TOKEN):
                while b"Go." not in connection.recv(1 << 16):
                    pass
                connection.sendall(head(len(TOKEN + END)) + events)
                assert tokens.acquire(timeout=10)
            assert not WATCHER._watched
            cancel.set()
            assert connection.recv(1) == b""  # it was closed
        thread.join(10)
        backend.close()
    assert stopped == ["answer", "cancelled"]
