# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters of RKE2 and k3s that Rancher provisions: the object C(clusters.provisioning.cattle.io) owns them; no I/O.

https://ranchermanager.docs.rancher.com/reference-guides/cluster-configuration/rancher-server-configuration/
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import helm
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Reading, Setting
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

AGENT = "rancher-system-agent"
"""The service that writes Rancher's files on a host."""

_LOSER = "nobody: this object is the source"


def of_cluster(facts: Mapping[str, Any]) -> Reading:
    """The network's settings in the objects of a management cluster: one subject per downstream cluster."""
    found = Reading()
    for item in fields.mappings(facts, "rancher_clusters"):
        title = helm.title(item, "Cluster")
        config = fields.mapping(item, "spec", "rkeConfig")
        given = fields.mapping(config, "machineGlobalConfig")
        # https://github.com/rancher/rancher pkg/capr/planner/config.go: Rancher's default differs from RKE2's.
        for key, value in {**({} if "cni" in given or "+k3s" in release(item) else {"cni": "calico"}), **given}.items():
            place = f"{title} spec.rkeConfig.machineGlobalConfig.{key}"
            change = "Change it here; Rancher's agent writes it to every machine and restarts the service."
            if key == "cni":
                change = "It cannot be changed once the cluster runs: make a cluster anew."
            found.settings.append(Setting("Rancher", title, key, str(value), place, change, _LOSER))
        for key, value in helm.flat(fields.mapping(config, "chartValues")):
            place = f"{title} spec.rkeConfig.chartValues.{key}"
            change = "Change it here, and restart the DaemonSet in the cluster: Rancher restarts nothing for it."
            found.settings.append(
                Setting("Rancher", title, key.replace(".", ": ", 1), str(value), place, change, _LOSER)
            )
    return found


def release(item: Mapping[str, Any]) -> str:
    """The release that a cluster's object asks for."""
    return fields.text(item, "spec", "kubernetesVersion")
