# Set-up is a chain of stamps: a second run rebuilds nothing. Everything after `make setup` works offline.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := $(shell sh app/doctor.sh --python)
BIN := .venv/bin
HOST ?= 127.0.0.1
PORT ?= 8000
export HOST PORT
FRONTEND := $(shell find frontend/src frontend/public frontend/index.html frontend/*.ts frontend/*.json -type f 2>/dev/null)
NATIVE := $(shell find zk/native -path zk/native/target -prune -o -type f -print 2>/dev/null)
# A process for each core; what is in one file runs in one process, in the order of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder
FORGE := contracts/node_modules/@foundry-rs/forge-linux-amd64/bin
CIRCUITS := $(wildcard zk/circuits/*.circom) zk/compile.py zk/keys.py

.PHONY: help doctor setup demo serve test check deep audit peers bench clean

help:      ## what can be typed here
	@grep -hE '^[a-z]+: .*##' Makefile | sed 's/:.*##/ -/'
	@echo "Start with: make demo"
	@sh app/doctor.sh || true

doctor:    ## what this machine lacks, and the command that gets it
	@sh app/doctor.sh

setup: doctor .venv/stamp .venv/native contracts/node_modules/stamp zk/node_modules/stamp frontend/dist/stamp .cache/zk/stamp ## everything the project needs, into this folder

# requirements.lock: uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header -o requirements.lock
.venv/stamp: requirements.lock pyproject.toml
	@echo "== Python packages (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# Where there is no cargo nothing is marked as done, so that it is built as soon as there is one.
.venv/native: .venv/stamp $(NATIVE)
	@if sh app/doctor.sh --cargo; then \
	  echo "== native prover (about a minute)" && rm -rf zk/native/target/wheels && mkdir -p zk/native/target && cd zk/native && \
	  { ../../$(BIN)/maturin build --release --locked --out target/wheels >target/build.log 2>&1 || \
	    { cat target/build.log; exit 1; }; } && \
	  ../../$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall target/wheels/*.whl && \
	  touch ../../$@; \
	else echo "no Rust: proofs by snarkjs, slower"; fi

%/node_modules/stamp: %/package-lock.json
	@echo "== npm packages of $*"
	@cd $* && npm ci --silent
	@touch $@

frontend/dist/stamp: frontend/node_modules/stamp $(FRONTEND)
	@echo "== web pages"
	@cd frontend && npm run --silent build
	@touch $@

.cache/zk/stamp: .venv/stamp zk/node_modules/stamp $(CIRCUITS) | .venv/native
	@echo "== circuits and development keys (about a minute, two without Rust)"
	@$(BIN)/wattproof zk setup
	@mkdir -p .cache/zk && touch $@

demo: setup ## one market day of 17 real homes; writes out/demo/report.html and report.json
	@$(BIN)/wattproof demo

serve: setup ## the marketplace with its pages (HOST and PORT can be set)
	@$(BIN)/wattproof serve

test: setup ## every test
	@cd frontend && npm run --silent check
	@set -e; left=""; \
	if test -e .venv/native; then (cd zk/native && cargo test --quiet --locked --no-default-features); \
	else left="zk/native: cargo test, because there is no native prover (needs cargo)"; fi; \
	if test -e .venv/native && cargo clippy --version >/dev/null 2>&1; then (cd zk/native && cargo clippy --quiet --all-targets --locked -- -D warnings); \
	else left="$$left$${left:+; }zk/native: cargo clippy, because it is not installed"; fi; \
	if test -n "$$left" && test "$$WATTPROOF_REQUIRE" = all; then echo "WATTPROOF_REQUIRE=all, and did not run: $$left" >&2; exit 1; fi; \
	WATTPROOF_LEFT_OUT="$$left" $(PYTEST)

check: setup ## lint, types, fast tests, under a minute
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@if test -e .venv/native && cargo fmt --version >/dev/null 2>&1; then cd zk/native && cargo fmt --check; fi
	@$(BIN)/mypy
	@$(PYTEST) -m "not slow" -q

# Settings of forge are in contracts/foundry.toml, what is checked and why in docs/audit.md.
deep: contracts/node_modules/stamp ## long fuzzing of the contracts, from another seed each time
	@mkdir -p .cache/forge/out .cache/forge/cache
	@cd contracts && FOUNDRY_PROFILE=deep ../$(FORGE)/forge test --fuzz-seed 0x$$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')

.venv-audit/stamp: contracts/audit/requirements.lock
	@echo "== slither and halmos (about a minute)"
	@$(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r contracts/audit/requirements.lock
	@touch $@

audit: contracts/node_modules/stamp .venv-audit/stamp ## static analysis and proofs of the contracts
	@mkdir -p .cache/forge/audit .cache/forge/audit-cache && rm -f .cache/forge/slither.json
	@cd contracts && export PATH="$(CURDIR)/$(FORGE):$$PATH" FOUNDRY_PROFILE=audit && \
	  { ../.venv-audit/bin/slither . --config-file audit/slither.config.json --fail-none --json ../.cache/forge/slither.json \
	      >../.cache/forge/slither.log 2>&1 || { cat ../.cache/forge/slither.log; exit 1; }; } && \
	  ../.venv-audit/bin/python audit/findings.py ../.cache/forge/slither.json ../docs/audit.md && \
	  ../.venv-audit/bin/halmos --root . --forge-build-out ../.cache/forge/audit --function check_ --loop 8 \
	    --solver-timeout-assertion 300s

# Others' markets, for comparison only. Their pins exclude each other's and ours, hence an environment each; pymarket's need Python 3.11.
.venv-peers/%/stamp: bench/peers/%.lock
	@echo "== $* (about a minute)"
	@$(PYTHON) -m venv .venv-peers/$*
	@.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

peers: .venv-peers/assume/stamp .venv-peers/pymarket/stamp ## other markets that `make bench` compares with, each apart

bench: setup ## measured figures, written to bench/results
	@$(BIN)/wattproof bench all

clean:     ## remove what set-up and runs have made
	rm -rf .venv .venv-audit .venv-peers .cache out var zk/native/target contracts/node_modules zk/node_modules frontend/node_modules frontend/dist
