"""Whether a text denies something: words that are compared one by one do not tell "lit" from "not lit"."""

import re

from agentkit._lazy.patterns import pattern

_CLEAR = (
    r"not(?!\s(?:only|just|least))|never|cannot|neither|nor|n['’]t|nicht(?!\snur)|kein(?:e[mnrs]?)?|niemals|weder"
    r"|non(?!-)|mai|nessun[aeo]?|nunca|jamás|tampoco|ningun[ao]|não|niet|geen|nooit|inte|aldrig|ikke"
    r"|не(?!\sтолько)|нет|никогда|ни"
)
"""What denies, and is rarely another word in another language."""

_OTHER = (
    r"no|none|nothing|nobody|without|lacks?|lacked|fail(?:s|ed)?|refus(?:es|ed)|instead|rather|except|unlike|nie|ohne"
    r"|statt|sondern|pas|jamais|aucune?|sans|sin|ninguno|senza|sem|nenhum[a]?|zonder|utan|uden|без|нельзя"
)
"""What may deny, or puts something in the place of something else."""

_NOT_ONLY = pattern(
    "不仅|不僅|不但|不断|不斷|不同|不少|不久|不过|不過|不只|不论|不論|无论|無論|未来|未來|非常|是非|不得不|不可避免"
)
"""Words with a sign that denies, which do not deny."""

_DENIED = pattern(
    rf"(?<!\w)(?:{_CLEAR})(?!\w)|(?<=\w)n['’]t(?!\w)|[不没沒未]|ません|なかった|ではない|않|못했|아니", re.IGNORECASE
)
_PERHAPS = pattern(
    rf"(?<!\w)(?:{_OTHER})(?!\w)|[无無非莫勿否别別]|ない|なく|ず|없|못|لا|لم|لن|ليس|بدون|नहीं|ไม่", re.IGNORECASE
)


def denies(text: str) -> bool:
    """Whether a text has a word that clearly denies something."""
    return _DENIED.search(_NOT_ONLY.sub("", text)) is not None


def may_deny(text: str) -> bool:
    """Whether a text has any word that may deny something."""
    return denies(text) or _PERHAPS.search(text) is not None
