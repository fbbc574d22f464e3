"""The command line, run as a subprocess."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.forked_cli import command_for
from tests.support.llama_server import LlamaServer
from tests.support.model_server import Answer, delta, serve, streamed, whole
from tests.support.site import Site

ROOT = Path(__file__).parents[2]
DOCUMENTS = str(ROOT / "examples" / "documents")
REAL = (sys.executable, "-m", "agentkit")
QUESTION = "How many seconds slow was H4 after the voyage to Jamaica?"
TOOLS = '''
import time
from agentkit import tool

@tool
def verify(claim: str) -> str:
    """Verify a claim."""
    return "It is true."

@tool(read_only=True)
def view_slowly(claim: str) -> str:
    """View something for a very long time."""
    time.sleep(60)
    return "late"

def plain(x: int) -> int:
    """Do a plain thing."""
    return x

class Shelf:
    @tool(read_only=True)
    def find(self, title: str) -> str:
        """Find a book."""
        return title

shelf = Shelf()
both = [verify, plain]
number = 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a module of tools."""
    (tmp_path / "mytools.py").write_text(TOOLS)
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AGENTKIT", "OPENAI"))}
    return kept | {"COLUMNS": "120", "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tools")])} | more


def agentkit(
    *arguments: str, cwd: Path | None = None, stdin: str | None = None, fork: bool = True, **variables: str
) -> subprocess.CompletedProcess[str]:
    """fork: whether the process is forked from one that has the modules imported, if the variables allow it."""
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    begin = command_for(variables) if fork else REAL
    return subprocess.run(
        [*begin, *arguments],
        **given,
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**variables),
        timeout=60,
        check=False,
    )


def test_a_question_over_documents_is_answered_on_stdout_with_progress_on_stderr() -> None:
    done = agentkit("ask", QUESTION, "--docs", DOCUMENTS, fork=False)
    assert done.returncode == 0
    assert "H4 was only 5.1 seconds slow." in done.stdout
    assert "[1] H4 and its trials — 06-h4-trials.html" in done.stdout
    assert "→ search_documents(query=" in done.stderr
    assert re.search(r"✓ search_documents \d+\.\d+ s", done.stderr)
    assert "→ read_document(path=" in done.stderr
    assert "3 requests · 2 tool calls" in done.stderr


def test_quiet_is_quiet() -> None:
    done = agentkit("ask", "-q", QUESTION, "--docs", DOCUMENTS)
    assert done.stderr == ""
    assert "5.1 seconds" in done.stdout


