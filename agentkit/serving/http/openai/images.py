"""The images of a client's messages: as data URLs, and by http(s) addresses, which are fetched here with the guarded
GET, so that no model server is led to an address of the internal network."""

import base64
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from openai import BadRequestError
from pydantic import AfterValidator

from agentkit.errors import MissingExtraError
from agentkit.message import Image
from agentkit.serving.http.openai.errors import RefusedRequestError
from agentkit.serving.http.runs import TooManyRunsError
from agentkit.serving.http.schemas import checked_image_url

MAX_FETCHED = 16
"""Number of addresses that are fetched for one request."""
MAX_FETCHED_BYTES = 20_000_000
"""Size of all images together that are fetched for one request."""
FETCH_SECONDS = 30.0
"""Seconds for all images of one request."""
MAX_AT_ONCE = 16
"""Number of requests whose images are fetched at the same time; further ones get 503."""
MAX_ADDRESS = 8_000
"""Characters of an address."""

_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
_SCHEMES = ("http://", "https://")
_places = threading.BoundedSemaphore(MAX_AT_ONCE)


def _checked(url: str) -> str:
    if url[:8].lower().startswith(_SCHEMES):
        if len(url) > MAX_ADDRESS:
            raise ValueError(f"the address has more than {MAX_ADDRESS:,} characters")
        return url
    if url[:5].lower() != "data:":
        raise ValueError("must be an http(s) address or a base64 data URL of an image (PNG, JPEG, WebP or GIF)")
    try:
        return checked_image_url(url)
    except ValueError:  # declared as image/jpg, or wrapped into lines
        image = Image.from_data_url(url)
        if image.media_type not in _TYPES:
            raise
        return f"data:{image.media_type};base64,{base64.b64encode(image.data).decode('ascii')}"


ImageAddress = Annotated[str, AfterValidator(_checked)]
"""The address of an image in a request."""

Found = tuple[str, dict[str, Any], str]
"""The field of an address, the object that has it, and its key there."""


def with_images(messages: Sequence[Mapping[str, Any]], allow: Sequence[str]) -> None:
    """Replace the http(s) addresses of images by what they have, as data URLs. allow: hosts that may be contacted
    although they are not public.

    Raises RefusedRequestError that names the field of what can't be fetched, TooManyRunsError, and MissingExtraError
    without the extra 'web'.
    """
    found = [each for each in _addresses(messages) if each[1][each[2]][:8].lower().startswith(_SCHEMES)]
    if not found:
        return
    if len({part[key] for _, part, key in found}) > MAX_FETCHED:
        text = f"{found[-1][0]}: at most {MAX_FETCHED} images are fetched for one request: send data URLs"
        raise RefusedRequestError(400, text, found[-1][0], "too_many_images")
    if not _places.acquire(blocking=False):
        raise TooManyRunsError("too many images are being fetched; try again later")
    try:
        _fetch(found, tuple(allow))
    finally:
        _places.release()


def _fetch(found: Sequence[Found], allow: tuple[str, ...]) -> None:
    try:
        from agentkit.net.images import ImageLoader
    except ImportError:
        raise MissingExtraError("fetching images", "web") from None
    end, left, fetched = time.monotonic() + FETCH_SECONDS, MAX_FETCHED_BYTES, dict[str, str]()
    for field, part, key in found:
        address = part[key]
        if address not in fetched:
            loader = ImageLoader(allow=allow, max_bytes=max(1, left), timeout=max(0.1, end - time.monotonic()))
            try:
                fetched[address] = loader.data_url(address)
            except BadRequestError as error:
                raise RefusedRequestError(400, f"{field}: {error.message}", field, "invalid_image_url") from None
            left -= len(fetched[address]) * 3 // 4
        part[key] = fetched[address]


def _addresses(messages: Sequence[Mapping[str, Any]]) -> Iterator[Found]:
    """All addresses of images in messages."""
    for place, message in enumerate(messages):
        content = message.get("content")
        for number, part in enumerate(content if isinstance(content, list) else ()):
            field, image = f"messages[{place}].content[{number}].image_url", part.get("image_url")
            if isinstance(image, dict) and isinstance(image.get("url"), str):
                yield f"{field}.url", image, "url"
            elif isinstance(image, str):
                yield field, part, "image_url"
