"""One format that accepts the markup of all families, for a model whose family is not known."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentkit.text.call_format import Block, Format, Segment
from agentkit.text.formats import format_named

_FAMILIES = ("qwen_coder", "mistral", "deepseek", "kimi")
"""Formats whose markers identify them; <tool_call> is shared by three formats."""


@functools.cache
def any_format(bare_json: bool) -> Format:
    """Returns a format for the markup of all families. bare_json: also accept calls that are JSON without markers."""
    formats = [format_named(name) for name in _FAMILIES]
    llama, glm, hermes, qwen_coder = map(format_named, ("llama", "glm", "hermes", "qwen_coder"))
    blocks = {start: form.block for form in formats for start in form.starts}
    blocks |= {start: llama.block for start in llama.starts if bare_json or len(start) > 1}

    def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
        if marker not in hermes.starts:
            return blocks[marker](marker, tools, first)
        return _ByFirstCharacter(lambda character: format_for(character).block(marker, tools, first))

    def format_for(character: str) -> Format:
        return glm if character.isalnum() else qwen_coder if character == "<" else hermes

    swallowed = tuple(word for form in (*formats, llama) for word in form.swallowed)
    return Format("any", tuple(blocks), block, swallowed=swallowed, between=llama.between if bare_json else "")


class _ByFirstCharacter:
    """Parses the block after a tag that several families use, and selects the format by its first character: that of a
    tool's name (GLM), of another tag (Qwen3-Coder), or of JSON."""

    def __init__(self, choose: Callable[[str], Block]) -> None:
        self._choose = choose
        self._chosen: Block | None = None
        self._space: list[str] = []

    def feed(self, text: str) -> str | None:
        """See `agentkit.text.call_format.Block.feed`."""
        if self._chosen is None:
            if text.isspace():
                self._space.append(text)
                return None
            self._chosen = self._choose(text.lstrip()[0])
            text = "".join((*self._space, text))
        return self._chosen.feed(text)

    def finish(self) -> str:
        """See `agentkit.text.call_format.Block.finish`."""
        if self._chosen is None:
            self._chosen = self._choose("{")
            rest = self._chosen.feed("".join(self._space))
            return rest if rest is not None else self._chosen.finish()
        return self._chosen.finish()

    def segments(self) -> list[Segment]:
        """See `agentkit.text.call_format.Block.segments`."""
        return self._chosen.segments() if self._chosen is not None else []
