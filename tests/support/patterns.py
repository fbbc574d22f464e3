"""Finds every regular expression of the code, and texts on which each may take more than linear time.

A pattern is found where it is compiled in a module, whatever holds it, and where a function of `re` is called with a
literal. `calls_without_literal` has the rest: patterns that are made of data.
"""

import ast
import contextlib
import functools
import importlib
import itertools
import pkgutil
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agentkit
import agentkit_tools
from agentkit._lazy.patterns import LazyPattern
from agentkit.errors import MissingExtraError

parser: Any = importlib.import_module("re._parser")  # no stubs

ROOTS = {package.__name__: Path(str(package.__file__)).parent for package in (agentkit, agentkit_tools)}
METHODS = ("search", "match", "fullmatch", "finditer", "findall", "sub", "subn", "split")
_SCANNING = {"finditer": "sub", "findall": "sub", "subn": "sub", "split": "sub"}


@dataclass(frozen=True)
class Found:
    """A pattern. name: where it stands. methods: those of it that are called."""

    name: str
    pattern: "re.Pattern[Any]"
    methods: tuple[str, ...]


def all_patterns() -> list[Found]:
    """Every pattern of the two packages that is known without running them."""
    used = _methods_by_name()
    found: dict[tuple[Any, ...], Found] = {}
    for module in _modules():
        for name, pattern in _patterns_in(vars(module), module.__name__):
            last = name.removeprefix(f"{module.__name__}.").partition("[")[0]
            known = used.get((module.__name__, last)) if last.startswith("_") else None
            methods = tuple(sorted(known or METHODS[:3]))
            key = (pattern, methods)
            found.setdefault(key, Found(name, pattern, methods))
    for name, call in _calls_of_re():
        literal = _literal_pattern(call)
        if literal is not None:
            method = call.func.attr  # type: ignore[attr-defined]
            methods = METHODS[:3] if method == "compile" else (_SCANNING.get(method, method),)
            if not (method == "compile" and any(key[0] == literal for key in found)):
                found.setdefault((literal, methods), Found(name, literal, methods))
    return sorted(found.values(), key=lambda each: each.name)


def calls_without_literal() -> list[str]:
    """The calls inside functions whose pattern is made of data, as "module: source of the pattern"."""
    calls = _calls_of_re(inside_functions=True)
    return sorted(
        {
            f"{name.partition(':')[0]}: {ast.unparse(call.args[0])}"
            for name, call in calls
            if _literal_pattern(call) is None
        }
    )


@functools.cache
def _modules() -> list[Any]:
    modules = []
    for name, root in ROOTS.items():
        for each in pkgutil.walk_packages([str(root)], f"{name}."):
            if each.name.endswith("__main__"):
                continue
            with contextlib.suppress(MissingExtraError):  # of Ray
                modules.append(importlib.import_module(each.name))
        modules.append(sys.modules[name])
    return modules


def _patterns_in(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, "re.Pattern[Any]"]]:
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, LazyPattern):
        yield name, value.compiled()
    elif depth > 4:
        return
    elif isinstance(value, dict):
        for key, each in list(value.items()):
            if depth or not str(key).startswith("__"):
                yield from _patterns_in(each, f"{name}.{key}" if depth == 0 else f"{name}[{key!r}]", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for index, each in enumerate(value):
            yield from _patterns_in(each, f"{name}[{index}]", depth + 1)
    elif isinstance(value, type) and value.__module__.partition(".")[0] in ROOTS:
        for key, each in list(vars(value).items()):
            yield from _patterns_in(each, f"{name}.{key}", depth + 3)
    elif type(value).__module__.partition(".")[0] in ROOTS and hasattr(value, "__dict__"):
        for key, each in list(vars(value).items()):
            yield from _patterns_in(each, f"{name}.{key}", depth + 1)


@functools.cache
def _modules_of_nodes() -> list[tuple[str, Sequence[ast.AST]]]:
    """The nodes that are looked at here, of each module that has to do with patterns: to parse the others and to walk
    through them takes twice as long as all else."""
    kinds = (ast.Name, ast.Attribute, ast.Call, ast.FunctionDef, ast.Lambda)
    found: list[tuple[str, Sequence[ast.AST]]] = []
    for package, root in ROOTS.items():
        for path in sorted(root.rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if _ABOUT_PATTERNS.search(source):
                module = ".".join((package, *path.relative_to(root).with_suffix("").parts))
                found.append((module, [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]))
    return found


_ABOUT_PATTERNS = re.compile(r"\bre\b|pattern", re.IGNORECASE)


def _methods_by_name() -> dict[tuple[str, str], set[str]]:
    """The methods that are called on each name of a module, `_NAME.sub(...)`; a name that is used in another way, or in
    other modules, may be called in any."""
    called: dict[tuple[str, str], set[str]] = defaultdict(set)
    for module, nodes in _modules_of_nodes():
        holders = {id(node.value): node.attr for node in nodes if type(node) is ast.Attribute}
        for node in nodes:
            if type(node) is ast.Name and node.id.isupper() and type(node.ctx) is ast.Load:
                method = holders.get(id(node), "")
                called[module, node.id] |= {_SCANNING.get(method, method)} if method in METHODS else set(METHODS[:3])
    return called


def _calls_of_re(*, inside_functions: bool = False) -> Iterator[tuple[str, ast.Call]]:
    for module, nodes in _modules_of_nodes():
        tops = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.Lambda)] if inside_functions else []
        inside = {id(node) for top in tops for node in ast.walk(top)}
        for node in nodes:
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "re"
                and node.func.attr in (*METHODS, "compile")
                and (not inside_functions or id(node) in inside)
            ):
                yield f"{module}:{node.lineno}", node


