"""What the scripts share: their arguments, the tool and the type that they use, and trying each ability.

    python -m tests.sdks.python.SCRIPT DIRECT_URL DIRECT_MODEL THROUGH_URL THROUGH_MODEL [ABILITY,... and four]...

The last arguments are the servers and models of abilities that need others.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict


class Side(NamedTuple):
    """A server. url: ends in /v1."""

    url: str
    model: str


class Person(BaseModel):
    """A person."""

    model_config = ConfigDict(extra="forbid")
    name: str
    age: int


Ability = Callable[[Side], Any]

QUESTION = "What is the weather in Paris?"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
ASKED: list[Any] = [{"role": "user", "content": QUESTION}]
BAD: list[Any] = [{"role": "user", "content": 7}]
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Get the weather.", "parameters": PARAMETERS},
}
OTHER: Any = {
    "type": "function",
    "function": {"name": "get_time", "description": "Get the time.", "parameters": PARAMETERS},
}
AT_ONCE = 4  # a request spends most of its time waiting


def weather(city: str) -> str:
    """Get the weather."""
    return f"It is sunny in {city}."


def report(sdk: str, package: str, abilities: Mapping[str, Ability], at_once: int = AT_ONCE) -> None:
    """Run each ability at both servers, and print one row of the matrix as JSON. package: the one whose version it is.

    An ability returns what came out, without ids and times.
    """
    usual, others = _sides(sys.argv[1:5]), _others(sys.argv[5:])
    with ThreadPoolExecutor(at_once) as pool:
        began = {
            name: {key: pool.submit(_outcome, ability, side) for key, side in others.get(name, usual).items()}
            for name, ability in abilities.items()
        }
        outcomes = {name: {key: each.result() for key, each in both.items()} for name, both in began.items()}
    print(json.dumps({"sdk": sdk, "version": version(package), "abilities": outcomes}))


def _sides(given: Sequence[str]) -> dict[str, Side]:
    return {"direct": Side(*given[:2]), "through": Side(*given[2:4])}


def _others(given: Sequence[str]) -> dict[str, dict[str, Side]]:
    """The servers of abilities that need others than the usual."""
    found = {}
    for place in range(0, len(given), 5):
        for name in given[place].split(","):
            found[name] = _sides(given[place + 1 : place + 5])
    return found


def _outcome(ability: Ability, side: Side) -> Any:
    try:
        return ability(side)
    except Exception as error:  # noqa: BLE001  # whatever an SDK raises is its outcome
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def refusal(call: Callable[[], object]) -> Any:
    """The error that a call raises: its type, and the HTTP status, also of the error that it was raised for."""
    try:
        call()
    except Exception as error:  # noqa: BLE001
        cause: BaseException | None = error
        while cause is not None and not hasattr(cause, "status_code"):
            cause = cause.__cause__
        return {"status": getattr(cause, "status_code", None), "type": type(error).__name__}
    return {"error": "nothing was raised"}
