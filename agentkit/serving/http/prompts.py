"""Named system prompts with versions, which are assigned to sessions by weight.

# prompts.toml
[tutor.v1]
text = "You are a patient tutor."
weight = 1
[tutor.v2]
text = "You are a tutor who asks before explaining."
weight = 3
"""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from agentkit import ConfigurationError


@dataclass(frozen=True)
class Version:
    """One version of a prompt. weight: how often it is chosen relative to the other versions; 0: only on request."""

    prompt: str
    version: str
    text: str
    weight: float = 1.0


class Prompts:
    """The prompts in a TOML file. It is reloaded when it changes; if reloading fails, the previous prompts stay in use.

    Raises ConfigurationError when the first load fails.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._stamp = 0
        self._versions: dict[str, tuple[Version, ...]] = {}
        if file is not None:
            self._versions = _read(file)
            self._stamp = file.stat().st_mtime_ns

    def all(self) -> dict[str, tuple[Version, ...]]:
        """Return the versions of each prompt by name."""
        try:
            if self._file is not None and self._file.stat().st_mtime_ns != self._stamp:
                self._stamp = self._file.stat().st_mtime_ns
                self._versions = _read(self._file)
        except (OSError, ConfigurationError):
            pass
        return self._versions

    def choose(self, name: str, who: str) -> Version | None:
        """Choose a version of a prompt; None when it does not exist. name: "name@version" selects that version; "name"
        selects by weight. who: the same text gets the same version as long as the weights stay the same."""
        prompt, _, version = name.partition("@")
        versions = self.all().get(prompt, ())
        if version:
            return next((each for each in versions if each.version == version), None)
        point = int.from_bytes(hashlib.sha256(f"{prompt}\n{who}".encode()).digest()[:8]) / 2**64
        point *= sum(each.weight for each in versions)
        for each in versions:
            point -= each.weight
            if point < 0:
                return each
        return versions[-1] if versions else None


def _read(file: Path) -> dict[str, tuple[Version, ...]]:
    try:
        prompts = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        return {name: tuple(_version(name, *each) for each in versions.items()) for name, versions in prompts.items()}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"prompt file {file.name} can't be read: {error}") from None


def _version(prompt: str, version: str, fields: dict[str, object]) -> Version:
    text, weight = fields.get("text"), fields.get("weight", 1.0)
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{prompt}.{version} has no text")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or weight < 0:
        raise ValueError(f"{prompt}.{version}: weight={weight!r} is not a number of at least 0")
    return Version(prompt, version, text, float(weight))
