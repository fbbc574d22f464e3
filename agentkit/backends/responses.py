"""The backend for OpenAI's Responses API, in which its newest models reason beside tools, and servers that have it.

Everything but the form of requests and responses is that of the chat completions backend.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from agentkit._lazy.records import replace
from agentkit.backend import Backend, Request
from agentkit.backends.adapting import Adapting
from agentkit.backends.message_form import MessageForm
from agentkit.backends.openai import OpenAIBackend
from agentkit.backends.response_events import chunks_of
from agentkit.backends.response_input import responses_body
from agentkit.errors import ConfigurationError
from agentkit.net.model_names import openai_address
from agentkit.net.server_urls import RESPONSES

RESERVED = ("input", "instructions", "previous_response_id", "conversation", "background")
"""Fields of a request that the agent sets itself, or that would make the server keep the conversation."""


class ResponsesBackend(OpenAIBackend):
    """A model behind OpenAI's Responses API (`/v1/responses`).

    The arguments are those of `OpenAIBackend`; fields of chat completions are sent under their names in this API
    (`max_tokens`, `reasoning_effort`, `verbosity`, `response_format`, `tool_choice`), and its own, such as
    reasoning={"effort": "high", "summary": "auto"}, as they are. Nothing is stored by the server unless store=True is
    given; the reasoning of a reply comes back encrypted, stays in the transcript, and is sent again.

    Raises ConfigurationError as `OpenAIBackend` does, also for `instructions`, `previous_response_id` and others that
    the agent sets itself.
    """

    _endpoint = RESPONSES
    _encoded = staticmethod(responses_body)

    def __init__(self, model: str, base_url: str | None = None, api_key: str | None = None, **options: Any) -> None:
        _check(options)
        super().__init__(model, base_url, api_key, **options)

    def __repr__(self) -> str:
        return super().__repr__().replace("OpenAIBackend", "ResponsesBackend", 1)

    def _body(self, sending: Adapting) -> bytes:
        _check(sending.fields)
        return super()._body(sending)

    def _form(self) -> MessageForm:
        form = super()._form()
        return form if form.items else replace(form, items=True)

    def _chunks(self, objects: Iterator[dict[str, Any]], request: Request) -> Iterable[Mapping[str, Any]]:
        return chunks_of(objects, answer_alone=request.response_format is not None)


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `openai-responses:MODEL[@url]`."""
    base_url, key = openai_address("openai", model, url, environment)
    return ResponsesBackend(model, base_url=base_url, api_key=key)


def _check(fields: Mapping[str, Any]) -> None:
    for name in RESERVED:
        if name in fields:
            raise ConfigurationError(f"{name}=...: the agent sends the whole conversation itself, and no such field")
