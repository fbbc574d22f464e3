"""Charts and text boxes, which other programs were reported to leave out; each test names its report."""

import io
import zipfile
from collections.abc import Mapping

from openpyxl import Workbook

from agentkit_tools.file_text import read_file
from tests.support.growth import assert_linear
from tests.support.office import paragraph, relations, shape, slides, word, zipped

SPACE = 'xmlns:c="c" xmlns:a="a"'


def text_of(name: str, content: bytes) -> str:
    return read_file(name, content).text


def with_parts(document: bytes, parts: Mapping[str, str]) -> bytes:
    """A document with more parts."""
    file = zipfile.ZipFile(io.BytesIO(document))
    return zipped({**{name: file.read(name) for name in file.namelist()}, **parts})


def points(*values: str) -> str:
    return "".join(f'<c:pt idx="{number}"><c:v>{value}</c:v></c:pt>' for number, value in enumerate(values) if value)


def series(name: str, places: str, values: str, form: str = "General") -> str:
    return (
        f"<c:ser><c:tx><c:strRef><c:strCache>{points(name)}</c:strCache></c:strRef></c:tx>"
        f"<c:cat>{places}</c:cat><c:val><c:numRef><c:numCache><c:formatCode>{form}</c:formatCode>{values}</c:numCache>"
        "</c:numRef></c:val></c:ser>"
    )


def names(*values: str) -> str:
    return f"<c:strRef><c:strCache>{points(*values)}</c:strCache></c:strRef>"


def chart(*all_series: str, title: str = "Visitors") -> str:
    words = f"<a:p><a:r><a:t>{title}</a:t></a:r></a:p>"
    said = f"<c:title><c:tx><c:rich>{words}</c:rich></c:tx></c:title>" if title else ""
    bars = f"<c:barChart>{''.join(all_series)}</c:barChart>"
    return f"<c:chartSpace {SPACE}><c:chart>{said}<c:plotArea>{bars}</c:plotArea></c:chart></c:chartSpace>"


VISITORS = chart(
    series("Adults", names("2023", "2024"), points("1200", "3400")),
    series("Children", names("2023", "2024"), points("", "0.25"), "0%"),
)
SAID = "Chart: Visitors\n- 2023: Adults: 1200\n- 2024: Adults: 3400; Children: 25%"


def on_a_slide(xml: str, kind: str = "chart") -> bytes:
    frame = (
        '<p:graphicFrame><p:nvGraphicFramePr><p:cNvPr id="4" name="x" descr="Bars that rise"/></p:nvGraphicFramePr>'
        "<a:graphic/></p:graphicFrame>"
    )
    document = slides(shape("The year", "title") + frame)
    return with_parts(
        document,
        {"ppt/slides/_rels/slide1.xml.rels": relations(**{f"{kind}_1": "../charts/c1.xml"}), "ppt/charts/c1.xml": xml},
    )


def test_the_numbers_of_a_chart_on_a_slide_are_read() -> None:
    # yfedoseev/office_oxide#239, #149, docling-project/docling#3794
    assert text_of("a.pptx", on_a_slide(VISITORS)) == f"## Slide 1: The year\n\n[image: Bars that rise]\n\n{SAID}"


def test_the_numbers_of_a_chart_in_a_text_are_read_where_it_stands() -> None:
    # yfedoseev/office_oxide#273
    drawing = (
        '<w:p><w:r><w:t>See:</w:t><w:drawing><wp:inline><a:graphic xmlns:a="a"><c:chart xmlns:c="c" r:id="chart_1"/>'
        "</a:graphic></wp:inline></w:drawing></w:r></w:p>"
    )
    document = with_parts(
        word(drawing + paragraph("Behind.")),
        {
            "word/_rels/document.xml.rels": relations(styles="styles.xml", chart_1="charts/c1.xml"),
            "word/charts/c1.xml": VISITORS,
        },
    )
    assert text_of("a.docx", document) == f"See:\n\n{SAID}\n\nBehind."


