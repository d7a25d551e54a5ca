# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubespray, whose inventory owns flannel's settings; no I/O.

Names are those of https://github.com/kubernetes-sigs/kubespray, v2.31.0 roles/network_plugin/flannel.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._distributions.owner import Owner

OWNER = Owner(
    title="Kubespray",
    names={
        "Network": "kube_pods_subnet",
        "IPv6Network": "kube_pods_subnet_ipv6",
        "Backend.Type": "flannel_backend_type",
        "Backend.VNI": "flannel_vxlan_vni",
        "Backend.Port": "flannel_vxlan_port",
        "Backend.DirectRouting": "flannel_vxlan_direct_routing",
        "EnableNFTables": "kube_proxy_mode (nftables)",
    },
    change="Set {name} in the inventory, run cluster.yml with --tags network, and restart the DaemonSet kube-flannel.",
    other="Kubespray has no variable for it.",
    overwritten_by="every run of cluster.yml and upgrade_cluster.yml",
    config_maps=("kube-system/kube-flannel-cfg",),
)
MARK = "/etc/kubernetes/cni-flannel.yml"
"""The manifest that it leaves on the first control plane."""
