"""The arguments of an operation: its parameters and the properties of its body, in one schema."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentkit._text import cut
from agentkit.net.media_type import SAYS_NOTHING
from agentkit.openapi.bodies import FORM, JSON, PARTS, TEXT, Body
from agentkit.openapi.budget import MAX_DESCRIPTION
from agentkit.openapi.credentials import Credentials
from agentkit.openapi.document import Document, UnresolvableError, items, mapping, words
from agentkit.openapi.operations import Operation
from agentkit.openapi.schemas import Schema, SchemaReader
from agentkit.openapi.styles import Parameter
from agentkit.openapi.swagger import body_of, is_form_or_body, name_of, upgraded_parameter

MAX_PARAMETERS, MAX_PATH = 500, 2000
"""Parameters, and characters of the path, of one operation."""
PLACES = ("path", "query", "header", "cookie", "querystring")
NOT_SET = frozenset(
    (
        *("accept", "content-type", "authorization", "host", "content-length", "transfer-encoding", "connection"),
        *("upgrade", "te", "trailer", "expect", "keep-alive", "cookie", "accept-encoding", "content-encoding"),
        *("proxy-authorization", "proxy-connection"),
    )
)
"""Headers that no argument sets: OpenAPI ignores the first three as parameters, the others belong to the request."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_VALID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FILE_NOTE = "a file: its text, or a data: URL with base64"
_DEFAULT_STYLES = {"path": "simple", "header": "simple"}


@dataclass
class Arguments:
    """The arguments of an operation. schema: JSON Schema of an object. parameters, body: how each is sent. properties,
    required, more, definitions: the parts of the schema. defaults: what is sent for those that have to be sent, and may
    be left out all the same. counts: how often a name was numbered."""

    parameters: list[Parameter] = field(default_factory=list)
    body: Body | None = None
    properties: dict[str, Schema] = field(default_factory=dict)
    required: list[str] = field(default_factory=list)
    defaults: dict[str, Any] = field(default_factory=dict)
    more: bool | Schema = False
    definitions: dict[str, Schema] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def schema(self) -> Schema:
        """JSON Schema of an object."""
        made: Schema = {"type": "object", "properties": self.properties}
        if self.required:
            made["required"] = self.required
        made["additionalProperties"] = self.more
        if self.definitions:
            made["$defs"] = self.definitions
        return made

    def add(self, wanted: str, prefix: str, schema: Schema, required: bool) -> str:
        """Add an argument; returns its name: the wanted one, behind the prefix where that is taken."""
        name = _valid(wanted)
        if name in self.properties:
            name = _valid(f"{prefix}_{wanted}")
        base = name
        while name in self.properties:
            self.counts[base] += 1
            end = f"_{self.counts[base] + 1}"
            name = base[: 64 - len(end)] + end
        self.properties[name] = schema
        if required and schema.get("default") is not None:
            self.defaults[name] = schema["default"]
        elif required:
            self.required.append(name)
        return name


def arguments_of(operation: Operation, document: Document, credentials: Credentials) -> Arguments:
    """The arguments of an operation. Raises UnresolvableError for a reference that leads nowhere."""
    document = document.of_operation(operation.source)
    reader, made = SchemaReader(document), Arguments()
    declared = _declared(operation, document)
    if len(declared) > MAX_PARAMETERS or len(operation.path) > MAX_PATH:
        raise UnresolvableError(f"it has more than {MAX_PARAMETERS} parameters, or {MAX_PATH:,} characters in its path")
    for parameter in declared:
        if not is_form_or_body(parameter):
            _add_parameter(made, parameter, operation, reader, document, credentials)
    for name in re.findall(r"\{([^{}]{1,200})\}", operation.path):
        if not any(each.place == "path" and each.name == name for each in made.parameters):
            argument = made.add(name, "path", {"type": "string"}, True)
            made.parameters.append(Parameter(argument, name, "path", "simple", False))
    if document.is_swagger:
        body: Any = body_of(declared, operation.source, document)
    else:
        body = document.followed(operation.source.get("requestBody"))[0]
    _add_body(made, mapping(body), reader)
    made.definitions = reader.finish()
    return made


