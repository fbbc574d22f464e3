"""Research: a question is divided, worked on in parallel, and answered by a report whose citations are checked.

from agentkit.research import research

report = research("How did the Tallow lighthouse get its lamp?", model="openai:gpt-5-mini")
print(report.markdown())

docs/research.md describes it.
"""

from agentkit.research.events import Begun, Done, Noted, Planned, ResearchEvent, Used, Writing
from agentkit.research.report import Report
from agentkit.research.running import research

__all__ = ["Begun", "Done", "Noted", "Planned", "Report", "ResearchEvent", "Used", "Writing", "research"]
