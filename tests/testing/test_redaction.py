"""What a recording keeps of an exchange: nothing of a secret that stands under its name, and all the rest."""

import gzip
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlencode

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, tool
from agentkit.backends import OpenAIBackend
from agentkit.net.keys import is_secret_name
from agentkit.testing import CassetteError, recorded
from agentkit.testing.cassette import redaction_here
from agentkit.testing.redaction import Redaction
from tests.support.growth import assert_linear
from tests.support.model_server import QuietServer, calls, running, serve, whole

NAMES = [
    *("api_key", "apiKey", "API-KEY", "X-Api-Key", "apikey", "token", "access_token", "accessToken", "refresh_token"),
    *("id_token", "sessionToken", "secret", "client_secret", "clientSecret", "password", "db_password", "passwd"),
    *("authorization", "Authorization", "credentials", "private_key", "jwt", "cookie", "auth_tokens", "secret_key"),
]
HARMLESS = [
    *("max_tokens", "prompt_tokens", "eos_token", "next_page_token", "tokens", "tokenizer", "token_type", "author"),
    *("key", "primary_key", "prompt_cache_key", "keywords", "finish_reason", "secretary", "signature", "decoded_token"),
]


def test_a_secret_is_known_by_its_name() -> None:
    assert [name for name in NAMES if not is_secret_name(name)] == []
    assert [name for name in HARMLESS if is_secret_name(name)] == []


@pytest.mark.parametrize(
    "secret", ['p@ss/w"ord+1é', "-----BEGIN KEY-----\nabc\ndef\n", "sk-a/b+c=d", "with space & more"]
)
def test_a_known_secret_is_found_however_it_is_written(secret: str) -> None:
    redaction, text = Redaction([secret]), secret.strip()
    for ascii_only in (True, False):
        body = json.dumps({"content": f"It is {text}."}, ensure_ascii=ascii_only)
        assert json.loads(redaction.body(body)) == {"content": "It is SECRET."}
        inner = json.dumps({"arguments": body}, ensure_ascii=ascii_only)
        assert json.loads(json.loads(redaction.body(inner.encode()))["arguments"]) == {"content": "It is SECRET."}
    assert redaction.body(json.dumps({"c": text}).replace("/", "\\/")) == '{"c": "SECRET"}'
    assert redaction.body(urlencode({"q": text})) == "q=SECRET"
    assert (
        redaction.url(f"https://host/{quote(text, safe='')}?{urlencode({'q': text})}") == "https://host/SECRET?q=SECRET"
    )


def in_json(text: str, ensure_ascii: bool = True) -> str:
    return json.dumps(text, ensure_ascii=ensure_ascii)[1:-1]


def in_capitals(text: str) -> str:
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[place]:02X}{units[place + 1]:02X}" for place in range(0, len(units), 2))


def in_small_digits(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def in_url(text: str) -> str:
    return quote(text, safe="")


def of_json(text: str) -> str:
    return str(json.loads(f'"{text}"'))


WRITTEN: dict[str, tuple[Callable[[str], str], Callable[[str], str]]] = {
    "JSON": (in_json, of_json),
    "JSON in Unicode": (lambda text: in_json(text, ensure_ascii=False), of_json),
    "JSON of PHP": (lambda text: in_json(text).replace("/", "\\/"), of_json),
    "JSON of Go": (lambda text: in_json(text).replace("&", "\\u0026").replace("<", "\\u003c"), of_json),
    "all escaped": (in_capitals, of_json),
    "URL": (in_url, unquote),
    "URL of JavaScript": (lambda text: quote(text, safe="!*'()"), unquote),
    "form": (quote_plus, unquote_plus),
    "small digits": (in_small_digits, unquote),
}


@given(
    st.text(alphabet="ab12 +/%\\\"'&<>=\n!()é字😀u", max_size=12),
    st.lists(st.sampled_from(sorted(WRITTEN)), max_size=3),
    st.booleans(),
)
def test_a_known_secret_is_found_with_any_escapes(more: str, ways: list[str], is_bytes: bool) -> None:
    secret = f"k3y:{more}/Z"
    text = f"It is {secret}."
    for way in ways:
        text = WRITTEN[way][0](text)
    redaction = Redaction([secret])
    found = redaction.known(text.encode()).decode() if is_bytes else redaction.known(text)
    for way in reversed(ways):
        found = WRITTEN[way][1](found)
    assert found == "It is SECRET."


@given(st.text(alphabet='ab %\\u0041"/+', max_size=30), st.binary(max_size=20))
def test_what_has_no_secret_stays_as_it_is(text: str, content: bytes) -> None:
    redaction = Redaction(["k3y:s3cr3t"])
    assert redaction.known(text) == text
    assert redaction.known(content) == content


def test_secrets_next_to_and_within_each_other_leave_nothing() -> None:
    redaction = Redaction(["abcdefgh", "efghijkl", "cdef"])
    assert redaction.known("abcdefghijkl.") == "SECRET."
    assert redaction.known("%61bcdefghcdef!") == "SECRETSECRET!"


def test_white_space_around_few_characters_makes_no_secret_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "  banana    ")
    assert Redaction(["  a       "]).body("banana") == "banana"
    assert redaction_here().body("banana") == "banana"
    assert Redaction(["hunter2\n"]).body("It is hunter2.") == "It is SECRET."


