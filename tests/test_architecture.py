"""The architecture (docs/architecture.md): layers, sizes, what an import may load, and the names of the public API."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

import agentkit
from tests.support.imports import loaded_by

ROOT = Path(__file__).parents[1]
SOURCES = {"agentkit": ROOT / "agentkit", "agentkit_tools": ROOT / "tools" / "agentkit_tools"}
NAMES: list[str] = import_module("agentkit").__all__

LAYERS = [
    ["_lazy.lines", "_lazy.logs", "_lazy.modules", "_lazy.patterns", "_lazy.records", "_lazy.typed_dicts"],
    [
        "errors",
        "_text",
        "_closing",
        "lightllm.defaults",
        "tooling.bare_answers",
        "retrieval.stop_words",
        "retrieval.chinese",
        "running.misuse",
        "evidence",
        "evidence.source",
        "evidence.citation",
        "evidence.settings",
        "evidence.written_numbers",
        "evidence.marks",
        "evidence.denials",
        "taint",
        "taint.settings",
        "taint.folding",
        "taint.shingles",
    ],
    [
        "_forking",
        "net.error_kinds",
        "net.failed_generation",
        "net.plain_heads",
        "retrieval.near_words",
        "taint.borders",
        "taint.names",
    ],
    ["_threads", "evidence.ledger", "taint.index", "sessions.own_turn"],
    ["evidence.sources", "evidence.history", "taint.leaks"],
    [
        "net.repeats",
        "net.abort",
        "net.attempts",
        "net.trace_headers",
        "net.bounded",
        "net.wording",
        "net.home_paths",
        "net.time_limits",
        "net.unpatched",
    ],
    ["net.error_text", "net.dialling", "net.parsed_url", "net.escapes"],
    ["net.plain_http", "net.server_urls"],
    [
        *(
            "net.watcher",
            "net.waiting",
            "tooling.closing",
            "tooling.read_only",
            "net.cache_file",
            "net.exchanges",
            "net.gates",
            "net.rate_headers",
        ),
        "net.tracked_pools",
    ],
    ["net.rate_limits"],
    ["net.pacing"],
    [
        *("net.charset_guess", "net.pickled_errors", "net.keys", "net.outgoing", "net.image_bytes", "net.upright"),
        "testing.streams",
    ],
    ["testing.cassette_file", "testing.redaction", "testing.reset_window", "mcp.secrets", "net.kept_keys"],
    [
        "net.charset",
        "net.media_type",
        "net.content_coding",
        "net.refresh",
        "net.page_cache",
        "net.url_guard",
        "net.route_hints",
        "net.sent_headers",
    ],
    ["net.pinned"],
    ["net.fetch"],
    ["plugins.installed"],
    [
        *("_lazy", "message", "tooling.call_names"),
        *("net.hosted", "net.error_body", "net.error_words", "net.tls", "net.drain"),
    ],
    ["net.refusal_words"],
    [
        "net.api_errors",
        "net.connections",
        "net.event_stream",
        "net.overflow",
        "net.refusals",
        "net.retries",
        "net.learned",
        "net.model_names",
        "net.stored_keys",
        "mcp.command",
        "tooling.json_tokens",
        "tooling.latency",
        "tooling.number_ranges",
        "tooling.repair_budget",
        "tooling.json_scan",
        "retrieval.words",
        "retrieval.sentences",
        "retrieval.inline_markup",
    ],
    ["tooling.interrupts"],
    [
        "tooling.questions",
        "tooling.stop",
        "tooling.error_text",
        "tooling.error_log",
        "tooling.green_loop",
        "tooling.dates",
        "net.server_failures",
        "net.http_response",
    ],
    ["net.http_client", "net.chat_objects", "net.openai_client"],
    ["tooling.annotations", "tooling.event_loop", "tooling.objects"],
    ["tooling.settling", "tooling.readable"],
    ["tooling.simpler_values"],
    [
        *("retrieval.tables", "retrieval.markup", "retrieval.conversation"),
        *("evidence.layout", "evidence.folding", "evidence.month_names"),
    ],
    ["retrieval.quotes", "evidence.names", "evidence.numbers", "evidence.quotations"],
    ["evidence.claims"],
    ["evidence.read_text"],
    ["evidence.text_index"],
    ["evidence.comparison"],
    ["evidence.verdict"],
    ["evidence.check"],
    ["tooling.options", "tooling.pickling", "tooling.docstrings", "tooling.hints"],
    ["tooling.results", "tooling.long_results", "tooling.checked_types"],
    ["tooling.outcome"],
    [
        *("mcp.errors", "mcp.channel", "mcp.headers", "mcp.lines", "mcp.param_headers", "mcp.commented_json"),
        *("mcp.lost_session", "mcp.progress", "mcp.json_size", "mcp.http.addresses"),
    ],
    ["mcp.pipes", "mcp.calls", "mcp.questions", "mcp.handshake", "mcp.http.sending", "mcp.oauth.asking"],
    ["mcp.process", "mcp.in_flight", "mcp.inbox", "mcp.http.calls", "mcp.http.problems", "mcp.oauth.metadata"],
    ["mcp.stdio", "mcp.opening", "mcp.http.streams", "mcp.oauth.granting", "mcp.oauth.browser"],
    ["mcp.client", "mcp.http.channel", "mcp.oauth.store", "mcp.oauth.bearer"],
    ["mcp.http", "mcp.oauth.auth", "mcp.oauth.service"],
    ["mcp.oauth"],
    ["mcp.settings", "mcp.content", "mcp.config_variables", "mcp.config_forms", "mcp.config_logins"],
    ["tooling.result_cache"],
    [
        *("tooling.signature", "tooling.hidden", "tooling.schema_forms", "tooling.record_fields"),
        "tooling.grammar_patterns",
    ],
    ["tooling.moonshot_schema"],
    ["tooling.schema_dialects", "tooling.reply_choice", "tooling.record_classes"],
    ["tooling.definition", "tooling.plain_arguments"],
    [
        "tooling.subprocess_worker",
        "tooling.json_repair",
        "text.quotation",
        "retrieval.passages",
        "retrieval.term_index",
        "retrieval.embeddings",
    ],
    [
        *("tooling.coercion", "tooling.argument_names", "tooling.arguments", "tooling.parameter_list"),
        "tooling.written_numbers",
        *("tooling.replaced", "net.api_call"),
    ],
    ["tooling.argument_errors", "tooling.schema"],
    ["net.images", "taint.pieces", "tooling.argument_readers", "tooling.subprocess_pool"],
    ["tooling.foreign.content", "tooling.description"],
    ["text.call_format", "text.chat_template", "text.computed_once", "tooling.sendable"],
    ["tooling.foreign.call", "tooling.foreign.needs", "tooling.foreign.schemas"],
    ["tooling.foreign.*"],
    ["tooling.foreign.kinds"],
    [
        "limits",
        "retrieval",
        "text.formats.json_block",
        "text.formats.typed",
        "text.formats.python_calls",
        "text.formats.python_repair",
        "text.families.family",
        "text.fitted_template",
        "text.markers",
        "text.json_text",
    ],
    ["text.formats.mistral", "text.families.mistral_tokens", "text.families.mistral_system"],
    ["text.formats.brackets", "text.formats.gemma_calls"],
    ["text.formats.elements", "text.formats.tool_calls"],
    ["text.formats.qwen_coder"],
    ["text.formats.dsml_block", "text.formats.hermes", "text.families.deepseek_tokens"],
    [
        "text.formats.*",
        "text.families.bare_json",
        "text.families.chatml",
        "text.families.names",
        "text.families.cohere",
        "text.held_text",
    ],
    ["text.families.*", "text.reasoning", "text.mentions"],
    ["text.families", "text.formats"],
    ["text.special_tokens", "text.any_format", "history.call_parts", "history.ui_messages"],
    ["transcript", "history.plain", "history.parts", "history.forms", "history.call_results"],
    ["history.given", "event", "text.parser", "text.verbatim", "text.tools_as_text"],
    ["taint.texts", "tooling.context"],
    ["taint.matching"],
    ["tools", "running.closable", "running.append_only", "text.written_reply"],
    ["tooling.foreign"],
    ["openapi.budget", "openapi.document", "openapi.styles"],
    ["openapi.source", "openapi.all_of", "openapi.bodies", "openapi.swagger", "openapi.operations", "openapi.answers"],
    ["openapi.schemas", "openapi.servers", "openapi.credentials", "openapi.choosing"],
    ["openapi.arguments", "openapi.calls"],
    ["openapi.toolset"],
    ["openapi"],
    ["tooling.tool_index", "tooling.told_tools"],
    [
        "toolbox",
        "record",
        "history.text_calls",
        "tooling.earlier_result",
        "tooling.toolset",
        "running.parallel_calls",
        "running.open_questions",
        "running.held_messages",
    ],
    ["running.agent_tools", "running.offered_tools", "running.decisions"],
    ["running.searchable_tools"],
    [
        "backend",
        "backends.usage",
        "backends.plain_chunks",
        "backends.context_length",
        "backends.turns",
        "repair",
        "sessions.damage",
        "sessions.waiting",
        "text.prompt",
    ],
    ["mcp.schemas"],
    ["mcp.run_questions"],
    ["mcp.connection"],
    ["mcp.server_tool"],
    ["mcp.resources", "mcp.selections"],
    ["mcp.listing"],
    ["mcp.tool_list"],
    ["mcp.tools"],
    ["mcp.config"],
    ["mcp"],
    ["hooks", "middleware.base"],
    ["telemetry.names", "telemetry.spans"],
    ["telemetry.attributes", "telemetry.content"],
    ["telemetry.metrics"],
    ["middleware.hooks", "running.hooked_calls", "taint.guard"],
    ["running.run_hooks"],
    ["running.planned_call", "running.cited_results", "running.judged"],
    ["executor"],
    ["running.cited_answers"],
    ["sessions.log", "backends.merged_fields", "backends.streamed_parts", "backends.streamed_text"],
    ["sessions.answers", "sessions.views", "backends.call_pieces"],
    ["sessions.writer", "backends.message_form", "backends.plain_replies", "backends.streamed_calls"],
    ["sessions.turn", "sessions.waiting_line"],
    ["session", "running.run_sources"],
    ["sessions.file_lock", "sessions.group_commit", "sessions.sqlite_file", "sessions.redis_url"],
    ["sessions.redis_client"],
    ["providers", "loop", "running.options", "sessions.*", "backends.chat_protocol", "testing.cassette"],
    [
        *("middleware.history_cut", "middleware.text_answer", "backends.text_reply"),
        *("middleware.as_sent", "middleware.model_health", "middleware.server_placement"),
    ],
    [
        *("backends.parsed_text", "backends.refused_images", "backends.refused_fields", "backends.no_tool"),
        *("backends.tool_arrival", "backends.failed_calls", "backends.response_input"),
    ],
    ["backends.adapting", "backends.response_events", "lightllm.chosen_family"],
    ["middleware.*", "backends.fallback_calls", "lightllm.tool_call_types", "lightllm.generate_api", "testing.*"],
    ["backends.end_tokens"],
    ["lightllm.openai_types", "lightllm.over_requests", "lightllm.request"],
    ["lightllm.chat_api", "lightllm.raw_prompts", "lightllm.resources"],
    ["lightllm.lightllm_transport"],
    ["lightllm.client", "backends.*"],
    ["running.unknown_options"],
    ["running.answer_types", "running.arguments", "running.asked_agent", "running.tool_search"],
    [
        *("backends.vlmrun", "backends.responses"),
        "run",
        "middleware.stack",
        "running.beginning",
        "running.models",
    ],  # two other forms of the backend for chat completions: at another address, and in another API
    ["running.text_pieces"],
    ["agent"],
    [
        "agentkit",
        "backends",
        "sessions",
        "lightllm",
        "net",
        "history",
        "text",
        "tooling",
        "middleware",
        "testing",
        "running",
        "plugins",
    ],
    ["mcp.serving.protocol", "mcp.serving.streams", "mcp.serving.structured", "mcp.serving.forms"],
    ["mcp.serving.envelope", "mcp.serving.questions"],
    ["mcp.serving.calls", "mcp.serving.gate", "mcp.serving.offered", "mcp.serving.asked"],
    ["mcp.serving.link", "mcp.serving.body"],
    ["mcp.serving.answering", "mcp.serving.sessions"],
    ["mcp.serving.requests", "mcp.serving.stdio"],
    ["mcp.serving.http"],
    ["mcp.server", "mcp.serving"],
    ["telemetry.otel"],
    ["telemetry"],
    ["serving.outage"],
    ["serving.secret_files"],
    ["serving.environment", "serving.tool_loading", "serving.upstream", "serving.rate_limit"],
    ["serving.hook_loading"],
    ["serving.agent_loading"],
    [
        "batch.budget",
        "batch.fingerprint",
        "batch.item",
        "batch.made_agents",
        "batch.program_files",
        "batch.stats",
        "batch.text_lines",
    ],
    [
        "batch.replaced_file",
        "batch.temporary_files",
    ],
    [
        "batch.answers_path",
        "batch.append_file",
        "batch.file_lease",
        "batch.id_set",
    ],
    [
        "batch.agent_reference",
        "batch.answer_lines",
        "batch.begun",
        "batch.by_reference",
        "batch.identity",
        "batch.item_sessions",
        "batch.json_lines",
        "batch.records",
        "batch.spent_file",
        "batch.state_folder",
    ],
    [
        "batch.attempts",
        "batch.limit",
    ],
    [
        "batch.gate",
    ],
    [
        "batch.whole_file",
    ],
    [
        "batch.record_columns",
    ],
    [
        "batch.export",
        "batch.given_items",
        "batch.job",
        "batch.pace",
        "batch.question_lines",
        "batch.rewritten",
    ],
    [
        "batch.shared_errors",
    ],
    ["batch.fleet", "batch.journal", "batch.openai_lines", "batch.tables", "batch.worker"],
    ["batch.feed", "batch.parquet_rows", "batch.remote", "batch.threads"],
    ["batch.child", "batch.places", "batch.sources", "batch.usual_lines"],
    ["batch.arrivals"],
    ["batch.dask", "batch.executor", "batch.futures", "batch.items", "batch.quarantine", "batch.ray"],
    ["batch.fleets", "batch.provider_files"],
    ["batch.driver"],
    ["batch"],
    [
        "evaluation.answer_words",
        "evaluation.check_specs",
        "evaluation.number_forms",
        "evaluation.number_words",
        "evaluation.refusals",
        "evaluation.replay",
        "evaluation.statistics",
        "evaluation.words",
    ],
    [
        "evaluation.choice_forms",
        "evaluation.score",
        "evaluation.script_rules",
        "evaluation.values",
        "evaluation.verdict_types",
    ],
    [
        "evaluation.clusters",
        "evaluation.json_checks",
        "evaluation.judging",
        "evaluation.python_checks",
        "evaluation.regexes",
        "evaluation.source_checks",
        "evaluation.spent_checks",
    ],
    ["evaluation.call_checks", "evaluation.intervals"],
    ["evaluation.text_checks", "evaluation.wording"],
    ["evaluation.choice_checks", "evaluation.thresholds"],
    ["evaluation.checks"],
    ["evaluation.sets"],
    ["evaluation.scores"],
    ["evaluation.file_ids", "evaluation.pairs", "evaluation.results", "evaluation.saved_items"],
    ["evaluation.answer_files", "evaluation.preferences", "evaluation.set_lines"],
    ["evaluation.comparison"],
    ["evaluation.running"],
    ["evaluation.tables"],
    ["evaluation.junit", "evaluation.page", "evaluation.testing"],
    ["evaluation.report"],
    ["evaluation"],
    ["research.events", "research.marks", "research.blocks"],
    ["research.addresses", "research.limits", "research.findings"],
    ["research.notes", "research.assembling"],
    ["research.journal", "research.plan", "research.rounds"],
    ["research.researcher", "research.writing"],
    ["research.crew", "research.bibliography", "research.bibtex", "research.markdown"],
    ["research.page"],
    ["research.report"],
    ["research.running"],
    ["research"],
    ["serving.decisions", "serving.unattended", "serving.attachments", "serving.documents", "serving.addresses"],
    ["serving.exchange", "serving.key_values", "serving.usage_history"],
    ["serving.answer_cache"],
    ["serving.stopped_runs"],
    ["serving.chat_service"],
    [
        "serving.mqtt.settings",
        "serving.mqtt.limits",
        "serving.mqtt.model_fields",
        "serving.mqtt.field_names",
        "serving.mqtt.health_file",
        "serving.mqtt.session_queue",
    ],
    ["serving.mqtt.callbacks", "serving.mqtt.decoding", "serving.mqtt.broker_address"],
    [
        "serving.mqtt.client_id",
        "serving.mqtt.tls",
        "serving.mqtt.projects",
        "serving.mqtt.maze",
        "serving.mqtt.idle",
        "serving.mqtt.outgoing",
    ],
    ["serving.mqtt.payloads", "serving.mqtt.isolation", "serving.mqtt.probe"],
    ["serving.mqtt.sender"],
    ["serving.mqtt.broker", "serving.mqtt.client", "serving.mqtt.responder"],
    ["serving.mqtt.open_packets"],
    ["serving.mqtt.intake", "serving.mqtt.checking", "serving.mqtt.delivery"],
    ["serving.mqtt.group", "serving.mqtt.publishing"],
    ["serving.mqtt.bridge"],
    ["serving.mqtt.embedded"],
    ["serving.http.env_file", "serving.http.root_path"],
    ["serving.http.page.attachment_schemas", "serving.http.page.files"],
    ["serving.http.settings", "serving.http.keys", "serving.http.prompts", "serving.http.evidence_schemas"],
    ["serving.http.page.branch_schemas", "serving.http.page.folding", "serving.http.page.snapshots"],
    ["serving.http.schemas"],
    ["serving.http.page.metadata"],
    ["serving.http.cited_history"],
    ["serving.http.updates", "serving.http.logs", "serving.http.listening", "serving.http.validation"],
    ["serving.http.runs"],
    ["serving.http.page.recording", "serving.http.page.announcements", "serving.http.page.turns"],
    ["serving.http.page.live"],
    ["serving.http.connections", "serving.http.access_log"],
    ["serving.http.token_keys", "serving.http.metrics", "serving.http.model_server", "serving.http.conversations"],
    ["serving.http.openai.anthropic_parts", "serving.http.openai.pruning", "serving.http.anthropic.error_form"],
    ["serving.http.auth", "serving.http.errors", "serving.http.sse", "serving.http.openai.continuations"],
    ["serving.http.openai.responses.store", "serving.http.openai.upstream"],
    ["serving.http.gate"],
    ["serving.http.described"],
    ["serving.http.dependencies", "serving.http.direct"],
    ["serving.http.middleware"],
    ["serving.http.application"],
    ["serving.http.protocol", "serving.http.websocket_protocol"],
    ["serving.http.openai.errors"],
    ["serving.http.openai.responses.tools"],
    ["serving.http.openai.tool_forms", "serving.http.openai.responses.items"],
    ["serving.http.openai.client_tools", "serving.http.openai.fields", "serving.http.openai.history"],
    ["serving.http.openai.images", "serving.http.openai.title_requests"],
    ["serving.http.openai.annotations", "serving.http.openai.answers", "serving.http.openai.response_format"],
    ["serving.http.openai.models", "serving.http.openai.responses.as_chat"],
    ["serving.http.openai.chat_request", "serving.http.openai.passed_through"],
    ["serving.http.openai.responses.output"],
    ["serving.http.openai.chat_completions", "serving.http.openai.responses.request"],
    ["serving.http.openai.told", "serving.http.anthropic.tools", "serving.http.anthropic.output"],
    ["serving.http.anthropic.conversation"],
    ["serving.http.anthropic.request"],
    ["serving.http.openai.responses.routes", "serving.http.anthropic.routes"],
    ["serving.http.chat", "serving.http.health"],
    ["serving.http.page.attachments", "serving.http.page.about"],
    ["serving.http.page.branches", "serving.http.page.search", "serving.http.page.sharing"],
    ["serving.http.websocket", "serving.http.page.routes"],
    ["serving.http.app"],
    ["serving.http.server"],
    [
        *("serving", "serving.http", "serving.http.openai", "serving.http.openai.responses", "serving.http.page"),
        "serving.http.anthropic",
        "serving.mqtt",
    ],
    ["cli.interruptions", "cli.pasted"],
    ["cli.printable", "cli.deferred", "cli.typed", "cli.unread_output"],
    ["cli.own_commands"],
    ["cli.progress", "cli.streams", "cli.hidden_arguments", "cli.logs", "cli.reserved_output"],
    [
        "cli.stores",
        "cli.approvals",
        "cli.cited",
        "cli.broker_options",
        "cli.piped",
        "cli.rendered",
        "cli.trace.records",
    ],
    ["cli.trace.runs"],
    ["cli.trace.page"],
    ["cli.trace.command", "cli.trace"],
    ["cli.following", "cli.config", "cli.attachments", "cli.plugin_commands"],
    ["cli.options", "cli.prompt", "cli.mcp_inputs"],
    ["cli.ask", "cli.research_progress", "cli.batch_progress", "cli.batch_options"],
    ["cli.research", "cli.batch", "cli.batch_export"],
    ["cli.eval"],
    [
        "cli.keys",
        "cli.mcp_login",
        "cli.mcp_serve",
        "cli.models",
        "cli.chat",
        "cli.tools",
        "cli.mqtt",
        "cli.plugins",
        "cli.serve",
        "cli.doctor.questions",
        "cli.doctor.oddities",
        "cli.doctor.verdict",
    ],
    ["cli.doctor.prompt_form"],
    ["cli.doctor.checks"],
    ["cli.sessions", "cli.doctor.conformance"],
    ["cli.doctor"],
    ["cli.doctor.command"],
    ["cli"],
    ["__main__", "__pyinstaller", "__pyinstaller.hooks.hook-agentkit"],
]
"""Each module imports only from layers before its own, including imports in functions and for types. A full
name takes precedence over a pattern."""

FACADES = {"agentkit", "backends", "sessions", "lightllm", "mcp", "batch", "evaluation"}
"""Packages that declare their exports for type checkers and load them on first use."""

PUBLIC = {"agentkit", "agentkit.errors", "agentkit.event", "agentkit.retrieval", "agentkit._lazy"}
"""What the tool pack may import, like any user's tools, and the helper that loads its own names."""

