"""PDFs of which other programs were reported to lose a part; each test names its report."""

import pytest

from agentkit import Page
from agentkit_tools.page_text import readable
from agentkit_tools.unreadable import UnreadableError
from tests.support.site import pdf_of


def text_of(content: bytes) -> str:
    return readable(Page("u", 200, "application/pdf", None, content)).text


def page(drawing: str, *objects: str, font: str = "", form: str = "", more: str = "", notes: str = "") -> bytes:
    """A PDF of one page with what these operators draw. objects: from number 6 on. font: more of its font. form: of its
    catalog. notes: the references of what is written on it."""
    drawn = drawing.encode("latin-1")
    return pdf_of(
        [
            f"<< /Type /Catalog /Pages 2 0 R {form} >>".encode(),
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Annots [%s] "
            b"/Resources << /Font << /F1 5 0 R >> >> >>" % notes.encode(),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
            f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica {font} >>".encode(),
            *(each.encode("latin-1") for each in objects),
        ]
    )


def words(x: int, y: int, text: str) -> str:
    return f"BT /F1 12 Tf {x} {y} Td ({text}) Tj ET "


# Forms


def field(kind: str, name: str, more: str) -> str:
    return f"<< /Type /Annot /Subtype /Widget /FT /{kind} /T ({name}) /Rect [200 690 300 710] /P 3 0 R {more} >>"


def form(*fields: str, more: str = "") -> bytes:
    numbers = " ".join(f"{number} 0 R" for number in range(6, 6 + len(fields)))
    catalog = f"/AcroForm << /Fields [{numbers}] /DA (/Helv 12 Tf 0 g) {more} >>"
    return page(words(50, 700, "Name of the applicant"), *fields, form=catalog, notes=numbers)


def test_what_was_filled_into_a_form_is_read() -> None:
    # docling-project/docling#2677, ui-insight/vandalizer#802, open-legal-products/mike#387, run-llama/liteparse#401
    found = text_of(
        form(
            field("Tx", "form1[0].P1[0].surname[0]", "/V (Smithson)"),
            field("Tx", "town", "/TU (Place of birth) /V (Oslo\\nNorway)"),
            field("Tx", "empty", ""),
            field("Btn", "agree", "/TU (I agree) /V /Yes /AS /Yes"),
            field("Btn", "refuse", "/V /Off /AS /Off"),
            field("Btn", "ship", "/Ff 32768 /V /Sloop /AS /Sloop /AP << /N << /Sloop 4 0 R /Off 4 0 R >> >>"),
            field("Ch", "colour", "/Ff 131072 /Opt [(red) (blue)] /V (blue)"),
            field("Tx", "hidden", "/V (nobody sees this) /F 2"),
        )
    )
    assert found == (
        "Name of the applicant\n\n- surname: Smithson\n- Place of birth: Oslo Norway\n- I agree: yes\n- ship: Sloop\n"
        "- colour: blue"
    )


def test_an_empty_form_is_read_as_its_page() -> None:
    assert text_of(form(field("Tx", "surname", ""))) == "Name of the applicant"


def test_a_form_that_only_adobe_reader_shows_is_no_source() -> None:
    # the text of its page asks the reader to wait, or to get another program
    wait = words(50, 700, "Please wait... If this message is not replaced, your viewer may need Adobe Reader.")
    content = page(
        wait, "<< /Length 7 >>\nstream\n<xdp/>\n\nendstream", form="/NeedsRendering true /AcroForm << /XFA 6 0 R >>"
    )
    with pytest.raises(UnreadableError, match="XFA form"):
        text_of(content)


# Remarks


