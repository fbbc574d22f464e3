"""Fields that a model refuses, and requests without tools behind calls: sent again as the server takes them."""

import json
import logging
from collections.abc import Callable
from typing import Any

import openai
import pytest

from agentkit import Agent, Limits, tool
from agentkit.backends import OpenAIBackend
from tests.support.model_server import Answer, Asked, ModelServer, calls, serve, whole


@tool(read_only=True)
def look(city: str = "Oslo") -> str:
    """Look."""
    return "21"


def refused(message: str, **more: Any) -> Answer:
    return Answer(json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}}).encode(), 400)


def against(words: str, refuses: Callable[[dict[str, Any]], bool]) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        return refused(words) if refuses(asked.body) else whole("Fine.")

    return answer


def fields_of(server: ModelServer) -> list[dict[str, Any]]:
    ours = {"model", "messages", "stream", "stream_options", "tools"}
    return [{k: v for k, v in asked.body.items() if k not in ours} for asked in server.requests]


FIELDS = [
    # anomalyco/opencode#37964, OpenHands/software-agent-sdk#1083, nashsu/llm_wiki#610, rcourtman/Pulse#1867
    (
        {"max_tokens": 100},
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        {"max_completion_tokens": 100},
    ),
    (
        {"max_completion_tokens": 100},
        "Unrecognized request argument supplied: max_completion_tokens",
        {"max_tokens": 100},
    ),
    # BeehiveInnovations/pal-mcp-server#78, simular-ai/Agent-S#131
    (
        {"temperature": 0.2, "seed": 7},
        "Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is "
        "supported.",
        {"seed": 7},
    ),
    ({"temperature": 0.2}, "Unsupported parameter: 'temperature' is not supported with this model.", {}),
    # erxes/erxes#7997
    ({"temperature": 0.2}, "invalid temperature: only 1 is allowed for this model", {}),
    ({"temperature": 0.2}, "`temperature` is deprecated for this model.", {}),
    ({"temperature": 0.2}, "gpt-5 models don't support temperature=0.2. Only temperature=1 is supported.", {}),
    (
        {"temperature": 0.2, "top_p": 0.9},
        "`temperature` and `top_p` cannot both be specified for this model. Please use only one.",
        {"temperature": 0.2},
    ),
    ({"presence_penalty": 1}, "Argument not supported on this model: presencePenalty", {}),
    ({"parallel_tool_calls": True}, "Unknown parameter: 'parallel_tool_calls'.", {}),
    # NousResearch/hermes-agent#23088, lobehub/lobehub#8379
    ({"reasoning_effort": "low"}, "Model grok-4-1-fast does not support parameter reasoningEffort.", {}),
    (
        {"reasoning_effort": "minimal", "temperature": 1},
        "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values are: "
        "'none', 'low', 'medium', 'high', and 'xhigh'.",
        {"temperature": 1},
    ),
    # tscibilia/home-ops#3395, Budibase/budibase#17845
    (
        {"reasoning_effort": "low", "seed": 7},
        "litellm.UnsupportedParamsError: mistral does not support parameters: ['reasoning_effort'], for model=m. To "
        "drop these, set `litellm.drop_params=True`",
        {"seed": 7},
    ),
    ({"verbosity": "low"}, "Unsupported parameter: 'verbosity' is not supported with this model.", {}),
    ({"service_tier": "flex"}, "property 'service_tier' is unsupported", {}),
    ({"top_k": 5, "seed": 7}, 'Invalid JSON payload received. Unknown name "top_k": Cannot find field.', {"seed": 7}),
]


@pytest.mark.parametrize(("given", "words", "taken"), FIELDS, ids=range(len(FIELDS)))
def test_a_field_that_a_model_refuses_is_sent_as_it_takes_it_from_then_on(
    given: dict[str, Any], words: str, taken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "agentkit")
    with serve(against(words, lambda body: any(body.get(k) != taken.get(k) for k in {**given, **taken}))) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0, **given), tools=[look])
        assert agent.run("Hi.").output == "Fine."
        assert agent.run("Hi.").output == "Fine."
        assert fields_of(server) == [given, taken, taken]
    assert [record.message for record in caplog.records if next(iter(given)) in record.message]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_limit_that_is_too_low_for_a_model_is_the_least_that_it_takes(name: str) -> None:
    """vectorize-io/hindsight#58 (OpenRouter), QuantumNous/new-api#2438, wm94i/Work-Review#41,
    braintrustdata/lingua#186"""
    words = (
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 10 instead. "
        "(param: max_output_tokens, code: integer_below_min_value)"
    )
    with serve(against(words, lambda body: body.get(name, 100) < 16)) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0))
        for limit in (10, 1, 200):
            assert agent.run("Hi.", sampling={name: limit}).output == "Fine."
        assert [fields[name] for fields in fields_of(server)] == [10, 16, 16, 200]


