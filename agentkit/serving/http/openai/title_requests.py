"""Recognises the requests that chat front ends send beside a conversation: for its title, its tags, questions that
could follow. They are answered from the conversation alone, so that no tool is offered for them.

Known are the prompts of Open WebUI, LibreChat, LobeChat, NextChat, Chatbox, Cherry Studio, Page Assist, HuggingChat,
n8n, OpenCode, Continue, Zed, big-AGI and the templates of the AI SDK, and what is written like them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from agentkit.message import text_of

MAX_HEAD, MAX_TAIL = 700, 1000
"""Characters of the beginning and of the end of a text that are looked at."""
MAX_MESSAGES = 4
"""Messages of a request whose instructions ask for a title; longer conversations have other instructions."""

_TASK = re.compile(r"\s*#{1,4} ?Task:", re.IGNORECASE)
_TASK_KINDS = re.compile(
    r"\b(?:titles?|tags?|follow-?ups?|search quer(?:y|ies)|autocompletion|emojis?)\b|"
    r"\bnecessity of (?:us|generat)ing\b",
    re.IGNORECASE,
)
_ANSWERS = re.compile(r"\b(?:respond to|answer) the (?:user|question|query)\b", re.IGNORECASE)
"""Words of prompts that ask for the answer itself, with what was found for it."""

_TITLE = re.compile(r"\b(?:titles?|titling|header)\b|标题|標題|主题|タイトル", re.IGNORECASE)
_MAKES = re.compile(
    r"\b(?:generat|creat|writ|provid|giv|produc|mak|summari[sz]|suggest|repl|output|respond|analy[sz]|return|find|craft)"
    r"(?:e|es|ing|y|s)?\b|总结|總結|生成|返回|作成",
    re.IGNORECASE,
)
_CHAT = (
    r"(?:(?:conversation|chat|dialog(?:ue)?)s?(?: (?:history|messages?))?|query|(?:this|our|following|above|current|"
    r"previous|first|users?'?s?) (?:thread|session|discussion|exchange|messages?|request|question|prompt))"
)
_ALONE = (
    r"(?=\s?(?:[^\w\s-]|$)|\s{1,3}(?:that|which|without|using|based|below|above|so far|and|an? user|between|"
    r"with(?:in|out)?|start\w{0,6}|begin\w{0,6}|"
    r"in (?:\d|at most|under|less|fewer|its|the same|one|two|three|four|five|six|seven))\b)"
)
"""Behind what is titled: it is the conversation itself, and not its widget, or the question in an exam."""
_BETWEEN = (
    r"(?:(?:for|of|about|based|on|from|summari[sz]ing|representing|describing|capturing|reflecting|which|that|names?|"
    r"captures?|reflects?|describes?|summari[sz]es?|represents?|accurately|best|briefly|concisely|the|an?|this|our|your|"
    r"users?'?s?|essence|main|theme|topic|subject|content|contents|or|with|emoji|whole|entire|full|following|above|"
    r"previous|current|given|first|initial|ongoing|short|suitable)[\s,:-]{1,3}){1,12}"
)
_OF_CHAT = re.compile(
    rf"\b(?:titles?|header)[\s,:-]{{1,3}}(?:\([^()\n]{{0,60}}\)\s)?{_BETWEEN}{_CHAT}{_ALONE}|"
    rf"\b{_CHAT} (?:into|to|as) (?:an?|one) [^.\n]{{0,40}}\btitle\b|\bchat titles?\b|"
    r"(?:会话|會話|对话|對話|聊天|这句话)[^。！？\n]{0,20}(?:标题|標題|主题|タイトル)|"
    r"(?:标题|標題|主题|タイトル)[^。！？\n]{0,20}(?:会话|會話|对话|對話|聊天|这句话)",
    re.IGNORECASE,
)
"""A title that is that of the conversation, or of its first message: between the two are no words that name anything
else, such as a ticket, or the documents on conversations."""
_SHORT = re.compile(
    r"\b(?:\d{1,2}|two|three|four|five|six|seven|ten|few)\b[^.\n]{0,20}\b(?:words?|characters?|chars)\b|"
    r"\b(?:concise|short|brief|descriptive|succinct|only)\b|[\d一二三四五六七八九十] ?个?字|简短|简要|簡短",
    re.IGNORECASE,
)
_ALSO = re.compile(
    r"\b(?:and|then|before|after)\s(?:then\s|also\s)?(?:you\s)?(?:add|answer|append|attach|book|call|commit|copy|create|"
    r"delete|e-?mail|file|insert|inform|log|look|mail|message|move|notify|open|post|print|publish|put|rename|reply|respond|"
    r"save|schedule|search|send|set|share|store|tell|tweet|update|upload|use|write)(?:ing)?\b",
    re.IGNORECASE,
)
"""What is to be done beside writing a title, for which tools may be needed."""
_PHRASES = re.compile(
    r"\byou are (?:an?|the) [^.\n]{0,40}\btitl(?:es?|ing) (?:assistant|generator|agent)\b|"
    r"\bgive this (?:conversation|chat) a name\b|\bsummari[sz]e the user'?s request into\b|"
    r"\banaly[sz]e this conversation and provide:\s{0,9}1\. the detected language\b",
    re.IGNORECASE,
)
_LOOKS_UP = re.compile(r"\b(?:look(?:ing)? up|search (?:for|the)|fetch|browse|find out)\b|https?:", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]|\n\s{0,20}\n")


def is_title_request(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a front end asks for something about a conversation, and not the user for an answer. messages: of the
    request; system messages have the role "system"."""
    last = messages[-1] if messages else {}
    if last.get("role") not in ("user", "system"):
        return False
    asked = sum(message.get("role") == "user" for message in messages)
    text = _text(last)
    if asked <= 1 and _TASK.match(text):
        return _TASK_KINDS.search(text[:MAX_HEAD]) is not None and not _ANSWERS.search(text[:MAX_HEAD])
    if _asks(text[:MAX_HEAD]) or (len(text) > MAX_HEAD and _asks(text[-MAX_TAIL:])):
        return True
    first = messages[0]
    is_told = first.get("role") == "system" and len(messages) <= MAX_MESSAGES
    return is_told and _asks(_text(first)[:MAX_HEAD], sentences=2)


def _text(message: Mapping[str, Any]) -> str:
    return text_of(message)  # type: ignore[arg-type]


def _asks(text: str, sentences: int | None = None) -> bool:
    """Whether a text asks for a title. sentences: how many of its first ones may do so; None: all."""
    if _PHRASES.search(text):
        return True
    if not _TITLE.search(text):  # in none of its sentences
        return False
    return any(map(_is_instruction, _SENTENCE_END.split(text)[:sentences]))


def _is_instruction(sentence: str) -> bool:
    if not all(pattern.search(sentence) for pattern in (_MAKES, _OF_CHAT, _SHORT)):
        return False
    title = _TITLE.search(sentence)
    return title is not None and not _LOOKS_UP.search(sentence[: title.start()]) and not _ALSO.search(sentence)
