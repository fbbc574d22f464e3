"""Office documents that people have, which other programs were reported to read in part or not at all; each test names
its report."""

import datetime
import io
import json
import zipfile

import pytest

from agentkit.serving.documents import document_text
from agentkit_tools.file_text import read_file
from agentkit_tools.unreadable import UnreadableError
from tests.support.growth import assert_linear
from tests.support.office import RELATIONS, WORD, open_document, paragraph, relations, shape, slides, word, zipped

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
CITIES: tuple[list[object], ...] = ["city", "people"], ["Oslo", 717710]
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
        ("a.xls", PAGE, "| city | people |\n| --- | --- |\n| Oslo | 717710 |"),  # python-excel/xlrd#350
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


# Numbers of paragraphs


def levels(*forms: tuple[str, str], more: str = "") -> str:
    each = (
        f'<w:lvl w:ilvl="{n}"><w:start w:val="1"/><w:numFmt w:val="{form}"/><w:lvlText w:val="{text}"/>{more}</w:lvl>'
        for n, (form, text) in enumerate(forms)
    )
    return "".join(each)


def numbered(*items: tuple[int, int, str], lists: str) -> bytes:
    """A document of paragraphs, each with its list, its level and its text."""
    body = "".join(
        f'<w:p><w:pPr><w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr></w:pPr>'
        f"<w:r><w:t>{text}</w:t></w:r></w:p>"
        for number, level, text in items
    )
    return word(body, numbering=lists)


def list_of(number: int, *forms: tuple[str, str], more: str = "") -> str:
    return (
        f'<w:abstractNum w:abstractNumId="{number}">{levels(*forms, more=more)}</w:abstractNum>'
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="{number}"/></w:num>'
    )


def test_the_clauses_of_a_contract_have_their_numbers() -> None:
    # docling-project/docling#1212, microsoft/markitdown#1415
    forms = ("decimal", "%1."), ("decimal", "%1.%2"), ("lowerLetter", "(%3)"), ("lowerRoman", "%4)")
    items = [
        (1, 0, "Terms"),
        (1, 1, "Seller"),
        (1, 1, "Buyer"),
        (1, 2, "a person"),
        (1, 2, "a firm"),
        (1, 3, "or more"),
    ]
    found = text_of("a.docx", numbered(*items, (1, 0, "Price"), (1, 1, "Sum"), (1, 2, "net"), lists=list_of(1, *forms)))
    assert found.split("\n") == [
        *("1. Terms", "1.1 Seller", "1.2 Buyer", "(a) a person", "(b) a firm", "i) or more"),
        *("2. Price", "2.1 Sum", "(a) net"),
    ]


@pytest.mark.parametrize(
    ("form", "text", "count", "label"),
    [
        ("chineseCountingThousand", "第%1条", 12, "第十二条"),
        ("chineseCounting", "（%1）", 105, "（一百零五）"),
        ("upperRoman", "Article %1", 14, "Article XIV"),
        ("upperLetter", "%1.", 28, "BB."),
        ("decimalZero", "%1", 7, "07"),
        ("decimalEnclosedCircleChinese", "%1", 2, "②"),
        ("decimal", "§ %1", 3, "§ 3"),
        ("bullet", "•", 2, "-"),
        ("none", "", 2, "-"),
        ("ordinalText", "%1", 2, "2"),
        ("decimal", "%1 " + "x" * 100, 1, "-"),
    ],
)
def test_a_number_is_written_as_the_document_writes_it(form: str, text: str, count: int, label: str) -> None:
    items = [(1, 0, "x")] * count
    assert text_of("a.docx", numbered(*items, lists=list_of(1, (form, text)))).split("\n")[-1] == f"{label} x"


def test_headings_have_the_numbers_of_their_styles() -> None:
    # opendatalab/MinerU#5270, evbacher/gd2md-html#112
    def style(name: str, level: int, more: str = "") -> str:
        return (
            f'<w:style w:styleId="H{level}"><w:name w:val="heading {level}"/>{more}'
            f'<w:pPr><w:numPr>{name}<w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
        )

    lists = (
        '<w:abstractNum w:abstractNumId="1"><w:lvl w:ilvl="0"><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/>'
        '<w:start w:val="1"/><w:pStyle w:val="H1"/></w:lvl><w:lvl w:ilvl="1"><w:start w:val="1"/><w:isLgl/>'
        '<w:numFmt w:val="decimal"/><w:lvlText w:val="%1.%2"/><w:pStyle w:val="H2"/></w:lvl></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="1"/></w:num>'
    )
    mine = '<w:style w:styleId="Mine"><w:name w:val="Mine"/><w:basedOn w:val="H2"/></w:style>'
    gone = (
        '<w:p><w:pPr><w:pStyle w:val="H1"/><w:rPr><w:del/></w:rPr></w:pPr><w:del><w:r><w:t>x</w:t></w:r></w:del></w:p>'
    )
    body = (
        paragraph("Sea", "H1") + paragraph("Whales", "H2") + gone + paragraph("Land", "H1") + paragraph("Cats", "Mine")
    )
    space = f'xmlns:w="{WORD}"'
    content = zipped(
        {
            "word/document.xml": f"<w:document {space}><w:body>{body}</w:body></w:document>",
            "word/styles.xml": f"<w:styles {space}>{style('', 1)}{style('', 2)}{mine}</w:styles>",
            "word/numbering.xml": f"<w:numbering {space}>{lists}</w:numbering>",
        }
    )
    assert text_of("a.docx", content).split("\n\n") == ["# I. Sea", "## 1.1 Whales", "# II. Land", "## 2.1 Cats"]


