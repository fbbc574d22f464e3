"""Recognises the errors by which servers refuse a request because its history is too long, in any of their wordings.

There is no common code, and of thirty servers hardly two use the same words. So the words are read: what says that the
prompt is too long counts, unless the fault is another one that a shorter history would not mend: too many requests in a
time, an image, a reply limit (max_tokens) that leaves no room for any prompt. docs/backends.md has the policy.
"""

import re
from collections.abc import Mapping

from agentkit._lazy.patterns import pattern
from agentkit.net.error_words import status_of, words_of


class NoRoomError(Exception):
    """A conversation is known to be too long for a model, and was not sent: another one may have more room."""


_NEVER = frozenset({401, 402, 403, 404, 405, 407, 408, 409})
"""Statuses that say another thing, whatever the words."""

_PROMPT = (
    r"(?:prompts?|inputs?|requests?|messages?|conversation|histor(?:y|ies)|context|query|queries|document|body|"
    r"payload|"
    r"sequence|content|entity|text|question|tokens?)"
)
_GAP = r"[^.:;|{}\[\]]{0,70}?"
_MORE = (
    r"(?:exceed\w*+|more than|greater than|longer than|larger than|bigger than|over(?!view)|above|beyond|"
    r"surpass\w*+)"
)
_TOO = r"\btoo (?:long|large|big)\b"

_CERTAIN = pattern(
    "|".join(
        (
            r"context_length_exceeded|context_?window_?exceeded|contextwindowexceeded|contextlengthexceeded",
            r"context_overflow|exceed_context_size|tokens_limit_reached|max_prompt_tokens_exceeded|prompt_too_long",
            r"max(?:imum)? (?:model )?context(?: window)?(?: length| size)?\b",
            r"max(?:imum)? (?:prompt|input)(?: token)? length\b",
            r"prompt (?:is )?too long|context (?:window |length |size |limit )?overflow",
            r"input is too long for (?:the )?(?:requested|this) model",
        )
    )
)
"""Words that say it beyond doubt, whatever else is said."""

_LIKELY = pattern(
    "|".join(
        (
            # the context, its length, window, size or limit, next to a word for too much
            rf"context[ _-]?(?:length|size|window|limit|tokens?|budget)?\b.{{0,80}}?(?:{_MORE}|\bonly\b|\bfull\b|"
            rf"maximum|reached)",
            rf"(?:{_MORE}|{_TOO}|reached|outside|fits?|maximum|max).{{0,60}}?\bcontext\b[ _-]?(?:length|size|window|"
            rf"limit)?",
            r"context the overflows",
            # the prompt is too long
            rf"\b{_PROMPT}\b{_GAP}{_TOO}",
            r"\btoo (?:many|much) (?:input |prompt |total |context )?(?:tokens|text|context|messages|characters)",
            r"(?:request|payload|entity|content|input|prompt)[ _]?(?:entity[ _])?too[ _]?(?:large|long)",
            # a count of tokens or of characters against its limit
            rf"\b(?:prompt|inputs?|messages?|conversation|total|request(?:ed)?|sequence|"
            rf"content)\b{_GAP}(?:\blen(?:gth)?\b|\bsize\b|tokens?|characters?){_GAP}{_MORE}",
            rf"\btokens?\b.{{0,80}}?(?:{_MORE}|must (?:be|have|not)|no more than|at most|fewer than|less than|"
            rf"<=).{{0,80}}?\b(?:\d+|max\w*|limit\w*|allowed|context)",
            rf"{_MORE}.{{0,60}}?\b(?:token|input|prompt|character)[ _-]?(?:count|length|len|size|limit|tokens?)",
            rf"{_MORE}.{{0,40}}?\b(?:max|maximum)\b.{{0,30}}?\b(?:tokens?|length)\b",
            r"\bprompts?\b.{0,40}?(?:exceed\w*+|longer|greater) .{0,40}?\b(?:max\w*|limit)",
            r"(?<!\d)\d{3,12} ?(?:tokens? )?> ?\d{3,}",
            r"tokens? .{0,60}?supports? (?:only )?(?:up to|at most)|max(?:imum)? tokens of \d+ exceed|"
            r"expected maxlength",
            r"`?inputs`? must have less than|`?inputs`? tokens \+|range of input length|length of (?:the )?(?:input|"
            r"prompt)",
            r"max_(?:input|prompt|total|num)_tokens|max_model_len|max_seq_len|max_input_length|\bn_ctx\b|\bnum_ctx\b",
            r"character limit|max input characters|token len\b|string_above_max_length",
            r"messages?(?:\[\d+\]\.content)?'?: (?:string|array) too long",
            r"max_tokens must be at least 1, got -\d+",
            # what to do about it
            r"(?:reduce|shorten|decrease|trim|truncate)\b.{0,40}?\b(?:length|size|prompt|inputs?|messages?|"
            r"conversation|context|history)\b",
            r"(?:shorter|smaller) (?:prompt|input|message|context|conversation|request)",
            # Chinese
            r"(?:上下文|输入|提示词?|prompt|对话|消息|请求|内容|文本|历史|tokens?|令牌)[^。；|]{0,40}?(?:过长|超长|太长|超过|超出|超限|大于|过大|上限|最大)",
            r"(?:超过|超出|达到|大于)[^。；|]{0,40}?(?:上下文|输入|长度|tokens?|令牌|字数|最大)",
        )
    )
)

