"""What surrounds the OpenAI-compatible API: its errors, pages of other origins, limits."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agentkit.serving.http.keys import Keys
from agentkit.serving.http.openai.chat_request import ChatMessage, CompletionRequest, ContentPart
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.http.validation import problems_of
from tests.support.http_service import LOOK_UP, Service, reply, serve_http, settings_for
from tests.support.model_server import ModelServer, serve
from tests.support.ports import refusing_port
from tests.support.site import Site

HELLO = [{"role": "user", "content": "Hello"}]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with serve(reply) as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, model: ModelServer) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    settings = settings_for(folder, model.url, agentkit_tools=(LOOK_UP,), agentkit_cors="https://App.example:443/")
    with serve_http(settings) as running:
        yield running


def error_of(service: Service, status: int, body: Any, path: str = CHAT, method: str = "POST") -> dict[str, Any]:
    response = service.ask(method, path, body)
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        pytest.param({}, "messages", "missing_required_parameter", id="no messages"),
        pytest.param({"messages": []}, "messages", "empty_array", id="empty messages"),
        pytest.param({"messages": "hi"}, "messages", "invalid_type", id="messages as text"),
        pytest.param({"messages": ["hi"]}, "messages[0]", "invalid_type", id="message as text"),
        pytest.param({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter", id="no role"),
        pytest.param({"messages": [{"role": "robot"}]}, "messages[0].role", "invalid_value", id="unknown role"),
        pytest.param(
            {"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type", id="number content"
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
            id="unknown part",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"text": "x"}]}]},
            "messages[0].content[0].type",
            "missing_required_parameter",
            id="part without type",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0]",
            "invalid_value",
            id="text part without text",
        ),
        pytest.param({"messages": HELLO, "temperature": "hot"}, "temperature", "invalid_type", id="warm"),
        pytest.param({"messages": HELLO, "temperature": -1}, "temperature", "invalid_value", id="cold"),
        pytest.param({"messages": HELLO, "stop": {"a": 1}}, "stop", "invalid_type", id="stop"),
        pytest.param({"messages": HELLO, "max_tokens": 1.5}, "max_tokens", "invalid_type", id="max_tokens"),
        pytest.param({"messages": HELLO, "stream_options": 3}, "stream_options", "invalid_type", id="stream_options"),
        pytest.param([], None, "invalid_type", id="list body"),
        pytest.param("x", None, "invalid_type", id="text body"),
    ],
)
def test_an_invalid_request_is_a_400_that_names_the_field(
    service: Service, body: Any, param: str | None, code: str
) -> None:
    error = error_of(service, 400, body)
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    for internal in ("ContentPart", "ImageUrl", "ChatMessage", "CompletionRequest", "function-", "list[", "pydantic"):
        assert internal not in json.dumps(error)
    assert param is None or error["message"].startswith(f"{param}: ")


def test_a_body_that_is_no_json_is_a_400(service: Service) -> None:
    for data in (b'{"messages": ', b"\xff", b"[" * 5000):
        response = service.ask("POST", CHAT, data=data, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/v1/images/generations", 404, "unknown_url"),
        ("GET", "/v1/", 404, "unknown_url"),
        ("GET", "/v1", 404, "unknown_url"),
        ("POST", "/v1/v1/chat/completions", 404, "unknown_url"),
        ("POST", "/v1/responses/compact", 404, "unknown_url"),
        ("POST", "/chat/completions", 404, "unknown_url"),
        ("GET", CHAT, 405, "method_not_supported"),
        ("GET", "/v1/models/gpt-5", 404, "model_not_found"),
    ],
)
def test_an_unknown_url_has_a_code_of_its_own(service: Service, method: str, path: str, status: int, code: str) -> None:
    error = error_of(service, status, None, path, method)
    assert (error["code"], error["type"]) == (code, "invalid_request_error")
    assert status != 405 or error["message"].endswith("use POST")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/files", 404),
        ("POST", "/v1/audio/transcriptions", 404),
        ("POST", "/v1/images/edits", 404),
        ("PUT", CHAT, 405),
        ("POST", CHAT, 415),
        ("POST", "/api/llm/chat", 415),
    ],
)
def test_a_file_sent_to_a_path_that_is_not_there_is_told_so(
    service: Service, method: str, path: str, status: int
) -> None:
    """The SDKs' `files.create` and `audio.transcriptions.create` were told to send JSON."""
    sent = requests.request(method, service.url + path, files={"file": ("a.wav", b"x")}, timeout=30)
    assert sent.status_code == status
    if path.startswith("/v1/") and status == 404:
        assert sent.json()["error"]["code"] == "unknown_url"


def test_the_list_of_models_may_have_a_slash_at_its_end(service: Service) -> None:
    assert service.ask("GET", "/v1/models/").json()["data"][0]["id"] == "agentkit"


