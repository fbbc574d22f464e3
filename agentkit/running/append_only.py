"""The text of an answer for readers that can't take back what they were sent: the OpenAI API, MQTT, a pipe."""

import time

from agentkit.errors import AgentkitError
from agentkit.event import Event, ReasoningDelta, ReplyDiscarded, ReplyFinished, ReplyStarted, TextDelta

HOLD_SECONDS = 3600.0
"""How long the text of replies is held back after reasoning was last taken for text."""

BEGUN_ANEW = "the model's reply broke off after a part of it was sent, and was begun anew with another text"
WAS_REASONING = "what was sent of the model's reply turned out to be its reasoning"


class ReplyChangedError(AgentkitError):
    """A reply differs from what was sent of it."""


class LateReasoningSeen:
    """Remembers whether a model's reasoning is recognised only at its end, when it has been emitted as text."""

    def __init__(self) -> None:
        self._until = 0.0

    def note(self) -> None:
        """Record that it has happened."""
        self._until = time.monotonic() + HOLD_SECONDS

    @property
    def is_recent(self) -> bool:
        """Whether it has happened in the last HOLD_SECONDS."""
        return time.monotonic() < self._until


class AppendOnlyText:
    """What to send of the text of one answer, given the events of its run.

    The text of a reply that is begun anew is held back as long as it repeats what was sent, and then continues it.
    late: shared by the answers of one model; where its reasoning was recognised late, the text of each reply is held
    back until the reply is complete.
    """

    def __init__(self, late: LateReasoningSeen | None = None) -> None:
        self._late = late or LateReasoningSeen()
        self._begin()

    def _begin(self) -> None:
        self._holds = self._late.is_recent
        self._parts: list[str] = []
        self._expected = ""
        self._position = 0
        self._discarded = ""
        self._reason = BEGUN_ANEW
        self._is_over = False

    def take(self, event: Event) -> str:
        """Return the text to send, "" for none.

        Raises ReplyChangedError once the reply differs from what was sent of it; nothing more is sent of that reply.
        """
        if isinstance(event, TextDelta):
            return self._taken(event.text)
        if isinstance(event, ReplyFinished):
            return self._finished()
        if isinstance(event, ReplyStarted):
            self._begin()
        elif isinstance(event, ReplyDiscarded):
            self._discard()
        elif isinstance(event, ReasoningDelta) and self._discarded:
            self._compare_reasoning(event.text)
        return ""

    def _taken(self, text: str) -> str:
        if self._is_over:
            return ""
        if self._position < len(self._expected):
            repeated = self._expected[self._position : self._position + len(text)]
            if not text.startswith(repeated):
                self._differ()
            self._position += len(repeated)
            text = text[len(repeated) :]
        if text:
            self._parts.append(text)
        return "" if self._holds else text

    def _finished(self) -> str:
        if self._position < len(self._expected) and not self._is_over:
            self._differ()
        return "".join(self._parts) if self._holds else ""

    def _discard(self) -> None:
        self._discarded = "".join(self._parts).strip()
        if self._holds:
            self._parts.clear()
        else:
            self._expected, self._position = "".join(self._parts), 0

    def _compare_reasoning(self, text: str) -> None:
        if text.strip().startswith(self._discarded):
            self._late.note()
            self._reason = WAS_REASONING

    def _differ(self) -> None:
        self._is_over = True
        raise ReplyChangedError(f"{self._reason}: discard it, and send the request again")
