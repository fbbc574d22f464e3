"""Loads images for the model: the tool `load_image`."""

import io
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

from PIL import Image as PILImage
from PIL import ImageOps

from agentkit import Image, Tool, ToolError, fetch, tool
from agentkit_tools.results import shortened

FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}
"""Formats that models accept; such images are passed on unchanged, with their metadata, if they are upright."""

MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Kinds of pixels that models accept: not CMYK, and not 16 bits of grey."""

ORIENTATION = 0x0112
"""The EXIF tag that says how a camera was held. Model servers ignore it."""

READ = (*FORMATS, "BMP", "TIFF")
"""Formats that can be read; those not in FORMATS are converted to PNG."""

TOO_LARGE = (PILImage.DecompressionBombError, PILImage.DecompressionBombWarning)


def image_loader(
    *,
    folder: str | Path | None = None,
    allow: Iterable[str] = (),
    max_bytes: int = 20_000_000,
    max_pixels: int = 50_000_000,
    max_side: int = 2048,
) -> Tool[[str], Image]:
    """Returns the tool `load_image` with custom limits.

    folder: only files below it are read (default: the working directory at the time of the call). allow: see
    `agentkit.fetch`. max_bytes, max_pixels: larger images are refused. max_side: maximum width and height in pixels;
    larger images are scaled down. Of an animated image the model sees the first frame; one with an EXIF orientation is
    turned upright.
    """
    return _Loader(folder, tuple(allow), max_bytes, max_pixels, max_side).load_image


@dataclass(frozen=True)
class _Loader:
    """The parameters of `image_loader`, and the tool."""

    folder: str | Path | None
    allow: tuple[str, ...]
    max_bytes: int
    max_pixels: int
    max_side: int

    @tool(read_only=True, timeout=60, description="Look at an image from a file or from the web.")
    def load_image(
        self,
        path_or_url: Annotated[str, "Path of the file, or URL beginning with http://, https:// or file://."],
    ) -> Image:
        """The tool `load_image`."""
        name = path_or_url.strip()
        if name[:5].lower() == "data:":
            return self._checked(_from_data_url(name, self.max_bytes), "image")
        if name[:5].lower() == "file:":
            return self._from_file(*_names_in_url(name))
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", name):
            page = fetch(name, allow=self.allow, max_bytes=self.max_bytes, timeout=30)
            return self._checked(page.content, urlsplit(page.url).path.rpartition("/")[2])
        return self._from_file(name)

    def _from_file(self, *names: str) -> Image:
        """Returns the image of the first of these names that exists below the folder."""
        root = Path(self.folder) if self.folder is not None else Path.cwd()
        name = next((each for each in names if _exists(root, each)), names[0])
        file = _below(root, name)
        return self._checked(_read(file, self.max_bytes), file.name)

    def _checked(self, data: bytes, name: str) -> Image:
        return checked(data, name, self.max_pixels, self.max_side)


def checked(data: bytes, file_name: str, max_pixels: int, max_side: int) -> Image:
    """Returns the bytes as an image that models accept. Raises ToolError when they are not an image, or it has too many
    pixels."""
    name = _printable(file_name) or "image"
    try:
        with _opened(data) as image:
            if image.width * image.height > max_pixels:
                raise ToolError(f"{name} has {image.width} x {image.height} pixels, which is too many to load.")
            image.verify()  # checks the checksums, which load() does not
        with _opened(data) as image:
            image.load()
            is_animated = getattr(image, "is_animated", False)
            is_plain = image.format in FORMATS and image.mode in MODES and not is_animated
            if is_plain and max(image.size) <= max_side and _is_upright(image):
                return Image(data, FORMATS[str(image.format)], name)
            return _rewritten(image, name, max_side)
    except ToolError:
        raise
    except TOO_LARGE:
        raise ToolError(f"{name} has more pixels than can be loaded.") from None
    except Exception:  # noqa: BLE001 - Pillow raises many types for damaged files
        raise ToolError(f"{_what_is_wrong(data, name)}.") from None


def _what_is_wrong(data: bytes, name: str) -> str:
    """Returns what is known of data that can't be read as an image."""
    try:
        kind = Image.from_bytes(data, name).media_type
    except ValueError as error:
        return str(error)
    what = f"it begins as {kind}, but it is damaged or incomplete"
    return f"{name} is not an image that can be read (PNG, JPEG, GIF, WebP, BMP or TIFF): {what}"


