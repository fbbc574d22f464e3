"""What people expect who know other command lines for models: piped input, short options, sessions, attachments."""

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agentkit import SessionError, __version__, tool
from agentkit.cli import app, piped
from agentkit.sessions import SQLiteSessions
from tests.cli.test_ask import agentkit
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole
from tests.support.site import Site, png

TOOL = "tests.cli.test_habits:print_everywhere"


@tool
def print_everywhere(x: str) -> str:
    """Print something, in every way there is."""
    print("from Python")
    sys.__stdout__.write("to the stream\n") if sys.__stdout__ else None
    os.write(1, b"from C\n")
    subprocess.run(["echo", "from a program"], check=True)
    return "printed"


def answer(asked: Asked) -> Answer:
    last = asked.body["messages"][-1]
    return calls(("print_everywhere", {"x": ""})) if last["content"] == "print" else whole("Answered.")


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENTKIT_MODEL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("AGENTKIT_SESSIONS", str(tmp_path / "sessions.db"))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serve(answer) as running:
        yield running


def run(server: ModelServer, *arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [*arguments, "-m", f"openai:m@{server.url}", "-T", TOOL], input=stdin)


def asked(server: ModelServer) -> Any:
    """The question that the model got last."""
    return server.requests[-1].body["messages"][-1]["content"]


def test_what_is_piped_goes_before_the_question(server: ModelServer) -> None:
    done = run(server, "ask", "Summarise", stdin="Alpha\nBeta\n")
    assert (done.exit_code, done.stdout) == (0, "Answered.\n")
    assert asked(server) == "Alpha\nBeta\n\nSummarise"


def test_what_is_piped_is_not_searched_for_without_a_model() -> None:
    done = CliRunner().invoke(app, ["ask", "Summarise"], input="Private notes.")
    assert done.exit_code == 2
    assert "Choose a model, such as -m" in done.stderr


@pytest.mark.parametrize("words", [[], ["-"]], ids=["bare", "dash"])
def test_a_question_may_be_piped(server: ModelServer, words: list[str]) -> None:
    assert run(server, "ask", *words, stdin="What is it?").exit_code == 0
    assert asked(server) == "What is it?"


@pytest.mark.parametrize("arguments", [["ask", "one", "two"], ["one two"], ["-q", "one two"]], ids=" ".join)
def test_a_question_needs_neither_quotes_nor_the_command(server: ModelServer, arguments: list[str]) -> None:
    assert run(server, *arguments).exit_code == 0
    assert asked(server) == "one two"


def test_a_word_that_is_no_command_is_an_error_with_a_hint(server: ModelServer) -> None:
    done = run(server, "chta")
    assert done.exit_code == 2
    assert "Did you mean 'chat'" in done.stderr
    assert "agentkit ask chta" in " ".join(done.stderr.replace("│", "").split())
    assert server.requests == []


def test_a_pipe_that_was_left_open_does_not_hang_a_question(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(piped, "PATIENCE", 0.05)
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "wb"):
        monkeypatch.setattr(sys, "stdin", stdin)
        assert piped.piped_text(is_wanted=False) == ""


def test_a_slow_command_in_a_pipeline_is_waited_for(server: ModelServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piped, "PATIENCE", 0.05)
    with subprocess.Popen(["sh", "-c", "sleep 0.3; echo late"], stdout=subprocess.PIPE, text=True) as slow:
        monkeypatch.setattr(sys, "stdin", slow.stdout)
        assert piped.piped_text(is_wanted=False) == "late\n"


@pytest.mark.parametrize("source", ["/dev/null", "/dev/zero", "/"])
def test_a_device_is_no_input_to_wait_for(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    descriptor = os.open(source, os.O_RDONLY)
    stream = io.StringIO()
    monkeypatch.setattr(stream, "fileno", lambda: descriptor, raising=False)
    monkeypatch.setattr(sys, "stdin", stream)
    assert piped.piped_text(is_wanted=False) == ""
    os.close(descriptor)


def test_input_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch, server: ModelServer) -> None:
    monkeypatch.setattr(piped, "MAX_BYTES", 10_000)
    with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as endless:
        monkeypatch.setattr(sys, "stdin", endless.stdout)
        with pytest.raises(ValueError, match="more than 10,000 bytes"):
            piped.piped_text(is_wanted=False)
        endless.kill()


