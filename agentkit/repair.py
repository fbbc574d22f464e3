"""Repairs any message history, with as few changes as possible, so that a strict chat server accepts it.

The rules are those of OpenAI's chat completions: an assistant message with tool calls is followed by one tool message
for each, in their order, before anything else; ids are unique strings; content is present.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from agentkit.history.call_parts import ARGUMENTS
from agentkit.history.call_results import key_of, places_of_results
from agentkit.history.given import given_messages
from agentkit.history.parts import chat_part, is_content, is_shown
from agentkit.message import SHOWN, Part, is_plain_text, response_of, returned_text, tool_result, unwrapped_response
from agentkit.tooling.arguments import as_json_object, is_json_object, is_sendable
from agentkit.tooling.call_names import is_valid_name, valid_author, valid_id, valid_name
from agentkit.tooling.json_repair import cleaned
from agentkit.tooling.outcome import INTERRUPTED

REFUSED = "a value that servers refuse (NaN, Infinity, an integer beyond 64 bits, half a surrogate pair)"


def repaired(messages: Iterable[Mapping[str, Any]], *, closed: bool = False) -> tuple[list[dict[str, Any]], list[str]]:
    """The repaired messages, and a sentence for each repair; a valid history is returned unchanged.

    closed: open tool calls at the end are answered too (as interrupted), so that a user message may follow. Repairing
    twice changes nothing. What is not a message at all is left as it is, for `Transcript` to refuse.
    """
    repairing = _Repairing()
    given, numbers, told = given_messages(messages)
    for at, what in told:
        repairing.says(what, at=at)
    place = 0
    while place < len(given):
        message = given[place]
        place += 1
        if not isinstance(message, dict) or _is_in_order(message, given, place):
            repairing.made.append(message)
            continue
        repairing.begin(numbers[place - 1])
        message = repairing.with_name(repairing.with_content(repairing.modern(repairing.clean(message))))
        if message.get("role") == "tool":
            repairing.says("is a tool message that answers no call: kept as a user message")
            repairing.made.append(_as_user_message(message))
            continue
        if message.get("role") == "assistant" and not message.get("tool_calls"):
            message = repairing.with_calls_of_text(message, _directly_following(given, place))
        if not message.get("tool_calls"):
            repairing.add(message)
            continue
        calls = repairing.with_ids(message)
        results, place = _results(given, numbers, place, repairing)
        is_last = place >= len(given)
        repairing.add(message)
        repairing.answer(calls, results, is_open=is_last and not closed)
    return repairing.made, repairing.repairs


def _is_in_order(message: dict[str, Any], given: Sequence[Any], behind: int) -> bool:
    """Whether nothing is to be repaired in a message. behind: the place of the one behind it."""
    if not is_plain_text(message):
        return False
    if message["role"] != "assistant" or behind >= len(given) or not isinstance(given[behind], dict):
        return True
    return given[behind].get("role") not in ("tool", "function")  # which may belong to calls in its text


def _directly_following(given: Sequence[Any], place: int) -> list[dict[str, Any]]:
    """The tool messages from a place on."""
    found = []
    while place < len(given) and isinstance(given[place], dict) and given[place].get("role") in ("tool", "function"):
        found.append(given[place])
        place += 1
    return found


def _as_user_message(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result of a call that is not in the history, as a user shows it."""
    content = result.get("content")
    text = unwrapped_response(content if isinstance(content, str) else _joined(content or ()))
    name = result.get("name")
    text = returned_text(name if isinstance(name, str) else "", text)
    shown = [part for part in content if is_shown(part)] if isinstance(content, list) else []
    others = {key: value for key, value in result.items() if key not in ("tool_call_id", "name")}
    return {**others, "role": "user", "content": [{"type": "text", "text": text}, *shown] if shown else text}


def _joined(parts: Iterable[Part]) -> str:
    return "\n".join(part["text"] for part in parts if part.get("type") == "text")


