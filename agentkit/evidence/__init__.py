"""What an answer is based on: the numbered sources of a run, and the check of what an answer cites."""
