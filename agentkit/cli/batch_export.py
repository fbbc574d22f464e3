"""`agentkit batch export` and `agentkit batch import`: answers in other forms, and to and from batch services."""

import sys
from enum import StrEnum
from itertools import chain
from typing import Annotated

import typer

from agentkit import AgentkitError, ConfigurationError
from agentkit.batch.answers_path import answers_path
from agentkit.batch.export import export_csv, export_parquet
from agentkit.batch.journal import Journal
from agentkit.batch.provider_files import MOST_REQUESTS, export_requests, read_replies
from agentkit.cli.batch_options import QuestionOption, SamplingOption, TemperatureOption, sampling_of
from agentkit.cli.stores import leave
from agentkit.net.model_names import WITH_OPENAI_API, split_name

DISK = 5
"""The exit code when answers can't be written."""


class Form(StrEnum):
    """What is written."""

    csv = "csv"
    parquet = "parquet"
    openai = "openai"


def export(
    source: Annotated[
        str, typer.Argument(metavar="ANSWERS.jsonl", help="The answers; for --to openai, the file of the questions.")
    ],
    to: Annotated[
        Form,
        typer.Option(help="csv, parquet; or openai: requests for the batch service of a provider, or vllm run-batch."),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="The file that is written; - is standard output.")
    ],
    excel: Annotated[
        bool,
        typer.Option(
            "--excel",
            help="CSV for a spreadsheet: with a byte order mark, and an apostrophe before texts that it would run as "
            "formulas. Without it each text is exactly as it is.",
        ),
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="For --to openai: the model, as openai:gpt-5-mini.")
    ] = None,
    system: Annotated[str, typer.Option("--system", "-s", help="For --to openai: instructions.")] = "",
    question: QuestionOption = None,
    temperature: TemperatureOption = None,
    sampling: SamplingOption = None,
) -> None:
    """Write the answers of a batch as CSV or parquet, or questions as requests for a provider's batch service."""
    place = sys.stdout.buffer if out in ("-", "/dev/stdout") else out
    try:
        if to is Form.csv:
            count = export_csv(source, place, for_excel=excel)
        elif to is Form.parquet:
            count = export_parquet(source, place)
        else:
            fields = sampling_of(temperature, sampling or [])
            count = export_requests(source, place, _name_of(model), system=system, sampling=fields, question=question)
    except AgentkitError as error:
        leave(str(error), 2)
    if place is out:
        print(f"{count:,} {'requests' if to is Form.openai else 'records'} in {out}", file=sys.stderr)
    if to is Form.openai and count > MOST_REQUESTS:
        print(f"OpenAI takes {MOST_REQUESTS:,} in a file: divide it, as with split -l {MOST_REQUESTS}", file=sys.stderr)


def _name_of(model: str | None) -> str:
    if model is None or not model.strip():
        raise ConfigurationError("--to openai needs the model that is to answer: --model openai:gpt-5-mini")
    provider, name, url = split_name(model)
    if provider not in WITH_OPENAI_API or not name:
        raise ConfigurationError(f"--model {model!r}: write provider:model, as openai:gpt-5-mini or vllm:NAME")
    if url is not None:
        raise ConfigurationError("--model: a file of requests has no address, which is given to the service")
    return name


def import_(
    replies: Annotated[
        list[str], typer.Argument(metavar="OUTPUT.jsonl...", help="What the service gave back: replies, and errors.")
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="ANSWERS.jsonl", help="The answers that the records are added to.")
    ],
) -> None:
    """Add what a provider's batch service gave back to the answers of a batch.

    A question that has an answer already keeps it; one that failed gets the new one.
    """
    try:
        path = answers_path(out)
        for name in replies:
            answers_path(path, name)
        with Journal.open(path, None, retry_failed=True, retry_new=True) as journal:
            added, failed, left = _add(journal, replies)
    except ConfigurationError as error:
        leave(str(error), 2)
    except AgentkitError as error:
        leave(str(error), DISK)
    print(f"{added:,} records added to {out}, {failed:,} of them failed; {left:,} questions were answered already")


def _add(journal: Journal, replies: list[str]) -> tuple[int, int, int]:
    added = failed = left = 0
    for record in chain.from_iterable(map(read_replies, replies)):
        if not journal.write(record):
            left += 1
            continue
        added += 1
        failed += not record["ok"]
    return added, failed, left
