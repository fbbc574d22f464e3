"""Calls in a reply's text: each genuine one is parsed; a quoted, fenced, copied or cut one is never run."""

import functools
import json
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentkit import Tool
from agentkit.backend import Request
from agentkit.backends.chat_protocol import Accumulator
from agentkit.backends.fallback_calls import ReplyText
from agentkit.backends.parsed_text import ParsedText
from agentkit.event import Reply, ReplyDiscarded, TextDelta
from agentkit.message import user
from agentkit.text.call_format import Call, resolve_reasoning
from agentkit.text.parser import ReplyParser
from agentkit.text.quotation import Quotation
from agentkit.text.special_tokens import BEGUN_BY_WORDS
from agentkit.text.verbatim import CopyDetector
from agentkit.toolbox import Toolbox
from agentkit.tooling.json_repair import cleaned
from agentkit.transcript import Transcript
from tests.support.growth import assert_linear
from tests.support.imports import loaded_by
from tests.support.model_server import delta
from tests.text.test_formats import CALLS, FORMAT_OF, FORMATS, shared

Made = list[tuple[str, dict[str, Any]]]


class Genuine(NamedTuple):
    """A reply with calls. form: the format of a family."""

    form: str
    text: str
    calls: Made
    tools: Toolbox


def tools_for(calls: Made, schemas: Sequence[Mapping[str, Any]] = ()) -> Toolbox:
    known = {schema.get("function", schema)["name"]: schema.get("function", schema) for schema in schemas}
    known = {name: None for name, _ in calls} | known
    made = []
    for name, schema in known.items():
        parameters = {"properties": {}, **((schema or {}).get("parameters") or {}), "type": "object"}
        if re.fullmatch(r"[\w-]+", name, re.ASCII):
            made.append(tool_for(name, json.dumps(parameters)))
    return Toolbox(made)


@functools.cache
def tool_for(name: str, parameters: str) -> Tool[..., Any]:
    return Tool(name, "Do it.", json.loads(parameters), lambda **_: "done")


def of_row(row: dict[str, Any]) -> Genuine:
    calls = [(call["name"], cleaned(call["arguments"])) for call in row["expected"]["tool_calls"]]
    return Genuine(FORMAT_OF[row["family"]], row["text"], calls, tools_for(calls, row.get("tools") or ()))


OWN = [
    Genuine(form, text, calls, tools_for(calls))
    for form, text, _, calls in CALLS
    if "<tool_response>" not in text and "查" not in text
]
ROWS = [row for (row,) in (parameter.values for parameter in shared("toolcalls-cases.jsonl"))]
SHARED = [of_row(row) for row in ROWS if row["expected"]["tool_calls"] and "think>" not in row["text"]]
GENUINE = [*OWN, *SHARED]

QUOTED: dict[str, Callable[[str], str]] = {
    "a code span": lambda text: f"`{text}`",
    "a code span of two marks": lambda text: f"``{text}``",
    "a code span of three marks": lambda text: f"```{text}```",
    "quotation marks": lambda text: f'"{text}"',
    "single ones": lambda text: f"'{text}'",
    "English ones": lambda text: f"“{text}”",
    "German ones": lambda text: f"„{text}“",
    "French ones": lambda text: f"« {text} »",
    "Japanese ones": lambda text: f"「{text}」",
    "a fence": lambda text: f"\n```\n{text}\n```\n",
    "a fence with a language": lambda text: f"\n\n```xml\n{text}\n```\n",
    "a fence of tildes": lambda text: f"\n~~~\n{text}\n~~~\n",
    "a fence in a fence": lambda text: f"\n````md\n```\n{text}\n```\n````\n",
    "a fence in a list": lambda text: f"\n- ```\n  {text}\n  ```\n",
    "a fence that stays open": lambda text: f"\n```\n{text}",
    "a block quote": lambda text: "\n\n" + "\n".join(f"> {line}" for line in text.split("\n")) + "\n\n",
    "the rest of a block quote": lambda text: f"\n\n> {text}\n\n",
    "indented code": lambda text: "\n\n" + "\n".join(f"    {line}" for line in text.split("\n")) + "\n\n",
    "an HTML element": lambda text: f"<code>{text}</code>",
    "an HTML quotation": lambda text: f"<blockquote>\n{text}\n</blockquote>",
    "an open quotation mark": lambda text: f'"{text}',
}


