# Two commands for a newcomer: `make study` and `make test`. Each makes the environment first where it is missing.
PYTHON ?= python3
VENV := .venv
# Where `make ui` serves.
PORT := 5000
RUN := $(VENV)/bin/python
# Named after the lock's content: an unchanged lock is not installed again, whatever its time stamp.
STAMP := $(VENV)/installed-$(shell cksum < requirements.lock | tr ' ' '-')
CLUSTER_STAMP := .venv-cluster/installed-$(shell cksum < requirements-cluster.lock | tr ' ' '-')
# The environments of `make bench`, beside this project's own.
BENCH_STAMPS := $(foreach name,jax torch engines,.venv-bench-$(name)/installed-$(shell cat benchmarks/requirements/$(name).* \
  | cksum | tr ' ' '-'))
# Tests of one file share what they have run; a worker takes a gigabyte.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder
UV := $(shell command -v uv 2>/dev/null)

.PHONY: setup study results train test test-more test-all test-cluster lint ui report walkthrough graphs bench clean help

help:
	@echo "make study     environment, the grid K = 1, 5, 25 on MNIST, and its report (about five minutes on two cores)"
	@echo "make test      environment, linters, types, contracts and the first tier of tests"
	@echo "make test-more the second tier: faults, browser, docs, benchmarks    make test-all  every test"
	@echo "make train     one grid: make train ARGS='-m mc_samples=1,5 seed=range(0,3)'"
	@echo "make report    figures, tables and report.html from the store        make ui        browse the runs"
	@echo "make results NAME=burda_k   a study of sweeps/, and its folder in results/ (hours; it continues where it stopped)"
	@echo "make walkthrough   the post, run: notebook and page (five minutes; EPOCHS=2 is a quick look)"
	@echo "make graphs    the model's graphs, docs/figures/graphs/ (needs Graphviz)"
	@echo "make test-cluster   grids on Ray and Slurm, with PostgreSQL (docs/cluster.md)"
	@echo "make bench     speed and memory beside other implementations         make lint      linters and types alone"
	@echo "make setup     the environment alone                                 make clean     remove what make made, runs apart"

setup: $(STAMP)

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else \
	  "Python %d.%d cannot run this project. Expected 3.11 to 3.13. Name one: make setup PYTHON=python3.11" % v[:2])'
	@echo "Installing the locked packages into $(VENV): about a minute, 2.3 GB."
	$(PYTHON) -m venv --clear $(VENV)
ifdef UV
	$(UV) pip install --quiet --python $(RUN) --compile-bytecode --require-hashes -r requirements.lock
else
	$(RUN) -m pip install --quiet --disable-pip-version-check --compile --require-hashes -r requirements.lock
endif
	@touch $@

study: setup
	$(RUN) -m src.train -m mc_samples=1,5,25
	$(RUN) -m analysis.report

# Runs and store of their own, so that no run of another question is in a study's tables. With runs made elsewhere:
# make results NAME=post_grid ARGS=seed=3,4 STORES='sqlite:///mlflow.db results/post_grid'
results: setup
	@test -f sweeps/$(NAME).yaml || { echo "Which study? Expected NAME=one of:" $$(ls sweeps | sed 's/.yaml//') >&2; exit 2; }
	$(RUN) -m src.train +sweep=$(NAME) tracking.experiment=$(NAME) tracking.runs=runs/results/$(NAME) $(ARGS)
	$(RUN) -m analysis.publish $(NAME) $(if $(STORES),--store $(STORES))
	$(RUN) -m analysis.publish

train: setup
	$(RUN) -m src.train $(ARGS)

report: setup
	$(RUN) -m analysis.report $(ARGS)

walkthrough: setup
	$(RUN) -m docs.walkthrough $(ARGS)

graphs: setup
	$(RUN) -m docs.graphs $(ARGS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports
	$(RUN) -m analysis.publish --check

test: lint
	$(RUN) -m pytest $(PARALLEL) -m "not second and not slow" $(ARGS)

test-more: setup
	$(RUN) -m pytest $(PARALLEL) -m "second and not slow" $(ARGS)

test-all: lint
	$(RUN) -m pytest $(PARALLEL) $(ARGS)

# In an environment of its own: Ray's plugin holds other packages back. Needs PostgreSQL, docs/cluster.md; Slurm's part
# is left out where there is no Slurm.
$(CLUSTER_STAMP): requirements-cluster.lock
	$(PYTHON) -m venv --clear .venv-cluster
	.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --compile --require-hashes -r $<
	@touch $@

test-cluster: $(CLUSTER_STAMP)
	.venv-cluster/bin/python -m pytest tests/sweep/test_cluster.py $(ARGS)

# Hashes for all but torch, see torch.in.
$(BENCH_STAMPS): REQUIREMENTS = benchmarks/requirements/$(@D:.venv-bench-%=%)
$(BENCH_STAMPS):
	@echo "Installing what other implementations need into $(@D): minutes."
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(REQUIREMENTS).lock
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS).in
	@touch $@

bench: setup $(BENCH_STAMPS)
	$(RUN) -m benchmarks.speed $(ARGS)

# One worker, no job runner: two processes instead of fifteen.
ui: setup
	@echo "The runs: http://127.0.0.1:$(PORT)/#/experiments/1/runs (in about ten seconds; Ctrl-C ends it)"
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true $(VENV)/bin/mlflow ui \
	  --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}" --host 127.0.0.1 --port $(PORT) --workers 1

clean:
	rm -rf $(VENV) .venv-cluster .venv-bench-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "Left in place: runs/, and compiled programs in $${XDG_CACHE_HOME:-~/.cache}/vae-mc-samples (see compile_cache)."
