# make setup         install everything into .venv and prepare the pocket lab's models and speech
# make run           layer-wise steering and its projection-only ablation (others: make run EXPERIMENTS=experiments/….toml)
# make test          lint, types, contracts, tests
# make test-cluster  the tests that wait for a real Slurm, ten minutes
# make check         lint, types, contracts
# make clean         remove .venv, build output and tool caches; keep runs/ and the user's cache
#
# Needs Python >= 3.10 (PYTHON=…), make and pip. Pip's own settings (index, proxy, certificates) are respected.

SHELL       := /bin/bash
PYTHON      ?= python3
VENV        := .venv
BIN         := $(VENV)/bin
EXPERIMENTS ?= experiments/whisper_layer_wise.toml experiments/whisper_linear.toml
# hours of each kind of synthetic speech to prepare, as in experiments/base/recogniser.toml
HOURS       ?= 1.5
# number of parallel test processes
JOBS        ?= $(shell nproc)

PLUGINS     := $(sort $(wildcard plugins/*/pyproject.toml))
FILES       := plugins/steermoe-pocket/requirements-files.txt
EDITABLE    := -e .[deepspeed,nf4,test,vad,whisper-en] $(patsubst %/pyproject.toml,-e ./%,$(PLUGINS))
INSTALLED   := $(VENV)/installed.stamp
PREPARED    := $(VENV)/prepared.stamp

.PHONY: setup run test test-cluster check clean

setup: $(PREPARED)

run: setup
	$(BIN)/steermoe run $(EXPERIMENTS)

# Each test file runs in one process, so that its fixtures are created once; each process uses one core. Long
# files start first (tests/conftest.py).
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test-cluster: $(PREPARED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster plugins/steermoe-slurm

check: $(PREPARED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache build plugins/*/build
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "steermoe needs Python >= 3.10; name one with: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then $(PYTHON) -m venv $(VENV); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $@ install --quiet pip; \
	else echo "this Python can make no virtual environment; install its venv package (Debian: python3-venv)" >&2; exit 1; fi \
	|| { rm -rf $(VENV); exit 1; }

$(INSTALLED): pyproject.toml constraints.txt $(FILES) $(PLUGINS) | $(BIN)/python
	$(BIN)/python -m pip install --constraint constraints.txt $(EDITABLE)
	$(BIN)/python -m pip install --no-deps --require-hashes --requirement $(FILES)
	@touch $@

$(PREPARED): $(INSTALLED) $(wildcard $(addprefix plugins/steermoe-pocket/steermoe_pocket/,*.py *.toml *.txt))
	$(BIN)/python -m steermoe_pocket --apt --hours $(HOURS)
	@touch $@
