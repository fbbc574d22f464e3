"""What every backend promises around a reply: typed answers, images, errors, capabilities, sampling, its end.

See test_every_backend.py for how the suite works.
"""

from dataclasses import FrozenInstanceError
from typing import Annotated, Any

import openai
import pytest
from pydantic import AfterValidator, BaseModel

from agentkit import Agent, ConfigurationError, Image, OutputError
from agentkit.event import OutputDelta, Reply
from agentkit.transcript import Transcript
from tests.support.backend_cases import KEY, LONG, Player, Scene, every
from tests.support.backend_suite import City, either_way, replies, result_of, search
from tests.support.vlmrun_gate import KEY as VLMRUN_KEY

PIXEL = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16


# ---- typed answers


def typed_scene(player: Player, has_tools: bool) -> Scene:
    """The scene that gives a typed answer in the form in which it is requested of this backend."""
    by_text = player.play(Scene.ANSWERS).capabilities().takes_schema(has_tools)
    return Scene.FILLS if by_text else Scene.GIVES


@every(Scene.GIVES)
@pytest.mark.parametrize("tools", [[], [search]], ids=["no tools", "tools"])
@either_way
def test_a_typed_answer_has_the_type(player: Player, tools: list[Any], stream: bool) -> None:
    agent = Agent(player.play(typed_scene(player, bool(tools))), tools=tools)
    result = result_of(agent, "Which city?", stream, output=City)
    assert result.output == City(name="v", population=7)
    assert result.stopped == "answer"
    Transcript(result.messages)


@every(Scene.GIVES)
@pytest.mark.parametrize("tools", [[], [search]], ids=["no tools", "tools"])
def test_what_has_arrived_of_a_typed_answer_ends_as_the_whole(player: Player, tools: list[Any]) -> None:
    agent = Agent(player.play(typed_scene(player, bool(tools))), tools=tools)
    with agent.stream("Which city?", output=City) as run:
        arrived = [event.value for event in run if isinstance(event, OutputDelta)]
    assert arrived[-1] == {"name": "v", "population": 7}


def is_refused(name: str) -> str:
    raise ValueError(f"{name} is no city")


class NoCity(BaseModel):
    """A city that no answer fits."""

    name: Annotated[str, AfterValidator(is_refused)]
    population: int


@every(Scene.GIVES)
@pytest.mark.parametrize("tools", [[], [search]], ids=["no tools", "tools"])
@either_way
def test_an_answer_that_never_fits_is_an_error_after_the_retries(
    player: Player, tools: list[Any], stream: bool
) -> None:
    agent = Agent(player.play(typed_scene(player, bool(tools))), tools=tools)
    with pytest.raises(OutputError) as raised:
        result_of(agent, "Which city?", stream, output=NoCity, output_retries=1)
    messages = raised.value.messages  # type: ignore[attr-defined]
    Transcript(messages)
    assert [message["role"] for message in messages].count("assistant") == 2
    assert "v is no city" in str(messages)


@every(Scene.ANSWERS)
@either_way
def test_an_answer_is_of_the_type_or_an_error(player: Player, stream: bool) -> None:
    agent = Agent(player.play(Scene.ANSWERS))
    try:
        result = result_of(agent, "Which city?", stream, output=City, output_retries=1)
    except OutputError as error:
        Transcript(error.messages)  # type: ignore[attr-defined]
        assert error.text
    else:
        assert isinstance(result.output, City)


# ---- images


@every(Scene.ANSWERS)
@either_way
def test_an_image_is_sent_or_a_sentence_stands_for_it(player: Player, stream: bool) -> None:
    backend = player.play(Scene.ANSWERS)
    agent = Agent(backend)
    without = result_of(agent, ["What is this?"], stream)
    result = result_of(agent, ["What is this?", Image(PIXEL, "image/png")], stream)
    assert result.stopped == "answer"
    assert "image_url" in str(result.messages[0]["content"])  # kept for a model that can see
    if player.case.reports_tokens:
        assert result.usage.input_tokens > without.usage.input_tokens
    known = {"sent": (None, True), "replaced": (False,), "unknown": (None,)}[player.case.images]
    assert backend.capabilities().images in known
    follow_up = result_of(agent, "And now?", stream, messages=result.messages)
    assert follow_up.stopped == "answer"


# ---- errors


@every(Scene.IS_DOWN)
@either_way
def test_a_server_that_is_down_is_a_connection_error(player: Player, stream: bool) -> None:
    with pytest.raises(openai.APIConnectionError) as raised:
        result_of(Agent(player.play(Scene.IS_DOWN)), "Hello.", stream)
    assert [message["role"] for message in raised.value.messages] == ["user"]  # type: ignore[attr-defined]
    assert KEY not in str(raised.value)


