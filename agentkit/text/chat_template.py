"""Chat templates: Jinja text that makes the prompt of a conversation, as Hugging Face's transformers runs it."""

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

FOLDER = Path(__file__).parent / "templates"


class ChatTemplate:
    """A chat template, in a sandbox: it can compute text and nothing else.

    source: the Jinja text. bos, eos: the tokens that it may put in. special_tokens: those of its tokenizer, as far
    as they are known. Raises ConfigurationError when the source is no Jinja.
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
        self._template = _compiled(source, name)
        self._for_tools = _compiled(for_tools, name) if for_tools else self._template

    def __repr__(self) -> str:
        return f"ChatTemplate({self.name!r})"

    @classmethod
    def from_file(cls, path: str | Path) -> "ChatTemplate":
        """The template in a Jinja file, or in a model's tokenizer_config.json (its form: Hugging Face's).

        Raises ConfigurationError when there is no such file, or no chat template in it.
        """
        path = Path(path).expanduser()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the chat template {str(path)!r} can't be read: {error}") from None
        if path.suffix != ".json":
            return cls(text, name=path.name)
        return cls._from_tokenizer_config(text, path.name)

    @classmethod
    def _from_tokenizer_config(cls, text: str, name: str) -> "ChatTemplate":
        try:
            config = json.loads(text)
            given = config["chat_template"]
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{name} has no chat_template: give the model's tokenizer_config.json") from None
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
        """The prompt. variables: more of what the template asks for, such as enable_thinking=False.

        Raises TranscriptError when the template refuses the messages.
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
            raise TranscriptError(f"the chat template {self.name} refuses these messages: {error}") from error


@cache
def template_named(name: str) -> ChatTemplate:
    """One of agentkit's own templates."""
    bos = _BEGINNINGS.get(name, "")
    return ChatTemplate((FOLDER / f"{name}.jinja").read_text(encoding="utf-8"), name=name, bos=bos)


_BEGINNINGS = {"llama": "<|begin_of_text|>", "mistral": "<s>", "hermes": "<|begin_of_text|>"}


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
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """JSON as transformers writes it: nothing escaped for HTML."""
    options = {key: options[key] for key in ("separators", "sort_keys") if key in options}
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _refuse(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def thinking_is_open(prompt: str, tags: tuple[str, str]) -> bool:
    """Whether a prompt ends inside the reasoning, so that the reply begins there."""
    return prompt[-200:].rstrip().endswith(tags[0])
