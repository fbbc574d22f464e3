"""A model behind LightLLM's `/generate`: the chat template, the tool-call format and the stops are ours to know."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agentkit.backend import Backend, Begin, Pieces, Request, is_broken_off
from agentkit.backends.chat_protocol import context_length_in
from agentkit.backends.fallback_calls import tool_calls_of
from agentkit.errors import ConfigurationError
from agentkit.event import ReasoningDelta, Reply, ReplyDiscarded, TextDelta
from agentkit.limits import Usage
from agentkit.message import Message, without_images
from agentkit.text.call_format import BadCall, Call, LateReasoning, Piece, Text, Thought

if TYPE_CHECKING:
    from agentkit.text.chat_template import ChatTemplate

DEFAULT_URL = "http://localhost:8000"


class LightLLMBackend:
    """A LightLLM server.

    model: its name, which tells the family. base_url: the server's root. api_key: for a gateway before it. timeout:
    seconds without a byte. max_retries: after connection errors, 408, 409, 429 and 5xx. family, template,
    image_placeholder, escape_special_tokens: as for `LightLLMClient`. chat_template_kwargs: variables of the
    template, such as {"enable_thinking": False}. sampling: temperature (0.6), top_p (0.95), top_k (50),
    max_tokens (10000), presence_penalty (1.1), repetition_penalty (1.0), frequency_penalty, seed, stop,
    response_format, tool_choice; `extra_body` holds parameters of the server under its own names.

    Pictures are `data:` and public `http(s):` addresses; files are not read. Raises ConfigurationError for options
    that can't work.
    """

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
        )
        self.base_url = self._server.transport.base_url
        self._variables = dict(chat_template_kwargs or {})
        self._stop = stop
        self._tool_choice = tool_choice
        self._sampling: dict[str, Any] = {
            **SAMPLING,
            **sampling,
            "response_format": response_format,
            "more": extra_body,
        }
        parameters_of(stops=(), **self._sampling)  # an option of the wrong type is told at once

    def __repr__(self) -> str:
        return f"LightLLMBackend({self.model!r}, base_url={self.base_url!r})"

    def with_sampling(self, **sampling: Any) -> "LightLLMBackend":
        """The same server through the same connections, with other options of the names that the constructor has; None
        means the default. It is closed with the one it was made from. Raises ConfigurationError."""
        from agentkit.lightllm.generate_api import parameters_of

        made = copy.copy(self)
        made._stop = sampling.pop("stop", self._stop)
        made._tool_choice = sampling.pop("tool_choice", self._tool_choice)
        _check_known(sampling)
        given = {name: SAMPLING[name] if value is None else value for name, value in sampling.items()}
        made._sampling = {**self._sampling, **given}
        parameters_of(stops=(), **made._sampling)
        return made

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        from agentkit.lightllm.generate_api import forced_prompt, forced_tool, parameters_of, reader_for, stops_of

        maker = self._server.maker(self.model)
        tools = (request.tools.schemas or None) if self._tool_choice != "none" else None
        messages: Sequence[Message] = request.transcript
        if maker.family.image is None and request.transcript.has_images:
            messages = [without_images(message) for message in messages]
        prompt = maker.prompt(messages, tools, self._variables)
        prompt, begun = forced_prompt(maker, prompt, forced_tool(self._tool_choice, tools) if tools else None)
        stops = stops_of(maker.family, self._stop)
        sampling = self._sampling if request.response_format is None else {**self._sampling, **_held_to(request)}
        body = self._server.body(prompt, parameters_of(stops=stops, **sampling))
        reader = reader_for(maker, tools, prompt, stops, request.said)
        reading = _Reading(f"call_{len(request.transcript)}", request.begin)
        yield from reading.told(reader.feed(begun))
        if request.stream:
            with closing(self._server.frames(body)) as frames:
                for frame in frames:
                    yield from reading.told(reader.feed(frame.text))
                    reading.counted(frame.prompt_tokens, frame.output_tokens, frame.finish_reason)
            yield from reading.told(reader.finish(cut_off=reading.is_broken_off))
        else:
            generated = self._server.whole(body)[0]
            reading.counted(generated.prompt_tokens, generated.output_tokens, generated.finish_reason)
            pieces = [*reader.feed(generated.text), *reader.finish(cut_off=reading.is_broken_off)]
            for _ in reading.told(pieces):
                pass
        yield reading.reply()

    def takes_schema(self, has_tools: bool) -> bool:
        """Whether the text of a reply can be held to a schema (`guided_json`); it would hold tool calls to it too."""
        return not has_tools

    def context_length(self) -> int | None:
        """The tokens that prompt and reply may have together, where the server tells; it is asked.

        Raises the openai package's APIError when it can't be.
        """
        return context_length_in(self._server.transport.get("/v1/models"), self.model)

    def close(self) -> None:
        """Close the connections; a later request raises ConfigurationError."""
        self._server.transport.close()


SAMPLING: dict[str, Any] = {
    "temperature": 0.6,
    "top_p": 0.95,
    "top_k": 50,
    "max_tokens": 10000,
    "presence_penalty": 1.1,
    "repetition_penalty": 1.0,
    "frequency_penalty": None,
    "seed": None,
}
"""What is sent unless told otherwise: the defaults of `LightLLMClient`."""


def _held_to(request: Request) -> dict[str, Any]:
    return {} if request.tools else {"response_format": request.response_format}


class _Reading:
    """What came of a reply so far."""

    def __init__(self, ids: str, begin: Begin | None) -> None:
        self.pieces: list[Piece] = []
        self._begin = begin
        self._ids = ids
        self._usage = Usage(requests=1)
        self._reason = ""

    @property
    def is_broken_off(self) -> bool:
        """Whether the server says that the reply did not come to its own end."""
        return is_broken_off(self._reason)

    def told(self, pieces: list[Piece]) -> Iterator[TextDelta | ReasoningDelta | ReplyDiscarded]:
        """Take pieces, and yield what they add for a reader."""
        for piece in pieces:
            if isinstance(piece, LateReasoning):
                if any(isinstance(each, Text) for each in self.pieces):
                    yield ReplyDiscarded()
                self.pieces.clear()
                piece = Thought(piece.text)
            if isinstance(piece, Call) and self._begin is not None:
                before = [each.name or "" for each in self.pieces if isinstance(each, Call | BadCall)]
                self._begin(piece.name, piece.arguments, before)
            self.pieces.append(piece)
            if isinstance(piece, Text):
                yield TextDelta(piece.text)
            elif isinstance(piece, Thought):
                yield ReasoningDelta(piece.text)

    def counted(self, prompt_tokens: int, output_tokens: int, reason: str | None) -> None:
        """Note what the server says of its tokens and of the end."""
        self._usage = Usage(requests=1, input_tokens=prompt_tokens, output_tokens=output_tokens)
        self._reason = reason or self._reason

    def reply(self) -> Reply:
        """The whole reply."""
        text = "".join(piece.text for piece in self.pieces if isinstance(piece, Text))
        thoughts = "".join(piece.text for piece in self.pieces if isinstance(piece, Thought))
        calls = [piece for piece in self.pieces if isinstance(piece, Call | BadCall)]
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
        if thoughts:
            message["reasoning_content"] = thoughts
        if calls:
            message["tool_calls"] = tool_calls_of(calls, self._ids)
        return Reply(cast(Message, message), "tool_calls" if calls else self._reason, self._usage)


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """The backend for `lightllm:MODEL`, with `@url`; LIGHTLLM_BASE_URL and LIGHTLLM_API_KEY from the environment."""
    url = url or environment.get("LIGHTLLM_BASE_URL") or DEFAULT_URL
    return LightLLMBackend(model, base_url=url, api_key=environment.get("LIGHTLLM_API_KEY") or None)


def _check_known(sampling: Mapping[str, Any]) -> None:
    unknown = sorted(sampling.keys() - SAMPLING.keys())
    if unknown:
        raise ConfigurationError(
            f"LightLLMBackend({unknown[0]}=...): known are {', '.join(SAMPLING)}; parameters of the server go into "
            "extra_body"
        )
