"""The commands of agentkit itself: what `agentkit --help` says of each, and where it is.

The summaries stand here so that the list of commands is shown without importing them; tests/cli/test_commands.py
compares them with the help of the commands."""

from agentkit.cli.deferred import OwnCommand

OWN_COMMANDS = (
    OwnCommand(
        "ask",
        "agentkit.cli.ask:ask",
        "Answer a question using tools: for the web by default, for a folder of documents with --docs.",
        starts_programs=True,
    ),
    OwnCommand(
        "chat",
        "agentkit.cli.chat:chat",
        "Chat with a model that can call tools. /help lists the commands; Ctrl-C stops a reply, Ctrl-D exits.",
        starts_programs=True,
    ),
    OwnCommand(
        "research",
        "agentkit.cli.research:research",
        "Research a question: plan, read in parallel, and write a report whose citations are checked against the "
        "sources.",
        starts_programs=True,
    ),
    OwnCommand(
        "batch",
        "agentkit.cli.batch:batch",
        "Answer the questions of a file, a line each; the same command again goes on where it was interrupted.",
        below={
            "export": "agentkit.cli.batch_export:export",
            "import": "agentkit.cli.batch_export:import_",
        },
    ),
    OwnCommand(
        "eval",
        "agentkit.cli.eval:eval_",
        "Evaluate an agent: ask it the questions of a set, score its answers, and compare it with another.",
    ),
    OwnCommand(
        "replay",
        "agentkit.cli.sessions:replay",
        "Show a stored conversation step by step: each model reply with its tool calls and their results.",
    ),
    OwnCommand(
        "trace",
        "agentkit.cli.trace.command:trace",
        "Make an HTML page of runs: timeline, messages, tool calls, tokens, cost and errors.",
    ),
    OwnCommand(
        "models",
        "agentkit.cli.models:models",
        "List the providers, the model families and the default; or the models of a server.",
    ),
    OwnCommand(
        "tools",
        "agentkit.cli.tools:tools",
        "List tools and their parameters: all that have a name, or those given by --tool, --docs and --mcp.",
        starts_programs=True,
    ),
    OwnCommand(
        "plugins",
        "agentkit.cli.plugins:plugins",
        "List what installed packages add: tools, model providers, session stores, model families, hooks, commands.",
    ),
    OwnCommand(
        "mqtt",
        "agentkit.cli.mqtt:mqtt",
        "Answer messages from an MQTT broker with a model server.",
        extra_args=True,
    ),
    OwnCommand(
        "mqtt-chat",
        "agentkit.cli.mqtt:mqtt_chat",
        "Chat with a bridge over MQTT, line by line, as a game does.",
    ),
    OwnCommand(
        "doctor",
        "agentkit.cli.doctor.command:doctor",
        "Check the abilities of a model server, and that errors of models, tools and connections don't break a run.",
    ),
    OwnCommand(
        "mcp-serve",
        "agentkit.cli.mcp_serve:mcp_serve",
        "Serve tools to MCP clients, such as Claude Desktop, VS Code and Cursor: search and visit, or those given by\n"
        "--tool and --docs.",
    ),
    OwnCommand(
        "sessions",
        "agentkit.cli.sessions:app",
        "List, show, export, import, rename, delete and prune stored conversations.",
    ),
    OwnCommand("keys", "agentkit.cli.keys:app", "Store the API keys of model providers."),
    OwnCommand(
        "config", "agentkit.cli.config:app", "Show the configuration file, which holds defaults of the options."
    ),
    OwnCommand("mcp", "agentkit.cli.mcp_login:app", "Log in to MCP servers."),
    OwnCommand("serve", "agentkit.cli.serve:app", "Serve the agent over HTTP, with a chat page."),
)
"""In the order in which they are listed."""
