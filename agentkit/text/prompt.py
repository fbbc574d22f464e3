"""Renders a conversation as a prompt: one string for a server that takes no messages, and the images in it.

Untrusted text is neutralised before the template sees it (special_tokens.py). A conversation that continues is not
rendered again from the beginning: the rendered text is cached, and only new messages go through the template.
"""

import contextlib
import copy
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from typing import Any
from weakref import WeakKeyDictionary

from agentkit._forking import freed_by_forks
from agentkit.errors import TranscriptError
from agentkit.message import unwrapped_response
from agentkit.text.call_format import Format, Text
from agentkit.text.chat_template import ChatTemplate, family_template, thinking_is_open
from agentkit.text.families.family import Family
from agentkit.text.fitted_template import FittedTemplate
from agentkit.text.parser import ReplyParser
from agentkit.text.special_tokens import neutral_message, neutralised, neutralised_values, neutraliser, without_turns
from agentkit.transcript import Transcript

MAX_CONVERSATIONS = 32
Clock = Callable[[], datetime]


@dataclass(frozen=True)
class RenderedPrompt:
    """A prompt for a text-completion server.

    images: the URLs of the images (`data:`, `file:`, `http:`), in the order of their placeholders. thinking: whether
    the reply begins inside the reasoning.
    """

    text: str
    images: tuple[str, ...] = ()
    thinking: bool = False


@dataclass(frozen=True)
class _Rendering:
    """The cached rendering of the beginning of a conversation.

    given: the messages as passed in. made: the messages as the template takes them. images: those of each message.
    question: the index of the last question. upto_question: the text up to and including it. stable, upto_stable: the
    index of a later message before which nothing changes any more, and the text up to it.
    """

    key: str
    given: list[Mapping[str, Any]] = field(default_factory=list)
    made: list[dict[str, Any]] = field(default_factory=list)
    images: list[tuple[str, ...]] = field(default_factory=list)
    question: int = -1
    upto_question: str = ""
    stable: int = -1
    upto_stable: str = ""


def template_of(family: Family) -> ChatTemplate:
    """Returns the chat template of a family. Raises ConfigurationError when it can't be used."""
    return family_template(family.template, family.name, family.bos, family.own_tokens)


def tools_text_of(family: Family, tools: Sequence[Mapping[str, Any]]) -> str:
    """Returns the tools as a family's `tools_template` describes them; "" where it has none."""
    if family.tools_template is None:
        return ""
    return family_template(family.tools_template, family.name).render([], tools, add_generation_prompt=False)


