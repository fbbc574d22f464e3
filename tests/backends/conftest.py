"""The fixture of the suite that every backend passes."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.backend_cases import BACKENDS, Player


@pytest.fixture
def player(request: pytest.FixtureRequest) -> Iterator[Player]:
    """Plays scenes on the backend that a test is parametrised with, by `every`."""
    with ExitStack() as resources:
        yield Player(BACKENDS[request.param], resources, request)
