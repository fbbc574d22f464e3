"""The program llm, with the models of extra-openai-models.yaml."""

import functools
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner
from llm.cli import cli

from tests.sdks.python.abilities import QUESTION, Person, Side, report

FUNCTION = '''
def get_weather(city: str) -> str:
    """Get the weather."""
    return f"It is sunny in {city}."
'''
KINDS: dict[str, dict[str, bool]] = {"chat": {}, "responses": {"responses": True}, "completion": {"completion": True}}
USAGE = re.compile(r"Token usage: ([\d,]+) input, ([\d,]+) output")


FOLDER = tempfile.TemporaryDirectory()


@functools.cache
def user_folder(side: Side) -> str:
    """The program's folder, which has a model of each kind; making its database takes more than a second."""
    folder = Path(FOLDER.name, str(abs(hash(side))))
    folder.mkdir()
    server = {"model_name": side.model, "api_base": side.url, "supports_tools": True, "supports_schema": True}
    models = [{"model_id": kind, **server, **options} for kind, options in KINDS.items()]
    (folder / "extra-openai-models.yaml").write_text(yaml.safe_dump(models), encoding="utf-8")
    return str(folder)


def run(side: Side, *command: str, given: str | None = None) -> Any:
    os.environ["LLM_USER_PATH"] = user_folder(side)
    done = CliRunner().invoke(cli, command, input=given)
    if done.exit_code != 0:
        return {"error": f"{done.exit_code}: {done.stderr or done.exception!r}"[:500]}
    return {"stdout": done.stdout, "stderr": done.stderr}


def prompt(side: Side, *arguments: str, kind: str = "chat") -> Any:
    return run(side, "prompt", "--no-log", "-m", kind, *arguments)


def said(side: Side, *arguments: str, kind: str = "chat") -> Any:
    done = prompt(side, *arguments, kind=kind)
    return done if "error" in done else {"text": done["stdout"].strip()}


def loop(side: Side, *arguments: str, kind: str = "chat") -> Any:
    """`--td` shows the calls and their results."""
    done = prompt(side, QUESTION, "--functions", FUNCTION, "--td", *arguments, kind=kind)
    return done if "error" in done else {"text": done["stdout"].strip(), "calls": shown(done["stderr"])}


def shown(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def tool(side: Side) -> Any:
    done = prompt(side, "Which version?", "-T", "llm_version", "--td")
    return done if "error" in done else {"text": done["stdout"].strip(), "calls": shown(done["stderr"])}


def parsed(side: Side, *arguments: str, kind: str = "chat") -> Any:
    done = said(side, "Hello", *arguments, kind=kind)
    return done if "error" in done else {"parsed": json.loads(done["text"])}


def usage(side: Side, *arguments: str) -> Any:
    done = prompt(side, "Hello", "-u", *arguments)
    if "error" in done:
        return done
    found = USAGE.search(done["stderr"])
    return {"usage": found.groups()} if found else {"error": done["stderr"]}


def conversation(side: Side, kind: str = "chat") -> Any:
    run(side, "prompt", "-m", kind, "Hello")
    done = run(side, "prompt", "-c", "And now?")
    return done if "error" in done else {"text": done["stdout"].strip()}


def conversation_with_tools(side: Side) -> Any:
    run(side, "prompt", "-m", "chat", QUESTION, "--functions", FUNCTION)
    done = run(side, "prompt", "-c", "And in Rome?", "--functions", FUNCTION, "--td")
    return done if "error" in done else {"text": done["stdout"].strip(), "calls": shown(done["stderr"])}


def interactive(side: Side) -> Any:
    done = run(side, "chat", "-m", "chat", "--functions", FUNCTION, given=f"{QUESTION}\nexit\n")
    return done if "error" in done else {"text": done["stdout"].partition("> ")[2]}


def too_long(side: Side) -> Any:
    done = said(side, "long " * 4000)
    return {"is 400": "400" in done["error"]} if "error" in done else {"error": "nothing was raised"}


SCHEMA = json.dumps(Person.model_json_schema())

ABILITIES = {
    "chat": lambda side: said(side, "Hello", "-s", "Be brief.", "--no-stream"),
    "streamed chat": lambda side: said(side, "Hello", "-o", "temperature", "0", "-o", "seed", "7"),
    "conversation": conversation,
    "conversation with tools": conversation_with_tools,
    "interactive chat": interactive,
    "tool call": tool,
    "agent loop": lambda side: loop(side, "--no-stream"),
    "streamed agent loop": loop,
    "structured output": lambda side: parsed(side, "--schema", SCHEMA, "--no-stream"),
    "streamed structured output": lambda side: parsed(side, "--schema", "name, age int"),
    "several objects": lambda side: parsed(side, "--schema-multi", "name, age int"),
    "json mode": lambda side: parsed(side, "-o", "json_object", "1"),
    "usage": lambda side: usage(side, "--no-stream"),
    "usage in streams": usage,
    "too long a history": too_long,
    "responses": lambda side: said(side, "Hello", "--no-stream", kind="responses"),
    "streamed responses": lambda side: said(side, "Hello", kind="responses"),
    "responses agent loop": lambda side: loop(side, "--no-stream", kind="responses"),
    "streamed responses agent loop": lambda side: loop(side, kind="responses"),
    "responses structured output": lambda side: parsed(side, "--schema", SCHEMA, "--no-stream", kind="responses"),
    "responses conversation": lambda side: conversation(side, kind="responses"),
    "completions": lambda side: said(side, "Hello", "--no-stream", "-o", "max_tokens", "8", kind="completion"),
    "streamed completions": lambda side: said(side, "Hello", "-o", "max_tokens", "8", kind="completion"),
}

if __name__ == "__main__":
    report("llm", "llm", ABILITIES, at_once=1)  # the runner replaces the streams of the process
