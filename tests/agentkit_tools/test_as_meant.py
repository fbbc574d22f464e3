"""Addresses and paths are found as models write them, and only where one can be meant."""

from pathlib import Path

import pytest

from agentkit import ToolError
from agentkit_tools import documents, page_visitor
from agentkit_tools.as_meant import addresses_in, as_meant
from tests.support.growth import assert_linear
from tests.support.site import Site


@pytest.mark.parametrize(
    "written",
    [
        "<{}>",
        "[the article]({})",
        "[2] {}",
        "source: {}",
        "[2] source: {}",
        '"{}"',
        "`{}`",
        " {}\n",
        "URL: {}",
        "view-source:{}",
    ],
)
def test_an_address_is_visited_as_a_model_copies_it(site: Site, written: str) -> None:
    found = page_visitor(allow=[site.address])([written.format(site.url + "/article")], "the height")
    assert found.splitlines()[1] == f"source: {site.url}/article"


def test_several_addresses_in_one_text_are_visited(site: Site) -> None:
    both = f"{site.url}/article, {site.url}/text\n{site.url}/pdf"
    found = page_visitor(allow=[site.address])([both], "the height")
    assert [line for line in found.splitlines() if line.startswith("source:")] == [
        f"source: {site.url}/{name}" for name in ("article", "text", "pdf")
    ]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("www.example.org", "https://www.example.org"),
        ("example.org/a?b=c", "https://example.org/a?b=c"),
        ("en.wikipedia.org/wiki/README.md", "https://en.wikipedia.org/wiki/README.md"),
        ("//example.org/a", "https://example.org/a"),
        ("example.org:8080/a", "https://example.org:8080/a"),
        ("https://example.org/a,b", "https://example.org/a,b"),
        (
            "https://web.archive.org/web/2020/https://example.org",
            "https://web.archive.org/web/2020/https://example.org",
        ),
        ("https://example.org/a_(b)", "https://example.org/a_(b)"),
    ],
)
def test_an_address_without_a_scheme_gets_that_of_the_web(written: str, address: str) -> None:
    assert list(addresses_in(written)) == [address]


@pytest.mark.parametrize(
    "written",
    ["README.md", "notes.txt", "/etc/passwd", "file:///etc/passwd", "10.1038/nature12373", "localhost", "[1]", "7"],
)
def test_what_is_no_address_stays_what_it_is(written: str) -> None:
    assert list(addresses_in(written)) == [written]
    with pytest.raises(ToolError, match="is not fetched: only http:// and https:// URLs are allowed"):
        page_visitor()([written], "x")


@pytest.mark.parametrize("text", ["[a](", "[1] ", "a.", " https://a ", '"', "<", " "])
def test_what_is_written_is_read_in_linear_time(text: str) -> None:
    assert_linear(lambda size: list(addresses_in(text * size + "x")), 20_000)


# Documents


def reading(folder: Path, path: str) -> str:
    (folder / "notes").mkdir(exist_ok=True)
    (folder / "notes" / "Harbour report 2024.md").write_text("# The harbour\n\nIt opened in 1871.\n")
    (folder / "a.txt").write_text("One.")
    (folder / "notes" / "a.txt").write_text("Two.")
    found: str = documents(folder, keep_index=False)[1]([path], "anything")
    return found.splitlines()[1].removeprefix("source: ")


@pytest.mark.parametrize(
    "written",
    [
        "[1] notes/Harbour report 2024.md",
        "source: notes/Harbour report 2024.md",
        "`notes/Harbour report 2024.md`",
        "[The harbour](notes/Harbour%20report%202024.md)",
        "notes/Harbour report 2024.md#L3",
        "NOTES/harbour report 2024.MD",
        "Harbour report 2024.md",
        "harbour report 2024",
        "The harbour",
    ],
)
def test_a_document_is_read_by_what_can_only_mean_its_path(tmp_path: Path, written: str) -> None:
    assert reading(tmp_path, written) == "notes/Harbour report 2024.md"


def test_a_path_comes_before_what_is_like_it(tmp_path: Path) -> None:
    assert reading(tmp_path, "a.txt") == "a.txt"
    assert reading(tmp_path, "notes/a.txt") == "notes/a.txt"


def test_what_may_mean_two_documents_is_an_error_that_names_both(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"document 'A' not found. The closest matches are: .*a\.txt"):
        reading(tmp_path, "A")


@pytest.mark.parametrize("text", ["", " ", "[]()", '""', "[1]", "source:", "()"])
def test_nothing_else_becomes_empty(text: str) -> None:
    assert as_meant(text) == (text.strip() if text.strip() else "")
