"""Images that a server refuses: found out in one conversation, replaced by a sentence there, and sent to no harm of the
others.

A refusal seldom names the image. So what was accepted before is not suspected; of the others, one at a time is left out
until the server accepts the request. An image of the newest question is never left out in silence: the user is told by
the error.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from agentkit._lazy.records import dataclass
from agentkit._text import in_a_line
from agentkit.message import Message, is_shown_by_a_tool
from agentkit.net.learned import Learned
from agentkit.transcript import Transcript

MAX_SINGLES = 6
"""Images that are left out one at a time to find a bad one; after that, all that are suspected are."""

NEWEST = (
    "the server refused an image of the newest message: send the message without it, or with another one; other images "
    "are still sent"
)
"""What is added to the error for an image of the newest question."""


@dataclass(frozen=True)
class ImageRef:
    """An image in a transcript. key: identifies its data. is_asked: whether it is in the newest question of a user."""

    message: int
    part: int
    key: int
    is_asked: bool


class RefusedImages:
    """The images of one request, and which of them are left out.

    learned: of the server: ("image", key) has the sentence that stands for a refused image, ("good image", key) is an
    accepted one, "most images" is the number that a request may have.
    """

    def __init__(self, transcript: Transcript, learned: Learned) -> None:
        self._transcript = transcript
        self._learned = learned
        self._images = list(_images_in(transcript))
        self._left_out: dict[ImageRef, str] = {}
        self._tried: dict[ImageRef, str] = {}
        self._trials: Iterator[dict[ImageRef, str]] | None = None
        self._most: int | None = learned.value("most images")
        for image in self._images:
            sentence = learned.value(("image", image.key))
            if sentence is not None and not image.is_asked:
                self._left_out[image] = sentence
        if self._most is not None:
            self._keep_newest(self._most)

    @property
    def has_visible(self) -> bool:
        """Whether the request still has images."""
        return len(self._hidden) < len(self._images)

    @property
    def has_asked(self) -> bool:
        """Whether the newest question has images."""
        return any(image.is_asked for image in self._images)

    @property
    def _hidden(self) -> Mapping[ImageRef, str]:
        return {**self._left_out, **self._tried}

    def sent(self) -> Transcript:
        """The transcript to send."""
        hidden = self._hidden
        if not hidden:
            return self._transcript
        sentences: dict[int, dict[int, str]] = {}
        for image, sentence in hidden.items():
            sentences.setdefault(image.message, {})[image.part] = sentence
        return Transcript(
            _replaced(message, sentences[index]) if index in sentences else message
            for index, message in enumerate(self._transcript)
        )

    def leave_out_old(self, most: int) -> bool:
        """Leave out the oldest images, after a refusal of too many; return whether there were any to leave out. most:
        how many a request may have; 0 halves them."""
        visible = [image for image in self._images if image not in self._hidden]
        most = most or len(visible) // 2
        asked = sum(image.is_asked for image in visible)
        if most >= len(visible) or asked > most:
            return False
        self._most = most
        self._keep_newest(most)
        return True

    def leave_out_next(self, reason: str) -> bool:
        """Leave out the next suspect instead of the one before; return whether there is another. reason: the server's
        words."""
        if self._trials is None:
            sentence = f"[An image was here; the model server refused it: {in_a_line(reason, 160)}]"
            self._trials = iter(list(self._suspected(sentence)))
        self._tried = next(self._trials, {})
        return bool(self._tried)

    def note_refused(self, reason: str) -> None:
        """Remember the image of the newest question as refused, where it is the only one, for the time when it is part
        of the history."""
        asked = [image for image in self._images if image.is_asked]
        if len(asked) == 1:
            self._learn_refused(asked[0], f"[An image was here; the model server refused it: {in_a_line(reason, 160)}]")

    def note_accepted(self) -> None:
        """Remember, after the server accepted the request, which images it refused and which not."""
        for image, sentence in self._tried.items():
            self._learn_refused(image, sentence)
        for image in self._images:
            if image not in self._hidden:
                self._learned.learn(("good image", image.key))
        if self._most is not None and self._most != self._learned.value("most images"):
            log = f"the server takes {self._most} images in a request: the oldest are replaced by a sentence"
            self._learned.learn("most images", self._most, log)

    def _learn_refused(self, image: ImageRef, sentence: str) -> None:
        log = f"the server refused an image, which is replaced where it is part of a history: {sentence}"
        self._learned.learn(("image", image.key), sentence, log)

    def _suspected(self, sentence: str) -> Iterator[dict[ImageRef, str]]:
        """What to leave out, one trial after the other."""
        others = [image for image in self._images if not image.is_asked and image not in self._left_out]
        suspects = [image for image in others if self._learned.value(("good image", image.key)) is None]
        if not suspects and not self.has_asked:
            suspects = others  # such as an address that could be read before
        suspects.reverse()
        for image in suspects[:MAX_SINGLES]:
            yield {each: sentence for each in suspects if each.key == image.key}
        if len(suspects) > 1:
            yield dict.fromkeys(suspects, sentence)

    def _keep_newest(self, most: int) -> None:
        visible = [image for image in self._images if image not in self._left_out]
        sentence = f"[An image was here; the model server takes only {most} images at a time.]"
        for image in visible[: max(0, len(visible) - most)]:
            if not image.is_asked:
                self._left_out[image] = sentence


def _images_in(transcript: Transcript) -> Iterator[ImageRef]:
    newest = len(transcript)
    while newest and transcript[newest - 1]["role"] not in ("assistant", "tool"):
        newest -= 1
    for index, message in enumerate(transcript):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        is_asked = index >= newest and message["role"] == "user" and not is_shown_by_a_tool(message)
        for position, part in enumerate(content):
            if part.get("type") == "image_url":
                yield ImageRef(index, position, hash(_address(part.get("image_url"))), is_asked)


def _address(image_url: Any) -> str:
    return str(image_url.get("url") if isinstance(image_url, dict) else image_url)


def _replaced(message: Message, sentences: Mapping[int, str]) -> Message:
    content = cast(list[Any], message["content"])
    parts = [
        {"type": "text", "text": sentences[position]} if position in sentences else part
        for position, part in enumerate(content)
    ]
    return {**message, "content": parts}
