"""The one reader that takes a model's text apart, by the tool-call format of its family.

A model that is asked for plain text writes its thoughts, its answer and its tool calls into one string. The reader
is fed that string, in pieces of any size, and gives what it is made of. Cutting the text elsewhere changes nothing
but the cutting of texts and thoughts.

Not all markup of a call is one: what is quoted, thought of, or copied from somebody else is text (docs/backends.md has
the policy).
"""

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agentkit.text.call_format import (
    CUT_OFF,
    RESULT,
    BadCall,
    Block,
    Call,
    Format,
    LateReasoning,
    Piece,
    Text,
    Thought,
    any_of,
    begun_word,
    first_letters,
)
from agentkit.text.held_text import SPACE, CallsLast, Cutter, Voice
from agentkit.text.quotation import Quotation

IsCopy = Callable[[str, Sequence[tuple[str, str]]], bool]
"""Whether the markup of calls, with the name and the arguments of each, is a copy of what somebody else wrote."""

_BITE = 2048
_TURN_ENDS = (
    *("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>", "<|return|>"),
    *("<|call|>", "</s>", "<｜end▁of▁sentence｜>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>", "<|end_of_role|>"),
)
"""What a server may leave behind a call at the end of a reply."""

_THINKING_ALOUD = {
    "<think>": "</think>",
    "[THINK]": "[/THINK]",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
}
"""Tags around reasoning in the midst of an answer, of any family: it stays text there, and calls in it don't count."""

_ALOUD_WORDS = frozenset((*_THINKING_ALOUD, *_THINKING_ALOUD.values()))
_LONGEST_MARKER = 40


