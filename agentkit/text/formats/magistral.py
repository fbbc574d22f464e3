"""Magistral-Small-2506: the calls of Mistral's other models, and thoughts between tags of plain text."""

from dataclasses import replace

from agentkit.text.formats.mistral import FORMAT as _CALLS

FORMAT = replace(_CALLS, name="magistral", thinks=("<think>", "</think>"))
