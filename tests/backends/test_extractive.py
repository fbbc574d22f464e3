"""The built-in default backend: it searches, reads, and quotes with sources; no model."""

from pathlib import Path

import pytest

from agentkit import Agent, Limits, Tool, tool
from agentkit.backend import NO_ANSWER
from agentkit.backends.extractive import (
    NO_MODEL,
    NO_MODEL_IN_CHINESE,
    NOTHING_FOUND,
    NOTHING_FOUND_IN_CHINESE,
    ExtractiveBackend,
)
from agentkit_tools import documents, page_visitor, web_search
from tests.support.site import Site

IN_CHINESE = Path(__file__).parents[2] / "examples" / "documents_zh"
DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"


@pytest.mark.parametrize(
    ("question", "quote", "source"),
    [
        ("How accurate was Harrison's H4 on its voyage to Jamaica?", "only 5.1 seconds slow", "06-h4-trials.html"),
        ("Which ships were lost in the Scilly disaster?", "the Association, the Eagle", "02-scilly-1707.txt"),
        ("Who computed the tables of the moon for lunar distances?", "Tobias Mayer", "04-lunar-distances.rst"),
        ("What did Galileo offer to Spain?", "Galileo offered the method", "10-jupiters-moons.pdf"),
        ("How many chronometers did HMS Beagle carry?", "22 chronometers", "08-chronometers-for-all.md"),
        ("How many delegates met in Washington in 1884?", "41 delegates from 25 countries", "09-prime-meridian.md"),
    ],
)
def test_a_question_is_answered_with_quotes_and_their_sources(question: str, quote: str, source: str) -> None:
    result = Agent("extractive", tools=documents(DOCUMENTS)).run(question)
    assert result.output.startswith(NO_MODEL)
    quoted = next(line for line in result.output.splitlines() if quote in line)
    number = quoted[quoted.rindex("[") :]
    sources = result.output.partition("Sources:\n")[2]
    assert any(line.startswith(number) and line.endswith(source) for line in sources.splitlines())
    assert [record.name for record in result.tool_calls] == ["search_documents", "read_document"]


@pytest.mark.parametrize("question", ["What do bananas cost?", "?", "Who won the 2031 chess olympiad in Tromsø?"])
def test_nothing_found_is_reported(question: str) -> None:
    assert Agent("extractive", tools=documents(DOCUMENTS)).run(question).output == NOTHING_FOUND


def test_every_quote_occurs_verbatim_in_its_source() -> None:
    result = Agent("extractive", tools=documents(DOCUMENTS)).run("What was the reward of the Longitude Act?")
    texts = " ".join(" ".join(record.response.split()) for record in result.tool_calls)
    quotes = [line[2 : line.rindex(" [")] for line in result.output.splitlines() if line.startswith("- ")]
    assert quotes
    assert all(quote in texts for quote in quotes)
    assert len(set(quotes)) == len(quotes)


def test_streaming_gives_the_same_answer(tmp_path: Path) -> None:
    from agentkit.event import TextDelta

    agent = Agent("extractive", tools=documents(DOCUMENTS))
    run = agent.stream("How accurate was H4 on its voyage to Jamaica?")
    text = "".join(event.text for event in run if isinstance(event, TextDelta))
    assert run.result is not None
    assert text == run.result.output == agent.run("How accurate was H4 on its voyage to Jamaica?").output


def test_web_pages_are_searched_and_read(site: Site) -> None:
    tools: list[Tool[..., str]] = [
        web_search("searxng", base_url=site.url + "/searxng"),
        page_visitor(allow=[site.address]),
    ]
    result = Agent("extractive", tools=tools).run("How high is the Tallow lighthouse?")
    assert "31 metres" in result.output
    assert f"{site.url}/article" in result.output
    assert [record.name for record in result.tool_calls] == ["search", "visit"]


def test_a_follow_up_question_is_searched_again() -> None:
    agent = Agent("extractive", tools=documents(DOCUMENTS))
    first = agent.run("Which ships were lost in the Scilly disaster?")
    second = agent.run("How many chronometers did HMS Beagle carry?", messages=first.messages)
    assert "22 chronometers" in second.output
    assert "Association" not in second.output


def test_at_a_limit_it_answers_from_what_it_has() -> None:
    agent = Agent("extractive", tools=documents(DOCUMENTS), limits=Limits(turns=1))
    result = agent.run("How many chronometers did HMS Beagle carry?")
    assert result.stopped == "turns"
    assert "22 chronometers" in result.output


