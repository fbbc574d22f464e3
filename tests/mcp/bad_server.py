"""An MCP server over stdio that does what servers should not do: each fault is a tool, and some are options.

    python -ISX utf8 bad_server.py [--era VERSION] [--start FAULT] [--ignore eof,term] [--note FILE]

--era: "modern", or the version of "initialize" that it answers. --start: a fault at the first request. --note: a file
to which it appends a word at each start and each call.
"""

import json
import os
import signal
import sys
import threading
import time
from typing import Any

MODERN = "2026-07-28"
OUT = threading.Lock()


def write(data: bytes) -> None:
    with OUT:
        view = memoryview(data)
        while view:
            view = view[os.write(1, view) :]


def say(message: object) -> None:
    write(json.dumps(message).encode() + b"\n")


def text(words: str) -> Any:
    return {"content": [{"type": "text", "text": words}], "resultType": "complete"}


class Server:
    def __init__(self, options: dict[str, str]) -> None:
        self.options = options
        self.cancelled: list[Any] = []
        self.answers: dict[str, Any] = {}
        self.has_answer = threading.Condition()
        self.initialized = False
        self.listening: object = None
        self.stuck = False
        self.asked = 0

    # the protocol

    def serve(self) -> None:
        while line := sys.stdin.buffer.readline():
            try:
                message = json.loads(line)
            except ValueError:
                say({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})
                continue
            if "method" not in message:
                with self.has_answer:
                    self.answers[message["id"]] = message
                    self.has_answer.notify_all()
            elif message["method"] == "notifications/cancelled":
                self.cancelled.append(message["params"]["requestId"])
                self.note("cancelled")
            elif message["method"] == "notifications/initialized":
                self.initialized = True
            elif "id" in message:
                name = message.get("params", {}).get("name")
                if name == "closes_input":
                    os.close(0)  # in the thread that reads: else it would read one more line
                threading.Thread(target=self.take, args=(message,), daemon=True).start()
                if name in ("no_read", "closes_input"):
                    time.sleep(3600)

    def note(self, word: str) -> None:
        if self.options["note"]:
            with open(self.options["note"], "a") as file:
                file.write(word + "\n")

    def take(self, message: Any) -> None:
        id, method, params = message["id"], message["method"], message.get("params", {})
        start = self.options["start"]
        if start:
            if method == "server/discover" or start != "die_at_discover":
                getattr(self, "start_" + start)(id, method)
            if start in ("die_at_discover", "silent_at_discover") and method == "server/discover":
                return
        try:
            result = self.answer(id, method, params)
        except LookupError as error:
            say({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": f"Method not found: {error}"}})
            return
        if result is not None:
            say({"jsonrpc": "2.0", "id": id, "result": result})

    def answer(self, id: Any, method: str, params: Any) -> Any:
        is_modern = self.options["era"] == "modern"
        info = {"name": "bad-server", "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        if method == "server/discover" and is_modern:
            return {
                "supportedVersions": [MODERN],
                "capabilities": capabilities,
                "instructions": "Be careful.",
                "_meta": {"io.modelcontextprotocol/serverInfo": info},
            }
        if method == "initialize" and not is_modern:
            return {
                "protocolVersion": self.options["era"],
                "capabilities": capabilities,
                "serverInfo": info,
                "instructions": "Be careful.",
            }
        if is_modern and "io.modelcontextprotocol/protocolVersion" not in params.get("_meta", {}):
            raise LookupError("no version")
        if method == "tools/list":
            return self.tools(params.get("cursor"))
        if method == "subscriptions/listen":
            self.listening = id
            return None
        if method == "tools/call":
            self.note(params["name"])
            return getattr(self, "tool_" + params["name"])(id, params)
        raise LookupError(method)

    def tools(self, cursor: object) -> Any:
        pages = {"none": ([], None), "repeats": ([{"name": "a"}], "x"), "endless": ([{"name": "a"}], str(time.time()))}
        if self.options["list"] == "slow":
            time.sleep(0.1)
            return {"tools": [], "nextCursor": str(time.time())}
        if self.options["list"] in pages:
            tools, following = pages[self.options["list"]]
        else:
            number = int(str(cursor or 0))
            tools, following = [{"name": f"t{number}"}], str(number + 1) if number < 2 else None
        return {"tools": tools, "ttlMs": 5000 - 1000 * len(str(cursor or "")), "nextCursor": following}

    def ask_client(self, method: str, params: Any, seconds: float = 20.0) -> Any:
        self.asked += 1
        id = f"question-{self.asked}"
        say({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        with self.has_answer:
            self.has_answer.wait_for(lambda: id in self.answers, seconds)
            return self.answers.get(id, {"result": "nothing"})

    # faults at the start

    def start_die_at_discover(self, id: Any, method: str) -> None:
        os._exit(1)

    def start_silent_at_discover(self, id: Any, method: str) -> None:
        return

    def start_stuck_at_discover(self, id: Any, method: str) -> None:
        if method == "server/discover":
            self.stuck = True
        while self.stuck:
            time.sleep(3600)

    def start_die(self, id: Any, method: str) -> None:
        os.write(2, b"Error: the database is locked\n")
        os._exit(7)

    def start_hang(self, id: Any, method: str) -> None:
        time.sleep(3600)

    def start_downloads(self, id: Any, method: str) -> None:
        for _ in range(12 if method == "initialize" else 0):
            os.write(2, b"Downloading ...\n")
            time.sleep(0.25)

    def start_ping(self, id: Any, method: str) -> None:
        self.ask_client("ping", {})

    # tools

    def tool_echo(self, id: Any, params: Any) -> Any:
        return text(json.dumps(params.get("arguments", {})))

    def tool_meta(self, id: Any, params: Any) -> Any:
        return text(json.dumps(params.get("_meta", {})))

    def tool_environment(self, id: Any, params: Any) -> Any:
        return text(json.dumps(dict(os.environ)))

    def tool_cwd(self, id: Any, params: Any) -> Any:
        return text(os.getcwd())

    def tool_pid(self, id: Any, params: Any) -> Any:
        return text(str(os.getpid()))

    def tool_slow(self, id: Any, params: Any) -> Any:
        time.sleep(params["arguments"].get("seconds", 0.05))
        return text("done")

    def tool_fails(self, id: Any, params: Any) -> Any:
        return {**text("the disk is full"), "isError": True}

    def tool_error(self, id: Any, params: Any) -> None:
        say({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "no such page", "data": {"page": 3}}})

    def tool_die(self, id: Any, params: Any) -> None:
        os.write(2, b"Traceback (most recent call last):\nMemoryError: out of pages\n")
        os._exit(3)

    def tool_die_once(self, id: Any, params: Any) -> Any:
        with open(self.options["note"]) as file:
            if file.read().count("die_once") == 1:
                os._exit(3)
        return text("alive")

    def tool_killed(self, id: Any, params: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def tool_hang(self, id: Any, params: Any) -> None:
        return

    def tool_no_read(self, id: Any, params: Any) -> None:
        return

    def tool_half_line(self, id: Any, params: Any) -> None:
        write(b'{"jsonrpc": "2.0", "id": %d, "result": {"content": [{"type": "te' % id)
        os._exit(0)

    def tool_half_line_and_silence(self, id: Any, params: Any) -> None:
        with OUT:
            os.write(1, b'{"jsonrpc": "2.0", "id": %d, "result": {"content": [{"type": "te' % id)
            time.sleep(params.get("arguments", {}).get("seconds", 3600))
            os.write(1, b"\n")

    def tool_garbage(self, id: Any, params: Any) -> Any:
        write(
            b'\x00\xff\xfe{{{\n[1, 2\n"text"\n12\nnull\n[]\n[[[[]]]]\n{}\n'
            + b"[" * 100_000
            + b"\n"
            + b"x" * 300_000
            + b"\n"
        )
        write(b'{"jsonrpc": "2.0", "method": 5}\n{"method": "notifications/progress", "params": []}\n')
        write(b'{"id": [1], "result": {}}\n{"id": {}, "result": {}}\n{"id": true, "result": {}}\n')
        return text("after the garbage")

    def tool_log_lines(self, id: Any, params: Any) -> Any:
        write(b"INFO: 12:00:01 starting the call\r\n\r\n" * 1000)
        say({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}})
        return text("after the log")

    def tool_log_objects(self, id: Any, params: Any) -> Any:
        line: Any
        for line in ({"level": "warn", "error": "timeout"}, {"error": {"code": 1}}, {"id": None, "result": {}}):
            say(line)
        say({"jsonrpc": "2.0", "id": None, "error": "none"})
        say({"jsonrpc": "2.0", "error": {"code": 1, "message": "it has no id"}})
        return text("after the log")

    def tool_odd_progress(self, id: Any, params: Any) -> Any:
        token = params["_meta"]["progressToken"]
        number: Any
        for number in (10**400, -(10**400), float("inf"), float("nan"), [], None, "x" * 1000):
            note = {"progressToken": token, "progress": number, "total": number, "message": number}
            say({"jsonrpc": "2.0", "method": "notifications/progress", "params": note})
        return text("after the progress")

    def tool_not_utf8(self, id: Any, params: Any) -> None:
        write(b'{"jsonrpc": "2.0", "id": %d, "result": {"content": [{"type": "text", "text": "caf\xe9"}]}}\n' % id)

    def tool_bom(self, id: Any, params: Any) -> None:
        write(b'\xef\xbb\xbf{"jsonrpc": "2.0", "id": %d, "result": {"content": []}}\r\n' % id)

    def tool_prompt(self, id: Any, params: Any) -> None:
        write(
            b"Server {ready}> "
            + json.dumps({"jsonrpc": "2.0", "id": id, "result": text("after a prompt")}).encode()
            + b"\n"
        )

    def tool_notice(self, id: Any, params: Any) -> None:
        answer = json.dumps({"jsonrpc": "2.0", "id": id, "result": text("before a notice")}).encode()
        write(b'[debug] got {"jsonrpc": "2.0", "id": %d, "method": "ping"}\n' % id + answer + b" npm notice\n")

    def tool_joined(self, id: Any, params: Any) -> None:
        note = json.dumps({"jsonrpc": "2.0", "method": "notifications/message", "params": {}}).encode()
        write(note + json.dumps({"jsonrpc": "2.0", "id": id, "result": text("joined")}).encode() + note + b"\n")

    def tool_nan(self, id: Any, params: Any) -> None:
        write(b'{"jsonrpc": "2.0", "id": %d, "result": {"structuredContent": {"x": NaN}}}\n' % id)

    def tool_big(self, id: Any, params: Any) -> Any:
        return text("x" * params["arguments"].get("size", 20_000_000))

    def tool_endless_line(self, id: Any, params: Any) -> None:
        for _ in range(params["arguments"].get("pieces", 100)):
            write(b"x" * 1_000_000)

    def tool_stderr(self, id: Any, params: Any) -> Any:
        for _ in range(30):
            os.write(2, b"DEBUG a line of a log that nobody reads\n" * 1500)
        return text("after the log")

    def tool_wrong_id(self, id: Any, params: Any) -> Any:
        for wrong in (id + 1_000_000, -1, 0, "other", "", str(id) + "0", -id):
            say({"jsonrpc": "2.0", "id": wrong, "result": text("wrong")})
        return text("right")

    def tool_only_wrong_id(self, id: Any, params: Any) -> None:
        say({"jsonrpc": "2.0", "id": id + 1_000_000, "result": text("wrong")})

    def tool_text_id(self, id: Any, params: Any) -> None:
        say({"jsonrpc": "2.0", "id": str(id), "result": text("right")})

    def tool_no_id(self, id: Any, params: Any) -> None:
        say({"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}})

    def tool_twice(self, id: Any, params: Any) -> Any:
        say({"jsonrpc": "2.0", "id": id, "result": text("first")})
        return text("second")

    def tool_batch(self, id: Any, params: Any) -> None:
        note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {}}
        say([note, {"jsonrpc": "2.0", "id": id, "result": text("in a batch")}])

    def tool_no_result(self, id: Any, params: Any) -> None:
        say({"jsonrpc": "2.0", "id": id, "result": None})

    def tool_odd_error(self, id: Any, params: Any) -> None:
        say({"jsonrpc": "2.0", "id": id, "error": "it broke"})

    def tool_progress(self, id: Any, params: Any) -> Any:
        given = params["arguments"]
        token = params["_meta"]["progressToken"]
        for number in range(given["times"]):
            note = {"progressToken": token, "progress": number, "total": given["times"], "message": f"step {number}"}
            say({"jsonrpc": "2.0", "method": "notifications/progress", "params": note})
            time.sleep(given["seconds"])
        return text("done")

    def tool_closes_output(self, id: Any, params: Any) -> None:
        os.close(1)

    def tool_closes_input(self, id: Any, params: Any) -> Any:
        return text("closed")

    def tool_leaves_a_child(self, id: Any, params: Any) -> Any:
        return text(str(os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "3600")))

    def tool_child_keeps_output(self, id: Any, params: Any) -> None:
        self.note(str(os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "3600")))
        os._exit(5)

    def tool_pings(self, id: Any, params: Any) -> Any:
        for number in range(500):
            say({"jsonrpc": "2.0", "id": f"ping-{number}", "method": "ping"})
        return text(json.dumps(self.ask_client("ping", {})))

    def tool_asks_for(self, id: Any, params: Any) -> Any:
        given = params["arguments"]
        return text(json.dumps(self.ask_client(given["method"], given.get("params", {}))))

    def tool_withdraws(self, id: Any, params: Any) -> Any:
        say({"jsonrpc": "2.0", "id": "withdrawn", "method": "elicitation/create", "params": {"message": "Sure?"}})
        say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "withdrawn"}})
        return text("done")

    def tool_answered(self, id: Any, params: Any) -> Any:
        return text(json.dumps(sorted(self.answers)))

    def tool_needs_input(self, id: Any, params: Any) -> Any:
        answers = params.get("inputResponses")
        if params.get("requestState") == "second":
            return text(json.dumps(answers))
        state = {"resultType": "input_required", "requestState": "second"}
        requests = params["arguments"].get("requests")
        return {**state, "inputRequests": requests} if requests else state

    def tool_never_enough(self, id: Any, params: Any) -> Any:
        return {"resultType": "input_required", "requestState": "again"}

    def tool_always_asks(self, id: Any, params: Any) -> Any:
        form = {"message": "And?", "requestedSchema": {"type": "object", "properties": {}}}
        request = {"method": "elicitation/create", "params": form}
        return {"resultType": "input_required", "inputRequests": {"q": request}}

    def tool_change(self, id: Any, params: Any) -> Any:
        for _ in range(50):
            say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text(f"listening: {self.listening is not None}")


def main() -> None:
    words = sys.argv[1:]
    options = {"era": "modern", "start": "", "ignore": "", "note": "", "list": ""}
    options |= {name[2:]: value for name, value in zip(words[::2], words[1::2], strict=True)}
    if "term" in options["ignore"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server = Server(options)
    server.note("start")
    server.serve()
    if "eof" in options["ignore"]:
        time.sleep(3600)
    os._exit(0)


if __name__ == "__main__":
    main()
