"""Records HTTP exchanges with model servers and the web in a file, and replays them in tests without network (vcrpy).

Both HTTP libraries are recorded (httpx, which the openai package uses, and requests), including streams. Secrets are
removed: only a few harmless headers are kept, fields of bodies and parameters of URLs with the name of a secret are
redacted, and so are the secrets in environment variables wherever they occur.
"""

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError, MissingExtraError
from agentkit.net.error_text import causes_of
from agentkit.net.keys import is_secret_name
from agentkit.testing.cassette_file import CassetteFile
from agentkit.testing.redaction import Redaction
from agentkit.testing.reset_window import narrowed
from agentkit.tooling.outcome import failures_watched_by

MODES = ("none", "once", "new", "all")
KEPT_OF_REQUESTS = ("accept", "content-type")
KEPT_OF_RESPONSES = ("content-type", "retry-after", "location")
STREAMING = ("stream", "stream_options")
"""Fields of a request for a reply that say how it is sent, and not what is asked: `Agent.run` has it streamed or not by
how long tools take, which differs from run to run."""
_VARIABLE = re.compile(r"(^|_)(key|token|auth)s?$|password$", re.IGNORECASE)


class CassetteError(AssertionError):
    """A request is not in the recording; the message names the first difference."""


@contextmanager
def recorded(path: str | os.PathLike[str], *, mode: str | None = None, secrets: Iterable[str] = ()) -> Iterator[Any]:
    """Replay the exchanges in the file `path`, or record them. Yields vcrpy's cassette.

    mode: "none" only replays, "once" records if the file does not exist, "new" records missing exchanges, "all" records
    everything again; None reads AGENTKIT_RECORD from the environment, else means "none". secrets: texts to redact, in
    addition to the values of environment variables with the names of secrets (KEY, TOKEN, PASSWORD, COOKIE, ...).

    Raises CassetteError for a request that was not recorded, at the request, and again at the end where a tool has
    failed with it; ConfigurationError for an unknown mode, a damaged file, or a missing one to replay, and
    MissingExtraError without vcrpy.
    """
    try:
        import vcr
    except ImportError:
        raise MissingExtraError("record and replay", "testing") from None
    mode = mode or os.environ.get("AGENTKIT_RECORD") or "none"
    if mode not in MODES:
        raise ConfigurationError(f"the record mode must be one of {', '.join(MODES)}, got {mode!r} (AGENTKIT_RECORD)")
    file = Path(path)
    if mode == "none" and not file.exists():
        raise ConfigurationError(f"the recording {file.name} does not exist: record it with AGENTKIT_RECORD=once")
    redaction = redaction_here(secrets)
    player = vcr.VCR(
        before_record_request=partial(_recorded_request, redaction),
        before_record_response=partial(_recorded_response, redaction),
        decode_compressed_response=True,
    )
    player.register_matcher("agentkit", _check)
    player.register_persister(CassetteFile(is_replaced=mode == "all"))
    misses: list[CassetteError] = []
    modes = {"none": "none", "once": "once", "new": "new_episodes", "all": "all"}
    used = player.use_cassette(str(file), record_mode=modes[mode], match_on=["agentkit"])
    with _reported(misses), narrowed(), used as cassette:
        cassette.can_play_response_for = partial(_can_play, cassette, file.name, misses)
        cassette.play_response = partial(_play, cassette, file.name, misses, threading.Lock())
        yield cassette


@contextmanager
def _reported(misses: Sequence[CassetteError]) -> Iterator[None]:
    """Raises at the end those of the errors that made a tool fail, or that agentkit has caught itself."""
    of_tools: list[CassetteError] = []

    def note(error: BaseException) -> None:
        of_tools.extend(miss for miss in tuple(misses) if _comes_of(error, miss))

    failures_watched_by.append(note)
    try:
        yield
    except Exception as error:
        for miss in misses:
            if error is not miss and _comes_of(error, miss):
                raise miss from error
            if miss in of_tools or _was_caught_here(miss):
                error.add_note(f"({miss})")
        raise
    finally:
        failures_watched_by.remove(note)
    for miss in misses:
        if miss in of_tools or _was_caught_here(miss):
            raise miss


def _can_play(cassette: Any, file: str, misses: list[CassetteError], request: Any) -> bool:
    """Whether a request is in a recording. Raises CassetteError where it is not, and nothing may be added.

    It takes the place of the cassette's own method, since vcrpy's error names no difference."""
    if type(cassette).can_play_response_for(cassette, request):
        return True
    if cassette.write_protected:
        raise _noted(misses, cassette, file, request)
    return False


def _play(cassette: Any, file: str, misses: list[CassetteError], playing: threading.Lock, request: Any) -> Any:
    """The response that is recorded for a request, for one thread. Raises CassetteError where another thread, which has
    sent the same request, has just got the last one."""
    from vcr.errors import UnhandledHTTPRequestError

    with playing:
        try:
            return type(cassette).play_response(cassette, request)
        except UnhandledHTTPRequestError:
            raise _noted(misses, cassette, file, request) from None


def _noted(misses: list[CassetteError], cassette: Any, file: str, request: Any) -> CassetteError:
    miss = _miss(f"a request is not in the recording {file}: {_reason(cassette, request)}")
    misses.append(miss)
    return miss


