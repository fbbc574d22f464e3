"""Runs a GGUF model in this process: llama.cpp through xllamacpp, its chat template, tool-call parser and cache."""

import atexit
import contextlib
import ctypes
import importlib.util
import json
import os
import secrets
import threading
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from agentkit._forking import freed_by_forks, renewed_by_forks
from agentkit._lazy.records import replace
from agentkit._threads import WORKERS
from agentkit.backend import Backend, Capabilities, MadeByName, ReplyStream, Request
from agentkit.backends.chat_protocol import Accumulator, chat_completions_body, check_sampling, merged_sampling
from agentkit.backends.fallback_calls import ReplyText
from agentkit.backends.message_form import message_form_of
from agentkit.backends.tool_arrival import LEFT_OUT, note_arrival, note_missing_call
from agentkit.errors import ConfigurationError, MissingExtraError
from agentkit.event import Reply
from agentkit.net.abort import Aborted, stop_on_abort
from agentkit.net.home_paths import expanded
from agentkit.net.learned import Learned
from agentkit.tooling.schema_dialects import Dialect


class GGUFBackend(MadeByName):
    """A GGUF file, loaded at the first request and unloaded by `close()`.

    path: the file. context: tokens of prompt and reply together. threads: None uses half of the processors.
    slots: requests processed concurrently; others wait. escape_special_tokens: whether special tokens (`<|im_end|>`)
    in tool results and user messages are escaped in requests. sampling: further fields of a chat completions request.

    A child of a process that loaded a model can't use it, nor any other: its requests raise ConfigurationError.

    Raises MissingExtraError without xllamacpp, ConfigurationError when the file does not exist, and for sampling as
    `OpenAIBackend` does.
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
        self.path = expanded(path)
        if not self.path.is_file():
            raise ConfigurationError(f"GGUF file {str(path)!r} not found: write gguf:PATH")
        self._context = context
        self._threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._slots = slots
        self._escapes = escape_special_tokens
        check_sampling(sampling)
        self._sampling = {key: value for key, value in sampling.items() if value is not None}
        self._learned = Learned()
        self._lock = freed_by_forks(threading.Lock())
        self._server: Any = None
        self._closed = False

    def __repr__(self) -> str:
        return f"GGUFBackend({self.path.name!r})"

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        generation = _Generation(self._loaded(), self._body(request))
        text = ReplyText(request, self.path.name, reads_calls=False)
        accumulator = Accumulator(f"call_{len(request.transcript)}", request.begin, request.call_deltas)
        stop_on_abort(generation.stop)
        generation.start()
        try:
            chunks = map(accumulator.feed, iter(generation.next_chunk, None))
            for delta in chain.from_iterable(chain(chunks, [accumulator.rest()])):
                for visible in text.read(delta):
                    if request.stream:
                        yield visible
        finally:
            generation.stop()
        if accumulator.is_empty:
            raise _refused("llama.cpp sent an empty reply")
        for item in text.finish(accumulator.reply()):
            if isinstance(item, Reply):
                note_missing_call(self._learned, self, request, self._sampling, item)
                note_arrival(self._learned, self, request, item, lambda: None, is_counted_here=True)
            if request.stream or isinstance(item, Reply):
                yield item

    def _body(self, request: Request) -> bytes:
        """Always that of a stream: llama.cpp asks only between the chunks of one whether it is to stop."""
        fields = {
            "model": self.path.name,
            "stream_options": {"include_usage": True},
            **merged_sampling(self._sampling, request),
        }
        form = message_form_of(self.path.name, "")  # its template may refuse longer ids
        request = replace(request, stream=True)
        return chat_completions_body(fields, request, False, self._escapes, Dialect.SELF_HOSTED, form)

    def capabilities(self, ask: bool = False) -> Capabilities:
        """See `agentkit.backend.Backend.capabilities`."""
        choice = self._sampling.get("tool_choice")
        return Capabilities(
            self.path.name,
            schema="text",
            images=False,
            context_length=self._context,
            tools=False if self._learned.value(LEFT_OUT) else None,
            tool_choice=choice,
        )

    def close(self) -> None:
        """Unload the model; a later request raises ConfigurationError."""
        with self._lock:
            self._server, self._closed = None, True

    def _loaded(self) -> Any:
        with self._lock:
            if self._closed:
                raise ConfigurationError(f"{self!r} is closed: create a new one")
            _LLAMA.check(repr(self))
            if self._server is None:
                _LLAMA.begin(self)
                self._server = self._load()
            return self._server

    def renew_in_child(self) -> None:
        """In a forked child: never unload the model, which waits for the threads of llama.cpp."""
        if self._server is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._server))

    def _load(self) -> Any:
        import xllamacpp

        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(self.path)
        parameters.n_ctx = self._context * self._slots
        parameters.n_parallel = self._slots
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = self._threads
        parameters.verbosity = -1
        # The server always listens on loopback: let it choose the port, and set a key that nobody knows.
        parameters.port = 0
        parameters.api_keys = [secrets.token_hex(32)]
        try:
            return xllamacpp.Server(parameters)
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(f"llama.cpp can't load {self.path.name}: {error}") from None


class _Generation:
    """One request, processed by llama.cpp in its own thread, so that Ctrl-C and closing the stream stop it."""

    def __init__(self, server: Any, body: bytes) -> None:
        self._server = server
        self._body = body
        self._chunks: SimpleQueue[dict[str, Any] | Exception | None] = SimpleQueue()
        self._stopped = threading.Event()
        self._ended = threading.Event()
        self._is_last = False

    def start(self) -> None:
        """Process the request in another thread."""
        _RUNNING.add(self)
        WORKERS.submit(self._run)

    def _run(self) -> None:
        try:
            self._server.handle_chat_completions(self._body.decode("utf-8"), self._take)
        except Exception as error:  # noqa: BLE001 - raised again in the waiting thread
            self._chunks.put(error)
        finally:
            self._server = None  # unloads the model here when the backend has been closed meanwhile
            if not self._is_last:
                self._chunks.put(None)
            _RUNNING.discard(self)
            self._ended.set()

    def next_chunk(self) -> dict[str, Any] | None:
        """Return the next chunk, None after the last. Raises BadRequestError when llama.cpp rejects the request, and
        Aborted when it was stopped: what has arrived is not the reply."""
        chunk = self._chunks.get()
        if chunk is None and self._stopped.is_set():
            raise Aborted
        if isinstance(chunk, Exception):
            raise _refused(str(chunk))
        if chunk is not None and chunk.get("error"):
            error = chunk["error"]
            raise _refused(str(error.get("message", error)) if isinstance(error, dict) else str(error), error)
        return chunk

    def stop(self) -> None:
        """Make llama.cpp stop at its next token, where the callback returns True."""
        self._stopped.set()

    def stop_for_good(self) -> None:
        """The same at the end of the program, where the thread that reads the reply is left waiting."""
        self._is_last = True
        self.stop()

    def wait(self, seconds: float) -> None:
        """Wait until llama.cpp has returned."""
        self._ended.wait(seconds)

    def _take(self, chunk: str) -> bool:
        for value in _values(chunk):
            self._chunks.put(value)
        return self._stopped.is_set()


class _Llama:
    """llama.cpp in this process, whose threads don't survive a fork."""

    def __init__(self) -> None:
        self._process: int | None = None
        renewed_by_forks(self)

    @property
    def is_of_parent(self) -> bool:
        """Whether a parent of this process loaded a model."""
        return self._process not in (None, os.getpid())

    def check(self, name: str) -> None:
        """Raises ConfigurationError in a child of the process that loaded a model."""
        if self.is_of_parent:
            raise ConfigurationError(
                f"{name} can't be used in this process: its parent loaded a model before os.fork, which llama.cpp does "
                "not survive. Ask the model only after the fork (in each worker), start processes with "
                'multiprocessing\'s "spawn", or use a llama.cpp server (openai:MODEL@http://localhost:8080/v1)'
            )

    def begin(self, backend: GGUFBackend) -> None:
        """Note that a model is loaded."""
        self._process = os.getpid()
        renewed_by_forks(backend)

    def renew_in_child(self) -> None:
        """In a child: end without the destructors of llama.cpp, which wait for its threads. Python has ended before."""
        if self._process is not None:
            libc = ctypes.CDLL(None)
            with contextlib.suppress(AttributeError):  # not on every system
                libc.on_exit(libc._exit, None)


