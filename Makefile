# Every target makes the environment it needs (.venv, from constraints.txt) by itself, once.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# Options of `make train`.
ALGORITHM ?= alm
VARIANT   ?= base
TASK      ?= HalfCheetah
SEEDS     ?= 0
SCALE     ?= laptop
# Tasks of `make table1`: A, the paper's; B, those that most printed baselines were measured on; or printed.
PROTOCOL  ?= A
# Definition of the value bias in figures 4 and 8.
BIAS      ?= redq

# What reading stored runs needs; training needs everything in pyproject.toml.
READING := numpy pandas pyarrow matplotlib seaborn tyro rich psutil

.DEFAULT_GOAL := help
.PHONY: help install table1 figures figure3 figure4 figure8 figure9 figure-authors figure-curves documents train runs ui sync freeze test test-slow bench lint types imports check lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9 -]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- results --------------------------------------------------------------------------------------

table1: $(VENV)/.reading ## Print Table 1: the paper beside the stored runs (PROTOCOL=A, B or printed; also results/tables/)
	@$(BIN)/python -m reproduce table1 --protocol $(PROTOCOL)

figure3 figure4 figure8 figure9: $(VENV)/.reading ## Draw a figure of the paper into results/figures/ (BIAS=redq, paper or per-state)
	@$(BIN)/python -m paper_figures $@ --bias $(BIAS)

figure-authors: $(VENV)/.reading ## Draw the stored ALM runs over the authors' published curves
	@$(BIN)/python -m paper_figures authors

figure-curves: $(VENV)/.reading ## Draw the learning curves of every algorithm, for docs/algorithms/
	@$(BIN)/python -m paper_figures curves

figures: figure3 figure4 figure8 figure9 figure-authors figure-curves ## Draw every figure

documents: table1 figures ## Bring tables, figures and the numbers in README.md and docs/ up to date
	@$(BIN)/python -m reproduce table1 --protocol B >/dev/null
	@$(BIN)/python -m reproduce documents

runs: $(VENV)/.reading ## List stored runs and what the exhibits still miss
	@$(BIN)/python -m reproduce runs

# --- training and tracking ------------------------------------------------------------------------

train: $(VENV)/.training ## Train: make train TASK=Hopper SEEDS="0 1 2" SCALE=laptop
	@$(BIN)/python -m reproduce train --algorithm $(ALGORITHM) --variant $(VARIANT) --task $(TASK) --seeds $(SEEDS) --scale $(SCALE)

ui: $(VENV)/.training ## Open MLflow on 127.0.0.1 with the stored runs imported
	@$(BIN)/python -m reproduce ui

sync: $(VENV)/.training ## Bring MLflow up to date, for instance after its server could not be reached
	@$(BIN)/python -m reproduce sync

freeze: $(VENV)/.training ## Store unfinished runs as far as they got, marked as partial
	@$(BIN)/python -m reproduce freeze

bench: $(VENV)/.training ## Time updates against plain implementations and the matrix-product peak
	@$(BIN)/python -m benchmarks.alm_update
	@$(BIN)/python -m benchmarks.baseline_updates
	@$(BIN)/python -m benchmarks.environment_step
	@$(BIN)/python -m reproduce documents

# --- quality --------------------------------------------------------------------------------------

test: $(VENV)/.dev ## Run the tests (minutes)
	@$(BIN)/python -m pytest -n 2

test-slow: $(VENV)/.dev ## Run the tests that learn (about half an hour)
	@$(BIN)/python -m pytest -m slow

lint: $(VENV)/.dev ## Check style and formatting with ruff
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.dev ## Check types with mypy
	@$(BIN)/mypy

imports: $(VENV)/.dev ## Check that imports point one way
	@$(BIN)/lint-imports

check: lint types imports test ## All of the above but the slow tests

# --- environment ----------------------------------------------------------------------------------

install: $(VENV)/.dev ## Make the whole environment now

$(VENV)/.python:
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is not Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11 ..."; exit 2; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.reading: $(VENV)/.python constraints.txt pyproject.toml
	@echo "installing what reading results needs (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt setuptools $(READING)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.training: $(VENV)/.reading
	@echo "installing what training needs (once; torch is large)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e . --no-build-isolation
	@touch $@

$(VENV)/.dev: $(VENV)/.training
	@echo "installing what the checks need (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]" --no-build-isolation
	@touch $@

lock: $(VENV)/.dev ## Write constraints.txt from the environment as it is
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	   $(BIN)/python -m pip freeze --all --exclude-editable | grep -vE '^(pip|wheel)==' | sed 's/+cpu$$//'; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove the environment and caches; runs and results stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
