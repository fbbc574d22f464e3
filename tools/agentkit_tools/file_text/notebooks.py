"""Jupyter notebooks: their texts, their code, and what it printed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agentkit_tools.file_text.form import FileText, joined
from agentkit_tools.file_text.texts import decoded, heading_of
from agentkit_tools.page_text import html_text, without_colours
from agentkit_tools.unreadable import UnreadableError

_STANDS_FOR_MORE = re.compile(r"<[\w.]{1,200} (?:object|at 0x[0-9a-f]{1,20}|object at 0x[0-9a-f]{1,20})>")
"""The plain text of what is shown as a page or a formula, such as <IPython.core.display.HTML object>."""

HEAD = 300
"""Characters of such a text that are looked at."""

OUTPUT = 5_000
"""Maximum length of what one cell printed, in characters."""


def read_notebook(path: str, content: bytes) -> FileText:
    """A notebook of any version. Raises UnreadableError when it is damaged."""
    try:
        notebook = json.loads(decoded(path, content))
    except (ValueError, RecursionError):
        raise UnreadableError("the notebook is damaged: it is not valid JSON") from None
    if not isinstance(notebook, dict):
        raise UnreadableError("it is not a notebook")
    language = _language(notebook)
    text = joined(part for cell in _cells(notebook) for part in _cell(cell, language))
    return FileText(heading_of(text), text)


def _cells(notebook: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sheets = notebook.get("worksheets")  # of version 3
    holders = sheets if isinstance(sheets, list) else [notebook]
    cells = [cell for holder in holders if isinstance(holder, dict) for cell in _list(holder.get("cells"))]
    return [cell for cell in cells if isinstance(cell, dict)]


def _cell(cell: Mapping[str, Any], language: str) -> Iterator[str]:
    text = _text(cell.get("source", cell.get("input"))).strip("\n")
    if cell.get("cell_type") == "code":
        if text.strip():
            yield f"```{language}\n{text}\n```"
        for output in _list(cell.get("outputs")):
            if isinstance(output, dict) and (printed := without_colours(_as_seen(_output(output))).strip()):
                yield printed if len(printed) <= OUTPUT else f"{printed[:OUTPUT]} […]"
    elif cell.get("cell_type") == "heading":
        yield f"{'#' * _level(cell)} {text}"
    else:
        yield re.sub(r"\(data:[^()\s]{100,}\)", "()", text)  # an image that was pasted


def _output(output: Mapping[str, Any]) -> str:
    """The text of an output: what was printed, the value, or the error; images have none."""
    if output.get("output_type") in ("error", "pyerr"):
        return f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
    data = output.get("data")
    shown = data if isinstance(data, dict) else output
    plain = _text(shown.get("text/plain")) or _text(shown.get("text"))
    forms: tuple[Callable[[], str], ...] = (
        lambda: _text(shown.get("text/markdown")),
        lambda: "" if _STANDS_FOR_MORE.fullmatch(plain.strip()[:HEAD]) else plain,
        lambda: html_text(_text(shown.get("text/html"))).text,
        lambda: _text(shown.get("text/latex")),
        lambda: plain,
    )
    return next((text for form in forms if (text := form()).strip()), "")


def _as_seen(printed: str) -> str:
    """What is seen of a text that was printed: progress is written over what stood in the line before."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in printed.split("\n"))


def _text(value: Any) -> str:
    """A text, which may be given as a list of its lines."""
    if isinstance(value, list):
        return "".join(each for each in value if isinstance(each, str))
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _level(cell: Mapping[str, Any]) -> int:
    level = cell.get("level")
    return level if isinstance(level, int) and 1 <= level <= 6 else 1


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, dict) else None
    name = info.get("name") if isinstance(info, dict) else None
    return name if isinstance(name, str) and name.isalnum() else "python"
