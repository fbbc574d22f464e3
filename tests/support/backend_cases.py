"""The backends that the suite in tests/backends/test_every_backend*.py runs on, and the scenes that their models play.

To add a backend, write a function that takes a scene and a Stage and returns the backend, with a model behind it that
does what the scene says, and add it to BACKENDS with the scenes that it can play and what else it supports. A scripted
model takes its words from SCRIPTS, so that its part is only how they are written on the wire. Nothing else changes:
each test of the suite says which scenes it needs, and runs on every backend that plays them.
"""

import functools
import itertools
import json
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

import httpx2
import openai
import pytest

from agentkit.backend import Backend, ReplyStream, Request
from agentkit.backends import ExtractiveBackend, GGUFBackend, LightLLMBackend, OpenAIBackend, ResponsesBackend
from agentkit.message import Message
from agentkit.middleware.base import Middleware
from agentkit.middleware.sampling import Sampling
from agentkit.providers import resolve
from agentkit.testing import ScriptedBackend
from tests.support.lightllm_server import Asked, Says, serve_lightllm
from tests.support.model_server import Answer, delta, response, serve, streamed, whole
from tests.support.model_server import Asked as AskedInChat
from tests.support.ports import refusing_port
from tests.support.vlmrun_gate import KEY as VLMRUN_KEY
from tests.support.vlmrun_gate import vlmrun_before

KEY = "sesame-open-now"
CONTEXT = 8192
"""Tokens of context of each model; those that are scripted know none but LightLLM's."""


class Scene(Enum):
    """What the model does in the requests of a test, one after the other, from the start again after the last."""

    ANSWERS = "answers in words"
    THINKS = "reasons, then answers in the same reply"
    CALLS = "calls search, then answers"
    CALLS_BOTH = "calls search and research in one reply, then answers"
    CALLS_RESEARCH = "calls research, then answers"
    CALLS_WRONGLY = 'calls search with "most" as a string that is not a number, then answers'
    FILLS = "writes a city as JSON"
    GIVES = "calls final_answer with a city"
    TALKS = "writes a reply that takes TALK seconds or longer"
    REFUSES = "refuses a prompt of LONG characters, and answers others"
    IS_DOWN = "there is no server"


TALK = 5.0
LONG = 30_000


@dataclass(frozen=True)
class Spoken:
    """One reply of a scripted model. calls: names and arguments."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()


_ANSWER = Spoken("It is done.")
_CITY = {"name": "v", "population": 7}
SCRIPTS: dict[Scene, tuple[Spoken, ...]] = {
    Scene.ANSWERS: (_ANSWER,),
    Scene.THINKS: (Spoken("Twelve.", reasoning="Five and seven."),),
    Scene.CALLS: (Spoken(calls=(("search", {"query": "v"}),)), _ANSWER),
    Scene.CALLS_BOTH: (Spoken(calls=(("search", {"query": "v"}), ("research", {"query": "v"}))), _ANSWER),
    Scene.CALLS_RESEARCH: (Spoken(calls=(("research", {"query": "v"}),)), _ANSWER),
    Scene.CALLS_WRONGLY: (Spoken(calls=(("search", {"query": "v", "most": "v"}),)), _ANSWER),
    Scene.FILLS: (Spoken(json.dumps(_CITY)),),
    Scene.GIVES: (Spoken(calls=(("final_answer", _CITY),)),),
    Scene.TALKS: (Spoken("word " * 500),),
    Scene.REFUSES: (_ANSWER,),
    Scene.IS_DOWN: (_ANSWER,),
}
"""What a scripted model says. The tiny model of llama.cpp writes the same calls and JSON itself; its string is "v"."""


@dataclass
class Stage:
    """What a backend is built from. sampling: the backend's own sampling fields. resources: what ends with the test."""

    sampling: dict[str, Any]
    resources: ExitStack
    fixtures: pytest.FixtureRequest

    def fixture(self, name: str) -> Any:
        """A fixture of tests/conftest.py: tiny_model, llama, ..."""
        return self.fixtures.getfixturevalue(name)


@dataclass(frozen=True)
class BackendCase:
    """One backend of the suite.

    make: builds it for a scene. plays: the scenes that its model can play. has_server: whether it has one, which may be
    down. reports_tokens: whether its usage has tokens. takes_sampling: whether max_tokens cuts its replies. is_random:
    whether its model samples. wrong_field: a sampling field that raises ConfigurationError. context_length: what it
    knows after it was asked. images: what becomes of an image in a request; "unknown" where nothing is sent. has_close:
    whether it can't be used after close().
    """

    make: Callable[[Scene, Stage], Backend]
    plays: frozenset[Scene]
    has_server: bool = True
    reports_tokens: bool = True
    takes_sampling: bool = True
    is_random: bool = True
    wrong_field: str = "messages"
    context_length: int | None = CONTEXT
    images: Literal["sent", "replaced", "unknown"] = "replaced"
    has_close: bool = True


