"""The options of `agentkit batch`, which `agentkit eval` has too, and what is given to them in a form of its own."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from agentkit.errors import ConfigurationError

KEPT = ("tool_calls", "messages")
MAX_AT_ONCE = 100_000
_AT_ONCE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")

_DESCRIBES = {
    "model": "model",
    "system": "instructions",
    "docs": "docs",
    "tool": "tools",
    "hook": "hooks",
    "mcp": "mcp",
    "max_turns": "max_turns",
    "evidence": "evidence",
    "taint": "taint",
}
"""Options that describe an agent, by their names, and what they are called in its description."""

QuestionsArgument = Annotated[
    str,
    typer.Argument(
        metavar="QUESTIONS",
        help="The questions: a .jsonl, .jsonl.gz, .csv or .parquet file; - reads JSON lines from standard input.",
        show_default=False,
    ),
]
OutOption = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="ANSWERS.jsonl",
        help="Where the answers are written, a line each, as they come; what it has already is not asked again. - is "
        "standard output, where nothing can be gone on with.",
    ),
]
AgentOption = Annotated[
    str | None,
    typer.Option(
        "--agent",
        metavar="MODULE:NAME|FILE.py:NAME",
        help="An agent of Python code, or a function that makes it; in place of --model, --tool and so on.",
    ),
]
NoToolsOption = Annotated[
    bool, typer.Option("--no-tools", help="Give the model no tools, and no system prompt but --system.")
]
OnOption = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="FLEET",
        help="Where they are answered: threads, dask (processes of this machine), dask://HOST:PORT, ray, "
        "ray://HOST:PORT.",
    ),
]
QuestionOption = Annotated[
    str | None, typer.Option("--question", metavar="COLUMN", help="The column or field that has the question.")
]
AtOnceOption = Annotated[
    str | None,
    typer.Option(
        "--at-once",
        metavar="N|MIN-MAX",
        help="How many questions are in progress; default: what the server stands, from 4 to 128.",
    ),
]
KeepOption = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="|".join(KEPT),
        help="What is written beside the answer; repeat the option for both.",
        autocompletion=lambda incomplete: [name for name in KEPT if name.startswith(incomplete)],
    ),
]
OrderedOption = Annotated[
    bool, typer.Option("--ordered", help="Put the file in the order of the questions at the end.")
]
SkipBadOption = Annotated[
    bool,
    typer.Option("--skip-bad", help="Write lines that can't be read as failed; without it, they stop the start."),
]
DedupOption = Annotated[bool, typer.Option("--dedup", help="Ask equal questions once, and copy the answer.")]
AnywayOption = Annotated[
    bool,
    typer.Option("--anyway", help="Go on though the model, the prompt, the tools or other settings have changed."),
]
RetryFailedOption = Annotated[bool, typer.Option("--retry-failed", help="Ask again what has failed.")]
RetryUnknownOption = Annotated[
    bool,
    typer.Option(
        "--retry-unknown", help="Ask again what was in progress at a kill, though its tools may have had their effect."
    ),
]
SessionsOption = Annotated[
    str | None,
    typer.Option(
        "--sessions",
        metavar="FILE|URL",
        help="Store each run, so that after a kill it is continued and no tool has its effect twice: a SQLite file, "
        "redis://... or the URL of another store.",
    ),
]
LimitCostOption = Annotated[
    float | None, typer.Option("--limit-cost", min=0, metavar="DOLLARS", help="Cost in all at most.")
]
LimitTokensOption = Annotated[int | None, typer.Option("--limit-tokens", min=1, help="Tokens in all at most.")]
LimitSecondsOption = Annotated[float | None, typer.Option("--limit-seconds", min=0, help="Time in all at most.")]
AttemptsOption = Annotated[
    int, typer.Option("--attempts", min=1, help="How often a question is begun when connections and servers fail.")
]
GraceOption = Annotated[
    float,
    typer.Option("--grace", min=0, metavar="SECONDS", help="How long Ctrl-C waits for what is in progress."),
]
TemperatureOption = Annotated[
    float | None, typer.Option("--temperature", min=0, help="Of all requests; a line may have its own.")
]
SamplingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--sampling",
        metavar="KEY=VALUE",
        help="Another field of all requests, such as max_tokens=300 or seed=7; repeat the option for several.",
    ),
]
EventsOption = Annotated[
    bool, typer.Option("--json", help="Print progress as JSON lines on standard error, for programs.")
]


def at_once_of(given: str | None) -> tuple[int, int] | None:
    """The bounds "N" or "MIN-MAX" as (least, most); None for None. Raises ConfigurationError."""
    if given is None:
        return None
    found = _AT_ONCE.fullmatch(given.replace(" ", ""))
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most <= MAX_AT_ONCE:
        raise ConfigurationError(
            f"--at-once {given!r:.80}: write a number, such as 32, or the least and the most, such as 4-128"
        )
    return least, most


def sampling_of(temperature: float | None, given: Sequence[str]) -> dict[str, Any]:
    """The fields of requests that --temperature and --sampling KEY=VALUE name; a value that is JSON is what it says,
    else a text. Raises ConfigurationError."""
    fields: dict[str, Any] = {} if temperature is None else {"temperature": temperature}
    for each in given:
        key, found, value = each.partition("=")
        key = key.strip()
        if not found or not key:
            raise ConfigurationError(f"--sampling {each!r}: write KEY=VALUE, such as max_tokens=300")
        if key in fields:
            raise ConfigurationError(f"--sampling {each!r}: {key} is given twice")
        fields[key] = _value_of(value)
    return fields


def agent_given(context: typer.Context) -> Any:
    """The agent that the options describe: a reference, or what `agentkit.serving.agent_loading` makes one of.

    Raises ConfigurationError for options that contradict each other."""
    given = {name: context.params[option] for option, name in _DESCRIBES.items()}
    given["tools"] = given["tools"] or None  # the default ones
    given["docs"] = given["docs"] or None
    if context.params["no_tools"]:
        typed = [f"--{option}" for option in ("tool", "docs", "mcp") if _is_typed(context, option)]
        if typed:
            raise ConfigurationError(f"--no-tools and {typed[0]} contradict each other: leave out one of them")
        given |= {"tools": [], "docs": None, "mcp": None, "instructions": given["instructions"] or ""}
    reference = context.params["agent"]
    if reference is None:
        return {name: value for name, value in given.items() if value is not None}
    typed = [option for option in (*_DESCRIBES, "no_tools") if _is_typed(context, option)]
    if typed:
        option = typed[0].replace("_", "-")
        raise ConfigurationError(f"--agent names an agent that has all of its own: leave out --{option}")
    return reference


def _is_typed(context: typer.Context, option: str) -> bool:
    """Whether an option stands in the command line; defaults of the environment and of the configuration file are for
    agents that are made here."""
    return getattr(context.get_parameter_source(option), "name", "") == "COMMANDLINE"


def kept(given: Sequence[str]) -> tuple[str, ...]:
    """What is kept, each once, in the order in which it stands in a record. Raises ConfigurationError."""
    names = [name.strip().replace("-", "_") for each in given for name in each.split(",")]
    if unknown := [name for name in names if name not in KEPT]:
        raise ConfigurationError(f"--keep {unknown[0]!r:.80}: use {' or '.join(KEPT)}")
    return tuple(name for name in KEPT if name in names)


def checked_out(out: str | None, needs_a_file: dict[str, bool]) -> Path | None:
    """The file for the answers; None for standard output. needs_a_file: options that stand for what only a file has,
    and whether each is given. Raises ConfigurationError."""
    if out is None or not out.strip():
        raise ConfigurationError(
            "say where the answers are written: -o answers.jsonl (the same command again goes on with it), or -o - for "
            "standard output"
        )
    if out == "-":
        given = [name for name, is_given in needs_a_file.items() if is_given]
        if given:
            raise ConfigurationError(f"{given[0]} needs a file: write -o answers.jsonl in place of -o -")
        return None
    path = Path(out)
    if path.is_dir():
        raise ConfigurationError(f"-o {out}: it is a folder: name a file, such as {path / 'answers.jsonl'}")
    if not path.absolute().parent.is_dir():
        raise ConfigurationError(f"-o {out}: {path.absolute().parent} is no folder that it could be written to")
    return path


def _value_of(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=lambda name: name)  # NaN and Infinity are no JSON: texts
    except (ValueError, RecursionError):
        return text
