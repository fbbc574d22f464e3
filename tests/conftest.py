"""What the tests share: a loopback site, and real llama.cpp servers on a tiny model."""

from collections.abc import Iterator

import pytest

from tests.site import Site, serve_site


@pytest.fixture
def site() -> Iterator[Site]:
    """A loopback web site of its own."""
    with serve_site() as running:
        yield running
