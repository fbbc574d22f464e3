"""Documents of a message: as a client sends them, as the history shows them, and as they are read from files."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from agentkit._text import in_a_line

MAX_ATTACHMENTS = 16
"""Documents of one message."""

MAX_NAME = 255
"""Characters of the name of a document."""

MAX_CHARACTERS = 400_000
"""Characters of all documents of one message."""


def file_name(given: str) -> str:
    """The name of a file as it is shown: without folders, on one line. Raises ValueError where nothing is left."""
    name = "".join(each if each.isprintable() else " " for each in given.replace("\\", "/").rstrip("/"))
    name = in_a_line(name.rpartition("/")[2], MAX_NAME)
    if not name:
        raise ValueError("must be the name of a file")
    return name


class AttachmentIn(BaseModel):
    """A document that belongs to a message."""

    name: Annotated[
        str,
        Field(max_length=1000, description="Name of the document, such as `report.pdf`."),
        AfterValidator(file_name),
    ]
    text: Annotated[str, Field(min_length=1, max_length=MAX_CHARACTERS, description="Text of the document.")]


def within_limit(attachments: list[AttachmentIn] | None) -> list[AttachmentIn] | None:
    """Return the documents of a message. Raises ValueError when they are too long together."""
    length = sum(len(each.text) for each in attachments or ())
    if length > MAX_CHARACTERS:
        raise ValueError(f"the documents have {length:,} characters together: at most {MAX_CHARACTERS:,} are taken")
    return attachments


Attachments = Annotated[
    Annotated[list[AttachmentIn], Field(max_length=MAX_ATTACHMENTS)] | None,
    AfterValidator(within_limit),
    Field(
        description="Documents as text (`POST /api/llm/documents/read` reads files). The model is shown them behind "
        f"the message. At most {MAX_CHARACTERS:,} characters together."
    ),
]


class AttachmentOut(BaseModel):
    """A document of a message, in the history."""

    name: str = Field(description="Name of the document.")
    characters: int = Field(description="Length of its text in characters.")


class DocumentOut(BaseModel):
    """The text of a document that was read."""

    name: str = Field(description="Name of the document, without folders.")
    text: str = Field(description="The text; the beginning of a long one.")
    characters: int = Field(description="Length of the whole text in characters.")
    was_cut: bool = Field(description="Whether the document has more text than `text`.")


class SentReference(BaseModel):
    """A document that was sent with a message of a session."""

    session_id: Annotated[str, Field(max_length=1000, description="Session ID.")]
    begins: int = Field(ge=0, description="The `begins` of the message in the history.")
    number: int = Field(ge=0, description="Place among the `attachments` of the message, from 0.")


class SentOut(BaseModel):
    """A document that was sent with a message."""

    name: str = Field(description="Name of the document.")
    text: str = Field(description="Its text, as the model was shown it.")
