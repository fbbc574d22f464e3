"""A job says where its agent comes from, in JSON; each process makes the agent once."""

import base64
import json
import os
import pickle
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from agentkit import Agent, ConfigurationError, Limits, Tool, tool
from agentkit.batch.agent_reference import agent_of_reference, checked_reference
from agentkit.batch.by_reference import unpacked
from agentkit.batch.job import Job
from agentkit.batch.made_agents import MADE
from agentkit.batch.program_files import module_of_file
from agentkit.testing import ScriptedBackend
from agentkit.tooling.toolset import Toolset
from tests.support.model_server import serve, whole

ROOT = Path(__file__).parents[2]
DOCUMENTS = ROOT / "examples" / "documents"
LONGITUDE = "What did the Longitude Act of 1714 offer?"


@tool(read_only=True)
def double(x: int) -> int:
    """Double a number."""
    return 2 * x


@tool
def spend(amount: int) -> str:
    """Spend money."""
    return "spent"


class City(BaseModel):
    name: str


AGENT = Agent(ScriptedBackend(lambda messages: "Hello."), tools=[double])
NUMBER = 7


def make() -> Agent:
    return Agent("extractive", tools=[double])


def make_with(name: str) -> Agent:
    raise AssertionError(name)


async def make_later() -> Agent:
    return make()


def make_nothing() -> None:
    return None


def make_badly() -> Agent:
    raise ValueError("no such model")


class Shop:
    """A place for a function."""

    @staticmethod
    def agent() -> Agent:
        """An agent."""
        return make()


PROGRAM = '''
import sys
from agentkit import Agent, Hook, tool
from agentkit.batch.job import Job
from helpers_of_it import greeting

@tool(read_only=True)
def own(x: int) -> str:
    """Do something of its own."""
    return greeting + str(x)

class Own(Hook):
    def on_event(self, event):
        pass

def instructions(context):
    return "Be brief."

def make():
    return Agent("extractive", tools=[own])

if __name__ == "__main__":
    print(Job.of(Agent("extractive", tools=[own], hooks=[Own()], instructions=instructions)).to_json())
'''
WORKER = """
import os, sys
from agentkit.batch.job import Job
job = Job.from_json(sys.stdin.read())
agent = job.agent_here()
print(type(agent).__name__, [each.name for each in agent.tools], agent.tools[0](3))
print("pid", os.getpid())
"""


