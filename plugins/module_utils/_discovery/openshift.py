# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""OpenShift's own description of its network. Private to podnet.cni: may change in any release."""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._discovery import build
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Snapshot, config_ref
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields


def network_path(snapshot: Snapshot) -> str | None:
    """Path of C(networks.config.openshift.io/cluster); None outside OpenShift."""
    base = snapshot.api("config.openshift.io", "v1")
    return f"{base}/networks/cluster" if base else None


def apply(record: Record, snapshot: Snapshot) -> None:
    """Take ranges and MTU from it; C(status) is what is in use, C(spec) what was asked for."""
    path = network_path(snapshot)
    if path is None:
        return
    record.install_method = "operator"
    record.config_refs.append(config_ref(snapshot, None, "cluster", None, path))
    build.note_access(record, snapshot, path, "Network cluster")
    body = snapshot.body(path)
    if body is None:
        return
    part = "status" if fields.sequence(body, "status", "clusterNetwork") else "spec"
    where = f"Network cluster {part}"
    for entry in fields.sequence(body, part, "clusterNetwork"):
        build.add_cidrs(record, "pod", fields.text(entry, "cidr"), f"{where}.clusterNetwork")
    build.add_cidrs(record, "service", fields.sequence(body, part, "serviceNetwork"), f"{where}.serviceNetwork")
    build.set_mtu(record, fields.at(body, "status", "clusterNetworkMTU"))
    kind = fields.text(body, part, "networkType")
    if kind:
        record.add_evidence("Network", "cluster", f"networkType is {kind}", build.CONFIG_BONUS)
