"""What a synchronous object answers to `await`, `async for` and the like: how it is used instead."""

from typing import TYPE_CHECKING, Any, NoReturn


class Synchronous:
    """An object of agentkit for which no coroutine can wait. Type checkers tell of its misuse by themselves."""

    if not TYPE_CHECKING:

        def __await__(self) -> NoReturn:
            raise _misused(self, "awaited")

        def __aiter__(self) -> NoReturn:
            raise _misused(self, "iterated by async for")

        def __aenter__(self) -> NoReturn:
            raise _misused(self, "entered by async with")

        def __aexit__(self, *error: Any) -> NoReturn:
            raise _misused(self, "left by async with")


class NoRun:
    """What a run has returned, which is over."""

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            raise TypeError("a Result has no events: the run is over. Iterate over agent.stream(prompt) instead")

        def __enter__(self) -> NoReturn:
            raise TypeError("a Result needs no `with`: the run is over. Write `with agent.stream(prompt) as run`")

        def __exit__(self, *error: Any) -> NoReturn:
            raise TypeError("a Result needs no `with`")


def _misused(value: object, how: str) -> TypeError:
    kind = type(value).__name__
    use = "result = await asyncio.to_thread(agent.run, prompt)"
    if kind != "Result":
        use = f"{use}, or iterate over it in a thread (docs/runs.md has an async iterator)"
    return TypeError(f"a {kind} can't be {how}: agentkit is synchronous. In a coroutine: {use}")