@dataclass
class Player:
    """A backend case in one test: `play` returns backends of it, which are closed after the test."""

    case: BackendCase
    resources: ExitStack
    fixtures: pytest.FixtureRequest

    def play(self, scene: Scene, **sampling: Any) -> Backend:
        """A new backend whose model plays a scene."""
        backend = self.case.make(scene, Stage(sampling, self.resources, self.fixtures))
        self.resources.callback(backend.close)
        return backend


# ---- scripted


def _scripted(scene: Scene, stage: Stage) -> Backend:
    def refusing(messages: list[Message]) -> Any:
        return _refusal() if len(str(messages[-1]["content"])) >= LONG else _ANSWER.text

    said = [_as_step(spoken) for spoken in SCRIPTS[scene]] * 9
    if scene is Scene.IS_DOWN:
        return ScriptedBackend(*[openai.APIConnectionError(request=_REQUEST)] * 9)
    if scene is Scene.REFUSES:
        return ScriptedBackend(*[refusing] * 9)
    backend: Backend = ScriptedBackend(*said)
    return Slow(backend) if scene is Scene.TALKS else backend


_REQUEST = httpx2.Request("POST", "http://scripted.invalid")


def _refusal() -> Exception:
    return openai.BadRequestError("the context is exceeded", response=httpx2.Response(400, request=_REQUEST), body=None)


def _as_step(spoken: Spoken) -> Any:
    if spoken.calls:
        return list(spoken.calls)
    if spoken.reasoning:
        return {"content": spoken.text, "reasoning_content": spoken.reasoning}
    return spoken.text


class Slow(Middleware):
    """A reply that takes TALK seconds, in 500 deltas or whole."""

    def reply(self, request: Request) -> ReplyStream:
        """See `agentkit.backend.Backend.reply`."""
        for each in self.backend.reply(request):
            time.sleep(TALK / 500 if request.stream else TALK)
            yield each


# ---- llama.cpp, as a server, behind VLM Run's address, and in this process


def _openai(scene: Scene, stage: Stage) -> Backend:
    return OpenAIBackend(
        "tiny", f"{_server(scene, stage)}/v1", api_key=KEY, max_retries=0, **_llama_fields(scene, stage)
    )


def _vlmrun(scene: Scene, stage: Stage) -> Backend:
    gate = stage.resources.enter_context(vlmrun_before(_server(scene, stage)))
    url = f"http://127.0.0.1:{refusing_port()}" if scene is Scene.IS_DOWN else gate.url
    backend = resolve(f"vlmrun:tiny@{url}", {"VLMRUN_API_KEY": VLMRUN_KEY})
    return Sampling(backend, _llama_fields(scene, stage))


def _gguf(scene: Scene, stage: Stage) -> Backend:
    model = stage.fixture("thinking_model" if scene is Scene.THINKS else "tiny_model")
    return GGUFBackend(model, context=CONTEXT, threads=1, **_llama_fields(scene, stage))


def _server(scene: Scene, stage: Stage) -> str:
    """The root of a server that plays a scene: llama.cpp, but for calls that the tiny model does not make."""
    if scene is Scene.IS_DOWN:
        return f"http://127.0.0.1:{refusing_port()}"
    if scene is Scene.CALLS_BOTH:
        lines = itertools.cycle(SCRIPTS[scene])
        server = stage.resources.enter_context(serve(lambda asked: _in_chat(next(lines), asked)))
        return server.url.removesuffix("/v1")
    return str(stage.fixture("thinking_llama" if scene is Scene.THINKS else "llama").root)


def _llama_fields(scene: Scene, stage: Stage) -> dict[str, Any]:
    """Sampling with which the tiny model plays a scene: it writes letters until it is stopped, 1,000 a second."""
    talks = {"grammar": "root ::= [a-z]+", "max_tokens": 7500} if scene is Scene.TALKS else {}
    return {**talks, **stage.sampling}


