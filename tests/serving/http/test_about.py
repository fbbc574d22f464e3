"""What the service says of itself to its page, and that it says no addresses to those who are told none."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agentkit.serving import documents
from agentkit.serving.addresses import without_addresses
from agentkit.serving.http.keys import Keys
from agentkit.serving.http.page import files
from agentkit.serving.http.page.about import model_name
from agentkit.serving.http.settings import HttpSettings
from agentkit_tools import kinds
from tests.support.http_service import LOOK_UP, Service, serve_http, settings_for
from tests.support.model_server import Answer, serve
from tests.support.ports import refusing_port

PROMPTS = '[tutor.v1]\ntext = "Be patient."\n[tutor.v2]\ntext = "Ask first."\n'


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a key, whose model server is not there."""
    folder = tmp_path_factory.mktemp("service")
    key = Keys(folder / "keys.json").add("ann")
    (folder / "prompts.toml").write_text(PROMPTS)
    settings = settings_for(
        folder,
        f"http://127.0.0.1:{refusing_port()}",
        agentkit_tools=(LOOK_UP,),
        agentkit_prompts=folder / "prompts.toml",
        agentkit_page_title="Ask the library",
        agentkit_examples="What is new?\n\n  Wie hoch ist der Turm? \n",
        agentkit_max_attachment=2000,
    )
    with serve_http(settings, key) as service:
        yield service


def test_the_page_is_told_what_the_service_has(keyed: Service) -> None:
    found = keyed.ask("GET", "/api/llm/about")
    assert found.status_code == 200, found.text
    about = found.json()
    assert about["tools"] == [{"name": "look_up", "description": "Look something up.", "read_only": False}]
    assert [(each["name"], each["version"]) for each in about["prompts"]] == [("tutor", "v1"), ("tutor", "v2")]
    assert {".pdf", ".docx", ".csv", ".md", ".html", ".txt"} <= set(about["attachments"])
    assert not {".png", ".zip", ".heic", ".doc"} & set(about["attachments"])
    assert {name: about[name] for name in ("title", "model", "examples", "sampling", "images")} == {
        "title": "Ask the library",
        "model": "",
        "examples": ["What is new?", "Wie hoch ist der Turm?"],
        "sampling": True,
        "images": True,
    }
    assert (about["max_attachment_bytes"], about["max_attachments"]) == (2000, 16)
    assert about["max_message_bytes"] == 10_000_000
    assert "127.0.0.1" not in found.text


def test_only_callers_of_the_service_are_told(keyed: Service) -> None:
    assert keyed.ask("GET", "/api/llm/about", key="wrong").status_code == 401


def test_a_service_without_a_language_model_takes_no_documents_and_no_sampling(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, "http://127.0.0.1:1", agentkit_model="extractive", agentkit_page_sampling=False)
    with serve_http(settings) as service:
        about = service.ask("GET", "/api/llm/about").json()
    assert (about["model"], about["attachments"], about["sampling"], about["images"]) == (
        "extractive",
        [],
        False,
        False,
    )