def test_json_is_json_on_an_output_that_has_only_ascii() -> None:
    with serve([whole("Smørbrød 🥪")]) as server:
        done = agentkit("ask", "Lunch?", "--json", "--model", f"openai:m@{server.url}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == "Smørbrød 🥪"
    assert json.loads(done.stdout)["usage"]["cost"] is None


def test_json_is_the_whole_result() -> None:
    done = agentkit("ask", QUESTION, "--docs", DOCUMENTS, "--json", "--quiet")
    result = json.loads(done.stdout)
    assert set(result) == {
        "output",
        "messages",
        "usage",
        "stopped",
        "tool_calls",
        "repairs",
        "pending",
        "unknown_calls",
        "replayed",
        "finish_reason",
        "models",
        "citations",
        "sources",
    }
    assert result["stopped"] == "answer"
    assert [record["name"] for record in result["tool_calls"]] == ["search_documents", "read_document"]
    assert result["messages"][0]["role"] == "system"
    assert {each["verdict"] for each in result["citations"]} == {"supported"}
    assert result["sources"][0]["address"] == "06-h4-trials.html"


def test_a_question_may_come_from_standard_input() -> None:
    assert "5.1 seconds" in agentkit("ask", "-", "--docs", DOCUMENTS, stdin=QUESTION + "\n").stdout


@pytest.mark.parametrize("stream", ["--stream", "--no-stream"])
def test_a_real_model_calls_a_custom_tool(folder: Path, llama: LlamaServer, stream: str) -> None:
    done = agentkit(
        "ask", "Verify it.", "--model", f"openai:tiny@{llama.url}", "--tool", "mytools:verify", stream, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Done.\n"
    assert '→ verify(claim="v")' in done.stderr
    assert "It is true." in done.stderr


def test_the_model_may_come_from_the_environment(folder: Path, llama: LlamaServer) -> None:
    done = agentkit("ask", "Verify it.", "--tool", "mytools:both", cwd=folder, AGENTKIT_MODEL=f"llamacpp:@{llama.root}")
    assert done.stdout == "Done.\n"


def test_turns_can_be_limited(folder: Path, llama: LlamaServer) -> None:
    done = agentkit(
        *("ask", "Verify it.", "--model", f"openai:tiny@{llama.url}", "--tool", "mytools:verify", "--max-turns", "1"),
        cwd=folder,
    )
    assert done.returncode == 0
    assert "limit on turns reached" in done.stderr
    assert "stopped: turns" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ask"], "the question is empty"),
        (["ask", "  "], "the question is empty"),
        (["ask", "x", "--model", "nonsense:x"], "no model provider 'nonsense'"),
        (["ask", "x", "--model", "openai:gpt-5-mini"], "OPENAI_API_KEY"),
        (["ask", "x", "--docs", "no/such/folder"], "the folder does not exist"),
        (["ask", "x", "--tool", "mytools"], "write module:name"),
        (["ask", "x", "--tool", "nowhere:x"], "can't be imported"),
        (["ask", "x", "--tool", "mytools:nothing"], "has no 'nothing'"),
        (["ask", "x", "--tool", "mytools:number"], "neither a tool nor a function"),
        (["ask", "x", "--tool", "mytools:shelf"], "tools as its methods: name them, such as module:object.find"),
        (["ask", "x", "--tool", "mytools:verify", "--tool", "mytools:both"], "two tools are named 'verify'"),
        (["ask", "x", "--max-turns", "0"], "max-turns"),
        (["ask", "x", "--what"], "No such option"),
        (["tools", "--tool", "nowhere:x"], "can't be imported"),
    ],
)
def test_bad_usage_is_exit_code_2_and_a_message(folder: Path, arguments: list[str], says: str) -> None:
    done = agentkit(*arguments, cwd=folder)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_unreachable_server_is_exit_code_1_and_a_message(folder: Path) -> None:
    with serve([whole("")]) as server:
        url = server.url
    done = agentkit("ask", "x", "--model", f"openai:m@{url}", "--tool", "mytools:verify", "--json", cwd=folder)
    assert done.returncode == 1
    assert "Connection error" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(done.stdout)["messages"][-1] == {"role": "user", "content": "x"}


def test_a_key_never_reaches_the_terminal(folder: Path) -> None:
    key = "sk-never-to-be-seen"
    refusal = Answer(json.dumps({"error": {"message": f"bad key {key}"}}).encode(), status=401)
    with serve([refusal]) as server:
        done = agentkit("ask", "x", "--model", f"openai:m@{server.url}", OPENAI_API_KEY=key)
        assert server.requests[0].headers["authorization"] == f"Bearer {key}"
    assert done.returncode == 1
    assert key not in done.stdout + done.stderr


def test_an_empty_answer_is_exit_code_1() -> None:
    with serve([whole("", finish_reason="stop")]) as server:
        assert agentkit("ask", "x", "--model", f"openai:m@{server.url}").returncode == 1


def interrupted(process: "subprocess.Popen[str]", after: str) -> tuple[str, str, float]:
    """Wait for a line on standard error, then send Ctrl-C; again when Python misses it, which looks for signals before
    a call of the system and not at its very beginning. Returns stdout, stderr, and the seconds until the exit."""
    assert process.stderr is not None
    seen = ""
    while after not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        stdout, stderr = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    return stdout, seen + stderr, time.monotonic() - started


def started(*arguments: str, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*REAL, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
        env=environment(),
    )


