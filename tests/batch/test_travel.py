"""Agents, tools, stores and errors go to other processes by reference and without keys, or say what to do."""

import copy
import importlib
import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
import requests

import agentkit
import agentkit.net.pickled_errors
import agentkit_tools
from agentkit import Agent, ConfigurationError, Hook, Limits, Window, tool
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.batch.items import BadLine
from agentkit.batch.job import Job
from agentkit.errors import DependencyError, IsolationError, OutputError, StatusError
from agentkit.providers import resolve
from agentkit.retrieval import embedder
from agentkit.sessions import open_sessions
from agentkit.sessions.memory import MemorySessions
from agentkit.tooling.questions import Question, QuestionAsked
from agentkit_tools import documents, image_loader, page_visitor, search, visit, web_search
from tests.support.model_server import Answer, serve, whole

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
SECRET = "sk-a-key-of-this-process"


def again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@tool(read_only=True)
def double(x: int) -> int:
    """Double a number."""
    return 2 * x


def ask_first(arguments: dict[str, Any]) -> bool:
    """Whether a person is asked."""
    return True


@tool(approve=ask_first)
def send(text: str) -> str:
    """Send a text."""
    return text


class Quiet(Hook):
    """A hook of a module."""

    def on_event(self, event: Any) -> None:
        """Say nothing."""


# Errors


def exceptions_of(kind: Any) -> Iterator[Any]:
    for each in kind.__subclasses__():
        yield each
        yield from exceptions_of(each)


DEFINES_ONE = re.compile(r"^\s*class \w+\([^)]*(?:Error|Exception|Remade)\b", re.MULTILINE)


def every_exception() -> list[type[BaseException]]:
    """All classes of exceptions of agentkit, of the tool pack and of the openai package, but for those of its helpers
    for its own agents, which agentkit does not use."""
    for package in (agentkit, agentkit_tools):
        folder = Path(str(package.__file__)).parent
        for file in sorted(folder.rglob("*.py")):
            if DEFINES_ONE.search(file.read_text("utf-8")):
                name = ".".join((package.__name__, *file.relative_to(folder).with_suffix("").parts))
                importlib.import_module(name.removesuffix(".__init__"))
    own = [each for each in exceptions_of(BaseException) if each.__module__.startswith("agentkit")]
    found = {*own, *(each for each in exceptions_of(openai.OpenAIError) if ".beta." not in each.__module__)}
    return sorted(found, key=lambda each: (each.__module__, each.__qualname__))


REQUEST = httpx2.Request("POST", "http://host/v1", headers={"Authorization": f"Bearer {SECRET}"})
MADE_WITH: dict[str, Any] = {
    "request": REQUEST,
    "response": httpx2.Response(529, json={"error": {"message": "busy"}}, request=REQUEST),
    "body": {"message": "busy", "code": "overloaded"},
    "question": Question("Which one?"),
    "requests": {"a": {"method": "elicitation/create", "params": {}}},
    "completion": None,
    "unsent_messages": ["Hello"],
    "status": 503,
    "status_code": 503,
    "symbol": "Completion",
    "bad": [BadLine(3, "it is no JSON")],
    "count": 1,
}


def made(kind: type[BaseException]) -> BaseException:
    """An exception with all arguments that its class asks for."""
    try:
        parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    except ValueError:
        return kind("the message")
    needed = [each for each in parameters if each.default is each.empty]
    by_name = {each.name: MADE_WITH.get(each.name, f"the {each.name}") for each in needed}
    named = {each.name: by_name[each.name] for each in needed if each.kind is each.KEYWORD_ONLY}
    placed = [by_name[each.name] for each in needed if each.kind is each.POSITIONAL_OR_KEYWORD]
    takes_any = any(each.kind is each.VAR_POSITIONAL for each in parameters)
    if kind.__name__ == "LengthFinishReasonError":
        named["completion"] = type("Completion", (), {"usage": None})()
    return kind(*placed or (["the message"] if takes_any else []), **named)


def test_every_exception_is_loaded_with_its_class_its_text_and_its_attributes() -> None:
    kinds = every_exception()
    assert len(kinds) > 80
    wrong = {}
    for kind in kinds:
        error: Any = made(kind)
        error.__dict__.pop("completion", None)
        error.messages = [{"role": "user", "content": "Hello"}]
        try:
            other = again(error)
        except Exception as failed:  # noqa: BLE001 - whatever pickle raises
            wrong[kind.__qualname__] = repr(failed)
            continue
        kept = {name for name in vars(error) if name not in ("request", "response", "_recovery")}
        same = type(other) is kind and str(other) == str(error) and vars(other)["messages"] == error.messages
        if not same or {name: vars(other)[name] for name in kept} != {name: vars(error)[name] for name in kept}:
            wrong[kind.__qualname__] = f"{type(other).__qualname__}: {other} {vars(other)}"
    assert wrong == {}


