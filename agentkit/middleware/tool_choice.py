"""A forced tool call (`tool_choice="required"`, "any", or a named tool) is asked for once a question: as long as it is
forced, the model calls tools until the limit on turns is reached."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from agentkit._lazy.records import replace
from agentkit.backend import ReplyStream, Request, is_from_the_run
from agentkit.message import Message
from agentkit.middleware.base import Middleware

_FREE = (None, "auto", "none")
_ANY = ("required", "any")


class ToolChoice(Middleware):
    """Sets a forced tool_choice, the request's or the backend's own, back to "auto" once a tool was called for the
    question. It stays where a tool that ends the run can meet it."""

    stops_on_abort = True

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        return self.backend.reply(self._released(request))

    def _released(self, request: Request) -> Request:
        own = request.sampling
        choice = own["tool_choice"] if "tool_choice" in own else self.backend.capabilities().tool_choice
        if choice in _FREE or not has_called(request.said):
            return request
        ending = {tool.name for tool in request.tools if tool.options.ends_run or tool.is_external}
        released = choice_after_a_call(choice, ending)
        return request if released == choice else replace(request, sampling={**own, "tool_choice": released})


def has_called(messages: Sequence[Message]) -> bool:
    """Whether the model has called a tool since the last question."""
    for message in reversed(messages):
        if message.get("tool_calls"):
            return True
        if message["role"] == "user" and not is_from_the_run(message):
            return False
    return False


def choice_after_a_call(choice: Any, ending: Collection[str]) -> Any:
    """Returns the tool_choice for requests after the first call. choice: in any form that servers know. ending: the
    names of the tools that end the run."""
    kind = choice.get("type") if isinstance(choice, Mapping) else choice
    if kind in _FREE[1:] or choice is None:
        return choice
    if kind == "allowed_tools":
        return _allowed_after_a_call(choice, ending)
    stays = bool(ending) if kind in _ANY else _name_of(choice) in ending
    return choice if stays else "auto"


def _name_of(choice: Any) -> Any:
    if not isinstance(choice, Mapping):
        return choice
    inner = choice.get("function")
    return inner.get("name") if isinstance(inner, Mapping) else choice.get("name")


def _allowed_after_a_call(choice: Mapping[str, Any], ending: Collection[str]) -> Any:
    nested = choice.get("allowed_tools")
    inner = nested if isinstance(nested, Mapping) else choice
    names = {_name_of(each) for each in inner.get("tools") or ()}
    if inner.get("mode") in _FREE or names & set(ending):
        return choice
    freed = {**inner, "mode": "auto"}
    return {**choice, "allowed_tools": freed} if inner is nested else freed