def test_any_tools_with_a_search_work() -> None:
    @tool(read_only=True)
    def wiki_search(q: str) -> str:
        """Search the wiki."""
        return "https://wiki.example/moss (about moss)"

    @tool(read_only=True)
    def open_page(url: str, question: str) -> str:
        """Open a page."""
        return f"Moss grows on the north side of old oak trees. ({url})"

    result = Agent("extractive", tools=[wiki_search, open_page]).run("Where does moss grow?")
    assert "Moss grows on the north side" in result.output


def test_without_tools_it_says_that_it_found_nothing() -> None:
    assert Agent("extractive").run("Where does moss grow?").output == NOTHING_FOUND


def test_a_failed_search_is_not_an_answer_and_is_reported() -> None:
    @tool(read_only=True)
    def search(query: str) -> str:
        """Search."""
        raise ConnectionError("moss grow moss grow")

    output = Agent(ExtractiveBackend(), tools=[search]).run("Where does moss grow?").output
    assert output == f"{NOTHING_FOUND}\nsearch: Error: search raised ConnectionError: moss grow moss grow"


@pytest.mark.parametrize(
    ("question", "quote", "source"),
    [
        ("《茶经》是谁写的？", "唐代的陆羽", "01-茶叶的起源.md"),
        ("乌龙茶的发酵程度是什么？", "半发酵", "02-六大茶类.md"),
        ("茶马司是哪一年设立的？", "1074年", "03-茶马古道.txt"),
        ("1866年的飞剪船竞赛航行了多少天？", "99天", "04-海上的茶.md"),
        ("紫砂壶烧制的温度是多少？", "1180摄氏度", "06-紫砂壶.html"),
        ("錫蘭茶園是誰開闢的？詹姆斯·泰勒？", "詹姆斯·泰勒", "07-阿萨姆与锡兰.md"),
    ],
)
def test_a_chinese_question_is_answered_in_chinese(question: str, quote: str, source: str) -> None:
    result = Agent("extractive", tools=documents(IN_CHINESE)).run(question)
    assert result.output.startswith(NO_MODEL_IN_CHINESE)
    quotes, _, sources = result.output.partition("来源：\n")
    assert quote in quotes
    assert source in sources
    assert "**" not in quotes


@pytest.mark.parametrize(
    ("question", "nothing"),
    [("珠穆朗玛峰有多高？", NOTHING_FOUND_IN_CHINESE), ("How high is Mount Everest?", NOTHING_FOUND)],
)
def test_the_finish_reason_says_that_nothing_was_found(question: str, nothing: str) -> None:
    result = Agent("extractive", tools=documents(IN_CHINESE)).run(question)
    assert (result.output, result.finish_reason, result.stopped) == (nothing, "nothing_found", "answer")


def test_files_that_were_not_read_are_named_when_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    (tmp_path / "a.txt").write_text("Moss grows on oaks.")
    output = Agent("extractive", tools=documents(tmp_path)).run("How high is Mount Everest?").output
    assert output.startswith(NOTHING_FOUND + "\n(broken.pdf was not read: ")


@pytest.fixture
def manual(tmp_path: Path) -> Path:
    """A folder with documents on two cities and on a program."""
    for city, people, area in (("Oslo", "709,000", "480"), ("Bergen", "291,000", "465")):
        (tmp_path / f"{city}.md").write_text(
            f"# {city}\n\n{city} is a city in Norway.\n\n## Population\n\nThe population is {people} people.\n\n"
            f"## Area\n\nIts area is {area} square kilometres.\n"
        )
    (tmp_path / "program.rst").write_text(
        "Program\n=======\n\nInstall the **program** with `pip <https://pip.example>`_::\n\n    pip install program\n"
        "    program --version\n\nOptions\n-------\n\n--verbose   print every step\n--quiet     print only errors\n"
    )
    return tmp_path


def test_a_follow_up_is_about_the_subject_of_the_conversation(manual: Path) -> None:
    agent = Agent("extractive", tools=documents(manual))
    first = agent.run("Is Bergen a city in Norway?")
    second = agent.run("And its population?", messages=first.messages)
    assert "291,000" in _quotes(second.output)[0]
    third = agent.run("What about the area?", messages=second.messages)
    assert "465 square kilometres" in _quotes(third.output)[0]


def test_a_chinese_follow_up_is_about_the_subject_of_the_conversation() -> None:
    agent = Agent("extractive", tools=documents(IN_CHINESE))
    first = agent.run("飞剪船是什么？")
    second = agent.run("它在1866年的比赛航行了多少天？", messages=first.messages)
    assert "99天" in _quotes(second.output)[0]


def test_code_is_quoted_as_it_is_with_its_introduction(manual: Path) -> None:
    output = Agent("extractive", tools=documents(manual)).run("How do I install the program?").output
    assert "- Install the program with pip: [1]\n  ```\n  pip install program\n  program --version\n  ```" in output


