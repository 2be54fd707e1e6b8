# Every target does its own set-up. Needed on the machine: make, python3 >= 3.11 with pip (no venv module, no compiler, no rights of root).
# A target that finds .venv newer than pyproject.toml and requirements.lock starts at once.

PYTHON ?= python3
UV_VERSION := 0.13.8
TOOLS := .cache/tools-$(UV_VERSION)
UV ?= $(TOOLS)/bin/uv
UV_FILE := $(filter $(TOOLS)/%,$(UV)) # nothing when UV is given: then it is there
BIN := .venv/bin
STAMP := .venv/.up-to-date
ARGS ?=

# uv keeps to the machine's Python and certificates, and to the package index that pip was told to use.
export UV_PYTHON_DOWNLOADS := never
export UV_NO_CONFIG := 1
export UV_SYSTEM_CERTS := 1
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z.]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F '\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'

.PHONY: run
run: $(STAMP) ## A server, three services and a client to look at (ARGS=--once: prove failover and leave)
	@$(BIN)/callboard demo $(ARGS)

.PHONY: test
test: $(STAMP) ## The test suite without soak and interop (ARGS goes to pytest)
	@$(BIN)/python -m pytest -n 2 $(ARGS)

.PHONY: check
check: $(STAMP) ## Lint, format, types, floors, dependencies, sizes; changes nothing
	@tools/check

.PHONY: fix
fix: $(STAMP) ## The twin of check: mend what ruff can mend
	@$(BIN)/ruff check --fix --exit-zero --quiet
	@$(BIN)/ruff format
	@$(BIN)/python -m tools.metrics
	@$(BIN)/python -m tools.reference
	@$(BIN)/python -m tools.compatibility
	@tools/check

.PHONY: bench
bench: $(STAMP) ## Measure, write JSON with commit, seed and machine
	@$(BIN)/python -m bench $(ARGS)

.PHONY: guard
guard: $(STAMP) ## Count the instructions of fixed work, judge them (ARGS=--write: expect them from now on)
	@tools/install-valgrind
	@$(BIN)/python -m bench.instructions $(ARGS)

.PHONY: soak
soak: $(STAMP) ## The long runs: hundreds of crashes, a cluster under faults
	@tools/install-etcd
	@$(BIN)/python -m pytest -m soak -o faulthandler_timeout=0 tests/soak $(ARGS)

.PHONY: interop
interop: $(STAMP) ## Foreign clients, dig, network name spaces, strace against a real server
	@tools/install-interop
	@tools/install-etcd
	@$(BIN)/python -m pytest -m interop tests $(ARGS)

.PHONY: lock
lock: $(UV_FILE) ## Resolve requirements.lock anew (ARGS=--upgrade: take newer versions)
	@tools/lock $(UV) $(ARGS)

.PHONY: clean
clean: ## Remove everything that make made
	rm -rf .venv .cache dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

.venv: $(STAMP) ## Only set up

$(STAMP): pyproject.toml requirements.lock | $(UV_FILE)
	@tools/setup $(UV) $(PYTHON)
	@touch $@

# pip's --target needs no venv module and is allowed where the system's Python is "externally managed".
$(TOOLS)/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Callboard needs Python >= 3.11; say which: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m pip --version >/dev/null || { echo "pip is missing: install python3-pip, or say where uv is: make UV=/path/to/uv" >&2; exit 1; }
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target $(TOOLS) uv==$(UV_VERSION)
