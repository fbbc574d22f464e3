"""The form in which a chat server takes the messages of a history.

A history keeps what its user and other programs have put into its messages. What chat servers don't know stays out of
the request, since many refuse a request for one key that they don't know; some want ids of their own form.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass, replace
from agentkit.message import PROVIDER_FIELDS, REASONING_FIELDS, RESPONSE_ITEMS, Message, is_plain_call
from agentkit.net.refusals import says_no_developer, says_no_system
from agentkit.tooling.call_names import short_id

_PLAIN = {"role", "content", "name"}
_OF_TOOL = {*_PLAIN, "tool_call_id"}
_OF_CALLS = {"role", "content", "tool_calls"}
_OF_ANY = {*_PLAIN, "cache_control"}
_OF_ASSISTANT = {*_OF_ANY, "tool_calls", "refusal", "audio", "prefix", "partial", *PROVIDER_FIELDS}
_OF_ASSISTANT.remove(RESPONSE_ITEMS)
_KNOWN = {"assistant": _OF_ASSISTANT, "tool": {*_OF_ANY, *_OF_TOOL}}
_MAY_GO = _OF_ASSISTANT - {"role", "content", "tool_calls"}
_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
_JOINED = ("assistant", "system", "developer", "tool")
NO_ANSWER = "(no answer)"
"""Stands for an answer without text, which many servers refuse in a history."""

_REFUSED_ID = pattern(
    r"(?:tool.?(?:call|use).{0,3}ids?\b|tool_calls\[\d+\]\.id\b).{0,200}"
    r"(?:length|pattern|too long|alphanumeric|regular expression|a-z)",
    re.IGNORECASE | re.DOTALL,
)
_REFUSED_KEY = pattern(
    r"extra|additional|unsupported|not supported|unknown|unexpected|unrecogni[sz]ed|not permitted|not allowed|forbidden"
    r"|should not|must not|included",
    re.IGNORECASE,
)
_WANTS_REASONING = pattern(
    r"missing.{0,20}reasoning_content|"
    r"reasoning_content.{0,60}(?:is missing|is required|must be (?:passed|provided|included|sent))",
    re.IGNORECASE | re.DOTALL,
)
_WANTS_TEXT = pattern(
    r"sequence, expected a string|(?:array|list) into .{0,80}content of type string|concatenate str \(not .{0,2}list|"
    r"valid string.{0,80}content|content.{0,150}(?:must be|should be|expected|valid) a? ?(?:valid )?string",
    re.IGNORECASE | re.DOTALL,
)
_WANTS_TURNS = pattern(
    r"(?:roles?|messages?(?:\(s\))?) (?:must|should|have to|need to) (?:be )?alternat|"
    r"unexpected role \W{0,4}(?:user|system|developer|assistant)\W{1,4}after role|"
    r"system (?:messages?|role|prompts?) [^.]{0,40}(?:at the (?:beginning|start)|(?:be|come|is) (?:the )?first)|"
    r"expected last role user or tool",
    re.IGNORECASE,
)
_WANTS_SIGNATURE = pattern(r"missing (?:an? )?[`'\"]{0,2}thought_?signature", re.IGNORECASE)
_REFUSED_SIGNATURE = pattern(
    r"(?:invalid|corrupt(?:ed)?|malformed|expired)\W{0,4}(?:thought\W?|thinking\W?)?signature|"
    r"signature\W{0,4}(?:is |was )?(?:not valid|invalid|corrupt|expired|malformed|could not be verified)",
    re.IGNORECASE,
)
_REFUSED_ITEMS = pattern(
    r"encrypted[ _]content|items are not persisted|of type \W?reasoning\b|\bitems?\b.{0,20}\Wrs_|"
    r"(?:unsupported|unknown|not supported)(?: (?:parameter|argument))?: ?\W?include\b|\binput\[\d+\]\.id\b",
    re.IGNORECASE,
)
"""What a server of the Responses API says of reasoning that is not its own, or that it can't return encrypted."""
_REFUSED_ITEM_IDS = pattern(r"\bitem with id\b.{0,100}not found|items are not persisted", re.IGNORECASE)
"""What Azure says of the ids of encrypted reasoning, which it looks up although it has stored nothing."""
_NO_REASONING = "(none)"
"""Stands for the reasoning behind a reply of another model: an empty text is refused as well."""
_NO_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""What Google wants at the first call of a reply that another model has written."""
_OF_MISTRAL = ("mistral", "mixtral", "ministral", "devstral", "magistral", "codestral", "pixtral")
"""The names of Mistral's models, whatever their version."""
_SIGNED = frozenset(PROVIDER_FIELDS) - frozenset(REASONING_FIELDS)
"""Keys in which servers send signatures of a model's thoughts, of messages and of calls."""
_MAX_READ = 4000
"""Maximum characters of an error that are read."""


