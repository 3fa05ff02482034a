.PHONY: help setup demo stack-demo test test-stack-long test-airflow test-resume check format lock serve bench-demand bench-stock bench-anomaly bench-slow-mover bench-recommend bench-ingest bench-features bench-scale
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

stack-demo: ## the same loop on real servers on this machine: Kafka, MinIO, Redis, MLflow, a Spark cluster
	@infra/setup.sh dev
	@infra/stack/demo.sh

test-stack-long: ## the stack tests at full size: 210,000 lines of which 10,000 are bad, 100 kills
	@infra/setup.sh dev
	@SHELFCAST_TEST_SCALE=50 SHELFCAST_TEST_KILLS=100 $(BIN)/python -m pytest tests/stack

test-resume: ## the pipeline is ended at each of its steps, and its next run goes on (long)
	@infra/setup.sh dev
	@$(BIN)/python -m pytest tests/resume/every_step.py

test: ## set up and run all tests
	@infra/setup.sh dev
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

test-airflow: ## the DAGs in a real Airflow, in an environment of its own
	@infra/setup.sh dev
	@infra/setup.sh airflow
	@$(BIN)/python -m pytest tests/airflow/every_dag.py

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

bench-ingest bench-features bench-scale: bench-%: ## a benchmark on the real servers, which must run (`shelfcast stack up`)
	@infra/setup.sh dev
	@variables=$$($(BIN)/shelfcast stack env) && eval "$$variables" && $(BIN)/python -m benchmarks.$*
