"""Redis as it is run: cluster, sentinels, TLS, users with few rights, shared URLs; and URLs that are wrong."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentkit import ConfigurationError, SessionError
from agentkit.errors import SessionBusyError
from agentkit.session import Sessions
from agentkit.sessions import RedisSessions, open_sessions
from tests.support.ports import refusing_port
from tests.support.redis_server import RedisServer, serve_redis, serve_sentinel
from tests.support.tls_proxy import serve_tls

redis_py = pytest.importorskip("redis")

HELLO = {"role": "user", "content": "Hello"}
HI = {"role": "assistant", "content": "Hi"}


def works(sessions: Sessions) -> None:
    """A store that can do everything."""
    with sessions:
        sessions["a"].append([HELLO])
        sessions["a"].append([HI])
        sessions.rename("a", "b")
        sessions.fork("b", "c", at=1)
        assert sorted(info.id for info in sessions.list()) == ["b", "c"]
        assert [info.id for info in sessions.list("b")] == ["b"]
        assert sessions["b"].messages == [HELLO, HI]
        sessions.delete("b")
        sessions.delete("c")
        assert sessions.list() == []


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with serve_redis(tmp_path_factory.mktemp("cluster"), "--cluster-enabled", "yes") as server:
        client = redis_py.Redis(port=server.port)
        client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
            time.sleep(0.05)
        client.close()
        yield server


# taskforcesh/bullmq#459: the keys of a script have to be in one slot.
def test_a_cluster_works(cluster: RedisServer) -> None:
    works(open_sessions(f"redis+cluster://127.0.0.1:{cluster.port},127.0.0.1:1"))
    works(open_sessions(f"redis+cluster://127.0.0.1:{cluster.port}?prefix={{other}}:"))
    works(open_sessions(f"redis://127.0.0.1:{cluster.port}/0?prefix={{agentkit}}:"))


def test_a_cluster_opened_as_one_server_says_what_to_do(cluster: RedisServer) -> None:
    with pytest.raises(SessionError, match=r"redis\+cluster://.*prefix='\{agentkit\}:'"):
        RedisSessions(cluster.url)["a"].append([HELLO])
    with pytest.raises(ConfigurationError, match=r"prefix='\{agentkit\}:' instead of 'mine:'"):
        RedisSessions(f"redis+cluster://127.0.0.1:{cluster.port}", prefix="mine:")


def test_a_cluster_that_cannot_be_reached_is_a_session_error() -> None:
    sessions = open_sessions(f"redis+cluster://127.0.0.1:{refusing_port()}")
    with pytest.raises(SessionError, match="can't be used"):
        sessions["a"].append([HELLO])


# redis/redis-py#460: after a failover, writes went on to the old server, now a replica.
@pytest.mark.slow
def test_after_a_failover_the_store_writes_to_the_new_server(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        serve_redis(tmp_path / "one", "--save", "", "--repl-diskless-sync-delay", "0") as one,
        serve_redis(tmp_path / "two", "--save", "", "--replicaof", "127.0.0.1", str(one.port)) as two,
        serve_sentinel(tmp_path, one) as port,
    ):
        sentinel, replica = redis_py.Redis(port=port), redis_py.Redis(port=two.port)
        sessions = open_sessions(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/mymaster/0")
        works(sessions)
        sessions["a"].append([HELLO])
        while replica.info("replication")["master_link_status"] != "up" or not sentinel.execute_command(
            "SENTINEL", "REPLICAS", "mymaster"
        ):
            time.sleep(0.05)
        while not replica.exists("agentkit:session:a:entries"):
            time.sleep(0.05)
        one.process.kill()
        while replica.info("replication")["role"] != "master":
            time.sleep(0.05)
        deadline = time.monotonic() + 20
        while True:
            try:
                sessions["a"].append([HI])
                break
            except SessionError:  # until the sentinel has told its clients
                assert time.monotonic() < deadline
        assert sessions["a"].messages == [HELLO, HI]
        sessions.close()
        sentinel.close()
        replica.close()


def test_a_server_that_became_a_replica_is_left_for_the_one_that_took_over(tmp_path: Path) -> None:
    """As with an address that is moved to the new server: the open connection leads to the old one."""
    with serve_redis(tmp_path, "--save", "") as server:
        client = redis_py.Redis(port=server.port)
        sessions = RedisSessions(server.url)
        sessions["a"].append([HELLO])
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(SessionError, match="read only replica"):
            sessions["a"].append([HI])
        client.execute_command("REPLICAOF", "NO", "ONE")
        sessions["a"].append([HI])
        assert sessions["a"].messages == [HELLO, HI]
        client.close()
        sessions.close()


def test_commands_whose_answers_are_lost_may_be_done_twice(tmp_path: Path, redis: RedisServer) -> None:
    sessions = RedisSessions(redis.url, prefix=f"{tmp_path.name}:")
    do: Any = sessions._client.do

    def twice(action: Any) -> Any:
        do(action)  # its answer does not arrive, and redis-py sends it again
        return do(action)

    sessions._client.do = twice  # type: ignore[method-assign]
    with sessions["a"].hold(0.0), pytest.raises(SessionBusyError):
        RedisSessions(redis.url, prefix=f"{tmp_path.name}:").delete_all(["a"], wait=0.0)
    works(sessions)


# redis-developer/langgraph-redis#24: answers were taken for bytes.
@pytest.mark.parametrize("query", ["decode_responses=true", "decode_responses=yes&encoding=latin-1", "protocol=3"])
def test_a_url_that_is_shared_with_other_programs_works(query: str, tmp_path: Path, redis: RedisServer) -> None:
    works(RedisSessions(f"{redis.url}?{query}", prefix=f"{tmp_path.name}:"))


def test_the_options_of_the_store_are_in_the_url(redis: RedisServer, tmp_path: Path) -> None:
    sessions = RedisSessions(f"{redis.url}?prefix={tmp_path.name}%3A&lease=0.5")
    assert sessions._lease == 0.5
    sessions["a"].append([HELLO])
    assert RedisSessions(redis.url, prefix=f"{tmp_path.name}:")["a"].messages == [HELLO]


@pytest.mark.parametrize("query", ["lease=soon", "lease=-1", "lease=nan", "nonsense=1", "health_check_interval=often"])
def test_an_option_without_sense_is_refused(query: str) -> None:
    with pytest.raises(ConfigurationError, match="not a valid Redis URL"):
        RedisSessions(f"redis://localhost:1/0?{query}")


@pytest.mark.parametrize("lease", [0, -1, 1e-6, 1e9, float("nan")])
def test_a_lease_without_sense_is_refused(lease: float) -> None:
    with pytest.raises(ConfigurationError, match="lease="):
        RedisSessions("redis://localhost:1/0", lease=lease)
    with pytest.raises(ConfigurationError, match="lease="):
        RedisSessions(f"redis://localhost:1/0?lease={lease}")


def test_a_user_needs_only_the_rights_to_the_keys_of_the_store(redis: RedisServer) -> None:
    admin = redis_py.Redis(port=redis.port)
    commands = "get set del pexpire llen rpush lrange hget hset hsetnx hmget zadd zrem zcard zunionstore zscore"
    commands += " zrangebylex zremrangebyscore exists rename evalsha script|load"
    rights = [f"+{command}" for command in commands.split()]
    admin.execute_command("ACL", "SETUSER", "kit", "on", ">p@ss/key#1", "~mine:*", "-@all", *rights)
    works(RedisSessions(f"redis://kit:p%40ss%2Fkey%231@127.0.0.1:{redis.port}/0", prefix="mine:"))
    with pytest.raises(SessionError, match="NoPermissionError") as refused:
        RedisSessions(f"redis://kit:p%40ss%2Fkey%231@127.0.0.1:{redis.port}/0", prefix="other:")["a"].append([HELLO])
    with pytest.raises(SessionError, match="AuthenticationError") as rejected:
        RedisSessions(f"redis://kit:wrong-SECRET@127.0.0.1:{redis.port}/0", prefix="mine:")["a"].append([HELLO])
    assert "ss/key" not in f"{refused.value}{rejected.value!r}"
    assert "SECRET" not in str(rejected.value)
    admin.close()


# celery/celery#7864: the error shows the password up to its "#".
@pytest.mark.parametrize(
    "url",
    [
        "redis://:p@ss:SECRETPART/ord@host:6379/0",
        "redis://:SECRETPART#@192.168.1.100:6379/0",
        "redis://:SECRETPART?x@host:6379/0",
        "redis://:SECRETPART/x@host:6379/0",
        "redis://:SECRETPART[x@host:6379/0",
        "redis://:SECRETPART]x[@host:6379/0",
        "redis://:SECRET\u2100PART@host:6379/0",
        "redis+cluster://:SECRETPART/x@host:6379",
        "redis+sentinel://:SECRETPART/x@host:6379/mymaster",
        "redis+sentinel://:SECRETPART@host:6379",
        "rediss://user:SECRETPART@host:70000/0",
        "unix://user:SECRETPART/x@/run/redis.sock",
        "http://user:SECRETPART@host",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode the user and the password") as refused:
        RedisSessions(url)
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:secret@host:1/0", "RedisSessions(host:1)"),
        ("redis+sentinel://me:secret@a,b:2/mymaster/3?sentinel_password=secret", "RedisSessions(a:26379,b:2/mymaster)"),
        ("redis+cluster://me:secret@[::1]:3,b", "RedisSessions([::1]:3,b:6379)"),
        ("unix://me:secret@/run/redis.sock?db=1", "RedisSessions(unix:///run/redis.sock)"),
    ],
)
def test_a_store_shows_where_it_is_and_no_password(url: str, shown: str) -> None:
    sessions = RedisSessions(url)
    assert repr(sessions) == shown
    assert "secret" not in repr(vars(sessions))
    assert "secret" not in repr(sessions._client.address)


def test_tls_is_verified_with_the_given_certificates(tmp_path: Path, redis: RedisServer) -> None:
    with serve_tls(tmp_path, redis.port) as (port, certificates):
        works(open_sessions(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificates}&prefix={tmp_path.name}%3A"))
        with pytest.raises(SessionError, match="certificate verify failed"):
            open_sessions(f"rediss://127.0.0.1:{port}/0")["a"].append([HELLO])


# Cyrax321/SNAGLINE#326: to give back a lock that had expired was an error, raised after the work was done.
def test_a_lock_that_expired_is_no_error_for_a_writer_that_writes_nothing_more(redis: RedisServer) -> None:
    sessions = RedisSessions(redis.url, "expired:")
    with sessions["a"].hold() as writer:
        writer.append([HELLO])
        sessions._client.server.delete("expired:session:a:lock")
    assert sessions["a"].messages == [HELLO]


def test_one_subjects_list_reads_that_subjects_sessions_only(redis: RedisServer) -> None:
    sessions = RedisSessions(redis.url, "many:")
    server = sessions._client.server
    sessions["me:1"].append([HELLO])
    sessions["mee"].append([HELLO])

    def commands(others: int) -> int:
        server.zadd("many:sessions", {f"other:{others}:{number}": 0 for number in range(others)})
        sessions.list("me:")  # brings the names up to date, as for sessions of an earlier version
        server.config_resetstat()
        assert [info.id for info in sessions.list("me:")] == ["me:1"]
        return sum(each["calls"] for name, each in server.info("commandstats").items() if "config" not in name)

    assert commands(10) == commands(20_000)
    server.delete("many:sessions", "many:sessions-by-name")
