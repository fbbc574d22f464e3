"""Secrets in files, as Docker, Kubernetes and systemd hand them to a service: NAME_FILE names the file with NAME."""

from collections.abc import Mapping
from pathlib import Path

from agentkit.errors import ConfigurationError
from agentkit.net.hosted import SHORT_NAMES

SUFFIX = "_FILE"
MAX_BYTES = 100_000
"""Maximum size of a file with a secret."""

NAMES = (
    *("OPENAI_API_KEY", "LIGHTLLM_API_KEY", "VLMRUN_API_KEY", *(each.key for each in SHORT_NAMES.values())),
    *("AGENTKIT_SESSIONS", "AGENTKIT_JWT_SECRET"),
)
"""The variables that may be in a file: keys of model servers, the secret of tokens, and the URL of a store, which may
have a password. That of a broker is read again before each connection (agentkit.serving.mqtt.tls)."""


def values_of_files(given: Mapping[str, str | None]) -> dict[str, str]:
    """The values of the variables that are in files. given: variables that name the files. Raises ConfigurationError,
    without a part of the secret, for a file that can't be read or has none."""
    files = {name: given.get(name + SUFFIX) for name in NAMES}
    return {name: secret_in(Path(file), name + SUFFIX) for name, file in files.items() if file}


def secret_in(file: Path, what: str) -> str:
    """The secret in a file, without the line break at its end. what: where its name stands, for the message. Raises
    ConfigurationError."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        text = content.decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"{what}: {file} can't be read: {reason}") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{what}: {file} is not UTF-8") from None
    if not text.strip() or len(content) > MAX_BYTES or "\0" in text:
        raise ConfigurationError(f"{what}: {file} has no secret in it: it is empty, too large, or no text")
    return text
