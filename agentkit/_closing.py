"""Things that are closed at the end of a `with`."""

from types import TracebackType
from typing import Self


class Closable:
    """Leaving its `with` closes it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what it holds."""
        raise NotImplementedError
