"""`documents`: searching and reading a folder, with any content and any arguments."""

import os
import pickle
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Agent, ConfigurationError, Tool, ToolError
from agentkit.testing import ScriptedBackend
from agentkit_tools import documents
from tests.support.site import pdf

WHALES = "# Blue whales\n\nA blue whale eats 4 tonnes of krill a day.\n\nIt sings below the ice."


def tools_for(folder: Path, **files: str) -> list[Tool[Any, Any]]:
    """The tools for a folder with these Markdown files in it."""
    for name, text in files.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return documents(folder)


def sources(text: str) -> list[str]:
    return [line.removeprefix("source: ") for line in text.splitlines() if line.startswith("source:")]


# Searching


def test_searching_and_reading_in_a_run(tmp_path: Path) -> None:
    tools = tools_for(tmp_path, whales=WHALES, trains="The train to Narvik.")
    backend = ScriptedBackend(
        ("search_documents", {"query": ["krill", "bananas"]}),
        ("read_document", {"path": ["whales.md"], "goal": "krill"}),
        "4 tonnes.",
    )
    result = Agent(backend, tools=tools).run("How much krill?")
    assert [record.response.partition("\n\n(Cite ")[0] for record in result.tool_calls] == [
        "[1] Blue whales\nsource: whales.md\n# Blue whales A blue whale eats 4 tonnes of krill a day.\n\n"
        '(no results for "bananas")',
        f"[1] Blue whales\nsource: whales.md\n\n{WHALES}",
    ]
    assert all(tool.options.read_only for tool in tools)


def test_each_document_is_one_hit_with_its_best_passage(tmp_path: Path) -> None:
    filler = "\n\n".join(f"Whales were seen on day {day}, far from the coast and its harbours." for day in range(50))
    find, _ = tools_for(tmp_path, log=f"{filler}\n\nOn the last day the whales ate krill.\n\n{filler}")
    text = find(["whales eating krill"])
    assert sources(text) == ["log.md"]
    assert "On the last day the whales ate krill." in text


def test_words_match_in_their_other_forms_and_small_words_count_nothing(tmp_path: Path) -> None:
    find, _ = tools_for(tmp_path, a="Singing whales.", b="What is the of and to with?")
    assert sources(find(["What is the song that a whale sings?"])) == ["a.md"]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("intro\n\n## Second level ##\n\nword", "Second level"),
        ("# C#\n\nword", "C#"),
        ("=====\nRest\n=====\n\nword", "Rest"),
        ("---\ntitle: 'Front matter'\ndate: x\n---\n\n# Heading\n\nword", "Front matter"),
        ("---\ndate: x\n---\n\n# Heading\n\nword", "Heading"),
        ("word and no heading", "doc.md"),
        ("#hashtag word", "doc.md"),
        ("", ""),
    ],
)
def test_the_title_of_a_document_is_its_heading(tmp_path: Path, text: str, title: str) -> None:
    text = tools_for(tmp_path, doc=text)[0](["word"])
    assert text.startswith(f"[1] {title}\nsource: doc.md\n") if title else text == '(no results for "word")'


@pytest.mark.parametrize("line", ["# a" + " " * 200_000 + "b", "# a" + "#" * 200_000 + "b", "# " + "a #" * 60_000])
def test_no_heading_takes_long_to_read(tmp_path: Path, line: str) -> None:
    started = time.monotonic()
    text = tools_for(tmp_path, doc=f"{line}\n\nword")[0](["word"])
    assert time.monotonic() - started < 5
    assert len(text) < 1_000


