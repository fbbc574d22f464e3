"""Tests payloads, topics, projects, and the calls of the maze."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import ConfigurationError
from agentkit.backends.chat_protocol import laid_over
from agentkit.serving.mqtt.decoding import BadPayloadError
from agentkit.serving.mqtt.maze import FUNCTIONS, hint_payload, state_message, tools
from agentkit.serving.mqtt.model_fields import NOT_PASSED
from agentkit.serving.mqtt.payloads import (
    read_command,
    read_state,
    read_user_message,
    session_key,
    topic_level,
)
from agentkit.serving.mqtt.projects import Project, is_plain_topic, projects_named
from agentkit.session import checked_id
from tests.support.growth import assert_linear

MAZE, GENERAL = projects_named(["maze general"])


def read(payload: Any, project: Project = GENERAL) -> Any:
    return read_user_message(project, payload if isinstance(payload, bytes) else json.dumps(payload).encode())


def test_a_message_with_all_fields() -> None:
    parsed = read(
        {
            "sessionId": "s1",
            "message": "Hello",
            "temperature": 0.1,
            "topP": 0.5,
            "maxTokens": 64,
            "systemPrompt": "Be brief.",
            "prompt_template": {"content": "Be long."},
            "replyTopic": "general/assistant_response/s1/client/7",
            "clientId": "client",
            "requestId": "7",
            "stream": True,
        }
    )
    assert (parsed.session, parsed.text, parsed.system_prompt) == ("s1", "Hello", "Be brief.")
    assert parsed.sampling == {"temperature": 0.1, "top_p": 0.5, "max_tokens": 64}
    assert parsed.reply_topic == "general/assistant_response/s1/client/7"
    assert (parsed.client_id, parsed.request_id, parsed.stream) == ("client", "7", True)


def test_a_message_with_only_its_text() -> None:
    parsed = read({"message": "Hello"})
    assert parsed.session.startswith("default-")
    assert len(parsed.session) == len("default-") + 24 + len("-") + 8
    assert parsed.reply_topic == f"general/assistant_response/{parsed.session}"
    assert (parsed.sampling, parsed.system_prompt, parsed.stream) == ({}, None, False)
    assert read({"message": "x", "prompt_template": {"content": "Be long."}}).system_prompt == "Be long."


@pytest.mark.parametrize("payload", [b"Hello there", b'"Hello there"'])
def test_a_payload_that_is_not_an_object_is_the_message_itself(payload: bytes) -> None:
    parsed = read(payload)
    assert parsed.text == "Hello there"
    assert parsed.session.startswith("default-")


@pytest.mark.parametrize("payload", [b"", b"  ", b'{"message": " "}', b'{"message": null}', b"{}", b'""'])
def test_a_blank_message_is_none(payload: bytes) -> None:
    assert read(payload) is None


@pytest.mark.parametrize(("given", "session"), [(7, "7"), (7.5, "7.5"), ("  s ", "s")])
def test_an_id_may_be_a_number_and_is_stripped(given: Any, session: str) -> None:
    assert read({"message": "x", "sessionId": given}).session == session


@pytest.mark.parametrize("given", [None, "", " ", True, [], {}])
def test_an_invalid_id_is_replaced(given: Any) -> None:
    assert read({"message": "x", "sessionId": given}).session.startswith("default-")


@pytest.mark.parametrize(
    ("session", "level"),
    [
        ("a", "a"),
        ("a/b", "a%2Fb"),
        ("#", "%23"),
        ("+", "%2B"),
        ("a\0b", "a%00b"),
        ("Zoë", "Zoë"),
        ("$SYS", "$SYS"),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_an_id_is_one_level_of_a_topic(session: str, level: str) -> None:
    assert topic_level(session) == level
    assert read({"message": "x", "sessionId": session}).reply_topic == f"general/assistant_response/{level}"


def test_an_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="longer than 512 bytes"):
        read({"message": "x", "sessionId": "x" * 65_536})


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_id_gets_to_the_topic_or_the_store_of_another(one: str, other: str) -> None:
    first, second = one.strip(), other.strip()
    if not first or not second or first == second:
        return
    topics = [topic_level(first), topic_level(second)]
    assert all("/" not in topic and is_plain_topic(f"p/{topic}") for topic in topics if max(topic) < "\ud800")
    assert topics[0] != topics[1] or "\ufffd" in topics[0] or "?" in topics[0]
    keys = [checked_id(session_key(GENERAL, session)) for session in (first, second)]
    assert keys[0] != keys[1]


@pytest.mark.parametrize(
    "topic",
    [
        "general/assistant_response/",
        "general/assistant_response",
        "general/assistant_response/#",
        "general/assistant_response/s/+/1",
        "general/assistant_response/s/\0/1",
        "maze/assistant_response/s/c/1",
        "general/user_input",
        "/general/assistant_response/s/c/1",
        7,
        "general/assistant_response/s/" + "x" * 65_536,
    ],
)
def test_a_reply_topic_that_is_not_a_topic_of_answers_is_ignored(topic: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert read({"message": "x", "sessionId": "s", "replyTopic": topic}).reply_topic == "general/assistant_response/s"
    assert "ignored a replyTopic" in caplog.text


@pytest.mark.parametrize(
    ("given", "sampling"),
    [
        ({"temperature": "hot"}, {}),
        ({"temperature": -1}, {}),
        ({"temperature": True}, {}),
        ({"topP": 2}, {}),
        ({"maxTokens": 0}, {}),
        ({"maxTokens": 12.0}, {"max_tokens": 12}),
        ({"temperature": 0}, {"temperature": 0}),
    ],
)
def test_invalid_numbers_are_ignored(given: Any, sampling: Any) -> None:
    assert read({"message": "x", **given}).sampling == sampling


CUSTOM = {
    "thinking_budget": 256,
    "top_k": 20,
    "min_p": 0.05,
    "chat_template_kwargs": {"lang": "de"},
    "response_format": {"type": "json_object"},
    "stop": ["\n"],
    "anything": [{"at": "all"}],
}


def test_any_other_field_is_passed_on_to_the_model_server() -> None:
    assert read({"sessionId": "s", "message": "x", "topP": 0.5, **CUSTOM}).sampling == {"top_p": 0.5, **CUSTOM}
    message, state = read_state(MAZE, json.dumps({**STATE, **CUSTOM, "temperature": 0.1}).encode())
    assert message.sampling == {"temperature": 0.1, **CUSTOM}
    assert state_message(state) == state_message(STATE)


def test_numbers_may_have_the_names_of_the_model_server() -> None:
    assert read({"message": "x", "top_p": 0.5, "max_tokens": 7}).sampling == {"top_p": 0.5, "max_tokens": 7}
    assert read({"message": "x", "topP": 0.5, "top_p": 0.1}).sampling == {"top_p": 0.5}
    assert read({"message": "x", "max_tokens": "many"}).sampling == {}


def test_no_field_replaces_what_the_bridge_sends_itself() -> None:
    fields = {name: ["x"] for name in NOT_PASSED - {"stream"}}
    assert read({"message": "x", "top_k": None, **fields}).sampling == {}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"enable_thinking": True}, {"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": True}}),
        (
            {"chat_template_kwargs": {"enable_thinking": False, "a": 1}},
            {"enable_thinking": False, "chat_template_kwargs": {"enable_thinking": False, "a": 1}},
        ),
        (
            {"enable_thinking": True, "chat_template_kwargs": {"a": 1}},
            {"enable_thinking": True, "chat_template_kwargs": {"a": 1, "enable_thinking": True}},
        ),
        ({"chat_template_kwargs": "odd"}, {"chat_template_kwargs": "odd"}),
    ],
    ids=["old-form", "new-form", "both-fields", "no-object"],
)
def test_whether_the_model_thinks_is_sent_in_both_forms(given: Any, sent: Any) -> None:
    assert read({"message": "x", **given}).sampling == sent


def test_variables_of_a_template_are_added_to_those_of_the_project() -> None:
    project, message = {"top_k": 1, "chat_template_kwargs": {"a": 1, "b": 1}}, {"chat_template_kwargs": {"b": 2}}
    assert laid_over(project, message) == {"top_k": 1, "chat_template_kwargs": {"a": 1, "b": 2}}
    assert laid_over(project, {"top_k": 2}) == {**project, "top_k": 2}
    assert laid_over({}, message) == message


def test_fields_that_are_too_large_or_no_json_are_refused_or_become_text() -> None:
    assert read(b'{"message": "x", "a": NaN, "b": "\\ud800"}').sampling == {"a": "NaN", "b": "\ufffd"}
    for large in ({"a": "x" * 70_000}, {f"name{number}": number for number in range(10_000)}):
        with pytest.raises(BadPayloadError, match="the limit is 64,000"):
            read({"message": "x", **large})
    for depth in (400, 480, 900):
        deep = f'{{"message": "x", "a": {"[" * depth}{"]" * depth}}}'.encode()
        try:
            assert read(deep).text
        except BadPayloadError as error:
            assert "nested too deeply" in str(error)


def test_hostile_payloads_are_accepted_or_refused() -> None:
    deep = b'{"message": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert read(deep).text.startswith('{"message": [[')
    assert read({"message": {"a": [1]}}).text == '{"a": [1]}'
    for payload in (b"\xff\xfe\x00\x01" * 50, b"x" * 10_000_000, b"a\0b"):
        with pytest.raises(BadPayloadError):
            read(payload)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_none_or_refused(payload: bytes) -> None:
    try:
        parsed = read(payload)
    except BadPayloadError:
        return
    assert parsed is None or (parsed.text.strip() and is_plain_topic(parsed.reply_topic))


@pytest.mark.parametrize("around", [(b"", b"\0"), (b"", b"\0\0\0"), (b"\0", b""), (b"\xef\xbb\xbf", b"")])
def test_the_null_characters_around_a_payload_and_a_byte_order_mark_are_no_part_of_it(
    around: tuple[bytes, bytes],
) -> None:
    """Programs in C send them: influxdata/telegraf#7536, thin-edge/thin-edge.io#3866, collectd/collectd#4005,
    tuanpmt/espduino#10, nanomq/nanomq#2170."""
    before, behind = around
    for payload in (b'{"sessionId": "s", "message": "Hi"}', b"{'sessionId': 's', 'message': 'Hi'}"):
        parsed = read(before + payload + behind)
        assert (parsed.session, parsed.text) == ("s", "Hi")
    assert read(before + b"Hi" + behind).text == "Hi"
    message, fields = read_state(MAZE, before + b'{"sessionId": "m", "player_pos": [1, 1]}' + behind)
    assert (message.session, fields["player_pos"]) == ("m", [1, 1])
    for payload in (b'{"sessionId": "s"}', b"s", b'"s"'):
        assert read_command(GENERAL, "clear", None, before + payload + behind).session == "s"
    template = read_command(GENERAL, "template", None, before + b'{"template": "Be brief."}' + behind)
    assert template.template == "Be brief."


