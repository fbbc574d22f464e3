"""The package: an extra of its own, nothing of it loaded unless it is used, agents with it pickled."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import trace

from agentkit import Agent
from agentkit.telemetry import Otel, names
from agentkit.testing import ScriptedBackend
from tests.support.telemetry import Recorder, attributes

IMPORTS = """
from agentkit import Agent
from agentkit.telemetry import Otel
from agentkit.testing import ScriptedBackend
"""


def run(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_without_it_loads_nothing_of_opentelemetry() -> None:
    run(
        "import sys; from agentkit import Agent, Hook; from agentkit.testing import ScriptedBackend\n"
        "class Own(Hook):\n    def on_event(self, event):\n        pass\n"
        "Agent(ScriptedBackend('Hi.'), hooks=[Own()]).run('Go.')\n"
        "import agentkit.telemetry\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )


def test_without_opentelemetry_the_extra_is_named() -> None:
    said = run(
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from agentkit.errors import MissingExtraError\n"
        "try:\n    from agentkit.telemetry import Otel\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    assert "otel" in said
    assert "pip install" in said


def test_without_the_sdk_it_does_nothing() -> None:
    said = run(
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        f"{IMPORTS}"
        "agent = Agent(ScriptedBackend('Hi.', 'Ho.'), hooks=[Otel(content=True)])\n"
        "print(agent.run('Go.')); print(''.join(agent.stream_text('Go.')))\n"
    )
    assert said == "Hi.\nHo.\n"


def test_the_global_providers_may_be_set_later() -> None:
    said = run(
        f"{IMPORTS}"
        "agent = Agent(ScriptedBackend('Hi.', 'Ho.'), hooks=[Otel()])\n"
        "agent.run('Go.')\n"
        "from opentelemetry import metrics, trace\n"
        "from tests.support.telemetry import Recorder\n"
        "recorder = Recorder()\n"
        "trace.set_tracer_provider(recorder.tracers); metrics.set_meter_provider(recorder.meters)\n"
        "agent.run('Go.')\n"
        "print(recorder.tree(), len({name for name, _ in recorder.points()}))\n"
    )
    assert said == "[('invoke_agent agent', ['chat'])] 2\n"


def test_an_agent_with_it_can_be_pickled_after_a_run() -> None:
    agent = Agent(ScriptedBackend("Hi.", "Ho."), hooks=[Otel("clerk", content=True)])
    agent.run("Go.")
    copied = pickle.loads(pickle.dumps(agent))
    assert copied.run("Go.").output == "Ho."
    (hook,) = copied._executor.keywords["hooks"].hooks
    assert (hook.name, hook.content) == ("clerk", True)
    assert hook.inherited_as == Otel("other").inherited_as


def test_providers_of_its_own_are_used_and_tell_hooks_apart() -> None:
    one, other = Recorder(), Recorder()
    assert one.otel().inherited_as == one.otel("other", content=True).inherited_as != other.otel().inherited_as
    Agent(ScriptedBackend("Hi."), hooks=[one.otel(), other.otel()]).run("Go.")
    assert one.tree() == other.tree() == [("invoke_agent agent", ["chat"])]
    assert attributes(one.one("chat")) == attributes(other.one("chat"))


def test_a_trace_that_is_sampled_out_stays_so_in_the_tools() -> None:
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    from agentkit import tool

    recorder = Recorder()
    recorder.tracers.sampler = ALWAYS_OFF
    seen = []

    @tool
    def look() -> str:
        """Looks."""
        seen.append(trace.get_current_span().get_span_context())
        return "Seen."

    Agent(ScriptedBackend(("look", {}), "Hi."), tools=[look], hooks=[recorder.otel(content=True)]).run("Go.")
    assert recorder.ended == []
    assert seen[0].is_valid
    assert not seen[0].trace_flags.sampled
    assert {name for name, _ in recorder.points()} >= {names.OPERATION_DURATION, names.TOOL_DURATION}


def test_all_names_stand_in_one_table() -> None:
    folder = Path(names.__file__).parent
    for path in folder.glob("*.py"):
        if path.name != "names.py":
            assert '"gen_ai.' not in path.read_text(encoding="utf-8"), path.name
    assert names.CONVENTION == "semantic-conventions-genai v0.1.0"


@pytest.mark.parametrize("hooks", [1, 2])
def test_the_same_hook_twice_is_one_trace_each(hooks: int) -> None:
    recorder = Recorder()
    Agent(ScriptedBackend("Hi."), hooks=[recorder.otel()] * hooks).run("Go.")
    assert len(recorder.named("invoke_agent")) == hooks
