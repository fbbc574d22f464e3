"""Office documents that people have, which other programs were reported to read in part or not at all; each test names
its report."""

import datetime
import io
import zipfile

import pytest

from agentkit.serving.documents import document_text
from agentkit_tools.file_text import read_file
from agentkit_tools.unreadable import UnreadableError
from tests.support.office import paragraph, shape, slides, word, zipped

openpyxl = pytest.importorskip("openpyxl")


def text_of(name: str, content: bytes | str) -> str:
    return read_file(name, content if isinstance(content, bytes) else content.encode()).text


def workbook(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


STRICT = {
    b"http://schemas.openxmlformats.org/spreadsheetml/2006/": b"http://purl.oclc.org/ooxml/spreadsheetml/",
    b"http://schemas.openxmlformats.org/officeDocument/2006/": b"http://purl.oclc.org/ooxml/officeDocument/",
}


def strict(content: bytes) -> bytes:
    """The same workbook as Excel writes it as a "Strict Open XML Spreadsheet"."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as package, zipfile.ZipFile(file, "w") as written:
        for path in package.namelist():
            part = package.read(path)
            for usual, other in STRICT.items():
                part = part.replace(usual, other)
            written.writestr(path, part)
    return file.getvalue()


def test_a_workbook_of_the_strict_kind_is_read_as_any_other() -> None:
    # ExcelDataReader/ExcelDataReader#498, office-kit/xlsx#166: its sheets seemed to be empty
    usual = workbook(["city", "people", "since"], ["Oslo", 717710, datetime.date(1048, 1, 2)])
    assert (
        text_of("a.xlsx", usual) == "## Sheet\n\ncity | people | since\n- city: Oslo; people: 717710; since: 1048-01-02"
    )
    assert text_of("a.xlsx", strict(usual)) == text_of("a.xlsx", usual)


# Names that say another kind


PAGE = "<html><body><table><tr><th>city<th>people<tr><td>Oslo<td>717710</table></body></html>"
SPACE = "urn:schemas-microsoft-com:office:spreadsheet"
FLAT = (
    f'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="{SPACE}" xmlns:ss="{SPACE}">'
    '<Worksheet ss:Name="Cities"><Table><Row><Cell><Data ss:Type="String">city</Data></Cell>'
    "<Cell><Data>county</Data></Cell><Cell><Data>people</Data></Cell></Row>"
    '<Row ss:Index="3"><Cell><Data>Oslo</Data></Cell><Cell ss:Index="3"><Data>717710</Data></Cell></Row>'
    "</Table></Worksheet></Workbook>"
)
MAIL = "MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n<p>A whale eats krill.</p>"
CITIES = ["city", "people"], ["Oslo", 717710]
ROW = "- city: Oslo; people: 717710"


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.doc", word(paragraph("A whale.")), "A whale."),  # open-webui/open-webui#25213, infiniflow/ragflow#11731
        ("a.rtf", word(paragraph("A whale.")), "A whale."),
        ("a.xls", workbook(*CITIES), ROW),
        ("a.docx", workbook(*CITIES), ROW),
        ("a.ppt", slides(shape("A whale.")), "A whale."),
        ("a.doc", "<html><body><p>A whale eats krill.</p></body></html>", "A whale eats krill."),
        ("a.xls", PAGE, "| city | people |\n| --- | --- |\n| Oslo | 717710 |"),  # python-excel/xlrd#350, valdergallo/data-importer#80
        ("a.xls", "city\tpeople\nOslo\t717710\n", ROW),  # python-excel/xlrd#351
        ("a.xls", "city\tpeople\nOslo\t717710\n".encode("utf-16"), ROW),
        ("a.xls", FLAT, "## Cities\n\ncity | county | people\n- city: Oslo; people: 717710"),  # python-excel/xlrd#188
        ("a.doc", MAIL, "A whale eats krill."),  # wireservice/csvkit#847
    ],
)  # fmt: skip
def test_a_document_is_read_whatever_its_name_says(name: str, content: bytes | str, found: str) -> None:
    assert found in text_of(name, content)


def test_what_is_of_a_kind_that_is_not_read_says_so_whatever_its_name_is() -> None:
    for name in ("a.doc", "a.xls", "a.pages"):
        with pytest.raises(UnreadableError, match="can't be read: save it as"):
            text_of(name, zipped({"Index/Document.iwa": "x"}))
    with pytest.raises(UnreadableError, match="can't be read: save it as xlsx"):
        text_of("a.xls", b"\x09\x08\x10\x00\x00\x06\x05\x00;\t")
    with pytest.raises(UnreadableError, match="it is an RTF text under another name"):  # HKUDS/LightRAG#3210
        text_of("a.docx", r"{\rtf1 A whale.}")


def test_an_attachment_is_read_whatever_its_name_says() -> None:
    assert document_text("a.xls", workbook(*CITIES), 1_000).text.endswith(ROW)
