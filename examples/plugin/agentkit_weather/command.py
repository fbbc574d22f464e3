"""`agentkit weather CITY`: a function, as `typer.run` takes; several commands would be a `typer.Typer`."""

from typing import Annotated

import typer

from agentkit import ToolError
from agentkit_weather.forecasts import forecast


def weather(city: Annotated[str, typer.Argument(help="The name of a city.")]) -> None:
    """Print tomorrow's weather in a city."""
    try:
        typer.echo(forecast(city))
    except ToolError as error:
        typer.echo(f"agentkit: {error}", err=True)
        raise typer.Exit(1) from None