def _in_chat(spoken: Spoken, asked: AskedInChat) -> Answer:
    """A reply of a chat completions server with two faults: it streams each call whole, all with index 0, and says
    that the reply with calls has stopped."""
    calls = [
        {"id": f"call{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for place, (name, arguments) in enumerate(spoken.calls)
    ]
    usage = {"prompt_tokens": 90 + 10 * len(asked.body["messages"]), "completion_tokens": 9}
    if not asked.body.get("stream"):
        return whole(
            {"role": "assistant", "content": spoken.text, **({"tool_calls": calls} if calls else {})}, usage=usage
        )
    chunks = [delta(content=word) for word in re.findall(r"\s*\S+", spoken.text)]
    chunks += [delta(tool_calls=[{**call, "index": 0}]) for call in calls]
    return streamed(*chunks, delta("stop"), {"choices": [], "usage": usage})


# ---- OpenAI's Responses API


def _responses(scene: Scene, stage: Stage) -> Backend:
    lines = itertools.cycle(SCRIPTS[scene])

    def says(asked: AskedInChat) -> Answer:
        if scene is Scene.REFUSES and len(str(asked.body["input"])) >= LONG:
            words = "Your input exceeds the context window of this model. Please adjust your input and try again."
            error = {"message": words, "type": "invalid_request_error", "code": "context_length_exceeded"}
            return Answer(json.dumps({"error": error}).encode(), 400)
        said = _as_response(next(lines), asked)
        if scene is not Scene.TALKS:
            return said
        if not asked.body["stream"]:
            return replace(said, delay=TALK)
        return replace(said, piece=len(said.body) // 500, pause=TALK / 500)

    url = stage.resources.enter_context(serve(says)).url
    url = f"http://127.0.0.1:{refusing_port()}/v1" if scene is Scene.IS_DOWN else url
    return ResponsesBackend("m", url, api_key=KEY, max_retries=0, **stage.sampling)


def _as_response(spoken: Spoken, asked: AskedInChat) -> Answer:
    """A reply of the Responses API."""
    output: list[dict[str, Any]] = []
    if spoken.reasoning:
        summary = [{"type": "summary_text", "text": spoken.reasoning}]
        output.append({"id": "rs_0", "type": "reasoning", "summary": summary, "encrypted_content": "gAAA"})
    for place, (name, arguments) in enumerate(spoken.calls):
        called = {"call_id": f"call{place}", "name": name, "arguments": json.dumps(arguments)}
        output.append({"id": f"fc_{place}", "type": "function_call", "status": "completed", **called})
    if spoken.text:
        content = [{"type": "output_text", "text": spoken.text, "annotations": []}]
        output.append({"id": "msg_0", "type": "message", "role": "assistant", "content": content})
    usage = {"input_tokens": len(json.dumps(asked.body["input"])) // 4, "output_tokens": 9}
    return response(*output, usage=usage, stream=asked.body["stream"])


# ---- LightLLM


def _lightllm(scene: Scene, stage: Stage) -> Backend:
    lines = itertools.cycle(SCRIPTS[scene])

    def says(asked: Asked) -> Says:
        said = Says(_written(next(lines)))
        return (
            replace(said, pause=TALK / 500 if asked.path == "/generate_stream" else TALK)
            if scene is Scene.TALKS
            else said
        )

    context = 1024 if scene is Scene.REFUSES else CONTEXT
    server = stage.resources.enter_context(serve_lightllm(says, max_model_len=context))
    url = f"http://127.0.0.1:{refusing_port()}" if scene is Scene.IS_DOWN else server.url
    return LightLLMBackend("Qwen3-8B", url, api_key=KEY, max_retries=0, **stage.sampling)


def _written(spoken: Spoken) -> str:
    """A reply as Qwen3 writes it."""
    calls = [
        f'<tool_call>\n{{"name": "{name}", "arguments": {json.dumps(arguments)}}}\n</tool_call>'
        for name, arguments in spoken.calls
    ]
    reasoning = f"<think>\n{spoken.reasoning}\n</think>\n\n" if spoken.reasoning else ""
    return "\n".join([*filter(None, [reasoning + spoken.text]), *calls])


# ---- no model


def _extractive(scene: Scene, stage: Stage) -> Backend:
    return ExtractiveBackend()


_without_model = functools.partial(
    BackendCase,
    has_server=False,
    reports_tokens=False,
    takes_sampling=False,
    is_random=False,
    context_length=None,
    images="unknown",
    has_close=False,
)

BACKENDS: dict[str, BackendCase] = {
    "scripted": _without_model(_scripted, plays=frozenset(Scene) - {Scene.FILLS}),
    "openai": BackendCase(_openai, plays=frozenset(Scene)),
    "responses": BackendCase(
        _responses,
        plays=frozenset(Scene),
        takes_sampling=False,
        is_random=False,
        context_length=None,
        images="sent",
    ),
    "vlmrun": BackendCase(_vlmrun, plays=frozenset(Scene)),
    "gguf": BackendCase(_gguf, plays=frozenset(Scene) - {Scene.CALLS_BOTH, Scene.IS_DOWN}, has_server=False),
    "lightllm": BackendCase(_lightllm, plays=frozenset(Scene), is_random=False, wrong_field="heat", images="sent"),
    "extractive": _without_model(
        _extractive,
        plays=frozenset({Scene.ANSWERS, Scene.CALLS, Scene.CALLS_BOTH, Scene.CALLS_RESEARCH, Scene.CALLS_WRONGLY}),
    ),
}


def every(*scenes: Scene, **needs: bool) -> pytest.MarkDecorator:
    """Run a test, which takes the fixture `player`, on every backend that plays the scenes and has what it needs."""
    names = [
        name
        for name, case in BACKENDS.items()
        if case.plays.issuperset(scenes) and all(getattr(case, need) == value for need, value in needs.items())
    ]
    return pytest.mark.parametrize("player", names, indirect=True)


def each_scene(*scenes: Scene) -> pytest.MarkDecorator:
    """Run a test, which takes the fixture `player` and a `scene`, on every backend in each of the scenes it plays."""
    pairs = [(name, scene) for scene in scenes for name, case in BACKENDS.items() if scene in case.plays]
    return pytest.mark.parametrize(
        ("player", "scene"), pairs, indirect=["player"], ids=[f"{name}-{scene.name.lower()}" for name, scene in pairs]
    )
