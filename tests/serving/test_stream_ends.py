"""A streamed answer of the chat service is ended by its event, without a thread that looks at it again and again."""

import socket
import threading
from functools import partial

from agentkit import providers
from agentkit.event import Event, TextDelta
from agentkit.net.abort import AbortingEvent
from agentkit.net.watcher import WATCHER
from agentkit.serving.chat_service import ChatService
from agentkit.serving.exchange import Answer, UserInput
from agentkit.sessions import open_sessions

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "One"}}]}\n\n'


def note(event: Event, has_token: threading.Event) -> None:
    if isinstance(event, TextDelta):
        has_token.set()


def test_a_stream_that_waits_is_watched_by_no_thread_and_ends_with_its_event() -> None:
    has_token, cancel = threading.Event(), AbortingEvent()
    answers: list[Answer] = []
    with socket.create_server(("127.0.0.1", 0)) as listening, open_sessions("memory:") as sessions:
        backend = providers.resolve(f"openai:m@http://127.0.0.1:{listening.getsockname()[1]}/v1")
        service = ChatService(backend, sessions)
        asked = partial(service.answer, UserInput("Go."), lambda event: note(event, has_token))
        thread = threading.Thread(target=lambda: answers.append(cancel.within(partial(asked, cancel=cancel))))
        thread.start()
        with listening.accept()[0] as connection:
            connection.settimeout(10)
            while b"Go." not in connection.recv(1 << 16):
                pass
            connection.sendall(HEAD + TOKEN)
            assert has_token.wait(10)
            assert not WATCHER._watched
            cancel.set()
            assert connection.recv(1) == b""  # it was closed
        thread.join(10)
        backend.close()
    assert [answer.stopped for answer in answers] == ["cancelled"]
