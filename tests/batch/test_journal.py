"""An answers file promises: one line an item, whole after a kill at any moment, and never silently another file."""

import errno
import fcntl
import itertools
import os
import random
import resource
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit.batch import answer_lines, begun
from agentkit.batch import journal as journal_module
from agentkit.batch.answer_lines import line_of, read_records
from agentkit.batch.budget import BatchBudget, BatchLimits
from agentkit.batch.id_set import IdMap
from agentkit.batch.journal import Journal, JournalError
from agentkit.batch.rewritten import rewrite
from agentkit.errors import ConfigurationError

MADE_WITH = {"model": "test-1", "instructions": "Answer."}


def record(id_: str, ok: bool = True, **more: Any) -> dict[str, Any]:
    return {"id": id_, "ok": ok, "output": f"the answer of {id_}" if ok else None, **more}


def failed(id_: str, kind: str = "ValueError") -> dict[str, Any]:
    return record(id_, ok=False, error={"type": kind, "message": "no", "status": None})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def opened(path: Path, **options: Any) -> Journal:
    return Journal.open(path, MADE_WITH, **options)


def write_all(path: Path, records: Iterable[dict[str, Any]], **options: Any) -> None:
    with opened(path, **options) as journal:
        for each in records:
            journal.write(each)


def ids(path: Path) -> list[str]:
    return [each["id"] for each in read_records(path)]


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def test_a_later_start_knows_what_is_answered(path: Path) -> None:
    write_all(path, [record("a"), failed("b")])
    with opened(path) as journal:
        assert [journal.is_answered(each) for each in "abc"] == [True, True, False]
        assert (journal.answered, journal.failed, journal.in_flight) == (2, 1, [])
        assert journal.write(record("c"))
        assert (journal.answered, journal.failed) == (3, 1)
    assert ids(path) == ["a", "b", "c"]


def test_an_item_has_one_line_however_often_it_is_written(path: Path) -> None:
    write_all(path, [record("a")])
    with opened(path) as journal:
        assert not journal.write(record("a", note="again"))
        assert journal.write(record("b"))
        assert not journal.write(record("b", note="again"))
    assert ids(path) == ["a", "b"]
    assert b"again" not in path.read_bytes()


def test_a_line_begins_with_id_and_ok_and_has_every_field(path: Path) -> None:
    given = {"output": "x", "ok": True, "usage": {"requests": 1}, "id": "7"}
    write_all(path, [given])
    assert path.read_bytes().startswith(b'{"id":"7","ok":true,')
    assert next(read_records(path)) == given


ODD_TEXTS = [
    "a\u2028b\u2029c\x85d",
    "lone \ud83d and \udc00",
    "\U0001f600",
    'quote " back \\ slash',
    "\n\r\x1c\x00",
    "é",
]


@pytest.mark.parametrize("text", ODD_TEXTS, ids=ascii)
def test_a_text_of_any_characters_is_one_line_for_every_reader(path: Path, text: str) -> None:
    write_all(path, [record(text, output=text), record("after")])
    raw = path.read_bytes().decode("utf-8")
    assert len(raw.splitlines()) == 2
    assert next(read_records(path))["output"] == text
    with opened(path) as journal:
        assert journal.is_answered(text)
        assert not journal.is_answered(text + ".")


def test_what_json_has_not_is_no_reason_to_lose_an_answer(path: Path) -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    odd = {"nan": float("nan"), "inf": [float("inf")], "path": Path("x"), 3: {4}, "deep": deep}
    write_all(path, [record("a", item=odd)])
    found = next(read_records(path))["item"]
    assert (found["nan"], found["inf"], found["path"], found["3"]) == (None, [None], "x", [4])
    assert b"NaN" not in path.read_bytes()


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("journals")
    return (folder / f"{number}.jsonl" for number in itertools.count())


