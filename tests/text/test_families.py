"""The registry of model families: those of other packages, what loads them, and how a name finds its family."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

from agentkit import Agent, ConfigurationError, tool
from agentkit.backends import LightLLMBackend
from agentkit.text.call_format import Format
from agentkit.text.chat_template import ChatTemplate
from agentkit.text.families import Family, Variant, families, family_named, family_of
from agentkit.text.formats.hermes import block
from agentkit.text.prompt import PromptMaker, template_of
from agentkit.text.special_tokens import neutralised, without_turns
from tests.support.growth import assert_linear
from tests.support.installed_families import installed
from tests.support.lightllm_server import serve_lightllm
from tests.support.model_server import serve, whole

TURN, CALL, THINK = "⟦turn⟧", "⟦call⟧", "⟦think⟧"
ODD = Family(
    "odd",
    patterns=("odd", "odd-qwen3"),
    template="{% for message in messages %}⟦turn⟧{{ message.content }}{% endfor %}",
    calls=Format("odd", starts=(CALL,), block=block, thinks=(THINK, "⟦/think⟧")),
    ends=("⟦end⟧",),
    forced=(CALL, CALL + "{name}"),
    image="⟦image⟧",
    variants=(Variant("odd-qwen3", {"variables": {"old": True}}),),
    special_tokens=(TURN,),
    markup=("⟦result⟧",),
    tags=("odd_result",),
)
MANY = (ODD, Family("odder", ("odder",), "", "agentkit.text.formats.hermes", ("e",), ("", "")))
NOTHING = object()
BAD_PATTERN = Family("bad", ("(",), "", "agentkit.text.formats.hermes", ("e",), ("", ""))
HERE = __name__


def test_a_family_of_another_package_comes_first(tmp_path: Path) -> None:
    found = family_of("odd-qwen3-8b")
    assert found is not None
    assert found.name == "qwen3"
    with installed(tmp_path, odd=f"{HERE}:ODD"):
        assert families()[0] is family_named("odd") is ODD
        found = family_of("Odd-Qwen3-8B")
        assert found is not None
        assert (found.name, found.variables) == ("odd", {"old": True})
        assert family_of("Qwen3-8B") == family_named("qwen3")


def test_an_entry_point_may_give_several_families(tmp_path: Path) -> None:
    with installed(tmp_path, odd=f"{HERE}:MANY"):
        assert [family.name for family in families()[:2]] == ["odd", "odder"]


def test_its_special_tokens_are_broken_for_every_model(tmp_path: Path) -> None:
    own = (TURN, "⟦end⟧", "⟦image⟧")
    stays = (CALL, THINK, "⟦/think⟧", "⟦result⟧", "<odd_result>", "</ODD_RESULT>")
    with installed(tmp_path, odd=f"{HERE}:ODD"):
        for token in (*own, *stays):
            assert neutralised(f"a{token}b") == f"a{token[0]} {token[1:]}b"
            assert (without_turns(token) == token) == (token in stays)
        prompt = PromptMaker(family_named("qwen3")).prompt([{"role": "user", "content": f"Hi {TURN}"}]).text
        assert "Hi ⟦ turn⟧" in prompt
        assert PromptMaker(ODD).prompt([{"role": "user", "content": f"Hi {TURN}"}]).text == "⟦turn⟧Hi ⟦ turn⟧"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no_such_package:FAMILY", "no_such_package"),
        (f"{HERE}:NO_SUCH_NAME", "NO_SUCH_NAME"),
        (f"{HERE}:NOTHING", "is not a Family"),
        (f"{HERE}:HERE", "is not a Family"),
        (f"{HERE}:BAD_PATTERN", "invalid pattern"),
    ],
)
def test_one_that_cannot_be_loaded_is_named_when_it_is_asked_for_and_breaks_nothing_else(
    value: str, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with installed(tmp_path, broken=value), caplog.at_level(logging.WARNING, "agentkit"):
        with serve_lightllm(["Hi."]) as server:
            assert Agent(LightLLMBackend("Qwen3-8B", server.url)).run("Hello").output == "Hi."
        with serve([whole("Hi.")]) as plain:
            assert Agent(f"openai:m@{plain.url}").run("Hello").output == "Hi."
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert value in caplog.text
        with pytest.raises(ConfigurationError, match=re.escape(value)) as raised:
            LightLLMBackend("m", family="broken")
        assert re.search(reason, str(raised.value))
        with pytest.raises(ConfigurationError, match=f"known are .*qwen3.*{re.escape(value)}"):
            family_named("unknown")


def test_a_template_may_be_a_file_and_an_unreadable_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "odd.jinja"
    file.write_text("{{ messages[0].content }}")
    made = Family("filed", (), file, "agentkit.text.formats.hermes", ("e",), ("", ""))
    assert isinstance(template_of(made), ChatTemplate)
    assert PromptMaker(made).prompt([{"role": "user", "content": "Hi"}]).text == "Hi"
    missing = Family("missing", (), tmp_path / "none.jinja", "agentkit.text.formats.hermes", ("e",), ("", ""))
    with pytest.raises(ConfigurationError, match=r"none\.jinja"):
        PromptMaker(missing)


@pytest.mark.parametrize(
    ("model", "family", "image"),
    [
        ("OpenGVLab/InternVL3-8B", "qwen2.5", "<image>\n"),
        ("Mistral-Small-3.2-24B-Instruct-2506", "mistral_v11", "[IMG]"),
        ("Mistral-Nemo-Instruct-2407", "mistral", None),
        ("Hermes-3-Llama-3.1-8B", "hermes", None),
        ("Qwen3-VL-8B", "qwen3", "<|vision_start|><|image_pad|><|vision_end|>"),
    ],
)
def test_a_vision_model_has_its_own_placeholder(model: str, family: str, image: str | None) -> None:
    found = family_of(model)
    assert found is not None
    assert (found.name, found.image) == (family, image)


@pytest.mark.parametrize(
    ("model", "family"),
    [
        *[("c4ai-command-r-plus", "command_r"), ("command-r-plus:104b", "command_r")],
        *[("c4ai-command-r-plus-08-2024", None), ("c4ai-command-r-08-2024", None), ("command-a-03-2025", None)],
        *[("c4ai-command-r7b-12-2024", "command_r7b"), ("c4ai-command-r7b-arabic-02-2025", None)],
        *[("CohereLabs/North-Mini-Code-1.0", "north"), ("North-Mini-Code-2.0", None)],
        *[("swiss-ai/Apertus-8B-Instruct-2509", "apertus"), ("Apertus-v2-8B-Instruct", None)],
        *[("GigaChat3-10B-A1.8B-Q4_K_M.gguf", "gigachat3"), ("ai-sage/GigaChat3.1-10B-A1.8B", "gigachat3.1")],
        *[("GigaChat3.5", None), ("LongCat-Flash-Chat", None), ("EXAONE-4.0-32B", None)],
    ],
)
def test_only_models_whose_template_is_known_have_a_family(model: str, family: str | None) -> None:
    found = family_of(model)
    assert (found.name if found else None) == family


def test_a_model_that_thinks_is_recognised_by_its_name() -> None:
    for model, thinks in (
        ("QwQ-32B", True),
        ("Qwen3-4B-Thinking-2507", True),
        ("Qwen3-Next-80B-A3B-Thinking", True),
        ("Qwen3.5-27B", True),
        ("Qwen3.5-0.8B", False),
        ("Qwen3-4B-Instruct-2507", False),
        ("Qwen3-4B", False),
    ):
        found = family_of(model)
        assert found is not None
        made = PromptMaker(found).prompt([{"role": "user", "content": "Hi"}])
        assert made.thinking is thinks
        assert made.text.endswith("<think>\n") is thinks


@pytest.mark.parametrize(
    ("family", "models"),
    [
        (
            "llama",
            "meta-llama/Llama-3.1-8B-Instruct Llama-3.3-70B-Instruct-AWQ llama3.3:70b-instruct-q4_K_M llama-3.1-8b",
        ),
        ("llama", "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf us.meta.llama3-3-70b-instruct-v1:0 llama-v3p1-8b-instruct"),
        ("llama", "/data/models--meta-llama--Llama-3.2-1B-Instruct/snapshots/0a1b llama3.2-vision:11b"),
        ("llama2", "meta-llama/Llama-2-7b-chat-hf llama2:7b llama-2-13b-chat.Q4_K_M.gguf"),
        ("llama3", "Meta-Llama-3-70B-Instruct llama3 llama3:8b-instruct-q4_0 llama3-70b-8192"),
        ("llama4", "meta-llama/Llama-4-Scout-17B-16E-Instruct llama4:scout Llama-4-Maverick-17B-128E-Instruct-FP8"),
        ("nemotron_nano_v2", "nvidia/NVIDIA-Nemotron-Nano-9B-v2 nemotron-nano-12b-v2:q8_0"),
        ("nemotron_super_v1.5", "nvidia/Llama-3_3-Nemotron-Super-49B-v1_5 llama-3.3-nemotron-super-49b-v1.5"),
        ("functionary_v3.1", "meetkai/functionary-medium-v3.1 functionary-small-v3.1.Q4_0.gguf"),
        ("functionary_v3.2", "meetkai/functionary-small-v3.2"),
        ("tinyllama", "TinyLlama/TinyLlama-1.1B-Chat-v1.0 tinyllama-1.1b-chat-v1.0.Q4_K_M.gguf"),
        ("firefunction_v2", "fireworks-ai/llama-3-firefunction-v2 firefunction-v2"),
        ("xlam2_llama", "Salesforce/Llama-xLAM-2-8b-fc-r"),
        ("xlam2", "Salesforce/xLAM-2-3b-fc-r xLAM-2-1b-fc-r-gguf"),
        (None, "NVIDIA-Nemotron-Nano-9B-v3 nvidia/Llama-3_3-Nemotron-Super-49B-v1 xLAM-7b-r functionary-small-v2.5"),
        ("olmo2", "allenai/OLMo-2-1124-7B-Instruct olmo-2-0425-1b-instruct-q4_k_m"),
        ("olmo3", "allenai/Olmo-3-7B-Instruct allenai/Olmo-3.1-32B-Instruct olmo-3:7b-instruct"),
        (None, "allenai/Olmo-3-7B-Think Olmo-4-7B-Instruct OLMo-7B-Instruct"),
        (None, "Llama-Guard-3-8B Llama-5-8B llama3.5:8b Llama-3.1-Tulu-3-8B CodeLlama-7b-Instruct-hf"),
        (None, "TinyLlama-1.1B-Chat-v0.3 dolphin-2.9-llama3-8b llava-llama-3-8b-v1_1 llama"),
    ],
)
def test_a_model_of_a_name_that_others_build_on_is_recognised_by_its_whole_name(
    family: str | None, models: str
) -> None:
    for model in models.split():
        found = family_of(model)
        assert (found.name if found else None) == family, model


@pytest.mark.parametrize(
    "beginning", ["qwen", "qwen3-", "internv", "mi", "z1", "step3", "-r", "nemotron", "llama-3.1-8b-", "--"]
)
def test_a_name_is_searched_in_linear_time(beginning: str) -> None:
    assert_linear(lambda count: family_of(beginning * count), 3_000)


def test_every_family_has_its_template_and_its_format_in_the_package() -> None:
    for family in families():
        assert isinstance(family.template, Path)
        assert family.template.is_file()
        assert callable(family.format.block)


@tool(read_only=True)
def now(zone: str) -> str:
    """Tell the time."""
    return f"9 in {zone} </>"


def test_a_family_of_another_package_in_one_file_runs_an_agent(tmp_path: Path) -> None:
    script = ['<hm>A zone.</hm>I look. <@now {"zone": "UTC"}<.></>', "It is 9.</>"]
    with installed(tmp_path, starling="tests.support.other_family:FAMILY"), serve_lightllm(script) as server:
        result = Agent(LightLLMBackend("starling-2-7b", server.url), tools=[now]).run("Time?")
        prompt = server.requests[1].prompt
        with serve([whole(script[0].partition("</hm>")[2]), whole("Nine.")]) as plain:
            left = Agent(f"openai:m@{plain.url}", tools=[now]).run("Time?")
    assert result.output == "It is 9."
    assert [record.arguments for record in (*result.tool_calls, *left.tool_calls)] == [{"zone": "UTC"}] * 2
    assert prompt.endswith('assistant: I look. <@now {"zone": "UTC"}<.></>\ntool: 9 in UTC < /></>\nassistant: ')


def test_a_forced_call_ends_where_a_token_of_the_call_does() -> None:
    for family in families():
        for beginning in family.forced or ():
            assert not beginning.endswith(" "), family.name  # a space is one token with what follows it


HOSTED = """
import sys
import agentkit
assert not [name for name in sys.modules if name.startswith("agentkit.text")], "import agentkit loads the families"
import agentkit.backends.openai as backend
backend.is_hosted = lambda url: True
agent = agentkit.Agent(backend.OpenAIBackend("gpt-5-mini", base_url=sys.argv[1], api_key="x"))
assert agent.run("Hello <|im_end|>").output == "Hi."
loaded = [name for name in sys.modules if name.startswith(("agentkit.text.families", "agentkit.text.formats."))]
assert not loaded, loaded
"""


def test_a_run_on_a_hosted_api_does_not_load_the_families() -> None:
    with serve([whole("Hi.")]) as server:
        done = subprocess.run([sys.executable, "-c", HOSTED, server.url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
