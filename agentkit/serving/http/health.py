"""Whether the service lives, is ready, and what its model server does."""

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from agentkit.serving.http.dependencies import Service, Subject
from agentkit.serving.http.errors import promised
from agentkit.serving.http.metrics import CONTENT_TYPE
from agentkit.serving.http.schemas import Health, Problem

routes = APIRouter()


@routes.get("/api/llm/health", tags=["health"], responses={503: {"model": Health}})
def health(state: Service, response: Response) -> Health:
    """How the model server is: 200, or 503 when it is not there."""
    problem = state.model_server.problem()
    if problem:
        response.status_code = 503
    return Health(
        status="unavailable" if problem else "ok",
        server_url=state.model_server.shown,
        temperature=state.settings.llm_temperature,
        max_tokens=state.settings.llm_max_tokens,
        detail=problem,
    )


@routes.get("/livez", tags=["health"], response_class=PlainTextResponse)
async def live() -> str:
    """Whether the service lives."""
    return "ok"


@routes.get("/readyz", tags=["health"], responses={503: {"description": "not ready"}})
def ready(state: Service) -> JSONResponse:
    """Whether requests can be answered: sessions can be read, the model server is there, and there is room."""
    problems = {"model": state.model_server.problem(), "sessions": state.sessions_problem()}
    if state.runs.is_full:
        problems["runs"] = "as many answers as there may be are worked on"
    found = {name: problem for name, problem in problems.items() if problem}
    return JSONResponse({"status": "unavailable" if found else "ok", **found}, 503 if found else 200)


@routes.get("/metrics", tags=["metrics"], responses=promised(Problem, 401))
def metrics(state: Service, subject: Subject) -> Response:
    """Figures for Prometheus."""
    return Response(state.metrics.text(), media_type=CONTENT_TYPE)
