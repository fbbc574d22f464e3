"""Checks of answers: what each says, and what is a mistake of whoever wrote the set."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.errors import ConfigurationError
from agentkit.evaluation.checks import Known, kinds, parse_check
from agentkit.evaluation.refusals import refuses
from agentkit.evaluation.score import CheckError, Score
from agentkit.evaluation.values import quantities
from tests.evaluation.records import answered, unanswered
from tests.support.growth import assert_linear


def value(spec: Any, said: Any, answer: Any = None, **fields: Any) -> float:
    """The value that a check gives."""
    return parse_check(spec).score(answered(said, **fields), answer).value


@pytest.mark.parametrize("more", [{}, {"uniqueItems": True}], ids=["here", "in another process"])
def test_an_answer_that_is_nested_too_deeply_is_wrong_and_no_fault_of_the_set(more: dict[str, Any]) -> None:
    lists = {"type": "array", "items": {"$ref": "#/$defs/tree"}, **more}
    schema = {"$ref": "#/$defs/tree", "$defs": {"tree": {"anyOf": [{"type": "integer"}, lists]}}}
    check = parse_check({"check": "json", "schema": schema})
    deep = check.score({"id": "a", "ok": True, "output": "[" * 300 + "1" + "]" * 300}, None)
    assert (deep.value, deep.missing, deep.why) == (0.0, False, "is nested too deeply")
    assert check.score({"id": "a", "ok": True, "output": "[[1], 2]"}, None).passed
    endless = parse_check({"check": "json", "schema": {"$ref": "#"}})
    with pytest.raises(CheckError, match="RecursionError"):
        endless.score({"id": "a", "ok": True, "output": "[1]"}, None)


@pytest.mark.parametrize(
    ("spec", "said", "answer", "expected"),
    [
        ("exact", "The Paris.", "paris", 1),
        ("exact", "Paris, France", "Paris", 0),
        ("exact", "Lutetia", ["Paris", "Lutetia"], 1),
        ("exact", "İstanbul", "istanbul", 1),
        ("exact: Paris", "paris", None, 1),
        ("exact", "8", 8, 1),
        ("contains", "It is Paris.", "Paris", 1),
        ("contains", "It is Paris.", ["Rome", "Paris"], 1),
        ("contains", "It concatenates.", "cat", 0),
        ("contains", "首都是北京。", "北京", 1),
        ("contains: 1,234", "It has 1234 pages.", None, 1),
        ({"check": "contains", "text": ["Paris", "Rome"]}, "Paris only", None, 0.5),
        ({"check": "contains", "text": "C++", "raw": True}, "Written in C.", None, 0),
        ({"check": "contains", "text": "C++", "raw": True}, "Written in C++.", None, 1),
        ("contains: ---", "a --- b", None, 1),
        ("lacks: sorry", "I am sorry!", None, 0),
        ("lacks: sorry", "Paris", None, 1),
        ({"check": "lacks", "text": ["sorry", "as an AI"]}, "As an AI, no.", None, 0),
        (r"regex: ^\d{4}$", "1971", None, 1),
        (r"regex: ^\d{4}$", "in 1971", None, 0),
        ({"check": "regex", "pattern": "PARIS", "flags": "i"}, "it is Paris", None, 1),
        ({"check": "regex", "pattern": "Par", "whole": True}, "Paris", None, 0),
        ("regex", "a-12", r"[a-z]-\d\d", 1),
        ("f1", "总长度8851.8公里", "明长城的总长度为8851.8公里。", pytest.approx(12 / 17, abs=1e-6)),
        ("f1", "Paris", ["London town", "the Paris"], 1),
        ("json", '{"a": 1}', None, 1),
        ("json", '```json\n{"a": 1}\n```', None, 1),
        ("json", 'Here: {"a": 1}', None, 0),
        ("json", '{"a": NaN}', None, 0),
        ("json", {"a": 1}, None, 1),
        ("json", "[" * 100_000, None, 0),
        ({"check": "json", "equals": True}, '{"a": [1, 2.0]}', {"a": [1.0, 2]}, 1),
        ({"check": "json", "equals": True}, '{"a": true}', {"a": 1}, 0),
        ({"check": "json", "schema": {"type": "object", "required": ["a"]}}, "{}", None, 0),
        ({"check": "json", "schema": {"properties": {"a": {"pattern": "^x+$"}}}}, '{"a": "xx"}', None, 1),
        ({"check": "json", "paths": {"a.b[0]": 1, "$.c": "x"}}, '{"a": {"b": [1]}, "c": "y"}', None, 0.5),
        ({"check": "json", "paths": {"[-1].a": None}}, '[{"a": null}]', None, 1),
        ({"check": "json", "paths": {"a": None}}, "{}", None, 0),
    ],
    ids=range(38),
)
def test_a_text_is_what_it_has_to_be(spec: Any, said: Any, answer: Any, expected: float) -> None:
    assert value(spec, said, answer) == expected


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("1,234", 1234),
        ("１２３４", 1234),
        ("１，２３４", 1234),
        ("1.234,5", 1234.5),
        ("1 234 567 people", 1234567),
        ("12 345,67", 12345.67),
        ("1 234.5 km", 1234.5),
        ("1\u202f234\u202f567,89", 1234567.89),
        ("It has 1,234 people [3].", 1234),
        ("8,848.86 m[1][2]", 8848.86),
        ("The answer is [5]", 5),
        ("In 2019 there were 1,234 people.", 1234),
        ("It is 8851.8 km long, as surveyed in 2009.", 8851.8),
        ("First 12.\nThen 13.\nSo it is 25.", 25),
        ("So:\n**29.00**\n", 29),
        ("12 %", 12),
        ("12 %", 0.12),
        ("0.12", "12 %"),
        ("百分之12", "12%"),
        ("12 percent", "12%"),
        ("The answer is 20%", "20"),
        ("The answer is 42!", 42),
        ("(42).", 42),
        ("[42]?", 42),
        ("3 million", 3_000_000),
        ("300万", 3_000_000),
        ("5 м", 5),
        ("-5", -5),
        ("it is −5 °C", -5),
        ("-$3.50", -3.5),
        ("from 3-5", 5),
        ("1.5e3", 1500),
        ("1.5 × 10^3 kg", 1500),
        ("3×10⁸ m/s", 300_000_000),
        ("1/4", 0.25),
        ("There are seven continents.", 7),
        ("七", 7),
        ("8.85 km", "8.85 km"),
        ("٣٫٥", 3.5),
    ],
)
def test_a_number_is_read_however_it_is_written(said: str, answer: Any) -> None:
    assert value("number", said, answer) == 1


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("The answer is 25", 5),
        ("50 is the answer", 5),
        ("33.14", 3.14),
        ("5", -5),
        ("-5", 5),
        ("10", 1.0),
        ("0.12 %", "12 %"),
        ("8850 m", "8.85 km"),
        ("First 25.\nSo it is 13.", 25),
        ("3 million", 3),
        ("none", 3),
        ("", 3),
        ("1e999999", 1),
        ("1/0", 1),
    ],
)
def test_another_number_is_wrong(said: str, answer: Any) -> None:
    assert value("number", said, answer) == 0


@pytest.mark.parametrize(
    ("spec", "said", "expected"),
    [
        ("number~1%", "101", 1),
        ("number~1%", "101.01", 0),
        ("number~.5", "100.5", 1),
        ("number~.5", "100.51", 0),
        ("number", "100.0000001", 0),
        ({"check": "number", "which": "last"}, "100, or 7", 0),
        ({"check": "number", "which": "first"}, "100, or 7", 1),
        ({"check": "number", "which": "only"}, "100, or 7", 0),
        ({"check": "number", "which": "any"}, "100\n7", 1),
        ({"check": "number", "within": "2 %", "number": 102}, "100", 1),
    ],
)
def test_a_number_may_be_near_and_one_of_several(spec: Any, said: str, expected: float) -> None:
    assert value(spec, said, 100) == expected


CHOICES = {"A": "Paris", "B": "Rome", "C": "Berlin", "D": "I don't know"}


@pytest.mark.parametrize(
    "said",
    [
        "B",
        "b",
        "(B)",
        "( B )",
        "B.",
        "**B**",
        "B) Rome",
        "Rome",
        "The answer is B.",
        "ANSWER: b",
        "answer is b.",
        "The answer is B. Note that A is a common distractor.",
        "The answer is B. C and A are wrong.",
        "The answer is B because I looked it up.",
        "I would pick B, a safe choice.",
        "A dog was there, and so the answer is B.",
        "Answer: A\nAfter checking I need to correct this.\nAnswer: B",
        "It could be A, or C.\nB",
        "答案：B",
        "答案是B。",
        r"\boxed{B}",
        "Not Berlin or Paris.\nRome",
        "B is correct.",
    ],
)
def test_the_choice_that_an_answer_names_is_found(said: str) -> None:
    assert value({"check": "choice", "choices": CHOICES}, said, "B") == 1
    assert value({"check": "choice", "choices": CHOICES}, said, "Rome") == 1
    assert value({"check": "choice", "choices": CHOICES}, said, "A") == 0


@pytest.mark.parametrize(
    "said", ["A or B", "ANSWER: AB", "Answer: A, B", "None of the above", "Answer: Both", "Banana"]
)
def test_an_answer_with_several_choices_or_none_is_wrong(said: str) -> None:
    assert value("choice: A, B, C", said, "B") == 0
    assert value("choice: A, B, C", said, "A") == 0


@pytest.mark.parametrize(
    "said",
    [
        "The answer is (A) and (B).",
        "Answer: (A)/(B)",
        "Answer: [A], [B]",
        "Answer: A + B",
        "Answer: A or maybe B",
        "Answer: A (or B)",
        "Answer: A, possibly B",
        "The answer is option A or option B.",
        "答案是A或B",
    ],
)
def test_a_hedge_names_no_choice(said: str) -> None:
    """groq/openbench#348: the first letter that fits was taken."""
    assert [value("choice: A, B, C", said, each) for each in "ABC"] == [0, 0, 0]


