"""A server that records requests."""

from collections.abc import Iterator

import pytest

from tests.support.api_server import ApiServer, serve_api


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with serve_api() as server:
        yield server
