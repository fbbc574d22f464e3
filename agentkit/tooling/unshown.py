"""The result of a call that ran, where that result can't be rendered as text."""

import re
import reprlib

_PART = reprlib.Repr()
_PART.maxlevel, _PART.maxdict, _PART.maxlist, _PART.maxtuple, _PART.maxset = 5, 20, 20, 20, 20
_PART.maxstring = _PART.maxother = _PART.maxlong = 200
_ADDRESS = re.compile(r" (?:object |instance )?at 0x[0-9a-fA-F]+")
_MAX_PART = 2000
_MAX_REASON = 200


def unshown(name: str, value: object, error: BaseException) -> str:
    """Returns what the model is told of a call that took effect and whose result can't be shown: that it ran, why its
    result is missing, and what can be shown of it. name: the tool's."""
    kind = type(error).__name__
    reason = {"RecursionError": "it is nested too deeply or contains itself"}.get(kind) or f"{kind}: {_words(error)}"
    return f"{name} ran; its result can't be shown ({reason}). Don't call it again for that.{_begun(value)}"


def _words(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:_MAX_REASON]
    except Exception:  # noqa: BLE001 - an exception whose __str__ fails
        return "no message"


def _begun(value: object) -> str:
    try:
        part = _ADDRESS.sub("", _PART.repr(value))[:_MAX_PART]
    except Exception:  # noqa: BLE001 - the value's own __repr__ fails
        return f" It is a {type(value).__name__}."
    return f" What can be shown of it: {part}"