def nested(value: Any, depth: int, as_text: bool) -> Any:
    for _ in range(depth):
        value = {"arguments": json.dumps(value)} if as_text else {"list": [{"n": 1}, value]}
    return value


@given(
    st.sampled_from(NAMES),
    st.text(alphabet='abc123 "\\\n{}[]:,é&=', min_size=1, max_size=12).map(lambda text: f"s3cr3t{text}"),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_a_secret_field_is_found_at_any_depth_of_json(
    name: str, secret: str, depth: int, as_text: bool, is_ascii: bool
) -> None:
    secret = secret.replace('"', "").replace("\\", "") if as_text and depth else secret
    value = {"before": "kept 1", name: secret, "after": ["kept 2", {"max_tokens": "3"}]}
    body = json.dumps(nested(value, depth, as_text), ensure_ascii=is_ascii)
    shown = Redaction([]).body(body)
    assert "s3cr3t" not in shown
    expected = nested({**value, name: "SECRET"}, depth, as_text)
    assert json.loads(shown) == json.loads(json.dumps(expected))
    assert Redaction([]).body(shown) == shown
    assert Redaction([]).body(body.encode()) == shown.encode()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('data: {"access_token":"abc"}\n\ndata: [DONE]\n\n', 'data: {"access_token":"SECRET"}\n\ndata: [DONE]\n\n'),
        ('{"token": " Hello", "logprob": -0.1, "bytes": [1]}', None),
        ('{"id": 1, "token": "He", "bytes": [72], "logprob": -0.1}', None),
        ('{"token": {"id": 1000, "text": "<think>"}, "finished": false}', None),
        ('{"password": "", "token": null, "api_key": 5}', None),
        ('{"password": 12345678, "n": 12345678}', '{"password": 0, "n": 12345678}'),
        ('{"pin": {"password" : 1234}}', '{"pin": {"password" : 0}}'),
        ('{"arguments": "{\\"password\\": 12345678}"}', '{"arguments": "{\\"password\\": 0}"}'),
        ('{"token": 12345, "max_tokens": 12345, "prompt_tokens": 12345, "cached_tokens": 12345}', None),
        ('{"password": 123, "api_key": 1234.5}', None),
        ('{"api_keys": ["a", "b"], "tokens": ["a", "b"]}', '{"api_keys": ["SECRET"], "tokens": ["a", "b"]}'),
        ('{"password": "cut off', '{"password": "SECRET'),
        ("{'api_key': 'sk-1', 'n': 2}", "{'api_key': 'SECRET', 'n': 2}"),
        ("grant_type=refresh_token&refresh_token=a%20b&n=1", "grant_type=refresh_token&refresh_token=SECRET&n=1"),
        ("client_secret=abc", "client_secret=SECRET"),
        ('{"url": "https://a.example/?n=1&api_key=abc#x"}', '{"url": "https://a.example/?n=1&api_key=SECRET#x"}'),
        ('[{"name": "Authorization", "value": "Bearer abc"}]', '[{"name": "Authorization", "value": "SECRET"}]'),
        ('--b\r\nContent-Disposition: form-data; name="api_key"\r\n\r\nsk-1\r\n--b', None),
        ("<login><User>ann</User><Password>abc</Password></login>", None),
        ("Authorization: Bearer abcdefghij0123456789xyz", "Authorization: Bearer SECRET"),
        ('{"properties": {"password": {"type": "string"}}, "required": ["password"]}', None),
    ],
)
def test_bodies_of_all_kinds(body: str, shown: str | None) -> None:
    if "form-data" in body or "<login>" in body:
        shown = body.replace("sk-1", "SECRET").replace("abc", "SECRET")
    assert Redaction([]).body(body) == (body if shown is None else shown)