@settings(max_examples=60)
@given(st.data())
def test_any_prefix_of_the_file_opens_with_exactly_its_whole_lines(paths: Iterator[Path], data: st.DataObject) -> None:
    texts = data.draw(st.lists(st.text(max_size=8), min_size=1, max_size=5, unique=True))
    content = b"".join(line_of(record(text, output=text, item={"ok": text})) for text in texts)
    length = data.draw(st.integers(0, len(content)))
    tail = data.draw(st.sampled_from([b"", b"\0" * 5, b"\n", b"\n\r\n", b"\0\n"]))
    path = next(paths)
    path.write_bytes(content[:length] + tail)
    whole = content[:length].count(b"\n") + (content[length - 1 : length + 1] == b"}\n")  # or lacks its end alone
    if not tail.strip(b"\0"):
        assert ids(path)[:whole] == texts[:whole]  # and one that lacks its end alone
    with opened(path) as journal:
        assert journal.answered == whole
        assert [journal.is_answered(text) for text in texts] == [number < whole for number in range(len(texts))]
        for text in texts:
            journal.write(record(text, output=text, item={"ok": text}))
    assert path.read_bytes() == content


@pytest.mark.parametrize("behind", [b"", b" ", b"\0" * 9], ids=["nothing", "a space", "null bytes"])
def test_a_last_record_that_lacks_only_its_end_is_answered(path: Path, behind: bytes) -> None:
    # an editor that trims the end of a file; half a record is no JSON object
    write_all(path, [record("a"), record("b", ok=False, error={"type": "timeout"}), record("c")])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + behind)
    assert ids(path) == ["a", "b", "c"]
    with opened(path) as journal:
        assert (journal.answered, journal.failed, journal.in_flight) == (3, 1, [])
        assert journal.is_answered("c")
        assert not journal.write(record("c", output="another"))
        journal.write(record("d"))
    assert path.read_bytes() == content + line_of(record("d"))


def test_a_last_record_that_lacks_only_its_end_may_be_one_that_failed_and_is_asked_again(path: Path) -> None:
    write_all(path, [record("a"), record("b", ok=False, error={"type": "timeout"})])
    path.write_bytes(path.read_bytes()[:-1])
    with opened(path, retry_failed=True) as journal:
        assert (journal.answered, journal.is_answered("b")) == (1, False)
        journal.write(record("b"))
    assert [each["ok"] for each in read_records(path)] == [True, True]


BROKEN = {
    "half a line": b'{"id":"b","ok":true,"outp\n',
    "two run together": b'{"id":"b","ok":true,"output":"x{"id":"c","ok":true,"output":""}\n',
    "null bytes": b'{"id":"b","ok":true,"output":"' + b"\0" * 9 + b'"}\n',
    "no JSON": b"# a remark\n",
    "no object": b"[1, 2]\n",
    "no ok": b'{"id":"b","question":"why?"}\n',
    "no id": b'{"ok":true}\n',
    "an ok of another type": b'{"id":"b","ok":"yes"}\n',
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_line_broken_in_the_middle_is_refused_by_its_number_and_nothing_is_changed(path: Path, broken: bytes) -> None:
    content = line_of(record("a")) + b"\n" + broken + line_of(record("z"))
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"line 3 of answers\.jsonl is broken"):
        opened(path)
    with pytest.raises(ConfigurationError, match="line 3"):
        list(read_records(path))
    assert path.read_bytes() == content
    assert not path.with_name("answers.jsonl.state").exists()


OTHER_FILES = {
    "questions": b'{"id":"q1","question":"Why?"}\n{"id":"q2","question":"How?"}\n',
    "one question": b'{"id":"q1","question":"Why?"}',
    "a text": b"Dear all,\nas we said.",
    "one word": b"word",
    "JSON": b'{\n  "a": 1\n}\n',
    "JSON on a line": b'{"a": 1}',
    "UTF-16": '{"id":"a","ok":true}\n'.encode("utf-16"),
}


@pytest.mark.parametrize("content", OTHER_FILES.values(), ids=OTHER_FILES)
def test_a_file_that_is_no_answers_file_is_refused_and_not_changed(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="is broken"):
        opened(path)
    assert path.read_bytes() == content


