"""VLM Run's agents over its REST routes: what creates, runs and finds them.

Their routes are beside `/openai`; the errors are the openai package's.
"""

import inspect
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from openai import BaseModel

from agentkit.errors import ConfigurationError
from agentkit.history.plain import plain
from agentkit.net.api_errors import api_error
from agentkit.net.http_client import Transport

Made = TypeVar("Made", bound=BaseModel)


class CreditUsage(BaseModel):
    """What an execution used."""

    elements_processed: int | None = None
    element_type: str | None = None
    credits_used: float | None = None


class AgentInfo(BaseModel):
    """An agent. Fields that VLM Run adds are attributes too."""

    id: str
    name: str
    version: str | None = None
    description: str | None = None
    prompt: str | None = None
    json_schema: dict[str, Any] | None = None
    json_sample: dict[str, Any] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    status: str | None = None


class AgentCreation(BaseModel):
    """An agent that is being created. status: "enqueued", "pending", "running", "completed", "failed" or "paused"."""

    id: str
    name: str
    version: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    status: str | None = None


class AgentExecution(BaseModel):
    """One run of an agent. status: as of AgentCreation. response: what the agent answered, once it is completed."""

    id: str
    name: str
    version: str | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    response: Any = None
    status: str | None = None
    usage: CreditUsage | None = None


class AgentRoutes:
    """The routes of the agents. transport: to VLM Run's base URL, up to "/v1"."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(self, config: Any, name: str | None, inputs: Any, callback_url: str | None) -> AgentCreation:
        """Create an agent."""
        fields = config_of(config)
        if not fields.get("prompt"):
            raise ConfigurationError('create() needs a prompt in its config: config={"prompt": "..."}')
        body = {"name": name, "inputs": plain(inputs), "config": fields, "callback_url": callback_url}
        made: AgentCreation = self._post("agent/create", body, AgentCreation)
        return made

    def execute(self, batch: bool, config: Any, metadata: Any, **body: Any) -> AgentExecution:
        """Run an agent."""
        if not batch:
            raise ConfigurationError("VLM Run executes agents in batch mode only: leave out batch=False")
        if config is not None:
            body["config"] = config_of(config)
        if metadata is not None:
            body["metadata"] = plain(metadata)
        begun: AgentExecution = self._post("agent/execute", {**plain(body), "batch": True}, AgentExecution)
        return begun

    def get(self, **by: str | None) -> AgentInfo:
        """Find an agent by one of its id, its name or its prompt."""
        given = {name: value for name, value in by.items() if value}
        if len(given) != 1:
            raise ConfigurationError("get() needs one of id=, name= and prompt=, and not more")
        found: AgentInfo = self._post("agent/lookup", given, AgentInfo)
        return found

    def get_by_id(self, agent_id: str) -> AgentInfo:
        """Find an agent by its id."""
        return _made(AgentInfo, self._transport.get(f"/agents/{quote(agent_id, safe='')}"))

    def list(self, skip: int | None, limit: int | None) -> "list[AgentInfo]":
        """Return the agents."""
        query = {name: value for name, value in (("skip", skip), ("limit", limit)) if value is not None}
        answer = self._transport.get("/agent" + (f"?{urlencode(query)}" if query else ""))
        if not isinstance(answer, list):
            raise api_error(f"VLM Run did not answer with a list: {str(answer)[:200]!r}", answer)
        return [_made(AgentInfo, each) for each in answer]

    def _post(self, path: str, body: Mapping[str, Any], kind: type[Made]) -> Made:
        sent = {name: value for name, value in body.items() if value is not None}
        return _made(kind, self._transport.post(f"/{path}", sent))


def _made(kind: type[Made], answer: Any) -> Made:
    """An object with the fields of an answer, of whatever types they are. Raises APIError for no object."""
    if not isinstance(answer, Mapping):
        raise api_error(f"VLM Run did not answer with an object: {str(answer)[:200]!r}", answer)
    return kind.construct(**answer)


def config_of(config: Any) -> dict[str, Any]:
    """Return the configuration of an agent as JSON has it: a dict, or an object with such fields (vlmrun's own too).

    `response_model`, a pydantic model, becomes the `json_schema`. Raises ConfigurationError for both of them, and for
    what is no configuration.
    """
    model = config.get("response_model") if isinstance(config, Mapping) else getattr(config, "response_model", None)
    if isinstance(config, Mapping):
        config = {name: value for name, value in config.items() if name != "response_model"}
    fields = plain(config)
    if not isinstance(fields, Mapping):
        raise ConfigurationError(f"config must be a dict or an object with its fields, not a {type(config).__name__}")
    fields = {name: value for name, value in fields.items() if value is not None and name != "response_model"}
    if model is None:
        return fields
    if isinstance(config, Mapping) and "json_schema" in fields:
        raise ConfigurationError("config has both response_model and json_schema: give one of them")
    if not (inspect.isclass(model) and hasattr(model, "model_json_schema")):
        raise ConfigurationError("response_model must be a pydantic model (the class): or give its json_schema")
    return {**fields, "json_schema": model.model_json_schema()}
