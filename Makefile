# Everything starts here: `make demo` runs the main job, `make test` the tests. Both install what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# Your own articles: make demo ARTICLES=path/to/folder
ARTICLES ?= examples/articles
# What was corrected on the demo's pages: put the downloads here and type `make demo` again.
CORRECTIONS := $(DEMO)/corrections
CORRECTED := $(wildcard $(CORRECTIONS)/*.jsonl)
RECIPE := configs/recipes/mini.yaml

.PHONY: demo test test-slow check bench format install clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[train,search,crawl,onnx,openvino,pages,dev]'
	@touch $@

demo: install
	$(BIN)/netral prepare data/gold/articles.jsonl $(if $(CORRECTED),$(ARTICLES) --gold $(CORRECTIONS) $(if $(wildcard $(DEMO)/data/test.parquet),--keep-splits $(DEMO)/data)) -c $(RECIPE) --out $(DEMO)/data --overwrite
	$(BIN)/netral train -c $(RECIPE) --data $(DEMO)/data --out $(DEMO)/model --resume --overwrite
	$(BIN)/netral evaluate $(DEMO)/model -c $(RECIPE) --data $(DEMO)/data --out $(DEMO)/report --behaviour --base inference/default_model --overwrite
	$(BIN)/netral card $(DEMO)/model --report $(DEMO)/report
	$(BIN)/netral label $(ARTICLES) --model $(DEMO)/model --out $(DEMO)/labelled.jsonl --overwrite
	$(BIN)/netral view $(DEMO)/labelled.jsonl --annotate --annotator you --out $(DEMO)/labelled.html --overwrite
	@mkdir -p $(CORRECTIONS)
	@$(BIN)/python -m training.demo_summary $(DEMO)

test: install
	$(BIN)/python -m pytest -q

# A hundred kills of a folder job at random moments (`make test` has ten), jobs on Ray, which takes 240 MB and is not in
# `install`, and the long simulation of intervals.
test-slow: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[ray]'
	NETRAL_SLOW=1 $(BIN)/python -m pytest -q tests/end_to_end/test_fault.py tests/end_to_end/test_ray.py tests/unit/test_statistics.py

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/netral config check configs/*.yaml configs/*/*.yaml configs/*/*/*.yaml

bench: install
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[bench]"
	$(BIN)/python -m inference.bench
	$(BIN)/python -m training.statistics.simulation

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
