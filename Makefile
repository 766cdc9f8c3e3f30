# Two commands for a newcomer: `make demo` and `make test`. Both build .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test lint types contracts check bench schemas clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group test --group lint
	touch $@

demo: $(VENV)/.installed
	$(BIN)/hcs demo --out $(DEMO) || test $$? -eq 3 # done, with problems that it names

test: $(VENV)/.installed
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

check: lint types contracts

schemas: $(VENV)/.installed
	$(BIN)/hcs schema write
	$(BIN)/python -c "from pathlib import Path; from hcs.domain import catalog; Path('docs/features.md').write_text(catalog.as_markdown(), encoding='utf-8')"
	$(BIN)/python -c "from pathlib import Path; from hcs.domain.tuning import page; Path('docs/tuning.md').write_text(page.as_markdown(), encoding='utf-8')"
	$(BIN)/python -c "from pathlib import Path; from hcs.words import definitions; Path('docs/statistics.md').write_text(definitions.as_markdown(), encoding='utf-8')"

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache
