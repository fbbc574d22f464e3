"""What a package exports is what the `if TYPE_CHECKING:` block of its source imports, whatever compiled it."""

import ast
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from agentkit import _lazy

PACKAGES = ["agentkit", "agentkit_tools"]


def imported_in_source(module: ModuleType) -> dict[str, str]:
    """The names that the module's `if TYPE_CHECKING:` block imports, with their modules."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    blocks = [each for each in tree.body if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING"]
    return {
        name.name: str(each.module)
        for block in blocks
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }


def loaded_again(package: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The package under another name, which nobody has asked for anything yet."""
    origin = import_module(package).__file__
    assert origin is not None
    spec = spec_from_file_location(f"{package}_again", origin)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


# Python 3.15 was the first whose compiled imports have another form: not even `import agentkit` worked there.
@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("newest_known", [_lazy.READ_WITHOUT_DIS, (3, 0)], ids=["a known Python", "a later one"])
def test_a_package_exports_what_its_source_imports(
    package: str, newest_known: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lazy, "READ_WITHOUT_DIS", newest_known)
    expected = imported_in_source(import_module(package))
    assert expected
    module = loaded_again(package, monkeypatch)
    assert expected.keys() <= set(dir(module))
    assert {name: getattr(module, name) for name in expected} == {
        name: getattr(import_module(source), name) for name, source in expected.items()
    }


def test_a_package_may_export_hundreds_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = "".join(f"    from hundreds.part import name_{number} as name_{number}\n" for number in range(400))
    (tmp_path / "hundreds").mkdir()
    (tmp_path / "hundreds/part.py").write_text("".join(f"name_{number} = {number}\n" for number in range(400)))
    (tmp_path / "hundreds/__init__.py").write_text(
        "from typing import TYPE_CHECKING\nfrom agentkit._lazy import lazy_exports\n"
        f"if TYPE_CHECKING:\n{block}else:\n    __getattr__, __dir__ = lazy_exports(__name__)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = import_module("hundreds")
    assert [getattr(module, f"name_{number}") for number in range(400)] == list(range(400))
