# Needs only GNU make and a Python (>= 3.11): the first target that runs makes its own .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
INSTALLED_DOCS := .venv/.installed-docs

export TF_CPP_MIN_LOG_LEVEL ?= 3
# What TensorFlow logs before it reads that level: that it looked for CUDA, and that oneDNN is on.
NOISE := absl::InitializeLog|cudart_stub|port\.cc|cuda_dnn|cuda_fft|cuda_blas|computation_placer

.PHONY: demo test test-own test-nengo test-nengo-float32 plans lint docs docs-quick

demo: SHELL := bash
demo: $(INSTALLED)
	@$(BIN)/python examples/tutorial.py 2> >(grep --line-buffered -vE '$(NOISE)' >&2)

test: test-own test-nengo

# worksteal: tests of a module stay together, so that what they share is mostly built once
test-own: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# Nengo's own tests, with our simulator; their seeds depend on their paths below the root
NENGO_TESTS = -m pytest --pyargs nengo -n 2 -p no:cacheprovider --disable-warnings \
	--rootdir=$$($(BIN)/python -c "import pathlib, nengo; print(pathlib.Path(nengo.__file__).parents[1])")

test-nengo: $(INSTALLED)
	$(BIN)/python $(NENGO_TESTS) -c tests/nengo_suite/pytest.ini

test-nengo-float32: $(INSTALLED)
	$(BIN)/python $(NENGO_TESTS) -c tests/nengo_suite/float32.ini

# What some networks compile to, stored as text: renews it after a change that is meant
plans: $(INSTALLED)
	$(BIN)/python -m tests.compiler.plans

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Executes all code in the pages; nothing is fetched but packages. docs-quick: at a toy size.
SPHINX = $(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --jobs 2 docs docs/_build

docs: $(INSTALLED_DOCS)
	$(SPHINX)/html

docs-quick: $(INSTALLED_DOCS)
	NENGO_DL_DOCS_QUICK=1 $(SPHINX)/quick

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,examples]"
	touch $@

$(INSTALLED_DOCS): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	touch $@
