"""How much of the schemas of one operation is read."""

MAX_SCHEMAS = 4000
"""Schemas of one operation; those beyond allow any value."""
MAX_DEPTH = 60
"""Levels of schemas in each other."""
MAX_DESCRIPTION = 1000
"""Characters of the description of a parameter or a property."""


class Budget:
    """Counts the schemas that are read for one operation."""

    def __init__(self, count: int = MAX_SCHEMAS) -> None:
        self._left = count

    def spend(self) -> bool:
        """Take one; returns whether there was one left."""
        self._left -= 1
        return self._left >= 0
