"""Swagger 2.0 in the words of OpenAPI 3: the parameters, bodies and addresses that it writes differently."""

from collections.abc import Mapping
from typing import Any

from agentkit.openapi.document import Document, items, mapping, words

_FORMATS = {
    "csv": ("form", False),
    "ssv": ("spaceDelimited", False),
    "pipes": ("pipeDelimited", False),
    "tsv": ("tabDelimited", False),
    "multi": ("form", True),
}
_BESIDE = ("name", "in", "description", "required", "collectionFormat", "allowEmptyValue")
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def upgraded_parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter of Swagger 2.0, whose schema is written into it, as one of OpenAPI 3."""
    made = {key: parameter[key] for key in ("name", "in", "description", "required") if key in parameter}
    style, explode = _FORMATS.get(words(parameter.get("collectionFormat")), _FORMATS["csv"])
    if parameter.get("in") in ("path", "header"):
        style = "simple"
    return {**made, "style": style, "explode": explode, "schema": _schema(parameter)}


def _schema(parameter: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameter.items() if key not in _BESIDE}


def body_of(parameters: list[Mapping[str, Any]], operation: Mapping[str, Any], document: Document) -> dict[str, Any]:
    """The request body that parameters in "body" or in "formData" stand for; {} for none."""
    consumed = operation.get("consumes", document.root.get("consumes"))
    types = [each for each in items(consumed) if isinstance(each, str)]
    body = next((each for each in parameters if each.get("in") == "body"), None)
    if body is not None:
        content = {kind: {"schema": body.get("schema", {})} for kind in types or ["application/json"]}
        description = body.get("description", "")
        return {"content": content, "required": body.get("required") is True, "description": description}
    fields = [each for each in parameters if each.get("in") == "formData"]
    return _form(fields, types) if fields else {}


def _form(fields: list[Mapping[str, Any]], types: list[str]) -> dict[str, Any]:
    has_file = any(each.get("type") == "file" for each in fields)
    kind = next((each for each in types if each in _FORMS), _FORMS[0] if has_file else _FORMS[1])
    if has_file:
        kind = _FORMS[0]
    properties: dict[str, Any] = {}
    encoding: dict[str, Any] = {}
    for each in fields:
        name = name_of(each)
        described = {"description": each["description"]} if "description" in each else {}
        properties[name] = {**_schema(each), **described}
        if each.get("type") == "file":
            properties[name] |= {"type": "string", "format": "binary"}
        elif each.get("type") == "array" and kind == _FORMS[1]:
            style, explode = _FORMATS.get(words(each.get("collectionFormat")), _FORMATS["csv"])
            encoding[name] = {"style": style, "explode": explode}
    required = [name_of(each) for each in fields if each.get("required") is True]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"content": {kind: {"schema": schema, "encoding": encoding}}, "required": bool(required)}


def servers_of(document: Document) -> list[dict[str, Any]]:
    """The `servers` that host, basePath and schemes stand for."""
    root = document.root
    host, path = words(root.get("host")), words(root.get("basePath"))
    if not host:
        return [{"url": path or "/"}] if path or document.url else []
    schemes = [each for each in items(root.get("schemes")) if each in ("https", "http")]
    scheme = "https" if "https" in schemes else schemes[0] if schemes else document.url.partition(":")[0] or "https"
    return [{"url": f"{scheme}://{host}{path}"}]


def name_of(parameter: Mapping[str, Any]) -> str:
    """The name of a parameter, "" for one that is no text and no number."""
    name = parameter.get("name")
    return str(name) if isinstance(name, str | int | float) else ""


def is_form_or_body(parameter: Mapping[str, Any]) -> bool:
    """Whether a parameter is a part of the body."""
    return mapping(parameter).get("in") in ("body", "formData")
