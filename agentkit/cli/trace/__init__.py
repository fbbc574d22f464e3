"""`agentkit trace`: a page that shows runs."""
