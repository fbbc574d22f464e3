"""Wrappers of a backend; each module adds one ability to the requests and replies that pass through it."""
