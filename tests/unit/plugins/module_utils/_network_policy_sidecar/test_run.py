# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which DaemonSets the module takes, from what discovery found."""

from __future__ import annotations

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record, Workload
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar.run import targets


def installed(namespace: str, *names: str) -> Record:
    workloads = [Workload("DaemonSet", namespace, name) for name in names]
    return Record(plugin="flannel", namespace=namespace, workloads=workloads)


def test_every_daemonset_of_the_one_installation_is_taken() -> None:
    record = installed("kube-system", "kube-flannel", "kube-flannel-ds-arm64")
    found = [("kube-system", "kube-flannel"), ("kube-system", "kube-flannel-ds-arm64")]
    assert targets([record], True, "") == found
    leftover = Record(plugin="flannel", role="leftover")
    assert targets([record, leftover], True, "") == found


def test_two_installations_are_refused_but_cleaned() -> None:
    records = [installed("a", "one"), installed("b", "two")]
    with pytest.raises(InputError, match=r"more than once \(a/one, b/two\)"):
        targets(records, True, "")
    assert targets(records, False, "") == [("a", "one"), ("b", "two")]


def test_flannel_without_a_daemonset_is_refused() -> None:
    with pytest.raises(InputError, match="k3s enforces NetworkPolicy by itself"):
        targets([Record(plugin="flannel", install_method="embedded")], True, "")
    with pytest.raises(InputError, match="no flannel DaemonSet in namespace a"):
        targets([], True, "a")
    assert targets([], False, "") == []


def test_what_may_not_be_read_is_no_reason_to_think_it_is_not_there() -> None:
    unknown = Record(plugin="unknown", warnings=["DaemonSets may not be listed."])
    for present in (True, False):
        with pytest.raises(InputError, match="may not be listed"):
            targets([unknown], present, "")