def test_attachments_are_texts_and_images_by_kind(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Alpha")
    (tmp_path / "picture").write_bytes(png(3, 3))
    os.mkfifo(tmp_path / "pipe")  # as `-a <(command)` gives one
    threading.Thread(target=(tmp_path / "pipe").write_text, args=["Beta"]).start()
    names = [str(tmp_path / name) for name in ("notes.txt", "picture", "pipe")]
    done = run(server, "ask", "Same?", "-a", names[0], "--attachment", names[1], "-a", names[2])
    assert done.exit_code == 0, done.stderr
    text, image = asked(server)
    documents = '<attachment name="notes.txt">\nAlpha\n</attachment>\n\n<attachment name="pipe">\nBeta\n</attachment>'
    assert text["text"] == f"{documents}\n\nSame?"
    assert image["image_url"]["url"].startswith("data:image/png;base64,")


def test_an_attachment_may_be_piped_or_fetched_from_the_own_network(server: ModelServer, site: Site) -> None:
    assert run(server, "ask", "What?", "-a", "-", stdin=png(3, 3)).exit_code == 0
    assert asked(server)[1]["type"] == "image_url"
    assert run(server, "ask", "What?", "-a", f"{site.url}/windows").exit_code == 0
    assert asked(server) == '<attachment name="windows">\ncaf\u00e9 \u201cbar\u201d\n</attachment>\n\nWhat?'


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "can't be read: No such file"), (b"", "it is empty"), (bytes(range(256)) * 20, "not text")],
    ids=["missing", "empty", "binary"],
)
def test_an_attachment_that_can_not_be_used_is_one_sentence(
    server: ModelServer, tmp_path: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "x.bin").write_bytes(content)
    done = run(server, "ask", "What?", "-a", str(tmp_path / "x.bin"))
    assert done.exit_code == 2
    assert says in done.stderr
    assert server.requests == []


def test_a_session_is_stored_and_the_latest_continued(server: ModelServer) -> None:
    assert run(server, "ask", "nothing to continue", "-c").exit_code == 2
    for arguments in (
        ["one", "--session", "a"],
        ["two", "--session", "b"],
        ["three", "--session", "a"],
        ["four", "-c"],
    ):
        assert run(server, "ask", *arguments).exit_code == 0
    said = [
        [each["content"] for each in request.body["messages"] if each["role"] == "user"] for request in server.requests
    ]
    assert said == [["one"], ["two"], ["one", "three"], ["one", "three", "four"]]


def test_the_system_prompt_has_a_short_name(server: ModelServer) -> None:
    assert run(server, "ask", "x", "-s", "Be brief.").exit_code == 0
    assert server.requests[0].body["messages"][0] == {"role": "system", "content": "Be brief."}


def test_options_may_have_underscores(server: ModelServer) -> None:
    assert run(server, "ask", "x", "--max_turns", "3").exit_code == 0


def test_what_a_tool_prints_is_not_part_of_the_answer_and_no_home_is_needed(server: ModelServer) -> None:
    # in a folder that can't be written to, without a home directory, and without a word on either
    nowhere = {"HOME": "/proc/nowhere", "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": "", "PYTHONUNBUFFERED": ""}
    question = ("ask", "print", "--json", "-q", "-m", f"openai:m@{server.url}", "-T", TOOL)
    done = agentkit(*question, cwd=Path("/proc"), fork=False, **nowhere)
    assert json.loads(done.stdout)["output"] == "Answered.", done.stderr
    assert sorted(done.stderr.splitlines()) == ["from C", "from Python", "from a program", "to the stream"]


