"""Raw prompts over `/generate`: `/completions` of OpenAI's API on a LightLLM server.

A prompt is sent as it is, without a chat template; a stop string is cut from the text, as OpenAI does.
"""

import time
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from agentkit.lightllm.generate_api import Frame, Generated, checked_stops, parameters_of
from agentkit.lightllm.request import WITHOUT_EFFECT, chosen_token, usage_of
from agentkit.net.api_errors import status_error
from agentkit.text.held_text import StopFilter

MAX_TOKENS = 16
"""OpenAI's default for raw prompts."""

Prompt = str | list[int]
Token = tuple[Mapping[str, Any] | None, str]
"""What the server says of a token, and its text in a stream."""


class PromptRequest:
    """The body of a completions request, parsed. Keys that OpenAI's API does not have are parameters of the server.

    Raises BadRequestError for what can't be done, ConfigurationError for stop strings that the server does not accept.
    """

    def __init__(self, body: Mapping[str, Any]) -> None:
        rest = dict(body)
        self.prompts = _prompts(rest.pop("prompt", None))
        self.stream = bool(rest.pop("stream", False))
        self.stream_options: Mapping[str, Any] = rest.pop("stream_options", None) or {}
        self.n = int(rest.pop("n", None) or 1)
        self.echo = bool(rest.pop("echo", False))
        logprobs = rest.pop("logprobs", None)
        self.logprobs = logprobs is not None and logprobs is not False
        self.stops = checked_stops(rest.pop("stop", None))
        self.head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": rest.pop("model", None) or "",
        }
        self._refuse_unsupported(rest.pop("best_of", None), rest.pop("suffix", None))
        known = ("temperature", "top_p", "top_k", "presence_penalty", "repetition_penalty", "frequency_penalty", "seed")
        self._parameters = parameters_of(
            **{name: rest.pop(name, None) for name in known},
            max_tokens=_number(rest.pop("max_tokens", None)),
            stops=self.stops,
            n=self.n,
            more={
                "add_special_tokens": True,  # the beginning-of-text token, which a chat template would have written
                **{name: value for name, value in rest.items() if name not in WITHOUT_EFFECT},
            },
        )

    def bodies(self) -> list[dict[str, Any]]:
        """Return the body of the request for each prompt."""
        return [{"inputs": prompt, "parameters": self._parameters} for prompt in self.prompts]

    def answer(self, generated: Sequence[Sequence[Generated]]) -> dict[str, Any]:
        """Return the JSON of the answer. generated: the texts for each prompt."""
        choices = [
            self._choice(self.prompts[place], each, place * self.n + number)
            for place, texts in enumerate(generated)
            for number, each in enumerate(texts)
        ]
        output = sum(each.output_tokens for texts in generated for each in texts)
        prompt = sum(texts[0].prompt_tokens for texts in generated)
        return {**self.head, "choices": choices, "usage": usage_of(prompt, output)}

    def chunks(self, streams: Iterator[Generator[Frame, None, None]]) -> Iterator[dict[str, Any]]:
        """Yield the JSON of the chunks of a stream. streams: the tokens for each prompt, one after the other."""
        prompt_tokens = output_tokens = 0
        for index, frames in enumerate(streams):
            last: Frame | None = None
            for frame, chunk in self._chunks_of(index, frames):
                last = frame
                yield chunk
            if last is not None:
                prompt_tokens, output_tokens = prompt_tokens + last.prompt_tokens, output_tokens + last.output_tokens
        if self.stream_options.get("include_usage"):
            yield {**self.head, "choices": [], "usage": usage_of(prompt_tokens, output_tokens)}

    def _chunks_of(
        self, index: int, frames: Generator[Frame, None, None]
    ) -> Iterator[tuple[Frame | None, dict[str, Any]]]:
        """Yield the chunks for a prompt, each with the frame that it was made of."""
        echoed = self._echoed(self.prompts[index])
        if echoed:
            yield None, self._chunk(index, echoed, self._logprobs([], 0, echoed=echoed))
        cutting, place, waiting = StopFilter(self.stops), len(echoed), list[Token]()
        frame: Frame | None = None
        for frame in frames:
            waiting.append((frame.logprobs, frame.text))
            if text := cutting.feed(frame.text):
                yield frame, self._chunk(index, text, self._logprobs(waiting, place))
                place, waiting = place + len(text), []
        rest = cutting.finish()
        reason = "stop" if cutting.is_cut or frame is None else frame.finish_reason or "stop"
        logprobs = None if cutting.is_cut else self._logprobs(waiting, place)
        yield frame, self._chunk(index, rest, logprobs, reason)

    def _chunk(self, index: int, text: str, logprobs: Any = None, reason: str | None = None) -> dict[str, Any]:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        return {**self.head, "choices": [choice]}

    def _choice(self, prompt: Prompt, generated: Generated, index: int) -> dict[str, Any]:
        cutting = StopFilter(self.stops)
        text = cutting.feed(generated.text) + cutting.finish()
        echoed = self._echoed(prompt)
        return {
            "index": index,
            "text": echoed + text,
            "finish_reason": "stop" if cutting.is_cut else generated.finish_reason,
            "logprobs": self._logprobs(
                [(entry, "") for entry in generated.logprobs], 0, len(text) if cutting.is_cut else None, echoed
            ),
        }

    def _logprobs(
        self, tokens: Sequence[Token], place: int, length: int | None = None, echoed: str = ""
    ) -> dict[str, Any] | None:
        """Convert the server's log probabilities to OpenAI's form. place: where the text begins. length: of the text,
        when what follows it was cut. echoed: the prompt before it; its tokens are unknown, so that it counts as one
        whose log probability is null, as that of OpenAI's first token."""
        if not self.logprobs:
            return None
        told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        rows: list[tuple[Any, ...]] = [(echoed, None, None, place)] if echoed else []
        place += len(echoed)
        end = None if length is None else place + length
        for entry, text in tokens:
            chosen = chosen_token(entry, text)
            if chosen is not None and (end is None or place < end):
                token, logprob = chosen["token"], chosen["logprob"]
                rows.append((token, logprob, {token: logprob}, place))
                place += len(token)
        for row in rows:
            for values, value in zip(told.values(), row, strict=True):
                values.append(value)
        return told

    def _echoed(self, prompt: Prompt) -> str:
        return prompt if self.echo and isinstance(prompt, str) else ""

    def _refuse_unsupported(self, best_of: int | None, suffix: str | None) -> None:
        if suffix:
            raise status_error(400, "suffix= can't be followed by LightLLM, which writes only what follows a prompt")
        if best_of is not None and best_of != self.n:
            raise status_error(400, f"best_of={best_of} with n={self.n}: LightLLM returns all texts: set n alone")
        if self.stream and self.n > 1:
            raise status_error(400, f"n={self.n} with stream=True: LightLLM streams only one reply per request")
        if self.echo and any(not isinstance(prompt, str) for prompt in self.prompts):
            raise status_error(400, "echo=True needs prompts that are texts: the ids of tokens can't be shown as text")


def _prompts(given: Any) -> list[Prompt]:
    """Return the prompts of OpenAI's four forms. Raises BadRequestError for others."""
    if isinstance(given, str) or _are_ids(given):
        given = [given]
    if isinstance(given, list) and given and all(isinstance(each, str) or _are_ids(each) for each in given):
        if all(given):
            return given
        raise status_error(400, "a prompt is empty: LightLLM needs at least one character or token")
    raise status_error(400, "prompt must be a text, the ids of its tokens, or a list of either")


def _are_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(each) is int for each in value)


def _number(max_tokens: int | None) -> int:
    return MAX_TOKENS if max_tokens is None else max_tokens
