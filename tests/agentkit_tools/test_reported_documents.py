"""Documents of which other programs were reported to lose a part; each test names its report."""

import io
import zipfile

import pytest

from agentkit_tools.file_text import read_file
from agentkit_tools.unreadable import UnreadableError
from tests.support.growth import assert_linear
from tests.support.office import RELATIONS, WORD, book, paragraph, relations, shape, slides, word, zipped

MATH = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'


def text_of(name: str, content: bytes | str) -> str:
    return read_file(name, content if isinstance(content, bytes) else content.encode()).text


# Mails


MIXED = "Subject: s\nMIME-Version: 1.0\nContent-Type: multipart/{}; boundary=B\n\n{}--B--\n"


def mail(kind: str, *parts: str) -> str:
    return MIXED.format(kind, "".join(f"--B\n{part}\n" for part in parts))


def plain(text: str, kind: str = "plain") -> str:
    return f"Content-Type: text/{kind}; charset=utf-8\n\n{text}"


PICTURE = "Content-Type: image/png\nContent-Disposition: inline; filename=x.png\n\nabc"


def test_a_mail_that_is_divided_by_a_picture_is_read_to_its_end() -> None:
    # ikvk/imap_tools#247, nextcloud/mail#3726
    found = text_of("a.eml", mail("mixed", plain("See this:"), PICTURE, plain("Do you see it?")))
    assert found == "Subject: s\n\nSee this:\n\nDo you see it?\n\nAttached: x.png"
    pages = mail("mixed", plain("<p>Before", "html"), PICTURE, plain("<p>After", "html"))
    assert "Before\n\nAfter" in text_of("a.eml", pages)


def test_a_mail_that_is_forwarded_is_read() -> None:
    # oneprolabs/devify#47
    inner = (
        "Content-Type: message/rfc822\nContent-Disposition: attachment\n\nFrom: c@x.example\nSubject: Inner\n\nInvoice."
    )
    found = text_of("a.eml", mail("mixed", plain("See below."), inner))
    assert found == "Subject: s\n\nSee below.\n\nFrom: c@x.example\nSubject: Inner\n\nInvoice."


def test_the_form_of_a_mail_that_has_a_text_is_read() -> None:
    # joplin/plugin-email#14: the plain form is empty
    assert "Real." in text_of("a.eml", mail("alternative", plain("\n"), plain("<p>Real.", "html")))
    both = text_of("a.eml", mail("alternative", plain("Plain."), plain("<p>Rich.", "html")))
    assert both == "Subject: s\n\nPlain."


def test_the_page_of_a_mail_is_read_where_its_plain_text_says_nothing() -> None:
    # lswith/imap-mcp#21
    excuse = plain("This email cannot be displayed in text only mode.")
    page = plain(f"<h1>Statement</h1><p>{'The harbour lighthouse is 38 metres tall. ' * 40}", "html")
    assert "Statement" in text_of("a.eml", mail("alternative", excuse, page))
    invitation = plain("BEGIN:VCALENDAR\n" + "X-LONG:1\n" * 200, "calendar")
    assert text_of("a.eml", mail("alternative", plain("Come at 9."), invitation)) == "Subject: s\n\nCome at 9."


@pytest.mark.parametrize("pad", range(48))
def test_a_mail_to_many_people_is_read(pad: int) -> None:
    people = ["x" * pad + "@example.org", *(f"Person{n:03d} Surname <person{n:03d}@example.org>" for n in range(80))]
    found = text_of("a.eml", f"From: Boss <boss@example.org>\nTo: {', '.join(people)}\nSubject: hello\n\nIt is 42.\n")
    assert found.endswith("Subject: hello\n\nIt is 42.")
    assert "person010@example.org>" in found


@pytest.mark.parametrize(
    "head",
    [
        "To: Anna Smith <", "From: a@[1.2", "Cc: x <y@[", "To: <>", "To: a <b@", "To: (",
        "Content-Disposition: attachment; filename*=", "Content-Type: text/plain; charset*=x'",
    ],
)  # fmt: skip
def test_a_malformed_header_costs_no_text(head: str) -> None:
    found = text_of("a.eml", f"{head}\nSubject: hello\n\nIt is 42.\n")
    assert "Subject: hello" in found
    assert "It is 42." in found or "attachment" in head


def test_a_long_subject_is_read_to_its_limit() -> None:
    assert len(text_of("a.eml", f"Subject: Well, {'x' * 3_000}\n\nText.\n")) > 1_900


def test_attached_texts_are_named_alone() -> None:
    attached = plain("a log").replace("\n\n", "\nContent-Disposition: attachment; filename=a.log\n\n")
    assert text_of("a.eml", mail("mixed", plain("Body."), attached)) == "Subject: s\n\nBody.\n\nAttached: a.log"


