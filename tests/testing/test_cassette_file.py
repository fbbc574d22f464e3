"""The file of a recording, with any content, and bodies that are written in another way each time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import requests

from agentkit.errors import ConfigurationError
from agentkit.testing import CassetteError, recorded
from tests.support.model_server import QuietServer, running


class Answering(BaseHTTPRequestHandler):
    """Answers each request with a number and the size of its body."""

    protocol_version = "HTTP/1.1"
    count = 0

    def do_POST(self) -> None:
        type(self).count += 1
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        body = f"réponse {self.count}: {size}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = QuietServer(("127.0.0.1", 0), Answering)
    with running(server):
        yield f"http://127.0.0.1:{server.server_port}/"


def sent(address: str, content: bytes) -> str:
    return requests.post(address, files={"file": ("a.pdf", content)}, timeout=10).content.decode()


def test_a_form_with_files_is_replayed_though_its_boundary_is_another_one(address: str, tmp_path: Path) -> None:
    # kevin1024/vcrpy#656, #882
    file = tmp_path / "a.yaml"
    with recorded(file, mode="once"):
        first = sent(address, bytes(range(256)))
    with recorded(file, mode="none"):
        assert sent(address, bytes(range(256))) == first
    with recorded(file, mode="none"), pytest.raises(CassetteError, match="body was"):
        sent(address, bytes(range(255)))


@pytest.mark.parametrize(
    "content", [b"\xff\xfe broken", b"interactions: [", b"interactions:\n- request: {}\n", b"[]", b"text"]
)
@pytest.mark.parametrize("mode", ["none", "once", "new"])
def test_a_damaged_recording_is_an_error_and_is_kept(address: str, tmp_path: Path, content: bytes, mode: str) -> None:
    # kevin1024/vcrpy#501, #1022: it counted as empty, and was written anew
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    with (
        pytest.raises(ConfigurationError, match=r"a\.yaml is damaged, and was left as it is"),
        recorded(file, mode=mode),
    ):
        sent(address, b"x")
    assert file.read_bytes() == content


def test_a_damaged_recording_is_recorded_again_if_it_is_asked_for(address: str, tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"\xff")
    with recorded(file, mode="all"):
        first = sent(address, b"x")
    with recorded(file, mode="none"):
        assert sent(address, b"x") == first
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"]


def test_a_recording_is_utf8_whatever_the_locale_is(address: str, tmp_path: Path) -> None:
    program = (
        "import sys, requests\nfrom agentkit.testing import recorded\n"
        "with recorded(sys.argv[2], mode=sys.argv[3]):\n"
        "    print(ascii(requests.post(sys.argv[1], data=b'x', timeout=10).content.decode()))\n"
    )
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    said = [
        subprocess.run(
            [sys.executable, "-c", program, address, str(tmp_path / "a.yaml"), mode],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for mode, environment in (("once", dict(os.environ)), ("none", ascii_only))
    ]
    assert said[0] == said[1]
    assert "r\\xe9ponse" in said[0]
