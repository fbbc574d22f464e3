"""A source that a run has read or found."""

from agentkit._lazy.records import dataclass, field


@dataclass(frozen=True)
class Source:
    """A page, a file or another text from outside, under the number by which an answer cites it.

    number: from 1, counted through the session. address: its URL, path or name. title: "" where it has none. read:
    whether a tool has read it; False for one that was only found, such as a hit of a search. at: when it was last read
    or found, ISO 8601 in UTC. also: its other addresses, such as one that leads to it. texts: what was read of it, or
    the snippet that was found; each version once.
    """

    number: int
    address: str
    title: str = ""
    read: bool = True
    at: str = ""
    also: tuple[str, ...] = field(default=(), metadata={"in_json": "if any"})
    texts: tuple[str, ...] = field(default=(), repr=False, metadata={"in_json": False})
