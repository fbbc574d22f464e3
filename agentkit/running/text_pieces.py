"""The text of an answer in pieces, as the model writes it."""

from collections.abc import Iterator

from agentkit._closing import Closable
from agentkit.event import ReplyStarted, Result
from agentkit.limits import Usage
from agentkit.message import Message
from agentkit.run import Run
from agentkit.running.append_only import AppendOnlyText
from agentkit.running.misuse import Synchronous


class TextPieces(Synchronous, Closable, Iterator[str]):
    """An iterator over the text that the model writes in a run, with a blank line between its replies. Any thread may
    close it, which closes the run. `result`, `messages` and `usage` are those of the run."""

    def __init__(self, run: Run[str]) -> None:
        self._run = run
        self._text = AppendOnlyText()
        self._gap = ""
        self._has_text = False

    def __next__(self) -> str:
        for event in self._run:
            if isinstance(event, ReplyStarted):
                self._gap = "\n\n" if self._has_text else ""
            try:
                piece = self._text.take(event)
            except Exception:
                self.close()
                raise
            if piece:
                gap, self._gap, self._has_text = self._gap, "", True
                return gap + piece
        raise StopIteration

    @property
    def result(self) -> Result[str] | None:
        """What the run returned; None until the text is complete."""
        return self._run.result

    @property
    def messages(self) -> list[Message]:
        """See `Run.messages`."""
        return self._run.messages

    @property
    def usage(self) -> Usage:
        """See `Run.usage`."""
        return self._run.usage

    def close(self) -> None:
        """Close the run, see `Run.close`."""
        self._run.close()
