"""Calls as models and servers have written them, in reports to other projects: read as they were meant, or told."""

from typing import Any

import pytest

from tests.text.test_formats import parse_in_chunks


def tool(name: str, **properties: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}


TEXT, STRINGS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
TOOLS = [
    tool("exec", command=TEXT),
    tool("set_flag", enabled={"type": "boolean"}),
    tool("run_python", code=TEXT, refs=STRINGS, options={"type": "object"}, limit={"type": "integer"}),
    tool("calculator", function=TEXT, values={"type": "array", "items": {"type": "number"}}),
    tool("now"),
]
EXEC = [("exec", {"command": "ls"})]
DSML = "｜DSML｜"
Q = '<|"|>'
M3 = "]<]minimax[>["
QWEN = "<function=exec>\n<parameter=command>\nls\n</parameter>\n</function>"


def gemma(arguments: str) -> str:
    return f"<|tool_call>call:run_python{{{arguments}}}<tool_call|>"


@pytest.mark.parametrize(
    ("form", "text", "calls"),
    [
        # sgl-project/sglang#21377, exo-explore/exo#2281: ids that the model has copied wrongly
        *(
            pytest.param(
                "kimi",
                f'<|tool_call_begin|>{head}<|tool_call_argument_begin|>{{"command": "ls"}}<|tool_call_end|>',
                EXEC,
                id=head,
            )
            for head in ("functionsexec5", "functions.exec5", "functions_exec_5", "exec:0", "functions.exec:0")
        ),
        # tashfeenahmed/freellmapi#291, huggingface/smolagents#1119: the ">" is missing
        *(
            pytest.param("qwen_coder", f'<function=exec{between}{{"command": "ls"}}{end}</function>', EXEC, id=between)
            for between, end in (("", ""), ("=", ""), (",", ""), ("[]", ""), ("(", ")"), (">", ""))
        ),
        # lsdefine/GenericAgent#804: the bars of a server, but for "|", which prose has too
        *(
            pytest.param(
                "dsml",
                f'<{bar}DSML{bar}invoke name="set_flag"><{bar}DSML{bar}parameter name="enabled" string="false">true'
                f"</{bar}DSML{bar}parameter></{bar}DSML{bar}invoke>",
                [("set_flag", {"enabled": True})],
                id=bar,
            )
            for bar in ("｜", "｜｜", "‖")
        ),
        # zeroclaw-labs/zeroclaw#9820
        pytest.param(
            "nemotron",
            '<TOOLCALL>[calculator(function="multiply", values=[8734, 291]), now()]</TOOLCALL>',
            [("calculator", {"function": "multiply", "values": [8734, 291]}), ("now", {})],
            id="python between the tags of Nemotron",
        ),
        # vllm-project/vllm#48678: the token of a string stands for a quotation mark inside of one
        pytest.param(
            "gemma4",
            gemma(f"code:{Q}r = sql({Q}{Q}{Q} SELECT 1 {Q}{Q}{Q}).df(){Q},refs:[{Q}a{Q},{Q}b, c{Q}]"),
            [("run_python", {"code": 'r = sql(""" SELECT 1 """).df()', "refs": ["a", "b, c"]})],
            id="three marks",
        ),
        pytest.param(
            "gemma4",
            gemma(f"code:{Q}x = {{{Q}a{Q}: {Q}b{Q}}}{Q},limit:3"),
            [("run_python", {"code": 'x = {"a": "b"}', "limit": 3})],
            id="a dict in code",
        ),
        # sgl-project/sglang#39240: the first of these tokens is missing
        pytest.param(
            "gemma4",
            gemma(f"code:Paris, France{Q},limit:3"),
            [("run_python", {"code": "Paris, France", "limit": 3})],
            id="no opening token",
        ),
        # vllm-project/vllm#51284, hybridgroup/yzma#243
        pytest.param(
            "gemma4",
            gemma(f'refs:["a", \'b\'],options:{{"mode": "fast"}},code:{Q}look{Q}limit:90'),
            [("run_python", {"refs": ["a", "b"], "options": {"mode": "fast"}, "code": "look", "limit": 90})],
            id="plain marks and no comma",
        ),
        # vllm-project/vllm#51075, vllm-project/vllm-gaudi#1724
        *(
            pytest.param("minimax_m3", f"{M3}<tool_call>\n{inside}{M3}</invoke>{M3}</tool_call>", EXEC, id=name)
            for name, inside in {
                "the tag of the first parameter is missing": f'{M3}<invoke name="exec">{M3}ls{M3}</command>',
                "and the marker before its value": f'{M3}<invoke name="exec">ls{M3}</command>',
                "a bracket is missing": f'{M3}invoke name="exec">{M3}<command>ls{M3}</command>',
            }.items()
        ),
        # osaurus-ai/osaurus#1504
        *(
            pytest.param("gemma4", f"<|tool_call|>call:exec{arguments}<tool_call|>", EXEC, id=f"gemma4 {arguments}")
            for arguments in ('({"command": "ls"})', f"{{command:{Q}ls{Q}}}")
        ),
        # vllm-project/vllm#49248, #47190, fw-ai-external/python-sdk#119
        *(
            pytest.param("glm", f"<tool_call>{inside}</tool_call>", EXEC, id=inside)
            for inside in (
                "exec<arg_key>command</arg_key>ls</arg_value>",
                "execcommand</arg_key><arg_value>ls</arg_value>",
                "exec</arg_value><arg_key>command</arg_key><arg_value>ls</arg_value>",
            )
        ),
        pytest.param(
            "glm",
            "<tool_call>run_python<arg_key>code</arg_key><arg_value>1\n<arg_key>limit</arg_key><arg_value>3</arg_value>"
            "</tool_call>",
            [("run_python", {"code": "1", "limit": 3})],
            id="no tag between two arguments",
        ),
        # QwenLM/Qwen3.8#178, ollama/ollama#16383
        *(
            pytest.param("qwen_coder", f"<tool_call>\n{QWEN}\n{strays}\n</tool_call>", EXEC, id=strays)
            for strays in ("</function>", "</function_invocation>", "</function>\n</function_invocation>")
        ),
        # ollama/ollama#16398
        pytest.param(
            "qwen_coder",
            '<tool_call>\n<function name="exec">\n<parameter name="command">\nls\n</parameter>\n</function>\n'
            "</tool_call>",
            EXEC,
            id="names as attributes",
        ),
    ],
)
def test_a_call_is_read_as_it_was_meant(form: str, text: str, calls: list[Any]) -> None:
    got = parse_in_chunks(form, text, TOOLS)
    assert (got.calls, got.bad) == (calls, [])
    assert got.text.strip() == ""


