"""The logger of the tools; as agentkit's own, it shows nothing in a program that configures no log."""

import logging

logger = logging.getLogger("agentkit.tools")
logger.addHandler(logging.NullHandler())
