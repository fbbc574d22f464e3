"""Metadata of packages as installers, updates that were interrupted and build tools leave them."""

import json
from pathlib import Path

import pytest

from tests.plugins.conftest import Command
from tests.support.package import write_package

GOOD = {"agentkit.cli": {"hail": "hailing:hail"}}
CODE = "def hail() -> None:\n    print('hail!')\n"


@pytest.fixture(autouse=True)
def good(folder: Path) -> None:
    write_package(folder, "hailing", CODE, GOOD, package="some-hail")


def listed(run: Command) -> dict[str, str]:
    """The packages of the plug-ins by name."""
    done = run("plugins", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert len({(each["kind"], each["name"]) for each in found}) == len(found)
    return {each["name"]: f"{each['package']} {each['version']}".strip() for each in found}


def info(folder: Path, name: str, **files: str | bytes) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    for file, content in files.items():
        content = content.encode() if isinstance(content, str) else content
        (made / file.replace("__", ".")).write_bytes(content)
    return made


WARD = "[agentkit.tools]\nward = warding:ward\n"


@pytest.mark.parametrize(
    ("name", "files", "extra"),
    [
        ("empty-1.0.dist-info", {}, {}),
        (".dist-info", {}, {}),
        ("nameless-1.0.dist-info", {"METADATA": "Metadata-Version: 2.1\n", "entry_points__txt": WARD}, {"ward": ""}),
        ("bare-1.0.dist-info", {"entry_points__txt": WARD}, {"ward": ""}),
        ("latin-1.0.dist-info", {"entry_points__txt": WARD.encode() + b"caf\xe9 = m:x\n"}, {}),
        ("~ome_hail-0.9.dist-info", {"METADATA": "Name: some-hail\nVersion: 0.9\n", "entry_points__txt": WARD}, {}),
        ("lines-1.0.dist-info", {"METADATA": "Name: lines\n", "entry_points__txt": f"junk\n[x]\njunk\n{WARD}junk"},
         {"ward": "lines", "junk": "lines"}),
        ("some_hail.egg-info", {"PKG-INFO": "Name: Some_Hail\nVersion: 2\n", "entry_points__txt": "[a]\n"}, {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_damaged_metadata_of_one_package_hurts_no_other(
    name: str, files: dict[str, str | bytes], extra: dict[str, str], folder: Path, run: Command
) -> None:
    info(folder, name, **files)
    assert listed(run) == {"hail": "some-hail 1.0", **extra}
    assert run("hail").stdout == "hail!\n"


def test_a_package_that_is_found_twice_is_one(folder: Path, run: Command, tmp_path: Path) -> None:
    (tmp_path / "lib64").symlink_to(folder)
    write_package(tmp_path / "other", "hailing", "raise SystemExit", GOOD, package="Some.Hail", version="3.0")
    info(tmp_path / "source", "some_hail.egg-info", **{
        "PKG-INFO": "Name: some_hail\nVersion: 1.0\n", "entry_points__txt": "[agentkit.cli]\nhail = hailing:hail\n",
    })  # fmt: skip
    places = ":".join(map(str, (folder, tmp_path / "lib64", tmp_path / "other", tmp_path / "source")))
    for path in (str(folder), places):
        done = run("plugins", "--check", "--json", paths=path)
        assert done.exit_code == 0, done.stdout
        assert [(each["package"], each["version"]) for each in json.loads(done.stdout)] == [("some-hail", "1.0")]
        assert run("hail", paths=path).stdout == "hail!\n"


def test_of_two_versions_in_one_folder_the_newest_counts(folder: Path, run: Command) -> None:
    for version in ("0.9", "1.0.1", "0.10"):
        moved = {"agentkit.cli": {"hail": "hailing:hail" if version == "1.0.1" else "gone:hail"}}
        write_package(folder, "hailing", CODE, moved, package="some-hail", version=version)
    assert listed(run) == {"hail": "some-hail 1.0.1"}
    assert run("hail").stdout == "hail!\n"


def test_an_editable_package_whose_source_is_gone_is_named(folder: Path, run: Command, tmp_path: Path) -> None:
    write_package(folder, "ghost", "", {"agentkit.cli": {"haunt": "ghosts:haunt"}}, package="some-ghost")
    (folder / "ghost.py").unlink()
    (folder / "__editable__.some_ghost-1.0.pth").write_text(f"{tmp_path / 'removed'}\n")
    assert run("hail").stdout == "hail!\n"
    done = run("haunt")
    assert done.exit_code == 2
    assert "package some-ghost 1.0 can't be used" in done.stderr
    assert "No module named 'ghosts'" in done.stderr


def test_control_characters_of_a_package_do_not_reach_the_terminal(folder: Path, run: Command) -> None:
    evil = {"agentkit.cli": {"e\x1b[31mvil": "evil:x", "[red]x": "evil:x"}, "agentkit.tools": {"t\x07": "e\x1bvil:x"}}
    write_package(folder, "evil", "", evil, package="ev\x1bil", version="[bold]1")
    for command in (("--help",), ("plugins",), ("plugins", "--check"), ("tools",)):
        done = run(*command)
        assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)
    assert "hail" in run("--help").stdout