_WAIT = pattern(
    r"per[ _-]?(?:minute|min|hour|day|second|sec|month|week)\b|rate[ _-]?limit|quota|throttl|too many (?:requests|"
    r"concurrent)|"
    r"\b(?:tpm|rpm|tpd|rpd|itpm)\b|try again (?:in|later|after)|please wait|please retry|retry (?:after|in)|billing|"
    r"credits?\b|balance|concurrency|"
    r"限流|频率|额度|余额|欠费|并发|稍后|重试|配额"
)
"""Words of limits that time or money lifts, not a shorter history."""

_IMAGE = pattern(
    r"\b(?:image|images|picture|photo|media|pixels?|base64|file|files|audio|video|attachment|图片|图像)\b|image_url|图"
)
_TEXT = pattern(r"\btokens?\b|\bcontext\b|\bprompt length|上下文|输入")

_REPLY_LIMIT = pattern(
    r"max[_ ]?(?:completion|output|new)?[_ ]?tokens\b|maxoutputtokens|"
    r"maximum (?:number of )?(?:output )?tokens you requested|"
    r"completion tokens|output tokens|budget_tokens"
)
_PROMPT_TOO = pattern(
    r"\b(?:prompts?|inputs?|messages?|conversation|history)\b|requested? (?:a total of )?\d+ tokens|"
    r"tokens in (?:the )?request|"
    r"tokens of \d+ exceeded|max_tokens must be at least 1"
)
_OTHER_PART = pattern(
    r"tools?(?:\[\d+\]|'|\.\d)|tool_calls?\b|tool_call_id|\bfunctions?(?:\[\d+\]|'|\.\w)|function name|\bmetadata\b|"
    r"\bstop sequences?\b|"
    r"response_format|json_schema"
)

_NUMBER = r"(\d{2,12})(?:\.0)?"
_LIMITS = tuple(
    pattern(each)
    for each in (
        rf"\d{{1,12}} \+ \d{{1,12}} > {_NUMBER}",
        rf"max_(?:seq_len|model_len|num_tokens|total_tokens|input_tokens|prompt_tokens|position_embeddings|"
        rf"input_length)[) (:=]{{1,3}}{_NUMBER}",
        rf"maximum (?:context|prompt|input|model)[a-z ]{{0,80}}?(?:length|size|window|limit)? ?(?:is|of|:|"
        rf"=)? ?(?:only )?{_NUMBER}",
        rf"context(?:[ _](?:length|size|window|limit))?[a-z ]{{0,20}}[:=(]? ?\(?{_NUMBER}",
        rf"> ?{_NUMBER}",
        rf"{_NUMBER} max(?:imum)?\b",
        rf"must have less than {_NUMBER}|must be (?:less than or equal to|at most|<=) {_NUMBER}|up to {_NUMBER}",
        rf"\[\d+, ?{_NUMBER}\]",
        rf"max size: {_NUMBER} tokens",
        rf"limit(?: for (?:this|the) model)?(?: is| of|:| to)?,? ?\(?{_NUMBER}",
        rf"max[a-z_' ]{{0,70}}[(:=]? ?(?:is|of)? ?\(?{_NUMBER}",
        rf"(?:exceed|longer than|greater than|larger than|no more than|cannot exceed)(?! by|"
        rf"ed by)[a-z_' ]{{0,60}}[(:=]? ?{_NUMBER}",
        rf"(?:最大|上限|长度|支持|限制)\D{{0,12}}{_NUMBER}",
    )
)
_COUNTS_TOKENS = pattern(r"tokens?\b|length|n_ctx|context size|长度")
_COUNTS_OTHER = pattern(
    r"(?:string|array) too long|\bbytes\b|\d ?[km]i?b\b|(?:\d|input) characters|"
    r"character limit"
)