def test_null_characters_alone_are_no_message_and_clear_no_session() -> None:
    assert read(b"\0\0") is None
    with pytest.raises(BadPayloadError, match="empty"):
        read_command(GENERAL, "clear", None, b"\0")
    with pytest.raises(BadPayloadError, match="neither valid JSON nor text"):
        read(b"a\0b\0")


def test_json_in_utf_16_is_read_to_its_last_byte() -> None:
    """ibm-watson-iot/iot-nodered#32"""
    payload = json.dumps({"sessionId": "s", "message": "Größe"})
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert read(payload.encode(encoding)).text == "Größe"


def test_a_message_that_was_encoded_twice_is_read_and_a_text_of_json_stays_a_text() -> None:
    """node-red/node-red#869"""
    parsed = read(json.dumps(json.dumps({"sessionId": "s", "message": "Hi"})).encode())
    assert (parsed.session, parsed.text) == ("s", "Hi")
    assert read(json.dumps('{"a": 1}').encode()).text == '{"a": 1}'
    assert read_command(GENERAL, "clear", None, json.dumps('{"sessionId": "s"}').encode()).session == "s"
    with pytest.raises(BadPayloadError, match="as valid JSON only"):
        read(json.dumps(json.dumps({"sessionId": "s", "approve": True})).encode())


