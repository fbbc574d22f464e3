"""A GGUF model in this process: llama.cpp by xllamacpp, with its own chat template, tool-call parser and cache."""

import copy
import importlib.util
import json
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from agentkit._threads import WORKERS
from agentkit.backend import Backend, Pieces, Request
from agentkit.backends.chat_protocol import Accumulator, chat_completions_body
from agentkit.backends.fallback_calls import ReplyText
from agentkit.errors import ConfigurationError, MissingExtraError
from agentkit.event import Reply


class GGUFBackend:
    """A GGUF file, loaded at the first request and given back by `close()`.

    path: the file. context: tokens of prompt and reply together. threads: None takes half of the processors.
    slots: requests answered at once; the others wait. escape_special_tokens: whether special tokens (`<|im_end|>`) in
    what tools and users said are broken in requests. sampling: more fields of a chat completions request.

    Raises MissingExtraError without xllamacpp, ConfigurationError when there is no such file.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        context: int = 8192,
        threads: int | None = None,
        slots: int = 1,
        escape_special_tokens: bool = True,
        **sampling: Any,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtraError("a model in a GGUF file", "gguf")
        self.path = Path(path).expanduser()
        if not self.path.is_file():
            raise ConfigurationError(f"there is no GGUF file at {str(path)!r}: write gguf:PATH")
        self._context = context
        self._threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._slots = slots
        self._escapes = escape_special_tokens
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._lock = threading.Lock()
        self._server: Any = None
        self._closed = False
        self._loader = self

    def __repr__(self) -> str:
        return f"GGUFBackend({self.path.name!r})"

    def with_sampling(self, **sampling: Any) -> "GGUFBackend":
        """The same model, with other fields of the request; None leaves one out. It is closed with the one it was made
        from."""
        made = copy.copy(self)
        made._sampling = {key: value for key, value in {**self._sampling, **sampling}.items() if value is not None}
        return made

    def reply(self, request: Request) -> Pieces:
        """See `agentkit.backend.Backend.reply`."""
        server = self._loader._loaded()
        fields = {"model": self.path.name, **self._sampling}
        if request.stream:
            fields["stream_options"] = {"include_usage": True}
        answering = _Answering(chat_completions_body(fields, request, images=False, escaped=self._escapes))
        text = ReplyText(request, self.path.name, reads_calls=False)
        accumulator = Accumulator(f"call_{len(request.transcript)}", request.begin, request.call_deltas)
        WORKERS.submit(lambda: answering.run(server))
        try:
            while (chunk := answering.next_chunk()) is not None:
                for delta in accumulator.feed(chunk):
                    for shown in text.read(delta):
                        if request.stream:
                            yield shown
        finally:
            answering.stop()
        if accumulator.is_empty:
            raise _refused("llama.cpp ended without a reply")
        for piece in text.finish(accumulator.reply()):
            if request.stream or isinstance(piece, Reply):
                yield piece

    def takes_schema(self, has_tools: bool) -> bool:
        """Whether the text of a reply can be held to a schema."""
        return not has_tools

    def close(self) -> None:
        """Unload the model; a later request raises ConfigurationError."""
        with self._lock:
            self._loader._server, self._loader._closed = None, True

    def _loaded(self) -> Any:
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"{self!r} is closed: make a new one")
            if self._server is None:
                self._server = self._load()
            return self._server

    def _load(self) -> Any:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self.path)
        parameters.n_ctx = self._context * self._slots
        parameters.n_parallel = self._slots
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = self._threads
        parameters.verbosity = -1
        # It listens on loopback even when nobody asks it to: a port of its own choice, and a key that nobody has.
        parameters.port = 0
        parameters.api_keys = [secrets.token_hex(32)]
        try:
            return xllamacpp.Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(f"llama.cpp can't load {self.path.name}: {error}") from None


class _Answering:
    """One request, answered by llama.cpp in a thread of its own, so that Ctrl-C and a reader who leaves end it."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._chunks: SimpleQueue[dict[str, Any] | Exception | None] = SimpleQueue()
        self._stopped = threading.Event()

    def run(self, server: Any) -> None:
        """Answer; the callback's True tells llama.cpp to stop."""
        try:
            server.handle_chat_completions(self._body.decode("utf-8"), self._take)
        except Exception as error:  # noqa: BLE001 - raised again by the thread that waits
            self._chunks.put(error)
        finally:
            self._chunks.put(None)

    def next_chunk(self) -> dict[str, Any] | None:
        """The next chunk, None after the last. Raises BadRequestError or APIError when llama.cpp refuses."""
        chunk = self._chunks.get()
        if isinstance(chunk, Exception):
            raise _refused(str(chunk))
        if chunk is not None and chunk.get("error"):
            error = chunk["error"]
            raise _refused(str(error.get("message", error)) if isinstance(error, dict) else str(error), error)
        return chunk

    def stop(self) -> None:
        """Let llama.cpp stop at its next token."""
        self._stopped.set()

    def _take(self, chunk: str) -> bool:
        for value in _values(chunk):
            self._chunks.put(value)
        return self._stopped.is_set()


def _values(chunk: Any) -> list[dict[str, Any]]:
    """What llama.cpp hands over: JSON text of a chunk, a list of chunks, or several."""
    value = json.loads(chunk) if isinstance(chunk, str | bytes) else chunk
    return value if isinstance(value, list) else [value]


def _refused(message: str, body: object = None) -> Exception:
    import httpx2
    from openai import BadRequestError

    request = httpx2.Request("POST", "http://gguf.invalid/chat/completions")
    return BadRequestError(message, response=httpx2.Response(400, request=request), body=body)


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """The backend for `gguf:PATH`."""
    if url or not model:
        raise ConfigurationError("a model in a file is named gguf:PATH")
    return GGUFBackend(model)
