# `make` lists the targets. Whatever a target needs, it installs: Debian packages by tools/setup-debian.sh,
# Python packages, locked by hash, into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

py := .venv/bin/python
pip := $(py) -m pip --disable-pip-version-check install --quiet --no-input --require-hashes
runtime := .venv/.runtime
development := .venv/.development
peers := benchmarks/.venv/.installed benchmarks/peers/fastify/node_modules/.installed
sources := $(wildcard app.py gunicorn.conf.py) $(wildcard gateway schemas simulator tools tests benchmarks)

# More arguments: make test ARGS='tests/house -x', make bench ARGS='--only 304', make image ARGS='--tag NAME'
ARGS ?=
# Two processes; ARGS='-n 0' runs one test after the other.
side_by_side := --numprocesses=2 --no-loadscope-reorder
# For `make lock`: UPGRADE=--upgrade takes the newest versions that requirements*.in allow.
UPGRADE ?=

.PHONY: help
help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup-run $(runtime)  ## start the simulator and the gateway on this machine; Ctrl-C stops both
	@exec $(py) -m tools.demo

.PHONY: test
test: setup-test $(development)  ## install all that is needed, then run every check and every test
	@$(MAKE) --no-print-directory check
	@echo "==> the document, the settings table and the list of metrics say what the code does"
	@$(py) -m tools.openapi --check && $(py) -m tools.settings --check && $(py) -m tools.metrics --check
	@echo "==> tests"
	@$(py) -m pytest $(side_by_side) $(ARGS)

.PHONY: check
check: $(development)  ## format, lint, types, import rules, Dockerfile; changes nothing
	@echo "==> format"
	@$(py) -m ruff format --check .
	@echo "==> lint"
	@$(py) -m ruff check .
	@echo "==> types"
	@$(py) -m mypy $(sources)
	@echo "==> import rules"
	@.venv/bin/lint-imports --no-logo --no-cache
	@echo "==> Dockerfile"
	@.venv/bin/hadolint Dockerfile

.PHONY: openapi
openapi: $(development)  ## write what is generated: openapi.yaml, openapi.json, .env.example, docs/settings.md, docs/metrics.md
	@$(py) -m tools.openapi && $(py) -m tools.settings && $(py) -m tools.metrics

.PHONY: bench
bench: setup-bench $(development) $(peers)  ## compare speed with the peers, side by side
	@$(py) -m benchmarks $(ARGS)

# Peers of another Python than the gateway's would be compared unfairly: a new .venv means new peers.
benchmarks/.venv/.installed: benchmarks/requirements.txt .venv/pyvenv.cfg
	@echo "==> benchmarks/.venv: installing the Python peers and the plot (benchmarks/requirements.txt)"
	@rm -rf benchmarks/.venv && $(py) -m venv benchmarks/.venv
	@$(subst $(py),benchmarks/.venv/bin/python,$(pip)) -r $<
	@touch $@

benchmarks/peers/fastify/node_modules/.installed: benchmarks/peers/fastify/package-lock.json
	@echo "==> benchmarks/peers/fastify: installing the Node peer (package-lock.json)"
	@cd benchmarks/peers/fastify && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error
	@touch $@

.PHONY: proof
proof: setup-test $(development)  ## the long run: every promise about writes and reads, as tables
	@$(py) -m tools.proof

.PHONY: image
image: | .venv/bin/pip  ## build the image with docker, podman or buildah
	@$(py) -m tools.image $(ARGS)

.PHONY: format
format: $(development)  ## format the code and mend what the linter can mend
	@$(py) -m ruff check --fix --exit-zero --quiet .
	@$(py) -m ruff format .

.PHONY: lock
lock: $(development)  ## pin requirements*.in into requirements*.txt, with hashes
	@for name in requirements requirements-otel requirements-dev benchmarks/requirements; do \
	    echo "==> $$name.txt"; \
	    .venv/bin/uv pip compile $$name.in --output-file $$name.txt --quiet $(UPGRADE) --no-config \
	        --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	        --custom-compile-command 'make lock' >/dev/null; \
	done

.PHONY: clean
clean:  ## remove .venv and everything else that the targets made
	rm -rf .venv benchmarks/.venv benchmarks/peers/fastify/node_modules .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: setup-run setup-test setup-bench
setup-run setup-test setup-bench: setup-%:
	@tools/setup-debian.sh $*

.venv/bin/pip: | tools/find-python.sh
	@python=$$(tools/find-python.sh) && echo "==> .venv: $$("$$python" --version), $$python" && \
	    rm -rf .venv && "$$python" -m venv .venv

.venv/pyvenv.cfg: | .venv/bin/pip ;

$(runtime): requirements.txt | .venv/bin/pip
	@echo "==> .venv: installing what the service needs (requirements.txt)"
	@$(pip) -r requirements.txt
	@touch $@

$(development): requirements-dev.txt requirements.txt | .venv/bin/pip
	@echo "==> .venv: installing what the tests and checks need (requirements-dev.txt)"
	@$(pip) -r requirements-dev.txt
	@touch $(runtime) $@