def test_a_whole_number_is_the_same_session_in_any_form() -> None:
    """Godot writes each number of parsed JSON with a fraction: godotengine/godot#108288,
    yurineko73/Godot-MCP-Native#16."""
    for payload in (b'{"sessionId": 7, "message": "x"}', b'{"sessionId": 7.0, "message": "x"}'):
        parsed = read(payload)
        assert (parsed.session, parsed.reply_topic) == ("7", "general/assistant_response/7")
    assert read_command(GENERAL, "clear", None, b'{"sessionId": 7.0}').session == "7"


def test_a_message_may_name_its_session_as_a_command_does() -> None:
    parsed = read({"session_id": "s", "message": "Hi", "top_k": 3})
    assert (parsed.session, parsed.sampling) == ("s", {"top_k": 3})
    assert read({"sessionId": "a", "session_id": "b", "message": "Hi"}).session == "a"
    assert read({"sessionId": None, "session_id": "b", "message": "Hi"}).session == "b"


@pytest.mark.parametrize(
    "written",
    [
        {"Message": "Hi", "SessionId": "s", "ReplyTopic": "general/assistant_response/s/1", "RequestId": 7},
        {"message": "Hi", "session_id": "s", "reply_topic": "general/assistant_response/s/1", "request_id": "7"},
        {"message": "Hi", "sessionID": "s", "replytopic": "general/assistant_response/s/1", "REQUEST-ID": 7.0},
        {"message": "Hi", "session": "s", "reply-topic": "general/assistant_response/s/1", "requestID": "7"},
    ],
)
def test_the_names_of_fields_are_read_in_the_form_of_each_language(written: Any) -> None:
    """.NET writes `SessionId`, Python `session_id`: dotnet/corefx#41174, IvanMurzak/Unity-MCP#352,
    BlazorExtensions/SignalR#39."""
    given = {"System_Prompt": "Be brief.", "MaxTokens": 9, "top_p": 0.5, "Stream": True, "ClientID": "c", "top_k": 3}
    for payload in ({**written, **given}, json.dumps({**written, **given}), str({**written, **given})):
        parsed = read(payload.encode() if isinstance(payload, str) else payload)
        assert (parsed.text, parsed.session, parsed.request_id, parsed.client_id) == ("Hi", "s", "7", "c")
        assert (parsed.reply_topic, parsed.system_prompt) == ("general/assistant_response/s/1", "Be brief.")
        assert (parsed.stream, parsed.sampling) == (True, {"max_tokens": 9, "top_p": 0.5, "top_k": 3})


