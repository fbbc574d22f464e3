"""The model server that a service stands before: OpenAI-compatible, without a key, with one model."""

from agentkit.backends import OpenAIBackend


def base_url(server: str) -> str:
    """The address of its API, up to and with /v1. server: with or without that."""
    return server.rstrip("/").removesuffix("/v1") + "/v1"


def model_server(
    server: str, *, timeout: float, temperature: float, top_p: float, max_tokens: int, thinks: bool
) -> OpenAIBackend:
    """The backend for the server at an address. timeout: seconds. thinks: whether the model is let think first."""
    return OpenAIBackend(
        "default",
        base_url=base_url(server),
        api_key="not-needed",
        timeout=timeout,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        enable_thinking=thinks,
        chat_template_kwargs={"enable_thinking": thinks},  # as newer llama.cpp reads it
    )
