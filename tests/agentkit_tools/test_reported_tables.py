"""Tables that other programs were reported to read into the wrong columns; each test names its report."""

import datetime
import io
from collections.abc import Sequence
from typing import Any

import pytest
from openpyxl import Workbook

from agentkit_tools.file_text import read_file
from agentkit_tools.file_text.tables import read_csv
from tests.support.growth import assert_linear
from tests.support.office import open_document, paragraph, slides, word


def text_of(name: str, content: bytes | str) -> str:
    return read_file(name, content if isinstance(content, bytes) else content.encode()).text


# Empty cells


def cell(text: str, properties: str = "") -> str:
    return f"<w:tc>{properties}{paragraph(text) if text else '<w:p/>'}</w:tc>"


def test_an_empty_cell_of_a_word_document_keeps_its_place() -> None:
    # cujarrett/markdown-tables#23: what follows an empty cell stood in the wrong column
    rows = [("", "2023", "2024"), ("Oslo", "", "350"), ("Bergen", "140", ""), ("", "", "")]
    table = "".join(f"<w:tr>{''.join(map(cell, row))}</w:tr>" for row in rows)
    assert text_of("a.docx", word(f"<w:tbl>{table}</w:tbl>")) == "| 2023 | 2024\nOslo |  | 350\nBergen | 140"


def test_a_row_of_a_word_document_that_begins_further_right_does() -> None:
    begun = f'<w:tr><w:trPr><w:gridBefore w:val="2"/></w:trPr>{cell("350")}</w:tr>'
    table = f"<w:tbl><w:tr>{cell('Oslo')}{cell('140')}{cell('210')}</w:tr>{begun}</w:tbl>"
    assert text_of("a.docx", word(table)) == "Oslo | 140 | 210\n|  | 350"


def test_an_empty_cell_of_a_slide_keeps_its_place() -> None:
    def row(*cells: str) -> str:
        made = (
            each
            if each.startswith("<")
            else f"<a:tc><a:txBody><a:p><a:r><a:t>{each}</a:t></a:r></a:p></a:txBody></a:tc>"
            for each in cells
        )
        return f"<a:tr>{''.join(made)}</a:tr>"

    rows = (
        row("Region", "Town", "Men", "Women")
        + row("West", "Bergen", "", "140")
        + row('<a:tc vMerge="1"/>', "Voss", "7", "")
    )
    found = text_of("a.pptx", slides(f"<p:graphicFrame><a:tbl>{rows}</a:tbl></p:graphicFrame>"))
    assert found.endswith("Region | Town | Men | Women\nWest | Bergen |  | 140\nWest | Voss | 7")


def test_an_empty_cell_of_an_open_document_keeps_its_place() -> None:
    two = '<table:table-cell table:number-columns-repeated="2"/>'
    cells = f"<table:table-cell><text:p>Oslo</text:p></table:table-cell>{two}"
    row = f"<table:table-row>{cells}<table:table-cell><text:p>350</text:p></table:table-cell></table:table-row>"
    assert (
        text_of("a.odt", open_document(f"<office:text><table:table>{row}</table:table></office:text>"))
        == "Oslo |  |  | 350"
    )


def test_rows_without_names_of_columns_keep_the_places_of_empty_cells() -> None:
    assert text_of("a.csv", "1,,3\n,5,6\n") == "- 1 |  | 3\n- | 5 | 6"
    assert text_of("a.csv", "1" + "," * 5_000 + "2\n3,4\n") == "- 1 |  | 2\n- 3 | 4"  # nobody counts so many


# What separates the cells


@pytest.mark.parametrize(
    "table",
    [
        "amount;label\n1,50;coffee\n2,50;tea\n",  # stablyai/orca#19893
        "A;B;C;D\n1,1;2,2;3,3;4,1\n1,1;2,2;3,3;4,1\n",  # SheetJS/sheetjs#2239
        "08/01/2016;A;-21.419,06\n28/01/2016;A;-116\n29/01/2016;A;2.031,00\n",  # mholt/PapaParse#290
        "Duration;Phase\n6:30;First developer\n1:00;Wash 1\n",  # jakob/TableTool#34
        "April 15, 2023;25.00;Ray;pending;\nApril 14, 2023;25.00;Scott;pending;\nApril 9, 2023;25.00;Lonny;\n",
        # mechatroner/vscode_rainbow_csv#134
        "id;text\n1;Hello, world, again\n2;Yes, no, maybe, so\n",
        "01.02.2024;3,5\n02.02.2024;4,5\n",
    ],
)
def test_commas_in_the_cells_of_a_table_with_semicolons_separate_nothing(table: str) -> None:
    rows = text_of("a.csv", table).removeprefix("- ").split("\n")
    assert len(rows) > 1
    assert all("," not in row or "; " in row or " | " in row for row in rows)
    assert all(";" not in row.replace("; ", "") for row in rows)
    commas, kept = table.count(","), sum(row.count(",") for row in rows)
    assert kept == commas