def test_a_chart_of_another_part_is_not_taken_for_one_of_the_text() -> None:
    drawing = '<w:p><w:r><w:drawing><c:chart xmlns:c="c" r:id="styles"/></w:drawing></w:r></w:p>'
    assert text_of("a.docx", word(paragraph("A text.") + drawing)) == "A text."


def test_a_chart_without_a_title_of_several_pairs_of_numbers_is_read() -> None:
    places = f"<c:xVal><c:numRef><c:numCache>{points('1', '2.5')}</c:numCache></c:numRef></c:xVal>"
    pairs = f"<c:ser>{places}<c:yVal><c:numLit>{points('7', '8')}</c:numLit></c:yVal></c:ser>"
    # microsoft/markitdown#1997: a chart without a title was left out
    assert text_of("a.pptx", on_a_slide(chart(pairs, title=""))).endswith("Chart:\n- 1: 7\n- 2.5: 8")


def test_days_on_the_axis_of_a_chart_are_dates() -> None:
    form = "<c:formatCode>m/d/yyyy</c:formatCode>"
    days = f"<c:numRef><c:numCache>{form}{points('45292', '45293.5')}</c:numCache></c:numRef>"
    found = text_of("a.pptx", on_a_slide(chart(series("Tide", days, points("3", "4")))))
    assert found.endswith("- 2024-01-01: Tide: 3\n- 2024-01-02 12:00:00: Tide: 4")


def test_a_chart_of_the_newer_kinds_is_read() -> None:
    xml = (
        '<cx:chartSpace xmlns:cx="cx" xmlns:a="a"><cx:chartData><cx:data id="0"><cx:strDim type="cat"><cx:lvl>'
        '<cx:pt idx="0">Begin</cx:pt><cx:pt idx="1">Sales</cx:pt></cx:lvl></cx:strDim><cx:numDim type="val">'
        '<cx:lvl formatCode="0.0"><cx:pt idx="0">10</cx:pt><cx:pt idx="1">5.5</cx:pt></cx:lvl></cx:numDim></cx:data>'
        "</cx:chartData><cx:chart><cx:title><cx:tx><cx:rich><a:p><a:r><a:t>Cash</a:t></a:r></a:p></cx:rich></cx:tx>"
        "</cx:title></cx:chart></cx:chartSpace>"
    )
    assert text_of("a.pptx", on_a_slide(xml, "chartEx")).endswith("Chart: Cash\n- Begin: 10\n- Sales: 5.5")


def test_a_damaged_or_empty_chart_costs_nothing_else() -> None:
    for xml in ("", "<c:chartSpace", chart(title="")):
        assert text_of("a.pptx", on_a_slide(xml)) == "## Slide 1: The year\n\n[image: Bars that rise]"


def test_charts_are_read_in_linear_time() -> None:
    def read(size: int) -> None:
        many = [series("x", names(*map(str, range(20))), points(*map(str, range(20)))) for _ in range(size)]
        text_of("a.pptx", on_a_slide(chart(*many)))

    assert_linear(read, 20)


def test_the_text_boxes_of_a_workbook_are_read() -> None:
    file, book = io.BytesIO(), Workbook()
    for row in (("town", "people"), ("Oslo", 717710)):
        book.worksheets[0].append(row)
    book.save(file)
    words = "<a:p><a:r><a:t>All numbers </a:t></a:r><a:r><a:t>are of 2024.</a:t></a:r></a:p>"
    box = f"<xdr:sp><xdr:txBody>{words}</xdr:txBody></xdr:sp>"
    document = with_parts(
        file.getvalue(),
        {
            "xl/worksheets/_rels/sheet1.xml.rels": relations(drawing="../drawings/drawing1.xml"),
            "xl/drawings/drawing1.xml": f'<xdr:wsDr xmlns:xdr="xdr" xmlns:a="a">{box}</xdr:wsDr>',
        },
    )
    assert (
        text_of("a.xlsx", document)
        == "## Sheet\n\ntown | people\n- town: Oslo; people: 717710\n\nAll numbers are of 2024."
    )
