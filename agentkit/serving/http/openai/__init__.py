"""The agent as a server of OpenAI's API: any client of that API is served as by a model server."""
