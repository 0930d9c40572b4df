# Everything a person or a machine does with this project, by name. `make run` needs Python only; `make test` also needs
# Docker, or Java with Maven and Go, for real Kafka and etcd.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.PHONY: check-tests check-types check-style check-imports check-schemas run test outages kill-matrix chaos bug-zoo mutants check fix simulate bench bench-generator diagrams services-up services-down lock clean help

PYTHON ?= python3
SERVICES ?= embedded
DEMO_SECONDS ?= 30
PYTEST_ARGS ?=
SEEDS ?= 100000
SIMULATE_ARGS ?=
MINUTES ?= 10
SEED ?= 1
WORKERS ?= 3
CORES := $(shell nproc)
SAMPLE ?= 160

RUN := .cache/venv
DEV := .venv
DEMO := .cache/demo
MUTATION := $(CURDIR)/.cache/mutation
SERVERS := $(PYTHON) docker/local/services.py

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: $(RUN)/project  ## play a living cluster for half a minute; SERVICES=local on real Kafka and etcd
ifeq ($(SERVICES),local)
	rm -rf $(DEMO)
	trap '$(SERVERS) down --dir $(DEMO)' EXIT; \
	$(SERVERS) up --dir $(DEMO) --kafka-port 0 --etcd-port 0; \
	eval "$$($(SERVERS) env --dir $(DEMO))"; \
	$(RUN)/bin/processor dev --demo --for $(DEMO_SECONDS)
else
	$(RUN)/bin/processor dev --demo --for $(DEMO_SECONDS)
endif

test: $(DEV)/project  ## all tests, on real Kafka and etcd; PYTEST_ARGS="-k name" for some
	$(SERVERS) install || echo "tests that need a server use Docker, or fail and say what they miss" >&2
	$(DEV)/bin/pytest -n $(WORKERS) $(PYTEST_ARGS)

outages: $(DEV)/project  ## take real servers away, freeze and fill them, swallow replies; minutes, and it wants a quiet machine
	$(SERVERS) install
	$(DEV)/bin/pytest -m outages tests/integration $(PYTEST_ARGS)

kill-matrix: $(DEV)/project  ## end, freeze, fail and delay processes at every failpoint; PYTEST_ARGS="-k after_commit" for some
	$(SERVERS) install
	$(DEV)/bin/pytest -n $(WORKERS) -m kill_matrix tests/integration/test_kill_matrix.py $(PYTEST_ARGS)

chaos: $(DEV)/project  ## kill, freeze, end and add processes at random; MINUTES=10 SEED=1
	$(SERVERS) install
	CHAOS_S=$$(($(MINUTES) * 60)) CHAOS_SEED=$(SEED) $(DEV)/bin/pytest tests/integration/test_chaos.py -s $(PYTEST_ARGS)

check: $(DEV)/project  ## format, lint, types, import contracts, schemas, and the tests that need no server, side by side
	@$(MAKE) --no-print-directory --jobs 2 check-tests check-types check-style check-imports check-schemas

check-tests check-types check-style check-imports check-schemas: $(DEV)/project
check-tests:
	$(DEV)/bin/pytest -q -n $(CORES) --no-services -m "not slow" --hypothesis-profile=fixed $(PYTEST_ARGS)
check-types:
	$(DEV)/bin/mypy
check-style:
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
check-imports:
	$(DEV)/bin/lint-imports
check-schemas:
	$(DEV)/bin/processor schemas check

fix: $(DEV)/project  ## format, and mend what the linter can mend
	$(DEV)/bin/ruff format .
	$(DEV)/bin/ruff check --fix .

simulate: $(DEV)/project  ## play the engine under faults, SEEDS=100000 of them; SIMULATE_ARGS="--seed 17" for one again
	$(DEV)/bin/python -m tests.simulation --seeds $(SEEDS) --jobs $$(nproc) $(SIMULATE_ARGS)

bug-zoo: $(DEV)/project  ## see every deliberate defect caught, and write docs/bug-zoo.md
	$(DEV)/bin/python -m tests.zoo docs/bug-zoo.md

mutants: $(DEV)/project  ## mutate SAMPLE=160 places each of cluster and engine (as committed), and list what no test notices
	$(DEV)/bin/pip $(PIP_INSTALL) --target $(MUTATION)/tools --upgrade cosmic-ray==8.7.0 pytest-cov==7.1.0
	rm -rf $(MUTATION)/tree && mkdir $(MUTATION)/tree
	git archive HEAD | tar -x -C $(MUTATION)/tree
	cd $(MUTATION)/tree && PYTHONPATH=$(MUTATION)/tools $(CURDIR)/$(DEV)/bin/python -m tests.mutation $(SAMPLE)

bench: $(DEV)/project  ## measure; results go to bench/results; BENCH="peer latency --quick" for some
	$(DEV)/bin/python -m bench $(BENCH)

bench-generator: $(DEV)/project  ## measure the state generator alone, event by event; needs no server
	$(DEV)/bin/python -m bench.costs $(BENCH)

diagrams: $(DEV)/project  ## draw docs/lifecycle from the state generator's tables, and the packages from their imports
	$(DEV)/bin/python -m processor.reference.diagrams docs/lifecycle
	$(DEV)/bin/python -m tests.pages.import_diagram

services-up:  ## start Kafka and etcd on 127.0.0.1:9092 and :2379
	$(SERVERS) up
	@echo 'in your shell: eval "$$($(SERVERS) env)"'

services-down:  ## stop them; their data stay in .cache/services
	$(SERVERS) down

lock:  ## resolve again what pyproject.toml asks for; UPGRADE=--upgrade for the newest
	test -x .cache/lock/bin/uv || { $(PYTHON) -m venv .cache/lock && .cache/lock/bin/pip install --quiet uv; }
	.cache/lock/bin/uv pip compile $(UPGRADE) $(LOCK_OPTIONS) -o requirements.lock pyproject.toml - <<<'$(BUILD)'
	.cache/lock/bin/uv pip compile $(UPGRADE) $(LOCK_OPTIONS) -o requirements-dev.lock \
	  --extra dev -c requirements.lock pyproject.toml - <<<'$(BUILD)'

clean: services-down  ## remove what was built here
	rm -rf .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis $(DEV)

# The project itself is built with the locked setuptools, not with one fetched for the occasion.
BUILD := setuptools>=77
LOCK_OPTIONS := --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
PIP_INSTALL := install --quiet --disable-pip-version-check
NEEDS_PYTHON := 'This needs Python 3.11 or newer; "$(PYTHON)" is none. Say which one to use: make PYTHON=python3.12'

$(RUN)/locked: requirements.lock
$(DEV)/locked: requirements-dev.lock
$(RUN)/locked $(DEV)/locked:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo $(NEEDS_PYTHON) >&2; exit 1; }
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/pip $(PIP_INSTALL) --require-hashes -r $<
	touch $@

$(RUN)/project $(DEV)/project: %/project: %/locked pyproject.toml
	$*/bin/pip $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	touch $@