def test_all_kinds_of_documents_are_found_whatever_their_charset(tmp_path: Path) -> None:
    (tmp_path / "a.MD").write_text("narwhal a")
    (tmp_path / "b.markdown").write_text("narwhal b", encoding="utf-16")
    (tmp_path / "c.txt").write_bytes("narwhal café".encode("cp1252"))
    (tmp_path / "d.rst").write_bytes(b"\xef\xbb\xbfnarwhal d")
    (tmp_path / "e.HTM").write_text("<title>Tusks</title><p>narwhal e")
    (tmp_path / "f.pdf").write_bytes(pdf("The narwhal of the PDF."))
    (tmp_path / "g.docx").write_text("narwhal g")
    (tmp_path / ".h.md").write_text("narwhal h")
    assert sorted(sources(documents(tmp_path)[0](["narwhal"]))) == [
        "a.MD",
        "b.markdown",
        "c.txt",
        "d.rst",
        "e.HTM",
        "f.pdf",
    ]


def test_queries_above_the_limit_are_reported(tmp_path: Path) -> None:
    text = tools_for(tmp_path, whales=WHALES)[0]([f"query{number}" for number in range(20)])
    assert text.count("no results") == 8
    assert text.endswith("(only the first 8 of 20 queries were searched)")


@pytest.mark.parametrize("query", [[], [""], [" \n"]])
def test_an_empty_search_is_an_error(tmp_path: Path, query: list[str]) -> None:
    with pytest.raises(ToolError, match="query is empty"):
        documents(tmp_path)[0](query)


# Reading


def test_a_long_document_is_cut_to_what_matches_the_goal_in_its_order(tmp_path: Path) -> None:
    filler = "\n\n".join(
        f"Day {day}: the sea was calm, and nobody saw anything that was worth a note." for day in range(400)
    )
    read = tools_for(tmp_path, log=f"Krill first.\n\n{filler}\n\nKrill last.")[1]
    text = read(["log.md"], "krill")
    assert text.index("Krill first.") < text.index("Krill last.")
    assert "passages that match the goal less were omitted" in text
    assert len(text) < 12_500


def test_a_missing_document_is_reported_and_the_others_are_read(tmp_path: Path) -> None:
    read = tools_for(tmp_path, whales=WHALES)[1]
    text = read(["whales.md", "Whale.md"], "krill")
    assert sources(text) == ["whales.md"]
    assert text.endswith("(document 'Whale.md' not found. The closest matches are: whales.md.)")


def test_an_unknown_path_is_reported_with_the_closest_names_in_any_subfolder(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "far" / "away" / "whales.md").write_text(WHALES)
    with pytest.raises(ToolError, match=r"The closest matches are: far/away/whales\.md\."):
        documents(tmp_path)[1](["WHALE.md"], "x")


def test_at_most_eight_documents_are_read_at_once(tmp_path: Path) -> None:
    read = tools_for(tmp_path, **{f"doc{number}": f"text {number}" for number in range(10)})[1]
    text = read([f"doc{number}.md" for number in range(10)], "x")
    assert len(sources(text)) == 8
    assert text.endswith("(only the first 8 of 10 documents were read)")


def test_an_empty_document_says_so(tmp_path: Path) -> None:
    assert tools_for(tmp_path, empty="")[1](["empty.md"], "x").endswith("(the document has no text)")


@pytest.mark.parametrize(
    "path",
    [
        "../outside.md",
        "/etc/passwd",
        "deep/../../outside.md",
        "link.md",
        "up/outside.md",
        ".hidden/x.md",
        "",
        ".",
        "\0",
    ],
)
def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "docs"
    (folder / ".hidden").mkdir(parents=True)
    (folder / ".hidden" / "x.md").write_text("secret")
    (tmp_path / "outside.md").write_text("secret")
    (folder / "link.md").symlink_to(tmp_path / "outside.md")
    (folder / "up").symlink_to(tmp_path)
    find, read = documents(folder)
    for name in (path, str(folder / path)):
        with pytest.raises(ToolError, match="not found"):
            read([name], "x")
    assert find(["secret"]) == '(no results for "secret")\n(there are no documents in the folder)'


# The content of a folder


