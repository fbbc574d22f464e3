"""The chat service for the tests of web/: prints its URL and an API key, and exits when standard input is closed.

python -m tests.support.web_service
"""

import json
import sys
import tempfile
from pathlib import Path

from agentkit import tool
from agentkit.serving.http.keys import Keys
from tests.support.http_service import LOOK_UP, look_up, reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, calls, delta, serve, streamed

approved = tool(name="approved", approve=True)(look_up)


def stream_reply(request: Asked) -> Answer:
    """Reply as in the tests of the service; stream slowly for "endless", cut non-ASCII characters for "letters", and
    call what needs an approval for "approve TOPIC"."""
    last = str(request.body["messages"][-1]["content"])
    if last.startswith("approve "):
        return calls(("approved", {"topic": last.split()[-1]}))
    if "endless" in last:
        return streamed(*(delta(content="word ") for _ in range(5000)), piece=200, pause=0.02)
    if "letters" in last:
        return streamed(*(delta(content=character) for character in "äöü 日本 🙂"), piece=7)
    return reply(request)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        key = Keys(folder / "keys.json").add("vitest")
        with serve(stream_reply) as server:
            settings = settings_for(folder, server.url, agentkit_tools=(LOOK_UP, "tests.support.web_service:approved"))
            with serve_http(settings) as service:
                print(json.dumps({"url": service.url, "key": key}), flush=True)
                sys.stdin.read()


if __name__ == "__main__":
    main()
