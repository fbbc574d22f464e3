"""What the tests of the HTTP service share."""

from collections.abc import Iterator

import pytest

from tests.support.scripted_agent import close_agents


@pytest.fixture(scope="module", autouse=True)
def _services_of_the_module_end() -> Iterator[None]:
    yield
    close_agents()
