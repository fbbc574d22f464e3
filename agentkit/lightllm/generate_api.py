"""LightLLM's text endpoint `/generate`: parameters, whole answers, streams.

The form is that of ModelTC/LightLLM's server (commit 87881ae, 2026): without `do_sample` the sampling values count for
nothing; `parameters` is required; a null or a float for an integer is refused; `generated_text` is a list; a stream
ends by closing, its last frame has `finished: true`; stop strings stay in the text.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import openai

from agentkit._text import json_text
from agentkit.errors import ConfigurationError
from agentkit.message import RESPONSE_TAG
from agentkit.net.api_errors import api_error, status_error
from agentkit.net.http_client import Events, Transport
from agentkit.net.images import ImageLoader
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.families import DEFAULT, Family, family_named, family_of
from agentkit.text.parser import ReplyParser
from agentkit.text.prompt import PromptMaker, RenderedPrompt
from agentkit.text.verbatim import CopyDetector

MAX_STOPS = 10
MAX_STOP_BYTES = 255
MAX_SCHEMA_BYTES = 2047
"""Limits of the server; it refuses a request with more."""


@dataclass(frozen=True)
class Generated:
    """One text that came whole. finish_reason: "stop" or "length". logprobs: a dict of token id -> value per token."""

    text: str
    finish_reason: str
    prompt_tokens: int
    output_tokens: int
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Frame:
    """A token of a stream; the last one has a finish_reason."""

    text: str
    finish_reason: str | None
    prompt_tokens: int
    output_tokens: int
    logprobs: Mapping[str, Any] | None = None


class TextServer:
    """A LightLLM server, and what it takes to talk to it as to a chat model; shared by threads.

    base_url: its root; an address that ends in /generate is one too. family: by name, where the model's name does
    not tell. template: a chat template instead of the family's. neutral: see `PromptMaker`.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout: float = 600.0,
        max_retries: int = 2,
        family: str | None = None,
        template: ChatTemplate | None = None,
        image_placeholder: str | None = None,
        neutral: bool = True,
        pictures: ImageLoader | None = None,
    ) -> None:
        for ending in ("/generate_stream", "/generate", "/v1"):
            base_url = base_url.rstrip("/").removesuffix(ending)
        self.transport = Transport(base_url, api_key=api_key, timeout=timeout, max_retries=max_retries)
        self._family = family_named(family) if family else None
        self._template = template
        self._placeholder = image_placeholder
        self._neutral = neutral
        self._pictures = pictures or ImageLoader()
        self._makers: dict[str, PromptMaker] = {}

    @property
    def pictures(self) -> ImageLoader:
        """What loads the pictures of messages."""
        return self._pictures

    def maker(self, model: str) -> PromptMaker:
        """What makes the prompts for a model, which the server is asked for when the name tells nothing."""
        if model not in self._makers:
            family = self._family or family_of(model) or self._family_of_server() or family_named(DEFAULT)
            if self._placeholder is not None:
                family = replace(family, image=self._placeholder)
            self._makers[model] = PromptMaker(family, self._template, neutral=self._neutral)
        return self._makers[model]

    def body(self, prompt: RenderedPrompt, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """A request. Raises BadRequestError for a picture that can't be loaded."""
        body: dict[str, Any] = {"inputs": prompt.text, "parameters": dict(parameters)}
        if prompt.images:
            body["multimodal_params"] = {"images": self._pictures.base64(prompt.images)}
        return body

    def whole(self, body: Mapping[str, Any], **options: Any) -> list[Generated]:
        """The texts that were generated. Raises the openai package's APIError and its children."""
        return generated_of(self.transport.post("/generate", body, **options))

    def frames(self, body: Mapping[str, Any], **options: Any) -> Generator[Frame, None, None]:
        """The tokens as they come; the request is sent at once. Raises what `whole` raises, and while the tokens
        come APIConnectionError for a stream without an end."""
        return self._frames(self.transport.events("/generate_stream", body, **options))

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
        raise openai.APIConnectionError(
            message="the stream ended before the reply was finished (is the server busy or shutting down?): try again",
            request=httpx2.Request("POST", self.transport.base_url + "/generate_stream"),
        )

    def count(self, prompt: RenderedPrompt) -> int:
        """The tokens of a prompt, by the server's tokenizer."""
        body: dict[str, Any] = {"text": prompt.text, "parameters": {}}
        if prompt.images:
            body["multimodal_params"] = {"images": self._pictures.base64(prompt.images)}
        answer = self.transport.post("/tokens", body)
        count = answer.get("ntokens") if isinstance(answer, dict) else None
        if not isinstance(count, int):
            raise api_error(f"the server did not tell a number of tokens: {answer!r:.200}", answer)
        return count

    def _family_of_server(self) -> Family | None:
        try:
            models = self.transport.get("/v1/models", timeout=10.0)
        except openai.APIError:
            return None
        data = models.get("data") if isinstance(models, dict) else None
        names = [each.get("id") for each in data or () if isinstance(each, dict)]
        return next((family for name in names if isinstance(name, str) and (family := family_of(name))), None)


def reader_for(
    maker: PromptMaker,
    tools: Sequence[Mapping[str, Any]] | None,
    prompt: RenderedPrompt,
    stops: Sequence[str],
    said: Sequence[Mapping[str, Any]],
) -> ReplyParser:
    """What reads the reply to a prompt. said: the messages of the conversation."""
    is_copy = CopyDetector(said).is_copy
    return ReplyParser(maker.format, tools or [], thinking=prompt.thinking, stops=stops, is_copy=is_copy)


def forced_tool(choice: Any, tools: Sequence[Mapping[str, Any]] | None) -> str | None:
    """The tool that OpenAI's `tool_choice` wants called: its name, "" for any, None for none.

    Raises BadRequestError for a choice that can't be met.
    """
    if choice in (None, "auto", "none"):
        return None
    if choice != "required" and not isinstance(choice, Mapping):
        raise status_error(400, f'tool_choice={choice!r}: it is "none", "auto", "required" or a function')
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
    """The prompt, and the beginning of the reply that makes the model call a tool: a text server has no other way.

    forced: the tool's name, "" for any, None when nothing is forced.
    """
    if forced is None:
        return prompt, ""
    any_tool, named = maker.family.forced
    begun = named.format(name=forced) if forced else any_tool.format()
    if prompt.thinking:
        begun = f"{maker.format.thinks[1]}\n\n{begun}"
    return RenderedPrompt(prompt.text + begun, prompt.images, prompt.thinking), begun


def stops_of(family: Family, wanted: str | Sequence[str] | None) -> list[str]:
    """The stop strings of a request: the user's, the ends of a turn, and where a model would invent results.

    Raises ConfigurationError for more than the server takes.
    """
    given = [wanted] if isinstance(wanted, str) else list(wanted or ())
    for stop in given:
        if not isinstance(stop, str) or not stop or len(stop.encode("utf-8", "replace")) > MAX_STOP_BYTES:
            raise ConfigurationError(f"stop={stop!r:.80}: a stop string is a text of 1 to {MAX_STOP_BYTES} bytes")
    own = [family.ends[0], RESPONSE_TAG]
    if len(dict.fromkeys([*given, *own])) > MAX_STOPS:
        raise ConfigurationError(
            f"stop has {len(given)} strings, and LightLLM takes {MAX_STOPS} with the {len(own)} that end a turn: "
            f"give at most {MAX_STOPS - len(own)}"
        )
    return list(dict.fromkeys([*own, *given, *family.ends]))[:MAX_STOPS]


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
    """LightLLM's `parameters`; None leaves a key out, which the server would refuse as a null.

    temperature 0 is greedy decoding. Penalties below the least that LightLLM takes are left out. more: keys of the
    server that have no name in OpenAI's API, which win.
    """
    samples = temperature is None or temperature > 0
    made: dict[str, Any] = {
        "do_sample": samples,
        "temperature": temperature if samples else None,
        "top_p": top_p,
        "top_k": top_k,
        "max_new_tokens": max_tokens,
        "presence_penalty": _at_least(presence_penalty, 0.0),
        "frequency_penalty": _at_least(frequency_penalty, 0.0),
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "stop_sequences": list(stops),
        "add_special_tokens": False,
        "skip_special_tokens": False,
        **_guided(response_format),
    }
    if n is not None and n != 1:
        made["n"] = made["best_of"] = n
    made.update(more or {})
    return {key: value for key, value in made.items() if value is not None}


def _at_least(value: float | None, least: float) -> float | None:
    return None if value is None or value < least else value


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
    """The texts of an answer of `/generate`; also in the form of older and TGI-like servers.

    Raises APIError when there are none, or the server gave up.
    """
    if isinstance(answer, list) and answer:
        answer = answer[0]
    texts = answer.get("generated_text") if isinstance(answer, dict) else None
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise api_error(
            f"the server's answer has no generated_text (is it a LightLLM server?): {str(answer)[:200]}", answer
        )
    details = answer.get("details") or {}
    reasons = _each(answer.get("finish_reason") or details.get("finish_reason") or "stop", len(texts))
    counts = _each(answer.get("count_output_tokens") or details.get("generated_tokens") or 0, len(texts))
    logprobs = answer.get("logprobs") or []
    nested = len(texts) > 1
    for reason in reasons:
        _raise_if_failed(reason)
    return [
        Generated(
            text,
            str(reasons[place]),
            _number(answer.get("prompt_tokens")),
            _number(counts[place]),
            (logprobs[place] if nested and len(logprobs) > place else logprobs) or [],
        )
        for place, text in enumerate(texts)
    ]


def _frame(event: Mapping[str, Any]) -> Frame | None:
    token = event.get("token")
    if not isinstance(token, dict):
        return None
    text = token.get("text")
    reason = event.get("finish_reason")
    if event.get("finished") and not isinstance(reason, str):
        reason = "stop"
    return Frame(
        text if isinstance(text, str) else "",
        reason,
        _number(token.get("prompt_tokens")),
        _number(token.get("count_output_tokens")),
        token.get("logprobs"),
    )


def _raise_if_failed(reason: object) -> None:
    if reason in ("abort", "error"):
        raise api_error(
            f"the server gave up the reply (finish_reason {reason!r}): it was aborted or failed there; try again"
        )


def _each(value: Any, count: int) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [values[min(place, len(values) - 1)] if values else None for place in range(count)]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
