# `make demo` and `make test` set up whatever they need; the second time that takes a moment.
# Options:  make demo ARGS="--rounds 2"    make test ARGS="-k merge"    make bench ARGS="--quick"
.DEFAULT_GOAL := help
.PHONY: help setup ready demo test test-fast lint format types layers docs figures package-check bench clean distclean

VENV   := .venv/bin
ARGS   ?=
# Test processes: more than two cores, as servers are waited for. The tests of a file stay together, in the order of
# tests/conftest.py, and each process starts a server of its own when it needs one.
JOBS   ?= 3
PYTEST := $(VENV)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder --durations=10
FAST   := -m "not slow and not labelstudio and not fiftyone and not browser"
BENCHMARKS := $(filter-out __init__ harness,$(basename $(notdir $(sort $(wildcard benchmarks/[a-z]*.py)))))

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## make .venv ready (PyTorch, Label Studio, FiftyOne and its database), or repair it
	@scripts/setup.sh again

# What the other targets need: the same, in a moment when nothing has changed.
ready:
	@scripts/setup.sh

demo: ready  ## the whole loop on drawn faces, and how many votes it saves
	@$(VENV)/emolab demo $(ARGS)

test:  ## every test, against a real Label Studio and a real FiftyOne
	@scripts/setup.sh test
	@$(PYTEST) $(ARGS)

test-fast: ready  ## the tests that need no server and little time, for while you work
	@$(PYTEST) -q $(FAST) $(ARGS)

lint: ready  ## ruff: rules and layout
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .

format: ready  ## let ruff lay the files out
	@$(VENV)/ruff check --fix --quiet . ; $(VENV)/ruff format .

types: ready  ## mypy, strict
	@$(VENV)/mypy

layers: ready  ## who may import whom
	@$(VENV)/python -m pytest -q tests/test_layers.py

docs: ready  ## write the reference pages of docs/ from the code
	@$(VENV)/python -m scripts.reference

figures: ready  ## write the figures of docs/ from benchmarks/results/
	@$(VENV)/python -m scripts.figures

package-check: ready  ## build sdist and wheel, use the wheel in a clean environment
	@$(VENV)/python scripts/package_check.py

bench: ready  ## every benchmark (ARGS=--quick: under a minute each; ARGS=--save: keep the results)
	@for name in $(BENCHMARKS); do $(VENV)/python -m benchmarks.$$name $(ARGS) || exit 1; echo; done

clean:  ## remove what tools left behind; keeps .venv
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find emolab tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean  ## clean, and remove .venv
	@rm -rf .venv
