"""Images as bytes: what a `data:` URL or a file contains, and the media type by the first bytes."""

import base64
import binascii
import os
import re
import stat
from os import PathLike
from urllib.parse import unquote_to_bytes

from agentkit._lazy.patterns import pattern

MAX_BYTES = 20_000_000
"""Maximum size of one image, in bytes."""

SUPPORTED = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/tiff")

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"8BPS", "image/vnd.adobe.photoshop"),
    (b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (b"%PDF-", "application/pdf"),
    (b"%!PS", "application/postscript"),
)
_BRANDS = (
    (pattern(rb"avi[fs]"), "image/avif"),
    (pattern(rb"hei[cfsmx]|hev[cmsx]|mif1|msf1"), "image/heic"),
)
_SVG = pattern(
    rb"\s*+(?:<\?xml[^>]*+>\s*+)?(?><!--.*?-->\s*+)*+(?:<!DOCTYPE svg[^>]*+>\s*+)?<svg[\s>]", re.IGNORECASE | re.DOTALL
)
_HTML = pattern(rb"\s*(?:<!DOCTYPE html|<html|<head|<body)", re.IGNORECASE)
_IS_BASE64 = pattern(r";\s*base64\s*(?:;|\Z)", re.IGNORECASE)
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def media_type(data: bytes) -> str | None:
    """Return the media type of a file by its first bytes, of images and what is taken for them; None when unknown."""
    head = data[:2000].removeprefix(b"\xef\xbb\xbf")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    if head[4:8] == b"ftyp":
        brands = head[8 : min(int.from_bytes(head[:4]), 200)]
        return next((kind for brand, kind in _BRANDS if brand.search(brands)), "video/mp4")
    found = next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)
    if found is None and _SVG.match(head):
        return "image/svg+xml"
    return "text/html" if found is None and _HTML.match(head) else found


def supported_type(data: bytes, name: str) -> str:
    """Return the media type of an image by its first bytes. name: of the image, for the error. Raises ValueError for
    what is none that model servers take."""
    kind = media_type(data)
    if kind in SUPPORTED:
        return kind
    what = ": the file is empty" if not data else "" if kind is None else f": it is {kind}"
    advice = ". Convert it to PNG or JPEG first" if kind is not None and kind.startswith("image/") else ""
    raise ValueError(f"{name} is not an image that can be read (PNG, JPEG, GIF, WebP, BMP or TIFF){what}{advice}")


def data_of(url: str) -> bytes:
    """Return what a `data:` URL contains, whatever its declared media type.

    Base64 may have line breaks and spaces, be percent-encoded or URL-safe, and lack its padding. Raises ValueError,
    whose message completes the sentence "the URL ...".
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise ValueError("must contain a comma: write data:image/png;base64,...")
    content = unquote_to_bytes(body)
    if not _IS_BASE64.search(head):
        return content
    digits = b"".join(content.split()).translate(_URL_SAFE).rstrip(b"=")
    try:
        return base64.b64decode(digits + b"=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"is not valid base64 ({error}): encode the image's bytes") from None


def bytes_of(path: str | PathLike[str], max_bytes: int) -> bytes:
    """Return what a regular file contains. The name may come from a model or a stranger.

    A device, pipe, socket or folder is neither opened nor waited for. A file that tells no size, or a wrong one (those
    of /proc, one that grows), is read up to the limit only. Raises ValueError, whose message completes the sentence
    "the file ...", when it is not a regular file or larger than max_bytes; OSError when it can't be read.
    """
    _check_regular(os.stat(path), max_bytes)  # before it is opened: to open a device may do something
    flags = (getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_CLOEXEC"))
    opened = os.open(path, os.O_RDONLY | sum(flags))
    with open(opened, "rb") as stream:
        _check_regular(os.fstat(opened), max_bytes)  # it may have been replaced meanwhile
        content = stream.read(max_bytes + 1)
    if content is None:
        raise ValueError("has nothing to read yet: it is not a stored file")
    if len(content) > max_bytes:
        raise ValueError(f"has more than {max_bytes:,} bytes; no more are loaded: shrink it")
    return content


def _check_regular(status: os.stat_result, max_bytes: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file: it is a device, a pipe, a socket or a folder")
    if status.st_size > max_bytes:
        raise ValueError(f"has {status.st_size:,} bytes; at most {max_bytes:,} are loaded: shrink it")
