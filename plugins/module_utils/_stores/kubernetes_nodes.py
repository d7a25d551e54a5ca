# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the lease modules judge differently where leases live on Kubernetes Nodes.

Private to podnet.cni: may change in any release. Pure: no input or output.
"""

from __future__ import annotations

from typing import Callable, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._stores import nodes as _nodes
from ansible_collections.podnet.cni.plugins.module_utils._stores.base import Problem
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_codec import check_contained


def matcher(nodes: Sequence[_nodes.Node]) -> Callable[[Lease], bool]:
    """Return the test for leases of C(nodes): by the Node's name, which is all that identifies it in a cluster."""
    names = {node.request.name for node in nodes}
    return lambda lease: lease.name in names


def misfits(leases: Sequence[Lease], config: NetworkConfig) -> list[Problem]:
    """Return a problem for each lease whose flanneld would not start, or whose backend is not the network's."""
    found = []
    for lease in leases:
        reason = _misfit(lease, config)
        if reason:
            found.append(
                Problem(
                    "misfit",
                    str(lease.subnet or lease.ipv6_subnet),
                    f"node {lease.name} does not fit the network config: {reason}",
                    "correct the network config or the cluster's pod CIDR, and restart flannel on the node",
                )
            )
    return found


def _misfit(lease: Lease, config: NetworkConfig) -> str:
    try:
        check_contained(lease.name, (lease.subnet, lease.ipv6_subnet), config)
    except InputError as error:
        return str(error)
    expected = _nodes.backend_type(config)
    if lease.backend_type != expected:
        return f"its backend is {lease.backend_type or 'not named'}, but that of the network is {config.backend.type}"
    return ""
