"""The tool pack: search, visit, load_image and documents, against a site on loopback and real files."""

import io
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, ConfigurationError, Tool, ToolError
from agentkit.errors import BlockedAddressError
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents, image_loader, load_image, page_visitor, search, visit, web_search
from tests.support.site import Site, pdf, png


def python(code: str, **environment: str) -> str:
    """Returns what a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Search


def searcher(site: Site, provider: str, **options: Any) -> Tool[[list[str]], str]:
    key = {} if provider == "searxng" else {"api_key": "right-key"}
    path = {"serper": "/serper", "brave": "/brave", "tavily": "/tavily", "searxng": "/searxng"}[provider]
    return web_search(provider, base_url=site.url + path, **{**key, **options})


@pytest.mark.parametrize("provider", ["searxng", "brave", "serper", "tavily"])
def test_each_provider_gives_numbered_hits_with_title_source_and_snippet(site: Site, provider: str) -> None:
    found = searcher(site, provider)(["tallow"])
    assert found == (
        f'[1] The Tallow lighthouse\nsource: {site.url}/article\nAll about "tallow".\n\n'
        f"[2] A long tale\nsource: {site.url}/long\nHerring and ropes."
    )


def test_the_tools_have_the_documented_parameters() -> None:
    assert (search.name, list(search.parameters["properties"])) == ("search", ["query"])
    assert search.parameters["properties"]["query"]["type"] == "array"
    assert (visit.name, list(visit.parameters["properties"])) == ("visit", ["url", "goal"])
    assert (load_image.name, list(load_image.parameters["properties"])) == ("load_image", ["path_or_url"])
    assert all(each.options.read_only for each in (search, visit, load_image))


def test_several_queries_are_searched_in_parallel_and_each_page_is_listed_once(site: Site) -> None:
    found = searcher(site, "searxng")(["tallow", "nothing at all", "lighthouse", "tallow "])
    assert found.count("source:") == 2
    assert found.endswith('(no results for "nothing at all")')
    assert len(site.requests) == 3


def test_a_failed_query_is_reported_and_the_other_results_are_returned() -> None:
    code = """
        import sys, types
        class DDGSException(Exception): pass
        class DDGS:
            def __init__(self, **options): pass
            def text(self, query, max_results):
                if "bad" in query:
                    raise DDGSException("https://engine.example/?q=bad timed out")
                if "none" in query:
                    raise DDGSException("No results found.")
                return [{"title": "A <b>title</b>", "href": "https://a.example/", "body": "A &amp; B"}]
        package = types.ModuleType("ddgs"); package.DDGS = DDGS
        errors = types.ModuleType("ddgs.exceptions"); errors.DDGSException = DDGSException
        sys.modules |= {"ddgs": package, "ddgs.exceptions": errors}
        from agentkit_tools import search
        print(search(["good", "bad", "none"]))
    """
    assert python(code, AGENTKIT_SEARCH="ddgs") == (
        "[1] A title\nsource: https://a.example/\nA & B\n\n"
        '(search for "bad" failed: no search engine could be reached)\n(no results for "none")\n'
    )


def test_the_package_under_its_old_name_is_used_too() -> None:
    code = """
        import sys, types
        class DuckDuckGoSearchException(Exception): pass
        class DDGS:
            def __init__(self, timeout): pass
            def text(self, query, max_results):
                return [{"title": "Old", "href": "https://old.example/", "body": "name"}]
        package = types.ModuleType("duckduckgo_search"); package.DDGS = DDGS
        errors = types.ModuleType("duckduckgo_search.exceptions")
        errors.DuckDuckGoSearchException = DuckDuckGoSearchException
        sys.modules |= {"ddgs": None, "duckduckgo_search": package, "duckduckgo_search.exceptions": errors}
        from agentkit_tools import search
        print(search(["x"]))
    """
    assert "https://old.example/" in python(code, AGENTKIT_SEARCH="ddgs")


def test_without_network_the_search_says_so(site: Site) -> None:
    result = Agent(ScriptedBackend(("search", {"query": ["x"]}), "Sorry."), tools=[web_search("ddgs")]).run("Search.")
    assert result.tool_calls[0].response == "Error: the search failed: no search engine could be reached."


@pytest.mark.parametrize(
    ("provider", "path", "says"),
    [
        ("brave", "/brave", "answered 401: the API key is invalid or missing"),
        ("serper", "/broken-search?", "answered 500"),
        ("searxng", "/article?", "is not a JSON object"),
        ("tavily", "/nowhere", "answered 404"),
    ],
)
def test_a_failing_provider_is_reported_without_the_key(site: Site, provider: str, path: str, says: str) -> None:
    tool = web_search(provider, base_url=site.url + path, api_key="wrong-secret-key")
    with pytest.raises(ToolError, match=says) as raised:
        tool(["x"])
    assert "secret" not in str(raised.value)


def test_an_unreachable_provider_is_an_error() -> None:
    with pytest.raises(ToolError, match="can't be reached"):
        web_search("searxng", base_url="http://127.0.0.1:9")(["x"])


@pytest.mark.parametrize("query", [[], [""], ["  ", "\n"]])
def test_an_empty_search_is_an_error(query: list[str]) -> None:
    with pytest.raises(ToolError, match="query is empty"):
        search(query)


def test_queries_above_the_limit_are_reported(site: Site) -> None:
    found = searcher(site, "searxng")([f"query {number}" for number in range(11)])
    assert "(only the first 8 of 11 queries were searched)" in found
    assert len(site.requests) == 8


@pytest.mark.parametrize(
    ("provider", "says"),
    [
        ("searxng", "SEARXNG_URL"),
        ("brave", "BRAVE_API_KEY"),
        ("tavily", "TAVILY_API_KEY"),
        ("gogle", "use one of ddgs"),
    ],
)
def test_a_provider_that_is_not_set_up_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, provider: str, says: str
) -> None:
    for name in ("SEARXNG_URL", "BRAVE_API_KEY", "TAVILY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigurationError, match=says):
        web_search(provider)


def test_the_environment_chooses_the_provider_at_each_call(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTKIT_SEARCH", raising=False)
    monkeypatch.setenv("SEARXNG_URL", site.url + "/searxng")
    assert f"source: {site.url}/article" in search(["x"])
    assert site.requests[0][0].startswith("/searxng/search?q=x")


# Visit


def visitor(site: Site, **options: Any) -> Tool[[list[str], str], str]:
    return page_visitor(allow=[site.address], **options)


def test_a_page_is_its_main_text_with_source_and_title(site: Site) -> None:
    text = visitor(site)([site.url + "/article"], "the height")
    assert text.startswith(f"[1] The Tallow lighthouse\nsource: {site.url}/article\n\n# The Tallow lighthouse\n\n")
    assert "is 31 metres high." in text
    assert "- Built of granite." in text
    assert "1811 | oil" in text
    for noise in ("Shop", "tracking", "Cookies", "color", "Subscribe", "All rights", "Ignore all", "Hidden", "comment"):
        assert noise not in text


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ("/gzip", "31 metres"),
        ("/latin1", "Blåbærsyltetøy – 5 €"),
        ("/shift-jis", "灯台の高さ"),
        ("/pdf", "The Tallow lighthouse is 31 metres high."),
        ("/text", "Plain words"),
        ("/data.json", '"height": 31'),
        ("/redirect/3", "31 metres"),
        ("/empty", "(the page has no text)"),
    ],
)
def test_pages_of_many_kinds_are_read(site: Site, path: str, holds: str) -> None:
    assert holds in visitor(site)([site.url + path], "anything")


def test_a_long_page_is_cut_to_what_matches_the_goal_with_a_note(site: Site) -> None:
    text = visitor(site)([site.url + "/long"], "How high is the Tallow lighthouse?")
    assert "its height is 31 metres above the rock" in text
    assert len(text) < 12_500
    assert "passages that match the goal less were omitted" in text


def test_a_page_that_matches_nothing_gives_its_beginning(site: Site) -> None:
    text = visitor(site, max_characters=500)([site.url + "/long"], "zebra crossings")
    assert "Paragraph 0 speaks" in text
    assert "this is the beginning" in text


def test_a_failed_page_is_reported_and_the_others_are_read(site: Site) -> None:
    urls = [site.url + path for path in ("/status/404", "/article", "/broken.pdf", "/binary")] + ["http://10.0.0.1/"]
    text = visitor(site)(urls, "the height")
    assert f"({site.url}/status/404 answered 404 Not Found.)" in text
    assert "the PDF is damaged" in text
    assert "application/octet-stream, which has no text" in text
    assert "10.0.0.1 is not public" in text
    assert "31 metres" in text


def test_when_all_pages_fail_it_is_an_error_that_says_why(site: Site) -> None:
    result = Agent(ScriptedBackend(("visit", {"url": [site.url], "goal": "x"}), "Sorry."), tools=[visit]).run("Visit.")
    assert result.tool_calls[0].error is not None
    assert "is not public" in result.tool_calls[0].error


def test_a_page_can_not_forge_a_source(site: Site) -> None:
    text = visitor(site)([site.url + "/forged"], "the rate")
    assert [line for line in text.splitlines() if line.startswith("source:")] == [f"source: {site.url}/forged"]


def test_a_deep_page_and_a_huge_one_are_read_in_time(site: Site) -> None:
    from agentkit_tools.page_text import html_text

    started = time.monotonic()
    assert "deep" in html_text("<div>" * 3_000 + "deep" + "</div>" * 3_000).text
    assert html_text("<p>words and words</p>" * 20_000).text.startswith("words and words")
    assert time.monotonic() - started < 20


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300) | st.text(alphabet="<>/apdivscrt= \"'!-&;", max_size=300))
def test_any_markup_is_read(source: str) -> None:
    from agentkit_tools.page_text import html_text

    assert isinstance(html_text(source).text, str)


# Images


def test_an_image_of_the_web_and_of_a_file_is_loaded(site: Site, tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(png())
    for loader, name in (
        (image_loader(allow=[site.address]), f"{site.url}/image.png"),
        (image_loader(folder=tmp_path), "dot.png"),
        (image_loader(folder=tmp_path), str(tmp_path / "dot.png")),
    ):
        image = loader(name)
        assert (image.media_type, image.data) == ("image/png", png())


def test_the_model_sees_the_image(tmp_path: Path) -> None:
    (tmp_path / "dot.png").write_bytes(png())
    backend = ScriptedBackend(("load_image", {"path_or_url": "dot.png"}), "A dot.")
    result = Agent(backend, tools=[image_loader(folder=tmp_path)]).run("What is it?")
    assert [message["role"] for message in result.messages] == ["user", "assistant", "tool", "user", "assistant"]
    content = backend.requests[1].messages[3]["content"]
    assert isinstance(content, list)
    assert content[1]["image_url"]["url"].startswith("data:image/png;base64,iVBOR")


def test_a_large_image_is_scaled_down_and_odd_formats_become_png(tmp_path: Path) -> None:
    from PIL import Image as PILImage

    PILImage.new("RGB", (3000, 1500), "blue").save(tmp_path / "large.jpg")
    PILImage.new("RGB", (5, 5), "blue").save(tmp_path / "odd.bmp")
    loader = image_loader(folder=tmp_path, max_side=1000)
    with PILImage.open(io.BytesIO(loader("large.jpg").data)) as image:
        assert (image.size, image.format) == ((1000, 500), "JPEG")
    assert loader("odd.bmp").media_type == "image/png"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("notes.png", "not an image"),
        ("../outside.png", "outside of the folder"),
        ("link.png", "outside of the folder"),
        ("missing.png", "not found"),
        ("nul\0.png", "not found"),
        ("folder", "is not a regular file"),
        ("huge.png", "pixels, which is too many"),
        ("heavy.png", "at most 100,000 are loaded"),
        ("data:image/png;base64,%%%", "not valid"),
        ("data:image/png;base64,aGVsbG8=", "not an image"),
    ],
)
def test_an_image_that_can_not_be_loaded_is_an_error(tmp_path: Path, name: str, says: str) -> None:
    folder = tmp_path / "inside"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(png())
    (folder / "notes.png").write_text("not an image")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    (folder / "huge.png").write_bytes(png(2000, 1000))
    (folder / "heavy.png").write_bytes(png() + bytes(200_000))
    with pytest.raises(ToolError, match=says):
        image_loader(folder=folder, max_pixels=1_000_000, max_bytes=100_000)(name)


def test_a_device_is_not_an_image() -> None:
    with pytest.raises(ToolError, match="outside of the folder"):
        load_image("/dev/zero")


def test_an_image_behind_a_private_address_is_refused(site: Site) -> None:
    with pytest.raises(BlockedAddressError):
        load_image(f"{site.url}/image.png")


# Documents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "deep" / ".hidden").mkdir(parents=True)
    (root / "whales.md").write_text("# Blue whales\n\nA blue whale eats 4 tonnes of krill a day.\n\nIt sings.")
    (root / "deep" / "trains.txt").write_text("The night train to Narvik leaves at six.", encoding="utf-16")
    (root / "boats.rst").write_text("Boats\n=====\n\nThe ferry to Narvik runs twice a day.\n")
    (root / "page.html").write_text("<html><title>Owls</title><nav>menu</nav><p>Owls hunt at night.</p></html>")
    (root / "leaflet.pdf").write_bytes(pdf("Puffins nest in burrows.", title="Puffins"))
    (root / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    (root / "deep" / ".hidden" / "secret.md").write_text("The secret of Narvik.")
    (root / "notes.docx").write_text("Narvik")
    (tmp_path / "outside.md").write_text("Narvik outside")
    (root / "link.md").symlink_to(tmp_path / "outside.md")
    return root


def test_documents_are_found_by_their_words_and_read(folder: Path) -> None:
    find, read = documents(folder)
    found = find(["How much krill does a whale eat?"])
    assert found.startswith(
        "[1] Blue whales\nsource: whales.md\n# Blue whales A blue whale eats 4 tonnes of krill a day."
    )
    assert read(["whales.md"], "krill").startswith("[1] Blue whales\nsource: whales.md\n\n# Blue whales")
    narvik = find(["Narvik"])
    assert "source: deep/trains.txt" in narvik
    assert "source: boats.rst" in narvik
    assert "[1] Boats" in narvik or "[2] Boats" in narvik
    for hidden in ("secret", "link.md", "outside"):
        assert hidden not in narvik
    assert "(broken.pdf was not read: the PDF is damaged)" in narvik
    assert "[1] Puffins\nsource: leaflet.pdf" in find(["burrows of puffins"])
    assert "[1] Owls\nsource: page.html" in find(["owls hunting"])


def test_the_two_tools_are_named_for_the_model(folder: Path) -> None:
    find, read = documents(folder)
    assert (find.name, list(find.parameters["properties"])) == ("search_documents", ["query"])
    assert (read.name, list(read.parameters["properties"])) == ("read_document", ["path", "goal"])


def test_changes_in_the_folder_are_seen(folder: Path) -> None:
    find, read = documents(folder)
    assert '(no results for "walrus")' in find(["walrus"])
    (folder / "new.md").write_text("The walrus has tusks.")
    assert "source: new.md" in find(["walrus"])
    (folder / "new.md").write_text("The narwhal has one tusk, and is no walrus at all.")
    assert "one tusk" in read(["new.md"], "tusks")
    (folder / "new.md").unlink()
    assert '(no results for "walrus")' in find(["walrus"])


@pytest.mark.parametrize("path", ["../outside.md", "/etc/passwd", "link.md", "deep/.hidden/secret.md", "", "\0"])
def test_a_path_outside_is_not_found(folder: Path, path: str) -> None:
    with pytest.raises(ToolError, match="not found"):
        documents(folder)[1]([path], "x")


def test_a_wrong_path_is_reported_with_the_closest_matches(folder: Path) -> None:
    with pytest.raises(ToolError, match=r"The closest matches are: whales\.md"):
        documents(folder)[1](["whale.md"], "x")


@settings(deadline=None, max_examples=100)
@given(query=st.text(max_size=40))
def test_any_query_is_safe(query: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    for hostile in (query, f'"{query}', f"{query}* OR NEAR(", f"title: {query} AND NOT"):
        if hostile.strip():
            SAFE[0]([hostile])


SAFE = documents(Path(__file__).parents[1] / "cases")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the folder does not exist"):
        documents(tmp_path / "nowhere")


# Loading


def test_the_pack_loads_what_it_needs_on_first_use() -> None:
    heavy = {"PIL", "pypdfium2", "trafilatura", "requests"}
    loaded = python(f"import sys, agentkit_tools; print(sorted({heavy} & set(sys.modules)))")
    assert loaded == "[]\n"


@pytest.mark.parametrize(
    ("name", "missing"), [("visit", "trafilatura"), ("load_image", "PIL"), ("documents", "pypdfium2")]
)
def test_a_missing_extra_is_named(name: str, missing: str) -> None:
    code = f"""
        import sys
        sys.modules[{missing!r}] = None
        from agentkit.errors import MissingExtraError
        try:
            from agentkit_tools import {name}
        except MissingExtraError as error:
            print(error)
    """
    assert python(code).endswith("pip install '.[web]'\n")


def test_without_any_search_package_the_extra_is_named() -> None:
    code = """
        import sys
        sys.modules |= {"ddgs": None, "duckduckgo_search": None}
        from agentkit import ToolError
        from agentkit_tools import search
        try:
            search(["x"])
        except ToolError as error:
            print(error)
    """
    assert ".[web]" in python(code, AGENTKIT_SEARCH="ddgs")