def test_no_client_is_told_where_the_model_server_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = f"127.0.0.1:{refusing_port()}"
    with serve_http(settings_for(tmp_path, f"http://{address}/inside", llm_timeout=5)) as service:
        said = {"messages": [{"role": "user", "content": "hi"}]}
        for path, body in (
            ("/v1/chat/completions", said),
            ("/v1/responses", {"input": "hi"}),
            ("/v1/embeddings", {"input": "hi"}),
            ("/api/llm/chat", said),
        ):
            answer = service.ask("POST", path, body)
            assert answer.status_code == 503
            assert "is the server running?" in answer.text
            assert address not in answer.text
            assert "inside" not in answer.text
    assert f"{address}/inside" in caplog.text


def test_sdks_find_the_id_of_a_request(service: Service) -> None:
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        done = client.chat.completions.create(model="agentkit", messages=[{"role": "user", "content": "Hello"}])
        assert str(done._request_id).startswith("req_")
        with pytest.raises(openai.NotFoundError) as unknown:
            client.models.retrieve("gpt-5")
        assert unknown.value.request_id is not None
        assert (unknown.value.param, unknown.value.code) == ("model", "model_not_found")


SDK_HEADERS = (
    "accept,authorization,cache-control,content-type,idempotency-key,user-agent,x-stainless-arch,"
    "x-stainless-helper-method,x-stainless-lang,x-stainless-os,x-stainless-package-version,x-stainless-retry-count,"
    "x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout,openai-organization,openai-project,x-title,"
    "http-referer"
)


def test_the_preflights_of_sdks_pass_where_the_origin_is_allowed(service: Service) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": SDK_HEADERS}
    passed = service.ask("OPTIONS", CHAT, headers={**asked, "Origin": "https://app.example"})
    assert passed.status_code == 200
    allowed = {each.strip().lower() for each in passed.headers["access-control-allow-headers"].split(",")}
    assert set(SDK_HEADERS.split(",")) <= allowed
    assert service.ask("OPTIONS", CHAT, headers={**asked, "Origin": "https://evil.example"}).status_code == 400
    wrong = service.ask("POST", CHAT, {}, headers={"Origin": "https://app.example"})
    assert wrong.headers["access-control-allow-origin"] == "https://app.example"
    assert "X-Request-Id" in wrong.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("https://app.example/", "https://app.example"),
        ("HTTPS://APP.example:443", "https://app.example"),
        ("http://localhost:3000//", "http://localhost:3000"),
        ("http://localhost:80/app", "http://localhost"),
        ("app://obsidian.md", "app://obsidian.md"),
        ("null", "null"),
        ("*", "*"),
    ],
)
def test_origins_are_taken_as_people_write_them(tmp_path: Path, written: str, origin: str) -> None:
    assert settings_for(tmp_path, "http://localhost", agentkit_cors=written).agentkit_cors == (origin,)


def test_a_service_without_keys_has_no_rate_limit_unless_set(tmp_path: Path, model: ModelServer) -> None:
    unset = {"agentkit_rate": HttpSettings.model_fields["agentkit_rate"].default}
    with serve_http(settings_for(tmp_path, model.url, **unset)) as service:
        assert {service.ask("GET", "/v1/models").status_code for _ in range(65)} == {200}
        key = Keys(tmp_path / "keys.json").add("ann")
        assert [service.ask("GET", "/v1/models", key=key).status_code for _ in range(62)][-2:] == [429, 429]
    other = tmp_path / "other"
    other.mkdir()
    with serve_http(settings_for(other, model.url, agentkit_rate=2)) as service:
        assert [service.ask("GET", "/v1/models").status_code for _ in range(3)] == [200, 200, 429]


def image_message(*urls: str, part: str = "image_url") -> dict[str, Any]:
    parts = [{"type": part, "image_url": url if part == "input_image" else {"url": url}} for url in urls]
    return {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}


def test_images_by_address_are_fetched_here_and_sent_as_data(tmp_path: Path, model: ModelServer, site: Site) -> None:
    with serve_http(settings_for(tmp_path, model.url, agentkit_image_hosts=site.address)) as service:
        url = f"{site.url}/image.png"
        for message in (image_message(url, url), image_message(url, part="input_image")):
            assert service.ask("POST", CHAT, {"messages": [message]}).status_code == 200
            sent = json.dumps(model.requests[-1].body)
            assert "data:image/png;base64,iVBOR" in sent
            assert site.url not in sent
        for path, says in (("/article", "not a supported image"), ("/status/404", "404"), ("/to?http://10.0.0.1/", "")):
            message = image_message(f"{site.url}{path}")
            error = error_of(service, 400, {"messages": [*HELLO, message]})
            assert (error["param"], error["code"]) == ("messages[1].content[1].image_url.url", "invalid_image_url")
            assert says in error["message"]
        many = [f"{site.url}/image.png?{number}" for number in range(33)]
        assert error_of(service, 400, {"messages": [image_message(*many)]})["code"] == "too_many_images"


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "http://localhost:1/x.png",
        "http://[::1]/x.png",
        "http://0x7f.1/x.png",
        "http://metadata.internal/x",
        "http://user:SECRET@10.0.0.1/x.png",
        "file:///etc/passwd",
        "ftp://example.org/x.png",
    ],
)
def test_no_private_address_is_fetched(service: Service, model: ModelServer, address: str) -> None:
    asked = len(model.requests)
    for part in ("image_url", "input_image"):
        error = error_of(service, 400, {"messages": [image_message(address, part=part)]})
        assert "SECRET" not in error["message"]
        assert str(error["param"]).startswith("messages[0].content[1].image_url")
    assert len(model.requests) == asked


