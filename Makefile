# Set-up is a chain of stamps: a second run rebuilds nothing. Everything after `make setup` works offline.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON := $(shell sh app/doctor.sh --python)
BIN := .venv/bin
HOST ?= 127.0.0.1
PORT ?= 8000
export HOST PORT
FRONTEND := $(shell find frontend/src frontend/public frontend/index.html frontend/*.ts frontend/*.json -type f 2>/dev/null)
CIRCUITS := $(wildcard zk/circuits/*.circom) zk/compile.py zk/keys.py

.PHONY: help doctor setup demo serve test check bench clean

help:      ## what can be typed here
	@grep -hE '^[a-z]+: .*##' Makefile | sed 's/:.*##/ -/'
	@echo "Start with: make demo"

doctor:    ## what this machine lacks, and the command that gets it
	@sh app/doctor.sh

setup: doctor .venv/stamp contracts/node_modules/stamp zk/node_modules/stamp frontend/dist/stamp .cache/zk/stamp ## everything the project needs, into this folder

.venv/stamp: requirements.lock pyproject.toml
	@echo "== Python packages (about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

%/node_modules/stamp: %/package-lock.json
	@echo "== npm packages of $*"
	@cd $* && npm ci --silent
	@touch $@

frontend/dist/stamp: frontend/node_modules/stamp $(FRONTEND)
	@echo "== web pages"
	@cd frontend && npm run --silent build
	@touch $@

.cache/zk/stamp: .venv/stamp zk/node_modules/stamp $(CIRCUITS)
	@echo "== circuit and development key (about half a minute)"
	@$(BIN)/wattproof zk setup
	@mkdir -p .cache/zk && touch $@

demo: setup ## one market day of 17 real homes; writes out/demo/report.html and report.json
	@$(BIN)/wattproof demo

serve: setup ## the marketplace with its pages (HOST and PORT can be set)
	@$(BIN)/wattproof serve

test: setup ## every test
	@cd frontend && npm run --silent check
	@$(BIN)/python -m pytest

check: setup ## lint, types, fast tests, under a minute
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -m "not slow" -q

bench: setup ## measured figures, written to bench/results
	@$(BIN)/wattproof bench all

clean:     ## remove what set-up and runs have made
	rm -rf .venv .cache out var contracts/node_modules zk/node_modules frontend/node_modules frontend/dist
