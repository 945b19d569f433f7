# What can be done here: `make help`.
# Each target first completes what this machine lacks; that takes no time when nothing is missing.

PYTHON := .venv/bin/python
# How many unit tests run beside each other.
JOBS   ?= auto
# Live tests start daemons: their files run two at a time, in the order of their names, as the
# longest come early.
LIVE_JOBS ?= 2
LIVE   = -n $(LIVE_JOBS) --dist loadfile --no-loadscope-reorder -m "live and not soak"
# More for pytest: make test ARGS="-k capsule -x"
ARGS   ?=

# A folder that belongs to root can still be tested by others, who may write no cache into it.
ifneq ($(shell test -w . && echo writable),writable)
export RUFF_NO_CACHE  := true
export MYPY_CACHE_DIR := /dev/null
UNCACHED := --no-cache
endif

prepare = ASKED="make $@" scripts/bootstrap

.DEFAULT_GOAL := help
.PHONY: help demo demo-wordpress install test lint live soak bench docs down

help:  ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo:  ## start everything on this machine and run a first container
	@$(prepare) demo
	@demo/run

demo-wordpress:  ## the same with a database and a WordPress that finds it
	@$(prepare) demo
	@demo/wordpress

install:  ## install what the service needs: packages, an engine, .venv
	@$(prepare) run

test:  ## everything a change has to pass
	@$(prepare) test
	@$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest -n $(JOBS) -m "not live and not soak" $(ARGS)
	$(PYTHON) -m pytest $(LIVE) $(ARGS)

lint:  ## locks, style, types, layers
	@$(prepare) test
	.venv/bin/uv lock --check --quiet --python $(PYTHON)
	.venv/bin/uv lock --check --quiet --python $(PYTHON) --project clients
	.venv/bin/uv lock --check --quiet --python $(PYTHON) --project tests/live/tempest
	.venv/bin/uv lock --check --quiet --python $(PYTHON) --project tests/live/placement
	.venv/bin/uv lock --check --quiet --python $(PYTHON) --project tests/live/compute
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo $(UNCACHED)

live:  ## only the tests that start real daemons (root)
	@$(prepare) test
	$(PYTHON) -m pytest $(LIVE) $(ARGS)

soak:  ## long runs under load and faults (root)
	@$(prepare) test
	$(PYTHON) -m pytest -m soak --timeout 0 $(ARGS)

bench:  ## measure, and compare with the budgets
	@$(prepare) test
	$(PYTHON) -m tests.perf $(ARGS)

docs:  ## write what pages say of options, policy rules, commands, routes and states
	@$(prepare) run
	@mkdir -p docs/reference
	$(PYTHON) -m dolium.conf > docs/reference/configuration.md.new
	@mv docs/reference/configuration.md.new docs/reference/configuration.md
	$(PYTHON) -m dolium.conf --sample > docs/reference/dolium.conf.sample.new
	@mv docs/reference/dolium.conf.sample.new docs/reference/dolium.conf.sample
	$(PYTHON) -m dolium.cli.main policy sample > docs/reference/policy.yaml.new
	@mv docs/reference/policy.yaml.new docs/reference/policy.yaml
	$(PYTHON) docs/generate.py

down:  ## stop what `make demo` started and take back what it changed
	@.venv/bin/dolium down
