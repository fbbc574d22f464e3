"""Tokens of DeepSeek V3, R1 and V3.1 (the bars are U+FF5C, the blocks U+2581)."""

END = "<｜end▁of▁sentence｜>"
FIRST_CALL = "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>"
"""How the calls of a reply begin."""
MARKUP = (
    *("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"),
    *("<｜tool▁outputs▁begin｜>", "<｜tool▁outputs▁end｜>", "<｜tool▁output▁begin｜>", "<｜tool▁output▁end｜>"),
    "<｜tool▁sep｜>",
)
"""The tokens of calls and results."""
FUNCTION = FIRST_CALL + "function<｜tool▁sep｜>"
FORCED = (FUNCTION, FUNCTION + "{name}\n```json\n")
"""How a reply of V3 or R1 begins that has to call a tool."""