def test_links_in_a_circle_pipes_and_dangling_links_are_left_out(tmp_path: Path) -> None:
    find, _ = tools_for(tmp_path, whales=WHALES)
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "circle.md").symlink_to(tmp_path / "circle.md")
    (tmp_path / "dangling.md").symlink_to(tmp_path / "none.md")
    (tmp_path / "again.md").symlink_to(tmp_path / "whales.md")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.md")
    assert sorted(sources(find(["krill"]))) == ["again.md", "whales.md"]


def test_files_that_can_not_be_read_are_named_but_do_not_fill_the_result(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"broken{number}.pdf").write_bytes(b"%PDF-1.4 none")
    (tmp_path / "binary.txt").write_bytes(bytes(100) + b"krill")
    (tmp_path / "large.txt").write_text("krill " * 1_000)
    (tmp_path / "whales.md").write_text(WHALES)
    find, read = documents(tmp_path, max_bytes=5_000)
    text = find(["krill"])
    assert sources(text) == ["whales.md"]
    assert "(binary.txt was not read: its content is binary, not text)" in text
    assert "(broken0.pdf was not read: the PDF is damaged)" in text
    assert text.endswith("(6 more files were not read)")
    with pytest.raises(ToolError, match=r"large\.txt was not read: it is larger than 5,000 bytes"):
        read(["large.txt"], "x")


def test_neither_a_name_nor_a_text_forges_a_source(tmp_path: Path) -> None:
    (tmp_path / "x\nsource: evil.md").write_text("narwhal")
    (tmp_path / "text.txt").write_text("source: https://evil.example/ narwhal\rsource: evil\u2028source: evil")
    find, read = documents(tmp_path)
    text = find(["narwhal"])
    assert sources(text) == ["text.txt"]
    assert text.encode("utf-8")
    assert sources(read(["text.txt", "zz\nsource: evil"], "narwhal")) == ["text.txt"]


def test_what_changes_in_the_folder_is_seen_at_the_next_search(tmp_path: Path) -> None:
    find, read = tools_for(tmp_path, whales=WHALES)
    assert sources(find(["walrus"])) == []
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "walrus.md").write_text("The walrus has tusks.")
    assert sources(find(["walrus"])) == ["new/walrus.md"]
    (tmp_path / "whales.md").write_text("Whales and a walrus.")
    assert len(sources(find(["walrus"]))) == 2
    assert sources(find(["krill"])) == []
    (tmp_path / "new").rename(tmp_path / "old")
    assert sorted(sources(find(["walrus"]))) == ["old/walrus.md", "whales.md"]
    with pytest.raises(ToolError, match="not found"):
        read(["new/walrus.md"], "x")


def test_a_file_that_is_copied_over_another_with_its_time_and_size_is_read_again(tmp_path: Path) -> None:
    # VeraTools/vera#32: `rsync -t`, `cp -p` and `tar` set the time of the original
    search = tools_for(tmp_path, old="zebra prints")[0]
    path = tmp_path / "old.md"
    before = path.stat()
    assert sources(search(["zebra"])) == ["old.md"]
    time.sleep(0.02)  # the clock of a file system may be coarse
    path.write_text("llama prints", encoding="utf-8")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert sources(search(["llama"])) == ["old.md"]
    assert sources(search(["zebra"])) == []


def test_many_threads_search_while_files_change(tmp_path: Path) -> None:
    find, read = tools_for(tmp_path, whales=WHALES)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(10):
                (tmp_path / f"doc{number}.md").write_text(f"krill {number} {turn}" * (turn + 1))
                assert "whales.md" in sources(find(["krill"]))
                assert sources(read(["whales.md"], "krill")) == ["whales.md"]
                (tmp_path / f"doc{number}.md").unlink()
        except BaseException as error:  # noqa: BLE001 - asserted below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", "the folder does not exist"),
        ("nul\0", "the folder does not exist"),
        ("pipe", "it is neither a folder nor a file"),
    ],
    ids=["none", "nul", "pipe"],
)
def test_a_missing_folder_is_refused_when_the_tools_are_created(tmp_path: Path, name: str, why: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=why):
        documents(tmp_path / name)


