"""What real servers have been seen to send and to refuse, as a table: each line is a fault of a server, the responses
that have it, and what a run has to make of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agentkit.message import Image, user


@dataclass(frozen=True)
class Sent:
    """One response of a server as it is sent."""

    body: str
    status: int = 200
    kind: str = "text/event-stream"


@dataclass(frozen=True)
class Oddity:
    """A fault, and what a run that meets it has to do, whose answer is "Done.". The run has the tools of `conformance`,
    and the server says "Done." after these responses.

    what: the line in the table. sent: the responses, one a request. ran: the tools that run, each as often as it is
    named. told: text that the last request has to contain. messages: the history.
    """

    what: str
    sent: Sequence[Sent]
    ran: tuple[str, ...] = ()
    told: str = ""
    messages: Sequence[Any] = ()


def events(*chunks: Any, end: str = "data: [DONE]\n\n") -> Sent:
    """A stream of chunks; a text is sent as it is."""
    lines = [chunk if isinstance(chunk, str) else f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return Sent("".join(lines) + end)


def choice(delta: Any = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": reason, **more}]}


def part(name: str | None = None, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    """The part of a call in a delta."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"tool_calls": [{"index": 0, "function": function, **more}]}


def refusal(message: str, status: int = 400) -> Sent:
    """An error."""
    return Sent(json.dumps({"error": {"message": message}}), status, "application/json")


TWO = '{"number": 2}'
CALL = {"id": "c1", "type": "function", "function": {"name": "charge", "arguments": TWO}}
ENDS = choice(reason="tool_calls")
LONG = [
    {"role": role, "content": f"{role} {turn} " + "words " * 60} for turn in range(10) for role in ("user", "assistant")
]
PICTURE = [user(["What is this?", Image(b"\x89PNG", "image/png")]), {"role": "assistant", "content": "A picture."}]

OVERFLOWS = {
    "OpenAI": refusal(
        "This model's maximum context length is 512 tokens. However, your messages resulted in 900 tokens."
    ),
    "Anthropic": refusal("prompt is too long: 210000 tokens > 200000 maximum"),
    "TGI": refusal("Input validation error: `inputs` must have less than 600 tokens. Given: 900", 422),
    "LM Studio": Sent(
        json.dumps({"error": "Trying to keep the first 900 tokens when context the overflows."}),
        400,
        "application/json",
    ),
    "a gateway": refusal("Request body too large for gpt-4o model. Max size: 8000 tokens.", 413),
    "nginx": Sent("<html><h1>413 Request Entity Too Large</h1></html>", 413, "text/html"),
    "Zhipu": refusal("Prompt 超长"),
}

ODDITIES: tuple[Oddity, ...] = (
    Oddity(
        "a last chunk with the whole message",
        [events(choice(part("charge", TWO, id="c1")), choice(reason="tool_calls", message={"tool_calls": [CALL]}))],
        ran=("charge",),
        told="Charged 2.",
    ),
    Oddity(
        "a call that is sent twice",
        [events(choice(part("charge", TWO, id="c1")), choice(part("charge", TWO, id="c1")), ENDS)],
        ran=("charge",),
        told="Charged 2.",
    ),
    Oddity(
        "arguments that are sent from their beginning each time",
        [
            events(
                choice(part("charge", '{"num', id="c1")),
                choice(part(None, '{"number":')),
                choice(part(None, '{"number":2}')),
                ENDS,
            )
        ],
        ran=("charge",),
        told="Charged 2.",
    ),
    Oddity(
        "a name that comes after its arguments",
        [events(choice(part(None, TWO, id="c1")), choice(part("charge")), ENDS)],
        ran=("charge",),
        told="Charged 2.",
    ),
    Oddity(
        "a reply that ends with an error",
        [events(choice({"content": "The answ"}), choice(reason="error"))],
    ),
    Oddity(
        "an event with an id alone",
        [events("id: 1\n\n", "retry: 100\n\n", ": busy\n\n", choice({"content": "Done."}, "stop"))],
    ),
    Oddity(
        "an event without data", [events("data:\n\n", "data: : PROCESSING\n\n", choice({"content": "Done."}, "stop"))]
    ),
    Oddity("an event that is not JSON", [events(choice({"content": "The"}), "data: {broken\n\n")]),
    Oddity(
        "usage as a list",
        [events(choice({"content": "Done."}, "stop"), {"choices": [], "usage": [{"prompt_tokens": 7}]})],
    ),
    Oddity("an error event", [events("event: error\ndata: the model is overloaded\n\n")]),
    *(Oddity(f"a history too long for {server}", [sent], messages=LONG) for server, sent in OVERFLOWS.items()),
    Oddity("a picture that is refused", [refusal("Could not process image")], messages=PICTURE, told="refused it"),
    Oddity(
        "a model without vision",
        [refusal("This model does not support image input")],
        messages=PICTURE,
        told="does not accept images",
    ),
    Oddity(
        "a call name with a channel",
        [events(choice(part("double<|channel|>commentary", TWO, id="c1")), ENDS)],
        ran=("double",),
    ),
    Oddity(
        "a call name with a prefix", [events(choice(part("functions.double", TWO, id="c1")), ENDS)], ran=("double",)
    ),
    Oddity(
        "an argument that an effect does not have",
        [events(choice(part("send", '{"recipient": "bob"}', id="c1")), ENDS)],
        told="recipient",
    ),
    Oddity("streaming that is refused", [refusal("streaming is not supported")]),
)
"""What is sent, and what is right. A model's own faults are in `conformance`."""
