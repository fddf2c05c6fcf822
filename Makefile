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
# Settings on top of the variant: SET="horizon=7 learning_rate=3e-4".
SET       ?=
# A file of one's own with further variants (docs/new_variant.md).
PLUGIN    ?=
# How far to train (environment steps), how precisely (float32 or bf16), on how many threads of the CPU.
UNTIL     ?=
PRECISION ?=
THREADS   ?=
# The sides of `make compare`: one, and those that it is compared with.
A         ?= alm/my-idea
B         ?= alm
# Rows added to a table of returns, curves added to figures: make figure5a BESIDE="alm/my-idea sac".
BESIDE    ?=
# Definition of the value bias in figures 4 and 8.
BIAS      ?= redq
# Address of the database of `make server`; by default MLFLOW_BACKEND_STORE_URI.
DATABASE  ?=
# TRAIN=1 before a table or figure: train what it misses at SCALE first (see also: python -m reproduce grid --help).
TRAIN     ?=
TRAINS     = $(filter-out 0 no,$(TRAIN))
# Where the grid trains (docs/scaling.md): ON=ray ADDRESS=auto, or ON=slurm PARTITION=gpu HOURS=4; WORKERS=8.
# DEVICE=cuda is an option of `make train`, too.
ON        ?= local
ADDRESS   ?=
PARTITION ?=
HOURS     ?=
DEVICE    ?= cpu
PER_GPU   ?=
WORKERS   ?=
ENGINE     = --on $(ON) --device $(DEVICE) $(if $(ADDRESS),--address $(ADDRESS)) $(if $(PARTITION),--partition $(PARTITION)) \
             $(if $(HOURS),--hours $(HOURS)) $(if $(PER_GPU),--per-gpu $(PER_GPU)) $(if $(WORKERS),--workers $(WORKERS))
GRID       = $(if $(TRAINS),@$(BIN)/python -m reproduce grid $(1) --scale $(SCALE) $(ENGINE))
ASIDE      = $(if $(BESIDE), --beside $(foreach side,$(BESIDE),'$(side)'))
WHAT_IT_NEEDS = $(VENV)/$(if $(TRAINS),.train,.reading)

# Where `make archive` stores runs: one's own store (runs/store) unless named; the repository's is results/runs.
STORE     ?=

.DEFAULT_GOAL := help

.PHONY: help install docs table2 table3 table4 claims figure-authors figure-curves figure-field theory report documents train grid gallery compare runs ui server sync archive test test-slow torture bench record lint types imports check lock clean FORCE

help: ## Show this list
	@awk -F ':.*## ' '/^# --- / {gsub(/^# --- | -+$$/, ""); print "\n" $$0} \
	  /^[a-z0-9 -]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- results --------------------------------------------------------------------------------------

# Any table or figure by its name, which `make runs` lists: make figure5a, make figure5 for all parts of it (TRAIN=1).
table%: $(WHAT_IT_NEEDS) FORCE
	$(call GRID,$@)
	@$(BIN)/python -m reproduce table $@$(ASIDE)

figure%: $(WHAT_IT_NEEDS) FORCE
	$(call GRID,$@)
	@$(BIN)/python -m reproduce figure $@ --bias $(BIAS)$(ASIDE)

# These have no recipe of their own.
table1: ## Print Table 1: the paper beside the stored runs (TRAIN=1 trains what is missing)
table1-mbbl: ## Print Table 1 on the tasks that its rows SVG(1) and SLBO were measured on (TRAIN=1)
table5: ## Print Table 5: ALM with an entropy bonus (TRAIN=1)
figures: ## Draw every figure into out/figures/; one alone: make figure3 … figure20, figure5a …, figureG, figureQ, figureQ-half (TRAIN=1)

table2 table3 table4: $(VENV)/.train ## Print a table of the code: how methods differ, hyper-parameters, networks
	@$(BIN)/python -m reproduce table $(@:table%=%)

claims: $(WHAT_IT_NEEDS) ## Print the paper's claims beside what the stored runs say, at paper and laptop scale (TRAIN=1: of every exhibit)
	$(call GRID)
	@$(BIN)/python -m reproduce claims

figure-authors: $(VENV)/.reading ## Draw the stored ALM runs over the authors' published curves
	@$(BIN)/python -m reproduce figure authors

figure-curves: $(VENV)/.reading ## Draw the learning curves of every algorithm, for docs/algorithms/
	@$(BIN)/python -m reproduce figure curves

figure-field: $(VENV)/.reading ## Draw the runs at paper scale beside published results of other methods
	@$(BIN)/python -m reproduce figure field

theory: $(VENV)/.reading ## Check the paper's theorem and appendix on finite MDPs; write out/theory/ and its figures
	@$(BIN)/python -m reproduce theory

report: $(VENV)/.train ## Write out/report.html: all tables, figures, claims and stored runs on one page
	@$(BIN)/python -m reproduce report --bias $(BIAS)

