"""Lines of the most usual forms, checked with a third fewer instructions than to read each in full takes.

Such a line is an object with a text or messages for its question, or a request of OpenAI's batch format; each message
has a role and a text. Of any other line nothing is said, and of these nothing but what `json_value`, `question_of` and
`request_of` say.
"""

from typing import Any

from agentkit.batch.given_items import SURELY_SHORT
from agentkit.batch.identity import MAX_ID
from agentkit.batch.json_lines import has_no_key_twice, quick_object
from agentkit.batch.openai_lines import TOOLS, USUAL_URL
from agentkit.batch.question_lines import QUESTIONS
from agentkit.message import TEXT_ROLES

UsualLine = tuple[str | None, Any, str]
"""A line that can be asked: the id it has, what it holds, and the model that it names, "" for none. There are millions
of them: a named tuple takes longer."""
_QUESTIONS = set(QUESTIONS)


def usual_line(content: bytes) -> UsualLine | None:
    """What a line of JSON is; None where it has to be read in full to know that."""
    value = quick_object(content)
    if value is None:
        return None
    item_id, model = value.get("custom_id"), ""
    names = _QUESTIONS.intersection(value)
    if not names:
        keys = _keys_of_request(value)
        model = (keys and value["body"].get("model")) or ""
    else:
        given = value.get("id")
        item_id = item_id if given is None else given
        asked = value[names.pop()]
        if type(asked) is str and not names and "messages" not in value:
            keys = len(value) if asked and not asked.isspace() else 0
        else:
            keys = 0 if names else _keys_with_messages(value, value.get("messages"))
    if not keys or not (content.count(b":") == keys or has_no_key_twice(value, content)):
        return None
    is_id = item_id is None or (type(item_id) is str and 0 < len(item_id) <= MAX_ID and not item_id.isspace())
    return (item_id, value, model) if is_id else None


def usual_text(text: str) -> UsualLine | None:
    """The same of a text that a program gives. One with half a surrogate pair has no digest."""
    is_usual = len(text) <= SURELY_SHORT and "\0" not in text and text and not text.isspace()
    return (None, text, "") if is_usual else None


def _keys_of_request(value: dict[str, Any]) -> int:
    """How many keys a request of OpenAI's batch format has, without those in its sampling; 0 for an unusual one."""
    body = value.get("body")
    if type(body) is not dict or value.get("method") != "POST" or value.get("url") != USUAL_URL:
        return 0
    model = body.get("model")
    if not (type(model) is str or model is None) or "n" in body or not TOOLS.isdisjoint(body):
        return 0
    keys = _keys_with_messages(body, body.get("messages"))
    return keys and keys + len(value)


def _keys_with_messages(value: dict[str, Any], messages: Any) -> int:
    """How many keys an object and the messages in it have; 0 for unusual ones, and where no reply is due."""
    if type(messages) is not list or not messages:
        return 0
    try:
        for each in messages:
            role, content = each["role"], each["content"]
            if type(content) is not str or type(role) is not str or role not in TEXT_ROLES or len(each) != 2:
                return 0
    except (TypeError, KeyError):  # it is no object, or lacks one of them
        return 0
    return len(value) + 2 * len(messages) if role == "user" and content and not content.isspace() else 0
