"""What an agent does about calls whose arguments come from outside."""

from typing import Literal

TaintMode = Literal["off", "ask", "refuse"]
"""What happens to such a call: "off": it runs, and nothing is looked at; "ask": it waits for a person; "refuse": it is
not run."""
