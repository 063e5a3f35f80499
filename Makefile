# make demo   the whole line on the built-in phantoms, on this machine's CPU
# make test   the fast tests;  make test-all  the slow ones too
# make test-isa  the numerically delicate tests under several instruction sets
# make mutants  break single lines in a copy, and see that the tests named for them fail
# make docs  the documentation site, in build/site; a broken link fails it
# make check  style, types and the arrows between modules
# make test-arm  the bench and the kit on an emulated aarch64 behind an ssh server; as root, with Debian's apt and openssh-server
# make test-arm-full  every network on each emulated processor, 50 slices, as a Markdown table (see tests/arm/grid.py)
# make locks  renew the pins of the wheels for devices
# Each makes the environment that it needs in .venv; PYTHON names the interpreter to start from.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-all test-isa mutants docs test-arm test-arm-full check benchmarks locks clean

demo: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" sh deploy/demo.sh

# Tests of one file stay together, because they share what is trained or exported once.
WORKERS ?= 2
test: $(READY)
	$(BIN)/python -m pytest -q -m "not slow" -n $(WORKERS) --dist loadfile

test-all: $(READY)
	$(BIN)/python -m pytest -q

# oneDNN computes in TensorFlow and in OpenVINO, and both keep to ONEDNN_MAX_CPU_ISA: kernels and answers are seen to
# change. Without oneDNN TensorFlow has Eigen's kernels. ONNX Runtime (MLAS) and LiteRT (XNNPACK) take what the processor
# has and no word from outside; LiteRT's int8 sums are whole numbers, the same with any instructions.
ISA ?= ONEDNN_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX512_CORE ONEDNN_MAX_CPU_ISA=DEFAULT TF_ENABLE_ONEDNN_OPTS=0
test-isa: $(READY)
	for setting in $(ISA); do echo "$$setting"; env "$$setting" $(BIN)/python -m pytest -q -m delicate || exit 1; done

mutants: $(READY)
	$(BIN)/python -m tests.mutants

docs: $(READY)
	$(BIN)/python -m uv pip install -q --python $(BIN)/python --group docs
	$(BIN)/python docs/tools/command_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test-arm: $(READY)
	$(BIN)/python -m pytest -q tests/arm

test-arm-full: $(READY)
	$(BIN)/python -m tests.arm.grid

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmarks: $(READY)
	$(BIN)/python benchmarks/speed.py

locks: $(READY)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python deploy/renew_locks.py

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("edgebrain needs Python 3.11 or newer, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV) || { echo "venv is missing: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install -q --upgrade pip uv
	$(BIN)/python -m uv pip install -q --compile-bytecode --python $(BIN)/python -e '.[all]' --group dev
	touch $(READY)

clean:
	rm -rf $(VENV) build dist
