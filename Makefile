# Everything a developer or CI runs. `make demo` and `make test` set a fresh machine up by themselves.
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# one more than the cores of a small machine: many tests wait for real processes
JOBS ?= 3
DATA ?= $(CURDIR)/data

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# threads that spin while they wait starve the tests beside them
export OPENBLAS_NUM_THREADS = 1
export OMP_WAIT_POLICY = PASSIVE
# kernels are compiled once for everything that a check runs
check test test-questdb coverage data-contract simulate kernels: export NUMBA_CACHE_DIR ?= $(CURDIR)/.numba_cache

.PHONY: help demo test check kernels lint types contracts coverage data-contract simulate bench bench-questdb bench-tq mutants soak lock reference clean env env-test questdb questdb-stop test-questdb

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

# --- environment -----------------------------------------------------------------------------------------------------
$(VENV)/.python: scripts/check_python.py
	@$(PYTHON) scripts/check_python.py
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.core: $(VENV)/.python requirements/core.txt pyproject.toml
	@bash scripts/system_packages.sh libgomp1
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/core.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.core requirements/test.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/test.txt
	@touch $@

env: $(VENV)/.core ## the environment of the demo
env-test: $(VENV)/.test ## the environment of tests and checks

# --- what people run -------------------------------------------------------------------------------------------------
demo: $(VENV)/.core ## the whole loop on the sample days
	GHTRADER_DATA_DIR=$(DATA)/store GHTRADER_RUNS_DIR=$(DATA)/runs GHTRADER_ARTIFACTS_DIR=$(DATA)/artifacts $(BIN)/ghtrader demo

test: $(VENV)/.test ## every test; nothing is skipped silently
	@bash scripts/system_packages.sh chromium java mvn redis-server
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

questdb: $(VENV)/.test ## a real QuestDB server on free loopback ports; prints its environment as shell exports
	@bash scripts/system_packages.sh java mvn
	@$(BIN)/python -m ghtrader.testing.questdb_server start $(DATA)/questdb

questdb-stop: $(VENV)/.test ## stop the server of make questdb
	@$(BIN)/python -m ghtrader.testing.questdb_server stop $(DATA)/questdb

test-questdb: $(VENV)/.test ## every contract, migration, parity and fault test on a real server, which is stopped at the end
	@bash scripts/system_packages.sh java mvn
	$(BIN)/python -m pytest tests/questdb -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/.test ## exactly what CI runs
	$(MAKE) --jobs=2 --output-sync=target lint types contracts kernels
	$(MAKE) coverage data-contract simulate

kernels: $(VENV)/.test ## compile what numba compiles, so that the processes of a check need not, each for itself
	$(BIN)/python scripts/compile_kernels.py

lint: $(VENV)/.test ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## mypy --strict on the package
	$(BIN)/mypy

contracts: $(VENV)/.test ## who may import whom
	$(BIN)/lint-imports

coverage: $(VENV)/.test ## make test with coverage by package; from Python 3.12 on it costs nothing (sys.monitoring)
	COVERAGE_CORE=$$($(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")') $(MAKE) test PYTEST_ARGS="--cov --cov-report=term --cov-report=json:.coverage.json $(PYTEST_ARGS)"
	$(BIN)/python scripts/coverage_by_package.py .coverage.json

data-contract: $(VENV)/.test ## the data contract: built-in day, shipped days as files and as stored days with their published digests
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; set -e; \
	export GHTRADER_DATA_DIR=$$folder/data GHTRADER_RUNS_DIR=$$folder/runs GHTRADER_ARTIFACTS_DIR=$$folder/artifacts; \
	$(BIN)/ghtrader data contract-check; \
	$(BIN)/ghtrader data contract-check samples/*.parquet; \
	$(BIN)/ghtrader data import samples/*.parquet; \
	$(BIN)/ghtrader data contract-check --symbol SHFE.rb2510 --digests samples/digests.json

bench: $(VENV)/.test ## speed and memory beside peers, one core
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	for name in sim factors labels rowhash store validate import strategy gateway links dedupe; do $(BIN)/ghtrader bench $$name || exit 1; done

bench-questdb: $(VENV)/.test ## writes, reads and questions beside a bare client, on a server of its own
	@bash scripts/bench_questdb.sh $(DATA)/bench-questdb

bench-tq: $(VENV)/.test ## history and live ticks beside the bare TqSdk client, on a loopback exchange (minutes)
	$(BIN)/python benchmarks/tq.py

simulate: $(VENV)/.test ## 500 seeds of the deterministic simulation: the gateway under crashes and faults
	$(BIN)/ghtrader simulate --seeds 500

mutants: $(VENV)/.test ## 200 small changes of the trading cores, each put to the tests of its core: nine in ten are caught (minutes)
	$(BIN)/python scripts/mutants.py

soak: $(VENV)/.test ## the truth study over twenty seeds, 1,000 longer seeds of the simulation, through 95 % of every table, 200 gateways killed (long)
	GHTRADER_ARTIFACTS_DIR=$(DATA)/artifacts $(BIN)/ghtrader truth --seeds 20
	$(BIN)/ghtrader simulate --seeds 1000 --first-seed 100000 --hours 1 --coverage 0.95
	rm -rf $(DATA)/kill-rounds
	$(BIN)/python -m ghtrader.testing.kill_rounds $(DATA)/kill-rounds --ticks samples --rounds 200

reference: $(VENV)/.test ## pages made from the code
	$(BIN)/python scripts/make_reference.py

lock: ## hashed requirements for every supported Python, without hosts
	@bash scripts/lock.sh

clean: ## remove environment, data and caches
	rm -rf $(VENV) $(DATA) .numba_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.json .import_linter_cache