def _declared(operation: Operation, document: Document) -> list[Mapping[str, Any]]:
    """The parameters of the path and of the operation, which replaces those of the same name and place."""
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for each in (*items(operation.item.get("parameters")), *items(operation.source.get("parameters"))):
        parameter = document.followed(each)[0]
        if isinstance(parameter, Mapping):
            found[words(parameter.get("in")), name_of(parameter)] = parameter
    return list(found.values())


def _add_parameter(
    made: Arguments,
    given: Mapping[str, Any],
    operation: Operation,
    reader: SchemaReader,
    document: Document,
    credentials: Credentials,
) -> None:
    place, name = words(given.get("in")), given.get("name")
    if place not in PLACES or not isinstance(name, str) or not name:
        return
    if credentials.hides(place, name) or (place == "path" and f"{{{name}}}" not in operation.path):
        return
    if place in ("header", "cookie") and not _TOKEN.fullmatch(name):
        raise UnresolvableError(f"its parameter {cut(name, 80)!r} is no name of a {place}")
    if place == "header" and name.lower() in NOT_SET:
        return
    is_old = document.is_swagger or ("type" in given and not given.keys() & {"schema", "content"})  # a mixture of both
    parameter = upgraded_parameter(given) if is_old else given
    content_type, media = next(iter(mapping(parameter.get("content")).items()), ("", {}))
    source = mapping(document.followed(media)[0]).get("schema") if content_type else parameter.get("schema")
    schema = reader.read(source if isinstance(source, Mapping) else {"type": "string"})
    required = parameter.get("required") is True or place == "path"
    argument = made.add(name, place, schema, required)
    _describe(schema, parameter, "" if argument in (name, f"{place}_{name}") else f"sent as {cut(name, 100)}")
    style = words(parameter.get("style")) or _DEFAULT_STYLES.get(place, "form")
    explode = parameter.get("explode")
    made.parameters.append(
        Parameter(
            argument,
            name,
            place,
            style,
            explode if isinstance(explode, bool) else style == "form",
            parameter.get("allowReserved") is True and place != "cookie",  # ";" would begin another cookie
            bool(content_type) and "json" in str(content_type),
        )
    )


def _describe(schema: Schema, given: Mapping[str, Any], note: str = "") -> None:
    """Add what stands beside a schema to its description."""
    parts = [words(given.get("description")) or schema.get("description", "")]
    parts += ["(deprecated)"] if given.get("deprecated") is True else []
    parts += [f"({note})"] if note else []
    text = cut(" ".join(each for each in parts if each), MAX_DESCRIPTION)
    if text:
        schema["description"] = text


def _add_body(made: Arguments, body: Mapping[str, Any], reader: SchemaReader) -> None:
    content = {str(kind): mapping(media) for kind, media in mapping(body.get("content")).items()}
    if not content:
        return
    content_type, media = min(content.items(), key=lambda each: _rank(each[0]))
    kind = kind_of(content_type)
    source = media.get("schema", {})
    root = reader.root(source)
    content_type = _sent_type(content_type, kind)
    required = body.get("required") is True
    if kind != TEXT and _has_fields(root):
        _add_fields(made, root, media, content_type, kind, required, reader)
        return
    if kind == TEXT:
        schema: Schema = {"type": "string"}
        _describe(schema, body, f"as {content_type}" + ("" if content_type.startswith("text/") else f"; {_FILE_NOTE}"))
    else:
        schema = reader.read(source)
        _describe(schema, body)
    name = made.add("body", "request", schema, required)
    made.body = Body(content_type, kind, whole=name, required=required)


def _has_fields(root: Mapping[str, Any]) -> bool:
    """Whether the properties of a body can be arguments themselves."""
    is_object = root.get("type", "object") == "object" or root.get("type") == ["object", "null"]
    has_choice = bool(items(root.get("oneOf")) or items(root.get("anyOf")) or items(root.get("allOf")))
    return is_object and bool(mapping(root.get("properties"))) and not has_choice