def test_a_file_is_the_only_document(tmp_path: Path) -> None:
    # sigoden/llm-functions#189: a file beside folders; before, "it is a file: name the folder that it is in"
    (tmp_path / "whales.md").write_text(WHALES)
    (tmp_path / "cats.md").write_text("# Cats\n\nCats eat krill too.")
    find, read = documents(tmp_path / "whales.md")
    assert sources(find(["krill"])) == ["whales.md"]
    for name in ("whales.md", str(tmp_path / "whales.md"), "whales"):
        assert sources(read([name], "krill")) == ["whales.md"]
    with pytest.raises(ToolError, match=r"cats\.md"):
        read(["cats.md"], "krill")
    (tmp_path / "whales.md").write_text("# Whales\n\nThey eat plankton.")
    assert sources(find(["plankton"])) == ["whales.md"]
    again = pickle.loads(pickle.dumps(find))
    assert sources(again(["plankton"])) == ["whales.md"]
    (tmp_path / "whales.md").unlink()
    with pytest.raises(ToolError, match="can't be read: No such file"):
        find(["plankton"])


def test_a_file_by_a_link_has_the_name_of_the_link_and_one_without_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "version2.md").write_text(WHALES)
    (tmp_path / "whales.md").symlink_to("version2.md")
    assert sources(documents(tmp_path / "whales.md")[0](["krill"])) == ["whales.md"]
    (tmp_path / "a.png").write_bytes(b"x")
    assert "without text were left out: .png" in documents(tmp_path / "a.png")[0](["krill"])
    answer = Agent("extractive", tools=documents(tmp_path / "whales.md")).run("What do whales eat?")
    assert "krill" in answer.output


def test_an_empty_name_is_not_the_working_directory() -> None:
    with pytest.raises(ConfigurationError, match="no folder is named"):
        documents("")


@pytest.mark.parametrize("folder", [None, 5, [], ["a", 5]])
def test_what_is_no_path_is_refused_with_what_to_pass(folder: Any) -> None:
    with pytest.raises(ConfigurationError, match="pass the path of a folder or file, or a list of paths"):
        documents(folder)