def test_remarks_on_a_page_are_read_with_their_authors() -> None:
    # Fergana-Labs/stash#1007, akaalias/obsidian-extract-pdf-highlights#12, jlegewie/zotfile#356
    def remark(kind: str, more: str) -> str:
        return f"<< /Type /Annot /Subtype /{kind} /Rect [300 600 320 620] /P 3 0 R {more} >>"

    remarks = (
        remark("Text", "/Contents (This is wrong, see Miller 2020) /T (Ann)"),
        remark("FreeText", "/Contents (A typed remark) /DA (/Helv 12 Tf)"),
        remark("Highlight", "/Contents <FEFF706F58546A94> /QuadPoints [1 2 3 2 1 1 3 1]"),
        remark("Underline", ""),
        remark("Popup", "/Contents (This is wrong, see Miller 2020)"),
        remark("Text", "/Contents (Gone) /F 2"),
        remark("Link", "/Contents (A link)"),
    )
    content = page(words(50, 700, "The claim."), *remarks, notes=" ".join(f"{number} 0 R" for number in range(6, 13)))
    assert text_of(content) == (
        "The claim.\n\nComment of Ann: This is wrong, see Miller 2020\n\nComment: A typed remark\n\nComment: 灯塔檔"
    )


# From the right to the left


HEBREW = "".join(
    f"<{ord(letter):02X}> <{0x05D0 + number:04X}>\n" for number, letter in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
)
"""The letters of the font, A to Z, as those of the Hebrew alphabet."""
TO_UNICODE = (
    "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
    "1 begincodespacerange <00> <FF> endcodespacerange\n"
    f"26 beginbfchar\n{HEBREW}endbfchar endcmap end end"
)


def hebrew(drawing: str) -> bytes:
    stream = f"<< /Length {len(TO_UNICODE)} >>\nstream\n{TO_UNICODE}\nendstream"
    return page(drawing, stream, font="/ToUnicode 6 0 R")


def read_as(word: str) -> str:
    return "".join(chr(0x05D0 + ord(letter) - ord("A")) for letter in word)


def test_words_from_right_to_left_have_their_letters_in_order() -> None:
    # firecrawl/pdf-inspector#212, #440, pdfminer/pdfminer.six#850: each word is drawn by itself, its last letter first
    drawn = "".join(words(x, 700, word) for x, word in ((500, "CBA"), (460, "FED"), (400, "IHG")))
    assert text_of(hebrew(drawn)) == " ".join(map(read_as, ("ABC", "DEF", "GHI")))


def test_a_line_from_right_to_left_that_is_drawn_at_once_is_read() -> None:
    assert text_of(hebrew(words(400, 700, "FED CBA"))) == f"{read_as('ABC')} {read_as('DEF')}"


def test_columns_from_right_to_left_are_read_from_the_right() -> None:
    # Nananananana/musubi#97
    lines = []
    for line in range(12):
        lines.append(words(50, 700 - 14 * line, "ZYX " * 9 + "NML"))
        lines.append(words(330, 700 - 14 * line, "CBA " * 9 + "FED"))
    found = text_of(hebrew("".join(lines)))
    right, left = read_as("DEF"), read_as("LMN")
    assert found.count(right) == found.count(left) == 12
    assert found.rindex(right) < found.index(left)


# Powers


def raised(x: int, base: str, power: str, rise: int = 5) -> str:
    return f"BT /F1 12 Tf {x} 700 Td ({base}) Tj /F1 7 Tf {rise} Ts ({power}) Tj 0 Ts /F1 12 Tf ( ) Tj ET "


@pytest.mark.parametrize(
    ("base", "power", "read"),
    [
        ("10", "9", "10^9"),
        ("10", "-12", "10^-12"),
        ("4.2(7)", "3", "4.2(7)^3"),
        ("5 m", "2", "5 m^2"),
        ("cm", "-1", "cm^-1"),
        ("keepers", "3", "keepers3"),  # the mark of a note
    ],
)
def test_a_raised_number_is_a_power(base: str, power: str, read: str) -> None:
    # 10 to the 9 was "109", another number
    found = text_of(page(words(50, 700, "About ") + raised(90, base, power) + words(160, 700, "ships.")))
    assert " ".join(found.split()) == f"About {read} ships."


def test_a_lowered_number_and_those_on_the_line_are_no_powers() -> None:
    drawn = raised(50, "H", "2", -3) + words(90, 700, "x-12 text/x-diff 109 x2 2-3 ISO-8859-1")
    assert text_of(page(drawn)) == "H2 x-12 text/x-diff 109 x2 2-3 ISO-8859-1"


def test_a_number_that_stands_there_both_ways_stays_as_it_is() -> None:
    assert text_of(page(raised(50, "10", "9") + words(90, 700, "and 109 ships"))) == "109 and 109 ships"