def chat_reply(
    given: Genuine, pieces: Iterable[str], finish_reason: str = "stop", said: Sequence[Any] = ()
) -> tuple[Reply, str]:
    """The reply of a chat completions server with this text, and the text emitted in the stream."""
    request = Request(Transcript([{"role": "user", "content": "Go."}, *said]), given.tools, stream=True)
    text = ReplyText(request, "llama-3.1-8b" if given.form == "llama" else "m", reads_calls=True)
    accumulator = Accumulator("c")
    chunks = [*(delta(content=piece) for piece in pieces), delta(finish_reason)]
    shown = [each for chunk in chunks for told in accumulator.feed(chunk) for each in text.read(told)]
    *rest, reply = text.finish(accumulator.reply())
    assert isinstance(reply, Reply)
    return reply, told_by((*shown, *rest))


def chat_calls(given: Genuine, text: str, finish_reason: str = "stop", said: Sequence[Any] = ()) -> Made:
    """The calls in such a server's reply, however it is split into chunks; exactly the remaining text is emitted."""
    chance = random.Random(text)
    places = sorted(chance.randint(0, len(text)) for _ in range(9))
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    made = []
    for cut in ([text], pieces):
        reply, shown = chat_reply(given, cut, finish_reason, said)
        assert shown == (reply.message["content"] or "")
        calls = reply.message.get("tool_calls") or []
        if not calls:
            assert shown == text
        made.append([(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls])
    assert made[0] == made[1]
    return [(name, arguments) for name, arguments in made[0] if "unreadable_arguments" not in arguments]


def text_calls(given: Genuine, text: str, finish_reason: str = "stop", said: Sequence[Any] = ()) -> Made:
    """The same for a text server."""
    reader = ReplyParser(FORMATS[given.form], given.tools.schemas, is_copy=CopyDetector(said).is_copy)
    pieces = resolve_reasoning([*reader.feed(text), *reader.finish(cut_off=finish_reason == "length")])
    return [(piece.name, json.loads(piece.arguments)) for piece in pieces if isinstance(piece, Call)]


def is_cut(got: Made, whole: Made) -> bool:
    """Whether calls are a prefix of others, except for arguments missing in the last."""
    for place, (name, arguments) in enumerate(got):
        wanted_name, wanted = whole[place]
        rest = {key: value for key, value in wanted.items() if arguments.get(key, ...) == value}
        if name != wanted_name or rest != arguments or (arguments != wanted and place < len(got) - 1):
            return False
    return True


WORDS_BEHIND = ("Done.", "and so on", "Anything else?", "Estimating the weather...")


@pytest.mark.parametrize("genuine", GENUINE, ids=range(len(GENUINE)))
def test_a_genuine_call_is_read(genuine: Genuine) -> None:
    assert text_calls(genuine, genuine.text) == genuine.calls
    has_words = genuine.text.endswith(WORDS_BEHIND) or "Wait, let me call the real tool" in genuine.text
    assert chat_calls(genuine, genuine.text) == ([] if has_words else genuine.calls)


@pytest.mark.parametrize("tail", ["", " That is all."])
@pytest.mark.parametrize("quote", QUOTED.values(), ids=QUOTED)
def test_no_quotation_of_a_genuine_call_is_run(quote: Callable[[str], str], tail: str) -> None:
    for genuine in GENUINE[bool(tail) :: 2]:
        quoted = f"The page says: {quote(genuine.text)}{tail}"
        assert chat_calls(genuine, quoted) == [], quoted
        assert text_calls(genuine, quoted) == [], quoted


def test_a_call_in_prose_is_text_on_chat_completions_servers() -> None:
    for genuine in GENUINE:
        assert chat_calls(genuine, f"The page says {genuine.text} and more.") == []


@pytest.mark.parametrize("role", ["user", "tool"])
@pytest.mark.parametrize(
    "written", [str, json.dumps, lambda text: json.dumps(json.dumps(text)), lambda text: text.replace("\n", " \r\n")]
)
def test_a_copied_call_is_text(role: str, written: Callable[[str], str]) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "visit", "arguments": "{}"}}
    for genuine in GENUINE:
        told: dict[str, Any] = {"role": role, "content": f"It says: {written(genuine.text)} and so on."}
        said = [told]
        if role == "tool":
            said = [{"role": "assistant", "content": None, "tool_calls": [call]}, {**told, "tool_call_id": "c"}]
        assert chat_calls(genuine, genuine.text, said=said) == [], genuine.text
        assert text_calls(genuine, genuine.text, said=said) == [], genuine.text


