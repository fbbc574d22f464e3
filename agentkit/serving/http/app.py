"""The ASGI application of the chat service."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from agentkit import __version__
from agentkit.backend import Backend
from agentkit.backends import OpenAIBackend
from agentkit.errors import MissingExtraError
from agentkit.evidence.settings import mode_of
from agentkit.net.hosted import is_hosted
from agentkit.providers import resolve
from agentkit.running.agent_tools import AnyTool, toolbox_of
from agentkit.serving.answer_cache import CachedAnswers, answer_store
from agentkit.serving.chat_service import ChatService
from agentkit.serving.environment import data_folder, show_warnings
from agentkit.serving.hook_loading import load_hooks
from agentkit.serving.http import chat, health, websocket
from agentkit.serving.http.anthropic import routes as messages
from agentkit.serving.http.application import Application
from agentkit.serving.http.auth import Authenticator
from agentkit.serving.http.connections import STATE_KEY, Connections, limits_of
from agentkit.serving.http.conversations import Conversations
from agentkit.serving.http.dependencies import State
from agentkit.serving.http.direct import direct_routes
from agentkit.serving.http.errors import add_handlers
from agentkit.serving.http.gate import Gate
from agentkit.serving.http.metrics import Metrics
from agentkit.serving.http.middleware import Entrance
from agentkit.serving.http.model_server import ModelServer, ToolArrival
from agentkit.serving.http.openai import chat_completions, models, passed_through
from agentkit.serving.http.openai.answers import fingerprint_of
from agentkit.serving.http.openai.continuations import Continuations
from agentkit.serving.http.openai.responses import routes as responses
from agentkit.serving.http.openai.responses.store import Responses
from agentkit.serving.http.openai.upstream import Upstream
from agentkit.serving.http.page import about, attachments, branches, search, sharing
from agentkit.serving.http.page import routes as live_answers
from agentkit.serving.http.page.files import page_folder
from agentkit.serving.http.prompts import Prompts
from agentkit.serving.http.runs import Runs
from agentkit.serving.http.settings import HttpSettings
from agentkit.serving.rate_limit import RateLimiter, rate_limit_storage
from agentkit.serving.tool_loading import mcp_servers, named_tools
from agentkit.serving.upstream import model_server
from agentkit.serving.usage_history import UsageHistory
from agentkit.session import Sessions
from agentkit.sessions import open_sessions

if TYPE_CHECKING:
    from agentkit.serving.mqtt.embedded import EmbeddedBridge

logger = logging.getLogger("agentkit.http")

ROUTERS = (  # a request is compared with their routes in this order
    chat_completions.routes,
    chat.routes,
    live_answers.routes,
    branches.routes,
    search.routes,
    sharing.routes,
    sharing.public,
    websocket.routes,
    responses.routes,
    messages.routes,
    models.routes,
    passed_through.routes,
    health.routes,
    attachments.routes,
    about.routes,
)
OPENAI = "https://api.openai.com/v1"
USUAL_RATE = 60
"""Requests per subject and minute where none are set."""


def create_app(settings: HttpSettings | None = None) -> FastAPI:
    """Create the service as an ASGI application. settings: None reads them from the environment.

    Raises ConfigurationError for an unusable model, tool, hook, prompt file or key file, SessionError for the session
    store.
    """
    show_warnings()
    settings = settings or HttpSettings()
    backend, url = model_of(settings)
    sessions = open_sessions(settings.agentkit_sessions)
    chat_service = _chat_service(settings, backend, sessions)
    runs = Runs(chat_service, settings.agentkit_max_runs)
    state = state_of_service(settings, backend, url, chat_service, runs)

    start_mqtt = mqtt_of(settings, chat_service)
    connections = Connections(limits_of(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        bridge = start_mqtt()
        app.state.mqtt_problem = bridge.problem if bridge is not None else lambda: None
        connections.on_stop = partial(_begin_to_stop, app, connections)
        yield {STATE_KEY: connections}
        app.state.on_stop()
        if bridge is not None:
            bridge.stop()
        await state.conversations.live.finish(settings.agentkit_stop_seconds * 0.7)  # by then they are stopped
        runs.close(min(5.0, settings.agentkit_stop_seconds / 10))
        state.usage.write()
        backend.close()
        sessions.close()

    def entrance(inner: ASGIApp) -> Entrance:
        """What requests pass first. FastAPI is needed for all routes where the program handles errors in its own
        way."""
        return Entrance(inner, state, direct_routes(ROUTERS) if app.exception_handlers == ours else {})

    app = Application(
        entrance,
        state.authenticator.needs_key,
        title="agentkit",
        description=DESCRIPTION,
        lifespan=lifespan,
        servers=[{"url": settings.agentkit_root_path}] if settings.agentkit_root_path else None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = state
    app.state.document_places = attachments.DocumentPlaces()
    app.state.on_stop = app.state.mqtt_problem = lambda: None
    add_handlers(app)
    ours = dict(app.exception_handlers)
    for each in ROUTERS:  # `include_router` makes all of their routes again, at the first request: 0.2 s of CPU
        app.router.routes.extend(each.routes)
    _add_pages(app)
    return app


def _chat_service(settings: HttpSettings, backend: Backend, sessions: Sessions) -> ChatService:
    return ChatService(
        cached(backend, settings),
        sessions,
        history_tokens=settings.llm_max_history_tokens,
        calls_at_once=settings.agentkit_max_runs,
        evidence=mode_of(settings.agentkit_evidence),
        taint=settings.agentkit_taint,
        hooks=load_hooks(settings.agentkit_hooks),
    )


def state_of_service(
    settings: HttpSettings, backend: Backend, url: str | None, chat_service: ChatService, runs: Runs
) -> State:
    """Return the components of a service. url: as `model_of` returns it. Raises ConfigurationError."""
    tools = tools_of(settings)
    toolbox = toolbox_of(tools)
    authenticator = Authenticator(settings)
    rates = RateLimiter(settings.agentkit_rate or USUAL_RATE, rate_limit_storage(settings.agentkit_sessions))
    return State(
        settings,
        Conversations(chat_service, tools, Prompts(settings.agentkit_prompts)),
        runs,
        Metrics(runs, toolbox.names, settings.prometheus_multiproc_dir),
        authenticator,
        Gate(settings, authenticator, rates),
        check_of(settings, backend, url, has_tools=bool(tools)),
        Continuations(chat_service.sessions),
        UsageHistory(chat_service.sessions),
        Responses(chat_service.sessions),
        Upstream(backend, settings.agentkit_max_runs),
        fingerprint_of(__version__, repr(backend), toolbox.schemas),
    )


DESCRIPTION = """HTTP API of an agent that answers messages with the help of its tools.