def test_the_line_that_defines_an_option_is_quoted(manual: Path) -> None:
    output = Agent("extractive", tools=documents(manual)).run("What does the option --quiet do?").output
    assert _quotes(output)[0] == "- --quiet print only errors [1]"


def test_a_title_may_have_the_subject_of_the_question(manual: Path) -> None:
    output = Agent("extractive", tools=documents(manual)).run("How large is the area of Oslo?").output
    assert "480 square kilometres" in _quotes(output)[0]


def test_a_failed_read_leaves_the_hits_of_the_search() -> None:
    @tool(read_only=True)
    def wiki_search(q: str) -> str:
        """Search the wiki."""
        return "[1] Moss\nsource: https://wiki.example/moss\nMoss grows on the north side of old oak trees."

    @tool(read_only=True)
    def open_page(url: str) -> str:
        """Open a page."""
        raise ConnectionError("no route")

    output = Agent(ExtractiveBackend(), tools=[wiki_search, open_page]).run("Where does moss grow?").output
    assert _quotes(output) == ["- Moss grows on the north side of old oak trees. [1]"]


def _quotes(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("- ")]


SHORT_QUESTIONS = [
    ("泡绿茶的水温是多少？", "绿茶：80摄氏度左右"),
    ("红茶怎么泡？", "红茶：90到95摄氏度"),
    ("茶经是什么时候写的？", "约在公元780年写成《茶经》"),
    ("供春是谁？", "书童供春"),
    ("谁写了茶经？", "唐代的陆羽"),
    ("硬水是什么？", "含钙和镁太多的硬水"),
]


@pytest.mark.parametrize(("question", "quote"), SHORT_QUESTIONS)
def test_a_short_chinese_question_is_answered_first(question: str, quote: str) -> None:
    output = Agent("extractive", tools=documents(IN_CHINESE)).run(question).output
    assert quote in next(line for line in output.splitlines() if line.startswith("- "))


MANY_LANGUAGES = {
    "ja.md": "# 富士山\n\n富士山は日本で最も高い山で、標高は3776メートルです。最後の噴火は1707年でした。",
    "th.txt": "ช้างไทย\n\nช้างเป็นสัตว์ประจำชาติ ช้างหนักประมาณ 4,000 กิโลกรัม\n\nช้างกินหญ้าและผลไม้ วันละ 150 กิโลกรัม",
    "hi.md": "# ताजमहल\n\nताजमहल आगरा में यमुना नदी के किनारे है। इसे शाहजहाँ ने बनवाया था।",
    "de.md": "# Kölner Dom\n\nDer Bau begann 1248. Am 15. Oktober 1880 wurde die Vollendung gefeiert.",
    "es.md": "# La paella\n\nLa paella nació en Valencia. Lleva arroz, azafrán y pollo.",
}


@pytest.fixture(scope="module")
def many_languages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("languages")
    for name, text in MANY_LANGUAGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("question", "quote"),
    [
        ("富士山はいつ噴火しましたか？", "1707年"),
        ("ช้างกินอะไร", "ช้างกินหญ้าและผลไม้"),
        ("ताजमहल कहाँ है?", "आगरा में"),
        ("Wann wurde die Vollendung gefeiert?", "Am 15. Oktober 1880 wurde die Vollendung gefeiert."),
        ("¿Qué lleva la paella?", "arroz, azafrán y pollo"),
    ],
)
def test_a_question_is_answered_in_its_language(many_languages: Path, question: str, quote: str) -> None:
    output = Agent("extractive", tools=documents(many_languages)).run(question).output
    assert quote in next(line for line in output.splitlines() if line.startswith("- "))


@pytest.mark.parametrize(
    "question", ["東京の人口は？", "แมวราคาเท่าไร", "दिल्ली में कितने लोग हैं?", "¿Quién ganó el mundial?"]
)
def test_nothing_is_found_in_its_language(many_languages: Path, question: str) -> None:
    assert Agent("extractive", tools=documents(many_languages)).run(question).finish_reason == NO_ANSWER


def test_a_name_that_is_not_there_counts_more_than_other_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Harrison built a clock for the navy in 1735. The crew of the ship praised it.")
    agent = Agent("extractive", tools=documents(tmp_path))
    assert agent.run("Which clock did old Harrison assemble?").finish_reason == "stop"
    assert agent.run("Which clock did old Kendall assemble?").finish_reason == NO_ANSWER


def test_what_several_sources_say_in_the_same_words_is_quoted_once(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.txt").write_text("The Vasa sank in Stockholm harbour in 1628 on its maiden voyage.\n")
    result = Agent("extractive", tools=documents(tmp_path)).run("When did the Vasa sink?")
    assert len(_quotes(result.output)) == 1
