"""One Ray on this machine for all tests: it takes many seconds to start."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
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
        ray: Any = import_module("agentkit.batch.ray").ray  # as a program has it: not before what it is told
        variables = {ASKED: str(asked), "PYTHONPATH": os.pathsep.join(sys.path)}
        options = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False}
        for attempt in range(3):
            try:
                ray.init(**options, runtime_env={"env_vars": variables})
                break
            except Exception:  # its processes have 30 s to start, which is little on a busy machine
                ray.shutdown()
                if attempt == 2:
                    raise
        yield ray
        ray.shutdown()
