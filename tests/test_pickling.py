"""Agents, tools, results and errors go to another process and are copied, or say which part of them can't."""

import copy
import inspect
import io
import marshal
import multiprocessing
import pickle
import threading
import types
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from pydantic import BaseModel

import agentkit.errors
from agentkit import Agent, Context, Image, Limits, Prices, Tool, ToolError, Usage, Window, tool
from agentkit.backends import ExtractiveBackend, LightLLMBackend, OpenAIBackend
from agentkit.middleware.base import Middleware
from agentkit.net.api_errors import api_error, error_in_body, status_error
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents, image_loader, load_image, page_visitor, search, visit, web_search
from tests.support.model_server import Answer, serve

DOCUMENTS = Path(__file__).parents[1] / "examples" / "documents"


def again(value: Any, protocol: int = pickle.HIGHEST_PROTOCOL) -> Any:
    return pickle.loads(pickle.dumps(value, protocol))


@tool(read_only=True, timeout=20)
def double(x: int) -> int:
    """Double a number.

    Args:
        x: The number.
    """
    return 2 * x


@tool
def spend(amount: int, ctx: Context) -> str:
    """Spend money."""
    return f"{ctx.deps} spent {amount}"


def plain(x: int) -> int:
    """Add one."""
    return x + 1


def is_large(arguments: dict[str, Any]) -> bool:
    return bool(arguments["x"] > 100)


written = Tool("written", "Add two.", {"type": "object", "properties": {"x": {"type": "integer"}}}, lambda x: x + 2)


class Shelf:
    """An object with tools, and an agent that has them."""

    def __init__(self, books: list[str]) -> None:
        self.books = books
        self.agent = Agent(ScriptedBackend(("find", {"name": "Moby"}), "Found."), tools=[self.find, self.count])

    @tool(read_only=True)
    def find(self, name: str) -> list[str]:
        """Find books."""
        return [book for book in self.books if name in book]

    def count(self) -> int:
        """Count the books."""
        return len(self.books)