def test_a_field_under_its_own_name_comes_before_another_form_of_it() -> None:
    parsed = read(
        {"Message": "no", "message": "Hi", "SessionId": "b", "sessionId": "a", "max_tokens": 5, "maxTokens": 6}
    )
    assert (parsed.text, parsed.session, parsed.sampling) == ("Hi", "a", {"max_tokens": 6})
    message, state = read_state(MAZE, b'{"PlayerPos": [1, 1], "oxygen_pellets": [], "SessionID": "m", "Goal": 3}')
    assert (message.session, message.sampling) == ("m", {"Goal": 3})
    assert {"player_pos", "oxygenPellets"} <= state.keys()


def test_a_command_and_a_decision_are_read_in_the_form_of_each_language() -> None:
    for payload in (b'{"SessionId": "s"}', b'{"session": "s"}', b'{"Target": "s"}'):
        assert read_command(GENERAL, "delete", None, payload).session == "s"
    set_prompt = read_command(
        GENERAL, "template", None, b'{"SessionID": "s", "systemPrompt": "Be brief.", "Reset": false}'
    )
    assert (set_prompt.session, set_prompt.template, set_prompt.reset) == ("s", "Be brief.", False)
    decision = read({"SessionId": "s", "Approve": {"c1": True}, "Asked": "5b"})
    assert (decision.approve, decision.asked) == ({"c1": True}, "5b")
    with pytest.raises(BadPayloadError, match="valid JSON only"):
        read(b"{'SessionId': 's', 'Approve': {'c1': True}}")


