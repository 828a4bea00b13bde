# The first Python that is new enough; PYTHON=/path/to/python make ... chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test lint format types docs check clean

help:
	@echo "make demo    search an example model end to end, with a report (about two minutes)"
	@echo "make test    run the tests that need no GPU"
	@echo "make check   tests, linters, types and generated docs"
	@echo "make format  format the code"
	@echo "make clean   remove what was made, studies in demo/ included"

setup: $(VENV)/.developing

# what a user needs
$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 or newer was found; install one, or set PYTHON=" >&2; exit 2; }
	@echo "setting up $(VENV) with $(PYTHON), about half a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# what the tests and linters need besides
$(VENV)/.developing: $(VENV)/.installed
	@echo "adding what the tests need, about a minute"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,postgresql]'
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/python examples/models.py demo/models residual_cnn
	@$(BIN)/tuner search demo/models/residual_cnn.onnx --trials 50 --shapes images:1x3x64x64 \
		--constraint 'error<=0.02' --workspace demo/.tuner --output demo/result

test: setup
	@$(BIN)/python -m pytest -n auto --dist loadfile

lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/codespell

types: setup
	@$(BIN)/mypy

docs: setup
	@$(BIN)/python docs/generate.py --check

check: test lint types docs

format: setup
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache
