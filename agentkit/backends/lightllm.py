"""The backend for LightLLM's `/generate`: the client supplies the chat template, tool-call format and stop strings."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentkit.backend import Backend, Capabilities, MadeByName, ReplyStream, Request, is_broken_off
from agentkit.backends.context_length import context_length_in
from agentkit.backends.text_reply import TextReply
from agentkit.backends.usage import count_of
from agentkit.errors import ConfigurationError
from agentkit.lightllm.defaults import DEFAULTS
from agentkit.limits import Usage
from agentkit.message import Message, without_images
from agentkit.net.error_text import display_url
from agentkit.net.keys import checked_key

if TYPE_CHECKING:
    from agentkit.lightllm.chosen_family import Chosen
    from agentkit.lightllm.generate_api import Frame, Generated
    from agentkit.text.chat_template import ChatTemplate
    from agentkit.text.prompt import Clock

DEFAULT_URL = "http://localhost:8000"


class LightLLMBackend(MadeByName):
    """A LightLLM server.

    model: its name, which identifies the family. base_url: the server's root. api_key: for a gateway in front of it.
    timeout: read timeout in seconds. max_retries: maximum retries after connection errors, 408, 409, 429 and 5xx.
    family, template, image_placeholder, escape_special_tokens, clock: as for `LightLLMClient`. chat_template_kwargs:
    variables of the template, such as {"enable_thinking": False}. sampling: temperature (0.6), top_p (0.95), top_k
    (50), max_tokens (10000), presence_penalty (1.1), repetition_penalty (1.0), frequency_penalty, seed, stop,
    response_format, tool_choice; `extra_body` holds parameters under the server's names.

    Images must be `data:` or public `http(s):` URLs; files are not read. Raises ConfigurationError for invalid
    options.
    """

    stops_on_abort = True

    def __init__(
        self,
        model: str,
        base_url: str = DEFAULT_URL,
        api_key: str | None = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        *,
        family: str | None = None,
        template: "str | Path | ChatTemplate | None" = None,
        image_placeholder: str | None = None,
        escape_special_tokens: bool = True,
        clock: "Clock" = datetime.now,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        stop: str | list[str] | None = None,
        tool_choice: Any = None,
        response_format: Mapping[str, Any] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        **sampling: Any,
    ) -> None:
        from agentkit.lightllm.generate_api import TextServer, parameters_of
        from agentkit.text.chat_template import ChatTemplate

        if isinstance(template, str | Path):
            template = ChatTemplate.from_file(template)
        _check_known(sampling)
        self.model = model
        self._server = TextServer(
            base_url,
            api_key=api_key,
            timeout=timeout,
            max_retries=max_retries,
            family=family,
            template=template,
            image_placeholder=image_placeholder,
            neutral=escape_special_tokens,
            clock=clock,
        )
        self.base_url = self._server.transport.base_url
        self._context_length: int | None = None
        self._variables = dict(chat_template_kwargs or {})
        self._stop = stop
        self._tool_choice = tool_choice
        self._sampling: dict[str, Any] = {
            **SAMPLING,
            **sampling,
            "response_format": response_format,
            "more": extra_body,
        }
        parameters_of(stops=(), **self._sampling)  # an option of the wrong type raises here, not at the first request

    def __repr__(self) -> str:
        return f"LightLLMBackend({self.model!r}, base_url={display_url(self.base_url)!r})"

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        from agentkit.lightllm.generate_api import forced_prompt, forced_tool, parameters_of, parser_for, stops_of

        maker = self._server.maker(self.model)
        sampling = dict(request.sampling)
        stop, tool_choice = sampling.pop("stop", self._stop), sampling.pop("tool_choice", self._tool_choice)
        tool_choice = "required" if tool_choice == "any" else tool_choice
        tools = (request.tools.schemas or None) if tool_choice != "none" else None
        messages: Sequence[Message] = request.transcript
        if maker.family.image is None and request.transcript.has_images:
            messages = [without_images(message) for message in messages]
        prompt = maker.prompt(messages, tools, self._variables)
        prompt, begun = forced_prompt(maker, prompt, forced_tool(tool_choice, tools) if tools else None)
        stops = stops_of(maker.family, stop)
        constrained = {} if request.response_format is None else _constrained(request)
        parameters = parameters_of(stops=stops, **{**self._sampled(sampling), **constrained})
        body = self._server.body(prompt, parameters)
        parser = parser_for(maker, tools, prompt, stops, request.said)
        reply = TextReply(
            f"call_{len(request.transcript)}", request.begin, call_deltas=request.call_deltas, stream=request.stream
        )
        yield from reply.add(parser.feed(begun))
        reason, last = "", None
        with closing(self._generated(body, request.stream)) as frames:
            for frame in frames:
                yield from reply.add(parser.feed(frame.text))
                reason, last = frame.finish_reason or reason, frame
        yield from reply.add(parser.finish(cut_off=is_broken_off(reason)))
        input_tokens, output_tokens = (last.prompt_tokens, last.output_tokens) if last else (0, 0)
        yield reply.reply(reason, Usage(requests=1, input_tokens=input_tokens, output_tokens=output_tokens))

    def _generated(self, body: Mapping[str, Any], stream: bool) -> "Generator[Frame | Generated, None, None]":
        if stream:
            yield from self._server.frames(body)
        else:
            yield self._server.whole(body)[0]

    def _sampled(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The sampling options, those of a request over the backend's; None takes the default. Raises
        ConfigurationError for an unknown option."""
        fields = {name: value for name, value in fields.items() if value is not None or name in SAMPLING}
        _check_known(fields)
        changed = {name: SAMPLING.get(name) if value is None else value for name, value in fields.items()}
        return {**self._sampling, **changed}

    def prompt_form(self) -> "Chosen":
        """Return the model's family, the template that replaces the family's own, and what they follow from. Raises
        what `agentkit.lightllm.chosen_family.chosen_family` raises."""
        return self._server.chosen(self.model)

    def prompt_tokens(self, messages: Sequence[Message]) -> tuple[int, int]:
        """Return the number of tokens of the prompt for messages, and that of the prompt which the server renders of
        them for its chat completions. Raises openai's APIError where the server has no such path."""
        own = self._server.count(self._server.maker(self.model).prompt(messages, None, self._variables))
        body = {"model": self.model, "messages": list(messages), "max_tokens": 1}
        answer = self._server.transport.post("/v1/chat/completions", body)
        usage = answer.get("usage") if isinstance(answer, dict) else None
        return own, count_of(usage.get("prompt_tokens") if isinstance(usage, dict) else None)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`. A schema (`guided_json`) is used only without tools, since tool
        calls are text too."""
        if ask and self._context_length is None:
            models = self._server.transport.get("/v1/models")
            self._context_length = context_length_in(models, self.model)
        maker = self._server.maker(self.model) if ask else self._server.known_maker(self.model)
        return Capabilities(
            self.model,
            self.base_url,
            "text",
            context_length=self._context_length,
            tool_choice=self._tool_choice,
            tools=maker.shows_tools if maker is not None else None,
            sampling=(*SAMPLING, "stop", "tool_choice"),
        )

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        self._server.transport.close()


SAMPLING: dict[str, Any] = {**DEFAULTS, "frequency_penalty": None, "seed": None}
"""Default sampling options, the same as those of `LightLLMClient`."""


def _constrained(request: Request) -> dict[str, Any]:
    return {} if request.tools else {"response_format": request.response_format}


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `lightllm:MODEL[@url]`; reads LIGHTLLM_BASE_URL, LIGHTLLM_API_KEY,
    LIGHTLLM_FAMILY and LIGHTLLM_TEMPLATE (the path of a file or folder)."""
    url = url or environment.get("LIGHTLLM_BASE_URL") or DEFAULT_URL
    key = checked_key(environment.get("LIGHTLLM_API_KEY"), "LIGHTLLM_API_KEY")
    family, template = environment.get("LIGHTLLM_FAMILY") or None, environment.get("LIGHTLLM_TEMPLATE") or None
    return LightLLMBackend(model, base_url=url, api_key=key, family=family, template=template)


def _check_known(sampling: Mapping[str, Any]) -> None:
    unknown = sorted(sampling.keys() - SAMPLING.keys())
    if unknown:
        raise ConfigurationError(
            f"LightLLMBackend({unknown[0]}=...) is not supported: use {', '.join(SAMPLING)}; pass parameters of the "
            "server in extra_body"
        )
