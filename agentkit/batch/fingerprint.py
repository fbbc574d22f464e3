"""What the answers of an agent depend on, as short texts and digests: two starts of one batch have to agree in it."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from agentkit import Agent, Limits
from agentkit._text import without_credentials
from agentkit.net.model_names import split_name

_SHORT = 60
"""Characters of a text that stands in the fingerprint as it is; of a longer one there is a digest."""


def fingerprint_of(
    agent: Agent, sampling: Mapping[str, Any], limits: Limits, output: Any, options: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """By name: model, instructions, tools, sampling, limits, output, checks; and "documents folder", hooks, mcp where
    options name them. Neither the address of a server nor a key is in it. sampling, limits, output: those of the runs;
    output: None for text. options: of the command line, by which the agent is described.

    Documents are known by the absolute path of their folder: what is written into it later is no other batch, and is
    not seen.

    Waits for the tools of toolsets. Raises what they raise, and ConfigurationError for an output without a schema.
    """
    made = agent._made_of()
    model = agent._model
    return {
        "model": _short(", ".join(_model(each) for each in (model if isinstance(model, list) else [model]))),
        "instructions": _instructions(made["instructions"]),
        "tools": _tools(agent),
        "sampling": _short(_json(sampling)) if sampling else "",
        "limits": ", ".join(f"{name}={value}" for name, value in vars(limits).items() if value is not None),
        "output": _output(output),
        "checks": _checks(made),
        **_named(options or {}),
    }


def _named(options: Mapping[str, Any]) -> dict[str, str]:
    """What options name that the schemas of the tools don't tell apart."""
    told = {
        "documents folder": str(options.get("docs") or ""),
        "hooks": _short(", ".join(options.get("hooks") or ())),
        "mcp": ", ".join(_digest(without_credentials(each)) for each in options.get("mcp") or ()),
    }
    return {name: value for name, value in told.items() if value}


def _model(model: Any) -> str:
    """A model without its server: it may move to another one between two starts."""
    if isinstance(model, str):
        provider, name, _ = split_name(model)
        return f"{provider}:{name}" if name else provider
    known = getattr(model, "capabilities", None)
    name = known().model if known is not None else ""
    return f"{type(model).__name__}:{name}" if name else type(model).__name__


def _instructions(given: Any) -> str:
    return _place_of(given) if callable(given) else _short(given or "")


def _tools(agent: Agent) -> str:
    tools = agent.tools
    if not tools:
        return ""
    schemas = _json([each.schema for each in tools])
    return f"{_short(', '.join(each.name for each in tools), _SHORT)} {_digest(schemas)}"


def _output(output: Any) -> str:
    if output is None or output is str:
        return "text"
    from agentkit.running.answer_types import answer_type

    kind = answer_type(output)
    return f"{kind.name} {_digest(_json(kind.schema))}"


def _checks(made: Mapping[str, Any]) -> str:
    """What an answer goes through before it is one."""
    check, judge = made["output_check"], made["judge"]
    said = [f"evidence={made['evidence']}", f"taint={made['taint']}"]
    if check is not None:
        said.append(f"output_check={_place_of(check)}")
    if judge is not None:
        said.append(f"judge={_model(judge._model if isinstance(judge, Agent) else judge)}")
    return ", ".join(said)


def _place_of(function: Any) -> str:
    """A function by its name: its code may have changed, which can't be told for what it calls either."""
    return f"{getattr(function, '__qualname__', type(function).__qualname__)}()"


def _short(text: str, most: int = _SHORT) -> str:
    return text if len(text) <= most and text.isprintable() else f"{' '.join(text[:30].split())}... {_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
