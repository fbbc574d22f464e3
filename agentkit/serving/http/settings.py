"""What the service reads from the environment and from `.env`; see `.env.example`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agentkit.serving.environment import data_folder, session_store

Names = Annotated[tuple[str, ...], NoDecode]


class HttpSettings(BaseSettings):
    """Each field is read from the variable of its name in capitals. Raises pydantic's ValidationError."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    llm_server_url: str = "http://localhost:8080"
    llm_timeout: float = Field(default=300.0, gt=0, description="Seconds.")
    llm_temperature: float = Field(default=0.6, ge=0)
    llm_top_p: float = Field(default=0.9, gt=0, le=1)
    llm_max_tokens: int = Field(default=512, ge=1)
    llm_skip_thinking: bool = True
    llm_max_history_tokens: int = Field(default=10_000, ge=100)

    agentkit_model: str | None = Field(default=None, description="provider:model[@url], instead of the server above.")
    agentkit_tools: Names = Field(default=(), description="module:name, with commas between.")
    agentkit_docs: str | None = Field(default=None, description="A folder of documents that the agent may search.")
    agentkit_sessions: str = Field(default_factory=session_store)
    agentkit_prompts: Path | None = Field(default=None, description="A TOML file of named system prompts.")

    agentkit_keys_file: Path = Field(default_factory=lambda: data_folder() / "keys.json")
    agentkit_jwt_secret: SecretStr | None = Field(default=None, description="Of HS256.")
    agentkit_jwt_jwks: str | None = Field(default=None, description="Address or file of the keys of RS256.")
    agentkit_jwt_audience: str | None = None
    agentkit_jwt_issuer: str | None = None

    agentkit_rate: int = Field(default=60, ge=1, description="Requests of a subject in a minute.")
    agentkit_max_body: int = Field(default=10_000_000, ge=1000, description="Bytes of a request.")
    agentkit_max_runs: int = Field(default=256, ge=1, description="Answers that are worked on at once.")
    agentkit_cors: Names = Field(default=(), description="Origins that may call, with commas between.")

    prometheus_multiproc_dir: Path | None = Field(default=None, description="Where workers put their figures.")

    agentkit_mqtt_projects: Names = Field(default=(), description="Serve these over MQTT too.")
    agentkit_mqtt_broker: str = "localhost"
    agentkit_mqtt_port: int = 1883
    agentkit_mqtt_username: str | None = None
    agentkit_mqtt_password: SecretStr | None = None

    @field_validator("agentkit_tools", "agentkit_cors", "agentkit_mqtt_projects", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(filter(None, value.replace(",", " ").split())) if isinstance(value, str) else value

    @field_validator("*", mode="before")
    @classmethod
    def _given(cls, value: Any, info: Any) -> Any:
        """An empty variable is one that is not given."""
        if value != "":
            return value
        return cls.model_fields[info.field_name].get_default(call_default_factory=True)

    @model_validator(mode="after")
    def _tokens_have_an_audience(self) -> "HttpSettings":
        if self.wants_jwt and not self.agentkit_jwt_audience:
            raise ValueError("AGENTKIT_JWT_AUDIENCE is missing: tokens for other services must not open this one")
        if self.agentkit_jwt_secret and self.agentkit_jwt_jwks:
            raise ValueError("give AGENTKIT_JWT_SECRET (HS256) or AGENTKIT_JWT_JWKS (RS256), not both")
        if self.agentkit_jwt_secret and len(self.agentkit_jwt_secret.get_secret_value()) < 32:
            raise ValueError("AGENTKIT_JWT_SECRET is too short: HS256 wants 32 bytes (RFC 7518, section 3.2)")
        return self

    @property
    def wants_jwt(self) -> bool:
        """Whether tokens (JWT) are taken."""
        return bool(self.agentkit_jwt_secret or self.agentkit_jwt_jwks)
