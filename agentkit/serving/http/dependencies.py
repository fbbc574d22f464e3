"""What a request works with: the service behind it, and who asks."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from agentkit import SessionError
from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.metrics import Metrics
from agentkit.serving.http.model_server import ModelServer
from agentkit.serving.http.runs import Runs
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.rate_limit import RateLimiter


@dataclass(frozen=True)
class State:
    """One service."""

    settings: HttpSettings
    conversations: Conversations
    runs: Runs
    metrics: Metrics
    door: Authenticator
    rates: RateLimiter
    model_server: ModelServer

    def sessions_problem(self) -> str | None:
        """What is wrong with the store of sessions; None when it can be read."""
        try:
            "readyz" in self.conversations.answerer.sessions  # noqa: B015 - it is asked, whatever the answer
        except SessionError as error:
            return type(error).__name__
        return None


async def state_of(request: Request) -> State:
    """The service of a request."""
    state: State = request.app.state.service
    return state


async def subject_of(request: Request, state: Annotated[State, Depends(state_of)]) -> str:
    """Who asks. Raises HTTPException with 401 when that can't be made out."""
    token = request.headers.get("authorization")
    door = state.door
    subject = await run_in_threadpool(door.subject, token) if door.is_remote else door.subject(token)
    if subject is None:
        raise HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": "Bearer"})
    return subject


Service = Annotated[State, Depends(state_of)]
Subject = Annotated[str, Depends(subject_of)]


async def allowed(subject: Subject, state: Service) -> None:
    """Whether the one who asks keeps to the rate. Raises HTTPException with 429."""
    rates = state.rates
    is_allowed = await run_in_threadpool(rates.allows, subject) if rates.is_remote else rates.allows(subject)
    if not is_allowed:
        wait = await run_in_threadpool(rates.wait, subject)
        raise HTTPException(429, f"too many requests: try again in {wait} seconds", {"Retry-After": str(wait)})
