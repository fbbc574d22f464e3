"""Records what model servers answer in an evaluation, and replays it without a key, a network and a model.

A recording is a folder with one file of JSON lines. What is looked up is the exact request: its path and its bytes, in
which the model, the messages, the tools and the sampling are; in which repeat of an item it was sent; and the
how-manieth equal one of that run it is. An exchange of another item counts where the item has none, so that ids may
change. A request that is not in the recording is an error, and never sent. What is a secret here may be another
elsewhere, or a word there (POSTGRES_PASSWORD=postgres): a request is looked up as it is, and where it has values that
are secrets in this environment, without them too.

No headers are recorded, and no addresses; secrets are removed as in the cassettes of tests. Refusals because of load
and failures of a server (408, 409, 429, 5xx) are not recorded, since the same request is sent again.
"""

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from agentkit._text import in_a_line, json_bytes
from agentkit.batch.append_file import AppendFile
from agentkit.batch.driver import BatchRun
from agentkit.batch.item import Record
from agentkit.batch.journal import JournalError
from agentkit.errors import AgentkitError, ConfigurationError
from agentkit.net.exchanges import Onlooker, Sent, Stored, all_seen_by
from agentkit.net.repeats import current_run
from agentkit.testing.cassette import STREAMING, redaction_here
from agentkit.testing.redaction import Redaction

FILE = "exchanges.jsonl"
MAX_BODY = 50_000_000
"""Bytes of a response that is recorded."""
_TRANSIENT = (408, 409, 429)

Place = tuple[str, int, int]
"""(digest of the request, the repeat of the item, the how-manieth equal request of that run)"""


class NotRecordedError(AgentkitError):
    """A request is not in the recording; the message says what in it is another than in the nearest that is there."""


