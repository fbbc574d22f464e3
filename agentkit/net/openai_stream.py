"""The objects of a response of the openai package's client, streamed or whole, and the errors among them."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
from openai import APIConnectionError, APIError, APIResponseValidationError, APITimeoutError, Stream

from agentkit._text import without_credentials
from agentkit.net.drain import drain
from agentkit.net.error_body import error_in
from agentkit.net.event_stream import BrokenEventError, EventReader, EventTooLongError
from agentkit.net.exchanges import heard


class DrainedStream(Stream[object]):
    """Yields the objects up to `[DONE]`, then drains the response to keep its connection.

    The package's own reader fails at events without data, and decodes each event with another client's rules.
    reader: what has been read of the response.
    """

    def __init__(self, **options: Any) -> None:
        self.reader = EventReader()
        super().__init__(**options)

    def __stream__(self) -> Iterator[object]:
        try:
            chunks = self._chunks()
            yield from self.reader.read(chunks)
            if self.reader.is_done:
                network = self.response.extensions.get("network_stream")
                drain(chunks, network and network.get_extra_info("socket"))
        finally:
            self.response.close()

    def _chunks(self) -> Iterator[bytes]:
        try:
            yield from heard(self.response, self.response.iter_bytes())
        except httpx2.TimeoutException as error:
            raise APITimeoutError(request=self.response.request) from error
        except (httpx2.RequestError, OSError) as error:
            raise APIConnectionError(request=self.response.request) from error


def objects_of(answer: httpx2.Response | DrainedStream, is_finished: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a reply, or the whole reply as the only one, whichever of the two was requested.

    is_finished: whether the reply is complete as far as it was read: whatever breaks behind it costs nothing. Raises
    the openai package's errors: that which the server reports in its body, APIConnectionError for a stream that breaks,
    APIResponseValidationError for what is no chat completion.
    """
    if isinstance(answer, DrainedStream):
        response, reader, objects = answer.response, answer.reader, iter(answer)
    else:
        response, reader = answer, EventReader()
        objects = reader.read(heard(response, [answer.content]))
    has_choices = False
    try:
        for each in objects:
            if isinstance(each, dict):
                _raise_if_error(each)
                has_choices = has_choices or bool(each.get("choices")) or each.get("object") == "chat.completion"
                yield each
    except (BrokenEventError, APIConnectionError) as error:
        if not is_finished():
            raise _broken(error, response, reader) from error.__cause__
    except EventTooLongError as error:
        raise _api_error(str(error)) from None
    _check(response, reader, has_choices=has_choices, is_finished=is_finished())


def _check(response: httpx2.Response, reader: EventReader, *, has_choices: bool, is_finished: bool) -> None:
    """Check what was read of a response at its end. Raises the openai package's errors."""
    if has_choices:
        if not (reader.is_whole or reader.is_done or is_finished):
            cut_off = "the stream ended before the reply was finished"
            raise _in_body(APIConnectionError(message=cut_off, request=response.request))
    elif not reader.has_fields:
        if "event-stream" not in _kind(response):
            raise _no_completion(response, reader)
        if reader.excerpt.strip() and not reader.count:
            raise _in_body(_api_error(f"the server sent no event: {reader.excerpt!r}"))


def _raise_if_error(answer: dict[str, Any]) -> None:
    """Raise the error that a server reports in a body with status 200."""
    error = error_in(answer)
    if error is None:
        return
    from agentkit.net.api_errors import error_in_body  # imports requests, so only when there is an error

    raise error_in_body(error)


def _broken(error: BrokenEventError | APIConnectionError, response: httpx2.Response, reader: EventReader) -> APIError:
    if isinstance(error, APIConnectionError):
        return error
    if not reader.has_fields and not reader.excerpt.lstrip().startswith(("{", "[")):
        return _no_completion(response, reader)
    return _in_body(_api_error(str(error)))


def _no_completion(response: httpx2.Response, reader: EventReader) -> APIError:
    kind = _kind(response) or "no content type"
    return APIResponseValidationError(
        response,
        None,
        message=f"{without_credentials(response.request.url)} answered {response.status_code} with {kind}, which is "
        f"not a chat completion (is the base URL right? it usually ends in /v1): {reader.excerpt[:200]!r}",
    )


def _kind(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).split(";")[0]


def _api_error(message: str) -> APIError:
    from agentkit.net.api_errors import api_error

    return api_error(message)


def _in_body(error: APIError) -> APIError:
    from agentkit.net.api_errors import mark_in_body

    return mark_in_body(error)
