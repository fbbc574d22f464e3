"""The index of a folder's documents: found in any language, kept on disk, shared by processes."""

import contextlib
import errno
import gc
import os
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentkit import Tool, ToolError
from agentkit_tools import documents


def found(folder: Path, question: str) -> list[str]:
    """The names of the documents found, best first."""
    find: Tool[Any, str] = documents(folder)[0]
    return [
        line.removeprefix("source: ").removesuffix(".txt")
        for line in find([question]).splitlines()
        if line.startswith("source: ")
    ]


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def indexes() -> list[Path]:
    return sorted(Path(os.environ["AGENTKIT_CACHE"]).rglob("*.sqlite3"))


QUESTIONS = [
    ("Кто построил железную дорогу?", "Строительство железной дороги начал граф Витте.", "Граф любил чай и море."),
    ("谁设计了这座桥？", "这座桥由茅以升设计，建于1937年。", "茶是一种饮料，起源于中国。"),
    ("茶", "喝茶", "咖啡是一种饮料。"),
    ("東京タワーの高さは？", "東京タワーは高さ333メートルの電波塔である。", "京都には多くの寺がある。"),
    ("서울의 인구는 얼마인가?", "서울은 인구가 약 940만 명이다.", "부산은 항구 도시이다."),
    ("भारत की राजधानी क्या है?", "नई दिल्ली भारत की राजधानी है।", "आम एक फल है।"),
    ("ما هي عاصمة المغرب؟", "الرباط عاصمة المملكة المغربية.", "يشرب الناس الشاي."),
    ("เมืองหลวงของประเทศไทยคืออะไร", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย", "ชาเป็นเครื่องดื่ม"),
    ("donde esta la estacion", "La estación está detrás del teatro.", "El café cuesta dos euros."),
    ("Wer baute die Eisenbahnen?", "Die Eisenbahnstrecke wurde von Stephenson gebaut.", "Der Kaffee kostet zwei Euro."),
    ("ёлка", "Елки растут в лесу.", "Кофе стоит два евро."),
]


@pytest.mark.parametrize(("question", "right", "other"), QUESTIONS)
def test_a_document_is_found_in_its_language(tmp_path: Path, question: str, right: str, other: str) -> None:
    write(tmp_path, right=right, other=other)
    assert found(tmp_path, question)[:1] == ["right"]


def test_an_index_that_is_let_go_closes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.13 and later warn of connections that are not closed."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr("agentkit_tools.library.sqlite3.connect", connected)
    write(tmp_path, tides="The moon moves the tides.")
    assert found(tmp_path, "What moves the tides?") == ["tides"]
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        opened[0].execute("SELECT 1")


def test_a_document_is_found_by_its_path_and_its_title(tmp_path: Path) -> None:
    (tmp_path / "deploying").mkdir()
    write(tmp_path / "deploying", nginx="Put it in front.", other="Behind.")
    (tmp_path / "a.html").write_text("<title>Gunicorn</title><p>Some text.</p>")
    assert found(tmp_path, "nginx")[:1] == ["deploying/nginx"]
    assert found(tmp_path, "how to use gunicorn")[:1] == ["a.html"]


def test_a_whole_document_counts_beside_its_best_passage(tmp_path: Path) -> None:
    filler = "\n\n".join(f"Day {day}: a ship went by." for day in range(30))
    write(tmp_path, whales="\n\n".join(["Whales eat.", "Whales sing.", "Krill is small.", filler] * 3))
    write(tmp_path, note=f"Whales and seals.\n\n{filler}", other=filler)
    assert found(tmp_path, "krill eaten by singing whales")[:1] == ["whales"]


def test_a_later_process_reads_no_document_again(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.", trains="The train to Narvik.")
    assert found(tmp_path, "krill") == ["whales"]
    code = (
        "import sys, agentkit_tools.folder as folder\n"
        "folder.readable = None  # whatever is read fails\n"
        "print(folder.documents(sys.argv[1])[0](['krill']))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "source: whales.txt" in done.stdout


def test_processes_that_index_at_once_share_the_work(tmp_path: Path) -> None:
    write(tmp_path, **{f"number{number}": f"Whale {number} eats krill." for number in range(200)})
    code = "import sys; from agentkit_tools import documents; print(documents(sys.argv[1])[0](['whale 77 krill']))"

    def search(_: int) -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        ).stdout

    with ThreadPoolExecutor(3) as pool:
        outputs = list(pool.map(search, range(3)))
    assert all("source: number77.txt" in output for output in outputs)
    (index,) = indexes()
    with contextlib.closing(sqlite3.connect(index)) as database, database:
        assert database.execute("SELECT count(*), count(DISTINCT path) FROM file").fetchone() == (200, 200)
        assert database.execute("SELECT count(*) FROM passage").fetchone() == (200,)


def test_what_another_process_indexed_is_seen(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.")
    find, _ = documents(tmp_path)
    find(["krill"])
    write(tmp_path, seals="Seals eat fish.")
    assert found(tmp_path, "seals") == ["seals"]  # another connection
    assert "seals.txt" in find(["seals"])
    (tmp_path / "seals.txt").unlink()
    assert found(tmp_path, "seals") == []
    assert "no results" in find(["seals"])


@pytest.mark.parametrize("is_other", [False, True])
def test_a_document_that_could_not_be_opened_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_other: bool
) -> None:
    """By the process that met it, and by another one that shares the index; less often each time."""
    (tmp_path / "whales.txt").write_text("Whales eat krill.")
    (tmp_path / "large.txt").write_text("Krill " * 100)
    opened, now, is_short = [], [0.0], True

    def content_of(path: Path, max_bytes: int) -> bytes:
        opened.append(path.name)
        if is_short:
            raise OSError(errno.EMFILE, "Too many open files")
        return path.read_bytes()

    monkeypatch.setattr("agentkit_tools.folder.content_of", content_of)
    monkeypatch.setattr("agentkit_tools.library.time.monotonic", lambda: now[0])
    find: Tool[Any, str] = documents(tmp_path, max_bytes=300)[0]
    other: Tool[Any, str] = documents(tmp_path, max_bytes=300)[0]
    other(["whales"])
    assert "(whales.txt was not read: it can't be opened)" in find(["whales"])
    for seconds, tries in ((4, 0), (2, 1), (6, 0), (5, 1), (15, 0)):
        opened.clear()
        now[0] += seconds
        find(["whales"])
        assert len(opened) == tries
    is_short, now[0] = False, now[0] + 10
    text = (other if is_other else find)(["whales"])
    assert "source: whales.txt" in text
    assert "(large.txt was not read: it is larger than 300 bytes)" in text
    assert opened == ["whales.txt"]


@pytest.mark.parametrize("damage", ["garbage", "cut"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, damage: str) -> None:
    write(tmp_path, whales="Whales eat krill.")
    assert found(tmp_path, "krill") == ["whales"]
    (index,) = indexes()
    for end in ("-wal", "-shm"):
        Path(f"{index}{end}").unlink(missing_ok=True)
    index.write_bytes(b"garbage" * 1000 if damage == "garbage" else index.read_bytes()[:5000])
    assert found(tmp_path, "krill") == ["whales"]


def test_damage_that_shows_in_a_search_is_told_and_mended(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.")
    assert found(tmp_path, "krill") == ["whales"]
    (index,) = indexes()
    with contextlib.closing(sqlite3.connect(index)) as database, database:
        database.execute("DROP TABLE passage")
    with pytest.raises(ToolError, match="made anew"):
        found(tmp_path, "krill")
    assert found(tmp_path, "krill") == ["whales"]


def test_an_index_of_another_version_is_made_anew(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.")
    assert found(tmp_path, "krill") == ["whales"]
    (index,) = indexes()
    with contextlib.closing(sqlite3.connect(index)) as database, database:
        database.execute("PRAGMA user_version = 99")
    assert found(tmp_path, "krill") == ["whales"]


def test_the_index_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.")
    found(tmp_path, "krill")
    (index,) = indexes()
    assert stat.S_IMODE(index.stat().st_mode) == 0o600
    assert stat.S_IMODE(index.parent.stat().st_mode) == 0o700


def test_a_place_where_nothing_can_be_written_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, whales="Whales eat krill.")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path / "file"))
    assert found(tmp_path, "krill") == ["whales"]


def test_a_user_without_a_home_directory_finds_documents_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(*_: object, **__: object) -> str:
        raise RuntimeError("could not determine the home directory")

    write(tmp_path, whales="Whales eat krill.")
    monkeypatch.delenv("AGENTKIT_CACHE")
    monkeypatch.setattr("platformdirs.user_cache_dir", homeless)
    assert found(tmp_path, "krill") == ["whales"]


def test_an_index_that_is_not_kept_leaves_no_file(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.")
    find, _ = documents(tmp_path, keep_index=False)
    assert "whales.txt" in find(["krill"])
    assert indexes() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_a_connection_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, whales="Whales eat krill.")
    code = (
        "import os, sys; from agentkit_tools import documents\n"
        "find = documents(sys.argv[1])[0]; find(['krill'])\n"
        "child = os.fork()\n"
        "os.write(1, f\"{'source: whales.txt' in find(['krill'])}\\n\".encode())\n"
        "child and os.waitpid(child, 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


def test_an_index_that_is_kept_in_its_folder_is_no_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTKIT_CACHE", str(tmp_path))
    folder = tmp_path / "documents"  # where the indexes are kept, too
    folder.mkdir()
    (folder / "tide.md").write_text("The tide is high at noon.")
    search, _ = documents(folder)
    for _ in range(3):
        assert "sqlite3" not in search(query=["tide noon sqlite3"])
    assert list(folder.glob("*.sqlite3-wal"))
