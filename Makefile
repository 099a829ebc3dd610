# Everything a newcomer needs: `make demo`, `make test`. `make` alone lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2
WORKERS ?= 2

# The first interpreter that can build the package, else the one whose lack is worth a sentence.
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for found in $(CANDIDATES); do \
	if "$$found" tools/check_toolchain.py >/dev/null 2>&1; then echo "$$found"; exit; fi; done; \
	for found in $(CANDIDATES); do \
	if "$$found" tools/check_toolchain.py --version-only >/dev/null 2>&1; then echo "$$found"; exit; fi; done; \
	echo python3)

PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
INSTALL := $(PIP) install --quiet --quiet --constraint constraints.txt
BUILD := $(BIN)/python setup.py -q build_ext --inplace -j$(JOBS)
STUBBED = $(shell find src -name '*.pyi' | sed -e 's,^src/,,' -e 's,\.pyi$$,,' -e 's,/,.,g')

.PHONY: help
help: ## List the targets
	@echo "usage: make TARGET [NAME=VALUE ...]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18
	@echo "PYTHON=... names the interpreter, VENV=... the environment (default .venv)."

.PHONY: toolchain
toolchain:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { \
		echo "tickwright needs Python 3.11 to 3.14 and there is no $(PYTHON) on this machine." >&2; exit 1; }
	@"$(PYTHON)" tools/check_toolchain.py

$(BIN)/python: | toolchain
	@echo "tickwright: making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

# The build tools go in first and from the same pins: isolation would compile against whatever
# picows is newest, and run on the pinned one.
$(VENV)/.core: pyproject.toml constraints.txt | $(BIN)/python
	@echo "tickwright: installing the trading core"
	@$(INSTALL) "setuptools>=77" Cython picows
	@echo "tickwright: compiling and installing tickwright"
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "tickwright: installing the tools that tests and checks need"
	@$(INSTALL) --no-build-isolation --editable '.[bench,dev,fast]'
	@touch $@

$(VENV)/.bench: $(VENV)/.core
	@echo "tickwright: installing the stacks to measure against"
	@$(INSTALL) --no-build-isolation --editable '.[bench,fast]'
	@touch $@

.PHONY: core
core: $(VENV)/.core
	@$(BUILD)

.PHONY: setup
setup: $(VENV)/.dev build ## Make the environment with everything in it and compile

.PHONY: build
build: $(VENV)/.core ## Compile what changed
	@$(BUILD)

.PHONY: demo
demo: core ## Trade the recorded market on loopback: SECONDS= SYMBOLS= SEED= JSON=
	@$(BIN)/tickwright demo $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SYMBOLS),--symbols $(SYMBOLS)) \
		$(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON))

.PHONY: test
test: setup ## Run the tests: WORKERS= ARGS="-k book"
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# Each check runs, whatever the one before it said; the last line names those that failed.
.PHONY: check
check: setup ## Run every check that is not a test
	@failed=; PATH="$(CURDIR)/$(BIN):$$PATH"; \
	run() { echo "check: $$1"; name="$$1"; shift; "$$@" || failed="$$failed, $$name"; }; \
	run "ruff format" ruff format --check --quiet --output-format concise .; \
	run "ruff check" ruff check --quiet --output-format concise .; \
	run "cython-lint" cython-lint src; \
	run "mypy" mypy; \
	$(if $(STUBBED),run "stubtest" stubtest --concise --ignore-unused-allowlist \
		--allowlist tools/stubtest-allow.txt $(STUBBED);) \
	run "import contracts" python tools/check_imports.py; \
	run "venue names" python tools/check_venue_names.py; \
	[ -z "$$failed" ] || { echo "make check failed: $${failed#, }" >&2; exit 1; }

.PHONY: bench
bench: $(VENV)/.bench build ## Measure beside the other stacks: WHAT="core latency" (all without it) JSON=
	@$(BIN)/tickwright bench $(WHAT) $(if $(JSON),--json $(JSON))

.PHONY: fuzz
fuzz: setup ## Compare the scanner with the typed decoder for long: SECONDS=60 COUNT= SEED=
	@$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(COUNT),--count $(COUNT)) \
		$(if $(SEED),--seed $(SEED))

.PHONY: risk-campaign
risk-campaign: setup ## Judge random intents against a second model of the limits: COUNT=1000000 SEED=
	@$(BIN)/python -m tests.campaigns.risk $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

.PHONY: chaos
chaos: setup ## Bring every incident about against the simulated venue: ROWS="R1 R4" SEED= NIGHTLY=1 JSON=
	@$(BIN)/python -m tests.campaigns.chaos $(ROWS) $(if $(NIGHTLY),--nightly) \
		$(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON))

.PHONY: mutants
mutants: setup ## Take each safeguard away in turn: a row of the campaign must turn red: SEED=
	@$(BIN)/python -m tests.campaigns.mutants $(if $(SEED),--seed $(SEED))

.PHONY: history-outage
history-outage: setup ## Take the history's database away under 50,000 messages a second: SECONDS=60
	@$(BIN)/python -m tests.integration.history.outage $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: redis-outage
redis-outage: setup ## Take Redis away from a mirror at 50,000 messages/s: SECONDS=60 WHAT="killed full"
	@$(BIN)/python -m tests.campaigns.redis_outage $(WHAT) $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: lake-kills
lake-kills: setup ## Kill a converter at random moments: whole files alone, all rows in the end: COUNT=50 SEED=
	@$(BIN)/python -m tests.campaigns.lake_kills $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

.PHONY: record-kills
record-kills: setup ## Kill a recorder at random moments, and cut its power: COUNT=100 SEED=
	@$(BIN)/python -m tests.campaigns.record_kills $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

.PHONY: pins
pins: $(VENV)/.dev ## Resolve constraints.txt anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --upgrade -o constraints.txt pyproject.toml

.PHONY: clean
clean: ## Remove what was compiled and cached, keep the environment
	@rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find src -name '*.so' -delete
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
