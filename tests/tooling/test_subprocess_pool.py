"""Tools in subprocesses: nothing that they do breaks the run, and no process is left behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from agentkit import Agent, Context, call_isolated, tool
from agentkit.errors import IsolationError, ToolDefinitionError
from agentkit.testing import ScriptedBackend
from agentkit.tooling.subprocess_pool import MAX_IDLE, PROCESSES, _Process, _Watchdog
from tests.support import isolated_tools as tools
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]


def answer(made: Any, cancel: threading.Event | None = None, **arguments: Any) -> Any:
    return made.answer(json.dumps(arguments), Context(cancel=cancel))


def test_an_isolated_tool_is_a_tool_like_any_other() -> None:
    backend = ScriptedBackend([("add", {"a": 2}), ("show", {"place": {"name": "Oslo", "height": 23}})], "Done.")
    result = Agent(backend, tools=[tools.add, tools.show]).run("Go.")
    assert [record.response for record in result.tool_calls] == ["3", "Oslo: 23"]
    assert tools.add(2, 3) == 5
    assert answer(tools.slowly, text="x").text == "x"


def test_a_result_that_cannot_leave_the_process_is_told_as_done() -> None:
    outcome = answer(tools.make)
    assert not outcome.failed
    assert outcome.text.startswith('{"made":1,')


def test_the_tool_runs_in_another_process_that_is_reused() -> None:
    first, second = answer(tools.whoami).text, answer(tools.whoami).text
    assert first == second != str(os.getpid())


@pytest.mark.parametrize("made", [tools.loop, tools.block])
def test_a_tool_that_never_ends_is_killed_on_time(made: Any) -> None:
    answer(tools.add, a=1)  # start the process first: its start does not count as the tool's time
    started = time.monotonic()
    outcome = answer(made)
    assert outcome.failed
    assert "did not finish within 0.4 seconds, and was stopped" in outcome.text
    assert time.monotonic() - started < 1.5


class LateEvent(threading.Event):
    """An event that is found to be set only a moment after it was looked at. looked: set when it was."""

    def __init__(self) -> None:
        super().__init__()
        self.looked = threading.Event()

    def is_set(self) -> bool:
        self.looked.set()
        time.sleep(0.3)
        return True


def test_a_process_is_not_killed_once_its_call_has_ended() -> None:
    """It may run another call by then."""
    happened: list[str] = []

    class Watched(_Process):
        def __init__(self) -> None:  # it starts no program
            pass

        def kill_with_children(self) -> None:
            happened.append("killed")

    cancel = LateEvent()
    watch = _Watchdog(Watched(), None, cancel)
    assert cancel.looked.wait(5)
    watch.stop()
    happened.append("ended")
    time.sleep(0.5)
    assert happened == ["killed", "ended"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (tools.leave, "exit code 3"),
        (tools.crash, f"signal {int(signal.SIGSEGV)}"),
        (tools.hoard, "MemoryError"),
        (tools.leave_by_exit, "SystemExit"),
    ],
)
def test_a_tool_that_breaks_its_process_breaks_nothing_else(made: Any, message: str) -> None:
    outcome = answer(made)
    assert outcome.failed
    assert message in outcome.text
    assert answer(tools.add, a=1).text == "2"


def test_its_exceptions_are_reported_like_those_of_any_tool() -> None:
    assert answer(tools.fail, kind="tool").text == "Error: Say what you want."
    assert answer(tools.fail, kind="money").text == "Error: fail raised ValueError: no money"


def test_cancelling_kills_the_process() -> None:
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    started = time.monotonic()
    outcome = answer(tools.nap, cancel=cancel)
    assert outcome.failed
    assert time.monotonic() - started < 3


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts what is open by /proc")
def test_no_process_is_left_after_two_hundred_calls() -> None:
    PROCESSES.end()
    before = descriptors()
    for number in range(200):
        if number % 20 == 0:
            answer(tools.leave)
        answer(tools.add, a=number)
    assert len(PROCESSES.idle) <= MAX_IDLE
    PROCESSES.end()
    assert descriptors() <= before
    children = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True, check=False
    )
    assert "agentkit.tooling.subprocess_worker" not in children.stdout


def test_several_run_at_once() -> None:
    threads = [threading.Thread(target=answer, args=(tools.add,), kwargs={"a": number}) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(PROCESSES.idle) <= MAX_IDLE


def test_a_tool_of_the_main_program_is_found(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os\n"
        "from agentkit import Agent, tool\n"
        "from agentkit.testing import ScriptedBackend\n\n"
        "@tool(isolate=True)\n"
        "def number() -> int:\n"
        '    """Tell."""\n'
        "    return os.getpid()\n\n"
        'if __name__ == "__main__":\n'
        '    result = Agent(ScriptedBackend(("number", {}), "Done."), tools=[number]).run("Go.")\n'
        "    assert int(result.tool_calls[0].response) != os.getpid()\n"
        "    print(result.output)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30, check=False, env=environment
    )
    assert (done.stdout, done.stderr) == ("Done.\n", "")


def test_a_function_that_a_subprocess_cannot_import_is_rejected_at_its_definition() -> None:
    with pytest.raises(ToolDefinitionError, match="top level of a module"):

        @tool(isolate=True)
        def inner() -> None:
            """Inside a function."""

    with pytest.raises(ToolDefinitionError, match="memory"):
        tool(memory=5, description="Too little.")(test_several_run_at_once)


def test_the_process_ends_with_the_program_though_a_tool_still_sleeps() -> None:
    code = (
        "import threading, time\n"
        "from agentkit import Context\n"
        "from tests.support import isolated_tools as tools\n"
        "threading.Thread(target=lambda: tools.nap.answer('{}', Context()), daemon=True).start()\n"
        "time.sleep(1)\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=20, check=True)
    assert time.monotonic() - started < 6


def test_a_tool_sees_the_arguments_folder_environment_and_path_of_the_program_at_each_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):  # the second call runs in the process that the first one left changed
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["program", f"--number={number}"])
        monkeypatch.setattr(sys, "path", [*sys.path, f"/path/{number}"])
        monkeypatch.setenv("ISOLATED_LATE", str(number))
        assert json.loads(answer(tools.surroundings).text) == {
            "argv": ["program", f"--number={number}"],
            "folder": str(folder),
            "late": str(number),
            "own": None,
            "path": f"/path/{number}",
            "input": "",
        }


def test_a_result_that_cannot_be_read_again_is_told_as_done() -> None:
    outcome = answer(tools.make_unreadable)
    assert (outcome.failed, outcome.text) == (False, "made once")


PROGRAM = """
import logging, sys
from contextvars import ContextVar
from dataclasses import dataclass
from agentkit import Context, tool
VARIABLE, COUNT = ContextVar("VARIABLE", default="as loaded"), 0
SEEN = sys.argv[1:]  # as the program is loaded: it may read its arguments there
class Lost(Exception):
    pass
