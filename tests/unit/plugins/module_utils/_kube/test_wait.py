# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster lacks, judged from objects; the start order of kinds."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import crds, objects, order, pods, rollout, wait

NOBODY: Any = None
NETWORKS = wait.parse_networks(["10.244.0.0/16", "fd00:10:244::/56"])
PARAMS: dict[str, Any] = {
    name: item.get("default") for name, item in {**wait.ARGUMENT_SPEC, **wait.TOLD}.items() if name != "rollouts"
} | {"rollouts": []}


def node(*cidrs: str) -> dict[str, Any]:
    return {"metadata": {"name": "a"}, "spec": {"podCIDR": cidrs[0], "podCIDRs": list(cidrs)} if cidrs else {}}


@pytest.mark.parametrize(
    ("cidrs", "families", "expected"),
    [
        ((), ["ipv4"], [("it has no podCIDR of IPv4 yet", False)]),
        (("10.244.1.0/24",), ["ipv4"], []),
        (("10.244.1.0/24",), ["ipv4", "ipv6"], [("it has no podCIDR of IPv6, only 10.244.1.0/24", True)]),
        (("10.244.1.0/24", "fd00:10:244:1::/64"), ["ipv4", "ipv6"], []),
        (
            ("10.245.1.0/24",),
            ["ipv4"],
            [("its podCIDR 10.245.1.0/24 is not inside 10.244.0.0/16, and it cannot be changed", True)],
        ),
        (
            ("10.0.0.0/8",),
            ["ipv4"],
            [("its podCIDR 10.0.0.0/8 is not inside 10.244.0.0/16, and it cannot be changed", True)],
        ),
        (("10.245.1.0/24",), [], []),
    ],
)
def test_pod_cidrs(cidrs: tuple[str, ...], families: list[str], expected: list[tuple[str, bool]]) -> None:
    assert list(wait.lacking_cidrs(node(*cidrs), families, NETWORKS)) == expected


def test_the_older_field_alone_counts() -> None:
    assert not list(wait.lacking_cidrs({"spec": {"podCIDR": "10.244.1.0/24"}}, ["ipv4"], NETWORKS))


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_inside_is_what_ipaddress_says(inner: int, inner_length: int, outer: int, outer_length: int) -> None:
    small = ipaddress.ip_network((inner, inner_length), strict=False)
    large = ipaddress.ip_network((outer, outer_length), strict=False)
    assert isinstance(small, ipaddress.IPv4Network)
    assert isinstance(large, ipaddress.IPv4Network)
    assert wait._inside(small, large) == small.subnet_of(large)


def test_the_failing_checks_are_named() -> None:
    text = (
        "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n[-]shutdown failed: reason withheld\nreadyz failed\n"
    )
    assert wait.unready(text) == "/readyz: etcd failed: reason withheld, shutdown failed: reason withheld"
    assert wait.unready("not at all") == ""


def definition(**conditions: tuple[str, str, str]) -> dict[str, Any]:
    return {
        "status": {
            "conditions": [
                {"type": name, "status": status, "reason": reason, "message": message}
                for name, (status, reason, message) in conditions.items()
            ]
        }
    }


GOOD = ("True", "NoConflicts", "no conflicts found")


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({}, "the API server has not set the condition NamesAccepted yet"),
        (definition(NamesAccepted=GOOD), "the API server has not set the condition Established yet"),
        (definition(NamesAccepted=GOOD, Established=GOOD), ""),
        (
            definition(Established=GOOD, NamesAccepted=("False", "ListKindConflict", "in use")),
            "NamesAccepted is False, reason ListKindConflict: in use",
        ),
        (definition(NamesAccepted=GOOD, Established=("False", "", "")), "Established is False"),
    ],
)
def test_conditions_of_definitions(item: dict[str, Any], problem: str) -> None:
    assert crds.unaccepted(item) == problem


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"observedGeneration": 1}, "its controller has not seen its newest version yet"),
        ({"updatedNumberScheduled": 1}, "1 of 3 pods are of its newest template"),
        ({"updatedNumberScheduled": 3, "numberAvailable": 2}, "2 of 3 pods are available"),
        ({"updatedNumberScheduled": 3, "numberAvailable": 3}, ""),
    ],
)
def test_what_a_rollout_lacks(status: dict[str, int], text: str) -> None:
    full = {"observedGeneration": 2, "desiredNumberScheduled": 3, **status}
    assert rollout.missing({"kind": "DaemonSet", "metadata": {"generation": 2}, "status": full}) == text


def test_what_other_workloads_lack() -> None:
    item: dict[str, Any] = {"kind": "StatefulSet", "spec": {"replicas": 2}, "status": {"updatedReplicas": 2}}
    assert rollout.missing(item) == "0 of 2 pods are ready"
    item = {"kind": "Deployment", "status": {"updatedReplicas": 1, "availableReplicas": 1, "replicas": 3}}
    assert rollout.missing(item) == "2 old pods are still there"


def container(**state: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"name": "c", "state": state}]}}


