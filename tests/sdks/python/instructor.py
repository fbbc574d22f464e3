"""instructor over the openai package, in its modes for servers of OpenAI's API."""

import functools
from collections.abc import Iterable
from typing import Any

import instructor
import openai
from instructor import Mode
from instructor.core import InstructorRetryException
from pydantic import BaseModel, ConfigDict, field_validator

from tests.sdks.python.abilities import ASKED, HELLO, Person, Side, refusal, report


class Weather(BaseModel):
    """Get the weather."""

    city: str


class Anything(BaseModel):
    """What a model may write that is told no schema."""

    model_config = ConfigDict(extra="allow")


class Nobody(BaseModel):
    """A person that no name fits."""

    name: str

    @field_validator("name")
    @classmethod
    def refuse(cls, name: str) -> str:
        raise ValueError("another name")


@functools.cache
def at(url: str, mode: Mode) -> Any:
    return instructor.from_openai(openai.OpenAI(base_url=url, api_key="none", max_retries=0), mode=mode)


def made(side: Side, mode: Mode, type_: Any = Person, messages: Any = HELLO, **options: Any) -> Any:
    given = {"response_model": type_, "messages": messages, "max_retries": 0, **options}
    return at(side.url, mode).chat.completions.create(model=side.model, **given)


def structured(side: Side, mode: Mode, type_: Any = Person) -> Any:
    return {"parsed": made(side, mode, type_).model_dump()}


def partial(side: Side, mode: Mode) -> Any:
    """The object as it grows; what is cut where in a stream is not the same, only where it leads."""
    create = at(side.url, mode).chat.completions.create_partial
    *_, last = create(model=side.model, messages=HELLO, response_model=Person, max_retries=0)
    return {"parsed": last.model_dump()}


def several(side: Side) -> Any:
    create = at(side.url, Mode.TOOLS).chat.completions.create_iterable
    return [
        each.model_dump() for each in create(model=side.model, messages=HELLO, response_model=Person, max_retries=0)
    ]


def parallel(side: Side) -> Any:
    """One of several functions, which the model chooses."""
    found = made(side, Mode.PARALLEL_TOOLS, Iterable[Weather | Person], ASKED, tool_choice="auto")
    return [[type(each).__name__, each.model_dump()] for each in found]


def asked_again(side: Side, mode: Mode) -> Any:
    """An object that is not valid goes back to the model with the error, in a history with its call."""
    try:
        made(side, mode, Nobody, max_retries=2)
    except InstructorRetryException as error:
        return {"attempts": error.n_attempts, "last": str(error.last_completion.choices[0].finish_reason)}
    return {"error": "nothing was raised"}


def usage(side: Side) -> Any:
    create = at(side.url, Mode.JSON_SCHEMA).chat.completions.create_with_completion
    _, completion = create(model=side.model, messages=HELLO, response_model=Person, max_retries=0)
    return [completion.usage.prompt_tokens, completion.choices[0].finish_reason]


def chat(side: Side) -> Any:
    return {"text": made(side, Mode.TOOLS, None).choices[0].message.content}


def responses(side: Side) -> Any:
    create = at(side.url, Mode.RESPONSES_TOOLS).responses.create
    found = create(model=side.model, input="Hello", response_model=Person, max_retries=0)
    return {"parsed": found.model_dump()}


ABILITIES = {
    "chat": chat,
    "tool call": parallel,
    "structured output": lambda side: structured(side, Mode.JSON_SCHEMA),
    "structured output by a call": lambda side: structured(side, Mode.TOOLS),
    "structured output by a strict call": lambda side: structured(side, Mode.TOOLS_STRICT),
    "streamed structured output": lambda side: partial(side, Mode.JSON_SCHEMA),
    "streamed structured output by a call": lambda side: partial(side, Mode.TOOLS),
    "streamed objects": several,
    "json mode": lambda side: structured(side, Mode.JSON, Anything),
    "asked again": lambda side: asked_again(side, Mode.JSON_SCHEMA),
    "asked again by a call": lambda side: asked_again(side, Mode.TOOLS),
    "usage": usage,
    "error of a bad request": lambda side: refusal(lambda: made(side, Mode.TOOLS, temperature="hot")),
    "responses structured output": responses,
}

if __name__ == "__main__":
    report("instructor", "instructor", ABILITIES)