runs: $(VENV)/.reading ## List stored runs and what the exhibits still miss
	@$(BIN)/python -m reproduce runs

# --- training and tracking ------------------------------------------------------------------------

train: $(VENV)/.train ## Train: make train TASK=Hopper SEEDS="0 1 2" SCALE=laptop (DEVICE=cuda: on a GPU)
	@$(BIN)/python -m reproduce train --algorithm $(ALGORITHM) --variant '$(VARIANT)' --task $(TASK) --seeds $(SEEDS) --scale $(SCALE) $(if $(PLUGIN),--plugin '$(PLUGIN)') $(foreach one,$(SET),--set '$(one)') --device $(DEVICE) $(if $(UNTIL),--until $(UNTIL)) $(if $(PRECISION),--precision $(PRECISION)) $(if $(THREADS),--threads $(THREADS))

grid: $(VENV)/.train ## Train what all tables and figures miss at SCALE, several runs at a time (ON=ray ADDRESS=auto: on a cluster)
	@$(BIN)/python -m reproduce grid --scale $(SCALE) $(ENGINE)

compare: $(VENV)/.reading ## Compare a variant with others: make compare A=alm/my-idea B="alm sac" TASK=HalfCheetah
	@$(BIN)/python -m reproduce compare '$(A)' $(foreach side,$(B),'$(side)') --task $(TASK) --scale $(SCALE)

ui: $(VENV)/.train ## Open MLflow on 127.0.0.1 with the stored runs imported
	@$(BIN)/python -m reproduce ui

server: $(VENV)/.server ## Serve a Postgres database to several people: make server DATABASE=postgresql://user@host/name (docs/scaling.md)
	@$(BIN)/python -m reproduce server $(if $(DATABASE),--database '$(DATABASE)')

sync: $(VENV)/.train ## Bring MLflow up to date, for instance after its server could not be reached
	@$(BIN)/python -m reproduce sync

gallery: $(VENV)/.render ## Film the last policy of each method: short clips in out/gallery (needs EGL or OSMesa)
	@$(BIN)/python -m reproduce gallery

archive: $(VENV)/.train ## Store unfinished runs as far as they got, marked as partial
	@$(BIN)/python -m reproduce archive $(if $(STORE),--store '$(STORE)')

# --- benchmarks and documentation -----------------------------------------------------------------

bench: $(VENV)/.train ## Time updates against plain implementations and the matrix-product peak, into out/benchmarks
	@$(BIN)/python -m benchmarks.alm_update
	@$(BIN)/python -m benchmarks.baseline_updates
	@$(BIN)/python -m benchmarks.environment_step
	@$(BIN)/python -m benchmarks.populations
	@$(BIN)/python -m benchmarks.sizes

torture: $(VENV)/.train ## Kill runs, damage files, type nonsense, some hundred times (python -m benchmarks.torture --help)
	@$(BIN)/python -m benchmarks.torture

docs: $(VENV)/.dev ## Write the documentation as a site, out/site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet
	@echo "wrote out/site/index.html"

documents: $(VENV)/.train ## For maintainers: bring results/ and the numbers in README.md and docs/ up to date with results/runs
	@rm -f results/figures/*
	@$(BIN)/python -m reproduce figures --no-own --out results/figures
	@for table in table1 table1-mbbl table2 table3 table4 table5 claims; do \
	  $(BIN)/python -m reproduce $$table --no-own --out results/tables >/dev/null || exit; done
	@$(BIN)/python -m reproduce documents

record: $(VENV)/.train ## For maintainers: make what benchmarks measured here, in out/benchmarks, the record that docs/ shows
	@cp out/benchmarks/*.json benchmarks/results/
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

check: lint types imports test ## lint, types, imports and test

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
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling editables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-build-isolation -e .
	@touch $@

# What pyproject.toml calls an extra goes on top of what reading needs; those after the first need training's, too.
$(VENV)/.train: $(VENV)/.reading
$(VENV)/.server $(VENV)/.render $(VENV)/.dev: $(VENV)/.train
$(VENV)/.train:  NEEDS = training needs (once; torch is large)
$(VENV)/.server: NEEDS = the tracking server needs (once)
$(VENV)/.render: NEEDS = films need (once)
$(VENV)/.dev:    NEEDS = the checks need (once)
$(VENV)/.train $(VENV)/.server $(VENV)/.render $(VENV)/.dev:
	@echo "installing what $(NEEDS)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$(@:$(VENV)/.%=%)]" --no-build-isolation
	@touch $@

lock: $(VENV)/.dev ## Write constraints.txt from the environment as it is
	@{ sed '/^[^#]/,$$d' constraints.txt; \
	   $(BIN)/python -m pip freeze --all --exclude-editable | grep -vE '^(pip|wheel)==' | sed 's/+cpu$$//'; } > constraints.new
	@mv constraints.new constraints.txt

clean: ## Remove the environment and caches; runs and results stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
