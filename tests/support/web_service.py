"""The chat service for the tests of web/: prints its URL and an API key, and exits when standard input is closed.

python -m tests.support.web_service
"""

import json
import sys
import tempfile
from pathlib import Path

from agentkit.serving.http.keys import Keys
from tests.support.http_service import LOOK_UP, reply, serve_http, settings_for
from tests.support.model_server import Answer, Asked, delta, serve, streamed


def stream_reply(request: Asked) -> Answer:
    """Reply as in the tests of the service; stream slowly for "endless", and cut non-ASCII characters for "letters"."""
    last = str(request.body["messages"][-1]["content"])
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
            settings = settings_for(folder, server.url, agentkit_tools=(LOOK_UP,))
            with serve_http(settings) as service:
                print(json.dumps({"url": service.url, "key": key}), flush=True)
                sys.stdin.read()


if __name__ == "__main__":
    main()
