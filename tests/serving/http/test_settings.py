"""Settings from the environment and `.env`: read in the encodings that editors write; errors name the line or the
variable."""

import os
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentkit import ConfigurationError
from agentkit.serving.environment import READ_ELSEWHERE, check_environment, drop_service_links, set_defaults
from agentkit.serving.http.env_file import EnvFile
from agentkit.serving.http.settings import HttpSettings

ROOT = Path(__file__).parents[3]


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


@pytest.mark.parametrize(
    "text",
    [
        "export AGENTKIT_PORT=9001\n",
        "AGENTKIT_PORT='9001'\r\nexport PATH\r\n",
        "\n# a comment\n  AGENTKIT_PORT = 9001 # the port\n",
        "agentkit_port=9001\nPORT=1\nLLM_API_KEY=x\nLLM_MODEL=y\nOPENAI_API_KEY=z\n",
        'KEY="-----BEGIN\nabc\n-----END"\nAGENTKIT_PORT="9001"\n',
    ],
    ids=["export", "quotes", "spaces", "others", "lines"],
)
def test_what_shells_and_editors_write_is_read(folder: Path, text: str) -> None:
    (folder / ".env").write_bytes(text.encode())
    assert HttpSettings().agentkit_port == 9001


@pytest.mark.parametrize(
    "line",
    [
        "AGENTKIT_PORT: 9001",
        "set AGENTKIT_PORT=9001",
        '$env:AGENTKIT_PORT="9001"',
        "AGENTKIT_PORT＝9001",
        "AGENTKIT_PORT",
        'AGENTKIT_PORT="9001',
        "[agentkit]",
    ],
    ids=["yaml", "cmd", "powershell", "fullwidth", "name", "quote", "section"],
)
def test_a_line_that_is_no_setting_is_an_error(folder: Path, line: str) -> None:
    (folder / ".env").write_text(f"A=1\n\n{line}\nB=hunter2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"\.env has no setting in line 3") as error:
        HttpSettings()
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AGENTKIT_PROT", "AGENTKIT_PORT"),
        ("AGENTKIT_TOOL", "AGENTKIT_TOOLS"),
        ("AGENTKIT_KEYFILE", "AGENTKIT_KEYS_FILE"),
        ("AGENT_KIT_PORT", "AGENTKIT_PORT"),
        ("LLM_TEMPERTURE", "LLM_TEMPERATURE"),
    ],
)
def test_a_misspelt_setting_is_an_error_with_the_name_that_was_meant(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    (folder / ".env").write_text(f"{name}=x\n")
    with pytest.raises(
        ConfigurationError, match=rf"^{name} in \.env is not a setting of agentkit: did you mean {meant}"
    ):
        HttpSettings()
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigurationError, match=f"^{name} is not a setting of agentkit: did you mean {meant}"):
        HttpSettings(_env_file=None)