@dataclass
class Place:
    name: str
@tool(isolate=True)
def show(place: Place) -> Place:
    "Show."
    if not place.name:
        raise Lost("no name")
    print(f"shown to a person, {SEEN} {VARIABLE.get()} {COUNT} {sys.warnoptions}")
    logging.getLogger("own").warning("warned")
    return Place(place.name.upper() + ("" if __debug__ else " without asserts"))
if __name__ == "__main__":
    VARIABLE.set("changed")
    COUNT = 5
    logging.basicConfig(format="handled: %(message)s", stream=sys.stdout)
    logging.disable()  # what the calls of this process log
    for place in ("Oslo", "", "Bergen"):
        print(show.answer('{"place": {"name": "%s"}}' % place, Context()).text)
"""


@pytest.mark.parametrize(
    ("start", "path"),
    [
        (["-O", "-W", "ignore::UserWarning", "program.py"], "program.py"),
        (["-m", "package.program"], "package/program.py"),
        (["-m", "package"], "package/__main__.py"),
        (["package.zip"], "package.zip"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_program_is_found_however_it_was_started(tmp_path: Path, start: list[str], path: str) -> None:
    (tmp_path / "package").mkdir()
    is_module = "-m" in start and "package" in path
    source = PROGRAM
    (tmp_path / "package" / "helper.py").write_text("")
    if is_module:
        source = source.replace("class Lost", "from . import helper\nclass Lost", 1)
    if path.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / path, "w") as archive:
            archive.writestr("__main__.py", source)
    else:
        (tmp_path / path).write_text(source)
    done = subprocess.run(
        [sys.executable, *start, "--loud"],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    more = " without asserts" if "-O" in start else ""
    shown = [f'{{"name":"{name}{more}"}}' for name in ("OSLO", "BERGEN")]
    assert done.stdout.splitlines() == [shown[0], "Error: show raised Lost: no name", shown[1]]
    options = ["ignore::UserWarning"] if "-W" in start else []
    assert done.stderr.splitlines() == [f"shown to a person, ['--loud'] as loaded 0 {options}", "warned"] * 2


def test_a_text_that_names_the_main_program_does_not_load_it(tmp_path: Path) -> None:
    program = tmp_path / "program"  # as a package installs it: without an ending, and without a main block
    program.write_text(
        "from agentkit import Context\n"
        "from tests.support import isolated_tools as tools\n"
        """print(tools.slowly.answer('{"text": "__main__"}', Context()).text)\n"""
    )
    done = subprocess.run(
        [sys.executable, str(program)],
        capture_output=True, text=True, timeout=30, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("__main__\n", "")


def test_a_program_that_a_tool_waits_for_is_killed_with_it(tmp_path: Path) -> None:
    answer(tools.add, a=1)
    assert "was stopped" in answer(tools.wait_for_program, told=str(tmp_path / "pid")).text
    until(lambda: not is_running(int((tmp_path / "pid").read_text())))


def test_the_process_ends_with_a_program_that_is_killed(tmp_path: Path) -> None:
    code = (
        "from agentkit import Context\n"
        "from tests.support import isolated_tools as tools\n"
        "print(tools.whoami.answer('{}', Context()).text, flush=True)\n"
        "tools.nap.answer('{}', Context())\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        worker = int(program.stdout.readline())
        program.kill()
    until(lambda: not is_running(worker))


def is_running(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waits for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def test_a_part_of_a_tool_runs_in_another_process() -> None:
    assert call_isolated(os.getpid) != os.getpid()
    with pytest.raises(ValueError, match="invalid literal"):
        call_isolated(int, "x")
    with pytest.raises(IsolationError, match=r"sleep did not finish within 0\.1 seconds") as raised:
        call_isolated(time.sleep, 9, timeout=0.1)
    assert raised.value.reason == "timeout"
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(IsolationError, match="cancelled") as raised:
        call_isolated(time.sleep, 9, cancel=cancel)
    assert raised.value.reason == "cancelled"


def test_a_process_that_cannot_be_started_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    PROCESSES.end()
    for executable in ("/bin/true", "/nonexistent", ""):
        monkeypatch.setattr(sys, "executable", executable)
        with pytest.raises(IsolationError, match="could not start its process") as raised:
            call_isolated(os.getpid)
        assert raised.value.reason == "not started"
