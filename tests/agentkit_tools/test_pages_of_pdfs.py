"""The pages of a PDF are counted: an answer says on which page something stands, and which pages have no text."""

from pathlib import Path
from typing import Any

from agentkit import Agent, Page
from agentkit.research import research
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents
from agentkit_tools.page_text import readable
from tests.support.site import pdf_of

FILL = "\n".join(["The weather of this part of the coast is told here at length, with ropes and anchors."] * 30)
LAMP = "The Tillamook lamp was replaced by an electric one in 1957.\nIt cost 8,431 dollars in all."
IMAGE = None
"""A page that is an image."""


def book(*pages: str | None) -> bytes:
    """A PDF of these pages."""
    image = (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1"
    )
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        image + b" >>\nstream\n\x00\nendstream",
    ]
    kids = []
    for text in pages:
        lines = "" if text is IMAGE else " ".join(f"({line}) Tj T*" for line in text.split("\n"))
        drawn = (
            b"q 500 0 0 700 50 50 cm /I Do Q" if text is IMAGE else f"BT /F 12 Tf 50 750 Td 14 TL {lines} ET".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> /XObject << /I 4 0 R >> >> >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    return pdf_of(objects)


def asked(folder: Path, *script: Any) -> Any:
    return Agent(ScriptedBackend(*script), tools=documents(folder, keep_index=False)).run("?")


READ = ("read_document", {"path": ["book.pdf"], "goal": "What did the Tillamook lamp cost?"})


def test_the_model_reads_the_numbers_of_pages_and_a_citation_has_its_own(tmp_path: Path) -> None:
    # inferencerlabs/inferencer-feedback#203; danny-avila/LibreChat#15730: counted from 1, however many are empty before
    (tmp_path / "book.pdf").write_bytes(book("", IMAGE, *[FILL] * 7, LAMP, FILL))
    result = asked(tmp_path, READ, "The Tillamook lamp was replaced by an electric one in 1957 [1, p. 10].")
    assert "[page 10]\n\nThe Tillamook lamp was replaced" in result.tool_calls[0].response
    (citation,) = result.citations
    assert (citation.verdict, citation.page) == ("supported", 10)


def test_a_short_pdf_has_a_line_before_each_page() -> None:
    found = readable(Page("u", 200, "application/pdf", None, book("One.", "", "Three.")))
    assert found.text == "One.\n\n\f\n\n\n\f\nThree."


def test_the_number_of_a_page_is_no_number_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(book(*["Of ropes and anchors."] * 6, LAMP))
    result = asked(tmp_path, READ, "The Tillamook lamp was replaced by 7 electric ones in 1957 [1].")
    assert [(each.verdict, each.reason) for each in result.citations] == [("not found", "7 is not in the source")]


def test_pages_that_are_images_are_named_however_the_text_is_cut(tmp_path: Path) -> None:
    # NousResearch/hermes-agent#81680: 198 of 311 pages vanished without a trace
    (tmp_path / "book.pdf").write_bytes(book(IMAGE, *[FILL] * 9, LAMP, "", IMAGE, IMAGE, IMAGE))
    result = asked(tmp_path, READ, "Nothing.")
    assert "[… no text is on pages 1, 13-15: images, perhaps scanned]" in result.tool_calls[0].response


def test_an_empty_page_is_not_said_to_be_an_image() -> None:
    assert "no text" not in readable(Page("u", 200, "application/pdf", None, book("One.", "", "Three."))).text


def test_a_book_of_many_pages_is_searched_to_its_end(tmp_path: Path) -> None:
    # siyuan-note/siyuan#9053, overview/overview-server#694: what stood behind the 300th page was not found
    (tmp_path / "book.pdf").write_bytes(book(*["Of ropes and anchors."] * 400, LAMP))
    result = asked(tmp_path, ("search_documents", {"query": ["Tillamook lamp"]}), READ, "It cost 8,431 dollars [1].")
    assert "Tillamook" in result.tool_calls[0].response
    assert result.citations[0].page == 401


def test_a_report_names_the_pages_of_its_sources(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(book(FILL, LAMP, FILL))
    report = research("What did the Tillamook lamp cost?", tools=[], docs=str(tmp_path))
    assert "book.pdf, p. 2 (read" in report.markdown()
    assert "· p. 2" in report.html()


def test_an_annotated_bibliography_quotes_no_number_of_a_page(tmp_path: Path) -> None:
    (tmp_path / "book.pdf").write_bytes(book("The page is about lamps.", LAMP))
    result = Agent("extractive", tools=documents(tmp_path, keep_index=False)).run(
        "On which page is the Tillamook lamp?"
    )
    assert "[page" not in result.output
