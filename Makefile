# SPDX-License-Identifier: Apache-2.0
# Everything a developer types. Each target does its own set-up: system packages (scripts/system.sh), the venv
# (scripts/venv.sh), the native build (scripts/build.sh); the second time they find their work done.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup build demo demo-docker test-docker test lint format bench bench-preload cost fuzz chaos soak storm valgrind update test-pythons wheel bundle test-bundle clean distclean

BIN := .venv/bin
DEMO_SECONDS ?=
BENCH ?=
FUZZ_SECONDS ?= 900
CHAOS ?=
PYTHONS ?=
SOAK ?=
VERSION := $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' agent/pillion/start.py)
BUNDLE := dist/pillion-bundle-$(VERSION)/manifest.json
BUNDLED := agent/pillion agent/pillion_inject native/*.* native/bundle scripts/bundle

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

.venv/.ready: pyproject.toml
	@scripts/system.sh build
	@scripts/venv.sh

setup: .venv/.ready

build: .venv/.ready  ## the native module and the collector's library, in place
	@scripts/build.sh dev

demo: build  ## a small shop under pillion, with traffic, until Ctrl-C or DEMO_SECONDS
	@exec $(BIN)/python docker/demo/demo.py $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

demo-docker: build  ## the shop in containers whose images were never told of pillion, until Ctrl-C or DEMO_SECONDS
	@$(BIN)/python docker/up.py --check
	@$(MAKE) --no-print-directory $(BUNDLE)
	@exec $(BIN)/python docker/up.py $(if $(DEMO_SECONDS),--seconds $(DEMO_SECONDS))

test: build lint .venv/.bundle  ## lint, C tests under sanitizers, Python matrix in short, everything else
	@scripts/system.sh test fuzz valgrind bundle
	$(BIN)/python -m pytest

lint: .venv/.ready  ## ruff, mypy --strict, clang-format
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	find native -name '*.[ch]' | xargs $(BIN)/clang-format --dry-run -Werror

format: .venv/.ready  ## let ruff and clang-format do it
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	find native -name '*.[ch]' | xargs $(BIN)/clang-format -i

bench: build  ## the figures, next to the peers, into README.md (BENCH=--quick: in short, README untouched)
	@$(BIN)/python -m tests.bench $(BENCH)

bench-preload: build  ## what libpillion.so adds to the start of any program, in time
	@$(BIN)/python -m tests.bench.preload

cost: build  ## where the instructions of a span, a call and a request go, by valgrind, into docs/cost.md
	@scripts/system.sh valgrind
	@scripts/build.sh plain tool_cost
	@$(BIN)/python -m tests.bench.cost

fuzz: build  ## every fuzz target for FUZZ_SECONDS (15 minutes) in all
	@scripts/system.sh fuzz
	@$(BIN)/python scripts/fuzz.py --seconds $(FUZZ_SECONDS)

chaos: build  ## apps killed and forked, the collector cut off and starved; then each span counted (CHAOS="--seed N")
	@exec $(BIN)/python -m tests.chaos $(CHAOS)

soak: build  ## an hour at 5,000 spans/s: nothing grows, every span is accounted for (SOAK="--seconds N")
	@exec $(BIN)/python -m tests.chaos.soak $(SOAK)

valgrind: build  ## memcheck over the C tests and over an injected program
	@scripts/system.sh valgrind
	@$(BIN)/python scripts/valgrind.py

storm: build  ## 1,000 traced Python children, 10,000 others, beside the same without pillion
	@STORM=10000 STORM_PYTHON=1000 $(BIN)/python -m pytest -q --timeout 900 tests/agent/tasks/test_forks.py -k "storm or children"

update: build  ## a server under load goes from version to version while they are switched, 25 times; no request fails
	@UPDATE_ROUNDS=25 $(BIN)/python -m pytest -q tests/inject/test_update.py

test-pythons: build  ## build, inject and test on each CPython 3.8 to 3.15 that is here
	@$(BIN)/python scripts/pythons.py --tests

test-docker: bundle  ## the shop in containers, driven, killed, updated; makes its own base images where none can be pulled
	@scripts/system.sh docker
	@PILLION_DOCKER=full $(BIN)/python -m tests.docker

.venv/.bundle: pyproject.toml | .venv/.ready
	@$(BIN)/python -m pip install --disable-pip-version-check -q -e '.[bundle]' && touch .venv/.bundle

bundle: build .venv/.bundle  ## dist/pillion-bundle-*: one folder for every CPython, libc and architecture (PYTHONS="3.11 …")
	@$(BIN)/python -m scripts.bundle $(PYTHONS)

$(BUNDLE): $(shell find $(BUNDLED) -type f ! -name '*.so' ! -name '*.pyc')
	@$(MAKE) --no-print-directory bundle

test-bundle: bundle  ## the bundle under each CPython 3.8 to 3.15, glibc 2.31, musl, and aarch64 as far as qemu goes
	@scripts/system.sh bundle
	@PILLION_BUNDLE=full $(BIN)/python -m pytest -q --timeout 900 tests/bundle

wheel: .venv/.ready  ## dist/pillion-*.whl
	@$(BIN)/python -m pip wheel --disable-pip-version-check -q --no-deps -w dist .

clean:  ## what was built
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	find agent -name '*.so' -delete

distclean: clean
	rm -rf .venv
