"""What a synchronous object answers to `async with`: how it is used instead."""

from typing import TYPE_CHECKING, Any, NoReturn


class Synchronous:
    """An iterator of agentkit that no coroutine can wait for. Type checkers tell of its misuse by themselves.

    It has no `__aiter__`, not even one that only raises: web frameworks take what has one for an asynchronous stream,
    and read others in their own threads (`StreamingResponse(agent.stream_text(prompt))`)."""

    if not TYPE_CHECKING:

        def __aenter__(self) -> NoReturn:
            raise _misused(self, "entered by async with")

        def __aexit__(self, *error: Any) -> NoReturn:
            raise _misused(self, "left by async with")


def _misused(value: object, how: str) -> TypeError:
    return TypeError(
        f"a {type(value).__name__} can't be {how}: agentkit is synchronous. In a coroutine: "
        "result = await asyncio.to_thread(agent.run, prompt), or iterate over it in a thread (docs/runs.md has an "
        "async iterator)"
    )