@every(Scene.REFUSES)
@either_way
def test_a_refusal_has_the_servers_words_and_the_backend_goes_on(player: Player, stream: bool) -> None:
    agent = Agent(player.play(Scene.REFUSES))
    with pytest.raises(openai.BadRequestError, match="exceed") as raised:
        result_of(agent, "x" * LONG, stream)
    assert [message["role"] for message in raised.value.messages] == ["user"]  # type: ignore[attr-defined]
    assert result_of(agent, "Hello.", stream).stopped == "answer"


@every(Scene.REFUSES)
def test_a_refusal_is_the_same_error_in_a_stream(player: Player) -> None:
    backend = player.play(Scene.REFUSES)
    errors = []
    for stream in (False, True):
        with pytest.raises(openai.APIStatusError) as raised:
            replies(backend, stream=stream, text="x" * LONG)
        errors.append((type(raised.value), raised.value.status_code))
    assert errors[0] == errors[1]


@every(Scene.ANSWERS, takes_sampling=True)
@either_way
def test_a_field_that_can_not_be_sent_is_a_configuration_error_and_the_backend_goes_on(
    player: Player, stream: bool
) -> None:
    backend = player.play(Scene.ANSWERS)
    with pytest.raises(ConfigurationError, match=player.case.wrong_field):
        replies(backend, stream=stream, sampling={player.case.wrong_field: 1})
    assert isinstance(replies(backend, stream=stream)[-1], Reply)


# ---- capabilities


@every(Scene.ANSWERS)
def test_capabilities_are_a_frozen_snapshot(player: Player) -> None:
    backend = player.play(Scene.ANSWERS)
    capabilities = backend.capabilities()
    assert capabilities == backend.capabilities()
    with pytest.raises(FrozenInstanceError):
        capabilities.images = True  # type: ignore[misc]
    assert capabilities.takes_schema(True) <= capabilities.takes_schema(False)


@every(Scene.IS_DOWN, has_server=True)
def test_capabilities_cost_a_request_only_when_the_server_may_be_asked(player: Player) -> None:
    backend = player.play(Scene.IS_DOWN)
    assert backend.capabilities().context_length is None
    with pytest.raises(openai.APIConnectionError):
        backend.capabilities(ask=True)


@every(Scene.ANSWERS)
def test_the_context_is_known_after_the_server_was_asked(player: Player) -> None:
    backend = player.play(Scene.ANSWERS)
    assert backend.capabilities(ask=True).context_length == player.case.context_length
    assert backend.capabilities().context_length == player.case.context_length


# ---- sampling


@every(Scene.ANSWERS, takes_sampling=True)
@either_way
def test_the_sampling_of_a_request_overrides_the_backends_own(player: Player, stream: bool) -> None:
    backend = player.play(Scene.ANSWERS, max_tokens=2)

    def said(**sampling: Any) -> tuple[int, str]:
        reply = replies(backend, stream=stream, sampling=sampling)[-1]
        return len(reply.message["content"]), reply.finish_reason

    own, shorter, whole = said(), said(max_tokens=1), said(max_tokens=None)
    assert (own[1], shorter[1], whole[1]) == ("length", "length", "stop")
    assert shorter[0] < own[0] < whole[0]
    assert said() == own


@every(Scene.ANSWERS, takes_sampling=True)
def test_a_reply_cut_by_its_length_stops_the_run_with_length(player: Player) -> None:
    assert Agent(player.play(Scene.ANSWERS, max_tokens=1)).run("Hello.").stopped == "length"


# ---- the end


@every(Scene.ANSWERS)
def test_closing_twice_is_closing_once(player: Player) -> None:
    backend = player.play(Scene.ANSWERS)
    replies(backend)
    backend.close()
    backend.close()
    if player.case.has_close:
        for stream in (False, True):
            with pytest.raises(ConfigurationError, match="closed"):
                replies(backend, stream=stream)


@every(Scene.ANSWERS)
def test_a_backend_that_was_never_used_closes(player: Player) -> None:
    player.play(Scene.ANSWERS).close()


@every(Scene.ANSWERS)
def test_no_key_is_shown(player: Player) -> None:
    backend = player.play(Scene.ANSWERS)
    shown = f"{backend!r} {backend.capabilities()!r} {Agent(backend)!r}"
    assert KEY not in shown
    assert VLMRUN_KEY not in shown
