"""One format that accepts the markup of all families, for a model whose family is not known."""

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from agentkit.text.call_format import DEFAULT_THINKS, Block, Format, Segment
from agentkit.text.computed_once import ComputedOnce
from agentkit.text.families import families, family_of

_OTHER_ENDS = ("<|end|>", "<|return|>", "<|call|>", "<|END_OF_TURN_TOKEN|>", "<|end_of_role|>")
"""Tokens that end a turn in families without a file; a server may leave them after a call at the end of a reply."""

_OTHER_FORMATS = ("agentkit.text.formats.longcat", "agentkit.text.formats.step3")
"""Formats of models that have no family, since no chat template of their makers could be compared with."""


@functools.lru_cache(maxsize=64)
def any_format_of(model: str) -> Format:
    """Returns the same for a model, by its name."""
    family = family_of(model)
    return any_format(family.format if family else None)


def _format_in(module: str) -> Format:
    found: Format = import_module(module).FORMAT
    return found


@ComputedOnce
def any_format(own: Format | None) -> Format:
    """Returns a format for the markup of all families. own: that of the model, if it is known: what may begin any text,
    such as JSON without markers, is a call only of a model that writes calls so."""
    others = (*map(_format_in, _OTHER_FORMATS), *filter(None, (own,)))  # a variant's is not among those of its family
    formats = tuple(dict.fromkeys((*(family.format for family in families()), *others)))
    owners: dict[str, list[Format]] = {}
    for form in formats:
        for start in form.starts if form == own else form.marks:
            owners.setdefault(start, []).append(form)
    uses = Counter(family.format for family in families())
    for sharing in owners.values():
        sharing.sort(key=lambda form: -uses[form])

    def block(marker: str, tools: Sequence[Mapping[str, Any]] | None, first: bool) -> Block:
        found = owners[marker]
        if len(found) == 1:
            return found[0].block(marker, tools, first)
        return _ByFirstCharacter(lambda character: _owner(found, character, own).block(marker, tools, first))

    swallowed = dict.fromkeys(word for form in formats for word in form.swallowed if word not in form.framing)
    ends = dict.fromkeys(end for family in families() for end in family.ends)
    return Format(
        "any",
        starts=tuple(owners),
        block=block,
        swallowed=tuple(word for word in (swallowed | ends | dict.fromkeys(_OTHER_ENDS)) if word not in owners),
        between=own.between if own is not None else "",
        thinks=own.thinks if own is not None and own.thinks[1] not in own.swallowed else DEFAULT_THINKS,
        quoted_thinks=tuple(dict.fromkeys((DEFAULT_THINKS, *(form.thinks for form in formats)))),
    )


def announced(text: str) -> tuple[Format | None, str] | None:
    """Returns the format of a reply that begins with the markers of one format, whatever its server, and the reply's
    text with the first marker complete. No format: the reply begins with anything else. None while that isn't known."""
    begun = text.lstrip()
    is_known = True
    for form in _announced():
        made = form.completed(text) if form.completed is not None else text
        whole = text if made is None else made
        if whole.lstrip().startswith(form.announced_by):
            return form, whole
        is_known = is_known and made is not None and not any(mark.startswith(begun) for mark in form.announced_by)
    return (None, text) if is_known else None


@ComputedOnce
def _announced() -> tuple[Format, ...]:
    return tuple(dict.fromkeys(family.format for family in families() if family.format.announced_by))


def _owner(owners: Sequence[Format], character: str, own: Format | None) -> Format:
    """Returns the format of a block that begins with a character after a start which several formats have. owners: the
    one that most families have comes first."""
    begun = [form for form in owners if form.begins_with is not None and form.begins_with(character)]
    if begun:
        return own if own is not None and own in begun else begun[0]
    others = [form for form in owners if form.begins_with is None] or owners
    return own if own is not None and own in others else others[0]


class _ByFirstCharacter:
    """Parses the block after a start that several families use, and selects the format by its first character: that of
    a tool's name (GLM), of another tag (Qwen3-Coder), or of JSON."""

    def __init__(self, choose: Callable[[str], Block]) -> None:
        self._choose = choose
        self._chosen: Block | None = None
        self._space: list[str] = []

    @property
    def is_whole(self) -> bool:
        return bool(getattr(self._chosen, "is_whole", False))

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
