"""What a llama.cpp server can't do for the Python SDKs that the service can."""

from tests.sdks.node_limits import EVENTS, FORMAT, NONE, PREVIOUS, Limit

OPENAI = "openai (Python)"
LANGCHAIN = "langchain-openai"
LLM = "llm"
AGENTS = "OpenAI Agents SDK"

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