def _add_fields(
    made: Arguments,
    root: Mapping[str, Any],
    media: Mapping[str, Any],
    content_type: str,
    kind: str,
    required: bool,
    reader: SchemaReader,
) -> None:
    whole = reader.read({key: value for key, value in root.items() if key != "nullable"})
    needed = set(whole.get("required", ())) if required else set()
    encodings = mapping(media.get("encoding"))
    fields: dict[str, str] = {}
    files: set[str] = set()
    for name, schema in whole.get("properties", {}).items():
        if kind == PARTS and _is_file(mapping(mapping(root.get("properties")).get(name)), schema):
            files.add(name)
            schema.pop("format", None)
            _describe(schema, {}, _FILE_NOTE)
        fields[made.add(name, "body", schema, name in needed)] = name
    more = root.get("additionalProperties")
    takes_more = more is True or isinstance(more, Mapping) or reader.is_cut
    if takes_more:
        made.more = whole.get("additionalProperties") or True
    styles = {name: style for name, each in encodings.items() if kind == FORM and (style := _style(str(name), each))}
    types = {str(name): words(mapping(each).get("contentType")).partition(",")[0] for name, each in encodings.items()}
    types |= {name: each for name in files if not types.get(name) and (each := _media_type_in(root, name))}
    types = {name: each for name, each in types.items() if each and "*" not in each and _is_header(each)}
    made.body = Body(content_type, kind, "", fields, takes_more, required, frozenset(files), styles, types)


def _media_type_in(root: Mapping[str, Any], name: str) -> str:
    """The media type of a file, where its schema names one that says something."""
    source = mapping(mapping(root.get("properties")).get(name))
    named = words(source.get("contentMediaType")) or words(mapping(source.get("items")).get("contentMediaType"))
    return "" if named in SAYS_NOTHING else named


def _is_file(source: Mapping[str, Any], schema: Schema) -> bool:
    inner = mapping(schema.get("items")) if schema.get("type") == "array" else schema
    is_binary = inner.get("format") == "binary" or "contentMediaType" in source
    return is_binary and "contentEncoding" not in source


def _style(name: str, encoding: Any) -> Parameter | None:
    """How a field of a form is written, where that is said."""
    given = mapping(encoding)
    if not any(key in given for key in ("style", "explode", "allowReserved")):
        return None
    style, explode = words(given.get("style")) or "form", given.get("explode")
    explode = explode if isinstance(explode, bool) else style == "form"
    return Parameter(name, name, "query", style, explode, given.get("allowReserved") is True)


def kind_of(content_type: str) -> str:
    """How bodies of a content type are made."""
    name = content_type.partition(";")[0].strip().lower()
    if name.endswith(("/json", "+json")) or name in ("*/*", "application/*", ""):
        return JSON
    if name == "application/x-www-form-urlencoded":
        return FORM
    return PARTS if name == "multipart/form-data" else TEXT


def _rank(content_type: str) -> tuple[int, int]:
    name = content_type.partition(";")[0].strip().lower()
    exact = (JSON, FORM, PARTS, TEXT).index(kind_of(content_type))
    return exact, ("application/json", name).index(name) if exact == 0 else 0


def _sent_type(content_type: str, kind: str) -> str:
    """A content type as it is sent: a concrete one, that a header can have."""
    if kind == JSON and ("*" in content_type or not _is_header(content_type)):
        return "application/json"
    if "*" in content_type or not _is_header(content_type):
        return "text/plain" if content_type.startswith("text/") else "application/octet-stream"
    return content_type.strip()


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) <= 200 and bool(text.strip())


def _valid(name: str) -> str:
    """A name that model servers take for an argument: letters, digits, "_", "." and "-", up to 64."""
    if _VALID.fullmatch(name):
        return name
    return re.sub(r"_+", "_", re.sub(r"[^A-Za-z0-9_.-]", "_", name[:1000])).strip("_")[:64] or "value"
