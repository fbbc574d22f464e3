"""What shared conversations were when they were shared, in the session store, by the token of their link."""

import hashlib
import secrets

from agentkit.message import system, text_of
from agentkit.session import INTERNAL, Sessions

MAX_TOKEN = 100
"""Maximum characters of a token that is looked for."""


def new_token() -> str:
    """A token that nobody can guess: 192 random bits."""
    return secrets.token_urlsafe(24)


def keys(token: str) -> tuple[str, str]:
    """The two places in the store where a snapshot may be; they do not tell the token."""
    digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{INTERNAL}http.shared.{digest}.a", f"{INTERNAL}http.shared.{digest}.b"


def write(sessions: Sessions, token: str, text: str) -> None:
    """Store the snapshot of a token. An earlier one is there until the new one is. One writer at a time. Raises
    SessionError."""
    first, second = keys(token)
    free, taken = (second, first) if first in sessions else (first, second)
    sessions.delete_all([free])
    sessions[free].append([system(text)])
    sessions.delete_all([taken])


def find(sessions: Sessions, token: str) -> str | None:
    """The snapshot of a token; None when there is none. Raises SessionError."""
    if not 0 < len(token) <= MAX_TOKEN:
        return None
    first, second = keys(token)
    for place in (first, second, first):  # one that is replaced meanwhile goes from one place to the other
        messages = sessions[place].messages
        if messages:
            return text_of(messages[0])
    return None


def delete(sessions: Sessions, token: str) -> None:
    """End a link: nobody can read its snapshot any more. Raises SessionError."""
    sessions.delete_all(keys(token))
