"""Runs the chat service on localhost:8000, as the Prompt Portal's `run_server.py` did: this is `agentkit serve`.

    python run_server.py
    python run_server.py --port 9000 --docs folder    # the options of `agentkit serve`

Its settings are the same: LLM_SERVER_URL and the others of `.env`.
"""

import sys

from agentkit.cli import app

if __name__ == "__main__":
    app(["serve", "--host", "localhost", *sys.argv[1:]])