def test_no_error_of_openai_s_takes_the_key_along() -> None:
    for kind in {openai.APIError, *exceptions_of(openai.APIError)}:
        assert SECRET.encode() not in pickle.dumps(made(kind)), kind


class OfAGateway(openai.RateLimitError):
    """A subclass of another package, defined later."""


def test_what_dask_does_to_the_pickles_of_exceptions_takes_no_key_along() -> None:
    """tblib registers its own reducer for all exceptions, in each process that has imported distributed."""
    pickling_support = pytest.importorskip("tblib.pickling_support")
    for kind in (openai.RateLimitError, OfAGateway):
        error: Any = made(kind)
        error.messages = []
        reduced = pickling_support.pickle_exception(error)
        assert SECRET.encode() not in pickle.dumps(reduced[1])
        other = again(error)
        assert (type(other), other.status_code, other.messages, str(other)) == (kind, 529, [], str(error))


def test_a_question_to_a_person_is_loaded_with_it() -> None:
    asked = again(QuestionAsked(Question("Which one?", {"type": "object"})))
    assert asked.question == Question("Which one?", {"type": "object"})


# Tools


@pytest.mark.parametrize("each", [double, send, search, visit])
def test_a_tool_of_a_module_is_a_hundred_bytes_and_the_same_tool(each: Any) -> None:
    stored = pickle.dumps(each)
    assert len(stored) <= 100
    assert pickle.loads(stored) is each


