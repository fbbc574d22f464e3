"""API keys: what can't be one, the names of fields that hold one, and keeping them out of error messages."""

import re
from collections.abc import Collection, Iterable

from agentkit._lazy.patterns import pattern
from agentkit.errors import ConfigurationError

MIN_SECRET = 8
"""A shorter key is a placeholder ("none", "EMPTY", "x"): to blot it out would only mask words."""

_TYPOGRAPHIC_QUOTES = (
    "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u00ab\u00bb\u2039\u203a\u300c\u300d\uff02\uff07\u00b4"
)
_QUOTES = "\"'`"
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u200e\u200f\u2060\u00ad"
_USUAL = str.maketrans("", "", "-_.")
_SCHEME = pattern(r"(bearer|basic|token|authorization|x-api-key)\s*[:\s]", re.IGNORECASE)

_WORDS = "token|secret|password|passwd|passphrase|pwd|auth|authorization|credential|jwt|cookie"
_SECRET_FIELD = pattern(
    rf"(?:^|_)(?:(?:{_WORDS})s?|(?:api|access|secret|private|auth|signing|encryption|subscription|license)_?keys?"
    r"|(?:api|access|refresh|auth|id|session|bearer|client|user)(?:token|secret|password)s?)$"
)
_SECRET_PARAMETER = pattern(r"(?:^|_)(?:key|sig|signature)$")
_TEXT_TOKEN = pattern(
    r"(?:^|_)tokens$|(?:bos|eos|eot|eom|unk|pad|sep|cls|mask|decoded|stop|special|text|image|audio|video|next|page"
    r"|continuation|first|last|start|end)_token$"
)
"""Tokens of a text and of a list's pages: no secrets."""
_SECRET_TOKENS = pattern(r"(?:^|_)(?:access|refresh|auth|api|session|bearer|id)_tokens$")
_CAMEL = pattern(r"(?<=[a-z0-9])(?=[A-Z])")


def checked_key(key: object, where: str, *, spaces: bool = False) -> str | None:
    """Return an API key, or None for an empty one.

    where: the parameter or variable that it comes from. spaces: whether there may be spaces in the middle. Raises
    ConfigurationError, which does not show the key, for one that no server could accept, since it can't be sent in a
    header or was copied with what stood around it.
    """
    if key is None or key == "":
        return None
    if not isinstance(key, str):
        hint = ": pass its get_secret_value()" if hasattr(key, "get_secret_value") else ""
        raise ConfigurationError(f"{where} has to be a text, and is a {type(key).__name__}{hint}")
    if key.isascii() and key.translate(_USUAL).isalnum():
        return key
    problem = _problem(key.replace(" ", "") if spaces and key == key.strip() and not _SCHEME.match(key) else key)
    if problem:
        raise ConfigurationError(f"{where} can't be an API key: it {problem} (the key is not shown here)")
    return key


def _problem(key: str) -> str:
    if not key.strip():
        return "consists of white space: set the key, or unset it"
    if "\n" in key or "\r" in key:
        return "contains a line break: remove it, at the end of the key too"
    if any(each in _INVISIBLE for each in key):
        return "contains an invisible character (a byte order mark or a zero-width space): type it or copy it anew"
    if found := _SCHEME.match(key.strip()):
        return f"begins with {found[1]!r}: give the key alone"
    if any(each in _TYPOGRAPHIC_QUOTES for each in key):
        return "contains typographic quotation marks: give the key without them"
    if any(each in _QUOTES for each in key):
        return "contains quotation marks: give the key without them"
    if any(each.isspace() for each in key):
        return "contains a space or another white space: remove it"
    if not key.isprintable():
        return "contains a control character: type it or copy it anew"
    if not key.isascii():
        return "contains a character that is not ASCII (a dash or a letter of another alphabet?): copy it anew"
    return ""


def repeats(text: str, key: str) -> bool:
    """Whether a text contains a key that is a secret."""
    return blotted(text, key) != text


def blotted(text: str, key: str) -> str:
    """Return the text with "(key)" in place of a key that is a secret, also where it is written with the escapes of
    JSON or URLs."""
    return blotted_all(text, (key,))


def blotted_all(text: str, keys: Iterable[str]) -> str:
    """The same for several keys, of which one may be a part of another."""
    secrets = {key for key in keys if len(key) >= MIN_SECRET}
    if not secrets:
        return text
    if "\\" in text or "%" in text:
        from agentkit.net.escapes import replaced  # few texts have any

        return replaced(text, secrets, "(key)")
    for key in sorted(secrets, key=len, reverse=True):
        text = text.replace(key, "(key)")
    return text


def blotted_beginning(text: str, keys: Collection[str]) -> str:
    """The same for a text that was cut, perhaps in the middle of a key."""
    text = blotted_all(text, keys)
    for key in keys:
        for size in range(len(key) - 1, MIN_SECRET - 1, -1):
            if text.endswith(key[:size]):
                return f"{text[:-size]}(key)"
    return text


def blotted_body(content: bytes, key: str) -> bytes:
    """The same for a body, whose other bytes stay what they are."""
    return blotted_beginning(content.decode("utf-8", "surrogateescape"), (key,)).encode("utf-8", "surrogateescape")


def is_secret_name(name: str, in_url: bool = False) -> bool:
    """Whether a field of that name holds a secret: api_key, accessToken, client-secret, password, Authorization...

    in_url: whether it is a parameter of a URL, where "key" and "sig" are secrets too.
    """
    plain = re.sub(r"[-.\s]+", "_", _CAMEL.sub("_", name)).lower().strip("_")
    if _SECRET_TOKENS.search(plain):
        return True
    if _TEXT_TOKEN.search(plain):
        return False
    return bool(_SECRET_FIELD.search(plain) or (in_url and _SECRET_PARAMETER.search(plain)))
