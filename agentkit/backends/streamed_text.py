"""A text of a reply, put together from the pieces in which a server streams it."""

MIN_LETTERS = 6
"""How many different characters a text has at least that is taken for a repetition by the server: what a model repeats
("ha ha", "na na na", a row of dashes) has few."""
MIN_GROWTHS = 2
"""How many pieces of a text have to begin with all of the text before them, and be longer, at the least."""
MAX_HELD = 64
"""How many pieces are held back at the most."""


class StreamedText:
    """Adds up the pieces of one text.

    Some servers send the whole text so far with each piece, and some send the whole text once more at the end. A model
    may repeat itself too, and nothing of that may be lost; so a piece that begins with all of the text before it is
    held back until it is certain what it is, and added when that stays open. Nothing that was returned has to be taken
    back.
    """

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._held: list[str] = []
        self._growths = 0
        self._is_cumulative = False

    def __bool__(self) -> bool:
        return bool(self._length or self._held)

    def __str__(self) -> str:
        """The text so far, without what is held back."""
        return "".join(self._pieces)

    def append(self, piece: str) -> None:
        """Add a piece that is not a repetition."""
        self._pieces.append(piece)
        self._length += len(piece)

    def add(self, piece: str) -> str:
        """Add a piece; return the text that it adds, as far as that is certain."""
        if self._held:
            return self._add_to_held(piece)
        if len(piece) < self._length or not self._length or not piece.startswith(str(self)):
            self._pieces.append(piece)
            self._length += len(piece)
            return piece
        if self._is_cumulative:
            return self._replaced_by(piece)
        if len(piece) == self._length and not self._can_be_said_again():
            self.append(piece)
            return piece
        self._growths = int(len(piece) > self._length)
        self._held.append(piece)
        return ""

    def _add_to_held(self, piece: str) -> str:
        last = self._held[-1]
        has_grown = len(piece) > len(last)
        is_repeated = has_grown or self._growths >= MIN_GROWTHS or self._can_be_said_again()
        if not is_repeated or not piece.startswith(last) or len(self._held) == MAX_HELD:
            return self._released() + self.add(piece)
        self._growths += has_grown
        self._held.append(piece)
        is_certain = self._growths > MIN_GROWTHS and _is_telling(piece, 16)
        return self._replaced_by(piece) if is_certain else ""

    def end(self) -> str:
        """The text has ended; return what was held back of it, without a repetition."""
        if not self._held:
            return ""
        last = self._held[-1]
        is_cumulative = self._growths >= MIN_GROWTHS and _is_telling(last, 12)
        return self._replaced_by(last) if is_cumulative or self._can_be_said_again() else self._released()

    def restate(self, whole: str, *, is_message: bool) -> str:
        """Add a text that is to be the whole one; return what of it is new. is_message: whether it certainly is: then
        one that differs is not taken, since what has been streamed counts. Else it is another piece."""
        if len(whole) >= self._length and whole.startswith(str(self)):
            return self._replaced_by(whole)
        released = self._released()
        if is_message:
            return released
        self.append(whole)
        return released + whole

    def _can_be_said_again(self) -> bool:
        """Whether a piece with all of the text at its end is a repetition by the server: no token is so long."""
        return len(self._pieces) >= 2 and _is_telling(str(self), 10)

    def _released(self) -> str:
        text = "".join(self._held)
        self._pieces += self._held
        self._length += len(text)
        self._held.clear()
        return text

    def _replaced_by(self, whole: str) -> str:
        new = whole[self._length :]
        self._pieces, self._length = [whole], len(whole)
        self._is_cumulative = self._is_cumulative or bool(self._held)
        self._held.clear()
        return new


def _is_telling(text: str, length: int) -> bool:
    """Whether a text is too long and too rich for a model to repeat it from its beginning, in pieces that grow."""
    return len(text) >= length and len(set(text)) >= MIN_LETTERS
