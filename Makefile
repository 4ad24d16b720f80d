# Farol. `make help` lists what can be asked.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
PROMTOOL := .tools/bin/promtool
BIN := .venv/bin
PORT ?=
ONCE ?=
# uv takes the Python that is here; it must never download one.
export UV_PYTHON_DOWNLOADS := never
export UV_PYTHON := $(shell command -v $(PYTHON) 2>/dev/null)
export UV_PROJECT_ENVIRONMENT := .venv
# Two files of tests at a time: most of them wait for servers, and a file's servers are its own.
PYTEST := $(BIN)/pytest -q -n 2 --dist loadfile

.PHONY: help setup run check static test system soak bench schemas format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.dev ## make the environment with everything that development and tests need

run: .venv/.run ## start on recorded data, show an example search, serve until Ctrl-C (ONCE=1: end after the search; PORT=8001: another port)
	@if [ -f .env ]; then set -a; . ./.env; set +a; fi; \
	FAROL_SOURCES="$${FAROL_SOURCES:-recorded}" exec $(BIN)/farol up $(if $(PORT),--port $(PORT)) --example $(if $(filter-out 0,$(ONCE)),--once)

check: static ## format, lint, types, imports, schemas, unit tests
	$(PYTEST) $(wildcard libs/*/tests/unit services/*/tests/unit)

static: .venv/.dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy libs services tests deploy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m contracts.schemas check
	@$(BIN)/python -m servicekit.asyncapi | cmp -s - docs/asyncapi.json || { echo 'docs/asyncapi.json is not current: run `make schemas`'; exit 1; }
	$(BIN)/python deploy/nats/permissions.py check
	$(BIN)/python deploy/grafana/dashboards.py check
	@if find libs services tests deploy -path '*/tests/*' -name __init__.py | grep .; then \
	  echo 'no __init__.py under tests/: with them two test files of one name become one'; exit 1; fi

test: static system ## what CI runs: check and every test, with line coverage
	$(PYTEST) -m 'not soak' --cov --cov-report=term:skip-covered

soak: .venv/.dev system ## the full counts of the long proofs
	$(PYTEST) -m soak

bench: .venv/.run ## measure
	$(BIN)/farol bench
	$(BIN)/farol bench fetch
	$(BIN)/farol bench memory
	$(BIN)/python -m classifier.bench

schemas: .venv/.dev ## write what is generated: JSON schemas, AsyncAPI, OpenAPI, the permissions of the bus
	$(BIN)/python -m contracts.schemas write
	$(BIN)/python -m servicekit.asyncapi > docs/asyncapi.json
	$(BIN)/python -m gateway.document > services/gateway/openapi.json
	$(BIN)/python deploy/nats/permissions.py
	$(BIN)/python deploy/grafana/dashboards.py

format: .venv/.dev ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet .

clean: ## remove the environment and the data of this directory
	rm -rf .venv .tools .farol .coverage

# uv is on PyPI. Without venv/ensurepip (Debian splits them off) pip installs it beside; without either, one line says so.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Farol needs Python 3.11 or later: apt-get install python3, or make PYTHON=/path/to/python3.11'; exit 1; }
	@echo 'Preparing the environment (once)...'
	@if $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null; then \
	  $(PYTHON) -m venv .tools && .tools/bin/python -m pip install -qq --disable-pip-version-check uv==$(UV_VERSION); \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -m pip install -qq --disable-pip-version-check --target .tools uv==$(UV_VERSION); \
	else echo 'python3 has neither venv nor pip here: apt-get install python3-venv'; exit 1; fi

$(PROMTOOL):
	@if command -v promtool >/dev/null; then mkdir -p $(@D) && ln -s "$$(command -v promtool)" $@; exit; fi; \
	command -v apt-get >/dev/null || { echo 'the tests also need promtool on the PATH'; exit 1; }; \
	mkdir -p .tools/deb $(@D); cd .tools/deb; \
	apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq && apt-get download -qq prometheus; }; \
	dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > ../bin/promtool.new; rm -f prometheus_*.deb; \
	chmod +x ../bin/promtool.new && mv ../bin/promtool.new ../bin/promtool

# One stamp each: nothing is installed again while uv.lock and the pyproject files are what they were.
LOCKED := uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)

.venv/.run: $(UV) $(LOCKED)
	@if [ -f .venv/.dev ]; then $(UV) sync --frozen --quiet && touch .venv/.dev; else $(UV) sync --frozen --no-dev --quiet; fi
	@touch $@

.venv/.dev: $(UV) $(LOCKED)
	@$(UV) sync --frozen --quiet
	@touch .venv/.run $@

# What tests need and PyPI has not: a browser for the page, LibreOffice for the spreadsheet, compose for its file, promtool
# for the alerts. Of Debian's prometheus only promtool is unpacked: nothing is installed and no server begins to run.
system: $(PROMTOOL)
	@missing=''; \
	for browser in chromium chromium-browser google-chrome; do command -v $$browser >/dev/null && break; done || missing="$$missing chromium"; \
	command -v soffice >/dev/null || missing="$$missing libreoffice-calc-nogui"; \
	docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || missing="$$missing docker-compose"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
	  echo "the tests also need:$$missing (as root: apt-get install$$missing)"; exit 1; fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null
