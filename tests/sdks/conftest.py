"""What the tests of the SDKs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdks.sides import Servers, serve_sides
from tests.support.llama_server import LlamaServer


@pytest.fixture(scope="package")
def servers(
    llama: LlamaServer, thinking_llama: LlamaServer, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """llama.cpp servers, and a service before each."""
    with serve_sides(llama, thinking_llama, tiny_model, tmp_path_factory.mktemp("services")) as running:
        yield running
