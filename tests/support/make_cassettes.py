"""Record the cassettes again.

    python -m tests.support.make_cassettes [recorded-exchanges.jsonl]

From a real llama.cpp server on the tiny model, from the loopback LightLLM server and site, and, if the file of recorded
exchanges is given, one complete and one streamed answer of each provider, served from loopback. Addresses are replaced
by fixed ones, and keys are left out.
"""

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import vcr

from agentkit import Agent, LightLLMClient, tool
from agentkit.backend import Request
from agentkit.backends import LightLLMBackend, OpenAIBackend
from agentkit.transcript import Transcript
from agentkit_tools import page_visitor, web_search
from tests.support.lightllm_server import serve_lightllm
from tests.support.llama_server import serve_llama
from tests.support.model_server import Answer, serve
from tests.support.site import serve_site
from tests.support.tiny_model import write_tiny_model

CASSETTES = Path(__file__).parents[2] / "cassettes"
SITE = "127.0.0.1:8099"
KEY = "sk-recorded-but-never-kept"
HELLO = Transcript([{"role": "user", "content": "Hello"}])
KEPT = ("accept", "content-type")
"""Request headers that are kept: no keys, no information about the machine."""


@tool(read_only=True)
def look_up(query: list[str]) -> str:
    """Look something up."""
    return f"Found {len(query)}."


@contextmanager
def recording(name: str, real: str, shown: str) -> Iterator[None]:
    """Record into a cassette, with the address `real` replaced by `shown`."""

    def renamed(request: Any) -> Any:
        request.uri = request.uri.replace(real, shown)
        for header in [name for name in request.headers if name.lower() not in KEPT]:
            del request.headers[header]
        return request

    file = CASSETTES / f"{name}.yaml"
    file.unlink(missing_ok=True)
    with vcr.use_cassette(str(file), record_mode="all", before_record_request=renamed, before_record_response=cleaned):
        yield
    file.write_text(file.read_text(encoding="utf-8").replace(real, shown), encoding="utf-8")


def cleaned(response: dict[str, Any]) -> dict[str, Any]:
    for name in ("Set-Cookie", "set-cookie", "Date", "date", "Server", "server"):
        response["headers"].pop(name, None)
    return response


def record_llama() -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # the server reports the path of its model
        model = write_tiny_model("tiny.gguf")
        with serve_llama(model) as server:
            with recording("llama_whole", server.root, "http://llama.test"):
                backend = OpenAIBackend("tiny", base_url=server.url, api_key=KEY)
                Agent(backend, tools=[look_up]).run("Look it up.")
                backend.close()
            with recording("llama_streamed", server.root, "http://llama.test"):
                backend = OpenAIBackend("tiny", base_url=server.url, api_key=KEY)
                list(Agent(backend, tools=[look_up]).stream("Look it up."))
                backend.close()


LOOKED_UP = (
    '<think>\nI look.\n</think>\n\n<tool_call>\n{"name": "look_up", "arguments": {"query": ["tide"]}}\n</tool_call>'
)
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAAAAAAAAAAAAAAAAAAA"


def record_lightllm() -> None:
    """From the loopback server, which answers in the formats of the real one."""
    with (
        serve_lightllm([LOOKED_UP, "Done."]) as server,
        recording("lightllm_whole", server.url, "http://lightllm.test"),
    ):
        backend = LightLLMBackend("Qwen3-8B", server.url, KEY)
        Agent(backend, tools=[look_up]).run("Look it up.")
        backend.close()
    with serve_lightllm([LOOKED_UP, "Done."]) as server:
        with recording("lightllm_streamed", server.url, "http://lightllm.test"):
            backend = LightLLMBackend("Qwen3-8B", server.url, KEY)
            list(Agent(backend, tools=[look_up]).stream("Look it up."))
            backend.close()
    with serve_lightllm(["A pixel."]) as server, recording("lightllm_client", server.url, "http://lightllm.test"):
        with LightLLMClient(KEY, server.url) as client:
            ask_of_pixel(client)


def ask_of_pixel(client: LightLLMClient) -> tuple[int, str | None, str]:
    """Tokens, a whole reply and a streamed one, on a model with an unknown name."""
    content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    messages = [{"role": "user", "content": content}]
    count = client.count_tokens(messages, model="some-model")
    answer = client.chat.completions.create("some-model", messages)
    chunks = client.chat.completions.create("some-model", messages, stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    return count, answer.choices[0].message.content, text


def record_site() -> None:
    with serve_site() as site, recording("site", site.address, SITE):
        visit = page_visitor(allow=["127.0.0.1"])
        visit([site.url + "/redirect/2"], "the height of the lighthouse")
        visit([site.url + "/gzip"], "the height of the lighthouse")
        visit([site.url + "/pdf"], "the height of the lighthouse")
        web_search("brave", base_url=site.url + "/brave", api_key="right-key")(["lighthouse"])


def record_providers(file: Path) -> None:
    chosen: dict[tuple[str, bool], dict[str, Any]] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        exchange = json.loads(line)
        stream = "streamed" in exchange["features"]
        best = chosen.get((exchange["provider"], stream))
        if exchange["provider"] != "demo" and (best is None or rank(exchange) > rank(best)):
            chosen[exchange["provider"], stream] = exchange
    for (provider, stream), exchange in chosen.items():
        body = exchange["response"]["body"]
        raw = body if isinstance(body, str) else json.dumps(body)
        name = f"provider_{provider}_{'streamed' if stream else 'whole'}"
        with serve([Answer(raw.encode(), content_type=exchange["response"]["content_type"])]) as server:
            with recording(name, server.url, f"http://{provider}.test/v1"):
                backend = OpenAIBackend("recorded", base_url=server.url, api_key=KEY)
                list(backend.reply(Request(HELLO, stream=stream)))
                backend.close()


def rank(exchange: dict[str, Any]) -> tuple[bool, bool, int]:
    """Sort key: prefer successful answers, then ones with tool calls, then short ones."""
    is_answer = exchange["response"]["status"] == 200 and "sse_error" not in exchange["features"]
    return is_answer, "tool_calls" in exchange["features"], -len(json.dumps(exchange["response"]))


if __name__ == "__main__":
    record_llama()
    record_lightllm()
    record_site()
    for name in sys.argv[1:]:
        record_providers(Path(name))
