"""Which family and chat template a model on a text server gets, and why; a model of which neither is known is refused,
since a prompt in another model's form is answered badly and without a word."""

import os
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

import openai

from agentkit.errors import ConfigurationError
from agentkit.net.http_client import Transport
from agentkit.text.any_format import any_format
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.families import Family, families, family_of

UNKNOWN = "unknown"
"""Name of the family of a model of which only the chat template is known."""

_LETTERS = re.compile(r"[a-z]+")
_LISTED = 10.0
"""Seconds that a question about the model may take."""


@dataclass(frozen=True)
class Chosen:
    """A family, with the template that replaces its own (None: its own), and in a few words what they follow from."""

    family: Family
    template: ChatTemplate | None
    reason: str


def chosen_family(
    model: str, family: Family | None, template: ChatTemplate | None, server: Transport, *, renders: bool = True
) -> Chosen:
    """Returns the family and the template of a model: those given, else those of its name, of the model that the server
    lists, of the folder that the name is, or of the template that the server tells.

    renders: whether a prompt is rendered with it; where the server renders, an unknown family only means that calls in
    any family's form are read. Raises ConfigurationError for a model of which nothing is known, APIConnectionError and
    APIStatusError when the server has to be asked and can't be reached, refuses the key, or is busy.
    """
    if family is not None:
        return Chosen(family.varied_for(model), template, "family= was given")
    if (known := family_of(model)) is not None:
        return Chosen(known, template, f"the model's name {model!r}" if template is None else "template= was given")
    if template is not None or not renders:
        return Chosen(unknown_family(template), template, "template= was given" if template else "not known")
    if (listed := _of_server(server)) is not None:
        return listed
    found = _template_of_folder(model) or _template_of_server(server)
    if found is None:
        raise ConfigurationError(_refusal(model))
    told, reason = found
    return Chosen(unknown_family(told), told, reason)


def unknown_family(template: ChatTemplate | None) -> Family:
    """Returns what is used with a template whose family is not known: calls of any family that has markers are read."""
    eos = template.eos if template is not None else ""
    return Family(UNKNOWN, patterns=(), template="", calls=any_format(None), ends=(eos,) if eos else (), forced=None)


def _refusal(model: str) -> str:
    names = [family.name for family in families()]
    related = [name for name in names if (begun := _LETTERS.match(name)) and begun.group() in model.lower()]
    known = f"one of {', '.join(related)}" if related else "a known family (they are listed in LIGHTLLM_USAGE.md)"
    return (
        f"the model {model!r} belongs to no family whose prompt is known, and the server does not tell its chat "
        "template: pass template= (the model's tokenizer_config.json or chat_template.jinja), or family= if it has the "
        f"prompt of {known}; for a name lightllm:MODEL set LIGHTLLM_TEMPLATE or LIGHTLLM_FAMILY"
    )


def _of_server(server: Transport) -> Chosen | None:
    """Returns the family of the model that the server lists, or of the folder that it runs; None where neither tells,
    or models of several families are listed."""
    data = _told(server, "/v1/models", (401, 429, *range(500, 600))).get("data")
    listed = [each.get("id") for each in data if isinstance(each, Mapping)] if isinstance(data, list) else []
    found = [
        Chosen(family, None, f"the server lists {name!r}")
        for name in listed
        if isinstance(name, str) and (family := family_of(name)) is not None
    ]
    if found:
        return found[0] if all(each.family == found[0].family for each in found) else None
    folder = _told(server, "/get_server_info").get("model_dir")
    family = family_of(folder.rstrip("/").rpartition("/")[2]) if isinstance(folder, str) else None
    return None if family is None else Chosen(family, None, f"the server runs {folder!r}")


def _template_of_folder(model: str) -> tuple[ChatTemplate, str] | None:
    """Returns the template in a model's folder, where the name is that of a folder on this machine."""
    if not os.path.isabs(model) or not os.path.isdir(model):
        return None
    return ChatTemplate.from_file(model), f"the template in {model}"


def _template_of_server(server: Transport) -> tuple[ChatTemplate, str] | None:
    """Returns the chat template that a server tells: in the properties of llama.cpp, or as a file of the model."""
    for path in ("/props", "/tokenizer_config.json"):
        told = _told(server, path)
        if told.get("chat_template"):
            return ChatTemplate.from_config(told, path), f"the chat template that the server tells ({path})"
    return None


def _told(server: Transport, path: str, raised: Container[int] = ()) -> Mapping[str, Any]:
    """Returns the JSON object at a path; {} where the server has none. raised: statuses that don't mean that. Raises
    APIConnectionError when it can't be reached."""
    try:
        told = server.get(path, timeout=_LISTED)
    except openai.APIConnectionError:
        raise
    except openai.APIError as error:
        if isinstance(error, openai.APIStatusError) and error.status_code in raised:
            raise
        return {}
    return told if isinstance(told, Mapping) else {}


def with_placeholder(chosen: Chosen, image: str | None) -> Chosen:
    """Returns it with another placeholder of an image; None changes nothing."""
    return chosen if image is None else replace(chosen, family=replace(chosen.family, image=image))
