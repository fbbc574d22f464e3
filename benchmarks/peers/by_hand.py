"""The hand-written loop that all others are compared with, as people write it: http.client, one connection a run, and
`json.dumps` of the whole request, with all messages so far, for each step.

A program of this folder has `make(url, with_tool)`, which returns an agent, `run(agent)`, which returns the text of
its answer, and `stream(agent)`, which returns the pieces of text as they came. `at_once(url, count)` returns a function
that does `count` runs at once; the programs without it run in threads. This one imports little: its start is measured.
"""

import http.client
import json

from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up

TYPE_CHECKING = False  # importing `typing` would be a tenth of the start
if TYPE_CHECKING:
    from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Look a topic up.",
        "parameters": {
            "type": "object",
            "properties": {"topic": {"type": "string", "description": "What to look up."}},
            "required": ["topic"],
        },
    },
}


def make(url: str, with_tool: bool = True) -> "dict[str, Any]":
    host, slash, path = url.removeprefix("http://").partition("/")
    return {"host": host, "path": f"{slash}{path}/chat/completions", "tools": [TOOL] if with_tool else []}


def run(agent: "dict[str, Any]") -> str:
    connection = http.client.HTTPConnection(agent["host"])
    messages = first_messages()
    while True:
        message = json.loads(post(connection, agent, messages).read())["choices"][0]["message"]
        messages.append(message)
        for call in message.get("tool_calls") or ():
            result = look_up(**json.loads(call["function"]["arguments"]))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
        if not message.get("tool_calls"):
            connection.close()
            return str(message["content"])


def stream(agent: "dict[str, Any]") -> list[str]:
    connection = http.client.HTTPConnection(agent["host"])
    pieces = []
    for line in post(connection, agent, first_messages(), stream=True):
        if line.startswith(b"data: {"):
            for choice in json.loads(line[6:])["choices"]:
                if piece := choice["delta"].get("content"):
                    pieces.append(piece)
    connection.close()
    return pieces


def first_messages() -> "list[dict[str, Any]]":
    return [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": QUESTION}]


def post(
    connection: http.client.HTTPConnection, agent: "dict[str, Any]", messages: "list[dict[str, Any]]", **more: bool
) -> http.client.HTTPResponse:
    request = {"model": "m", "messages": messages, **more} | ({"tools": agent["tools"]} if agent["tools"] else {})
    headers = {"content-type": "application/json", "authorization": "Bearer x"}
    connection.request("POST", agent["path"], json.dumps(request), headers)
    return connection.getresponse()
