"""VLM Run's address in front of another server: loopback HTTP that wants VLM Run's key and path."""

import http.client
import select
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.support.model_server import QuietServer, running

KEY = "vlm-key-0123456789"


@dataclass
class Gate:
    """`url` is what `base_url` is, `seen` the paths of the chat completions that were requested."""

    url: str = ""
    seen: list[str] = field(default_factory=list)


@contextmanager
def vlmrun_before(root: str) -> Iterator[Gate]:
    """Forwards {url}/openai/... to {root}/v1/..., byte by byte, for clients with the key."""
    gate = Gate()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            gate.seen.append(self.path)
            self._forward(body)

        def do_GET(self) -> None:
            self._forward(None)

        def _forward(self, body: bytes | None) -> None:
            if self.headers["authorization"] != f"Bearer {KEY}" or not self.path.startswith("/v1/openai/"):
                self._answer(401, b'{"error": {"message": "no"}}')
                return
            server = http.client.HTTPConnection(root.removeprefix("http://"))
            with closing(server):
                path = self.path.replace("/v1/openai/", "/v1/")
                server.request(self.command, path, body, {"content-type": "application/json"})
                readable, _, _ = select.select([self.connection, server.sock], [], [])
                if self.connection in readable:  # the client left before the answer, so that nobody wants it
                    self.close_connection = True
                    return
                try:
                    self._copy(server.getresponse())
                except OSError:  # the client left
                    self.close_connection = True

        def _copy(self, answer: http.client.HTTPResponse) -> None:
            self.send_response(answer.status)
            self.send_header("content-type", answer.headers["content-type"] or "application/json")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            while piece := answer.read1(1 << 16):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Do not log."""

    server = QuietServer(("127.0.0.1", 0), Handler)
    gate.url = f"http://127.0.0.1:{server.server_port}/v1"
    with running(server):
        yield gate