@pytest.mark.parametrize(
    ("given", "sampling", "streams"),
    [
        ({"temperature": "0.5", "maxTokens": "100", "topP": " 1 ", "stream": "true"}, (0.5, 100, 1), True),
        ({"temperature": "0", "maxTokens": "7.0", "stream": 1}, (0, 7, None), True),
        ({"temperature": "nan", "maxTokens": "inf", "topP": "1e999", "stream": "false"}, (None, None, None), False),
        ({"temperature": "9" * 1000, "maxTokens": "", "topP": [], "stream": 0}, (None, None, None), False),
        ({"stream": "yes please"}, (None, None, None), False),
    ],
)
def test_numbers_and_switches_may_be_texts(given: Any, sampling: Any, streams: bool) -> None:
    """As templates write them: Koenkk/zigbee2mqtt#7066, home-assistant/core#8788, TheAgentK/tuya-mqtt#46."""
    parsed = read({"message": "x", **given})
    assert tuple(parsed.sampling.get(name) for name in ("temperature", "max_tokens", "top_p")) == sampling
    assert parsed.stream is streams


# ---- commands


@pytest.mark.parametrize(
    ("level", "payload", "session"),
    [
        (None, b"", None),
        (None, b"{}", None),
        (None, b'{"target": "all"}', None),
        (None, b'{"sessionId": "s"}', "s"),
        (None, b'{"session_id": "s"}', "s"),
        (None, b'{"target": "s"}', "s"),
        ("t", b"", "t"),
        ("t", b'{"sessionId": "s"}', "s"),
        ("all", b"", None),
    ],
)
def test_a_command_names_a_session_or_all(level: str | None, payload: bytes, session: str | None) -> None:
    assert read_command(MAZE, "clear", level, payload).session == session


@pytest.mark.parametrize("kind", ["clear", "delete", "template"])
@pytest.mark.parametrize(
    ("level", "fields"),
    [
        (None, {"sessionId": ""}),
        (None, {"session_id": "  "}),
        (None, {"sessionId": None}),
        (None, {"sesionId": "p1"}),
        ("s", {"sessionId": ""}),
        ("", {}),
        (" ", {}),
        ("%20", {}),
    ],
)
def test_a_session_that_is_empty_or_misspelt_does_not_mean_all(
    kind: str, level: str | None, fields: dict[str, Any]
) -> None:
    with pytest.raises(BadPayloadError, match="session id"):
        read_command(MAZE, kind, level, json.dumps({"template": "Be kind.", **fields}).encode())


def test_a_field_that_is_none_of_a_command_does_not_delete_all() -> None:
    with pytest.raises(BadPayloadError, match="none with a session id"):
        read_command(MAZE, "delete", None, b'{"player": "p1"}')
    assert read_command(MAZE, "delete", "p1", b'{"player": "p2"}').session == "p1"
    assert read_command(MAZE, "template", None, b'{"template": "Be kind.", "version": 3}').session is None


@pytest.mark.parametrize(
    ("given", "read_as"),
    [(7, "7"), (7.0, "7"), (-1e15, "-1000000000000000"), (7.5, ""), (True, ""), (None, ""), ("a", "a")],
)
def test_a_request_id_may_be_a_whole_number_in_any_form(given: Any, read_as: str) -> None:
    """Godot writes all numbers that it has read from JSON with a point."""
    assert read({"message": "x", "sessionId": "s", "requestId": given}).request_id == read_as


def test_request_ids_that_differ_only_at_their_end_are_two() -> None:
    ids = [read({"message": "x", "sessionId": "s", "requestId": "x" * 300 + end}).request_id for end in "aab"]
    assert ids[0] == ids[1] != ids[2]
    assert [len(each) for each in ids] == [200, 200, 200]
    assert ids[0].startswith("x" * 100)


@pytest.mark.parametrize("name", ["template", "system_prompt", "prompt_template"])
@pytest.mark.parametrize("form", [lambda text: text, lambda text: {"content": text}, lambda text: {"template": text}])
def test_a_template_comes_in_several_forms(name: str, form: Any) -> None:
    parsed = read_command(MAZE, "template", None, json.dumps({name: form("Be kind."), "reset": False}).encode())
    assert (parsed.template, parsed.reset, parsed.session) == ("Be kind.", False, None)


def test_a_template_without_text_is_refused() -> None:
    with pytest.raises(BadPayloadError, match="no text"):
        read_command(MAZE, "template", None, b'{"template": " "}')


# ---- the maze


STATE = {
    "sessionId": "s",
    "player_pos": {"x": 1, "y": 2},
    "exit_pos": [9, 9],
    "visible_map": [[0, 1], [1, 0]],
    "germs": [{"x": 3, "y": 4}, [5, 6]],
    "oxygenPellets": [[7, 8]],
    "oxygenCollected": 2,
}


