"""Whether errors of what all items share stop a batch: of the account (a wrong key, no credit, an unknown model), of a
server that can't be reached, or of the store of their sessions."""

from agentkit.batch.item import Item, Record

RUNNING = 3
"""How many such errors running stop a batch."""


class SharedErrors:
    """Counts errors of one such thing. Not thread-safe: the feed guards it.

    They say nothing of the items: those stay unanswered. But where other items are answered, and one alone is refused
    again and again, the error is that item's (a firewall that refuses its words with 403).
    """

    def __init__(self) -> None:
        self.last: Record | None = None
        self._running: list[str] = []
        self._by_item: dict[str, int] = {}
        self.is_anything_answered = False
        """Whether an item has got an answer, or has failed otherwise."""

    def answered(self) -> None:
        """An item has got an answer, or has failed otherwise: the thing is there."""
        self._running.clear()
        self.is_anything_answered = True

    def refused(self, item: Item, record: Record) -> bool:
        """Take an error; returns whether it is one of all items."""
        self.last = record
        self._running.append(item.id)
        self._by_item[item.id] = self._by_item.get(item.id, 0) + 1
        is_of_one = len(set(self._running)) == 1
        return len(self._running) >= RUNNING and not (is_of_one and self.is_anything_answered)

    def is_of_the_item(self, item: Item) -> bool:
        """Whether an item has been refused so often that it is asked no more."""
        return self._by_item.get(item.id, 0) >= RUNNING
