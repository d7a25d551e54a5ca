# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who carries the pods when several components are found. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record

DUPLICATE = "duplicate_install"
SEVERAL = "several_primaries"


def assign(records: Sequence[Record]) -> None:
    """Leave one primary among records that all claim to be it; note the reasons where the others are at fault too."""
    claiming = [record for record in records if record.role == "primary"]
    active = [record for record in claiming if record.active and not record.stale_suspected]
    if active:
        for record in claiming:
            if record not in active:
                record.role = "leftover"
                record.stale_suspected = True
    for plugin in {record.plugin for record in active}:
        _mark_duplicates([record for record in active if record.plugin == plugin])
    _pair([record for record in active if record.role == "primary"])
    _choose([record for record in active if record.role == "primary"])
    _policy(records)


def _mark_duplicates(same: Sequence[Record]) -> None:
    if len(same) < 2:
        return
    best = min(same, key=lambda item: (-sum(w.ready for w in item.workloads), item.namespace or ""))
    for record in same:
        if record is not best:
            record.role = "duplicate"
        record.health.reasons.append(DUPLICATE)
        others = ", ".join(sorted(map(_place, [other for other in same if other is not record])))
        record.warnings.append(f"{record.plugin} is installed more than once: also in namespace {others}.")


def _place(record: Record) -> str:
    names = ", ".join(workload.name for workload in record.workloads)
    return f"{record.namespace or '-'} ({names})" if names else record.namespace or "-"


def _pair(primaries: Sequence[Record]) -> None:
    """Of two plugins that a vendor runs as one network, the one that has the agent on the nodes stands for both.

    Sources: https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium (azure-cns hands out the addresses,
    C(ipam: delegated-plugin)); https://docs.cilium.io/en/stable/network/kube-router/ (kube-router announces routes,
    C(--enable-cni=false)).
    """
    agent = next((item for item in primaries if item.plugin == "cilium"), None)
    if agent is None:
        return
    for other in primaries:
        delegated = other.plugin == "azure-cni" and agent.networking.ipam == "cloud"
        routes = other.plugin == "kube-router" and other.cni.conf_name is None
        if delegated or routes:
            other.role = "part"
            other.add_evidence("pair", f"{agent.plugin} and {other.plugin}", "a vendor's pair: one network", 0)


def _choose(primaries: Sequence[Record]) -> None:
    """Container runtimes load the first configuration file by name, so its owner carries the pods.

    Source: https://github.com/containernetworking/cni libcni ConfFiles; containerd and CRI-O sort the names.
    """
    if len(primaries) < 2:
        return
    # What k3s embeds is replaced by whatever is installed beside it on purpose.
    ranked = sorted(primaries, key=lambda item: (item.install_method == "embedded", item.cni.conf_name or "~"))
    for record in ranked[1:]:
        if record.install_method == "embedded":
            record.role = "leftover"
            record.stale_suspected = True
            continue
        record.role = "secondary"
        for one in (record, ranked[0]):
            if SEVERAL not in one.health.reasons:
                one.health.reasons.append(SEVERAL)


def _policy(records: Sequence[Record]) -> None:
    """What a policy-only or chained component enforces holds for the primary beside it."""
    enforcing = next((item for item in records if item.role in ("policy", "chained") and item.policy.provider), None)
    if enforcing is None:
        return
    for record in records:
        if record.role == "primary" and record.policy.provider in (None, "none"):
            record.policy.provider = enforcing.policy.provider