def _literal_pattern(call: ast.Call) -> "re.Pattern[Any] | None":
    try:
        text = ast.literal_eval(call.args[0])
    except ValueError:
        return None
    flags = [keyword.value for keyword in call.keywords if keyword.arg == "flags"]
    position = {"sub": 4, "subn": 4, "split": 3, "compile": 1}.get(call.func.attr, 2)  # type: ignore[attr-defined]
    flags += call.args[position : position + 1]
    value = eval(compile(ast.Expression(flags[0]), "", "eval"), {"re": re}) if flags else 0  # noqa: S307 - our own code
    return re.compile(text, value)


# ---- texts on which a pattern may be slow

UNITS = (
    *(" ", "\t", "\n", "\r\n", " \n", "\u3000", "a", "A", "1", "a1", "_", "-", "--", ".", "..", ",", ", ", ";", ":"),
    *(
        "!",
        "?",
        "...",
        "'",
        '"',
        "`",
        "``",
        "```",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "[[",
        "{{",
        "[]",
        "{}",
        "()",
        "<",
        ">",
    ),
    *(
        "<a",
        "<a>",
        "</a>",
        "<!--",
        "-->",
        "<a ",
        '<a b="',
        "&amp;",
        "&",
        "&#1;",
        "\\",
        '\\"',
        "\\n",
        "/",
        "//",
        "/*",
        "#",
    ),
    *("|", "| ", "=", "+", "*", "**", "~", "@", "%", "%20", "$", "^", "é", "e\u0301", "\u0301", "中", "ا", "\u200b"),
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "data:", "data: \n", "key", "a ", "a, ", "a.", "A. ", "1,"),
    *(
        "1.",
        "1 ",
        "'a' ",
        '"a" ',
        '"a":',
        "{'",
        '{"',
        '{"a":',
        "\x00",
        "\x1b[",
        "http://",
        "a@",
        "a=",
        "a&",
        "a-",
        "a/",
    ),
)
ENDS = ("", "\x00", "!", "\n")


def growing(pattern: "re.Pattern[Any]") -> list[tuple[str, str, str]]:
    """Texts that grow: (beginning, what is repeated, end), from the pattern itself and of what hostile texts are made
    of."""
    texts: dict[tuple[str, str, str], None] = {}
    is_text = isinstance(pattern.pattern, str)
    source = pattern.pattern if is_text else pattern.pattern.decode("latin-1")
    flags = pattern.flags if is_text else pattern.flags & ~re.ASCII
    for before, unit in _pumps(parser.parse(source, flags & ~re.DEBUG)):
        for end in ENDS[:2]:
            texts[before, unit, end] = None
        texts["", before + unit, ""] = None
        texts["", before + unit * 3, "\x00"] = None
        if before:
            texts["", before, ""] = None
    for unit in UNITS:
        texts["", unit, "\x00"] = None
    return list(texts)


def _pumps(items: Iterable[Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Of each repetition: a text that leads to it, and texts that it repeats."""
    for op, value in items:
        name = str(op)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            _, high, inner = value
            if high > 20:
                for unit in itertools.islice(_samples(inner), 4):
                    if unit:
                        yield before, unit
            yield from _pumps(inner, before)
        elif name == "BRANCH":
            for each in value[1]:
                yield from _pumps(each, before)
        elif name == "SUBPATTERN":
            yield from _pumps(value[3], before)
        elif name == "ATOMIC_GROUP":
            yield from _pumps(value, before)
        elif name in ("ASSERT", "ASSERT_NOT") and value[0] == 1:
            yield from _pumps(value[1], before)
        before += next(_samples([(op, value)]), "")


def _samples(items: Sequence[Any]) -> Iterator[str]:
    """Texts that a part of a pattern matches, more or less."""
    parts = [list(itertools.islice(_of_item(str(op), value), 4)) or [""] for op, value in items]
    if parts:
        for index in range(max(map(len, parts))):
            yield "".join(each[min(index, len(each) - 1)] for each in parts)


def _of_item(name: str, value: Any) -> Iterator[str]:
    if name == "LITERAL":
        yield chr(value)
    elif name == "NOT_LITERAL":
        yield from (each for each in "a 1" if ord(each) != value)
    elif name == "ANY":
        yield from ("a", " ", "<")
    elif name == "IN":
        yield from _of_set(value)
    elif name == "BRANCH":
        for each in value[1]:
            yield next(_samples(each), "")
    elif name == "SUBPATTERN":
        yield from _samples(value[3])
    elif name == "ATOMIC_GROUP":
        yield from _samples(value)
    elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        low, high, inner = value
        for each in _samples(inner):
            yield each * max(low, 1 if high else 0)
    else:
        yield ""


def _of_set(value: Any) -> Iterator[str]:
    source = re.compile(_set_source(value))
    for each in "a1 _-.\n<\"'\\é中":
        if source.match(each):
            yield each
    for op, inner in value:
        if str(op) == "LITERAL":
            yield chr(inner)
        elif str(op) == "RANGE":
            yield chr(inner[0])


def _set_source(value: Any) -> str:
    categories = {
        "CATEGORY_DIGIT": r"\d",
        "CATEGORY_NOT_DIGIT": r"\D",
        "CATEGORY_SPACE": r"\s",
        "CATEGORY_NOT_SPACE": r"\S",
        "CATEGORY_WORD": r"\w",
        "CATEGORY_NOT_WORD": r"\W",
    }
    made = ""
    for op, inner in value:
        name = str(op)
        if name == "NEGATE":
            made = "^"
        elif name == "LITERAL":
            made += re.escape(chr(inner))
        elif name == "RANGE":
            made += f"{re.escape(chr(inner[0]))}-{re.escape(chr(inner[1]))}"
        elif name == "CATEGORY":
            made += categories[str(inner)]
    return f"[{made}]"
