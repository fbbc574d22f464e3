"""Calls written as Python: a list such as `[get_weather(city='Paris'), now()]`, whose values are literals."""

import ast
import json

from agentkit.text.call_format import Call, Segment
from agentkit.tooling.json_repair import cleaned


def python_calls(text: str) -> list[Segment]:
    """Returns the calls in a list such as `[get_weather(city='Paris'), now()]`; none for anything else."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if not isinstance(tree, ast.List) or not tree.elts:
            return []
        return [_python_call(element) for element in tree.elts]
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return []


def _python_call(element: ast.expr) -> Call:
    if not isinstance(element, ast.Call) or element.args or any(word.arg is None for word in element.keywords):
        raise ValueError("not a call with named arguments")
    arguments = cleaned({str(word.arg): ast.literal_eval(word.value) for word in element.keywords})
    return Call(ast.unparse(element.func), json.dumps(arguments, ensure_ascii=False))
