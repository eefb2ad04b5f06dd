# medray: `make demo` runs the main job on synthetic data, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Nothing is fetched but by its hash, also what builds medray and the few packages without a wheel.
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
LOCKED := $(PIP) --require-hashes
UV ?= uv

# The build of PyTorch: cpu where pip finds the very wheel of the lock (on PyTorch's CPU index), else cuda, which is what PyPI has.
TORCH ?= $$($(LOCKED) --dry-run -r locks/torch-cpu.txt >/dev/null 2>&1 && echo cpu || echo cuda)

.PHONY: install lock demo test test-plain test-runs test-alone lint bench against clean

$(VENV)/made-base: pyproject.toml $(wildcard locks/*.txt)
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) -r locks/build.txt -r locks/runtime.txt -r locks/torch-$(TORCH).txt
	$(PIP) -e .
	touch $@

$(VENV)/made-dev: $(VENV)/made-base
	$(LOCKED) -r locks/dev.txt
	$(BIN)/pip check
	touch $@

# The locks anew from pyproject.toml and constraints.txt; `make lock LOCK=--upgrade` takes the newest of what neither pins. PyTorch's
# CPU build is locked for the Pythons whose wheel uv finds: set UV_INDEX or UV_FIND_LINKS to where they are.
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' -c constraints.txt $(LOCK)

lock:
	$(COMPILE) --group build -o locks/build.txt
	$(COMPILE) pyproject.toml --extra all --excludes locks/torch.in -c locks/build.txt -o locks/runtime.txt
	$(COMPILE) pyproject.toml --extra dev --excludes locks/torch.in -c locks/build.txt -c locks/runtime.txt -o locks/dev.txt
	$(COMPILE) locks/torch.in -c locks/build.txt -c locks/runtime.txt -o locks/torch-cuda.txt
	sed -n 's/^\(torch==.*\)/\1+cpu/p' constraints.txt | $(COMPILE) - -c locks/build.txt -c locks/runtime.txt -o locks/torch-cpu.txt

install: $(VENV)/made-dev

demo: $(VENV)/made-base
	$(BIN)/medray demo

# Tests share the cores: those of plain functions one by one; those of runs, which start Ray and its servers and wait for them half of
# the time, file by file, since the tests of a file share what they prepare. Those that are about how soon a command ends come last, alone.
PLAIN := tests/data tests/imaging tests/features tests/hostile tests/evaluation tests/tasks tests/models tests/bundles tests/report
RUNS := tests $(PLAIN:%=--ignore=%)

test: test-plain test-runs test-alone

test-plain: $(VENV)/made-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PLAIN)

test-runs: $(VENV)/made-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m 'not alone' $(RUNS)

test-alone: $(VENV)/made-dev
	$(BIN)/python -m pytest -m alone $(RUNS)

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