def _results(
    given: list[Any], numbers: list[int], place: int, repairing: "_Repairing"
) -> tuple[list[dict[str, Any]], int]:
    """The tool messages that belong to the calls before `place`: those that follow, even after other messages, which
    are then moved behind them. They are removed from `given`, and from `numbers`, which has the place that each
    message was given at."""
    results: list[dict[str, Any]] = []
    between: list[Any] = []
    at = place
    while at < len(given):
        message = given[at]
        role = message.get("role") if isinstance(message, dict) else None
        if role in ("tool", "function"):
            results.append(message)
        elif role in ("user", "system", "developer"):
            between.append(message)
        else:
            break
        at += 1
    if not results:
        return [], place
    belong = set(map(id, results))
    last = max(index for index in range(place, at) if id(given[index]) in belong)
    moved = [index for index in range(place, last + 1) if id(given[index]) not in belong]
    if moved:
        repairing.says("stood between tool calls and their results, and was moved behind them", at=numbers[moved[0]])
    given[place : last + 1] = [given[index] for index in moved]
    numbers[place : last + 1] = [numbers[index] for index in moved]
    return results, place


class _Repairing:
    """The repaired messages so far, and the repairs."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.repairs: list[str] = []
        self._at = 0

    def begin(self, at: int) -> None:
        self._at = at

    def says(self, what: str, at: int | None = None) -> None:
        self.repairs.append(f"messages[{self._at if at is None else at}] {what}")

    def clean(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with text in place of values that servers refuse."""
        try:
            made: dict[str, Any] = cleaned(message)
        except (TypeError, ValueError, RecursionError):
            return message
        if made == message:
            return message
        self.says(f"has {REFUSED}, which became text")
        return made

    def modern(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message without the deprecated fields of OpenAI's function calling, and without empty lists of calls."""
        if message.get("role") == "function":
            self.says("has the deprecated role 'function', which became 'tool'")
            message = {**message, "role": "tool"}
        if message.get("role") != "assistant":
            if message.keys() & {"tool_calls", "function_call"}:
                self.says("has tool calls, which only an assistant message may have: removed")
            return {key: value for key, value in message.items() if key not in ("tool_calls", "function_call")}
        old = message.get("function_call")
        if old and not message.get("tool_calls"):
            self.says("has the deprecated field function_call, which became tool_calls")
            message = {**message, "tool_calls": [{"id": "", "type": "function", "function": old}]}
        elif old:
            self.says("has the deprecated field function_call in addition to tool_calls: removed")
        if "function_call" in message:
            message = {key: value for key, value in message.items() if key != "function_call"}
        if "tool_calls" in message and not message["tool_calls"]:
            if message["tool_calls"] is not None:
                self.says("has an empty list of tool calls: removed")
            message = {key: value for key, value in message.items() if key != "tool_calls"}
        return message

    def with_content(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with a text, a list of parts in OpenAI's form, or no content where it needs none."""
        content = message.get("content")
        if isinstance(content, str):
            return message
        if isinstance(content, list):
            return self._with_parts(message, content)
        if content is None and message.get("role") == "assistant" and message.get("tool_calls"):
            return message
        if content is None:
            if message.get("role") == "assistant" and message.get("refusal"):
                return message
            self.says("has no content, and got an empty text")
            return {**message, "content": ""}
        if isinstance(content, Mapping) and is_content(content):
            return self._with_parts(message, [content])
        self.says(f"has a content of type {type(content).__name__}, which became its JSON")
        return {**message, "content": json.dumps(content, ensure_ascii=False, default=str)}

    def _with_parts(self, message: dict[str, Any], content: list[Any]) -> dict[str, Any]:
        if not content:
            self.says("has an empty list as content, which became an empty text")
            return {**message, "content": ""}
        if message.get("role") != "user" and all(isinstance(part, str) for part in content):
            self.says("has a list of texts as content, which became one text")
            return {**message, "content": "\n".join(content)}
        made = [chat_part(part) for part in content]
        if made == message.get("content"):
            return message
        self.says("has parts of its content in a form that servers refuse, which was repaired")
        return {**message, "content": made}

    def with_name(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with a name that servers take, or without one."""
        name = message.get("name")
        if name is None or is_valid_name(name):
            return message
        made = valid_author(name) if isinstance(name, str) else ""
        if made:
            self.says(f"has the name {name!r:.80}, which servers refuse and which became {made!r}")
            return {**message, "name": made}
        self.says(f"has the name {name!r:.80}, which servers refuse: removed")
        return {key: value for key, value in message.items() if key != "name"}

    def with_calls_of_text(self, message: dict[str, Any], results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The message with the calls in its text, where just as many results follow; the results get their ids."""
        if not results or not isinstance(message["content"], str):
            return message
        from agentkit.history.text_calls import calls_in  # loads all model families, for few histories

        text, calls = calls_in(message["content"])
        if not calls or len(calls) != len(results):
            return message
        self.says("has tool calls in its text, which became tool_calls")
        made = []
        for place, (call, result) in enumerate(zip(calls, results, strict=True)):
            result["tool_call_id"] = f"call_{self._at}_{place}"
            function = {"name": call.name, "arguments": call.arguments}
            made.append({"id": result["tool_call_id"], "type": "function", "function": function})
        return {**message, "content": text, "tool_calls": made}

    def add(self, message: dict[str, Any]) -> None:
        """Add a message; what only a user message may show stands in one before it, or behind a system message."""
        if message.get("role") == "user":
            self.made.append(message)
            return
        rest, shown = self._without_shown(message, "above" if message.get("role") == "assistant" else "below")
        label = {"type": "text", "text": f"Shown by the {message.get('role')} message:"}
        moved = [{"role": "user", "content": [label, *shown]}] if shown else []
        self.made += [*moved, rest] if message.get("role") == "assistant" else [rest, *moved]

    def _without_shown(self, message: dict[str, Any], where: str) -> tuple[dict[str, Any], list[Part]]:
        content = message.get("content")
        shown = [part for part in content if is_shown(part)] if isinstance(content, list) else []
        if not shown:
            return message, []
        self.says("has images or files, which only a user message may have: moved to one")
        rest = [part for part in content or () if not is_shown(part)]
        return {**message, "content": rest or f"(shown {where})"}, shown

    def with_ids(self, message: dict[str, Any]) -> list[tuple[Any, dict[str, Any]]]:
        """Give the calls of a message unique ids, names, and arguments in JSON. Returns each with its original id."""
        taken: set[str] = set()
        calls: list[tuple[Any, dict[str, Any]]] = []
        before = len(self.repairs)
        given = message["tool_calls"] if isinstance(message["tool_calls"], list) else [message["tool_calls"]]
        for place, each in enumerate(given):
            had, call = self._call(each, place)
            if call["id"] in taken or not call["id"]:
                new = next(
                    name for name in (f"call_{self._at}_{place}{'x' * more}" for more in range(99)) if name not in taken
                )
                self.says(f"has a tool call with the id {had!r}, which became {new!r}")
                call["id"] = new
            taken.add(call["id"])
            calls.append((had, call))
        if [call for _, call in calls] != message["tool_calls"]:
            message["tool_calls"] = [call for _, call in calls]
            if len(self.repairs) == before:
                self.says("has tool calls in a form that servers refuse, which was repaired")
        return calls

    def _call(self, given: Any, place: int) -> tuple[Any, dict[str, Any]]:
        call, function = _function_of(given)
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(name, str) or not name:
            self.says(f"has a tool call without a name (tool_calls[{place}]), which became 'unnamed'")
            name = valid_name("")
        elif not is_valid_name(name):
            self.says(f"has a tool call with the name {name!r:.80}, which became {valid_name(name)!r}")
            name = valid_name(name)
        if not isinstance(arguments, str) or not is_sendable(arguments):
            if isinstance(arguments, str) and is_json_object(arguments):
                self.says(f"has {REFUSED} in the arguments of a tool call (tool_calls[{place}]), which became text")
            elif arguments not in (None, "") or not isinstance(arguments, str):
                self.says(f"has a tool call with arguments that are not JSON text (tool_calls[{place}])")
            arguments = as_json_object(arguments)
        had = call.get("id")
        made_id = valid_id(had) if isinstance(had, str) else ""
        if made_id != had and made_id:
            self.says(f"has a tool call with the id {had!r:.80}, which became {made_id!r}")
        fixed = {**function, "name": name, "arguments": arguments}
        return had, {**call, "id": made_id, "type": "function", "function": fixed}

    def answer(self, calls: list[tuple[Any, dict[str, Any]]], results: list[dict[str, Any]], is_open: bool) -> None:
        """Add the results in the order of the calls, each matched to its own."""
        places = places_of_results(calls, results)
        belong = [place for place in places if place is not None]
        found = [None if place is None else results[place] for place in places]
        matched = [each for each in found if each is not None]
        taken = set(belong)
        left = [each for place, each in enumerate(results) if place not in taken]
        known = {key_of(each.get("content")) for each in matched} if left else set()
        others = [message for each in left if (message := self._without_call(each, known)) is not None]
        if matched != [results[place] for place in sorted(belong)]:
            self.says("has results in another order than its calls, which was repaired")
        open_from = len(found)
        while is_open and open_from and found[open_from - 1] is None:
            open_from -= 1
        begun = len(self.made) - 1
        for (_, call), result in list(zip(calls, found, strict=True))[:open_from]:
            message, shown = self._without_shown(self._result(call, result), "below")
            self.made.append(message)
            label = {"type": "text", "text": f"{SHOWN}{call['function']['name']}"}
            others += [{"role": "user", "content": [label, *shown]}] if shown else []
        at = (
            begun if open_from < len(found) else len(self.made)
        )  # nothing may stand between open calls and their results
        self.made[at:at] = others

    def _without_call(self, result: dict[str, Any], known: Collection[Any]) -> dict[str, Any] | None:
        """A result that belongs to no call, as a user message; None for one that is there already. known: the contents
        of the others, see `key_of`."""
        what = f"was followed by a result for {result.get('tool_call_id')!r}, which is none of its calls"
        result = self.with_content(self.modern(self.clean(result)))
        if key_of(result["content"]) in known or not response_of(result):  # type: ignore[arg-type]
            self.says(f"{what}: removed")
            return None
        self.says(f"{what}: kept as a user message")
        return _as_user_message(result)

    def _result(self, call: dict[str, Any], result: dict[str, Any] | None) -> dict[str, Any]:
        if result is None:
            self.says(f"has a tool call without a result ({call['function']['name']}), and got one that says so")
            return dict(tool_result(call["id"], INTERRUPTED))
        result = self.with_name(self.with_content(self.modern(self.clean(result))))
        if result.get("tool_call_id") != call["id"]:
            self.says(f"has a result for {result.get('tool_call_id')!r}, which belongs to {call['id']!r}")
            result = {**result, "tool_call_id": call["id"]}
        return result


def _function_of(given: Any) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """A call and its function, whatever form of a call it has."""
    call = dict(given) if isinstance(given, Mapping) else {"arguments": given}
    if isinstance(call.get("function"), Mapping):
        return call, call["function"]
    custom = call.get("custom")
    if isinstance(custom, Mapping):
        arguments: Any = json.dumps({"input": custom.get("input")}, ensure_ascii=False, default=str)
        rest = {key: value for key, value in call.items() if key != "custom"}
        return rest, {"name": custom.get("name"), "arguments": arguments}
    written = next((call[key] for key in ARGUMENTS if key in call), None)
    if isinstance(written, Mapping):
        written = json.dumps(written, ensure_ascii=False, default=str)
    rest = {key: value for key, value in call.items() if key not in ("name", "function", *ARGUMENTS)}
    return rest, {"name": call.get("name"), "arguments": written}
