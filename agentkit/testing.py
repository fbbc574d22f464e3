"""What users test their own tools and agents with: a backend that plays given replies.

from agentkit import Agent
from agentkit.testing import ScriptedBackend

backend = ScriptedBackend(("population", {"city": "Oslo"}), "About 700,000.")
result = Agent(backend, tools=[population]).run("How many people live in Oslo?")
assert backend.requests[1].messages[-1]["content"] == "<tool_response>\\n717710\\n</tool_response>"
"""

from agentkit.backends.scripted import Recorded, ScriptedBackend, Step

__all__ = ["Recorded", "ScriptedBackend", "Step"]
