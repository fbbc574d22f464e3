"""Settings of the service, read from environment variables and from `.env`; see `.env.example`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agentkit.evidence.settings import Word
from agentkit.serving.environment import (
    Level,
    check_environment,
    check_names,
    data_folder,
    session_store,
    use_secret_files,
)
from agentkit.serving.http.env_file import EnvFile
from agentkit.serving.http.page.attachment_schemas import MAX_CHARACTERS
from agentkit.serving.secret_files import NAMES, SUFFIX
from agentkit.taint.settings import TaintMode

Names = Annotated[tuple[str, ...], NoDecode]

MAX_EXAMPLES = 12
"""Questions that the empty page offers."""

_USUAL_PORTS = {"http": ":80", "https": ":443"}


class HttpSettings(BaseSettings):
    """Each field is read from the environment variable of the same name in upper case. Raises pydantic's
    ValidationError, and ConfigurationError for a `.env` that can't be read and for a variable whose name is misspelt.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    llm_server_url: str = "http://localhost:8080"
    llm_timeout: float = Field(default=300.0, gt=0, description="Timeout of a model request in seconds.")
    llm_temperature: float = Field(default=0.6, ge=0)
    llm_top_p: float = Field(default=0.9, gt=0, le=1)
    llm_max_tokens: int = Field(default=512, ge=1)
    llm_skip_thinking: bool = True
    llm_max_history_tokens: int = Field(default=10_000, ge=100)

    agentkit_host: str = Field(default="127.0.0.1", description="Address to listen on, or unix:PATH.")
    agentkit_port: int = Field(default=8000, ge=0, le=65_535, description="Port to listen on.")
    agentkit_root_path: str = Field(default="", description="Path under which a reverse proxy serves the service.")
    agentkit_workers: int = Field(default=1, ge=1, description="Number of worker processes.")
    agentkit_access_log: bool = Field(default=True, description="Whether each request is logged.")
    agentkit_log_level: Level = Field(default="info", description="Least level that is logged.")

    agentkit_model: str | None = Field(default=None, description="provider:model[@url]; replaces llm_server_url.")
    agentkit_tools: Names = Field(default=(), description="Tools by name or as module:name, comma-separated.")
    agentkit_hooks: Names = Field(default=(), description="Hooks by name or as module:name, comma-separated.")
    agentkit_docs: str | None = Field(
        default=None, description="Folder of documents that the agent can search, or several, one a line."
    )
    agentkit_mcp: Names = Field(
        default=(),
        description="MCP servers, one a line: a file of servers (mcp.json), or the command or address of one.",
    )
    agentkit_evidence: Word = Field(
        default="flag", description="What happens to an answer that its sources don't support."
    )
    agentkit_taint: TaintMode = Field(
        default="off", description="What happens to a call whose arguments come from what the model has read."
    )
    agentkit_sessions: str = Field(default_factory=session_store)
    agentkit_prompts: Path | None = Field(default=None, description="TOML file of named system prompts.")

    agentkit_keys_file: Path = Field(default_factory=lambda: data_folder() / "keys.json")
    agentkit_jwt_secret: SecretStr | None = Field(default=None, description="Shared secret of HS256 tokens.")
    agentkit_jwt_jwks: str | None = Field(default=None, description="URL or file of a JWK set with public keys.")
    agentkit_jwt_audience: str | None = None
    agentkit_jwt_issuer: str | None = None
    agentkit_jwt_leeway: float = Field(default=5.0, ge=0, le=300, description="Seconds that clocks may differ.")

    agentkit_rate: int | None = Field(
        default=None,
        ge=1,
        description="Maximum requests per subject and minute; default: 60, and none while no key is needed.",
    )
    agentkit_max_body: int = Field(default=10_000_000, ge=1000, description="Maximum request body size in bytes.")
    agentkit_max_attachment: int | None = Field(
        default=None,
        ge=1000,
        description="Maximum size of a document to read in bytes; default, and at most, a body's.",
    )
    agentkit_attachment_characters: int | None = Field(
        default=None,
        ge=100,
        le=MAX_CHARACTERS,
        description="Maximum length of the text of a document; default: two characters for each token of a history.",
    )
    agentkit_max_runs: int = Field(default=256, ge=1, description="Maximum number of concurrent answers.")
    agentkit_answer_cache_seconds: float | None = Field(
        default=None,
        ge=1,
        le=2_592_000,
        description="Seconds that answers are kept for the same question; default: not.",
    )
    agentkit_sharing: bool = Field(
        default=False, description="Whether a conversation can be shared by a link that needs no key."
    )
    agentkit_title_requests: bool = Field(
        default=True,
        description="Whether what chat front ends ask for a title, tags and the like is answered without tools.",
    )
    agentkit_cors: Names = Field(default=(), description="Allowed CORS origins, comma-separated.")
    agentkit_image_hosts: Names = Field(
        default=(), description="Hosts that images may be fetched from although they are not public, comma-separated."
    )

    agentkit_page_title: str = Field(default="", max_length=100, description="Title of the chat page.")
    agentkit_examples: Names = Field(
        default=(), description="Questions that the empty page offers, one a line.", max_length=MAX_EXAMPLES
    )
    agentkit_page_sampling: bool = Field(
        default=True, description="Whether the page lets its user set sampling fields."
    )

    agentkit_max_connections: int | None = Field(
        default=None, ge=1, description="Maximum number of open connections; default: half of the descriptors."
    )
    agentkit_max_connections_per_address: int | None = Field(
        default=None, ge=1, description="The same for one client address; default: half of all connections."
    )
    agentkit_head_seconds: float = Field(default=10.0, gt=0, description="Seconds to receive the head of a request.")
    agentkit_body_seconds: float = Field(default=60.0, gt=0, description="Seconds to receive the body of a request.")
    agentkit_send_seconds: float = Field(
        default=20.0, gt=0, description="Seconds after which a client that does not read is disconnected."
    )
    agentkit_keep_alive: int = Field(default=120, ge=1, description="Seconds that an idle connection is kept.")
    agentkit_stop_seconds: float = Field(
        default=10.0, ge=1, description="Seconds from the signal to stop until the process has ended."
    )

    prometheus_multiproc_dir: Path | None = Field(default=None, description="Folder of the workers' metric files.")

    agentkit_mqtt_projects: Names = Field(default=(), description="Projects to serve over MQTT as well.")
    agentkit_mqtt_broker: str = Field(default="localhost", description="The broker: its host, or a URL.")
    agentkit_mqtt_port: int | None = Field(
        default=None, ge=1, le=65_535, description="Port of the broker; default: 1883, with TLS 8883."
    )
    agentkit_mqtt_username: str | None = None
    agentkit_mqtt_password: SecretStr | None = None
    agentkit_mqtt_password_file: Path | None = Field(
        default=None, description="A file with the password, read before each connection."
    )
    agentkit_mqtt_tls: bool = False
    agentkit_mqtt_ca_file: Path | None = None
    agentkit_mqtt_cert_file: Path | None = Field(default=None, description="The client certificate (PEM).")
    agentkit_mqtt_key_file: Path | None = Field(default=None, description="The key of the client certificate (PEM).")
    agentkit_mqtt_alpn: str | None = None
    agentkit_mqtt_any_hostname: bool = Field(
        default=False, description="Take a certificate for another host name; with AGENTKIT_MQTT_CA_FILE."
    )
    agentkit_mqtt_transport: Literal["tcp", "websockets"] = "tcp"
    agentkit_mqtt_websocket_path: str = "/mqtt"

    def __init__(self, **values: Any) -> None:
        file = values.get("_env_file", self.model_config.get("env_file"))
        known = [name.upper() for name in type(self).model_fields]
        known += [name + SUFFIX for name in NAMES]
        check_environment(known)
        more: dict[str, str | None] = {}
        if isinstance(file, str | Path):
            found = EnvFile(Path(file))
            check_names(known, found.names, found.path.name)
            values.setdefault("_env_file_encoding", found.encoding)
            more = found.values
        use_secret_files(more)
        super().__init__(**values)

    @field_validator(
        *("agentkit_tools", "agentkit_hooks", "agentkit_cors", "agentkit_image_hosts", "agentkit_mqtt_projects"),
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(filter(None, value.replace(",", " ").split())) if isinstance(value, str) else value

    @field_validator("agentkit_mcp", "agentkit_examples", mode="before")
    @classmethod
    def _in_lines(cls, value: Any) -> Any:
        return tuple(filter(None, map(str.strip, value.splitlines()))) if isinstance(value, str) else value

    @field_validator("agentkit_cors", mode="after")
    @classmethod
    def _as_browsers_write_it(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_origin, origins))

    @field_validator("agentkit_image_hosts", mode="after")
    @classmethod
    def _only_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if "/" in host or "*" in host:
                raise ValueError(f"{host!r:.80} is no host: write images.example, without a scheme or path")
        return hosts

    @field_validator("*", mode="before")
    @classmethod
    def _empty_as_unset(cls, value: Any, info: Any) -> Any:
        """Treat an empty variable as unset."""
        if value != "":
            return value
        return cls.model_fields[info.field_name].get_default(call_default_factory=True)

    @field_validator("agentkit_log_level", "agentkit_evidence", "agentkit_taint", mode="before")
    @classmethod
    def _in_lower_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("agentkit_root_path", mode="after")
    @classmethod
    def _without_slash(cls, path: str) -> str:
        parts = path.strip("/")
        if not re.fullmatch(r"[\w.~/-]*", parts, re.ASCII) or "//" in parts or {".", ".."} & set(parts.split("/")):
            raise ValueError("it must be a path such as /agent, without a host")
        return f"/{parts}" if parts else ""

    @model_validator(mode="after")
    def _check_jwt(self) -> "HttpSettings":
        if self.accepts_jwt and not self.agentkit_jwt_audience:
            raise ValueError(
                "AGENTKIT_JWT_AUDIENCE is required with JWT, so that tokens issued for other services are rejected"
            )
        if self.agentkit_jwt_secret and self.agentkit_jwt_jwks:
            raise ValueError("set AGENTKIT_JWT_SECRET (HS256) or AGENTKIT_JWT_JWKS (public keys), not both")
        if self.agentkit_jwt_secret and len(self.agentkit_jwt_secret.get_secret_value()) < 32:
            raise ValueError(
                "AGENTKIT_JWT_SECRET is too short: HS256 requires at least 32 bytes (RFC 7518, section 3.2)"
            )
        return self

    @property
    def max_attachment(self) -> int:
        """Maximum size of a document to read in bytes."""
        return min(self.agentkit_max_attachment or self.agentkit_max_body, self.agentkit_max_body)

    @property
    def attachment_characters(self) -> int:
        """Maximum length of the text of a document that is read. By default it fits into the history that the model is
        sent, together with some turns about it: a longer one would be left out after two turns."""
        return self.agentkit_attachment_characters or min(2 * self.llm_max_history_tokens, MAX_CHARACTERS)

    @property
    def accepts_jwt(self) -> bool:
        """Whether tokens (JWT) are accepted."""
        return bool(self.agentkit_jwt_secret or self.agentkit_jwt_jwks)


def _origin(written: str) -> str:
    """Return an origin as browsers send it: in lower case, without the path and the port that is usual. Raises
    ValueError for what no browser sends."""
    scheme, separator, rest = written.strip().lower().partition("://")
    host = rest.partition("/")[0]
    if "*" in host or (not (separator and host) and scheme not in ("*", "null")):
        raise ValueError(f"{written!r:.80} is no origin: write https://app.example, or * for all (not a part of one)")
    return f"{scheme}{separator}{host.removesuffix(_USUAL_PORTS.get(scheme, ' '))}"
