"""How a conversation is written as text for a model, and how its reply is read."""