def test_a_state_becomes_a_message() -> None:
    assert state_message(STATE) == (
        '{"player_pos":[1,2],"exit_pos":[9,9],"visible_map":[[0,1],[1,0]],"germs":[[3,4],[5,6]],'
        '"oxygen":[[7,8]],"oxygen_collected":2}'
    )


def test_a_state_with_what_json_cannot_represent_becomes_a_message() -> None:
    _, state = read_state(
        MAZE, b'{"oxygenCollected": NaN, "visible_map": [["\\ud800", -Infinity]], "germs": [[1e999, 2]]}'
    )
    assert json.loads(state_message(state))["oxygen_collected"] == "NaN"
    assert json.loads(state_message(state))["visible_map"] == [["\ufffd", "-Infinity"]]
    assert json.loads(state_message(state))["germs"] == []
    for depth in (450, 600, 900):
        with contextlib.suppress(BadPayloadError):
            state_message(read_state(MAZE, f'{{"visible_map": {"[" * depth}{"]" * depth}}}'.encode())[1])


def test_a_repeated_state_is_marked() -> None:
    first, _, second = state_message(STATE, 2, 1).partition("\n\n")
    assert first == state_message(STATE)
    parsed = json.loads(second.removeprefix("STUCK_CONTEXT: "))
    assert (parsed["stuck"], parsed["state_repeat_count"], parsed["assistant_repeat_count"]) == (True, 2, 1)
    assert parsed["instruction"]


def call(name: str, arguments: Any) -> Any:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"id": "c", "type": "function", "function": {"name": name, "arguments": text}}


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        ([("break_wall", {"x": 1, "y": 2})], {"break_wall": [1, 2]}),
        ([("break_walls", {"walls": [[1, 2], {"x": 3, "y": 4}]})], {"break_walls": [[1, 2], [3, 4]]}),
        ([("break_walls", {"walls": [[1, 2]]})] * 2, {"break_walls": [[1, 2], [1, 2]]}),
        ([("speed_boost", {})], {"speed_boost_ms": 1500}),
        ([("slow_germs", {"duration_ms": 100})], {"slow_germs_ms": 100}),
        ([("freeze_germs", {"duration_ms": "900"})], {"freeze_germs_ms": 900}),
        ([("teleport_player", {"x": "1", "y": 2.0})], {"teleport_player": [1, 2]}),
        ([("spawn_oxygen", {"locations": [[1, 2]]})] * 2, {"spawn_oxygen": [[1, 2], [1, 2]]}),
        ([("move_exit", {"x": 1, "y": 2})], {"move_exit": [1, 2]}),
        ([("highlight_zone", {"cells": [[1, 1]]})], {"highlight_zone": [[1, 1]], "highlight_ms": 5000}),
        ([("reveal_map", {"enabled": True})], {"reveal_map": True}),
        ([("reveal_map", {"enabled": "false"})], {"reveal_map": False}),
        ([("break_wall", {"x": "left", "y": 2})], {}),
        ([("break_wall", "no JSON at all")], {}),
        ([("no_such_function", {"x": 1})], {}),
        ([("speed_boost", {}), ("reveal_map", {"enabled": True})], {"speed_boost_ms": 1500, "reveal_map": True}),
    ],
)  # fmt: skip
def test_calls_become_keys_of_the_hint(made: Any, hint: Any) -> None:
    assert hint_payload("Go left.", [call(name, arguments) for name, arguments in made]) == {"hint": "Go left.", **hint}


MOVE = {"hint": "Go up.", "path": [[1, 1], [1, 2]], "break_wall": [1, 2], "breaks_remaining": 3}


@pytest.mark.parametrize(
    "form",
    [
        "{}",
        " \n{}\n",
        "```json\n{}\n```",
        "```\n{}\n```",
        "```JSON {} ```",
        "~~~json\n{}\n~~~",
        "`{}`",
        "<think>Hm, {{1}}?</think>\n{}",
        "Up or down? Up.\n</think>\n\n```json\n{}\n```",
    ],
)
def test_a_reply_that_is_one_json_object_is_the_hint(form: str) -> None:
    for text in (json.dumps(MOVE), json.dumps(MOVE, indent=2)):
        assert hint_payload(form.format(text), []) == MOVE