def test_bytes_that_are_no_text_are_kept() -> None:
    assert Redaction(["known"]).body(b"\xff\x00known\xfe") == b"\xff\x00SECRET\xfe"


def test_urls_have_no_secrets() -> None:
    url = "https://user:pass@a.example/p?key=1&X-Amz-Signature=2&page=3&sig=4#access_token=5"
    expected = "https://a.example/p?key=SECRET&X-Amz-Signature=SECRET&page=3&sig=SECRET#access_token=SECRET"
    assert Redaction([]).url(url) == expected


@pytest.mark.parametrize(
    "piece",
    ['"api_key":"', '\\"token\\": \\"', '"password":[', "a=", 'name="a"\n', "<a>", '"', "%25", "\\", "\\u005c", "%2"],
)
def test_a_body_is_read_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: Redaction(["k3y:s3cr3t"]).body(piece * (size // len(piece))), 40_000)


@tool
def log_in(user: str, password: str) -> dict[str, str]:
    """Log in."""
    return {"user": user, "access_token": "token-of-the-reply"}


def test_a_run_with_secrets_in_its_bodies_is_recorded_without_them_and_replayed(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    answers = [calls(("log_in", {"user": "ann", "password": "hunter22"})), whole("Done.")]

    def run(url: str) -> str:
        backend = OpenAIBackend("m", base_url=url, max_retries=0, extra={"api_key": "sk-in-the-body"})
        try:
            return str(Agent(backend, tools=[log_in]).run("Log in.").output)
        finally:
            backend.close()

    with serve(answers) as server, recorded(file, mode="once"):
        assert run(server.url) == "Done."
        assert server.requests[0].body["extra"] == {"api_key": "sk-in-the-body"}
        assert "hunter22" in server.requests[1].raw.decode()
    kept = file.read_text()
    for secret in ("sk-in-the-body", "hunter22", "token-of-the-reply"):
        assert secret not in kept, secret
    assert "ann" in kept
    with recorded(file) as cassette:
        assert run(server.url) == "Done."
        assert cassette.all_played


@pytest.fixture
def service() -> Iterator[str]:
    """A service that gives tokens, compressed, and redirects to a URL that has one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            while "content-length" not in self.headers and (size := int(self.rfile.readline(), 16)):
                self.rfile.read(size + len(b"\r\n"))
            body = gzip.compress(b'{"access_token": "token-of-the-reply", "expires_in": 60}')
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-encoding", "gzip")
            self.send_header("content-length", str(len(body)))
            self.send_header("location", "https://b.example/?access_token=token-of-the-reply&n=1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    http: ThreadingHTTPServer = QuietServer(("127.0.0.1", 0), Handler)
    with running(http):
        yield f"http://127.0.0.1:{http.server_port}/token?api_key=key-of-the-url"


def test_a_form_and_a_compressed_reply_are_recorded_without_secrets(tmp_path: Path, service: str) -> None:
    file = tmp_path / "token.yaml"

    def ask(secret: str, scope: str = "all") -> Any:
        form = {"grant_type": "client_credentials", "client_secret": secret, "scope": scope}
        return requests.post(service, data=form, timeout=10).json()

    with recorded(file, mode="once"):
        assert ask("secret-of-the-form") == {"access_token": "token-of-the-reply", "expires_in": 60}
    kept = file.read_text()
    for secret in ("secret-of-the-form", "token-of-the-reply", "key-of-the-url"):
        assert secret not in kept, secret
    with recorded(file):
        assert ask("another") == {"access_token": "SECRET", "expires_in": 60}
    with pytest.raises(CassetteError, match="scope"), recorded(file):
        ask("another", "some")


def test_a_body_that_is_sent_in_pieces_is_recorded_without_secrets(tmp_path: Path, service: str) -> None:
    file = tmp_path / "token.yaml"

    def ask() -> Any:
        return requests.post(service, data=iter([b'{"api_key": "key-of-', b'the-body", "n": 1}']), timeout=10).json()

    with recorded(file, mode="once"):
        ask()
    assert "key-of-" not in file.read_text()
    with recorded(file):
        assert ask()["expires_in"] == 60