def test_ctrl_c_in_a_tool_stops_within_a_second_and_lists_completed_calls(folder: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "verify", "arguments": '{"claim": "x"}'}}
    slow = {"id": "2", "type": "function", "function": {"name": "view_slowly", "arguments": '{"claim": "x"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, slow]}
    tools = ("--tool", "mytools:verify", "--tool", "mytools:view_slowly")
    with serve([whole(message)]) as server:
        process = started("ask", "x", "--model", f"openai:m@{server.url}", *tools, cwd=folder)
        _, stderr, seconds = interrupted(process, "→ view_slowly")
    assert process.returncode == 130
    assert seconds < 10  # one second on a machine that does nothing else; the tool takes 60
    assert re.search(r"interrupted; completed tool calls: verify \(0\.\d s\)", stderr)
    assert "Traceback" not in stderr


def test_ctrl_c_while_the_model_is_slow_stops_too(folder: Path) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "verify", "arguments": '{"claim": "x"}'}}
    dripping = streamed(*[delta(content="word ")] * 300, piece=60, pause=0.1)
    with serve([whole({"role": "assistant", "tool_calls": [call]}), dripping]) as server:
        model = f"openai:m@{server.url}"
        process = started("ask", "x", "--model", model, "--tool", "mytools:verify", "--stream", cwd=folder)
        _, stderr, seconds = interrupted(process, "✓ verify")
    assert process.returncode == 130
    assert seconds < 10
    assert "completed tool calls: verify" in stderr


def test_on_a_terminal_the_answer_is_streamed_without_control_codes(folder: Path) -> None:
    hostile = streamed(delta(content="Be\x1b[2Jhold"), delta(content=" the end"), delta("stop"))
    with serve([hostile]) as server:
        leader, follower = pty.openpty()
        done = subprocess.run(
            [*REAL, "ask", "x", "--model", f"openai:m@{server.url}", "-q"],
            stdout=follower,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(),
            timeout=60,
            check=False,
        )
        os.close(follower)
        shown = os.read(leader, 10_000).decode()
        os.close(leader)
    assert done.returncode == 0
    assert "Be[2Jhold the end" in shown
    assert "\x1b[2J" not in shown
    assert server.requests[0].body["stream"] is True


def test_tools_are_listed_with_their_parameters(folder: Path) -> None:
    listed = agentkit("tools").stdout
    for name in ("search", "visit", "load_image"):
        assert f"{name}  (read-only)" in listed
    assert "query (list of string)  Search queries" in listed
    own = agentkit("tools", "--tool", "mytools:both", cwd=folder).stdout
    assert "verify  (has effects)" in own
    assert "x (integer)" in own
    assert "find  (read-only)" in agentkit("tools", "--tool", "mytools:shelf.find", cwd=folder).stdout


def test_tools_are_listed_as_schemas(folder: Path) -> None:
    schemas = json.loads(agentkit("tools", "--docs", DOCUMENTS, "--tool", "mytools:plain", "--json", cwd=folder).stdout)
    assert [schema["function"]["name"] for schema in schemas] == ["plain", "search_documents", "read_document"]
    assert schemas[0]["function"]["parameters"]["properties"] == {"x": {"type": "integer"}}


def test_the_web_tools_are_the_default(site: Site) -> None:
    answered = whole("Hello.")
    with serve([answered]) as server:
        agentkit("ask", "x", "--model", f"openai:m@{server.url}")
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == ["search", "visit"]


def test_without_the_extra_the_command_names_it() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; sys.argv = ['agentkit']; from agentkit.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 1
    assert done.stderr == "agentkit: the command line needs the extra 'cli': pip install '.[cli]'\n"


def test_help_names_every_option_and_the_docs_do_too() -> None:
    documented = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for command in ("ask", "tools"):
        shown = agentkit(command, "--help").stdout
        options = set(re.findall(r"--[a-z-]+", shown))
        assert len(options) > 2
        for option in options - {"--help"}:
            assert f"`{option}" in documented or f"{option}`" in documented, option


def test_the_exit_code_is_1_when_nothing_was_found_and_when_no_search_engine_was_reached() -> None:
    done = agentkit("ask", "How high is Mount Everest?", "--docs", DOCUMENTS, "--quiet")
    assert (done.returncode, done.stdout[:13]) == (1, "Nothing found")
    question = ("ask", "How high is Mount Everest?", "--model", "extractive", "--quiet")
    done = agentkit(*question, SEARXNG_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stdout[:13]) == (1, "Nothing found")
    assert "search: Error: the search failed" in done.stdout
