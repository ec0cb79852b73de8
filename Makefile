# make setup | demo | test | test-slow | lint | format | hooks | docs | docs-serve | bench | clean
# VENV=path and PYTHON=python3.12 choose others
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# uv does not read pip's settings: tell it where pip looks for wheels
FIND_LINKS = $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null)

.PHONY: setup demo test test-slow lint lint-format lint-code lint-types lint-layers lint-forge format hooks docs docs-serve bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) -V 2>&1); try: make setup PYTHON=python3.12" >&2; exit 2; }
	@if command -v uv >/dev/null; then \
		uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
		UV_FIND_LINKS="$(FIND_LINKS)" uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
		$(PYTHON) -m venv $(VENV) && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@

demo: setup
	$(BIN)/kd run experiments/digits.yaml

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-slow: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -n 2 --dist loadfile

# each part is a hook of .pre-commit-config.yaml too
lint: lint-format lint-code lint-types lint-layers lint-forge

lint-format: setup
	$(BIN)/ruff format --check .

# without a cache: the order of imports hangs on which packages exist, which a cache does not know
lint-code: setup
	$(BIN)/ruff check --no-cache .

lint-types: setup
	$(BIN)/mypy

lint-layers: setup
	$(BIN)/lint-imports

# what only a forge reads, and the citation
SCHEMA = $(BIN)/check-jsonschema --builtin-schema
lint-forge: setup
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.github-actions .github/actions/*/action.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(SCHEMA) vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline --quiet .github

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: setup
	$(BIN)/pre-commit install

# what it says of MkDocs 2 is no concern of who reads or writes the docs
MKDOCS = NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs

docs: setup
	$(MKDOCS) build --quiet --strict

docs-serve: setup
	$(MKDOCS) serve --livereload

bench: setup
	$(BIN)/python experiments/benchmarks/bank.py
	$(BIN)/python experiments/benchmarks/overhead.py
	$(BIN)/python experiments/benchmarks/scaling.py

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
