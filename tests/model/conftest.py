"""A real model of 135 million parameters (make test-model), in this process and behind llama.cpp's server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentkit.backend import Backend
from agentkit.backends import GGUFBackend, OpenAIBackend
from tests.support.llama_server import LlamaServer, serve_llama

CONTEXT = 2048


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Loading the model, and each reply, take seconds."""
    for item in items:
        item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def smollm() -> Path:
    """The GGUF file."""
    return Path(os.environ["AGENTKIT_TEST_MODEL"])


@pytest.fixture(scope="session")
def smollm_server(smollm: Path) -> Iterator[LlamaServer]:
    """A llama.cpp server with the model."""
    with serve_llama(smollm, context=CONTEXT, slots=1) as server:
        yield server


@pytest.fixture(scope="session", params=["process", "server"])
def smol(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """The model in this process, and behind the server; always the same words for the same prompt."""
    if request.param == "process":
        path = request.getfixturevalue("smollm")
        backend: Backend = GGUFBackend(path, context=CONTEXT, threads=1, temperature=0, max_tokens=60)
    else:
        url = request.getfixturevalue("smollm_server").url
        backend = OpenAIBackend("smollm2", url, temperature=0, max_tokens=60)
    yield backend
    backend.close()