@pytest.mark.parametrize(
    "said",
    [
        "I would go with B because of the first law. A and C contradict it.",
        "The correct answer is option B: a city, while A is a river.",
        "I select B; A was close.",
    ],
)
def test_a_choice_is_found_behind_the_words_that_choose_it(said: str) -> None:
    assert [value("choice: A, B, C", said, each) for each in "ABC"] == [0, 1, 0]


@pytest.mark.parametrize(
    "said",
    [
        "La respuesta correcta es la C, porque A y B son ríos.",
        "Risposta: C\n\nSpiegazione: A non è corretta perché B è un fiume.",
        "A resposta correta é a letra C, pois A e B são rios.",
        "Jawaban yang benar adalah C karena A dan B salah.",
        "Jibu sahihi ni C kwa sababu A na B si sahihi.",
        "सही उत्तर C है क्योंकि A और B गलत हैं।",
        "উত্তর: C\n\nA এবং B নদী।",
        "الإجابة الصحيحة هي C لأن A و B أنهار.",
        "الإجابة الصحيحة هي (ج) مدريد",
        "คำตอบคือ C เพราะ A และ B ผิด",
        "Đáp án đúng là C vì A và B sai.",
        "Doğru cevap C şıkkıdır çünkü A ve B yanlıştır.",
        "Odpowiedź: C, ponieważ A i B są błędne.",
        "Правильный вариант — C, поскольку A и B — реки.",
        "したがって、AとBは誤りで、Cが正解です。",
        "答えはAではなくCです。",
        "따라서 C가 정답입니다. A와 B는 강입니다.",
        "정답은 A가 아니라 C입니다.",
        "La respuesta no es A, sino C.",
        "分析：A项错误；B项错误；C项正确；D项错误。",
    ],
)
def test_the_choice_is_found_in_answers_of_many_languages_that_speak_of_others_too(said: str) -> None:
    """openai/simple-evals#33 and #41: the word "answer" of each language of MMMLU, and the letters of Arabic."""
    assert [value("choice: A, B, C, D", said, each) for each in "ABCD"] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("La respuesta es A porque B es un río.", "A"),
        ("सही उत्तर A है क्योंकि B गलत है।", "A"),
        ("La respuesta no es A.", ""),
        ("सही उत्तर A नहीं है।", ""),
        ("La respuesta es A o B.", ""),
        ("Die Antwort ist A oder B.", ""),
        ("답은 A 또는 B입니다.", ""),
        ("答えはAかBです。", ""),
        ("Neither A nor B is the answer.", ""),
        ("Answer: Aéroport", ""),
        ("Thus option C is the right answer because option B fails.", "C"),
        ("Answer: C\n\nExplanation: option A would be the answer if the question was about rivers.", "C"),
        ("A - incorrect\nB - incorrect\nC - correct\nD - incorrect", "C"),
        ("A) ❌\nB) ❌\nC) ✅\nD) ❌", "C"),
        ("**A.** Paris – wrong.\n**B.** Rome – wrong.\n**C.** Madrid – right.\n**D.** Berlin – wrong.", "C"),
        ("A: No. B: No. C: Yes. D: No.", "C"),
        ("A: correct\nB: correct\nC: wrong\nD: wrong", ""),
        ('{"answer": "C", "reasoning": "A is wrong; B maybe"}', "C"),
        ("<answer>C</answer> A and B are rivers.", "C"),
        ("The correct response is (C) because (A) and (B) are rivers.", "C"),
        ("Therefore, (C). A and B are rivers", "C"),
        ("Thus B = 5 and C = 7.", ""),
    ],
)
def test_a_choice_is_told_from_those_beside_it(said: str, label: str) -> None:
    passed = [each for each in "ABCD" if value("choice: A, B, C, D", said, each)]
    assert passed == list(label)


