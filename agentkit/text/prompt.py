"""The prompt of a conversation: one string for a server that takes no messages, and the pictures beside it.

What untrusted people wrote is neutralised before the template sees it (special_tokens.py). A conversation that goes
on is not rendered anew: the text of what was rendered is kept, and only what came since goes through the template.
"""

import contextlib
import copy
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from agentkit.errors import TranscriptError
from agentkit.text.call_format import Format, Text
from agentkit.text.chat_template import ChatTemplate, template_named, thinking_is_open
from agentkit.text.families import Family
from agentkit.text.formats import format_named
from agentkit.text.parser import ReplyParser
from agentkit.text.special_tokens import changer, neutral_message, neutralised, neutralised_values, without_turns
from agentkit.transcript import Transcript

MAX_CONVERSATIONS = 32


@dataclass(frozen=True)
class RenderedPrompt:
    """What a text server is given.

    images: the addresses of the pictures (`data:`, `file:`, `http:`), in the order of their placeholders.
    thinking: whether the reply begins inside the reasoning.
    """

    text: str
    images: tuple[str, ...] = ()
    thinking: bool = False


@dataclass(frozen=True)
class _Rendered:
    """A conversation as far as it was rendered.

    given: its messages as they came. made: as the template takes them. images: of each message. question: the place
    of the last question. upto_question: the text up to and with it. place, upto_place: a later message before which
    nothing changes any more, and the text up to it.
    """

    key: str
    given: list[Mapping[str, Any]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    images: list[tuple[str, ...]] = field(default_factory=list)
    question: int = -1
    upto_question: str = ""
    place: int = -1
    upto_place: str = ""


class PromptMaker:
    """Makes prompts for one model; shared by threads.

    template: instead of the family's own. neutral: whether special tokens in texts that the programmer did not write
    are neutralised; turn it off only where all text is trusted.
    """

    def __init__(self, family: Family, template: ChatTemplate | None = None, *, neutral: bool = True) -> None:
        self.family = family
        self.format: Format = format_named(family.format)
        self._template = template or template_named(family.template)
        self._goes_on = template is None  # of a foreign template nobody knows what it looks at
        self._neutral = neutral
        self._known: OrderedDict[int, _Rendered] = OrderedDict()
        self._runs: WeakKeyDictionary[Transcript, _Rendered] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._next = 0

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> RenderedPrompt:
        """The prompt of messages in OpenAI's form. variables: for the template, such as enable_thinking.

        Raises TranscriptError for messages that can't be rendered.
        """
        if not messages:
            raise TranscriptError("there are no messages to answer")
        offered = self._made_tools(tools)
        given_variables = {**self.family.variables, **(variables or {})}
        if offered and self.family.tells_tools and self._goes_on:
            told = template_named(self.family.tells_tools).render([], offered, add_generation_prompt=False)
            given_variables["tools_text"] = told
        key = json.dumps([offered, given_variables], sort_keys=True, default=str)
        slot, known = self._recall(key, messages)
        made, images = self._all_made(messages, known)
        fresh = _Rendered(key, [], made, images, *_places(known))
        # a transcript's messages never change; those of a list may, and are compared with a copy
        new = [] if isinstance(messages, Transcript) else copy.deepcopy([dict(m) for m in messages[len(known.given) :]])
        given = [*known.given, *new]
        text, kept = self._render(fresh, offered, given_variables)
        self._remember(slot, messages, _Rendered(key, given, made, images, *_places(kept)))
        if self.family.opens_thoughts and given_variables.get("enable_thinking") is not False:
            text += self.format.thinks[0] + "\n"
        return RenderedPrompt(
            text, tuple(ref for refs in images for ref in refs), thinking_is_open(text, self.format.thinks)
        )

    def _render(
        self, it: _Rendered, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any]
    ) -> tuple[str, _Rendered]:
        """The whole text, and what is worth keeping of it."""
        question = _last_question(it.made)
        if not self._goes_on or question < 0:
            return self._template.render(it.made, tools, **variables), _Rendered(it.key)
        if it.question != question:
            it = self._with_question(it, question, tools, variables)
        head = _head(it, question)
        begun = self._template.render(head, tools, add_generation_prompt=False, **variables)
        text = self._template.render([*head, *it.made[it.place :]], tools, **variables)
        if not text.startswith(begun):
            return self._template.render(it.made, tools, **variables), _Rendered(it.key)
        text = text[len(begun) :]
        return it.upto_place + text, self._moved_on(it, text, head, begun, tools, variables)

    def _with_question(
        self, it: _Rendered, question: int, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any]
    ) -> _Rendered:
        """Go on to a new question: the turns before it get the form of turns that are past."""

        def render(turns: list[dict[str, Any]]) -> str:
            return self._template.render(turns, tools, add_generation_prompt=False, **variables)

        upto = ""
        if 0 <= it.question < question and not self.family.moves:
            anchor = it.made[it.question]
            begun = render([anchor])
            text = render([anchor, *it.made[it.question + 1 : question + 1]])
            if text.startswith(begun):
                upto = it.upto_question + text[len(begun) :]
        upto = upto or render(it.made[: question + 1])
        return _Rendered(it.key, it.given, it.made, it.images, question, upto, question + 1, upto)

    def _moved_on(
        self,
        it: _Rendered,
        text: str,
        head: list[dict[str, Any]],
        begun: str,
        tools: list[dict[str, Any]] | None,
        variables: Mapping[str, Any],
    ) -> _Rendered:
        """The same with its place at the last reply: what comes before a reply stays as it is."""
        place = next((at for at in range(len(it.made) - 1, it.place, -1) if _is(it.made[at], "assistant")), -1)
        if place < 0:
            return it
        window = [*head, *it.made[it.place : place]]
        before = self._template.render(window, tools, add_generation_prompt=False, **variables)[len(begun) :]
        if not before or not text.startswith(before):
            return it
        return _Rendered(
            it.key, it.given, it.made, it.images, it.question, it.upto_question, place, it.upto_place + before
        )

    def _recall(self, key: str, messages: Sequence[Mapping[str, Any]]) -> tuple[int, _Rendered]:
        """The longest known beginning of a conversation."""
        with self._lock:
            known = list(self._known.items())
            if isinstance(messages, Transcript):
                run = self._runs.get(messages)
                return (-1, run if run is not None and run.key == key else _Rendered(key))
        best = (-1, _Rendered(key))
        for slot, it in reversed(known):
            count = len(it.given)
            if it.key != key or not len(best[1].given) < count <= len(messages) or it.given[0] != messages[0]:
                continue
            if it.given == list(messages[:count]):
                best = (slot, it)
        return best

    def _remember(self, slot: int, messages: Sequence[Mapping[str, Any]], it: _Rendered) -> None:
        with self._lock:
            if isinstance(messages, Transcript):
                self._runs[messages] = it
                return
            self._known.pop(slot, None)
            self._known[self._next] = it
            self._next += 1
            while len(self._known) > MAX_CONVERSATIONS:
                self._known.popitem(last=False)

    def _all_made(
        self, messages: Sequence[Mapping[str, Any]], known: _Rendered
    ) -> tuple[list[dict[str, Any]], list[tuple[str, ...]]]:
        made, images = list(known.made), list(known.images)
        for message in messages[len(made) :]:
            each, refs = self._made(message)
            made.append(each)
            images.append(refs)
        return made, images

    def _made(self, message: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """A message as templates take it: a text for the content, arguments as objects, nothing forged."""
        role = message.get("role")
        if not isinstance(role, str):
            raise TranscriptError(f"a message has the role {role!r}: it is a str such as 'user'")
        change = self._change(role)
        content, images = self._content(message, change)
        calls = [self._made_call(call) for call in message.get("tool_calls") or ()]
        if role == "tool":
            content = change(_unwrapped(_text(message.get("content")))) if not images else content
        elif role == "assistant" and calls and any(mark in content for mark in self.format.starts):
            content = self._without_calls(content)
        made = {key: neutralised_values(value, change) for key, value in message.items() if key in _OTHER_FIELDS}
        if made.get("reasoning") and not made.get("reasoning_content"):
            made["reasoning_content"] = made["reasoning"]
        made |= {"role": "system" if role == "developer" else neutralised(role), "content": content}
        if calls:
            made["tool_calls"] = calls
        return made, images

    def neutral(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message with the same parts, and nothing forged in its texts: for a server that renders it itself, and puts
        the `<tool_response>` around results."""
        content = message.get("content")
        if message.get("role") == "tool" and isinstance(content, str):
            message = {**message, "content": _unwrapped(content)}
        if not self._neutral:
            return dict(message)
        return dict(neutral_message(message, self._template.special_tokens, is_wrapped=False))

    def _change(self, role: str) -> Any:
        return changer(role, self._template.special_tokens) if self._neutral else str

    def _content(self, message: Mapping[str, Any], change: Any) -> tuple[str, tuple[str, ...]]:
        content = message.get("content")
        if content is None or isinstance(content, str):
            return change(content or ""), ()
        texts: list[str] = []
        images: list[str] = []
        for part in content:
            if part.get("type") in ("image_url", "image"):
                images.append(_reference(part))
                texts.append(self._placeholder())
            elif part.get("type") == "text":
                texts.append(change(part.get("text") or ""))
            else:
                raise TranscriptError(
                    f"a message has a part of type {part.get('type')!r}: text and image_url are known"
                )
        return "".join(texts), tuple(images)

    def _placeholder(self) -> str:
        if self.family.image is None:
            raise TranscriptError(
                f"the family {self.family.name} takes no images: leave them out, or say what stands for one in the "
                'prompt (image_placeholder="...")'
            )
        return self.family.image

    def _made_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        change = partial(without_turns, more=self._template.special_tokens) if self._neutral else str
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            with contextlib.suppress(ValueError, RecursionError):  # what is no JSON is printed as it stands
                arguments = json.loads(arguments) if arguments.strip() else {}
        made = {"name": function.get("name") or "", "arguments": {} if arguments is None else arguments}
        untrusted = partial(neutralised, more=self._template.special_tokens) if self._neutral else str
        made = {"name": untrusted(str(made["name"])), "arguments": neutralised_values(made["arguments"], untrusted)}
        return {"id": change(str(call.get("id") or "")), "type": "function", "function": made}

    def _without_calls(self, content: str) -> str:
        """The text beside the calls, for a content that still holds their markup: no call is rendered twice."""
        reader = ReplyParser(self.format, stops=())
        return "".join(piece.text for piece in [*reader.feed(content), *reader.finish()] if isinstance(piece, Text))

    def _made_tools(self, tools: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
        if not tools:
            return None
        change = partial(neutralised, more=self._template.special_tokens) if self._neutral else str
        return [neutralised_values(dict(tool), change) for tool in tools]


_OTHER_FIELDS = ("name", "tool_call_id", "reasoning_content", "reasoning")
_RESULT = re.compile(r"\s*<tool_response>\n?(.*?)\n?</tool_response>\s*", re.DOTALL)


def _places(it: _Rendered) -> tuple[int, str, int, str]:
    return it.question, it.upto_question, it.place, it.upto_place


def _head(it: _Rendered, question: int) -> list[dict[str, Any]]:
    """What stands in for all that was rendered: the question, and the message before the place to go on at."""
    return [it.made[question], *it.made[max(it.place - 1, question + 1) : it.place]]


def _is(message: Mapping[str, Any], role: str) -> bool:
    return bool(message["role"] == role)


def _last_question(messages: Sequence[Mapping[str, Any]]) -> int:
    return next((place for place in range(len(messages) - 1, -1, -1) if _is(messages[place], "user")), -1)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def _unwrapped(text: str) -> str:
    """A result without the `<tool_response>` that templates put around it themselves."""
    found = _RESULT.fullmatch(text)
    return found.group(1) if found else text


def _reference(part: Mapping[str, Any]) -> str:
    """The address of the picture in a content part: the forms that OpenAI, Qwen and the guide write."""
    given = part.get("image_url", part.get("image"))
    if isinstance(given, Mapping):
        given = given.get("url")
    if not isinstance(given, str) or not given:
        raise TranscriptError('an image part has no address: write {"type": "image_url", "image_url": {"url": ...}}')
    return given
