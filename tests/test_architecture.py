"""The house: floors of the tower, what an import may load, and the names of the face."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agentkit

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "agentkit"
PACK = ROOT / "tools" / "agentkit_tools"


def modules_in(folder: str) -> set[str]:
    return {f"{folder}.{path.stem}" for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__"}


FLOORS = [
    {"json_tokens"},
    {
        "errors",
        "message",
        "workers",
        "closable",
        "special_tokens",
        "quotation",
        "hosted",
        "loose_json",
        "coercion",
        "isolated",
        "hangup",
        "wording",
    },
    {
        "arguments",
        "isolation",
        "passages",
        "transcript",
        "budget",
        "schema",
        "fetch",
        "format",
        "chat_template",
        "family",
        "linger",
        "cassette",
    },
    {
        "transport",
        "whole_stream",
        "event",
        "tool",
        "repair",
        "formats.json_block",
        "formats.typed",
        "completion",
        "verbatim",
        "held_text",
    },
    {
        "session",
        "toolbox",
        "record",
        "pictures",
        "reader",
        *(modules_in("formats") - {"formats.json_block", "formats.typed"}),
    },
    {"backend", "formats"},
    {"book", "output", "window", "prompt", "prices", "early", "steady", "stoppable", "text_calls"},
    {"generate"},
    {"chat_completions"},
    {"loop", "lightllm", *modules_in("sessions"), *(modules_in("backends") - {"backends.vlmrun"})},
    {
        "agent",
        "testing",
        "pytest_plugin",
        "backends",
        "sessions",
        "backends.vlmrun",
    },  # VLM Run is OpenAI's backend at another address
    {"agentkit"},
    {"doors"},
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}


def rooms() -> dict[str, Path]:
    """Every module of agentkit by its name in the house; the doors are one floor."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        found["agentkit" if name == "__init__" else name] = path
    return found


def floor_of(name: str) -> int:
    top = name.split(".")[0]
    return FLOOR["doors"] if top in ("doors", "__main__") else FLOOR[name]


def imports_of(path: Path) -> set[str]:
    """The rooms a file imports: at the top, in functions, for types. A name of the face counts as the face."""
    known = {name if name == "agentkit" else f"agentkit.{name}" for name in rooms()}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = {f"{node.module}.{alias.name}" for alias in node.names if alias.name not in agentkit.__all__}
            found |= inner & known or {node.module}
    return {name.removeprefix("agentkit.") for name in found}


@pytest.mark.parametrize("name", sorted(rooms()))
def test_imports_run_downhill(name: str) -> None:
    if name in ("agentkit", "backends", "sessions"):
        return  # faces name what is above and below them for type checkers, and load it on use
    is_door = floor_of(name) == FLOOR["doors"]
    for imported in imports_of(rooms()[name]):
        below = floor_of(imported) < floor_of(name)
        assert below or (is_door and floor_of(imported) == FLOOR["doors"]), f"{name} imports {imported}"


def test_every_room_has_a_floor() -> None:
    assert [name for name in rooms() if name.split(".")[0] not in ("doors", "__main__") and name not in FLOOR] == []


def test_the_core_names_no_backend_but_in_the_table() -> None:
    for name, path in rooms().items():
        if floor_of(name) <= FLOOR["backend"]:
            assert not {imported for imported in imports_of(path) if imported.startswith("backends")}, name


def test_the_tool_pack_stands_on_the_face_alone() -> None:
    for path in PACK.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("agentkit."):
                pytest.fail(f"{path.name} imports {node.module}")


def test_the_loop_stays_small() -> None:
    source = (PACKAGE / "loop.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) < 80


def test_importing_agentkit_loads_nothing_but_itself() -> None:
    code = (
        "import sys; before = set(sys.modules); import agentkit; new = set(sys.modules) - before; "
        "print(sorted(name for name in new if name.split('.')[0] not in sys.stdlib_module_names), len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    strangers, count = done.stdout.rsplit(maxsplit=1)
    assert strangers == "['agentkit']"
    assert int(count) < 120


def test_an_agent_is_made_without_loading_openai() -> None:
    code = "import sys, agentkit; agentkit.Agent('llamacpp:'); assert 'openai' not in sys.modules, 'openai is loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_of_the_face_is_there_and_in_the_docs() -> None:
    documented = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert documented == set(agentkit.__all__)
    for name in agentkit.__all__:
        value = getattr(agentkit, name)
        assert value.__doc__ or value.__module__.startswith("openai"), name


def test_the_face_keeps_its_functions_when_the_rooms_of_that_name_are_loaded() -> None:
    code = (
        "import agentkit.tools, agentkit.fetch; from agentkit import tool, fetch; from agentkit.tools import Tool; "
        "assert callable(tool) and callable(fetch) and callable(Tool)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_doors_and_the_resolver_of_names_read_the_environment() -> None:
    direct = {
        name for name, path in rooms().items() if re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8"))
    }
    assert direct == {
        "backend",
        "backends.vlmrun",
        "cassette",
        "doors.settings",
    }  # VLMRun() stands in for a package that does
