"""What clients send and get, as JSON. A field that is null is one that is not given."""

import base64
import binascii
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from agentkit.message import Image, Prompt

PICTURE = re.compile(r"data:(image/(?:png|jpeg|webp|gif));base64,")


def _said(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value


def _picture(url: str) -> str:
    _image(url)
    return url


def _image(url: str) -> Image:
    found = PICTURE.match(url)
    if found is None:
        raise ValueError("is no data URL of a picture (PNG, JPEG, WebP, GIF)")
    try:
        return Image(base64.b64decode(url[found.end() :], validate=True), found[1])
    except binascii.Error:
        raise ValueError("is no base64") from None


Said = Annotated[str, AfterValidator(_said)]
SessionId = Annotated[str, Field(max_length=1000), AfterValidator(_said)]
Picture = Annotated[str, AfterValidator(_picture)]
Temperature = Annotated[float | None, Field(ge=0, le=5)]
Penalty = Annotated[float | None, Field(ge=-2, le=2)]
TopP = Annotated[float | None, Field(ge=0, le=1)]
MaxTokens = Annotated[int | None, Field(ge=1, le=1_000_000)]


class Sampled(BaseModel):
    """What a request says of the model's choice of words."""

    temperature: Temperature = None
    top_p: TopP = None
    max_tokens: MaxTokens = None

    @property
    def sampling(self) -> dict[str, Any]:
        """The fields that are given."""
        given = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        return {name: value for name, value in given.items() if value is not None}


class Turn(BaseModel):
    """One message of a history."""

    role: Literal["system", "user", "assistant"]
    content: str


def _ends_with_a_question(turns: list[Turn]) -> list[Turn]:
    if turns[-1].role != "user":
        raise ValueError("the last of them is what a user says")
    return turns


class ChatBody(Sampled):
    """A single shot."""

    messages: Annotated[list[Turn], Field(min_length=1, max_length=10_000), AfterValidator(_ends_with_a_question)]
    model: str | None = "default"


class SessionBody(Sampled):
    """The next message of a session. prompt: the name of a system prompt of the service, perhaps with its version
    ("tutor", "tutor@v2"), where no system_prompt is given. images: pictures as data URLs."""

    session_id: SessionId
    message: Said
    system_prompt: str | None = None
    prompt: str | None = None
    images: Annotated[list[Picture] | None, Field(max_length=16)] = None

    @property
    def said(self) -> Prompt:
        """What the user says."""
        if not self.images:
            return self.message
        return [self.message, *(_image(url) for url in self.images)]


class SessionNamed(BaseModel):
    """A session, for ids that don't fit a path."""

    session_id: SessionId


class NewName(BaseModel):
    """A name for people."""

    name: Annotated[Said, Field(max_length=200)]


class Renamed(SessionNamed, NewName):
    """A session and its new name."""


class Problem(BaseModel):
    """What was wrong."""

    detail: str


class OpenAIError(BaseModel):
    """What was wrong, as OpenAI's service tells it."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class OpenAIProblem(BaseModel):
    """What was wrong, as OpenAI's service tells it."""

    error: OpenAIError


class ToolCallOut(BaseModel):
    """A tool call, and what came of it."""

    id: str
    name: str
    arguments: str
    response: str | None = None
    error: str | None = None
    seconds: float | None = None


class UsageOut(BaseModel):
    """What an answer took; tokens as the model server counts them, cost in US dollars where it is known."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    tool_calls: int = 0
    seconds: float = 0.0
    cost: float | None = None


class ChatAnswer(BaseModel):
    """stopped: "answer", or what ended it before."""

    response: str
    stopped: str = "answer"
    usage: UsageOut = UsageOut()
    tool_calls: list[ToolCallOut] = []


class PromptOut(BaseModel):
    """A version of a system prompt."""

    name: str
    version: str
    weight: float | None = None


class SessionAnswer(ChatAnswer):
    """history_was_cut: the history was too long, and its beginning was left out."""

    session_id: str
    history_was_cut: bool = False
    prompt: PromptOut | None = None


class TurnOut(BaseModel):
    """One message of a session; an answer with the tool calls before it. images: as data URLs."""

    role: Literal["user", "assistant"]
    content: str
    tool_calls: list[ToolCallOut] = []
    images: list[str] = []


class History(BaseModel):
    """What was said in a session."""

    session_id: str
    messages: list[TurnOut]
    name: str = ""
    prompt: PromptOut | None = None


class SessionOut(BaseModel):
    """A session in a list. updated: UTC, ISO 8601."""

    session_id: str
    name: str
    updated: str


class SessionsOut(BaseModel):
    """The sessions of a subject, the one that was written to last first."""

    sessions: list[SessionOut]


class PromptsOut(BaseModel):
    """The system prompts of the service."""

    prompts: list[PromptOut]


class Done(BaseModel):
    """It is done."""

    ok: bool = True
    message: str


class Health(BaseModel):
    """How the model server is."""

    model_config = ConfigDict(extra="allow")

    status: Literal["ok", "unavailable"]
    server_url: str
    temperature: float
    max_tokens: int
    detail: str | None = None
