"""Named system prompts with versions, which are given to sessions by weight.

# prompts.toml
[tutor.v1]
text = "You are a patient tutor."
weight = 1
[tutor.v2]
text = "You are a tutor who asks before he tells."
weight = 3
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from agentkit import ConfigurationError


@dataclass(frozen=True)
class Version:
    """One version of a prompt. weight: how often it is taken, beside the others of its name; 0: only when asked for."""

    prompt: str
    version: str
    text: str
    weight: float = 1.0


class Prompts:
    """The prompts in a file; it is read again when it has changed, and stays as it was when it can't be.

    Raises ConfigurationError when it can't be read at first.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp = 0
        self._versions: dict[str, tuple[Version, ...]] = {}
        if file is not None:
            self._versions = _read(file)
            self._stamp = file.stat().st_mtime_ns

    def all(self) -> dict[str, tuple[Version, ...]]:
        """The versions of each prompt."""
        try:
            if self._file is not None and self._file.stat().st_mtime_ns != self._stamp:
                self._stamp = self._file.stat().st_mtime_ns
                self._versions = _read(self._file)
        except (OSError, ConfigurationError):
            pass
        return self._versions

    def choose(self, name: str, who: str) -> Version | None:
        """The version for somebody: "name@version" is that one, "name" the one that falls to him, always the same as
        long as the weights are. None when there is no such prompt."""
        prompt, _, wanted = name.partition("@")
        versions = self.all().get(prompt, ())
        if wanted:
            return next((each for each in versions if each.version == wanted), None)
        point = int.from_bytes(hashlib.sha256(f"{prompt}\n{who}".encode()).digest()[:8]) / 2**64
        point *= sum(each.weight for each in versions)
        for each in versions:
            point -= each.weight
            if point < 0:
                return each
        return versions[-1] if versions else None


def _read(file: Path) -> dict[str, tuple[Version, ...]]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
        return {name: tuple(_version(name, *each) for each in versions.items()) for name, versions in found.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"the prompts in {file.name} can't be read: {error}") from None


def _version(prompt: str, version: str, told: dict[str, object]) -> Version:
    text, weight = told.get("text"), told.get("weight", 1.0)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{prompt}.{version} has no text")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
        raise ValueError(f"{prompt}.{version}: weight={weight!r} is no number of at least 0")
    return Version(prompt, version, text, float(weight))
