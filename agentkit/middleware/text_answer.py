"""What a run has to answer with, when it is plain text."""

from collections.abc import Callable, Sequence
from types import CoroutineType
from typing import Any

from agentkit._text import cut
from agentkit.backend import Backend
from agentkit.errors import ConfigurationError, ToolError
from agentkit.event import ToolRecord
from agentkit.limits import Budget
from agentkit.message import Message, Prompt, without_stop_note
from agentkit.tools import Tool

MAX_OBJECTION = 2_000
"""Maximum characters of what a check says of an answer."""


def objection(check: Callable[[Any], object], value: Any) -> str | None:
    """What an output_check has against an answer; None when it is valid. Raises what the check raises but ValueError,
    AssertionError and ToolError, with which it objects; ConfigurationError for a check that does not raise."""
    try:
        made = check(value)
    except (ValueError, AssertionError, ToolError) as error:
        return cut(str(error).strip(), MAX_OBJECTION).rstrip(".") or "it does not pass a check of the program"
    if isinstance(made, CoroutineType):
        made.close()
        raise ConfigurationError("output_check returned a coroutine; agentkit is synchronous: pass a plain function")
    if made is False:
        raise ConfigurationError("output_check returned False: raise ValueError(why), which tells the model what to do")
    return None


class TextAnswer:
    """The answer of one run as text.

    tools: further tools that the model is offered for its answer. is_there: whether there is a valid answer, for a type
    that has invalid ones. is_text: whether it is one.
    """

    tools: tuple[Tool[..., Any], ...] = ()
    is_there: bool = False
    is_text: bool = True

    def prompt(self, prompt: Prompt) -> Prompt:
        """The user's prompt, with what the model has to know of the answer."""
        return prompt

    def opening(self, transcript: Sequence[Message], ended_by: ToolRecord | None) -> Sequence[Message]:
        """Read the answer of a transcript in which nothing is due. ended_by: the call that ended the run. Returns what
        the model is asked because the answer is invalid. Raises OutputError when it may not try again."""
        return ()

    def wrapped(self, backend: Backend, budget: Budget) -> Backend:
        """The backend, wrapped so that its replies are answers."""
        return backend

    def output(self, transcript: Sequence[Message], ended_by: ToolRecord | None) -> Any:
        """The output of the run: the result of the tool that ended it; else the text of the last message if it is the
        model's final reply, or of its refusal; of a reply that was stopped, what had arrived. Raises OutputError when
        there is no valid one."""
        if ended_by is not None:
            return ended_by.response
        last = transcript[-1]
        is_final = last["role"] == "assistant" and not last.get("tool_calls")
        return without_stop_note(last) or last.get("refusal", "") if is_final else ""
