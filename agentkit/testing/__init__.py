"""Test support for users' tools and agents: a backend with scripted replies, and record and replay of HTTP exchanges.

from agentkit import Agent
from agentkit.testing import ScriptedBackend

backend = ScriptedBackend(("population", {"city": "Oslo"}), "About 700,000.")
result = Agent(backend, tools=[population]).run("How many people live in Oslo?")
assert backend.requests[1].messages[-1]["content"] == "<tool_response>\\n717710\\n</tool_response>"

with recorded("cassettes/oslo.yaml"):  # AGENTKIT_RECORD=once records it
    Agent("openai:gpt-5-mini").run("How many people live in Oslo?")
"""

from agentkit.testing.cassette import CassetteError, recorded
from agentkit.testing.scripted import Recorded, ScriptedBackend, Step

__all__ = ["CassetteError", "Recorded", "ScriptedBackend", "Step", "recorded"]