def test_lines_of_other_programs_are_read_right(path: Path) -> None:
    written = [
        '{"output": "x", "ok": true, "id": "spaced"}',
        '{"id": "default", "ok": false, "error": null}',
        '{"ok":true,"id":12}',
        '{"item":{"id":"no","ok":false},"id":"nested","ok":true}',
        '{"id":"\\u0061\\"","ok":true}',
    ]
    path.write_bytes("\ufeff".encode() + "\r\n".join([*written, ""]).encode())
    with opened(path) as journal:
        assert all(journal.is_answered(each) for each in ("spaced", "default", "12", "nested", 'a"'))
        assert not journal.is_answered("no")
        assert (journal.answered, journal.failed) == (5, 1)


def test_another_fingerprint_is_refused_and_what_changed_is_named(path: Path) -> None:
    write_all(path, [record("a")])
    other = {"model": "test-2", "instructions": "Answer.", "tools": "search"}
    with pytest.raises(ConfigurationError, match=r"another model and another tools \(model was 'test-1', is 'test-2'"):
        Journal.open(path, other)
    with Journal.open(path, other, anyway=True) as journal:
        assert journal.is_answered("a")
    Journal.open(path, other).close()
    Journal.open(path, None).close()


def test_a_fingerprint_may_change_as_long_as_nothing_is_answered(path: Path) -> None:
    write_all(path, [])
    with Journal.open(path, {"model": "another"}) as journal:
        journal.write(record("a"))
    with pytest.raises(ConfigurationError, match="model was 'another'"):
        opened(path)


def test_what_is_superseded_is_gone_at_the_end_and_left_out_before(path: Path) -> None:
    write_all(path, [failed("a"), record("b"), failed("c", "unknown_effect")])
    with opened(path, retry_failed=True) as journal:
        assert [journal.is_answered(each) for each in "abc"] == [False, True, True]
        assert (journal.answered, journal.failed) == (2, 1)
        assert journal.write(record("a"))
        assert not journal.write(record("a"))
        assert len(lines(path)) == 4
        assert [(each["id"], each["ok"]) for each in read_records(path)] == [("b", True), ("c", False), ("a", True)]
        assert next(iter(journal.find(["a"])))["ok"]
    assert len(lines(path)) == 3
    with opened(path, retry_unknown=True) as journal:
        assert [journal.is_answered(each) for each in "abc"] == [True, True, False]


def test_a_failure_that_is_not_asked_again_keeps_its_line(path: Path) -> None:
    write_all(path, [failed("a"), failed("b")])
    write_all(path, [record("b")], retry_failed=True)
    assert [(each["id"], each["ok"]) for each in read_records(path)] == [("a", False), ("b", True)]


