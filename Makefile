# All development tasks; `make` lists them.

PYTHON ?= python3
BASE_IMAGE ?= python:3.13-slim-trixie

VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' app/__init__.py)
IMAGE := echo:$(VERSION)
VENV := .venv
IN_VENV := $(VENV)/bin/
TOOL := $(IN_VENV)python -m tools.toolchain
CHECKOV := .tools/checkov
FUZZ := .tools/fuzz
BENCH := .tools/bench
# Servers are measured on a Python that was built as that of the image's base, with profiles and for the whole program
# at once. A system's own is; those that version managers compile mostly are not, and take a third more CPU time.
BENCH_PYTHON ?= $(or $(wildcard /usr/bin/python3),$(PYTHON))
BILL := .sbom/echo-$(VERSION).cdx.json

# Python stores the bytecode that it compiles, even if the environment forbids it. A process that has to compile the
# echo, its tests or checkov first takes up to three times as long to start.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-chart bench soak fuzz lint format image sbom audit chart e2e lock clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/installed ## run echo on 127.0.0.1:8080 until Ctrl-C; configure it with ECHO_* settings
	@# On a terminal the echo is a job of its own, so that Ctrl-C stops it alone and make sees how it ended.
	@if [ -t 0 ]; then set -m; fi; $(IN_VENV)python -m app

# The tests compare messages of the JSON Schema library that the newest Helm has; older ones on PATH may have another.
test: lint ## run all tests that need no Docker: unit, HTTP, chart
	@helm=$$($(TOOL) helm-newest) && $(TOOL) helm helm-oldest cyclonus promtool grpcurl >/dev/null && \
	  HELM=$$helm $(IN_VENV)pytest --numprocesses=4 --dist=loadfile --no-loadscope-reorder

test-chart: $(VENV)/installed-dev ## test the chart with each supported Helm release, k8s/ with kubectl and kustomize; first builds them, for minutes
	@$(TOOL) helms kustomize kustomize-oldest kubectl >/dev/null && $(IN_VENV)pytest --numprocesses=2 tests/compatibility

bench: $(VENV)/installed-dev $(BENCH)/installed ## benchmark echo and other servers, 15 minutes; ROUNDS, SECONDS, FIGURES="cpu-json p99", CURVES=none shorten it
	@$(IN_VENV)python -m tools.bench

fuzz: $(FUZZ)/installed ## fuzz echo for ten minutes; FUZZ_SECONDS sets the time, TARGETS="http1 page" the targets
	@$(FUZZ)/bin/python -m tools.fuzz $(TARGETS)

soak: $(VENV)/installed-dev ## run faults, attacks and a million requests; SOAK_REQUESTS=100000 for a shorter run
	@$(IN_VENV)pytest tests/soak

lint: $(VENV)/installed-dev $(CHECKOV)/installed ## check style, types, imports, wording, chart, manifests, Dockerfile and scripts in parallel; report all failures
	@$(IN_VENV)python -m tools.lint

format: $(VENV)/installed-dev ## format the code; generate the READMEs' tables, the chart's schema and the licences
	@$(IN_VENV)ruff check --quiet --fix --exit-zero
	@$(IN_VENV)ruff format --quiet
	@$(IN_VENV)python -m tools.docs.descriptors
	@$(IN_VENV)python -m tools.docs.documents
	@$(IN_VENV)python -m tools.chart.documented
	@$(IN_VENV)python -m tools.supply.licences

image: ## build the image echo:VERSION with Docker; BASE_IMAGE sets the base, REQUIREMENTS the lock file
	@$(PIN_BASE); \
	docker build --tag $(IMAGE) --build-arg base_image=$$base --build-arg base_digest=$$digest \
	  $(if $(REQUIREMENTS),--build-arg requirements=$(REQUIREMENTS)) \
	  --build-arg version=$(VERSION) \
	  --build-arg revision=$$(git rev-parse HEAD) \
	  --build-arg SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	  --build-arg created=$$(date --utc --date=@$$(git log -1 --format=%ct) +%FT%TZ) \
	  $${PIP_CERT:+--secret id=ca_bundle,src=$$PIP_CERT} .
	@echo $(IMAGE)

sbom: $(VENV)/installed-dev ## write the image's SBOM to .sbom/echo-VERSION.cdx.json (CycloneDX), reproducible
	@$(IN_VENV)python -m tools.supply.sbom $(IMAGE) $(BILL)

audit: $(VENV)/installed-dev ## check locked packages and image for known vulnerabilities; exit code 1: found, 3: no data
	@$(IN_VENV)python -m tools.supply.audit $(BILL)

chart: $(VENV)/installed-dev ## package the chart as .chart/echo-VERSION.tgz, reproducible
	@helm=$$($(TOOL) helm) && HELM=$$helm SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) \
	  $(IN_VENV)python -m tools.chart.packaging .chart

e2e: $(VENV)/installed-dev ## test image and chart in a kind cluster; KEEP=1 keeps it, CLUSTER=name uses an existing one
	@kind=$$($(TOOL) kind) && helm=$$($(TOOL) helm) && kubectl=$$($(TOOL) kubectl) && \
	  KIND=$$kind HELM=$$helm KUBECTL=$$kubectl $(IN_VENV)pytest --verbose tests/image tests/e2e

