# medray: `make demo` runs the main job on synthetic data, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: install demo test test-plain test-runs lint bench against clean

$(VENV)/made-base: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) -e '.[all]'
	touch $@

$(VENV)/made-dev: $(VENV)/made-base
	$(PIP) -e '.[dev]'
	touch $@

install: $(VENV)/made-dev

demo: $(VENV)/made-base
	$(BIN)/medray demo

# Tests of plain functions share the cores; those that start Ray and its servers have the machine for themselves.
PLAIN := tests/data tests/imaging tests/features tests/hostile tests/evaluation tests/tasks tests/models tests/bundles tests/report

test: test-plain test-runs

test-plain: $(VENV)/made-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PLAIN)

test-runs: $(VENV)/made-dev
	$(BIN)/python -m pytest tests $(PLAIN:%=--ignore=%)

lint: $(VENV)/made-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/made-dev
	$(BIN)/python benchmarks/ingest.py
	$(BIN)/python benchmarks/importing.py
	$(BIN)/python benchmarks/decoder_memory.py
	$(BIN)/python benchmarks/mutations.py
	$(BIN)/python benchmarks/preprocess.py
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/small_jobs.py
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/endpoint.py
	$(BIN)/python benchmarks/labels.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/busi.py

# This checkout against another: make against BEFORE=/tmp/before
against: $(VENV)/made-dev
	$(BIN)/python benchmarks/against.py $(BEFORE)

clean:
	rm -rf $(VENV) medray-demo
