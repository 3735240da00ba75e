# Everything runs in .venv, which is created on first use; only Python and a package index are needed.
# The first Python that runs (a pyenv shim may not) and for which TensorFlow has wheels.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Tracking URI of the runs; default: mlflow.db in this folder.
URI :=

# Folder and URI are passed to the shell in its environment, so that neither make nor the shell
# expands them, and to Hydra in quotes if needed, with a backslash before each apostrophe.
unexport DATA URI INTO
export PHOTOS := $(value DATA)
export STORE := $(value URI)
export CLONE := $(value INTO)
QUOTED = $$(printf %s "$$$(1)" | sed "/[^A-Za-z0-9_.\/:-]/{s/'/\\\\'/g;s/.*/'&'/;}")

TABLES := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard experiments/*/*.yaml)))))
# A folder with query/ is already split into query and gallery.
KIND    = $$(test -d "$$PHOTOS/query" && echo prepared || echo folder)
ON      = $(if $(STORE),"tracking.uri=$(call QUOTED,STORE)") $(if $(PHOTOS),data=$(KIND) "data.root=$(call QUOTED,PHOTOS)")
FROM    = $(if $(STORE),uri="$$STORE")

HAS_PYTHON = test -n "$(PYTHON)" || { \
	echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=<path>"; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help install demo table test test-all torture fresh bench lint format leaderboard ui clean

# Checked first, before anything is installed or run.
ifneq ($(filter table,$(MAKECMDGOALS)),)
ifneq ($(words $(NAME)) $(filter $(TABLES),$(NAME)),1 $(NAME))
$(error NAME=$(NAME): give the name of a published table, as in make table \
	NAME=models_we_built DATA=photos; available: $(TABLES))
endif
ifneq ($(findstring tracking.uri=,$(ARGS))$(findstring tracking=,$(ARGS)),)
$(error ARGS=$(ARGS): runs and leaderboard must use the same store; give it as URI=<tracking URI>)
endif
endif

help: ## Print this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## Create .venv with all packages

$(READY): pyproject.toml
	@$(HAS_PYTHON)
	@echo "Installing into $(VENV): 1 GB to download, 3.6 GB on disk, a few minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
	@echo "Installed. In each shell, before commands other than make:  . $(VENV)/bin/activate"

demo: $(READY) ## Run the offline default and raw pixels, and compare the two
	$(BIN)/python -m outliers_bench -m model=pixels,efficientnet_lite0 skip_finished=true
	$(BIN)/python -m outliers_bench.leaderboard

# Exit code 1: a row could not be run, such as one without weights; the others are compared anyway.
table: $(READY) ## Run every row of a published table: NAME=models_we_built DATA=folder of photos [URI=tracking URI]
	$(BIN)/python -m outliers_bench -m '+experiments/$(NAME)=glob(*)' skip_finished=true \
		$(ON) $(ARGS) || test $$? -eq 1
	$(BIN)/python -m outliers_bench.leaderboard $(FROM) table=$(NAME)

test: $(READY) ## Run the fast tests
	$(BIN)/python -m pytest

test-all: $(READY) ## Run all tests, including slow ones; OUTLIERS_BENCH_SHARED is the folder of their photos
	$(BIN)/python -m pytest -m 'slow or not slow'

TIMES ?= 20
SEED ?= 0

# One process, so that the moments of the kills are spread over what a command does.
torture: $(READY) ## Kill commands at random moments, damage files, attack servers: TIMES=20 rounds (hours) from SEED=0
	OUTLIERS_BENCH_TORTURE=$(TIMES) OUTLIERS_BENCH_SEED=$(SEED) \
		$(BIN)/python -m pytest -n 0 -m 'slow or not slow' tests/torture $(ARGS)

fresh: ## Run the README's commands in a new clone with an empty home [PYTHON=python3.13] [INTO=folder]
	@$(HAS_PYTHON)
	$(PYTHON) tests/fresh.py $(if $(CLONE),--into "$$CLONE")

bench: $(READY) ## Measure speed, compared with other libraries and the machine's limit; ARGS=--quick for a check, ARGS=--help for options
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(READY) ## Check style, types and the English
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m tests.prose

format: $(READY) ## Format the code and fix its style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

leaderboard: $(READY) ## Compare the recorded runs; writes leaderboard.md, .csv and .html
	$(BIN)/python -m outliers_bench.leaderboard $(FROM) $(ARGS)

ui: $(READY) ## Open the MLflow UI on this machine only
	$(BIN)/mlflow ui --backend-store-uri "$${STORE:-sqlite:///mlflow.db}" --host 127.0.0.1

clean: ## Remove caches of tools and builds; runs and features are not touched
	rm -rf dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
