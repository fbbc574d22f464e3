"""Request dependencies: the service state and the authenticated subject."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, HTTPException, Request

from agentkit import SessionError
from agentkit.limits import Usage
from agentkit.serving.exchange import Answer
from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.gate import SUBJECT, Gate
from agentkit.serving.http.metrics import Metrics
from agentkit.serving.http.model_server import ModelServer
from agentkit.serving.http.openai.continuations import Continuations
from agentkit.serving.http.openai.responses.store import Responses
from agentkit.serving.http.openai.upstream import Upstream
from agentkit.serving.http.runs import Runs
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.usage_history import UsageHistory

T = TypeVar("T")


@dataclass(frozen=True)
class State:
    """The components of one service. fingerprint: of the configuration that makes its answers. limiters: see
    `in_few_threads`."""

    settings: HttpSettings
    conversations: Conversations
    runs: Runs
    metrics: Metrics
    authenticator: Authenticator
    gate: Gate
    model_server: ModelServer
    continuations: Continuations
    usage: UsageHistory
    responses: Responses
    upstream: Upstream
    fingerprint: str
    limiters: dict[str, CapacityLimiter] = field(default_factory=dict)

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

    async def in_few_threads(self, name: str, at_once: int, work: Callable[[], T]) -> T:
        """Do blocking work that may take seconds, `at_once` of its kind at the same time: the rest waits without a
        thread, so that those of other requests stay free. name: of the kind."""
        limiter = self.limiters.setdefault(name, CapacityLimiter(at_once))
        return await to_thread.run_sync(work, limiter=limiter)

    def sessions_problem(self) -> str | None:
        """Return what is wrong with the session store; None when it can be read."""
        try:
            "readyz" in self.conversations.service.sessions  # noqa: B015 - only whether the store can be read matters
        except SessionError as error:
            return type(error).__name__
        return None


def state_of(request: Request) -> State:
    """Return the service state of a request."""
    state: State = request.app.state.service
    return state


def caller_of(request: Request) -> tuple[State, str]:
    """Return the service state and the authenticated subject of a request that only authenticated callers may send."""
    return request.app.state.service, _subject_in(request)


def _subject_in(request: Request) -> str:
    """The subject that the gate has found. Raises HTTPException where it has let a request pass as a public one."""
    subject: str | None = request.scope.get(SUBJECT)
    if subject is None:
        raise HTTPException(401, "this path needs an API key")
    return subject


async def _state_of(request: Request) -> State:
    return state_of(request)


async def _subject_of(request: Request) -> str:
    return _subject_in(request)


Service = Annotated[State, Depends(_state_of)]
Subject = Annotated[str, Depends(_subject_of)]
"""For routes that few ask for: FastAPI takes some time for each. The others call `caller_of`."""
