# make book    build the site from the executed notebooks and say where to open it
# make test    every check: lint, units, notebooks recomputed, the built site
# Both make .venv and install into it first, on a machine with nothing but Python and make.

SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
SITE := _build/html
PORT ?= 8000
# Worker processes of pytest. One more than two cores: browsers and kernels wait a lot.
WORKERS ?= 3

.PHONY: help book serve notebooks lint format test nbval pictures screenshots bench system clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The stamp is renewed when pyproject.toml changes; an existing .venv is kept and completed.
.venv/installed: pyproject.toml
	@test -x $(PY) || $(PYTHON) -m venv .venv || { \
	  echo "No virtual environment: Python's venv module is missing (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "rigl_edu needs Python 3.10 or newer; .venv has $$($(PY) -V). Run: make clean && make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Installing into .venv; PyTorch makes this some minutes and gigabytes."
	@$(PY) -m pip install --quiet --disable-pip-version-check -e ".[book,test]"
	@touch $@

book: .venv/installed  ## build the site, print where to open it
	@rm -rf _build
	$(BIN)/jupyter-book build . --quiet
	@test -f $(SITE)/index.html
	@echo "The book is built. Open file://$(CURDIR)/$(SITE)/index.html, or run: make serve"

serve: .venv/installed  ## serve the built site on http://localhost:8000 (PORT=...)
	@test -f $(SITE)/index.html || $(MAKE) book
	@echo "Open http://localhost:$(PORT)/ (stop with Ctrl-C)"
	@$(PY) -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

notebooks: .venv/installed  ## rebuild and execute book/*.ipynb from pages/*.md (NAME=11_rigl for one)
	$(PY) tools/notebooks.py build $(NAME)

lint: .venv/installed  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/installed  ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One run, so that one summary line speaks for everything. Lint is among the tests.
test: .venv/installed system .cache/mathjax  ## every check
	$(PY) tools/notebooks.py test tests book -n $(WORKERS)

nbval: .venv/installed  ## recompute the notebooks and compare every output
	$(PY) tools/notebooks.py test book

pictures: .venv/installed  ## redraw the picture of the README
	$(PY) tools/readme_picture.py

screenshots: .venv/installed system .cache/mathjax  ## photograph every built page, light and dark, wide and narrow
	@test -f $(SITE)/index.html || $(MAKE) book
	$(PY) tools/browser.py $(SITE) _build/screenshots

bench: .venv/installed  ## masked and compressed layers against dense ones, in seconds
	$(PY) -m benchmarks.step
	$(PY) -m benchmarks.compressed

# The browser tests need a Chromium, the toy's test needs Node.js. Where apt-get and the right to
# use it are at hand they are installed; elsewhere those tests are skipped and say so.
system:
	@need=""; \
	command -v "$${CHROMIUM:-chromium}" chromium chromium-browser google-chrome >/dev/null 2>&1 || need="$$need chromium"; \
	command -v node >/dev/null 2>&1 || need="$$need nodejs"; \
	test -z "$$need" && exit 0; \
	as=""; test "$$(id -u)" = 0 || as="sudo -n"; \
	if command -v apt-get >/dev/null && { test -z "$$as" || $$as true 2>/dev/null; }; then \
	  echo "Installing$$need with apt-get"; \
	  { $$as apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$as apt-get install -y -qq --no-install-recommends $$need; } >/dev/null \
	  || echo "apt-get could not install$$need: the tests that need it will be skipped." >&2; \
	else \
	  echo "Missing:$$need. Install it to run the tests that need it; they will be skipped." >&2; \
	fi

# Pages load MathJax from a content network. The browser tests fetch nothing, so they serve this copy;
# without it they still run, on pages whose formulas stay TeX.
.cache/mathjax:
	@mkdir -p .cache/npm && cd .cache/npm && \
	if command -v npm >/dev/null && npm pack --silent mathjax@3 >/dev/null 2>&1 && tar -xzf mathjax-*.tgz; then \
	  mv package ../mathjax; \
	else echo "No npm, or no MathJax from it: the browser tests see formulas as TeX." >&2; fi
	@rm -rf .cache/npm

clean:  ## remove .venv, the built site and caches
	rm -rf .venv _build .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
