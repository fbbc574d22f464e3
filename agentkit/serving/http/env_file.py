"""A `.env`: its encoding and the names in it, checked before anything is read from it."""

import codecs
import io
import re
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, Original, parse_stream

from agentkit._text import line_of
from agentkit.errors import ConfigurationError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


class EnvFile:
    """The file at `path`, which may be missing. encoding: UTF-8 (some editors begin it with a byte order mark), or
    UTF-16, as PowerShell writes. names: of the variables in it.

    Raises ConfigurationError for another encoding, which would spoil values without a word, and for a line that is no
    setting.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.encoding = "utf-8"
        self._text = self._read()
        self.names = self._checked()

    @property
    def values(self) -> dict[str, str | None]:
        """The variables."""
        return dict(dotenv_values(stream=io.StringIO(self._text)))

    def _read(self) -> str:
        try:
            content = self.path.read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return ""
        except OSError as error:
            raise ConfigurationError(f"the file {self.path.name} can't be read: {error.strerror}") from None
        self.encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
        try:
            text = content.decode(self.encoding)
        except UnicodeDecodeError as error:
            raise ConfigurationError(
                f"the file {self.path.name} is not UTF-8 (the byte 0x{error.object[error.start]:02X} in line "
                f"{line_of(error)}): save it as UTF-8"
            ) from None
        if "\0" in text:
            raise ConfigurationError(
                f"the file {self.path.name} is not UTF-8 (it contains null characters): save it as UTF-8"
            )
        return io.StringIO(text, newline=None).read()

    def _checked(self) -> list[str]:
        names = []
        for each in parse_stream(io.StringIO(self._text)):
            if each.error or (each.key is not None and not _is_setting(each)):
                raise ConfigurationError(
                    f"the file {self.path.name} has no setting in line {_line_of(each.original)}: write NAME=value, "
                    "with quotes in pairs"
                )
            if each.key is not None:
                names.append(each.key)
        return names


def _is_setting(statement: Binding) -> bool:
    """Whether a statement is NAME=value. `export NAME` is in files for a shell."""
    has_value = statement.value is not None or statement.original.string.lstrip().startswith("export")
    return has_value and bool(NAME.fullmatch(statement.key or ""))


def _line_of(original: Original) -> int:
    """The line of a statement, which begins with the blank lines before it."""
    blank = len(original.string) - len(original.string.lstrip())
    return original.line + original.string.count("\n", 0, blank)
