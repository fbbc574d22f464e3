"""`load_image`: only valid images, only from allowed places, in formats that models accept."""

import base64
import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage

from agentkit import Agent, FetchError, Image, ToolError
from agentkit.errors import BlockedAddressError
from agentkit.net.images import ImageLoader
from agentkit.testing import ScriptedBackend
from agentkit_tools import image_loader, load_image
from tests.support.site import Site, png


def shown(image: Image) -> tuple[str, str | None, tuple[int, int]]:
    """Media type, format and size of the image the model receives."""
    with PILImage.open(io.BytesIO(image.data)) as decoded:
        decoded.load()
        return image.media_type, decoded.format, decoded.size


def saved(file: Path, image: PILImage.Image, **options: Any) -> Path:
    image.save(file, **options)
    return file


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claimed_png(width: int, height: int, *extra: bytes) -> bytes:
    """A PNG whose header states this size."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


# Conversion


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_formats_that_models_accept_are_unchanged(tmp_path: Path, kind: str) -> None:
    file = saved(tmp_path / "image.bin", PILImage.new("RGB", (20, 10), "red"), format=kind)
    image = image_loader(folder=tmp_path)("image.bin")
    assert image == Image(file.read_bytes(), f"image/{kind.lower()}", "image.bin")


@pytest.mark.parametrize(
    ("mode", "kind", "becomes"),
    [
        ("RGB", "BMP", "PNG"),
        ("1", "BMP", "PNG"),
        ("RGBA", "TIFF", "PNG"),
        ("CMYK", "TIFF", "PNG"),
        ("I;16", "TIFF", "PNG"),
        ("F", "TIFF", "PNG"),
        ("I;16", "PNG", "PNG"),
        ("LA", "PNG", "PNG"),
        ("P", "GIF", "PNG"),
        ("RGBA", "WEBP", "PNG"),
        ("L", "JPEG", "JPEG"),
        ("CMYK", "JPEG", "JPEG"),
        ("RGB", "MPO", "JPEG"),
    ],
)
def test_a_large_image_of_any_format_is_scaled_down(tmp_path: Path, mode: str, kind: str, becomes: str) -> None:
    more = {"save_all": True, "append_images": [PILImage.new("RGB", (9, 9))]} if kind == "MPO" else {}
    saved(tmp_path / "image", PILImage.new(mode, (300, 150)), format=kind, **more)
    image = image_loader(folder=tmp_path, max_side=100)("image")
    assert shown(image) == (f"image/{becomes.lower()}", becomes, (100, 50))


def test_sixteen_bits_of_grey_do_not_become_all_white(tmp_path: Path) -> None:
    image = PILImage.new("I;16", (200, 100), 10_000)
    image.paste(30_000, (100, 0, 200, 100))
    saved(tmp_path / "grey.tif", image)
    with PILImage.open(io.BytesIO(image_loader(folder=tmp_path)("grey.tif").data)) as seen:
        assert seen.convert("L").getextrema() == (0, 255)


def test_a_converted_photo_is_rotated_upright(tmp_path: Path) -> None:
    turned = PILImage.Exif()
    turned[0x0112] = 6
    saved(tmp_path / "photo.jpg", PILImage.new("RGB", (400, 200)), exif=turned)
    assert shown(image_loader(folder=tmp_path, max_side=100)("photo.jpg")) == ("image/jpeg", "JPEG", (50, 100))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_small_image_is_turned_upright_too(tmp_path: Path, kind: str, orientation: int) -> None:
    upright = PILImage.new("RGB", (16, 8), "white")
    upright.paste("red", (0, 0, 8, 4))  # the top left quarter
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the PIL transposition that a camera held so amounts to
    stored = upright if orientation == 1 else upright.transpose(PILImage.Transpose(undo[orientation]))
    turned = PILImage.Exif()
    turned[0x0112] = orientation
    turned[0x010F] = "A maker of cameras"
    saved(tmp_path / "photo", stored, format=kind, exif=turned, **({"lossless": True} if kind == "WEBP" else {}))
    image = image_loader(folder=tmp_path)("photo")
    with PILImage.open(io.BytesIO(image.data)) as seen:
        assert seen.size == (16, 8)
        assert 0x0112 not in seen.getexif() or orientation == 1  # nobody turns it again
        corners = [seen.convert("RGB").getpixel(place) for place in ((1, 1), (14, 1), (1, 6), (14, 6))]
    assert [pixel[1] < 100 for pixel in corners if isinstance(pixel, tuple)] == [True, False, False, False]
    if orientation == 1:
        assert image.data == (tmp_path / "photo").read_bytes()


@pytest.mark.parametrize("orientation", [0, 9, 700])
def test_an_orientation_that_means_nothing_changes_nothing(tmp_path: Path, orientation: int) -> None:
    turned = PILImage.Exif()
    turned[0x0112] = orientation
    file = saved(tmp_path / "photo.jpg", PILImage.new("RGB", (16, 8)), exif=turned)
    assert image_loader(folder=tmp_path)("photo.jpg").data == file.read_bytes()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_data_does_not_cost_the_image(tmp_path: Path) -> None:
    file = saved(tmp_path / "photo.jpg", PILImage.new("RGB", (16, 8)), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff\x01\x12")
    assert image_loader(folder=tmp_path)("photo.jpg").data == file.read_bytes()


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "JPEG"), ("I;16", "PNG")])
def test_pixels_that_model_servers_do_not_know_are_converted(tmp_path: Path, mode: str, kind: str) -> None:
    saved(tmp_path / "image", PILImage.new(mode, (16, 8)), format=kind)
    with PILImage.open(io.BytesIO(image_loader(folder=tmp_path)("image").data)) as seen:
        assert seen.mode in ("RGB", "RGBA")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animated_image_the_model_sees_the_first_frame(tmp_path: Path, kind: str) -> None:
    frames = [PILImage.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    saved(tmp_path / "moving", frames[0], format=kind, save_all=True, append_images=frames[1:], lossless=True)
    image = image_loader(folder=tmp_path)("moving")
    assert image.media_type == "image/png"
    with PILImage.open(io.BytesIO(image.data)) as seen:
        assert getattr(seen, "n_frames", 1) == 1
        assert seen.convert("RGB").getpixel((4, 4)) == (255, 0, 0)


def test_the_model_sees_an_image_from_the_web(site: Site) -> None:
    backend = ScriptedBackend(("load_image", {"path_or_url": f"{site.url}/image.png"}), "Red.")
    result = Agent(backend, tools=[image_loader(allow=[site.address])]).run("What is it?")
    assert result.tool_calls[0].response == "[image.png: the image is in the next message]"


@pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:;base64,"])
def test_a_data_url_is_loaded_too(head: str) -> None:
    assert load_image(head + base64.b64encode(png()).decode()) == Image(png(), "image/png", "image")


BASE64 = base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,\n" + "\r\n".join(BASE64[start : start + 20] for start in range(0, len(BASE64), 20)),
        "data:image/png;base64," + BASE64.rstrip("="),
        "data:image/png;base64, " + " ".join(BASE64),
        "data:image/png;base64," + BASE64 + "==",
        "data:image/png;base64," + quote(BASE64, safe=""),
        "data:image/png;base64," + BASE64.replace("+", "-").replace("/", "_"),
        "DATA:IMAGE/PNG;BASE64," + BASE64,
        "data:;base64," + BASE64,
        "data:image/png; base64," + BASE64,
        "data:image/png;base64;charset=utf-8," + BASE64,
        "data:image/jpeg;name=a.jpg;base64," + BASE64,
        "data:image/png," + quote(png()),
        "data:," + quote(png()),
    ],
)
def test_a_data_url_is_read_as_it_is_meant(url: str) -> None:
    assert load_image(url) == Image(png(), "image/png", "image")
    assert Image.from_data_url(url) == Image(png(), "image/png", "image")
    assert ImageLoader().loaded(url) == ("image/png", png())


@given(
    st.binary(max_size=60),
    st.lists(st.integers(0, 100), max_size=5),
    st.sampled_from(["\n", " ", "%0A", "\r\n\t"]),
    st.booleans(),
    st.booleans(),
)
def test_base64_is_read_wherever_it_is_broken(
    content: bytes, places: list[int], between: str, is_padded: bool, is_url_safe: bool
) -> None:
    text = (base64.urlsafe_b64encode if is_url_safe else base64.b64encode)(content).decode()
    text = text if is_padded else text.rstrip("=")
    for place in sorted({min(place, len(text)) for place in places}, reverse=True):
        text = text[:place] + between + text[place:]
    assert Image.from_data_url("data:image/png;base64," + text).data == content


@pytest.mark.parametrize(
    "url", ["data:image/png", "data:image/png;base64,!!!", "data:image/png;base64,A", "data:;base64,é"]
)
def test_a_data_url_without_data_is_refused(url: str) -> None:
    with pytest.raises(ToolError, match="the data: URL "):
        load_image(url)


# Files that are not images


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<?xml version='1.0'?>\n<!-- x -->\n<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "image/heic"),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00mif1avif", "image/avif"),
        (b"\xff\x0a" + bytes(50), "image/jxl"),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
        (b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"<!doctype html><title>Not found</title>", "text/html"),
        (b"\x00\x00\x00\x18ftypmp42", "video/mp4"),
        (b"", "the file is empty"),
        (png()[:40], "damaged or incomplete"),
    ],
)
def test_what_a_file_is_instead_of_an_image_is_said(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "picture").write_bytes(content)
    with pytest.raises(ToolError, match=rf"^picture is not an image that can be read .*{says}") as raised:
        image_loader(folder=tmp_path)("picture")
    assert "\n" not in str(raised.value)


def test_the_file_name_does_not_make_an_image(tmp_path: Path) -> None:
    (tmp_path / "page.png").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "script.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    (tmp_path / "empty.png").write_bytes(b"")
    saved(tmp_path / "icon.png", PILImage.new("RGB", (16, 16)), format="ICO")
    for name in ("page.png", "script.png", "empty.png", "icon.png"):
        with pytest.raises(ToolError, match=f"{name} is not an image that can be read"):
            image_loader(folder=tmp_path)(name)


def test_a_damaged_image_is_refused_here_and_not_by_the_model_server(tmp_path: Path) -> None:
    whole = bytearray(png(50, 50))
    (tmp_path / "short.png").write_bytes(whole[:-30])
    whole[-14] ^= 255
    (tmp_path / "checksum.png").write_bytes(whole)
    for name in ("short.png", "checksum.png"):
        with pytest.raises(ToolError, match="is not an image"):
            image_loader(folder=tmp_path)(name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (claimed_png(60_000, 60_000), "more pixels than can be loaded"),
        (claimed_png(10_000, 9_500), "pixels"),
        (claimed_png(8_000, 8_000), "8000 x 8000 pixels, which is too many"),
        (claimed_png(4, 4, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10_000_000)))), "not an image"),
    ],
    ids=["bomb", "large", "many", "text"],
)
def test_an_image_that_would_exhaust_the_memory_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(ToolError, match=says):
        image_loader(folder=tmp_path)("bomb.png")


@pytest.mark.parametrize("path", ["/image.svg", "/article", "/empty"])
def test_a_page_is_not_an_image(site: Site, path: str) -> None:
    with pytest.raises(ToolError, match="is not an image"):
        image_loader(allow=[site.address])(site.url + path)


# Allowed places


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "inside"
    (root / "deep").mkdir(parents=True)
    (root / "dot.png").write_bytes(png())
    (tmp_path / "inside-not").mkdir()
    (tmp_path / "inside-not" / "dot.png").write_bytes(png())
    (tmp_path / "outside.png").write_bytes(png())
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "up").symlink_to(tmp_path)
    (root / "circle.png").symlink_to(root / "circle.png")
    return root


@pytest.mark.parametrize(
    "path",
    ["../outside.png", "deep/../../outside.png", "link.png", "up/outside.png", "../inside-not/dot.png", "/dev/zero"],
)
def test_no_path_and_no_link_leads_out_of_the_folder(folder: Path, path: str) -> None:
    for name in (path, str(folder / path)):
        with pytest.raises(ToolError, match="is outside of the folder that may be read"):
            image_loader(folder=folder)(name)


def test_the_ready_tool_reads_below_the_working_directory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load_image("deep/../dot.png").data == png()
    assert load_image("up/inside/dot.png").data == png()
    with pytest.raises(ToolError, match="outside"):
        load_image("../outside.png")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("file://{folder}/dot.png", "dot.png"),
        ("file://localhost{folder}/dot.png", "dot.png"),
        ("FILE://LOCALHOST{folder}/dot.png", "dot.png"),
        ("file:{folder}/dot.png", "dot.png"),
        ("file:dot.png", "dot.png"),
        ("file://dot.png", "dot.png"),
        ("file://./dot.png", "dot.png"),
        ("file://deep/../dot.png", "dot.png"),
        ("file://{folder}/a%20b%C3%A9.png", "a bé.png"),
        ("file://{folder}/100%25.png", "100%.png"),
        ("file://{folder}/100%.png", "100%.png"),
        ("file://{folder}/a#b?c.png", "a#b?c.png"),
        ("file://{folder}/%41.png", "%41.png"),
    ],
)
def test_a_file_url_is_loaded_as_its_path(folder: Path, url: str, name: str) -> None:
    (folder / name).write_bytes(png())
    assert image_loader(folder=folder)(url.format(folder=folder)) == Image(png(), "image/png", name)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "file://localhost/etc/passwd", "file:../outside.png", "file://%2e%2e/outside.png"),
        *("file://..%2Foutside.png", "file:link.png", "file:/dev/zero", "file://{folder}/../outside.png"),
    ],
)
def test_a_file_url_leads_no_further_than_a_path(folder: Path, url: str) -> None:
    with pytest.raises(ToolError, match="is outside of the folder that may be read"):
        image_loader(folder=folder)(url.format(folder=folder))


@pytest.mark.parametrize("url", ["file://server/share/x.png", "file:///C:/x.png", "file:%00", "file:///", "file:"])
def test_a_file_url_of_nothing_is_one_sentence(folder: Path, url: str) -> None:
    with pytest.raises(ToolError, match=r"not found|outside|not a regular file"):
        image_loader(folder=folder)(url)


@pytest.mark.parametrize(
    "path", ["none.png", "nul\0.png", "a" * 5_000, "circle.png", "~/dot.png", "dot.png/x", "C:\\x"]
)
def test_a_missing_path_is_reported_briefly(folder: Path, path: str) -> None:
    with pytest.raises(ToolError, match="not found") as raised:
        image_loader(folder=folder)(path)
    assert len(str(raised.value)) < 300
    assert str(folder) not in str(raised.value)


@pytest.mark.parametrize("path", ["", ".", "deep"])
def test_a_folder_is_not_an_image(folder: Path, path: str) -> None:
    with pytest.raises(ToolError, match="is not a regular file"):
        image_loader(folder=folder)(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_without_blocking(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    with pytest.raises(ToolError, match=r"pipe\.png is not a regular file"):
        image_loader(folder=folder)("pipe.png")


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    with open(folder / "sparse.png", "wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(ToolError, match=r"sparse\.png has 10,000,000,000 bytes; at most 20,000,000 are loaded"):
        image_loader(folder=folder)("sparse.png")


def test_a_page_that_is_too_large_is_not_loaded(site: Site) -> None:
    with pytest.raises(FetchError, match="larger than 50 bytes"):
        image_loader(allow=[site.address], max_bytes=50)(f"{site.url}/image.png")


@pytest.mark.parametrize("url", ["http://127.0.0.1/x.png", "ftp://a.example/x.png"])
def test_an_address_that_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(BlockedAddressError):
        load_image(url)


def test_a_data_url_that_is_too_large_is_refused() -> None:
    with pytest.raises(ToolError, match="at most 100 are loaded"):
        image_loader(max_bytes=100)("data:image/png;base64," + base64.b64encode(bytes(200)).decode())


def test_a_file_name_can_not_inject_text(folder: Path) -> None:
    (folder / ("x\nsource: y" + "z" * 200 + ".png")).write_bytes(png())
    name = image_loader(folder=folder)("x\nsource: y" + "z" * 200 + ".png").name
    assert name.startswith("x?source: ")
    assert len(name) < 110