@dataclass(frozen=True)
class MessageForm:
    """Makes a message what a server takes; the same object when nothing changes.

    short_ids: ids of calls become nine letters or digits each, as Mistral's servers want them. thinking: whether parts
    of a content with the model's thoughts are sent. texts: a content of texts only is one text, the user's too. turns:
    the messages are sent in turns (`in_turns`). has_developer: whether instructions may have the role "developer"; else
    it is "system". has_system: whether there may be instructions; else they are the user's, in turns.
    items: whether a reply goes with the items that the Responses API wants back (`RESPONSE_ITEMS`). item_ids: whether
    encrypted ones have their ids.
    without: keys of messages that the server has refused. stands_in: keys that it wants in the replies of any model,
    where they have none of their own: "reasoning_content" (DeepSeek, Kimi) and "extra_content" (Gemini).
    """

    short_ids: bool = False
    thinking: bool = False
    texts: bool = False
    turns: bool = False
    has_developer: bool = True
    has_system: bool = True
    items: bool = False
    item_ids: bool = True
    without: frozenset[str] = frozenset()
    stands_in: frozenset[str] = frozenset()

    def __call__(self, message: Message) -> Message:
        """The message as it is sent."""
        if message["role"] == "developer" and not self.has_developer:
            message = cast(Message, {**message, "role": "system"})
        content, plain = message.get("content"), _OF_TOOL if message["role"] == "tool" else _PLAIN
        is_plain = type(content) is str and content and not content.isspace() and message.keys() <= plain
        if content is None and message["role"] == "assistant" and message.keys() == _OF_CALLS:
            calls: Any = message["tool_calls"]
            is_plain = type(calls) is list and bool(calls) and all(map(is_plain_call, calls))
        if is_plain and not self.without and not self.short_ids and not self.stands_in:
            return message
        made: dict[str, Any] = {key: value for key, value in message.items() if self._takes(message, key)}
        made["content"] = self._content(message)
        if (
            message["role"] == "assistant"
            and _is_blank(made["content"])
            and not made.keys() & {"tool_calls", "refusal"}
        ):
            made["content"] = NO_ANSWER
        if "tool_calls" in made:
            made["tool_calls"] = [self._call(call) for call in made["tool_calls"]]
        if self.short_ids and isinstance(made.get("tool_call_id"), str):
            made["tool_call_id"] = short_id(made["tool_call_id"])
        if self.stands_in and message["role"] == "assistant":
            self._stand_in(made)
        if not self.item_ids and made.get(RESPONSE_ITEMS):
            made[RESPONSE_ITEMS] = [_without_id(each) for each in made[RESPONSE_ITEMS]]
        return message if made == message else cast(Message, made)

    def narrowed(self, error: str, messages: Sequence[Message]) -> "MessageForm | None":
        """The form without what a server's error says that it refuses of these messages, or with what it misses in
        them; None when it says nothing of the kind."""
        error = error[:_MAX_READ]
        if (other := self._with_other_roles(error.lower(), messages)) is not None:
            return other
        if self.items and RESPONSE_ITEMS not in self.without and _REFUSED_ITEMS.search(error):
            without_ids = replace(self, item_ids=False)
            if _REFUSED_ITEM_IDS.search(error) and any(without_ids(each) != self(each) for each in messages):
                return without_ids
            return replace(self, without=self.without | {RESPONSE_ITEMS})
        if not self.short_ids and _REFUSED_ID.search(error) and any(message.get("tool_calls") for message in messages):
            return replace(self, short_ids=True)
        if not self.turns and _WANTS_TURNS.search(error) and _has_no_turns(messages):
            return replace(self, turns=True)
        joined = replace(self, texts=True)
        if _WANTS_TEXT.search(error) and any(joined(message) != self(message) for message in messages):
            return joined
        wanted = {key for key, words in _WANTED.items() if words.search(error)} - self.stands_in
        wider = replace(self, stands_in=self.stands_in | wanted, without=self.without - wanted)
        if wanted and any(wider(message) != self(message) for message in messages):
            return wider
        if _REFUSED_SIGNATURE.search(error) and (signed := self._signed(messages)):
            return replace(self, without=self.without | signed, stands_in=self.stands_in | (signed & {"extra_content"}))
        if not _REFUSED_KEY.search(error):
            return None
        sent = {key for message in messages for key in message if self._takes(message, key)}
        named = {key for key in sent & _MAY_GO if re.search(rf"""['"`.\]]{key}\b""", error)}
        return replace(self, without=self.without | named) if named else None

    def _with_other_roles(self, words: str, messages: Sequence[Message]) -> "MessageForm | None":
        """The form without a role that a server refuses; None when it refuses none of these messages'."""
        roles = {message["role"] for message in messages}
        if self.has_developer and "developer" in roles and says_no_developer(words):
            return replace(self, has_developer=False)
        if self.has_system and roles & {"system", "developer"} and says_no_system(words):
            return replace(self, has_system=False)
        return None

    def _signed(self, messages: Sequence[Message]) -> frozenset[str]:
        """The keys of these messages and of their calls that may hold a signature, as far as they are sent."""
        calls = (call for message in messages for call in message.get("tool_calls") or ())
        sent = {key for each in (*messages, *calls) for key in each if each.get(key)}
        return frozenset(sent & _SIGNED - self.without)

    def _stand_in(self, made: dict[str, Any]) -> None:
        if "reasoning_content" in self.stands_in and not made.get("reasoning_content"):
            made["reasoning_content"] = _NO_REASONING
        calls = made.get("tool_calls")
        if "extra_content" in self.stands_in and calls and not calls[0].get("extra_content"):
            made["tool_calls"] = [{**calls[0], "extra_content": _NO_SIGNATURE}, *calls[1:]]

    def _takes(self, message: Message, key: str) -> bool:
        is_known = key in _KNOWN.get(message["role"], _OF_ANY) or (self.items and key == RESPONSE_ITEMS)
        return is_known and key not in self.without and message.get(key) is not None

    def _content(self, message: Message) -> Any:
        content = message.get("content")
        if not isinstance(content, list):
            return content
        if not self.thinking:
            content = [part for part in content if part.get("type") not in _THOUGHTS]
        is_text = all(part.keys() == {"type", "text"} and type(part["text"]) is str for part in content)
        if (self.texts or message["role"] in _JOINED) and is_text:  # not all servers take a list here
            return "\n".join(part["text"] for part in content)
        return [part for part in content if part.get("text") != ""] or content  # some refuse a text without letters

    def _call(self, call: Mapping[str, Any]) -> dict[str, Any]:
        left_out = {"index", *(self.without & _SIGNED)}
        made = {key: value for key, value in call.items() if key not in left_out and value is not None}
        return {**made, "id": short_id(made["id"])} if self.short_ids else made


def _without_id(item: Mapping[str, Any]) -> dict[str, Any]:
    is_encrypted = bool(item.get("encrypted_content"))
    return {key: value for key, value in item.items() if not (is_encrypted and key == "id")}


_WANTED = {"reasoning_content": _WANTS_REASONING, "extra_content": _WANTS_SIGNATURE}


def _has_no_turns(messages: Sequence[Message]) -> bool:
    from agentkit.backends.turns import in_turns

    return in_turns(messages) != list(messages)


def _is_blank(content: object) -> bool:
    return not content or (isinstance(content, str) and content.isspace())


PLAIN_FORM = MessageForm()
"""The form of a server of which nothing is known."""


@functools.lru_cache(256)
def message_form_of(model: str, base_url: str | None) -> MessageForm:
    """The form for a model at an address, as far as it is known before the server has refused anything. base_url: None
    for OpenAI's."""
    host = urlsplit(base_url).hostname or "" if base_url is not None else ""
    is_known = host == "mistral.ai" or host.endswith(".mistral.ai")
    is_known = is_known or (base_url is not None and any(name in model.lower() for name in _OF_MISTRAL))
    return MessageForm(short_ids=is_known, thinking=is_known) if is_known else PLAIN_FORM
