# Everything runs in .venv, which is made on first use from nothing but Python and an index.
# The first Python that runs (a shim may not) and that TensorFlow has wheels for.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# Where runs are recorded, if not in mlflow.db here.
URI :=

# Folder and address reach the shell by its environment, where neither it nor make reads code into
# them, and Hydra, where they need it, in quotes, in which an apostrophe needs a backslash.
unexport DATA URI INTO
export PHOTOS := $(value DATA)
export STORE := $(value URI)
export CLONE := $(value INTO)
QUOTED = $$(printf %s "$$$(1)" | sed "/[^A-Za-z0-9_.\/:-]/{s/'/\\\\'/g;s/.*/'&'/;}")

TABLES := $(sort $(notdir $(patsubst %/,%,$(dir $(wildcard experiments/*/*.yaml)))))
# Photos are given already cut into query and gallery, or not.
KIND    = $$(test -d "$$PHOTOS/query" && echo prepared || echo folder)
ON      = $(if $(STORE),"tracking.uri=$(call QUOTED,STORE)") $(if $(PHOTOS),data=$(KIND) "data.root=$(call QUOTED,PHOTOS)")
FROM    = $(if $(STORE),uri="$$STORE")

HAS_PYTHON = test -n "$(PYTHON)" || { \
	echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=<path>"; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help install demo table test test-all fresh bench lint format leaderboard ui clean

# Told at once, before anything is installed or run.
ifneq ($(filter table,$(MAKECMDGOALS)),)
ifneq ($(words $(NAME)) $(filter $(TABLES),$(NAME)),1 $(NAME))
$(error NAME=$(NAME): give the name of a published table, as in make table \
	NAME=models_we_built DATA=photos; there is: $(TABLES))
endif
ifneq ($(findstring tracking.uri=,$(ARGS))$(findstring tracking=,$(ARGS)),)
$(error ARGS=$(ARGS): runs and comparison must be in one place; give it as URI=<tracking URI>)
endif
endif

help: ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## Make .venv with everything in it

$(READY): pyproject.toml
	@$(HAS_PYTHON)
	@echo "Installing into $(VENV): 1 GB to fetch, 3.6 GB on disk, some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
	@echo "Installed. Once in each shell, before commands other than make:  . $(VENV)/bin/activate"

demo: $(READY) ## Run the offline default beside raw pixels, and compare the two
	$(BIN)/python -m outliers_bench -m model=pixels,efficientnet_lite0 skip_finished=true
	$(BIN)/python -m outliers_bench.leaderboard

# 1 says that a row could not be run, as without its weights; the others are compared all the same.
table: $(READY) ## Run every row of a published table: NAME=models_we_built DATA=folder of photos [URI=where to record]
	$(BIN)/python -m outliers_bench -m '+experiments/$(NAME)=glob(*)' skip_finished=true \
		$(ON) $(ARGS) || test $$? -eq 1
	$(BIN)/python -m outliers_bench.leaderboard $(FROM) table=$(NAME)

test: $(READY) ## Run the fast tests
	$(BIN)/python -m pytest

test-all: $(READY) ## Run the slow tests as well; OUTLIERS_BENCH_SHARED names the photos they use
	$(BIN)/python -m pytest -m 'slow or not slow'

fresh: ## Type README's commands in a new clone with an empty home [PYTHON=python3.13] [INTO=folder]
	@$(HAS_PYTHON)
	$(PYTHON) tests/fresh.py $(if $(CLONE),--into "$$CLONE")

bench: $(READY) ## Measure speed beside other ways and the machine's limit; ARGS=--quick for a look, ARGS=--help for more
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(READY) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY) ## Bring the code into style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

leaderboard: $(READY) ## Compare the recorded runs; writes leaderboard.md, .csv and .html
	$(BIN)/python -m outliers_bench.leaderboard $(FROM) $(ARGS)

ui: $(READY) ## Open the MLflow UI on this machine only
	$(BIN)/mlflow ui --backend-store-uri "$${STORE:-sqlite:///mlflow.db}" --host 127.0.0.1

clean: ## Remove caches and builds; runs and features stay
	rm -rf dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
