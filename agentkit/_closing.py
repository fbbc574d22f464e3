"""A base class of objects that are closed at the end of a `with`."""

from types import TracebackType
from typing import Self


class Closable:
    """A context manager that closes itself on exit."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release its resources."""
        raise NotImplementedError
