"""What is said of a keyword argument that agents and runs don't have: how it is written here, where other frameworks
have one of that name, else the nearest there is."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

AGENT = "Agent()"
_ELSEWHERE: dict[str, str] = {
    'instructions="..."': "system system_prompt system_message system_instruction instruction prompt backstory role",
    'the model itself, Agent("provider:name"), which comes first': "llm client backend model_name model_id provider",
    'a part of the model\'s name, Agent("openai:name@https://host/v1"), and the key is read from the environment, or '
    "both are arguments of a backend (docs/backends.md)": "api_key base_url api_base endpoint organization",
    "Agent([first, second]), a list of models": "models fallback fallbacks fallback_model fallback_models",
    "tools=[...]": "tool functions function_tools toolset toolsets",
    "tools=[MCP(...)] (docs/mcp.md)": "mcp mcp_server mcp_servers",
    "tools=[other.as_tool(name, description)]": "handoffs agents sub_agents managed_agents team members",
    "agent.as_tool(name, description), where one agent is a tool of another": "name description",
    "limits=Limits(turns=...)": "max_turns max_iterations max_iter max_steps max_rounds recursion_limit max_loops",
    "limits=Limits(tool_calls=...)": "max_tool_calls tool_call_limit",
    "limits=Limits(tokens=..., cost=...)": "usage_limits max_budget budget",
    "limits=Limits(seconds=...), or tool_timeout= for tools": "timeout max_time max_execution_time time_limit",
    'an argument of a run: agent.run(..., sampling={"temperature": 0})': "temperature top_p top_k max_tokens "
    "max_output_tokens max_completion_tokens seed stop reasoning_effort model_settings model_kwargs tool_choice",
    "an argument of a run: agent.run(..., output=TYPE)": "output output_type output_schema response_format "
    "response_model response_schema result_type text_format output_cls",
    "an argument of a run: agent.run(..., session=...), or messages= for a list (docs/sessions.md)": "memory session "
    "session_id history chat_history messages message_history storage db checkpointer thread_id conversation_id",
    "an argument of a run: agent.run(..., deps=...)": "deps deps_type context dependencies state",
    "hooks=[...] (docs/hooks.md)": "hook callback callbacks guardrails input_guardrails output_guardrails on_event",
    "an argument of a run: agent.run(..., output_retries=...), or of a tool: @tool(retries=...)": "retries max_retries",
    "agent.stream_text(prompt), or agent.stream(prompt) for the events": "stream streaming",
    "for event in agent.stream(prompt), or agentkit's log (docs/runs.md)": "verbose debug debug_mode",
}
"""How it is written here, by the names that it has elsewhere."""
_LIKE = 0.7
"""How like a name is to one that is meant."""


def unknown_option(owner: str, name: str, known: Collection[str]) -> TypeError:
    """The error of an unexpected keyword argument. owner: what was called. known: the arguments that there are."""
    from difflib import get_close_matches  # nobody waits for it who makes no mistake

    here = next((each for each, names in _ELSEWHERE.items() if name in names.split()), "")
    if owner != AGENT:
        here = here.removeprefix("an argument of a run: ")
    near = get_close_matches(name, known, 1, _LIKE)
    hint = f"; here it is {here}" if here else f"; did you mean {near[0]}=?" if near else ""
    return TypeError(f"{owner}: unexpected keyword argument {name!r}{hint}; valid are {', '.join(known)}")


class Named:
    """A class whose unexpected keyword arguments are answered with those that are meant; a subclass that has an
    `__init__` of its own is left alone. Type checkers tell of them by themselves."""

    if not TYPE_CHECKING:

        def __new__(cls, *args: Any, **options: Any) -> Any:
            made_by = next(each for each in cls.__mro__ if "__init__" in vars(each))
            if Named in made_by.__bases__:
                known = made_by.__init__.__kwdefaults__
                unknown = next((name for name in options if name not in known and name != "model"), None)
                if unknown is not None:
                    raise unknown_option(AGENT, unknown, known)
            return super().__new__(cls)
