"""Request dependencies: the service state, the authenticated subject, and the rate limit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from agentkit import SessionError
from agentkit.limits import Usage
from agentkit.serving.exchange import Answer
from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.gate import SUBJECT, Refusal, subject
from agentkit.serving.http.metrics import Metrics
from agentkit.serving.http.model_server import ModelServer
from agentkit.serving.http.openai.continuations import Continuations
from agentkit.serving.http.openai.responses.store import Responses
from agentkit.serving.http.openai.upstream import Upstream
from agentkit.serving.http.runs import Runs
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.rate_limit import RateLimiter
from agentkit.serving.usage_history import UsageHistory


@dataclass(frozen=True)
class State:
    """The components of one service. fingerprint: of the configuration that makes its answers."""

    settings: HttpSettings
    conversations: Conversations
    runs: Runs
    metrics: Metrics
    authenticator: Authenticator
    rates: RateLimiter
    model_server: ModelServer
    continuations: Continuations
    usage: UsageHistory
    responses: Responses
    upstream: Upstream
    fingerprint: str

    def noting(self, subject: str, prompt: tuple[str, str] | None = None) -> Callable[[Answer], None]:
        """Return a function that counts an answer, and what it took, for a subject; from any thread. prompt: name and
        version of the system prompt."""

        def note(answer: Answer) -> None:
            self.metrics.note(answer, subject, prompt)
            if not answer.result.replayed:
                self.usage.note(subject, answer.usage)

        return note

    def note_passed_on(self, usage: Usage, subject: str) -> None:
        """Count what a request took that the model server has answered itself."""
        self.metrics.note_usage(usage, subject)
        self.usage.note(subject, usage)

    def sessions_problem(self) -> str | None:
        """Return what is wrong with the session store; None when it can be read."""
        try:
            "readyz" in self.conversations.service.sessions  # noqa: B015 - only whether the store can be read matters
        except SessionError as error:
            return type(error).__name__
        return None


async def state_of(request: Request) -> State:
    """Return the service state of a request."""
    state: State = request.app.state.service
    return state


async def subject_of(request: Request, state: Annotated[State, Depends(state_of)]) -> str:
    """Return the authenticated subject. Raises HTTPException with 401 when authentication fails."""
    found: str | None = request.scope.get(SUBJECT)
    if found is not None:
        return found
    try:
        return await subject(state.authenticator, request.scope)
    except Refusal as refusal:
        raise HTTPException(refusal.status, refusal.detail, dict(refusal.headers)) from None


Service = Annotated[State, Depends(state_of)]
Subject = Annotated[str, Depends(subject_of)]


async def check_rate(subject: Subject, state: Service) -> None:
    """Check the rate limit of the subject. Raises HTTPException with 429 when it is exceeded. A service that needs no
    key has one user, and no limit unless one is set."""
    if state.settings.agentkit_rate is None and state.authenticator.is_open:
        return
    rates = state.rates
    is_allowed = await run_in_threadpool(rates.allows, subject) if rates.is_remote else rates.allows(subject)
    if not is_allowed:
        wait = await run_in_threadpool(rates.wait, subject)
        raise HTTPException(429, f"rate limit exceeded; try again in {wait} seconds", {"Retry-After": str(wait)})
