"""Chat messages: building them, reading them, images in them.

A message is the plain dict of OpenAI's chat completions format, so that users see what is sent and stored. Fields that
servers add and expect back (reasoning, thought signatures) stay in it.
"""

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any, Final, Literal, NotRequired, Required, TypedDict, TypeGuard, get_args
from urllib.parse import unquote, urlsplit

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass
from agentkit._lazy.typed_dicts import for_pydantic
from agentkit._text import cut, joined_surrogates, short_repr
from agentkit.net.image_bytes import MAX_BYTES, bytes_of, data_of, media_type, supported_type

Role = Literal["system", "developer", "user", "assistant", "tool"]
TEXT_ROLES = frozenset(get_args(Role)) - {"tool"}
"""The roles of messages that need nothing but a text."""
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
    reasoning_text: str
    reasoning_opaque: str
    reasoning_signature: str
    thinking: str
    thinking_blocks: list[Any]
    extra_content: Any
    thought_signature: str
    response_items: list[Any]


for_pydantic(FunctionCall, ToolCall, Message)

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
"""Names under which servers send the reasoning of a reply, as a text; the first of them that a reply has is shown."""
RESPONSE_ITEMS: Final = "response_items"
"""What a server of the Responses API wants back with a reply: its reasoning, most of it encrypted, and where in the
reply it stood. No other API takes it."""
PROVIDER_FIELDS = (
    *REASONING_FIELDS,
    *("reasoning_details", "reasoning_opaque", "reasoning_signature", "thinking_blocks"),
    *("extra_content", "thought_signature", RESPONSE_ITEMS),
)
"""Keys of assistant messages that are their provider's own, and that it wants back: reasoning and its signatures."""


def reasoning_of(message: Mapping[str, object]) -> str:
    """The reasoning of a message, "" for none."""
    found = (message.get(name) for name in REASONING_FIELDS)
    return next((text for text in found if text and isinstance(text, str)), "")


@dataclass(frozen=True)
class Image:
    """An image to show the model.

    data: the bytes of the image file. media_type: such as "image/png". name: what it is called in text.
    """

    data: bytes
    media_type: str
    name: str = "image"

    def __repr__(self) -> str:
        return f"Image({short_repr(self.name)}, {cut(self.media_type, 80)}, {len(self.data):,} bytes)"

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "image") -> "Image":
        """The image in the bytes of a file, with the media type that its first bytes show.

        Raises ValueError when they are no PNG, JPEG, GIF, WebP, BMP or TIFF."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ValueError(f"{name} is a {type(data).__name__}: pass the bytes of an image file")
        data = bytes(data)
        return cls(data, supported_type(data, "what was given" if name == "image" else name), name)

    @classmethod
    def from_file(cls, path: str | PathLike[str], name: str | None = None, *, max_bytes: int = MAX_BYTES) -> "Image":
        """The image in a file, with the media type that its first bytes show. name: default the file's.

        Raises ValueError when it is not a regular file (a device, a pipe, a folder), larger than max_bytes, or no PNG,
        JPEG, GIF, WebP, BMP or TIFF; OSError when it can't be read. It never waits."""
        if not isinstance(path, str | PathLike):
            raise ValueError(f"from_file() takes the path of a file, not a {type(path).__name__}")
        if isinstance(path, str) and _URL.match(path):
            raise ValueError("from_file() takes the path of a file: use Image.from_url(url)")
        if name is None:
            from pathlib import Path

            name = Path(path).name
        try:
            data = bytes_of(path, max_bytes)
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None
        return cls.from_bytes(data, name)

    @classmethod
    def from_url(
        cls,
        url: str,
        name: str | None = None,
        *,
        max_bytes: int = MAX_BYTES,
        timeout: float = 20.0,
        allow: Iterable[str] = (),
    ) -> "Image":
        """The image at an http(s) address, fetched now, or in a `data:` URL, with the media type that its first bytes
        show. name: default the last part of the address. timeout: seconds. allow: hosts that may be contacted although
        they are not public (see `agentkit.fetch`).

        Raises FetchError (BlockedAddressError, StatusError) when it can't be fetched, ValueError for another address
        and for what is no PNG, JPEG, GIF, WebP, BMP or TIFF."""
        scheme = url.partition(":")[0].lower() if isinstance(url, str) else ""
        if scheme == "data":
            return cls.from_bytes(cls.from_data_url(url).data, name or "image")
        if scheme not in ("http", "https"):
            raise ValueError(f"{cut(str(url), 80)!r} is no http(s) or data: URL; a file is Image.from_file(path)")
        from agentkit.net.fetch import fetch  # loads requests

        page = fetch(url, timeout=timeout, max_bytes=max_bytes, allow=tuple(allow))
        return cls.from_bytes(page.content, name or unquote(urlsplit(page.url).path).rpartition("/")[2] or "image")

    @classmethod
    def from_data_url(cls, url: str, name: str = "image") -> "Image":
        """The image in a `data:` URL, with the media type that its first bytes show, whatever the URL declares.

        Raises ValueError when the URL contains no data."""
        try:
            data = data_of(url)
        except ValueError as error:
            raise ValueError(f"the data: URL {error}") from None
        return cls(data, media_type(data) or "application/octet-stream", name)


