# `make help` explains every target.

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 3000
PROMETHEUS_PORT ?= 9090
ALERTMANAGER_PORT ?= 9093
SPEED ?= 12
BIN := .venv/bin

export BENTOML_DO_NOT_TRACK := True
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help serve monitor test lint bench lab models notebooks image lock clean

help: ## explain every target
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: models ## train what is not trained yet, then serve (HOST and PORT: 127.0.0.1 and 3000 unless given)
	@$(BIN)/python -c 'import socket; socket.create_server(("$(HOST)", $(PORT)))' 2>/dev/null || \
		{ echo "slipway: cannot listen on $(HOST):$(PORT): taken, or not of this machine. Try make serve PORT=3001"; exit 1; }
	@echo
	@echo "Slipway answers on http://$(HOST):$(PORT)   (stop: Ctrl+C). Ask it, from another terminal:"
	@echo
	@sed -e 's/127.0.0.1:3000/$(HOST):$(PORT)/' docs/request.sh
	@echo
	@$(BIN)/bentoml serve --host $(HOST) --port $(PORT)

monitor: .venv/installed ## watch a running service with Prometheus and Alertmanager (SPEED=1: in real time)
	@$(BIN)/python -m slipway.tools.monitor $(HOST):$(PORT) --speed $(SPEED) \
		--prometheus-port $(PROMETHEUS_PORT) --alertmanager-port $(ALERTMANAGER_PORT)

test: .venv/installed ## run every test that this machine can run, the notebooks among them
	$(BIN)/pytest

bench: models ## compare the service with other servers (SERVERS="flask limit": only those; QUICK=1: 15 minutes)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(SERVERS)

lint: .venv/installed ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: .venv/installed ## open JupyterLab at the first notebook
	$(BIN)/jupyter lab notebooks/01_machine_learning_models.ipynb

models: .venv/installed ## train and release the models that have no release yet
	@$(BIN)/python -m slipway.training

notebooks: .venv/installed ## rebuild the notebooks whose source changed, in order
	@$(BIN)/python notebooks/build.py

image: models ## build the Bento and its container image with Docker, podman or buildah
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m slipway.tools.container

lock: .venv/installed ## resolve the requirement files and environment.yml anew from pyproject.toml
	@$(BIN)/python requirements/lock.py

clean: ## remove what was built; models in BentoML's store stay
	rm -rf build .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/installed: requirements/course.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Slipway needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
	@echo "setting up .venv, once; some minutes"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes -r requirements/course.txt
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@echo 'export BENTOML_DO_NOT_TRACK=True' >> $(BIN)/activate
	@touch $@
