# Every target sets up its own .venv from requirements.lock; Python 3.11+, git and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Hugging Face TRL and torch, which nothing else needs: some gigabytes.
PARITY := .venv-parity
# Trainings that `make reproduce` makes at a time: as many as there are processors, at most 4.
JOBS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1); [ "$$n" -le 4 ] && echo "$$n" || echo 4)

# The committed reports; each names its runs.
REPORTS := docs/showcase docs/showcase/steps

# Handed to `python -m tests.pythons`: paths of interpreters that are not on PATH, or --others.
PYTHONS ?=

.PHONY: help reproduce test test-pythons parity lint bench portability promises docs committed clean

help:
	@echo "make reproduce    verify what is committed, rebuild the datasets, retrain, re-evaluate, compare"
	@echo "make test         linters, types, layers, tests (of sweeps a part), coverage"
	@echo "make test-pythons quick tests on every Python 3.11+ that is here; the same digests from all"
	@echo "make parity       train on exports with Hugging Face TRL; compare its tokens and labels with ours"
	@echo "make lint         ruff, mypy, import-linter"
	@echo "make portability  train under many machine identities; one digest for all"
	@echo "make promises     500 kills, power cuts, full disks, merge orders, whole sweeps (some minutes)"
	@echo "make bench        the benchmarks"
	@echo "make docs         write docs/cli.md from the help texts"
	@echo "make committed    make the committed store, eval sets and runs again from nothing"
	@echo "make clean        remove .venv, .venv-parity and every cache; committed data is never touched"

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) here; install Python 3.11 or later, or say make PYTHON=/path/to/python" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or later is needed, found $$($(PYTHON) -V); say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Setting up $(VENV) from requirements.lock (about a minute) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

reproduce: $(READY)
	$(BIN)/tunixrt verify --rebuild
	$(BIN)/tunixrt reproduce --all --jobs $(JOBS)
	@for report in $(REPORTS); do \
	  $(BIN)/tunixrt report -o $$report --check >/dev/null && echo "$$report: the same bytes." || exit 1; \
	done

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: lint
	$(BIN)/coverage erase
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not sweep" --ignore=tests/parity --cov --cov-report=
	$(BIN)/python -m tests.coverage_gate

test-pythons: $(READY)
	$(BIN)/python -m tests.pythons $(PYTHONS)

$(PARITY)/.ready: tests/parity/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or later is needed, found $$($(PYTHON) -V); say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "Setting up $(PARITY) from tests/parity/requirements.txt (torch is large) ..."
	@$(PYTHON) -m venv --clear $(PARITY)
	@PIP_DISABLE_PIP_VERSION_CHECK=1 $(PARITY)/bin/python -m pip install --quiet -r tests/parity/requirements.txt
	@touch $@

parity: $(PARITY)/.ready
	$(PARITY)/bin/python -m pytest -q tests/parity \
	  tests/datasets/test_export_containers.py::test_hugging_face_datasets_loads_every_container

portability: $(READY)
	$(BIN)/python -m tests.portability

promises: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m sweep
	$(BIN)/python -m tests.kills --n 500
	$(BIN)/python -m tests.power_cuts
	$(BIN)/python -m tests.refusals short
	$(BIN)/python -m tests.merges --n 1000

bench: $(READY)
	$(BIN)/python -m benchmarks.store
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.seeds
	$(BIN)/python -m benchmarks.judges
	$(BIN)/python -m benchmarks.null_experiment

docs: $(READY)
	$(BIN)/python -m tests.cli_reference
	$(BIN)/python -m tests.docs.error_table

committed: $(READY)
	BIN=$(abspath $(BIN)) sh tests/make_committed.sh

clean:
	rm -rf $(VENV) $(PARITY) .venv-3.* .tunixrt store/.tmp .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