def test_help_and_version_have_their_usual_names() -> None:
    for arguments in (["-h"], ["ask", "-h"], ["keys", "-h"], ["keys", "set", "-h"], ["models", "-h"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0, arguments
    assert "Usage: agentkit ask" in CliRunner().invoke(app, ["help", "ask"], prog_name="agentkit").stdout
    assert "--version" in CliRunner().invoke(app, ["--verison"]).stderr
    assert CliRunner().invoke(app, ["--version"]).stdout == f"agentkit {__version__}\n"
    for command in ([], ["ask"]):
        assert "provider:model[@url]" in " ".join(CliRunner().invoke(app, [*command, "--help"]).stdout.split())


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("ask -m open", "openai"), ("ask -T vis", "visit"), ("keys set vlm", "vlmrun"), ("ask --sess", "--session")],
)
def test_names_of_models_and_tools_are_completed(typed: str, completed: str) -> None:
    asked_for = {"_AGENTKIT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"agentkit {typed}"}
    assert completed in CliRunner().invoke(app, [], env=asked_for, prog_name="agentkit").stdout


def test_the_configuration_comes_after_the_environment_and_the_command_line(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path, f'model = "openai:file@{server.url}"\ntool = ["{TOOL}"]\nmax-turns = 3\nsystem = "Brief."\n')
    invoke = CliRunner().invoke
    assert invoke(app, ["ask", "x"]).exit_code == 0
    monkeypatch.setenv("AGENTKIT_MODEL", f"openai:variable@{server.url}")
    assert invoke(app, ["ask", "x"]).exit_code == 0
    assert invoke(app, ["ask", "x", "-m", f"openai:option@{server.url}"]).exit_code == 0
    assert [request.body["model"] for request in server.requests] == ["file", "variable", "option"]
    assert server.requests[0].body["messages"][0]["content"] == "Brief."
    assert "max-turns  config.toml       3" in invoke(app, ["config", "show"]).stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modle = 'x'", "there is no key 'modle': did you mean 'model'?"),
        ("max_turns = 3", "did you mean 'max-turns'?"),
        ("tool = 'search'", "tool has to be a list of texts"),
        ("max-turns = 0", "max-turns has to be at least 1"),
        ("quiet = 1", "quiet has to be true or false"),
        ("evidence = 'warn'", "evidence has to be one of"),
        ("taint = 'on'", "taint has to be one of"),
        ("model = openai", "is not TOML"),
        ("system = 'Gr\xfc\xdfe'", "is not UTF-8 (line 1)"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    configure(tmp_path, text)
    done = CliRunner().invoke(app, ["ask", "x"])
    assert done.exit_code == 2
    assert says in done.stderr
    assert "config.toml" in done.stderr
    assert CliRunner().invoke(app, ["config", "path"]).stdout.endswith("agentkit/config.toml\n")


def test_progress_that_the_configuration_turns_off_can_be_turned_on_again(tmp_path: Path, server: ModelServer) -> None:
    configure(tmp_path, "quiet = true")
    assert "→ print_everywhere" not in run(server, "ask", "print").stderr
    assert "→ print_everywhere" in run(server, "ask", "print", "--no-quiet").stderr


def test_a_session_whose_name_has_a_colon_is_not_continued_without_a_word(server: ModelServer) -> None:
    """A colon is in the ids of services' sessions, and may be in a name that somebody has chosen."""
    assert run(server, "ask", "Hello", "--session", "work:letters", "-q").exit_code == 0
    none = run(server, "ask", "And then?", "-c")
    assert none.exit_code == 2
    assert "work:letters has a colon, as those of services: continue it with --session" in none.stderr
    with SQLiteSessions(os.environ["AGENTKIT_SESSIONS"]) as sessions:
        sessions["older"].append([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi."}])
        sessions["home:letters"].append([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi."}])
    done = run(server, "ask", "And then?", "-c")
    assert "continuing the session older; home:letters, which is newer, has a colon" in done.stderr
    assert done.exit_code == 0


def test_the_store_of_the_configuration_is_that_of_a_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTKIT_SESSIONS", raising=False)
    configure(tmp_path, f'store = "{tmp_path}/kept.db"\n')
    with SQLiteSessions(tmp_path / "kept.db") as sessions:
        sessions["work"].append([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}])
    done = CliRunner().invoke(app, ["trace", "work", "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.stderr
    assert "Hello" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "hi", "--docs", "~nosuchuser/x"),
        ("tools", "--docs", "~nosuchuser/x"),
        ("sessions", "list", "--store", "~nosuchuser/x.db"),
        ("ask", "hi", "--session", "s", "--store", "sqlite:~nosuchuser/x.db"),
        ("batch", "q.jsonl", "-o", "a.jsonl", "--docs", "~nosuchuser/x"),
        ("batch", "q.jsonl", "-o", "a.jsonl", "--no-tools", "--sessions", "~nosuchuser/x.db"),
        ("batch", "q.jsonl", "-o", "a.jsonl", "--agent", "~nosuchuser/x.py:make"),
    ],
)
def test_a_home_directory_that_there_is_not_is_one_sentence(
    server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text('{"id": "1", "question": "a?"}\n')
    model = () if arguments[0] in ("sessions", "tools") or "--agent" in arguments else ("-m", f"openai:m@{server.url}")
    done = CliRunner().invoke(app, [*arguments, *model])
    assert done.exit_code == 2, done.output
    assert isinstance(done.exception, SystemExit)
    assert "~nosuchuser" in done.stderr


def configure(folder: Path, text: str) -> None:
    (folder / "config" / "agentkit").mkdir(parents=True)
    (folder / "config" / "agentkit" / "config.toml").write_text(text, encoding="latin-1")


def test_the_models_of_a_server_are_listed(server: ModelServer, tmp_path: Path) -> None:
    overview = CliRunner().invoke(app, ["models"]).stdout
    assert overview.startswith("Default: extractive\n")
    assert "no key yet: set OPENAI_API_KEY, or agentkit keys set openai" in overview
    root = server.url.removesuffix("/v1")
    for name in (f"openai:@{root}", root):
        assert CliRunner().invoke(app, ["models", name]).stdout == f"openai:tiny@{root}\n"
    refused = CliRunner().invoke(app, ["models", "gguf"])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert CliRunner().invoke(app, ["models", "http://127.0.0.1:9"]).exit_code == 1


@pytest.mark.parametrize(
    ("options", "shows"),
    [(["ask", "x"], "Answered.\n"), (["ask", "x", "--stream"], "Answered.\n"), (["chat"], "Answered.\n")],
)
def test_an_answer_that_can_not_be_stored_is_shown(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, options: list[str], shows: str
) -> None:
    """The disk is full when the model has answered: the answer was paid for."""
    assert run(server, "ask", "x", "--session", "s").stdout == "Answered.\n"
    store = SQLiteSessions._append_marked
    lacks = "assistant"

    def full(self: SQLiteSessions, session_id: str, entries: Any, *rest: Any) -> None:
        if any(f'"role":"{lacks}"' in each.replace(" ", "") for each in entries):
            raise SessionError("the sessions can't be used: database or disk is full")
        store(self, session_id, entries, *rest)

    monkeypatch.setattr(SQLiteSessions, "_append_marked", full)
    done = run(server, *options, "--session", "s", stdin="x\n" if options == ["chat"] else None)
    assert (done.exit_code, done.stdout) == (1, shows)
    assert "disk is full" in done.stderr
    failed = json.loads(run(server, "ask", "x", "--session", "s", "--json").stdout)
    assert failed["messages"][-1]["content"] == "Answered."
    lacks = "user"  # nothing was asked: no earlier answer is shown for it
    count = len(server.requests)
    done = run(server, *options, "--session", "s", stdin="x\n" if options == ["chat"] else None)
    assert (done.exit_code, done.stdout, len(server.requests)) == (1, "", count)
