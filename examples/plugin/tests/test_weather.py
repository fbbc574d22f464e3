"""The plug-in without a model and without a network."""

from agentkit import Agent
from agentkit.testing import ScriptedBackend
from agentkit_weather.forecasts import forecast
from agentkit_weather.units import Fahrenheit


def test_the_model_reads_the_forecast_in_the_units_of_the_hook() -> None:
    backend = ScriptedBackend(("forecast", {"city": "Oslo"}), "It will be cold.")
    result = Agent(backend, tools=[forecast], hooks=[Fahrenheit()]).run("What about Oslo?")
    assert result.output == "It will be cold."
    assert "27 °F" in str(result.messages)


def test_a_city_without_a_forecast_is_said_to_the_model() -> None:
    backend = ScriptedBackend(("forecast", {"city": "Atlantis"}), "There is none.")
    result = Agent(backend, tools=[forecast]).run("What about Atlantis?")
    assert "only for lisbon, nairobi, oslo" in str(result.messages)