_URL = pattern(r"(?:https?|data):", re.IGNORECASE)

Prompt = str | Sequence[str | Image]
"""A user's prompt: a text, or texts and images in order."""


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


AWAITS_REPLY = "awaits_reply"
"""A key of the last message of a history: the model is to reply, whatever its role. So it continues an answer that a
client has begun (prefill). It is not sent to servers."""

STOP_NOTES = {
    "cancelled": "(The answer was stopped here.)",
    "seconds": "(The answer was stopped here: its time was up.)",
}
"""What tells the model that it had not finished an answer, by the finish reason of such a reply."""


_STOP_ENDS = tuple(f"\n\n{note}" for note in STOP_NOTES.values())


def stopped_answer(text: str, reason: str) -> Message:
    """The message of a reply that was stopped in the middle, with what had arrived of its text."""
    return {"role": "assistant", "content": f"{text.rstrip()}\n\n{STOP_NOTES[reason]}"}


def stop_reason(message: Message) -> str | None:
    """The reason for which the reply of a message was stopped in the middle; None when it was not."""
    text = text_of(message)
    if not text.endswith(_STOP_ENDS):
        return None
    return next(reason for reason, note in STOP_NOTES.items() if text.endswith(note))


def without_stop_note(message: Message) -> str:
    """The text of a message; of a stopped reply, what had arrived of it."""
    reason, text = stop_reason(message), text_of(message)
    return text if reason is None else text.removesuffix(f"\n\n{STOP_NOTES[reason]}")


SHOWN = "Image returned by a tool: "


INVALID_ANSWER = "Your answer is not valid: "
"""How the message to the model begins that asks it to correct a typed answer."""


def is_shown_by_a_tool(message: Message) -> bool:
    """Whether a user message was made by `images_for_the_model`, and not written by a user."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    texts = [str(part.get("text")) for part in parts if part.get("type") == "text"]
    return bool(texts) and all(text.startswith(SHOWN) for text in texts)


_RETURNED = pattern(r"(?:A tool|The tool [a-zA-Z0-9_-]{1,64}) returned:\n")


def returned_text(name: str, text: str) -> str:
    """The text of a user message that shows a tool's result without its call. name: of the tool; "" when not known."""
    begin = f"The tool {name} returned:\n"
    return (begin if _RETURNED.fullmatch(begin) else "A tool returned:\n") + text


def is_returned_by_a_tool(message: Message) -> bool:
    """Whether a user message shows the result of a tool, as `returned_text` writes it."""
    return message["role"] == "user" and _RETURNED.match(text_of(message)) is not None


def images_for_the_model(images: Iterable[Image]) -> Message:
    """The user message that shows images returned by tools; it comes after all tool messages of a reply, since most
    servers reject image parts in a tool message."""
    parts: list[str | Image] = []
    for image in images:
        parts += [f"{SHOWN}{image.name}", image]
    return user(parts)


RESPONSE_TAG = "<tool_response>"
"""The tag that begins a tool's result. Generation stops at it: a model that continues there invents the result."""

