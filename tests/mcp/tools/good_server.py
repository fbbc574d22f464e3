"""A well-behaved MCP server over stdio, written as plain JSON-RPC, whose tools stand in a file that a test may change.

    python good_server.py PLAN.json [legacy|modern]

PLAN.json: {"tools": [...], "results": {name: result}, "resources": [...], "contents": {uri: result}, "ttlMs": 0,
"page": 2, "declares": {...}}. A result {"error": {...}} is an error of JSON-RPC. One with "progress": [...] sends these
first; one with "changes": {...} changes the plan and says that the tools have changed; one with "ask": {...} asks a
question, and answers with the answer; one with "waits": a path ends when that file exists; "dies": the server ends. A
tool without a result returns its arguments as JSON.
"Log" of the plan: a file to which each request is written, a line of JSON.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

PLAN, ERA = Path(sys.argv[1]), (sys.argv[2:] or ["legacy"])[0]
MODERN, LEGACY = "2026-07-28", "2025-11-25"


def plan() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(PLAN.read_text("utf-8"))
    return read


def send(message: dict[str, Any]) -> None:
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def log(message: dict[str, Any]) -> None:
    if "log" in plan():
        with open(plan()["log"], "a", encoding="utf-8") as file:
            print(json.dumps(message), file=file)


def described() -> dict[str, Any]:
    made: dict[str, Any] = {"tools": {"listChanged": True}, **plan().get("declares", {})}
    return made | ({"resources": {}} if "resources" in plan() else {})


def begun(params: dict[str, Any]) -> dict[str, Any]:
    about = {"name": "good", "version": "1"}
    if ERA == "legacy":
        return {"protocolVersion": params["protocolVersion"], "capabilities": described(), "serverInfo": about}
    return {"supportedVersions": [MODERN], "capabilities": described(), "resultType": "complete"}


def page_of(key: str, params: dict[str, Any]) -> dict[str, Any]:
    items, size = plan().get(key, []), plan().get("page", 1_000_000)
    if not isinstance(items, list):
        return {key: items}
    start = int(params.get("cursor", 0))
    more = {"nextCursor": str(start + size)} if start + size < len(items) else {}
    more |= {"ttlMs": plan()["ttlMs"]} if "ttlMs" in plan() else {}
    return {key: items[start : start + size], **more}


def called(params: dict[str, Any]) -> dict[str, Any]:
    name, arguments = params["name"], params.get("arguments")
    known = {each.get("name") for each in plan()["tools"]}
    if name not in known:
        return {"error": {"code": -32602, "message": f"Unknown tool: {name}"}}
    result = dict(plan().get("results", {}).get(name) or {"content": [{"type": "text", "text": json.dumps(arguments)}]})
    for text in result.pop("progress", []):
        about = {"progressToken": params["_meta"]["progressToken"], "progress": 1, "message": text}
        send({"method": "notifications/progress", "params": about})
    if "changes" in result:
        PLAN.write_text(json.dumps({**plan(), **result.pop("changes")}), "utf-8")
        send({"method": "notifications/tools/list_changed"})
    if result.get("dies"):
        os._exit(3)
    if "waits" in result:
        while not Path(result["waits"]).exists():
            time.sleep(0.01)
    return {"content": [], **result} if "error" not in result else result


def asked(number: Any, params: dict[str, Any], question: dict[str, Any]) -> dict[str, Any] | None:
    """The answer to a question, in the way of the era; None where the client has to send the call again."""
    if ERA == "legacy":
        send({"id": "q", "method": "elicitation/create", "params": question})
        return dict(json.loads(sys.stdin.readline())["result"])
    if "inputResponses" in params:
        return dict(params["inputResponses"]["q"])
    requests = {"q": {"method": "elicitation/create", "params": question}}
    send({"id": number, "result": {"resultType": "input_required", "inputRequests": requests, "requestState": "s"}})
    return None


def answer(message: dict[str, Any]) -> dict[str, Any] | None:
    method, params = message["method"], message.get("params", {})
    if method == ("initialize" if ERA == "legacy" else "server/discover"):
        return begun(params)
    if method == "tools/list":
        return page_of("tools", params)
    if method in ("resources/list", "resources/templates/list"):
        return page_of("resources" if method == "resources/list" else "resourceTemplates", params)
    if method == "resources/read":
        found = plan().get("contents", {}).get(params["uri"])
        return found or {"error": {"code": -32002, "message": "Resource not found", "data": {"uri": params["uri"]}}}
    if method == "tools/call":
        question = (plan().get("results", {}).get(params["name"]) or {}).get("ask")
        if question is not None:
            given = asked(message["id"], params, question)
            return given and {"content": [{"type": "text", "text": json.dumps(given)}]}
        return called(params)
    return {"error": {"code": -32601, "message": f"Method not found: {method}"}}


def main() -> None:
    log({"started": os.getpid()})
    for line in sys.stdin:
        message = json.loads(line)
        log(message)
        if "id" not in message or "method" not in message:
            continue
        result = answer(message)
        if result is None:
            continue
        if ERA == "modern" and "error" not in result:
            result.setdefault("resultType", "complete")
        send({"id": message["id"], **(result if "error" in result else {"result": result})})


if __name__ == "__main__":
    main()
