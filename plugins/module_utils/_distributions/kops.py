# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kOps, whose cluster spec owns flannel's settings; no I/O.

Names are those of https://kops.sigs.k8s.io/networking/flannel/.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._distributions.owner import Owner

OWNER = Owner(
    title="kOps",
    names={
        "Backend.Type": "spec.networking.flannel.backend",
        "Network": "spec.nonMasqueradeCIDR",
    },
    change="Set {name} with kops edit cluster, then kops update cluster --yes and kops rolling-update cluster --yes.",
    other="kOps has no field for it.",
    overwritten_by="kOps's addon manager",
    config_maps=("kube-flannel/kube-flannel-cfg", "kube-system/kube-flannel-cfg"),
)