class Recording:
    """What is recorded in a folder. Thread-safe. folder: it is made when something is recorded. problems: how many
    requests were not in it; first: the first of them, in a sentence."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems = 0
        self.first = ""
        self._redaction: Redaction = redaction_here()
        self._without_values = Redaction(())
        self._lock = threading.Lock()
        self._file: AppendFile | None = None
        self._failure: OSError | None = None
        self._counts: Counter[tuple[str, str, int]] = Counter()
        self._stored: dict[Place, dict[str, Stored]] = {}
        self._known: list[dict[str, Any]] = []

    def load(self) -> None:
        """Read what is there. Raises ConfigurationError when nothing is, or it can't be read."""
        file = self.folder / FILE
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            raise ConfigurationError(f"{self.folder} has no recording: make one with --record {self.folder}") from None
        except OSError as error:
            raise ConfigurationError(f"{file} can't be read: {error.strerror}") from None
        *lines, _ = content.split(b"\n")  # what stands behind the last one is torn
        for number, line in enumerate(lines, 1):
            self._take(line, number)

    def _take(self, line: bytes, number: int) -> None:
        try:
            made = json.loads(line)
            places = [(str(each["key"]), int(made["repeat"]), int(each["nth"])) for each in _keys_in(made)]
            body = base64.b64decode(made["base64"]) if "base64" in made else str(made["body"]).encode()
            stored = Stored(int(made["status"]), str(made["type"]), body)
            for place in places:
                self._stored.setdefault(place, {})[str(made["id"])] = stored
            self._known.append(dict(made["parts"]))
        except (KeyError, TypeError, ValueError, RecursionError):
            raise ConfigurationError(
                f"{self.folder / FILE}: line {number} is no exchange: record it again in an empty folder"
            ) from None

    def open(self) -> None:
        """Make the folder. Raises ConfigurationError when that can't be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = AppendFile(self.folder / FILE, 0o666)
            whole = (self.folder / FILE).read_bytes().rfind(b"\n") + 1
            if whole < self._file.size:  # the line of a program that was killed
                self._file.truncate(whole)
        except OSError as error:
            raise ConfigurationError(f"--record {self.folder}: {error.strerror}") from None

    def close(self) -> None:
        """Close the file that is recorded in."""
        if self._file is not None:
            self._file.close()

    def keys(self, sent: Sent) -> list[str]:
        """The digests of a request, without the server's address: as it is, but for fields that are secret by their
        names, and where that is another, without the values that are secrets here."""
        path = urlsplit(sent.url).path.encode("utf-8", "surrogatepass")
        body = self._without_values.body(_without_stream(sent.body))
        bodies = dict.fromkeys((body, self._redaction.known(body)))
        return [hashlib.blake2b(b"%s\0%s" % (path, each), digest_size=16).hexdigest() for each in bodies]

    def places(self, sent: Sent) -> tuple[str, list[Place]]:
        """The id of the item whose run sends a request, and its places, one for each of its digests; each call counts
        as one request."""
        item, repeat = current_run()
        keys = self.keys(sent)
        with self._lock:
            self._counts.update((key, item, repeat) for key in keys)
            return item, [(key, repeat, self._counts[key, item, repeat]) for key in keys]

    def find(self, item: str, places: Sequence[Place], sent: Sent) -> Stored:
        """The response that is recorded. Raises NotRecordedError."""
        found = next((self._stored[place] for place in places if place in self._stored), None)
        if found:
            return found.get(item) or next(iter(found.values()))
        said = "it is not recorded"
        with self._lock:
            if sent.body:
                self.problems += 1
                said = self._difference(places, sent) if not self.first else said
                self.first = self.first or said
        raise NotRecordedError(f"a request is not in the recording {self.folder.name}: {said}")

    def _difference(self, places: Sequence[Place], sent: Sent) -> str:
        """What a request has that no recorded one has."""
        recorded = {key for key, _, _ in self._stored}
        for _, repeat, nth in (place for place in places if place[0] in recorded):
            return f"it was recorded for fewer repeats or requests (this is repeat {repeat}, request {nth} of its run)"
        now = parts_of(sent.body)
        nearest = max(
            self._known, key=lambda then: sum(then.get(name) == part for name, part in now.items()), default={}
        )
        names = [*now, *(name for name in nearest if name not in now)]
        other = [name for name in names if now.get(name) != nearest.get(name)]
        if not nearest or not other:
            return "nothing like it was recorded"
        name = other[0]
        what = (
            "new" if name not in nearest else "missing now" if name not in now else "another than when it was recorded"
        )
        more = f" (and {len(other) - 1} more parts)" if len(other) > 1 else ""
        return f"{name} is {what}{more}"

    def keep(self, item: str, places: Sequence[Place], sent: Sent, stored: Stored) -> None:
        """Record a response. Raises nothing where the file can't be written, which says nothing of the request: `check`
        raises that."""
        assert self._file is not None
        (key, repeat, nth), *others = places
        body = self._redaction.body(stored.body)
        made: dict[str, Any] = {"id": item, "key": key, "repeat": repeat, "nth": nth, "parts": parts_of(sent.body)}
        if others:
            made["without_secrets"] = {"key": others[0][0], "nth": others[0][2]}
        made |= {"status": stored.status, "type": stored.content_type, **_as_text(body)}
        line = json.dumps(made, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        try:
            self._file.append(line)
        except OSError as error:
            self._failure = error

    def check(self) -> None:
        """Raises ConfigurationError where requests were not in the recording, and JournalError where an exchange could
        not be written."""
        if self._failure is not None:
            raise JournalError(
                f"the recording {self.folder / FILE} can't be written: {self._failure.strerror}: make room, and record "
                "again in an empty folder"
            ) from self._failure
        if self.problems:
            raise ConfigurationError(
                f"{self.problems} requests are not in the recording {self.folder}: {self.first}: record it again with "
                f"--record {self.folder}, or undo the change"
            )

    def watched(
        self, watch: Callable[[str, BatchRun], Iterable[Record]]
    ) -> Callable[[str, BatchRun], Iterator[Record]]:
        """What reads a batch, and stops it when an exchange can't be written: nothing is paid for in vain."""

        def watched(name: str, run: BatchRun) -> Iterator[Record]:
            is_stopped = False
            for record in watch(name, run):
                if self._failure is not None and not is_stopped:
                    is_stopped = True
                    run.stop()
                yield record

        return watched


