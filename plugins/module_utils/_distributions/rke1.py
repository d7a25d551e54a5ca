# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""RKE1, whose life ended in July 2025: C(cluster.yml) is the owner, C(rke up) writes everything again; no I/O.

Names are those of https://rke.docs.rancher.com/config-options/add-ons/network-plugins.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._distributions.owner import Owner

OWNER = Owner(
    title="RKE1",
    names={
        "Network": "services.kube-controller.cluster_cidr",
        "Backend.Type": "network.options.canal_flannel_backend_type (flannel_backend_type with the plugin flannel)",
        "Backend.VNI": "network.options.canal_flannel_backend_vni (flannel_backend_vni with the plugin flannel)",
        "Backend.Port": "network.options.canal_flannel_backend_port (flannel_backend_port with the plugin flannel)",
    },
    change="Set {name} in cluster.yml, or in the cluster's object of Rancher, and run rke up.",
    other="RKE1 has no option for it. Move the cluster to RKE2: RKE1 is out of support since July 2025.",
    overwritten_by="rke up, and Rancher where it manages the cluster",
    config_maps=("kube-system/canal-config", "kube-system/kube-flannel-cfg"),
)
