"""What a model server can do, and whether agentkit's promises hold here: a line for each."""