@pytest.mark.parametrize(
    "make",
    [
        lambda: documents(DOCUMENTS, results=3),
        lambda: [page_visitor(timeout=7), image_loader()],
        lambda: [web_search("brave", results=3)],
        lambda: Limits(turns=3, cost=0.1),
        lambda: Window(9000),
        lambda: embedder("openai:m@http://localhost:1/v1"),
        lambda: resolve("openai:m"),
        lambda: resolve("lightllm:m@http://localhost:1"),
        lambda: resolve("llamacpp:@http://localhost:1"),
        lambda: resolve("extractive"),
        lambda: Agent(["openai:m", "lightllm:m@http://localhost:1"], tools=[double, send], hooks=[Quiet()]),
    ],
    ids=[
        "documents",
        "pages",
        "search",
        "limits",
        "window",
        "embedder",
        "openai",
        "lightllm",
        "llamacpp",
        "own",
        "agent",
    ],
)
def test_what_is_made_of_names_and_arguments_travels_small_and_without_a_key(
    make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "BRAVE_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    given = make()
    stored = pickle.dumps(given)
    assert SECRET.encode() not in stored
    assert len(stored) < 1500
    assert repr(type(pickle.loads(stored))) == repr(type(given))


def test_a_backend_that_was_made_from_a_name_is_made_again_with_the_key_of_the_other_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    stored = pickle.dumps(Agent(resolve("openai:m")))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-worker")
    backend: Any = pickle.loads(stored).backend
    assert (backend.capabilities().model, backend._api_key) == ("m", "sk-of-the-worker")


@pytest.mark.parametrize("kind", [OpenAIBackend, LightLLMBackend])
def test_a_backend_made_by_hand_stays_where_its_key_is(kind: Any) -> None:
    backend = kind("m", base_url="http://localhost:1", api_key=SECRET)
    agent = Agent(backend)
    with pytest.raises(pickle.PicklingError, match=rf"the backend {kind.__name__} can't be pickled \(it was made by"):
        pickle.dumps(agent)
    assert copy.copy(backend).capabilities() == backend.capabilities()
    backend.close()


@pytest.mark.parametrize("url", ["http://me:open-sesame@localhost:1/v1", "http://localhost:1/v1?api_key=open-sesame"])
def test_a_password_in_the_address_of_a_model_is_read_from_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = Agent(f"llamacpp:m@{url}")
    with pytest.raises(
        pickle.PicklingError, match=r"the model llamacpp:m@.* can't be pickled \(it has a key"
    ) as caught:
        pickle.dumps(agent)
    assert "me:" not in str(caught.value)
    monkeypatch.setenv("MODEL_PASSWORD", "open-sesame")
    stored = pickle.dumps(agent)
    assert b"sesame" not in stored
    assert pickle.loads(stored)._model == agent._model


# Stores of sessions


def test_a_session_in_a_file_is_opened_by_the_other_process(tmp_path: Path) -> None:
    with open_sessions(tmp_path / "chat.db") as store:
        session = again(store["alice"])
        session.append([{"role": "user", "content": "Hello"}])
        assert [each["content"] for each in store["alice"].messages] == ["Hello"]


def test_a_redis_store_travels_by_its_address_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "redis://me:open-sesame@localhost:1/0"
    assert repr(again(open_sessions("redis://localhost:1/0?prefix=x:"))) == "RedisSessions(localhost:1)"
    with pytest.raises(pickle.PicklingError, match="it has a key"):
        pickle.dumps(open_sessions(url))
    monkeypatch.setenv("REDIS_URL", url)
    stored = pickle.dumps(open_sessions(url))
    assert b"sesame" not in stored
    assert pickle.loads(stored)._client.address.login == "me:open-sesame@"


def test_sessions_in_memory_say_what_to_use_instead() -> None:
    with pytest.raises(pickle.PicklingError, match=r"of one process: use .*SQLiteSessions"):
        pickle.dumps(MemorySessions())


# What can't travel


class Held:
    """A hook's neighbour with a key."""

    def __init__(self) -> None:
        self.header = SECRET

    @tool
    def look(self) -> str:
        """Look."""
        return "seen"


def local() -> Any:
    @tool
    def inner() -> str:
        """Do it."""
        return "done"

    return inner


class _Local(Quiet):
    def __init__(self) -> None:
        self.function = lambda: None


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: Agent("extractive", tools=[local()]), "tool inner: its function local.<locals>.inner"),
        (lambda: Agent("extractive", tools=[tool(approve=lambda given: True)(ask_first)]), "its approve function"),
        (lambda: Agent("extractive", instructions=lambda context: "x"), "the function instructions"),
        (lambda: Agent("extractive", output_check=lambda answer: None), "the function output_check"),
        (lambda: Agent("extractive", hooks=[_Local()]), "the hook _Local"),
        (lambda: Agent("extractive", middleware=[lambda backend: backend]), "the middleware"),
        (lambda: Agent(OpenAIBackend("m", "http://localhost:1")), "the backend OpenAIBackend"),
        (lambda: Agent("extractive", judge=OpenAIBackend("m", "http://localhost:1")), "the judge"),
        (lambda: Agent("extractive", tools=[Held().look]), "the key of the environment variable A_TOKEN is in it"),
    ],
)
def test_a_job_says_which_part_of_the_agent_stays_at_home_and_what_to_do(
    make: Callable[[], Agent], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_TOKEN", SECRET)
    job = Job.of(make())
    with pytest.raises(ConfigurationError) as caught:
        job.to_json()
    assert part in str(caught.value)
    assert "--agent module:make_agent" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert not job.travels
    assert job.agent_here() is job.given  # threads have it


# Public reports


def test_an_agent_that_has_answered_travels_as_before() -> None:
    """NVIDIA/garak#659: a client that is made at the first use can't be pickled from then on."""
    with serve([whole("Hello.")]) as server, Agent(f"openai:m@{server.url}", tools=[double]) as agent:
        before = pickle.dumps(agent)
        assert agent.run("Hi").output == "Hello."
        assert pickle.dumps(agent) == before
        with pickle.loads(before) as other:
            assert other.run("Hi").output == "Hello."


def test_an_overload_keeps_its_status_on_the_way_to_the_parent() -> None:
    """meridianlabs-ai/inspect_scout#616, ray-project/ray#55476: APIStatusError takes arguments by keyword, which
    pickle does not know of."""
    with serve([Answer(b'{"error": {"message": "overloaded"}}', 529)] * 3) as server:
        with Agent(f"openai:m@{server.url}") as agent, pytest.raises(openai.APIStatusError) as caught:
            agent.run("Hi")
    other, error = again(caught.value), vars(caught.value)
    assert (type(other), other.status_code, other.request_id) == (type(caught.value), 529, caught.value.request_id)
    assert str(other) == str(caught.value)
    assert other.messages == error["messages"]


def test_an_error_with_two_arguments_is_loaded() -> None:
    """deepsense-ai/ragbits#434, celery/celery#6990: dumps works and loads does not, far from where it was raised."""
    errors: list[Any] = [StatusError("gone", 410), OutputError("none", "text"), IsolationError("killed", "timeout")]
    for error in [*errors, DependencyError("this needs", "pip install it")]:
        other = again(error)
        assert (type(other), str(other), vars(other)) == (type(error), str(error), vars(error))


def test_a_client_of_the_openai_package_is_no_obstacle_where_the_agent_is_made_there() -> None:
    """openai/openai-python#837: a client can't be pickled, and need not be: a reference makes it where it is used."""
    agent = Agent(OpenAIBackend("m", client=openai.OpenAI(api_key=SECRET, base_url="http://localhost:1")))
    with pytest.raises(ConfigurationError, match="the backend OpenAIBackend can't be pickled"):
        Job.of(agent).to_json()
    made = Job.from_json(Job.of(f"{__name__}:make_with_client").to_json())
    assert isinstance(made.agent_here().backend, OpenAIBackend)
    made.close_agent()


def make_with_client() -> Agent:
    return Agent(OpenAIBackend("m", client=openai.OpenAI(api_key=SECRET, base_url="http://localhost:1")))


def test_what_signs_requests_with_a_password_is_named() -> None:
    from agentkit.mcp import MCP

    servers = MCP("https://tools.example/mcp", auth=requests.auth.HTTPBasicAuth("me", SECRET))
    with pytest.raises(ConfigurationError, match="it has a key, as password"):
        Job.of(Agent("extractive", tools=[servers])).to_json()