def _keys_in(made: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The digests of a request on a line of the file, each with the how-manieth of it that the request is."""
    return [made, made["without_secrets"]] if "without_secrets" in made else [made]


def _without_stream(body: bytes) -> bytes:
    """A request without what says whether its reply is streamed: that depends on how quick tools were, and either reply
    is read for either request."""
    try:
        made = json.loads(body)
    except (ValueError, RecursionError):
        return body
    if not isinstance(made, dict):
        return body
    return json_bytes({name: value for name, value in made.items() if name not in STREAMING})


def _as_text(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def parts_of(body: bytes) -> dict[str, str]:
    """Short digests of the parts of a request, by which it is told what has changed: no text is in them."""
    try:
        made = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        made = body.decode("utf-8", "replace")
    if not isinstance(made, Mapping):
        return {"the body": _digest(made)}
    parts = {}
    for name, value in made.items():
        if name in STREAMING:
            continue
        if name != "messages" or not isinstance(value, list):
            parts[in_a_line(str(name), 60)] = _digest(value)
            continue
        for number, message in enumerate(value):
            role = message.get("role") if isinstance(message, Mapping) else None
            parts[f"messages[{number}] ({in_a_line(str(role), 20)})"] = _digest(message)
    return parts


def _digest(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


class _Recorder(Onlooker):
    """Records one exchange."""

    methods: ClassVar[tuple[str, ...]] = ("GET", "POST")

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._sent: Sent | None = None
        self._status, self._type, self._size = 0, "", 0
        self._chunks: list[bytes] = []

    def answered(self, sent: Sent, status: int, headers: Mapping[str, str]) -> None:
        """See `Onlooker.answered`."""
        self._sent, self._status, self._type = sent, status, headers.get("content-type") or ""

    def received(self, chunk: bytes) -> None:
        """See `Onlooker.received`."""
        self._size += len(chunk)
        if self._size <= MAX_BODY:
            self._chunks.append(chunk)

    def ended(self) -> None:
        """See `Onlooker.ended`."""
        is_kept = self._status < 500 and self._status not in _TRANSIENT and self._size <= MAX_BODY
        if self._sent is not None and is_kept:
            item, places = self._recording.places(self._sent)
            body = b"".join(self._chunks)
            self._recording.keep(item, places, self._sent, Stored(self._status, self._type, body))


class _Replayer(Onlooker):
    """Answers one request from a recording."""

    methods: ClassVar[tuple[str, ...]] = ("GET", "POST")

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    def stored(self, sent: Sent) -> Stored:
        """See `Onlooker.stored`. Raises NotRecordedError."""
        item, places = self._recording.places(sent)
        try:
            return self._recording.find(item, places, sent)
        except NotRecordedError:
            if sent.body:
                raise
            return Stored(404, "application/json", b"{}")  # a GET asks what a server can do, and may have no answer


@contextmanager
def recorded_or_replayed(record: str | Path | None, replay: str | Path | None) -> Iterator[Recording | None]:
    """In the block, record the exchanges with model servers of this process in the folder `record`, or replay those of
    the folder `replay`. Raises ConfigurationError."""
    if record is not None and replay is not None:
        raise ConfigurationError("record and replay exclude each other: give one of them")
    if record is None and replay is None:
        yield None
        return
    recording = Recording(Path(record if replay is None else replay))  # type: ignore[arg-type]
    if replay is None:
        recording.open()
    else:
        recording.load()
    make = _Recorder if replay is None else _Replayer
    try:
        with all_seen_by(lambda: make(recording)):
            yield recording
    finally:
        recording.close()
