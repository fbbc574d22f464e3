"""What a command asks the model: what is piped into it, then the attachments, then the question."""

import sys
from collections.abc import Sequence

from agentkit import ConfigurationError
from agentkit.cli.attachments import attached
from agentkit.cli.piped import piped_text
from agentkit.cli.streams import text_of_argument
from agentkit.message import Prompt

STDIN = "-"


def prompt_of(words: Sequence[str], attachments: Sequence[str], *, only_question: bool, command: str = "ask") -> Prompt:
    """Return the prompt of a command.

    words: of the question; "-" waits for standard input. only_question: nothing else is taken, since there is no model
    to read it. command: the one that is named where there is no question. Raises ConfigurationError for an empty
    prompt, and for what can't be read."""
    question = text_of_argument(" ".join(word for word in words if word != STDIN)).strip()
    parts = [attached(each) for each in attachments]
    piped = "" if STDIN in attachments else _piped(words, has_other=bool(question or parts))
    texts = [text for text in (piped, *(part for part in parts if isinstance(part, str)), question) if text]
    images = [part for part in parts if not isinstance(part, str)]
    if not texts and not images:
        raise ConfigurationError(f'the question is empty: write agentkit {command} "QUESTION", or pipe it in')
    if only_question and (len(texts) > 1 or parts):
        raise ConfigurationError(
            "extractive, the default, is no model: it can't read what is piped in or attached. Choose a model, such as "
            "-m openai:gpt-5-mini (agentkit models lists them)"
        )
    text = "\n\n".join([*(each.rstrip() for each in texts[:-1]), *texts[-1:]])
    return [text, *images] if images and text else images or text


def _piped(words: Sequence[str], *, has_other: bool) -> str:
    is_alone = not words and not has_other and not sys.stdin.isatty()
    piped = piped_text(is_wanted=STDIN in words or is_alone)
    return piped if piped.strip() else ""
