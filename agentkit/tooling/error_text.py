"""What a model is told of an exception: its type and message, what it was caused by, its parts; without the paths of
this machine."""

import os
import re
import sys
from functools import cache

from agentkit._lazy.patterns import pattern

MAX_CHARACTERS = 4000
"""Maximum characters of the text of an exception."""
MAX_PARTS = 5
"""Maximum number of parts of an exception group that are told, and of causes of an exception."""
MAX_DEPTH = 3
MAX_LOOK_UPS = 20
"""Maximum number of paths in a text of which it is asked whether they exist."""


def described(error: BaseException) -> str:
    """The type and the message of an exception, what it was caused by, and the parts of a group."""
    whole = _whole(error)
    text = without_paths(whole[:MAX_CHARACTERS], _own_paths(error))
    more = len(whole) - MAX_CHARACTERS
    return f"{text}… ({more:,} more characters)" if more > 0 else text


def message_of(error: BaseException) -> str:
    """The message of an exception; "(no message)" where there is none."""
    try:
        text = str(error)
        if isinstance(error, KeyError) and len(error.args) == 1 and text == repr(error.args[0]):
            text = _missing(error.args[0], text)
    except Exception:  # noqa: BLE001 - an exception whose __str__ fails
        text = ""
    return text.strip() or "(no message)"


def _missing(key: object, text: str) -> str:
    is_sentence = isinstance(key, str) and key.count(" ") > 2
    return str(key) if is_sentence else f"missing key {text}"


def _whole(error: BaseException, depth: int = 0) -> str:
    text = f"{type(error).__name__}: {message_of(error)}"
    for note in getattr(error, "__notes__", None) or ():
        text += f"\n{note}"
    text += _output_of(error)
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    if parts and depth < MAX_DEPTH:
        more = f"\n- {len(parts) - MAX_PARTS} more" if len(parts) > MAX_PARTS else ""
        told = (_whole(part, depth + 1).replace("\n", "\n  ") for part in parts[:MAX_PARTS])
        text += "".join(f"\n- {each}" for each in told) + more
    cause = error.__cause__
    if (
        cause is not None and depth < MAX_DEPTH and type(cause).__name__ != "CancelledError"
    ):  # how asyncio.timeout works
        text += f" (caused by {_whole(cause, depth + 1)})"
    return text


def _output_of(error: BaseException) -> str:
    """What a command wrote that failed (CalledProcessError, whose message has only its exit status)."""
    output = getattr(error, "stderr", None) or getattr(error, "output", None)
    if not hasattr(error, "returncode") or not isinstance(output, str | bytes):
        return ""
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else output
    return f"\n{text.strip()[-MAX_CHARACTERS // 2 :]}" if text.strip() else ""


_ABSOLUTE_PATH = pattern(
    r"""(?<![\w.:/\\~-])(?:file://)?(?:/[^\s'"<>|:*?,;()\[\]{}]+|[A-Za-z]:[\\/][^\s'"<>|:*?,;()]+|\\\\[\w.$-]+\\[^\s'"<>|:*?,;()]+)"""
)


def without_paths(text: str, known: "frozenset[str]" = frozenset()) -> str:
    """A text with the paths of this machine shortened to their last component: the rest is of no use to a model, and
    may have names that it should not see. known: such paths.

    A path is of this machine when it is below its home, Python's or temporary folder, when it or its folder exists, and
    when it begins with a drive. Others stay as they are: "GET /api/v1/users returned 404", relative paths, URLs.
    """
    look_ups = MAX_LOOK_UPS

    from pathlib import PurePath

    def shortened(found: re.Match[str]) -> str:
        nonlocal look_ups
        path = found.group().removeprefix("file://").rstrip(".")
        end = found.group()[len(found.group().rstrip(".")) :]
        if not path.startswith("/"):
            return re.split(r"[\\/]", path)[-1] + end
        if path not in known and not path.startswith(_folders()) and "-packages/" not in path:
            look_ups -= 1
            if look_ups < 0 or not _exists(path):
                return found.group()
        return path.rstrip("/").rpartition("/")[2] + end

    for path in sorted(known, key=len, reverse=True):
        text = text.replace(path, PurePath(path).name or path)
    return _ABSOLUTE_PATH.sub(shortened, text)


def _exists(path: str) -> bool:
    """Whether a path of at least two components, or its folder, exists; a folder directly below the root says nothing,
    since routes have such names too."""
    parts = path.rstrip("/").split("/")[1:]
    try:
        if len(parts) < 2 or os.path.lexists(path):
            return len(parts) > 1
        return len(parts) > 2 and os.path.isdir(os.path.dirname(path.rstrip("/")))
    except (OSError, ValueError):
        return False


@cache
def _folders() -> tuple[str, ...]:
    import sysconfig  # not loaded by each program that has tools
    import tempfile

    found = {os.path.expanduser("~"), sys.prefix, sys.base_prefix, tempfile.gettempdir(), sysconfig.get_path("stdlib")}
    return tuple(f"{folder}/" for folder in found if folder.count("/") > 1 or folder in ("/root", "/tmp"))


def _own_paths(error: BaseException | None) -> frozenset[str]:
    """The absolute paths that exceptions of the operating system carry."""
    found: set[str] = set()
    for _ in range(MAX_PARTS):
        if error is None:
            break
        paths = (getattr(error, name, None) for name in ("filename", "filename2"))
        found |= {path for path in paths if isinstance(path, str) and path.count("/") > 1 and os.path.isabs(path)}
        error = error.__cause__
    return frozenset(found)
