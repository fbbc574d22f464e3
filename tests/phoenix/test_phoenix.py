"""Arize Phoenix, a real viewer of traces, sees agents, model calls and tools in what it is sent (make test-phoenix)."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.support.model_server import Answer, Asked, calls, serve, streamed, whole
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
USAGE = {"prompt_tokens": 100, "completion_tokens": 20}


@pytest.fixture(scope="module")
def bin_folder() -> Path:
    """Of the environment in which Phoenix is installed."""
    return Path(os.environ["AGENTKIT_TEST_PHOENIX"]).resolve()


@pytest.fixture(scope="module")
def phoenix(bin_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Phoenix server."""
    folder, port = tmp_path_factory.mktemp("phoenix"), free_port()
    environment = {
        **os.environ,
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    url = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([bin_folder / "phoenix", "serve"], env=environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 180
            while not answers(f"{url}/healthz"):
                assert server.poll() is None, (folder / "log").read_text("utf-8")
                assert time.monotonic() < end, "Phoenix did not start"
                time.sleep(0.5)
            yield url
        finally:
            server.terminate()
            server.wait(30)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def fetched(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"content-type": "application/json"}), timeout=30) as response:
        return json.load(response)


def answer(asked: Asked) -> Answer:
    """What the models say: the outer one asks the expert, which looks something up."""
    model, question = asked.body["model"], asked.body["messages"][-1]
    if question["role"] == "tool":
        made = whole("High at noon." if model == "outer" else "Noon.", usage=USAGE)
    elif model == "outer":
        made = calls(("expert", {"task": "tides"}), usage=USAGE)
    else:
        made = calls(("look_up", {"topic": question["content"]}), usage=USAGE)
    if not asked.body.get("stream"):
        return made
    full = json.loads(made.body)["choices"][0]
    chunk = {
        **full["message"],
        "tool_calls": [{**each, "index": 0} for each in full["message"].get("tool_calls") or ()],
    }
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": full["finish_reason"]}]}
    return streamed({"choices": [{"index": 0, "delta": chunk}]}, end, {"choices": [], "usage": USAGE})


@pytest.fixture(scope="module")
def spans(phoenix: str, bin_folder: Path) -> list[dict[str, Any]]:
    """The spans that Phoenix has, of two runs."""
    with serve(answer) as server:
        done = subprocess.run(
            [bin_folder / "python", "-m", "tests.phoenix.traced_program", phoenix, server.url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["High at noon.", "High at noon."]
    end = time.monotonic() + 30
    found: list[dict[str, Any]] = []
    while len(found) < 18 and time.monotonic() < end:
        found = fetched(f"{phoenix}/v1/projects/default/spans?limit=100")["data"]
        time.sleep(0.5)
    return found


def tree(spans: list[dict[str, Any]], parent: str | None = None) -> list[Any]:
    here = sorted((each for each in spans if each["parent_id"] == parent), key=lambda each: str(each["start_time"]))
    return [(each["span_kind"], each["name"], tree(spans, each["context"]["span_id"])) for each in here]


def test_phoenix_sees_the_tree_and_its_kinds(spans: list[dict[str, Any]]) -> None:
    outer: Any = ("LLM", "chat outer", [])
    inner: Any = ("LLM", "chat inner", [])
    expert: Any = ("AGENT", "invoke_agent expert", [inner, ("TOOL", "execute_tool look_up", []), inner])
    assert (
        tree(spans) == [("AGENT", "invoke_agent boss", [outer, ("TOOL", "execute_tool expert", [expert]), outer])] * 2
    )


def test_phoenix_counts_the_tokens_once(phoenix: str, spans: list[dict[str, Any]]) -> None:
    of_kind = {kind: [each for each in spans if each["span_kind"] == kind] for kind in ("LLM", "AGENT", "TOOL")}
    assert {each["attributes"]["llm.token_count.total"] for each in of_kind["LLM"]} == {120}
    assert not [
        each for kind in ("AGENT", "TOOL") for each in of_kind[kind] if "llm.token_count.total" in each["attributes"]
    ]
    query = "{ projects { edges { node { name tokenCountTotal traceCount } } } }"
    found = fetched(f"{phoenix}/graphql", {"query": query})["data"]["projects"]["edges"]
    assert [each["node"] for each in found if each["node"]["name"] == "default"] == [
        {"name": "default", "tokenCountTotal": 8 * 120, "traceCount": 2}
    ]


def test_phoenix_shows_messages_arguments_and_results(spans: list[dict[str, Any]]) -> None:
    boss = [each["attributes"] for each in spans if each["name"] == "invoke_agent boss"]
    assert {each["llm.input_messages.0.message.content"] for each in boss} == {"When is the tide high?", "And low?"}
    assert {each["llm.output_messages.0.message.content"] for each in boss} == {"High at noon."}
    tools = [each for each in spans if each["name"] == "execute_tool look_up"]
    assert {each["attributes"]["tool.parameters.topic"] for each in tools} == {"tides"}
    assert {each["attributes"]["output.value"] for each in tools} == {"All about tides."}
    assert {each["status_code"] for each in spans} == {"UNSET"}
