"""The names and ids of tool calls, as models and gateways write them.

A call's name arrives as `functions.search`, `search<|channel|>commentary`, ` search\\n`, `default_api:search` or not at
all. What stands around a name is removed to find the one tool that is meant; a name is never matched by its likeness,
which could run a tool that nobody asked for. A name that no tool has, and an id that is too long, go back to the server
in a form that it accepts: OpenAI refuses each later request of a conversation with any other.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from agentkit._lazy.patterns import pattern

UNNAMED = "unnamed"
"""The name of a call that came without one."""
MAX_NAME = 64
MAX_ID = 40
"""Maximum characters that OpenAI accepts."""

_MAX_READ = 500
"""Maximum characters of a name that are looked at; a longer one means no tool."""

_VALID_NAME = pattern(r"[a-zA-Z0-9_-]{1,64}")
_VALID_ID = pattern(r"[!-~]{1,40}")
_AROUND = " \t\r\n\"'`“”„‘’‚«»‹›!#$%&()*+,./:;<=>?@[\\]^{|}~"
_WORDS = r"(?:commentary|analysis|final|json|code|assistant|constrain|message|call)\b"
_TOKEN = r"<\|(?:[^<>|]*+(?:\|>?+|>)|[^<>|\s]*+)"
"""A special token, whole or without its end."""
_TAIL = pattern(
    rf"<\|[^<>|]*+\|?+>?+(?:\s*+(?:<\|[^<>|]*+\|?+>?+|{_WORDS}))*+\s*+$|(?:\s*+(?:</[\w:]+>|\[[A-Z_]+\]))++\s*+$"
)
_RECIPIENT = pattern(rf"^(?:\s*+(?:{_TOKEN}|{_WORDS}))*+\s*+to=(\S+)(?:\s+{_WORDS})*\s*$")
_HEAD = pattern(r"^(?:\s*(?:<\|[^<>|]*\|>|<[\w:]+>|\[[A-Z_]+\]))+(?=.)", re.DOTALL)
_INDEX = pattern(r"[:.#]\d{1,6}$")
_KNOWN = "functions|function|tools|tool|default_api|api|namespace|assistant|tool_call|function_call|call"
_BETWEEN = r"(?:\s*(?:\.|:|/|=|->|__)+\s*|\s+)"
_KNOWN_PREFIX = pattern(rf"^(?:(?:{_KNOWN}){_BETWEEN}|(?:functions|default_api)_)", re.IGNORECASE)
_TWICE = pattern(r"^(.{2,64})[.:/]?\1$")
_QUALIFIER = pattern(r"\A.*(?:[.:/]|->|__)", re.DOTALL)
_SEPARATORS = pattern(r"[-_.:/\s]+")
_ARGUMENTS = pattern(r"[({\[<=]")


def meant(name: str, names: Iterable[str]) -> str | None:
    """The one tool of `names` that a call's name means: it differs only in what stands around it, in known prefixes
    (`functions.`, `default_api:`), in case or separators. None when there is none, or more than one."""
    if len(name) > _MAX_READ:
        return None
    known = list(names)
    if name in known:
        return name
    clean = _clean(name)
    if clean in known:
        return clean
    return _only(_forms(clean), clean, known)


def meant_with_qualifier(name: str, names: Iterable[str]) -> str | None:
    """The same for a name behind any qualifier (`mcp__weather__forecast`, `weather.forecast`), and for a tool's name
    without its own. The qualifier may say that a tool of another program was meant, so this is for tools that change
    nothing."""
    if len(name) > _MAX_READ:
        return None
    clean = _clean(name)
    known, forms = list(names), _forms(clean)
    forms += [_QUALIFIER.sub("", form, count=1).strip(_AROUND) for form in forms]
    ends = [each for each in known if "__" in each and each.rpartition("__")[2] in forms]
    return _only([*forms, *ends], clean, known)


def nearest(name: str, names: Sequence[str]) -> str | None:
    """The tool that a name is most like, to be suggested to the model; None when it is like none."""
    found = meant(name, names) or meant_with_qualifier(name, names)
    if found is not None:
        return found
    before = _ARGUMENTS.split(_clean(name), maxsplit=1)[0]
    if before and (found := meant(before, names)):
        return found
    keys = {_key(each): each for each in names}
    key = _key(_clean(name))[:MAX_NAME]
    within = [each for each in keys if len(each) > 2 and (each in key or (len(key) > 2 and key in each))]
    if within:
        return keys[max(within, key=len)]
    import difflib

    likely = difflib.get_close_matches(key, keys, n=1)
    return keys[likely[0]] if likely else None


def valid_name(name: object, taken: Iterable[str] = ()) -> str:
    """A name that any server accepts, for one that means no tool. taken: the names of tools, which it must not be."""
    written = name if isinstance(name, str) else ""
    if not _VALID_NAME.fullmatch(written):
        written = valid_author(written) or UNNAMED
    tools = set(taken)
    while written in tools:
        written = f"{written[: MAX_NAME - 1]}_" if not written.endswith("_") else f"{written[:-1][: MAX_NAME - 2]}x_"
    return written


def is_valid_name(name: object) -> bool:
    """Whether any server accepts a name."""
    return isinstance(name, str) and _VALID_NAME.fullmatch(name) is not None


def valid_author(name: str) -> str:
    """The name of a message's author in the letters that servers accept: "Jürgen M." becomes "Jurgen_M"; "" when
    nothing of it is left."""
    import unicodedata

    parts = unicodedata.normalize("NFKD", name[:_MAX_READ])
    letters = "".join(each for each in parts if unicodedata.category(each) not in ("Mn", "Cf"))
    return re.sub(r"[^a-zA-Z0-9_-]+", "_", letters).strip("_")[:MAX_NAME].strip("_")


def valid_id(call_id: object) -> str:
    """An id of a call that servers accept; the same for the same id, so that calls and results stay together. "" stays
    ""."""
    written = call_id if isinstance(call_id, str) else "" if call_id is None else str(call_id)
    if not written or _VALID_ID.fullmatch(written):
        return written
    return f"call_{_digest(written)[:24]}"


def short_id(call_id: str) -> str:
    """The same as nine letters or digits, as Mistral's servers and templates want it; such an id stays as it is."""
    if len(call_id) == 9 and call_id.isascii() and call_id.isalnum():
        return call_id
    return _digest(call_id)[:9]


