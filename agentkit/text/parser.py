"""The incremental parser of a model's text, for the tool-call format of any model family.

A model on a text-completion server writes its reasoning, its answer and its tool calls into one string. The parser is
fed that string in chunks of any size and returns its parts. Where the chunks begin and end affects only how texts and
reasoning are split into parts.

Not all call markup is a call: markup that is quoted, part of the reasoning, or copied from somebody else is text (the
policy is in docs/backends.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agentkit.message import RESPONSE_TAG
from agentkit.text.call_format import CUT_OFF, BadCall, Block, Call, Format, LateReasoning, Segment, Text
from agentkit.text.computed_once import ComputedOnce
from agentkit.text.held_text import SPACE, Beginning, StopFilter, TextEmitter, TrailingCalls
from agentkit.text.markers import MarkerSearch
from agentkit.text.mentions import Mentions
from agentkit.text.quotation import Quotation
from agentkit.text.reasoning import Reasoning, Spoken, inline_tags

IsCopy = Callable[[str, Sequence[tuple[str, str]]], bool]
"""Takes the markup of calls, and the name and the arguments of each call. Returns whether a user or a tool wrote it."""

_MAX_CHUNK = 2048  # characters: the text after each marker is copied, so it must not be long


class ReplyParser:
    """Parses one reply.

    tools: OpenAI's schemas of the tools offered, None where they are not known. thinking: whether the prompt ended
    inside the reasoning. stops: the reply ends before the first of these strings. is_copy: see `IsCopy`; such calls are
    text. calls_last: calls count only when nothing but calls follows them, so they are returned at the end.
    keep_reasoning: reasoning between tags stays in the answer's text, with its tags.
    """

    def __init__(
        self,
        format: Format,
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        thinking: bool = False,
        stops: Iterable[str] = (RESPONSE_TAG,),
        is_copy: IsCopy | None = None,
        calls_last: bool = False,
        keep_reasoning: bool = False,
    ) -> None:
        self._format = format
        self._tools = tools
        self._stops = StopFilter(stops)
        self._beginning = Beginning(None if thinking or keep_reasoning else format.completed)
        self._tags, words = _tags_and_words(format)
        self._markers = MarkerSearch(words)
        self._inline_end_tag = self._quoted_end_tag = ""
        self._at_start = not keep_reasoning
        self._section: list[str] | None = None  # text between the markers around calls
        self._block: Block | None = None
        self._markup: list[str] = []
        self._quotation = Quotation()
        self._is_copy = is_copy
        self._last = TrailingCalls(format.between) if calls_last else None
        self._mentions = Mentions(format.between, looks=format.mentions or not format.reopens)
        self._has_called = self._has_returned = self._takes_plain = False
        self._may_call = True
        self._count = self._answer_start = 0
        self._out: list[Segment] = []
        self._raw: list[str] = []
        self._accepted: str | None = None  # the calls that ended reasoning which was never closed
        self._reasoning = Reasoning(format, self._out, is_open=thinking)
        self._answer = TextEmitter(Text, self._out, keeps_end=True, strips=format.strips or format.reopens)
        self._spoken = Spoken() if format.reopens and not keep_reasoning else None
        if self._spoken is not None and thinking:
            self._spoken.pause(0)

    def feed(self, text: str) -> list[Segment]:
        """Parse more text. Returns the parts completed by it."""
        self._takes_plain = False
        text = self._stops.feed(self._beginning.feed(text))
        if text:
            self._raw.append(text)
            self._parse(text)
        return self._drain()

    def finish(self, *, cut_off: bool = False, accept_calls: bool = True) -> list[Segment]:
        """Returns the remaining parts at the end of the reply. cut_off: the reply was truncated, so that a call closed
        only by the end of the text is incomplete. accept_calls: whether calls that were held back count."""
        self._may_call = self._may_call and accept_calls
        rest = self._stops.feed(self._beginning.finish()) + self._stops.finish()
        self._raw.append(rest)
        self._parse(rest)
        self._markers.is_last = True
        self._parse_again(self._markers.take())
        while (pending := self._reasoning.take_pending()) or self._block:
            self._close_pending(pending, cut_off)
        held = self._markers.take()
        if self._reasoning.is_open:
            self._reasoning.emit(held)
        else:
            self._emit(held)
            self._end_section()
            self._add(self._mentions.take())
            if self._last is not None:
                self._finish_calls(self._last)
            self._answer.end()
        return self._drain()

    def feed_plain(self, text: str) -> bool:
        """Accept text that is part of the answer unchanged. Returns False, with nothing accepted, for text that has to
        be parsed with `feed`."""
        self._takes_plain = self._takes_plain or self._may_take_plain()
        if not self._takes_plain or self._markers.may_find(text):
            return False
        self._raw.append(text)
        self._count += len(text)
        self._quotation.feed(text)
        return True

    def _may_take_plain(self) -> bool:
        """Whether text without markup is part of the answer unchanged; it stays so until other text is parsed."""
        is_plain = not (self._at_start or self._reasoning.is_open or self._block or self._markers.held)
        is_held = self._section is not None or self._stops.may_cut or (self._last is not None and self._last.is_pending)
        is_held = is_held or self._mentions.is_active or self._beginning.is_pending
        return is_plain and not is_held and self._answer.is_plain

    @property
    def raw_answer(self) -> str:
        """The text generated after the reasoning, including the markup of calls, up to the first stop string."""
        raw = "".join(self._raw)
        if self._spoken is not None:
            return self._spoken.of(raw)
        if not self._reasoning.has_begun:
            return raw
        if self._accepted is not None:
            return self._accepted
        if self._answer_start:
            return raw[self._answer_start :].lstrip(SPACE)
        return raw.partition(self._reasoning.closing)[2].lstrip(SPACE)

    def _drain(self) -> list[Segment]:
        parts = self._out[:]
        self._has_returned = self._has_returned or bool(parts)
        self._out.clear()
        return parts

    def _close_pending(self, pending: str, cut_off: bool) -> None:
        if pending:
            if cut_off or not self._are_meant(pending):
                self._reasoning.emit(pending)
                return
            self._accepted = pending  # calls of the format end the reasoning
            self._begin_answer(self._count - len(pending))
            self._parse_again(pending)
        if self._block:
            block, self._block = self._block, None
            rest = block.finish()
            is_open = not getattr(block, "is_whole", False)
            self._handle_block(block.segments(), self._markup_before(rest), is_open=is_open, cut_off=cut_off)
            self._parse_again(rest)

    def _are_meant(self, text: str) -> bool:
        """Whether what follows a marker in reasoning that nothing closes is calls, and no text about them."""
        inner = ReplyParser(self._format, self._tools, stops=(), keep_reasoning=True)
        segments = [*inner.feed(text), *inner.finish()]
        if not any(isinstance(segment, Call) for segment in segments):
            return self._format.section is not None
        return not any(isinstance(segment, Text) and segment.text.strip() for segment in segments)

    def _parse_again(self, text: str) -> None:
        self._count -= len(text)
        self._parse(text)

    def _parse(self, text: str) -> None:
        if len(text) <= _MAX_CHUNK:
            self._count += len(text)
            self._parse_chunk(text)
            return
        for start in range(0, len(text), _MAX_CHUNK):
            chunk = text[start : start + _MAX_CHUNK]
            self._count += len(chunk)
            self._parse_chunk(chunk)

    def _parse_chunk(self, text: str) -> None:
        while text:
            if self._block is not None:
                self._markup.append(text)
                rest = self._block.feed(text)
                if rest is None:
                    return
                block, self._block = self._block, None
                self._handle_block(block.segments(), self._markup_before(rest))
                text = rest
            elif self._reasoning.is_open:
                text = self._reasoning.parse(text, self._markers, self._quotation)
                if not self._reasoning.is_open:
                    self._begin_answer(self._count - len(text))
            elif self._at_start:
                text = self._parse_start(text)
            else:
                text = self._parse_answer(text)

    def _markup_before(self, rest: str) -> str:
        """Returns the markup of a block. rest: the text after the block."""
        markup = "".join(self._markup)
        self._markup.clear()
        return markup[: len(markup) - len(rest)]

    def _parse_start(self, text: str) -> str:
        """Look for the tag that opens the reasoning, before any other text."""
        text = self._markers.take() + text
        begun = text.lstrip(SPACE)
        self._answer.emit(text[: len(text) - len(begun)])
        opening = self._reasoning.opening_of(begun)
        if opening:
            self._open_reasoning(self._count - len(begun), opening)
            return begun[len(opening) :]
        if opening is None:
            self._markers.held = begun
            return ""
        self._at_start = False
        return begun

    def _parse_answer(self, text: str) -> str:
        before, found, text = self._markers.split(text)
        self._emit(before)
        if found in self._tags and (found not in self._format.swallowed or found == self._inline_end_tag):
            self._handle_reasoning_tag(found, self._count - len(text))
        elif found:
            self._handle_marker(found, self._count - len(text))
        return text

    def _handle_marker(self, marker: str, end: int) -> None:
        """Handle a marker in the answer's text. end: the position in the reply after it."""
        if self._inline_end_tag or self._quotation.is_open:
            self._quotation.note_markup()
            self._emit(marker)
            return
        self._mentions.begin(self._quotation, is_first=not self._answer.has_emitted)
        if marker in self._format.swallowed:
            self._handle_swallowed(marker, end)
        else:
            self._markup.append(marker)
            self._block = self._format.block(marker, self._tools, not self._answer.has_emitted)

    def _handle_reasoning_tag(self, tag: str, end: int) -> None:
        """Handle a reasoning tag in the answer. end: the position in the reply after the tag."""
        is_end_tag = not self._tags[tag]
        if tag == self._inline_end_tag:
            self._inline_end_tag = ""
            self._emit(tag)
            self._quotation = Quotation()
        elif self._inline_end_tag:
            self._emit(tag)
        elif is_end_tag and self._has_called:
            self._end_unopened(end, tag)
        elif is_end_tag:
            self._handle_unopened(tag, end)
        else:
            self._handle_opening(tag, end - len(tag))

    def _handle_opening(self, tag: str, start: int) -> None:
        """Handle an opening tag in the answer: reasoning that reopens, or that stays text. start: its position."""
        if self._quotation.is_open:
            self._quoted_end_tag = self._tags[tag]
        elif self._spoken is not None and tag == self._reasoning.opening:
            self._end_section()
            self._open_reasoning(start, tag)
            return
        else:
            self._inline_end_tag = self._tags[tag]
        self._emit(tag)

    def _open_reasoning(self, start: int, tag: str) -> None:
        """Begin the reasoning with the tag at a position in the reply."""
        self._at_start = False
        self._reasoning.open(tag)
        self._quotation = Quotation()
        if self._spoken is not None:
            self._spoken.pause(start)
            self._answer.begin_part()
        self._answer.drop_space()

    def _handle_unopened(self, tag: str, end: int) -> None:
        """Handle an end tag of reasoning that nothing opened: everything before it was reasoning, unless the answer
        only mentions the tag. A second end tag is dropped."""
        is_mentioned = tag == self._quoted_end_tag or self._mentions_tag()
        if self._reasoning.may_end(tag) and not (self._reasoning.has_begun or is_mentioned):
            self._end_unopened(end, tag)
        elif tag != self._reasoning.closing or not self._reasoning.has_begun or is_mentioned:
            self._emit(tag)

    def _handle_swallowed(self, marker: str, end: int) -> None:
        if self._mentions.is_certain:
            self._emit_markup(marker)
            return
        if self._last is not None and (self._last.is_pending or not self._format.reopens):
            self._last.hold(marker)
            return
        begins = self._format.section is not None and marker == self._format.section[0]
        self._end_section()
        self._section = [marker] if begins else None
        if not begins:
            self._mentions.drop(marker)
        if self._spoken is not None:
            self._spoken.leave_out(end - len(marker), end)
            self._answer.begin_part()
        elif not self._answer.has_emitted:
            self._answer.drop_space()

    def _end_section(self) -> None:
        """Drop what stands between the markers around calls; where there was no call, it is text."""
        text, self._section = "".join(self._section or ()), None
        if text.strip() or self._mentions.is_active:
            self._emit(text)

    def _mentions_tag(self) -> bool:
        return self._quotation.is_block or (self._quotation.is_open and self._quotation.follows_quotation_mark)

    def _end_unopened(self, end: int, tag: str) -> None:
        """Turn the text before the tag into reasoning; the calls in it don't count."""
        self._may_call = not self._answer_start  # after a second unopened end tag it is unclear which calls are meant
        self._answer_start = end
        thoughts = "".join(self._raw)[: end - len(tag)].replace(tag, "")
        thoughts = thoughts.strip(SPACE).removeprefix(self._reasoning.opening).strip(SPACE)
        self._out.clear()
        if thoughts or self._has_returned:
            self._out.append(LateReasoning(thoughts))
        if self._last is not None:
            self._last = TrailingCalls(self._format.between)
        self._mentions = self._mentions.cleared()
        self._section = None
        self._has_called = False
        self._answer.restart()
        self._reasoning.replace(thoughts, tag)
        if self._spoken is not None:
            self._spoken = Spoken()
            self._spoken.pause(0)
        self._begin_answer(end)

    def _begin_answer(self, start: int) -> None:
        """End the reasoning. start: the position of the answer in the reply."""
        self._reasoning.close()
        self._at_start = False
        if self._spoken is not None:
            self._spoken.resume(start)
        self._quotation = Quotation()
        self._answer.drop_space()

    def _emit(self, text: str) -> None:
        if self._section is not None:
            self._section.append(text)
            return
        if not text:
            return
        if self._mentions.is_active:
            calls, text = self._mentions.pass_on(text)
            self._add(calls)
            if not text:
                return
        if self._last is not None and self._last.is_pending:
            self._may_call = self._may_call and not (self._last.calls and self._last.has_words(text))
            text = self._last.release(text)
            if not text:
                return
        self._quotation.feed(text)
        self._answer.emit(text)

    def _emit_markup(self, markup: str) -> None:
        """Emit the markup of calls that are text; more that directly follows it is text too."""
        is_certain = self._mentions.is_certain
        self._emit(markup if self._section is not None else self._mentions.with_dropped(markup))
        self._mentions.is_certain = is_certain

    def _handle_block(self, parts: list[Segment], markup: str, *, is_open: bool = False, cut_off: bool = False) -> None:
        """Handle the parts of a block. is_open: whether only the end of the reply closed the block."""
        calls = [part for part in parts if isinstance(part, Call | BadCall)]
        is_empty = not parts and (self._mentions.is_certain or bool(self._inside(markup).strip()))
        if is_empty or (calls and self._is_text(markup, calls, is_open)):
            self._emit_markup(markup)
            return
        if calls and is_open and cut_off:
            parts = [BadCall(markup, CUT_OFF, calls[-1].name)]
        self._has_called = self._has_called or bool(calls)
        if self._last is None and (calls or not parts) and self._is_doubtful(parts, markup, is_open):
            return
        if self._section is not None and calls:
            self._section = []
        if self._last is not None and (calls or not parts):
            self._last.hold(markup, parts)
            return
        self._add(parts)

    def _add(self, parts: Sequence[Segment]) -> None:
        for part in parts:
            if isinstance(part, Text):
                self._emit(part.text)
            else:
                self._answer.drop_space(self._format.between)
                self._out.append(part)

    def _is_doubtful(self, parts: Sequence[Segment], markup: str, is_open: bool) -> bool:
        """Whether the calls stand within a sentence, where they are held back; those that only the end of the reply
        closes are text there, but for a broken one that directly follows a word: no prose shows calls so."""
        if not parts:
            self._mentions.drop(markup)
            return False
        if is_open and isinstance(parts[-1], BadCall) and not self._quotation.follows_space:
            return False
        if self._mentions.are_meant:
            self._add(self._mentions.take())
        if not self._mentions.holds(parts, "".join((*(self._section or ()), markup)), self._quotation):
            return False
        self._section = None if self._section is None else []
        if is_open and self._quotation.runs_on and not self._quotation.after_colon:
            self._emit_markup(self._mentions.release())
        return True

    def _inside(self, markup: str) -> str:
        """Returns the markup without the marker at its beginning."""
        return markup[max((len(start) for start in self._format.starts if markup.startswith(start)), default=0) :]

    def _is_text(self, markup: str, calls: Sequence[Call | BadCall], is_open: bool) -> bool:
        """Whether markup in the form of a call is not a call of the model's."""
        if not self._may_call or self._mentions.is_certain:
            return True
        if self._last is not None and is_open and self._answer.has_emitted:
            return True
        named = [(call.name or "", call.arguments if isinstance(call, Call) else "{}") for call in calls]
        return self._is_copy is not None and self._is_copy(markup, named)

    def _finish_calls(self, last: "TrailingCalls") -> None:
        segments, last.calls = last.calls, []
        if not (self._may_call and any(isinstance(segment, Call) for segment in segments)):
            self._answer.emit(last.release(""))
            return
        self._answer.drop_space()
        for segment in segments:
            if isinstance(segment, Text):
                self._answer.emit(segment.text)
            else:
                self._out.append(segment)


@ComputedOnce
def _tags_and_words(format: Format) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Returns the tags of reasoning, each opening tag with its end tag and each end tag with "", and all words to look
    for."""
    inline = inline_tags(format)
    tags = {**dict.fromkeys(inline.values(), ""), **inline}
    return tags, tuple(dict.fromkeys((*format.starts, *format.swallowed, *format.thinks, *tags)))
