"""Loads images by URL: `data:`, `http(s):` through the guarded fetch, and `file:` where that is allowed.

An image that can't be loaded raises the openai package's BadRequestError, as if the server had rejected it. One that
its EXIF data says to turn is turned, since model servers ignore them.
"""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from agentkit.errors import FetchError
from agentkit.net.api_errors import status_error
from agentkit.net.fetch import fetch
from agentkit.net.image_bytes import MAX_BYTES, SUPPORTED, bytes_of, data_of, media_type
from agentkit.net.upright import upright
from agentkit.net.url_guard import shown_url


@dataclass(frozen=True)
class ImageLoader:
    """Loads images.

    files: whether `file:` URLs may be read; keep it off where URLs are untrusted. allow: hosts that may be contacted
    although they are not public (see `agentkit.fetch`). max_bytes: maximum size of one image in bytes. timeout: seconds
    to fetch one.
    """

    files: bool = False
    allow: tuple[str, ...] = ()
    max_bytes: int = MAX_BYTES
    timeout: float = 20.0

    def loaded(self, address: str) -> tuple[str, bytes]:
        """Return the media type and the bytes of an image, upright. Raises BadRequestError with a remedy."""
        data = self._bytes(address)
        if len(data) > self.max_bytes:
            raise _refused(
                f"{_display_name(address)} has {len(data):,} bytes, more than the allowed {self.max_bytes:,}: shrink it"
            )
        kind = media_type(data)
        if kind not in SUPPORTED:
            what = f": it is {kind}, convert it" if kind else ""
            raise _refused(
                f"{_display_name(address)} is not a supported image (PNG, JPEG, GIF, WebP, BMP or TIFF){what}"
            )
        turned = upright(data)
        return (kind, data) if turned is None else turned

    def base64(self, addresses: Iterable[str]) -> list[dict[str, str]]:
        """Return the entries of LightLLM's `multimodal_params.images`, in order."""
        return [
            {"type": "base64", "data": base64.b64encode(self.loaded(address)[1]).decode("ascii")}
            for address in addresses
        ]

    def data_url(self, address: str) -> str:
        """Return an image as a `data:` URL, so that the server need not load it."""
        kind, data = self.loaded(address)
        return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"

    def _bytes(self, address: str) -> bytes:
        scheme = address.partition(":")[0].lower()
        if scheme == "data":
            try:
                return data_of(address)
            except ValueError as error:
                raise _refused(f"a data: URL {error}") from None
        if scheme in ("http", "https"):
            try:
                return fetch(address, timeout=self.timeout, max_bytes=self.max_bytes, allow=self.allow).content
            except FetchError as error:
                raise _refused(f"{_display_name(address)} could not be loaded: {error}") from error
        if scheme == "file" or "://" not in address:
            return self._from_file(address)
        raise _refused(f"{_display_name(address)} has an unsupported URL scheme: use file:, http:, https: or data:")

    def _from_file(self, address: str) -> bytes:
        if not self.files:
            raise _refused(f"{_display_name(address)} is a file, and reading files is disabled: send a data: URL")
        try:
            return bytes_of(_path_of(address), self.max_bytes)
        except OSError as error:
            raise _refused(f"{_display_name(address)} can't be read: {error.strerror or error}") from None
        except (ValueError, RuntimeError) as error:  # a NUL in the path, "~" of an unknown user
            raise _refused(f"{_display_name(address)} {error}") from None


def _path_of(address: str) -> Path:
    """Return the file of a `file:` URL, or of a path. In "file://image.png" the name stands where the host belongs."""
    if address[:5].lower() != "file:":
        return Path(address).expanduser()
    parts = urlsplit(address)
    host = "" if parts.netloc.lower() == "localhost" else parts.netloc
    return Path(url2pathname(host + parts.path)).expanduser()


def _display_name(address: str) -> str:
    return f"the image {shown_url(address)[:80]!r}" if address[:5].lower() != "data:" else "an image in a data: URL"


def _refused(message: str) -> Exception:
    return status_error(400, message)