class PromptMaker:
    """Renders prompts for one model; thread-safe.

    template: replaces the family's template. neutral: whether special tokens in texts that the programmer did not write
    are neutralised; turn it off only where all text is trusted. clock: tells the time, for templates that write the
    day into the prompt.
    """

    def __init__(
        self,
        family: Family,
        template: ChatTemplate | None = None,
        *,
        neutral: bool = True,
        clock: Clock = datetime.now,
    ) -> None:
        self.family = family
        self.format: Format = family.format
        self._is_own = template is None  # another template may depend on any part of the conversation
        self._template = template or template_of(family)
        self._fitted = self._template if self._is_own else FittedTemplate(self._template)
        self._is_incremental = self._is_own and family.grows_at_end
        self._clock = clock
        self._neutral = neutral
        self._conversations: OrderedDict[int, _Rendering] = OrderedDict()
        self._transcripts: WeakKeyDictionary[Transcript, _Rendering] = WeakKeyDictionary()
        self._lock = freed_by_forks(threading.Lock())
        self._next = 0

    @cached_property
    def shows_tools(self) -> bool:
        """Whether the template shows tools to the model; some leave them out."""
        return _PROBE["function"]["name"] in self.prompt([{"role": "user", "content": ""}], [_PROBE]).text

    def prompt(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> RenderedPrompt:
        """Render messages in OpenAI's format. variables: passed to the template, such as enable_thinking.

        Raises TranscriptError for messages that can't be rendered.
        """
        if not messages:
            raise TranscriptError("there are no messages to answer")
        offered = self._template_tools(tools)
        given_variables = {**self.family.variables, **(variables or {})}
        if offered and self.family.tools_template and self._is_own:
            given_variables["tools_text"] = tools_text_of(self.family, offered)
        now = self._clock() if self._template.tells_time else None
        key = json.dumps([offered, given_variables, now and now.date()], sort_keys=True, default=str)
        if now is not None:
            given_variables["strftime_now"] = now.strftime
        slot, known = self._cached(key, messages)
        made, images = self._template_messages(messages, known)
        fresh = _Rendering(key, [], made, images, *_positions(known))
        # the messages of a Transcript never change; those of a list may, and are compared with a copy
        new = [] if isinstance(messages, Transcript) else copy.deepcopy([dict(m) for m in messages[len(known.given) :]])
        given = [*known.given, *new]
        text, kept = self._render(fresh, offered, given_variables)
        self._store(slot, messages, _Rendering(key, given, made, images, *_positions(kept)))
        if self._is_own and self.family.starts_in_reasoning and given_variables.get("enable_thinking") is not False:
            text += self.format.thinks[0] + "\n"
        is_open = thinking_is_open(text, self.format.thinks, self.format.label)
        return RenderedPrompt(text, tuple(ref for refs in images for ref in refs), is_open)

    def _render(
        self, it: _Rendering, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any]
    ) -> tuple[str, _Rendering]:
        """Returns the whole text, and the rendering to cache."""
        question = _last_question(it.made)
        if not self._is_incremental or question < 0:
            return self._fitted.render(it.made, tools, **variables), _Rendering(it.key)
        if it.question != question:
            it = self._with_question(it, question, tools, variables)
        head = _head(it, question)
        begun = self._template.render(head, tools, add_generation_prompt=False, **variables)
        text = self._template.render([*head, *it.made[it.stable :]], tools, **variables)
        if not text.startswith(begun):
            return self._template.render(it.made, tools, **variables), _Rendering(it.key)
        text = text[len(begun) :]
        return it.upto_stable + text, self._with_reply(it, text, head, begun, tools, variables)

    def _with_question(
        self, it: _Rendering, question: int, tools: list[dict[str, Any]] | None, variables: Mapping[str, Any]
    ) -> _Rendering:
        """Extend the cached rendering to a new question; the turns before it are rendered as past turns."""

        def render(turns: list[dict[str, Any]]) -> str:
            return self._template.render(turns, tools, add_generation_prompt=False, **variables)

        upto = ""
        if 0 <= it.question < question and not self.family.moves_head:
            anchor = it.made[it.question]
            begun = render([anchor])
            text = render([anchor, *it.made[it.question + 1 : question + 1]])
            if text.startswith(begun):
                upto = it.upto_question + text[len(begun) :]
        upto = upto or render(it.made[: question + 1])
        return _Rendering(it.key, it.given, it.made, it.images, question, upto, question + 1, upto)

    def _with_reply(
        self,
        it: _Rendering,
        text: str,
        head: list[dict[str, Any]],
        begun: str,
        tools: list[dict[str, Any]] | None,
        variables: Mapping[str, Any],
    ) -> _Rendering:
        """Extend the cached rendering to the last reply: the text before a reply no longer changes."""
        stable = next((at for at in range(len(it.made) - 1, it.stable, -1) if _is(it.made[at], "assistant")), -1)
        if stable < 0:
            return it
        window = [*head, *it.made[it.stable : stable]]
        before = self._template.render(window, tools, add_generation_prompt=False, **variables)[len(begun) :]
        if not before or not text.startswith(before):
            return it
        return _Rendering(
            it.key, it.given, it.made, it.images, it.question, it.upto_question, stable, it.upto_stable + before
        )

    def _cached(self, key: str, messages: Sequence[Mapping[str, Any]]) -> tuple[int, _Rendering]:
        """Returns the slot and the longest cached beginning of a conversation."""
        with self._lock:
            known = list(self._conversations.items())
            if isinstance(messages, Transcript):
                run = self._transcripts.get(messages)
                return (-1, run if run is not None and run.key == key else _Rendering(key))
        best = (-1, _Rendering(key))
        for slot, it in reversed(known):
            count = len(it.given)
            if it.key != key or not len(best[1].given) < count <= len(messages) or it.given[0] != messages[0]:
                continue
            if it.given == list(messages[:count]):
                best = (slot, it)
        return best

    def _store(self, slot: int, messages: Sequence[Mapping[str, Any]], it: _Rendering) -> None:
        with self._lock:
            if isinstance(messages, Transcript):
                self._transcripts[messages] = it
                return
            self._conversations.pop(slot, None)
            self._conversations[self._next] = it
            self._next += 1
            while len(self._conversations) > MAX_CONVERSATIONS:
                self._conversations.popitem(last=False)

    def _template_messages(
        self, messages: Sequence[Mapping[str, Any]], known: _Rendering
    ) -> tuple[list[dict[str, Any]], list[tuple[str, ...]]]:
        made, images = list(known.made), list(known.images)
        for message in messages[len(made) :]:
            each, refs = self._template_message(message)
            made.append(each)
            images.append(refs)
        return made, images

    def _template_message(self, message: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Convert a message to what templates take: the content as text, arguments as objects, all of it neutralised.
        Returns it with its images."""
        role = message.get("role")
        if not isinstance(role, str):
            raise TranscriptError(f"a message has the role {role!r}; it must be a str such as 'user'")
        change = self._change(role)
        content, images = self._content(message, change)
        calls = [self._template_call(call) for call in message.get("tool_calls") or ()]
        if role == "tool":
            content = change(unwrapped_response(_text(message.get("content")))) if not images else content
        elif role == "assistant" and calls and any(marker in content for marker in self.format.starts):
            content = self._without_calls(content)
        made = {key: neutralised_values(value, change) for key, value in message.items() if key in _OTHER_FIELDS}
        thoughts = made.get("reasoning") or change(_thoughts(message.get("content")))
        if thoughts and not made.get("reasoning_content"):
            made["reasoning_content"] = thoughts
        made |= {"role": "system" if role == "developer" else neutralised(role), "content": content}
        if calls:
            made["tool_calls"] = calls
        return made, images

    def neutral(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a message with its texts neutralised and a tool's result unwrapped, for a server that renders the
        prompt itself and adds `<tool_response>` to results."""
        content = message.get("content")
        if message.get("role") == "tool" and isinstance(content, str):
            message = {**message, "content": unwrapped_response(content)}
        if not self._neutral:
            return dict(message)
        return dict(neutral_message(message, self._template.special_tokens, is_wrapped=False))

    def _change(self, role: str) -> Any:
        return neutraliser(role, self._template.special_tokens) if self._neutral else str

    def _content(self, message: Mapping[str, Any], change: Any) -> tuple[str, tuple[str, ...]]:
        content = message.get("content")
        if content is None or isinstance(content, str):
            return change(content or ""), ()
        runs = [""]  # the text between images: parts that follow each other may only together form a token
        images: list[str] = []
        for part in content:
            if part.get("type") in ("image_url", "image"):
                images.append(_reference(part))
                runs.append("")
            elif part.get("type") == "text":
                runs[-1] += part.get("text") or ""
            elif part.get("type") not in _THOUGHTS:
                raise TranscriptError(
                    f"a message has a part of type {part.get('type')!r}; supported are text and image_url"
                )
        placeholder = self._placeholder() if images else ""
        return placeholder.join(map(change, runs)), tuple(images)

    def _placeholder(self) -> str:
        if self.family.image is None:
            raise TranscriptError(
                f"the family {self.family.name} takes no images: leave them out, or set the placeholder of an image in "
                'the prompt (image_placeholder="...")'
            )
        return self.family.image

    def _template_call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        change = partial(without_turns, more=self._template.special_tokens) if self._neutral else str
        function = call.get("function") or {}
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            with contextlib.suppress(ValueError, RecursionError):  # invalid JSON is rendered unchanged
                arguments = json.loads(arguments) if arguments.strip() else {}
        made = {"name": function.get("name") or "", "arguments": {} if arguments is None else arguments}
        untrusted = partial(neutralised, more=self._template.special_tokens) if self._neutral else str
        made = {"name": untrusted(str(made["name"])), "arguments": neutralised_values(made["arguments"], untrusted)}
        return {"id": change(str(call.get("id") or "")), "type": "function", "function": made}

    def _without_calls(self, content: str) -> str:
        """Returns the text without the calls, for content that still holds their markup: no call is rendered twice."""
        parser = ReplyParser(self.format, stops=())
        return "".join(part.text for part in [*parser.feed(content), *parser.finish()] if isinstance(part, Text))

    def _template_tools(self, tools: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]] | None:
        if not tools:
            return None
        change = partial(neutralised, more=self._template.special_tokens) if self._neutral else str
        return [neutralised_values(dict(tool), change) for tool in tools]


