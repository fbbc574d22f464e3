"""What nobody sees in a document is not read: it may tell a model what its reader doesn't know."""

import pytest

from agentkit_tools.file_text import read_file
from tests.support.office import WORD, open_document, paragraph, shape, slides, word, zipped


def text_of(name: str, content: bytes) -> str:
    return read_file(name, content).text


# Presentations


def hidden_shape(kind: str, text: str) -> str:
    properties = f'<p:nv{kind}Pr><p:cNvPr id="1" name="x" descr="{text}" hidden="1"/></p:nv{kind}Pr>'
    return f"<p:{kind}>{properties}{shape(text)}</p:{kind}>"


@pytest.mark.parametrize("kind", ["sp", "pic", "grpSp", "graphicFrame"])
def test_hidden_shapes_are_left_out(kind: str) -> None:
    content = slides(shape("Whales.") + hidden_shape(kind, "SECRET") + shape("Krill."))
    assert text_of("a.pptx", content) == "## Slide 1\n\nWhales.\n\nKrill."


@pytest.mark.parametrize(("value", "is_shown"), [("0", False), ("false", False), ("1", True), ("true", True)])
def test_hidden_slides_are_left_out(value: str, is_shown: bool) -> None:
    parts = {
        "ppt/slides/slide1.xml": f'<sld xmlns:p="p" xmlns:a="a">{shape("Whales.")}</sld>',
        "ppt/slides/slide2.xml": f'<sld xmlns:p="p" xmlns:a="a" show="{value}">{shape("SECRET", "title")}</sld>',
    }
    found = read_file("a.pptx", zipped(parts))
    assert ("SECRET" in found.text) is is_shown
    assert found.title == ("SECRET" if is_shown else "")
    assert "## Slide 1\n\nWhales." in found.text


# Word


def styled(body: str, styles: str) -> str:
    space = f'xmlns:w="{WORD}" xmlns:wp="wp"'
    document = f"<w:document {space}><w:body>{body}</w:body></w:document>"
    return text_of(
        "a.docx", zipped({"word/document.xml": document, "word/styles.xml": f"<w:styles {space}>{styles}</w:styles>"})
    )


def style(name: str, properties: str = "", base: str = "") -> str:
    based = f'<w:basedOn w:val="{base}"/>' if base else ""
    return f'<w:style w:styleId="{name}">{based}<w:rPr>{properties}</w:rPr></w:style>'


def run(text: str, properties: str = "") -> str:
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


VANISH = "<w:vanish/>"


@pytest.mark.parametrize(
    ("styles", "is_hidden"),
    [
        (style("S", VANISH), True),
        (style("S", base="B") + style("B", VANISH), True),
        (style("S", base="B") + style("B", base="C") + style("C", VANISH), True),
        (style("S", '<w:vanish w:val="0"/>', base="B") + style("B", VANISH), False),
        (style("S", base="B") + style("B", base="S"), False),
        (style("S", base="missing"), False),
    ],
)
def test_what_a_style_hides_is_left_out(styles: str, is_hidden: bool) -> None:
    secret = run("SECRET", '<w:rStyle w:val="S"/>')
    by_run = f"<w:p>{run('Whales')}{secret}</w:p>"
    assert ("SECRET" not in styled(by_run, styles)) is is_hidden
    assert ("SECRET" not in styled(paragraph("SECRET", "S"), styles)) is is_hidden
    assert "Whales" in styled(by_run, styles)


def test_a_run_shows_what_its_paragraph_hides() -> None:
    runs = run("Whales", '<w:vanish w:val="false"/>') + run("SECRET")
    body = f'<w:p><w:pPr><w:pStyle w:val="S"/></w:pPr>{runs}</w:p>'
    assert styled(body, style("S", VANISH)) == "Whales"


def test_hidden_rows_drawings_and_boxes_are_left_out() -> None:
    row = "<w:tr><w:trPr>{}</w:trPr><w:tc>{}</w:tc></w:tr>"
    table = f"<w:tbl>{row.format('', paragraph('Whales'))}{row.format('<w:hidden/>', paragraph('SECRET'))}</w:tbl>"
    box = f"<w:txbxContent>{paragraph('SECRET')}</w:txbxContent>"
    hidden = f'<w:drawing><wp:anchor><wp:docPr descr="SECRET" hidden="1"/>{box}</wp:anchor></w:drawing>'
    body = f"{table}<w:p><w:r>{hidden}</w:r><w:r><w:rPr>{VANISH}</w:rPr>{box}</w:r>{run('Krill')}</w:p>"
    assert text_of("a.docx", word(body)) == "Whales\n\nKrill"


# OpenDocument


def odt(body: str, automatic: str = "", named: str = "") -> str:
    space = 'xmlns:office="o" xmlns:text="t" xmlns:style="s" xmlns:draw="d" xmlns:presentation="p"'
    content = (
        f"<office:document-content {space}><office:automatic-styles>{automatic}</office:automatic-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document-content>"
    )
    styles = f"<office:document-styles {space}><office:styles>{named}</office:styles></office:document-styles>"
    return text_of("a.odt", zipped({"content.xml": content, "styles.xml": styles}))


def odf_style(name: str, family: str, properties: str = "", parent: str = "") -> str:
    return (
        f'<style:style style:name="{name}" style:family="{family}" style:parent-style-name="{parent}">'
        f"{properties}</style:style>"
    )


HIDDEN = '<style:text-properties text:display="none"/>'


def test_hidden_texts_and_paragraphs_of_open_documents_are_left_out() -> None:
    spans = (
        '<text:p>Whales <text:span text:style-name="T">SECRET</text:span>eat <text:span text:style-name="T">SECRET'
        '</text:span>krill.</text:p><text:p text:style-name="P">SECRET</text:p>'
    )
    styles = odf_style("T", "text", HIDDEN) + odf_style("P", "paragraph", parent="Base")
    assert odt(spans, styles, odf_style("Base", "paragraph", HIDDEN)) == "Whales eat krill."
    assert "SECRET" in odt(spans, odf_style("T", "paragraph", HIDDEN) + odf_style("P", "text", HIDDEN))


@pytest.mark.parametrize(
    "hidden",
    [
        '<text:section text:display="none"><text:p>SECRET</text:p></text:section>',
        '<text:section text:display="condition" text:is-hidden="true"><text:p>SECRET</text:p></text:section>',
        '<text:p>SECRET<text:hidden-paragraph text:is-hidden="true"/></text:p>',
        '<text:p><text:hidden-text text:is-hidden="true">SECRET</text:hidden-text></text:p>',
    ],
)
def test_hidden_sections_and_fields_are_left_out(hidden: str) -> None:
    assert odt(f"<text:p>Whales</text:p>{hidden}<text:p>Krill</text:p>") == "Whales\n\nKrill"
    shown = hidden.replace("none", "true").replace('is-hidden="true"', 'is-hidden="false"')
    assert "SECRET" in odt(shown)


def test_hidden_slides_of_open_documents_are_left_out() -> None:
    pages = (
        '<draw:page draw:name="One"><text:p>Whales</text:p></draw:page>'
        '<draw:page draw:name="Two" draw:style-name="dp1"><text:p>SECRET</text:p></draw:page>'
    )
    properties = '<style:drawing-page-properties presentation:visibility="hidden"/>'
    assert odt(pages, odf_style("dp1", "drawing-page", properties)) == "## One\n\nWhales"
    assert "SECRET" in text_of("a.odp", open_document(pages))
