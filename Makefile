# What a person types here. `make help` lists it.
# The distribution's Python where it is new enough and can make a virtual environment: servers run modules with it, and it
# is faster than a Python that was compiled without the same optimisations.
PYTHON ?= $(shell /usr/bin/python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo /usr/bin/)python3
# Without bytecode, hundreds of runs of Ansible would compile this collection and pack its modules again.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv/bin
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup packages engine demo check test test-full lint bench docs clean

help: ## show this list
	@echo "make <target>:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

setup: ## Python packages in .venv, and a Docker engine where none answers (done once)
	@$(PYTHON) tests/setup/setup.py

packages:
	@$(PYTHON) tests/setup/setup.py --no-engine

engine: setup ## the same; `sudo make engine` is what a user without rights is told to have run

demo: setup ## deploy production and staging on this machine, and show what runs where
	@$(VENV)/python tests/setup/demo.py

check: packages ## linters, types, unit tests and hazards, for the daily loop (4 to 5 minutes on two cores)
	@$(VENV)/python tests/setup/run_tests.py --quick

test: setup ## everything that decides whether a change is good (under 60 minutes)
	@$(VENV)/python tests/setup/run_tests.py

test-full: setup ## the same, and what takes too long for every change
	@$(VENV)/python tests/setup/run_tests.py --full

lint: packages ## ruff, mypy, yamllint, ansible-lint
	@$(VENV)/python tests/setup/run_tests.py --only lint

bench: setup ## print the ratios that the design promises
	@$(VENV)/python tests/bench/run.py

docs: packages ## the documentation as a site, with the reference of every module, filter, test, role and playbook
	@$(VENV)/python tests/setup/docs.py

clean: packages ## remove what the demo made, and only that
	@$(VENV)/python tests/setup/clean.py
