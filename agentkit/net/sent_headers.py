"""The headers of a request, on their way from the client to the connection."""

from collections.abc import ItemsView, Iterable, Mapping

_FOR_ANY_SERVER = ("content-type", "accept", "accept-encoding", "user-agent", "traceparent", "tracestate")


class SentHeaders:
    """Headers with their names in lower case; they don't change.

    This is no mapping, and has no `repr` of its own: what reports an exception with the local variables of its frames
    (Sentry, loguru, rich, structlog, an error page of Django) writes mappings out with their values, one of which is
    the API key (aixplain/aiXplain#1098, UKGovernmentBEIS/inspect_ai#43).
    """

    __slots__ = ("_texts",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._texts = {name.lower(): text for name, text in headers.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SentHeaders) and (self is other or self._texts == other._texts)

    __hash__ = None  # type: ignore[assignment]

    def items(self) -> ItemsView[str, str]:
        """The names, and the texts of the headers."""
        return self._texts.items()

    def has_any(self, names: Iterable[str]) -> bool:
        """Whether there is one of these."""
        return not self._texts.keys().isdisjoint(names)

    @property
    def key(self) -> str:
        """The key of the header `Authorization`; "" where there is none."""
        authorization = self._texts.get("authorization", "")
        return authorization.partition(" ")[2] or authorization

    def with_added(self, *more: "Mapping[str, str | None] | ChangedHeaders") -> "SentHeaders":
        """These with others in their place or beside them; None leaves one out."""
        texts: dict[str, str | None] = {**self._texts}
        for each in more:
            texts.update((name.lower(), text) for name, text in each.items())
        return SentHeaders({name: text for name, text in texts.items() if text is not None})

    def for_any_server(self) -> "SentHeaders":
        """Those that another server may be sent, to which the server redirects."""
        return SentHeaders({name: text for name, text in self._texts.items() if name in _FOR_ANY_SERVER})


class ChangedHeaders:
    """What is other in the headers of one request than in those that its client sends with each: texts by their names,
    None where one is left out. Shows as little as `SentHeaders`."""

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        self._texts = texts

    def items(self) -> ItemsView[str, str | None]:
        """The names, and the texts of the headers."""
        return self._texts.items()
