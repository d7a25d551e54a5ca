# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every module starts in an interpreter that has imported nothing, and does there what it does in a warm process."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.podnet.cni.plugins.modules import __path__ as places
from ansible_collections.podnet.cni.tests.integration._warm import run_module

NAMES = sorted(path.stem for place in places for path in Path(place).glob("[!_]*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_module_starts_cold_as_it_does_warm(name: str) -> None:
    wrong = {"no_such_option": True}
    refused = run_module(name, wrong, via=())
    assert refused["failed"]
    assert refused == run_module(name, wrong)
