"""Embeddings of texts, from any server with OpenAI's /v1/embeddings."""

import math
import re
import threading
import weakref
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from struct import unpack
from typing import TYPE_CHECKING, Any, Protocol

from agentkit._forking import awaited_by_forks
from agentkit._text import without_credentials
from agentkit.errors import ConfigurationError, ToolError
from agentkit.net.error_kinds import is_api_error
from agentkit.net.error_text import display_url
from agentkit.net.kept_keys import keyless_address
from agentkit.net.keys import blotted, checked_key
from agentkit.net.model_names import (
    LOCAL,
    NO_KEY,
    OPENAI_URL,
    WITH_OPENAI_API,
    key_variable,
    openai_address,
    split_name,
)
from agentkit.net.stored_keys import environment_with_keys

if TYPE_CHECKING:
    from agentkit.net.http_client import Transport

BATCH, BATCH_CHARACTERS = 64, 40_000
"""Maximum number of texts in a request, and of their characters, unless there is only one."""

LEAST = 200
"""A text that the server refuses is cut in half down to this many characters."""

_TOO_LARGE = (400, 413, 422, 500)
"""Statuses with which servers refuse a request or a text that is too large."""

_PREFIXES = (
    (re.compile(r"(?:^|[-_/.])e5(?:[-_:.]|$)", re.IGNORECASE), ("query: ", "passage: ")),
    (re.compile(r"nomic-embed-text", re.IGNORECASE), ("search_query: ", "search_document: ")),
)
"""What models expect before a question and before a passage."""


class Embedder(Protocol):
    """Turns texts into vectors of one length, in the same order. A method `embed_queries` with the same parameter, if
    there is one, is used for questions; an attribute `model` names the model whose vectors are kept."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Return the vectors of passages."""
        ...


