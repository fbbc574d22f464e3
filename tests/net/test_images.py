"""Images that a message names: whatever the name stands for, nothing hangs and no memory is eaten."""

import base64
import io
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from PIL import Image as PILImage

from agentkit import Agent, FetchError, Image, LightLLMClient
from agentkit.errors import BlockedAddressError, StatusError
from agentkit.net.images import ImageLoader
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents
from agentkit_tools.files import Folder, content_of
from tests.support.site import Site, png

LOADER = ImageLoader(files=True)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with one name for each kind of file."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    for name, target in (("link.png", "/dev/zero"), ("second.png", "link.png"), ("piped.png", "pipe.png")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "circle.png").symlink_to("circle.png")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.png"))
        yield tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="no devices among the files")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/dev/zero", "is not a regular file"),
        ("/dev/urandom", "is not a regular file"),
        ("/dev/tty", "is not a regular file"),
        ("/dev/stdin", "is not a regular file|can't be read"),
        ("/proc/self/fd/0", "is not a regular file|can't be read"),
        ("{folder}/pipe.png", "is not a regular file"),
        ("{folder}/piped.png", "is not a regular file"),
        ("{folder}/socket.png", "is not a regular file"),
        ("{folder}/folder.png", "is not a regular file"),
        ("{folder}/link.png", "is not a regular file"),
        ("{folder}/second.png", "is not a regular file"),
        ("{folder}/circle.png", "can't be read"),
        ("{folder}/none.png", "can't be read"),
        ("{folder}/nul\0.png", "null (byte|character)"),
        ("~nobody-of-this-name/x.png", "home directory|can't be read"),
    ],
    ids=lambda value: value.replace("\0", "NUL").replace("{folder}/", "") if isinstance(value, str) else None,
)
def test_what_is_no_stored_file_is_refused_at_once(folder: Path, name: str, says: str) -> None:
    path = name.format(folder=folder)
    started = time.monotonic()
    for address in (path, f"file://{path}", f"file:{path}"):
        if path.startswith("~") and address is not path:
            continue
        with pytest.raises(openai.BadRequestError, match=says):
            LOADER.loaded(address)
    assert time.monotonic() - started < 2


def test_a_client_asked_for_an_endless_device_says_so() -> None:
    parts = [{"type": "image_url", "image_url": {"url": "file:///dev/zero"}}]
    with LightLLMClient(base_url="http://127.0.0.1:9", family="qwen2.5", image_placeholder="<i>") as client:
        with pytest.raises(openai.BadRequestError, match="'file:///dev/zero' is not a regular file"):
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="no /proc here")
def test_a_file_that_tells_no_size_is_read_up_to_the_limit() -> None:
    assert os.stat("/proc/self/maps").st_size == 0
    with pytest.raises(openai.BadRequestError, match="has more than 1,000 bytes"):
        ImageLoader(files=True, max_bytes=1_000).loaded("file:///proc/self/maps")
    with pytest.raises(openai.BadRequestError, match="not a supported image"):
        ImageLoader(files=True).loaded("/proc/self/status")


def test_a_file_that_is_replaced_by_a_pipe_while_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(png())
    os.mkfifo(tmp_path / "pipe")
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: real(tmp_path / "pipe", *rest))
    with pytest.raises(ValueError, match="is not a regular file"):
        Image.from_file(tmp_path / "a.png")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "sparse.png", "wb") as file:
        file.truncate(10_000_000_000)
    with pytest.raises(openai.BadRequestError, match="has 10,000,000,000 bytes; at most 20,000,000 are loaded"):
        LOADER.loaded(str(tmp_path / "sparse.png"))
    with pytest.raises(ValueError, match="at most 10 are loaded"):
        (tmp_path / "some.png").write_bytes(png()), Image.from_file(tmp_path / "some.png", max_bytes=10)