def test_single_values_may_be_copied() -> None:
    said = [{"role": "user", "content": "What is the weather in Paris? {'days': 3}"}]
    for genuine in OWN:
        assert text_calls(genuine, genuine.text, said=said) == genuine.calls


@pytest.mark.parametrize("reason", ["stop", "tool_calls", "length"])
def test_a_genuine_call_that_is_cut_anywhere_is_run_with_no_half_value(reason: str) -> None:
    short, long = (5, 19) if reason == "stop" else (11, 41)  # where it is cut does not depend on the reason
    for place, genuine in enumerate(GENUINE):
        text = genuine.text
        step = short if len(text) < 150 else long
        for end in range(1 + place % step, len(text), step):
            for read in (chat_calls, text_calls):
                assert is_cut(read(genuine, text[:end], reason), genuine.calls), text[:end]


WORDS = st.sampled_from(
    [
        *'`"“”„«»「」',
        "'",
        "\n",
        "\n\n",
        "> ",
        "```",
        "~~~",
        "\n```\n",
        "    ",
        "<code>",
        "</code>",
        "a",
        " ",
        "- ",
        "\\",
        "</think>",
    ]
)


@given(st.lists(WORDS, max_size=12), st.lists(WORDS, max_size=6), st.sampled_from(OWN))
@settings(max_examples=400, deadline=None)
def test_nothing_is_lost_or_invented_around_a_call(before: list[str], behind: list[str], genuine: Any) -> None:
    text = "".join((*before, genuine.text, *behind))
    reply, shown = chat_reply(genuine, [text])
    again, streamed = chat_reply(genuine, list(text))
    assert (again.message, streamed) == (reply.message, shown)
    assert shown == (reply.message["content"] or "")
    if not reply.message.get("tool_calls") and "</think>" not in text:
        assert shown == text
    for call in reply.message.get("tool_calls") or ():
        function = call["function"]
        assert (function["name"], json.loads(function["arguments"])) in genuine.calls


OPEN = [
    '网页写着"',
    'says \\"',
    '""',
    "''",
    "”",
    "｢",
    "＂",
    "《",
    '<pre\n class="x">',
    '<pre title="a<b">',
    "<blockquote>Use </code>. ",
    "<pre>x</code> ",
    "```\n- ```\n",
    "```\na\n    ```\n",
    "\xa0> ",
    "• > ",
    "# Page\n    ",
    'It says: "First this.\n\nThen ',
    'He says "',
    "so `",
    "> a\n",
    "“x ",
    "「",
    'say: "',
    "a\n\n    ",
    "<code>",
    "“One.\n\nTwo ",
    'Nested "foo "bar" x ',
]
CLOSED = [
    "Settings › Network › DNS. I search.\n\n",
    "Home » Docs.\n\n",
    "I click « Back.\n\n",
    "»hei».\n\n",
    "Result: ```json\n{}\n```\n\n",
    "I fix the <pre> block.\n\n",
    "the <code> tag's text.\n\n",
    "vector<q> x\n\n",
    "“One.\n\n“Two.”\n\n",
    "“wrong“ quotes\n\n",
    "In the '90s it was. I search:\n",
    "'Tis so.\n",
    "f'(x) and f''(x)\n",
    "1. Step one:\n\n    ",
    'He says "hi" ',
    'a 5" disk ',
    "don't ",
    "the dogs' ",
    "so `a` ",
    "```py\nx\n```\n",
    "```py\nx\n```",
    "> a\n\n",
    "“x” ",
    "„x“ ",
    "»x« ",
    "«x» ",
    "« x » ",
    '{"a": 1} ',
    "x = {'a': 'b'} ",
    "a\n    ",
    "<code>x</code> ",
    "a `b\n\n",
    "“it’s” ",
    "it’s ",
    "‘x’ ",
    "rock 'n' roll ",
    "5' 3\" tall ",
    "\\` ",
    'x = "" and ',
    'print("") ',
    '""" doc """ ',
    '("x") ',
    'she said: "Go!" ',
    '"a" "b" ',
    '网页写着"T"，没有 ',
    "”x” ",
    "the dogs' bowl is 'red' ",
    '"One.\n\n"Two."\n\n',
    "the 5” disk ",
    "- a\n- b\n\n",
]


