"""Paths that a person writes, in which "~" is the home directory."""

from pathlib import Path

from agentkit.errors import ConfigurationError


def expanded(path: str | Path) -> Path:
    """A path with the home directory in the place of "~", or that of USER in the place of "~USER".

    Raises ConfigurationError where there is none: HOME is not set, or nobody has that name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        begin = Path(path).parts[0]
        raise ConfigurationError(f"{str(path)!r}: there is no home directory {begin}: write the whole path") from None
