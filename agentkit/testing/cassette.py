"""Record and replay: the exchanges with model servers and the web in a file, for tests that need neither (vcrpy).

Both HTTP libraries are recorded (httpx, which the openai package uses, and requests), streams too. Keys are left out:
no header but the content type is kept, no query parameter that is called like a key, and the secrets of the environment
are blotted out wherever they stand.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from agentkit.errors import ConfigurationError, MissingExtraError

MODES = ("none", "once", "new", "all")
KEPT_OF_REQUESTS = ("accept", "content-type")
KEPT_OF_RESPONSES = ("content-type", "retry-after", "location")
SECRET_NAME = re.compile(r"(^|_)(key|token|secret|password|passwd|auth)s?$", re.IGNORECASE)
BLOT = "SECRET"


class CassetteError(AssertionError):
    """A request that the recording does not have; the message names the first thing that differs."""


@contextmanager
def recorded(path: str | os.PathLike[str], *, mode: str | None = None, secrets: Iterable[str] = ()) -> Iterator[Any]:
    """Replay the exchanges in the file `path`, or record them; gives vcrpy's cassette.

    mode: "none" replays and sends nothing, "once" records when there is no file, "new" adds what is missing, "all"
    records anew; None takes AGENTKIT_RECORD from the environment, else "none". secrets: texts that must not be kept,
    beside the values of environment variables whose names end in KEY, TOKEN, SECRET, PASSWORD or AUTH.

    Raises CassetteError for a request that was not recorded, ConfigurationError for a mode that is none, or when
    there is no file to replay; MissingExtraError without vcrpy.
    """
    try:
        import vcr
    except ImportError:
        raise MissingExtraError("record and replay", "testing") from None
    mode = mode or os.environ.get("AGENTKIT_RECORD") or "none"
    if mode not in MODES:
        raise ConfigurationError(f"the record mode {mode!r} is none of {', '.join(MODES)} (AGENTKIT_RECORD)")
    file = Path(path)
    if mode == "none" and not file.exists():
        raise ConfigurationError(f"there is no recording {file.name} to replay: record it with AGENTKIT_RECORD=once")
    blot = _Redaction([*secrets, *_secrets_of(os.environ)])
    faults: list[str] = []
    player = vcr.VCR(before_record_request=blot.request, before_record_response=blot.response)
    player.register_matcher("agentkit", lambda now, then: _check(now, then, faults))
    modes = {"none": "none", "once": "once", "new": "new_episodes", "all": "all"}
    try:
        with player.use_cassette(str(file), record_mode=modes[mode], match_on=["agentkit"]) as cassette:
            yield cassette
    except Exception as error:
        if not _is_missing(error):
            raise
        why = faults[0] if faults else "all of its requests were asked already"
        raise CassetteError(f"a request is not in the recording {file.name}: {why}") from error


def _secrets_of(environment: Mapping[str, str]) -> list[str]:
    return [value for name, value in environment.items() if SECRET_NAME.search(name) and len(value) >= 8]


class _Redaction:
    """Leaves secrets out of what is kept."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def request(self, request: Any) -> Any:
        """A request, as it is kept and compared."""
        parts = urlsplit(request.uri)
        query = [(name, BLOT if SECRET_NAME.search(name) else value) for name, value in parse_qsl(parts.query, True)]
        request.uri = self._text(
            urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=urlencode(query)))
        )
        for name in [name for name in request.headers if name.lower() not in KEPT_OF_REQUESTS]:
            del request.headers[name]
        if request.body:
            request.body = self._text(request.body)
        return request

    def response(self, response: Any) -> Any:
        """An answer, as it is kept."""
        headers = response["headers"]
        kept = {name: value for name, value in headers.items() if name.lower() in KEPT_OF_RESPONSES}
        body = {name: self._text(value) for name, value in response["body"].items()}
        return {**response, "headers": kept, "body": body}

    def _text(self, value: Any) -> Any:
        for secret in self._secrets:
            if isinstance(value, bytes):
                value = value.replace(secret.encode(), BLOT.encode())
            elif isinstance(value, str):
                value = value.replace(secret, BLOT)
        return value


def _check(now: Any, then: Any, faults: list[str]) -> None:
    """Fail when two requests differ, and note how."""
    fault = difference(_comparable(then), _comparable(now))
    if fault is not None:
        faults.append(fault)
        raise AssertionError(fault)


def _comparable(request: Any) -> dict[str, Any]:
    body = request.body
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    with suppress(ValueError):
        body = json.loads(body) if body else None
    return {"method": request.method, "address": request.uri, "body": body}


def difference(then: Any, now: Any, path: str = "") -> str | None:
    """The first place where two JSON values differ, in a sentence; None when they don't."""
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
        for place, (one, other) in enumerate(zip_longest(then, now, fillvalue=_NOTHING)):
            where = f"{path}[{place}]"
            if one is _NOTHING or other is _NOTHING:
                return f"{where} is {'new' if one is _NOTHING else 'missing now'}"
            found = difference(one, other, where)
            if found is not None:
                return found
        return None
    return None if then == now else f"{path} was {_shown(then)} and is {_shown(now)}"


_NOTHING = object()


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else text[:119] + "…"


def _is_missing(error: BaseException | None) -> bool:
    """Whether vcrpy's refusal of a request is behind an error; clients wrap it in their own."""
    while error is not None:
        if type(error).__name__ == "CannotOverwriteExistingCassetteException":
            return True
        error = error.__cause__ or error.__context__
    return False
