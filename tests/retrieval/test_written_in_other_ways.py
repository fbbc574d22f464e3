"""What a question asks for is found however the document has written it, and read whatever signs stand in it."""

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Tool, ToolError
from agentkit.retrieval import PassageIndex
from agentkit.retrieval.words import _IN_PIECES, _in_pieces, with_whole_words
from agentkit_tools import documents
from agentkit_tools.file_text.texts import decoded
from tests.support.growth import assert_linear, seconds


def tools(folder: Path, **files: str | bytes) -> list[Tool[Any, Any]]:
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content.encode() if isinstance(content, str) else content)
    return documents(folder, keep_index=False)


def found(folder: Path, question: str, **files: str | bytes) -> list[str]:
    find: Tool[Any, str] = tools(folder, **files)[0]
    lines = find([question]).splitlines()
    return [line.removeprefix("source: ").removesuffix(".txt") for line in lines if line.startswith("source: ")]


OTHER = "A town in the north has a harbour and a school."
WAYS = [
    ("Lodz", "Łódź is a city."),
    ("Łódź", "Lodz is a city."),
    ("Orsted", "Ørsted studied magnets."),
    ("ışık", "IŞIK yandı."),
    ("IŞIK", "Bir ışık yandı."),
    ("encyclopaedia oeuvre", "An encyclopædia of his œuvre."),
    ("walnut", "A wal\u00adnut tree."),
    ("walnut", "A wal\u200bnut tree."),
    ("کتابخانه", "کتاب\u200cخانه باز است."),
    ("کتاب\u200cخانه", "کتابخانه باز است."),
    ("taxation", "They speak of taxa-\ntion."),
    ("taxation", "They speak of taxa\u2010\r\n   tion."),
    ("taxation", "They speak of taxa\u00ad\ntion."),
    ("1234567", "It has 1,234,567 people."),
    ("1,234,567", "It has 1234567 people."),
    ("3500000", "Es kostet 3.500.000 Euro."),
]


@pytest.mark.parametrize(("question", "text"), WAYS)
def test_a_word_is_found_however_it_is_written(tmp_path: Path, question: str, text: str) -> None:
    assert found(tmp_path, question, right=text, other=OTHER) == ["right"]


@pytest.mark.parametrize(("question", "right"), [("C++", "plus"), ("C#", "sharp"), ("Who designed C#?", "sharp")])
def test_names_with_signs_are_other_names(tmp_path: Path, question: str, right: str) -> None:
    files = {name: f"{name} designed by people." for name in ("C was", "C++ was", "C# was")}
    names = dict(zip(("letter", "plus", "sharp"), files.values(), strict=True))
    assert found(tmp_path, question, **names)[0] == right


def test_composed_and_decomposed_letters_are_one(tmp_path: Path) -> None:
    text, other = "Café Zürich is open.", "Er fuhr nach Wien, auch Bécassine."
    files = {form: unicodedata.normalize(form, text) for form in ("NFC", "NFD")}
    for form in ("NFC", "NFD"):
        assert sorted(found(tmp_path, unicodedata.normalize(form, "Café Zürich"), other=other, **files)[:2]) == [
            "NFC",
            "NFD",
        ]


@given(text=st.text(), more=st.text(alphabet="aC+#-\n 1,.2é"))
def test_any_passage_can_be_removed_again(text: str, more: str) -> None:
    index = PassageIndex(["tides of the moon"])
    number = index.add(text + more, more + text)
    index.remove(number)
    assert index.best("tides") == [0]
    assert number not in index.best(text + more)


