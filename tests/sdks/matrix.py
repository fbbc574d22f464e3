"""Tries each ability of each SDK at llama.cpp and through the service, and prints docs/clients.md.

    python -m tests.sdks.matrix [--write]

--write: write the page. Exit code: 1 if an outcome is not the same.
"""

import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.sdks import node_packages, python_packages
from tests.sdks.node_limits import LIMITS as NODE_LIMITS
from tests.sdks.python_limits import LIMITS as PYTHON_LIMITS
from tests.sdks.sides import Row, Servers, differences, serve_sides
from tests.support.llama_server import serve_llama
from tests.support.tiny_model import write_tiny_model

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
LIMITS = {**PYTHON_LIMITS, **NODE_LIMITS}
NODE_SCRIPTS = ("openai_node.mjs", "ai_sdk.mjs")
SAME, MORE = "yes", "service"

URL = '"http://127.0.0.1:8000/v1"'
SETTINGS = {
    "openai (Python)": f'`openai.OpenAI(base_url={URL}, api_key=KEY)`',
    "langchain-openai": f'`ChatOpenAI(model="agentkit", base_url={URL}, api_key=KEY)`',
    "instructor": f'`instructor.from_openai(openai.OpenAI(base_url={URL}, api_key=KEY))`',
    "llm": "`extra-openai-models.yaml`: `- {model_id: agentkit, model_name: agentkit, "
    f"api_base: {URL}, supports_tools: true, supports_schema: true}}`",
    "OpenAI Agents SDK": f'`OpenAIChatCompletionsModel("agentkit", AsyncOpenAI(base_url={URL}, api_key=KEY))`, or '
    "`OpenAIResponsesModel`",
    "litellm": f'`litellm.completion(model="openai/agentkit", api_base={URL}, api_key=KEY, ...)`',
    "LlamaIndex": f'`OpenAILike(model="agentkit", api_base={URL}, api_key=KEY, is_chat_model=True, '
    "is_function_calling_model=True)`",
    "smolagents": f'`OpenAIModel("agentkit", api_base={URL}, api_key=KEY)`',
    "openai (Node.js)": f"`new OpenAI({{ baseURL: {URL}, apiKey: KEY }})`",
    "Vercel AI SDK (@ai-sdk/openai-compatible)": f"`createOpenAICompatible({{ name: \"agentkit\", baseURL: {URL}, "
    "apiKey: KEY })(\"agentkit\")`",
    "Vercel AI SDK (@ai-sdk/openai, chat)": f"`createOpenAI({{ baseURL: {URL}, apiKey: KEY }}).chat(\"agentkit\")`",
    "Vercel AI SDK (@ai-sdk/openai, responses)": f"`createOpenAI({{ baseURL: {URL}, apiKey: KEY }})(\"agentkit\")`",
}

TOP = f"""# Clients

What programs for OpenAI's API can do with `agentkit serve` ([its endpoints](http.md#openai-compatible-api)). This page
is made by

    python -m tests.sdks.matrix --write

which tries each ability once directly at a llama.cpp server with a small model, and once through the service before
that server. *{SAME}*: the outcome is the same. *{MORE}*: it holds through the service, while llama.cpp alone can't do
it ([why](#beyond-llamacpp)). An empty cell: the SDK does not have it, or it was not tried. The tests try all of it but the SDKs marked
with *, and compare the page with what they find.

## Addresses

`KEY` is a key of [the service](http.md#access-from-other-machines), or any text where it needs none. The model is
`agentkit`.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, thinking = (write_tiny_model(folder / f"{which}.gguf", thinking=which == "thinking") for which in ("tiny", "thinking"))
        with (
            serve_llama(model) as llama,
            serve_llama(thinking, slots=1) as thinking_llama,
            serve_sides(llama, thinking_llama, model, folder) as servers,
            ThreadPoolExecutor(2) as pool,
        ):
            python = pool.map(lambda script: [python_packages.row(script, *servers)], python_packages.SCRIPTS)
            more = pool.map(lambda script: [python_packages.row(script, *servers, python_packages.MORE)], python_packages.MORE_SCRIPTS)
            node = pool.map(lambda script: node_packages.rows(script, *servers), NODE_SCRIPTS)
            rows = [row for found in (*python, *more, *node) for row in found]
    text = page(rows)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    problems = differences(rows, LIMITS)
    print(*problems, sep="\n", file=sys.stderr)
    sys.exit(bool(problems))


def cells(row: Row) -> dict[str, str]:
    """What the page says of each ability of an SDK."""
    limits = LIMITS.get(row["sdk"], {})
    return {ability: MORE if ability in limits else SAME for ability in row["abilities"]}


def page(rows: list[Row]) -> str:
    """The text of the page."""
    abilities = list(dict.fromkeys(ability for row in rows for ability in row["abilities"]))
    addresses = [[row["sdk"], row["version"], SETTINGS[row["sdk"]]] for row in rows]
    found = [cells(row) for row in rows]
    table = [[ability, *(each.get(ability, "") for each in found)] for ability in abilities]
    return "\n".join(
        [
            TOP,
            *_table(["SDK", "version", "address"], addresses),
            "\n## Abilities\n",
            *_table(["ability", *(row["sdk"] for row in rows)], table),
            "\n## Beyond llama.cpp\n",
            *_reasons(rows),
            "",
        ]
    )


def _reasons(rows: list[Row]) -> list[str]:
    """Why llama.cpp can't do what the service can."""
    told = {
        row["sdk"]: {limit.reason: ability for ability, limit in LIMITS.get(row["sdk"], {}).items()} for row in rows
    }
    reasons = {reason: None for each in told.values() for reason in each}
    return [f"- {reason[0].upper()}{reason[1:]}." for reason in reasons]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [_line(head), _line(["---"] * len(head)), *map(_line, rows)]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cells_of_the_page() -> dict[str, dict[str, str]]:
    """What the page says of each ability of each SDK."""
    section = PAGE.read_text(encoding="utf-8").partition("## Abilities")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in section.split("\n") if line.startswith("|")]
    head, _, *rows = lines
    return {sdk: {row[0]: row[place] for row in rows if row[place]} for place, sdk in enumerate(head) if place > 0}


if __name__ == "__main__":
    main()
