# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One file per CNI plugin; each holds one RECOGNISER.

Private to podnet.cni: may change in any release. They are named here because Ansible sends a module only what it
imports by name.
"""

from __future__ import annotations

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
from ansible_collections.podnet.cni.plugins.module_utils._discovery.snapshot import Recogniser

_FILES = (
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


def load_all() -> tuple[Recogniser, ...]:
    """Every recogniser, in the order in which they are asked whether a DaemonSet is theirs."""
    return tuple(sorted((item.RECOGNISER for item in _FILES), key=lambda item: (item.order, item.plugin)))