def test_the_keys_of_calls_are_above_those_of_a_json_reply() -> None:
    made = [call("spawn_oxygen", {"locations": [[1, 2]]}), call("break_wall", {"x": 7, "y": 8})]
    text = json.dumps({**MOVE, "spawn_oxygen": [[9, 9]]})
    assert hint_payload(text, made) == {**MOVE, "spawn_oxygen": [[1, 2]], "break_wall": [7, 8]}
    assert hint_payload('{"path": []}', []) == {"hint": "", "path": []}
    assert hint_payload('{"hint": null}', []) == {"hint": ""}


@pytest.mark.parametrize(
    "text",
    [
        "Go up.",
        "",
        "[[1, 1]]",
        '"up"',
        "{}{}",
        '{"hint": "cut',
        'Here it is: {"hint": "up"}',
        '```json\n{"hint": "up"}\n```\nGood luck!',
        '```json\n{"hint": "up"}',
        "{'hint': 'up'}",
        "<think>up</think>",
        "`" * 50,
        "{" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"a": ' + "1" * 5_000 + "}",
    ],
    ids=lambda text: text[:12] + str(len(text)),
)
def test_any_other_reply_is_the_text_of_the_hint(text: str) -> None:
    assert hint_payload(text, []) == {"hint": text}


def test_a_json_reply_is_json_that_every_game_can_read() -> None:
    hint = hint_payload('{"a": NaN, "b": 1e999, "c": "\\ud800", "\\udc00": [Infinity], "hint": "two\nlines"}', [])
    assert json.loads(json.dumps(hint, ensure_ascii=False, allow_nan=False).encode()) == {
        "hint": "two\nlines", "a": "NaN", "b": "Infinity", "c": "\ufffd", "\ufffd": ["Infinity"]
    }  # fmt: skip


@given(st.text(alphabet='{}[]":,`~ \n\\a1<>/think', max_size=60))
def test_any_text_of_a_reply_makes_a_hint(text: str) -> None:
    hint = hint_payload(text, [])
    assert isinstance(hint["hint"], str) or text.strip(" \n`~")
    json.dumps(hint, ensure_ascii=False, allow_nan=False).encode()


