"""The documentation is correct: its programs run, its copy of the loop matches the code, its links resolve."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit import LightLLMClient
from tests.support import forked_cli
from tests.support.families_table import guide_with_table
from tests.support.lightllm_server import serve_lightllm, short_script
from tests.support.model_server import calls, serve, whole

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDE = ROOT / "LIGHTLLM_USAGE.md"
LOOP = re.compile(r"<!-- loop.py -->\n```python\n(.*?)```\n<!-- end -->", re.DOTALL)


def programs(pages: list[Path] = PAGES) -> list[object]:
    found: list[object] = []
    for page in pages:
        text = LOOP.sub("", page.read_text(encoding="utf-8"))
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)):
            found.append(pytest.param(code, id=f"{page.stem}-{number}"))
    return found


def _interpreter(*, of_its_own: bool = False) -> tuple[str, ...]:
    """The beginning of a command that runs a program, and imports nothing anew but in an interpreter of its own."""
    return (sys.executable, "-W", "error") if of_its_own else forked_cli.command()


@pytest.mark.parametrize("code", programs())
def test_every_program_in_the_docs_runs(
    code: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with serve([calls(("population", {"city": "Oslo"})), whole("717,710 people live in Oslo.")]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
        done = subprocess.run(
            [*_interpreter(of_its_own="README" in request.node.name), "-c", code],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    if "openai:gpt-5-mini" in code:
        assert "717,710 people" in done.stdout


@pytest.mark.parametrize("code", programs([GUIDE]))
def test_every_program_in_the_guide_to_lightllm_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("USE_LIGHTLLM", "true")
    with serve_lightllm(short_script) as server:
        done = subprocess.run(
            [*_interpreter(), "-c", code.replace("http://localhost:8000", server.url)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    if "print" in code:
        assert done.stdout.strip()


@pytest.mark.parametrize("value", [None, "false"])
def test_the_switch_of_the_guide_asks_openai_unless_it_is_true(
    value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = [
        each for each in re.findall(r"```python\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL) if "USE_" in each
    ]
    monkeypatch.delenv("USE_LIGHTLLM", raising=False)
    if value is not None:
        monkeypatch.setenv("USE_LIGHTLLM", value)
    with serve([whole("It is OpenAI.")]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-any")
        exec(code, {})  # noqa: S102
    assert capsys.readouterr().out == "It is OpenAI.\n"


def test_the_tables_of_the_guide_have_the_real_defaults() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for function in (LightLLMClient.__init__, LightLLMClient().chat.completions.create):
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.default is inspect.Parameter.empty:
                continue
            row = re.search(rf"^\| `{name}` \| ([^|]*) \|", text, re.MULTILINE)
            assert row is not None, name
            documented = row.group(1).strip()
            if documented.startswith("`"):
                assert eval(documented.strip("`")) == parameter.default, name  # noqa: S307


def test_the_page_on_the_architecture_shows_the_loop_as_it_is() -> None:
    shown = LOOP.search((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert shown is not None
    assert shown.group(1) == (ROOT / "agentkit" / "loop.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [*PAGES, GUIDE], ids=lambda page: Path(page).stem)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#:]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readmes_commands_are_in_the_makefile() -> None:
    readme, makefile = (ROOT / "README.md").read_text(encoding="utf-8"), (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_the_first_program_is_near_the_top() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    before = readme[: readme.index("```python")]
    assert len(before.split()) < 60


def test_the_table_of_families_is_that_of_the_families_and_of_their_checked_prompts() -> None:
    assert GUIDE.read_text(encoding="utf-8") == guide_with_table(), "run python -m tests.support.families_table --write"
