# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far an upgrade came, read from the Leases of its rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Forbidden, NotFound
from ansible_collections.podnet.cni.plugins.module_utils._rollout.state import ANNOTATION, State, encode
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.progress import unfinished

ROLLOUTS = [{"namespace": "a", "name": "linux"}, {"namespace": "a", "name": "windows"}]


class Cluster:
    """Leases by the name of their DaemonSet; an exception is raised."""

    def __init__(self, **leases: Any) -> None:
        self._leases = leases

    def get(self, path: str) -> Mapping[str, Any]:
        found = self._leases.get(path.rpartition("podnet-rollout-")[2])
        if found is None:
            raise NotFound("no such Lease", status=404)
        if isinstance(found, Exception):
            raise found
        return {"metadata": {"namespace": "a", "name": "x", "annotations": found}}


def lease(directory: str = "/srv/up/flannel-1", **record: Any) -> dict[str, str]:
    return {ANNOTATION: encode(State("t", {}, {}, undertaking=directory, record=record))}


def test_none() -> None:
    assert unfinished(Cluster(), ROLLOUTS) == ({}, [])
    assert unfinished(Cluster(linux=lease()), ROLLOUTS) == ({}, []), "a rollout that is not a part of an upgrade"


def test_the_newest_of_what_the_leases_remember() -> None:
    first, second = {"done": 1, "kept": True, "ill": {"n1": "x"}, "wish": "w"}, {"done": 2, "kept": True, "wish": "w"}
    found, unknown = unfinished(Cluster(linux=lease(**first), windows=lease(**second)), ROLLOUTS)
    assert found == {"directory": "/srv/up/flannel-1", "ill": {}, **second}
    assert unknown == []
    assert unfinished(Cluster(linux=lease(**first)), ROLLOUTS)[0] == {"directory": "/srv/up/flannel-1", **first}
    begun = unfinished(Cluster(linux=lease(done=0, kept=False), windows=lease(done=0, kept=True)), ROLLOUTS)[0]
    assert begun["kept"] is True


def test_what_cannot_be_read_is_told() -> None:
    denied = Forbidden("leases is forbidden.", status=403)
    found, unknown = unfinished(Cluster(linux=denied, windows={ANNOTATION: "?"}), ROLLOUTS)
    assert found == {}
    assert "a/linux was interrupted: leases is forbidden." in unknown[0]
    assert "a/windows was interrupted: Lease a/x holds no state" in unknown[1]