@pytest.mark.parametrize(
    "table",
    [
        "name,type,values\nalgorithm,string,one/two/three\nthreads,int32_t,1;2:3;4\n",  # vincentlaucsb/csv-parser#140
        "id,text\n1,a; b; c\n2,d; e; f\n",
        "id,pair\n" + "1,2|3\n" * 9,
    ],
)
def test_what_stands_in_the_cells_of_a_table_with_commas_separates_nothing(table: str) -> None:
    names = table.partition("\n")[0].split(",")
    assert text_of("a.csv", table).startswith(" | ".join(names) + "\n- " + names[0] + ": ")


def test_rows_behind_a_cell_that_is_too_long_have_the_names_of_their_columns() -> None:
    found = text_of("a.csv", f"name,note\nAnn,{'x' * 140_000}\nBob,short\n")
    assert found.endswith("- name: Bob; note: short")
    assert found.count("x") == 140_000


def test_rows_that_can_not_be_read_are_read_in_linear_time() -> None:
    assert_linear(lambda size: read_csv("a.csv", b"%s\n" % (b"x" * 132_000) * size), 8)


# Several tables, and several rows of names


def workbook(*rows: tuple[Any, ...], merged: Sequence[str] = ()) -> bytes:
    made, file = Workbook(), io.BytesIO()
    sheet = made.worksheets[0]
    for row in rows:
        sheet.append(row)
    for cells in merged:
        sheet.merge_cells(cells)
    made.save(file)
    return file.getvalue()


def test_names_of_columns_in_two_rows_are_joined() -> None:
    # frictionlessdata/tabulator-py#320, yuezhiai/jonex#8: "Current" above "Phase 1" was lost
    found = text_of(
        "a.xlsx",
        workbook(
            ("People by quarter",),
            ("Town", "Q1", None, "Q2", None),
            (None, "men", "women", "men", "women"),
            ("Oslo", 1, 2, 3, 4),
            ("Bergen", 5, 6, None, 8),
            merged=("A1:E1", "A2:A3", "B2:C2", "D2:E2"),
        ),
    )
    assert found == (
        "## Sheet\n\nPeople by quarter\nTown | Q1 men | Q1 women | Q2 men | Q2 women\n"
        "- Town: Oslo; Q1 men: 1; Q1 women: 2; Q2 men: 3; Q2 women: 4\n"
        "- Town: Bergen; Q1 men: 5; Q1 women: 6; Q2 women: 8"
    )


def test_a_cell_across_columns_is_read_in_each_of_them() -> None:
    rows = (("Town", "Monday", "Tuesday"), ("Oslo", "closed", None), ("Voss", 9, 10))
    assert "- Town: Oslo; Monday: closed; Tuesday: closed\n" in text_of("a.xlsx", workbook(*rows, merged=("B2:C2",)))


def test_another_table_below_has_names_of_its_own() -> None:
    rows = (("town", "people"), ("Oslo", 717710), (), ("Ships",), ("name", "built", "masts"), ("Fram", 1892, 3))
    ships = "Ships\nname | built | masts\n- name: Fram; built: 1892; masts: 3"
    both = f"town | people\n- town: Oslo; people: 717710\n\n{ships}"
    assert text_of("a.xlsx", workbook(*rows)) == f"## Sheet\n\n{both}"
    table = "\n".join(",".join(map(str, row)) for row in rows)
    assert text_of("a.csv", table) == both
    assert text_of("a.csv", table.replace("Ships\n", "")) == both.replace("Ships\n", "")


@pytest.mark.parametrize(
    "below",
    [
        "Bergen,291940",
        "\nBergen,291940",
        "\nBergen,\nVoss,15000",
        "\nWest,\nBergen,291940",
        "\nTotal,1009650\n\nSource,Statistics Norway",
    ],
)
def test_rows_behind_an_empty_one_belong_to_the_table(below: str) -> None:
    rows = [row.split(",") for row in below.split("\n") if row]
    said = [f"- town: {town}; people: {people}" if people else f"- town: {town}" for town, people in rows]
    found = text_of("a.csv", f"town,people\nOslo,717710\n{below}\n")
    assert found == "\n".join(["town | people", "- town: Oslo; people: 717710", *said])


def test_durations_are_hours_minutes_and_seconds() -> None:
    # wireservice/csvkit#605
    found = text_of("a.xlsx", workbook(("watch", "time"), ("Ann", datetime.timedelta(hours=30, minutes=5))))
    assert found.endswith("- watch: Ann; time: 30:05:00")


def test_many_tables_are_read_in_linear_time() -> None:
    assert_linear(lambda size: read_csv("a.csv", b"town,people\nOslo,7\n\n" * size), 4_000)
