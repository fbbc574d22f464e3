"""The built-in default backend: it searches, reads, and quotes with sources; no model."""

from pathlib import Path

import pytest

from agentkit import Agent, Limits, Tool, tool
from agentkit.backends.extractive import NO_MODEL, NOTHING_FOUND, ExtractiveBackend
from agentkit_tools import documents, page_visitor, web_search
from tests.support.site import Site

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