@pytest.mark.parametrize(
    ("form", "text"),
    [
        # sgl-project/sglang#39435: without the parameter, the tool would run with its default
        pytest.param(
            "dsml",
            f'<{DSML}invoke name="set_flag">\n<parameter name="enabled">true</{DSML}parameter>\n</{DSML}invoke>',
            id="a tag without its token",
        ),
        pytest.param(
            "dsml",
            f'<{DSML}invoke name="set_flag">\n<parameter name="enabled">true</parameter>\n</{DSML}invoke>',
            id="both tags without their tokens",
        ),
        pytest.param(
            "dsml", f'<{DSML}invoke name="exec">command: ls</{DSML}invoke>', id="words in place of parameters"
        ),
        # vllm-project/vllm#55495: the second half of a command in a parameter without a name
        pytest.param(
            "qwen_coder",
            "<tool_call>\n<function=exec>\n<parameter=command>\ntimeout 7\n</parameter>\n<parameter=\nrm x\n"
            "</parameter>\n</function>\n</tool_call>",
            id="a parameter without a name",
        ),
        pytest.param(
            "minimax_m2",
            '<minimax:tool_call><invoke name="exec"><parameter name="command">a</parameter><parameter>b</parameter>'
            "</invoke></minimax:tool_call>",
            id="an element without a name",
        ),
        pytest.param(
            "nemotron",
            '<TOOLCALL>[calculator(function="subtract", values=[8734 * 291, 12])]</TOOLCALL>',
            id="a value that is no literal",
        ),
    ],
)
def test_a_call_of_which_a_part_can_not_be_read_is_told_and_not_run(form: str, text: str) -> None:
    got = parse_in_chunks(form, text, TOOLS)
    assert got.calls == []
    assert len(got.bad) == 1
    assert got.bad[0].reason


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("gemma4", "Give me a call:exec{command} or a call: {John}."),
        ("gemma4", "call: the doctor"),
        ("glm", "<tool_call>execute</arg_key> is markup"),
        ("qwen_coder", "</function> and </function_invocation> are tags"),
        ("qwen_coder", "<tool_call> begins with <function name of it"),
    ],
)
def test_words_that_are_also_in_the_markup_of_calls_stay_text(form: str, text: str) -> None:
    got = parse_in_chunks(form, text, TOOLS)
    assert (got.calls, got.bad, got.text) == ([], [], text)


def test_a_value_of_glm_that_shows_markup_of_another_tool_is_whole() -> None:
    shown = "<arg_key>other</arg_key><arg_value>x"
    text = f"<tool_call>exec<arg_key>command</arg_key><arg_value>echo '{shown}'</arg_value></tool_call>"
    assert parse_in_chunks("glm", text, TOOLS).calls == [("exec", {"command": f"echo '{shown}'"})]


def test_a_value_of_glm_does_not_replace_an_argument_that_was_given() -> None:
    shown = "<arg_key>code</arg_key><arg_value>evil()"
    text = (
        "<tool_call>run_python<arg_key>code</arg_key><arg_value>good()</arg_value><arg_key>options</arg_key>"
        f"<arg_value>{shown}</arg_value></tool_call>"
    )
    assert parse_in_chunks("glm", text, TOOLS).calls == [("run_python", {"code": "good()", "options": shown})]
