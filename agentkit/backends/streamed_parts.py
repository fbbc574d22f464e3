"""The content of a reply as a list of parts, put together from the pieces in which a server streams it."""

from collections.abc import Mapping
from typing import Any, cast

from agentkit._text import in_a_line
from agentkit.message import Part

THOUGHTS = ("thinking", "reasoning")
"""Types of parts that are the model's thoughts."""
_WORDS = ("text", "value", "summary", *THOUGHTS, "reasoningContent", "reasoningText", "reasoning_content")
"""Keys under which servers have texts and thoughts."""
_MAX_DEPTH = 8


class StreamedParts:
    """Adds up parts: consecutive ones of one type are merged (Mistral streams its reasoning like this). Adding takes
    time for the part, and not for what was before."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._texts: list[str] = []  # what the last part grows by

    def add(self, part: Part) -> None:
        """Add a part."""
        last = self._parts[-1] if self._parts else {}
        if part.get("type") == last.get("type") == "text":
            self._texts.append(text_of_part(part))
        elif part.get("type") == last.get("type") == "thinking" and not _is_complete(last):
            self._texts.append(text_of_part(part))
            last.update({key: value for key, value in part.items() if key != "thinking"})
        else:
            self._settle()
            self._parts.append(dict(part))

    @property
    def value(self) -> list[Part]:
        """The parts."""
        self._settle()
        return self._parts

    def _settle(self) -> None:
        if not self._texts:
            return
        last = self._parts[-1]
        text = "".join((text_of_part(last), *self._texts))
        if last["type"] == "text":
            last["text"] = text
        else:  # Anthropic's thoughts are a text, Mistral's a list
            is_text = isinstance(last.get("thinking"), str)
            last["thinking"] = text if is_text else [{"type": "text", "text": text}]
        self._texts = []


def _is_complete(thought: Part) -> bool:
    return bool(thought.get("closed") or thought.get("signature"))


def parts_of(content: object) -> list[Part]:
    """The parts of a content in the form that histories have: each a dict with a type, and a text where it is one.
    content: a list, or what would be one of its entries. Raises TypeError for what can't be read."""
    return [_part_of(each) for each in (content if isinstance(content, list) else [content]) if each is not None]


def _part_of(given: object) -> Part:
    if isinstance(given, str):
        return {"type": "text", "text": given}
    kind = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(kind, str | None):
        raise TypeError(f"its content has the part {in_a_line(repr(given), 200)}")
    if kind in ("text", "output_text") or (kind is None and "text" in given):
        has_text = kind == "text" and isinstance(given.get("text"), str)
        return cast(Part, given) if has_text else {"type": "text", "text": thought_in(given.get("text"))[0]}
    if kind is None:  # as Bedrock has it
        text, more = thought_in(given)
        if not text and not more.get("signature"):
            raise TypeError(f"its content has the part {in_a_line(repr(given), 200)}")
        return {"type": "thinking", "thinking": text, **more}
    return cast(Part, given)


def text_of_part(part: Part) -> str:
    """The text, or the thought, of a part; "" of any other."""
    kind = part.get("type")
    if kind in THOUGHTS:
        return thought_in(part)[0]
    return (part.get("text") or "") if kind == "text" else ""


def thought_in(value: object, depth: int = _MAX_DEPTH) -> tuple[str, dict[str, Any]]:
    """The text in a thought of whatever form (a text, a list, an object of objects), and what else the form has: a
    signature."""
    if isinstance(value, str) or not depth:
        return (value if isinstance(value, str) else ""), {}
    texts: list[str] = []
    more: dict[str, Any] = {}
    entries = value if isinstance(value, list) else []
    if isinstance(value, Mapping):
        entries = [value[key] for key in value if key in _WORDS]
        more = {key: value[key] for key in value if key not in _WORDS and key != "type"}
    for each in entries:
        text, beside = thought_in(each, depth - 1)
        texts.append(text)
        more |= beside
    return "".join(texts), more
