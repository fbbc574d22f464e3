"""Messages: building them, reading them, and the images in them.

A message is the plain dict of OpenAI's chat completions format, so that what a user sees is what is sent and
stored. Fields that servers add and expect back (reasoning, thought signatures) are kept.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, Required, TypedDict

Role = Literal["system", "developer", "user", "assistant", "tool"]
Part = dict[str, Any]
"""One part of a message's content: `{"type": "text", "text": ...}`, `{"type": "image_url", ...}`, ..."""


class FunctionCall(TypedDict):
    """The name of a function and the arguments as JSON text, as the model wrote them."""

    name: str
    arguments: str


class ToolCall(TypedDict):
    """One entry of an assistant message's `tool_calls`."""

    id: str
    type: Literal["function"]
    function: FunctionCall
    extra_content: NotRequired[Any]


class Message(TypedDict, total=False):
    """A chat message; which fields it has depends on its role."""

    role: Required[Role]
    content: str | list[Part] | None
    name: str
    tool_calls: list[ToolCall]
    tool_call_id: str
    refusal: str
    reasoning_content: str
    reasoning: str
    reasoning_details: list[Any]
    extra_content: Any
    thought_signature: str


@dataclass(frozen=True)
class Image:
    """An image to show to the model.

    data: the bytes of the image file. media_type: such as "image/png". name: its name in texts.
    """

    data: bytes
    media_type: str
    name: str = "image"

    def __repr__(self) -> str:
        return f"Image({self.name!r}, {self.media_type}, {len(self.data):,} bytes)"


Prompt = str | Sequence[str | Image]
"""The content of a user message: a text, or texts and images in order."""


def system(text: str) -> Message:
    """The message that carries an agent's instructions."""
    return {"role": "system", "content": text}


def user(prompt: Prompt) -> Message:
    """A user's message from a text, or from texts and images in order."""
    if isinstance(prompt, str):
        return {"role": "user", "content": prompt}
    return {"role": "user", "content": [_part(part) for part in prompt]}


def tool_result(call_id: str, text: str) -> Message:
    """The tool message that answers call `call_id`."""
    return {"role": "tool", "tool_call_id": call_id, "content": tool_response(text)}


SHOWN = "Image returned by a tool: "


def is_shown_by_a_tool(message: Message) -> bool:
    """Whether a user message was made by `images_for_the_model` and not sent by a user."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    texts = [str(part.get("text")) for part in parts if part.get("type") == "text"]
    return bool(texts) and all(text.startswith(SHOWN) for text in texts)


def images_for_the_model(images: Iterable[Image]) -> Message:
    """The user message that shows images returned by tools; it comes after all tool messages of a reply, since most
    servers reject image parts in a tool message."""
    parts: list[str | Image] = []
    for image in images:
        parts += [f"{SHOWN}{image.name}", image]
    return user(parts)


def tool_response(text: str) -> str:
    """A tool's result in the form sent to the model; a closing tag inside it is escaped, so that a web page can't end
    its own quotation and continue in another role."""
    return f"<tool_response>\n{_CLOSING_TAG.sub('&lt;', text)}\n</tool_response>"


_CLOSING_TAG = re.compile(r"<(?=\s*/\s*tool_response)", re.IGNORECASE)


def text_of(message: Message) -> str:
    """The text of a message, its text parts joined; empty when it has no text."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def response_of(message: Message) -> str:
    """A tool message's text without the `<tool_response>` around it."""
    return text_of(message).removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")


def has_images(message: Message) -> bool:
    """Whether a message contains an image."""
    content = message.get("content")
    return isinstance(content, list) and any(part.get("type") == "image_url" for part in content)


def without_images(message: Message) -> Message:
    """The message with a sentence in place of each image, for a server that rejects images."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [_NO_IMAGE if part.get("type") == "image_url" else part for part in content]
    return {**message, "content": parts}


_NO_IMAGE: Part = {"type": "text", "text": "[An image was here; this model server does not accept images.]"}


def _part(part: str | Image) -> Part:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    data = base64.b64encode(part.data).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{data}"}}
