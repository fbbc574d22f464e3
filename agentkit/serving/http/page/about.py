"""What the service is and may do, as the page shows it: never an address, a key or a path of the machine."""

import time
from contextlib import suppress
from pathlib import PurePath

from fastapi import APIRouter
from pydantic import BaseModel, Field

from agentkit._text import cut
from agentkit.backend import Capabilities
from agentkit.net.model_names import split_name
from agentkit.serving.documents import readable_kinds
from agentkit.serving.http.dependencies import Service, State, Subject
from agentkit.serving.http.errors import error_responses
from agentkit.serving.http.page.attachment_schemas import MAX_ATTACHMENTS, MAX_CHARACTERS
from agentkit.serving.http.schemas import ErrorResponse, PromptOut
from agentkit.tooling.toolset import GIVES_UP

TOOL_SECONDS = 2.0
"""Seconds to wait for the tools of a server that does not answer; then those are shown that are known."""

MAX_DESCRIPTION = 1000
"""Characters of the description of a tool."""

NAMELESS = ("", "default")
"""What stands for the only model of a server."""


class ToolOut(BaseModel):
    """A tool of the service."""

    name: str = Field(description="Name of the tool.")
    description: str = Field(description="What the model is told about it.")
    read_only: bool = Field(description="Whether it only reads: it has no effect.")


class About(BaseModel):
    """What the service is and may do."""

    title: str = Field(description="Title of the page; empty: its own.")
    model: str = Field(description="Name of the model, without provider and address; empty where it has none.")
    tools: list[ToolOut] = Field(description="Tools of the agent.")
    prompts: list[PromptOut] = Field(description="Named system prompts, all versions.")
    examples: list[str] = Field(description="Questions to begin with.")
    sampling: bool = Field(description="Whether the page lets its user set sampling fields.")
    sharing: bool = Field(description="Whether sessions can be shared by a link.")
    images: bool = Field(description="Whether a message may have images; false where the model is known to take none.")
    attachments: list[str] = Field(
        description="Endings of the documents that can be read, such as `.pdf`. Files with another one, or none, are "
        "read if they are texts."
    )
    max_attachment_bytes: int = Field(description="Maximum size of a document to read.")
    max_attachments: int = Field(description="Maximum number of documents of a message.")
    max_attachment_characters: int = Field(description="Maximum length of all documents of a message together.")
    max_message_bytes: int = Field(description="Maximum size of a request: a message with its images and documents.")


routes = APIRouter(prefix="/api/llm", tags=["page"])


@routes.get("/about", summary="Describe the service", responses=error_responses(ErrorResponse, 401, 429))
def about(state: Service, subject: Subject) -> About:
    """Returns the model's name, the tools, the named prompts and the limits of the service."""
    settings, known = state.settings, state.conversations.service.capabilities()
    return About(
        title=settings.agentkit_page_title,
        model=model_name(known, settings.agentkit_model),
        tools=_tools(state),
        prompts=state.conversations.named_prompts(),
        examples=list(settings.agentkit_examples),
        sampling=settings.agentkit_page_sampling and known.samples,
        sharing=settings.agentkit_sharing,
        images=known.images is not False and known.samples,
        attachments=readable_kinds() if known.samples else [],
        max_attachment_bytes=settings.max_attachment,
        max_attachments=MAX_ATTACHMENTS,
        max_attachment_characters=MAX_CHARACTERS,
        max_message_bytes=settings.agentkit_max_body,
    )


def model_name(known: Capabilities, configured: str | None) -> str:
    """The name of the model for people. configured: `provider:model[@url]`, None for the server of LLM_SERVER_URL."""
    name = known.model
    if name in NAMELESS and configured:
        provider, name, url = split_name(configured)
        name = provider if name in NAMELESS and url is None else name
    if name in NAMELESS:
        return ""
    return PurePath(name).name if name.startswith(("/", "~", ".")) else name


def _tools(state: State) -> list[ToolOut]:
    """The tools that there are; those of a server that does not answer in time are left out."""
    offered = state.conversations.service.tools_of(state.conversations.tools)
    end = time.monotonic() + TOOL_SECONDS
    waits = GIVES_UP.set(lambda: time.monotonic() > end)
    try:
        with suppress(Exception):  # of a toolset, whatever its kind
            offered.now()
    finally:
        GIVES_UP.reset(waits)
    return [
        ToolOut(name=each.name, description=cut(each.description, MAX_DESCRIPTION), read_only=each.options.read_only)
        for each in offered.latest
    ]