@pytest.mark.parametrize(
    ("labels", "said", "label"),
    [
        ("1234", "The answer is 3 because 1 and 2 are rivers.", "3"),
        ("1234", "3번이 정답입니다. 1번은 강입니다.", "3"),
        ("1234", "정답은 ③입니다. ①과 ②는 강입니다.", "3"),
        ("أبجد", "الإجابة الصحيحة هي (ج) لأن (أ) و(ب) أنهار.", "ج"),
        ("АБВГ", "Правильный ответ — В, поскольку А и Б — реки.", "В"),
        ("กขคง", "คำตอบที่ถูกต้องคือ ข้อ ค. เพราะ ก. และ ข. ผิด", "ค"),
        ("アイウエ", "正解はウです。アとイは川です。", "ウ"),
        ("甲乙丙丁", "答案是丙，因为甲和乙是河流。", "丙"),
    ],
)
def test_choices_may_be_counted_by_the_signs_of_any_script(labels: str, said: str, label: str) -> None:
    check = {"check": "choice", "choices": list(labels)}
    assert [each for each in labels if value(check, said, each)] == [label]


@pytest.mark.parametrize(
    ("said", "right", "expected"),
    [
        ("Answer: B", "Answer: A", 0),
        ("Answer: A", "Answer: A", 1),
        ("Answer: (B)", "Answer: (A)", 0),
        ("Grade=F", "Grade=A", 0),
        ("The answer is A.", "A", 1),
        ("A. Paris", "A", 1),
        ("Answer: A because", "A", 1),
        ("It is a dog.", "A", 0),
        ("A dog", "A", 0),
        ("(a)", "A", 1),
        ("Vitamin A deficiency", "vitamin A", 1),
        ("Vitamin B", "vitamin A", 0),
    ],
)
def test_the_letter_a_is_no_article_behind_a_colon_or_where_it_is_the_right_answer(
    said: str, right: str, expected: float
) -> None:
    assert value("contains", said, right) == expected
    assert value("lacks", said, right) == 1 - expected


