"""Reads an OpenAPI description: an object, the text of one as JSON or YAML, a file, or an address."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from agentkit.errors import ConfigurationError, DependencyError
from agentkit.net.image_bytes import bytes_of
from agentkit.net.url_guard import shown_url
from agentkit.openapi.document import Document

MAX_BYTES = 50_000_000
"""Maximum size of a description in bytes. The largest that are published have 40 million."""
FETCH_SECONDS = 60.0
MAX_DEPTH = 300
"""Levels of objects and lists in each other in YAML."""
MAX_MERGED = 300_000
"""Keys that YAML's `<<` copies into objects, where each alias counts."""

Source = Mapping[str, Any] | str | bytes | os.PathLike[str]


def read_document(source: Source) -> Document:
    """Read a description. Raises ConfigurationError for what is none, FetchError when an address can't be fetched, and
    DependencyError for YAML without PyYAML."""
    if isinstance(source, Mapping):
        return Document(source)
    if isinstance(source, bytes):
        return Document(_parsed(_decoded(source, "the text"), "the text"), origin="the text")
    if isinstance(source, os.PathLike):
        return _from_file(Path(source))
    if not isinstance(source, str):
        raise ConfigurationError(
            f"openapi({type(source).__name__}): pass the description as a dict, as text (JSON or YAML), as the path of "
            "its file, or as its http(s) address"
        )
    if re.match(r"https?://\S+\Z", source.strip(), re.IGNORECASE):
        return _from_url(source.strip())
    if "\n" in source or source.lstrip()[:1] == "{":
        return Document(_parsed(source, "the text"), origin="the text")
    return _from_file(Path(source))


def _from_url(url: str) -> Document:
    from agentkit.net.fetch import fetch

    host = urlsplit(url).netloc.rpartition("@")[2]
    page = fetch(url, timeout=FETCH_SECONDS, max_bytes=MAX_BYTES, allow=[host])
    return Document(_parsed(_decoded(page.content, shown_url(url)), shown_url(url)), page.url, shown_url(url), url)


def _from_file(path: Path) -> Document:
    try:
        content = bytes_of(path, MAX_BYTES)
    except ValueError as error:
        raise ConfigurationError(f"the OpenAPI description {path.name} {error}") from None
    except OSError as error:
        raise ConfigurationError(
            f"the OpenAPI description {str(path)[:200]!r} can't be read ({error.strerror}): pass the path of a file, "
            "the text itself, a dict, or an http(s) address"
        ) from None
    return Document(_parsed(_decoded(content, path.name), path.name), origin=path.name)


def _decoded(content: bytes, name: str) -> str:
    try:
        encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} is not text in UTF-8: it is no OpenAPI description") from None


def _parsed(text: str, name: str) -> Mapping[str, Any]:
    if len(text) > MAX_BYTES:
        raise ConfigurationError(f"{name} has more than {MAX_BYTES:,} characters; no more are read")
    try:
        found = json.loads(text)
    except RecursionError:
        raise ConfigurationError(f"{name} is nested too deep to be read") from None
    except ValueError as error:
        if text.lstrip()[:1] == "{":
            raise ConfigurationError(f"{name} is not valid JSON: {error}") from None
        found = _from_yaml(text, name)
    if not isinstance(found, Mapping):
        raise ConfigurationError(f"{name} is no OpenAPI description: it is a {type(found).__name__}, not an object")
    return found


def _from_yaml(text: str, name: str) -> Any:
    """The value of a YAML text. Dates, `yes` and 12:30 stay texts, as they are in JSON: the names and values of an API
    are meant."""
    try:
        import yaml
    except ImportError:
        raise DependencyError(
            f"{name} is not JSON; to read YAML needs PyYAML", "pip install pyyaml, or pass the description as JSON"
        ) from None
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # a loader has its resolvers as class attributes
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012
        left = MAX_MERGED

        def flatten_mapping(self, node: Any) -> None:
            """Count what is about to be copied: where objects are merged with themselves, it doubles at each level."""
            for each in _merged(node):
                self.flatten_mapping(each)
                self.left -= len(each.value)
                if self.left < 0:
                    raise yaml.constructor.ConstructorError(
                        problem=f"more than {MAX_MERGED:,} keys are merged by '<<'", problem_mark=node.start_mark
                    )
            super().flatten_mapping(node)

    for tag, pattern, first in _YAML:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", pattern, list(first))
    try:
        if _may_be_deep(text):
            _check_depth(yaml.parse(text, Loader))
        return yaml.load(text, Loader)
    except RecursionError:
        raise ConfigurationError(f"{name} is nested too deep to be read") from None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark is not None else ""
        problem = getattr(error, "problem", None) or type(error).__name__
        raise ConfigurationError(f"{name} is neither JSON nor YAML: {problem}{where}") from None


def _merged(node: Any) -> Iterator[Any]:
    """The nodes of the objects that are merged into that of a YAML mapping."""
    for key, value in node.value:
        if key.tag == "tag:yaml.org,2002:merge":
            listed = value.value if value.id == "sequence" else [value]
            yield from (each for each in listed if each.id == "mapping")


def _may_be_deep(text: str) -> bool:
    """Whether a YAML text may have many levels: brackets, or a line that begins with many spaces and dashes."""
    return text.count("[") + text.count("{") > MAX_DEPTH or _LONG_START.search(text) is not None


def _check_depth(events: Iterable[Any]) -> None:
    """Raise RecursionError for more levels than libyaml can read: it would crash the program."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        depth += kind.endswith(("SequenceStartEvent", "MappingStartEvent"))
        depth -= kind.endswith(("SequenceEndEvent", "MappingEndEvent"))
        if depth > MAX_DEPTH:
            raise RecursionError


_LONG_START = re.compile(r"^[ ?:-]{300}", re.MULTILINE)
_YAML = (
    ("bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    ("int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,40})\Z"), "-+0123456789"),
    (
        "float",
        re.compile(r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}\.[0-9]{0,40})(?:[eE][-+]?[0-9]{1,5})?\Z"),
        "-+.0123456789",
    ),
    ("float", re.compile(r"[-+]?[0-9]{1,40}[eE][-+]?[0-9]{1,5}\Z"), "-+0123456789"),
    ("null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    ("merge", re.compile(r"<<\Z"), "<"),
)
"""The values of YAML's core schema that are no texts: their tags, how they are written, their first characters."""
