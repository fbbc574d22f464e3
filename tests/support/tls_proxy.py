"""A server that speaks TLS and passes what it gets on to a plain one on loopback."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def serve_tls(folder: Path, target: int) -> Iterator[tuple[int, Path]]:
    """Yields the port, and the file of the authority that has signed the certificate for 127.0.0.1. target: the port
    of the plain server."""
    import trustme

    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    certificates = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(certificates))

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                client = context.wrap_socket(self.request, server_side=True)
                with client, socket.create_connection(("127.0.0.1", target)) as server:
                    threading.Thread(target=pass_on, args=(server, client), daemon=True).start()
                    pass_on(client, server)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield proxy.server_address[1], certificates
        proxy.shutdown()


def pass_on(source: Any, target: Any) -> None:
    """Pass what a socket gets on to another, until its end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)
