"""`agentkit doctor`: the abilities of a server, and the handling of errors."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentkit.backends import OpenAIBackend
from agentkit.cli.doctor.checks import Check, check_server
from agentkit.cli.doctor.conformance import ERROR_CHECKS, check_error_handling
from tests.support import forked_cli
from tests.support.lightllm_server import serve_lightllm
from tests.support.llama_server import serve_llama
from tests.support.model_server import Answer, Asked, ModelServer, delta, serve, streamed
from tests.support.tiny_model import write_tiny_model

USAGE = {"prompt_tokens": 7, "completion_tokens": 3}


def doctor(*arguments: str, begin: Sequence[str] = ()) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Returns the exit status, the lines by what they check, and standard error."""
    command = [*(begin or forked_cli.command()), "doctor", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {line["what"]: line for line in lines}, done.stderr


def able(asked: Asked) -> Answer:
    """A server with every ability."""
    text = json.dumps(asked.body["messages"])
    function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    message: dict[str, Any] = {"role": "assistant", "content": "Hello, it is red and 9 degrees."}
    if "Use the tool" in text or "both" in text:
        calls = [{"index": index, "id": f"c{index}", "type": "function", "function": function} for index in range(2)]
        message = {"role": "assistant", "content": None, "tool_calls": calls}
    if "Think first" in text:
        message["reasoning_content"] = "Hm."
    if asked.body["stream"]:
        words = [delta(content=word) for word in (message.pop("content") or "").split()]
        return streamed(*words, delta("stop", **message), {"choices": [], "usage": USAGE})
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    return Answer(json.dumps(whole).encode())


def test_a_server_that_can_do_all_gets_a_yes_for_all_but_its_context_length() -> None:
    with serve(able) as server:
        status, lines, _ = doctor(f"openai:m@{server.url}", "--no-faults")
    assert status == 0
    verdicts = {what: line["verdict"] for what, line in lines.items()}
    assert verdicts.pop("reports context length") != "yes"  # this server has no list of models
    assert set(verdicts.values()) == {"yes"}
    assert lines["streamed tool calls"]["detail"].startswith("2 of 2")


def able_to_do_little(asked: Asked) -> Answer:
    text = json.dumps(asked.body["messages"])
    if "image_url" in text:
        return Answer(b'{"error": {"message": "image input is not supported"}}', status=400)
    message = {"role": "assistant", "content": "Let me call get_weather(Oslo)."}
    return Answer(json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode())


def test_missing_abilities_are_reported() -> None:
    with serve(able_to_do_little) as server:
        status, lines, _ = doctor(f"openai:m@{server.url}", "--no-faults")
    assert status == 0  # nothing is broken
    verdicts = {what: line["verdict"] for what, line in lines.items()}
    for what in ("streams", "reports usage", "native tool calls", "parallel tool calls", "images"):
        assert verdicts[what] == "no", what
    assert "the call is in the text" in lines["native tool calls"]["detail"]
    assert "rejects images" in lines["images"]["detail"]


def test_a_server_that_is_not_there_is_a_failure() -> None:
    status, lines, _ = doctor("openai:m@http://127.0.0.1:9/v1", "--no-faults")
    assert status == 1
    assert list(lines) == ["answers"]
    assert "is the server running" in lines["answers"]["detail"]


def test_a_real_server_is_examined_by_its_address(tmp_path: Path) -> None:
    model = tmp_path / "tiny.gguf"
    write_tiny_model(model)
    with serve_llama(model, context=2048) as server:
        status, lines, errors = doctor(server.root, "--no-faults")
    assert status == 0, errors
    assert lines["answers"]["verdict"] == "yes"
    assert lines["streams"]["verdict"] == "yes"
    assert lines["reports usage when streaming"]["verdict"] == "yes"
    assert lines["reports context length"]["detail"] == "2,048 tokens"


def unable_to_show_tools(asked: Asked) -> Answer:
    """A server whose chat template leaves tools out, and that knows no tool_choice."""
    message = {"role": "assistant", "content": "It is sunny, I suppose."}
    whole = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 31}}
    return Answer(json.dumps(whole).encode())


