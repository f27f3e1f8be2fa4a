# Every target sets up what it needs: a virtual environment in .venv, from the lock files, once.
# `make` alone lists the targets.

PROFILE ?= etude
PYTHON  ?=
ARGS    ?=

# Relative, so that the repository may lie in a folder whose path has spaces.
PY := .venv/bin/python
# Which study is meant; CORPUS=FOLDER has its phases hear a prepared corpus.
STUDY = --profile "$(PROFILE)" $(if $(CORPUS),--corpus "$(CORPUS)")
LOCKS := requirements.lock requirements-nodeps.lock

.DEFAULT_GOAL := help
.PHONY: help setup report sweep paper check serve publish diff test lab
.PHONY: etude evaluate validate bench bench-sae verify-real doctor lint lock clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

report: setup  ## run what is not up to date and build the book; PROFILE=etude (default), smoke, small; CORPUS=FOLDER
	@$(PY) -m report build $(STUDY) $(ARGS)

sweep: setup  ## run a notebook over many parameters; ARGS="phases/3-steering.ipynb --grid layer=1,3,5"
	@$(PY) -m report sweep $(ARGS)

paper: setup  ## write the paper from the same results; PHASE=1 technical report, 2 workshop paper, 3 full paper
	@$(PY) -m report paper $(STUDY) $(if $(PHASE),--phase "$(PHASE)") $(ARGS)

check: setup  ## check the built book: links, labels, accessibility, sizes, runs, references, in a real browser
	@$(PY) -m report check --all $(STUDY) $(ARGS)

serve: setup  ## show the built book on this machine's http://127.0.0.1:8000; PORT=8000
	@$(PY) -m report serve $(if $(PORT),--port "$(PORT)") $(ARGS)

publish: setup  ## add the book to the folder of versions; VERSION=v0.1.0
	@$(PY) -m report publish "$(VERSION)" $(STUDY) $(ARGS)

diff: setup  ## what differs between versions; ARGS="v0.1.0 v0.2.0", with one version against the working tree
	@$(PY) -m report diff $(STUDY) $(ARGS)

test: setup  ## run the tests; SLOW=1 runs the slow ones too, ARGS="-k name" selects
	@# One thread: the tests' models are tiny, and threads that wait for each other crawl on a busy machine.
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(PY) -m pytest $(if $(SLOW),,-m "not slow") $(ARGS)

lab: setup  ## open the notebooks in JupyterLab
	@$(PY) -m jupyterlab --notebook-dir . $(ARGS) phases

verify-real: setup  ## first contact with true weights: PROFILE=small, medium or large; ends in a bundle for an issue
	@$(PY) -m interp verify "$(PROFILE)" $(ARGS)

doctor: setup  ## check this machine: device, memory, versions, a real forward pass with hooks
	@$(PY) -m interp doctor $(ARGS)

bench: setup  ## measure what generation, steering, capture, a run of a sweep and a report with nothing to do cost here
	@$(PY) -m interp.bench $(ARGS)
	@$(PY) -m report bench-sweep
	@$(PY) -m report bench $(STUDY)

bench-sae: setup  ## train sparse autoencoders here and in three other libraries, side by side
	@$(PY) tests/peers/sae_bench.py $(ARGS)

validate: setup  ## measure on made-up data whether tests and intervals keep their promises
	@$(PY) -m interp.validate $(ARGS)

etude: setup  ## train the embedded models from nothing; an hour or hours, resumes
	@$(PY) -m etude train $(ARGS)

evaluate: setup  ## measure the embedded models and print their card's tables
	@$(PY) -m etude evaluate $(ARGS)

lint: setup  ## check style with ruff
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

setup:  ## create .venv and install from the lock files, unless that is done
	@PYTHON="$(PYTHON)" sh report/setup.sh

lock: setup  ## resolve requirements*.in again and write the lock files and environment.yml
	@PYTHON="$(PYTHON)" sh report/lock.sh

clean:  ## delete everything generated except .venv
	rm -rf build .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
