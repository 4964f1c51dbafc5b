# The whole set-up of a fresh machine that has Python 3.11+, pip and make.
#
#   make film                          a film of the example story, in out/film.mp4
#   make film STORY=my.md OUT=my.mp4   a film of another story
#   make test                          lint, types, tests

PYTHON ?= python3
STORY  ?= examples/lantern.md
OUT    ?= out/film.mp4
# The film folder: script, storyboard and shots stay there, so that a second run makes only what changed.
PROJECT ?= out/$(basename $(notdir $(STORY)))

BIN   := .venv/bin
STAMP := .venv/.setup-complete

.PHONY: setup film test lint clean
.DELETE_ON_ERROR:

setup: $(STAMP)

# The CPU build of PyTorch goes in first: the others depend on it and must find it already there.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or newer is needed; name one with: make setup PYTHON=python3.12"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

film: $(STAMP)
	@mkdir -p "$$(dirname "$(OUT)")"
	$(BIN)/cinema make "$(STORY)" --project "$(PROJECT)" --output "$(OUT)"
	@echo "film:          $(OUT)"
	@echo "contact sheet: $(PROJECT)/contact-sheet.png"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

test: lint
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

clean:
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build
