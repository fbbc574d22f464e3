"""agno with a server of the OpenAI API."""

from agno.agent import Agent
from agno.models.openai.like import OpenAILike
from agno.run.agent import RunEvent

from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up


def make(url: str, with_tool: bool = True) -> Agent:
    model = OpenAILike(id="m", base_url=url, api_key="x")
    return Agent(model=model, tools=[look_up] if with_tool else [], instructions=INSTRUCTIONS, telemetry=False)


def run(agent: Agent) -> str:
    return str(agent.run(QUESTION).content)


def stream(agent: Agent) -> list[str]:
    events = agent.run(QUESTION, stream=True)
    return [str(event.content) for event in events if event.event == RunEvent.run_content.value]