_OPENING_LINE, _CLOSING_LINE = f"{RESPONSE_TAG}\n", "\n</tool_response>"
_WRAPPER_LENGTH = len(_OPENING_LINE) + len(_CLOSING_LINE)
_CLOSING_TAG = pattern(r"<(?=\s*/\s*tool_response)", re.IGNORECASE)
_ANY_TAG = pattern(r"<(?=\s*+(?:/\s*+)?tool_response)", re.IGNORECASE)
_WRAPPED = pattern(r"\s*<tool_response>\n?(.*?)\n?</tool_response>\s*", re.DOTALL)


def tool_response(text: str) -> str:
    """Returns a tool's result in the `<tool_response>` wrapper that the model reads. A closing tag inside the result
    is escaped, so that a web page can't end the wrapper and continue as another speaker."""
    return f"{_OPENING_LINE}{_CLOSING_TAG.sub('&lt;', text)}{_CLOSING_LINE}"


def without_response_tags(text: str) -> str:
    """Returns a text with the tags of the `<tool_response>` wrapper escaped, opening and closing ones, as it may stand
    within one."""
    return _ANY_TAG.sub("&lt;", text)


def unwrapped_response(text: str) -> str:
    """Returns the result without its wrapper; white space around the wrapper and missing line breaks are accepted.
    Text without a wrapper is returned unchanged."""
    found = _WRAPPED.fullmatch(text)
    return found.group(1) if found else text


def map_response(text: str, change: Callable[[str], str]) -> str:
    """Applies `change` to a tool message's text but not to the wrapper around it."""
    start, end = inside_response(text)
    return f"{text[:start]}{change(text[start:end])}{text[end:]}"


def inside_response(text: str) -> tuple[int, int]:
    """Where the result begins and ends in a tool message's text: all of it where there is no wrapper."""
    length = len(text)
    if length > _WRAPPER_LENGTH and text.startswith(_OPENING_LINE) and text.endswith(_CLOSING_LINE):
        return len(_OPENING_LINE), length - len(_CLOSING_LINE)
    return 0, length


def is_plain_text(message: object) -> TypeGuard[Message]:
    """Whether a message is a role and a text that any server can read, so that nothing of it is to be changed: nearly
    all are."""
    if type(message) is not dict or len(message) != 2:
        return False
    role, content = message.get("role"), message.get("content")
    if type(role) is not str or role not in TEXT_ROLES or type(content) is not str:
        return False
    return content.isascii() or joined_surrogates(content) is content


def is_plain_call(call: object) -> TypeGuard[ToolCall]:
    """Whether this is a tool call that has texts for all that a call has to have, and nothing else."""
    if type(call) is not dict or len(call) != 3:
        return False
    try:  # each reply's calls are looked at several times, and `get` takes as long as all of this
        function = call["function"]
        return (
            call["type"] == "function"
            and type(call["id"]) is str
            and type(function) is dict
            and len(function) == 2
            and type(function["name"]) is str
            and type(function["arguments"]) is str
        )
    except KeyError:
        return False


def text_of(message: Message) -> str:
    """The text of a message, its text parts joined; empty when it has no text."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def response_of(message: Message) -> str:
    """A tool message's text without the `<tool_response>` around it."""
    return text_of(message).removeprefix(_OPENING_LINE).removesuffix(_CLOSING_LINE)


def has_images(message: Message) -> bool:
    """Whether a message contains an image."""
    content = message.get("content")
    return isinstance(content, list) and any(part.get("type") == "image_url" for part in content)


def without_images(message: Message) -> Message:
    """The message with a sentence in place of each image, for a server that refuses images."""
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [_NO_IMAGE if part.get("type") == "image_url" else part for part in content]
    return {**message, "content": parts}


_NO_IMAGE: Part = {"type": "text", "text": "[An image was here; this model server does not accept images.]"}


def _part(part: str | Image) -> Part:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    from agentkit.net.upright import upright

    kind, data = upright(part.data) or (part.media_type, part.data)  # model servers ignore how a photo says to turn it
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"}}
