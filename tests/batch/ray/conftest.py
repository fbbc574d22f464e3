"""One Ray on this machine for all tests: it takes many seconds to start."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.batch_agents import ASKED, NEEDED


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the workers note each question."""
    return tmp_path_factory.mktemp("ray") / "asked"


@pytest.fixture(scope="session", autouse=True)
def cluster(asked: Path) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")  # it would write a token into the home folder
        patch.delenv(NEEDED, raising=False)
        import agentkit.batch.ray  # noqa: F401 - before Ray itself, as a program does

        import ray

        variables = {ASKED: str(asked), "PYTHONPATH": os.pathsep.join(sys.path)}
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": variables})
        yield ray
        ray.shutdown()
