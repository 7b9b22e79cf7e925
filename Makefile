# `make demo` and `make test` set everything up themselves; they need Python 3.11 to 3.13 and make. Paths are quoted where they may be whole ones:
# the folder's own may hold spaces, which make takes for the end of a name.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUTPUT := outputs/demo
EXECUTED := outputs/notebooks
BOOK := outputs/book
TESTERS ?= 2
PYTEST = SAFBAGE_EXECUTED="$$(cd "$(EXECUTED)" && pwd)" $(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadscope --no-loadscope-reorder --durations 30

.PHONY: demo test test-rest test-all lab lint bench book clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and 'safbage needs Python 3.11 to 3.13; try: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): some 3 GB on disk (700 MB to download), once; this takes a minute or a few."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[page,hub,engine]"
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/safbage weights --fetch
	$(BIN)/safbage demo --output $(OUTPUT) --notebook notebooks/00_start_here.ipynb

test: $(VENV)/installed-test
	$(BIN)/safbage weights --fetch
	mkdir -p "$(EXECUTED)"
	$(PYTEST) -m "not slow"

# What `make test` leaves out.
test-rest: $(VENV)/installed-test
	mkdir -p "$(EXECUTED)"
	$(PYTEST) -m slow

test-all: test test-rest

lab: $(VENV)/installed
	$(BIN)/safbage weights --fetch
	$(BIN)/jupyter lab --ServerApp.tornado_settings="{'websocket_max_message_size': 200000000}" notebooks/00_start_here.ipynb

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)-peers/installed:
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check torch torchvision onnx onnxruntime openvino requests tqdm
	$(VENV)-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps facenet-pytorch==2.6.0
	touch $@

# Where the peers cannot be installed, they are left out, and the report says so.
bench: $(VENV)/installed
	$(BIN)/safbage weights --fetch
	-$(MAKE) $(VENV)-peers/installed
	$(BIN)/python benchmarks/stages.py --peers $(VENV)-peers/bin/python

$(VENV)/installed-book: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[book]"
	touch $@

# A notebook runs again where it or the library has changed since; `make test-rest` leaves those that it ran in the same place.
$(EXECUTED)/%.ipynb: notebooks/%.ipynb $(shell find safbage -name '*.py') | $(VENV)/installed-book
	mkdir -p $(EXECUTED)/run
	$(BIN)/safbage weights --fetch
	JUPYTER_PATH="$$PWD/safbage/jupyter" $(BIN)/papermill --kernel python3 --no-progress-bar --cwd $(EXECUTED)/run $< $(EXECUTED)/run/$*.ipynb
	mv $(EXECUTED)/run/$*.ipynb $@

book: $(patsubst %,$(EXECUTED)/%,$(notdir $(wildcard notebooks/*.ipynb))) | $(VENV)/installed-book
	rm -rf $(BOOK) build/book
	$(BIN)/python docs/book/book_pages.py $(EXECUTED) build/book/pages
	$(BIN)/python -m sphinx -q -W --keep-going -d build/book/doctrees build/book/pages $(BOOK)
	$(BIN)/python docs/book/book_checks.py $(BOOK)
	@echo "The book: $$(cd "$(BOOK)" && pwd)/index.html"

clean:
	rm -rf $(VENV) $(VENV)-peers outputs build
