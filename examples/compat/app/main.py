"""The chat service as an ASGI application, for `uvicorn app.main:app`. `run_server.py` is the better way to start it:
`agentkit serve` limits connections and slow clients too."""

from agentkit.serving.http.app import create_app

app = create_app()
