"""Complete runs against the real llama.cpp server, and the same in this process."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import openai
import pytest

from agentkit import Agent, ConfigurationError, Image, Run, tool
from agentkit.backends import GGUFBackend, OpenAIBackend
from agentkit.errors import MissingExtraError
from agentkit.event import ReasoningDelta
from agentkit.middleware.sampling import Sampling
from tests.support.llama_server import LlamaServer


@tool(read_only=True)
def look_up(query: list[str], most: int = 3) -> str:
    """Look something up."""
    return f"Found {len(query)}."


@tool
def verify(claim: str) -> str:
    """Verify a claim."""
    return "It is true."


def drained(run: Run) -> list[Any]:
    with run:
        return list(run)


@pytest.fixture(params=["server", "in process"])
def backend(request: pytest.FixtureRequest, tiny_model: Path) -> Any:
    if request.param == "server":
        return OpenAIBackend("tiny", base_url=request.getfixturevalue("llama").url)
    return GGUFBackend(tiny_model, threads=1)


def test_a_whole_run_calls_the_tool_and_answers(backend: Any) -> None:
    result = Agent(backend, tools=[look_up], instructions="Be brief.").run("Look it up.")
    backend.close()
    assert result.output == "Done."
    assert result.stopped == "answer"
    (record,) = result.tool_calls
    assert record.name == "look_up"
    assert record.arguments["query"] == ["v"]
    assert record.response == "Found 1."
    assert result.usage.requests == 2
    assert result.usage.input_tokens > 500
    assert result.usage.output_tokens > 20


def test_a_long_run_reuses_the_prompt_cache(llama: LlamaServer) -> None:
    backend = OpenAIBackend("tiny", base_url=llama.url, extra_body=None, chat_template_kwargs={"results": 2})
    result = Agent(backend, tools=[look_up], instructions="A prompt of its own for this test.").run("Look it up.")
    backend.close()
    assert result.usage.requests == 3
    assert result.usage.cached_tokens > result.usage.input_tokens / 2


def test_tool_choice_is_enforced_by_the_server(llama: LlamaServer) -> None:
    none = OpenAIBackend("tiny", base_url=llama.url, tool_choice="none")
    assert Agent(none, tools=[look_up]).run("Look it up.").tool_calls == []
    none.close()
    required = OpenAIBackend("tiny", base_url=llama.url, tool_choice="required")
    run = Agent(required, tools=[verify]).stream("Verify it.")
    next(event for event in run if type(event).__name__ == "ToolFinished")
    run.close()
    required.close()
    assert [record.name for record in run.tool_calls] == ["verify"]


def test_a_json_schema_is_filled(llama: LlamaServer) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    backend = OpenAIBackend("tiny", base_url=llama.url, response_format=form)
    output = Agent(backend).run("Who?").output
    backend.close()
    assert json.loads(output) == {"name": "v", "age": 7}


def test_reasoning_is_emitted_and_kept_next_to_the_text(thinking_llama: LlamaServer) -> None:
    backend = OpenAIBackend("tiny", base_url=thinking_llama.url)
    run = Agent(backend, tools=[look_up]).stream("Look it up.")
    events = drained(run)
    backend.close()
    thoughts = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    assert thoughts == "HmHm"
    assert [message.get("reasoning_content") for message in run.messages if message["role"] == "assistant"] == [
        "Hm",
        "Hm",
    ]
    assert run.result is not None
    assert run.result.output.strip() == "Done."


def test_a_context_that_is_full_is_a_bad_request_with_the_messages(backend: Any) -> None:
    with pytest.raises(openai.BadRequestError, match="exceeds the available context size") as raised:
        Agent(backend).run("x" * 20_000)
    backend.close()
    assert len(raised.value.messages) == 1  # type: ignore[attr-defined]


def test_a_bad_request_has_the_servers_message(llama: LlamaServer) -> None:
    backend = OpenAIBackend("tiny", base_url=llama.url, temperature="warm")
    with pytest.raises(openai.BadRequestError, match="400"):
        Agent(backend).run("Hello")
    backend.close()


def test_a_wrong_key_is_an_authentication_error(keyed_llama: LlamaServer) -> None:
    right = OpenAIBackend("tiny", base_url=keyed_llama.url, api_key="sesame-open-now")
    assert Agent(right).run("Hello").output == "Done."
    right.close()
    wrong = OpenAIBackend("tiny", base_url=keyed_llama.url, api_key="sesame-shut-now")
    with pytest.raises(openai.AuthenticationError) as raised:
        Agent(wrong).run("Hello")
    wrong.close()
    assert "sesame" not in str(raised.value)


def test_an_image_is_replaced_by_a_sentence_for_a_model_without_vision(llama: LlamaServer) -> None:
    @tool
    def view(name: str) -> Image:
        """View a picture."""
        return Image(b"\x89PNG", "image/png", name)

    backend = OpenAIBackend("tiny", base_url=llama.url, max_retries=0)
    result = Agent(backend, tools=[view]).run("View it.")
    backend.close()
    assert result.output == "Done."
    assert [message["role"] for message in result.messages[:4]] == ["user", "assistant", "tool", "user"]
    assert "image_url" in json.dumps(result.messages[3])  # the transcript keeps it for a model that can see


def test_one_agent_answers_in_many_threads(backend: Any) -> None:
    agent = Agent(backend, tools=[look_up])
    outputs: list[str] = []
    threads = [threading.Thread(target=lambda: outputs.append(agent.run("Look it up.").output)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    backend.close()
    assert outputs == ["Done."] * 6


ENDS_IN_THE_MIDDLE = """
import sys, threading
from agentkit import Agent
from agentkit.backends import GGUFBackend
from agentkit.event import TextDelta

backend = GGUFBackend(sys.argv[1], threads=1, grammar="root ::= [a-z]+", max_tokens=7500)
cancel = threading.Event()
if sys.argv[2] == "streamed":
    next(event for event in Agent(backend).stream("Hello", cancel=cancel) if isinstance(event, TextDelta))
else:
    threading.Thread(target=Agent(backend).run, args=("Hello",), daemon=True).start()
    threading.Event().wait(0.4)  # nothing tells that a whole reply is being generated
"""


@pytest.mark.parametrize("how", ["streamed", "whole"])
def test_a_program_that_ends_while_a_reply_is_generated_does_not_crash(tiny_model: Path, how: str) -> None:
    command = [sys.executable, "-c", ENDS_IN_THE_MIDDLE, str(tiny_model), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_other_sampling_of_a_model_in_this_process_uses_the_same_model(tiny_model: Path) -> None:
    backend = GGUFBackend(tiny_model, threads=1)
    short = Sampling(backend, {"max_tokens": 1})
    assert Agent(short).run("Hello").stopped == "length"
    assert Agent(backend).run("Hello").stopped == "answer"
    backend.close()
    with pytest.raises(ConfigurationError, match="is closed"):
        Agent(short).run("Hello")


def test_a_name_loads_the_file_and_the_agent_unloads_it(tiny_model: Path) -> None:
    with Agent(f"gguf:{tiny_model}", tools=[look_up]) as agent:
        assert agent.run("Look it up.").output == "Done."
    with pytest.raises(ConfigurationError, match="closed"):
        agent.run("Again.")


def test_a_file_that_is_not_a_model_is_reported(tmp_path: Path) -> None:
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"not a model")
    with Agent(f"gguf:{fake}") as agent, pytest.raises(ConfigurationError, match=r"can't load fake\.gguf"):
        agent.run("Hello")


def test_without_llama_cpp_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[gguf\]'"):
        Agent(f"gguf:{tiny_model}")
