# make demo   a fresh machine to the main job running on real text
# make test   a fresh machine to all tests passed
# make check  lint, format, types, import contracts, the documentation's links
# make tables the tables of docs/operations.md, from the code
# make bench  wsproc beside the ideal loop and other servers, in one run (ten minutes)
# make soak   the slow rows of docs/faults.md, a quarter of an hour; the table goes to docs/soak.md
# make docs   the documentation as a site, in build/site
# make eval   figures of the embedded models: make eval DATA=folder
# make schema  docs/schema.json and docs/asyncapi.yaml from the models
# make js     wsproc.js and its types from js/src and docs/schema.json
# make package  the wheel and the sdist in dist/, checked, and tried in an environment of their own
# make setup  .venv with the wsproc command in it

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
BENCH := .venv-bench
DATA ?= data

.DEFAULT_GOAL := help
.PHONY: help setup demo test check tables schema js bench soak docs eval package web-tools clean

help:
	@sed -n 's/^# \(make\)/\1/p' Makefile

# torch goes first and alone: any other order lets pip take the newest build with its CUDA packages.
$(VENV)/.installed: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

setup: $(VENV)/.installed

demo: setup
	$(BIN)/wsproc demo

# What the tests with a browser, wscat and curl need from outside of Python; a no-op where it is there.
web-tools: tests/web/node_modules/.installed js/node_modules/.installed
	{ command -v chromium && command -v curl; } >/dev/null || \
	    (apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium curl)

tests/web/node_modules/.installed: tests/web/package-lock.json
	npm ci --prefix tests/web --no-fund --no-audit --silent
	touch $@

js/node_modules/.installed: js/package-lock.json
	npm ci --prefix js --ignore-scripts --no-fund --no-audit --silent
	touch $@

test: $(VENV)/.installed-dev web-tools
	$(BIN)/python -m pytest

check: $(VENV)/.installed-dev docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

tables: $(VENV)/.installed-dev
	$(BIN)/python docs/tables.py

schema: $(VENV)/.installed
	$(BIN)/wsproc schema > docs/schema.json
	$(BIN)/wsproc schema --asyncapi > docs/asyncapi.yaml

js: schema js/node_modules/.installed
	npm run --prefix js --silent build

# The servers that wsproc is measured against have an environment of their own.
$(BENCH)/.installed: requirements.txt benchmarks/requirements.txt
	test -x $(BENCH)/bin/python || $(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.txt)"
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	touch $@

bench: setup $(BENCH)/.installed
	$(BENCH)/bin/python -m benchmarks.serving

soak: $(VENV)/.installed-dev
	$(BIN)/python -m tests.soak --report docs/soak.md

docs: $(VENV)/.installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

eval: $(VENV)/.installed-dev
	$(BIN)/python -m training.evaluate --data $(DATA)

package: $(VENV)/.installed-dev
	rm -rf dist
	$(BIN)/python -m build --no-isolation
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m pytest tests/test_package.py

clean:
	rm -rf $(VENV) $(BENCH) tests/web/node_modules js/node_modules js/build build dist
