# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a release of k3s or RKE2 changes: backports, faults that come and go, the way back."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._distributions import release_change, releases
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError


def cluster(*versions: str, charts: tuple[str, ...] = ()) -> dict[str, Any]:
    """A cluster whose Nodes run these releases."""
    return {
        "nodes": [
            {"name": f"node{number}", "kubelet": each, "distribution": "k3s" if "+k3s" in each else "rke2"}
            for number, each in enumerate(versions)
        ],
        "helm_charts": [{"name": each, "namespace": "kube-system"} for each in charts],
    }


def ids(before: str, after: str, *charts: str) -> list[str]:
    """The changes from one release to another."""
    return [each["id"] for each in release_change.plan(cluster(before, charts=charts), after)["changes"]]


@pytest.mark.parametrize(
    "before, after, expected",
    [
        ("v1.30.5+k3s1", "v1.30.6+k3s1", ["cni-directory"]),
        ("v1.30.5+k3s1", "v1.31.1+k3s1", []),
        ("v1.30.6+k3s1", "v1.31.2+k3s1", []),
        # 1.31.1 is without what a patch of 1.30 had: that is lost.
        ("v1.30.6+k3s1", "v1.31.1+k3s1", []),
        ("v1.31.1+k3s2", "v1.32.0+k3s1", ["cni-directory"]),
        ("v1.34.2+k3s1", "v1.37.1+k3s1", ["vpn", "cni-conf"]),
    ],
)
def test_k3s(before: str, after: str, expected: list[str]) -> None:
    """A change reaches each minor in its own patch."""
    assert ids(before, after) == expected


@pytest.mark.parametrize(
    "before, after, chart, expected",
    [
        ("v1.36.2+rke2r1", "v1.36.3+rke2r1", "rke2-canal", ["charts-retry"]),
        ("v1.33.13+rke2r1", "v1.33.13+rke2r2", "rke2-flannel", ["charts-retry"]),
        ("v1.35.4+rke2r1", "v1.36.1+rke2r1", "rke2-canal", ["canal-rights"]),
        ("v1.35.4+rke2r1", "v1.36.1+rke2r1", "rke2-flannel", []),
        ("v1.35.4+rke2r1", "v1.36.2+rke2r1", "rke2-canal", []),
        ("v1.29.5+rke2r1", "v1.30.2+rke2r1", "rke2-flannel", ["vni-4096"]),
        ("v1.31.9+rke2r1", "v1.32.7+rke2r1", "rke2-canal", ["forward-rules", "blackhole-route"]),
    ],
)
def test_rke2(before: str, after: str, chart: str, expected: list[str]) -> None:
    """What concerns a chart is told to its users."""
    assert ids(before, after, chart) == expected


def test_the_way_back_says_what_is_lost() -> None:
    """In reverse, with what to do first, and what cannot be gone back on."""
    made = release_change.plan(cluster("v1.36.3+rke2r1", charts=("rke2-canal",)), "v1.35.5+rke2r1")
    assert [each["id"] for each in made["changes"]] == ["charts-retry", "canal-rights"]
    assert made["changes"][0]["text"].startswith("A chart whose upgrade hangs is uninstalled")
    assert made["changes"][0]["impact"] == "manual"
    assert "snapshot" in made["notes"][0]


def test_each_release_that_runs_counts() -> None:
    """A cluster in the middle of an upgrade has two, and skipping minors is told."""
    made = release_change.plan(cluster("v1.31.1+k3s1", "v1.30.0+k3s1"), "v1.34.2+k3s1")
    assert made["current"] == ["v1.30.0+k3s1", "v1.31.1+k3s1"]
    assert [each["id"] for each in made["changes"]] == ["mac-of-ipv6", "cni-directory", "policy-address"]
    assert made["components"] == [{"name": "flannel", "before": "", "after": "0.27.4"}]
    assert made["notes"][0].startswith("Go one minor at a time: 1.31, 1.32, 1.33, 1.34")
    assert "flannel: not known -> 0.27.4" in release_change.text(made)


def test_the_same_release_changes_nothing() -> None:
    """And is said to."""
    made = release_change.plan(cluster("v1.36.3+rke2r1", charts=("rke2-canal", "rke2-canal-crd")), "1.36.3+rke2r1")
    assert made["changes"] == []
    assert made["components"][0]["before"] == made["components"][0]["after"] == "v3.32.1-build2026072200"
    assert "Nothing that is known." in release_change.text(made)


@pytest.mark.parametrize("target", ["v1.36.3", "latest", "v1.36.3+k3s", "", "v1.36+rke2r1"])
def test_what_is_no_release_is_refused(target: str) -> None:
    """With an example of one."""
    with pytest.raises(InputError, match=r"is not a release of k3s or RKE2: give one like 'v1\.36\.3\+k3s1'"):
        release_change.plan(cluster("v1.36.2+k3s1"), target)


@pytest.mark.parametrize("found", [None, {}, {"nodes": []}, {"nodes": [{"kubelet": "v1.36.2"}]}])
def test_a_cluster_that_does_not_run_it_is_refused(found: Any) -> None:
    """Nothing is known of it."""
    with pytest.raises(InputError, match="No Node runs k3s"):
        release_change.plan(found, "v1.36.3+k3s1")


@pytest.mark.parametrize("product", sorted(releases.CHANGES))
def test_a_way_in_two_steps_tells_what_one_step_does(product: str) -> None:
    """From A to B to C: what A to C tells is told, save a fault that only B has, or what only B lacks."""
    suffix = "+k3s1" if product == "k3s" else "+rke2r1"
    rows = {row for each in releases.CHANGES[product] for row in (*each["since"], *each.get("until", ()))}
    known = sorted({row.partition("+")[0] for row in rows}, key=lambda row: tuple(map(int, row.split("."))))
    for one, two, three in random.Random(17).sample(list(itertools.combinations(known, 3)), 100):
        steps = [
            ids(f"v{before}{suffix}", f"v{after}{suffix}", "rke2-canal", "rke2-flannel")
            for before, after in ((one, three), (one, two), (two, three))
        ]
        assert set(steps[0]) <= set(steps[1] + steps[2]), (one, two, three)


@pytest.mark.parametrize("product", sorted(releases.CHANGES))
def test_rows_are_whole(product: str) -> None:
    """Each names one release of a minor, its source, and what to do where somebody has to."""
    for row in releases.CHANGES[product]:
        minors = [each.split(".")[1] for each in row["since"]]
        assert minors == sorted(set(minors), key=int), row
        assert row["source"].startswith("https://"), row
        assert row["impact"] in ("none", "manual", "outage"), row
        assert bool(row.get("action")) == (row["impact"] != "none"), row
        assert not (row.get("back_action") and not row.get("back")), row
