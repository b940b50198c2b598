# Everything a fresh machine needs beyond Python >= 3.11 (with venv and headers),
# a C compiler and make is installed into .venv by the first target that needs it.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	echo $$p; break; fi; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
SOURCES := $(shell find src -type f ! -name '*.so' ! -name '*.c' ! -path '*/__pycache__/*')
CHECKED := src/pyapi src/core tests bench

.PHONY: test test-slow demo lint types format bench clean

test: $(VENV)/installed
	$(BIN)/python -m pytest -q

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -q -m "slow or not slow"

demo: $(VENV)/installed
	$(BIN)/python -m firekeep demo

lint: $(VENV)/linters
	$(BIN)/ruff format --no-cache --check $(CHECKED) setup.py
	$(BIN)/ruff check --no-cache $(CHECKED) setup.py
	PATH="$(abspath $(BIN)):$$PATH" cython-lint src/core

types: $(VENV)/linters $(VENV)/installed
	$(BIN)/mypy
	MYPYPATH=src/pyapi:src/core $(BIN)/mypy --explicit-package-bases tests/typing
	$(BIN)/stubtest firekeep_core --allowlist tests/house/stubtest.txt
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/linters
	$(BIN)/ruff format $(CHECKED) setup.py
	$(BIN)/ruff check --fix $(CHECKED) setup.py

bench: $(VENV)/installed
	$(PIP) install --group bench
	$(BIN)/python -m bench

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src -name '*.so' -delete

$(VENV)/tools: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"
	$(PIP) install --group build --group test
	touch $@

$(VENV)/installed: $(VENV)/tools $(SOURCES) setup.py README.md
	$(PIP) install --no-build-isolation .
	touch $@

$(VENV)/linters: $(VENV)/tools
	$(PIP) install --group lint --group bench
	touch $@