DEEPLY_NESTED = {
    "middleware.cancellation",
    "middleware.retry",
    "backends.openai",
    "backends.gguf",
    "_threads",
    "serving.http.chat",
    "serving.http.runs",
    "cli.following",
}
"""Modules with a function that nests four blocks or more. This list only shrinks."""


@cache
def modules(package: str = "agentkit") -> dict[str, Path]:
    """Every module of a package by its name below it; the package itself by its own name."""
    found = {}
    for path in sorted(SOURCES[package].rglob("*.py")):
        name = ".".join(path.relative_to(SOURCES[package]).with_suffix("").parts)
        found[name.removesuffix("__init__").removesuffix(".") or package] = path
    return found


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """What the checks look at: imports and functions."""
    wanted = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, wanted)]


@cache
def imported_by(path: Path) -> frozenset[str]:
    """The modules of agentkit that a file imports: at the top, in functions, for types."""
    known = {"agentkit", *(f"agentkit.{name}" for name in modules())}
    found = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & known
            if names - known:
                found.add(node.module)
    return frozenset(name.removeprefix("agentkit.") for name in found)


@cache
def layer_of(name: str) -> int:
    for level, names in enumerate(LAYERS):
        if name in names:
            return level
    return next(level for level, names in enumerate(LAYERS) if f"{name.rpartition('.')[0]}.*" in names)


