"""The kinds of files that `documents` reads, and what it says of those it does not read."""

import contextlib
import datetime
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, Page, ToolError
from agentkit_tools import documents, reader_process
from agentkit_tools.file_text import READERS, form, read_file
from agentkit_tools.file_text.code import passages_of_code
from agentkit_tools.json_text import indented, parsed
from agentkit_tools.page_text import readable
from agentkit_tools.unreadable import UnreadableError
from tests.support.growth import assert_linear
from tests.support.office import book, open_document, paragraph, shape, slides, word, zipped


def searched(folder: Path, query: str, **files: bytes | str) -> str:
    """What a search in a folder with these files returns; `__` in a name stands for a dot."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = documents(folder)[0]([query])
    assert isinstance(found, str)
    return found


def text_of(name: str, content: bytes | str) -> str:
    return read_file(name, content if isinstance(content, bytes) else content.encode()).text


def why_not(name: str, content: bytes) -> str:
    with pytest.raises(UnreadableError) as caught:
        read_file(name, content)
    return str(caught.value)


# In a folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tex", "\\title{Whales}\nA blue whale eats krill."),
        ("a.adoc", "= Whales\n\nA blue whale eats krill."),
        ("a.org", "#+TITLE: Whales\n\nA blue whale eats krill."),
        ("README", "A blue whale eats krill."),
        ("Makefile", "krill:\n\techo whale"),
        ("notes.unknown", "A blue whale eats krill."),
        ("a.log", "12:00 INFO whale eats krill"),
        ("a.py", "def krill(): pass"),
        ("a.sql", "SELECT krill FROM whale"),
        ("a.yaml", "whale:\n  eats: krill"),
        ("a.csv", "animal,food\nwhale,krill\n"),
        ("a.tsv", "animal\tfood\nwhale\tkrill\n"),
        ("a.json", '{"whale": {"eats": "krill"}}'),
        ("a.jsonl", '{"whale": "krill"}\n{"cat": "mice"}\n'),
        ("a.ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": ["A whale ", "eats krill."]}]})),
        ("a.docx", word(paragraph("A whale eats krill."))),
        ("a.odt", open_document("<office:text><text:p>A whale eats krill.</text:p></office:text>")),
        ("a.odp", open_document("<draw:page><text:p>A whale eats krill.</text:p></draw:page>")),
        ("a.pptx", slides(shape("A whale eats krill."))),
        ("a.epub", book({"one.xhtml": "<p>A whale eats krill.</p>"})),
        ("a.eml", "From: a@b.example\nSubject: Whales\n\nA whale eats krill.\n"),
        ("a.utf16.txt", "A blue whale eats krill.".encode("utf-16")),
        ("A.DOCX", word(paragraph("A whale eats krill."))),
    ],
)  # fmt: skip
def test_a_kind_of_file_is_found_and_read(tmp_path: Path, name: str, content: bytes | str) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    find, read = documents(tmp_path)
    assert f"source: {name}\n" in find(["krill"])
    assert "krill" in read([name], "food")


def test_what_git_ignores_and_programs_make_is_left_out(tmp_path: Path) -> None:
    for path in (
        *("kept.md", "sub/kept.md", "sub/ignored.md", "sub/again.log", "a.log", "node_modules/x/README.md"),
        *("__pycache__/x.txt", ".hidden/x.md", "env/pyvenv.cfg", "env/x.md", "cache/CACHEDIR.TAG", "cache/x.md"),
        *("app/package.json", "app/dist/x.js", "app/build/x.md", "essays/build/kept.md", "secret/deep/x.md"),
        *("lib.min.js", "~$kept.docx", "kept.md~", "package-lock.json", "sub/keep.log"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("whale")
    (tmp_path / ".gitignore").write_text("*.log\n/secret/\n[\n")
    (tmp_path / "sub" / ".gitignore").write_text("ignored.md\n!keep.log\n")
    find, _ = documents(tmp_path, results=30)
    found = {line[8:] for line in find(["whale"]).splitlines() if line.startswith("source: ")}
    assert found == {"kept.md", "sub/kept.md", "sub/keep.log", "app/package.json", "essays/build/kept.md"}
    (tmp_path / "sub" / ".gitignore").write_text("kept.md\n")
    found = {line[8:] for line in find(["whale"]).splitlines() if line.startswith("source: ")}
    assert found == {"kept.md", "sub/ignored.md", "app/package.json", "essays/build/kept.md"}


def test_a_folder_of_files_that_are_not_read_says_so(tmp_path: Path) -> None:
    found = searched(
        tmp_path, "whale", a__png=b"\x89PNG", b__zip=b"PK", c__doc=b"old", d__xyz=bytes(200), e__docx=b"no zip"
    )  # fmt: skip
    assert found.splitlines() == [
        '(no results for "whale")',
        "(c.doc was not read: files of this kind (.doc) can't be read: save it as docx)",
        "(d.xyz was not read: its content is binary, not text)",
        "(e.docx was not read: it is damaged)",
        "(2 files without text were left out: .png, .zip)",
    ]
    read = documents(tmp_path)[1]
    with pytest.raises(ToolError, match=r"a\.png is not read: files of this kind \(\.png\) have no text\."):
        read(["a.png"], "x")
    with pytest.raises(ToolError, match=r"e\.docx was not read: it is damaged\."):
        read(["e.docx"], "x")
    answer = Agent("extractive", tools=documents(tmp_path)).run("What is a whale?").tool_calls[0].response
    assert "e.docx was not read: it is damaged" in answer


def test_a_missing_package_is_named_and_the_file_is_read_once_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK")
    code = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "from agentkit_tools import documents\nprint(documents(sys.argv[1])[0](['whale']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "(a.xlsx was not read: install agentkit-loop[documents])" in done.stdout
    assert "(a.xlsx was not read: it is damaged)" in documents(tmp_path)[0](["whale"])


# Texts


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("gb18030", "北京是中国的首都，人口约两千一百万。"),
        ("shift_jis", "東京は日本の首都です。人口は約千四百万人。"),
        ("cp1251", "Москва является столицей России и крупнейшим городом."),
        ("utf-8-sig", "Ein Wal frißt Krill."),
        ("utf-16", "Ein Wal frißt Krill."),
        ("utf-16-le", "Ein Wal frißt Krill."),
        ("utf-16-be", "Ein Wal frißt Krill."),
    ],
)
def test_a_text_in_another_charset_is_read(charset: str, text: str) -> None:
    assert text_of("a.txt", text.encode(charset)) == text
    assert text in text_of("a.csv", f"name,text\nx,{text}\n".encode(charset))


def test_a_declaration_that_a_text_shows_is_no_charset_of_it() -> None:
    text = 'Write <meta charset="iso-8859-1"> for a café.'
    assert text_of("a.md", text) == text


# Tables


def test_each_row_of_a_table_says_its_columns() -> None:
    rows = "city | people\n- city: Oslo; people: 717710"
    assert text_of("a.csv", "city,people\nOslo,717710\nBergen,291940\n") == f"{rows}\n- city: Bergen; people: 291940"
    assert text_of("a.csv", "city;people\nOslo;717710\n") == rows
    assert text_of("a.csv", "city\tpeople\r\nOslo\t717710\r\n") == rows
    assert text_of("a.csv", 'sep=|\ncity|note\nOslo|"a, b\nc"\n') == "city | note\n- city: Oslo; note: a, b c"
    assert text_of("a.csv", "name,name,2024\na,b,3\n") == "name | name | 2024\n- name: a; name: b; 2024: 3"


def test_a_title_above_the_columns_and_empty_cells_are_read() -> None:
    assert text_of("a.csv", "PROGRESS,,,\n,,,\nTask,,Owner,Status\nDesign,,Ana,Done\n") == (
        "PROGRESS\nTask | Owner | Status\n- Task: Design; Owner: Ana; Status: Done"
    )


def test_a_table_without_names_of_columns_is_read() -> None:
    assert text_of("a.csv", "1,2,3\n4,5,6\n") == "- 1 | 2 | 3\n- 4 | 5 | 6"
    assert text_of("a.csv", "name,age\n") == "- name | age"
    assert text_of("a.csv", "Oslo\nBergen\n") == "- Oslo\n- Bergen"
    assert text_of("a.csv", "") == ""


def test_a_row_far_down_is_found_with_its_columns(tmp_path: Path) -> None:
    rows = "".join(f"city{number},{number}\n" for number in range(2_000))
    found = searched(tmp_path, "city1234", a__csv=f"city,people\n{rows}")
    assert "city: city1234; people: 1234" in found


def test_a_field_of_any_length_is_read() -> None:
    long = "krill " * 40_000
    assert long.strip() in text_of("a.csv", f'name,text\na,"{long}"\nb,c\n')


def test_a_workbook_is_read_as_it_is_shown(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Ships"
    sheet.append(["ship", "built", "share", "code", "afloat", "sum"])
    sheet.append(["Fram", datetime.datetime(1892, 10, 26), 0.25, "NA", True, "=1+2"])
    sheet.append(["Gjøa", None, 12.0, "None", False, 3])
    sheet["C2"].number_format = "0%"
    workbook.create_sheet("Empty")
    file = io.BytesIO()
    workbook.save(file)
    assert text_of("a.xlsx", file.getvalue()) == (
        "## Ships\n\nship | built | share | code | afloat | sum\n"
        "- ship: Fram; built: 1892-10-26; share: 25%; code: NA; afloat: TRUE; sum: =1+2\n"
        "- ship: Gjøa; share: 12; code: None; afloat: FALSE; sum: 3"
    )


# Data and notebooks


def test_json_is_read_as_paths_and_values() -> None:
    text = text_of(
        "a.json", '{"ship": {"name": "Fram", "crew": [1, 2, null]}, "ports": [{"at": "Oslo"}, {"at": "Vardø"}]}'
    )
    assert text == "- ship.name: Fram; ship.crew: 1, 2\n- ports[0].at: Oslo\n- ports[1].at: Vardø"
    assert text_of("a.json", "{}") == ""
    assert text_of("a.json", '// a comment\n{"a": 1}') == '// a comment\n{"a": 1}'


WRITTEN = '{"balance": 12345678901234567.89, "id": 1e400, "price": 1.10, "a": "first", "a": "second", "n": -0.0}'


def test_json_is_read_as_it_is_written() -> None:
    """Numbers with all their digits, and keys that stand twice."""
    text = text_of("a.json", WRITTEN)
    assert text == "- balance: 12345678901234567.89; id: 1e400; price: 1.10; a: first; a: second; n: -0.0"
    assert text_of("a.jsonl", WRITTEN) == text
    assert read_file("a.json", b'{"title": 7, "name": "Fram"}').title == "Fram"
    page = Page("u", 200, "application/json", None, WRITTEN.encode())
    assert readable(page).text.replace("\n ", " ").replace("\n", " ") == WRITTEN.replace("{", "{ ").replace("}", " }")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_is_indented_as_the_standard_library_does(value: object) -> None:
    written = json.dumps(value, ensure_ascii=False)
    assert indented(parsed(written)) == json.dumps(json.loads(written), ensure_ascii=False, indent=1)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000, '"\\ud800"', "[" * 900 + "1" + "]" * 900]
)
def test_any_json_is_read(text: str) -> None:
    assert text_of("a.json", text)


def test_a_small_file_does_not_become_a_huge_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "MAX_CHARACTERS", 100_000)
    text = json.dumps({"k" * 500: {"m" * 500: [{"a": 1}] * 3_000}})
    found = text_of("a.json", text)
    assert len(found) < 101_000
    assert "characters were read]" in found


def test_a_notebook_has_its_texts_its_code_and_what_it_printed() -> None:
    cells = [
        {"cell_type": "markdown", "source": "# Whales\n\n![x](data:image/png;base64," + "A" * 200 + ")"},
        {
            "cell_type": "code",
            "source": ["x = 1\n", "x"],
            "outputs": [
                {"output_type": "stream", "text": ["one\n", "two\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "1", "image/png": "AAAA"}},
                {"output_type": "display_data", "data": {"image/svg+xml": ["<svg/>"]}},
                {"output_type": "error", "ename": "ValueError", "evalue": "bad", "traceback": ["\x1b[31m…"]},
            ],
        },
        {"cell_type": "code", "source": [], "outputs": None},
        None,
    ]
    assert text_of("a.ipynb", json.dumps({"cells": cells, "metadata": {}})) == (
        "# Whales\n\n![x]()\n\n```python\nx = 1\nx\n```\n\none\ntwo\n\n1\n\nValueError: bad"
    )
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": "print 1", "outputs": [{"text": "1"}]}]}]}
    assert text_of("a.ipynb", json.dumps(old)) == "```python\nprint 1\n```\n\n1"
    assert why_not("a.ipynb", b"{") == "the notebook is damaged: it is not valid JSON"


# Source code


def test_code_is_found_by_its_functions(tmp_path: Path) -> None:
    functions = "\n\n".join(f"def function_{number}():\n" + "    pass\n" * 60 for number in range(20))
    code = f"import os\n\n{functions}\n\ndef weigh_the_whale(scale):\n    # tonnes\n\n    return scale.read()\n"
    found = searched(tmp_path, "weigh the whale", tools__py=code)
    assert "def weigh_the_whale(scale): # tonnes return scale.read()" in found


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["a", " ", "\n", "\t", "def x():\n", "x" * 500]), max_size=60).map("".join))
def test_the_passages_of_code_are_the_code(text: str) -> None:
    passages = passages_of_code(text)
    assert "".join(passages) == text
    assert all(len(each) <= 1_300 for each in passages)


def test_code_is_split_in_linear_time() -> None:
    for piece in ("\n \n", "\n\n", "x\n\n", " ", "\n\t "):
        assert_linear(lambda size, piece=piece: passages_of_code(piece * size), 20_000)  # type: ignore[misc]


# Office documents


def test_a_word_document_is_read_as_a_whole() -> None:
    box = f"<w:txbxContent>{paragraph('In a box.')}</w:txbxContent>"
    choice = (
        "<mc:AlternateContent><mc:Choice><wps:txbx>{0}</wps:txbx></mc:Choice>"
        "<mc:Fallback><v:textbox>{0}</v:textbox></mc:Fallback></mc:AlternateContent>"
    )
    cell = "<w:tc>{}</w:tc>"
    table = "<w:tbl>{}</w:tbl>"
    nested = table.format(f"<w:tr>{cell.format(paragraph('inner'))}</w:tr>")
    down = "<w:tc><w:tcPr><w:vMerge{}/></w:tcPr>{}</w:tc>"
    begins = down.format(' w:val="restart"', paragraph("Oslo"))
    rows = (
        f"<w:tr>{begins}{cell.format(paragraph('1'))}</w:tr>"
        f"<w:sdt><w:sdtContent><w:tr>{down.format('', paragraph(''))}{cell.format(paragraph('2') + nested)}</w:tr>"
        "</w:sdtContent></w:sdt>"
    )
    body = (
        paragraph("The whale", "Titel") + paragraph("Food", "Mine")
        + "<w:p><w:r><w:t>It eats</w:t><w:tab/><w:t>krill</w:t></w:r>"
        "<w:del><w:r><w:delText>no</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>.</w:t></w:r></w:ins><w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r></w:p>"
        + "".join(f"<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>{each}</w:t></w:r></w:p>" for each in ("one", "two")) +
        f"<w:p><w:r><w:t>Beside</w:t></w:r><w:r>{choice.format(box)}</w:r></w:p>"
        f"<w:sdt><w:sdtContent>{paragraph('In a control.')}</w:sdtContent></w:sdt>"
        + table.format(rows)
        + '<w:p><w:r><wp:docPr descr="A whale under ice"/></w:r></w:p>'
        "<w:p><w:ruby><w:rt><w:r><w:t>くじら</w:t></w:r></w:rt>"
        "<w:rubyBase><w:r><w:t>鯨</w:t></w:r></w:rubyBase></w:ruby></w:p>"
    )  # fmt: skip
    content = word(
        body, footnotes=f"<w:footnote>{paragraph('A footnote.')}</w:footnote>", header=paragraph("ACME Ltd.")
    )
    found = read_file("a.docx", content)
    assert found.title == "The whale"
    assert found.text.split("\n\n") == [
        *("# The whale", "## Food", "It eats\tkrill.", "- one\n- two", "Beside", "In a box.", "In a control."),
        *("Oslo | 1\nOslo | 2 inner", "[image: A whale under ice]", "鯨", "A footnote.", "ACME Ltd."),
    ]


def test_a_presentation_has_its_slides_tables_and_notes() -> None:
    group = f"<p:grpSp>{shape('grouped')}</p:grpSp>"
    table = "".join(f"<a:tc><a:p><a:r><a:t>{each}</a:t></a:r></a:p></a:tc>" for each in ("Oslo", "1"))
    table = f"<p:graphicFrame><a:tbl><a:tr>{table}</a:tr></a:tbl></p:graphicFrame>"
    content = slides(shape("Whales", "title") + group + table + shape("3", "sldNum"), "<p:sp/>", notes="Say krill.")
    found = read_file("a.pptx", content)
    assert found.title == "Whales"
    assert found.text.split("\n\n") == ["## Slide 1: Whales", "grouped", "Oslo | 1", "Notes: Say krill.", "## Slide 2"]


def test_an_open_document_has_its_headings_lists_tables_and_notes() -> None:
    row = (
        "<table:table-row><table:table-cell><text:p>{}</text:p></table:table-cell>"
        "<table:table-cell table:number-columns-repeated='2'><text:p>{}</text:p></table:table-cell>"
        "<table:table-cell table:number-columns-repeated='16000'/></table:table-row>"
    )
    content = open_document(
        "<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        '<text:h text:outline-level="2">Food</text:h>'
        '<text:p>It<text:s text:c="2"/>eats'
        "<text:note><text:note-body><text:p>a note</text:p></text:note-body></text:note> krill."
        "<draw:frame><draw:text-box><text:p>In a box.</text:p></draw:text-box></draw:frame></text:p>"
        "<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>deep</text:p>"
        "</text:list-item></text:list></text:list-item></text:list>"
        f"<table:table>{row.format('Oslo', '1')}</table:table></office:text>"
    )
    assert text_of("a.odt", content).split("\n\n") == [
        *("## Food", "It  eats (a note) krill.", "In a box.", "- one\n  - deep", "Oslo | 1 | 1"),
    ]
    sheet = f"<table:table table:name='Cities'>{row.format('city', 'x')}{row.format('Oslo', '1')}</table:table>"
    sheet = f"<office:spreadsheet>{sheet}</office:spreadsheet>"
    assert text_of("a.ods", open_document(sheet)).startswith("## Cities\n\n")


def test_a_book_with_missing_chapters_is_read() -> None:
    content = book({"one.xhtml": "<h1>One</h1><p>A whale.</p>", "gone.xhtml": "", "../OEBPS/two%20b.xhtml": ""})
    found = read_file("a.epub", content)
    assert found.title == "The whale book"
    assert "A whale." in found.text


SAVED_PAGE = "it is a web page under another name, perhaps an error that was saved in its place"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.docx", b"", "it is empty"),
        ("a.pdf", b"\r\n\r\n<!DOCTYPE html><p>No such document", SAVED_PAGE),  # jswest/bartleby#235
        ("a.xlsx", b"<html><p>Log in to go on", SAVED_PAGE),
        ("a.docx", word(paragraph("x"))[:300], "it is damaged"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "it is encrypted"),
        ("a.pptx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is of an older kind than its name says"),
        ("a.odt", zipped({"META-INF/manifest.xml": "<m><encryption-data/></m>", "content.xml": ""}), "it is encrypted"),
        ("a.odt", zipped({"x": "y"}), "it is damaged"),
        ("a.epub", book({}), "it has no text; its pages may be images"),
        ("a.doc", b"", "files of this kind (.doc) can't be read: save it as docx"),
        ("a.txt", bytes(range(256)) * 20, "its content is binary, not text"),
    ],
)  # fmt: skip
def test_why_a_file_is_not_read(name: str, content: bytes, why: str) -> None:
    assert why_not(name, content) == why


def test_a_book_protected_against_copying_says_so() -> None:
    xml = '<encryption><EncryptedData><EncryptionMethod Algorithm="{}"/></EncryptedData></encryption>'
    aes = book(
        {"a.xhtml": "<p>x</p>"},
        **{"META-INF/encryption.xml": xml.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")},
    )
    assert why_not("a.epub", aes) == "it is encrypted (protected against copying)"
    fonts = book(
        {"a.xhtml": "<p>x</p>"}, **{"META-INF/encryption.xml": xml.format("http://www.idpf.org/2008/embedding")}
    )
    assert "x" in text_of("a.epub", fonts)


def test_a_file_that_unpacks_to_too_much_is_not_read() -> None:
    assert why_not("a.docx", zipped({"word/document.xml": b" " * 60_000_000})) == "it is too large when unpacked"
    assert "parts" in why_not("a.odt", zipped({f"{number}": b"" for number in range(20_001)}))


def test_entities_are_not_resolved(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    lol = "".join(f"<!ENTITY l{n} '" + f"&l{n - 1};" * 10 + "'>" for n in range(1, 10))
    head = f'<!DOCTYPE x [<!ENTITY l0 "lol">{lol}<!ENTITY s SYSTEM "file://{tmp_path}/secret">]>'
    body = "<office><body><text><p>a&l9;b&s;c</p></text></body></office>"
    text = text_of("a.odt", zipped({"content.xml": head + body}))
    assert text.startswith("a")
    assert "secret" not in text
    assert "lol" not in text


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(set(READERS) - {".pdf"})), st.data())
def test_any_bytes_are_read_or_refused(ending: str, data: st.DataObject) -> None:
    samples = {
        ".docx": word(paragraph("x") * 3), ".pptx": slides(shape("x")), ".epub": book({"a.xhtml": "<p>x</p>"}),
        ".odt": open_document("<office:text><text:p>x</text:p></office:text>"),
        ".eml": b"From: a\nContent-Type: text/x; charset=q\n\nx",
    }  # fmt: skip
    content = bytearray(samples.get(ending, b"") + data.draw(st.binary(max_size=100)))
    for place in data.draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=4)):
        if content:
            content[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(UnreadableError):
        read_file(f"a{ending}", bytes(content))


# Small files that would take long


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.eml", b"To: " + b"(" * 50_000 + b"\n\nhello"),
        ("a.eml", b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1_500))),
    ],
    ids=["comments", "parts"],
)
def test_what_is_nested_too_deeply_is_an_error_of_one_file(name: str, content: bytes) -> None:
    with pytest.raises(UnreadableError, match="nested too deeply"):
        read_file(name, content)


@pytest.mark.parametrize(
    ("name", "head", "part", "tail"),
    [
        ("a.eml", "To: ", "a@b.c, ", "\n\nhello"),
        ("a.eml", "Content-Type: text/plain; ", "a=b; ", "\n\nhello"),
        ("a.ipynb", '{"cells": [{"cell_type": "markdown", "source": "', "(data:", '"}]}'),
        ("a.ipynb", '{"cells": [{"cell_type": "code", "outputs": [{"text": "', "\\u001b[", '"}]}]}'),
        ("a.json", "", '[{"a":', ""),
        ("a.csv", "", '"a,', ""),
    ],
    ids=["addresses", "parameters", "images", "colours", "json", "quotes"],
)
def test_twice_the_file_takes_twice_the_time(name: str, head: str, part: str, tail: str) -> None:
    assert_linear(lambda size: read_file(name, (head + part * size + tail).encode()), 8_000)


def test_a_cell_far_below_the_table_does_not_make_it_long() -> None:
    from openpyxl import Workbook
    from openpyxl.styles import Font

    workbook = Workbook()
    sheet = workbook.create_sheet("Towns", 0)
    sheet.append(["city", "people"])
    sheet.append(["Oslo", 717_710])
    sheet.cell(row=1_048_561, column=9).font = Font(bold=True)
    file = io.BytesIO()
    workbook.save(file)
    assert read_file("a.xlsx", file.getvalue()).text.split() == (
        ["##", "Towns", "city", "|", "people", "-", "city:", "Oslo;", "people:", "717710"]
    )


def test_of_a_file_that_takes_long_the_beginning_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "SECONDS", 0.0)
    assert read_file("a.json", b'[{"a": "whale"}, {"b": "%s"}]' % (b"x" * 400)).text == (
        "- a: whale\n\n[… only the first 12 characters were read: they took 0 seconds]"
    ).replace("a: whale", "[0].a: whale").replace("12", "16")


def test_a_table_of_millions_of_repeated_cells_is_read_in_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = "<t:table-cell t:number-columns-repeated='16384'><text:p>a</text:p></t:table-cell>"
    rows = f"<t:table-row t:number-rows-repeated='1000000'>{cell * 100}</t:table-row>" * 400
    content = f"<o:d xmlns:o='o' xmlns:t='t' xmlns:text='x'><o:body><t:table>{rows}</t:table></o:body></o:d>"
    monkeypatch.setattr(reader_process, "FILE_SECONDS", 1.0)
    with pytest.raises(UnreadableError, match="reading it takes more than 1 seconds"):
        read_file("a.ods", zipped({"content.xml": content}))


def test_a_log_is_found_by_its_words_and_not_by_its_colours(tmp_path: Path) -> None:
    """nautechsystems/nautilus_trader#2274: colours of a terminal in a log."""
    line = "\x1b[1;31mKrill\x1b[0m was \x1b]0;seen\x07here \x1b[38;5;208mtwice\x1b[m"
    (tmp_path / "day.log").write_text(line)
    find, read = documents(tmp_path)
    assert "Krill was here twice" in find(["krill"])
    assert "Krill was here twice" in read(["day.log"], "krill")