def python(code: str, *, folder: Path, given: str = "", arguments: list[str] | None = None) -> str:
    """What a program of its own says, that is started in a folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tools")))}
    command = [sys.executable, *(arguments or ["-c", code])]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# JSON


@pytest.mark.parametrize(
    "agent",
    [
        Agent("extractive", tools=[double]),
        f"{__name__}:make",
        f"{__file__}:make",
        {"model": "extractive", "tools": ["search", f"{__name__}:double"], "instructions": "Be brief.", "max_turns": 3},
    ],
    ids=["agent", "module", "file", "options"],
)
def test_a_job_is_small_json_that_makes_the_same_agent(agent: Any) -> None:
    job = Job.of(agent, sampling={"temperature": 0}, keep=["messages"], at_once=(2, 8), limits=Limits(turns=4))
    text = job.to_json()
    assert len(text) < 4000
    other = Job.from_json(text)
    assert json.loads(other.to_json()).keys() == json.loads(text).keys()
    assert (other.keep, other.at_once, other.attempts, dict(other.sampling)) == (
        ("messages",),
        (2, 8, 8),
        6,
        {"temperature": 0},
    )
    assert other.fingerprint() == job.fingerprint()
    limits = other.run_limits()
    assert limits is not None
    assert limits.turns == 4
    assert other.agent_here() is other.agent_here()
    assert other.agent_here() is not job.agent_here() or not isinstance(agent, Agent)
    other.close_agent()


def test_the_output_type_goes_along() -> None:
    for output in (City, list[int], City | None):
        other = Job.from_json(Job.of(f"{__name__}:make", output=output).to_json())
        assert other.output == output
    assert Job.from_json(Job.of(f"{__name__}:make").to_json()).output is None

    class Local(BaseModel):
        name: str

    with pytest.raises(ConfigurationError, match=r"output=.*Local.*can't be sent.*at the top level of a module"):
        Job.of(f"{__name__}:make", output=Local).to_json()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has to be a JSON object"),
        ("[1]", "has to be a JSON object"),
        ('{"agent": ', "has to be a JSON object"),
        ("[" * 200_000, "has to be a JSON object"),
        ("{}", "it has no agent"),
        ('{"agent": 7}', "a job can't have agent=7"),
        ('{"agent": {"ref": 7}}', "a job can't have agent="),
        ('{"agent": {"ref": "a:b", "pickle": "x"}}', "a job can't have agent="),
        ('{"agent": {"modell": "x"}}', "an agent has no option 'modell'"),
        ('{"agent": {"tools": "search"}}', "the option 'tools' of an agent can't be 'search'"),
        ('{"agent": {"ref": "a:b"}, "attempts": 0}', "a job can't have attempts=0"),
        ('{"agent": {"ref": "a:b"}, "attempts": true}', "a job can't have attempts=True"),
        ('{"agent": {"ref": "a:b"}, "at_once": [4, 2, 1]}', r"a job can't have at_once=\(4, 2, 1\)"),
        ('{"agent": {"ref": "a:b"}, "keep": ["all"]}', r"a job can't have keep=\('all',\)"),
        ('{"agent": {"ref": "a:b"}, "limits": {"turn": 3}}', "a job can't have limits=.*turn"),
        ('{"agent": {"ref": "a:b"}, "limits": {"turns": -3}}', "a job can't have limits=.*at least 1"),
        ('{"agent": {"ref": "a:b"}, "sampling": []}', r"a job can't have sampling=\[\]"),
        ('{"agent": {"ref": "a:b"}, "sessions": 3}', "a job can't have sessions=3"),
        ('{"agent": {"ref": "a:b"}, "leave_after": -1}', "a job can't have leave_after=-1"),
        ('{"agent": {"ref": "a:b"}, "key": ["x"]}', "a job can't have key="),
        ('{"agent": {"ref": "a:b"}, "output": "?"}', "the agent can't be made in this process"),
    ],
    ids=range(21),
)
def test_what_is_no_job_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Job.from_json(text)


def test_what_a_later_version_has_added_is_passed_over() -> None:
    told = {**json.loads(Job.of(f"{__name__}:make").to_json()), "colour": "red", "given": "x"}
    assert Job.from_json(json.dumps(told)).given is None


@pytest.mark.parametrize("text", ["", "c$@~", "NM&qnZ*B{"])
def test_a_damaged_pickle_is_told(text: str) -> None:
    with pytest.raises(ConfigurationError, match="the agent can't be made in this process"):
        Job.from_json(json.dumps({"agent": {"pickle": text}})).agent_here()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"colour": 1}, "a job has no 'colour'"),
        ({"sampling": {"stop": {1}}}, "have to be JSON"),
        ({"at_once": 0}, r"at_once=0: use a number of at least 1"),
    ],
)
def test_what_a_job_can_not_have_is_told(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Job.of(f"{__name__}:make", **given).to_json()
    with pytest.raises(ConfigurationError, match=r"a batch needs an Agent, .* not a int"):
        Job.of(7)  # type: ignore[arg-type]


# References


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("make", "write module:name or path/to/file.py:name"),
        (":make", "write module:name"),
        (f"{__name__}:", "write module:name"),
        (f"{__name__}:a b", "write module:name"),
        ("no_such_module_here:make", "the module can't be imported: No module named 'no_such_module_here'"),
        (f"{__name__}:makes", f"the module {__name__} has no 'makes'"),
        ("no/such/file.py:make", "there is no file .*no/such/file.py"),
        (f"{__file__}:makes", "the file test_job.py has no 'makes'"),
        (f"{__file__}/x.py:make", "there is no file"),
        (f"{__name__}:NUMBER", "it is a int: write module:name"),
        (f"{__name__}:make_with", "it can't be called without arguments: TypeError"),
        (f"{__name__}:make_later", "it is an async function"),
        (f"{__name__}:make_nothing", "it made a NoneType, and no Agent"),
        (f"{__name__}:make_badly", "making the agent failed: ValueError: no such model"),
    ],
    ids=range(14),
)
def test_a_reference_that_names_no_agent_is_told(reference: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        agent_of_reference(reference)


def test_a_reference_names_an_agent_or_what_makes_one() -> None:
    assert agent_of_reference(f"{__name__}:AGENT") == (AGENT, False)
    for name in ("make", "Shop.agent"):
        agent, is_own = agent_of_reference(f"{__name__}:{name}")
        assert is_own
        assert agent.tools == (double,)


def test_the_path_of_a_file_means_the_same_in_each_folder(tmp_path: Path) -> None:
    assert checked_reference("agents/it.py:make", tmp_path) == f"{tmp_path}/agents/it.py:make"
    assert checked_reference(" pkg.mod:make ") == "pkg.mod:make"


def test_a_file_is_imported_once_and_as_what_import_would_call_it(tmp_path: Path) -> None:
    assert module_of_file(__file__) is sys.modules[__name__]
    package = tmp_path / "travelling" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "siblings.py").write_text("NAME = 'x'", "utf-8")
    (package / "agents.py").write_text("from .siblings import NAME", "utf-8")
    (tmp_path / "json.py").write_text("NAME = 'not the real one'", "utf-8")
    (tmp_path / "two-words.py").write_text("NAME = 2", "utf-8")
    inner, odd, taken = (
        module_of_file(each) for each in (package / "agents.py", tmp_path / "two-words.py", tmp_path / "json.py")
    )
    assert (inner.__name__, inner.NAME) == ("travelling.inner.agents", "x")
    assert odd.__name__.startswith("two_words_")
    assert (taken.NAME, taken.__name__ == "json", json.loads("1")) == ("not the real one", False, 1)
    assert module_of_file(tmp_path / "json.py") is taken
    sys.path.remove(str(tmp_path))


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "def", "import no_such_module_here", "open('/no/such/file')"])
def test_what_a_file_raises_is_told(code: str, tmp_path: Path) -> None:
    (tmp_path / "broken_agents.py").write_text(code, "utf-8")
    with pytest.raises(ConfigurationError, match="the file can't be imported"):
        Job.of(f"{tmp_path / 'broken_agents.py'}:make").agent_here()
    sys.path.remove(str(tmp_path))


def test_a_file_that_begins_its_batch_while_it_is_imported_is_told_how_to_write_it(tmp_path: Path) -> None:
    (tmp_path / "unguarded_agents.py").write_text(
        "from agentkit.batch.job import Job\nJob.of('unguarded_agents:make')\ndef make(): ...", "utf-8"
    )
    with pytest.raises(ConfigurationError, match='under if __name__ == "__main__"'):
        Job.of(f"{tmp_path / 'unguarded_agents.py'}:make").agent_here()
    sys.path.remove(str(tmp_path))


# One agent a process


class Tracked(Agent):
    """Counts what is made and closed."""

    made: ClassVar[list["Tracked"]] = []
    closed: ClassVar[list["Tracked"]] = []

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made.append(self)

    def close(self) -> None:
        """Count it."""
        self.closed.append(self)
        super().close()


class OneTool(Toolset):
    """A toolset that says whether it was closed."""

    label = "one"
    closed = 0

    def tools(self) -> tuple[Tool[..., Any], ...]:
        """One that has effects."""
        return TOOLS

    def close(self) -> None:
        """Count it."""
        OneTool.closed += 1


class Unreachable(Toolset):
    """Its server is down: what it will have is not known."""

    label = "down"

    def tools(self) -> tuple[Tool[..., Any], ...]:
        """None now."""
        return ()


TOOLS = (spend,)


def make_tracked() -> Agent:
    return Tracked("extractive", tools=[OneTool()])


def test_the_threads_of_a_process_share_one_agent_which_is_closed_at_the_end() -> None:
    Tracked.made.clear()
    Tracked.closed.clear()
    text, found = Job.of(f"{__name__}:make_tracked").to_json(), []
    gate = threading.Barrier(8)

    def work() -> None:
        job = Job.from_json(text)
        gate.wait()
        found.append(job.agent_here())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(set(map(id, found))) == len(Tracked.made) == 1
    closed = OneTool.closed
    Job.from_json(text).close_agent()
    Job.from_json(text).close_agent()
    assert [each is found[0] for each in Tracked.closed] == [True]
    assert OneTool.closed == closed + 1


def test_two_jobs_of_one_agent_do_not_close_each_other_s() -> None:
    one, other = Job.of(f"{__name__}:make"), Job.of(f"{__name__}:make")
    agent = other.agent_here()
    assert one.agent_here() is not agent
    one.close_agent()
    assert other.agent_here() is agent
    other.close_agent()


def test_an_agent_that_was_given_or_stands_in_a_module_is_not_closed() -> None:
    Tracked.closed.clear()
    given = Tracked("extractive")
    job = Job.of(given)
    assert job.agent_here() is given
    job.close_agent()
    in_module = Job.of(f"{__name__}:AGENT")
    assert in_module.agent_here() is AGENT
    in_module.close_agent()
    assert Tracked.closed == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_makes_its_own_agent_whatever_its_parent_is_making() -> None:
    job = Job.of(f"{__name__}:make")
    agent = job.agent_here()
    with MADE._guard:  # a thread of the parent is in the middle of it
        child = os.fork()
        if child == 0:
            os._exit(0 if job.agent_here() is not agent else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    job.close_agent()


# What it says of the agent


def test_the_fingerprint_names_what_the_answers_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-key-of-this-process")

    def of(model: Any = "openai:m@http://a:1/v1", sampling: Any = None, output: Any = None, **options: Any) -> Any:
        agent = Agent(model, **{"tools": [double], "instructions": "Be brief.", **options})
        return Job.of(agent, sampling=sampling or {}, output=output).fingerprint()

    first = of()
    assert set(first) == {"model", "instructions", "tools", "sampling", "limits", "output", "checks"}
    assert of("openai:m@http://b:2/v1") == first
    assert not any("sk-" in each or "http" in each for each in first.values())
    changed: list[tuple[str, Callable[[], Any]]] = [
        ("model", lambda: of("openai:n@http://a:1/v1")),
        ("model", lambda: of(["openai:m@http://a:1/v1", "extractive"])),
        ("instructions", lambda: of(instructions="Be long.")),
        ("instructions", lambda: of(instructions=make_with)),
        ("tools", lambda: of(tools=[spend])),
        ("tools", lambda: of(tools=[double.replace(description="Twice.")])),
        ("sampling", lambda: of(sampling={"temperature": 1})),
        ("limits", lambda: of(limits=Limits(turns=3))),
        ("output", lambda: of(output=City)),
        ("checks", lambda: of(evidence="off")),
        ("checks", lambda: of(output_check=make_with)),
    ]
    for name, make_other in changed:
        other = make_other()
        assert {each for each in first if first[each] != other[each]} == {name}
    limits = Limits(turns=3)
    assert (
        Job.of(Agent("extractive", limits=limits)).fingerprint()
        == Job.of(Agent("extractive"), limits=limits).fingerprint()
    )


def test_it_says_whether_a_tool_has_effects() -> None:
    assert not Job.of(Agent("extractive", tools=[double])).has_effects
    assert Job.of(Agent("extractive", tools=[double, spend])).has_effects
    assert Job.of(Agent("extractive", tools=[OneTool()])).has_effects
    assert Job.of(Agent("extractive", tools=[Unreachable()])).has_effects


def test_it_says_after_what_time_a_run_is_left_behind() -> None:
    assert Job.of(Agent("extractive")).run_seconds is None
    assert Job.of(Agent("extractive", limits=Limits(seconds=30))).run_seconds == 40
    assert Job.of(Agent("extractive"), limits={"seconds": 5}).run_seconds == 15
    assert Job.of(Agent("extractive"), run_seconds=7).run_seconds == 7


# Other processes


def test_another_process_answers_with_the_agent_of_a_job() -> None:
    code = (
        "import sys; from agentkit.batch.job import Job; job = Job.from_json(sys.stdin.read());"
        f"print(job.agent_here().run({LONGITUDE!r}).output); job.close_agent()"
    )
    options = {"model": "extractive", "docs": os.path.relpath(DOCUMENTS)}
    assert "20,000" in python(code, folder=Path("/"), given=Job.of(options).to_json())
    with serve([whole("From the server.")]) as server:
        agent = Agent(f"llamacpp:m@{server.url}", tools=[double])
        assert "From the server." in python(code, folder=ROOT, given=Job.of(agent).to_json())


def test_what_is_defined_in_a_program_is_found_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """dask/distributed#6803, DataBiosphere/toil#423: a worker's `__main__` is not the program that defined a class.
    PrefectHQ/prefect#16419: the modules beside the program are not found by a worker in another folder."""
    (tmp_path / "program_of_it.py").write_text(PROGRAM, "utf-8")
    (tmp_path / "helpers_of_it.py").write_text("greeting = 'Hello '", "utf-8")
    monkeypatch.setenv("PWD", str(tmp_path))  # the name of a password, and none
    text = python("", folder=tmp_path, arguments=["program_of_it.py"])
    assert len(text) < 4000
    told = "Agent ['own'] Hello 3"
    assert told in python(WORKER, folder=Path("/"), given=text)
    other = Job.of("program_of_it:make", folder=str(tmp_path)).to_json()
    assert told in python(WORKER, folder=Path("/"), given=other)


def test_a_program_without_a_file_is_told(tmp_path: Path) -> None:
    """agronholm/anyio#1140: what stands in a program that no other process can import is lost there, silently."""
    code = (
        "from agentkit import Agent, ConfigurationError, tool\nfrom agentkit.batch.job import Job\n"
        "@tool\ndef own() -> str:\n    'Do it.'\n    return ''\n"
        "try:\n    Job.of(Agent('extractive', tools=[own])).to_json()\n"
        "except ConfigurationError as error:\n    print(error)\n"
    )
    said = python(code, folder=tmp_path)
    assert "own is defined at a prompt or in a notebook, which other processes can't import" in said
    assert "--agent module:make_agent" in said


def test_a_module_that_the_worker_does_not_have_is_told() -> None:
    stored = pickle.dumps(make).replace(b"test_job", b"test_jab")
    text = base64.b85encode(zlib.compress(stored)).decode()
    with pytest.raises(ConfigurationError, match=r"can't import what the agent is made of: .*test_jab"):
        unpacked(text)
