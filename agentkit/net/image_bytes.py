"""Images as bytes: what a `data:` URL contains, and the media type by the first bytes."""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

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
    (re.compile(rb"avi[fs]"), "image/avif"),
    (re.compile(rb"hei[cfsmx]|hev[cmsx]|mif1|msf1"), "image/heic"),
)
_SVG = re.compile(
    rb"\s*+(?:<\?xml[^>]*+>\s*+)?(?><!--.*?-->\s*+)*+(?:<!DOCTYPE svg[^>]*+>\s*+)?<svg[\s>]", re.IGNORECASE | re.DOTALL
)
_HTML = re.compile(rb"\s*(?:<!DOCTYPE html|<html|<head|<body)", re.IGNORECASE)
_IS_BASE64 = re.compile(r";\s*base64\s*(?:;|\Z)", re.IGNORECASE)
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