def test_an_image_in_a_file_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "dot").write_bytes(png())
    (tmp_path / "link").symlink_to("dot")
    assert Image.from_file(tmp_path / "link") == Image(png(), "image/png", "link")
    assert Image.from_file(str(tmp_path / "dot"), "a dot") == Image(png(), "image/png", "a dot")
    assert LOADER.loaded(f"file://{tmp_path}/dot") == ("image/png", png())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7", "it is application/pdf"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00", r"it is image/heic\. Convert it to PNG or JPEG first"),
        (b'{"error": "expired"}', "is not an image that can be read"),
    ],
    ids=["empty", "pdf", "heic", "json"],
)
def test_what_is_no_image_is_refused_before_it_is_sent(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "photo.png").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^photo\.png is not an image .*{says}|^photo\.png {says}"):
        Image.from_file(tmp_path / "photo.png")
    with pytest.raises(ValueError, match=says):
        Image.from_bytes(content)
    with pytest.raises(ValueError, match=says):
        Image.from_url("data:image/png;base64," + base64.b64encode(content).decode())


def test_a_path_that_is_no_file_of_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a regular file: it is a device, a pipe, a socket or a folder"):
        Image.from_file(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.png"):
        Image.from_file(tmp_path / "none.png")
    with pytest.raises(ValueError, match=r"use Image\.from_url\(url\)"):
        Image.from_file("https://example.com/a.png")
    anything: Any = Image
    for wrong in (None, 5, b"photo.png"):
        with pytest.raises(ValueError, match="takes the path of a file, not a"):
            anything.from_file(wrong)
    with pytest.raises(ValueError, match="pass the bytes of an image file"):
        anything.from_bytes("photo.png")


def test_an_image_is_fetched_by_its_address(site: Site) -> None:
    url, allow = f"{site.url}/image.png?size=2", [site.address]
    assert Image.from_url(url, allow=allow) == Image(png(), "image/png", "image.png")
    assert Image.from_url(url, "a dot", allow=allow).name == "a dot"
    for path, error, says in (
        ("/image.svg", ValueError, r"^image\.svg is not an image .*Convert it"),
        ("/article", ValueError, r"^article is not an image .*text/html"),
        ("/status/404", StatusError, "404"),
    ):
        with pytest.raises(error, match=says):
            Image.from_url(site.url + path, allow=allow)
    with pytest.raises(FetchError):
        Image.from_url(url, allow=allow, max_bytes=10)
    with pytest.raises(BlockedAddressError, match="is not public"):
        Image.from_url(url)
    encoded = "data:image/gif;base64," + base64.b64encode(png()).decode()
    assert Image.from_url(encoded) == Image(png(), "image/png", "image")


@pytest.mark.parametrize("url", ["photo.png", "ftp://example.com/a.png", "file:///a.png", "", None, 5], ids=repr)
def test_an_address_that_can_not_be_fetched_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match=r"is no http\(s\) or data: URL; a file is Image\.from_file\(path\)"):
        Image.from_url(url)


def test_a_photo_in_a_prompt_is_sent_upright() -> None:
    photo = io.BytesIO()
    exif = PILImage.Exif()
    exif[0x0112] = 6
    PILImage.new("RGB", (8, 4)).save(photo, "JPEG", exif=exif)
    backend = ScriptedBackend("A line.")
    Agent(backend).run(["What is this?", Image.from_bytes(photo.getvalue())])
    content: Any = backend.requests[0].messages[0]["content"]
    sent = Image.from_url(content[1]["image_url"]["url"])
    assert PILImage.open(io.BytesIO(sent.data)).size == (4, 8)


def test_documents_neither_wait_for_a_pipe_nor_read_a_device(folder: Path) -> None:
    os.mkfifo(folder / "notes.md")
    (folder / "zero.md").symlink_to("/dev/zero")
    (folder / ".gitignore").symlink_to("/dev/zero")
    (folder / "tide.md").write_text("The tide is high at noon.")
    search, _ = documents(folder, keep_index=False)
    assert "The tide is high at noon." in search(query=["tide"])
    assert "notes" not in search(query=["tide"])