def test_a_list_begins_anew_where_the_document_says_so() -> None:
    other = (
        '<w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num><w:num w:numId="3"><w:abstractNumId w:val="1"/>'
        '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="5"/></w:lvlOverride></w:num>'
    )
    items = [(1, 0, "a"), (2, 0, "b"), (3, 0, "c"), (3, 0, "d"), (9, 0, "e"), (0, 0, "f")]
    found = text_of("a.docx", numbered(*items, lists=list_of(1, ("decimal", "%1.")) + other))
    assert found == "1. a\n2. b\n5. c\n6. d\n- e\n\nf"


# Fields, links and diagrams


def run(xml: str) -> str:
    return f"<w:r>{xml}</w:r>"


def char(kind: str, inner: str = "") -> str:
    return run(f'<w:fldChar w:fldCharType="{kind}">{inner}</w:fldChar>')


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        # yfedoseev/office_oxide#276, ShayHill/docx2python#6, nissl-lab/npoi#1243
        ("<w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox>", "☑"),
        ("<w:checkBox><w:default w:val='1'/><w:checked w:val='0'/></w:checkBox>", "☐"),
        ("<w:checkBox><w:default w:val='1'/></w:checkBox>", "☑"),
        ("<w:ddList><w:result w:val='1'/><w:listEntry w:val='Red'/><w:listEntry w:val='Blue'/></w:ddList>", "Blue"),
        ("<w:ddList><w:listEntry w:val='Red'/><w:listEntry w:val='Blue'/></w:ddList>", "Red"),
        ("<w:ddList><w:result w:val='9'/></w:ddList>", ""),
    ],
)
def test_the_answers_in_a_form_are_read(form: str, answer: str) -> None:
    field = char("begin", f"<w:ffData>{form}</w:ffData>") + run("<w:instrText>FORMCHECKBOX</w:instrText>") + char("end")
    found = text_of("a.docx", word(f"<w:p>{field}{run('<w:t> is it</w:t>')}</w:p>"))
    assert found == f"{answer} is it".strip()


LAW = "https://law.example/a (b)"


def test_links_of_documents_lead_where_they_led() -> None:
    # infiniflow/ragflow#10848, langgenius/dify#30359: the text alone was read
    instruction = run(f'<w:instrText> HYPERLINK "{LAW}" \\o "tip"</w:instrText>')
    by_field = char("begin") + instruction + char("separate") + run("<w:t>the law</w:t>") + char("end")
    simple = f"<w:fldSimple w:instr='HYPERLINK \"{LAW}\"'>{run('<w:t>the law</w:t>')}</w:fldSimple>"
    inside = run('<w:instrText>HYPERLINK \\l "_Toc1"</w:instrText>')
    toc = char("begin") + inside + char("separate") + run("<w:t>Chapter 1</w:t>") + char("end")
    body = f"<w:p>{by_field}</w:p><w:p>{simple}</w:p><w:p>{toc}</w:p>"
    link = "[the law](https://law.example/a%20%28b%29)"
    assert text_of("a.docx", word(body)) == f"{link}\n\n{link}\n\nChapter 1"


def with_links(content: bytes, part: str, **targets: str) -> bytes:
    """The same file, of which a part has links to these addresses."""
    folder, _, name = part.rpartition("/")
    rels = "".join(
        f'<Relationship Id="{each}" Type="{RELATIONS}/hyperlink" Target="{target}" TargetMode="External"/>'
        for each, target in targets.items()
    )
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        parts: dict[str, str | bytes] = {path: package.read(path) for path in package.namelist()}
    return zipped(parts | {f"{folder}/_rels/{name}.rels": f"<Relationships>{rels}</Relationships>"})


