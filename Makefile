# `make sweep` and `make test` are the two commands; both prepare .venv first, once.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
# What `make bench` runs, whatever the others end with.
BENCHMARKS := throughput members sweep_overhead search scale imports

.DELETE_ON_ERROR:
.PHONY: setup sweep test e2e e2e-long check bench ui clean

setup: .setup-done

# The stamps are newer than what they were made from, so a second call installs nothing.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }

.setup-done: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV): about 3.4 GB to download, a few minutes"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

.setup-test: .setup-done
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

.setup-dev: .setup-test
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

sweep: .setup-done
	$(BIN)/python sweeps/gan_loss_weights.py $(ARGS)

test: .setup-test
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

e2e: .setup-test
	$(BIN)/python -m pytest tests/e2e -n 3 --dist loadgroup --timeout 3000 -m 'not long' $(ARGS)

# Those that take minutes each.
e2e-long: .setup-test
	$(BIN)/python -m pytest tests/e2e -n 2 --dist loadgroup --timeout 6000 -m long $(ARGS)

check: .setup-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

bench: .setup-test
	@missed=; for name in $(BENCHMARKS); do echo "benchmarks/$$name.py"; $(BIN)/python benchmarks/$$name.py || missed="$$missed $$name"; done; \
	if [ -n "$$missed" ]; then echo "not met or failed:$$missed" >&2; exit 1; fi

ui: .setup-done
	$(BIN)/python -m sweeps.ui $(ARGS)

clean:
	rm -rf $(VENV) .setup-done .setup-test .setup-dev build *.egg-info
