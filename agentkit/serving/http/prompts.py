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
import logging
import tomllib
from dataclasses import dataclass
from pathlib import Path

from agentkit import ConfigurationError
from agentkit._text import in_a_line

logger = logging.getLogger("agentkit.http")

MAX_WEIGHT = 1_000_000_000
"""Maximum weight of a version: infinity, and sums that become it, would choose none."""


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
        self._is_lost = False  # whether the log knows that the file can't be looked at
        self._versions: dict[str, tuple[Version, ...]] = {}
        if file is not None:
            self._versions = _read(file)
            self._stamp = file.stat().st_mtime_ns

    def all(self) -> dict[str, tuple[Version, ...]]:
        """Return the versions of each prompt by name."""
        try:
            if self._file is not None and (stamp := self._file.stat().st_mtime_ns) != self._stamp:
                self._stamp = stamp
                self._versions = _read(self._file)
                self._is_lost = False
        except (OSError, ConfigurationError) as error:
            self._warn(error)
        return self._versions

    def _warn(self, error: Exception) -> None:
        """Log that the previous prompts stay in use: once for each state of the file."""
        if isinstance(error, ConfigurationError) or not self._is_lost:
            logger.warning("the prompts that were read before stay in use: %s", in_a_line(str(error), 500))
        self._is_lost = isinstance(error, OSError)

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
        weighted = [each for each in versions if each.weight] or versions  # rounding has left a rest, or all are 0
        return weighted[-1] if weighted else None


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
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight <= MAX_WEIGHT:
        raise ValueError(f"{prompt}.{version}: weight={weight!r} is not a number from 0 to {MAX_WEIGHT:,}")
    return Version(prompt, version, text, float(weight))
