"""What the bridge serves: projects, each with its topics, system prompt, tools and limits; a table, or a file.

    # projects.toml
    [quiz]
    system_prompt = "You are a quiz master."
    tools = ["agentkit_tools:search"]
    temperature = 0.2

A file's project goes over the table's of the same name, key by key; a name that is in neither gets a plain assistant.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from agentkit import ConfigurationError
from agentkit.errors import MissingExtraError

NAME = re.compile(r"[\w-]{1,64}")


@dataclass(frozen=True)
class Project:
    """One project. user_input, state: topics that are listened to; answers, hints: what topics of answers begin with,
    before the session's id. tools: Python tools that agentkit runs, as "module:name". game: whether the model's calls
    are the maze's, and are handed to the game. tool_choice: of OpenAI's chat completions. sampling: temperature, top_p,
    max_tokens and the like, over the deployment's own."""

    name: str
    system_prompt: str
    user_input: str
    answers: str
    state: str | None = None
    hints: str | None = None
    tools: tuple[str, ...] = ()
    game: bool = False
    tool_choice: str | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def named(cls, name: str, system_prompt: str = "", **more: Any) -> "Project":
        """A project with the usual topics. Raises ConfigurationError for a name that can't be a topic's."""
        if not NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} can't be the name of a project: write letters, digits, '_' and '-'")
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
"""The projects that clients know."""

_KEYS = {each.name for each in fields(Project)} - {"name", "sampling"}
SAMPLING = {"temperature", "top_p", "max_tokens", "presence_penalty", "frequency_penalty", "seed", "stop"}


def projects_named(names: Sequence[str], file: Path | None = None) -> tuple[Project, ...]:
    """The projects of a command line: names, each perhaps several with spaces or commas; none are all of the file.

    Raises ConfigurationError for a name that can't be one, a file that can't be read, two projects on one topic.
    """
    described = _read(file) if file is not None else {}
    wanted = list(dict.fromkeys(name for part in names for name in re.split(r"[\s,]+", part) if name)) or list(
        described
    )
    if not wanted:
        raise ConfigurationError('there is no project: write --projects "maze driving", or give a file of projects')
    found = tuple(_project(name, described.get(name, {})) for name in wanted)
    taken: dict[str, str] = {}
    for project in found:
        for topic in (project.user_input, project.state):
            if topic and taken.setdefault(topic, project.name) != project.name:
                raise ConfigurationError(f"the projects {taken[topic]} and {project.name} both listen to {topic}")
    return found


def _project(name: str, described: Mapping[str, Any]) -> Project:
    project = TABLE.get(name) or Project.named(name)
    changes: dict[str, Any] = {}
    sampling = dict(project.sampling)
    for key, value in described.items():
        if key in SAMPLING:
            sampling[key] = value
        elif key in _KEYS:
            changes[key] = _checked(name, key, value)
        else:
            known = ", ".join(sorted(_KEYS | SAMPLING))
            raise ConfigurationError(f"project {name}: there is no setting {key!r}; known are {known}")
    return replace(project, **changes, sampling=sampling)


def _checked(name: str, key: str, value: Any) -> Any:
    if key == "tools":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ConfigurationError(f'project {name}: tools is a list such as ["agentkit_tools:search"]')
        return tuple(value)
    wanted = bool if key == "game" else str
    if not isinstance(value, wanted):
        raise ConfigurationError(f"project {name}: {key}={value!r:.60} is not a {wanted.__name__}")
    if key in ("user_input", "state", "answers", "hints") and not is_plain_topic(str(value)):
        raise ConfigurationError(f"project {name}: {key}={value!r:.60} is no topic: it is a path without + and #")
    return value


MAX_LEVELS = 100

FORBIDDEN = r"\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
"""Letters for which a broker may close the connection (MQTT 5, section 1.5.4), as a part of a regular expression."""

_NOT_PLAIN = re.compile(f"[+#{FORBIDDEN}]")


def is_plain_topic(topic: str) -> bool:
    """Whether a message can be published to a topic, without wildcards (MQTT 3.1.1 and 5, section 4.7), and so that no
    broker closes the connection for it: Mosquitto does so for more than 200 levels."""
    size = len(topic.encode("utf-8", "replace"))
    return 0 < size <= 65_535 and topic.count("/") < MAX_LEVELS and not _NOT_PLAIN.search(topic)


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.suffix in (".yaml", ".yml"):
            read = _yaml(file)
        else:
            read = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise ConfigurationError(f"the projects in {file.name} can't be read: {error}") from None
    if not isinstance(read, dict) or not all(isinstance(value, dict) for value in read.values()):
        raise ConfigurationError(f"{file.name} is no file of projects: it has a table for each, by its name")
    return read


def _yaml(file: Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("a YAML file of projects", "mqtt") from None
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(error) from None
