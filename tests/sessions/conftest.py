"""The stores that every test of this folder may ask for: agentkit's own and one of another package."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit.session import Sessions
from agentkit.sessions import MemorySessions, RedisSessions, SQLiteSessions, open_sessions
from tests.support.package import write_package
from tests.support.redis_server import RedisServer, serve_redis

ROOT = Path(__file__).parents[2]
Store = Callable[..., Sessions]


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serve_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example of a store, as a package that registers it; its folder is on sys.path."""
    folder = tmp_path_factory.mktemp("package")
    code = (ROOT / "examples" / "json_lines_sessions.py").read_text(encoding="utf-8")
    entry_points = {"agentkit.sessions": {"jsonl": "json_lines_sessions:JsonLinesSessions"}}
    write_package(folder, "json_lines_sessions", code, entry_points)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        yield folder


@pytest.fixture(params=["memory", "sqlite", "redis", "jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A factory of stores on the same file or server."""
    made: list[Sessions] = []
    memory = MemorySessions()
    # Not in `make`, which several threads call: what is not installed would skip none of them.
    redis: RedisServer | None = request.getfixturevalue("redis") if request.param == "redis" else None
    if request.param == "jsonl":
        request.getfixturevalue("package")

    def make(**options: Any) -> Sessions:
        if request.param == "memory":
            memory.wait = options.get("wait", memory.wait)
            return memory
        if request.param == "sqlite":
            made.append(SQLiteSessions(tmp_path / "chat.db", **options))
        elif request.param == "jsonl":
            made.append(open_sessions(f"jsonl:{tmp_path}"))
            made[-1].wait = options.get("wait", made[-1].wait)
        else:
            assert redis is not None
            made.append(RedisSessions(redis.url, prefix=f"{tmp_path.name}:", **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