def test_documents_do_not_wait_for_a_file_that_became_a_pipe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = Folder.states
    monkeypatch.setattr(Folder, "states", lambda self: listed(self) | {"pipe.txt": (1, 10), "zero.txt": (1, 10)})
    os.mkfifo(folder / "pipe.txt")
    (folder / "zero.txt").symlink_to("/dev/zero")
    (folder / "tide.md").write_text("The tide is high at noon.")
    search, _ = documents(folder, keep_index=False)
    told = search(query=["tide"])
    assert "The tide is high at noon." in told
    assert "(pipe.txt was not read: it can't be opened)" in told


def test_a_document_that_grows_is_read_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"x" * 5_000)
    assert len(content_of(tmp_path / "log.txt", 100)) == 101


# Photos


def photo(kind: str, orientation: int, **more: object) -> bytes:
    """A wide image whose upper left quarter is red when it is upright, stored as a camera held so stores it."""
    seen = PILImage.new("RGB", (16, 8), "white")
    seen.paste("red", (0, 0, 8, 4))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = seen if orientation == 1 else seen.transpose(PILImage.Transpose(undo[orientation]))
    turned = PILImage.Exif()
    turned[0x0112] = orientation
    written = io.BytesIO()
    stored.save(written, kind, exif=turned, **({"lossless": True} if kind == "WEBP" else {}), **more)
    return written.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_photo_is_sent_upright(kind: str, orientation: int) -> None:
    data = photo(kind, orientation)
    media_type, sent = LOADER.loaded("data:;base64," + base64.b64encode(data).decode())
    with PILImage.open(io.BytesIO(sent)) as seen:
        assert seen.size == (16, 8)
        assert seen.format == media_type.removeprefix("image/").upper()
        assert orientation == 1 or seen.getexif().get(0x0112, 1) == 1  # nobody turns it again
        corners = [seen.convert("RGB").getpixel(place) for place in ((1, 1), (14, 1), (1, 6), (14, 6))]
    assert [pixel[1] < 100 for pixel in corners if isinstance(pixel, tuple)] == [True, False, False, False]
    if orientation == 1:
        assert sent == data


def test_the_client_sends_photos_upright(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo("JPEG", 6))
    with LightLLMClient(base_url="http://127.0.0.1:9", family="qwen2.5") as client:
        [entry] = client._server.images.base64([str(tmp_path / "photo.jpg")])
    with PILImage.open(io.BytesIO(base64.b64decode(entry["data"]))) as seen:
        assert seen.size == (16, 8)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "data",
    [
        photo("JPEG", 6)[:200],
        photo("JPEG", 1).replace(b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff\x01\x12", 1),
        b"\x89PNG\r\n\x1a\n eXIf",
        b"II*\0" + b"\xff" * 50,
        png(),
    ],
    ids=["cut", "corrupt", "no image", "no tiff", "plain"],
)
def test_an_image_that_cannot_be_turned_is_sent_as_it_is(data: bytes) -> None:
    assert LOADER.loaded("data:;base64," + base64.b64encode(data).decode())[1] == data


def test_an_image_with_too_many_pixels_is_not_unpacked_to_be_turned() -> None:
    turned = PILImage.Exif()
    turned[0x0112] = 6
    written = io.BytesIO()
    PILImage.new("1", (20_000, 3_000)).save(written, "PNG", exif=turned)
    assert LOADER.loaded("data:;base64," + base64.b64encode(written.getvalue()).decode())[1] == written.getvalue()


def test_without_pillow_a_photo_is_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    data = photo_of_a_camera()
    assert LOADER.loaded("data:;base64," + base64.b64encode(data).decode()) == ("image/jpeg", data)


def photo_of_a_camera() -> bytes:
    """The shortest JPEG with an orientation, made without Pillow."""
    return b"\xff\xd8\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0\xff\xd9"
