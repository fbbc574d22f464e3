"""The tool `forecast`. A real one would ask a weather service (agentkit.fetch)."""

from agentkit import tool
from agentkit.errors import ToolError

DEGREES = {"oslo": -3, "lisbon": 17, "nairobi": 24}
"""Tomorrow's temperatures, in degrees Celsius."""


@tool(read_only=True)
def forecast(city: str) -> str:
    """Tomorrow's weather in a city.

    Args:
        city: Its name in English.
    """
    try:
        return f"{DEGREES[city.strip().lower()]} °C"
    except KeyError:
        raise ToolError(f"there is no forecast for {city!r}, only for {', '.join(sorted(DEGREES))}") from None
