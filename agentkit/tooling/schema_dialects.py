"""JSON schemas as servers take them: each has its dialect of JSON Schema, and refuses a request for a keyword beyond
it.

What a dialect can't say is dropped from the schema that is sent, and where it constrains a value, said in a
description.
The full schema validates what comes back, so a model that ignores it is told.
"""

import functools
import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from agentkit.net.hosted import is_hosted
from agentkit.tooling.grammar_patterns import in_grammar
from agentkit.tooling.moonshot_schema import moonshot
from agentkit.tooling.schema_forms import (
    Schema,
    any_of,
    changed,
    flat_root,
    in_counts,
    inlined,
    is_safe_pattern,
    merged,
    normal,
    noted,
    tuple_items,
)

MAX_DESCRIPTION = 1024
"""Characters of a tool's description that OpenAI's API takes."""


class Dialect(Enum):
    """A dialect of JSON Schema. AS_IS: that of the schemas themselves (2020-12), for servers that ignore what they
    don't
    know. OPENAI: OpenAI's API. GEMINI: Google's, which knows a part of OpenAPI's schemas. MOONSHOT: that of Kimi, which
    knows a part of JSON Schema. SELF_HOSTED: llama.cpp, which compiles schemas to grammars, and servers that are more
    lenient."""

    AS_IS = "as is"
    OPENAI = "openai"
    GEMINI = "gemini"
    MOONSHOT = "moonshot"
    SELF_HOSTED = "self-hosted"


_OPENAI_HOSTS = ("openai.com", "openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com")
_OPENAI_GATEWAYS = ("models.inference.ai.azure.com", "models.github.ai", "api.githubcopilot.com")


@functools.lru_cache(256)
def dialect_of(model: str, base_url: str | None) -> Dialect:
    """The dialect of a server; None means OpenAI's. A gateway passes schemas on, so the model's name counts there."""
    host = (urlsplit(base_url).hostname or "") if base_url else "api.openai.com"
    name = model.lower()
    if host.endswith("googleapis.com") or "gemini" in name:
        return Dialect.GEMINI
    if host.endswith(("moonshot.cn", "moonshot.ai", "kimi.com")) or (is_hosted(base_url) and "kimi" in name):
        return Dialect.MOONSHOT
    if host.endswith((*_OPENAI_HOSTS, *_OPENAI_GATEWAYS)) or (
        name.startswith(("gpt-", "openai/", "azure/")) and "oss" not in name
    ):
        return Dialect.OPENAI
    return Dialect.AS_IS if is_hosted(base_url) else Dialect.SELF_HOSTED