Authenticate with an API key or a JWT in the header `Authorization: Bearer TOKEN`, or `x-api-key: TOKEN`. A service
without keys and JWT settings accepts unauthenticated requests and listens on loopback only. Errors have the body
`{"detail": "..."}`; under `/v1` they have the format of the OpenAI API."""


def _begin_to_stop(app: FastAPI, connections: Connections) -> None:
    """Let answers be finished, for most of the time that there is; then end them, and at last close what is open."""
    service, loop = app.state.service, asyncio.get_running_loop()
    seconds = service.settings.agentkit_stop_seconds
    app.state.on_stop()
    loop.call_later(seconds * 0.7, service.runs.stop)
    loop.call_later(seconds * 0.8, connections.drop_all)


def model_of(settings: HttpSettings) -> tuple[Backend, str | None]:
    """Return the model, and the API URL of its server or None. Raises ConfigurationError."""
    if settings.agentkit_model:
        backend = resolve(settings.agentkit_model)
        return backend, backend.capabilities().base_url or (OPENAI if isinstance(backend, OpenAIBackend) else None)
    backend = model_server(
        settings.llm_server_url,
        timeout=settings.llm_timeout,
        temperature=settings.llm_temperature,
        top_p=settings.llm_top_p,
        max_tokens=settings.llm_max_tokens,
        thinks=not settings.llm_skip_thinking,
    )
    return backend, backend.base_url


def cached(backend: Backend, settings: HttpSettings) -> Backend:
    """Return the model, with the answers that it has given where they are kept."""
    seconds = settings.agentkit_answer_cache_seconds
    if seconds is None:
        return backend
    temperature = None if settings.agentkit_model else settings.llm_temperature
    defaults = [settings.llm_top_p, settings.llm_max_tokens, settings.llm_skip_thinking]
    store = answer_store(seconds, settings.agentkit_sessions)
    return CachedAnswers(backend, store, temperature, [__version__, repr(backend), defaults])


def check_of(settings: HttpSettings, backend: Backend, url: str | None, has_tools: bool) -> ModelServer:
    """Return the health check of the model. url: the API URL of its server, None for a model in this process."""
    tools = ToolArrival(backend) if has_tools and not (url and is_hosted(url)) else None
    return ModelServer(url, None if settings.agentkit_model else settings.llm_server_url, tools)


def tools_of(settings: HttpSettings) -> tuple[AnyTool, ...]:
    """Return the agent's tools. Raises ConfigurationError."""
    named = named_tools(settings.agentkit_tools, (settings.agentkit_docs or "").splitlines() or None)
    return (*named, *mcp_servers(settings.agentkit_mcp))


