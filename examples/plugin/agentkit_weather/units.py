"""The hook `fahrenheit`: tools answer in degrees Fahrenheit."""

import re
from typing import Any

from agentkit.hooks import Hook, Proceed, ToolCallRequest

_CELSIUS = re.compile(r"(-?[0-9]{1,3}) °C")


class Fahrenheit(Hook):
    """Replaces degrees Celsius in the results of tools."""

    def around_tool(self, call: ToolCallRequest, proceed: Proceed) -> Any:
        """See `agentkit.hooks.Hook`."""
        outcome = proceed(call)
        if outcome.failed or "°C" not in outcome.text:
            return outcome
        return _CELSIUS.sub(lambda found: f"{round(int(found[1]) * 9 / 5 + 32)} °F", outcome.text)