def test_reading_a_reply_is_linear() -> None:
    for piece in ("`", "{", "</think>", '{"a":1}', "```json\n{"):
        assert_linear(lambda size, piece=piece: hint_payload(piece * (size // len(piece)), []), 20_000)  # type: ignore[misc]


def test_the_game_has_ten_functions() -> None:
    assert [tool.name for tool in tools()] == list(FUNCTIONS)
    assert len(FUNCTIONS) == 10


# ---- projects


def test_projects_are_named_in_many_ways() -> None:
    for names in (["maze driving"], ["maze,driving"], ["maze", "driving"], ["maze, driving", "maze"]):
        assert [project.name for project in projects_named(names)] == ["maze", "driving"]
    own = projects_named(["my_game"])[0]
    assert (own.user_input, own.answers, own.state) == ("my_game/user_input", "my_game/assistant_response", None)


@pytest.mark.parametrize("form", ["toml", "yaml"])
def test_projects_are_read_from_a_file(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"projects.{form}"
    tool = "agentkit_tools:search"
    if form == "toml":
        quiz_text = f'[quiz]\nsystem_prompt = "Ask."\ntools = ["{tool}"]\ntemperature = 0.2\ntop_k = 20\n'
        quiz_text += "thinking_budget = 256\nchat_template_kwargs = {a = 1}\n"
        file.write_text(f'{quiz_text}[maze]\ntool_choice = "required"\n')
    else:
        quiz_text = f"quiz:\n  system_prompt: Ask.\n  tools: ['{tool}']\n  temperature: 0.2\n  top_k: 20\n"
        quiz_text += "  thinking_budget: 256\n  chat_template_kwargs: {a: 1}\n"
        file.write_text(f"{quiz_text}maze:\n  tool_choice: required\n")
    quiz, maze = projects_named([], file)
    assert (quiz.system_prompt, quiz.tools) == ("Ask.", ("agentkit_tools:search",))
    assert quiz.sampling == {"temperature": 0.2, "top_k": 20, "thinking_budget": 256, "chat_template_kwargs": {"a": 1}}
    assert (maze.tool_choice, maze.game, maze.state) == ("required", True, "maze/state")
    assert [project.name for project in projects_named(["quiz"], file)] == ["quiz"]


@pytest.mark.parametrize(
    ("names", "text", "error"),
    [
        ([], "", "no project given"),
        (["a/b"], "", "not a valid project name"),
        (["a"], "[a]\nsytem_prompt = 'x'\n", "unknown setting 'sytem_prompt': did you mean 'system_prompt'"),
        (["a"], "[a]\ntemprature = 1\n", "did you mean 'temperature'"),
        (["a"], "[a]\nmodel = 'x'\n", "model can't be set: it is"),
        (["a"], "[a]\nday = 2026-11-28\n", "can't be sent to the model server"),
        (["a"], '[a]\ntools = "x"\n', "tools must be a list"),
        (["a"], "[a]\nsystem_prompt = 7\n", "is not of type str"),
        (["a"], '[a]\nuser_input = "a/#"\n', "is not a valid topic"),
        (["a"], "a = 1\n", "not a valid projects file"),
        (["a"], "[a\n", "can't read the projects file"),
        (["a", "b"], '[a]\nuser_input = "x"\n[b]\nuser_input = "x"\n', "both use the topic x"),
    ],
)
def test_an_invalid_project_is_an_error(tmp_path: Path, names: list[str], text: str, error: str) -> None:
    file = tmp_path / "projects.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=error):
        projects_named(names, file)


def test_a_letter_that_is_not_utf_8_costs_a_payload_nothing_else() -> None:
    """Thokoop/billy-b-assistant#35, micropython-mqtt#66: devices write their letters as Latin-1."""
    written = (
        '{"sessionId": "door", "message": "Es steht jemand vor der T\u00fcr", "temperature": 0.5, "requestId": "7"}'
    )
    read = read_user_message(GENERAL, written.encode("latin-1"))
    assert read is not None
    assert (read.session, read.text, read.request_id) == ("door", "Es steht jemand vor der T\ufffdr", "7")
    assert read.sampling == {"temperature": 0.5}
    told = json.dumps({**STATE, "sessionId": "m1", "note": "?"}).encode().replace(b"?", b"\xfc")
    message, state = read_state(MAZE, told)
    assert (message.session, state["note"]) == ("m1", "\ufffd")


@pytest.mark.parametrize(
    "payload",
    [
        "{'sessionId': 'door', 'message': 'It rings', 'requestId': 7}",
        '{"sessionId": "door", "message": "It rings", "requestId": "7",}',
        '{"sessionId": "door", "message": "It rings" "requestId": "7"}',
        "\ufeff{sessionId: 'door', message: 'It rings', requestId: '7'}\r\n",
    ],
)
def test_a_payload_that_is_nearly_json_has_its_fields(payload: str) -> None:
    """emqx/MQTTX#1895, dl9rdz/rdz_ttgo_sonde#45: devices that can't write double quotation marks, or write one comma
    too many; the answer went to a session that nobody knew."""
    found = read(payload.encode())
    assert found is not None
    assert (found.session, found.text, found.request_id) == ("door", "It rings", "7")


def test_a_decision_and_a_command_are_taken_as_valid_json_only() -> None:
    with pytest.raises(BadPayloadError, match="valid JSON only"):
        read(b"{'sessionId': 'door', 'approve': {'call_1': True},}")
    with pytest.raises(BadPayloadError):
        read_command(MAZE, "delete_session", None, b"{'sessionId': 'door',}")


@pytest.mark.parametrize("text", ["{hello}", "{'a': 1}", "{x: 'y',}", '{"message": "cut', "I wrote {message: 'x'}"])
def test_a_text_with_braces_is_a_message(text: str) -> None:
    found = read(text.encode())
    assert found is not None
    assert found.text == text
    assert found.session.startswith("default-")


def test_a_state_that_is_nearly_json_is_one() -> None:
    _, state = read_state(MAZE, str({**STATE, "sessionId": "m1"}).encode())
    assert state == {**STATE, "sessionId": "m1"}


def test_reading_what_is_nearly_json_is_linear() -> None:
    assert_linear(lambda size: read(b"{'message': 'x', " + b"'a': 'b' " * size + b"}"), 1000)
