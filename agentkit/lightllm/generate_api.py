"""LightLLM's text endpoint `/generate`: parameters, complete responses, streams.

The format is that of ModelTC/LightLLM's server (commit 87881ae, 2026): without `do_sample` the sampling values are
ignored; `parameters` is required; a null, or a float for an integer, is rejected; `generated_text` is a list; a stream
ends by closing the connection, its last frame has `finished: true`; stop strings stay in the text.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
import openai

from agentkit._text import json_text
from agentkit.backend import ending_of
from agentkit.backends.usage import count_of
from agentkit.errors import ConfigurationError
from agentkit.lightllm.chosen_family import Chosen, chosen_family, with_placeholder
from agentkit.message import RESPONSE_TAG
from agentkit.net.api_errors import api_error, mark_in_body, status_error
from agentkit.net.error_text import display_url
from agentkit.net.http_client import Events, Transport
from agentkit.net.images import ImageLoader
from agentkit.net.time_limits import Timeout
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.families import Family, family_named, family_of
from agentkit.text.parser import ReplyParser
from agentkit.text.prompt import Clock, PromptMaker, RenderedPrompt
from agentkit.text.verbatim import CopyDetector

MAX_STOPS = 10
MAX_STOP_BYTES = 255
MAX_SCHEMA_BYTES = 2047
"""Limits of the server; it rejects a request that exceeds them."""


@dataclass(frozen=True)
class Generated:
    """One complete generated text. finish_reason: "stop" or "length". logprobs: for each token, {token id: value}."""

    text: str
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Frame:
    """One token of a stream; the last one has a finish_reason."""

    text: str
    finish_reason: str | None
    prompt_tokens: int
    output_tokens: int
    logprobs: Mapping[str, Any] | None = None


class TextServer:
    """A LightLLM server's text endpoint, with what is needed to use it as a chat model; thread-safe.

    base_url: its root; a URL that ends in /generate is accepted too. family: the name of the model family, where the
    model's name does not identify it. template: a chat template instead of the family's. neutral, clock: see
    `PromptMaker`. headers: sent with each request.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: Timeout = 600.0,
        max_retries: int = 2,
        family: str | None = None,
        template: ChatTemplate | None = None,
        image_placeholder: str | None = None,
        neutral: bool = True,
        clock: Clock = datetime.now,
        images: ImageLoader | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.transport = Transport(
            root_of(base_url), api_key=api_key, timeout=timeout, max_retries=max_retries, headers=headers
        )
        self._family = family_named(family) if family else None
        self._template = template
        self._placeholder = image_placeholder
        self._neutral = neutral
        self._clock = clock
        self._images = images or ImageLoader()
        self._made: dict[tuple[str, bool], tuple[Chosen, PromptMaker]] = {}

    @property
    def images(self) -> ImageLoader:
        """The loader of images in messages."""
        return self._images

    def chosen(self, model: str, *, renders: bool = True) -> Chosen:
        """Return the family and the template of a model; asks the server when the name does not identify them. See
        `chosen_family`, also for what it raises."""
        return self._made_for(model, renders)[0]

    def maker(self, model: str, *, renders: bool = True) -> PromptMaker:
        """Return the prompt maker of a model. Arguments and errors: see `chosen`."""
        return self._made_for(model, renders)[1]

    def _made_for(self, model: str, renders: bool) -> tuple[Chosen, PromptMaker]:
        key = (model, renders)
        if key not in self._made:
            found = chosen_family(model, self._family, self._template, self.transport, renders=renders)
            chosen = with_placeholder(found, self._placeholder)
            maker = PromptMaker(chosen.family, chosen.template, neutral=self._neutral, clock=self._clock)
            self._made[key] = chosen, maker
        return self._made[key]

    def known_maker(self, model: str) -> PromptMaker | None:
        """Return the prompt maker of a model, None where the server would have to be asked for its family."""
        is_known = self._family or self._template or (model, True) in self._made or family_of(model)
        return self.maker(model) if is_known else None

    def body(self, prompt: RenderedPrompt, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body of a request. Raises BadRequestError for an image that can't be loaded."""
        body: dict[str, Any] = {"inputs": prompt.text, "parameters": dict(parameters)}
        if prompt.images:
            body["multimodal_params"] = {"images": self._images.base64(prompt.images)}
        return body

    def whole(self, body: Mapping[str, Any], **options: Any) -> list[Generated]:
        """Return the generated texts. Raises the openai package's APIError and its subclasses."""
        return self.answered(body, **options)[1]

    def answered(
        self, body: Mapping[str, Any], *, query: str = "", **options: Any
    ) -> tuple[Mapping[str, str], list[Generated]]:
        """Do what `whole` does, and return the headers of the response and the texts. query: with its question mark."""
        headers, answer = self.transport.exchange(f"/generate{query}", body, **options)
        return headers, generated_of(answer)

    def frames(self, body: Mapping[str, Any], **options: Any) -> Generator[Frame, None, None]:
        """Yield the tokens as they arrive; the request is sent immediately. Raises what `whole` raises; iterating also
        raises APIConnectionError for a stream that ends early."""
        return self.streamed(body, **options)[1]

    def streamed(
        self, body: Mapping[str, Any], *, query: str = "", **options: Any
    ) -> tuple[Mapping[str, str], Generator[Frame, None, None]]:
        """Do what `frames` does, and return the headers of the response and the tokens."""
        headers, events = self.transport.streamed(f"/generate_stream{query}", body, **options)
        return headers, self._frames(events)

    def _frames(self, events: Events) -> Generator[Frame, None, None]:
        is_finished = False
        with closing(events):
            for event in events:
                frame = _frame(event)
                if frame is None:
                    continue
                _raise_if_failed(frame.finish_reason)
                yield frame
                is_finished = bool(event.get("finished"))
        if is_finished:
            return
        raise ended_early(self.transport.base_url + "/generate_stream")

    def count(self, prompt: RenderedPrompt) -> int:
        """Count the tokens of a prompt with the server's tokenizer."""
        body: dict[str, Any] = {"text": prompt.text, "parameters": {}}
        if prompt.images:
            body["multimodal_params"] = {"images": self._images.base64(prompt.images)}
        answer = self.transport.post("/tokens", body)
        count = answer.get("ntokens") if isinstance(answer, dict) else None
        if not isinstance(count, int):
            raise api_error(f"the server did not return a number of tokens: {answer!r:.200}", answer)
        return count


def ended_early(url: str) -> openai.APIConnectionError:
    """The error for a stream that ends before the reply does. url: of the request, whose secrets are left out."""
    text = "the stream ended before the reply was finished (is the server busy or shutting down?): retry"
    return openai.APIConnectionError(message=text, request=httpx2.Request("POST", display_url(url)))


def root_of(base_url: str) -> str:
    """Return the root of a server, whose URL may end in /generate, or in /v1."""
    for ending in ("/generate_stream", "/generate", "/chat/completions", "/v1"):
        base_url = base_url.rstrip("/").removesuffix(ending)
    return base_url


def parser_for(
    maker: PromptMaker,
    tools: Sequence[Mapping[str, Any]] | None,
    prompt: RenderedPrompt,
    stops: Sequence[str],
    messages: Sequence[Mapping[str, Any]],
) -> ReplyParser:
    """Return the parser of the reply to a prompt. messages: the conversation, to recognize copied calls."""
    is_copy = CopyDetector(messages).is_copy
    return ReplyParser(maker.format, tools or [], thinking=prompt.thinking, stops=stops, is_copy=is_copy)


def forced_tool(choice: Any, tools: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Return the tool that OpenAI's `tool_choice` forces: its name, "" for any, None for none.

    Raises BadRequestError for an invalid choice.
    """
    if choice in (None, "auto", "none"):
        return None
    if choice != "required" and not isinstance(choice, Mapping):
        raise status_error(400, f'tool_choice={choice!r} is invalid: use "none", "auto", "required" or a function')
    names = [tool.get("function", tool).get("name") for tool in tools or ()]
    if choice == "required":
        if not names:
            raise status_error(400, 'tool_choice="required" needs tools')
        return str(names[0]) if len(names) == 1 else ""
    name = (choice.get("function") or choice).get("name")
    if name not in names:
        raise status_error(400, f"tool_choice names the tool {name!r}, which is not among the tools {names}")
    return str(name)


def forced_prompt(maker: PromptMaker, prompt: RenderedPrompt, forced: str | None) -> tuple[RenderedPrompt, str]:
    """Return the prompt with the beginning of a tool call added, and that beginning: the only way to force a call here.

    forced: the tool's name, "" for any, None when nothing is forced.
    """
    if forced is None:
        return prompt, ""
    if maker.family.forced is None:
        family = maker.family.name
        message = f"tool_choice can't be followed: how a model of the family {family} begins a call is not known"
        raise status_error(400, f"{message}; leave tool_choice out, or set family=")
    any_tool, named = maker.family.forced
    begun = named.format(name=forced) if forced else any_tool.format()
    if prompt.thinking:
        begun = f"{maker.format.thinks[1]}\n\n{begun}"
    return RenderedPrompt(prompt.text + begun, prompt.images, prompt.thinking), begun


def checked_stops(wanted: str | Sequence[str] | None) -> list[str]:
    """Return the user's stop strings. Raises ConfigurationError for one that the server does not accept."""
    stops = [wanted] if isinstance(wanted, str) else list(wanted or ())
    for stop in stops:
        if not isinstance(stop, str) or not stop or len(stop.encode("utf-8", "replace")) > MAX_STOP_BYTES:
            raise ConfigurationError(
                f"stop={stop!r:.80}: a stop string must be a string of 1 to {MAX_STOP_BYTES} bytes"
            )
    if len(dict.fromkeys(stops)) > MAX_STOPS:
        raise ConfigurationError(f"stop has {len(stops)} strings, and LightLLM accepts {MAX_STOPS}")
    return stops


def stops_of(family: Family, wanted: str | Sequence[str] | None) -> list[str]:
    """Return the stop strings of a request: the user's, the ends of a turn, and the start of an invented tool result.

    Raises ConfigurationError when there are more than the server accepts.
    """
    user_stops = checked_stops(wanted)
    own = [*family.ends[:1], RESPONSE_TAG]
    if len(dict.fromkeys([*user_stops, *own])) > MAX_STOPS:
        raise ConfigurationError(
            f"stop has {len(user_stops)} strings, and LightLLM accepts {MAX_STOPS} including the {len(own)} that end a "
            f"turn: pass at most {MAX_STOPS - len(own)}"
        )
    return list(dict.fromkeys([*own, *user_stops, *family.ends]))[:MAX_STOPS]


def parameters_of(
    *,
    temperature: float | None,
    top_p: float | None,
    top_k: int | None,
    max_tokens: int | None,
    presence_penalty: float | None,
    repetition_penalty: float | None,
    stops: Sequence[str],
    frequency_penalty: float | None = None,
    n: int | None = None,
    seed: int | None = None,
    response_format: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return LightLLM's `parameters`; None omits a key, since the server rejects nulls.

    temperature: 0 means greedy decoding. Penalties below LightLLM's minimum are omitted. more: further parameters of
    the server, which override the others.
    """
    samples = temperature is None or temperature > 0
    parameters: dict[str, Any] = {
        "do_sample": samples,
        "temperature": temperature if samples else None,
        "top_p": top_p,
        "top_k": top_k,
        "max_new_tokens": max_tokens,
        "presence_penalty": _at_least(presence_penalty, 0.0),
        "frequency_penalty": _at_least(frequency_penalty, 0.0),
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop_sequences": list(stops) or None,
        "add_special_tokens": False,
        "skip_special_tokens": False,
        **_guided(response_format),
    }
    if n is not None and n != 1:
        parameters["n"] = parameters["best_of"] = n
    parameters.update(more or {})
    return {key: value for key, value in parameters.items() if value is not None}


def _at_least(value: float | None, minimum: float) -> float | None:
    return None if value is None or value < minimum else value


def _guided(response_format: Mapping[str, Any] | None) -> dict[str, Any]:
    kind = (response_format or {}).get("type")
    if kind == "json_object":
        return {"guided_grammar": "json"}
    if kind != "json_schema" or response_format is None:
        return {}
    described = response_format.get("json_schema") or {}
    schema = json_text(described.get("schema") or {})
    return {"guided_json": schema} if len(schema.encode("utf-8", "replace")) <= MAX_SCHEMA_BYTES else {}


def generated_of(answer: Any) -> list[Generated]:
    """Return the texts of a response of `/generate`; accepts the formats of older and TGI-like servers too.

    Raises APIError when it contains no text, or the server aborted the generation.
    """
    if isinstance(answer, list) and answer:
        answer = answer[0]
    texts = answer.get("generated_text") if isinstance(answer, dict) else None
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise api_error(
            f"the server's response has no generated_text (is it a LightLLM server?): {str(answer)[:200]}", answer
        )
    details = answer["details"] if isinstance(answer.get("details"), dict) else {}
    reasons = _each(answer.get("finish_reason") or details.get("finish_reason") or "stop", len(texts))
    counts = _each(answer.get("count_output_tokens") or details.get("generated_tokens") or 0, len(texts))
    logprobs = answer["logprobs"] if isinstance(answer.get("logprobs"), list) else []
    nested = len(texts) > 1
    for reason in reasons:
        _raise_if_failed(reason)
    return [
        Generated(
            text,
            str(reasons[index]),
            count_of(answer.get("prompt_tokens")),
            count_of(counts[index]),
            (logprobs[index] if nested and len(logprobs) > index else logprobs) or [],
        )
        for index, text in enumerate(texts)
    ]


def _frame(event: Mapping[str, Any]) -> Frame | None:
    token = event.get("token")
    if not isinstance(token, dict):
        return None
    text = token.get("text")
    reason = event.get("finish_reason")
    if not isinstance(reason, str):
        reason = "stop" if event.get("finished") else None
    return Frame(
        text if isinstance(text, str) else "",
        reason,
        count_of(token.get("prompt_tokens")),
        count_of(token.get("count_output_tokens")),
        token.get("logprobs"),
    )


def _raise_if_failed(reason: object) -> None:
    if isinstance(reason, str) and ending_of(reason) == "error":
        message = f"the server aborted the reply or failed to generate it (finish_reason {reason!r}): retry the request"
        raise mark_in_body(api_error(message))


def _each(value: Any, count: int) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [values[min(index, len(values) - 1)] if values else None for index in range(count)]
