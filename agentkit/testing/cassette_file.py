"""The file of a recording: always UTF-8, and one that can't be read is an error, not an empty recording."""

import os
from pathlib import Path
from typing import Any

from agentkit._text import in_a_line
from agentkit.errors import ConfigurationError


class CassetteFile:
    """Reads and writes recordings for vcrpy, whose own way depends on the locale and begins anew where a file is
    damaged. is_replaced: whether what the file has counts for nothing, since all is recorded again."""

    def __init__(self, is_replaced: bool) -> None:
        self._is_replaced = is_replaced

    def load_cassette(self, cassette_path: str | os.PathLike[str], serializer: Any) -> Any:
        """What a file has. Raises vcrpy's CassetteNotFoundError for none, ConfigurationError for a damaged one."""
        import yaml
        from vcr.persisters.filesystem import CassetteNotFoundError
        from vcr.serialize import deserialize

        file = Path(cassette_path)
        if self._is_replaced or not file.is_file():
            raise CassetteNotFoundError
        try:
            text = file.read_bytes().decode("utf-8")
            if not text.strip():
                raise CassetteNotFoundError
            return deserialize(text, serializer)
        except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigurationError(
                f"the recording {file.name} is damaged, and was left as it is ({in_a_line(str(error), 120)}): mend it, "
                "or record it again with AGENTKIT_RECORD=all"
            ) from error

    def save_cassette(self, cassette_path: str | os.PathLike[str], cassette_dict: Any, serializer: Any) -> None:
        """Write a recording; what a kill leaves is the one before or this one."""
        from vcr.serialize import serialize

        file = Path(os.path.realpath(cassette_path))
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{file.name}.{os.getpid()}.new")
        try:
            beside.write_text(serialize(cassette_dict, serializer), encoding="utf-8", newline="\n")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
