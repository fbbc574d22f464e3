"""The fleet that a name stands for."""

import sys
from concurrent.futures import Executor
from typing import Any

from agentkit.batch.executor import ExecutorEngine
from agentkit.batch.fleet import Engine, Fleet
from agentkit.batch.futures import FutureFleet
from agentkit.batch.job import Job
from agentkit.batch.threads import ThreadFleet
from agentkit.errors import ConfigurationError

NAMES = "threads, dask, dask://HOST:PORT, ray, ray://HOST:PORT, or in Python an Executor of concurrent.futures"


def fleet_of(on: Any, job: Job) -> Fleet:
    """The fleet that is meant.

    on: "threads" (of this process), "dask" (a cluster of processes of this machine), "dask://HOST:PORT" (a scheduler),
    "ray", "ray://HOST:PORT", a `concurrent.futures.Executor` or a function that makes one, a `distributed.Client`, or a
    Fleet. Raises ConfigurationError for anything else, for a job that can't travel there, and where a cluster can't be
    reached, MissingExtraError when its package is not installed.
    """
    if on == "threads":
        return ThreadFleet()
    if hasattr(on, "start") and hasattr(on, "join") and not isinstance(on, type):
        fleet: Fleet = on
        return fleet
    job.to_json()  # before a cluster is started in vain
    return FutureFleet(_named(on) if isinstance(on, str) else _given(on))


def _named(on: str) -> Engine:
    scheme, _, address = on.partition("://")
    if scheme == "dask" and (address or on == scheme):
        from agentkit.batch.dask import cluster_at, local_cluster

        return cluster_at(address) if address else local_cluster()
    if scheme == "ray" and (address or on == scheme):
        from agentkit.batch.ray import ray_cluster

        return ray_cluster(on if address else "")
    raise ConfigurationError(f"items can't be answered on {on!r:.100}: use {NAMES}")


def _given(on: Any) -> Engine:
    if client := _dask_client(on):
        from agentkit.batch.dask import DaskEngine

        return DaskEngine(client)
    if isinstance(on, Executor) or callable(on):
        return ExecutorEngine(on)
    raise ConfigurationError(f"on={on!r:.100} can't answer items: use {NAMES}")


def _dask_client(on: Any) -> Any:
    """The client that is given, itself or as the executor that it makes, which would run lost tasks again by itself."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    client = getattr(on, "_client", None) if type(on).__name__ == "ClientExecutor" else on
    return client if isinstance(client, distributed.Client) else None