def tool_for(dialect: Dialect, tool: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of `tools` in a dialect."""
    function = dict(tool["function"])
    if dialect is Dialect.OPENAI:
        function["description"] = _cut(function["description"])
    parameters = schema_for(dialect, function["parameters"])
    if dialect is Dialect.GEMINI and not parameters.get("properties"):
        del function["parameters"]  # an object without properties is refused
    else:
        function["parameters"] = parameters
    return {**tool, "function": function}


def response_format_for(dialect: Dialect, response_format: Mapping[str, Any]) -> Mapping[str, Any]:
    """A `response_format` in a dialect. `strict` is set only where OpenAI accepts the schema as strict."""
    return response_format if dialect is Dialect.AS_IS else _response_format_for(dialect, json.dumps(response_format))


@functools.lru_cache(64)  # each request of a run has the same one
def _response_format_for(dialect: Dialect, written: str) -> Mapping[str, Any]:
    response_format = json.loads(written)
    described = response_format.get("json_schema")
    given = described.get("schema") if isinstance(described, dict) else None
    if not isinstance(given, dict):
        return dict(response_format)
    if dialect is Dialect.OPENAI:
        strict = openai_strict(given)
        described = {**described, "schema": openai(given) if strict is None else strict, "strict": strict is not None}
    else:
        described = {**described, "schema": schema_for(dialect, given)}
    return {**response_format, "json_schema": described}


def schema_for(dialect: Dialect, schema: Mapping[str, Any]) -> Schema:
    """The schema of an object in a dialect."""
    return _DIALECTS[dialect](schema)


def openai(schema: Mapping[str, Any]) -> Schema:
    """A schema for the tools of OpenAI's API: an object at the top without alternatives, items for each array, no
    keywords beside a reference, no `oneOf`, and no look-arounds."""
    return flat_root(changed(normal(schema), _openai))


def _openai(schema: Schema) -> Schema:
    schema = tuple_items(any_of(schema))
    kinds = schema.get("type")
    if (kinds == "array" or (isinstance(kinds, list) and "array" in kinds)) and "items" not in schema:
        schema["items"] = {}
    if schema.get("additionalProperties") == {}:
        schema["additionalProperties"] = True
    return _without_unsafe_patterns(schema)


def openai_strict(schema: Mapping[str, Any]) -> Schema | None:
    """A schema that OpenAI's API accepts as strict; None where its objects and alternatives are beyond the strict
    subset.
    Constraints on values that are not in it become descriptions."""
    found = changed(openai(schema), _openai_strict)
    return found if is_strict(found) else None


_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
_ANNOTATIONS = (
    "title",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "$schema",
    "$id",
    "contentEncoding",
)


def _openai_strict(schema: Schema) -> Schema:
    schema = _without(schema, _ANNOTATIONS)
    if len(schema.get("allOf", ())) == 1 and "anyOf" not in schema:
        schema = {**_without(schema, ("allOf",)), "anyOf": schema["allOf"]}
    if schema.get("format") not in (None, *_FORMATS):
        schema = noted(schema, "format")
    return noted(schema, "minLength", "maxLength", "uniqueItems", "contentMediaType")


_STRICT_KEYWORDS = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
        *("description", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "minItems", "maxItems"),
    )
)
_STRICT_DEPTH, _STRICT_PROPERTIES, _STRICT_VALUES, _STRICT_LENGTH = 10, 5_000, 1_000, 120_000


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether OpenAI accepts a schema as strict: keywords of its subset alone, objects that allow no other keys and
    require all of theirs, a type for each value, and sizes within its limits."""
    sizes = _Sizes()
    return (
        schema.get("type") == "object"
        and "anyOf" not in schema
        and _is_strict(schema, 0, sizes)
        and sizes.properties <= _STRICT_PROPERTIES
        and sizes.values <= _STRICT_VALUES
        and sizes.length <= _STRICT_LENGTH
    )


class _Sizes:
    properties = values = length = 0


def _is_strict(schema: Any, depth: int, sizes: _Sizes) -> bool:
    if not isinstance(schema, Mapping) or depth > _STRICT_DEPTH or not _STRICT_KEYWORDS.issuperset(schema):
        return False
    if "$ref" in schema:
        return set(schema) == {"$ref"}
    properties, kind = schema.get("properties", {}), schema.get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    values = schema.get("enum", [])
    sizes.properties += len(properties)
    sizes.values += len(values)
    sizes.length += sum(map(len, properties)) + sum(len(value) for value in values if isinstance(value, str))
    if kind is None and "anyOf" not in schema:
        return False
    if ("object" in kinds or properties) and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties)
    ):
        return False
    if ("array" in kinds) != ("items" in schema) or ("pattern" in schema and not is_safe_pattern(schema["pattern"])):
        return False
    if schema.get("format") not in (None, *_FORMATS):
        return False
    below = depth + ("object" in kinds)
    inner = [*properties.values(), *schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())]
    definitions = schema.get("$defs", {}).values()
    return all(_is_strict(each, below, sizes) for each in inner) and all(
        _is_strict(each, 0, sizes) for each in definitions
    )


def self_hosted(schema: Mapping[str, Any]) -> Schema:
    """A schema that llama.cpp can compile to a grammar: no schema is `true` or `false`, references lead to definitions,
    lists are not empty, repetitions not beyond 1,999, bounds not beyond 64 bits, and patterns such as it knows."""
    return changed(normal(schema), lambda each: in_counts(_with_pattern_of_grammars(each)))


def gemini(schema: Mapping[str, Any]) -> Schema:
    """A schema for Gemini: the keywords of Google's own type, one `type` a value, no references, no constants."""
    flat = changed(inlined(normal(schema)), lambda each: merged(tuple_items(any_of(each))))
    return changed(flat, _gemini)


_GEMINI_KEYWORDS = (
    *("type", "description", "nullable", "format", "enum", "anyOf", "items", "minItems", "maxItems", "properties"),
    *("required", "minLength", "maxLength", "pattern", "minimum", "maximum"),
)
_GEMINI_FORMATS = {"string": ("date-time", "enum"), "integer": ("int32", "int64"), "number": ("float", "double")}
_GEMINI_NOTED = ("uniqueItems", "multipleOf", "minProperties", "maxProperties", "exclusiveMinimum", "exclusiveMaximum")
_ANYTHING: list[Schema] = [
    {"type": "string"},
    {"type": "number"},
    {"type": "boolean"},
    {"type": "object"},
    {"type": "array", "items": {"type": "string"}},
]