def test_an_unknown_variable_of_the_environment_may_be_of_another_program(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AGENTKIT_ZZZ", "x")
    assert HttpSettings().agentkit_port == 8000
    assert "AGENTKIT_ZZZ is not a setting of agentkit" in caplog.text
    (folder / ".env").write_text("AGENTKIT_ZZZ=x\n")
    with pytest.raises(ConfigurationError, match=r"AGENTKIT_ZZZ in \.env is not a setting"):
        HttpSettings()


@pytest.mark.parametrize("name", ["AGENTKIT_MQTT_SERVER", "AGENTKIT_JWT_KEY"])
def test_an_unknown_setting_of_a_group_is_an_error_that_lists_the_group(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigurationError, match=r"AGENTKIT_MQTT_BROKER|AGENTKIT_JWT_SECRET"):
        HttpSettings(_env_file=None)


def test_each_variable_that_the_code_reads_is_known_and_listed() -> None:
    files = [file for part in ("agentkit", "tools") for file in (ROOT / part).rglob("*.py")]
    read = {name for file in files for name in re.findall(r'"(AGENTKIT_[A-Z_]*[A-Z])"', file.read_text("utf-8"))}
    settings = {name.upper() for name in HttpSettings.model_fields}
    assert read <= settings | READ_ELSEWHERE
    listed = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    assert listed == settings - {"PROMETHEUS_MULTIPROC_DIR"}


def test_what_kubernetes_sets_for_a_service_named_agentkit_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    links = {
        "AGENTKIT_PORT": "tcp://10.0.0.7:8000",
        "AGENTKIT_PORT_8000_TCP": "tcp://10.0.0.7:8000",
        "AGENTKIT_PORT_8000_TCP_ADDR": "10.0.0.7",
        "AGENTKIT_SERVICE_HOST": "10.0.0.7",
        "AGENTKIT_SERVICE_PORT_HTTP": "8000",
        "AGENTKIT_MQTT_PORT": "tcp://10.0.0.8:1883",
        "AGENTKIT_MQTT_SERVICE_HOST": "10.0.0.8",
    }
    monkeypatch.setattr(os, "environ", {**os.environ, **links, "AGENTKIT_HOST": "::1"})
    drop_service_links()
    assert not links.keys() & os.environ.keys()
    check_environment([name.upper() for name in HttpSettings.model_fields])
    monkeypatch.setattr(os, "environ", {"AGENTKIT_PORT": "9001"})
    drop_service_links()
    assert os.environ == {"AGENTKIT_PORT": "9001"}


def test_the_file_sets_what_else_reads_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("OPENAI_API_KEY=from-file\nAGENTKIT_SEARCH=a\n")
    monkeypatch.setattr(os, "environ", {"AGENTKIT_SEARCH": "b"})
    set_defaults(EnvFile(folder / ".env").values)
    assert os.environ == {"AGENTKIT_SEARCH": "b", "OPENAI_API_KEY": "from-file"}


@pytest.mark.parametrize(
    ("given", "path"), [("/agent/", "/agent"), ("a/b", "/a/b"), ("/", ""), ("", "")], ids=["slash", "two", "root", "no"]
)
def test_the_path_of_a_proxy_may_be_written_with_or_without_slashes(given: str, path: str) -> None:
    assert HttpSettings(_env_file=None, agentkit_root_path=given, agentkit_log_level="INFO").agentkit_root_path == path


@pytest.mark.parametrize("given", ["https://host/agent", "/a//b", "/a/../b", "/a b", "/a?b"])
def test_what_is_no_path_is_an_error(given: str) -> None:
    with pytest.raises(ValidationError, match="a path such as /agent"):
        HttpSettings(_env_file=None, agentkit_root_path=given)


def test_a_user_without_a_home_directory_is_told_where_sessions_can_be_kept(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "file").write_text("")
    for name in ("AGENTKIT_SESSIONS", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: folder / "file")
    with pytest.raises(ConfigurationError, match="--store or AGENTKIT_SESSIONS"):
        HttpSettings()
    assert HttpSettings(agentkit_sessions="memory:").agentkit_sessions == "memory:"


def test_no_home_directory_is_the_root_of_the_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    settings = HttpSettings(_env_file=None, agentkit_sessions="memory:")
    assert settings.agentkit_keys_file == Path("/.local/share/agentkit/keys.json")


def test_a_relative_data_directory_does_not_count(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """ActiveState/appdirs#61: the XDG Base Directory Specification wants it ignored."""
    monkeypatch.setattr(Path, "home", lambda: folder)
    for given in ("", "data", "~/data"):
        monkeypatch.setenv("XDG_DATA_HOME", given)
        settings = HttpSettings(_env_file=None, agentkit_sessions="memory:")
        assert settings.agentkit_keys_file == folder / ".local/share/agentkit/keys.json"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    settings = HttpSettings(_env_file=None, agentkit_sessions="memory:")
    assert settings.agentkit_keys_file == folder / "data/agentkit/keys.json"


def test_nothing_is_shared_unless_it_is_allowed(folder: Path) -> None:
    assert not HttpSettings().agentkit_sharing
    (folder / ".env").write_text("AGENTKIT_SHARING=true\n")
    assert HttpSettings().agentkit_sharing
    (folder / ".env").write_text("AGENTKIT_SHARING=friends\n")
    with pytest.raises(ValidationError, match="agentkit_sharing"):
        HttpSettings()