def test_mails_in_mails_are_read_in_linear_time() -> None:
    def nested(size: int) -> bytes:
        return b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * size

    assert_linear(lambda size: read_file("a.eml", nested(size)), 4_000)


# Word


def imported(chunk: str, content: bytes | str, path: str = "chunk.bin") -> bytes:
    space = f'xmlns:w="{WORD}" xmlns:r="{RELATIONS}"'
    return zipped(
        {
            "_rels/.rels": relations(officeDocument="word/document.xml"),
            "word/document.xml": f"<w:document {space}><w:body>{chunk}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations(aFChunk_1=path),
            f"word/{path}": content,
        }
    )


CHUNK = paragraph("Before") + '<w:altChunk r:id="aFChunk_1"/>' + paragraph("After")
PAGE_IN_MAIL = (
    "MIME-Version: 1.0\nContent-Type: multipart/related; boundary=B\n\n--B\nContent-Type: text/html; charset=utf-8\n"
    "Content-Transfer-Encoding: quoted-printable\n\n<h1>h=C3=A9llo</h1>\n--B--\n"
)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("<html><body><h1>hello</h1></body></html>", "# hello"),  # mwilliamson/mammoth.js#424
        (PAGE_IN_MAIL, "# héllo"),  # jgm/pandoc#7890
        ("only text", "only text"),  # yfedoseev/office_oxide#155
        (r"{\rtf1 x}", "[… what is imported here was not read: it is a document of its own]"),
        (word(paragraph("x")), "[… what is imported here was not read: it is a document of its own]"),
    ],
)
def test_what_a_document_imports_is_read(content: bytes | str, found: str) -> None:
    assert text_of("a.docx", imported(CHUNK, content)) == f"Before\n\n{found}\n\nAfter"
    inside = '<w:p><w:r><w:t>Before</w:t></w:r><w:altChunk r:id="aFChunk_1"/></w:p>'  # plutext/docx4j#86
    assert text_of("a.docx", imported(inside, content)) == f"Before\n\n{found}"


