"""A model server in a process of its own, so that forks of a test share nothing with it; it answers what it is asked.

    python tests/support/echo_server.py [CERTIFICATE KEY]

A question that contains "q1-2" is answered "echo q1-2", at a distance of 5 ms a word; "q1-2 long" is answered with 40
words. A question with "use NAME" is answered with a call of the tool NAME, and its result with "echo RESULT". Chat
completions and LightLLM's /generate. Prints its port, and ends with its standard input.
"""

import json
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ID = re.compile(r"q\d+-\d+(?: long)?")
PAUSE = 0.005


def answer_to(text: str) -> str:
    """The answer to the last question of a text."""
    question = (ID.findall(text) or ["nothing"])[-1]
    return f"echo {question}" + " word" * (38 if "long" in question else 0)


class Handler(BaseHTTPRequestHandler):
    """Answers requests of persistent connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Do not log."""

    def do_GET(self) -> None:
        """Nothing is known of the server."""
        self._send("application/json", iter([b"{}"]), 404)

    def do_POST(self) -> None:
        """Answer a question."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/generate":
            text = answer_to(body["inputs"])
            time.sleep(PAUSE)
            made = {"generated_text": [text], "count_output_tokens": 2, "finish_reason": "stop", "prompt_tokens": 9}
            self._send("application/json", iter([json.dumps(made).encode()]))
        elif self.path == "/generate_stream":
            self._send("text/event-stream", frames(answer_to(body["inputs"]), of_lightllm))
        else:
            self._complete(body)

    def _complete(self, body: dict[str, Any]) -> None:
        last = body["messages"][-1]
        text, called = json.dumps(last), None
        if last["role"] == "user":
            called = re.search(r"use (\w+)", text)
            said = answer_to(text)
        else:
            said = "echo " + re.sub(r"</?tool_response>", "", last["content"]).strip()
        message: dict[str, Any] = {"role": "assistant", "content": said}
        if called:
            call = {"id": "c1", "type": "function", "function": {"name": called[1], "arguments": "{}"}, "index": 0}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        reason = "tool_calls" if called else "stop"
        if body.get("stream") and called:
            self._send("text/event-stream", (event for event in [of_chat_delta(message, reason), b"data: [DONE]\n\n"]))
        elif body.get("stream"):
            self._send("text/event-stream", frames(said, of_chat))
        else:
            time.sleep(PAUSE)
            made = {"id": "x", "object": "chat.completion", "choices": [{"message": message, "finish_reason": reason}]}
            self._send("application/json", iter([json.dumps(made).encode()]))

    def _send(self, kind: str, pieces: Iterator[bytes], status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


def of_chat_delta(delta: dict[str, Any], reason: str | None) -> bytes:
    """A chunk of a chat completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"


def of_chat(word: str, is_last: bool, count: int) -> bytes:
    """A word as a chunk of a chat completion."""
    return of_chat_delta({"content": word}, "stop" if is_last else None)


def of_lightllm(word: str, is_last: bool, count: int) -> bytes:
    """A word as a frame of LightLLM's stream."""
    token = {"id": 1, "text": word, "count_output_tokens": count, "prompt_tokens": 9}
    frame = {"token": token, "finished": is_last, "finish_reason": "stop" if is_last else None}
    return b"data:" + json.dumps(frame).encode() + b"\n\n"


def frames(text: str, form: Any) -> Iterator[bytes]:
    """The frames of a stream, a word each."""
    words = re.findall(r"\S+\s*", text)
    for count, word in enumerate(words, 1):
        time.sleep(PAUSE)
        yield form(word, count == len(words), count)
    if form is of_chat:
        yield b"data: [DONE]\n\n"


@contextmanager
def serve_echo(certificate: Path | None = None, key: Path | None = None) -> Iterator[str]:
    """Run the server; yields its root URL."""
    command = [sys.executable, __file__, *([str(certificate), str(key)] if certificate else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
        process.kill()


class Server(ThreadingHTTPServer):
    """Does not log clients that disconnect."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Do not log."""


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    if len(sys.argv) > 1:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*sys.argv[1:])
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