def test_a_link_is_that_of_its_own_part() -> None:
    body = f'<w:p><w:hyperlink r:id="r1">{run("<w:t>the law</w:t>")}</w:hyperlink></w:p>'
    note = f"<w:footnote>{body}</w:footnote>"
    found = text_of("a.docx", with_links(word(paragraph("x"), footnotes=note), "word/footnotes.xml", r1=LAW))
    assert found == "x\n\n[the law](https://law.example/a%20%28b%29)"
    own = f'<w:p><w:hyperlink r:id="r1">{run("<w:t>law.example/a</w:t>")}</w:hyperlink></w:p>'
    assert text_of("a.docx", with_links(word(own), "word/document.xml", r1="https://law.example/a/")) == "law.example/a"
    for address in ("file:///C:/a.docx", "javascript:alert(1)", "https://e.example/" + "x" * 3_000):
        assert text_of("a.docx", with_links(word(body), "word/document.xml", r1=address)) == "the law"


def test_links_of_slides_lead_where_they_led() -> None:
    # SPARQL-Anything/sparql.anything#436
    click = f'<a:rPr><a:hlinkClick xmlns:r="{RELATIONS}" r:id="r1"/></a:rPr>'
    linked = shape("the law").replace("<a:t>", f"{click}<a:t>")
    found = text_of("a.pptx", with_links(slides(linked), "ppt/slides/slide1.xml", r1="https://law.example/a"))
    assert found == "## Slide 1\n\n[the law](https://law.example/a)"


def test_the_boxes_of_a_diagram_are_read() -> None:
    # yfedoseev/office_oxide#271
    space = 'xmlns:d="d" xmlns:a="a"'
    diagram = "<w:drawing><d:relIds xmlns:d='d' r:dm='diagramData_1'/></w:drawing>"
    body = f"<w:p>{run('<w:t>Before</w:t>')}{run(diagram)}</w:p>"
    content = imported_part(body, f"<d:m {space}><a:p><a:t>Step one</a:t></a:p></d:m>")
    assert text_of("a.docx", content) == "Before\n\nStep one"


def imported_part(body: str, part: str) -> bytes:
    space = f'xmlns:w="{WORD}" xmlns:r="{RELATIONS}"'
    return zipped(
        {
            "word/document.xml": f"<w:document {space}><w:body>{body}</w:body></w:document>",
            "word/_rels/document.xml.rels": relations(diagramData_1="diagrams/data1.xml"),
            "word/diagrams/data1.xml": part,
        }
    )


