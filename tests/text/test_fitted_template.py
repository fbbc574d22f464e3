"""A chat template that is not a family's own is given the messages in the form that it takes, whatever that is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentkit import Agent, LightLLMClient, tool
from agentkit.errors import TranscriptError
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.fitted_template import FittedTemplate
from tests.support.lightllm_server import serve_lightllm

ALTERNATING = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<{{ message['role'] }}>{{ message['content'] | trim }}{% endfor %}"
)
PARTS = (
    "{% for message in messages %}<{{ message['role'] }}>{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)
SELECTED = (
    "{% for message in messages %}<{{ message['role'] }}>"
    "{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] }}{% endfor %}"
    "{% endfor %}"
)
BOTH = (
    "{% for message in messages %}<{{ message['role'] }}>{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{{ message['content'][0]['text'] }} (part){% endif %}{% endfor %}"
)
CALLS = (
    "{%% for message in messages %%}<{{ message['role'] }}>{{ message['content'] or '' }}"
    "{%% for call in message['tool_calls'] or [] %%}{{ '[' + call['function']['name'] + ' ' + %s + ']' }}{%% endfor %%}"
    "{%% endfor %%}"
)
AS_JSON, AS_VALUES = CALLS % "call['function']['arguments']", CALLS % "call['function']['arguments'] | tojson"
AS_SHOWN = CALLS % "(call['function']['arguments'] ~ '')"
BESIDE_NULL = (
    "{% for message in messages %}{% if message['role'] == 'assistant' and message['content'] is none %}"
    "{% for call in message['tool_calls'] %}{{ '<call>' + call['function']['arguments'] }}{% endfor %}"
    "{% else %}<{{ message['role'] }}>{{ message['content'] }}{% endif %}{% endfor %}"
)
SHORT_IDS = (
    "{% for message in messages %}{% for call in message.tool_calls or [] %}{% if call.id | length != 9 %}"
    "{{ raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{% endif %}{{ call.id }}"
    "{% endfor %}{% if message.role == 'tool' %}={{ message.tool_call_id }}{% endif %}{% endfor %}"
)
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "look_up",
            "description": "",
            "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
        },
    }
]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def system(text: str) -> dict[str, Any]:
    return {"role": "system", "content": text}


def called(text: str | None = None) -> list[dict[str, Any]]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"place": "Øy"}'}}
    return [
        user("Where?"),
        {"role": "assistant", "content": text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "There."},
    ]


def prompt(source: str, messages: list[dict[str, Any]], tools: list[dict[str, Any]] | None = None) -> str:
    with serve_lightllm(model="chat") as server:
        client = LightLLMClient("k", server.url, template=ChatTemplate(source))
        client.chat.completions.create("my-model", messages, tools=tools)
        return server.requests[-1].prompt


@pytest.mark.parametrize("source", [PARTS, SELECTED])
def test_texts_are_parts_for_a_template_that_would_leave_texts_out(source: str) -> None:
    assert prompt(source, [system("Be terse."), user("Hi")]) == "<system>Be terse.<user>Hi"


def test_texts_stay_texts_for_a_template_that_takes_them() -> None:
    assert prompt(BOTH, [user("Hi")]) == "<user>Hi"


def test_the_system_message_stands_in_the_question_for_a_template_that_refuses_it() -> None:
    refusing = "{{ raise_exception('System role not supported') if messages[0].role == 'system' }}" + ALTERNATING
    assert prompt(refusing, [system("Be terse."), user("Hi")]) == "<user>Be terse.\n\nHi"


def test_the_system_message_stands_in_the_question_for_a_template_that_leaves_it_out() -> None:
    source = (
        "{% for message in messages if message.role != 'system' %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    )
    assert prompt(source, [system("Be terse."), user("Hi")]) == "<user>Be terse.\n\nHi"


def test_messages_in_a_row_are_one_for_a_template_whose_roles_take_turns() -> None:
    said = {"role": "assistant", "content": "A"}
    assert prompt(ALTERNATING, [user("1"), user("2"), said, said, user("3")]) == "<user>1\n\n2<assistant>A\n\nA<user>3"


def test_instructions_in_the_middle_are_the_users_for_a_template_that_refuses_them() -> None:
    source = (
        "{% for message in messages %}{% if message.role == 'system' and not loop.first %}"
        "{{ raise_exception('System message must be at the beginning.') }}{% endif %}"
        "<{{ message.role }}>{{ message.content }}{% endfor %}"
    )
    assert prompt(source, [system("A"), user("1"), system("B")]) == "<system>A<user>1\n\nB"


def test_calls_and_results_are_texts_for_a_template_that_refuses_their_roles() -> None:
    written = prompt(ALTERNATING, called("Well."), TOOLS)
    assert written == (
        '<user>Where?<assistant>Well.\n\n{"name": "look_up", "arguments": {"place": "Øy"}}'
        "<user><tool_response>\nThere.\n</tool_response>"
    )


@pytest.mark.parametrize("source", [AS_JSON, AS_VALUES, AS_SHOWN])
def test_arguments_are_json_whether_a_template_writes_them_as_they_are_or_as_json(source: str) -> None:
    written = prompt(source, called(), TOOLS)
    assert written == '<user>Where?<assistant>[look_up {"place": "Øy"}]<tool>There.'


def test_calls_are_texts_for_a_template_that_leaves_them_out() -> None:
    source = "{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    assert prompt(source, called(), TOOLS) == (
        '<user>Where?<assistant>{"name": "look_up", "arguments": {"place": "Øy"}}'
        "<user><tool_response>\nThere.\n</tool_response>"
    )


def test_a_template_that_can_not_be_tried_is_given_all_as_it_is() -> None:
    source = "{{ language.upper() }}{% for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor %}"
    template = ChatTemplate(source)
    messages = [system("Be terse."), user("Hi")]
    assert FittedTemplate(template).render(messages, language="en") == "EN<system>Be terse.<user>Hi"


def test_calls_are_shown_by_a_template_that_shows_them_beside_null_alone() -> None:
    assert prompt(BESIDE_NULL, called(), TOOLS) == '<user>Where?<call>{"place": "Øy"}<tool>There.'
    with_text = prompt(BESIDE_NULL, called("Well."), TOOLS)
    assert with_text == '<user>Where?<assistant>Well.<call>{"place": "Øy"}<tool>There.'


def test_ids_of_calls_are_short_for_a_template_that_refuses_others() -> None:
    first, second = prompt(SHORT_IDS, called(), TOOLS).split("=")
    assert first == second
    assert len(first) == 9
    assert first.isalnum()


def test_what_a_template_refuses_in_every_form_is_an_error_with_its_first_words() -> None:
    refusing = "{{ raise_exception('Not ' ~ messages | length ~ ' messages!') if messages | length > 1 }}"
    with pytest.raises(TranscriptError, match="Not 3 messages!"):
        prompt(refusing, called(), TOOLS)


@tool
def noon() -> str:
    """Tells the time."""
    return "12:00"


@pytest.mark.parametrize("source", [ALTERNATING, PARTS, BESIDE_NULL])
def test_an_agent_with_tools_runs_with_a_template_that_knows_of_none(source: str, tmp_path: Path) -> None:
    path = tmp_path / "chat_template.jinja"
    path.write_text(source)
    with serve_lightllm(['{"tool": "noon", "arguments": {}}', '{"answer": "It is noon."}'], model="chat") as server:
        backend = f"lightllm:my-model@{server.url}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LIGHTLLM_TEMPLATE", str(path))
            result = Agent(backend, tools=[noon], instructions="Be terse.").run("What time is it?")
    assert (result.output, [record.response for record in result.tool_calls]) == ("It is noon.", ["12:00"])
    assert "Be terse." in server.requests[0].prompt
    assert "12:00" in server.requests[1].prompt


MESSAGES = st.lists(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "assistant"]), st.text()),
    min_size=1,
    max_size=6,
)


@given(messages=MESSAGES, begins=st.booleans())
def test_a_template_that_takes_all_is_given_all_as_it_is(messages: list[dict[str, Any]], begins: bool) -> None:
    template = ChatTemplate(AS_VALUES)
    messages = [system("Be terse."), *messages] if begins else messages
    assert FittedTemplate(template).render(messages) == template.render(messages)


def test_the_tag_of_training_is_no_error() -> None:
    source = "{% for message in messages %}{%- generation -%} {{ message.content }} {%- endgeneration -%}{% endfor %}!"
    assert prompt(source, [user("Hi")]) == "Hi!"
    kept = "{% set a = 1 %}{% generation %}{% set a = 2 %}{{ a }}{% endgeneration %}{{ a }}"
    assert ChatTemplate(kept).render([user("Hi")]) == "21"


SHOWS = (
    "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ image_token }}|{{ documents is none }}|"
    "{{ messages[0].content }}"
)
WANTED = "<b>|<e>|<u>|<i>|True|Hi"


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config.json": {"chat_template": SHOWS, "bos_token": "<b>", "eos_token": {"content": "<e>"}}},
        {"chat_template.json": {"chat_template": SHOWS}, "tokenizer_config.json": {"bos_token": "<b>"}},
        {"chat_template.jinja": f"\ufeff{SHOWS}", "tokenizer_config.json": {"bos_token": "<b>"}},
        {"tokenizer_config.json": {"chat_template": {"default": SHOWS, "tool_use": "tools"}, "bos_token": None}},
        {"chat_template.jinja": SHOWS, "additional_chat_templates/tool_use.jinja": "tools"},
    ],
)
def test_the_files_of_a_model_are_read_wherever_the_template_and_the_tokens_stand(
    files: dict[str, Any], tmp_path: Path
) -> None:
    more = {"bos_token": {"content": "<b>"}, "eos_token": "<e>", "unk_token": "<u>", "pad_token": None}
    files = {"special_tokens_map.json": {**more, "image_token": "<i>"}, **files}
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    template = ChatTemplate.from_file(tmp_path)
    assert template.render([user("Hi")]) == WANTED
    if "tool_use" in json.dumps(files):
        assert template.render([user("Hi")], TOOLS) == "tools"
    if "chat_template.json" in files:
        assert ChatTemplate.from_file(tmp_path / "chat_template.json").render([user("Hi")]) == WANTED


def test_the_template_for_tools_that_llama_cpp_tells_is_used() -> None:
    template = ChatTemplate.from_config({"chat_template": "plain", "chat_template_tool_use": "tools"}, "/props")
    assert (template.render([user("Hi")]), template.render([user("Hi")], TOOLS)) == ("plain", "tools")


@pytest.mark.parametrize("wrong", ["{{ 1 / 0 }}", "{% for i in range(10 ** 9) %}{% endfor %}", "{{ 'a'[3] + 'b' }}"])
def test_what_a_template_does_wrong_is_the_error_of_a_template(wrong: str) -> None:
    with pytest.raises(TranscriptError, match="the chat template"):
        prompt(wrong, [user("Hi")])