def test_a_module_imports_from_lower_layers_only() -> None:
    made = {name: imported_by(path) for name, path in modules().items() if name not in FACADES}
    above = {name: [each for each in used if layer_of(each) >= layer_of(name)] for name, used in made.items()}
    assert {name: used for name, used in above.items() if used} == {}


def test_a_module_has_one_layer() -> None:
    names = [name for layer in LAYERS for name in layer]
    assert sorted(names) == sorted(set(names))


def test_there_are_no_import_cycles() -> None:
    graph = {name: imported_by(path) for name, path in modules().items() if name not in FACADES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("folder", ["backends", "middleware", "sessions", "text.formats", "text.families"])
def test_implementations_do_not_know_their_siblings(folder: str) -> None:
    shared = {
        "backends.chat_protocol",
        "backends.fallback_calls",
        "backends.message_form",
        "backends.parsed_text",
        "backends.text_reply",
        "backends.call_pieces",
        "backends.merged_fields",
        "backends.streamed_parts",
        "backends.streamed_calls",
        "backends.streamed_text",
        "backends.usage",
        "backends.plain_chunks",
        "backends.context_length",
        "backends.plain_replies",
        "backends.adapting",
        "backends.refused_images",
        "backends.refused_fields",
        "backends.no_tool",
        "backends.tool_arrival",
        "backends.failed_calls",
        "backends.end_tokens",
        "backends.turns",
        "backends.response_input",
        "backends.response_events",
        "sessions.damage",
        "sessions.waiting",
        "sessions.log",
        "sessions.answers",
        "sessions.views",
        "sessions.writer",
        "sessions.turn",
        "sessions.waiting_line",
        "sessions.file_lock",
        "sessions.group_commit",
        "sessions.sqlite_file",
        "sessions.redis_url",
        "sessions.redis_client",
        "middleware.history_cut",
        "middleware.base",
        "middleware.text_answer",
        "middleware.as_sent",
        "middleware.model_health",
        "middleware.server_placement",
        "text.formats.json_block",
        "text.formats.typed",
        "text.formats.python_calls",
        "text.formats.gemma_calls",
        "text.formats.mistral",
        "text.formats.qwen_coder",
        "text.formats.hermes",
        "text.formats.dsml_block",
        "text.formats.python_repair",
        "text.formats.elements",
        "text.formats.tool_calls",
        "text.families.family",
        "text.families.deepseek_tokens",
        "text.families.bare_json",
        "text.families.chatml",
        "text.families.names",
        "text.families.mistral_tokens",
        "text.families.mistral_system",
        "text.formats.brackets",
        "text.families.cohere",
    }
    for name, path in modules().items():
        on_top = ("backends.vlmrun", "backends.responses", "middleware.stack")
        if name.startswith(f"{folder}.") and name not in on_top:
            siblings = {each for each in imported_by(path) if each.startswith(f"{folder}.")}
            assert siblings <= shared, name


def test_the_core_names_backends_only_in_the_table_of_providers() -> None:
    for name, path in modules().items():
        if layer_of(name) <= layer_of("run") and not name.startswith(("backends", "lightllm", "testing")):
            assert not {each for each in imported_by(path) if each.startswith("backends")}, name


def test_the_tool_pack_uses_only_the_public_api() -> None:
    for path in modules("agentkit_tools").values():
        for node in nodes_of(path):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "agentkit":
                assert node.module in PUBLIC, f"{path.name} imports {node.module}"


def test_the_loop_stays_small() -> None:
    assert len(modules()["loop"].read_text(encoding="utf-8").splitlines()) < 80


def test_a_run_is_begun_in_few_steps_and_has_few_fields() -> None:
    named = {(module, node.name): node for module, node in functions()}
    begin, init = named["agent", "_begin"], named["run", "__init__"]
    assert begin.end_lineno is not None
    assert begin.end_lineno - begin.lineno < 20
    assigned = (node for node in ast.walk(init) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    assert len({node.attr for node in assigned}) <= 8


def test_no_file_has_more_than_450_lines() -> None:
    for package in SOURCES:
        for name, path in modules(package).items():
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 450, name


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for package in SOURCES:
        for name, path in modules(package).items():
            for node in nodes_of(path):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield name, node


def test_no_function_has_more_than_60_lines_without_its_parameters() -> None:
    """Commands have their options as parameters, each with its help text."""
    for name, node in functions():
        assert (node.end_lineno or 0) - node.body[0].lineno < 60, f"{name}.{node.name}"


def depth_of(statements: list[ast.stmt], depth: int = 0) -> int:
    """The nesting depth of blocks; an elif is no deeper than its if."""
    deepest = depth
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.If) and len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
            deepest = max(deepest, depth_of(node.body, depth + 1), depth_of(node.orelse, depth))
            continue
        for block in blocks_of(node):
            deepest = max(deepest, depth_of(block, depth + 1))
    return deepest


def blocks_of(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    parts = [node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())]
    for part in parts:
        for field in ("body", "orelse", "finalbody"):
            if getattr(part, field, None):
                yield getattr(part, field)


def test_deep_nesting_does_not_increase() -> None:
    depths = [(name, depth_of(node.body)) for name, node in functions()]
    assert {name for name, depth in depths if depth >= 4} == DEEPLY_NESTED
    assert max(depth for _, depth in depths) <= 5


def test_the_root_has_few_modules_and_few_names() -> None:
    assert len(list(SOURCES["agentkit"].glob("*.py"))) <= 24
    assert len(NAMES) <= 35


def test_importing_agentkit_loads_nothing_but_itself() -> None:
    code = (
        "import sys; before = set(sys.modules); import agentkit; new = set(sys.modules) - before; "
        "print(sorted(name for name in new if name.split('.')[0] not in sys.stdlib_module_names), len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, count = done.stdout.rsplit(maxsplit=1)
    assert loaded == "['agentkit', 'agentkit._lazy']"
    assert int(count) < 120


def test_an_agent_is_made_without_loading_openai() -> None:
    code = "import sys, agentkit; agentkit.Agent('llamacpp:'); assert 'openai' not in sys.modules, 'openai is loaded'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_run_loads_what_it_uses() -> None:
    """What else a program with tools loads: tests/tooling/test_plain_arguments.py; the command line:
    tests/cli/test_commands.py."""
    shown, loaded = loaded_by(
        "from agentkit import Agent\nfrom agentkit.testing import ScriptedBackend\n"
        "print(Agent(ScriptedBackend('Hi.')).run('Hello').output)"
    )
    assert shown == "Hi.\n"
    others = {
        "openai",
        "httpx2",
        "requests",
        "pydantic",
        "pydantic_core",
        "jsonschema",
        "jinja2",
        "json_repair",
        "griffe",
    }
    library = {"asyncio", "concurrent.futures", "ctypes", "decimal", "html", "multiprocessing", "sqlite3", "uuid"}
    library |= {"difflib", "importlib.metadata", "random", "secrets", "ssl", "http.client"}
    library |= {"ast", "dataclasses", "dis", "hashlib", "inspect", "logging", "pickle", "unicodedata"}
    own = {"evidence.check", "taint.guard", "middleware.failover", "middleware.pricing", "retrieval", "tooling.schema"}
    own |= {"tooling.coercion", "tooling.results", "tooling.settling", "tooling.pickling"}
    own |= {"repair", "history.given", "sessions.writer", "running.hooked_calls", "running.planned_call"}
    own |= {"running.cited_results", "middleware.run_log", "middleware.sampling", "net.kept_keys", "net.upright"}
    own |= {"tooling.argument_readers", "tooling.definition", "tooling.description", "tooling.result_cache"}
    own |= {"tooling.replaced", "tooling.signature", "middleware.server_placement"}
    own |= {"running.text_pieces", "text.parser", "text.any_format", "plugins.installed", "backends.parsed_text"}
    own |= {
        "tooling.foreign.kinds",
        "tooling.event_loop",
        "tooling.subprocess_pool",
        "net.http_client",
        "sessions.sqlite",
    }
    assert not loaded & (others | library | {f"agentkit.{name}" for name in own})


def test_every_public_name_exists_and_is_documented() -> None:
    table = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert documented == set(NAMES)
    assert set(NAMES) <= set(dir(agentkit))
    for name in NAMES:
        value = getattr(agentkit, name)
        assert value.__doc__ or value.__module__.startswith("openai"), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'agentkit' has no attribute 'Agnet'"):
        _ = agentkit.Agnet  # type: ignore[attr-defined]


def test_public_functions_stay_functions_when_every_module_is_loaded() -> None:
    code = (
        "import agentkit.tools, agentkit.net.fetch; from agentkit import tool, fetch; from agentkit.tools import Tool; "
        "assert callable(tool) and callable(fetch) and callable(Tool)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_entry_points_and_the_resolver_of_names_read_the_environment() -> None:
    direct = {
        name for name, path in modules().items() if re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8"))
    }
    # net.stored_keys is what `resolve` reads, plugins.installed whether names of packages count; VLMRun() replaces a
    # package that reads it; net.outgoing reads what each HTTP library would read by itself; the process of an isolated
    # tool gets the program's, that of a reader of documents what Python needs and no key, that of an MCP server what
    # programs need; mcp.config replaces the variables in a file of servers; telemetry.otel reads what all
    # instrumentations of OpenTelemetry read; net.kept_keys keeps
    # keys out of what is sent to other processes, which have them in the same variables; batch.ray keeps Ray from
    # reporting to its makers; cli.streams removes a terminal's size that is none
    assert direct == {
        "batch.ray",
        "net.stored_keys",
        "net.kept_keys",
        "mcp.command",
        "mcp.config",
        "cli.config",
        "cli.streams",
        "plugins.installed",
        "backends.vlmrun",
        "net.outgoing",
        "testing.cassette",
        "telemetry.otel",
        "tooling.subprocess_worker",
        "serving.environment",
        "tooling.subprocess_pool",
    }
