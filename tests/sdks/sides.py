"""Where the scripts of the SDKs try their abilities: llama.cpp servers, and a service before each of them; and how the
outcomes are compared.

A row is what a script prints: `{"sdk": ..., "version": ..., "abilities": {name: {"direct": outcome, "through":
outcome}}}`. An outcome with the key "error" is a failure, but for the abilities ERRORS.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.sdks.node_limits import Limit
from tests.sdks.node_packages import Sides
from tests.serving.http.test_process import served
from tests.support.http_service import LOOK_UP, serve_http, settings_for
from tests.support.llama_server import LlamaServer, serve_llama

ORIGIN = "https://app.example"
"""Where the page is that the scripts for Node.js pretend to be."""
ERRORS = ("error of a bad request", "streamed error of a bad request", "too long a history")
Row = Mapping[str, Any]


Limits = Mapping[str, Mapping[str, Limit]]


class Servers(NamedTuple):
    """usual: for all abilities but others, whose names are given with commas between them."""

    usual: Sides
    others: Mapping[str, Sides]


@contextmanager
def serve_sides(llama: LlamaServer, thinking: LlamaServer, model: Path, folder: Path) -> Iterator[Servers]:
    """Run the service: a process before `llama`, and others in this process. model: the file of llama's model.
    thinking: a server whose model thinks."""
    with ExitStack() as stack:

        def beside(server: LlamaServer, **options: Any) -> Sides:
            where = folder / str(len(others))
            where.mkdir()
            service = stack.enter_context(serve_http(settings_for(where, server.url, **options)))
            service.ask("GET", "/unknown")  # FastAPI builds its routes at the first request, and two services at once
            # get in each other's way: each restores the filters of warnings of this process
            return Sides(server.url, "tiny", f"{service.url}/v1", "agentkit")

        url, _ = stack.enter_context(served(folder, LLM_SERVER_URL=llama.url, AGENTKIT_CORS=ORIGIN))
        embedding = stack.enter_context(serve_llama(model, slots=1, embeddings=True))
        others: dict[str, Sides] = {}
        others["reasoning,streamed reasoning"] = beside(thinking, llm_skip_thinking=False)
        others["embeddings"] = beside(embedding)
        others["tool call beside the service's tools,agent loop beside the service's tools"] = beside(
            llama, agentkit_tools=(LOOK_UP,)
        )
        yield Servers(Sides(llama.url, str(model), f"{url}/v1", "agentkit"), others)


def check(rows: Sequence[Row], limits: Limits) -> None:
    """What an SDK can do at the server, it can do through the service, with the same outcome."""
    found = differences(rows, limits)
    assert not found, "\n".join(found)


def differences(rows: Sequence[Row], limits: Limits) -> list[str]:
    """The abilities whose outcome is not the same, or a failure at both."""
    found = {row["sdk"]: row["abilities"] for row in rows}
    return [
        f"{sdk}, {ability}: {problem}"
        for sdk, abilities in found.items()
        for ability, outcome in abilities.items()
        if (problem := _difference(ability, outcome, found, limits.get(sdk, {}).get(ability)))
    ]


def _difference(ability: str, outcome: Row, found: Row, limit: Limit | None) -> str:
    expected = outcome["direct"] if limit is None else found[limit.sdk][limit.ability]["direct"]
    if outcome["through"] != expected:
        return f"{outcome['through']} through the service, not {expected}"
    if isinstance(expected, dict) and "error" in expected and ability not in ERRORS:
        return f"{expected} at the server too"
    return "" if limit is None or outcome["direct"] != expected else "llama.cpp can do it: the limit is gone"
