"""JSON request and response bodies. A field that is null counts as omitted."""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from agentkit.message import Image, Prompt
from agentkit.serving.attachments import attachment_part
from agentkit.serving.decisions import MAX_DECIDED, decision_of
from agentkit.serving.http.evidence_schemas import CitationOut, EvidenceOut
from agentkit.serving.http.page.attachment_schemas import AttachmentOut, Attachments
from agentkit.serving.http.page.branch_schemas import BranchOut
from agentkit.session import MAX_REQUEST_ID

IMAGE_URL = re.compile(r"data:(image/(?:png|jpeg|webp|gif));base64,")


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def checked_image_url(url: str) -> str:
    """Return a data URL of an image. Raises ValueError for another URL."""
    _image(url)
    return url


def _image(url: str) -> Image:
    found = IMAGE_URL.match(url)
    if found is None:
        raise ValueError("must be a base64 data URL of an image (PNG, JPEG, WebP or GIF)")
    try:
        return Image(base64.b64decode(url[found.end() :], validate=True), found[1])
    except binascii.Error:
        raise ValueError("contains invalid base64") from None


NonBlank = Annotated[str, AfterValidator(_not_blank)]
SessionId = Annotated[
    str,
    Field(max_length=1000, description="Session ID, chosen by the client; unique per caller."),
    AfterValidator(_not_blank),
]
ImageDataUrl = Annotated[str, AfterValidator(checked_image_url)]
Temperature = Annotated[
    float | None, Field(ge=0, le=5, description="Sampling temperature. Defaults to the server's setting.")
]
Penalty = Annotated[float | None, Field(ge=-2, le=2)]
TopP = Annotated[
    float | None, Field(ge=0, le=1, description="Nucleus sampling probability mass. Defaults to the server's setting.")
]
MaxTokens = Annotated[
    Annotated[int, Field(ge=1, le=1_000_000)] | None,
    BeforeValidator(lambda value: None if value in (-1, "-1") else value),  # "no limit" in llama.cpp
    Field(description="Maximum number of tokens per model reply. Defaults to the server's setting, also for -1."),
]


class SamplingOptions(BaseModel):
    """Sampling parameters of the model. Omitted fields use the server's settings."""

    temperature: Temperature = None
    top_p: TopP = None
    max_tokens: MaxTokens = None

    @property
    def sampling(self) -> dict[str, Any]:
        """The parameters that are set."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}


class Turn(BaseModel):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"] = Field(description="Role of the message's author.")
    content: str = Field(description="Text of the message.")


def _ends_with_user_message(turns: list[Turn]) -> list[Turn]:
    if turns[-1].role != "user":
        raise ValueError("the last message must have the role 'user'")
    return turns


class ChatRequest(SamplingOptions):
    """A stateless chat request with the whole conversation."""

    messages: Annotated[
        list[Turn],
        Field(
            min_length=1,
            max_length=10_000,
            description="The conversation, oldest message first. The last message must have the role `user`.",
        ),
        AfterValidator(_ends_with_user_message),
    ]
    model: str | None = Field(default="default", description="Accepted for compatibility and ignored.")


Decision = Annotated[
    bool | str | dict[str, Any],
    BeforeValidator(decision_of),
    Field(
        description="`true`: the call is run. `false` or a text: it is not run, and the model is told the text as the "
        "reason. An object: it is run with these arguments; for a call with a `question`, this is the answer."
    ),
]


class SessionRequest(SamplingOptions):
    """The next user message of a session, or a decision on its calls that wait for one. The first message creates the
    session."""

    session_id: SessionId
    approve: Annotated[
        dict[str, Decision] | None,
        Field(
            min_length=1,
            max_length=MAX_DECIDED,
            description="Instead of a message: decisions on calls of the session that wait for a person (`pending`), "
            "by their IDs. The run goes on from there.",
        ),
    ] = None
    asked: str | None = Field(
        default=None,
        max_length=100,
        description="With `approve`: the `asked` that came with the calls. 409 when other calls wait by now.",
    )
    message: NonBlank | None = Field(
        default=None, validate_default=True, description="Text of the user message. Required without `approve`."
    )
    request_id: Annotated[
        str | None,
        Field(
            alias="requestId",
            min_length=1,
            max_length=MAX_REQUEST_ID,
            description="ID of this request, chosen by the client (idempotency key). Requests with the same ID and the "
            "same message are answered once, all with the same answer; with another message the status is 409. The "
            "header `Idempotency-Key` does the same.",
        ),
    ] = None
    system_prompt: str | None = Field(
        default=None, description="System prompt of a new session; ignored for an existing session."
    )
    prompt: str | None = Field(
        default=None,
        description="Named system prompt of a new session, optionally with a version (`tutor`, `tutor@v2`). "
        "Ignored for an existing session and when `system_prompt` is set.",
    )
    images: Annotated[
        list[ImageDataUrl] | None,
        Field(max_length=16, description="Images as base64 data URLs (PNG, JPEG, WebP or GIF)."),
    ] = None
    attachments: Attachments = None

    background: bool = Field(
        default=False,
        description="Whether the answer belongs to the service: it goes on when the client leaves, and clients join it "
        "with `/chat/session/join`. Not over a WebSocket.",
    )

    @field_validator("message")
    @classmethod
    def _or_decision(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "approve" not in info.data:  # it is not valid, which is told
            return value
        if value is None and info.data["approve"] is None:
            raise PydanticCustomError("missing", "Field required")
        if value is not None and info.data["approve"] is not None:
            raise ValueError("can't be sent together with 'approve': send one after the other")
        return value

    @property
    def user_message(self) -> Prompt | None:
        """The user message with its documents and images; None for a decision."""
        if self.message is None or not (self.images or self.attachments):
            return self.message
        documents = (attachment_part(each.name, each.text) for each in self.attachments or ())
        return [self.message, *documents, *(_image(url) for url in self.images or ())]


class SourceReference(BaseModel):
    """A source of a session."""

    session_id: SessionId
    number: int = Field(ge=1, description="The number by which answers of the session cite it.")


class SessionReference(BaseModel):
    """A session, referenced in the request body. Use it for IDs that can't be part of a path."""

    session_id: SessionId


