"""The tools of a run in which the model is told of few of them, and finds the others by searching."""

import copy
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from agentkit._lazy.logs import WARNING, logger_of
from agentkit._lazy.patterns import pattern
from agentkit._text import in_a_line
from agentkit.errors import ToolDefinitionError, ToolError
from agentkit.running.offered_tools import CALL_TOOL, FIND_TOOLS, SEARCH_NAMES, OfferedTools
from agentkit.toolbox import Toolbox
from agentkit.tooling.call_names import nearest
from agentkit.tooling.earlier_result import HIDDEN_TOOLS
from agentkit.tooling.error_log import log_raised
from agentkit.tooling.interrupts import stops_the_run
from agentkit.tooling.outcome import Outcome, failure
from agentkit.tooling.told_tools import told, told_schema
from agentkit.tools import Context, Tool

MAX_RESULTS = 20
NEAREST = 5
"""How many tools a model is told of that has called one which there is not."""
MAX_READ = 500
"""Characters of a call that can't be read in which words are looked for."""
MAX_PLACES = 40

_NAME = pattern(r"[\w-]+")
_NO_WORD = pattern(r"[_\d-]|[a-z][A-Z]")
"""What shows that a word is a tool's name, and no word of a sentence."""

logger = logger_of("agentkit")


class SearchableTools(Toolbox):
    """Tools of which the model is sent only some; it finds the others with `find_tools`, and calls them with
    `call_tool`, or by their names.

    What stands in requests (iteration, `schemas`, `encoded`) does not change but by `plus`. What may be called is
    looked up anew each time.

    base: the agent's tools now. shown: those of them that are sent as they are.
    """

    are_found = True

    def __init__(self, base: Callable[[], Toolbox], shown: Iterable[Tool[..., Any]]) -> None:
        self._base, self._first = base, base()
        self._of_run: frozenset[str] = frozenset(SEARCH_NAMES)
        self._added: Mapping[str, Tool[..., Any]] = {}
        self._removed: frozenset[str] = frozenset()
        self._known: _Known | None = None
        super().__init__([find_tools(), call_tool(), *shown])

    def _now(self) -> "_Known":
        known = self._known
        try:
            base = self._base()
        except Exception as error:
            if stops_the_run(error):
                raise
            log_raised(logger, WARNING, "tools could not be looked up", error)
            return known or _Known(self._first, self._added, self._removed)
        if known is None or known.base is not base:
            known = self._known = _Known(base, self._added, self._removed)
        return known

    def _changed(self, **fields: Any) -> "SearchableTools":
        made = copy.copy(self)
        made.__dict__.update(fields, _known=None)
        return made

    def get(self, name: str) -> Tool[..., Any] | None:
        """See `Toolbox.get`; also for tools that are not sent."""
        if name in self._of_run:
            return self._tools[name]
        found = self._now().tools.get(name)
        return HIDDEN_TOOLS[name]() if found is None and name in HIDDEN_TOOLS else found

    @property
    def names(self) -> list[str]:
        """The names of all tools that may be called."""
        return [*(name for name in self._tools if name in self._of_run), *self._now().tools]

    @property
    def known_schemas(self) -> Sequence[dict[str, Any]]:
        """See `Toolbox.known_schemas`."""
        return [*(self._tools[name].schema for name in self._of_run), *self._now().schemas]

    def may_begin_early(self, name: str) -> bool:
        """See `Toolbox.may_begin_early`. What a `call_tool` calls that was not understood may have effects."""
        return name != CALL_TOOL and super().may_begin_early(name)

    def plus(self, *tools: Tool[..., Any]) -> "SearchableTools":
        """These tools and others, which are sent."""
        taken = [each.name for each in tools if self.get(each.name) is not None]
        if taken:
            raise ToolDefinitionError(f"two tools are named {taken[0]!r}: give one another name=")
        shown = {**self._tools, **{each.name: each for each in tools}}
        made = self._changed(_of_run=self._of_run | {each.name for each in tools})
        sent = Toolbox(shown.values())
        made.__dict__.update(_tools=shown, encoded=sent.encoded, _encoded=sent._encoded)
        return made if tools else self

    def with_added(self, *tools: Tool[..., Any] | Callable[..., Any]) -> "SearchableTools":
        """These tools and others, which the model may find."""
        made = {each.name: each for each in Toolbox(tools)}
        taken = [name for name in made if self.get(name) is not None]
        if taken:
            raise ToolDefinitionError(f"two tools are named {taken[0]!r}: give one another name=")
        return self._changed(_added={**self._added, **made}, _removed=self._removed - made.keys())

    def without(self, names: Collection[str]) -> "SearchableTools":
        """These tools without some. One that was sent stays in the requests of the run, and is not found."""
        added = {name: each for name, each in self._added.items() if name not in names}
        gone = set(names)
        return self._changed(_added=added, _removed=self._removed | gone, _of_run=self._of_run - gone)

    def not_found(self, name: str) -> str:
        """See `Toolbox.not_found`: the nearest tools, with their schemas."""
        like = self.nearest(name)
        return f"there is no tool named {name!r}. {self._instead(like)}"

    def nearest(self, words: str) -> list[Tool[..., Any]]:
        """The tools that are most like a name, or like words that may mean one."""
        known = self._now()
        likely = nearest(words, list(known.tools))
        found = [*([known.tools[likely]] if likely else ()), *known.best(words, NEAREST)]
        return list({each.name: each for each in found}.values())[:NEAREST]

    def _instead(self, like: Sequence[Tool[..., Any]]) -> str:
        if not like:
            return f"Find others with {FIND_TOOLS}. {self.overview()}"
        return f"The nearest are these (call one with {CALL_TOOL}, or find others with {FIND_TOOLS}):\n\n{told(like)}"

    def unread(self, arguments: str) -> str:
        """What a model is told whose `call_tool` does not say which tool it means."""
        why = f"{CALL_TOOL} takes the name of a tool and its arguments as an object; no name could be read"
        return f"{why}. {self._instead(self.nearest(arguments[:MAX_READ]))}"

    def schema_note(self, tool: Tool[..., Any]) -> str:
        """The schema of a tool that the model was not sent, or not as it is now."""
        is_sent = tool.name in self._tools and self._tools[tool.name].parameters == tool.parameters
        return "" if is_sent else f"\nThe parameters of {tool.name}: {told_schema(tool)}"

    def found(self, question: str, count: int) -> str:
        """What the model is told that searches."""
        known = self._now()
        best = known.best(question, max(1, min(count, MAX_RESULTS)))
        if not best:
            return f"No tool matches {in_a_line(question, 100)!r}. {self.overview()} Try other words."
        return f"{len(best)} of {len(known.tools)} tools (call one with {CALL_TOOL}):\n\n{told(best)}"

    def overview(self) -> str:
        """How many tools there are, and of what."""
        known = self._now()
        if not known.tools:
            return "There are no tools to be found now."
        counts: dict[str, int] = {}
        for name in known.tools:
            place = known.base.places.get(name) or ""
            counts[place] = counts.get(place, 0) + 1
        named = [f"{place} ({count})" for place, count in counts.items() if place]
        places = f", of {', '.join(named[:MAX_PLACES])}{', ...' if len(named) > MAX_PLACES else ''}" if named else ""
        return f"There are {len(known.tools)} tools{places}."


