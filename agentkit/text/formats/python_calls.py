"""Calls written as Python: a list such as `[get_weather(city='Paris'), now()]`, or one on each line. Their values are
literals of Python, or true, false and null."""

import ast
import json
from collections.abc import Iterable

from agentkit.text.call_format import Call, Segment
from agentkit.tooling.json_repair import cleaned

_WORDS = {"true": True, "false": False, "null": None}


def python_calls(text: str) -> list[Segment]:
    """Returns the calls in a list such as `[get_weather(city='Paris'), now()]`; none for anything else."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        return _calls(tree.elts) if isinstance(tree, ast.List) else []
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return []


def python_lines(text: str) -> list[Segment]:
    """Returns the calls that stand one after the other, each on lines of its own; none for anything else."""
    lines = "\n".join(line.strip() for line in text.strip().split("\n"))
    for written in (text.strip(), lines):
        try:
            parsed = ast.parse(written).body
            calls = _calls(each.value for each in parsed if isinstance(each, ast.Expr))
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return calls if len(calls) == len(parsed) else []
    return []


def _calls(elements: Iterable[ast.expr]) -> list[Segment]:
    return [_python_call(element) for element in elements]


def _python_call(element: ast.expr) -> Call:
    if not isinstance(element, ast.Call) or element.args or any(word.arg is None for word in element.keywords):
        raise ValueError("not a call with named arguments")
    arguments = cleaned({str(word.arg): ast.literal_eval(_Words().visit(word.value)) for word in element.keywords})
    return Call(ast.unparse(element.func), json.dumps(arguments, ensure_ascii=False))


class _Words(ast.NodeTransformer):
    """Replaces JSON's words by their values."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_WORDS[node.id]) if node.id in _WORDS else node
