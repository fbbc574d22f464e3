"""`agentkit doctor`: checks the abilities of a model server, and how runs handle errors on this machine."""