def test_a_choice_inside_of_another_is_not_named() -> None:
    assert value("choice: entailment, not entailment", "It is not entailment.", "entailment") == 0
    assert value("choice: entailment, not entailment", "It is not entailment.", "not entailment") == 1


def cited(verdict: str, address: str = "docs/handbook.md", source: int | None = 1) -> dict[str, Any]:
    return {"sentence": "It is so [1].", "source": source, "verdict": verdict, "address": address, "reason": verdict}


def test_each_citation_has_to_hold_and_there_has_to_be_one() -> None:
    held = answered("x", citations=[cited("supported"), cited("no source", source=None)])
    half = answered("x", citations=[cited("supported"), cited("not found")])
    check = parse_check("cites")
    assert check.score(held) == Score(1.0, True)
    assert check.score(half).value == 0.5
    assert not check.score(half).passed
    assert "not found" in check.score(half).why
    assert check.score(answered("x")) == Score(0.0, False, "cites nothing")


@pytest.mark.parametrize(
    ("page", "expected"),
    [("handbook.md", 1), ("docs/handbook.md", 1), ("book.md", 0), ("other.md", 0), (["other.md", "handbook.md"], 1)],
    ids=range(5),
)
def test_a_page_is_cited_by_its_address_or_its_name(page: Any, expected: float) -> None:
    citations = [cited("supported", "/tmp/docs/handbook.md#part")]
    assert value("cites_page", "x", page, citations=citations) == expected
    assert value({"check": "cites_page", "page": page}, "x", citations=citations) == expected


@pytest.mark.parametrize(
    "said",
    [
        "Nothing found: no source matches the question.",
        "I couldn't find anything about that.",
        "The documents do not mention it.",
        "没有找到相关信息。",
        "Ничего не найдено.",
        "لم أجد أي معلومات.",
        "Dazu wurde nichts gefunden.",
        "見つかりませんでした。",
    ],
)
def test_an_answer_that_says_that_nothing_was_found_is_known(said: str) -> None:
    assert value("refuses", said) == 1
    assert value({"check": "refuses", "expected": False}, said) == 0


