"""The index of tools: which of them a question finds."""

import time
from typing import Any

import pytest

from agentkit import Tool
from agentkit.retrieval.near_words import near, stem
from agentkit.tooling.tool_index import ToolIndex, parted
from benchmarks.tool_search import found_share, questions, tools
from tests.support.growth import assert_linear

ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}


def made(name: str, description: str = "Nothing.", parameters: dict[str, Any] = ANYTHING) -> Tool[..., Any]:
    return Tool(name, description, parameters, lambda **values: "done")


def best(question: str, *tools: Tool[..., Any], place: str = "") -> list[str]:
    return [each.name for each in ToolIndex((each, place) for each in tools).best(question, 5)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("get_weather", "get weather"),
        ("getWeather", "get Weather"),
        ("getHTTPStatus", "get HTTP Status"),
        ("weather.forecast-daily", "weather forecast daily"),
        ("XMLParser", "XML Parser"),
    ],
)
def test_the_words_of_a_name_are_told_apart(name: str, words: str) -> None:
    assert parted(name) == words


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("add a person", "addPerson"),
        ("addPerson", "addPerson"),
        ("add_person", "addPerson"),
        ("parse XML", "XMLParser"),
        ("base64 of this text", "base64_encode"),
        ("base 64", "base64_encode"),
        ("buckets in s3", "s3_list"),
        ("what is in the icd 10 code", "icd10_lookup"),
        ("github issue", "createGitHubIssue"),
    ],
)
def test_a_tool_is_found_by_the_words_of_its_name(question: str, name: str) -> None:
    others = [made(f"other_{place}", "Something else with a text.") for place in range(9)]
    assert best(question, *others, made(name))[:1] == [name]


def test_a_word_in_the_name_counts_more_than_in_the_description_and_there_more_than_in_the_parameters() -> None:
    said = {"type": "object", "properties": {"x": {"type": "string", "description": "the invoice"}}}
    tools = [made("a", parameters=said), made("b", "Works on an invoice."), made("invoice")]
    assert best("invoice", *tools) == ["invoice", "b", "a"]


def test_names_descriptions_and_choices_of_parameters_are_found_wherever_they_stand() -> None:
    deep = {
        "type": "object",
        "properties": {"outer": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/Inner"}}]}},
        "$defs": {
            "Inner": {
                "type": "object",
                "properties": {"zipCode": {"type": "string"}, "kind": {"enum": ["parcel", "letter"]}},
            }
        },
    }
    for question in ("zip", "letter", "outer"):
        assert best(question, made("a"), made("b", parameters=deep)) == ["b"]


def test_the_place_of_a_tool_is_a_part_of_its_name() -> None:
    index = ToolIndex([(made("search"), "jira"), (made("search_all"), "confluence")])
    assert [each.name for each in index.best("search in Confluence", 1)] == ["search_all"]


@pytest.mark.parametrize(
    ("question", "description"),
    [
        ("北京的天气怎么样", "查询城市的天气预报"),
        ("какая погода в Москве", "Прогноз погоды в городе"),
        ("¿Qué tiempo hará mañana?", "Predicción del tiempo"),
        ("Übersetze diesen Text", "Übersetzt einen Text"),
        ("パリの天気", "都市の天気を返します"),
    ],
)
def test_other_languages_are_found_in_their_own(question: str, description: str) -> None:
    others = [made(f"other_{place}", text) for place, text in enumerate(["发送邮件", "Отправить письмо", "Send mail"])]
    assert best(question, *others, made("the_one", description))[:1] == ["the_one"]


@pytest.mark.parametrize("question", ["", "   ", "the of and", "?!", "12345", "qqqq", "\ud800", "a" * 100_000])
def test_what_says_nothing_finds_nothing(question: str) -> None:
    assert best(question, made("get_weather", "The weather of the city.")) == []


def test_tools_that_are_equally_good_stand_in_their_order() -> None:
    tools = [made(f"mail_{letter}", "Mail.") for letter in "dxcb"]
    assert best("mail", *tools) == ["mail_d", "mail_x", "mail_c", "mail_b"]


@pytest.mark.parametrize(
    "words",
    [
        "convert converts converted converting",
        "city cities",
        "calculate calculating calculated calculation calculator",
        "stop stopped stopping stops",
        "box boxes",
        "address addresses",
    ],
)
def test_forms_of_a_word_have_one_stem(words: str) -> None:
    assert len(set(map(stem, words.split()))) == 1


def test_short_words_and_other_scripts_have_no_other_stem() -> None:
    for word in ("is", "bus", "gas", "天气", "погода", "ring", "sing"):
        assert stem(word) == word


def test_words_that_mean_the_same_are_near_to_each_other() -> None:
    assert stem("movie") in near(stem("films"))
    assert stem("film") in near(stem("movies"))
    assert near("zzz") == frozenset()
    assert best("buy", made("purchase_item"), made("other")) == ["purchase_item"]


def test_a_schema_without_end_is_read_up_to_a_limit() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    schema["properties"]["again"] = schema  # as a reader of references may make it
    tool = made("a")
    tool.parameters = schema
    assert best("again", tool) == ["a"]
    large = {"type": "object", "properties": {f"p{n}": {"description": "word " * 400} for n in range(500)}}
    assert best("word", made("b", parameters=large)) == ["b"]


def test_long_texts_are_read_in_linear_time() -> None:
    for unit in ("aB", "a1", "A", "_", "word ", "天"):
        assert_linear(lambda size, unit=unit: best(unit * size, made("get_weather", unit * size)), 4_000)  # type: ignore[misc]


def test_a_thousand_tools_are_indexed_at_once() -> None:
    """About 80 ms for 925 tools, and less than 10 ms again; the limits leave room for a busy machine."""
    given = tools()
    ToolIndex(given)
    begun = time.process_time()
    index = ToolIndex(given)
    assert time.process_time() - begun < 0.5
    begun = time.process_time()
    for question in questions():
        index.best(question["question"], 5)
    assert (time.process_time() - begun) / len(questions()) < 0.01


@pytest.mark.parametrize(
    ("style", "size", "best_of", "least"),
    [("explicit", 100, 5, 0.96), ("explicit", 300, 5, 0.93), ("explicit", 925, 5, 0.9), ("twins", 925, 8, 0.91)],
)
def test_questions_find_all_tools_that_they_need(style: str, size: int, best_of: int, least: float) -> None:
    share, count = found_share(questions("held-out"), size, best_of, style, draws=8 if size == 100 else 3)
    assert count >= 20
    assert share >= least