def test_data_urls_count_by_their_bytes(service: Service, model: ModelServer) -> None:
    for head in ("data:image/jpg;base64,", "data:;base64,", "DATA:image/png;base64,"):
        assert service.ask("POST", CHAT, {"messages": [image_message(head + PNG)]}).status_code == 200
        assert f"data:image/png;base64,{PNG}" in json.dumps(model.requests[-1].body)
    error = error_of(service, 400, {"messages": [image_message("data:image/svg+xml;base64,PHN2Zz4=")]})
    assert error["code"] == "invalid_value"


def test_reports_about_preflights(service: Service, tmp_path: Path, model: ModelServer) -> None:
    """CopilotKit/aimock#158 (Firefox names user-agent), jeromeleong/poe2openai#15 (Obsidian's origin and timeouts)."""
    asked = {"Access-Control-Request-Method": "POST", "Origin": "app://obsidian.md"}
    folder = tmp_path / "obsidian"
    folder.mkdir()
    with serve_http(settings_for(folder, model.url, agentkit_cors="app://obsidian.md")) as other:
        for names in ("user-agent", "x-stainless-timeout,x-stainless-runtime-version"):
            passed = other.ask("OPTIONS", CHAT, headers={**asked, "Access-Control-Request-Headers": names})
            assert (passed.status_code, passed.headers["access-control-allow-origin"]) == (200, "app://obsidian.md")


def test_reports_about_unknown_routes(service: Service) -> None:
    """diegosouzapw/OmniRoute#6405: a page of HTML; 8monkey-ai/hebo-platform#471: a 200."""
    for path in ("/v1/nonexistent", "/v1/chat/completion", "/v1/v1/responses", "/v1//chat/completions"):
        response = service.ask("POST", path, {"messages": HELLO})
        assert (response.status_code, response.json()["error"]["code"]) == (404, "unknown_url")
        assert response.headers["content-type"] == "application/json"
    scanned = service.ask("GET", "/v1/files/pRzAdaV1.php")  # BerriAI/litellm#35666: each path was a series of its own
    assert scanned.status_code == 404
    assert "pRzAdaV1" not in service.ask("GET", "/metrics").text


def test_reports_about_invalid_fields(service: Service) -> None:
    """stdapi-ai/stdapi.ai#296: no param, no code; vllm-project/vllm#57997: the repr of an object in the message;
    local-inference-lab/vllm#193: an empty list of tools, as Xcode sends it, was refused."""
    error = error_of(service, 400, {"messages": [{"role": "user", "content": {"text": "x"}}]})
    assert (error["param"], error["code"]) == ("messages[0].content", "invalid_type")
    assert error["message"] == "messages[0].content: must be a string or a list"
    assert service.ask("POST", CHAT, {"messages": HELLO, "tools": []}).status_code == 200


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type"]), inner),
    max_leaves=8,
)


@given(JSON_VALUES)
def test_whatever_is_wrong_is_told_by_a_field_that_is_there_or_missing(content: Any) -> None:
    body = {"messages": [content]}
    try:
        CompletionRequest.model_validate(body)
    except ValidationError as error:
        found = problems_of([{**each, "loc": ("body", *each["loc"])} for each in error.errors()], body)
        assert found
        for problem in found:
            assert problem.path[0] == "messages"
            assert all(isinstance(step, int) or step in CHAT_FIELDS for step in problem.path)


CHAT_FIELDS = {"messages", *ChatMessage.model_fields, *ContentPart.model_fields, "url"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"messages": [{"role": "user", "content": "Grüße"}]}'.encode("latin-1"), "is not UTF-8 (byte 0xFC at 45)"),
        (b"\x1f\x8b\x08\x00", "is not UTF-8 (byte 0x8B at 1)"),  # compressed, and not said to be
        (b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", "is nested too deeply"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "integer"),
    ],
    ids=["Latin-1", "gzip", "nested", "a long number"],
)
@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/", "/api/llm/chat"])
def test_a_body_that_no_parser_reads_says_why(service: Service, body: bytes, said: str, path: str) -> None:
    """QuantumNous/new-api#4914, ollama/ollama#12386: what is wrong with the bytes of a body was not said."""
    headers = {"Content-Type": "application/json"}
    response = requests.post(service.url + path, data=body, headers=headers, timeout=30)
    told = response.json()
    assert response.status_code == 400, told
    assert said in (told["detail"] if path.startswith("/api") else told["error"]["message"])
    if not path.startswith("/api"):
        assert told["error"]["code"] == "invalid_json"
