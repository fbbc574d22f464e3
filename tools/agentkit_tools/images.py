"""Loading pictures for the model to see."""

import base64
import binascii
import io
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from PIL import Image as Pictures
from PIL import ImageOps

from agentkit import Image, Tool, ToolError, fetch, tool
from agentkit_tools.results import shortened

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""What models take as it is."""

READ = (*FORMATS, "BMP", "TIFF")
"""What is read; the others become PNG."""

TOO_LARGE = (Pictures.DecompressionBombError, Pictures.DecompressionBombWarning)


def image_loader(
    *,
    folder: str | Path | None = None,
    allow: Iterable[str] = (),
    max_bytes: int = 20_000_000,
    max_pixels: int = 50_000_000,
    max_side: int = 2048,
) -> Tool[[str], Image]:
    """The tool `load_image`, with limits of one's choice.

    folder: files are read below it only (default: the working directory, when called). allow: see
    `agentkit.fetch`. max_bytes, max_pixels: larger pictures are refused. max_side: pixels; larger ones are scaled
    down to it. Of a picture that moves, the model sees the beginning.
    """
    allowed = tuple(allow)

    @tool(read_only=True, timeout=60)
    def load_image(path_or_url: str) -> Image:
        """Look at a picture: a file, or an address on the web.

        Args:
            path_or_url: Path of the file, or address beginning with http:// or https://.
        """
        name = path_or_url.strip()
        if name[:5].lower() == "data:":
            return checked(_from_data_url(name, max_bytes), "image", max_pixels, max_side)
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
            page = fetch(name, allow=allowed, max_bytes=max_bytes, timeout=30)
            return checked(page.content, urlsplit(page.url).path.rpartition("/")[2], max_pixels, max_side)
        file = _below(Path(folder) if folder is not None else Path.cwd(), name)
        return checked(_read(file, max_bytes), file.name, max_pixels, max_side)

    return load_image


def checked(data: bytes, file_name: str, max_pixels: int, max_side: int) -> Image:
    """The bytes as a picture that models take. Raises ToolError when they are none, or too many pixels."""
    name = _printable(file_name) or "image"
    try:
        with _opened(data) as picture:
            if picture.width * picture.height > max_pixels:
                raise ToolError(f"{name} has {picture.width} x {picture.height} pixels, which is too many to load.")
            picture.verify()  # checksums, which loading does not look at
        with _opened(data) as picture:
            picture.load()
            moves = getattr(picture, "is_animated", False)
            if picture.format in FORMATS and max(picture.size) <= max_side and not moves:
                return Image(data, FORMATS[picture.format], name)
            return _rewritten(picture, name, max_side)
    except ToolError:
        raise
    except TOO_LARGE:
        raise ToolError(f"{name} has more pixels than can be loaded.") from None
    except Exception:  # noqa: BLE001 - Pillow raises many kinds for broken files
        raise ToolError(f"{name} is not a picture that can be read (PNG, JPEG, GIF, WebP, BMP or TIFF).") from None


def _opened(data: bytes) -> Pictures.Image:
    return Pictures.open(io.BytesIO(data), formats=READ)


def _rewritten(picture: Pictures.Image, name: str, max_side: int) -> Image:
    """The picture upright, scaled down, as a JPEG if it was one and else as a PNG."""
    is_photo = picture.format in ("JPEG", "MPO")  # the second is what some cameras put into a .jpg
    upright = ImageOps.exif_transpose(_in_eight_bits(picture).convert("RGB" if is_photo else "RGBA"))
    upright.thumbnail((max_side, max_side))
    written = io.BytesIO()
    upright.save(written, "JPEG" if is_photo else "PNG")
    return Image(written.getvalue(), "image/jpeg" if is_photo else "image/png", name)


def _in_eight_bits(picture: Pictures.Image) -> Pictures.Image:
    """A picture of 16 or 32 bits of grey from its darkest to its brightest; Pillow would make all of it white."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    grey = picture.convert("F")
    extrema = grey.getextrema()
    darkest, brightest = float(extrema[0]), float(extrema[1])  # type: ignore[arg-type]
    scale = 255 / (brightest - darkest) if brightest > darkest else 0
    return grey.point(lambda value: value * scale - darkest * scale).convert("L")


def _printable(file_name: str) -> str:
    """A name to speak of a picture by; whoever made the picture may have chosen it."""
    return shortened("".join(each if each.isprintable() else "?" for each in file_name), 100)


def _below(root: Path, name: str) -> Path:
    """The file of that name below the root, after all links; the name comes from a model."""
    shown = repr(_printable(name))
    try:
        file = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise ToolError(f"there is no file {shown}.") from None
    if not file.is_relative_to(root.resolve()):
        raise ToolError(f"{shown} is outside of the folder that may be read.")
    return file


def _read(file: Path, max_bytes: int) -> bytes:
    """A file's bytes; what is looked at is what was opened, and opening a pipe waits for nobody."""
    name = _printable(file.name)
    try:
        opened = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        raise ToolError(f"{name} is no file that can be opened.") from None
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise ToolError(f"{name} is no file.")
        if status.st_size > max_bytes:
            raise ToolError(f"{name} has {status.st_size:,} bytes; at most {max_bytes:,} are loaded.")
        with open(opened, "rb", closefd=False) as stream:
            return stream.read(max_bytes)
    finally:
        os.close(opened)


def _from_data_url(url: str, max_bytes: int) -> bytes:
    head, comma, data = url.partition(",")
    try:
        content = base64.b64decode(data, validate=True) if head.endswith(";base64") else unquote_to_bytes(data)
    except (binascii.Error, ValueError):
        comma = ""
    if not comma:
        raise ToolError("the data: address is not valid.")
    if len(content) > max_bytes:
        raise ToolError(f"the picture has {len(content):,} bytes; at most {max_bytes:,} are loaded.")
    return content


load_image = image_loader()
