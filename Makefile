# Every target does all its own set-up, once: .venv from the locks, then this folder as `firstsight`.
# Options: PAIR=tiny  ARGS="--variants baseline,int8"  PYTHON=/path/to/python3.11

PYTHON ?= python3
PAIR ?= tiny
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python -m
PIP := $(RUN) pip --disable-pip-version-check --quiet --quiet install

# Packages in ~/.local must not stand in for those of the lock.
export PYTHONNOUSERSITE := 1
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help bench test test-cluster check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bench: $(VENV)/runtime.done ## distil, quantise, measure and report the pair (PAIR=tiny, ARGS=…)
	@$(RUN) pytest suites --pair $(PAIR) $(ARGS)

# By file in two processes of one thread: models this small gain nothing from a second one.
test: $(VENV)/dev.done ## all tests (ARGS=…)
	@OMP_NUM_THREADS=1 $(RUN) pytest $(or $(ARGS),tests -n 2 --dist loadfile --no-loadscope-reorder)
	@echo "not run: tests of the image and of SLURM jobs (marked cluster); make test-cluster runs them, as root on Debian 12"

# Apptainer comes into a folder of its own (tests/cluster/private_apptainer.py); SLURM's daemons are Debian's packages.
# Where one cannot be had, its tests are skipped and a last line says so; FIRSTSIGHT_MUST_CLUSTER=1 makes that a failure.
test-cluster: $(VENV)/dev.done ## the image by real Apptainer, the jobs by real SLURM; installs both (root, Debian 12)
	@if ! command -v slurmctld >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq || true; \
	    if apt-cache show slurm-wlm munge >/dev/null 2>&1; then \
	        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null || { \
	            echo "make: apt-get knows slurm-wlm and munge, and could not install them" >&2; exit 1; }; \
	    else echo "WARNING: apt-get knows no slurm-wlm and munge here" >&2; fi; fi
	@OMP_NUM_THREADS=1 $(RUN) pytest -m cluster $(or $(ARGS),tests/cluster)

check: $(VENV)/dev.done ## lint, format, types, and the arrows between the rooms
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) pytest -q tests/test_arrows.py

clean: ## remove .venv and caches; artifacts/ and results/ stay
	rm -rf $(VENV) build ./*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `installing` marks a .venv that pip was killed in: it may hold half a package, so the next call starts afresh.
$(VENV)/runtime.done: requirements.lock pyproject.toml
	@if [ -e $(VENV)/installing ]; then echo "$(VENV) was left half-made; making it again"; rm -rf $(VENV); fi
	@if ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then \
	    command -v "$(PYTHON)" >/dev/null || { \
	        echo "make: no $(PYTHON) here; install Python 3.11 or newer, or say PYTHON=/path/to/python3.11" >&2; exit 2; }; \
	    "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	        echo "make: $(PYTHON) is $$("$(PYTHON)" --version 2>&1), FirstSight needs 3.11 or newer: PYTHON=/path/to/python3.11" >&2; exit 2; }; \
	    echo "making $(VENV) with $$("$(PYTHON)" --version)"; \
	    rm -rf $(VENV); \
	    why=$$("$(PYTHON)" -m venv $(VENV) 2>&1) || { rm -rf $(VENV); \
	        echo "make: $(VENV) cannot be made (Debian: apt install python3-venv): $$(echo $$why | tail -c 300)" >&2; exit 2; }; \
	fi
	@echo "installing requirements.lock (a minute or two, 1.5 GB with the CPU build of torch)"
	@touch $(VENV)/installing
	@$(PIP) -r requirements.lock || { rm -f $(VENV)/installing; exit 2; }
	@$(PIP) --no-deps --no-build-isolation -e . || { rm -f $(VENV)/installing; exit 2; }
	@rm $(VENV)/installing
	@touch $@

$(VENV)/dev.done: $(VENV)/runtime.done requirements-dev.lock
	@echo "installing requirements-dev.lock"
	@touch $(VENV)/installing
	@$(PIP) -r requirements-dev.lock || { rm -f $(VENV)/installing; exit 2; }
	@rm $(VENV)/installing
	@touch $@
