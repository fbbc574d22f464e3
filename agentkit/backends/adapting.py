"""Sends a request without what its server refuses, and learns from it, for minutes and no wider than the words say.

A refused image is that image's fault and a refused schema that schema's, unless the words say that the server sees no
images or takes no schemas at all. Something is learned only when the server accepted the request without it.
"""

from collections.abc import Mapping, Set
from typing import Any, Literal

from agentkit._lazy.records import replace
from agentkit._text import cut, in_a_line, json_bytes
from agentkit.backend import Request, newest_question, told_schema, with_text
from agentkit.backends.chat_protocol import OF_TOOLS
from agentkit.backends.refused_fields import (
    EFFORT,
    FIELDS,
    changed,
    least_limit,
    refused_field,
    told,
    wants_no_effort,
    with_least,
)
from agentkit.net import refusals
from agentkit.net.error_kinds import is_connection_error
from agentkit.net.error_words import explain, status_of, words_of
from agentkit.net.learned import Learned
from agentkit.net.overflow import too_long
from agentkit.transcript import Transcript

MAX_ATTEMPTS = 12
"""How often one request is sent at most, each time with less."""

Schema = Literal["no", "text", "always"]


_NO_EFFORT = "no effort with tools"
_LEAST = "least limit of a reply"
_FACTS = (
    *("no images", "no stream_options", "only stream", "no stream", "no stream with tools", "wants tools"),
    _NO_EFFORT,
)
"""What may be known of a server, whatever the request."""


