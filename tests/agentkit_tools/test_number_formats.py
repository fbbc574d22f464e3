"""Numbers of workbooks are read as they are shown: with units, currencies and percent signs, and all their digits."""

import io
import math
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit_tools.file_text import read_file
from agentkit_tools.file_text.number_formats import shown

openpyxl = pytest.importorskip("openpyxl")

FORMATS = [
    (12.5, '0.0"%"', "12.5%"),
    (12.5, r"0.0\%", "12.5%"),
    (7, r"0\ \%", "7 %"),
    (0.125, "0.0%", "12.5%"),
    (0.125, "0.0 %", "12.5 %"),
    (0.1, '0%" of all"', "10% of all"),
    (5, '0 "kg"', "5 kg"),
    (5, '"Q"0', "Q5"),
    (12.5, '#,##0.00 "€"', "12.5 €"),
    (12.5, "[$€-2]\\ * #,##0.00_-", "€ 12.5"),
    (-5, '"$"#,##0.00_);[Red]\\("$"#,##0.00\\)', "-$5"),
    (-3, "#,##0;(#,##0)", "-3"),
    (-0.5, "0%", "-50%"),
    (12_345_678, '0.0,,"M"', "12.345678M"),
    (2_500_000, '[>=1000000]0.0,,"M";[>=1000]0.0,"K";0', "2.5M"),
    (2_500, '[>=1000000]0.0,,"M";[>=1000]0.0,"K";0', "2.5K"),
    (25, '[>=1000000]0.0,,"M";[>=1000]0.0,"K";0', "25"),
    (0, "0;-0;;@", ""),
    (1, '"yes";"yes";"no"', "yes"),
    (0, '"yes";"yes";"no"', "no"),
    (150, "00000", "00150"),
    (0.5, "# ?/?", "0.5"),
    (1.5e-7, "0.00E+00", "1.5e-07"),
    (5_551_234, "000-0000", "5551234"),
    (4, "[Red]0", "4"),
    (1.0, "General", "1"),
    (1.0, "", "1"),
]


@pytest.mark.parametrize(("value", "form", "text"), FORMATS)
def test_a_number_is_read_as_it_is_shown(value: float, form: str, text: str) -> None:
    assert shown(value, form) == text


def workbook(value: float, form: str) -> bytes:
    """A workbook of one cell below its name."""
    book = openpyxl.Workbook()
    book.active.append(["what"])
    book.active.cell(2, 1, value).number_format = form
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


@pytest.mark.parametrize(("value", "form", "text"), FORMATS[:5])
def test_so_it_is_in_a_workbook(value: float, form: str, text: str) -> None:
    assert read_file("a.xlsx", workbook(value, form)).text.split("\n\n")[-1].endswith(text)


def test_a_whole_number_of_hundreds_of_digits_damages_no_workbook() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(5, "General"))) as old, zipfile.ZipFile(file, "w") as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry).replace(b"<v>5</v>", b"<v>" + b"7" * 400 + b"</v>"))
    assert "7" * 400 in read_file("a.xlsx", file.getvalue()).text


@given(
    st.one_of(st.integers(-(10**400), 10**400), st.floats(allow_nan=False)),
    st.text('0#?.,%"\\_*[]<>=;E+-/ €kM()', max_size=20),
)
def test_any_format_shows_any_number(value: float, form: str) -> None:
    assert "\n" not in shown(value, form)


@given(st.floats(-1e300, 1e300), st.sampled_from(["0.00", "#,##0", '0 "kg"', "General"]))
def test_no_digit_is_lost(value: float, form: str) -> None:
    assert math.isclose(float(shown(value, form).removesuffix(" kg")), value, rel_tol=1e-14)
