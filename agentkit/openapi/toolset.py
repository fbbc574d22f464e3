"""The tools of an HTTP API (docs/openapi.md)."""

import re
import threading
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from agentkit._lazy.logs import logger_of
from agentkit._text import cut
from agentkit.errors import ConfigurationError, ToolDefinitionError
from agentkit.openapi.arguments import Arguments, arguments_of
from agentkit.openapi.calls import Api, ApiTool, Call
from agentkit.openapi.choosing import Only, chosen
from agentkit.openapi.credentials import Auth, credentials_of, security_of
from agentkit.openapi.document import Document, UnresolvableError, mapping
from agentkit.openapi.operations import Operation, operations_of
from agentkit.openapi.servers import base_url_of, server_of
from agentkit.openapi.source import Source, read_document
from agentkit.tooling.schema_dialects import MAX_DESCRIPTION
from agentkit.tools import Tool

logger = logger_of("agentkit")

MAX_WARNINGS = 20
"""Operations that are named when they are left out, each in a warning of its own."""


def openapi(
    spec: Source,
    base_url: str | None = None,
    only: Only = None,
    auth: Auth | None = None,
    timeout: float = 60.0,
    prefix: str = "",
    slashes_in_path: bool = False,
) -> list[Tool[..., Any]]:
    """The operations of an HTTP API as tools, from its OpenAPI description (3.0 to 3.2, or Swagger 2.0).

    spec: the description as a dict, as text (JSON; YAML where PyYAML is installed), as the path of a file, or as its
    http(s) address. base_url: the address before the paths, where the description does not name the server, or another.
    Only its host is called. only: which operations: names of tools, operation ids, tags, or "GET /pets/*", with * and
    ?, one or a list; or a function of an `Operation`. auth: a bearer token; (user, password); keys by the names of the
    description's security schemes; or a `requests.auth.AuthBase`. timeout: seconds of a call. prefix:
    what the names of the tools begin with, for two APIs that have operations of the same name. slashes_in_path: whether
    a value in a path may have "/" in it, which is sent as %2F: most servers decode it before they look which path is
    meant, so that the model could call other operations; GitLab's, whose ids are such as "group/project", doesn't.

    GET and HEAD are read-only; all others are calls with an effect, and are sent once. An operation that can't be
    described is left out, with a warning.

    Raises ConfigurationError for what is no description, for a server that is not known, for what `only` or `auth`
    names and there is not; FetchError when the address of the description can't be fetched; DependencyError for YAML
    without PyYAML.
    """
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise ConfigurationError(f"timeout={timeout!r} must be a number of seconds above 0")
    timeout = min(timeout, threading.TIMEOUT_MAX)
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,32}", prefix):
        raise ConfigurationError(f"prefix={cut(str(prefix), 80)!r} must be up to 32 letters, digits, '_' and '-'")
    document = read_document(spec)
    credentials = credentials_of(auth, document)
    wanted = chosen(operations_of(document, prefix), only, document.origin)
    if not wanted:
        logger.warning("openapi: %s has no operation that was asked for", document.origin)
        return []
    base = base_url_of(base_url, document)
    is_trusted = base_url is not None or _is_of_the_user(base, document)
    api = Api(base, credentials, timeout, is_trusted, slashes_in_path)
    tools: list[Tool[..., Any]] = []
    left_out: list[str] = []
    for operation in wanted:
        try:
            tools.append(_tool(operation, document, api, base_url is not None))
        except (UnresolvableError, ToolDefinitionError) as error:
            left_out.append(f"{operation.name} ({operation}): {error}")
    _warn(left_out, document)
    return tools


def _is_of_the_user(base: str, document: Document) -> bool:
    """Whether the user named the host of the API: in a description of its own, or by the address of it."""
    return not document.given or urlsplit(base).hostname == urlsplit(document.given).hostname


def _tool(operation: Operation, document: Document, api: Api, is_given: bool) -> Tool[..., Any]:
    if operation.problem:
        raise UnresolvableError(operation.problem)
    own = api.base_url if is_given else server_of(operation.source, operation.item, api.base_url, document)
    arguments = arguments_of(operation, document, api.credentials)
    context = "agentkit_context"
    while context in arguments.properties:
        context += "_"
    call = Call(
        api if own == api.base_url else replace(api, base_url=own),
        operation.name,
        operation.method,
        operation.path,
        tuple(arguments.parameters),
        arguments.body,
        security_of(operation.source, document),
        context,
        not operation.read_only,
        _accepted(operation, document),
        arguments.defaults,
    )
    description = _description(operation, arguments)
    return ApiTool(operation.name, description, arguments.schema, call, context=context, read_only=operation.read_only)


def _description(operation: Operation, arguments: Arguments) -> str:
    """What the model reads of an operation: its summary and its description."""
    summary, text = operation.summary, operation.description
    if text.startswith(summary):
        summary = ""
    elif summary and text and not summary.endswith((".", "!", "?", ":")):
        summary += "."
    said = " ".join(each for each in (summary, text) if each) or f"{operation.method} {operation.path}"
    whole = f"(deprecated) {said}" if operation.deprecated else said
    return whole if len(whole) <= MAX_DESCRIPTION else cut(whole, MAX_DESCRIPTION - 1)


def _accepted(operation: Operation, document: Document) -> str:
    """The Accept header: JSON where there is any."""
    types: list[str] = []
    for response in mapping(operation.source.get("responses")).values():
        try:
            types += map(str, mapping(mapping(document.followed(response)[0]).get("content")))
        except UnresolvableError:
            continue
    other = next((each for each in types if "json" not in each), None)
    is_other = other is not None and not any("json" in each for each in types)
    known = other is not None and other.isascii() and other.isprintable() and len(other) < 100
    return f"{other}, */*;q=0.5" if is_other and known else "application/json, */*;q=0.5"


def _warn(left_out: list[str], document: Document) -> None:
    for each in left_out[:MAX_WARNINGS]:
        logger.warning("openapi: %s is left out: %s", document.origin, each)
    if len(left_out) > MAX_WARNINGS:
        logger.warning("openapi: %s: %d more operations are left out", document.origin, len(left_out) - MAX_WARNINGS)
