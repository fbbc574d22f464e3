"""Blots out secrets in recorded exchanges: by the names of fields and parameters, and by known values.

Bodies are read as text, not parsed: JSON in a text of JSON, server-sent events, forms and broken bodies are all
covered, and what is no secret stays as it was, byte for byte. In a stream the texts that its pieces make are read, too:
a secret that stands in several pieces is seen in none alone.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from agentkit._lazy.patterns import pattern
from agentkit.net.escapes import replaced
from agentkit.net.keys import is_secret_name
from agentkit.testing.streams import changed_across

REDACTED = "SECRET"
MIN_BARE = 4
"""Characters of a secret that is looked for without the white space around it too: fewer stand in many texts."""

_NAME = r"""(?P<quote>\\{0,7}["'])(?P<name>[^"'\\\s]{2,60})(?P=quote)"""
_FIELD = pattern(_NAME + r"\s*:\s*(?P<list>\[\s*)?(?P=quote)")
_NUMBER = pattern(rf"(?P<begin>{_NAME}\s*:\s*)(?P<value>-?\d{{4,}}+)(?=\s*[,}}\]])")
_PLAIN_VALUE = pattern(r"""(?:[^"\\]|\\.)*""", re.DOTALL)
_LIST_END = pattern(r"[^\[\]{}]*(?=\])")
_HAS_PROBABILITY = pattern(r"""\\{0,7}["']\s*,\s*\\{0,7}["'](?:logprob|bytes|top_logprobs|special)\b""")
_PAIR = pattern(
    r"""(?P<begin>(?P<quote>\\{0,7}["'])(?:name|key|header)(?P=quote)\s*:\s*(?P=quote)(?P<name>[^"'\\\s]{2,60})(?P=quote)"""
    r"""\s*,\s*(?P=quote)value(?P=quote)\s*:\s*(?P=quote))(?P<value>[^"'\\]*)"""
)
_PARAMETER = pattern(r"""(?P<begin>(?:\A|[?&#;])(?P<name>[\w.%-]{1,60})=)(?P<value>[^&#\s"'<>\\;]+)""")
_PART = pattern(
    r"""(?P<begin>name="(?P<name>[^"\r\n]{1,60})"[^\r\n]{0,300}+\r?\n(?:[^\r\n]+\r?\n){0,5}\r?\n)(?P<value>[^\r\n]*)"""
)
_ELEMENT = pattern(r"(?P<begin><(?P<name>[A-Za-z][\w.:-]{1,60})>)(?P<value>[^<]+)(?=</)")
_BEARER = pattern(r"(?P<begin>\b[Bb]earer\s+)[A-Za-z0-9._~+/-]{20,}=*")


class Redaction:
    """Removes secrets from recorded texts. secrets: values to remove wherever they occur."""

    def __init__(self, secrets: Iterable[str]) -> None:
        given = [secret for secret in secrets if secret.strip()]
        self._secrets = {*given, *(bare for secret in given if len(bare := secret.strip()) >= MIN_BARE)}

    def url(self, url: str) -> str:
        """Return a URL without user and password, and without secrets in its query and fragment."""
        parts = urlsplit(url)
        query = [
            (name, REDACTED if is_secret_name(name, in_url=True) else value)
            for name, value in parse_qsl(parts.query, True)
        ]
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(query))
        return str(self.known(urlunsplit(bare._replace(fragment=_in_parameters(f"#{parts.fragment}")[1:]))))

    def body(self, body: Any) -> Any:
        """Return a body, text or bytes, without secrets. Bytes that are no text keep all but the known values."""
        if isinstance(body, str):
            return changed_across(self._text(body), self._text)
        if not isinstance(body, bytes):
            return body
        try:
            return str(self.body(body.decode())).encode()
        except UnicodeDecodeError:
            return self.known(body)

    def _text(self, text: str) -> str:
        return str(self.known(_without_fields(text)))

    def known(self, value: Any) -> Any:
        """Return a text or bytes without the known values."""
        if isinstance(value, bytes):
            return self.known(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if not isinstance(value, str) or not self._secrets:
            return value
        return replaced(value, self._secrets, REDACTED)


def _without_fields(text: str) -> str:
    text = _NUMBER.sub(_numbered, "".join(_pieces(text)))
    for each in (_PAIR, _PART, _ELEMENT):
        text = each.sub(_named, text)
    text = _in_parameters(text)
    return _BEARER.sub(rf"\g<begin>{REDACTED}", text)


def _in_parameters(text: str) -> str:
    return _PARAMETER.sub(_parameter, text)


def _pieces(text: str) -> Iterator[str]:
    """Yield a text with the values of secret fields replaced, in pieces. A text within the text may have fields too."""
    done = 0
    for found in _FIELD.finditer(text):
        if found.start() < done or not is_secret_name(found["name"]):
            continue
        end = _end_of_value(text, found)
        if end > found.end():
            yield text[done : found.end()]
            yield REDACTED
            done = end
    yield text[done:]


def _end_of_value(text: str, found: re.Match[str]) -> int:
    """Return where the value of a field ends that begins at the end of the match; there, if it is no secret."""
    start, quote = found.end(), found["quote"]
    if found["list"] is not None:
        rest = _LIST_END.match(text, start)
        return max(start, text.rfind(quote, start, rest.end())) if rest else start
    if quote == '"':
        value = _PLAIN_VALUE.match(text, start)
        end = value.end() if value else start
    else:
        end = text.find(quote, start)
        end = len(text) if end < 0 else end
    is_of_text = found["name"].lower() == "token" and _HAS_PROBABILITY.match(text, end)
    return start if is_of_text else end


def _named(found: re.Match[str]) -> str:
    return found["begin"] + (REDACTED if is_secret_name(found["name"]) else found["value"])


def _numbered(found: re.Match[str]) -> str:
    """A number stays one, since the tool that gets it as an argument takes no text. That of a `token` is its place in
    the vocabulary of a model."""
    is_secret = found["name"].lower() != "token" and is_secret_name(found["name"])
    return found["begin"] + ("0" if is_secret else found["value"])


def _parameter(found: re.Match[str]) -> str:
    return found["begin"] + (REDACTED if is_secret_name(found["name"], in_url=True) else found["value"])
