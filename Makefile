# The only interface: `make help` lists everything. `make run` and `make test` need nothing but
# Python 3.11 with venv, and set up the rest themselves; a second run finds it ready, also offline.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
QUESTION ?= Which version of Python does this project need?
# One more than there are cores: many tests wait for time to pass.
WORKERS = $$($(BIN)/python -c 'import os; print(1 + (os.cpu_count() or 1))')
DEBIAN := bubblewrap dbus gnome-keyring libgomp1 libsecret-tools ripgrep

.DEFAULT_GOAL := help
.PHONY: help run test test-sdk check format model system bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/ready model ## Set up, then ask the embedded model about this repository: QUESTION="…"
	$(BIN)/victor run --provider local "$(QUESTION)"

# Longest files first, as tests/conftest.py orders them; with cached bytecode, as without it every
# worker would rewrite and compile all tests, and every child process all of victor, each time.
test: $(VENV)/ready-dev model ## Set up, then run all tests; COVERAGE=1 also measures coverage, as CI does
	$(if $(COVERAGE),$(BIN)/coverage erase)
	PYTHONDONTWRITEBYTECODE= $(BIN)/$(if $(COVERAGE),coverage run,python) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)
	$(if $(COVERAGE),$(BIN)/coverage combine -q)
	$(if $(COVERAGE),$(BIN)/coverage report)

test-sdk: $(VENV)/ready-sdk ## Compare the wires with the vendors' own SDKs (needs ../shared)
	$(BIN)/python -m pytest tests/sdk $(ARGS)

check: $(VENV)/ready-dev ## Lint, check types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/ready-dev ## Format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

model: $(VENV)/ready ## Download the embedded model's weights (469 MiB, once, into the user's cache)
	@$(BIN)/victor models pull qwen2.5-coder-0.5b

system: ## Install the Debian packages some tests use (they skip without them); needs root
	@dpkg -s $(DEBIAN) >/dev/null 2>&1 || { apt-get update -q && apt-get install -y -q --no-install-recommends $(DEBIAN); }

bench: $(VENV)/ready-dev ## Measure speed against a bare httpx loop (needs ../shared/bench)
	$(BIN)/python benchmarks/run.py

clean: ## Remove the environment and everything generated
	rm -rf $(VENV) dist build .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "victor needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/ready: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[local]'
	@touch $@

$(VENV)/ready-dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/ready

$(VENV)/ready-sdk: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[sdk]'
	@touch $@ $(VENV)/ready $(VENV)/ready-dev
