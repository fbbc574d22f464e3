"""What servers say when they refuse, and what becomes of an item then: `agentkit.batch.attempts`."""

import json

import httpx2
import openai
import pytest

from agentkit.batch.attempts import MAX_PAUSE, kind_of, seconds_before
from agentkit.errors import ConfigurationError
from agentkit.net.api_errors import api_error, error_in_body, status_error
from agentkit.net.refusal_words import is_final, is_of_account, seconds_asked, words_of_body

OPENAI_RATE = (
    "Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): Limit 3, Used 3, Requested 1. "
    "Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more. You can increase "
    "your rate limit by adding a payment method to your account at https://platform.openai.com/account/billing."
)
CURRENT_QUOTA = "You exceeded your current quota, please check your plan and billing details."
GOOGLE = "type.googleapis.com/google.rpc."
GOOGLE_MINUTE = [
    {
        "error": {
            "code": 429,
            "status": "RESOURCE_EXHAUSTED",
            "message": CURRENT_QUOTA,
            "details": [
                {
                    "@type": f"{GOOGLE}QuotaFailure",
                    "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"}],
                },
                {"@type": f"{GOOGLE}RetryInfo", "retryDelay": "36s"},
            ],
        }
    }
]
GOOGLE_DAY = json.loads(json.dumps(GOOGLE_MINUTE).replace("PerMinute", "PerDay"))

PASSING = {
    "openai, a rate": (429, {"error": {"message": OPENAI_RATE, "code": "rate_limit_exceeded", "type": "requests"}}),
    "google, a minute": (429, GOOGLE_MINUTE),
    "azure": (429, {"error": {"code": "429", "message": "exceeded token rate limit of your current AIServices S0 "
                    "pricing tier. Please retry after 26 seconds. Please go here: https://aka.ms/oai/quotaincrease "
                    "if you would like to further increase the default rate limit."}}),
    "anthropic, overloaded": (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "mistral": (429, {"message": "Requests rate limit exceeded"}),
    "an empty body": (429, None),
    "a conflict": (409, {"error": {"message": "The request conflicts with another"}}),
    "a timeout of the server": (408, None),
    "a gateway": (502, None),
    "a server that fails": (500, {"error": {"message": "The server had an error while processing your request"}}),
    "overloaded, as a 400": (400, {"error": {"message": "The engine is currently overloaded, please try again later"}}),
}  # fmt: skip
ACCOUNT = {
    "openai, the quota": (429, {"error": {"message": CURRENT_QUOTA, "type": "insufficient_quota"}}),
    "google, a day": (429, GOOGLE_DAY),
    "openrouter, a day": (429, {"error": {"message": "Rate limit exceeded: free-models-per-day", "code": 429}}),
    "moonshot": (429, {"error": {"type": "exceeded_current_quota_error", "message": "Your account is suspended"}}),
    "zhipu": (429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}),
    "deepseek": (402, {"error": {"message": "Insufficient Balance"}}),
    "anthropic, the credit": (400, {"error": {"message": "Your credit balance is too low to access the API"}}),
    "xai": (429, {"error": "Your team has either used all available credits or reached its monthly spending limit."}),
    "a gateway that wraps it": (500, {"error": {"message": "RateLimitError: insufficient_quota: see your plan"}}),
    "a wrong key": (401, {"error": {"message": "Incorrect API key provided"}}),
    "google, a wrong key": (400, [{"error": {"message": "API key not valid. Please pass a valid API key."}}]),
    "no access": (403, {"error": {"message": "Country not supported"}}),
    "an unknown model": (404, {"error": {"message": "The model `x` does not exist", "code": "model_not_found"}}),
    "groq, an old model": (400, {"error": {"message": "The model `x` has been decommissioned"}}),
    "a wrong address": (404, None),
}
FINAL = {
    "a bad request": (400, {"error": {"message": "messages: at least one message is required"}}),
    "a schema": (422, {"detail": [{"msg": "Field required"}]}),
    "larger than a minute": (429, {"error": {"message": "Request too large for gpt-4o on tokens per min (TPM): Limit "
                                   "30000, Requested 50000. The input or output tokens must be reduced."}}),
    "too long": (400, {"error": {"message": "This model's maximum context length is 8192 tokens. However, your "
                       "messages resulted in 9000 tokens.", "code": "context_length_exceeded"}}),
    "flagged": (403, {"error": {"message": "openai/gpt-4o requires moderation; your input was flagged"}}),
}  # fmt: skip


def of(status: int, body: object) -> openai.APIStatusError:
    return status_error(status, f"status {status}", None, body)


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_asked_again(name: str) -> None:
    assert kind_of(of(*PASSING[name])) == "passing"
    assert not is_final(words_of_body(json.dumps(PASSING[name][1]).encode()))


@pytest.mark.parametrize("name", ACCOUNT)
def test_what_is_about_the_account_is_told_from_a_rate(name: str) -> None:
    """openai/codex#6340, langchain-ai/langchainjs#1929: a quota that is spent is retried; NVIDIA/SkillSpector#303:
    Google's limit of a minute, in the words of OpenAI's spent quota, must be."""
    status, body = ACCOUNT[name]
    assert kind_of(of(status, body)) == "account"
    if status == 429:
        assert is_of_account(words_of_body(json.dumps(body).encode()))


@pytest.mark.parametrize("name", FINAL)
def test_what_would_fail_again_is_not_asked_again(name: str) -> None:
    assert kind_of(of(*FINAL[name])) == "final"


def test_what_is_no_response_passes_and_a_mistake_of_the_program_does_not() -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/")
    passing = [openai.APIConnectionError(request=request), openai.APITimeoutError(request), TimeoutError()]
    assert {kind_of(each) for each in (*passing, ConnectionResetError(), api_error("broken"))} == {"passing"}
    assert kind_of(error_in_body({"error": {"message": "insufficient_quota", "code": 429}})) == "account"
    assert {kind_of(each) for each in (ConfigurationError("no"), ValueError(), KeyError("x"))} == {"final"}


def test_the_pauses_double_have_a_limit_and_differ() -> None:
    assert seconds_before(1) == 0
    for attempt, longest in ((2, 1.0), (3, 2.0), (4, 4.0), (6, 16.0), (50, MAX_PAUSE)):
        pauses = {seconds_before(attempt) for _ in range(50)}
        assert len(pauses) > 10
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (OPENAI_RATE.lower(), 20.0),
        ("please try again in 7m12.5s.", 432.5),
        ("please try again in 120ms. visit", 0.12),
        ("please retry after 26 seconds. please", 26.0),
        ("rate limit reached", None),
        ("try again in a while", None),
    ],
)
def test_the_time_that_a_server_asks_for_in_words_is_read(words: str, seconds: float | None) -> None:
    assert seconds_asked(words) == seconds


def test_the_time_in_google_s_details_is_read() -> None:
    assert seconds_asked(words_of_body(json.dumps(GOOGLE_MINUTE).encode())) == 36.0


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b"<html>busy</html>", b"null", b"7"])
def test_a_body_of_any_kind_is_read(body: bytes) -> None:
    assert not is_final(words_of_body(body))