def _miss(message: str) -> CassetteError:
    return _missing()(message)


@cache
def _missing() -> type[CassetteError]:
    from vcr.errors import CannotOverwriteExistingCassetteException

    class MissingRequestError(CassetteError, CannotOverwriteExistingCassetteException):  # type: ignore[misc]
        """A CassetteError that is vcrpy's own error too."""

        def __init__(self, message: str) -> None:
            AssertionError.__init__(self, message)

        def __reduce__(self) -> tuple[Any, ...]:
            return _miss, self.args, self.__dict__  # pickle finds no class that a function makes

    return MissingRequestError


def _was_caught_here(miss: CassetteError) -> bool:
    """Whether agentkit itself has caught an error, and went on without the request."""
    caught_in = None if miss.__traceback__ is None else miss.__traceback__.tb_frame.f_globals.get("__name__", "")
    return caught_in is not None and f"{caught_in}.".startswith("agentkit.")


def _reason(cassette: Any, request: Any) -> str:
    """How a request differs from the next one that has been recorded for its address, or from the next one."""
    now = _comparable(cassette._before_record_request(request))
    left = [_comparable(then) for place, (then, _) in enumerate(cassette.data) if not cassette.play_counts[place]]
    left.sort(key=lambda then: then["address"] != now["address"])
    found = difference(left[0], now) if left else None
    return found or "all recorded requests have been replayed already"


def _comes_of(error: BaseException | None, miss: CassetteError) -> bool:
    """Whether an error was caused by a request that was not recorded; clients wrap it in their own."""
    return any(each is miss for each in causes_of(error))


def redaction_here(secrets: Iterable[str] = ()) -> Redaction:
    """What removes these secrets, and those in the environment variables, from what is recorded."""
    return Redaction([*secrets, *_secrets_of(os.environ)])


def _secrets_of(environment: Mapping[str, str]) -> list[str]:
    return [value for name, value in environment.items() if _is_secret(name) and len(value.strip()) >= 8]


def _is_secret(variable: str) -> bool:
    is_path = variable in ("PWD", "OLDPWD")  # of a folder
    return not is_path and (is_secret_name(variable) or _VARIABLE.search(variable) is not None)


def _recorded_request(redaction: Redaction, request: Any) -> Any:
    """Return a request as it is recorded and compared. It is a copy of the one that is sent."""
    body = request.body
    if hasattr(body, "read"):
        body = body.read()
    elif body is not None and not isinstance(body, str | bytes):  # sent in pieces
        body = b"".join(body)
    kept = {name: value for name, value in request.headers.items() if name.lower() in KEPT_OF_REQUESTS}
    return type(request)(request.method, redaction.url(request.uri), redaction.body(body), kept)


def _recorded_response(redaction: Redaction, response: Any) -> Any:
    """Return a response as it is recorded."""
    headers = {
        name: [redaction.url(each) for each in value] if name.lower() == "location" else value
        for name, value in response["headers"].items()
        if name.lower() in KEPT_OF_RESPONSES
    }
    body = {name: redaction.body(value) for name, value in response["body"].items()}
    return {**response, "headers": headers, "body": body}


def _check(now: Any, then: Any) -> None:
    """Raise AssertionError when two requests differ."""
    found = difference(_comparable(then), _comparable(now))
    if found is not None:
        raise AssertionError(found)


def _comparable(request: Any) -> dict[str, Any]:
    body = request.body
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if body:
        body = _without_boundary(body, request.headers)
    with suppress(ValueError):
        body = json.loads(body) if body else None
    if isinstance(body, dict) and "messages" in body:
        body = {name: value for name, value in body.items() if name not in STREAMING}
    return {"method": request.method, "address": request.uri, "body": body}


def _without_boundary(body: str, headers: Mapping[str, str]) -> str:
    """The body of a form with files without what is set between its parts: that is another one each time."""
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    kind = kind[0] if isinstance(kind, list) else kind  # as it stands in the file
    kind = kind.decode("latin-1") if isinstance(kind, bytes) else kind
    _, _, boundary = kind.partition("boundary=")
    boundary = boundary.partition(";")[0].strip().strip('"')
    return body.replace(boundary, "boundary") if kind.startswith("multipart/") and boundary else body


def difference(then: Any, now: Any, path: str = "") -> str | None:
    """Returns the first difference between two JSON values as a sentence; None when they are equal."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*then, *(key for key in now if key not in then)]:
            where = f"{path}.{key}" if path else str(key)
            if key not in now or key not in then:
                return f"{where} is {'new' if key not in then else 'missing now'}"
            found = difference(then[key], now[key], where)
            if found is not None:
                return found
        return None
    if isinstance(then, list) and isinstance(now, list):
        for index, (one, other) in enumerate(zip_longest(then, now, fillvalue=_NOTHING)):
            where = f"{path}[{index}]"
            if one is _NOTHING or other is _NOTHING:
                return f"{where} is {'new' if one is _NOTHING else 'missing now'}"
            found = difference(one, other, where)
            if found is not None:
                return found
        return None
    return None if then == now else f"{path} was {_display(then)} and is {_display(now)}"


_NOTHING = object()


def _display(value: Any) -> str:
    return in_a_line(json.dumps(value, ensure_ascii=False, default=str), 120)
