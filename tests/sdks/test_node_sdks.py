"""The SDKs of OpenAI's API for Node.js against `agentkit serve` over the llama.cpp server: what they can do with that
server directly, they can do through the service, with the same outcome."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sdks import node_packages
from tests.sdks.node_limits import LIMITS
from tests.sdks.node_packages import NotInstalledError, Sides
from tests.serving.http.test_process import served
from tests.support.http_service import serve_http, settings_for
from tests.support.llama_server import LlamaServer, serve_llama

pytestmark = pytest.mark.timeout(300)

ORIGIN = "https://app.example"
"""Where the page is that the scripts pretend to be."""
ERRORS = {"error of a bad request", "streamed error of a bad request", "too long a history"}


@pytest.fixture(scope="module")
def packages() -> None:
    try:
        node_packages.installed()
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def sides(
    packages: None, llama: LlamaServer, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sides]:
    """The server, and the service as a process of its own."""
    environment = {"LLM_SERVER_URL": llama.url, "AGENTKIT_CORS": ORIGIN}
    with served(tmp_path_factory.mktemp("service"), **environment) as (url, _):
        yield Sides(llama.url, str(tiny_model), f"{url}/v1", "agentkit")


@pytest.fixture(scope="module")
def others(
    packages: None, thinking_llama: LlamaServer, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Sides]]:
    """Servers with other models, for what needs them."""
    with (
        beside(thinking_llama, tmp_path_factory.mktemp("thinking")) as thinking,
        serve_llama(tiny_model, slots=1, embeddings=True) as server,
        beside(server, tmp_path_factory.mktemp("embedding")) as embedding,
    ):
        yield {"reasoning,streamed reasoning": thinking, "embeddings": embedding}


@contextmanager
def beside(server: LlamaServer, folder: Path) -> Iterator[Sides]:
    """A server, and a service of this process."""
    with serve_http(settings_for(folder, server.url, llm_skip_thinking=False)) as service:
        yield Sides(server.url, "tiny", f"{service.url}/v1", "agentkit")


@pytest.mark.parametrize("script", ["openai_node.mjs", "ai_sdk.mjs"])
def test_sdks_get_the_same_through_the_service_as_from_the_server(
    script: str, sides: Sides, others: Mapping[str, Sides]
) -> None:
    found = {row["sdk"]: row["abilities"] for row in node_packages.rows(script, sides, others)}
    for sdk, abilities in found.items():
        for ability, outcome in abilities.items():
            limit = LIMITS[sdk].get(ability)
            expected = outcome["direct"] if limit is None else found[limit.sdk][limit.ability]["direct"]
            assert (sdk, ability, outcome["through"]) == (sdk, ability, expected)
            assert (ability in ERRORS) == ("error" in expected), (sdk, ability, expected)
