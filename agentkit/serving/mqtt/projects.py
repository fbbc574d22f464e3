"""The projects that the bridge serves (topics, system prompt, tools, sampling): built in, or from a file.

    # projects.toml
    [quiz]
    system_prompt = "You are a quiz master."
    tools = ["agentkit_tools:search"]
    temperature = 0.2

The settings of a project in the file override those of the built-in project of that name. A name that is in neither
gets a plain assistant. Settings that are not the bridge's own (`top_k`, `thinking_budget`) are passed on to the model
server.
"""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agentkit import ConfigurationError
from agentkit.errors import MissingExtraError
from agentkit.serving.mqtt.model_fields import NOT_PASSED, passed_on
from agentkit.serving.tool_loading import AnyTool

NAME = re.compile(r"[\w-]{1,64}")


@dataclass(frozen=True)
class Project:
    """A project.

    user_input, state: subscribed topics. answers, hints: prefixes of the topics of answers, before the session's id.
    tools: Python tools that agentkit runs, by name, as "module:name", or themselves. game: whether the tools are the
    maze's functions, whose calls are sent to the game. tool_choice: as in OpenAI's chat completions. sampling: fields
    of the model request (temperature, top_k, ...); they override the defaults of the deployment.
    """

    name: str
    system_prompt: str
    user_input: str
    answers: str
    state: str | None = None
    hints: str | None = None
    tools: tuple[str | AnyTool, ...] = ()
    game: bool = False
    tool_choice: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def named(cls, name: str, system_prompt: str = "", **more: Any) -> "Project":
        """A project with the default topics. Raises ConfigurationError for an invalid name."""
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} is not a valid project name: use up to 64 letters, digits, '_' and '-'")
        prompt = system_prompt or "You are a helpful assistant. Answer in a few plain sentences."
        return cls(name, prompt, f"{name}/user_input", f"{name}/assistant_response", **more)


MAZE = (
    "You guide a player through a maze on a grid; positions are [x, y], the origin is at the top left, and in the map "
    "1 is a wall. You get the state of the game as JSON. Give one short hint that helps now, and where it helps more "
    "than words call functions: they change the game. Never tell the whole way at once."
)

TABLE = {
    project.name: project
    for project in (
        Project.named("maze", MAZE, state="maze/state", hints="maze/hint", game=True, tool_choice="auto"),
        Project.named(
            "driving",
            "You are the co-driver in a driving game. You get what the driver sees or asks. Say in one or two short "
            "sentences what to do next, safety first.",
        ),
        Project.named(
            "bloodcell",
            "You are a guide inside the human body, in a game about blood cells for pupils. Explain what the player "
            "meets in simple and correct words, and say what to try next.",
        ),
        Project.named(
            "racing",
            "You are a race engineer on the radio. Be brief: lines, braking points, tyres, and what the rivals do.",
        ),
        Project.named("general"),
        Project.named(
            "prompt_portal",
            "You are an assistant on a page where people try out prompts. Follow the prompt that is given to you.",
        ),
    )
}
"""The built-in projects."""

_KEYS = {each.name for each in fields(Project)} - {"name", "sampling"}
SAMPLING = {"temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed", "stop"}
LIKENESS = 0.85
"""From which likeness to a known setting on (difflib) a name is taken for that one, misspelt."""


def projects_named(names: Sequence[str], file: Path | None = None) -> tuple[Project, ...]:
    """The projects selected on a command line.

    names: project names; each item may contain several, separated by spaces or commas. No names select all projects of
    the file. Raises ConfigurationError for an invalid name, an unreadable or invalid file, or two projects with the
    same topic.
    """
    settings = _read(file) if file is not None else {}
    requested = list(dict.fromkeys(name for part in names for name in re.split(r"[\s,]+", part) if name)) or list(
        settings
    )
    if not requested:
        raise ConfigurationError('no project given: use --projects "maze driving" or --projects-file')
    selected = tuple(_project(name, settings.get(name, {})) for name in requested)
    owners: dict[str, str] = {}
    for project in selected:
        for topic in (project.user_input, project.state):
            if topic and owners.setdefault(topic, project.name) != project.name:
                raise ConfigurationError(f"the projects {owners[topic]} and {project.name} both use the topic {topic}")
    return selected


def _project(name: str, settings: Mapping[str, Any]) -> Project:
    project = TABLE.get(name) or Project.named(name)
    changes = {key: _checked(name, key, value) for key, value in settings.items() if key in _KEYS}
    passed = {key: value for key, value in settings.items() if key not in _KEYS}
    for key in passed.keys() - SAMPLING:
        if key in NOT_PASSED:
            raise ConfigurationError(f"project {name}: {key} can't be set: it is the bridge's own")
        if meant := difflib.get_close_matches(key, _KEYS | SAMPLING, 1, LIKENESS):
            raise ConfigurationError(f"project {name}: unknown setting {key!r}: did you mean {meant[0]!r}?")
    try:
        return replace(project, **changes, sampling={**project.sampling, **passed_on(passed)})
    except ValueError as error:
        raise ConfigurationError(f"project {name}: a setting can't be sent to the model server: {error}") from None


def _checked(name: str, key: str, value: Any) -> Any:
    if key == "tools":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ConfigurationError(f'project {name}: tools must be a list such as ["agentkit_tools:search"]')
        return tuple(value)
    expected = bool if key == "game" else str
    if not isinstance(value, expected):
        raise ConfigurationError(f"project {name}: {key}={value!r:.60} is not of type {expected.__name__}")
    if key in ("user_input", "state", "answers", "hints") and not is_plain_topic(str(value)):
        raise ConfigurationError(
            f"project {name}: {key}={value!r:.60} is not a valid topic: it must not contain wildcards (+ and #)"
        )
    return value


MAX_LEVELS = 100
FORBIDDEN = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
"""Characters for which a broker may close the connection (MQTT 5, section 1.5.4), for a regular expression's set."""

_NOT_PLAIN = re.compile(f"[+#{FORBIDDEN}]")


def is_plain_topic(topic: str) -> bool:
    """Whether a message can be published to a topic.

    It must have no wildcards (MQTT 3.1.1 and 5, section 4.7) and nothing for which a broker closes the connection:
    Mosquitto does so for more than 200 levels.
    """
    size = len(topic.encode("utf-8", "replace"))
    return 0 < size <= 65_535 and topic.count("/") < MAX_LEVELS and not _NOT_PLAIN.search(topic)


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.suffix in (".yaml", ".yml"):
            content = _yaml(file)
        else:
            content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigurationError(f"can't read the projects file {file.name}: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(value, dict) for value in content.values()):
        raise ConfigurationError(
            f"{file.name} is not a valid projects file: expected one table per project, keyed by its name"
        )
    return content


def _yaml(file: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("a YAML projects file", "mqtt") from None
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except yaml.YAMLError as error:
        raise ValueError(error) from None