_LLAMA = _Llama()
_RUNNING: set[_Generation] = set()
EXIT_PATIENCE = 10.0
"""Maximum seconds that the end of the program waits for llama.cpp to stop, which it does between two tokens or batches
of the prompt."""


@atexit.register
def _stop_all() -> None:
    """Stop what runs when the program ends; a thread that returns from llama.cpp after that crashes the process."""
    running = [] if _LLAMA.is_of_parent else list(_RUNNING)
    for generation in running:
        generation.stop_for_good()
    for generation in running:
        generation.wait(EXIT_PATIENCE / len(running))


def _values(chunk: Any) -> list[dict[str, Any]]:
    """Return the chunks in a callback value of llama.cpp: a chunk or a list of chunks, decoded or as JSON text."""
    value = json.loads(chunk) if isinstance(chunk, str | bytes) else chunk
    return value if isinstance(value, list) else [value]


def _refused(message: str, body: object = None) -> Exception:
    import httpx2
    from openai import BadRequestError

    request = httpx2.Request("POST", "http://gguf.invalid/chat/completions")
    return BadRequestError(message, response=httpx2.Response(400, request=request), body=body)


def from_name(provider: str, model: str, url: str | None, environment: Mapping[str, str]) -> Backend:
    """Return the backend for `gguf:PATH`."""
    if url or not model:
        raise ConfigurationError("a GGUF model needs a path and no URL: write gguf:PATH")
    return GGUFBackend(model)
