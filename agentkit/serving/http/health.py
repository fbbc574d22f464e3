"""Health, liveness, readiness and metrics endpoints."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from agentkit.serving.http.auth import TOKEN
from agentkit.serving.http.dependencies import Service, Subject
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.keys import KeyFileError
from agentkit.serving.http.metrics import CONTENT_TYPE
from agentkit.serving.http.schemas import ErrorResponse, Health

routes = APIRouter()


@routes.get(
    "/api/llm/health",
    tags=["health"],
    summary="Check the model server",
    responses={503: {"model": Health, "description": "The model server is unavailable"}},
    response_model_exclude_unset=True,
)
def health(
    state: Service, response: Response, authorization: Annotated[str | None, Header(include_in_schema=False)] = None
) -> Health:
    """Returns the state of the model server: 200 if it is reachable, otherwise 503. `degraded` means that it answers,
    but that the tools of the service do not reach the model. Only callers with a valid key are told its address and
    the settings."""
    problem = state.model_server.problem()
    degradation = None if problem else state.model_server.degradation()
    if problem:
        response.status_code = 503
    found = Health(
        status="unavailable" if problem else "degraded" if degradation else "ok", detail=problem or degradation
    )
    if not _is_trusted(state, authorization):
        return found
    return found.model_copy(
        update={
            "server_url": state.model_server.display_url,
            "temperature": state.settings.llm_temperature,
            "max_tokens": state.settings.llm_max_tokens,
        }
    )


def _is_trusted(state: Service, authorization: str | None) -> bool:
    """Whether a caller has a valid key; nobody has one while the keys can't be read."""
    try:
        return authorization is not None and state.authenticator.subject(authorization) is not None
    except KeyFileError:
        return False


@routes.get("/livez", tags=["health"], summary="Liveness probe", response_class=PlainTextResponse)
async def live() -> str:
    """Returns `ok` while the service process is running."""
    return "ok"


@routes.get(
    "/readyz", tags=["health"], summary="Readiness probe", responses={503: {"description": "The service is not ready"}}
)
def ready(state: Service) -> JSONResponse:
    """Returns whether requests can be answered: the session store is readable, the model server is reachable, and the
    maximum number of concurrent answers is not reached."""
    problems = {"model": state.model_server.problem(), "sessions": state.sessions_problem()}
    if state.runs.is_full:
        problems["runs"] = "the maximum number of concurrent answers is reached"
    found = {name: problem for name, problem in problems.items() if problem}
    return JSONResponse({"status": "unavailable" if found else "ok", **found}, 503 if found else 200)


@routes.get("/metrics", tags=["metrics"], summary="Prometheus metrics", responses=error_responses(ErrorResponse, 401))
def metrics(state: Service, subject: Subject) -> Response:
    """Returns metrics in the Prometheus text format. Of the series by subject, a caller with a token (JWT) sees its
    own, and one with an API key all."""
    only = subject if subject.startswith(TOKEN) else None
    return Response(state.metrics.text(only), media_type=CONTENT_TYPE)