_PROBE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "look_up_opening_hours",
        "description": "Look up opening hours.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string", "description": "Its name."}}},
    },
}
_OTHER_FIELDS = ("name", "tool_call_id", "reasoning_content", "reasoning")


def _positions(it: _Rendering) -> tuple[int, str, int, str]:
    return it.question, it.upto_question, it.stable, it.upto_stable


def _head(it: _Rendering, question: int) -> list[dict[str, Any]]:
    """Returns the messages that stand in for all that was rendered: the question, and the last message before
    `stable`."""
    return [it.made[question], *it.made[max(it.stable - 1, question + 1) : it.stable]]


def _is(message: Mapping[str, Any], role: str) -> bool:
    return bool(message["role"] == role)


def _last_question(messages: Sequence[Mapping[str, Any]]) -> int:
    return next((index for index in range(len(messages) - 1, -1, -1) if _is(messages[index], "user")), -1)


_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
"""Parts of a content with the model's thoughts, as Mistral's and other servers write them."""


def _thoughts(content: Any) -> str:
    """Returns the thoughts among the parts of a content."""
    given = [part.get("thinking") for part in _parts(content) if part.get("type") in _THOUGHTS]
    return "".join(each if isinstance(each, str) else _text(_parts(each)) for each in given)


def _parts(content: Any) -> list[Mapping[str, Any]]:
    return [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if part.get("type") == "text")
    return content or ""


def _reference(part: Mapping[str, Any]) -> str:
    """Returns the URL of the image in a content part, in OpenAI's or Qwen's form, or as a plain string."""
    given = part.get("image_url", part.get("image"))
    if isinstance(given, Mapping):
        given = given.get("url")
    if not isinstance(given, str) or not given:
        raise TranscriptError('an image part has no URL: write {"type": "image_url", "image_url": {"url": ...}}')
    return given