def run(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


@pytest.mark.parametrize(
    ("equation", "text"),
    [
        (  # dbashford/textract#174
            f"{run('x=')}<m:f><m:num>{run('b(x)+c(x)')}</m:num><m:den>{run('4+x')}</m:den></m:f>",
            "x=(b(x)+c(x))/(4+x)",
        ),
        (  # docling-project/docling#3120
            f"<m:sSup><m:e><m:f><m:num>{run('x-c')}</m:num><m:den>{run('v')}</m:den></m:f></m:e>"
            f"<m:sup>{run('2')}</m:sup></m:sSup>",
            "((x-c)/v)^2",
        ),
        (  # EvotecIT/OfficeIMO#2078: no fraction
            f'<m:d><m:e><m:f><m:fPr><m:type m:val="noBar"/></m:fPr><m:num>{run("n")}</m:num>'
            f"<m:den>{run('k')}</m:den></m:f></m:e></m:d>",
            "(n¦k)",
        ),
        (
            f'<m:nary><m:naryPr><m:chr m:val="∑"/></m:naryPr><m:sub>{run("i=1")}</m:sub><m:sup>{run("n")}</m:sup>'
            f"<m:e><m:sSub><m:e>{run('a')}</m:e><m:sub>{run('i')}</m:sub></m:sSub></m:e></m:nary>",
            "∑_(i=1)^n a_i",
        ),
        (
            f"<m:f><m:num>{run('1')}</m:num><m:den>{run('2')}</m:den></m:f><m:rad><m:deg/><m:e>{run('x')}</m:e></m:rad>",
            "1/2 √(x)",
        ),
        (
            f"<m:m><m:mr><m:e>{run('a')}</m:e><m:e>{run('b')}</m:e></m:mr><m:mr><m:e>{run('c')}</m:e></m:mr></m:m>",
            "[a, b; c]",
        ),
        ("<m:f/><m:sSup/><m:nary/><m:d/>", "/∫ ()"),  # HKUDS/RAG-Anything#262: parts are missing
    ],
)
def test_an_equation_says_what_it_means(equation: str, text: str) -> None:
    assert text_of("a.docx", word(f"<w:p><m:oMath {MATH}>{equation}</m:oMath></w:p>")) == text


def test_rows_that_are_deleted_and_lists_that_are_ended_are_none() -> None:
    row = "<w:tr>{}<w:tc>{}</w:tc></w:tr>"
    rows = row.format("<w:trPr><w:del/></w:trPr>", paragraph("gone")) + row.format("", paragraph("here"))
    assert text_of("a.docx", word(f"<w:tbl>{rows}</w:tbl>")) == "here"  # mwilliamson/mammoth.js#362
    no_item = '<w:p><w:pPr><w:numPr><w:numId w:val="0"/></w:numPr></w:pPr><w:r><w:t>text</w:t></w:r></w:p>'
    assert text_of("a.docx", word(no_item)) == "text"  # superdoc/docx-editor#1470


def test_signs_of_fonts_are_the_signs_that_they_show() -> None:
    # python-openxml/python-docx#948, jgm/pandoc#9220, firecrawl/anydoc#177
    signs = [("Symbol", "F0B3"), ("Symbol", "F06D"), ("Symbol", "6D"), ("Wingdings", "F0FE"), ("Wingdings 2", "F0A3")]
    signs += [("Arial", "03B1"), ("Wingdings", "FFFF"), ("Symbol", "x"), ("Arial", "D800")]
    runs = "".join(f'<w:sym w:font="{font}" w:char="{code}"/>' for font, code in signs)
    assert text_of("a.docx", word(f"<w:p><w:r><w:t>5 </w:t>{runs}<w:t>m</w:t></w:r></w:p>")) == "5 ≥μμ☑☐αm"


def test_comments_are_read_with_their_authors() -> None:
    # docling-project/docling#2219, ShayHill/docx2python#52
    comment = f'<w:comment w:author="Ana">{paragraph("Is that so?")}</w:comment>'
    found = text_of("a.docx", word(paragraph("It is."), comments=comment))
    assert found == "It is.\n\nComment of Ana: Is that so?"


# Parts that are damaged


def damaged(content: bytes, path: str) -> bytes:
    """The same file with a part whose checksum is wrong."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts = {each.filename: package.read(each) for each in package.infolist()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        for name, part in parts.items():
            package.writestr(name, part)
        start = package.getinfo(path).header_offset + 30 + len(path)
    data = bytearray(file.getvalue())
    data[start + 5] ^= 1
    return bytes(data)


NOT_READ = "[… a part of the document is damaged and was not read]"


def test_a_damaged_chapter_or_slide_costs_no_other() -> None:
    # onyx-dot-app/onyx#14773
    chapters = {"a.xhtml": "<p>One.</p>", "b.xhtml": "<p>Two.</p>"}
    assert text_of("a.epub", damaged(book(chapters), "OEBPS/a.xhtml")) == f"{NOT_READ}\n\nTwo."
    deck = damaged(slides(shape("One"), shape("Two")), "ppt/slides/slide1.xml")
    assert text_of("a.pptx", deck) == f"{NOT_READ}\n\n## Slide 2\n\nTwo"
    with pytest.raises(UnreadableError, match="it is damaged"):
        text_of("a.epub", damaged(book({"a.xhtml": "<p>One.</p>"}), "OEBPS/a.xhtml"))


def test_the_notes_of_a_book_are_read() -> None:
    # psiegman/epublib#85
    note = '<aside epub:type="footnote"><p>2 The statistics for 1900.</p></aside>'
    found = text_of("a.epub", book({"a.xhtml": f"<p>There were 67 mills.</p>{note}<aside><p>An advert.</p></aside>"}))
    assert "The statistics for 1900." in found
    assert "advert" not in found


# Workbooks and slides


def test_a_workbook_repeats_cells_keeps_codes_and_has_its_comments() -> None:
    openpyxl = pytest.importorskip("openpyxl")
    from openpyxl.comments import Comment

    workbook = openpyxl.Workbook()
    sheet = workbook.active
    for row in (["region", "zip", "text"], ["North", 150, "a_x000D_\nb"], [None, 5003, "c"], ["South", 4500, "d"]):
        sheet.append(row)
    sheet.merge_cells("A2:A3")  # ui-insight/vandalizer#853
    sheet["B2"].number_format = sheet["B3"].number_format = "00000"  # dilshod/xlsx2csv#139
    sheet["B4"].comment = Comment("Check this.", "Ana")  # docling-project/docling#2219
    file = io.BytesIO()
    workbook.save(file)
    assert text_of("a.xlsx", file.getvalue()) == (
        "## Sheet\n\nregion | zip | text\n"
        "- region: North; zip: 00150; text: a b\n"  # opensanctions/opensanctions#5001
        "- region: North; zip: 05003; text: c\n"
        "- region: South; zip: 4500; text: d\n\n"
        "Comment on B4: Check this."
    )


def test_a_workbook_of_many_merged_cells_is_read_in_linear_time() -> None:
    from agentkit_tools.file_text.sheet_notes import SheetNotes

    def read(size: int) -> None:
        notes = SheetNotes({number: [(1, 1, size), (3, 3, number + 1)] for number in range(1, size)})
        assert sum(1 for _ in notes.repeated(["a", "", "c"] for _ in range(size))) == size

    assert_linear(read, 20_000)