def test_all_that_a_model_refuses_is_changed_one_after_another() -> None:
    def strict(asked: Asked) -> Answer:
        for name in ("max_tokens", "temperature", "top_p"):
            if name in asked.body:
                return refused(f"Unsupported parameter: '{name}' is not supported with this model.", param=name)
        return whole("Fine.")

    with serve(strict) as server:
        given: dict[str, Any] = {"max_tokens": 9, "temperature": 0.1, "top_p": 0.2}
        assert Agent(OpenAIBackend("m", base_url=server.url, max_retries=0, **given)).run("Hi.").output == "Fine."
        assert fields_of(server)[-1] == {"max_completion_tokens": 9}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"temperature": 3}, "temperature must be between 0 and 2"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
        ({"temprature": 1}, "Unknown parameter: 'temprature'."),
        ({"stop": ["x"]}, "Unsupported parameter: 'stop' is not supported with this model."),
        ({"seed": 1}, "temperature is not supported"),
    ],
)
def test_a_field_that_the_user_has_to_change_is_the_servers_error(given: dict[str, Any], words: str) -> None:
    with serve([refused(words)]) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0, **given))
        with pytest.raises(openai.BadRequestError, match=words.replace("'", ".")):
            agent.run("Hi.")
        assert len(server.requests) == 1


CHOICES = [
    "Thinking mode does not support this tool_choice",
    "<400> InternalError.Algo.InvalidParameter: The tool_choice parameter does not support being set to required or "
    "object in thinking mode",
    "Thinking may not be enabled when tool_choice forces tool use.",
    "tool_choice 'required' is incompatible with thinking enabled",
    "tool_choice.required is not supported",
]


@pytest.mark.parametrize("words", CHOICES, ids=range(len(CHOICES)))
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look"}}])
def test_a_model_that_cant_be_forced_to_call_a_tool_is_left_the_choice(words: str, choice: Any) -> None:
    """cloudwego/eino#994, QwenLM/qwen-code#7659, BerriAI/litellm#37470, mozilla-ai/any-llm#1384,
    langchain-ai/langchain-aws#927, osaurus-ai/osaurus#1940, agentscope-ai/agentscope#1608"""

    def thinking(asked: Asked) -> Answer:
        if asked.body.get("tool_choice") not in (None, "auto", "none"):
            return refused(words)
        return calls(("look", {})) if asked.body["messages"][-1]["role"] == "user" else whole("It is 21.")

    with serve(thinking) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0, tool_choice=choice), tools=[look])
        assert agent.run("Look.").output == "It is 21."
        assert agent.run("Look.").output == "It is 21."
        assert [each.get("tool_choice") for each in fields_of(server)] == [choice, *["auto"] * 4]


def test_a_schema_of_a_tool_that_is_refused_is_no_refusal_of_the_choice() -> None:
    words = "Invalid schema for function 'look': 'city' is not supported"
    with serve([refused(words)]) as server:
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0, tool_choice="required"), tools=[look])
        with pytest.raises(openai.BadRequestError):
            agent.run("Look.")
        assert len(server.requests) == 1


WANTS_TOOLS = [
    "litellm.UnsupportedParamsError: Bedrock doesn't support tool calling without `tools=` param specified. Pass "
    "`tools=` param OR set `litellm.modify_params = True` // `litellm_settings::modify_params: True` to add dummy tool",
    "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
    "Requests which include `tool_use` or `tool_result` blocks must define tools",
]


