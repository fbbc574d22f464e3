"""What a server asks a person in the middle of a call (elicitation), and what it is answered."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """What a server asks. server: its label. message: its words. schema: what an answer has to be, a JSON schema of an
    object with values that are no objects; None for a question that is answered at `url`, a page that a person has to
    open (only when they agree to that)."""

    server: str
    message: str
    schema: Mapping[str, Any] | None = None
    url: str | None = None


Answer = Mapping[str, Any] | bool | None
"""A mapping: the values that were asked for. True: yes, where no values are asked for. None or False: declined."""

Ask = Callable[[Question], Answer]
"""Gets an answer. It is called in the thread of the call, or in one of agentkit's threads where an old server asks (up
to 2025-11-25); several questions may be open at once."""
