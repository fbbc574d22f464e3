"""llm (the library of the command line tool), with the class that its file of OpenAI-compatible models gives one."""

from typing import Any

from llm.default_plugins.openai_models import Chat

from benchmarks.peers.task import INSTRUCTIONS, QUESTION, look_up


def make(url: str, with_tool: bool = True) -> Any:
    model = Chat("m", key="x", model_name="m", api_base=url, supports_tools=True)
    return model, [look_up] if with_tool else None


def run(agent: Any) -> str:
    model, tools = agent
    chain = model.conversation().chain(QUESTION, system=INSTRUCTIONS, tools=tools, chain_limit=0, stream=False, key="x")
    return str(chain.text()).strip()


def stream(agent: Any) -> list[str]:
    model, tools = agent
    return list(model.conversation().chain(QUESTION, system=INSTRUCTIONS, tools=tools, chain_limit=0, key="x"))
