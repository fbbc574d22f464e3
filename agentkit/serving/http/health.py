"""Health, liveness, readiness and metrics endpoints."""

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from agentkit.serving.http.auth import TOKEN, authorizations
from agentkit.serving.http.dependencies import Service, State, Subject
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.keys import KeyFileError
from agentkit.serving.http.metrics import CONTENT_TYPE
from agentkit.serving.http.schemas import ErrorResponse, Health

CHECKS, AT_ONCE = "checks", 4
"""How many checks a process does at a time: nobody needs a key for them, and a server that hangs takes seconds."""

routes = APIRouter()


@routes.get(
    "/api/llm/health",
    tags=["health"],
    summary="Check the model server",
    responses={503: {"model": Health, "description": "The model server is unavailable"}},
    response_model_exclude_unset=True,
)
async def health(state: Service, request: Request, response: Response) -> Health:
    """Returns the state of the model server: 200 if it is reachable, otherwise 503. `degraded` means that it answers,
    but that the tools of the service do not reach the model. Only callers with a valid key are told its address and
    the settings."""
    found = await state.in_few_threads(CHECKS, AT_ONCE, partial(_health, state, authorizations(request.headers.get)))
    if found.status == "unavailable":
        response.status_code = 503
    return found


def _health(state: State, given: Sequence[str]) -> Health:
    problem = state.model_server.problem()
    degradation = None if problem else state.model_server.degradation()
    found = Health(
        status="unavailable" if problem else "degraded" if degradation else "ok", detail=problem or degradation
    )
    if not _is_trusted(state, given):
        return found
    return found.model_copy(
        update={
            "server_url": state.model_server.display_url,
            "temperature": state.settings.llm_temperature,
            "max_tokens": state.settings.llm_max_tokens,
        }
    )


def _is_trusted(state: State, given: Sequence[str]) -> bool:
    """Whether a caller has a valid key; nobody has one while the keys can't be read."""
    try:
        return state.authenticator.subject_of(given) is not None
    except KeyFileError:
        return False


@routes.get("/livez", tags=["health"], summary="Liveness probe", response_class=PlainTextResponse)
async def live() -> str:
    """Returns `ok` while the service process is running."""
    return "ok"


@routes.get(
    "/readyz", tags=["health"], summary="Readiness probe", responses={503: {"description": "The service is not ready"}}
)
async def ready(state: Service, request: Request) -> JSONResponse:
    """Returns whether requests can be answered: the session store is readable, the model server is reachable, and the
    maximum number of concurrent answers is not reached. `degraded` means that they can, but that the MQTT bridge of the
    service is not connected to its broker."""
    found = await state.in_few_threads(CHECKS, AT_ONCE, partial(_problems, state))
    problem = request.app.state.mqtt_problem()
    status = "unavailable" if found else "degraded" if problem else "ok"
    return JSONResponse({"status": status, **found, **({"mqtt": problem} if problem else {})}, 503 if found else 200)


def _problems(state: State) -> dict[str, str]:
    problems = {"model": state.model_server.problem(), "sessions": state.sessions_problem()}
    if state.runs.is_full:
        problems["runs"] = "the maximum number of concurrent answers is reached"
    return {name: problem for name, problem in problems.items() if problem}


@routes.get(
    "/metrics",
    tags=["metrics"],
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=error_responses(ErrorResponse, 401),
)
def metrics(state: Service, subject: Subject) -> Response:
    """Returns metrics in the Prometheus text format. Of the series by subject, a caller with a token (JWT) sees its
    own, and one with an API key all."""
    only = subject if subject.startswith(TOKEN) else None
    return Response(state.metrics.text(only), media_type=CONTENT_TYPE)