.PHONY: bench-scale
bench-scale: $(VENV)/installed-dev ## benchmark 1, 2 and 4 pods in a kind cluster; writes .bench/scale.md
	@$(IN_VENV)python -m tools.bench.scale

lock: $(VENV)/installed-dev ## pin the dependencies of pyproject.toml, with hashes
	@for lock in ":pyproject.toml" "-jwt:pyproject.toml --extra jwt" \
	  "-otlp:pyproject.toml --extra otlp" "-all:pyproject.toml --all-extras" "-build:--group build" \
	  "-bench:--group bench" "-checkov:--group checkov" "-fuzz:pyproject.toml --group fuzz" "-dev:pyproject.toml --group dev"; do \
	  $(IN_VENV)uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --custom-compile-command "make lock" $(UPGRADE) --output-file $${lock%%:*}.txt $${lock#*:} || exit; \
	done

clean: ## remove all generated files
	@rm -rf $(VENV) .tools .chart .sbom .bench .e2e .page .fuzz .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find app tests tools -name __pycache__ -type d -prune -exec rm -r {} +

# The base by digest, so that the image can say what it was built from: the one that BASE_IMAGE has, or that its tag has
# in its registry now. If no registry is reachable (or with REGISTRIES=no), it is the engine's image of that tag.
PIN_BASE = base=$(BASE_IMAGE) digest=unknown found=; \
	case $$base in \
	*@*) digest=$${base\#*@} ;; \
	*) [ "$$REGISTRIES" = no ] || found=$$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' $$base 2>/dev/null); \
	  case $$found in sha256:*) digest=$$found base=$$base@$$found ;; esac ;; \
	esac

# A Debian without python3-venv has no pip to put into a new environment; a pip of its own serves as well.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: install it and set PYTHON to it ($(PYTHON) is not)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || \
	  { $(PYTHON) -m pip --version >/dev/null 2>&1 && $(PYTHON) -m venv --clear --without-pip $(VENV); } || \
	  { rm -rf $(VENV); echo "Python's venv module is needed: apt-get install python3-venv" >&2; exit 1; }

PIP := $$(if [ -x $(IN_VENV)pip ]; then echo $(IN_VENV)python -m pip; else echo $(PYTHON) -m pip --python $(IN_VENV)python; fi)
INSTALL = $(PIP) --quiet --disable-pip-version-check install --require-hashes

$(VENV)/installed: requirements.txt | $(VENV)/bin/python
	@echo "Installing what the echo needs into $(VENV), once ..." >&2
	@$(INSTALL) --requirement requirements.txt
	@touch $@

$(VENV)/installed-dev: requirements/dev.txt | $(VENV)/bin/python
	@echo "Installing what the tests need into $(VENV), once ..." >&2
	@$(INSTALL) --requirement requirements/dev.txt
	@touch $@ $(VENV)/installed

# Plain pip would put these beside what the tests need: they are for one kind of machine only.
$(FUZZ)/installed: requirements/fuzz.txt | $(VENV)/bin/python
	@echo "Installing what fuzzes into $(FUZZ), once ..." >&2
	@rm -rf $(FUZZ) && mkdir -p $(FUZZ) && $(IN_VENV)python -m venv --without-pip $(FUZZ)
	@$$(if [ -x $(IN_VENV)pip ]; then echo $(IN_VENV)python; else echo $(PYTHON); fi) -m pip --python $(FUZZ)/bin/python \
	  --quiet --disable-pip-version-check install --require-hashes --only-binary :all: --requirement requirements/fuzz.txt || \
	  { echo "atheris has wheels for Linux on x86-64 and CPython 3.11 to 3.14 alone (this is $$($(PYTHON) -VV))" >&2; exit 1; }
	@touch $@

# checkov asks for a hundred packages: uv, which the tests need anyway, has them there in seconds where pip takes minutes.
# But uv reads no pip.conf: where one names the index that is reached, pip does it.
$(CHECKOV)/installed: requirements/checkov.txt | $(VENV)/installed-dev
	@echo "Installing checkov into $(CHECKOV), once ..." >&2
	@$(IN_VENV)uv venv --quiet --clear --python $(IN_VENV)python $(CHECKOV)
	@$(IN_VENV)uv pip install --quiet --python $(CHECKOV)/bin/python --require-hashes --requirement requirements/checkov.txt || \
	  $$(if [ -x $(IN_VENV)pip ]; then echo $(IN_VENV)python; else echo $(PYTHON); fi) -m pip --python $(CHECKOV)/bin/python \
	    --quiet --disable-pip-version-check install --require-hashes --requirement requirements/checkov.txt
	@touch $@

# httpbin, beside which the echo is measured, asks for older versions of what the echo is made of.
$(BENCH)/installed: requirements.txt requirements/bench.txt | $(VENV)/installed-dev
	@echo "Installing the echo, httpbin and matplotlib into $(BENCH), once ..." >&2
	@rm -rf $(BENCH) && mkdir -p $(BENCH)
	@for each in echo:requirements.txt peers:requirements/bench.txt; do \
	  $(BENCH_PYTHON) -m venv --without-pip $(BENCH)/$${each%:*} && \
	  $$(if [ -x $(IN_VENV)pip ]; then echo $(IN_VENV)python; else echo $(PYTHON); fi) -m pip \
	    --python $(BENCH)/$${each%:*}/bin/python --quiet --disable-pip-version-check install --require-hashes \
	    --requirement $${each#*:} || exit; \
	done
	@touch $@