@pytest.mark.parametrize("said", ["Paris.", "北京", "Knowledge is found in books.", "42"])
def test_an_answer_is_no_refusal(said: str) -> None:
    assert value("refuses", said) == 0
    assert not refuses(said)


def test_what_an_answer_took_is_checked() -> None:
    usage = {"requests": 3, "tool_calls": 2, "input_tokens": 100, "output_tokens": 50}
    took = answered("x", usage=usage)
    for spec, passes in [("calls<=2", True), ("calls<=1", False), ("turns<=3", True), ("turns<=2", False)]:
        assert parse_check(spec).score(took).passed is passes
    for spec, passes in [("seconds<=1.5", True), ("seconds<=1", False), ("tokens<=149", False), ("cost<=.01", True)]:
        assert parse_check(spec).score(took).passed is passes
    with pytest.raises(CheckError, match=r"check cost \(item q-1\): it is not known what cost the answer took"):
        parse_check("cost<=1").score(answered("x", cost=None))


@pytest.mark.parametrize("spec", ["exact", "lacks: x", "not_called", "refuses", "calls<=5", "f1", {"check": "json"}])
@pytest.mark.parametrize("kind", ["timeout", "APIConnectionError", "budget"])
def test_an_item_without_an_answer_counts_nothing_and_is_told(spec: Any, kind: str) -> None:
    assert parse_check(spec).score(unanswered(kind), "x") == Score(0.0, False, f"no answer: {kind}", missing=True)


