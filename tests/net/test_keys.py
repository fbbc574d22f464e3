"""API keys: what can't be one is named, and a key that is a secret stays out of errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, APIError, ConfigurationError, VLMRun
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.net.keys import _problem, blotted, blotted_all, blotted_beginning, checked_key
from agentkit.providers import resolve
from tests.support.model_server import Answer, serve, whole

SECRET = "sk-abcdefgh12345678"
SPOILT = {
    f"{SECRET}\n": "line break",
    f"{SECRET}\r\n": "line break",
    f"sk-abc\ndefgh{SECRET}": "line break",
    f" {SECRET}": "white space",
    f"sk abc {SECRET}": "white space",
    f"{SECRET}\t": "white space",
    f"{SECRET}\u00a0": "white space",
    f"\ufeff{SECRET}": "byte order mark",
    f"{SECRET}\u200b": "zero-width",
    f"Bearer {SECRET}": "begins with 'Bearer'",
    f"bearer {SECRET}": "begins with 'bearer'",
    f"Authorization: Bearer {SECRET}": "begins with 'Authorization'",
    f'"{SECRET}"': "quotation marks",
    f"'{SECRET}": "quotation marks",
    f"\u201c{SECRET}\u201d": "typographic quotation marks",
    f"\u00ab{SECRET}\u00bb": "typographic quotation marks",
    f"{SECRET}\u2019": "typographic quotation marks",
    f"sk\u2013{SECRET}": "not ASCII",
    f"{SECRET}\x00": "control character",
    "   ": "white space",
}


@pytest.mark.parametrize("key", SPOILT, ids=ascii)
def test_what_can_not_be_a_key_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key) if "\0" not in key else None
    makers: list[Any] = [
        lambda: OpenAIBackend("m", base_url="http://127.0.0.1:9/v1", api_key=key),
        lambda: LightLLMBackend("Qwen3-8B", "http://127.0.0.1:9", api_key=key),
        lambda: VLMRun(key),
    ]
    makers += [lambda: resolve(f"{name}:m", {variable: key}) for name, variable in [("vlmrun", "VLMRUN_API_KEY")]]
    for make in makers:
        with pytest.raises(ConfigurationError, match="key") as raised:
            make()
        assert SPOILT[key] in str(raised.value)
        assert SECRET not in str(raised.value)
        assert "\n" not in str(raised.value)
    with pytest.raises(ConfigurationError, match=r"^OPENAI_API_KEY can't be an API key"):
        resolve("openai:m", {"OPENAI_API_KEY": key})


class SecretStr:
    def get_secret_value(self) -> str:
        return SECRET


@pytest.mark.parametrize("key", [b"sk-abcdefgh", 12345678, SecretStr()], ids=lambda key: type(key).__name__)
def test_a_key_that_is_no_text_is_named(key: Any) -> None:
    with pytest.raises(ConfigurationError, match="api_key has to be a text"):
        OpenAIBackend("m", base_url="http://127.0.0.1:9/v1", api_key=key)


def failed(url: str, key: str, kind: Any = OpenAIBackend) -> str:
    backend = kind("Qwen3-8B", base_url=url, api_key=key, max_retries=0)
    try:
        with pytest.raises(APIError) as raised:
            Agent(backend).run("Go.")
        return f"{raised.value} {raised.value.body}"
    finally:
        backend.close()


@pytest.mark.parametrize("kind", [OpenAIBackend, LightLLMBackend])
@pytest.mark.parametrize("key", ["e", "none", "EMPTY", "model", "sk-1234"])
def test_a_short_key_masks_no_words_of_an_error(kind: Any, key: str) -> None:
    words = f"the model {key} does not exist on this server"
    with serve([Answer(json.dumps({"error": {"message": words}}).encode(), status=404)]) as server:
        assert words in failed(server.url, key, kind)


@pytest.mark.parametrize("kind", [OpenAIBackend, LightLLMBackend])
def test_a_key_that_a_server_repeats_is_blotted_out(kind: Any) -> None:
    message = json.dumps({"error": {"message": f"Incorrect API key provided: {SECRET}."}}).encode()
    with serve([Answer(message, status=401)]) as server:
        shown = failed(server.url, SECRET, kind)
    assert SECRET not in shown
    assert "Incorrect API key provided: (key)." in shown


def test_a_key_as_it_should_be_is_sent() -> None:
    with serve([whole("Done.")]) as server:
        backend = OpenAIBackend("m", base_url=server.url, api_key="sk-proj_A.b~c+/=-1")
        assert Agent(backend).run("Go.").output == "Done."
        backend.close()
        assert server.requests[0].headers["authorization"] == "Bearer sk-proj_A.b~c+/=-1"


@given(st.text(st.sampled_from("aZ09-_.:/+= \t\n'\"é\u200b"), min_size=1, max_size=12))
def test_a_key_of_the_usual_characters_is_no_other_than_one_that_is_looked_at_closely(key: str) -> None:
    if _problem(key):
        with pytest.raises(ConfigurationError):
            checked_key(key, "api_key")
    else:
        assert checked_key(key, "api_key") == key


@given(st.text(max_size=30), st.text(min_size=8, max_size=30), st.text(max_size=30), st.integers(0, 3))
def test_a_key_is_blotted_out_however_often_it_is_escaped(before: str, key: str, after: str, times: int) -> None:
    written = key
    for _ in range(times):
        written = json.dumps(written)[1:-1]
    shown = blotted(f"{before}{written}{after}", key)
    assert written not in shown
    assert "(key)" in shown


@given(st.text(alphabet="ab", max_size=8), st.text(alphabet="cd", min_size=8, max_size=20), st.integers(8, 20))
def test_of_a_key_on_the_cut_nothing_is_left(before: str, key: str, size: int) -> None:
    assert blotted_beginning(before + key[:size], (key,)) == f"{before}(key)"
    assert blotted_all(before + key[:7], (key,)) == before + key[:7]
