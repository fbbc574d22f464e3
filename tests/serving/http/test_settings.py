"""Settings from `.env`: read in the encodings that editors write, and an error that names the line in others."""

from pathlib import Path

import pytest

from agentkit import ConfigurationError
from agentkit.serving.http.settings import HttpSettings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, where `.env` is read from."""
    for name in ("LLM_MAX_TOKENS", "LLM_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_byte_order_mark_costs_no_variable(folder: Path, encoding: str) -> None:
    (folder / ".env").write_bytes("LLM_MAX_TOKENS=77\r\nLLM_SERVER_URL=http://höst\r\n".encode(encoding))
    settings = HttpSettings()
    assert (settings.llm_max_tokens, settings.llm_server_url) == (77, "http://höst")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("LLM_MAX_TOKENS=77\n# Schlüssel\n".encode("latin-1"), r"\.env is not UTF-8 \(the byte 0xFC in line 2\)"),
        ("# 密钥\nLLM_MAX_TOKENS=77\n".encode("gbk"), r"\.env is not UTF-8 \(the byte 0xC3 in line 1\)"),
        ("LLM_MAX_TOKENS=77\n".encode("utf-16-le"), r"\.env is not UTF-8 \(it contains null characters\)"),
        ("\ufeffA=1".encode("utf-16-le")[:-1], r"\.env is not UTF-8"),
    ],
    ids=["latin-1", "gbk", "utf-16-le", "cut"],
)
def test_another_encoding_is_named_with_its_line(folder: Path, content: bytes, says: str) -> None:
    (folder / ".env").write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        HttpSettings()


def test_a_missing_file_and_a_folder_are_no_settings(folder: Path) -> None:
    assert HttpSettings().llm_max_tokens == 512
    (folder / ".env").mkdir()
    assert HttpSettings().llm_max_tokens == 512
