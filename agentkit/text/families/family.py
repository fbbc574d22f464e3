"""What describes one family of models; each family has a file beside this one."""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from agentkit.text.call_format import Format


def new_call_id() -> str:
    """Returns a new id of a tool call, in OpenAI's form."""
    return f"call_{uuid.uuid4().hex[:24]}"


@dataclass(frozen=True)
class Variant:
    """Models of a family that differ from the others. pattern: found in their names, as in `Family.patterns`. changes:
    the fields of the family that differ."""

    pattern: str
    changes: Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """What is needed to use one family of models on a text-completion server, and to recognise its markup anywhere.

    patterns: regular expressions, one of which is found in the lower-case name of each of its models; they must take
    linear time, and match only models whose template is this one: a model that is not known is refused. template: its
    chat template, as Jinja text or as the Path of a file. calls: how it writes tool calls: a `Format`, or the name of a
    module that has one as FORMAT, imported on first use. ends: the tokens that end a turn, used as stop strings, the
    most usual first. forced: how a reply begins that has to call any tool, and one that has to call the tool `{name}`,
    each up to the end of a token; str.format is applied to both. None where no beginning makes the model call.

    bos: inserted as bos_token in the template. image: the placeholder of an image in the prompt, None where the family
    takes no images. variants: applied in order, so that the last that fits wins. starts_in_reasoning: whether the reply
    begins inside the reasoning. variables: passed to the template. tools_template: a template that describes the tools,
    where the family's own does not. moves_head: whether the template renders the system message or the tools at the
    last question, so that a new question changes the text before it. new_call_id: makes the id of a call that the model
    gave none. grows_at_end: whether a new message only adds to the prompt's end, but for the thoughts before a new
    question; False where a template looks at the whole conversation, which is then rendered anew for each request.

    special_tokens, markup and tags are neutralised in untrusted text for every model (special_tokens.py), besides
    `ends` and `image`. special_tokens: what begins a turn or stands for something; tokens of the forms `<|name|>` and
    `<｜name｜>` need not be listed. markup: tokens of calls, results and reasoning, which stay in a model's own text;
    those of a Format given as `calls` are included. tags: names of tags `<name>` and `</name>` with the same meaning.
    own_tokens: tokens that are ordinary markup for any other model, neutralised only in the prompts of this family.
    """

    name: str
    patterns: tuple[str, ...]
    template: str | Path
    calls: str | Format
    ends: tuple[str, ...]
    forced: tuple[str, str] | None
    bos: str = ""
    image: str | None = None
    variants: tuple[Variant, ...] = ()
    starts_in_reasoning: bool = False
    variables: Mapping[str, Any] = field(default_factory=dict)
    tools_template: str | Path | None = None
    moves_head: bool = False
    new_call_id: Callable[[], str] = new_call_id
    grows_at_end: bool = True
    special_tokens: tuple[str, ...] = ()
    markup: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    own_tokens: tuple[str, ...] = ()

    @cached_property
    def format(self) -> Format:
        """The format of its tool calls."""
        if isinstance(self.calls, Format):
            return self.calls
        found: Format = import_module(self.calls).FORMAT
        return found

    def for_model(self, model: str) -> "Family | None":
        """Returns the family as it is for a model; None when the model's name is not one of its names."""
        lowered = model.lower()
        if not any(re.search(pattern, lowered) for pattern in self.patterns):
            return None
        return self.varied_for(model)

    def varied_for(self, model: str) -> "Family":
        """Returns the family with the changes of the variants that fit a model's name."""
        family = self
        for variant in self.variants:
            if re.search(variant.pattern, model.lower()):
                family = replace(family, **variant.changes)
        return family
