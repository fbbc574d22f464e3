"""The typed answer of a judge: its own verdict, and none that it quotes of what it judges.

A reply is an object alone, or begins or ends with one. Beside words an object does not count whose reason stands in
what the judge was shown: a judge that says in words that an answer asks for the best grade, and quotes how, gives none.
It is asked for its verdict alone then.
"""

import copy
import json
import re
from contextlib import suppress
from typing import Any

from agentkit.errors import ArgumentsError
from agentkit.message import Prompt
from agentkit.middleware.structured_output import OutputType
from agentkit.tooling.arguments import is_json_object
from agentkit.tooling.json_repair import objects_in

_AROUND = "` *\t\r\n."
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_AGAIN = "give your own verdict alone, as JSON and with nothing around it"


class VerdictType(OutputType):
    """The type of a verdict, which has a `reason`."""

    _shown = ""

    def of_prompt(self, prompt: Prompt) -> "VerdictType":
        """The same, for a prompt with a line of JSON that has what others have written."""
        made = copy.copy(self)
        lines = prompt.splitlines() if isinstance(prompt, str) else ()
        for line in lines:
            with suppress(ValueError, AttributeError):
                if line.startswith('{"question"'):
                    texts = "\n".join(map(str, json.loads(line).values()))
                    made._shown = f"{_compact(texts)}\n{_compact(_unescaped(texts))}"
        return made

    def read(self, text: str, *, finish_reason: str = "") -> Any:
        """See `OutputType.read`. Raises ArgumentsError for a verdict that may be quoted, too."""
        value = super().read(text, finish_reason=finish_reason)
        bare = text.strip(_AROUND).removeprefix("json").lstrip()
        if is_json_object(bare, strict=False):
            return value
        if not bare.startswith("{") and not bare.endswith("}"):
            raise ArgumentsError(f"the verdict stands in the middle of other words: {_AGAIN}")
        if self._is_shown(str(value.reason)):
            raise ArgumentsError(f"the verdict in it may be quoted from what is judged: {_AGAIN}")
        if any(other != value for given in objects_in(text) if (other := self._verdict(given)) is not None):
            raise ArgumentsError(f"there are several verdicts in it, which differ: {_AGAIN}")
        return value

    def _verdict(self, given: dict[str, Any]) -> Any:
        with suppress(ArgumentsError):
            return super().read(json.dumps(given))
        return None

    def _is_shown(self, reason: str) -> bool:
        """Whether a reason stands in what was shown, as far as its letters and digits go."""
        said = _compact(reason)
        return said in self._shown if said else bool(self._shown)


def _compact(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda code: chr(int(code[1], 16)), text)
