"""What a llama.cpp server can't do for the Node.js SDKs that the service can: there is nothing to compare with.

For each SDK and ability: the reason, and the ability whose direct outcome has to come through the service instead.
"""

from typing import NamedTuple

OPENAI = "openai (Node.js)"
CHAT = "Vercel AI SDK (@ai-sdk/openai, chat)"
RESPONSES = "Vercel AI SDK (@ai-sdk/openai, responses)"
COMPATIBLE = "Vercel AI SDK (@ai-sdk/openai-compatible)"


class Limit(NamedTuple):
    """reason: why there is no outcome of llama.cpp. sdk, ability: where the same outcome is to be found."""

    reason: str
    sdk: str
    ability: str


NONE = "llama.cpp shows the model the tools, and its answer has the markup of a call as text"
EVENTS = "the events of llama.cpp's stream lack fields (output_index, created_at, ...), so that the SDK can't read them"
FORMAT = "llama.cpp ignores text.format"
PREVIOUS = "llama.cpp stores no responses"

STREAMED = ("streamed chat", "streamed tool call", "streamed agent loop", "streamed reasoning", "stopped stream")
FORMATTED = (
    "structured output",
    "structured output with tools",
    "streamed structured output",
    "generateObject",
    "streamObject",
    "json mode",
)

LIMITS: dict[str, dict[str, Limit]] = {
    OPENAI: {
        "tool_choice none": Limit(NONE, OPENAI, "chat"),
        "streamed responses": Limit(EVENTS, OPENAI, "responses"),
        "streamed responses tool call": Limit(EVENTS, OPENAI, "responses tool call"),
        "responses structured output": Limit(FORMAT, OPENAI, "structured output"),
        "previous_response_id": Limit(PREVIOUS, OPENAI, "responses"),
    },
    COMPATIBLE: {"tool_choice none": Limit(NONE, COMPATIBLE, "chat")},
    CHAT: {"tool_choice none": Limit(NONE, CHAT, "chat")},
    RESPONSES: {
        "tool_choice none": Limit(NONE, RESPONSES, "chat"),
        **{ability: Limit(EVENTS, CHAT, ability) for ability in STREAMED},
        **{ability: Limit(FORMAT, CHAT, ability) for ability in FORMATTED},
        "previous_response_id": Limit(PREVIOUS, RESPONSES, "chat"),
    },
}
