"""What all programs of this folder are asked to do: one tool, its instructions and the question."""

INSTRUCTIONS = "You are a research assistant."
QUESTION = "When is the tide high?"


def look_up(topic: str) -> str:
    """Look a topic up.

    Args:
        topic: What to look up.
    """
    return f"All there is to know about {topic}, in a paragraph of the usual length. " * 4
