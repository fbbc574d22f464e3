"""The OpenAPI document of the service: FastAPI's, with how callers say who they are."""

from collections.abc import Mapping
from typing import Any

from agentkit.serving.http.gate import is_protected

SCHEMES: Mapping[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a token (JWT)."},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same, as it is."},
}
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def with_security(document: dict[str, Any], needs_key: bool) -> dict[str, Any]:
    """The document with its security schemes, of which one is needed where a path is not public. needs_key: whether
    the service needs one now."""
    paths = {
        path: operations if is_protected(path) else {name: _public(name, each) for name, each in operations.items()}
        for path, operations in document.get("paths", {}).items()
    }
    components = {**document.get("components", {}), "securitySchemes": dict(SCHEMES)}
    security: list[dict[str, Any]] = [*({name: []} for name in SCHEMES), *([] if needs_key else [{}])]
    return {**document, "paths": paths, "components": components, "security": security}


def _public(name: str, operation: Any) -> Any:
    return {**operation, "security": []} if name in METHODS else operation