class _Known:
    """The tools that may be called, as they are now, but for those of the run. base: those of the agent."""

    def __init__(self, base: Toolbox, added: Mapping[str, Tool[..., Any]], removed: frozenset[str]) -> None:
        self.base = base
        self.tools = {each.name: each for each in base if each.name not in removed} | dict(added)
        self._has_own_index = bool(added)

    def best(self, question: str, count: int) -> list[Tool[..., Any]]:
        """The tools that a question is about, best first; those that it names come before the others."""
        written = _NAME.findall(question[:MAX_READ])
        named = [each for each in written if each in self.tools and (len(written) == 1 or _NO_WORD.search(each))]
        found = [*(self.tools[each] for each in named), *self._like(question, count)]
        return list({each.name: each for each in found}.values())[:count]

    def _like(self, question: str, count: int) -> list[Tool[..., Any]]:
        index = self._index if self._has_own_index else self.base.index
        left_out = len(self.base) - len(self.tools) if not self._has_own_index else 0
        found = index.best(question, count + left_out)
        return list(filter(self._is_there, found))

    def _is_there(self, tool: Tool[..., Any]) -> bool:
        return self.tools.get(tool.name) is tool

    @functools.cached_property
    def _index(self) -> Any:
        from agentkit.tooling.tool_index import ToolIndex

        return ToolIndex((each, self.base.places.get(each.name, "")) for each in self.tools.values())

    @functools.cached_property
    def schemas(self) -> list[dict[str, Any]]:
        """As OpenAI's chat completions expect them."""
        return [each.schema for each in self.tools.values()]


def _find(query: str, ctx: Context, max_results: int = 5) -> str:
    return _tools_of(ctx).found(query, max_results)


def _tools_of(context: Context) -> SearchableTools:
    tools = context.tools
    if not isinstance(tools, OfferedTools) or not isinstance(tools.toolbox, SearchableTools):
        raise ToolError("there is nothing to search in this run: call the tools by their names")
    return tools.toolbox


@functools.cache
def find_tools() -> Tool[..., str]:
    """The tool that finds others."""
    properties = {
        "query": {"type": "string", "description": "What the tool has to do, in a few words"},
        "max_results": {"type": "integer", "default": 5},
    }
    schema = {"type": "object", "properties": properties, "required": ["query"]}
    description = (
        "Find tools. There are many more than the ones listed here: search before you say that something can't be "
        "done. Returns names, descriptions and parameter schemas. Search once for each task."
    )
    return Tool(FIND_TOOLS, description, schema, _find, context="ctx", read_only=True, max_result=None)


@functools.cache
def call_tool() -> Tool[..., str]:
    """The tool with which others are called. Its calls become those of the others before they are run; what is left are
    those that do not say which one."""
    properties = {
        "name": {"type": "string"},
        "arguments": {"type": "object", "description": "The arguments, as the tool's parameters describe them"},
    }
    schema = {"type": "object", "properties": properties, "required": ["name", "arguments"]}
    description = f"Call a tool that {FIND_TOOLS} has found."
    return _CallTool(CALL_TOOL, description, schema, _not_called, read_only=True, max_result=None)


class _CallTool(Tool[..., str]):
    """Answers what is left of its calls: those that don't say which tool is meant."""

    has_hooks = False

    def answer(self, arguments: str, context: Context) -> Outcome:
        """See `Tool.answer`."""
        try:
            return failure(_tools_of(context).unread(arguments))
        except ToolError as error:
            return failure(str(error))


def _not_called() -> str:
    raise AssertionError("another tool is called instead")
