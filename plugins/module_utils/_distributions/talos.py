# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Talos, whose machine config owns flannel's settings; hosts have no shell, so the API is all there is; no I/O.

Names are those of the document KubeFlannelCNIConfig of Talos 1.14 (https://github.com/siderolabs/talos,
pkg/machinery/config); before 1.14 the backend is vxlan at port 4789 and cannot be set.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._distributions.owner import Owner

OWNER = Owner(
    title="Talos",
    names={
        "Backend.Type": "backendType",
        "Backend.Port": "backendPort",
        "Backend.MTU": "backendMTU",
        "Backend.VNI": "backendExtraConfig.VNI",
        "Backend.DirectRouting": "backendExtraConfig.DirectRouting",
        "Network": "podSubnets",
        "IPv6Network": "podSubnets",
    },
    change=(
        "Set {name} in the machine config of the control planes (KubeFlannelCNIConfig since Talos 1.14), sync the "
        "bootstrap manifests with talosctl upgrade-k8s, and restart the DaemonSet kube-flannel."
    ),
    other="The machine config has no field for it.",
    overwritten_by="the next sync of Talos's bootstrap manifests",
    config_maps=("kube-system/kube-flannel-cfg",),
)