class RenameRequest(BaseModel):
    """The new display name of a session."""

    name: Annotated[NonBlank, Field(max_length=200, description="New display name of the session.")]


class SessionRenameRequest(SessionReference, RenameRequest):
    """A session and its new display name."""


class ErrorResponse(BaseModel):
    """An error."""

    detail: str = Field(description="Human-readable error message.")


class OpenAIError(BaseModel):
    """Error object of the OpenAI API."""

    message: str = Field(description="Human-readable error message.")
    type: str = Field(description="Error type, such as `invalid_request_error`.")
    param: str | None = Field(default=None, description="The field at fault, as a path.")
    code: str | None = Field(default=None, description="Machine-readable error code, such as `rate_limit_exceeded`.")


class OpenAIErrorResponse(BaseModel):
    """An error in the format of the OpenAI API."""

    error: OpenAIError = Field(description="The error.")


class ToolCallOut(BaseModel):
    """A tool call and its result."""

    id: str = Field(description="Tool call ID, as given by the model.")
    name: str = Field(description="Name of the tool.")
    arguments: str = Field(description="Arguments as JSON text, as written by the model.")
    raw_arguments: str = Field(description="The same text, under the name it has in `agentkit ask --json`.")
    response: str | None = Field(default=None, description="Result returned to the model.")
    error: str | None = Field(default=None, description="Error text returned to the model; null if the call succeeded.")
    seconds: float | None = Field(default=None, description="Duration in seconds.")


class TurnCallOut(ToolCallOut):
    """A tool call of a history."""

    said: str = Field(
        default="", description="Text that the model wrote before the tool calls of a reply, with the first of them."
    )


class UsageOut(BaseModel):
    """Resources used to produce an answer."""

    requests: int = Field(default=0, description="Number of model requests.")
    input_tokens: int = Field(default=0, description="Input tokens, as counted by the model server.")
    cached_tokens: int = Field(default=0, description="Input tokens that the model server had in its cache.")
    output_tokens: int = Field(default=0, description="Output tokens, as counted by the model server.")
    reasoning_tokens: int = Field(default=0, description="Output tokens that were reasoning.")
    tool_calls: int = Field(default=0, description="Number of tool calls.")
    seconds: float = Field(default=0.0, description="Duration in seconds.")
    cost: float | None = Field(default=None, description="Cost in US dollars; null if unknown.")


class ChatAnswer(EvidenceOut):
    """The answer to a chat request."""

    response: str = Field(description="Text of the answer.")
    stopped: str = Field(
        default="answer",
        description="Why the run ended: `answer` if the agent finished, otherwise the reason it stopped early.",
    )
    usage: UsageOut = Field(default=UsageOut(), description="Resources used.")
    tool_calls: list[ToolCallOut] = Field(default=[], description="Tool calls made, in order.")
    cached: bool = Field(
        default=False, description="Whether the answer was given to an earlier request, and the model was not asked."
    )


class PromptOut(BaseModel):
    """One version of a named system prompt."""

    name: str = Field(description="Name of the prompt.")
    version: str = Field(description="Version of the prompt.")
    weight: float | None = Field(
        default=None, description="Relative frequency with which the version is assigned to new sessions."
    )


class QuestionOut(BaseModel):
    """What a tool asks a person."""

    text: str = Field(description="The question.")
    schema_: dict[str, Any] | None = Field(
        default=None,
        alias="schema",
        description="JSON schema of an object that the answer has to fit; null: yes.",
    )
    problem: str = Field(default="", description="What was wrong with the last answer, if there was one.")


class PendingCallOut(BaseModel):
    """A tool call that waits for a person."""

    id: str = Field(description="Tool call ID.")
    name: str = Field(description="Name of the tool.")
    arguments: str = Field(description="Arguments as JSON text.")
    raw_arguments: str = Field(description="The same text.")
    question: QuestionOut | None = Field(
        default=None, description="What the tool asks; null if the call waits for an approval."
    )
    reason: str | None = Field(default=None, description="Why the call needs an approval, where there is a reason.")


