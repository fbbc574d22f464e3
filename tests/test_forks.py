"""Forks (`os.fork`: multiprocessing, prefork servers): a child shares no connection with its parent, waits for none of
its threads and locks, and leaves what the parent has as it is."""

import asyncio
import concurrent.futures
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, AgentkitError, LightLLMClient, Limits, tool
from agentkit._forking import renewed_by_forks
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.backends.vlmrun import VLMRun
from agentkit.event import TextDelta
from agentkit.testing import ScriptedBackend
from agentkit.tooling.subprocess_pool import PROCESSES
from tests.support.echo_server import serve_echo
from tests.support.forks import Child, in_child
from tests.support.isolated_tools import whoami
from tests.support.ports import free_port, wait_for
from tests.support.site import Site

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
ROOT = Path(__file__).parents[1]
QUIET = ("-W", "ignore:This process:DeprecationWarning")
"""Python 3.12 and later warn of each fork in a program that has threads."""
Ask = Callable[[str], str]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serve_echo() as root:
        yield root


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that speaks TLS; the environment names its authority."""
    import trustme

    folder, authority = tmp_path_factory.mktemp("tls"), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    with pytest.MonkeyPatch.context() as patched, serve_echo(folder / "cert.pem", folder / "key.pem") as root:
        patched.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
        yield root


OPENED: list[Any] = []
"""The clients of the test."""


@pytest.fixture(autouse=True)
def _clients_are_closed() -> Iterator[None]:
    """Else the sockets of one that closes nothing when it is freed are told as left open, in some later test."""
    yield
    while OPENED:
        OPENED.pop().close()


def ask_of(kind: str, url: str) -> Ask:
    """Asks a client or an agent of one kind, which is made now."""
    if kind == "vlmrun":
        OPENED.append(VLMRun(api_key="any", base_url=f"{url}/v1"))
        completions = OPENED[-1].agent.completions  # kept, as programs do
        return lambda text: completions.create(
            model="m", messages=[{"role": "user", "content": text}]
        ).choices[0].message.content or ""  # fmt: skip
    if kind == "client":
        client = LightLLMClient(base_url=url, family="qwen3")
        OPENED.append(client)
        return lambda text: str(
            client.chat.completions.create(model="qwen3", messages=[{"role": "user", "content": text}])
            .choices[0]
            .message.content
        )
    backend = LightLLMBackend("qwen3", url) if kind == "lightllm" else OpenAIBackend("m", f"{url}/v1")
    OPENED.append(backend)
    agent = Agent(backend)
    if kind == "stopped by limits":  # a thread reads the reply
        agent = Agent(backend, limits=Limits(seconds=30))
    if kind == "streamed":
        return lambda text: "".join(each.text for each in agent.stream(text) if isinstance(each, TextDelta))
    return lambda text: agent.run(text).output


# psf/requests#1906, openai/openai-agents-python#2489, celery/celery#1564: a client made before a fork mixes the answers
# of processes up, and breaks TLS. langfuse/langfuse#7414: the threads that it needs are not in the child.
@pytest.mark.parametrize("kind", ["openai", "streamed", "stopped by limits", "lightllm", "client", "vlmrun", "tls"])
def test_each_process_gets_its_own_answers(kind: str, request: pytest.FixtureRequest) -> None:
    ask = ask_of(kind, request.getfixturevalue("tls_url" if kind == "tls" else "url"))
    with concurrent.futures.ThreadPoolExecutor(3) as threads:  # there are idle connections
        assert list(threads.map(ask, ["q8-1", "q8-2", "q8-3"])) == ["echo q8-1", "echo q8-2", "echo q8-3"]
    streamed: list[str] = []
    busy = threading.Thread(target=lambda: streamed.append(ask("q9-9 long")))
    busy.start()  # and one in use

    def work(number: int) -> list[str]:
        return [ask(f"q{number}-{each}") for each in range(5)]

    children = [Child(lambda number=number: work(number)) for number in range(1, 5)]  # type: ignore[misc]
    assert work(0) == [f"echo q0-{each}" for each in range(5)]
    answers = [child.result() for child in children]
    busy.join()
    assert answers == [[f"echo q{number}-{each}" for each in range(5)] for number in range(1, 5)]
    assert [text.split()[:3] for text in streamed] == [["echo", "q9-9", "long"]]
    assert ask("q0-7") == "echo q0-7"


@pytest.mark.parametrize("options", [{}, {"cancel": threading.Event()}], ids=["plain", "in a thread"])
@pytest.mark.parametrize("kind", ["lightllm", "tls"])
def test_a_child_can_neither_read_nor_end_the_stream_of_its_parent(
    kind: str, options: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("tls_url" if kind == "tls" else "url")
    backend = LightLLMBackend("qwen3", url) if kind == "lightllm" else OpenAIBackend("m", f"{url}/v1", max_retries=0)
    run = Agent(backend).stream("q1-1 long", **options)
    texts = [next(each.text for each in run if isinstance(each, TextDelta))]

    def read_on() -> str:
        try:
            for _ in run:
                pass
        except AgentkitError as error:
            return str(error)
        assert run.result is not None
        return str(run.result.output)

    closing, reading = Child(run.close), Child(read_on)
    texts += [each.text for each in run if isinstance(each, TextDelta)]
    whole = " ".join(["echo q1-1 long", *["word"] * 38])
    assert "".join(texts).split() == whole.split()
    closing.result()
    # it asks again, or says that the thread that reads is not its own
    assert reading.result() == whole if not options else "before os.fork" in reading.result()


def test_the_server_notices_that_the_parent_has_stopped_while_a_child_lives(url: str) -> None:
    """The child would keep the connection open, and the server generating."""
    backend = OpenAIBackend("m", f"{url}/v1")
    run = Agent(backend).stream("q1-1 long")
    next(each for each in run if isinstance(each, TextDelta))
    before = sockets()
    child = Child(lambda: sockets())
    assert len(child.result()) < len(before)
    run.close()


def sockets() -> list[str]:
    """The sockets of this process that are connected."""
    links = [os.readlink(f"/proc/self/fd/{each}") for each in os.listdir("/proc/self/fd") if is_open(each)]
    return [link for link in links if link.startswith("socket:")]


def is_open(descriptor: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{descriptor}")


def test_a_child_waits_for_no_lock_that_a_thread_of_its_parent_holds(url: str) -> None:
    from agentkit import _forking

    ask, held, done = ask_of("openai", url), threading.Event(), threading.Event()
    assert ask("q0-0") == "echo q0-0"

    def hold() -> None:
        locks = list(_forking._FORKS.freed.all())
        taken = [lock for lock in locks if lock.acquire(blocking=False)]
        held.set()
        done.wait(30)
        for lock in taken:
            lock.release()

    threading.Thread(target=hold).start()
    assert held.wait(10)
    try:
        assert in_child(lambda: ask("q1-1")) == "echo q1-1"
    finally:
        done.set()
    assert ask("q0-1") == "echo q0-1"


def test_a_child_is_not_left_with_a_module_that_was_being_imported(url: str) -> None:
    """The first request imports modules, under a lock of the import system that no child could get. And the
    fork of a server in C (uWSGI) may call none of Python's hooks."""
    code = """
import ctypes, os, sys, threading
from agentkit import Agent
from agentkit.backends import OpenAIBackend

agent = Agent(OpenAIBackend("m", sys.argv[1]))
thread = threading.Thread(target=agent.run, args=("q0-0",))
thread.start()
while "http.client" not in sys.modules:
    pass
forks = [os.fork, ctypes.PyDLL(None).fork, ctypes.PyDLL(None).fork]
for number, fork in enumerate(forks):
    child = fork()
    answers = {agent.run(f"q{number}-{each}").output for each in range(4)}
    assert answers == {f"echo q{number}-{each}" for each in range(4)}, answers
    if not child:
        os._exit(0)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
"""
    done = subprocess.run(
        [sys.executable, *QUIET, "-c", code, f"{url}/v1"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_a_fork_does_not_keep_an_import_waiting_that_asks_for_a_logger(tmp_path: Path) -> None:
    """Also where `logging` is loaded after agentkit, so that its lock is taken first."""
    (tmp_path / "late.py").write_text("import time; time.sleep(0.5); import logging; logging.getLogger('late')")
    code = """
import os, sys, threading, time
import agentkit._forking
assert "logging" not in sys.modules
import logging

threading.Thread(target=__import__, args=("late",)).start()
while "late" not in sys.modules:
    pass
started = time.monotonic()
child = os.fork()
if not child:
    import late
    os._exit(0 if hasattr(late, "logging") else 1)
assert os.waitpid(child, 0)[1] == 0
assert time.monotonic() - started < agentkit._forking.PATIENCE / 2
logging.getLogger("after")
"""
    done = subprocess.run(
        [sys.executable, *QUIET, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert (done.stderr, done.returncode) == ("", 0)


@tool(timeout=10)
def slow_pid() -> int:
    """Return the process id, from a worker thread."""
    return os.getpid()


@tool
async def async_pid() -> int:
    """Return the process id, from the event loop of the async tools."""
    await asyncio.sleep(0)
    return os.getpid()


TOOLS = ["slow_pid", "async_pid", "whoami"]


def answers_of_tools(agent: Agent) -> list[int]:
    return [int(agent.run(f"use {name}").output.removeprefix("echo ")) for name in TOOLS]


def test_tools_of_all_kinds_work_in_a_child_and_go_on_in_the_parent(url: str) -> None:
    agent = Agent(OpenAIBackend("m", f"{url}/v1"), tools=[slow_pid, async_pid, whoami])
    PROCESSES.end()  # with one idle process, the next call is in the same
    here = answers_of_tools(agent)
    assert here[:2] == [os.getpid()] * 2
    pid, *there = in_child(lambda: [os.getpid(), *answers_of_tools(agent)])
    assert there[:2] == [pid] * 2
    assert there[2] not in (here[2], pid)  # it has isolated processes of its own
    os.kill(here[2], 0)
    assert answers_of_tools(agent) == here  # the parent's were not ended


@pytest.mark.parametrize("timeout", [None, 10], ids=["in the thread of the run", "in a worker thread"])
def test_a_tool_may_fork(url: str, timeout: float | None) -> None:
    inner = Agent(OpenAIBackend("m", f"{url}/v1"))

    @tool(timeout=timeout)
    def fork() -> list[str]:
        """Ask in children."""
        return [child.result() for child in [Child(lambda each=each: inner.run(f"q5-{each}").output) for each in "12"]]  # type: ignore[misc]

    agent = Agent(OpenAIBackend("m", f"{url}/v1"), tools=[fork])
    assert agent.run("use fork").output == 'echo ["echo q5-1", "echo q5-2"]'


def test_a_child_that_returns_from_the_tool_that_forked_goes_on_or_ends(url: str) -> None:
    """Without threads it goes on as its parent does; where the run waits in another thread, nobody waits in the child,
    which ends."""
    pids: list[int] = []

    @tool
    def split() -> str:
        """Fork."""
        pids.append(os.fork())
        return f"q7-{min(1, pids[-1])}"

    def run(timeout: float | None) -> None:
        reader, writer = os.pipe()
        output = Agent(OpenAIBackend("m", f"{url}/v1"), tools=[tool(timeout=timeout)(split.function)]).run("use split")
        os.write(writer, f"{output.output}\n".encode())
        if pids[-1] == 0:
            os._exit(0)
        end = time.monotonic() + 9
        while os.waitpid(pids[-1], os.WNOHANG)[0] == 0:
            assert time.monotonic() < end
            time.sleep(0.02)
        os.close(writer)
        with os.fdopen(reader) as lines:
            expected = ["echo q7-1\n"] if timeout else ["echo q7-0\n", "echo q7-1\n"]
            assert sorted(lines) == expected

    run(None)
    run(5.0)


def ask_shared(text: str) -> str:
    return str(SHARED[0].run(text).output)


SHARED: list[Agent] = []


def test_pools_of_processes_run_an_agent(url: str) -> None:
    agent = Agent(OpenAIBackend("m", f"{url}/v1"))
    SHARED[:] = [agent]
    questions = [f"q3-{each}" for each in range(12)]
    assert agent.run("q0-0").output == "echo q0-0"
    fork = multiprocessing.get_context("fork")
    with fork.Pool(3) as pool:
        assert pool.map(ask_shared, questions, chunksize=1) == [f"echo {each}" for each in questions]
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=fork) as executor:
        assert list(executor.map(ask_shared, questions)) == [f"echo {each}" for each in questions]


def test_no_idle_thread_outlives_a_fork() -> None:
    """From Python 3.12 on, os.fork warns of threads."""
    agent = Agent(ScriptedBackend(("slow_pid", {}), "Done."), tools=[slow_pid])
    agent.run("Go.")

    def idle() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "agentkit-tool"]

    end = time.monotonic() + 30  # the tool of another test may still run
    while idle() and time.monotonic() < end:
        in_child(lambda: None)
    assert idle() == []
    assert Agent(ScriptedBackend(("slow_pid", {}), "Done."), tools=[slow_pid]).run("Go.").output == "Done."


def test_the_chat_service_answers_in_a_child_while_its_parent_is_busy() -> None:
    pytest.importorskip("fastapi")
    from agentkit.serving.chat_service import ChatService
    from agentkit.serving.exchange import UserInput
    from agentkit.sessions import MemorySessions

    began, end = threading.Event(), threading.Event()

    def wait(_: Any) -> str:
        began.set()
        end.wait(20)
        return "Late."

    service = ChatService(ScriptedBackend(wait, "Done."), MemorySessions(), calls_at_once=1)
    busy = threading.Thread(target=service.answer, args=(UserInput("Hi."),))
    busy.start()
    assert began.wait(10)
    try:
        assert in_child(lambda: service.answer(UserInput("Hi.")).text) == "Done."
    finally:
        end.set()
        busy.join()


class SlowEmbedder:
    """Embeds nothing until it is told to."""

    def __init__(self) -> None:
        self.began, self.end = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.began.set()
        self.end.wait(20)
        return [[1.0, 0.0] for _ in texts]


def test_a_child_searches_documents_also_while_its_parent_indexes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = pytest.importorskip("agentkit_tools.library")
    from agentkit_tools import documents

    monkeypatch.setattr(library, "FORK_WAIT", 0.05)
    (tmp_path / "light.txt").write_text("The lighthouse of Oslo is red.", encoding="utf-8")
    embedder = SlowEmbedder()
    find, slow = documents(tmp_path)[0], documents(tmp_path, embeddings=embedder)[0]
    expected = find(["Which lighthouse is red?"])
    assert "Oslo" in expected
    assert in_child(lambda: find(["Which lighthouse is red?"])) == expected
    assert find(["Which lighthouse is red?"]) == expected
    busy = threading.Thread(target=slow, args=(["Which lighthouse is red?"],))
    busy.start()
    assert embedder.began.wait(10)

    def search() -> list[Any]:
        embedder.end.set()
        return [find(["Which lighthouse is red?"]), "Oslo" in slow(["Which lighthouse is red?"])]

    try:
        assert in_child(search) == [expected, True]
    finally:
        embedder.end.set()
        busy.join()
    assert "Oslo" in slow(["Which lighthouse is red?"])


def test_a_child_visits_a_site_while_threads_of_its_parent_do(site: Site) -> None:
    pytest.importorskip("agentkit_tools.visiting")
    from agentkit_tools import page_visitor
    from agentkit_tools.politeness import AT_ONCE, HOSTS_OF_PROCESS

    visit = page_visitor(allow=["127.0.0.1"], robots=False, timeout=5)
    host = HOSTS_OF_PROCESS.of(site.url)
    taken = [host.slots.acquire() for _ in range(AT_ONCE)]
    with host.lock:
        text = in_child(lambda: visit([site.url + "/article"], "height"))
    assert "source:" in text
    for _ in taken:
        host.slots.release()


# benoitc/gunicorn#2478, OpenNMT/CTranslate2#539: a model that was loaded before the fork hangs in the worker.
def test_a_child_ends_as_any_process_and_says_that_a_model_in_its_parent_is_not_its_own(tiny_model: Path) -> None:
    pytest.importorskip("xllamacpp")
    code = """
import os, sys
from agentkit import Agent, AgentkitError, tool
from agentkit.backends import GGUFBackend
from agentkit.testing import ScriptedBackend
from tests.support.isolated_tools import whoami

@tool
async def wait() -> str:
    "Wait."
    return "waited"

def use():
    return Agent(ScriptedBackend([("whoami", {}), ("wait", {})], "Done."), tools=[whoami, wait]).run("Go.").tool_calls

backend = GGUFBackend(sys.argv[1], threads=1, max_tokens=2)
model = Agent(backend)
model.run("Hi.")
pid = use()[0].response
for method in ("run", "close"):
    child = os.fork()
    if child == 0:
        use()
        if method == "close":
            backend.close()
            sys.exit(7)
        try:
            model.run("Hi.")
        except ValueError as error:
            print(error)
            sys.exit(8)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
assert use()[0].response == pid
print(bool(model.run("Hi.").output))
"""
    quiet = [sys.executable, "-W", "error", *QUIET, "-c", code]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        [*quiet, str(tiny_model)], capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.stderr == ""
    error, *codes = done.stdout.splitlines()
    assert re.match(r"GGUFBackend.*before os\.fork.*after the fork", error)
    assert codes == ["8", "7", "True"]


def service_of(page: Path) -> str:
    """The program of a page of the documentation that gunicorn runs."""
    programs = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return str(next(code for code in programs if "gunicorn" in code))


# The-PR-Agent/pr-agent#2735, langflow-ai/langflow#12587: clients that are made at import time, with preload_app.
def test_gunicorn_serves_an_agent_that_was_made_before_its_workers_were_forked(url: str, tmp_path: Path) -> None:
    pytest.importorskip("gunicorn")
    pytest.importorskip("flask")
    code = service_of(ROOT / "docs" / "runs.md").replace("http://localhost:8000", url)
    assert url in code
    code += 'assert agent.run("q0-0").output == "echo q0-0"\nimport os\n'  # the master has used its client
    code += '@app.get("/pid")\ndef pid():\n    return str(os.getpid())\n'
    (tmp_path / "service.py").write_text(code, encoding="utf-8")
    port = free_port()
    options = ["--preload", "--workers", "2", "--threads", "4", "--bind", f"127.0.0.1:{port}", "service:app"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    with subprocess.Popen(
        [sys.executable, "-m", "gunicorn", *options], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment
    ) as gunicorn:
        wait_for(port, "gunicorn")
        questions = [f"q{number % 5}-{number}" for number in range(24)]
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda question: asked(port, "ask", question), questions))
            pids = set(threads.map(lambda _: asked(port, "pid"), range(24)))
        gunicorn.terminate()
        _, log = gunicorn.communicate(timeout=20)
    assert answers == [f"echo {question}" for question in questions]
    assert 1 <= len(pids) <= 2
    assert str(gunicorn.pid) not in pids
    assert "rror" not in log


def asked(port: int, path: str, question: str | None = None) -> str:
    data = None if question is None else question.encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", data, timeout=20) as response:
        return str(response.read().decode())


def test_what_can_not_begin_anew_in_a_child_does_not_keep_the_others_from_it() -> None:
    class Each:
        def __init__(self, fails: bool) -> None:
            self.fails, self.is_renewed = fails, False
            renewed_by_forks(self)

        def renew_in_child(self) -> None:
            if self.fails:
                raise OSError("bad file descriptor")
            self.is_renewed = True

    all_of_them = [Each(fails=number % 2 == 1) for number in range(10)]
    assert in_child(lambda: [each.is_renewed for each in all_of_them]) == [True, False] * 5


def test_a_fork_during_the_first_import_of_logging_is_silent(tmp_path: Path) -> None:
    """The hooks that `logging` registers meanwhile find its lock taken."""
    (tmp_path / "late.py").write_text("import time; time.sleep(0.3); import logging; logging.getLogger('late')")
    program = """
import os, sys, threading
import agentkit._forking
assert "logging" not in sys.modules
thread = threading.Thread(target=__import__, args=("late",))
thread.start()
while "late" not in sys.modules:
    pass
process = os.fork()
if not process:
    import logging
    logging.getLogger("child")
    os._exit(0)
_, status = os.waitpid(process, 0)
thread.join()
import logging
logging.getLogger("parent")
sys.exit(os.waitstatus_to_exitcode(status))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    ended = subprocess.run(
        [sys.executable, *QUIET, "-c", program],
        env=environment,
        timeout=60,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
