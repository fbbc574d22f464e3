"""What a check can find."""

from typing import Literal

Verdict = Literal["yes", "no", "unknown", "failed"]