def test_several_folders_and_files_are_searched_as_one(tmp_path: Path) -> None:
    for name in ("a/notes", "b/notes", "c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "whales.md").write_text(f"{WHALES} So it says in {name}.")
    (tmp_path / "krill.txt").write_text("Krill are eaten by whales.")
    places = [tmp_path / "a/notes", tmp_path / "b/notes", tmp_path / "krill.txt", tmp_path / "a/notes"]
    search, read = documents(places, keep_index=False)
    found = search(["whales"])
    paths = {"a/notes/whales.md", "b/notes/whales.md", f"{tmp_path.name}/krill.txt"}
    assert set(re.findall("source: (.+)", found)) == paths
    assert "in b/notes." in read(["b/notes/whales.md"], "whales")
    assert "in b/notes." in read([str(tmp_path / "b/notes/whales.md")], "whales")
    assert "Krill" in read(["krill.txt"], "krill")
    (tmp_path / "b/notes/whales.md").write_text("Whales sleep upright.")
    assert "upright" in search(["whales sleep"])


def test_an_index_of_several_folders_is_kept_and_pickled(tmp_path: Path) -> None:
    (tmp_path / "laws").mkdir()
    (tmp_path / "cases").mkdir()
    (tmp_path / "cases" / "whales.md").write_text(WHALES)
    tools = documents([tmp_path / "laws", str(tmp_path / "cases")])
    assert "cases/whales.md" in tools[0](["whales"])
    assert "cases/whales.md" in pickle.loads(pickle.dumps(tools[0]))(["whales"])


def test_two_folders_are_searched_by_tools_with_names_of_their_own(tmp_path: Path) -> None:
    tools = []
    for name in ("laws", "cases"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "whales.md").write_text(WHALES)
        tools += [each.replace(name=f"{each.name}_of_{name}") for each in documents(tmp_path / name)]
    Agent("extractive", tools=tools)
    assert sources(tools[2](["whales"])) == ["whales.md"]


def test_a_folder_that_is_gone_is_an_error_and_keeps_its_index(tmp_path: Path) -> None:
    folder = tmp_path / "mounted"
    folder.mkdir()
    find, read = tools_for(folder, whales=WHALES)
    assert sources(find(["krill"])) == ["whales.md"]
    folder.rename(tmp_path / "away")
    with pytest.raises(ToolError, match="the folder of the documents can't be read"):
        find(["krill"])
    with pytest.raises(ToolError, match="the folder of the documents can't be read"):
        read(["whales.md"], "krill")
    (tmp_path / "away").rename(folder)
    assert sources(find(["krill"])) == ["whales.md"]


@pytest.mark.parametrize("keep_index", [True, False])
def test_a_link_that_leads_elsewhere_since_is_followed(tmp_path: Path, keep_index: bool) -> None:
    """As git-sync and `ln -sfn` switch them. The files have the same names, sizes and times."""
    for release, text in (("one", "The ferry leaves at nine."), ("two", "The ferry sails at noon.")):
        (tmp_path / release).mkdir()
        (tmp_path / release / "times.md").write_text(text.ljust(30))
        os.utime(tmp_path / release / "times.md", ns=(1, 1))
    link = tmp_path / "current"
    link.symlink_to("one")
    find, read = pickle.loads(pickle.dumps(documents(link, keep_index=keep_index)))
    assert "leaves at nine" in find(["ferry"])
    link.unlink()
    with pytest.raises(ToolError, match="the folder of the documents can't be read"):
        find(["ferry"])
    link.symlink_to("two")
    assert "sails at noon" in find(["ferry"])
    for path in ("times.md", str(link / "times.md"), str(tmp_path / "two/times.md")):
        assert "sails at noon" in read([path], "ferry")
    (tmp_path / "one" / "times.md").unlink()
    assert "sails at noon" in find(["ferry"])


def test_files_whose_names_are_not_utf8_are_found_and_read(tmp_path: Path) -> None:
    names = [b"caf\xe9.md", b"caf\xe8.md", "灯塔的高度.md".encode("gbk"), b"d\xfcnen/x.md"]
    (tmp_path / os.fsdecode(b"d\xfcnen")).mkdir()
    for name in names:
        (tmp_path / os.fsdecode(name)).write_text("The narwhal.")
    find, read = documents(tmp_path)
    found = sources(find(["narwhal"]))
    assert set(found) == {"café.md", "cafè.md", "灯塔的高度.md", "dünen/x.md"}
    assert sources(read(found, "narwhal")) == found


def test_two_names_that_would_look_the_same_are_two_files(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("The narwhal.")
    (tmp_path / "café.md").write_text("A second narwhal.")
    find, read = documents(tmp_path)
    assert sorted(sources(find(["narwhal"]))) == ["caf%E9.md", "café.md"]
    assert "The narwhal." in read(["caf%E9.md"], "narwhal")


def test_what_can_not_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.md").write_text("A narwhal.")
    (tmp_path / "closed.md").write_text("A narwhal.")
    find, _ = tools_for(tmp_path, open="A narwhal.")
    for path in (tmp_path / "sub", tmp_path / "closed.md"):
        path.chmod(0)
    if os.access(tmp_path / "closed.md", os.R_OK):
        pytest.skip("this user may read everything")
    try:
        text = find(["narwhal"])
    finally:
        (tmp_path / "sub").chmod(0o700)
    assert sources(text) == ["open.md"]
    assert "(closed.md was not read: there is no permission to read it)" in text
    assert "(the folder sub/ can't be opened: its files are not known)" in text


@pytest.mark.skipif(os.sep == "\\", reason="a backslash is a separator")
def test_a_name_with_a_backslash_is_read_by_the_path_that_a_search_returns(tmp_path: Path) -> None:
    """Archives made on Windows leave such names elsewhere."""
    (tmp_path / "reports\\2020.txt").write_text("A whale eats krill.")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "2021.txt").write_text("A seal eats krill.")
    find, read = documents(tmp_path)
    assert sources(find(["whale"])) == ["reports\\2020.txt"]
    assert "whale" in read(["reports\\2020.txt"], "food")
    assert "seal" in read(["reports\\2021.txt"], "food")  # as a model on Windows writes it


@pytest.mark.parametrize("path", ["\ud800", "a\udfff.txt", "whales.md\ud83d"])
def test_half_a_surrogate_pair_in_a_path_is_a_name_that_is_not_found(tmp_path: Path, path: str) -> None:
    find, read = tools_for(tmp_path, whales=WHALES)
    with pytest.raises(ToolError, match="not found"):
        read([path], "food")
    assert sources(read([path, "whales.md"], "food")) == ["whales.md"]
    find([path])


def test_a_path_below_the_folder_may_be_absolute(tmp_path: Path) -> None:
    _, read = tools_for(tmp_path, whales=WHALES)
    assert sources(read([str(tmp_path.resolve() / "whales.md")], "krill")) == ["whales.md"]


def test_an_empty_folder_finds_nothing(tmp_path: Path) -> None:
    assert documents(str(tmp_path))[0](["x"]) == '(no results for "x")\n(there are no documents in the folder)'


# Arbitrary arguments


@pytest.fixture(scope="module")
def whales(tmp_path_factory: pytest.TempPathFactory) -> list[Tool[Any, Any]]:
    return tools_for(tmp_path_factory.mktemp("docs"), whales=WHALES + "\n\n" + "A word more. " * 50)


SYNTAX = [
    '"',
    "'",
    "*",
    "(",
    ")",
    "NEAR(",
    " AND ",
    " OR ",
    " NOT ",
    "^",
    ":",
    "{title}",
    "-",
    "+",
    "\0",
    ";--",
    "krill",
]


@settings(deadline=None, max_examples=80)
@given(query=st.text(max_size=60) | st.lists(st.sampled_from(SYNTAX), max_size=12).map("".join))
def test_any_query_is_only_words(whales: list[Tool[Any, Any]], query: str) -> None:
    find, read = whales
    if query.strip():
        assert sources(find([query])) in ([], ["whales.md"])
    assert sources(read(["whales.md"], query)) == ["whales.md"]


@settings(deadline=None, max_examples=60)
@given(path=st.text(max_size=60))
def test_any_path_is_only_looked_up(whales: list[Tool[Any, Any]], path: str) -> None:
    with pytest.raises(ToolError, match=r"not found|is not read"):
        whales[1]([path], "x")


def test_a_query_of_thousands_of_words_is_cut(whales: list[Tool[Any, Any]]) -> None:
    text = whales[0](["krill " + " ".join(f"word{number}" for number in range(5_000))])
    assert sources(text) == ["whales.md"]
    assert len(text) < 1_000


STONES = "The harbour of the town was built of stone in the summer and the people went home. "


@pytest.mark.parametrize(
    ("query", "passage", "shown"),
    [
        ("Ragnhild lighthouse", f"{STONES * 9}The lighthouse keeper was called Ragnhild. {STONES * 3}", "Ragnhild"),
        ("Ragnhild", f"{'stone and ' * 70}Ragnhild {'and stone ' * 20}", "Ragnhild"),
        ("座敷童子", "項目　値　日付　" * 60 + "座敷童子" + "　項目　値" * 20, "座敷童子"),
        ("harbour summer", STONES * 9, "The harbour of the town"),
    ],
)
def test_a_hit_shows_the_part_of_its_passage_that_matches(tmp_path: Path, query: str, passage: str, shown: str) -> None:
    (text,) = tools_for(tmp_path, town=passage)[0]([query]).split("\n\n")
    lines = text.splitlines()
    assert shown in lines[2]
    assert len(lines[2]) <= 304
    assert lines[2].startswith(("… ", passage[:20]))
