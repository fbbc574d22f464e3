"""The SDKs of OpenAI's API for Python against `agentkit serve` over the llama.cpp server: what they can do with that
server directly, they can do through the service, with the same outcome."""

import pytest

from tests.sdks import matrix, python_packages
from tests.sdks.node_packages import NotInstalledError
from tests.sdks.python_limits import LIMITS
from tests.sdks.python_packages import SCRIPTS
from tests.sdks.sides import Servers, check


@pytest.mark.timeout(300)
@pytest.mark.parametrize("script", SCRIPTS)
def test_an_sdk_gets_the_same_through_the_service_as_from_the_server(script: str, servers: Servers) -> None:
    try:
        row = python_packages.row(script, *servers)
    except NotInstalledError as error:
        pytest.skip(str(error))
    check([row], LIMITS)
    assert matrix.cells_of_the_page()[row["sdk"]] == matrix.cells(row), matrix.OUTDATED
