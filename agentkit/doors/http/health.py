"""Whether the service lives, is ready, and what its model server does."""

import time
from urllib.parse import urlsplit

import requests
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse

from agentkit.doors.http.bodies import Health, Problem
from agentkit.doors.http.errors import promised
from agentkit.doors.http.metrics import CONTENT_TYPE
from agentkit.doors.http.state import Service, Subject
from agentkit.wording import without_password

SECONDS = 3.0
KEPT_SECONDS = 1.0

routes = APIRouter()


class ModelServer:
    """Asks a model server whether it is there; for a second the last word counts. url: of its API; None for a model in
    this process, which is always there. given: its address as the settings have it."""

    def __init__(self, url: str | None, given: str | None = None) -> None:
        self._url = url
        self._given = given or url
        self._asked = float("-inf")
        self._problem: str | None = None

    @property
    def shown(self) -> str:
        """Its address, for people."""
        return without_password(self._given) if self._given else "in this process"

    def problem(self) -> str | None:
        """What is wrong with it; None when it answers."""
        if self._url is None:
            return None
        if time.monotonic() - self._asked > KEPT_SECONDS:
            self._problem = self._ask(self._url)
            self._asked = time.monotonic()
        return self._problem

    def _ask(self, url: str) -> str | None:
        try:
            response = requests.get(f"{url.rstrip('/')}/models", timeout=SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            return f"{type(error).__name__}: nobody answers at {urlsplit(without_password(url)).netloc}"
        # one that asks for a key, or has no list of models, is there
        return f"it answers with status {response.status_code}" if response.status_code >= 500 else None


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