class ReplyParser:
    """Reads one reply.

    tools: OpenAI's schemas of the tools on offer, None where they are not known. thinking: whether the prompt ended
    inside the reasoning. stops: the reply ends before the first of them. is_copy: see `IsCopy`; such calls are text.
    calls_last: calls count only when nothing but calls follows them, and so they are given at the end. keeps_thoughts:
    reasoning between its tags stays in the answer's text, tags and all.
    """

    def __init__(
        self,
        format: Format,
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        thinking: bool = False,
        stops: Iterable[str] = (RESULT,),
        is_copy: IsCopy | None = None,
        calls_last: bool = False,
        keeps_thoughts: bool = False,
    ) -> None:
        self._format = format
        self._tools = tools
        self._opening, self._closing = format.thinks
        self._stops = Cutter(stops)
        self._swallowed, self._words, self._pattern, self._special = _markers(format, calls_last)
        self._calls_begin = (format.section or ())[:1]
        self._thinking = self._has_thought = thinking
        self._thinks_aloud = self._quoted_think = ""
        self._at_start = not keeps_thoughts
        self._section: list[str] | None = None  # what stands between the markers around calls
        self._held = ""
        self._block: Block | None = None
        self._markup: list[str] = []
        self._doubt: list[str] = []
        self._doubt_end = ""
        self._quotation = Quotation()
        self._is_copy = is_copy
        self._last = CallsLast(format.between) if calls_last else None
        self._has_called = False
        self._may_call = True
        self._count = self._spoken_from = 0
        self._out: list[Piece] = []
        self._raw: list[str] = []
        self._meant: str | None = None
        self._thoughts = Voice(Thought, self._out, keeps_end=False, strips=True)
        self._answer = Voice(Text, self._out, keeps_end=True, strips=format.strips)
        self._thoughts.drop_space()

    def feed(self, text: str) -> list[Piece]:
        """The pieces that this text completes."""
        text = self._stops.feed(text)
        if text:
            self._raw.append(text)
            self._read(text)
        return self._given()

    def finish(self, *, cut_off: bool = False, takes_calls: bool = True) -> list[Piece]:
        """The pieces that are left when nothing more comes. cut_off: the reply was broken off, so that a call which
        only its end closes is not whole. takes_calls: whether calls that were held back count."""
        self._may_call = self._may_call and takes_calls
        rest = self._stops.finish()
        self._raw.append(rest)
        self._read(rest)
        while self._doubt or self._block:
            self._end_what_is_open(cut_off)
        held, self._held = self._held, ""
        if self._thinking:
            self._thoughts.tell(held)
        else:
            self._tell(held)
            self._end_section()
            if self._last is not None:
                self._finish_calls(self._last)
            self._answer.end()
        return self._given()

    def passes(self, text: str) -> bool:
        """Take in text that is part of the answer as it stands; False, with nothing taken in, for any other, which has
        to be fed."""
        is_plain = not (self._at_start or self._thinking or self._block or self._held or self._doubt)
        waits = self._section is not None or self._stops.may_cut or (self._last is not None and self._last.waits)
        if not is_plain or waits or not self._answer.is_plain or self._special.search(text):
            return False
        self._raw.append(text)
        self._count += len(text)
        self._quotation.feed(text)
        return True

    @property
    def spoken(self) -> str:
        """What was generated behind the reasoning, the markup of calls included, up to the first stop."""
        raw = "".join(self._raw)
        if not self._has_thought:
            return raw
        if self._meant is not None:
            return self._meant
        if self._spoken_from:
            return raw[self._spoken_from :].lstrip(SPACE)
        return raw.partition(self._closing)[2].lstrip(SPACE)

    def _given(self) -> list[Piece]:
        given = self._out[:]
        self._out.clear()
        return given

    def _end_what_is_open(self, cut_off: bool) -> None:
        if self._doubt:
            text = "".join(self._doubt)
            self._doubt = []
            if cut_off or self._has_words_beside_calls(text):
                self._thoughts.tell(text)
                return
            self._meant = text  # calls of the format end the reasoning
            self._end_thoughts()
            self._read_again(text)
        if self._block:
            block, self._block = self._block, None
            rest = block.finish()
            self._take(block.pieces(), self._markup_before(rest), is_open=True, cut_off=cut_off)
            self._read_again(rest)

    def _has_words_beside_calls(self, text: str) -> bool:
        inner = ReplyParser(self._format, self._tools, stops=(), keeps_thoughts=True)
        pieces = [*inner.feed(text), *inner.finish()]
        has_calls = any(isinstance(piece, Call) for piece in pieces)
        return has_calls and any(isinstance(piece, Text) and piece.text.strip() for piece in pieces)

    def _read_again(self, text: str) -> None:
        self._count -= len(text)
        self._read(text)

    def _read(self, text: str) -> None:
        if len(text) <= _BITE:
            self._count += len(text)
            self._read_bite(text)
            return
        for place in range(0, len(text), _BITE):  # what is behind a marker is copied, so it must not be long
            bite = text[place : place + _BITE]
            self._count += len(bite)
            self._read_bite(bite)

    def _read_bite(self, text: str) -> None:
        while text:
            if self._block is not None:
                self._markup.append(text)
                rest = self._block.feed(text)
                if rest is None:
                    return
                block, self._block = self._block, None
                self._take(block.pieces(), self._markup_before(rest))
                text = rest
            elif self._doubt:
                text = self._read_doubt(text)
            elif self._thinking:
                text = self._read_thoughts(text)
            elif self._at_start:
                text = self._read_start(text)
            else:
                text = self._read_answer(text)

    def _markup_before(self, rest: str) -> str:
        """What a block was made of. rest: what stands behind it."""
        markup = "".join(self._markup)
        self._markup.clear()
        return markup[: len(markup) - len(rest)]

    def _read_start(self, text: str) -> str:
        """Look for the tag that opens the reasoning, before anything else is said."""
        text, self._held = self._held + text, ""
        begun = text.lstrip(SPACE)
        self._answer.tell(text[: len(text) - len(begun)])
        if begun.startswith(self._opening):
            self._at_start = False
            self._thinking = self._has_thought = True
            self._answer.drop_space()
            return begun[len(self._opening) :]
        if self._opening.startswith(begun):
            self._held = begun
            return ""
        self._at_start = False
        return begun

    def _read_answer(self, text: str) -> str:
        before, found, text = self._up_to_marker(text)
        self._tell(before)
        if found in _ALOUD_WORDS:
            self._meet_tag_of_reasoning(found, self._count - len(text))
        elif found:
            self._meet(found)
        return text

    def _meet(self, marker: str) -> None:
        """Go on behind a marker in the answer's text."""
        if self._thinks_aloud or self._quotation.is_open:
            self._quotation.keep()
            self._tell(marker)
        elif marker in self._swallowed:
            self._meet_swallowed(marker)
        else:
            self._markup.append(marker)
            self._block = self._format.block(marker, self._tools, not self._answer.has_spoken)

    def _meet_tag_of_reasoning(self, tag: str, place: int) -> None:
        """Meet a tag in the answer, with its end at a place of the reply."""
        ends = tag not in _THINKING_ALOUD
        if tag == self._thinks_aloud:
            self._thinks_aloud = ""
            self._tell(tag)
            self._quotation = Quotation()
        elif self._thinks_aloud:
            self._tell(tag)
        elif ends and self._has_called:
            self._end_unopened(place, tag)
        elif ends:
            self._meet_unopened(tag, place)
        else:
            self._tell_opening(tag)

    def _tell_opening(self, tag: str) -> None:
        if self._quotation.is_open:
            self._quoted_think = _THINKING_ALOUD[tag]
        else:
            self._thinks_aloud = _THINKING_ALOUD[tag]
        self._tell(tag)

    def _meet_unopened(self, tag: str, place: int) -> None:
        """The end of reasoning that nothing has opened: all before it was reasoning, unless the answer speaks of the
        tag. A second one says nothing."""
        is_spoken_of = tag == self._quoted_think or self._speaks_of_tag()
        if tag == self._closing and not (self._has_thought or is_spoken_of):
            self._end_unopened(place, tag)
        elif tag != self._closing or not self._has_thought or is_spoken_of:
            self._tell(tag)

    def _meet_swallowed(self, marker: str) -> None:
        if self._last is not None:
            self._last.wait_with(marker)
            return
        begins = self._format.section is not None and marker == self._format.section[0]
        self._end_section()
        self._section = [marker] if begins else None
        if not self._answer.has_spoken:
            self._answer.drop_space()

    def _end_section(self) -> None:
        """What stands between the markers around calls is framing, and text where there was no call."""
        text, self._section = "".join(self._section or ()), None
        if text.strip():
            self._tell(text)

    def _speaks_of_tag(self) -> bool:
        return self._quotation.is_set_apart or (self._quotation.is_open and self._quotation.follows_mark)

    def _end_unopened(self, place: int, tag: str) -> None:
        """What came before the tag was reasoning, and the calls in it were only thought of."""
        self._may_call = not self._spoken_from  # who thinks aloud twice does not tell what is meant
        self._spoken_from = place
        thoughts = "".join(self._raw)[: place - len(tag)].replace(tag, "")
        thoughts = thoughts.strip(SPACE).removeprefix(self._opening).strip(SPACE)
        self._out.clear()
        if thoughts:
            self._out.append(LateReasoning(thoughts))
        if self._last is not None:
            self._last = CallsLast(self._format.between)
        self._section = None
        self._has_called = self._answer.has_spoken = False
        self._has_thought = True
        self._end_thoughts()

    def _read_thoughts(self, text: str) -> str:
        if not self._thoughts.has_spoken:
            text, self._held = (self._held + text).lstrip(SPACE), ""
            if text.startswith(self._opening):  # the prompt has opened it already
                return text[len(self._opening) :]
            if self._opening.startswith(text):
                self._held = text
                return ""
        before, found, text = self._up_to_marker(text)
        self._thoughts.tell(before)
        self._quotation.feed(before)
        if found == self._closing:
            self._end_thoughts()
        elif found in self._calls_begin and not self._quotation.is_open:
            self._doubt, self._doubt_end = [found], ""
        elif found:
            self._thoughts.tell(found)
        return text

    def _read_doubt(self, text: str) -> str:
        """A call inside the reasoning: only thought of, if the reasoning is closed behind it, and meant if not."""
        seen = self._doubt_end + text
        place = seen.find(self._closing)
        if place < 0:
            self._doubt.append(text)
            self._doubt_end = seen[1 - len(self._closing) :]
            return ""
        rest = seen[place + len(self._closing) :]
        thought = "".join((*self._doubt, text))
        self._doubt = []
        self._thoughts.tell(thought[: len(thought) - len(rest) - len(self._closing)])
        self._end_thoughts()
        return rest

    def _end_thoughts(self) -> None:
        self._thinking = self._at_start = False
        self._quotation = Quotation()
        self._answer.drop_space()

    def _up_to_marker(self, text: str) -> tuple[str, str, str]:
        """What stands before the first marker, the marker ("" for none), and what stands behind it."""
        if self._held:
            text, self._held = self._held + text, ""
        if self._special.search(text) is None:
            return text, "", ""
        found = self._pattern.search(text)
        if found is not None and not self._may_grow(found.group(), text, found.start()):
            return text[: found.start()], found.group(), text[found.end() :]
        keep = begun_word(text, self._words)
        self._held = text[keep:]
        return text[:keep], "", ""

    def _may_grow(self, marker: str, text: str, place: int) -> bool:
        """Whether the text ends in the midst of a longer marker that begins like this one."""
        rest = text[place:] if len(text) - place < _LONGEST_MARKER else ""
        return bool(rest) and any(word != marker and word.startswith(rest) for word in self._words)

    def _tell(self, text: str) -> None:
        if self._section is not None:
            self._section.append(text)
            return
        if not text:
            return
        if self._last is not None and self._last.waits:
            self._may_call = self._may_call and not (self._last.calls and self._last.is_said(text))
            text = self._last.released_by(text)
            if not text:
                return
        self._quotation.feed(text)
        self._answer.tell(text)

    def _take(self, pieces: list[Piece], markup: str, *, is_open: bool = False, cut_off: bool = False) -> None:
        """Take what a block turned out to be. is_open: only the end of the reply has closed it."""
        calls = [piece for piece in pieces if isinstance(piece, Call | BadCall)]
        says_nothing = not pieces and bool(self._inside(markup).strip())
        if says_nothing or (calls and self._is_text(markup, calls, is_open)):
            self._tell(markup)
            return
        if calls and is_open and cut_off:
            pieces = [BadCall(markup, CUT_OFF, calls[-1].name)]
        self._has_called = self._has_called or bool(calls)
        if self._section is not None and calls:
            self._section = []
        if self._last is not None and (calls or not pieces):
            self._last.wait_with(markup, pieces)
            return
        for piece in pieces:
            if isinstance(piece, Text):
                self._tell(piece.text)
            else:
                self._answer.drop_space(self._format.between)
                self._out.append(piece)

    def _inside(self, markup: str) -> str:
        """Markup without the marker at its beginning."""
        return markup[max((len(start) for start in self._format.starts if markup.startswith(start)), default=0) :]

    def _is_text(self, markup: str, calls: Sequence[Call | BadCall], is_open: bool) -> bool:
        """Whether it is no call that the model makes, although it has the form of one."""
        if not self._may_call or (self._last is not None and is_open and self._answer.has_spoken):
            return True
        named = [(call.name or "", call.arguments if isinstance(call, Call) else "{}") for call in calls]
        return self._is_copy is not None and self._is_copy(markup, named)

    def _finish_calls(self, last: "CallsLast") -> None:
        pieces, last.calls = last.calls, []
        if not (self._may_call and any(isinstance(piece, Call) for piece in pieces)):
            self._answer.tell(last.released_by(""))
            return
        self._answer.drop_space()
        for piece in pieces:
            if isinstance(piece, Text):
                self._answer.tell(piece.text)
            else:
                self._out.append(piece)


@functools.cache
def _markers(
    format: Format, calls_last: bool
) -> tuple[tuple[str, ...], tuple[str, ...], re.Pattern[str], re.Pattern[str]]:
    """What says nothing by itself, all that the reader looks for, and patterns for that and for its first letters."""
    swallowed = (*format.swallowed, *(_TURN_ENDS if calls_last else ()))
    words = tuple(dict.fromkeys((*format.starts, *swallowed, *format.thinks, *_ALOUD_WORDS)))
    return swallowed, words, any_of(words), first_letters(words)