def test_fields_and_lists_are_read_in_linear_time() -> None:
    instruction = run(f'<w:instrText>HYPERLINK "{LAW}"</w:instrText>')

    def nested(size: int) -> bytes:
        begin = (char("begin") + instruction + char("separate") + run("<w:t>a</w:t>")) * size
        return word(f"<w:p>{begin}{char('end') * size}</w:p>")

    def listed(size: int) -> bytes:
        items = [(number % 9, number % 7, "x") for number in range(size)]
        return numbered(*items, lists="".join(list_of(n, *[("decimal", "%1.")] * 9) for n in range(size // 10)))

    assert_linear(lambda size: read_file("a.docx", nested(size)), 300)
    assert_linear(lambda size: read_file("a.docx", listed(size)), 300)


# OpenDocument


def test_what_stands_around_a_text_and_beside_it_is_read() -> None:
    # dbashford/textract#192; docs/tools.md: comments
    said = "<dc:creator xmlns:dc='dc'>Ana</dc:creator><text:p>Is that so?</text:p>"
    comment = f"<office:annotation>{said}</office:annotation>"
    link = "<text:a xmlns:xlink='x' xlink:href='https://law.example/a'>the <text:span>law</text:span></text:a>"
    styles = (
        "<s xmlns:style='s' xmlns:text='t'><style:header><text:p>Contract 4711</text:p></style:header>"
        "<style:footer><text:p>1</text:p></style:footer><style:header style:display='false'><text:p>Old</text:p>"
        "</style:header></s>"
    )
    body = f"<office:text><text:p>By {link}, it is{comment}.</text:p></office:text>"
    assert text_of("a.odt", open_document(body, **{"styles.xml": styles})).split("\n\n") == [
        *("By [the law](https://law.example/a), it is.", "Contract 4711", "Comment of Ana: Is that so?"),
    ]


def test_a_comment_on_a_cell_is_no_part_of_its_value() -> None:
    comment = "<office:annotation><text:p>Check this.</text:p></office:annotation>"
    cell = "<table:table-cell>{}<text:p>{}</text:p></table:table-cell>"
    head = cell.format("", "city") + cell.format("", "people")
    row = cell.format(comment, "Oslo") + cell.format("", "717710")
    made = "".join(f"<table:table-row>{each}</table:table-row>" for each in (head, row))
    sheet = f"<office:spreadsheet><table:table table:name='Cities'>{made}</table:table></office:spreadsheet>"
    found = text_of("a.ods", open_document(sheet, **{"styles.xml": "<s><header><p>Page 1 of x</p></header></s>"}))
    assert found == f"## Cities\n\ncity | people\n{ROW}\n\nComment: Check this."


# Workbooks: what is hidden, and links


def test_what_a_workbook_hides_is_told_from_what_it_shows() -> None:
    # microsoft/markitdown#1073, firecrawl/anydoc#9
    book = openpyxl.Workbook()
    for row in (["city", "people", "cost", "tax"], *(["Oslo", number, 3, 4] for number in range(7))):
        book.active.append(row)
    for number in (3, 4, 7):
        book.active.row_dimensions[number].hidden = True
    for letter in "CD":
        book.active.column_dimensions[letter].hidden = True
    other = book.create_sheet("Inside")
    other.append(["margin", 12])
    other.sheet_state = "veryHidden"
    file = io.BytesIO()
    book.save(file)
    found = text_of("a.xlsx", file.getvalue()).split("\n\n")
    assert found[1] == "[hidden in this sheet: rows 3-4, 7; columns C, D]"
    assert found[0] == "## Sheet"
    assert found[-2] == "## Inside (hidden sheet)"
    assert "[hidden" not in text_of("a.xlsx", workbook(*CITIES))


def test_the_links_of_cells_lead_where_they_led() -> None:
    # langgenius/dify#6590, yfedoseev/office_oxide#164
    book = openpyxl.Workbook()
    for row in (["law", "year"], ["the law", 1871], ["https://law.example/b", 1872]):
        book.active.append(row)
    book.active["A2"].hyperlink = "https://law.example/a"
    book.active["A3"].hyperlink = "https://law.example/b"
    book.active["B2"].hyperlink = "#Sheet!A1"
    file = io.BytesIO()
    book.save(file)
    assert text_of("a.xlsx", file.getvalue()) == (
        "## Sheet\n\nlaw | year\n"
        "- law: [the law](https://law.example/a); year: 1871\n- law: https://law.example/b; year: 1872"
    )


def test_hidden_rows_and_links_are_read_in_linear_time() -> None:
    from agentkit_tools.file_text.package import Package
    from agentkit_tools.file_text.sheet_notes import notes_of_sheets

    def read(size: int) -> None:
        rows = "".join(f'<row r="{2 * number}" hidden="1"/>' for number in range(size))
        links = "".join(f'<hyperlink ref="A{number}" r:id="r1"/>' for number in range(size))
        package = Package(
            with_links(
                zipped(
                    {
                        "xl/workbook.xml": f'<w xmlns:r="{RELATIONS}"><sheet name="a" r:id="worksheet_1"/></w>',
                        "xl/_rels/workbook.xml.rels": relations(worksheet_1="worksheets/sheet1.xml"),
                    }
                ),
                "xl/worksheets/sheet1.xml",
                r1="https://law.example/a",
            )
        )
        sheet = f"<sheetData>{rows}</sheetData><hyperlinks>{links}</hyperlinks>"
        notes = notes_of_sheets(package, {"xl/worksheets/sheet1.xml": sheet.encode()})
        assert notes["a"].hidden.endswith(" more]")
        assert notes["a"].links

    assert_linear(read, 2_000)


def test_of_progress_in_a_notebook_the_last_state_is_read() -> None:
    printed = ["10%\r20%\r", "100%\n", "a\r\nb\r", "\n"]
    cell = {"cell_type": "code", "source": "f()", "outputs": [{"output_type": "stream", "text": printed}]}
    assert text_of("a.ipynb", json.dumps({"cells": [cell]})) == "```python\nf()\n```\n\n100%\na\nb"


def test_hidden_sheets_of_opendocument_are_read_and_named_so() -> None:
    # roo-rb/roo#177, tafia/calamine#344
    def sheet(name: str, style: str, value: str) -> str:
        row = f"<table:table-row><table:table-cell><text:p>{value}</text:p></table:table-cell></table:table-row>"
        return f"<table:table table:name='{name}' table:style-name='{style}'>{row}</table:table>"

    names = "".join(f" xmlns:{each}='urn:oasis:{each}'" for each in ("office", "style", "table", "text"))
    styles = "".join(
        f"<style:style style:name='{name}' style:family='table'><style:table-properties table:display='{shown}'/>"
        "</style:style>"
        for name, shown in (("ta1", "true"), ("ta2", "false"))
    )
    sheets = sheet("Prices", "ta1", "Herring") + sheet("Costs", "ta2", "Salt")
    content = (
        f"<office:document-content{names}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:spreadsheet>{sheets}</office:spreadsheet></office:body></office:document-content>"
    )
    found = text_of("a.ods", zipped({"content.xml": content}))
    assert "## Prices\n\n" in found
    assert "## Costs (hidden sheet)\n\n" in found
    assert "Salt" in found
