# Everything a fresh machine with Python 3.11 needs. `make demo` and `make test` set up what they use.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# Tested versions. Naming torch first picks the CPU build that they pin; left to itself pip may bring
# gigabytes of CUDA libraries.
PIP    := $(BIN)/pip install --quiet --constraint constraints.txt torch

.PHONY: demo test test-all check page bench clean

demo: $(VENV)/ready
	$(BIN)/breadth run --out runs/demo \
	  --model smollm2-135m --model gemma3-270m \
	  --task us-states-fewshot --task digits-fewshot --task digits-sum-fewshot
	@echo
	$(BIN)/breadth explain runs/demo/gemma3-270m--us-states-fewshot
	@echo
	$(BIN)/breadth compare runs/demo --out runs/demo
	@echo
	$(BIN)/breadth report runs/demo
	@echo "Open it in a browser. In each folder: figures/, and rules.csv for every rule that was tried."

test: $(VENV)/ready-dev
	scripts/test

test-all: $(VENV)/ready-dev
	scripts/test --all

check: $(VENV)/ready-dev
	scripts/check

# The explorer's source: types, its own tests, and the page that the package ships.
page:
	cd page && npm ci --silent --no-audit --no-fund && npm run --silent check && npm test && npm run --silent build

bench: $(VENV)/ready-bench
	$(BIN)/python -m bench

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[models,ceiling]'
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(PIP) --editable '.[models,ceiling,dev]'
	touch $@

$(VENV)/ready-bench: $(VENV)/ready-dev
	$(PIP) --editable '.[models,ceiling,dev,bench]'
	touch $@

clean:
	rm -rf $(VENV) runs .pytest_cache .mypy_cache .ruff_cache