@pytest.mark.parametrize("killed", ["never", "before", "after"])
def test_what_was_spent_for_superseded_records_and_stopped_runs_is_kept_once(
    killed: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spent(tokens: int) -> dict[str, Any]:
        return {"usage": {"input_tokens": tokens, "output_tokens": 1}, "cost": 0.5}

    def known(journal: Journal) -> tuple[int, int]:
        budget = BatchBudget(BatchLimits(tokens=1), journal.all_records(), journal.lost)
        return budget.tokens, int(budget.cost * 2)

    def rewritten(*arguments: Any) -> None:
        if killed == "after":
            rewrite(*arguments)
        raise SystemExit("killed")

    write_all(path, [{**failed("a"), **spent(10)}, {**record("b"), **spent(20)}])
    journal = opened(path, retry_failed=True)
    journal.write({**record("a"), **spent(30)})
    journal.lose({**record("c"), **spent(40)})
    assert known(journal) == (104, 4)
    if killed == "never":
        journal.close()
    else:
        monkeypatch.setattr(journal_module, "rewrite", rewritten)
        with pytest.raises(SystemExit):
            journal.close()
        monkeypatch.undo()
    assert len(lines(path)) == (3 if killed == "before" else 2)
    for _ in range(2):
        with opened(path) as journal:
            assert known(journal) == (104, 4)
    path.unlink()
    with opened(path) as journal:
        assert known(journal) == (0, 0)


def test_lines_can_be_put_in_the_order_of_the_input(path: Path) -> None:
    wanted = [f"q{number}" for number in range(200)]
    shuffled = random.Random(1).sample(wanted, len(wanted))
    with opened(path) as journal:
        for each in [*shuffled, "removed since"]:
            journal.write(record(each))
        journal.close(order=iter(["not answered", *wanted, "q3"]))
    assert ids(path) == [*wanted, "removed since"]
    inode = path.stat().st_ino
    with opened(path) as journal:
        journal.close(order=wanted)
    assert path.stat().st_ino == inode  # nothing was to be done


def test_what_was_begun_without_a_record_is_in_flight_at_the_next_start(path: Path) -> None:
    def begin_three(journal: Journal) -> None:
        journal.begin(["a", "b \u2028", "c", "d"])
        journal.write(record("a"))
        journal.forget(["d", "a"])

    killed_after(path, begin_three)
    with opened(path) as journal:
        assert journal.in_flight == ["b \u2028", "c"]
        journal.write(failed("c", "unknown_effect"))
    with opened(path) as journal:
        assert journal.in_flight == ["b \u2028"]
        journal.write(record("b \u2028"))
    assert sorted(each.name for each in path.with_name("answers.jsonl.state").iterdir()) == ["job.json", "lock"]


def test_a_failed_item_is_in_flight_only_when_it_was_begun_again(path: Path) -> None:
    write_all(path, [failed("a"), failed("b")])

    def fail_one(journal: Journal) -> None:
        journal.begin(["a", "b"])
        journal.write(failed("b"))

    killed_after(path, fail_one, retry_failed=True)
    with opened(path) as journal:
        assert journal.in_flight == []  # the failure counts
    with opened(path, retry_failed=True) as journal:
        assert journal.in_flight == ["a"]


def test_notes_of_what_is_begun_stay_small(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(begun, "MAX_BYTES", 20_000)
    with opened(path) as journal:
        journal.begin(["stays"])
        for first in range(0, 4_000, 100):
            some = [f"{number:040}" for number in range(first, first + 100)]
            journal.begin(some)
            for each in some:
                journal.write({"id": each, "ok": True})
        assert (path.with_name("answers.jsonl.state") / "begun").stat().st_size < 30_000
    with opened(path) as journal:
        assert journal.in_flight == ["stays"]


def test_notes_of_a_file_that_was_removed_are_forgotten(path: Path) -> None:
    killed_after(path, lambda journal: journal.begin(["a"]))
    path.unlink()
    with opened(path) as journal:
        assert journal.in_flight == []


def test_a_second_program_is_told_who_writes_the_file(path: Path) -> None:
    link = path.with_name("other name.jsonl")
    link.symlink_to(path)
    with opened(path):
        for name in (path, link):
            with pytest.raises(ConfigurationError, match=f"process {os.getpid()} is writing answers.jsonl"):
                opened(name)
    opened(link).close()


def test_a_link_stays_a_link_when_the_file_is_written_anew(path: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "real.jsonl"
    path.symlink_to(target)
    with opened(path) as journal:
        for each in "ba":
            journal.write(record(each))
        target.chmod(0o640)
        journal.close(order="ab")
    assert path.is_symlink()
    assert ids(path) == ["a", "b"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_the_answers_are_readable_as_the_umask_says_and_their_state_by_the_owner(path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_all(path, [record("a")])
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.with_name("answers.jsonl.state").stat().st_mode) == 0o700


def test_names_that_can_not_be_an_answers_file_are_refused(path: Path, tmp_path: Path) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"id":"a"}\n')
    (tmp_path / "same.jsonl").hardlink_to(questions)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    cases: dict[Any, str] = {
        tmp_path: "is a folder",
        tmp_path / "no" / "a.jsonl": "there is no folder",
        "-": "not the name of a file",
        "a\0b": "not the name of a file",
        tmp_path / "a.csv": "agentkit batch export",
        fifo: "not a regular file",
        questions: "has the questions",
        tmp_path / "same.jsonl": "has the questions",
        questions / "a.jsonl": "there is no folder",
    }
    for name, said in cases.items():
        with pytest.raises(ConfigurationError, match=said):
            opened(name, questions=questions)
    assert questions.read_text() == '{"id":"a"}\n'


def test_a_state_that_is_no_folder_is_refused(path: Path) -> None:
    path.with_name("answers.jsonl.state").write_text("")
    with pytest.raises(ConfigurationError, match=r"answers\.jsonl\.state can't be written"):
        opened(path)


def test_a_full_disk_leaves_whole_lines_and_is_survived(path: Path) -> None:
    with opened(path) as journal:
        journal.write(record("a"))
        with largest_file(path.stat().st_size + 30), pytest.raises(JournalError, match="File too large") as caught:
            journal.write(record("b"))
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__cause__.errno == errno.EFBIG
        assert ids(path) == ["a"]
        assert path.read_bytes().endswith(b"}\n")
        assert not journal.is_answered("b")
        assert journal.write(record("b"))  # there is room again
    assert ids(path) == ["a", "b"]


def test_a_disk_too_full_to_write_the_file_anew_leaves_it_as_it_is(path: Path) -> None:
    journal = opened(path)
    for number in range(50):
        journal.write(record(str(number)))
    before = path.read_bytes()
    with largest_file(500), pytest.raises(JournalError, match="All records so far are in it"):
        journal.close(order=map(str, reversed(range(50))))
    assert path.read_bytes() == before
    with opened(path) as journal:
        assert journal.answered == 50


@pytest.fixture(params=["removed", "replaced"])
def harm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_file_that_is_removed_or_replaced_meanwhile_is_noticed(
    path: Path, harm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.01)
    journal = opened(path)
    path.rename(path.with_name("moved.jsonl"))
    if harm == "replaced":
        path.write_bytes(b"")
    thread = journal._syncing
    assert thread is not None
    thread.join(30)
    with pytest.raises(JournalError, match=r"removed or replaced .* Put it back"):
        journal.write(record("a"))
    with pytest.raises(JournalError, match="removed or replaced"):
        journal.close()


def test_threads_write_lines_that_are_whole(path: Path) -> None:
    with opened(path) as journal:

        def write(name: int) -> None:
            for number in range(200):
                id_ = f"{name}-{number}"
                journal.begin([id_])
                journal.write(record(id_, output="x" * number))

        threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(ids(path))) == len(lines(path)) == 1600
    with pytest.raises(JournalError, match="closed"):
        journal.write(record("late"))


def test_an_index_keeps_the_last_number_of_each_id() -> None:
    index, numbers = IdMap(), random.Random(0)
    expected: dict[int, int] = {}
    for value in range(3000):
        key = numbers.randrange(1500) << 12 | numbers.randrange(2)
        expected[key] = value
        index.extend([(key, value)])
    assert index.settle() == 3000 - len(expected)
    for value in range(3000, 4000):
        key = numbers.randrange(3000) << 12
        expected[key] = value
        index.put(key, value)
    assert {key: index.get(key) for key in expected} == expected
    assert len(index) == len(expected)
    assert index.get(1 << 50) is None


def test_answered_lines_are_not_parsed_to_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(path, "wb") as file:
        for number in range(3000):
            each = record(str(number), ok=number % 3 > 0, error=None, item={"ok": number} if number == 2998 else {})
            file.write(line_of(each))
    parsed: list[bytes] = []
    whole = answer_lines.record_of

    def counted(line: bytes) -> dict[str, Any]:
        parsed.append(line)
        return whole(line)

    monkeypatch.setattr(answer_lines, "record_of", counted)
    with opened(path) as journal:
        assert (journal.answered, journal.failed) == (3000, 1000)
    assert len(parsed) <= 2  # the last one, and one that might be two


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system that has none."""

    def flock(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


def test_where_files_can_not_be_locked_a_lease_keeps_others_away(
    path: Path, without_locks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SYNC_SECONDS", 0.01)
    lease = path.with_name("answers.jsonl.state") / "lease"
    with opened(path) as journal:
        with pytest.raises(ConfigurationError, match="is writing answers"):
            opened(path)
        journal.write(record("a"))
    assert not lease.exists()
    killed_after(path, lambda journal: journal.write(record("b")))
    assert lease.exists()
    with opened(path) as journal:  # the other one is dead
        assert journal.answered == 2
        thread = journal._syncing
        assert thread is not None
        lease.write_text("elsewhere 1 0")  # taken while this machine slept
        thread.join(30)
        with pytest.raises(JournalError, match="another program has taken the lock"):
            journal.write(record("c"))
        with pytest.raises(JournalError):
            journal.close()
    with pytest.raises(ConfigurationError, match="is writing answers"):
        opened(path)
    os.utime(lease, (0, 0))  # silent for too long
    opened(path).close()
    assert sorted(each.name for each in lease.parent.iterdir()) == ["job.json", "lock"]


def test_a_job_that_can_not_be_read_is_refused_where_it_matters(path: Path) -> None:
    write_all(path, [record("a")])
    job = path.with_name("answers.jsonl.state") / "job.json"
    job.write_text('{"v": 1')
    with pytest.raises(ConfigurationError, match=r"job\.json can't be read"):
        opened(path)
    opened(path, anyway=True).close()
    opened(path).close()
    job.unlink()
    opened(path).close()


# Kills


def forked(work: Callable[[], object]) -> int:
    """The id of a child of this process, that runs `work` and kills itself."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    return child


def killed_after(path: Path, work: Callable[[Journal], object], **options: Any) -> None:
    """Open a journal in a process that is killed when `work` is done with it."""
    os.waitpid(forked(lambda: work(opened(path, **options))), 0)


def killed_soon(path: Path, work: Callable[[], object], seconds: float) -> None:
    """Run `work` in a process that is killed after this time, wherever it is."""
    child = forked(work)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_twenty_kills_lose_no_line_and_write_none_twice(path: Path) -> None:
    wanted = [f"q{number}" for number in range(4000)]

    def answer() -> None:
        with opened(path) as journal:
            for first in range(0, len(wanted), 4):
                some = [each for each in wanted[first : first + 4] if not journal.is_answered(each)]
                journal.begin(some)
                for each in some:
                    journal.write(record(each, output=each * 50))

    chance, before = random.Random(28), b""
    for _ in range(20):
        killed_soon(path, answer, chance.uniform(0.005, 0.05))
        found = path.read_bytes() if path.exists() else b""
        assert found.startswith(before)
        before = found[: found.rindex(b"\n") + 1] if b"\n" in found else b""
    with opened(path) as journal:
        assert len(journal.in_flight) <= 4
    answer()
    assert len(lines(path)) == len(wanted)
    assert ids(path) == wanted


def test_kills_while_the_file_is_written_anew_lose_no_line(path: Path) -> None:
    wanted = [f"q{number}" for number in range(300)]
    write_all(path, [failed(each) if each.endswith("7") else record(each) for each in wanted])
    chance = random.Random(28)

    def work() -> None:
        while True:
            with opened(path, retry_failed=True) as journal:
                for each in wanted:
                    if not journal.is_answered(each):
                        journal.write(failed(each))
                journal.close(order=chance.sample(wanted, len(wanted)))

    for _ in range(10):
        chance.random()
        killed_soon(path, work, chance.uniform(0.005, 0.08))
        assert sorted(ids(path)) == sorted(wanted)
    opened(path).close()
    assert len(lines(path)) == len(wanted)
    left = {each.name for each in path.with_name("answers.jsonl.state").iterdir()}
    assert left <= {"job.json", "lock", "job.json.new", "begun.new", "holder.new", "spent", "spent.new"}


class largest_file:
    """No file can get more bytes than that, as on a disk that is full."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __enter__(self) -> None:
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._size, self._before[1]))

    def __exit__(self, *error: object) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)