@pytest.mark.parametrize(
    ("pod", "problem"),
    [
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, ""),
        (container(waiting={"reason": "ContainerCreating"}), "it is not ready, its containers are being created"),
        (
            container(waiting={"reason": "CrashLoopBackOff", "message": "back-off"}),
            "container c is in CrashLoopBackOff: back-off",
        ),
        (container(terminated={"exitCode": 3, "reason": "Error"}), "container c exited with 3: Error"),
        (container(terminated={"exitCode": 0}), "it is not ready"),
        (
            {"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no node"}]}},
            "it is not scheduled: no node",
        ),
        ({}, "it is not ready"),
    ],
)
def test_what_is_wrong_with_a_pod(pod: dict[str, Any], problem: str) -> None:
    assert pods.text(pod) == problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"timeout": 0.0}, "timeout is 0"),
        ({"poll": -1.0}, "poll is -1"),
        ({"networks": ["10.244.0.1/16"]}, "10.244.0.1/16 is not a network"),
        ({"networks": ["fd00::/64"], "pod_cidrs": ["ipv4"]}, "add ipv6 to pod_cidrs"),
    ],
)
def test_bad_options(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        wait.check({**PARAMS, **change})


def test_the_first_is_said_in_words() -> None:
    one, two = wait.Missing("Node a", "no podCIDR"), wait.Missing("Node b", "no podCIDR")
    assert wait.describe([one]) == "waiting for Node a: no podCIDR"
    assert wait.describe([one, two]) == "waiting for Node a: no podCIDR (and 1 more)"
    cause = wait.Missing("Pod c", "crashes", is_cause=True)
    assert wait.describe([one, two, cause]) == "waiting for Node a: no podCIDR; Pod c: crashes (and 1 more)"
    assert wait.describe([]) == ""


START_ORDER = [
    "Namespace",
    "CustomResourceDefinition",
    "ServiceAccount",
    "ConfigMap",
    "FelixConfiguration",
    "PodDisruptionBudget",
    "DaemonSet",
    "ValidatingWebhookConfiguration",
]


@given(st.permutations(START_ORDER))
def test_start_order(kinds: list[str]) -> None:
    items = [{"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}} for kind in kinds]
    expected = sorted(START_ORDER, key=order.phase)
    assert [identity.kind for identity, _item in objects.ordered(items, objects.START)] == expected == START_ORDER
    assert [identity.kind for identity, _item in objects.ordered(items, objects.GIVEN)] == kinds


@given(st.lists(st.sampled_from(["ConfigMap", "Secret", "Widget", "Job"]), max_size=8))
def test_a_phase_stays_as_given(kinds: list[str]) -> None:
    items = [{"apiVersion": "v1", "kind": kind, "metadata": {"name": str(n)}} for n, kind in enumerate(kinds)]
    names = [
        (order.phase(identity.kind), int(identity.name)) for identity, _item in objects.ordered(items, objects.START)
    ]
    assert names == sorted(names)


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_on_delete_waits_for_no_replacement(kind: str) -> None:
    """With this strategy nobody replaces pods, so waiting for it would never end."""
    status = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 1, "numberAvailable": 3}
    status.update({"updatedReplicas": 1, "readyReplicas": 3, "replicas": 3})
    item = {"kind": kind, "metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": status}
    assert rollout.missing(item)
    assert rollout.outdated(item) == ""
    item["spec"] = {"replicas": 3, "updateStrategy": {"type": "OnDelete"}}
    assert rollout.missing(item) == ""
    item["status"] = {**status, "numberAvailable": 2, "readyReplicas": 2}
    assert rollout.missing(item).startswith("2 of 3 pods are")
    remark = rollout.outdated(item)
    assert ("2 of 3 pods are of an older template" in remark) == (kind == "DaemonSet")


def test_patience_ends_with_news_or_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [0.0], []
    a, b = wait.Missing("Node a", "no podCIDR"), wait.Missing("Node b", "no podCIDR")

    def watched(*answers: list[wait.Missing], **params: Any) -> dict[str, Any]:
        left = iter(answers)
        asked.clear()

        def look(_client: Any, given_params: Any, _remarks: Any) -> list[wait.Missing]:
            asked.append(given_params["explain"])
            return next(left)

        def sleep(seconds: float) -> None:
            clock[0] += seconds

        monkeypatch.setattr(wait, "look", look)
        monkeypatch.setattr(wait.time, "monotonic", lambda: clock[0])
        return wait.run(NOBODY, {**PARAMS, "poll": 2.0, **params}, False, sleep)

    assert not watched([a], patience=0.0)["done"], "without patience one look"
    assert asked == [False]
    assert watched([a, b], [a, b], [a], patience=15.0)["missing"] == [{"object": "Node a", "problem": "no podCIDR"}]
    assert watched([a], [a], [], patience=15.0)["done"]
    before = clock[0]
    assert not watched(*[[a]] * 9, [a, b], patience=15.0, explain=True)["done"]
    assert (clock[0] - before, asked) == (15.0, [False] * 9 + [True]), "causes are asked for once"
