"""What the families share whose calls are JSON without markers, with "parameters"."""

FORCED = ('{{"name": "', '{{"name": "{name}", "parameters":')
"""See `Family.forced`."""