@pytest.mark.parametrize("piece", ["1,234", "ab-\n", "C++", "1.234.", "a" * 50 + "-\n", "C", "-\n \t"])
def test_words_are_put_together_in_linear_time(piece: str) -> None:
    assert_linear(lambda size: with_whole_words(piece * (size // len(piece))), 100_000)


PIECES = [
    "a",
    "é",
    "字",
    "²",
    "½",
    "_",
    "1",
    "22",
    "333",
    "٣",
    "-",
    "\u2010",
    "\u00ad",
    "\r",
    "\n",
    "-\r\n",
    "-\n",
    " ",
    "\t",
]
PIECES += [",", ".", "'", "’", "\u00a0", "\u202f", "+", "#", "++", ",444", "x" * 39]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.text())
def test_words_are_found_by_their_signs_as_by_the_whole_pattern(text: str) -> None:
    expected = [(found.span(), found.groupdict()) for found in _IN_PIECES.finditer(text)]
    assert [(found.span(), found.groupdict()) for found in _in_pieces(text)] == expected


@pytest.mark.parametrize(
    "piece", ["The fox jumps over it, and then it sleeps for an hour. ", "QWxhZGRpbjpvcGVuI" * 5 + "\n"]
)
def test_text_without_such_words_costs_little(piece: str) -> None:
    text = piece * (200_000 // len(piece))
    quick = min(seconds(lambda _: with_whole_words(text), 0) for _ in range(5))
    slow = min(seconds(lambda _: list(_IN_PIECES.finditer(text)), 0) for _ in range(3))
    assert quick < slow / 4  # a tenth and less


NAMES = {
    "ideographic space": ("報告　書.txt", "報告 書.txt"),
    "narrow space": ("Shot at 3.04.05\u202fPM.txt", "Shot at 3.04.05 PM.txt"),
    "no-break space": ("a\u00a0b.txt", "a b.txt"),
    "joiner": ("کتاب\u200cخانه.txt", "کتابخانه.txt"),
    "decomposed": (unicodedata.normalize("NFD", "Café.txt"), "Café.txt"),
}


@pytest.mark.parametrize("which", NAMES)
def test_a_document_with_such_a_name_is_read_by_the_name_that_is_seen(tmp_path: Path, which: str) -> None:
    name, typed = NAMES[which]
    (tmp_path / name).write_text("The walrus sleeps.")
    search, read = documents(tmp_path, keep_index=False)
    assert f"source: {name}\n" in search(["walrus"])
    assert "The walrus sleeps." in read([name], "walrus")
    assert "The walrus sleeps." in read([typed], "walrus")


def test_of_two_names_that_look_alike_none_is_taken_for_the_other(tmp_path: Path) -> None:
    (tmp_path / "a\u00a0b.txt").write_text("The walrus sleeps.")
    (tmp_path / "a\u2003b.txt").write_text("The seal sleeps.")
    read = documents(tmp_path, keep_index=False)[1]
    assert "The seal sleeps." in read(["a\u2003b.txt"], "seal")
    with pytest.raises(ToolError, match="not found"):
        read(["a b.txt"], "seal")


@pytest.mark.parametrize(
    "name", ["a\u2028b.txt", "a\u202egnp.txt", "a\u2066b.txt", "a\nsource: x.txt", "a\x1b[2Jb.txt"]
)
def test_a_name_that_would_change_the_text_around_it_is_still_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("The walrus sleeps.")
    result = documents(tmp_path, keep_index=False)[0](["walrus"])
    assert "unprintable" in result
    assert name not in result


TEXTS = {
    "Persian": "من می\u200cروم. " * 30 + "گربه",
    "Japanese": "項目　値　日付　\n" * 30 + "座敷童子",
    "French": "Prix\u00a0:\u00a010\u00a0€\u202f; oui\u00a0!\u00a0« non\u00a0» " * 30 + "caméléon",
    "hyphenated": "hy\u00adphen\u00adat\u00adion al\u00adge\u00adbra " * 30 + "octopus",
    "Emoji": "👩\u200d👩\u200d👧\u200d👦 " * 30 + "meerkat",
    "Hebrew": "\u200fשלום\u200f \u200eabc\u200e " * 30 + "octopus",
}


@pytest.mark.parametrize("language", TEXTS)
def test_a_text_with_signs_that_nobody_sees_is_text(tmp_path: Path, language: str) -> None:
    text = TEXTS[language]
    assert found(tmp_path, text.split()[-1], right=text, other=OTHER) == ["right"]


@pytest.mark.parametrize("content", [bytes(range(256)) * 20, b"MZ\x90\0\3\0\0\0\4" + bytes(range(0, 256, 3)) * 40])
def test_what_is_binary_is_still_refused(tmp_path: Path, content: bytes) -> None:
    assert "binary" in tools(tmp_path, binary=content)[0](["abc"])


def test_a_short_text_with_a_null_character_is_not_taken_for_utf_16(tmp_path: Path) -> None:
    assert found(tmp_path, "kangaroo", right=b"abc\0def with a kangaroo in it", other=OTHER) == ["right"]
    assert found(tmp_path, "kangaroo", right="A kangaroo.".encode("utf-16-le"), other=OTHER) == ["right"]


FEW_SPACES = [
    "Государственное регулирование внешнеэкономической деятельности осуществляется посредством мер. ",
    "ประเทศไทยเป็นรัฐชาติอันตั้งอยู่ในเอเชียตะวันออกเฉียงใต้เดิมมีชื่อว่าสยามรัฐบาลประกาศเปลี่ยนชื่อเป็นประเทศไทย\n",
    "Η πληροφοριακή επεξεργασία ηλεκτροκαρδιογραφημάτων προϋποθέτει μηχανογραφημένη παρακολούθηση\n",
    "საქართველოსდამოუკიდებლობისაღდგენისთვისგანხორციელებულისაერთაშორისოურთიერთობებისმოწესრიგება\n",
]


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", FEW_SPACES)
def test_text_in_utf_16_is_known_by_its_few_spaces(text: str, charset: str) -> None:
    assert decoded("a.txt", (text * 20).encode(charset)).strip() == (text * 20).strip()


@pytest.mark.parametrize("text", [*FEW_SPACES, "The tides of the moon. ", "Größe: 3 m.\n"])
@pytest.mark.parametrize("place", [1, 20, 41])
def test_text_in_utf_8_with_one_null_character_is_still_that(text: str, place: int) -> None:
    content = f"{(text * 20)[:place]}\0{(text * 20)[place:]}".encode()
    assert decoded("a.txt", content).replace("\0", "").split() == (text * 20).split()