@pytest.mark.parametrize("output", ["", " \n", None])
def test_an_empty_answer_is_none(output: Any) -> None:
    score = parse_check("lacks: sorry").score(answered(output, stopped="empty"))
    assert (score.value, score.missing, score.why) == (0.0, True, "no answer: empty")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("contain", "there is no check 'contain': did you mean 'contains'?"),
        ("f2", "there is no check 'f2': there are called, called_in_order, "),
        ("", "is no check"),
        (3, "is no check"),
        ({"chek": "f1"}, "names no check"),
        ("f1>=60", "a value is 0 to 1"),
        ("f1>=x", "least has to be a number"),
        ("f1~1%", "f1 has no option 'within'"),
        ("number~x", "the tolerance of a number is written 1% or 0.5"),
        ("number~-1", "the tolerance of a number"),
        ("number: none", "has no number"),
        ("number: 3 or 4", "has several numbers"),
        ({"check": "number", "which": "best"}, "which is one of answer, line"),
        ("regex: (", "the regex '(' is invalid"),
        ({"check": "regex", "pattern": "a", "flags": "q"}, "no flag of a regex"),
        ("choice", "choice needs choices"),
        ({"check": "choice", "choices": ["A", "B"], "text": "C"}, "is none of the choices"),
        ({"check": "json", "schema": {"type": "objekt"}}, "schema is not a valid JSON schema"),
        ({"check": "json", "paths": {"a[x]": 1}}, "is no path"),
        ({"check": "exact", "txt": "x"}, "has no option 'txt': did you mean 'text'?"),
        ("cites: all", "takes nothing behind a colon"),
        ("calls", "calls needs its most: calls<=5"),
        ("calls<=-1", "most has to be a number of at least 0"),
        ("called", "a tool is named by a text"),
        ("called: serch", "there is no tool 'serch': did you mean 'search'?"),
        ("only_called: search, viist", "there is no tool 'viist'"),
        ("called_in_order", "it needs the names of tools"),
        ({"check": "called", "tool": "search", "times": "often"}, "times is a number"),
        ({"check": "called", "tool": "search", "arguments": "some"}, "match is one of subset, exact, ignore"),
        ({"check": "f1", "column": "anwser"}, "there is no column 'anwser': did you mean 'answer'?"),
        ({"check": "contains", "text": "x", "column": "answer"}, "reads no column"),
        ("judge: It is polite.", "judge needs a model of its own"),
        ("judge", "judge needs a rubric"),
        ("python: nothing", "names no function"),
        ("python: no_such_module:f", "the module can't be imported: No module named"),
        ("python: math:pi", "is a float, and no function"),
        ("python: no_such_file.py:f", "the file no_such_file.py can't be imported: FileNotFoundError"),
        ("python: math:no_such", "the module math has no 'no_such'"),
    ],
    ids=range(38),
)
def test_what_is_no_check_is_told_with_its_line(spec: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_check(spec, ["search", "visit"], columns=["answer", "language"], line=7)
    assert str(raised.value).startswith("line 7: check ")
    assert message in str(raised.value)


def test_an_item_whose_answer_can_not_be_compared_is_told_before_anything_is_asked() -> None:
    check = parse_check({"check": "number", "column": "year"}, line=3)
    assert check.reads == "year"
    check.accept(None, {"year": 1971})
    for columns in ({}, {"year": None}, {"year": "long ago"}, {"year": True}):
        with pytest.raises(CheckError, match=r"check number \(line 3\): "):
            check.accept(None, columns)
    with pytest.raises(CheckError, match="has to be a text, a number or a list"):
        parse_check("f1").accept(None)
    with pytest.raises(CheckError, match="the regex '\\(' is invalid"):
        parse_check("regex").accept("(")
    parse_check("cites").accept(None)


def test_a_column_takes_the_place_of_the_answer() -> None:
    check = parse_check({"check": "exact", "column": "capital"}, columns=["capital"])
    assert check.score(answered("Oslo", item={"capital": "Oslo"}), "Bergen").value == 1
    with pytest.raises(CheckError, match="there is no column 'capital'"):
        check.score(answered("Oslo"), "Oslo")


def test_a_check_tells_what_it_needs() -> None:
    assert parse_check("called: search").needs == {"tool_calls"}
    assert parse_check("f1").needs == frozenset()
    assert {"f1", "judge", "called", "cost", "python"} <= set(kinds())


def raises(record: Any, answer: Any) -> bool:
    raise KeyError("colour")


def says_nan(record: Any, answer: Any) -> float:
    return math.nan


def says_nothing(record: Any, answer: Any) -> None:
    return None


def is_short(record: Any, answer: Any) -> tuple[bool, str]:
    return len(record["output"]) <= answer, f"{len(record['output'])} characters"


@pytest.mark.parametrize("name", ["raises", "says_nan", "says_nothing"])
def test_a_check_that_fails_is_an_error_and_no_score(name: str) -> None:
    # vibrantlabsai/ragas#794, #542: a value that could not be computed became NaN, and so did the mean
    check = parse_check(f"python: {__name__}:{name}", line=4)
    with pytest.raises(CheckError, match=r"check python \(item q-1, line 4\): ") as raised:
        check.score(answered("red"))
    assert name != "raises" or "KeyError: 'colour'" in str(raised.value)


def test_a_function_of_a_module_or_a_file_is_a_check(tmp_path: Path) -> None:
    check = parse_check(f"python: {__name__}:is_short")
    assert check.score(answered("abc"), 3) == Score(1.0, True)
    assert check.score(answered("abcd"), 3) == Score(0.0, False, "4 characters")
    path = tmp_path / "own_checks.py"
    path.write_text("def half(record, answer):\n    return .5\n", encoding="utf-8")
    assert parse_check(f"python: {path}:half").score(answered("x")).value == 0.5


def test_a_regex_that_would_run_for_hours_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    check = parse_check("regex: (a+)+b")
    assert check.score(answered("aaab")).passed
    monkeypatch.setattr("agentkit.evaluation.regexes.MOST_SECONDS", 0.3)
    with pytest.raises(CheckError, match=r"did not end in 0\.3 s over 60 characters"):
        check.score(answered("a" * 60))


def test_a_text_that_is_lacking_is_named() -> None:  # promptfoo/promptfoo#1595
    score = parse_check({"check": "contains", "text": ["Paris", "Rome", "Oslo"]}).score(answered("Paris and Rome"))
    assert score.why == 'lacks "Oslo"'


def test_a_score_goes_to_json_and_back() -> None:
    for score in (Score(0.5, True, "so"), Score(0.0, False, missing=True), Score(1.0, True, spent={"cost": 0.1})):
        assert Score.from_json(score.as_json()) == score
    assert Score(0.5, True, "so").as_json() == {"value": 0.5, "passed": True, "why": "so"}
    for broken in (None, {}, {"value": math.nan}, {"value": "1"}, {"value": 2}, {"value": True}):
        with pytest.raises(CheckError, match="is no score"):
            Score.from_json(broken)


def test_tools_need_not_be_known() -> None:
    parse_check("called: anything")
    with pytest.raises(ConfigurationError, match="the agent has no tools"):
        parse_check("called: anything", [])
    assert Known.of(["a"]).tools == {"a": None}


ANY = st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner), max_leaves=4)


