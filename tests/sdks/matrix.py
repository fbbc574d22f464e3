"""Tries each ability of each SDK at llama.cpp and through the service, and prints docs/clients.md.

    python -m tests.sdks.matrix [--write]

--write: write the page. Exit code: 1 if an outcome is not the same.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.sdks import node_packages, python_packages
from tests.sdks.node_limits import LIMITS as NODE_LIMITS
from tests.sdks.python_limits import LIMITS as PYTHON_LIMITS
from tests.sdks.python_packages import MORE, MORE_SCRIPTS
from tests.sdks.sides import Row, Servers, differences, serve_sides
from tests.support.llama_server import serve_llama
from tests.support.tiny_model import write_tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
LIMITS = {**PYTHON_LIMITS, **NODE_LIMITS}
OUTDATED = "docs/clients.md is out of date: python -m tests.sdks.matrix --write"
SAME, MORE_THAN_SAME = "yes", "service"

URL = '"http://127.0.0.1:8000/v1"'
AI_SDK = f"{{ baseURL: {URL}, apiKey: KEY }}"
ADDRESSES = {
    "openai (Python)": f"openai.OpenAI(base_url={URL}, api_key=KEY)",
    "langchain-openai": f'ChatOpenAI(model="agentkit", base_url={URL}, api_key=KEY)',
    "instructor": f"instructor.from_openai(openai.OpenAI(base_url={URL}, api_key=KEY))",
    "llm": "- {model_id: agentkit, model_name: agentkit, "
    f"api_base: {URL}, supports_tools: true, supports_schema: true}}` in `extra-openai-models.yaml",
    "OpenAI Agents SDK": f'OpenAIResponsesModel("agentkit", AsyncOpenAI(base_url={URL}, api_key=KEY))',
    "litellm": f'litellm.completion(model="openai/agentkit", api_base={URL}, api_key=KEY, ...)',
    "LlamaIndex": f'OpenAILike(model="agentkit", api_base={URL}, api_key=KEY, is_chat_model=True, '
    "is_function_calling_model=True)",
    "smolagents": f'OpenAIModel("agentkit", api_base={URL}, api_key=KEY)',
    "openai (Node.js)": f"new OpenAI({AI_SDK})",
    "Vercel AI SDK (@ai-sdk/openai-compatible)": "createOpenAICompatible({ name: "
    f'"agentkit", baseURL: {URL}, apiKey: KEY }})("agentkit")',
    "Vercel AI SDK (@ai-sdk/openai, chat)": f'createOpenAI({AI_SDK}).chat("agentkit")',
    "Vercel AI SDK (@ai-sdk/openai, responses)": f'createOpenAI({AI_SDK})("agentkit")',
}
NOT_IN_THE_TESTS = ("litellm", "LlamaIndex", "smolagents")

TOP = f"""\
# Clients

What programs for OpenAI's API can do with [`agentkit serve`](http.md#openai-compatible-api). This page is made by

    python -m tests.sdks.matrix --write

which tries each ability of each SDK directly at a llama.cpp server with a small model, and through the service before
that server:

- *{SAME}*: the outcome is the same.
- *{MORE_THAN_SAME}*: it holds through the service, and [not at llama.cpp](#beyond-llamacpp).
- An empty cell: the SDK does not have it, or has it in the same way as an ability above.

The tests try it all again and compare it with this page, but for {", ".join(NOT_IN_THE_TESTS[:-1])} and
{NOT_IN_THE_TESTS[-1]}.

## Addresses

`KEY` is a key of [the service](http.md#access-from-other-machines), or any text where it needs none. The model is
`agentkit`.
"""


def main() -> None:
    """The command."""
    with _servers() as servers, ThreadPoolExecutor(2) as pool:
        python = pool.map(lambda script: [python_packages.row(script, *servers)], python_packages.SCRIPTS)
        more = pool.map(lambda script: [python_packages.row(script, *servers, MORE)], MORE_SCRIPTS)
        node = pool.map(lambda script: node_packages.rows(script, *servers), node_packages.SCRIPTS)
        rows = [row for found in (*python, *more, *node) for row in found]
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(rows), encoding="utf-8")
    else:
        print(page(rows))
    if problems := differences(rows, LIMITS):
        sys.exit("\n".join(problems))


@contextmanager
def _servers() -> Iterator[Servers]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = write_tiny_model(folder / "tiny.gguf")
        thinking_model = write_tiny_model(folder / "thinking.gguf", thinking=True)
        with (
            serve_llama(model) as llama,
            serve_llama(thinking_model, slots=1) as thinking,
            serve_sides(llama, thinking, model, folder) as servers,
        ):
            yield servers


def cells(row: Row) -> dict[str, str]:
    """What the page says of each ability of an SDK."""
    limits = LIMITS.get(row["sdk"], {})
    return {ability: MORE_THAN_SAME if ability in limits else SAME for ability in row["abilities"]}


def cells_of_the_page() -> dict[str, dict[str, str]]:
    """The same, as the page has it, for each SDK."""
    section = PAGE.read_text(encoding="utf-8").partition("## Abilities")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in section.split("\n") if line.startswith("|")]
    head, _, *rows = lines
    return {sdk: {row[0]: row[place] for row in rows if row[place]} for place, sdk in enumerate(head) if place > 0}


def page(rows: Sequence[Row]) -> str:
    """The text of the page."""
    abilities = list(dict.fromkeys(ability for row in rows for ability in row["abilities"]))
    abilities.sort(key=lambda ability: "response" in ability)  # the Responses API after the other abilities
    found = [cells(row) for row in rows]
    lines = [
        TOP,
        *_table(
            ["SDK", "version", "address"], [[row["sdk"], row["version"], f"`{ADDRESSES[row['sdk']]}`"] for row in rows]
        ),
        "\n## Abilities\n",
        *_table(
            ["ability", *(row["sdk"] for row in rows)],
            [[ability, *(each.get(ability, "") for each in found)] for ability in abilities],
        ),
        "\n## Beyond llama.cpp\n",
        *_table(["SDK", "ability", "why it does not hold at llama.cpp"], list(_reasons(rows))),
    ]
    return "\n".join(lines) + "\n"


def _reasons(rows: Sequence[Row]) -> Iterator[list[str]]:
    for row in rows:
        limits = LIMITS.get(row["sdk"], {})
        for reason in dict.fromkeys(limit.reason for limit in limits.values()):
            names = [name for name in row["abilities"] if name in limits and limits[name].reason == reason]
            yield [row["sdk"], ", ".join(names), reason]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
