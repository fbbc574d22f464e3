"""Turns photos upright as their EXIF orientation says, with Pillow where it is installed (the extra `web`)."""

import io
from contextlib import suppress

MAX_PIXELS = 50_000_000
"""Maximum width times height of an image that is turned; a larger one is left as it is, since its pixels have to be in
memory."""

_ORIENTATION = 0x0112
_MARKS = (b"Exif\0\0", b"eXIf", b"EXIF", b"Raw profile type", b"tiff:Orientation")
"""What is in the bytes of an image with an orientation, in JPEG, PNG and WebP; most have none, and need no Pillow."""
_TIFF = (b"II*\0", b"MM\0*")
_READ = ("PNG", "JPEG", "WEBP", "TIFF")
_WRITTEN = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def upright(data: bytes) -> tuple[str, bytes] | None:
    """Return the media type and the bytes of an image turned upright: as a JPEG if it was one, else as a PNG.

    None when it is upright, can't be read, is too large, or Pillow is not installed: it is sent as it is then.
    """
    if not data.startswith(_TIFF) and not any(mark in data for mark in _MARKS):
        return None
    with suppress(Exception):  # Pillow raises many types for damaged images, and warnings may be errors
        return _turned(data)
    return None


def _turned(data: bytes) -> tuple[str, bytes] | None:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data), formats=_READ) as image:
        if image.width * image.height > MAX_PIXELS or image.getexif().get(_ORIENTATION, 1) not in range(2, 9):
            return None
        is_photo = image.format in ("JPEG", "MPO")  # some cameras write MPO files named .jpg
        turned = ImageOps.exif_transpose(image)
    written = io.BytesIO()
    if is_photo:
        turned.convert("RGB").save(written, "JPEG", quality=90, icc_profile=None)  # a profile may be of CMYK
        return "image/jpeg", written.getvalue()
    (turned if turned.mode in _WRITTEN else turned.convert("RGBA")).save(written, "PNG", icc_profile=None)
    return "image/png", written.getvalue()
