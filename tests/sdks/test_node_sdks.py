"""The SDKs of OpenAI's API for Node.js against `agentkit serve` over the llama.cpp server: what they can do with that
server directly, they can do through the service, with the same outcome."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.sdks import node_packages
from tests.sdks.node_limits import LIMITS
from tests.sdks.node_packages import NotInstalledError, Sides
from tests.serving.http.test_process import served
from tests.support.http_service import LOOK_UP, serve_http, settings_for
from tests.support.llama_server import LlamaServer, serve_llama

pytestmark = pytest.mark.timeout(300)

SCRIPTS = ("openai_node.mjs", "ai_sdk.mjs")
ORIGIN = "https://app.example"
"""Where the page is that the scripts pretend to be."""


@pytest.fixture(scope="module")
def packages() -> None:
    try:
        node_packages.installed()
    except NotInstalledError as error:
        pytest.skip(str(error))


BESIDE = "tool call beside the service's tools,agent loop beside the service's tools"


@contextmanager
def beside(server: LlamaServer, folder: Path, **options: Any) -> Iterator[Sides]:
    """A server for some abilities, and a service of this process."""
    folder.mkdir()
    with serve_http(settings_for(folder, server.url, **options)) as service:
        yield Sides(server.url, "tiny", f"{service.url}/v1", "agentkit")


def test_sdks_get_the_same_through_the_service_as_from_the_server(
    packages: None, llama: LlamaServer, thinking_llama: LlamaServer, tiny_model: Path, tmp_path: Path
) -> None:
    with (
        served(tmp_path, LLM_SERVER_URL=llama.url, AGENTKIT_CORS=ORIGIN) as (url, _),
        beside(llama, tmp_path / "tools", agentkit_tools=(LOOK_UP,)) as with_tools,
        beside(thinking_llama, tmp_path / "thinking", llm_skip_thinking=False) as thinking,
        serve_llama(tiny_model, slots=1, embeddings=True) as embedding_server,
        beside(embedding_server, tmp_path / "embedding") as embedding,
        ThreadPoolExecutor() as pool,
    ):
        sides = Sides(llama.url, str(tiny_model), f"{url}/v1", "agentkit")
        others = {"reasoning,streamed reasoning": thinking, "embeddings": embedding, BESIDE: with_tools}
        rows = pool.map(lambda script: node_packages.rows(script, sides, others), SCRIPTS)
        found = {row["sdk"]: row["abilities"] for of_script in rows for row in of_script}
    assert set(found) == set(LIMITS)
    check(found)


def check(found: dict[str, dict[str, Any]]) -> None:
    for sdk, abilities in found.items():
        for ability, outcome in abilities.items():
            limit = LIMITS[sdk].get(ability)
            expected = outcome["direct"] if limit is None else found[limit.sdk][limit.ability]["direct"]
            assert (sdk, ability, outcome["through"]) == (sdk, ability, expected)
            assert "error" not in expected, (sdk, ability, expected)
