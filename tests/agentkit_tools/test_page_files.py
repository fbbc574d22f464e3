"""`visit` reads documents that stand on the web, and texts of whatever type."""

import io
import json
import socket

import pytest

from agentkit import Page
from agentkit_tools import page_visitor
from agentkit_tools.page_files import page_text
from agentkit_tools.unreadable import UnreadableError
from tests.support.office import book, open_document, paragraph, shape, slides, word, zipped
from tests.support.raw_server import read_request, serve_raw

OFFICE = "application/vnd.openxmlformats-officedocument."
WORD = word(paragraph("The harbour opened in 1871."))


def workbook() -> bytes:
    from openpyxl import Workbook

    made, file = Workbook(), io.BytesIO()
    for row in (("town", "people"), ("Oslo", 717710)):
        made.worksheets[0].append(row)
    made.save(file)
    return file.getvalue()


def text_of(content: bytes, kind: str, *, truncated: bool = False) -> str:
    return page_text(Page("https://e.example/a", 200, kind, None, content, truncated)).text


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        # firecrawl/firecrawl#158, Oriole-FDU/WisePenCloud-AI#12
        (WORD, f"{OFFICE}wordprocessingml.document", "The harbour opened in 1871."),
        (WORD, "application/octet-stream", "The harbour opened in 1871."),
        (WORD, "application/zip", "The harbour opened in 1871."),
        (WORD, "application/msword", "The harbour opened in 1871."),
        (workbook(), f"{OFFICE}spreadsheetml.sheet", "- town: Oslo; people: 717710"),
        (workbook(), "application/vnd.ms-excel", "- town: Oslo; people: 717710"),
        (slides(shape("The harbour", "title")), f"{OFFICE}presentationml.presentation", "## Slide 1: The harbour"),
        (
            book({"a.html": "<p>Call me Ishmael."}, mimetype="application/epub+zip"),
            "application/zip",
            "Call me Ishmael.",
        ),
        (
            open_document("<office:text><text:p>Open.</text:p></office:text>"),
            "application/vnd.oasis.opendocument.text",
            "Open.",
        ),
        (
            json.dumps({"cells": [{"cell_type": "markdown", "source": "# Hi"}]}).encode(),
            "application/x-ipynb+json",
            "# Hi",
        ),
        (b"Subject: Hello\n\nThe tide is high.", "message/rfc822", "The tide is high."),
    ],
)
def test_a_document_at_an_address_is_read(content: bytes, kind: str, says: str) -> None:
    assert says in text_of(content, kind)


@pytest.mark.parametrize(
    "kind", ["x-tex", "toml", "sql", "x-sh", "x-bibtex", "x-research-info-systems", "x-subrip", "n-quads"]
)
def test_a_text_of_any_type_is_read(kind: str) -> None:
    # openai/codex#45274
    assert text_of(b"@book{a, title = {The harbour}}", f"application/{kind}") == "@book{a, title = {The harbour}}"


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (zipped({"a.txt": "x"}), "application/zip", "its type is application/zip, which has no text"),
        (bytes(range(256)), "application/x-anything", "its type is application/x-anything, which has no text"),
        (b"{\\rtf1 The harbour}", "application/rtf", "it is an RTF document, which is not read"),
        (b"<svg/>", "image/svg+xml", "its type is image/svg"),
        (WORD[:200], f"{OFFICE}wordprocessingml.document", "it is damaged"),
    ],
)
def test_what_has_no_text_is_said(content: bytes, kind: str, says: str) -> None:
    with pytest.raises(UnreadableError, match=says.replace("+", r"\+")):
        text_of(content, kind)


def test_a_document_that_was_cut_off_is_said_to_be_too_large() -> None:
    with pytest.raises(UnreadableError, match="larger than a page may be"):
        text_of(WORD, f"{OFFICE}wordprocessingml.document", truncated=True)


def test_visit_gives_a_document_a_number_like_a_page() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {OFFICE}wordprocessingml.document\r\nContent-Length: {len(WORD)}\r\n\r\n"

    def answer(connection: socket.socket, number: int) -> None:
        read_request(connection)
        connection.sendall(head.encode() + WORD)

    with serve_raw(answer) as server:
        address = f"http://127.0.0.1:{server.port}/report.docx"
        visit = page_visitor(allow=[f"127.0.0.1:{server.port}"], robots=False, cache=False)
        assert visit([address], "when?") == f"[1] {address}\nsource: {address}\n\nThe harbour opened in 1871."