def _digest(call_id: str) -> str:
    import hashlib

    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()


def _clean(name: str) -> str:
    """A name without invisible characters, special tokens of the model, quotation marks and brackets around it."""
    import unicodedata

    text = unicodedata.normalize("NFKC", name[:_MAX_READ])
    text = "".join(_plain_characters(text))
    text = _TAIL.sub("", text.strip())
    recipient = _RECIPIENT.match(text)
    text = _HEAD.sub("", recipient[1] if recipient is not None else text)
    return text.strip(_AROUND)


def _plain_characters(text: str) -> Iterator[str]:
    import unicodedata

    for each in text:
        category = "" if each.isascii() and each.isprintable() else unicodedata.category(each)
        if category == "Cc":
            yield " "
        elif category == "Pd":  # all dashes
            yield "-"
        elif category not in ("Cf", "Mn"):
            yield each


def _forms(clean: str) -> list[str]:
    """A name with less and less around it."""
    forms = [clean, _INDEX.sub("", clean), _TWICE.sub(r"\1", clean)]
    for form in forms:
        bare = _KNOWN_PREFIX.sub("", form).strip(_AROUND)
        if bare not in forms:
            forms.append(bare)  # read in its turn: prefixes stand in rows
    return forms


def _only(forms: Sequence[str], clean: str, names: Sequence[str]) -> str | None:
    same = _key(clean)
    found = {each for each in names if each in forms or (same and _key(each) == same)}
    if not found:
        keys = {key for form in forms if (key := _key(form))}
        found = {each for each in names if _key(each) in keys}
    return found.pop() if len(found) == 1 else None


def _key(name: str) -> str:
    return _SEPARATORS.sub("", name.casefold())
