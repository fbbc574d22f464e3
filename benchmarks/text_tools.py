"""How often a small model calls the right tool with the right arguments, by the way in which tools are sent.

    python -m benchmarks.text_tools gguf:PATH [--ways WAY ...] [--verbose]

Fifty tasks for eight tools of one or two arguments: forty need one call, ten need none. Right is the one call of the
right tool with the right arguments (without regard to case and the final mark), or an answer where none is needed. The
model is asked at temperature 0, so a model gives the same figures each time. The ways:

native       the request's `tools`, as the API has them
hermes       the tools in the system message, with `<tool_call>` around calls, as Hermes has them
examples     as text, with an exchange for each tool made from its schema
schema       as text; a JSON schema leaves the choice between calls and an answer
both         as text with the exchanges and the schema: what `Agent(tools_as="text")` does where the server has schemas
"""

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from agentkit import Agent, Limits, tool
from agentkit.backend import Backend, Capabilities, ReplyStream, Request
from agentkit.backends import GGUFBackend
from agentkit.backends.fallback_calls import ReplyText
from agentkit.event import Reply, Result, TextDelta
from agentkit.middleware.base import Middleware
from agentkit.providers import resolve
from agentkit.testing import ScriptedBackend
from agentkit.toolbox import Toolbox
from agentkit.transcript import Transcript


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city.

    Args:
        city: Name of the city.
    """
    return "12 degrees, light rain."


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    return a * b


@tool
def translate(word: str, language: str) -> str:
    """Translate a word into another language.

    Args:
        word: The word to translate.
        language: The language to translate into.
    """
    return "a word"


@tool
def find_flights(origin: str, destination: str) -> str:
    """Find flights between two cities.

    Args:
        origin: City of departure.
        destination: City of arrival.
    """
    return "two flights"


@tool
def set_timer(minutes: int) -> str:
    """Set a kitchen timer.

    Args:
        minutes: Minutes until it rings.
    """
    return "set"


@tool
def stock_price(company: str) -> str:
    """Get the price of a company's shares.

    Args:
        company: Name of the company.
    """
    return "51.20"


@tool
def send_message(person: str, text: str) -> str:
    """Send a text message to a person.

    Args:
        person: Who gets the message.
        text: The text of the message.
    """
    return "sent"


@tool
def play_song(title: str) -> str:
    """Play a song.

    Args:
        title: Title of the song.
    """
    return "playing"


TOOLS = (get_weather, multiply, translate, find_flights, set_timer, stock_price, send_message, play_song)
TASKS: tuple[tuple[str, str | None, dict[str, Any]], ...] = (
    ("What is the weather in Oslo?", "get_weather", {"city": "Oslo"}),
    ("Is it raining in Lisbon right now?", "get_weather", {"city": "Lisbon"}),
    ("How warm is it in Cairo today?", "get_weather", {"city": "Cairo"}),
    ("Do I need a coat in Toronto?", "get_weather", {"city": "Toronto"}),
    ("Tell me the current weather in Nairobi.", "get_weather", {"city": "Nairobi"}),
    ("What is 12 times 7?", "multiply", {"a": 12, "b": 7}),
    ("Multiply 45 by 16.", "multiply", {"a": 45, "b": 16}),
    ("What is the product of 8 and 231?", "multiply", {"a": 8, "b": 231}),
    ("I have 14 boxes with 24 eggs each. How many eggs are that?", "multiply", {"a": 14, "b": 24}),
    ("Compute 99 * 3.", "multiply", {"a": 99, "b": 3}),
    ("How do you say bread in French?", "translate", {"word": "bread", "language": "French"}),
    ("Translate the word house into Spanish.", "translate", {"word": "house", "language": "Spanish"}),
    ("What is the German word for butterfly?", "translate", {"word": "butterfly", "language": "German"}),
    ("Translate water into Japanese, please.", "translate", {"word": "water", "language": "Japanese"}),
    ("What does the word sun become in Italian?", "translate", {"word": "sun", "language": "Italian"}),
    ("Find flights from Berlin to Madrid.", "find_flights", {"origin": "Berlin", "destination": "Madrid"}),
    ("I want to fly from Boston to Denver.", "find_flights", {"origin": "Boston", "destination": "Denver"}),
    ("Which flights go from Rome to Athens?", "find_flights", {"origin": "Rome", "destination": "Athens"}),
    ("Show me flights to Delhi from Mumbai.", "find_flights", {"origin": "Mumbai", "destination": "Delhi"}),
    ("How do I get from Paris to Vienna by plane?", "find_flights", {"origin": "Paris", "destination": "Vienna"}),
    ("Set a timer for 10 minutes.", "set_timer", {"minutes": 10}),
    ("Remind me in 25 minutes to take the cake out.", "set_timer", {"minutes": 25}),
    ("Start a timer of 3 minutes for my tea.", "set_timer", {"minutes": 3}),
    ("The pasta needs 9 minutes. Please set the timer.", "set_timer", {"minutes": 9}),
    ("Ring in 45 minutes.", "set_timer", {"minutes": 45}),
    ("What is the share price of Siemens?", "stock_price", {"company": "Siemens"}),
    ("How much does one share of Toyota cost?", "stock_price", {"company": "Toyota"}),
    ("Get me the stock price of Nokia.", "stock_price", {"company": "Nokia"}),
    ("At what price do Nestle shares trade?", "stock_price", {"company": "Nestle"}),
    ("Look up the price of Intel's stock.", "stock_price", {"company": "Intel"}),
    ("Send Anna the message: I am late.", "send_message", {"person": "Anna", "text": "I am late."}),
    ("Write to Tom: Dinner is ready.", "send_message", {"person": "Tom", "text": "Dinner is ready."}),
    ("Text Maria that says: Happy birthday!", "send_message", {"person": "Maria", "text": "Happy birthday!"}),
    ("Send a message to Paul: See you tomorrow.", "send_message", {"person": "Paul", "text": "See you tomorrow."}),
    ("Message Lena: Call me back.", "send_message", {"person": "Lena", "text": "Call me back."}),
    ("Play the song Yesterday.", "play_song", {"title": "Yesterday"}),
    ("I want to hear Imagine.", "play_song", {"title": "Imagine"}),
    ("Put on Dancing Queen, please.", "play_song", {"title": "Dancing Queen"}),
    ("Can you play Hallelujah for me?", "play_song", {"title": "Hallelujah"}),
    ("Play Bohemian Rhapsody.", "play_song", {"title": "Bohemian Rhapsody"}),
    ("Hello! How are you?", None, {}),
    ("What is the capital of France?", None, {}),
    ("Tell me a joke.", None, {}),
    ("Who wrote Hamlet?", None, {}),
    ("Why is the sky blue?", None, {}),
    ("Thank you, that was all.", None, {}),
    ("How many legs does a spider have?", None, {}),
    ("Give me a synonym of happy.", None, {}),
    ("What can you do?", None, {}),
    ("Explain in one sentence what gravity is.", None, {}),
)
HERMES = (
    "You may call one or more functions. Their signatures are within <tools></tools>:\n<tools>\n{tools}\n</tools>\n"
    'For each call write a JSON object within <tool_call></tool_call>:\n<tool_call>\n{{"name": <name>, "arguments": '
    "<arguments>}}\n</tool_call>"
)
MAX_TOKENS = 60


class Hermes(Middleware):
    """Tells the tools in the system message, and reads the calls in the text."""

    def reply(self, request: Request) -> ReplyStream:
        text = HERMES.format(tools="\n".join(map(json.dumps, request.tools.schemas)))
        transcript = Transcript([{"role": "system", "content": text}, *request.transcript])
        reader = ReplyText(request, "hermes", reads_calls=True)
        for delta in self.backend.reply(replace(request, transcript=transcript, tools=Toolbox(), stream=True)):
            for each in reader.finish(delta) if isinstance(delta, Reply) else reader.read(cast(TextDelta, delta)):
                if isinstance(each, Reply):
                    yield each


class WithoutSchema(Middleware):
    """A backend that takes no JSON schema."""

    def capabilities(self, ask: bool = False) -> Capabilities:
        return replace(self.backend.capabilities(ask), schema="no")


class WithoutExamples(Middleware):
    """Leaves out the exchanges that show how the tools are used."""

    def reply(self, request: Request) -> ReplyStream:
        own = [request.transcript[0], *list(request.transcript)[-len(request.said) :]]
        return self.backend.reply(replace(request, transcript=Transcript(own)))


def _native(backend: Backend) -> Agent:
    return Agent(backend, tools=TOOLS, tools_as="native")


def _hermes(backend: Backend) -> Agent:
    return Agent(Hermes(backend), tools=TOOLS, tools_as="native")


def _examples(backend: Backend) -> Agent:
    return Agent(WithoutSchema(backend), tools=TOOLS, tools_as="text")


def _schema(backend: Backend) -> Agent:
    return Agent(WithoutExamples(backend), tools=TOOLS, tools_as="text")


def _both(backend: Backend) -> Agent:
    return Agent(backend, tools=TOOLS, tools_as="text")


WAYS: dict[str, Callable[[Backend], Agent]] = {
    "native": _native,
    "hermes": _hermes,
    "examples": _examples,
    "schema": _schema,
    "both": _both,
}


def is_right(name: str | None, arguments: dict[str, Any], result: Result[Any]) -> bool:
    """Whether the first reply of a run is what a task needs."""
    made = [call["function"] for call in result.messages[1].get("tool_calls") or ()]
    if name is None:
        return not made and bool(result.output.strip())
    if len(made) != 1 or made[0]["name"] != name:
        return False
    given = json.loads(made[0]["arguments"])
    return given.keys() == arguments.keys() and all(_plain(given[key]) == _plain(arguments[key]) for key in arguments)


def _plain(value: Any) -> str:
    return str(value).strip().casefold().rstrip(".!?")


class _OneReply(Middleware):
    """Answers all but the first request of a run itself."""

    def reply(self, request: Request) -> ReplyStream:
        if any(message["role"] == "tool" for message in request.said):
            return ScriptedBackend("Done.").reply(request)
        return self.backend.reply(request)


def measured(backend: Backend, way: str, verbose: bool = False) -> tuple[int, int]:
    """How many of the tasks are right: of those that need a call, and of the others."""
    agent, right = WAYS[way](_OneReply(backend)), [0, 0]
    for prompt, name, arguments in TASKS:
        result = agent.run(prompt, limits=Limits(turns=1), sampling={"temperature": 0, "max_tokens": MAX_TOKENS})
        is_ok = is_right(name, arguments, result)
        right[name is None] += is_ok
        if verbose:
            shown = result.messages[1].get("tool_calls") or result.messages[1].get("content")
            print(f"  {'right' if is_ok else 'wrong'}  {prompt}  {json.dumps(shown)[:160]}", flush=True)
    return right[0], right[1]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a model's name, such as gguf:PATH")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args(arguments)
    logging.getLogger("agentkit").setLevel(logging.ERROR)
    name = str(options.model)
    backend = GGUFBackend(name.removeprefix("gguf:")) if name.startswith("gguf:") else resolve(name)
    needed = sum(name is not None for _, name, _ in TASKS)
    print(f"{'way':10} {f'right of {len(TASKS)}':>12} {f'calls of {needed}':>12} {'answers':>8} {'s':>6}", flush=True)
    for way in options.ways:
        started = time.monotonic()
        called, answered = measured(backend, way, options.verbose)
        taken = time.monotonic() - started
        print(f"{way:10} {called + answered:12} {called:12} {answered:8} {taken:6.0f}", flush=True)
    backend.close()


if __name__ == "__main__":
    main()
