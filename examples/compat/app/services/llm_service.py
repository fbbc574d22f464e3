"""The Prompt Portal's one interface to its model: the methods of its client and of its sessions."""

from typing import Any

from app.services.llm_client import get_llm_client, get_session_manager


class UnifiedLLMService:
    """`generate` and `generate_stream` of the client; `process_message`, `process_message_stream`,
    `get_session_history` and `clear_session` of the sessions."""

    mode = "sse"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("generate"):
            return getattr(get_llm_client(), name)
        return getattr(get_session_manager(), name)


_service = UnifiedLLMService()


def get_llm_service() -> UnifiedLLMService:
    """Return the service of this process."""
    return _service
