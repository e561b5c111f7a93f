# Everything lives in .venv; `make` alone lists what there is. GNU make, POSIX sh.

SHELL := /bin/sh
BIN := .venv/bin
READY := .venv/.ready
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo ui lint test prove bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s  %s\n", $$1, $$2 }' Makefile

setup: $(READY) ## make .venv from requirements.lock, with the command .venv/bin/outgate

$(READY): requirements.lock pyproject.toml
	@test -x $(BIN)/python || python=$$(sh .ci/python) && { test -x $(BIN)/python || "$$python" -m venv .venv; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## deliver sixty days of made-up data to a folder, step by step
	@sh demo/run.sh

ui: $(READY) ## open Dagster's UI on the declared exports
	$(BIN)/outgate ui

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(READY) lint ## lint, then every test; PYTEST_ARGS="-k word" for some
	$(BIN)/python -m pytest $(PYTEST_ARGS)

prove: $(READY) ## the long proofs: every kill point, every time zone, a million inputs and rows
	$(BIN)/python -m tests.prove
	OUTGATE_PROVE=1 $(BIN)/python -m pytest tests/assets/test_windows.py tests/assets/test_paths.py \
		tests/assets/test_round_trips.py tests/journey/test_carry_races.py tests/journey/test_changes_races.py \
		tests/journey/test_aggregates.py tests/journey/test_pushed.py tests/spec/test_mutated.py -q
	OUTGATE_FAULTS=200 $(BIN)/python -m pytest tests/resources/stores/test_faults.py -q

bench: $(READY) ## the speed of the hot path
	$(BIN)/python -m bench

lock: $(READY) ## make requirements.lock anew from pyproject.toml
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url \
		--no-header --quiet pyproject.toml -o requirements.lock

clean: ## remove what tools left, and .venv; deliveries, ledgers and the sample stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