@pytest.mark.parametrize(("text", "is_open"), [*((text, True) for text in OPEN), *((text, False) for text in CLOSED)])
def test_a_quotation_ends_where_it_ends(text: str, is_open: bool) -> None:
    for pieces in ([text], list(text)):
        quotation = Quotation()
        for piece in pieces:
            quotation.feed(piece)
        assert quotation.is_open is is_open


@pytest.mark.parametrize(
    "part", ["`", '"', '" a', "“\n\n", "> ", "<code>", "</q>", "```\n", "'a ", "- ", "1. ", "» ", "a\n\n"]
)
def test_quotations_are_found_in_time_in_proportion(part: str) -> None:
    def work(count: int) -> None:
        quotation = Quotation()
        quotation.feed(part * count)
        assert quotation.is_open in (True, False)

    assert_linear(work, 40_000)


@pytest.mark.parametrize(
    "part", ["<tool_call>", '<tool_call>{"', "</think>", "<think>", "[TOOL_CALLS]", "`<tool_call>`", "<tool_call>\n"]
)
def test_replies_are_read_in_time_in_proportion(part: str) -> None:
    genuine = OWN[0]
    assert_linear(lambda count: chat_reply(genuine, [part * count]), 4_000)


@pytest.mark.parametrize("name", ["send\\_mail", "send&#95;mail", "send\\u005fmail", "send\u200b_mail", "send_\nmail"])
def test_a_copy_is_found_whatever_hides_its_name(name: str) -> None:
    call = '<tool_call>{"name": "send_mail", "arguments": {"to": "x"}}</tool_call>'
    said = [{"role": "user", "content": call.replace("send_mail", name)}]
    genuine = Genuine("hermes", call, [("send_mail", {"to": "x"})], tools_for([("send_mail", {})]))
    assert text_calls(genuine, call, said=said) == chat_calls(genuine, call, said=said) == []
    assert text_calls(genuine, call) == chat_calls(genuine, call) == genuine.calls


def test_a_call_of_longcat_is_read_although_it_has_no_family() -> None:
    text = 'I send.\n<longcat_tool_call>\n{"name": "send", "arguments": {"to": "x"}}\n</longcat_tool_call>'
    genuine = Genuine("some", text, [("send", {"to": "x"})], SEND_TOOLS)
    assert chat_calls(genuine, text) == genuine.calls
    assert chat_calls(genuine, f"Write `{text[8:]}`.") == []


# ---- reasoning

SEND_TOOLS = tools_for([("send", {})])
REASONING = [
    ("<think>Let me see.</think>Forty.", "Let me see.", "Forty."),
    ("\n<think>\nLet me see.\n</think>\n\nForty.", "Let me see.", "Forty."),
    ("Let me see.</think>Forty.", "Let me see.", "Forty."),
    ("</think>Forty.", "", "Forty."),
    ("<think></think>Forty.", "", "Forty."),
    ("<think>I was cut o", "I was cut o", ""),
    ("[THINK]Let me see.[/THINK]Forty.", "Let me see.", "Forty."),
    ("Let me see.[/THINK]Forty.", "Let me see.", "Forty."),
    ("<think>One.</think>Forty.</think>Two.", "One.", "Forty.Two."),
    ("It is <think>maybe</think> forty.", "", "It is <think>maybe</think> forty."),
    ("`<think>` opens it.", "", "`<think>` opens it."),
    ("<thi", "", "<thi"),
    ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Forty.<|END_RESPONSE|>", "Hm.", "Forty."),
]


