"""Tools of an HTTP API, from its OpenAPI description (docs/openapi.md)."""

from agentkit.openapi.operations import Operation as Operation
from agentkit.openapi.toolset import openapi as openapi
