"""An agent in a web handler: POST a question, get the answer and the tool calls.

    pip install flask
    flask --app examples.flask_app run
    curl -d '{"question": "What did the Longitude Act offer?"}' -H 'content-type: application/json' localhost:5000/ask

The agent is created once and shared by all requests; the handler calls it like any function.
"""

import os
from pathlib import Path

from flask import Flask, Response, jsonify, request

from agentkit import Agent, APIError, Limits
from agentkit.errors import TranscriptError
from agentkit_tools import documents


def create_app() -> Flask:
    """Creates the application, with one agent for all its threads."""
    app = Flask(__name__)
    agent = Agent(
        os.environ.get("AGENTKIT_MODEL", "extractive"),
        tools=documents(Path(__file__).parent / "documents"),
        limits=Limits(turns=10, seconds=60),
    )

    @app.post("/ask")
    def ask() -> tuple[Response, int]:
        question = (request.get_json(silent=True) or {}).get("question", "")
        try:
            result = agent.run(question)
        except TranscriptError as error:  # an invalid question: the client's error
            return jsonify(error=str(error)), 400
        except APIError:  # an error of the model server
            return jsonify(error="The model server is not available. Try again later."), 503
        looked_at = [{"tool": record.name, "arguments": record.arguments} for record in result.tool_calls]
        return jsonify(answer=result.output, stopped=result.stopped, looked_at=looked_at), 200

    return app
