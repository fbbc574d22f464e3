"""How much of the schemas of one operation is read."""

MAX_SCHEMAS = 4000
"""Schemas of one operation; those beyond allow any value."""
MAX_MERGED = 50_000
"""Keywords, properties and required names of the members of `allOf` of one operation; those beyond are left out."""
MAX_DEPTH = 60
"""Levels of schemas in each other."""
MAX_DESCRIPTION = 1000
"""Characters of the description of a parameter or a property."""


class Budget:
    """Counts what is read for one operation."""

    def __init__(self, count: int) -> None:
        self._left = count

    def spend(self, count: int = 1) -> bool:
        """Take so many; returns whether there were as many left."""
        self._left -= count
        return self._left >= 0

    @property
    def is_spent(self) -> bool:
        """Whether more was asked for than there was."""
        return self._left < 0