class OpenAIEmbedder:
    """A model behind OpenAI's embeddings API.

    model: its name on the server. base_url: up to and including "/v1"; None means OpenAI's. api_key: optional for
    self-hosted servers. timeout: read timeout in seconds. prefixes: what stands before a question and before a passage;
    None knows it for the models of E5 and Nomic.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = 60.0,
        prefixes: tuple[str, str] | None = None,
    ) -> None:
        from agentkit.net.outgoing import URLLIB3, check_environment

        self._model = model
        self._url = base_url or OPENAI_URL
        self._key = checked_key(api_key, "api_key") or NO_KEY
        check_environment(self._url, URLLIB3)
        self._timeout = timeout
        known = (prefixes for pattern, prefixes in _PREFIXES if pattern.search(model))
        self._prefixes = next(known, ("", "")) if prefixes is None else prefixes
        self._lock = awaited_by_forks(threading.RLock())  # held while OpenSSL is set up
        self._transport: Transport | None = None
        self._key_variable = "OPENAI_API_KEY"

    def __repr__(self) -> str:
        return f"OpenAIEmbedder({self._model!r}, base_url={display_url(self._url)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without its connections and its key, which is read from the environment again."""
        variable = None if self._key == NO_KEY else self._key_variable
        return _again, (self._model, keyless_address(self._url), self._timeout, self._prefixes, variable)

    @property
    def model(self) -> str:
        """The name of the model, with what stands before a passage and where it is served."""
        return f"{self._model} {self._prefixes[1]!r} {without_credentials(self._url)}"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of passages. Raises ToolError, which says what is wrong with the server."""
        return self._embedded([f"{self._prefixes[1]}{text}" for text in texts])

    def embed_queries(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of questions. Raises ToolError."""
        return self._embedded([f"{self._prefixes[0]}{text}" for text in texts])

    def _embedded(self, texts: Sequence[str]) -> list[list[float]]:
        try:
            return [vector for batch in _batches(texts) for vector in self._taken(batch)]
        except Exception as error:
            if not is_api_error(error):
                raise
            message = blotted(str(error), self._key) if self._key != NO_KEY else str(error)
            raise ToolError(f"{message.rstrip('.')} ({display_url(self._url)})") from None

    def _taken(self, texts: list[str]) -> list[list[float]]:
        """The vectors of a batch; what the server refuses as too large is sent in halves."""
        try:
            return self._posted(texts)
        except Exception as error:
            if getattr(error, "status_code", None) not in _TOO_LARGE or (len(texts) == 1 and len(texts[0]) <= LEAST):
                raise
        if len(texts) == 1:
            return self._taken([texts[0][: max(len(texts[0]) // 2, LEAST)]])
        middle = len(texts) // 2
        return [*self._taken(texts[:middle]), *self._taken(texts[middle:])]

    def _posted(self, texts: Sequence[str]) -> list[list[float]]:
        body = {"model": self._model, "input": list(texts), "encoding_format": "float"}
        try:
            return _vectors(self._connected().post("/embeddings", body), len(texts))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
            raise ToolError(f"the answer of {display_url(self._url)} is no list of embeddings") from None

    def _connected(self) -> "Transport":
        with self._lock:
            if self._transport is None:
                from agentkit.net.http_client import Transport  # loads `http.client`, so at the first request
                from agentkit.net.wording import EMBEDDINGS

                self._transport = Transport(
                    self._url, api_key=self._key, timeout=self._timeout, max_retries=0, wording=EMBEDDINGS
                )
                weakref.finalize(self, self._transport.close)
            return self._transport


def embedder(name: str, environment: Mapping[str, str] | None = None) -> OpenAIEmbedder:
    """Return the embedder for `provider:model[@url]`: "openai:text-embedding-3-small", "ollama:bge-m3",
    "openai:NAME@http://localhost:8080/v1".

    environment: variables from which keys and base URLs are read (default: the process's). Raises ConfigurationError
    when the provider is unknown or a key is missing.
    """
    provider, model, url = split_name(name)
    if provider not in WITH_OPENAI_API:
        raise ConfigurationError(
            f"there are no embeddings of {name!r}: write provider:model[@url] with one of {', '.join(WITH_OPENAI_API)}"
        )
    given = environment_with_keys() if environment is None else environment
    base_url, key = openai_address(provider, model, url, given)
    made = OpenAIEmbedder(model or "default", base_url, key)
    if provider not in LOCAL:
        made._key_variable = key_variable(provider)
    return made


def _again(model: str, url: str, timeout: float, prefixes: tuple[str, str], variable: str | None) -> OpenAIEmbedder:
    key = environment_with_keys().get(variable) if variable is not None else None
    made = OpenAIEmbedder(model, url, key, timeout=timeout, prefixes=prefixes)
    made._key_variable = variable or made._key_variable
    return made


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for text in texts:
        if batch and (len(batch) == BATCH or length + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, length = [], 0
        batch.append(text or " ")  # servers refuse an empty text
        length += len(text)
    if batch:
        yield batch


def _vectors(answer: Any, count: int) -> list[list[float]]:
    """The vectors of an answer in the order of the texts. Raises ValueError and others for anything else."""
    data = answer["data"]
    if len(data) != count:
        raise ValueError(len(data))
    ordered = sorted(enumerate(data), key=lambda each: each[1].get("index", each[0]))
    vectors = [_numbers(each["embedding"]) for _, each in ordered]
    if len({len(vector) for vector in vectors}) != 1 or not all(map(math.isfinite, map(sum, vectors))):
        raise ValueError("vectors of several lengths, or of no numbers")
    return vectors


def _numbers(embedding: Any) -> list[float]:
    if isinstance(embedding, str):  # base64, whatever was asked for
        raw = b64decode(embedding)
        return list(unpack(f"<{len(raw) // 4}f", raw))
    if embedding and isinstance(embedding[0], list):  # llama.cpp's own form: a vector for each token, pooled to one
        embedding = embedding[0]
    return [float(each) for each in embedding]
