# Two commands are enough on a fresh machine: `make run` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PLAIN_SERVICE := build/plain-service/.ready
RUN_READY := $(VENV)/.run-ready
UNIT ?= tests/unit
INTEGRATION ?= tests/integration
# Without its caches Python compiles all code in each of the many processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test unit properties integration picture drill mutation-checks plain-service bench bench-quick bench-docs bench-large check lint types imports schemas format coverage lock dist release release-check sbom notices audit clean

help: ## list what make can do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: $(RUN_READY) ## start all of it on real servers; Ctrl-C stops it, the data stays in .orders/ (DEMO=2: two made-up orders a second)
	@exec $(BIN)/orders dev $(if $(DEMO),--demo $(DEMO))

test: unit properties integration ## every test: unit, properties, then integration on real servers

unit: $(READY) ## tests that need no server, side by side
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not thorough' $(UNIT)

properties: $(READY) ## property tests with many examples, and the API against its document
	$(BIN)/python -m pytest -n auto --dist worksteal --hypothesis-profile=thorough -m 'thorough or hypothesis' tests/unit

# Three side by side, each with servers of its own: most of the time is waiting for sessions and freezes.
integration: $(READY) ## tests on real servers (ORDERS_TEST_*, else Docker, else embedded ones)
	$(BIN)/python -m pytest -n 3 --dist loadfile $(INTEGRATION)

picture: $(READY) ## take the pictures of the page in the READMEs, in a Chromium
	$(BIN)/python -m tests.integration.browser.picture

drill: $(READY) ## fault drills at length, then count every order (DRILL='--seed 7 kills-at-random': one again)
	$(BIN)/python -m drills $(DRILL)

mutation-checks: $(READY) ## take each safety away in a copy, and see the test fail that is there for it
	$(BIN)/python -m mutation_checks

bench: $(READY) $(PLAIN_SERVICE) ## measure all of it beside others and the machine's limits
	$(BIN)/python -m bench

bench-quick: $(READY) $(PLAIN_SERVICE) ## the same with less of everything, in three minutes
	$(BIN)/python -m bench --quick

bench-docs: $(READY) $(PLAIN_SERVICE) ## the same as bench, into docs/performance.md and its picture
	$(BIN)/python -m bench --docs

bench-large: $(READY) ## beside ten million orders, for half an hour and 35 GB (ORDERS=1000000: fewer)
	$(BIN)/python -m bench large $(if $(ORDERS),--orders $(ORDERS)) --json test-artifacts/bench-large.json

plain-service: $(PLAIN_SERVICE) ## install the plain Python service that the bench measures the product beside

# What the bench measures the product beside has packages of its own, and none of the product's.
$(PLAIN_SERVICE): requirements/plain-service.lock
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --require-hashes --requirement $<
	@touch $@

check: lint types imports schemas ## lint, types, import contracts, deployment files (promtool, if it is there)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

schemas: $(READY)
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	@if command -v promtool >/dev/null; then \
		promtool check config deploy/prometheus/prometheus.yaml && \
		promtool test rules tests/data/prometheus/alerts_test.yaml; \
	else echo "SKIPPED, there is no promtool: the alerts' own tests (tests/data/prometheus)" >&2; fi
	$(BIN)/python -m tests.kubernetes

format: $(READY) ## rewrite the code in the one format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: $(READY) ## all tests again, with a report of the lines and branches they leave out
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine
	$(BIN)/coverage report --skip-covered --show-missing

# uv writes locks without addresses and with hashes: for developing, for `make run`, for the image
# and for building the wheel. PIP_FIND_LINKS is unset so that no local folder gets in.
LOCK := env -u PIP_FIND_LINKS -u UV_FIND_LINKS $(BIN)/uv pip compile --quiet --universal \
	--python-version 3.11 --generate-hashes --no-annotate --no-header --upgrade

lock: $(READY) ## resolve the dependencies anew
	$(BIN)/python -m pip install --quiet 'uv>=0.7'
	$(LOCK) pyproject.toml --extra embedded --extra tracing --group dev --output-file requirements/dev.lock
	$(LOCK) pyproject.toml --constraint requirements/dev.lock --output-file requirements/runtime.lock
	$(LOCK) pyproject.toml --extra tracing --constraint requirements/dev.lock --output-file requirements/tracing.lock
	$(LOCK) pyproject.toml --extra embedded --constraint requirements/dev.lock --output-file requirements/run.lock
	$(LOCK) --group build --constraint requirements/dev.lock --output-file requirements/build.lock
	$(LOCK) --group plain-service --constraint requirements/dev.lock --output-file requirements/plain-service.lock

dist: $(READY) ## build wheel and sdist into dist/
	$(BIN)/python -m hatchling build

release: $(READY) ## build a release, and say what would be published; publishes nothing
	$(BIN)/python -m releases show

release-check: $(READY) ## unit and system tests on the built wheel, on Python 3.11, 3.12 and 3.13
	$(BIN)/python -m releases check

# What the image holds, installed as there: the locked packages and the wheel.
RUNTIME := build/runtime
$(RUNTIME)/.ready: requirements/runtime.lock pyproject.toml $(READY)
	rm -rf $(RUNTIME)
	$(PYTHON) -m venv --without-pip $(RUNTIME)
	$(BIN)/python -m pip --python $(RUNTIME)/bin/python install --quiet --require-hashes --requirement requirements/runtime.lock
	$(BIN)/python -m hatchling build --target wheel --directory $(RUNTIME)/dist
	$(BIN)/python -m pip --python $(RUNTIME)/bin/python install --quiet --no-deps $(RUNTIME)/dist/*.whl
	@touch $@

sbom: $(RUNTIME)/.ready ## list what the image holds in dist/orders.cdx.json (CycloneDX)
	@mkdir -p dist
	$(BIN)/cyclonedx-py environment $(RUNTIME)/bin/python --pyproject pyproject.toml \
		--output-reproducible --output-file dist/orders.cdx.json

notices: $(RUNTIME)/.ready ## write THIRD_PARTY.md: licences of what the image holds (PYTHON=that of the image)
	$(BIN)/python -m releases notices $(RUNTIME)/bin/python

# Advisories come over the network, so this is no part of check. What cannot be audited is a failure: an
# index without advisories would find nothing. SECURITY.md says how the two that are left out are met.
audit: $(READY) ## look for known vulnerabilities in what is locked; fails where it cannot tell
	$(BIN)/pip-audit --strict --disable-pip --no-deps --progress-spinner off \
		--ignore-vuln CVE-2026-10142 --ignore-vuln CVE-2026-10143 \
		$(foreach lock,run dev build,--requirement requirements/$(lock).lock)

clean: ## remove what was made here, but for the data in .orders/
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements/dev.lock
$(RUN_READY): requirements/run.lock
$(READY) $(RUN_READY): pyproject.toml requirements/build.lock
	@echo "Installing into $(VENV) (the first time this takes a minute or two)"
	@command -v $(PYTHON) >/dev/null || \
		{ echo "There is no $(PYTHON) here. Name one that is: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --require-hashes $(patsubst %,--requirement %,$(filter %.lock,$^)) && \
		$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable . || \
		{ echo "The packages could not be installed. They come from a package index: check the connection"; \
		echo "and proxy, or name a mirror (PIP_INDEX_URL), and run the same again."; exit 2; }
	@touch $@
