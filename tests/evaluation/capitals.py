"""A set of questions, and a model server that knows most of the answers."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.model_server import Answer, Asked, whole

USAGE = {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
CAPITALS = {f"Land {number}": f"City {number}" for number in range(40)}


def lines(count: int = 20, **more: Any) -> list[dict[str, Any]]:
    """Questions, each with its answer and the check `contains`."""
    named = list(CAPITALS.items())[:count]
    return [
        {"id": f"c{place}", "question": f"Capital of {land}?", "answer": city, "checks": ["contains"], **more}
        for place, (land, city) in enumerate(named)
    ]


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in rows), encoding="utf-8")
    return path


def question_of(asked: Asked) -> str:
    return str([each["content"] for each in asked.body["messages"] if each["role"] == "user"][-1])


def knows(*unknown: int) -> Callable[[Asked], Answer]:
    """A server that answers all questions, but with "I don't know." those of these numbers."""

    def answer(asked: Asked) -> Answer:
        found = re.search(r"Land (\d+)", question_of(asked))
        assert found is not None
        number = int(found[1])
        text = "I don't know." if number in unknown else f"It is City {number}."
        return whole(text, usage=USAGE)

    return answer
