.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo up down test test-cloud check screenshots lock clean

PYTHON := .venv/bin/python

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make .venv and all that the demo needs (a second call costs a second)
	@infra/local/setup.sh demo

setup-test: ## The same, with everything the tests need
	@infra/local/setup.sh test

demo: setup ## Run the whole loop before your eyes: Airflow, MLflow, a streaming job, three runs, a rollback
	@$(PYTHON) -m examples.demo

up: setup ## The demo, and then everything stays up until Ctrl-C
	@$(PYTHON) -m examples.demo --stay

down: ## Stop a platform that was left running
	@$(PYTHON) -m infra.local down

check: setup-test ## Format, lint, types, the import rule, spelling
	@infra/local/check.sh

test: check ## Every check and every test, the end-to-end one included
	@infra/local/test.sh

test-cloud: setup-test ## The cloud: images, compose, Kubernetes, workflows, Terraform, what is submitted to Dataflow (needs Go)
	@infra/local/test.sh cloud

screenshots: setup-test ## Play the demo and renew the pictures of the README
	@MODELFLEET_SCREENSHOTS=docs/images $(PYTHON) -m pytest tests/e2e/test_browser.py

lock: ## Resolve the dependencies anew into requirements/*.lock
	@infra/local/lock.sh

clean: ## Remove what runs and builds left (the data of every local run is deleted)
	@rm -rf .modelfleet .build .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
