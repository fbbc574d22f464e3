"""Named prompts: which version is chosen, and what a file that is changed while the service runs does."""

import logging
import os
from pathlib import Path

import pytest

from agentkit import ConfigurationError
from agentkit.serving.http.prompts import Prompts


def written(folder: Path, **weights: str) -> Path:
    file = folder / "prompts.toml"
    before = file.stat().st_mtime_ns if file.exists() else 0
    file.write_text("".join(f'[tutor.{name}]\ntext = "{name}"\nweight = {each}\n' for name, each in weights.items()))
    os.utime(file, ns=(before + 1_000_000, before + 1_000_000))
    return file


def chosen(prompts: Prompts) -> set[str]:
    versions = [prompts.choose("tutor", str(number)) for number in range(300)]
    return {each.version for each in versions if each is not None}


@pytest.mark.parametrize("weight", ["inf", "nan", "-1", "true", "1e300", '"2"'])
def test_a_weight_is_a_number_of_which_a_share_can_be_taken(tmp_path: Path, weight: str) -> None:
    with pytest.raises(ConfigurationError, match=r"tutor\.b: weight="):
        Prompts(written(tmp_path, a="1", b=weight))


def test_a_version_of_weight_0_is_chosen_only_on_request(tmp_path: Path) -> None:
    prompts = Prompts(written(tmp_path, a="1", b="3", c="0"))
    assert chosen(prompts) == {"a", "b"}
    version = prompts.choose("tutor@c", "x")
    assert version is not None
    assert version.version == "c"


def test_a_file_that_breaks_is_one_line_of_the_log_and_keeps_the_prompts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path, a="1")
    prompts = Prompts(file)
    with caplog.at_level(logging.WARNING):
        written(tmp_path, b="nan")
        assert chosen(prompts) == {"a"}
        assert len(caplog.records) == 1
        assert "tutor.b: weight=nan" in caplog.text
        file.rename(tmp_path / "away")
        assert chosen(prompts) == {"a"}
        assert len(caplog.records) == 2
        (tmp_path / "away").rename(file)
        written(tmp_path, b="1")
        assert chosen(prompts) == {"b"}
    assert len(caplog.records) == 2
