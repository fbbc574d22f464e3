"""The names of fields as the languages of clients write them: `sessionId`, `SessionId` (.NET), `session_id` (Python).

A name that is taken for another's is an answer that nobody gets: that to a message without a session goes to a topic
that only who reads all answers knows.
"""

from collections.abc import Iterable, Mapping
from typing import Any

SESSION = "sessionId"
_ALIASES = {"session": SESSION}


def plain(name: str) -> str:
    """A name without what tells the ways of writing it apart."""
    return name.replace("_", "").replace("-", "").casefold()


def in_one_form(fields: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The fields, each of which stands for one of `names` under that name. One that has the name itself comes first,
    unless it is null; else the first that is given."""
    meant = {plain(name): name for name in names} | _ALIASES
    made = dict(fields)
    for written, value in fields.items():
        name = meant.get(plain(written))
        if name is None or name == written:
            continue
        del made[written]
        if made.get(name) is None:
            made[name] = value
    return made