@pytest.mark.parametrize(
    "spec", ["exact: x", "f1: x y", "number: 3", "choice: A, B", "json", "cites", "refuses", "lacks: x"], ids=range(8)
)
@settings(max_examples=25)
@given(said=st.text() | st.text(alphabet='A B.1,-%e[]{}"\n') | ANY)
def test_any_answer_gets_a_score(spec: str, said: Any) -> None:
    check = parse_check({"check": "choice", "choices": ["A", "B"], "text": "A"} if spec.startswith("choice") else spec)
    score = check.score(answered(said))
    assert 0 <= score.value <= 1
    assert len(score.why) <= 300


@pytest.mark.parametrize("unit", ["1,234 ", "1.", "1/", "1e5 ", "A ", "answer: ", "answer A. ", "-", "[1]", "５，"])
def test_long_answers_are_read_in_linear_time(unit: str) -> None:
    check = parse_check({"check": "choice", "choices": ["A", "B"], "text": "A"})
    assert_linear(lambda size: (quantities(unit * size), check.score(answered(unit * size))), 2_000)


# What a review of the checks has found


@pytest.mark.parametrize("empty", ["", " \n", [""], ["Paris", " "]], ids=range(4))
@pytest.mark.parametrize("spec", ["contains", "exact", "f1", "lacks", "regex", "cites_page"])
def test_an_empty_right_answer_is_a_mistake_of_the_set(spec: str, empty: Any) -> None:
    with pytest.raises(CheckError, match="the right answer is empty"):
        parse_check(spec).accept(empty)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("The capital is Paris—the largest city.", "Paris"),
        ("Paris/Lyon", "Paris"),
        ("It lasted 1941–1945.", "1945"),
        ("Kendall's copy", "Kendall"),
        ("Answer:Paris", "Paris"),
        ("10–20 km", "20 km"),
        ("See [Paris](https://x)", "Paris"),
        ("Лев Толстой—писатель", "Толстой"),
        ("In the U.S. it is so.", "US"),
        ("It has 1,234–1,300 pages.", "1234"),
    ],
)
def test_words_are_parted_at_punctuation(said: str, answer: str) -> None:
    assert value("contains", said, answer) == 1
    assert value("f1", said, answer) > 0


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("-5", "5"),
        ("−5", "5"),
        ("minus 5", "5"),
        ("1,5", "15"),
        ("10⁶", "106"),
        ("10^6", "106"),
        ("1/2", "12"),
        ("½", "12"),
        (".5", "5"),
        ("C#", "C++"),
        ("C", "C++"),
        ("Hepatitis A", "Hepatitis"),
        ("Hepatitis B", "Hepatitis A"),
        ("?", "!"),
    ],
)
def test_texts_that_differ_in_a_sign_are_two(said: str, answer: str) -> None:
    assert value("exact", said, answer) == value("exact", answer, said) == 0
    assert value("contains", f"It is {said}", answer) == float(answer == "Hepatitis")
    assert value("exact", said, said) == 1


@pytest.mark.parametrize(("said", "answer"), [("10^6", "10⁶"), ("−5", "minus 5"), (".5", "0.5"), ("½", "1/2")])
def test_a_sign_may_be_written_in_two_ways(said: str, answer: str) -> None:
    assert value("exact", said, answer) == 1


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        (".5", 0.5, 1),
        ("-.5", -0.5, 1),
        ("p < .05", 0.05, 1),
        ("$.50", 0.5, 1),
        (".5", 5, 0),
        ("0.5", ".5", 1),
        ("½", 0.5, 1),
        ("2½ cups", 2.5, 1),
        ("minus 5", -5, 1),
        ("负5", -5, 1),
        ("zero", 0, 1),
        ("one", 1, 1),
        ("No one", 1, 0),
        ("It is 5.\n\nI hope this helps, 24 hours a day!", 5, 1),
        ("5 km.\n\nSource: page 12 of the report.", 5, 1),
        ("**42**\n\n(Figures of 2024.)", 42, 1),
        ("The answer is 12.\n\nThat is 5 more than 7.", 12, 1),
        ("The answer is 12.\n\nThat is 5 more than 7.", 7, 0),
        ("12 + 13 = 25", 25, 1),
        ("12 + 13 = 25", 12, 0),
        ("Sources: 12 and 13", 12, 1),
        (r"\boxed{72} of 80", 72, 1),
    ],
)
def test_the_number_that_is_stated_is_compared(said: str, answer: Any, expected: float) -> None:
    assert value("number", said, answer) == expected


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("not B", ""),
        ("Answer: B. Option A is incorrect.", "B"),
        ("B\n\nExplanation: A is wrong because it is a river.", "B"),
        ("The answer is (B) because A is wrong.", "B"),
        ("Final answer: B (not A)", "B"),
        ("The answer isn't A, it's D.", "D"),
        ("Options A and B are wrong; C is right.", "C"),
        ("C, because A is too small", "C"),
        ("选项B正确", "B"),
        ("正确答案是C，因为A错误。", "C"),
        ("Ｂ", "B"),
        ("A: no.\nB: yes.\nSo the answer is B", "B"),
    ],
)
def test_a_choice_that_is_said_to_be_wrong_is_not_named(said: str, label: str) -> None:
    passed = [each for each in "ABCD" if value("choice: A, B, C, D", said, each)]
    assert passed == list(label)


