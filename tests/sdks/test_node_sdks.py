"""The SDKs of OpenAI's API for Node.js against `agentkit serve` over the llama.cpp server: what they can do with that
server directly, they can do through the service, with the same outcome."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sdks import matrix, node_packages
from tests.sdks.node_limits import LIMITS
from tests.sdks.node_packages import SCRIPTS, NotInstalledError
from tests.sdks.sides import Servers, check


@pytest.fixture(scope="module")
def packages() -> None:
    try:
        node_packages.installed()
    except NotInstalledError as error:
        pytest.skip(str(error))


@pytest.mark.timeout(300)
def test_sdks_get_the_same_through_the_service_as_from_the_server(packages: None, servers: Servers) -> None:
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda script: node_packages.rows(script, *servers), SCRIPTS)
        rows = [row for of_script in found for row in of_script]
    assert {row["sdk"] for row in rows} == set(LIMITS)
    check(rows, LIMITS)
    assert {row["sdk"]: matrix.cells(row) for row in rows}.items() <= matrix.cells_of_the_page().items(), (
        matrix.OUTDATED
    )
