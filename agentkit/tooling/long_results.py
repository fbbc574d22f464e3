"""The whole texts of results of which the model was sent the beginning."""


class LongResults:
    """Those of one run, by the numbers of their messages: the index in the transcript, counted from the session's first
    message. In memory; of more than MAX_CHARACTERS the last are kept."""

    MAX_CHARACTERS: int = 20_000_000

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}

    def keep(self, number: int, text: str) -> None:
        """Keep a text."""
        self._texts[number] = text[: self.MAX_CHARACTERS]
        size = sum(map(len, self._texts.values()))
        for oldest in list(self._texts):
            if size <= self.MAX_CHARACTERS:
                return
            size -= len(self._texts.pop(oldest))

    def get(self, number: int) -> str | None:
        """The text of a number; None when it is not kept."""
        return self._texts.get(number)
