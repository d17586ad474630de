# `make help` explains every target.

PYTHON ?= python3
HOST := $(or $(HOST),$(BENTOML_HOST),127.0.0.1)
PORT := $(or $(PORT),$(BENTOML_PORT),3000)
PROMETHEUS_PORT ?= 9090
ALERTMANAGER_PORT ?= 9093
SPEED ?= 12
BIN := .venv/bin

# Neither BentoML nor ONNX Runtime tells its makers that it is used.
export BENTOML_DO_NOT_TRACK := True
export ORT_DISABLE_TELEMETRY := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Our text is UTF-8 in any locale.
export PYTHONUTF8 := 1
unexport PYTHONIOENCODING
# Packages go into .venv, wherever pip puts those of the user's other projects.
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIRE_VIRTUALENV
# What runs on this machine is asked directly: a proxy could not reach it.
PROXY_EXCEPTIONS := $(or $(no_proxy),$(NO_PROXY))
export no_proxy := $(if $(filter *,$(PROXY_EXCEPTIONS)),*,127.0.0.1,localhost,::1,$(PROXY_EXCEPTIONS))
export NO_PROXY := $(no_proxy)
# Jupyter's `python3` is the Python of .venv, also where another one has registered itself under that name.
export JUPYTER_PATH := $(CURDIR)/.venv/share/jupyter$(if $(JUPYTER_PATH),:$(JUPYTER_PATH))
# Models, settings and caches are kept in the home folder. Who may not write to theirs gets one here.
ifneq ($(shell test -z "$$HOME" || { test -d "$$HOME" && test -w "$$HOME"; } && echo yes),yes)
$(info slipway: nothing can be written to HOME=$(HOME), so models, settings and caches are kept in build/home)
$(shell mkdir -p build/home)
export HOME := $(CURDIR)/build/home
endif

.PHONY: help serve monitor test lint bench lab models notebooks image lock clean ready

help: ## explain every target
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: models ## train what is not trained yet, then serve (HOST and PORT: 127.0.0.1 and 3000 unless given)
	@exec $(BIN)/python -m slipway.tools.serve "$(HOST)" "$(PORT)"

monitor: ready ## watch a running service with Prometheus and Alertmanager (SPEED=1: in real time)
	@exec $(BIN)/python -m slipway.tools.monitor "$(if $(findstring :,$(HOST)),[$(HOST)],$(HOST)):$(PORT)" --speed $(SPEED) \
		--prometheus-port $(PROMETHEUS_PORT) --alertmanager-port $(ALERTMANAGER_PORT)

test: ready ## run every test that this machine can run, the notebooks among them
	$(BIN)/pytest

bench: models ## compare the service with other servers (SERVERS="flask limit": only those; QUICK=1: 15 minutes)
	@$(BIN)/python -m benchmarks $(if $(QUICK),--quick) $(SERVERS)

lint: ready ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lab: ready ## open JupyterLab at the first notebook
	$(BIN)/jupyter lab --allow-root notebooks/01_machine_learning_models.ipynb

models: ready ## train and release the models that have no release yet
	@$(BIN)/python -m slipway.training

notebooks: ready ## rebuild the notebooks whose source changed, in order
	@$(BIN)/python notebooks/build.py

image: models ## build the Bento and its container image with Docker, podman or buildah
	@PATH="$(CURDIR)/$(BIN):$$PATH" python -m slipway.tools.container

lock: ready ## resolve the requirement files and environment.yml anew from pyproject.toml
	@$(BIN)/python requirements/lock.py

clean: ## remove what was built; models in BentoML's store stay
	rm -rf build .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

ready: .venv/installed
	@$(IS_OF_THIS_FOLDER) || { echo "slipway: .venv was made in another folder, or its Python is gone: \`make clean\`, then try again" >&2; exit 1; }

# A folder that was moved or copied has a .venv whose programs and package are those of the folder where it was made.
IS_OF_THIS_FOLDER = $(BIN)/python -Pc 'import pathlib, slipway; assert pathlib.Path(slipway.__file__).parents[1].samefile(".")' 2>/dev/null

.venv/installed: requirements/course.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Slipway needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
	@echo "setting up .venv, once; some minutes"
	@$(IS_OF_THIS_FOLDER) || { rm -rf .venv && $(PYTHON) -m venv .venv; }
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/course.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@echo 'export BENTOML_DO_NOT_TRACK=True ORT_DISABLE_TELEMETRY=1' >> $(BIN)/activate
	@touch $@
