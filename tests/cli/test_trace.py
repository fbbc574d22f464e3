"""`agentkit trace`: what is on the page, from whatever file or session, and that nothing of it runs."""

import html
import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from agentkit import Agent, ConfigurationError, MemorySessions, Session, SQLiteSessions, tool
from agentkit.cli import app
from agentkit.cli.trace import command
from agentkit.cli.trace import runs as built
from agentkit.cli.trace.page import page
from agentkit.cli.trace.records import of_session
from agentkit.cli.trace.runs import EVENTS, SHOWN, Runs
from agentkit.event import Reply, ReplyDiscarded, ToolFinished
from agentkit.limits import Limits, Usage
from agentkit.record import error_record, event_record, result_record
from agentkit.testing import ScriptedBackend
from tests.support.growth import assert_linear

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@tool(read_only=True)
def search(query: str, seconds: float = 0.0) -> str:
    """Search."""
    time.sleep(seconds)
    if query == "bad":
        raise ConnectionError("it closed the connection")
    return f"found {query}"


@tool
def send(to: str) -> str:
    """Send."""
    return "sent"


@tool(approve=True)
def pay(amount: float) -> str:
    """Pay."""
    return "paid"


def reply(text: str, *calls: tuple[str, dict[str, Any]], cost: float | None = None, **more: Any) -> Reply:
    message: Any = {"role": "assistant", "content": text, **more}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
            for n, (name, arguments) in enumerate(calls)
        ]
    return Reply(message, "stop", Usage(requests=1, input_tokens=1200, output_tokens=34, cost=cost))


def agent(*replies: Any, **options: Any) -> Agent:
    return Agent(ScriptedBackend(*replies), tools=[search, send, pay], **options)


def lines(run: Any) -> list[str]:
    return [json.dumps(event_record(event)) for event in run]


def trace(*arguments: object, given: bytes | None = None) -> tuple[int, str, str]:
    """Returns the exit code, standard output and standard error."""
    done = CliRunner().invoke(app, ["trace", *map(str, arguments)], input=given)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def traced(file: Path, *texts: str, code: int = 0) -> str:
    """The page of a file."""
    file.write_text("\n".join(texts), encoding="utf-8", errors="surrogatepass")
    status, out, err = trace(file)
    assert status == code, err
    return out if code == 0 else err


