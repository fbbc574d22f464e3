"""How good answers are: checks, scores with their intervals, comparisons and reports."""