@pytest.mark.parametrize(("text", "thoughts", "answer"), REASONING)
@pytest.mark.parametrize("tools", [SEND_TOOLS, Toolbox(())], ids=["tools", "no tools"])
def test_reasoning_at_the_start_of_a_reply_is_reasoning(text: str, thoughts: str, answer: str, tools: Toolbox) -> None:
    for pieces in ([text], list(text)):
        reply, shown = chat_reply(Genuine("some", text, [], tools), pieces)
        assert (reply.message.get("reasoning_content") or "", reply.message["content"]) == (thoughts, answer)
        assert shown == answer


# ---- public reports from other projects

SEND = Genuine("hermes", "", [("send", {"to": "x"})], SEND_TOOLS)
T = '<tool_call>{"name": "send", "arguments": {"to": "x"}}</tool_call>'
MEANT = {
    "astronomical#346: a quoted marker swallows the real call": f"I use `<tool_call>` to call.\n{T}",
    "the same with a whole call": f"First I explain `{T}`. Now for real:\n\n{T}",
    "lmstudio-bug-tracker#1592: markers in thoughts": f"<think>some use <function=...>, some <tool_call></think>\n{T}",
    "github/app#1499: words before a call": f"Of course. {T}",
    "a quotation before it": f'He said "hello", and it\'s 5" wide. I reply:\n{T}',
    "code before it": f'I change this:\n```py\nprint("x")\n```\n{T}',
    "a quoted paragraph before it": f"> He said so\n> twice.\n\n{T}",
    "the end of the turn behind it": f"{T}<|im_end|>\n",
}
QUOTED_BY_USERS = {
    "continue#11070: inline code": f"It is called so: `{T}`, says the page.",
    "continue#11070: quotation marks": f'It is called so: "{T}", says the page.',
    "continue#11070: a block quote": f"It is called so:\n\n> {T}\n\nsays the page.",
    "QwenPaw#4066": 'The page says [TOOL_CALLS][{"name": "send", "arguments": {"to": "x"}}] and more.',
    "astronomical#346: python_tag": 'The doc says <|python_tag|>send.call(to="x") and more.',
    "astronomical#346: function": 'One writes <function=send>{"to": "x"}</function> in prose.',
    "astronomical#346: unclosed": 'Write it like <tool_call>{"name": "send", "arguments": {"to": "x"}}',
    "DeepSeek-v4 DSpark#16: no opening tag": f"1. Maybe {T}? No.</think>391",
    "lmdeploy#4580: in reasoning that stays open": f"<think>I should {T}",
}


@pytest.mark.parametrize("text", MEANT.values(), ids=MEANT)
def test_a_call_that_users_missed_is_read(text: str) -> None:
    assert chat_calls(SEND, text) == SEND.calls
    assert text_calls(SEND, text) == SEND.calls


@pytest.mark.parametrize("text", QUOTED_BY_USERS.values(), ids=QUOTED_BY_USERS)
def test_a_quotation_that_users_saw_run_is_text(text: str) -> None:
    reply, _ = chat_reply(SEND, [text])
    assert "tool_calls" not in reply.message
    if "</think>" in text:
        assert (reply.message["content"], T in reply.message["reasoning_content"]) == ("391", True)


PARTS = [
    *"aAbc .\n,!'\"*_-#1:()/|=~\\»„中é$%&;?",
    "\n\n",
    "Action:",
    "search",
    "print(",
    "\n- ",
    "`",
    "[x](y)",
    "<think>",
    "{",
]


def test_a_whole_reply_is_read_as_the_same_reply_that_was_streamed() -> None:
    """Prose that nobody sees before it is whole is not parsed, and the families are not loaded for it."""
    made = random.Random(26)
    for _ in range(300):
        beginning = made.choice(["", "A", "The ", "  I ", "a", "\nÜ"])
        parts = PARTS if made.random() < 0.3 else PARTS[:-4]
        text = beginning + "".join(made.choice(parts) for _ in range(made.randint(0, 30)))
        reply = Reply({"role": "assistant", "content": text}, made.choice(["stop", "length", ""]))
        model = made.choice(["m", "Qwen/Qwen3-8B", "deepseek-ai/DeepSeek-R1", "functionary-small-v3.2"])
        found = []
        for stream in (True, False):
            request = Request(Transcript([user("Where is it?")]), tools_for([("search", {})]), stream=stream)
            reader = ReplyText(request, model, reads_calls=True)
            if text:
                list(reader.read(TextDelta(text)))
            found.append(list(reader.finish(reply))[-1])
        assert found[0] == found[1], text


