"""Chat templates: Jinja text that renders the prompt of a conversation, with the semantics of Hugging Face's
transformers."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agentkit.errors import ConfigurationError, TranscriptError


class ChatTemplate:
    """A chat template, run in a sandbox: it can only compute text.

    source: the Jinja text. bos, eos: the tokens inserted as bos_token and eos_token. special_tokens: the known special
    tokens of its tokenizer. for_tools: the Jinja text used instead when there are tools. Raises ConfigurationError when
    the source is not valid Jinja.
    """

    def __init__(
        self,
        source: str,
        *,
        name: str = "template",
        bos: str = "",
        eos: str = "",
        special_tokens: Sequence[str] = (),
        for_tools: str | None = None,
    ) -> None:
        self.name = name
        self.source = source
        self.special_tokens = tuple(special_tokens)
        self._tokens = {"bos_token": bos, "eos_token": eos}
        self.eos = eos
        self.tells_time = "strftime_now" in source + (for_tools or "")
        self._template = _compiled(source, name)
        self._for_tools = _compiled(for_tools, name) if for_tools else self._template

    def __repr__(self) -> str:
        return f"ChatTemplate({self.name!r})"

    @classmethod
    def from_file(cls, path: str | Path) -> "ChatTemplate":
        """Load the template from a Jinja file, or from a model's tokenizer_config.json (Hugging Face's format).

        Raises ConfigurationError when the file can't be read or has no chat template.
        """
        path = Path(path).expanduser()
        text = _read(path)
        if path.suffix != ".json":
            return cls(text, name=path.name)
        return cls._from_tokenizer_config(text, path.name)

    @classmethod
    def _from_tokenizer_config(cls, text: str, name: str) -> "ChatTemplate":
        try:
            config = json.loads(text)
            given = config["chat_template"]
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{name} has no chat_template: use the model's tokenizer_config.json") from None
        named = {each["name"]: each["template"] for each in given} if isinstance(given, list) else {"default": given}
        source = named.get("default") or next(iter(named.values()), "")
        added = (config.get("added_tokens_decoder") or {}).values()
        return cls(
            source,
            name=name,
            bos=_token(config.get("bos_token")),
            eos=_token(config.get("eos_token")),
            special_tokens=[each["content"] for each in added if each.get("content")],
            for_tools=named.get("tool_use"),
        )

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> str:
        """Render the prompt. variables: other variables of the template, such as enable_thinking=False.

        Raises TranscriptError when the template rejects the messages.
        """
        template = self._for_tools if tools else self._template
        try:
            return template.render(
                messages=messages,
                tools=tools or None,
                add_generation_prompt=add_generation_prompt,
                **{**self._tokens, **variables},
            )
        except (jinja2.TemplateError, TypeError, ValueError, AttributeError, KeyError, RecursionError) as error:
            raise TranscriptError(f"the chat template {self.name} rejected the messages: {error}") from error


@cache
def family_template(source: str | Path, name: str, bos: str = "", special_tokens: tuple[str, ...] = ()) -> ChatTemplate:
    """Returns the template of a family. source: Jinja text, or the Path of a file. Raises ConfigurationError when it
    can't be read or is not valid Jinja."""
    text = _read(source) if isinstance(source, Path) else source
    return ChatTemplate(text, name=name, bos=bos, special_tokens=special_tokens)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the chat template {str(path)!r} can't be read: {error}") from None


def _token(given: Any) -> str:
    return str(given.get("content", "")) if isinstance(given, dict) else str(given or "")


def _compiled(source: str, name: str) -> jinja2.Template:
    try:
        return _environment().from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigurationError(
            f"the chat template {name} is not valid Jinja (line {error.lineno}): {error}"
        ) from None


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Encode JSON like transformers does: without escaping for HTML."""
    options = {key: options[key] for key in ("separators", "sort_keys") if key in options}
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def thinking_is_open(prompt: str, tags: tuple[str, str]) -> bool:
    """Whether a prompt ends inside the reasoning, so that the reply begins there."""
    return prompt[-200:].rstrip().endswith(tags[0])