class Adapting:
    """One request to a server as it is sent, attempt by attempt.

    name: the backend, as the log calls it. request: as it was asked for. fields: what its body has beside messages and
    tools. images: whether images are sent; None detects it. schema: see `agentkit.backend.Capabilities`. tells_schema:
    whether the prompt says nothing of the schema since the server does.
    """

    def __init__(
        self,
        name: object,
        request: Request,
        learned: Learned,
        fields: Mapping[str, Any] | None = None,
        *,
        images: bool | None = None,
        schema: Schema = "always",
        tells_schema: bool = False,
    ) -> None:
        self._name = name
        self._request = request
        self._learned = learned
        self._images: Any = None  # RefusedImages, loaded with the first image
        self._detects_images = images is None
        known = learned.derived(_FACTS, lambda: {fact for fact in _FACTS if learned.value(fact) is not None})
        self.images = images is not False and "no images" not in known
        if self.images and request.transcript.has_images:
            from agentkit.backends.refused_images import RefusedImages

            self._images = RefusedImages(request.transcript, learned)
        self._schema = _schema_key(request.response_format)
        self._takes_schema = schema == "always" or (schema == "text" and not request.tools)
        self._tells_schema = tells_schema
        self._is_schema_refused = self._schema != 0 and learned.value(("schema", self._schema)) is not None
        self.stream = self._streams(known)
        self.stream_options = "no stream_options" not in known
        self._names_tools = "wants tools" in known
        given = fields or {}
        if _NO_EFFORT in known and request.tools:
            given = {**given, EFFORT: "none"}
        fields_taken = changed(given, [name for name in given if name in FIELDS and learned.value(("field", name))])
        self._fields = with_least(fields_taken, learned.value(_LEAST))
        self._pending: dict[Any, str] = {}
        self._least: int | None = None
        self._attempts = 1

    def sent(self) -> Request:
        """The request to send: `images` and `stream_options` say what else to leave out of it."""
        request = self._request
        if self.stream != request.stream:
            request = replace(request, stream=self.stream)
        transcript = request.transcript if self._images is None or not self.images else self._images.sent()
        if request.response_format is not None and (self._is_schema_refused or not self._takes_schema):
            if self._is_schema_refused and self._tells_schema:
                transcript = _with_schema(transcript, request.response_format)
            request = replace(request, response_format=None)
        if self._names_tools and _is_about_tools(request):
            from agentkit.backends.no_tool import without_tools

            request = without_tools(request)
        if transcript is not request.transcript:
            request = replace(request, transcript=transcript, conversation=request.said)
        return request

    @property
    def fields(self) -> dict[str, Any]:
        """The fields to send."""
        if self._names_tools and _is_about_tools(self._request):
            return {name: value for name, value in self._fields.items() if name not in OF_TOOLS}
        return self._fields

    def adapts_to(self, error: Exception) -> bool:
        """Leave out what an error refuses; return whether there was something, so that the request may be sent again.
        An error about an image of the newest question gets a sentence that says so."""
        self._attempts += 1
        if self._attempts > MAX_ATTEMPTS or not _is_refusal(error):
            return False
        words = words_of(error)
        if self.stream and self.stream_options and "stream_options" in words:
            self.stream_options = False
            self._pending["no stream_options"] = "rejects stream_options, which are left out"
            return True
        if too_long(error) is not None:
            return False
        if self._changes_fields(words):
            return True
        has_schema = self._sends_schema()
        if has_schema and refusals.names_format(words):
            return self._goes_without_schema(words)
        if self._images is not None and self.images and self._images.has_visible:
            if self._goes_without_images(error, words):
                return True
            if refusals.is_about_images(words):
                return False
        if has_schema and refusals.is_about_schema(words):
            return self._goes_without_schema(words)
        return self._changes_streaming(words)

    def note_accepted(self) -> None:
        """Learn, after the server accepted the request, what it refused before."""
        for fact, text in self._pending.items():
            self._learned.learn(fact, self._least if fact == _LEAST else True, f"{self._name} {text}")
        self._pending = {}
        if self._images is not None and self.images:
            self._images.note_accepted()

    def _sends_schema(self) -> bool:
        return self._request.response_format is not None and self._takes_schema and not self._is_schema_refused

    def _streams(self, known: Set[str]) -> bool:
        if not self._request.stream:
            return "only stream" in known
        return "no stream" not in known and not ("no stream with tools" in known and self._request.tools)

    def _changes_fields(self, words: str) -> bool:
        if not self._names_tools and refusals.wants_tools(words) and _is_about_tools(self._request):
            self._names_tools = True
            self._pending["wants tools"] = "takes no messages of tools without tools: one that does nothing is named"
            return True
        if self._request.tools and self._fields.get(EFFORT) != "none" and wants_no_effort(words):
            self._fields = {**self._fields, EFFORT: "none"}
            other = "openai-responses: asks the API in which it reasons beside tools"
            self._pending[_NO_EFFORT] = (
                f'takes tools only with the reasoning_effort "none"; {other} ({cut(words, 200)})'
            )
            return True
        least = least_limit(words, self._fields)
        if least is not None:
            self._least, self._fields = least, with_least(self._fields, least)
            self._pending[_LEAST] = f"writes replies of no fewer than {least} tokens, which is the limit then"
            return True
        name = refused_field(words, self._fields)
        if name is None or ("field", name) in self._pending:
            return False
        self._fields = changed(self._fields, [name])
        self._pending["field", name] = f"{told(name)} ({cut(words, 200)})"
        return True

    def _goes_without_schema(self, words: str) -> bool:
        said = cut(words, 200)
        self._is_schema_refused = True
        if refusals.says_no_schema(words):
            self._pending["no schema"] = f"takes no response_format, which is left out ({said})"
        else:
            self._pending["schema", self._schema] = f"refused the schema of an answer, which is left out ({said})"
        return True

    def _goes_without_images(self, error: Exception, words: str) -> bool:
        assert self._images is not None
        if self._detects_images and refusals.says_no_vision(words):
            self.images = False
            self._pending["no images"] = f"rejects images: they are replaced by a sentence ({cut(words, 200)})"
            return True
        most = refusals.most_images(words)
        if most is not None:
            return bool(self._images.leave_out_old(most))
        reason = _reason(error)
        if refusals.is_about_images(words):
            if self._images.leave_out_next(reason):
                return True
            if self._images.has_asked:
                self._images.note_refused(reason)
                from agentkit.backends.refused_images import NEWEST

                explain(error, NEWEST)
            return False
        return refusals.says_nothing(words) and self._images.leave_out_next(reason)

    def _changes_streaming(self, words: str) -> bool:
        said = cut(words, 200)
        if not self.stream and refusals.says_only_streaming(words):
            self.stream = True
            self._pending["only stream"] = f"answers only streamed requests ({said})"
            return True
        if not self.stream or not self._request.stream or not refusals.is_about_streaming(words):
            return False
        self.stream = False
        if refusals.says_no_streaming(words):
            with_tools = bool(self._request.tools) and refusals.is_about_tools(words)
            fact = "no stream with tools" if with_tools else "no stream"
            self._pending[fact] = f"does not stream: replies are requested whole ({said})"
        return True


def _is_about_tools(request: Request) -> bool:
    """Whether a request has no tools, but messages of tools."""
    return not request.tools and any(message.get("tool_calls") for message in request.transcript)


def _is_refusal(error: Exception) -> bool:
    status = status_of(error)
    if status is not None:
        return status in refusals.REFUSING
    return getattr(error, "in_body", False) and not is_connection_error(error)


def _reason(error: Exception) -> str:
    from agentkit.net.error_body import message_of

    body = getattr(error, "body", None)
    return in_a_line(message_of(body) if body else str(error), 300)


def _schema_key(response_format: Mapping[str, Any] | None) -> int:
    return 0 if response_format is None else hash(json_bytes(response_format))


def _with_schema(transcript: Transcript, response_format: Mapping[str, Any]) -> Transcript:
    """The transcript with the schema as text in the newest question, for a server that would have told it the model."""
    text, place = told_schema(response_format), newest_question(transcript)
    if not text or place is None:
        return transcript
    return Transcript(with_text(each, text) if index == place else each for index, each in enumerate(transcript))
