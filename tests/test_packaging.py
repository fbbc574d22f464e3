"""One wheel with both packages, typed, and nothing else."""

import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_two_packages_and_their_types(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    assert {"agentkit/serving/http/static/index.html", "agentkit/serving/http/static/index.js"} <= set(names)
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"agentkit", "agentkit_tools"}
    templates = {f"agentkit/text/families/{each.name}" for each in (ROOT / "agentkit").glob("text/families/*.jinja")}
    assert len(templates) > 9
    assert templates <= set(names)
    assert {"agentkit/cli/trace/page.html.jinja", "agentkit/cli/trace/page.css"} <= set(names)
    assert {"agentkit/py.typed", "agentkit_tools/py.typed", "agentkit/cli/ask.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_works_where_nothing_of_the_repository_is(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, '.'); import agentkit, agentkit_tools; from agentkit_tools import documents; "
        "import os; assert os.path.realpath(agentkit.__file__).startswith(os.getcwd()), agentkit.__file__; "
        "from agentkit import Agent; print(Agent('extractive', tools=documents('agentkit')).run('Zzyzx?').output)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path.resolve(), capture_output=True, text=True, env={}, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Nothing found")


def test_the_wheel_names_its_command_licence_and_extras(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "agentkit = agentkit.__main__:main" in wheel.read(f"{info}/entry_points.txt").decode()
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert "License-Expression: MIT" in metadata
    extras = {
        line.removeprefix("Provides-Extra: ") for line in metadata.splitlines() if line.startswith("Provides-Extra")
    }
    assert {"web", "cli", "http", "mqtt", "redis", "gguf", "prices", "testing", "otel", "all"} <= extras
    assert not {"mcp", "batch"} & extras  # there is no code behind these yet


def test_what_the_core_imports_is_what_it_depends_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {requirement.split(">")[0].split("[")[0] for requirement in project["dependencies"]}
    assert {"openai", "requests", "pydantic", "jsonschema", "urllib3", "idna"} <= names


def test_the_files_of_the_page_are_found_in_a_zip_file(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """python/importlib_resources#62"""
    code = (
        "from agentkit.serving.http.page.files import page_folder as found; assert '.whl' in str(found.__code__); "
        "print(*sorted(each.name for each in found().iterdir() if each.suffix == '.html'))"
    )
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.insert(0, {wheel.filename!r}); {code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={}, check=False)
    assert done.stdout == "docs.html index.html\n", done.stderr


def test_pyinstaller_is_told_of_the_data_files(wheel: zipfile.ZipFile) -> None:
    """zauberzeug/nicegui#619"""
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert "hook-dirs = agentkit.__pyinstaller:get_hook_dirs" in wheel.read(f"{info}/entry_points.txt").decode()
    assert "agentkit/__pyinstaller/hooks/hook-agentkit.py" in wheel.namelist()
    (folder,) = import_module("agentkit.__pyinstaller").get_hook_dirs()
    assert (Path(folder) / "hook-agentkit.py").is_file()
