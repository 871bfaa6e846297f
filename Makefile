# Every target creates and fills .venv by itself and is quick when run again.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
STAMPS := $(VENV)/.stamps

PORT ?= 8787
DATA_DIR ?= .data
DATABASE ?= sqlite
JOBS ?= 100
KILLS ?= 10
SEED ?= 1
CUSTOMERS ?= 16
FILE ?= deploy.toml
DO ?= plan
# torch is installed only for who asks for it: SEGMENTER=sam3 SAM3_MODEL=/models/sam3 make demo
MODEL := $(if $(filter sam3,$(SEGMENTER)),$(STAMPS)/sam3)

.DEFAULT_GOAL := help
.PHONY: help demo serve gallery test check lint types bench chaos mutants \
	deploy doctor terraform-check image-check smoke openapi audit clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 17

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of dependencies: pip runs again only when pyproject.toml changed.
$(STAMPS)/%: pyproject.toml | $(BIN)/python
	@mkdir -p $(STAMPS)
	@echo "Installing the $* dependencies into $(VENV) ..." >&2
	$(PIP) install --editable '.[$*]'
	@touch $@

demo: $(STAMPS)/local $(MODEL) ## Run the main job end to end on this machine; PHOTOS="a.jpg b.heic" PRESET= RULE= PROTECT=
	@$(BIN)/python -m infra.demo $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(PRESET),--preset "$(PRESET)") \
		$(if $(RULE),--rule "$(RULE)") $(if $(PROTECT),--protect "$(PROTECT)")

serve: $(STAMPS)/local $(MODEL) ## Run the local stack until Ctrl-C; PORT=8787 DATA_DIR=.data
	@exec $(BIN)/python -m infra.local --port $(PORT) --data-dir $(DATA_DIR)

gallery: $(STAMPS)/local $(MODEL) ## Render every action on one sheet; PHOTOS="a.jpg b.heic" PRESET=interior
	@$(BIN)/python -m infra.gallery $(if $(PHOTOS),--photos $(PHOTOS)) $(if $(PRESET),--preset "$(PRESET)")

# What tests start: PostgreSQL's binaries, and OpenStack Swift in an environment of its own.
$(STAMPS)/servers: $(STAMPS)/test tests/objects/swift-requirements.txt
	@$(BIN)/python -m tests.postgres
	@$(BIN)/python -m tests.objects.swift_environment
	@touch $@

test: $(STAMPS)/test $(STAMPS)/servers ## Run the default test suite
	$(BIN)/python -m pytest -q -m "not slow" -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: lint types ## Format check, lint, types and import contracts

lint: $(STAMPS)/check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-cache

types: $(STAMPS)/check
	$(BIN)/pyright

bench: $(STAMPS)/test ## Print the benchmark tables
	$(BIN)/python -m tests.benchmarks

chaos: $(STAMPS)/test $(STAMPS)/servers ## Kill everything at random and check the books; DATABASE=postgresql JOBS=100 KILLS=10 SEED=1 CUSTOMERS=16 MINUTES=
	@$(BIN)/python -m tests.chaos --database $(DATABASE) --jobs $(JOBS) --items 10 --kills $(KILLS) \
		--seed $(SEED) --customers $(CUSTOMERS) $(if $(MINUTES),--minutes $(MINUTES))

mutants: $(STAMPS)/test $(STAMPS)/servers ## Remove each defence in turn: the tests must notice
	@$(BIN)/python -m tests.mutants

deploy: $(STAMPS)/local ## Show, apply or end a deployment; FILE=deploy.toml DO=plan
	@$(BIN)/python -m infra deploy --file $(FILE) $(DO)

doctor: $(STAMPS)/local ## Look at a deployment end to end with one photo; ARGS=--help
	@$(BIN)/python -m infra doctor $(ARGS)

terraform-check: $(STAMPS)/local ## Check infra/terraform as far as terraform is there; PROVIDERS=1 fetches the providers
	@$(BIN)/python -m infra.terraform $(if $(PROVIDERS),--providers)

image-check: $(STAMPS)/check ## Lint both images, run their install steps in clean environments, start what came out
	@$(BIN)/python -m infra.images check

smoke: $(STAMPS)/local ## Run one job of either image against the emulated Runpod; API_IMAGE= HANDLER_IMAGE=
	@$(BIN)/python -m infra.images smoke $(if $(API_IMAGE),--api $(API_IMAGE)) $(if $(HANDLER_IMAGE),--handler $(HANDLER_IMAGE))

openapi: $(STAMPS)/local ## Write docs/openapi.json anew, after a change of the API
	@$(BIN)/python -m edge_api openapi

audit: $(STAMPS)/check ## Look all dependencies up among known vulnerabilities
	$(BIN)/pip freeze --exclude-editable | sed -E 's/\+[a-z0-9]+$$//' > $(STAMPS)/audited.txt
	$(BIN)/pip-audit --strict --no-deps --disable-pip -r $(STAMPS)/audited.txt

clean: ## Remove .venv and everything generated
	rm -rf $(VENV) .venv-swift .postgres .data demo-output gallery-output
