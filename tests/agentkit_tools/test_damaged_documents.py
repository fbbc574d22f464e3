"""Damaged documents: each is named with the reason, and costs no other one."""

import io
import zipfile
from pathlib import Path

import pytest

from agentkit_tools import documents
from agentkit_tools.file_text import READERS, FileText, read_file
from tests.support.office import WORD, open_document, paragraph, zipped
from tests.support.site import pdf_of

HUGE = "1" * 5_000
"""A number with more digits than `int` reads."""


def pdf_with_title(title: bytes) -> bytes:
    """A PDF of one page that has this title in hexadecimal digits."""
    stream = b"BT /F1 24 Tf 72 700 Td (Whales eat krill.) Tj ET"
    return pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
            b"/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
            b"<< /Title <%s> >>" % title,
        ],
        b"/Info 5 0 R ",
    )


def damaged(kind: int) -> bytes:
    """An OpenDocument text whose content, compressed by this method, is damaged."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as package:
        package.writestr("content.xml", "<o><body><p>Whales eat krill.</p></body></o>" * 20)
    content = bytearray(file.getvalue())
    content[60:75] = bytes(255 - each for each in content[60:75])
    return bytes(content)


def word_with_numbers() -> bytes:
    """A Word document whose styles and cells have numbers with too many digits."""
    space = f'xmlns:w="{WORD}"'
    styles = (
        f'<w:style w:styleId="A"><w:name w:val="heading {HUGE}"/></w:style>'
        f'<w:style w:styleId="B"><w:pPr><w:outlineLvl w:val="{HUGE}"/></w:pPr></w:style>'
    )
    cell = f'<w:tc><w:tcPr><w:gridSpan w:val="{HUGE}"/></w:tcPr>{paragraph("Whales eat krill.", "A")}</w:tc>'
    return zipped(
        {
            "word/document.xml": f"<w:document {space}><w:body><w:tbl><w:tr>{cell}</w:tr></w:tbl></w:body>"
            "</w:document>",
            "word/styles.xml": f"<w:styles {space}>{styles}</w:styles>",
        }
    )


def sheet(attributes: str) -> bytes:
    """A table of OpenDocument of one cell, with these attributes."""
    cell = f"<table:table-cell {attributes}><text:p>Whales eat krill.</text:p></table:table-cell>"
    table = f"<table:table><table:table-row>{cell}</table:table-row></table:table>"
    return open_document(f"<office:spreadsheet>{table}</office:spreadsheet>")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", pdf_with_title(b"FEFF0041D83D")),
        ("a.odt", open_document(f"<text:p>Whales eat<text:s text:c='{HUGE}'/>krill.</text:p>")),
        ("a.odt", open_document(f"<text:h text:outline-level='{HUGE}'>Whales eat krill.</text:h>")),
        ("a.ods", sheet(f"table:number-columns-repeated='{HUGE}'")),
        ("a.docx", word_with_numbers()),
    ],
    ids=["title", "spaces", "level", "cells", "styles"],
)  # fmt: skip
def test_an_odd_value_does_not_make_a_document_unreadable(name: str, content: bytes) -> None:
    assert "Whales eat krill." in read_file(name, content).text


def test_a_part_that_is_no_xml_is_empty() -> None:
    """Such as one that has a byte order mark alone."""
    parts = {"word/styles.xml": b"\xef\xbb\xbf", "word/document.xml": b"\0\0"}
    assert read_file("a.docx", zipped(parts)).text == ""
    body = f'<w:document xmlns:w="{WORD}"><w:body>{paragraph("Whales")}</w:body></w:document>'
    assert read_file("a.docx", zipped(parts | {"word/document.xml": body.encode()})).text == "Whales"


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_part_is_damaged_whatever_its_compression(tmp_path: Path, kind: int) -> None:
    (tmp_path / "good.txt").write_text("Whales eat krill.")
    (tmp_path / "bad.odt").write_bytes(damaged(kind))
    found = documents(tmp_path)[0](["krill"])
    assert "source: good.txt" in found
    assert "(bad.odt was not read: it is damaged)" in found


@pytest.mark.parametrize("error", [ValueError, KeyError, ZeroDivisionError, AssertionError])
def test_whatever_a_reader_raises_costs_no_other_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    def fail(path: str, content: bytes) -> FileText:
        raise error("a fault of a library")

    monkeypatch.setitem(READERS, ".odt", fail)
    (tmp_path / "good.txt").write_text("Whales eat krill.")
    (tmp_path / "bad.odt").write_bytes(b"x")
    find, read = documents(tmp_path)
    for _ in range(2):
        assert "(bad.odt was not read: it is damaged)" in find(["krill"])
    assert "Whales" in read(["good.txt"], "food")
    assert [each.message for each in caplog.records] == [
        f"bad.odt could not be read: what reads it raised {error.__name__}"
    ]


def test_a_reader_that_lacks_memory_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: str, content: bytes) -> FileText:
        raise MemoryError

    (tmp_path / "bad.odt").write_bytes(b"x")
    with monkeypatch.context() as patch:
        patch.setitem(READERS, ".odt", fail)
        assert "(bad.odt was not read: there is not enough memory to read it)" in documents(tmp_path)[0](["krill"])
    assert "(bad.odt was not read: it is damaged)" in documents(tmp_path)[0](["krill"])
