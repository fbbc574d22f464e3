"""The model or the models of an agent: names and backends to the one backend that its runs ask."""

from collections.abc import Callable, Sequence
from typing import Any, get_args

from agentkit._lazy.records import dataclass
from agentkit.backend import Backend
from agentkit.errors import ConfigurationError
from agentkit.middleware.base import Balance, NoCapabilities
from agentkit.providers import resolve
from agentkit.running.arguments import checked_model

Model = str | Backend


@dataclass(frozen=True)
class Models:
    """What an agent asks. given: the backend as the user knows it. backend: with what the agent puts around each model.
    owned: those made from names, which the agent closes. count: how many models there are."""

    given: Backend
    backend: Backend
    owned: tuple[Backend, ...]
    count: int


def models_of(model: Model | Sequence[Model], balance: Balance | None, around: Callable[[Backend], Backend]) -> Models:
    """The models of an agent. model: one, or a list in the order of preference. around: wraps each. Raises
    ConfigurationError for what is none, for a list with none or with one twice, and for a `balance` that can't be."""
    several = list(model) if isinstance(model, list | tuple) else None
    _check_balance(balance, has_list=several is not None)
    listed: list[Any] = [model] if several is None else several
    if several is not None:
        _check_list(several)
    found: list[Backend] = []
    made: list[Backend] = []
    try:
        for each in listed:
            found.append(resolve(each) if isinstance(each, str) else checked_model(each))
            if isinstance(each, str):
                made.append(found[-1])
        wrapped = [around(each if hasattr(each, "capabilities") else NoCapabilities(each)) for each in found]
        owned = tuple(each for each, name in zip(wrapped, listed, strict=True) if isinstance(name, str))
        if len(wrapped) == 1:
            return Models(found[0], wrapped[0], owned, 1)
        from agentkit.middleware.failover import Failover

        joined = Failover(wrapped, balance)
    except BaseException:
        for backend in made:
            backend.close()
        raise
    return Models(joined, joined, owned, len(wrapped))


def _check_balance(balance: Any, *, has_list: bool) -> None:
    if balance is None:
        return
    if balance not in get_args(Balance):
        raise ConfigurationError(f'balance={balance!r:.80} is not known: pass "sticky", or None to prefer the first')
    if not has_list:
        raise ConfigurationError(
            f"balance={balance!r} distributes conversations over several servers: pass them as a list, "
            'Agent(["lightllm:Qwen3@http://a:8080", "lightllm:Qwen3@http://b:8080"], balance="sticky")'
        )


def _check_list(models: Sequence[Any]) -> None:
    if not models:
        raise ConfigurationError("Agent([]): the list of models is empty: pass a name, or several in order")
    for place, model in enumerate(models):
        if isinstance(model, list | tuple | set | dict):
            raise ConfigurationError(
                f"Agent([...]): model {place + 1} is a {type(model).__name__}: pass names and backends in one list"
            )
        if any(model is other or (isinstance(model, str) and model == other) for other in models[:place]):
            raise ConfigurationError(
                f"Agent([...]): {model!r:.80} is listed twice: a model that has failed would be asked again"
            )
