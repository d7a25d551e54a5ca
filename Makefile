# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make demo        everything from nothing: three hosts, an etcd, the overlay, pods that reach each other
#   make demo-kubernetes    three real Kubernetes nodes, flannel, pods that reach each other
#   make test        everything that CI runs
#   make test-full   that, and slow variations of it
#
# The rest is for people who work on the collection; TESTING.md says more.

.PHONY: help system venv build demo test-full demo-kubernetes clean-demo test fast lint units integration guest molecule bench picture test-kube tools clean
.SILENT:
.NOTPARALLEL:

VENV := .venv
RUN := $(VENV)/bin/python tests/gate/run.py
STAGED := .build/ansible_collections/podnet/cni
# ansible-playbook and friends from the environment, the collection from the tarball we built.
DEMO_ENV = PATH="$(CURDIR)/$(VENV)/bin:$$PATH" PODNET_ANSIBLE="$(CURDIR)/$(VENV)/bin" \
	ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.build/collections"

help:
	sed -n 's/^#   \(make .*\)/\1/p' Makefile
	echo "make fast lint units integration guest molecule bench picture test-kube tools build clean-demo clean: see TESTING.md"

# Lint and unit tests need little from the system; whatever touches a real kernel or etcd needs all of it.
SYSTEM := $(if $(filter-out fast lint units venv tools,$(or $(MAKECMDGOALS),help)),all,base)

system:
	tests/gate/system.sh install $(SYSTEM)

venv: system
	tests/gate/venv.sh "$$(tests/gate/system.sh python)" $(VENV) requirements-test.txt

build: venv
	$(VENV)/bin/python tests/gate/tarball.py install .build/collections

demo: build
	$(DEMO_ENV) demo/run

demo-kubernetes: build tools
	$(DEMO_ENV) demo/run-kubernetes

clean-demo: build
	$(DEMO_ENV) demo/run --clean
	$(DEMO_ENV) demo/run-kubernetes --clean

test: venv
	$(RUN)

test-full: venv
	PODNET_FULL=1 $(RUN)

fast: venv
	$(RUN) --only fast

lint: venv
	$(RUN) --only lint

units: venv
	$(RUN) --only units

integration: venv
	$(RUN) --only integration

guest: venv
	$(RUN) --only guest

molecule: venv
	$(RUN) --only molecule

bench: venv
	$(RUN) --stage-only
	cd $(STAGED) && PYTHONPATH="$(CURDIR)/.build" PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
		ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.build" \
		sh -ec 'for each in tests/bench/bench_*.py; do echo "== $$each"; python "$$each"; done'

picture: venv
	$(RUN) --stage-only
	PYTHONPATH="$(CURDIR)/.build" PATH="$(CURDIR)/$(VENV)/bin:$$PATH" ANSIBLE_COLLECTIONS_PATH="$(CURDIR)/.build" \
		$(VENV)/bin/python tests/gate/picture.py

tools:
	python3 tests/tools/build.py

test-kube: venv
	PODNET_REQUIRE_KUBE=1 $(RUN) --only kube

clean:
	rm -rf .build tests/output .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis
