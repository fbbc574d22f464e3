"""Fixtures shared by the tests: a loopback site, scripted model servers, and real llama.cpp servers on a tiny model."""

import gc
import itertools
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.support import forked_cli
from tests.support.fewer_messages import read_lines, send_less
from tests.support.llama_server import LlamaServer, serve_llama
from tests.support.model_server import ModelServer, serve
from tests.support.rewritten import rewrite_share
from tests.support.site import Site, serve_site
from tests.support.tiny_model import write_tiny_model

# The tests with a real model run where its path is given: make test-model.
collect_ignore = [] if os.environ.get("AGENTKIT_TEST_MODEL") else ["model"]
# Those with Arize Phoenix where its environment is given: make test-phoenix.
collect_ignore += [] if os.environ.get("AGENTKIT_TEST_PHOENIX") else ["phoenix"]
# Those with the MCP programs of others likewise: make test-mcp.
collect_ignore += [] if os.environ.get("AGENTKIT_TEST_MCP") else ["mcp/real"]
# Those with Ray, where it is installed: make test-ray.
collect_ignore += [] if os.environ.get("AGENTKIT_TEST_RAY") else ["batch/ray"]

# The examples of the property tests are the same in each run, so that an unrelated change can't fail by chance, and a
# third of the number that a test names. With AGENTKIT_FUZZ=20, they are others each time, and 20 times that number:
# make fuzz.
FUZZ = int(os.environ.get("AGENTKIT_FUZZ", "0"))
settings.register_profile("same examples", derandomize=True, deadline=None)
settings.register_profile("search", derandomize=False, deadline=None, print_blob=True, database=None)
settings.load_profile("search" if FUZZ else "same examples")

# A shell that starts a job in the background has it ignore SIGINT, and with it all that the job starts. The tests that
# send Ctrl-C to a program need it as a terminal would start it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run two processes more than there are CPUs: many tests wait, for other processes and for time to pass."""
    return (os.cpu_count() or 1) + 2


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give each process of pytest-xdist the folder in which they share what takes seconds to start."""
    if hasattr(os, "fork"):
        node.workerinput["shared"] = forked_cli.shared_folder()


def pytest_configure(config: pytest.Config) -> None:
    if folder := getattr(config, "workerinput", {}).get("shared"):
        forked_cli.shared = Path(folder)


def pytest_sessionstart(session: pytest.Session) -> None:
    read_lines(session.config)
    send_less(session.config)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect the tests without collections of garbage, of which there is little, and let no later one look at the
    12,000 tests and all modules again: tests of threads and memory ask for many."""
    gc.disable()
    if session.config.getoption("file_or_dir") == []:  # all tests are asked for
        rewrite_share(session.config, sorted(Path(__file__).parent.rglob("test_*.py")))
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set the number of examples of the property tests: a profile can't, where a test sets it itself."""
    own = "_hypothesis_internal_use_settings"
    for test in {getattr(item, "function", None) for item in items}:
        if isinstance(given := getattr(test, own, None), settings):
            number = given.max_examples * FUZZ if FUZZ else max(min(20, given.max_examples), given.max_examples // 3)
            setattr(test, own, settings(given, max_examples=number))


folders: list[Path] = []
"""The folder of this process, in which each test has a folder."""
numbers = itertools.count()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Folders for caches and for the configuration of each test's own, not the user's; and no memory of the sites of
    other tests, whose ports come again. The folders are made by who writes to them. (An autouse fixture with those that
    it needs takes a tenth of what an empty test takes.)"""
    if not folders:
        folders.append(Path(tempfile.mkdtemp(prefix="agentkit-tests-")))
    own = f"{folders[0]}/{next(numbers)}"
    os.environ["XDG_CONFIG_HOME"], os.environ["AGENTKIT_CACHE"] = f"{own}/config", f"{own}/cache"
    if politeness := sys.modules.get("agentkit_tools.politeness"):
        politeness.HOSTS_OF_PROCESS.clear()


def pytest_sessionfinish() -> None:
    while folders:
        shutil.rmtree(folders.pop(), ignore_errors=True)


@pytest.fixture
def site() -> Iterator[Site]:
    """A loopback web site."""
    with serve_site() as running:
        yield running


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file: calls a tool, and answers after one result."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="session")
def llama(tiny_model: Path) -> Iterator[LlamaServer]:
    """A llama.cpp server with 8192 tokens of context."""
    with serve_llama(tiny_model) as server:
        yield server


@pytest.fixture(scope="session")
def keyed_llama(tiny_model: Path) -> Iterator[LlamaServer]:
    """A llama.cpp server that requires the key "sesame-open-now"."""
    with serve_llama(tiny_model, slots=1, key="sesame-open-now") as server:
        yield server


@pytest.fixture(scope="session")
def thinking_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The GGUF file of a model that thinks before each reply."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "thinking.gguf", thinking=True)


@pytest.fixture(scope="session")
def thinking_llama(thinking_model: Path) -> Iterator[LlamaServer]:
    """A llama.cpp server whose model thinks before each reply."""
    with serve_llama(thinking_model, slots=1) as server:
        yield server


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A model server that echoes the messages, and calls the tool look_up when asked to look up something."""
    from tests.support.http_service import reply

    with serve(reply) as server:
        yield server
