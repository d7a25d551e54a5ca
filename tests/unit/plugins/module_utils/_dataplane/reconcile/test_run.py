# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a run makes of its parts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.reconcile import bridge, parts, run
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError


class Restless(parts.Part):
    """A part that something else writes, as often as it is set right."""

    name = "lamp"

    def __init__(self, undone: int) -> None:
        node: Any = SimpleNamespace(host="h1")
        super().__init__(node)
        self.undone = undone

    def desired(self) -> str:
        return "on"

    def observed(self, wanted: str) -> str:
        self.undone -= 1
        return "off" if self.undone >= 0 else wanted

    def plan(self, wanted: str, observed: str) -> list[str]:
        return [] if wanted == observed else [f"turn the lamp {wanted}"]

    def actions(self, steps: list[str]) -> list[str]:
        return steps

    def apply(self, wanted: str, steps: Any) -> None:
        raise AssertionError("looking again changes nothing")


def test_a_difference_after_the_run_is_a_failure() -> None:
    run.check_result(Restless(0), "on")
    with pytest.raises(PodnetError, match=r"host h1: lamp: .* 1 things differ again: turn the lamp on"):
        run.check_result(Restless(1), "on")


def test_the_subnet_file_is_the_last_to_come_and_the_first_to_go() -> None:
    assert run.JOINING[-1] is run.LEAVING[0] is parts.SubnetFile
    assert set(run.JOINING) - {bridge.Bridge} == set(run.LEAVING)


def test_what_is_handed_over_keeps_links_keys_and_the_subnet_file() -> None:
    assert set(run.LEAVING) - set(run.HANDING_OVER) == {parts.Links, parts.Keys, parts.SubnetFile}