def _is_upright(image: PILImage.Image) -> bool:
    with suppress(Exception):  # Pillow raises many types for damaged EXIF data
        return image.getexif().get(ORIENTATION, 1) not in range(2, 9)
    return True


def _opened(data: bytes) -> PILImage.Image:
    return PILImage.open(io.BytesIO(data), formats=READ)


def _rewritten(image: PILImage.Image, name: str, max_side: int) -> Image:
    """Returns the image rotated upright and scaled down, as a JPEG if it was one, else as a PNG."""
    is_photo = image.format in ("JPEG", "MPO")  # some cameras write MPO files named .jpg
    upright = _in_eight_bits(image).convert("RGB" if is_photo else "RGBA")
    if not _is_upright(image):
        upright = ImageOps.exif_transpose(upright)
    upright.thumbnail((max_side, max_side))
    written = io.BytesIO()
    upright.save(written, "JPEG" if is_photo else "PNG", quality=90, icc_profile=None)  # a profile may be of CMYK
    return Image(written.getvalue(), "image/jpeg" if is_photo else "image/png", name)


def _in_eight_bits(image: PILImage.Image) -> PILImage.Image:
    """Scales 16- or 32-bit greyscale to 8 bits, from its darkest to its brightest value; Pillow would clip it to
    white."""
    if not image.mode.startswith(("I", "F")):
        return image
    grey = image.convert("F")
    extrema = grey.getextrema()
    darkest, brightest = float(extrema[0]), float(extrema[1])  # type: ignore[arg-type]
    scale = 255 / (brightest - darkest) if brightest > darkest else 0
    return grey.point(lambda value: value * scale - darkest * scale).convert("L")


def _printable(file_name: str) -> str:
    """Returns a file name that is safe to show; it may have been chosen by the author of the image."""
    return shortened("".join(each if each.isprintable() else "?" for each in file_name), 100)


def _below(root: Path, name: str) -> Path:
    """Returns the file of that name below the root, with all links resolved. The name comes from a model.

    Raises ToolError when it does not exist or is outside of the root."""
    display_name = repr(_printable(name))
    try:
        file = (root / name).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):
        raise ToolError(f"file {display_name} not found.") from None
    if not file.is_relative_to(root.resolve()):
        raise ToolError(f"{display_name} is outside of the folder that may be read.")
    return file


def _read(file: Path, max_bytes: int) -> bytes:
    """Returns the bytes of a file. Raises ToolError when it is not a regular file, can't be opened or is too large."""
    try:
        return Image.from_file(file, _printable(file.name), max_bytes=max_bytes).data
    except ValueError as error:
        raise ToolError(f"{error}.") from None
    except OSError:
        raise ToolError(f"{_printable(file.name)} can't be opened.") from None


def _names_in_url(url: str) -> list[str]:
    """Returns the file names that a `file:` URL may mean: percent-encoded as it should be, else as it stands. In
    "file://image.png" the name stands where the host belongs."""
    path = url[5:]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        path = slash + rest if host.lower() in ("", "localhost", "127.0.0.1") else path[2:]
    if re.match(r"/+[A-Za-z]:[\\/]", path):  # file:///C:/image.png
        path = path.lstrip("/")
    return [unquote(path), path]


def _exists(root: Path, name: str) -> bool:
    with suppress(OSError, ValueError):
        return (root / name).exists()
    return False


def _from_data_url(url: str, max_bytes: int) -> bytes:
    try:
        content = Image.from_data_url(url).data
    except ValueError as error:
        raise ToolError(f"{error}.") from None
    if len(content) > max_bytes:
        raise ToolError(f"the image has {len(content):,} bytes; at most {max_bytes:,} are loaded.")
    return content


load_image = image_loader()