def text_of(made: str) -> str:
    """What a reader sees of a page, all of it unfolded."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", made.partition("</style>")[2])).split())


# What is on it


def test_a_run_has_its_times_calls_tokens_cost_and_errors(file: Path) -> None:
    searches = ("search", {"query": "a", "seconds": 0.05}), ("search", {"query": "b"})
    first = reply("I look.", *searches, ("search", {"query": "bad"}), cost=0.002, reasoning_content="Hm. " * 99)
    made = agent(first, reply("Done: it is so.", cost=0.001), instructions="Be brief.")
    seen = traced(file, *lines(made.stream("What is it?")))
    text = text_of(seen)
    for each in ("Run 1: What is it?", "system Be brief.", "I look.", "Hm. Hm. " * 40, "Done: it is so.", "found a"):
        assert each in text
    assert "2 requests · 3 tool calls · 2,400 + 68 tokens · cost 0.003" in text
    assert "1,200 + 34 tokens · cost 0.002" in text
    assert '{ "query": "a", "seconds": 0.05 }' in text
    problem = re.search(r'<a href="#(\w+)">Run 1, reply 1, search: Error: search raised ConnectionError', seen)
    assert problem is not None
    assert f'<details class="call failed" id="{problem[1]}">' in seen
    bars = re.findall(r'<li class="([\w ]+)">', seen)
    assert bars == ["reply", "tool done", "tool done", "tool failed", "reply"]
    assert len(re.findall(r'<rect x="[\d.]+%" width="[\d.]+%"', seen)) == 5


def test_what_was_discarded_limited_waits_or_is_unknown_is_said(file: Path) -> None:
    class Again(ScriptedBackend):
        def reply(self, request: Any) -> Any:
            yield ReplyDiscarded()
            yield from super().reply(request)

    made = Agent(Again(reply("I pay.", ("pay", {"amount": 3}))), tools=[pay])
    text = text_of(traced(file, *lines(made.stream("Pay."))))
    assert "Run 1: approval" in text
    assert "pay: waits for an approval" in text
    assert "Run 1, reply 1: 1 discarded" in text
    limited = agent(reply("", ("search", {"query": "a"})), reply("Best guess."), limits=Limits(turns=1))
    assert "The limit on turns is reached" in text_of(traced(file, *lines(limited.stream("Go."))))


def test_an_approved_call_is_traced_where_the_run_goes_on(file: Path) -> None:
    made = agent(reply("", ("pay", {"amount": 3})), reply("Paid."))
    run = made.stream("Pay.")
    texts = lines(run)
    texts += lines(made.stream(messages=run.messages, approve={"c0": {"amount": 2}}))
    text = text_of(traced(file, *texts))
    assert "2 runs" in text
    assert '{ "amount": 2 }' in text.partition("Run 2")[2]
    assert "paid" in text.partition("Run 2")[2]


def test_the_progress_of_an_agent_that_is_a_tool_is_below_its_call(file: Path) -> None:
    inner = Agent(ScriptedBackend(("search", {"query": "ships"}), "Four."), tools=[search]).as_tool("ask", "Ask.")
    made = Agent(ScriptedBackend(("ask", {"task": "which"}), "Done."), tools=[inner])
    assert 'Progress ask: search({"query": "ships"})' in text_of(traced(file, *lines(made.stream("Go."))))


# What it is made from


def test_a_run_that_was_killed_has_what_there_is(file: Path) -> None:
    texts = lines(agent(reply("I look.", ("send", {"to": "x"})), "All is said.").stream("Go."))
    started = next(n for n, each in enumerate(texts) if '"tool_started"' in each)
    text = text_of(traced(file, *texts[: started + 1], texts[-1][:50]))
    assert "Run 1: the record ends before the run did" in text
    assert "send: no result: whether it had an effect is not known" in text
    assert f"left out: line {started + 2} is no JSON" in text
    text = text_of(traced(file, *texts[: started + 2]))
    assert "Run 1: the record ends before the run did" in text  # before the answer
    deltas = [n for n, each in enumerate(texts) if '"text_delta"' in each]
    text = text_of(traced(file, *texts[: deltas[-1]]))
    assert "Reply 2" in text
    assert "not complete All is" in text


def test_runs_follow_one_another_also_where_one_was_killed(file: Path) -> None:
    texts = lines(agent("One.").stream("First?"))
    text = text_of(traced(file, *texts[:-1], *texts, *lines(agent("Two.").stream("Second?"))))
    assert "3 runs" in text
    assert "Run 2: First?" in text
    assert "Run 3: Second?" in text


def test_whole_results_and_failures_are_read_as_they_are_printed(file: Path) -> None:
    result = agent(reply("", ("search", {"query": "a", "seconds": 0.02}), cost=0.5), reply("Yes.")).run("Is it?")
    error = RuntimeError("the server is gone")
    error.messages = result.messages[:2]  # type: ignore[attr-defined]
    indented = [json.dumps(each, indent=2) for each in (result_record(result), error_record(error))]
    text = text_of(traced(file, *indented, json.dumps(result_record(result))))
    assert "3 runs" in text
    assert "The record has no times." in text
    assert re.search(r'search { "query": "a", "seconds": 0.02 } \d\d ms', text)
    assert "Run 2: the server is gone" in text


def test_a_run_that_failed_has_its_error_when_that_is_recorded_behind_its_events(file: Path) -> None:
    run = agent(reply("I look.", ("search", {"query": "a"}))).stream("Is it?")  # there is no second reply
    texts: list[str] = []
    with pytest.raises(ConfigurationError) as caught:
        texts.extend(json.dumps(event_record(event)) for event in run)
    text = text_of(traced(file, *texts, json.dumps(error_record(caught.value))))
    assert "1 run ·" in text
    assert "Run 1: the script has 1 replies, but this is request 2" in text
    assert "user Is it?" in text
    assert text.count("Result found a") == 1
    assert "tool found a" not in text


def test_calls_at_the_same_time_have_bars_of_their_own_seconds(file: Path) -> None:
    """Results are emitted in the order of the calls, and a call may start before its reply is complete."""
    names = ("early", "slow", "quick")
    calls = [{"id": each, "function": {"name": each, "arguments": "{}"}} for each in names]
    events: list[dict[str, Any]] = [
        {"event": "reply_started", "at": 0, "turn": 1},
        {"event": "reply_finished", "at": 8, "reply": {"message": {"tool_calls": calls}}},
        *({"event": "tool_started", "at": 8, "id": each, "name": each, "raw_arguments": "{}"} for each in names),
    ]
    for name, at, seconds in zip(names, (10, 16, 16), (6, 8, 2), strict=True):
        record = {"id": name, "name": name, "response": "x", "error": None, "seconds": seconds}
        events.append({"event": "tool_finished", "at": at, "record": record})
    seen = traced(file, *map(json.dumps, events), json.dumps({"event": "run_finished", "at": 20, "result": {}}))
    bars = re.findall(r'<rect x="([\d.]+)%" width="([\d.]+)%"', seen)
    assert bars == [("0.0", "40.0"), ("20.0", "30.0"), ("40.0", "40.0"), ("40.0", "10.0")]


NOT_RUNS = ["", "\n\n", "no json", "[1, 2]", '{"a": 1}', "null", '"x"', "{", "{}", '{"event": 3}', '{"event": "other"}']


@pytest.mark.parametrize("content", NOT_RUNS, ids=range(len(NOT_RUNS)))
def test_a_file_that_is_no_run_is_an_error(content: str, file: Path) -> None:
    assert "has no run: it needs events as JSON lines" in traced(file, content, code=1)


def test_lines_that_are_left_out_are_named_and_counted(file: Path) -> None:
    texts = lines(agent("Yes.").stream("Is it?"))
    file.write_text("\n".join(["Traceback (most recent call last):", *["bad\x1b[31m"] * 9, *texts]), encoding="utf-8")
    code, out, err = trace(file)
    assert code == 0
    assert err.count("\n") == 5
    assert "line 1 is no JSON: Traceback (most recent call last):" in err
    assert "\x1b" not in err + out
    assert "and 5 more lines" in text_of(out)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_files_of_other_shells_and_standard_input_are_read(encoding: str, file: Path) -> None:
    texts = lines(agent("Größe 1.").stream("How?"))
    content = "\r\n".join(texts).encode(encoding)
    file.write_bytes(content)
    assert "Größe 1." in text_of(trace(file)[1])
    assert "Größe 1." in text_of(trace("-", given=content)[1])


KEYS = (
    *("at", "turn", "text", "reply", "record", "id", "name", "arguments", "raw_arguments", "calls", "limit", "what"),
    *("result", "adds", "message", "messages", "usage", "stopped", "output", "tool_calls", "pending", "content"),
    *("unknown_calls", "repairs", "error", "response", "seconds", "role", "function", "then", "given", "cost", "event"),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(EVENTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
fields = st.dictionaries(st.sampled_from(KEYS), values, max_size=6)
records = st.builds(lambda event, more: {**more, "event": event}, st.sampled_from(EVENTS), fields)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(records, max_size=8))
def test_records_of_any_shape_make_a_page(given: list[dict[str, Any]]) -> None:
    runs = Runs()
    for record in given:
        runs.add(record)
    runs.end()
    made = "".join(page("x", runs.list, []))
    made.encode()
    assert made.endswith("</html>")


# Sessions


def page_of(session: Session) -> str:
    runs = Runs()
    for record in of_session(session.entries()):
        runs.add(record)
    runs.end()
    return "".join(page(session.id, runs.list, []))


def test_a_session_has_a_run_for_each_question_with_its_times() -> None:
    with MemorySessions() as sessions:
        searches = ("search", {"query": "a", "seconds": 0.06}), ("search", {"query": "bad"})
        made = agent(reply("I look.", *searches, ("send", {"to": "x"}), cost=0.001), reply("Done."), reply("Again."))
        made.run("First?", session=sessions["s"], request_id="1")
        made.run("Second?", session=sessions["s"])
        seen = page_of(sessions["s"])
    text = text_of(seen)
    assert "Run 1: First?" in text
    assert "Run 2: Second?" in text
    assert "2 requests · 3 tool calls · 2,400 + 68 tokens" in text
    assert "1,200 + 34 tokens · cost 0.001" in text
    bars = re.findall(r'<li class="([\w ]+)">', seen.partition('id="r2"')[0])
    assert bars == ["reply", "tool done", "tool failed", "tool done", "reply"]
    widths = [float(each) for each in re.findall(r'width="([\d.]+)%"', seen)]
    assert widths[1] > 40  # of the run, the first search took most


def test_a_call_of_a_session_whose_effect_is_not_known_and_undone_messages_are_said() -> None:
    with MemorySessions() as sessions:
        made = agent(reply("", ("send", {"to": "x"})), "It may have been sent.")
        for event in (run := made.stream("Send.", session=sessions["s"])):
            if isinstance(event, ToolFinished):
                break
        run.close()
        entries = sessions["s"]._sessions._read("s", 0, 3)  # killed while the tool ran
        with sessions["t"].hold() as writer:
            sessions._append("t", entries, {}, writer._lock)
        assert "send: no result: whether it had an effect is not known" in text_of(page_of(sessions["t"]))
        Agent(ScriptedBackend("Perhaps."), tools=[send]).resume(sessions["t"])
        with sessions["t"].hold() as writer:
            writer.undo(1)
        assert "send: whether it had an effect is not known" in text_of(page_of(sessions["t"]))
        assert "note messages undone: 1" in text_of(page_of(sessions["t"]))


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_tool_that_ended_the_run_gave_its_answer(is_stored: bool, file: Path) -> None:
    @tool(ends_run=True)
    def answer(text: str) -> str:
        """Answer."""
        return text

    with MemorySessions() as sessions:
        run = Agent(ScriptedBackend(("answer", {"text": "42"})), tools=[answer]).stream("What?", session=sessions["s"])
        texts = lines(run)[:-1]
        text = text_of(page_of(sessions["s"]) if is_stored else traced(file, *texts))
    assert "Problems" not in text
    assert "answer ·" in text


def test_the_command_finds_a_session_in_the_store_or_says_that_there_is_none(tmp_path: Path) -> None:
    store = str(tmp_path / "s.db")
    with SQLiteSessions(store) as sessions:
        agent("Yes.").run("Is it?", session=sessions["work"])
    output = tmp_path / "page.html"
    assert trace("work", "--store", store, "-o", output) == (0, "", "")
    assert "Run 1: Is it?" in text_of(output.read_text(encoding="utf-8"))
    assert "Run 1: Is it?" in text_of(trace("work", "--store", store, "-o", "-")[1])  # as `agentkit batch -o -`
    code, out, err = trace("wrok", "--store", store)
    assert (code, out) == (1, "")
    assert "'wrok' is neither a file nor a stored session" in err


def test_the_page_does_not_replace_what_it_is_made_from(file: Path) -> None:
    file.write_text("x", encoding="utf-8")
    assert trace(file, "-o", file)[0] == 2
    assert file.read_text(encoding="utf-8") == "x"
    assert trace(file, "-o", file.parent)[0] == 1


@pytest.mark.parametrize("source", ["none.jsonl", "folder/none.jsonl", "a\x00b", "x" * 5000, ""])
def test_what_is_neither_a_file_nor_a_session_is_an_error_of_one_line(source: str, tmp_path: Path) -> None:
    code, out, err = trace(source, "--store", tmp_path / "s.db", "-o", tmp_path / "page.html")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert not (tmp_path / "page.html").exists()


# What a tool has read

HOSTILE = [
    "<script>hit()</script>",
    "</pre></details><img src=x onerror=hit()>",
    "</style><script>hit()</script>",
    "<!--",
    "]]>",
    '" onmouseover="hit()',
    "' onfocus='hit()' autofocus='",
    "{{ 7*7 }}{% raw %}",
    "javascript:hit()",
    "<link rel=stylesheet href=http://127.0.0.1:9/x.css><iframe src=http://127.0.0.1:9/></iframe>",
    "<meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'>",
    "<svg onload=hit()><style>*{display:none}</style>",
    "<form action=http://127.0.0.1:9/><input autofocus onfocus=hit()>",
    "\x1b[31mred\x1b]0;title\x07",
    "nul\x00nul",
    "lone \ud800 surrogate",
    "abc\u202egpj.exe",
    "hidden \U000e0049\U000e0067 tags",
]


def hostile_lines(text: str) -> list[str]:
    """A run in which everything that another has written is this text."""
    function = {"name": text, "arguments": json.dumps({text: text})}
    calls = [{"id": text, "function": function}]
    message = {"role": "assistant", "content": text, "reasoning": text, "tool_calls": calls}
    record = {"id": text, "name": text, "response": text, "error": text}
    said = {"role": text, "content": [{"type": "image_url", "image_url": {"url": text}}]}
    result = {"stopped": text, "error": text, "output": {text: [text]}, "messages": [said], "repairs": [text]}
    made: list[dict[str, Any]] = [
        {"event": "run_started", "clock": text, "given": [{"role": "user", "content": text}]},
        {"event": "reply_started", "at": 0.5},
        {"event": "text_delta", "at": 0.6, "text": text},
        {"event": "reply_discarded", "at": 0.6, "reason": text, "model": text},
        {"event": "reply_finished", "at": 1, "model": text, "reply": {"message": message, "finish_reason": text}},
        {"event": "tool_started", "at": 1, "id": text, "name": text, "raw_arguments": text},
        {"event": "tool_progress", "at": 1, "id": text, "text": text},
        {"event": "tool_finished", "at": 2, "record": record, "adds": [{}, said]},
        {"event": "limit_reached", "limit": text},
        {"event": "run_finished", "at": 3, "result": result},
        {"event": "reply_started", "at": 0, "turn": text},
        {"event": "text_delta", "at": 0.6, "text": text},
    ]
    return [json.dumps(each) for each in made]


def test_what_others_wrote_is_text_wherever_it_stands(file: Path) -> None:
    clean = re.findall("<[^>]*>", re.sub('"[^"]*"', "", traced(file, *hostile_lines("plain"))))
    for text in HOSTILE:
        seen = traced(file, *hostile_lines(text))
        assert re.findall("<[^>]*>", re.sub('"[^"]*"', "", seen)) == clean, text  # no element more, no attribute more
        assert re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ud800-\udfff\U000e0000-\U000e007f]", seen) is None
        assert "hit()" not in re.sub("&[#\\w]+;", "", re.sub(">[^<]*", ">", seen)).replace('title="', "")


def test_characters_that_nobody_sees_are_named(file: Path) -> None:
    text = text_of(traced(file, *hostile_lines("a\x1bb\x00c\u202ed\U000e0041e\ud800f")))
    assert "a⟨U+001B⟩b⟨U+0000⟩c⟨U+202E⟩d⟨U+E0041⟩e⟨U+D800⟩f" in text


def test_a_page_loads_nothing_and_runs_nothing(file: Path) -> None:
    seen = traced(file, *hostile_lines("https://example.org/x.png"))
    policy = re.search('Content-Security-Policy"\\s+content="([^"]*)"', seen)
    assert policy is not None
    assert html.unescape(policy[1]).startswith("default-src 'none'; style-src 'sha256-")
    assert re.findall(r"<(\w+)", seen.partition("<body>")[2]) != []
    assert not re.search(r"<(script|link|img|iframe|form|base|object)", seen)
    assert not re.search(r'(src|href|action)="(?!#)', seen)
    assert "url(" not in seen
    assert "@import" not in seen


def test_long_texts_are_shortened_with_a_note(file: Path) -> None:
    huge = "<b>" + "x" * 5_000_000 + "the end"
    seen = traced(file, json.dumps({"event": "tool_finished", "record": {"id": "1", "response": huge}}))
    assert len(seen) < 2 * SHOWN
    assert "the end" in seen
    assert "[… 4,980,010 characters are left out …]" in seen
    assert len(traced(file, *hostile_lines("<b>" * 100_000))) < 100 * SHOWN
    images = [{"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}]
    seen = traced(file, json.dumps({"messages": [{"role": "user", "content": images}], "stopped": "answer"}))
    assert "[image: data:image/png;base64, 1,000,022 characters]" in seen


def test_a_record_of_many_events_makes_a_page_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built, "PAGE", 100_000)
    monkeypatch.setattr(built, "ITEMS", 300)
    runs = Runs()
    for number in range(500):
        runs.add({"event": "reply_started", "at": number, "turn": number})
        for _ in range(9):
            runs.add({"event": "text_delta", "at": number, "text": "word " * 10})
        calls = [{"id": f"{number}", "function": {"name": "f", "arguments": "{}"}}] * 2
        message = {"role": "assistant", "content": "x" * 60_000, "tool_calls": calls}
        runs.add({"event": "reply_finished", "at": number, "reply": {"message": message, "usage": {"input_tokens": 2}}})
    runs.end()
    made = "".join(page("x", runs.list, []))
    assert len(made) < 500_000
    assert "1,000 + 0 tokens" in made
    assert "replies and calls are left out of this page" in made


def test_a_record_is_read_in_linear_time_and_nested_at_any_depth() -> None:
    def calls(count: int) -> None:
        made = [{"id": f"{n}", "function": {"name": "f", "arguments": "{}"}} for n in range(count)]
        runs = Runs()
        runs.add({"event": "reply_finished", "reply": {"message": {"role": "assistant", "tool_calls": made}}})
        for call in made:
            runs.add({"event": "tool_started", "id": call["id"]})
        for call in made:
            runs.add({"event": "tool_finished", "record": {"id": call["id"], "response": "x"}})
        assert {call.state for call in runs.list[0].turns[0].calls} == {"done"}

    assert_linear(calls, 1000)
    deep = json.loads("[" * 900 + "]" * 900)
    runs = Runs()
    runs.add({"event": "run_finished", "result": {"output": deep, "messages": [{"content": deep}]}})
    assert "[[[" in "".join(page("x", runs.list, []))


def test_a_long_conversation_is_not_repeated_in_each_run() -> None:
    said = [{"role": "system", "content": "Be brief."}, *({"role": "user", "content": f"no {n}."} for n in range(1000))]
    runs = Runs()
    for _ in range(20):
        runs.add({"event": "run_finished", "at": 1, "result": {"messages": said, "stopped": "answer"}})
    text = text_of("".join(page("x", runs.list, [])))
    assert text.count("no 999.") == 3 * 20  # its title, and the message folded and unfolded
    assert text.count("Be brief.") == 2 * 20
    assert "no 900." not in text
    assert "999 earlier messages" in text


# A real browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        running = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


def test_in_a_browser_nothing_of_it_runs_and_no_request_goes_out(browser: Any, file: Path, tmp_path: Path) -> None:
    texts = [each for text in HOSTILE for each in hostile_lines(text)]
    output = tmp_path / "page.html"
    output.write_text(traced(file, *texts), encoding="utf-8")
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    shown = context.new_page()
    requested: list[str] = []
    problems: list[str] = []
    shown.on("request", lambda request: requested.append(request.url))
    shown.on("console", lambda line: problems.append(line.text))
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.add_init_script("window.hit = () => { document.title = 'hit' }")
    shown.goto(output.as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert shown.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"  # the style applies
    rows = shown.locator(".timeline a")
    rows.nth(0).focus()
    shown.keyboard.press("Enter")
    assert "#r1t1" in shown.url
    shown.mouse.move(200, 300)
    assert shown.title() == f"Trace of {file.name}"
    assert HOSTILE[0] in shown.inner_text("body")
    context.close()
    assert {each.partition("#")[0] for each in requested} == {output.as_uri()}
    assert problems == []


def test_what_makes_pages_is_loaded_by_this_command_alone() -> None:
    code = Path(command.__file__).read_text(encoding="utf-8")
    loaded = re.findall(r"^(?:from|import) (\S+)", code, re.MULTILINE)
    assert [name for name in loaded if name.startswith(("jinja2", "agentkit"))] == ["agentkit.cli.stores"]
