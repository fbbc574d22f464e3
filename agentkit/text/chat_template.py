"""Chat templates: Jinja text that renders the prompt of a conversation, with the semantics of Hugging Face's
transformers."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Scope
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agentkit.errors import ConfigurationError, TranscriptError
from agentkit.net.home_paths import expanded

_JINJA, _CONFIG, _OLDER = "chat_template.jinja", "tokenizer_config.json", "chat_template.json"
"""The files of a model's folder that may have its template (Hugging Face's names); the last one is of models that see
images."""
_FOR_TOOLS = Path("additional_chat_templates", "tool_use.jinja")
_TOKENS = "special_tokens_map.json"
"""A file that may have the tokens where the tokenizer_config.json has none."""


class ChatTemplate:
    """A chat template, run in a sandbox: it can only compute text.

    source: the Jinja text. bos, eos: the tokens inserted as bos_token and eos_token. special_tokens: the known special
    tokens of its tokenizer. for_tools: the Jinja text used instead when there are tools. tokens: other variables that
    hold tokens, such as image_token. Raises ConfigurationError when the source is not valid Jinja.
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
        tokens: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name
        self.source = source
        self.special_tokens = tuple(special_tokens)
        self._tokens = {**(tokens or {}), "bos_token": bos, "eos_token": eos}
        self.eos = eos
        self.tells_time = "strftime_now" in source + (for_tools or "")
        self._template = _compiled(source, name)
        self._for_tools = _compiled(for_tools, name) if for_tools else self._template

    def __repr__(self) -> str:
        return f"ChatTemplate({self.name!r})"

    @classmethod
    def from_file(cls, path: str | Path) -> "ChatTemplate":
        """Load the template from a Jinja file, a model's tokenizer_config.json (Hugging Face's format), or the model's
        folder, which may have a chat_template.jinja beside it; the tokens are those of the tokenizer_config.json.

        Raises ConfigurationError when the file can't be read or has no chat template.
        """
        path = expanded(path)
        if path.is_dir() or path.name == _CONFIG:
            return cls._from_folder(path if path.is_dir() else path.parent)
        if path.suffix == ".json":
            beside = _config_of(path.parent) if path.name == _OLDER else {}
            return cls.from_config({**beside, **_object(_read(path))}, path.name)
        return cls._from_folder(path.parent) if path.name == _JINJA else cls(_read(path), name=path.name)

    @classmethod
    def _from_folder(cls, folder: Path) -> "ChatTemplate":
        """Newer models have the template in a file of its own, which comes first where there are both."""
        jinja, for_tools, older = folder / _JINJA, folder / _FOR_TOOLS, folder / _OLDER
        config = _config_of(folder)
        if jinja.is_file():
            named = {"default": _read(jinja), **({"tool_use": _read(for_tools)} if for_tools.is_file() else {})}
            return cls.from_config({**config, "chat_template": named}, _JINJA)
        if not config.get("chat_template") and older.is_file():
            return cls.from_config({**config, **_object(_read(older))}, _OLDER)
        if not config:
            _read(folder / _CONFIG)
        return cls.from_config(config, _CONFIG)

    @classmethod
    def from_config(cls, config: Any, name: str) -> "ChatTemplate":
        """Load the template from the JSON of a tokenizer_config.json. name: of the file, for errors.

        Raises ConfigurationError when it has no chat template.
        """
        given = config.get("chat_template") if isinstance(config, Mapping) else None
        try:
            named = _named(given)
            source = named.get("default") or next(iter(named.values()), None)
            if not isinstance(source, str):
                raise TypeError
            added = (config.get("added_tokens_decoder") or {}).values()
            special = [each["content"] for each in added if each.get("content")]
            tokens = _tokens(config)
        except (LookupError, TypeError, AttributeError):
            raise ConfigurationError(f"{name} has no chat_template: use the model's tokenizer_config.json") from None
        return cls(
            source,
            name=name,
            bos=tokens.pop("bos_token", ""),
            eos=tokens.pop("eos_token", ""),
            special_tokens=special,
            for_tools=named.get("tool_use") or config.get("chat_template_tool_use"),
            tokens=tokens,
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
                **{"documents": None, **self._tokens, **variables},
            )
        except _REJECTIONS as error:
            raise TranscriptError(f"the chat template {self.name} rejected the messages: {error}") from error


_REJECTIONS = (
    *(jinja2.TemplateError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError),
)
"""What a template raises; the last ones by its own mistake."""


def _named(given: Any) -> dict[str, Any]:
    """The templates of a model by their names."""
    if isinstance(given, list):
        return {each["name"]: each["template"] for each in given}
    return dict(given) if isinstance(given, Mapping) else {"default": given}


def _tokens(config: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of templates that hold tokens: all of a tokenizer's that have a name."""
    more = config.get("extra_special_tokens")
    named = {**(more if isinstance(more, Mapping) else {}), **config}
    return {key: _token(value) for key, value in named.items() if key.endswith("_token") and _is_token(value)}


def _is_token(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, Mapping) and "content" in value)


@cache
def family_template(source: str | Path, name: str, bos: str = "", special_tokens: tuple[str, ...] = ()) -> ChatTemplate:
    """Returns the template of a family. source: Jinja text, or the Path of a file. Raises ConfigurationError when it
    can't be read or is not valid Jinja."""
    text = _read(source) if isinstance(source, Path) else source
    return ChatTemplate(text, name=name, bos=bos, special_tokens=special_tokens)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the chat template {str(path)!r} can't be read: {error}") from None


def _config_of(folder: Path) -> dict[str, Any]:
    """What the files of a model's folder say of its tokenizer."""
    found = [_object(_read(folder / name)) for name in (_TOKENS, _CONFIG) if (folder / name).is_file()]
    return {key: value for each in found for key, value in each.items() if value is not None}


def _object(text: str) -> dict[str, Any]:
    """The JSON object that a text is; {} for anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


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
    extensions = [loopcontrols, _Generation]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


class _Generation(Extension):
    """The tag `{% generation %}` around what a model has written, which says something to training alone."""

    tags = {"generation"}  # noqa: RUF012 - an attribute of instances, as jinja2 declares it

    def parse(self, parser: Parser) -> Scope:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return Scope(body, lineno=line)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Encode JSON like transformers does: without escaping for HTML."""
    options = {key: options[key] for key in ("separators", "sort_keys") if key in options}
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


def thinking_is_open(prompt: str, tags: tuple[str, str], label: str = "") -> bool:
    """Whether a prompt ends inside the reasoning, so that the reply begins there. label: what may stand directly after
    the opening tag."""
    return prompt[-200:].rstrip().endswith((tags[0], tags[0] + label))