def mqtt_of(settings: HttpSettings, chat_service: ChatService) -> "Callable[[], EmbeddedBridge | None]":
    """Return a function that starts the MQTT bridge on the same sessions and model, and returns it; None where there is
    none. Raises ConfigurationError for an invalid address, invalid projects and unusable certificates."""
    if not settings.agentkit_mqtt_projects:
        return lambda: None
    try:
        from agentkit.serving.mqtt.broker_address import connection_fields
        from agentkit.serving.mqtt.client_id import installation_name
        from agentkit.serving.mqtt.embedded import EmbeddedBridge
        from agentkit.serving.mqtt.projects import projects_named
        from agentkit.serving.mqtt.settings import BridgeSettings
        from agentkit.serving.mqtt.tls import mqtt_client
    except ImportError:
        raise MissingExtraError("the MQTT bridge", "mqtt") from None
    password, folder = settings.agentkit_mqtt_password, data_folder() / "bridges"
    connection = connection_fields(
        broker=settings.agentkit_mqtt_broker,
        port=settings.agentkit_mqtt_port,
        username=settings.agentkit_mqtt_username,
        password=password.get_secret_value() if password else None,
        password_file=settings.agentkit_mqtt_password_file,
        tls=settings.agentkit_mqtt_tls,
        transport=settings.agentkit_mqtt_transport,
        websocket_path=settings.agentkit_mqtt_websocket_path,
        ca_file=settings.agentkit_mqtt_ca_file,
        cert_file=settings.agentkit_mqtt_cert_file,
        key_file=settings.agentkit_mqtt_key_file,
        alpn=settings.agentkit_mqtt_alpn,
        any_hostname=settings.agentkit_mqtt_any_hostname,
    )
    bridge = BridgeSettings(**connection, client_id=f"agentkit-serve-{installation_name(folder)}")
    mqtt_client(bridge)  # a certificate that can't be used is an error now, and not only in the log
    projects = projects_named(settings.agentkit_mqtt_projects)
    return lambda: EmbeddedBridge(projects, chat_service, bridge, folder)


def _add_pages(app: FastAPI) -> None:
    """Add the chat page and the API documentation page, if their files are there."""
    folder = page_folder()
    if folder is None:
        return

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse((folder / "docs.html").read_text(encoding="utf-8"))

    app.mount("/static", StaticFiles(directory=folder), name="static")
