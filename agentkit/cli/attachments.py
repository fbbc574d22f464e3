"""What is sent with a question: images as they are, other files and pages as their text."""

from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from agentkit import ConfigurationError, FetchError
from agentkit._text import without_credentials
from agentkit.cli.piped import piped_bytes
from agentkit.message import Image
from agentkit.net.image_bytes import SUPPORTED, bytes_of, media_type
from agentkit.net.upright import upright
from agentkit.serving.attachments import attachment_text
from agentkit.serving.documents import plain_text

MAX_BYTES = 20_000_000
"""Maximum size of an attachment, in bytes."""


def attached(source: str) -> str | Image:
    """Return an attachment as an image, or as text with its name.

    source: a file, an http(s) URL, or "-" for standard input. Raises ConfigurationError when it can't be read or has no
    text."""
    if source == "-":
        content = piped_bytes(is_wanted=True)
        return _of_bytes("standard input", content.encode() if isinstance(content, str) else content)
    if source.lower().startswith(("http://", "https://")):
        return _of_page(source)
    try:
        return _of_bytes(Path(source).name, _content(Path(source).expanduser()))
    except OSError as error:
        raise ConfigurationError(f"--attachment {source}: it can't be read: {error.strerror or error}") from None
    except (ValueError, RuntimeError) as error:  # a null character in the name, "~" of an unknown user
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError(f"--attachment {source}: the file {error}") from None


def _content(file: Path) -> bytes:
    """Return what a file has. The user has named it, so a pipe (`-a <(command)`) is read to its end."""
    if file.is_dir():
        raise ValueError("is a folder: give it with --docs")
    if not file.is_fifo():
        return bytes_of(file, MAX_BYTES)
    with file.open("rb") as stream:
        content = stream.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"has more than {MAX_BYTES:,} bytes")
    return content


def _of_page(url: str) -> str | Image:
    from agentkit import fetch

    parts = urlsplit(url)
    shown = without_credentials(url)
    try:
        # The user has named this host, so it may be one of the own network.
        page = fetch(url, max_bytes=MAX_BYTES, allow=[parts.netloc.rpartition("@")[2]])
    except (FetchError, ValueError) as error:
        raise ConfigurationError(f"--attachment {shown}: {error}") from None
    name = PurePosixPath(parts.path).name
    if media_type(page.content) == "text/html" or "html" in page.content_type:
        from agentkit_tools.page_text import readable
        from agentkit_tools.unreadable import UnreadableError

        try:
            return attachment_text(shown, readable(page).text)
        except UnreadableError as error:
            raise ConfigurationError(f"--attachment {shown}: {error}") from None
    return _of_bytes(name or shown, page.content)


def _of_bytes(name: str, content: bytes) -> str | Image:
    kind = media_type(content)
    if kind in SUPPORTED:
        turned = upright(content)
        return Image(content, kind, name) if turned is None else Image(turned[1], turned[0], name)
    if kind is not None and kind.startswith("image/") and kind != "image/svg+xml":
        raise ConfigurationError(f"--attachment {name}: models don't take {kind}: convert it to PNG or JPEG")
    if not content.strip():
        raise ConfigurationError(f"--attachment {name}: it is empty")
    # a plain text needs no reader, whose import takes a third of a second
    text = plain_text(content) if kind in (None, "image/svg+xml") else None
    return attachment_text(name, _document(name, content) if text is None else text)


def _document(name: str, content: bytes) -> str:
    try:
        from agentkit_tools.file_text import read_file
    except ImportError:
        raise ConfigurationError(
            f"--attachment {name}: to read it needs the extra 'web': pip install '.[web]'"
        ) from None
    from agentkit_tools.page_marks import with_page_lines
    from agentkit_tools.unreadable import UnreadableError

    try:
        return with_page_lines(read_file(name, content).text)
    except UnreadableError as error:
        raise ConfigurationError(f"--attachment {name}: {error}") from None
