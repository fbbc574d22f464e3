"""Whether the tools of a request reach the model: some chat templates leave them out without a word, and the model
invents what it can't look up.

Three ways to notice it: what llama.cpp says of its template (`/props`); the prompt tokens of a reply that the run has
anyway, which are fewer than the tools could take; and, where it is worth two requests (`agentkit doctor`, the health of
a service), the prompt tokens of one question with and without a tool.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentkit._lazy.patterns import pattern
from agentkit._lazy.records import dataclass
from agentkit._text import in_a_line
from agentkit.backend import Backend, Request, is_broken_off
from agentkit.event import Reply
from agentkit.message import Message, user
from agentkit.net.error_kinds import is_api_error, is_connection_error
from agentkit.net.error_words import status_of, words_of
from agentkit.net.learned import Learned
from agentkit.net.refusals import REFUSING, says_no_system
from agentkit.toolbox import Toolbox
from agentkit.tools import Tool
from agentkit.transcript import Transcript

FEWEST_BYTES = 12
"""Bytes of an encoded tool for each token that it takes of a prompt at the least, however short its template is."""

MOST_BYTES = 6
"""Bytes of a request for each token of a prompt that has its tools, as most templates write them."""

SHOWS_TOOLS = "shows tools"
"""The fact under which a backend remembers what its server says of its chat template."""

LEFT_OUT = "no tools"
"""The fact under which a backend remembers that tools did not reach the model."""

_REFUSES_TOOLS = pattern(
    r"(?:not|n't) support[a-z ]{0,20}\b(?:tools?|functions?)\b|"
    r"\btools?\b.{0,30}(?:not supported|unsupported|require|needs?)|"
    r"--jinja|tool-call-parser|enable-auto-tool-choice"
)
_HAS_NO_TOOLS = pattern(
    r"(?:not|n't) support[a-z ]{0,20}\b(?:tools?|tool[ _-](?:use|calls?|calling)|functions?|function[ _-]calling)\b|"
    r"\b(?:tools?|tool[ _-](?:use|calls?|calling)|function[ _-]calling)\b.{0,12}(?:not supported|unsupported)|"
    r"--jinja|tool-call-parser|enable-auto-tool-choice"
)
_HAS_NO_RESULTS = pattern(
    r"roles must alternate|(?:unknown|unexpected|unsupported|invalid)[a-z ]{0,20}\brole\b.{0,12}\btool\b|"
    r"only user(?:,| and)? (?:and )?(?:assistant|model|system)[a-z, ]{0,20} roles are supported"
)
REMEDY = "agents send them as text; a model or a template that has them does better"


@dataclass(frozen=True)
class Arrival:
    """What was found. reach: whether tools reach the model; None when that is not known. detail: how that shows."""

    reach: bool | None
    detail: str


def template_shows_tools(props: Any) -> bool | None:
    """Whether the chat template of a llama.cpp server shows tools, by its `/props`; None where they do not say."""
    caps = props.get("chat_template_caps") if isinstance(props, Mapping) else None
    shows = caps.get("supports_tools") if isinstance(caps, Mapping) else None
    return shows if isinstance(shows, bool) else None


def check_arrival(backend: Backend) -> Arrival:
    """Find out whether tools reach the model, with at most two requests of one token each.

    Raises the openai package's APIConnectionError when the server can't be reached.
    """
    try:
        if backend.capabilities(ask=True).tools:
            return Arrival(True, "the server's chat template has them")
        without = _prompt_tokens(backend, Toolbox())
        with_tools = _prompt_tokens(backend, _with_probe())
    except Exception as error:
        if not is_api_error(error) or is_connection_error(error):
            raise
        if _REFUSES_TOOLS.search(words_of(error)):
            return Arrival(False, f"the server refuses tools: {in_a_line(str(error), 200)}")
        return Arrival(None, in_a_line(str(error), 200))
    if not without or not with_tools:
        says_no = backend.capabilities().tools is False
        detail = f"the server's chat template leaves them out; {REMEDY}" if says_no else "prompt tokens are not counted"
        return Arrival(False if says_no else None, detail)
    counts = f"{without} prompt tokens without a tool, {with_tools} with one"
    if with_tools - without < len(_with_probe().encoded) / FEWEST_BYTES:
        return Arrival(False, f"{counts}: the chat template leaves tools out; {REMEDY}")
    return Arrival(True, counts)


def refuses_tools(error: Exception, transcript: Sequence[Message]) -> bool:
    """Whether an error says that the model or its server has no tools at all, and not that one of them is wrong; or
    that its template does not know the messages of tools that a transcript has."""
    if status_of(error) not in REFUSING:
        return False
    words = words_of(error)
    has_results = any(message["role"] == "tool" for message in transcript)
    return _HAS_NO_TOOLS.search(words) is not None or (has_results and _HAS_NO_RESULTS.search(words) is not None)


def refuses_system(error: Exception) -> bool:
    """Whether an error says that a chat template takes no system message."""
    return status_of(error) in REFUSING and says_no_system(words_of(error))


def _prompt_tokens(backend: Backend, tools: Toolbox) -> int:
    sampling = {"max_tokens": 1, "tool_choice": None}
    deltas = list(backend.reply(Request(Transcript([user("Hello.")]), tools, sampling=sampling)))
    return deltas[-1].usage.input_tokens if deltas and isinstance(deltas[-1], Reply) else 0


def _probe(place: str) -> str:
    return place


@functools.cache
def _with_probe() -> Toolbox:
    """The tool of the question: long enough that no prompt has it by accident. (A schema takes a while to check.)"""
    probe: Tool[..., str] = Tool(
        "look_up_opening_hours",
        "Look up the opening hours of a museum, a library, a swimming pool or another public place, for each day of "
        "the week, with the hours of public holidays and the days on which it is closed.",
        {
            "type": "object",
            "properties": {"place": {"type": "string", "description": "Name of the place, with its town and country."}},
            "required": ["place"],
        },
        _probe,
        read_only=True,
    )
    return Toolbox([probe])


def note_arrival(
    learned: Learned,
    name: object,
    request: Request,
    reply: Reply,
    ask: Callable[[], bool | None],
    *,
    is_counted_here: bool = False,
) -> None:
    """Log a warning, once, when the tools of a request that was answered without a call did not reach the model, and
    learn LEFT_OUT where that is certain: not by the count of a server, which may mean something else by it. name: the
    backend, as the log calls it. ask: asks a
    server that reports it; called only where the prompt has few tokens for its tools, and once. is_counted_here:
    whether the tokens were counted in this process."""
    if not request.tools or reply.message.get("tool_calls") or learned.value("tools asked"):
        return
    tokens, tools = reply.usage.input_tokens, len(request.tools.encoded)
    if not 0 < tokens * MOST_BYTES < tools + request.transcript.size():
        return
    learned.learn("tools asked")
    shows = ask()
    if shows is False or (shows is None and tokens < tools / FEWEST_BYTES):
        is_certain = shows is False or is_counted_here
        advice = "an agent sends them as text (tools_as)" if is_certain else 'Agent(tools_as="text") sends them as text'
        log = (
            f"{name}: the tools do not reach the model: its chat template leaves them out ({tokens} prompt tokens for "
            f"a request whose tools have {tools} bytes); {advice}; see agentkit doctor"
        )
        learned.learn(LEFT_OUT if is_certain else "few tokens", True, log)


def note_missing_call(
    learned: Learned, name: object, request: Request, sampling: Mapping[str, Any], reply: Reply
) -> None:
    """Log a warning when a reply has no call although the request's tool_choice required one. The answer stands.
    sampling: the fields of the backend, which those of the request override."""
    choice = {**sampling, **request.sampling}.get("tool_choice")
    if choice in (None, "auto", "none") or not request.tools or reply.message.get("tool_calls"):
        return
    if not is_broken_off(reply.finish_reason):
        log = f"{name} answered without a tool call, which tool_choice={choice!r} required: the server ignores it"
        learned.learn("ignores tool_choice", True, log)
