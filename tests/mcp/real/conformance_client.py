"""The client that the official conformance kit runs: it lists and calls what the scenario's server offers.

python conformance_client.py URL      with MCP_CONFORMANCE_SCENARIO, and MCP_CONFORMANCE_CONTEXT where it has one
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import requests

from agentkit.mcp.client import Client
from agentkit.mcp.errors import MCPError
from agentkit.mcp.http import Http
from agentkit.mcp.oauth import OAuth
from agentkit.mcp.oauth.store import Store
from agentkit.mcp.param_headers import param_headers, problem
from agentkit.mcp.questions import Question

ARGUMENTS = {"integer": 5, "number": 5, "string": "text", "boolean": True, "object": {}, "array": []}


def main() -> None:
    scenario, url = os.environ.get("MCP_CONFORMANCE_SCENARIO", ""), sys.argv[-1]
    auth = oauth() if scenario.startswith("auth/") else None
    with Client(lambda heard: Http(url, heard, auth=auth), "conformance", 15, ask=defaults) as client:
        run = SCENARIOS.get(scenario, call_all)
        run(client)


class Robot:
    """Agrees at once, as a person with a browser would."""

    redirect_uri = "http://127.0.0.1:8765/callback"

    def __call__(self, url: str) -> str:
        return str(requests.get(url, allow_redirects=False, timeout=10).headers["Location"])


def oauth() -> OAuth:
    given = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
    known = {name: given[name] for name in ("client_id", "client_secret", "issuer") if name in given}
    return OAuth(Robot(), client_url="https://conformance-test.local/client-metadata.json", store=Store(None), **known)


def defaults(question: Question) -> Mapping[str, Any]:
    """The answers that a form proposes."""
    properties = (question.schema or {}).get("properties", {})
    return {name: each["default"] for name, each in properties.items() if "default" in each}


def tools_of(client: Client) -> list[dict[str, Any]]:
    """The tools whose definitions keep the rules."""
    return [each for each in client.list_all("tools/list", "tools").items if not problem(each)]


def called(client: Client, tool: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
    try:
        print(client.call_tool(tool["name"], arguments, headers=param_headers(tool, arguments)))
    except MCPError as error:
        print(error)


def call_all(client: Client) -> None:
    """Call each tool, with a value for each required argument."""
    for tool in tools_of(client):
        called(client, tool, filled(tool["inputSchema"]))


def filled(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties", {})
    return {name: ARGUMENTS.get(properties[name].get("type"), "text") for name in schema.get("required", ())}


def call_as_told(client: Client) -> None:
    """Make the calls that the kit asks for."""
    context = json.loads(os.environ["MCP_CONFORMANCE_CONTEXT"])
    tools = {each["name"]: each for each in tools_of(client)}
    for each in context["toolCalls"]:
        called(client, tools[each["name"]], each["arguments"])


def use_everything(client: Client) -> None:
    """List tools, resources and prompts, and use each."""
    call_all(client)
    for each in client.list_all("resources/list", "resources").items:
        client.request("resources/read", {"uri": each["uri"]})
    for each in client.list_all("prompts/list", "prompts").items:
        client.request("prompts/get", {"name": each["name"]})


def only_list(client: Client) -> None:
    print([each["name"] for each in tools_of(client)])


def echo_schema(client: Client) -> None:
    """Send the schema of the first tool back through the second."""
    focal, echo = tools_of(client)
    called(client, echo, {"schema": focal["inputSchema"]})


SCENARIOS: dict[str, Callable[[Client], None]] = {
    "initialize": only_list,
    "json-schema-ref-no-deref": only_list,
    "http-custom-headers": call_as_told,
    "http-standard-headers": use_everything,
    "json-schema-2020-12-preservation": echo_schema,
}

if __name__ == "__main__":
    main()