def _gemini(schema: Schema) -> Schema:
    schema = _one_type(_values_of_text(schema))
    schema = _without_unsafe_patterns(noted(schema, "default", *_GEMINI_NOTED))
    kind = schema.get("type")
    if schema.get("format") not in (None, *_GEMINI_FORMATS.get(str(kind), ())):
        schema = noted(schema, "format")
    if kind == "array":
        schema.setdefault("items", {"anyOf": _ANYTHING})
    if isinstance(schema.get("additionalProperties"), Mapping) and kind == "object":
        schema = noted({**schema, "other keys": schema["additionalProperties"].get("type", "anything")}, "other keys")
    properties = schema.get("properties")
    if properties is not None:
        required = [name for name in schema.get("required", ()) if name in properties]
        schema = {**_without(schema, ("required",)), **({"required": required} if required else {})}
        if not properties:
            del schema["properties"]
    return {key: value for key, value in schema.items() if key in _GEMINI_KEYWORDS}


def _one_type(schema: Schema) -> Schema:
    """The schema with one type: null is `nullable`, several types are alternatives, and no type is any."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        rest = [kind for kind in kinds if kind != "null"]
        if len(rest) < len(kinds):
            schema = {**schema, "nullable": True}
        if len(rest) == 1:
            return {**schema, "type": rest[0]}
        schema = {**_without(schema, ("type",)), "anyOf": [each for each in _ANYTHING if each["type"] in rest]}
    choices = schema.get("anyOf")
    if choices is not None:
        others = [choice for choice in choices if choice.get("type") != "null"]
        if len(others) < len(choices):
            schema = {**schema, "nullable": True, "anyOf": others}
        if len(others) == 1:
            return {**others[0], **_without(schema, ("anyOf",))}
        return _without(schema, ("type",)) if others else _without(schema, ("anyOf",))
    if kinds is not None:
        return schema
    if "properties" in schema:
        return {**schema, "type": "object"}
    if "items" in schema:
        return {**schema, "type": "array"}
    return {**schema, "type": "string"} if "enum" in schema else {**schema, "anyOf": _ANYTHING}


def _values_of_text(schema: Schema) -> Schema:
    """The schema with its constant as its only value, and values that are not empty texts as a note."""
    if "const" in schema:
        schema = {**_without(schema, ("const",)), "enum": [schema["const"]]}
    values = schema.get("enum")
    if values is None:
        return schema
    if None in values:
        schema = {**schema, "nullable": True}
    texts = [value for value in values if isinstance(value, str) and value]
    if len(texts) == len([value for value in values if value is not None]) and texts:
        return {**schema, "type": "string", "enum": texts}
    kinds = {_KINDS[type(value)] for value in values if type(value) in _KINDS}
    schema = {**schema, "type": schema.get("type", next(iter(kinds)) if len(kinds) == 1 else "string")}
    return noted(schema, "enum")


_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _without_unsafe_patterns(schema: Schema) -> Schema:
    return noted(schema, "pattern") if not is_safe_pattern(schema.get("pattern", "")) else schema


def _with_pattern_of_grammars(schema: Schema) -> Schema:
    given = schema.get("pattern")
    if given is None:
        return schema
    made = in_grammar(given) if is_safe_pattern(given) else None
    return noted(schema, "pattern") if made is None else {**schema, "pattern": made}


def _without(schema: Schema, keys: tuple[str, ...]) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}


def _cut(text: str) -> str:
    """A description of at most MAX_DESCRIPTION characters, cut between two words."""
    if len(text) <= MAX_DESCRIPTION:
        return text
    kept = text[: MAX_DESCRIPTION - 1]
    return (kept.rsplit(None, 1)[0] if len(kept.split(None, 1)) > 1 else kept) + "…"


_DIALECTS: dict[Dialect, Callable[[Mapping[str, Any]], Schema]] = {
    Dialect.AS_IS: dict,
    Dialect.OPENAI: openai,
    Dialect.GEMINI: gemini,
    Dialect.MOONSHOT: moonshot,
    Dialect.SELF_HOSTED: self_hosted,
}