class Locked:
    """An object that can't be pickled."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    @tool
    def look(self) -> str:
        """Look."""
        return "seen"


# Errors


@pytest.mark.parametrize("kind", [each for _, each in inspect.getmembers(agentkit.errors, inspect.isclass)])
def test_every_error_keeps_its_type_its_message_and_its_attributes(kind: type[Exception]) -> None:
    if not issubclass(kind, Exception):
        return
    _, *parameters = inspect.signature(kind.__init__).parameters.values()
    names = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    error: Any = kind(*(f"the {name}" for name in names or ["message"]))
    error.messages = [{"role": "user", "content": "Hello"}]
    error.code = 7
    error.add_note("a note")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        made = again(error, protocol)
        assert type(made) is kind
        assert (str(made), made.args, vars(made)) == (str(error), error.args, vars(error))
    assert str(copy.copy(error)) == str(copy.deepcopy(error)) == str(error)


def test_an_error_with_its_own_arguments_keeps_what_they_were() -> None:
    missing = again(agentkit.errors.MissingExtraError("the bridge", "mqtt"))
    assert str(missing) == "the bridge needs the extra 'mqtt': pip install '.[mqtt]'"
    assert (missing.extra, missing.suggestion) == ("mqtt", "pip install '.[mqtt]'")
    assert again(agentkit.errors.OutputError("no answer", "the text")).text == "the text"


REQUEST = httpx2.Request("POST", "http://me:secret@host/v1?key=secret", headers={"Authorization": "Bearer secret"})


@pytest.mark.parametrize(
    "error",
    [
        *(
            status_error(status, "refused", None, {"error": {"message": "m", "code": "c"}})
            for status in (400, 401, 418)
        ),
        status_error(503, "busy"),
        api_error("broken", {"error": "x"}),
        error_in_body({"error": {"message": "too long", "code": 400}}),
        openai.APIConnectionError(message="unreachable", request=REQUEST),
        openai.APITimeoutError(REQUEST),
        openai.BadRequestError("bad", response=httpx2.Response(400, json={"a": 1}, request=REQUEST), body={"a": 1}),
        openai.APIResponseValidationError(httpx2.Response(200, text="?", request=REQUEST), None, message="not JSON"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_model_server_keeps_all_but_the_secrets_of_the_request(error: Any) -> None:
    error.messages = [{"role": "user", "content": "Hello"}]
    assert b"secret" not in pickle.dumps(error)
    made = again(error)
    assert type(made) is type(error)
    assert str(made) == str(error)
    assert made.request.method == error.request.method
    kept = {"message", "body", "code", "param", "type", "status_code", "request_id", "in_body", "messages"}
    assert {name: value for name, value in vars(made).items() if name in kept} == {
        name: value for name, value in vars(error).items() if name in kept
    }
    if isinstance(error, openai.APIStatusError):
        assert made.response.status_code == error.status_code
        assert made.response.content == (error.response.content if error.body is not None else b"")


@pytest.mark.parametrize("kind", [OpenAIBackend, LightLLMBackend])
def test_an_error_that_a_run_raises_goes_to_another_process(kind: Any) -> None:
    refusal = Answer(b'{"error": {"message": "no such model", "code": "gone"}}', 404)
    with serve([refusal]) as server, closing(kind("Qwen3-8B", base_url=server.url, api_key="sk-secret")) as backend:
        with pytest.raises(openai.NotFoundError) as caught:
            Agent(backend).run("Hello?")
    assert b"sk-secret" not in pickle.dumps(caught.value)
    made = again(caught.value)
    assert (str(made), made.status_code) == (str(caught.value), 404)
    assert made.messages == [{"role": "user", "content": "Hello?"}]


# Plain data


class City(BaseModel):
    name: str


def test_limits_results_and_events_are_equal_after_pickling() -> None:
    backend = ScriptedBackend(("double", {"x": 4}), ("final_answer", {"name": "Oslo"}))
    run = Agent(backend, tools=[double]).stream("Eight?", output=City)
    events = list(run)
    assert again(events) == events
    assert again(run.result) == run.result
    assert again(run.result).output == City(name="Oslo")
    for value in (Limits(turns=3, cost=0.5), Usage(requests=2), Window(9000), Prices(1, 2), Image(b"x", "image/png")):
        assert again(value) == value


# Tools


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("each", [double, spend, written, Shelf.find, search, visit, load_image])
def test_a_tool_of_a_module_is_pickled_as_a_reference(each: Tool[..., Any], protocol: int) -> None:
    assert again(each, protocol) is each
    assert len(pickle.dumps(each, protocol)) < 100


def test_a_tool_made_of_a_function_of_a_module_is_made_again() -> None:
    made = again(tool(name="add", description="Add.", timeout=5, retries=2, approve=is_large)(plain))
    assert (made.name, made.description, made.options.timeout, made.options.retries) == ("add", "Add.", 5, 2)
    assert made.answer('{"x": "3"}', Context()).text == "4"
    assert made.needs_approval('{"x": 101}')
    assert not made.needs_approval('{"x": 1}')
    other = again(tool(name="twice", ends_run=True)(double.function))
    assert (other.name, other.function, other.options.ends_run) == ("twice", double.function, True)
    schema = {"type": "object", "properties": {"x": {"type": "integer", "maximum": 5}}}
    by_hand = again(Tool("add", "Add.", schema, plain, read_only=True))
    assert (by_hand.parameters, by_hand.options.read_only) == (schema, True)
    assert "5" in by_hand.answer('{"x": 6}', Context()).text


def test_the_context_of_a_run_reaches_a_tool_that_was_made_again() -> None:
    for made in (again(tool(name="pay")(spend.function)), copy.copy(spend), copy.deepcopy(spend)):
        assert made.takes_context
        assert made.answer('{"amount": 3}', Context(deps="Ann")).text == "Ann spent 3"


def test_a_method_takes_its_object_along() -> None:
    shelf = Shelf(["Moby Dick", "Emma"])
    find, count = again([shelf.find, tool(shelf.count)])
    assert find("Moby") == ["Moby Dick"]
    assert count() == 2
    assert find.function.__self__ is count.function.__self__
    assert find.function.__self__ is not shelf


def test_a_tool_that_is_pickled_with_its_object_stays_its_tool() -> None:
    shelf = again(Shelf(["Moby Dick"]))
    assert shelf.agent.tools[0].function.__self__ is shelf
    agent = again(shelf.agent)
    assert agent.run("Which?").tool_calls[0].response == '["Moby Dick"]'
    owner = agent.tools[0].function.__self__
    assert owner.agent.tools[0].function.__self__ is owner


def local_tool() -> Tool[[int], int]:
    @tool
    def triple(x: int) -> int:
        """Triple a number."""
        return x * 3

    return triple


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (local_tool, r"tool triple: its function local_tool\.<locals>\.triple can't.*at the top level of a module"),
        (lambda: Tool("add", "Add.", {"type": "object"}, lambda: 1), r"tool add: its function .*<lambda> can't be"),
        (lambda: tool(approve=lambda arguments: True)(plain), r"tool plain: its approve function .*<lambda> can't be"),
        (lambda: Locked().look, r"tool look: its object, a Locked, can't be pickled \(cannot pickle '_thread.lock'"),
        (lambda: Agent("extractive", tools=[double, local_tool()]), r"^tool triple: its function"),
        (lambda: Agent("extractive", middleware=[lambda backend: backend]), r"^the middleware <function.*<lambda>"),
        (lambda: Agent(ScriptedBackend(lambda messages: "x")), r"^the backend ScriptedBackend can't be pickled"),
        (lambda: Agent(connected()), r"^the backend OpenAIBackend can't.*: make the agent where it is used, or from"),
        (
            lambda: web_search("brave", api_key="secret"),
            r"tool search.*holds an API key: set the key in",
        ),
    ],
)
def test_what_cannot_be_pickled_is_named(make: Callable[[], Any], says: str) -> None:
    value = make()
    with pytest.raises(pickle.PicklingError, match=says):
        pickle.dumps(value)


def connected() -> OpenAIBackend:
    return OpenAIBackend("m", base_url="http://localhost:1", api_key="secret")


def made_function(code: bytes, name: str) -> Any:
    return types.FunctionType(marshal.loads(code), {"tool": tool}, name)


def by_value(value: Any) -> bytes:
    """A pickle in which functions are values, from a pickler that is recognised as cloudpickle."""

    class ByValue(pickle.Pickler):
        def reducer_override(self, value: Any) -> Any:
            if isinstance(value, types.FunctionType) and "<locals>" in value.__qualname__:
                return made_function, (marshal.dumps(value.__code__), value.__name__)
            return NotImplemented

    names: dict[str, Any] = {"__name__": "joblib.externals.cloudpickle.cloudpickle", "ByValue": ByValue}
    exec("def dump(value, file): ByValue(file).dump(value)", names)  # noqa: S102
    file = io.BytesIO()
    names["dump"](value, file)
    return file.getvalue()


def test_a_pickler_that_takes_functions_by_value_may_take_local_ones() -> None:
    agent = Agent("extractive", tools=[double, Tool("local", "Any.", {"type": "object"}, lambda: "any")])
    made = pickle.loads(by_value(agent))
    assert made.tools[0] is double
    assert made.tools[1]() == "any"


# The tool pack


def test_the_tools_of_a_folder_of_documents_search_it_in_another_process() -> None:
    tools = again(documents(DOCUMENTS, results=2))
    assert [each.name for each in tools] == ["search_documents", "read_document"]
    assert "Longitude" in tools[0](["What did the Longitude Act offer?"])
    assert tools[0].function.__self__ is tools[1].function.__self__  # one index for both
    agent = again(Agent("extractive", tools=documents(DOCUMENTS)))
    assert "20,000" in agent.run("What did the Longitude Act of 1714 offer?").output


def test_the_other_tools_of_the_pack_keep_their_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BRAVE_API_KEY", "sk-secret")
    tools = [web_search("brave", results=3, patience=5), page_visitor(timeout=7), image_loader(folder=tmp_path)]
    assert b"sk-secret" not in pickle.dumps(tools)
    searches, visits, loads = again(tools)
    assert (searches.name, searches.options.timeout) == ("search", 20)
    assert (visits.name, visits.options.timeout) == ("visit", 67)
    (tmp_path / "x.png").write_bytes(b"no image")
    with pytest.raises(ToolError, match=r"x\.png is not an image"):
        loads("x.png")
    assert copy.deepcopy(web_search("brave", api_key="other")).name == "search"


# Agents


class Doubled(Middleware):
    """A middleware of a module."""


def test_an_agent_made_from_a_name_is_made_again_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-first")
    limits = Limits(turns=3)
    agent = Agent(
        "openai:m@http://localhost:1",
        tools=[double],
        instructions="Be brief.",
        limits=limits,
        window=9000,
        prices=Prices(1, 2),
        early_start=False,
        middleware=[Doubled],
    )
    stored = pickle.dumps(agent)
    assert b"sk-first" not in stored
    monkeypatch.setenv("OPENAI_API_KEY", "sk-second")
    made: Agent = pickle.loads(stored)
    assert repr(made) == repr(agent)
    assert (made.tools, made.limits, made._instructions) == ((double,), limits, "Be brief.")
    assert made._scope.keywords | {"sizes": None} == agent._scope.keywords | {"sizes": None}
    assert isinstance(made._backend, Doubled)
    backend: Any = made.backend
    assert backend._api_key == "sk-second"
    assert backend is not agent.backend
    made.close()
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(agentkit.errors.ConfigurationError, match="OPENAI_API_KEY"):
        pickle.loads(stored.replace(b"openai:m@http://localhost:1", b"openai:longer-model-name-so"))


def test_a_backend_that_can_be_pickled_goes_along_with_its_agent() -> None:
    agent = again(Agent(ScriptedBackend("Hello."), tools=[double]))
    assert agent.run("Hi").output == "Hello."
    assert isinstance(again(Agent(ExtractiveBackend())).backend, ExtractiveBackend)


def test_an_agent_that_is_a_tool_goes_along_with_the_agent_that_has_it() -> None:
    expert = Agent(ScriptedBackend("At noon."), instructions="You know tides.")
    backend = ScriptedBackend(("tides", {"task": "When?"}), "At noon.")
    agent = again(Agent(backend, tools=[expert.as_tool("tides", "Knows tides.", read_only=True)]))
    assert [each.response for each in agent.run("When is high tide?").tool_calls] == ["At noon."]
    assert "complete task" in agent.tools[0].parameters["properties"]["task"]["description"]
    with pytest.raises(pickle.PicklingError, match=r"^tool tides: the backend OpenAIBackend can't be"):
        pickle.dumps(Agent("extractive", tools=[Agent(connected()).as_tool("tides", "Knows tides.")]))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_of_agents_and_tools_work(copied: Callable[[Any], Any]) -> None:
    for each in (double, spend, written, local_tool(), Shelf(["Emma"]).find, Shelf.find):
        assert copied(each).schema == each.schema
    assert copy.copy(Locked().look)() == "seen"
    assert copied(local_tool())(2) == 6
    named = Agent("extractive", tools=[double])
    assert copied(named).backend is not named.backend
    with closing(connected()) as backend:
        assert copied(Agent(backend, tools=[local_tool()])).backend is backend
    with pytest.raises(AttributeError, match="immutable"):
        copied(named)._limits = Limits()


def test_a_deep_copy_of_an_object_has_its_own_tools_and_agent() -> None:
    shelf = Shelf(["Moby Dick"])
    other = copy.deepcopy(shelf)
    other.books.append("Moby's end")
    assert other.agent.run("Which?").tool_calls[0].response == '["Moby Dick", "Moby\'s end"]'
    assert other.agent.tools[1]() == 2
    assert shelf.find("Moby") == ["Moby Dick"]
    agent = copy.deepcopy(shelf.agent)
    owner: Any = agent.tools[0].function.__self__  # type: ignore[attr-defined]
    assert owner is not shelf
    assert owner.agent is agent


# Another process


def answer(agent: Agent, question: str, queue: Any) -> None:
    result = agent.run(question, deps="Ann")
    queue.put((result, ToolError("reported"), [each.name for each in agent.tools]))


def test_an_agent_runs_in_a_process_that_was_spawned() -> None:
    calls: Any = [("double", {"x": 4}), ("find", {"name": "Mo"})]
    backend = ScriptedBackend(calls, ("spend", {"amount": 2}), "Done.")
    agent = Agent(backend, tools=[double, spend, plain, Shelf(["Moby Dick"]).find])
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=answer, args=(agent, "Go on.", queue))
    process.start()
    result, error, names = queue.get(timeout=60)
    process.join(60)
    assert process.exitcode == 0
    assert result.output == "Done."
    assert [each.response for each in result.tool_calls] == ["8", '["Moby Dick"]', "Ann spent 2"]
    assert names == ["double", "spend", "plain", "find"]
    assert str(error) == "reported"
    assert backend.requests == []


class Tutor(Agent):
    def __init__(self, subject: str) -> None:
        super().__init__("extractive", instructions=f"You teach {subject}.")


class Named(Agent):
    """A subclass that takes what its base takes."""


@pytest.mark.parametrize("made", [pickle.dumps, copy.copy, copy.deepcopy])
def test_an_agent_that_can_not_be_made_again_says_so_at_once(made: Callable[[Any], Any]) -> None:
    with pytest.raises(pickle.PicklingError, match=r"a Tutor can't be copied or pickled: .* define __reduce__"):
        made(Tutor("physics"))
    assert made(Named("extractive"))