class WaitingOut(BaseModel):
    """Calls that wait for a person."""

    pending: list[PendingCallOut] = Field(
        default=[], description="Tool calls of the session that wait for a person's decision, in order."
    )
    asked: str | None = Field(
        default=None, description="Stands for these calls; sent back with the decision on them (`approve`)."
    )


class SessionAnswer(ChatAnswer, WaitingOut):
    """The answer to a message of a session."""

    session_id: str = Field(description="Session ID.")
    history_was_cut: bool = Field(
        default=False, description="Whether the oldest messages were omitted because the history was too long."
    )
    prompt: PromptOut | None = Field(default=None, description="Named system prompt of the session, if any.")


class TurnOut(BaseModel):
    """One message of a session. An answer includes the tool calls that led to it."""

    role: Literal["user", "assistant"] = Field(description="Role of the message's author.")
    content: str = Field(description="Text of the message.")
    tool_calls: list[TurnCallOut] = Field(default=[], description="Tool calls made for this answer.")
    images: list[str] = Field(default=[], description="Images of the message as data URLs.")
    attachments: list[AttachmentOut] = Field(
        default=[], description="Documents that the user has sent with the message; `content` is without them."
    )
    citations: list[CitationOut] = Field(
        default=[], description="What the sources say of an answer's sentences; of the last 30 answers."
    )
    begins: int = Field(default=0, description="Number of messages of the session before this one, those of tools too.")
    reasoning: str = Field(default="", description="The model's reasoning before and between the parts of an answer.")
    stopped: str = Field(
        default="",
        description="Why the run of an answer ended, as in `ChatAnswer`. Empty for a question, and for an answer that "
        "is not complete: it is in progress, or its run has failed.",
    )
    usage: UsageOut | None = Field(default=None, description="Resources used by an answer, if the model server said.")
    time: str | None = Field(default=None, description="When the message was complete, in UTC (ISO 8601).")


class History(WaitingOut):
    """The messages of a session."""

    session_id: str = Field(description="Session ID.")
    messages: list[TurnOut] = Field(description="Messages, oldest first.")
    name: str = Field(default="", description="Display name of the session.")
    prompt: PromptOut | None = Field(default=None, description="Named system prompt of the session, if any.")
    usage: UsageOut = Field(default=UsageOut(), description="Resources used by all answers of the session.")
    branches: list[BranchOut] = Field(
        default=[], description="The versions of the turns that branches of the conversation have differently."
    )
    shared: str | None = Field(default=None, description="Token of the conversation's link; null if it is not shared.")
    pinned: bool = Field(default=False, description="Whether the conversation is pinned.")
    running: bool = Field(default=False, description="Whether an answer that belongs to the service is in progress.")


class SessionOut(BaseModel):
    """A session in a list of sessions."""

    session_id: str = Field(description="Session ID.")
    name: str = Field(description="Display name of the session.")
    updated: str = Field(description="Time of the last change in UTC (ISO 8601).")
    pinned: bool = Field(default=False, description="Whether it is pinned.")
    running: bool = Field(default=False, description="Whether an answer that belongs to the service is in progress.")
    branches: list[str] = Field(
        default=[], description="Session IDs of all branches of its conversation, where there are several."
    )


class SessionsOut(BaseModel):
    """The sessions of the caller."""

    sessions: list[SessionOut] = Field(description="Sessions, most recently updated first.")


class SpentOut(BaseModel):
    """What the answers of one caller took."""

    answers: int = Field(default=0, description="Number of answers.")
    usage: UsageOut = Field(default=UsageOut(), description="Resources used.")


class SpentOnDay(SpentOut):
    """What the answers of one day took."""

    day: str = Field(description="The day in UTC (ISO 8601).")


class UsageHistoryOut(BaseModel):
    """What the caller's answers took."""

    subject: str = Field(description="The caller.")
    total: SpentOut = Field(description="The sum of all days.")
    days: list[SpentOnDay] = Field(description="The days of the last twelve months, the latest first.")


class PromptsOut(BaseModel):
    """The named system prompts of the service."""

    prompts: list[PromptOut] = Field(description="All versions of all prompts.")


class Done(BaseModel):
    """Confirmation of an operation."""

    ok: bool = Field(default=True, description="Always true.")
    message: str = Field(description="Human-readable confirmation.")


class Health(BaseModel):
    """State of the model server and, for callers with a key, its address and the default sampling settings."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "degraded", "unavailable"] = Field(
        description="Whether the model server is reachable; `degraded` if it is, but the tools do not reach the model."
    )
    detail: str | None = Field(default=None, description="What is wrong with the model server; null if nothing is.")
    server_url: str | None = Field(
        default=None, description="URL of the model server, without credentials; only with a key."
    )
    temperature: float | None = Field(default=None, description="Default sampling temperature; only with a key.")
    max_tokens: int | None = Field(
        default=None, description="Default maximum number of tokens per model reply; only with a key."
    )