def test_a_choice_at_the_beginning_is_the_one() -> None:
    assert value("choice: yes, no", "Yes, there is no doubt.", "yes") == 1
    assert value("choice: positive, negative", "It is not positive but negative.", "negative") == 1
    assert value("choice: positive, negative", "Not positive.", "positive") == 0


@pytest.mark.parametrize(
    "said",
    [
        "I don't have enough information to answer.",
        "I wasn't able to find it.",
        "I'm sorry. I can't answer that from the given documents.",
        "This isn't mentioned in the documents.",
        "The provided context does not include the answer.",
        "There's nothing about this in the sources.",
        "None of the documents mention the price.",
        "Das steht nicht in den Dokumenten.",
        "Les documents ne mentionnent pas cela.",
        "No he encontrado nada.",
        "资料中没有记载。",
        "В источниках ничего не сказано.",
        "لا تذكر الوثائق ذلك",
        "該当する情報はありません。",
        "정보를 찾을 수 없었습니다.",
    ],
)
def test_what_the_documents_do_not_say_is_a_refusal(said: str) -> None:
    assert refuses(said)


@pytest.mark.parametrize(
    "said",
    [
        "He was unable to attend, so the prize went to Harrison in 1773.",
        "The lake does not contain fish; it covers 12 km².",
        "According to the documents, the lake does not contain fish.",
        "Platinum is not known to rust.",
        "No such clock existed before H4.",
        "No evidence of life was found on Mars by Viking in 1976.",
        "H4 was 5.1 seconds slow. The documents do not mention the temperature.",
        "不知道火药何时发明，但最早记载是904年。",
        "Die Quelle ist nicht weit von Ulm.",
        "他没有孩子。",
    ],
)
def test_an_answer_with_a_negation_is_no_refusal(said: str) -> None:
    assert not refuses(said)


@pytest.mark.parametrize("unit", ["not ", "the source ", "i do ", "nicht in ", "text ", "no a ", "не ", "لا "])
def test_refusals_are_looked_for_in_linear_time(unit: str) -> None:
    assert_linear(lambda size: refuses(unit * size), 2_000)


def test_alternatives_and_references_of_a_regex_are_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentkit.evaluation.regexes.MOST_SECONDS", 0.3)
    with pytest.raises(CheckError, match=r"did not end in 0\.3 s"):
        parse_check(f"regex: {'(a|a)' * 34}b").score(answered("a" * 34 + "c"))


def test_a_schema_that_refers_to_nothing_is_told_before_anything_is_asked() -> None:
    for reference in ("#/$defs/city", "http://127.0.0.1:9/schema.json", "other.json"):
        with pytest.raises(ConfigurationError, match="the schema refers to"):
            parse_check({"check": "json", "schema": {"properties": {"a": {"$ref": reference}}}})
    defined = {"$ref": "#/$defs/city", "$defs": {"city": {"type": "string"}}}
    assert value({"check": "json", "schema": defined}, '"Oslo"') == 1


def test_json_of_a_table_and_with_a_byte_order_mark_is_read() -> None:
    check = {"check": "json", "equals": True}
    assert value(check, '\ufeff{"a": 1}', '{"a": 1}') == 1
    assert value(check, '"Oslo"', "Oslo") == 1
    for empty in (None, " "):
        with pytest.raises(CheckError, match="has no answer that is JSON"):
            parse_check(check).accept(empty)