BEGINNINGS = ["A", "The ", " I ", "Ü", "好", "a"]
ENDINGS = [
    "",
    *BEGUN_BY_WORDS,
    "fuser",
    "func",
    "<th",
    T,
    f"`{T}`",
    "</think>Yes.",
    f"\n\n{T}\n{T}",
    f" or {T} as said",
]


def test_a_reply_is_read_the_same_whether_its_beginning_was_parsed_or_not() -> None:
    """Prose is shown without a parser; from the first markup on the reply is parsed."""
    made = random.Random(33)
    for _ in range(400):
        words = ["".join(made.choice(PARTS[:-4]) for _ in range(made.randint(0, 12))), made.choice(BEGUN_BY_WORDS)]
        text = made.choice(BEGINNINGS) + words[0] + words[1][: made.randint(0, 12)] + made.choice(ENDINGS)
        places = sorted(made.randint(0, len(text)) for _ in range(made.randint(0, 12)))
        pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
        tools = tools_for(SEND.calls) if made.random() < 0.7 else tools_for([])
        request = Request(Transcript([user("Go.")]), tools, stream=True)
        reply = Reply({"role": "assistant", "content": text}, "stop")
        found = []
        for reader in (
            ReplyText(request, "m", reads_calls=True),
            ParsedText(request, None, "m", looks=bool(tools), reasoning=[]),
        ):
            shown = [each for piece in pieces if piece for each in reader.read(TextDelta(piece))]
            *rest, last = reader.finish(reply)
            said = [each for each in (*shown, *rest) if not isinstance(each, TextDelta)]
            found.append((told_by([*shown, *rest]), said, last))
        assert found[0] == found[1], (text, pieces)


def told_by(deltas: Iterable[Any]) -> str:
    """The text that who reads a stream has at its end."""
    told = ""
    for each in deltas:
        told = "" if isinstance(each, ReplyDiscarded) else told + (each.text if isinstance(each, TextDelta) else "")
    return told


def test_the_families_are_loaded_for_the_first_markup_of_a_streamed_reply() -> None:
    code = (
        "from agentkit import tool\nfrom agentkit.backend import Request\nfrom agentkit.event import TextDelta\n"
        "from agentkit.backends.fallback_calls import ReplyText\nfrom agentkit.message import user\n"
        "from agentkit.toolbox import Toolbox\nfrom agentkit.transcript import Transcript\n"
        "@tool\ndef send(to: str) -> str:\n    'Send it.'\n    return to\n"
        "request = Request(Transcript([user('Hello')]), Toolbox([send]), stream=True)\n"
        "reader = ReplyText(request, 'm', reads_calls=True)\n"
        "print(*(each.text for piece in {} for each in reader.read(TextDelta(piece))))"
    )
    shown, loaded = loaded_by(code.format(["It is", " here."]))
    assert shown == "It is  here.\n"
    unused = {"agentkit.text.any_format", "agentkit.text.families", "agentkit.text.parser", "agentkit.text.verbatim"}
    assert not {*unused, "html"} & loaded
    shown, loaded = loaded_by(code.format(["It is", " <b>here."]))
    assert shown == "It is  <b>here.\n"
    assert unused <= loaded


def test_the_families_are_not_loaded_for_a_whole_reply_of_prose() -> None:
    _, loaded = loaded_by(
        "from agentkit.backend import Request\nfrom agentkit.backends.fallback_calls import ReplyText\n"
        "from agentkit.event import Reply, TextDelta\nfrom agentkit.message import user\n"
        "from agentkit.transcript import Transcript\n"
        "reader = ReplyText(Request(Transcript([user('Hello')])), 'm', reads_calls=True)\n"
        "assert not list(reader.read(TextDelta('It is here.')))\n"
        "assert len(list(reader.finish(Reply.text('It is here.')))) == 1"
    )
    assert "agentkit.text.any_format" not in loaded
