"""What a llama.cpp server can't do for the Python SDKs that the service can."""

from tests.sdks.node_limits import Limit

OPENAI = "openai (Python)"
LANGCHAIN = "langchain-openai"
INSTRUCTOR = "instructor"
LLM = "llm"
AGENTS = "OpenAI Agents SDK"

NONE = "llama.cpp shows the model the tools, and its answer has the markup of a call as text"
EVENTS = "the events of llama.cpp's stream lack fields, so that the SDK rejects them"
FORMAT = "llama.cpp ignores text.format"
PREVIOUS = "llama.cpp stores no responses"
ITEMS = "llama.cpp does not take messages of an answer that have no id"

LIMITS: dict[str, dict[str, Limit]] = {
    OPENAI: {
        "tool_choice none": Limit(NONE, OPENAI, "chat"),
        "streamed responses": Limit(EVENTS, OPENAI, "responses"),
        "responses structured output": Limit(FORMAT, OPENAI, "structured output"),
        "previous_response_id": Limit(PREVIOUS, OPENAI, "responses"),
    },
    LANGCHAIN: {
        "tool_choice none": Limit(NONE, LANGCHAIN, "chat"),
        "responses structured output": Limit(FORMAT, LANGCHAIN, "structured output"),
        "previous_response_id": Limit(PREVIOUS, LANGCHAIN, "responses"),
    },
    LLM: {
        "responses structured output": Limit(FORMAT, LLM, "structured output"),
        "responses conversation": Limit(ITEMS, LLM, "conversation"),
    },
    AGENTS: {
        "tool_choice none": Limit(NONE, AGENTS, "chat"),
        "responses structured output": Limit(FORMAT, AGENTS, "structured output"),
        "previous_response_id": Limit(PREVIOUS, AGENTS, "responses conversation"),
    },
}
