"""The models of the service: the agent is the only one."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.schemas import OpenAIErrorResponse

MODEL = "agentkit"

_OF_ANTHROPIC = {"type": "model", "display_name": MODEL, "created_at": "1970-01-01T00:00:00Z"}
"""Fields of a model in Anthropic's API, whose clients ask at the same path."""

routes = APIRouter(prefix="/v1", tags=["OpenAI"], responses=error_responses(OpenAIErrorResponse))


@routes.get("/models", summary="List models")
def models() -> dict[str, Any]:
    """Returns the available models. The agent is the only one."""
    return {"object": "list", "data": [_model()], "has_more": False, "first_id": MODEL, "last_id": MODEL}


@routes.get("/models/{name:path}", summary="Get a model")
def model(name: Annotated[str, Path(description="Model ID: `agentkit` or `default`.")]) -> dict[str, Any]:
    """Returns a model by ID."""
    if not name:  # the list, with a slash at its end
        return models()
    check_model(name)
    return _model()


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "agentkit", **_OF_ANTHROPIC}


def check_model(name: str) -> None:
    """Raises RefusedRequestError with 404 for a model that the service does not have."""
    if name not in (MODEL, "default"):
        text = f"model {name!r:.80} not found; the only model is {MODEL!r}"
        raise RefusedRequestError(404, text, "model", "model_not_found")
