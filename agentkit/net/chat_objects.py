"""The objects of the response to a chat completions request, streamed or whole, and the errors among them."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from agentkit.net.error_body import error_in
from agentkit.net.error_kinds import is_connection_error, is_timeout_error
from agentkit.net.error_text import display_url
from agentkit.net.event_stream import BrokenEventError, EventReader, EventTooLongError
from agentkit.net.keys import blotted_beginning


class Answer(Protocol):
    """A response without an error status. content: its body, None where it is not read yet. url, key: of the request,
    "" for no key."""

    status_code: int
    headers: Any
    url: str
    key: str
    content: bytes | None

    @property
    def media_type(self) -> str:
        """The media type, without parameters."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it arrives. Raises what `ModelServer.is_break` knows."""

    def drain(self) -> None:
        """The reply has arrived: read what is behind it, if it comes soon."""

    def close(self) -> None:
        """Close it."""

    def as_httpx(self) -> Any:
        """The same for the openai package's errors, without the body."""


class ModelServer(Protocol):
    """How a model server is asked: by agentkit's own transport, or by a client of the openai package."""

    def answered(
        self, method: str, path: str, body: bytes, *, whole: bool = False, max_retries: int | None = None
    ) -> Any:
        """Send JSON; return an Answer. Raises the openai package's APIError."""

    def find(self, path: str, *, timeout: float | None = None, max_retries: int | None = None) -> Any:
        """The JSON at a path, or at a whole URL of the server; None where the server has none. Raises the openai
        package's APIConnectionError."""

    def broken(self, answer: Any, error: Exception) -> Exception:
        """The error for a body that broke off; whatever else happened is returned as it is."""

    def close(self) -> None:
        """Close the connections."""


def objects_of(server: ModelServer, answer: Answer, is_finished: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a reply, or the whole reply as the only one, whichever of the two was requested.

    is_finished: whether the reply is complete as far as it was read: whatever breaks behind it costs nothing. Raises
    the openai package's errors: that which the server reports in its body, APIConnectionError for a stream that breaks,
    APIResponseValidationError for what is no chat completion.
    """
    reader = EventReader()
    has_choices = False
    try:
        for each in _objects(reader, answer):
            if (error := error_in(each)) is not None:
                raise _error_in(error)
            each = _unwrapped(each)
            has_choices = has_choices or _is_of_a_reply(each)
            yield each
        if reader.is_done:
            answer.drain()
    except BrokenEventError as error:
        if not is_finished():
            raise _not_an_event(error, answer, reader) from error.__cause__
        answer.drain()
    except EventTooLongError as error:
        raise _api_error(str(error)) from None
    except Exception as error:
        broken = server.broken(answer, error)
        if not is_connection_error(broken):
            raise
        if not is_finished():
            marked = broken if is_timeout_error(broken) else _in_body(broken)
            raise marked from (error if broken is not error else error.__cause__)
        answer.drain()
    _check(answer, reader, has_choices=has_choices, is_finished=is_finished())


def _objects(reader: EventReader, answer: Answer) -> Iterator[dict[str, Any]]:
    content = answer.content
    pieces: Iterable[bytes] = answer.pieces() if content is None else [content]
    if content is not None and content.startswith(b"{"):
        try:
            whole = json.loads(content)
        except (ValueError, RecursionError):
            whole = None
        if isinstance(whole, dict):
            reader.count = 1
            return iter([whole])
    return reader.read(pieces)


def _is_of_a_reply(each: dict[str, Any]) -> bool:
    """Whether an object is one of a chat completion or of a response."""
    if "choices" in each or each.get("object") in ("chat.completion", "response"):
        return True
    return str(each.get("type", "")).startswith("response.")


def _unwrapped(each: dict[str, Any]) -> dict[str, Any]:
    """A completion that a gateway has put into an object of its own."""
    if "choices" in each:
        return each
    inner = (each.get(name) for name in ("data", "result", "response"))
    return next((found for found in inner if isinstance(found, dict) and "choices" in found), each)


def _check(answer: Answer, reader: EventReader, *, has_choices: bool, is_finished: bool) -> None:
    """Check what was read of a response at its end. Raises the openai package's errors."""
    if has_choices:
        if not (reader.is_whole or reader.is_done or is_finished):
            raise _cut_off(answer)
    elif not reader.has_fields:
        if "event-stream" not in answer.media_type:
            if _is_blank(answer, reader):
                what = f"{answer.status_code} with an empty body, which is not a chat completion"
                raise _in_body(_api_error(f"{display_url(answer.url)} answered {what}"))
            raise _no_completion(answer, reader)
        if reader.excerpt.strip() and not reader.count:
            raise _in_body(_api_error(f"the server sent no event: {_excerpt(answer, reader)!r}"))


def _is_blank(answer: Answer, reader: EventReader) -> bool:
    """Whether a server has sent nothing, or white space alone: with it gateways keep a connection open until a reply
    comes, or none."""
    is_blank = not reader.count and not (reader.excerpt.strip() or (answer.content or b"").strip())
    return is_blank and answer.status_code < 300


def _error_in(answer: Any) -> Exception:
    """The error that a server reports in a body with status 200."""
    from agentkit.net.api_errors import error_in_body  # loads openai, so only when there is an error

    return error_in_body(answer)


def _not_an_event(error: BrokenEventError, answer: Answer, reader: EventReader) -> Exception:
    if not reader.has_fields and not reader.excerpt.lstrip().startswith(("{", "[")):
        return _no_completion(answer, reader)
    return _in_body(_api_error(str(error)))


def _cut_off(answer: Answer) -> Exception:
    import openai

    text = f"the stream ended before the reply was finished: {display_url(answer.url)}"
    return _in_body(openai.APIConnectionError(message=text, request=answer.as_httpx().request))


def _no_completion(answer: Answer, reader: EventReader) -> Exception:
    import openai

    what = answer.media_type or "no content type"
    if 300 <= answer.status_code < 400 and (location := answer.headers.get("location")):
        what = f"a redirect to {display_url(location)}"
    return openai.APIResponseValidationError(
        answer.as_httpx(),
        None,
        message=f"{display_url(answer.url)} answered {answer.status_code} with {what}, which is "
        f"not a chat completion (is the base URL right? it usually ends in /v1): {_excerpt(answer, reader)!r}",
    )


def _excerpt(answer: Answer, reader: EventReader) -> str:
    excerpt = reader.excerpt or (answer.content or b"")[:300].decode("utf-8", "replace")
    return blotted_beginning(excerpt, (answer.key,))[:200]


def _api_error(message: str) -> Any:
    from agentkit.net.api_errors import api_error

    return api_error(message)


def _in_body(error: Any) -> Exception:
    from agentkit.net.api_errors import mark_in_body

    marked: Exception = mark_in_body(error)
    return marked