MIN_CONTEXT = 512
"""Tokens of the smallest context that a model has: smaller numbers count something else."""
_REPLY_TOKENS = pattern(
    rf"{_NUMBER} (?:tokens )?(?:in|for) the completion|{_NUMBER} (?:output|completion) tokens|"
    rf"max_?(?:completion_|output_|new_)?tokens'?\)? ?(?:is too large|=|:) ?:? ?{_NUMBER}|{_NUMBER} `?max_new_tokens|"
    rf"\d{{1,12}} \+ {_NUMBER} >|max_new_tokens {_NUMBER}"
)
_PER_REQUEST = pattern(rf"limit:? {_NUMBER},? (?:used \d+,? )?requested:? {_NUMBER}")
_NUMBERS = pattern(r"(?<![\w.-])\d{2,9}(?![\w-])")


def too_long(error: BaseException) -> int | None:
    """The room for a prompt in tokens that a server reports when it refuses one as too long: its context, less the
    reply's share where the words give it; 0 when it reports no number, None for any other error."""
    status = status_of(error)
    if status in _NEVER or (status is not None and status < 400):
        return None
    if status is None and not hasattr(error, "body"):
        return None  # not a server's error
    body = getattr(error, "body", None)
    if isinstance(body, Mapping) and isinstance(body.get("n_ctx"), int) and body["n_ctx"] > 0:
        return int(body["n_ctx"])
    words = words_of(error)
    if not _says_too_long(words, status):
        return None
    limit = _limit_in(words)
    reply = _first(_REPLY_TOKENS.search(words))
    if not limit or not reply:
        return limit
    return limit - reply if reply < limit else None


def tokens_counted(error: BaseException, limit: int, size: int) -> int:
    """The tokens that a server counted in a refused prompt; 0 where it does not say. limit: the room that it reports.
    size: of the request in bytes, which no count exceeds."""
    body = getattr(error, "body", None)
    counted = body.get("n_prompt_tokens") if isinstance(body, Mapping) else None
    if isinstance(counted, int) and counted > 0:
        return counted
    if not limit:
        return 0
    words = words_of(error)
    stated = _limit_in(words)
    numbers = map(int, _NUMBERS.findall(words))
    return min((number for number in numbers if limit < number <= size and number != stated), default=0)


def reply_counted(error: BaseException) -> int:
    """The tokens that a server counted for the reply when it refused a request; 0 where it does not say."""
    return _first(_REPLY_TOKENS.search(words_of(error)))


def _says_too_long(words: str, status: int | None) -> bool:
    per_request = _PER_REQUEST.search(words)
    if per_request is not None:  # waiting does not help a request that is larger than the limit of a minute
        return int(per_request[2]) > int(per_request[1])
    if _is_the_reply_limit(words):
        return False
    if _CERTAIN.search(words):
        return True
    if _WAIT.search(words) and not (status == 413 and "request too large" in words):
        return False
    if status == 429:
        return False
    if _IMAGE.search(words) and not _TEXT.search(words):
        return False
    if status == 413:
        return True
    return not _OTHER_PART.search(words) and _LIKELY.search(words) is not None


def _is_the_reply_limit(words: str) -> bool:
    """Whether max_tokens alone is refused: more than the model ever writes."""
    return _REPLY_LIMIT.search(words) is not None and _PROMPT_TOO.search(words) is None


def _limit_in(words: str) -> int:
    """The limit in tokens; 0 where the words have none, or count something else."""
    if _COUNTS_OTHER.search(words) or not _COUNTS_TOKENS.search(words):
        return 0
    for each in _LIMITS:
        found = _first(each.search(words))
        if found >= MIN_CONTEXT:
            return found
    return 0


def _first(found: "re.Match[str] | None") -> int:
    return int(next((group for group in found.groups() if group), 0)) if found is not None else 0
