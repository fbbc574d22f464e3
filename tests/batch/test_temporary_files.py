"""A full folder for temporary files is told as that."""

import errno
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentkit import ConfigurationError
from agentkit.batch.export import export_csv
from agentkit.batch.sources import source_of
from agentkit.cli import app

SAID = "the folder for temporary files, .*, is full: make room in it, or name another one by the environment variable"


class Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    monkeypatch.setattr(tempfile, "mkstemp", full)


@pytest.mark.usefixtures("is_full")
def test_questions_of_standard_input_and_of_an_iterator(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=SAID):
        source_of(iter(["Who made K1?"]), None)
    ended = CliRunner().invoke(app, ["batch", "-", "-o", str(tmp_path / "a.jsonl")], input='"Who made K1?"\n')
    assert (ended.exit_code, "standard output" in ended.output) == (2, False)
    assert "temporary files" in " ".join(ended.output.split())


@pytest.mark.usefixtures("is_full")
def test_an_export_to_standard_output(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "ok": true, "output": "x"}\n')
    with pytest.raises(ConfigurationError, match=SAID):
        export_csv(tmp_path / "a.jsonl", io.BytesIO())


def test_a_full_disk_of_what_is_written_is_not_that_of_temporary_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "a", "ok": true, "output": "x"}\n')
    with pytest.raises(OSError, match="No space left"):
        export_csv(tmp_path / "a.jsonl", Full())