def examined(server: ModelServer, time_limit: float | None = None) -> dict[str, Check]:
    backend = OpenAIBackend("m", base_url=server.url, max_retries=0)
    try:
        return {check.what: check for check in check_server(backend, *([time_limit] if time_limit else []))}
    finally:
        backend.close()


def test_tools_that_do_not_reach_the_model_and_calls_that_are_not_required_are_reported() -> None:
    with serve(unable_to_show_tools) as server:
        checks = examined(server)
    assert checks["tools reach the model"].verdict == "no"
    assert "31 prompt tokens without a tool, 31 with one" in checks["tools reach the model"].detail
    assert checks["required tool calls"].verdict == "no"


def test_each_question_is_short_and_repeatable() -> None:
    with serve(able) as server:
        examined(server)
    assert all(0 < asked.body["max_tokens"] <= 512 for asked in server.requests)
    assert all(asked.body["temperature"] == 0 for asked in server.requests)


def test_a_model_that_takes_no_temperature_and_no_max_tokens_is_examined_too() -> None:
    def answer(asked: Asked) -> Answer:
        for name, message in (
            (
                "max_tokens",
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
            ),
            ("temperature", "Unsupported value: 'temperature' does not support 0 with this model."),
        ):
            if name in asked.body:
                return Answer(json.dumps({"error": {"message": message}}).encode(), 400)
        return able(asked)

    with serve(answer) as server:
        checks = examined(server)
    assert {check.verdict for what, check in checks.items() if what != "reports context length"} == {"yes"}
    assert all("max_completion_tokens" in asked.body for asked in server.requests[2:])


def test_a_question_that_is_not_answered_in_time_is_a_failure() -> None:
    def answer(asked: Asked) -> Answer:
        return replace(able(asked), delay=2.0 if "Count from one" in asked.raw.decode() else 0.0)

    with serve(answer) as server:
        started = time.monotonic()
        checks = examined(server, 0.3)
        assert time.monotonic() - started < 20.0
    assert (checks["streams"].verdict, checks["streams"].detail) == ("failed", "no reply within 0.3 seconds")
    assert checks["native tool calls"].verdict == "yes"


def test_bad_usage_says_so() -> None:
    assert doctor("nonsense:m", begin=(sys.executable, "-m", "agentkit"))[0] == 2


def test_every_simulated_error_is_handled() -> None:
    status, lines, errors = doctor()
    assert {what: line["detail"] for what, line in lines.items() if line["verdict"] != "yes"} == {}
    assert list(lines) == list(ERROR_CHECKS)
    assert (status, errors) == (0, "")


def test_an_error_that_is_not_handled_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise AssertionError("it was run twice")

    monkeypatch.setitem(ERROR_CHECKS, "an unknown tool", broken)
    first = next(check_error_handling())
    assert (first.verdict, first.detail) == ("failed", "AssertionError: it was run twice")


def test_a_text_server_is_told_in_which_form_its_prompts_are_and_why() -> None:
    with serve_lightllm(model="Qwen2.5-7B-Instruct") as server:
        status, lines, _ = doctor(f"lightllm:chat@{server.url}", "--no-faults")
    assert status == 0
    assert lines["form of the prompt"]["verdict"] == "yes"
    for part in ("family qwen2.5", "its own template", "'hermes'", "the server lists 'Qwen2.5-7B-Instruct'"):
        assert part in lines["form of the prompt"]["detail"]
    assert "tokens, as rendered by the server" in lines["same prompt as the server's"]["detail"]


def test_a_text_model_of_which_nothing_is_known_is_a_failure() -> None:
    with serve_lightllm(model="chat") as server:
        status, lines, _ = doctor(f"lightllm:my-model@{server.url}", "--no-faults")
    assert status == 1
    assert list(lines) == ["form of the prompt"]
    assert "LIGHTLLM_FAMILY" in lines["form of the prompt"]["detail"]