@pytest.mark.parametrize("words", WANTS_TOOLS, ids=range(len(WANTS_TOOLS)))
@pytest.mark.parametrize("stream", [False, True])
def test_a_run_at_its_limit_is_answered_by_a_server_that_wants_tools_behind_calls(words: str, stream: bool) -> None:
    """BerriAI/litellm#24712, BerriAI/litellm#40735, timothy-agent/timothy#282, pydantic/pydantic-ai#1966,
    PrimeIntellect-ai/prime-agent#2407, pipecat-ai/pipecat#1904"""

    def claude(asked: Asked) -> Answer:
        messages = asked.body["messages"]
        if any(each["role"] == "tool" for each in messages) and not asked.body.get("tools"):
            return refused(words)
        return calls(("look", {})) if len(messages) == 1 else whole("It is 21.")

    with serve(claude) as server:
        backend = OpenAIBackend("m", base_url=server.url, max_retries=0, tool_choice="required")
        agent = Agent(backend, tools=[look], limits=Limits(turns=1))
        if stream:
            run = agent.stream("Look.")
            list(run)
            result = run.result
            assert result is not None
        else:
            result = agent.run("Look.")
        assert (result.output, result.stopped) == ("It is 21.", "turns")
        last = server.requests[-1].body
        assert [each["function"]["name"] for each in last["tools"]] == ["no_tool"]
        assert "tool_choice" not in last
        before = len(server.requests)
        plain = Agent(backend)
        assert plain.run("And now?", messages=result.messages).output == "It is 21."
        assert len(server.requests) == before + 1  # it is known


def test_a_question_without_calls_gets_no_tool() -> None:
    with serve([refused(WANTS_TOOLS[-1])]) as server:
        with pytest.raises(openai.BadRequestError):
            Agent(OpenAIBackend("m", base_url=server.url, max_retries=0)).run("Hi.")
        assert len(server.requests) == 1


def forbidden(name: str, value: Any) -> Any:
    return {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": value}


@pytest.mark.parametrize("form", [lambda all_: {"detail": all_}, lambda all_: {"message": {"detail": all_}}])
def test_what_a_validation_of_the_request_forbids_is_left_out(form: Callable[[Any], Any]) -> None:
    """Gitlawb/openclaude#739, editor-code-assistant/eca#231, mistralai/platform-docs-public#7: Mistral's answers to
    fields that it does not know."""
    unknown = ("max_completion_tokens", "frequency_penalty", "seed")

    def answer(asked: Asked) -> Answer:
        wrong = [forbidden(name, asked.body[name]) for name in unknown if name in asked.body]
        return Answer(json.dumps({"object": "error", **form(wrong)}).encode(), 422) if wrong else whole("Fine.")

    with serve(answer) as server:
        given: dict[str, Any] = {"max_completion_tokens": 100, "frequency_penalty": 0.1, "seed": 1, "temperature": 0.3}
        agent = Agent(OpenAIBackend("m", base_url=server.url, max_retries=0, **given), tools=[look])
        assert agent.run("Hi.").output == "Fine."
        assert agent.run("Hi.").output == "Fine."
    assert fields_of(server)[-2:] == [{"max_tokens": 100, "temperature": 0.3}] * 2


WITH_EFFORT = [
    # GoogleChromeLabs/webmcp-tools#417, laurent22/joplin#16451, openai/openai-openapi#541
    "Function tools with reasoning_effort are not supported for gpt-5.6-terra in /v1/chat/completions. To use function "
    "tools, use /v1/responses or set reasoning_effort to 'none'.",
    # pipecat-ai/pipecat#4043
    "Function tools with reasoning_effort are not supported for gpt-5.4 in /v1/chat/completions. Please use "
    "/v1/responses instead.",
]


@pytest.mark.parametrize("words", WITH_EFFORT)
@pytest.mark.parametrize("given", [{}, {"reasoning_effort": "high"}])
def test_a_model_that_does_not_reason_beside_tools_is_told_not_to_and_reasons_without_them(
    given: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing is said of it, the model's default counts, which is refused too (aaif-goose/goose#11413)."""
    caplog.set_level(logging.WARNING, "agentkit")
    refuses = against(words, lambda body: "tools" in body and body.get("reasoning_effort") != "none")
    with serve(refuses) as server:
        backend = OpenAIBackend("gpt-5.6-terra", base_url=server.url, max_retries=0, **given)
        assert Agent(backend, tools=[look]).run("Hi.").output == "Fine."
        assert Agent(backend, tools=[look]).run("Hi.").output == "Fine."
        assert Agent(backend).run("Hi.").output == "Fine."
    assert fields_of(server) == [given, {"reasoning_effort": "none"}, {"reasoning_effort": "none"}, given]
    assert 'only with the reasoning_effort "none"' in caplog.text
