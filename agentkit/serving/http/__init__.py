"""The chat service: an agent on the network, over HTTP."""
