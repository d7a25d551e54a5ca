# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Discovery for modules: every recogniser is sent along with them.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._discovery import cluster
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import (
    antrea,
    aws_vpc,
    azure,
    calico,
    canal,
    cilium,
    flannel,
    generic,
    gke,
    kindnet,
    kube_ovn,
    kube_router,
    multus,
    openshift_sdn,
    ovn_kubernetes,
    weave,
)
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient

# Discovery loads its recognisers by looking into their directory. Ansible sends a module only what it imports by name.
RECOGNISERS = (
    antrea,
    aws_vpc,
    azure,
    calico,
    canal,
    cilium,
    flannel,
    generic,
    gke,
    kindnet,
    kube_ovn,
    kube_router,
    multus,
    openshift_sdn,
    ovn_kubernetes,
    weave,
)


def discover(client: KubeClient) -> list[Record]:
    """The components of a cluster, from one list of all DaemonSets; see cluster.discover()."""
    return cluster.discover(client, cluster.Scope(mode="full"))