@pytest.mark.parametrize(
    ("configured", "known", "name"),
    [
        ("openai:gpt-5-mini", "gpt-5-mini", "gpt-5-mini"),
        ("vllm:Qwen/Qwen3-8B@http://user:secret@10.0.0.5:8000/v1", "Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("llamacpp:@http://10.0.0.5:8080", "default", ""),
        ("lightllm:@http://10.0.0.5:8080", "", ""),
        ("gguf:/srv/models/qwen3.gguf", "/srv/models/qwen3.gguf", "qwen3.gguf"),
        ("extractive", "", "extractive"),
        (None, "default", ""),
    ],
)
def test_a_model_is_named_without_its_address(configured: str | None, known: str, name: str) -> None:
    from agentkit.backend import Capabilities

    assert model_name(Capabilities(known), configured) == name


def test_the_kinds_that_are_told_are_those_that_have_a_reader() -> None:
    from agentkit_tools.file_text import READERS

    assert set(READERS) == kinds.TEXT | kinds.CODE | kinds.DOCUMENTS
    assert set(documents.readable_kinds()) <= set(READERS)


def test_examples_are_lines_and_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_EXAMPLES", "One, two?\nThree?")
    assert HttpSettings(_env_file=None).agentkit_examples == ("One, two?", "Three?")
    monkeypatch.setenv("AGENTKIT_EXAMPLES", "\n".join("abcdefghijklm"))
    with pytest.raises(ValidationError, match="agentkit_examples"):
        HttpSettings(_env_file=None)


def test_a_document_is_never_larger_than_a_body() -> None:
    def limits(**given: Any) -> tuple[int, int]:
        settings = HttpSettings(_env_file=None, **given)
        return settings.max_attachment, settings.attachment_characters

    assert limits() == (10_000_000, 20_000)
    assert limits(agentkit_max_body=5000, agentkit_max_attachment=9000) == (5000, 20_000)
    assert limits(llm_max_history_tokens=1_000_000) == (10_000_000, 400_000)
    assert limits(agentkit_attachment_characters=100) == (10_000_000, 100)


# Addresses


def test_health_without_a_valid_key_says_only_how_it_is(keyed: Service) -> None:
    for key in (None, "wrong"):
        found = Service(keyed.url, keyed.app).ask("GET", "/api/llm/health", key=key)
        assert found.status_code == 503
        assert found.json() == {"status": "unavailable", "detail": "ConnectionError: the model server can't be reached"}
    with_key = keyed.ask("GET", "/api/llm/health").json()
    assert with_key["server_url"].startswith("http://127.0.0.1:")
    assert with_key["max_tokens"] == 512
    assert with_key["detail"] == "ConnectionError: the model server can't be reached"


@pytest.mark.parametrize("path", ["/api/llm/chat", "/api/llm/chat/stream", "/v1/chat/completions", "/readyz"])
def test_no_error_says_where_the_model_server_is(keyed: Service, path: str, caplog: pytest.LogCaptureFixture) -> None:
    body = {"model": "agentkit", "messages": [{"role": "user", "content": "Hello"}]}
    found = keyed.ask("GET" if path == "/readyz" else "POST", path, None if path == "/readyz" else body)
    assert found.status_code == 503, found.text
    assert "127.0.0.1" not in found.text
    assert path == "/readyz" or "127.0.0.1" in caplog.text


def test_an_error_in_a_stream_has_no_address_of_a_network(tmp_path: Path) -> None:
    said = "no worker at http://10.1.2.3:8001/gpu nor llm-7.cluster.local:9000; see https://docs.example.com/errors"
    with serve([Answer(json.dumps({"error": {"message": said}}).encode(), 400)] * 9) as server:
        with serve_http(settings_for(tmp_path, server.url)) as service:
            for path in ("/api/llm/chat", "/api/llm/chat/stream", "/v1/chat/completions"):
                body = {"model": "agentkit", "messages": [{"role": "user", "content": "Hello"}]}
                text = service.ask("POST", path, body).text
                assert "https://docs.example.com/errors" in text, text
                assert not [each for each in ("10.1.2.3", "gpu", "cluster", "9000", server.url) if each in text]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("can't reach http://10.0.0.5:8080/v1/chat (timeout)", "can't reach (its address) (timeout)"),
        ("(host='192.168.1.9', port=80): refused", "(host='(its address)', port=80): refused"),
        ("http://gpu-box:8000 and http://[::1]:80/x", "(its address) and (its address)"),
        ("[fd00::12]:8080 refused; localhost:80 too", "(its address) refused; (its address) too"),
        ("redis://:secret@cache.internal:6379/0 is down", "(its address) is down"),
        ("db.corp:5432", "(its address)"),
        ("see https://platform.openai.com/account, 8.8.8.8", "see https://platform.openai.com/account, 8.8.8.8"),
        ("version 1.2.3.4.5, tokens: 10:4096, a.local_name", "version 1.2.3.4.5, tokens: 10:4096, a.local_name"),
        ("the model is at http://model:80/v1: no model", "the model is at (its address) no model"),
    ],
)  # fmt: skip
def test_addresses_inside_of_a_network_are_not_told(text: str, left: str) -> None:
    assert without_addresses(text) == left


def test_the_address_of_the_server_is_not_told_wherever_it_is() -> None:
    def told(text: str, url: str) -> str:
        return without_addresses(text, url)

    url = "https://llm.example.com:8443/v1/chat/completions"
    assert told("https://llm.example.com:8443/v1 answered 500: llm.example.com is busy", url) == (
        "(its address) answered 500: (its address) is busy"
    )
    assert told("the model fails: (host='model', port=80)", "http://model:80/v1") == (
        "the model fails: (host='(its address)', port=80)"
    )


# The files of the page


def test_missing_files_of_the_page_are_told_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """zauberzeug/nicegui#619, fastapi/fastapi#11707: a frozen program without its data files."""
    monkeypatch.setattr(files, "NAMED", ("not-there.html",))
    with serve_http(settings_for(tmp_path, "http://127.0.0.1:1", agentkit_model="extractive")) as service:
        assert "the files of the chat page are missing in this installation" in caplog.text
        assert service.ask("GET", "/").status_code == 404
        assert service.ask("GET", "/livez").status_code == 200
