# Everything runs in .venv, which is made on first use from nothing but Python 3.11 and an index.
# The first that runs (a shim may not) and that TensorFlow has wheels for.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$python && break; done)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all lint format leaderboard ui clean

help: ## Print this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(READY) ## Make .venv with everything in it

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=<path>"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(READY) ## Run the offline default beside raw pixels, and compare the two
	$(BIN)/python -m outliers_bench -m model=pixels,efficientnet_lite0 skip_finished=true
	$(BIN)/python -m outliers_bench.leaderboard

test: $(READY) ## Run the fast tests
	$(BIN)/python -m pytest

test-all: $(READY) ## Run the slow tests as well; OUTLIERS_BENCH_SHARED names the photos they use
	$(BIN)/python -m pytest -m 'slow or not slow'

lint: $(READY) ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY) ## Bring the code into style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

leaderboard: $(READY) ## Compare the recorded runs; writes leaderboard.md and leaderboard.csv
	$(BIN)/python -m outliers_bench.leaderboard $(ARGS)

ui: $(READY) ## Open the MLflow UI on this machine only
	$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1

clean: ## Remove caches and builds; runs and features stay
	rm -rf dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
