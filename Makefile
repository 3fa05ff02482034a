.PHONY: help setup demo test check format lock serve clean-demo bench-demand bench-stock bench-anomaly bench-slow-mover bench-recommend
SHELL := /bin/bash
BIN := .venv/bin
DATA ?= ../shared/data
WORKERS ?= 2

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: ## environment, Java, jars (repeatable)
	@infra/setup.sh platform

demo: setup ## the whole loop on real data, on this machine
	@$(BIN)/shelfcast pipeline

test: ## set up and run all tests
	@infra/setup.sh dev
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

check: ## format, lint and types
	@infra/setup.sh dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: ## format and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## lock all requirements again
	@requirements/lock.sh

serve: setup ## the HTTP service over the champions
	@$(BIN)/shelfcast serve

bench-demand bench-stock bench-anomaly bench-slow-mover bench-recommend: bench-%: ## a benchmark with its competitors (DATA=folder)
	@infra/setup.sh dev
	@$(BIN)/python -m benchmarks.$(subst -,_,$*) --data $(DATA)
