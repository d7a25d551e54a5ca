# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version matrix put together: a table for each product; literals only.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._versions import (
    calico,
    cni,
    flannel,
    kube_network_policies,
    kubernetes,
)

Span = Tuple[str, str, str, Any, str]


@dataclass(frozen=True)
class Table:
    """What is known of a product.

    C(rows) are its releases in ascending order, a value for each of C(fields), the first of which is the version.
    C(spans) say which release has which feature: name, first release with it, first without it or empty, value, file
    or address that shows it. C(changes) and C(faults) name the release that brings a change, and the first with a
    fault and the first without. C(source) is the address that shows a row; C({version}) stands in it for the version.
    """

    title: str
    source: str
    fields: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    spans: tuple[Span, ...]
    changes: tuple[Mapping[str, str], ...]
    faults: tuple[Mapping[str, str], ...] = ()


TABLES: Mapping[str, Table] = {
    "kubernetes": Table(
        "Kubernetes",
        kubernetes.SOURCE,
        kubernetes.FIELDS,
        kubernetes.RELEASES,
        kubernetes.FEATURES,
        kubernetes.CHANGES,
    ),
    "flannel": Table(
        "flannel", flannel.SOURCE, flannel.FIELDS, flannel.RELEASES, flannel.FEATURES, flannel.CHANGES, flannel.FAULTS
    ),
    "flannel_cni_plugin": Table(
        "flannel CNI plugin",
        cni.FLANNEL_PLUGIN_SOURCE,
        cni.FLANNEL_PLUGIN_FIELDS,
        cni.FLANNEL_PLUGIN_RELEASES,
        cni.FLANNEL_PLUGIN_FEATURES,
        cni.FLANNEL_PLUGIN_CHANGES,
    ),
    "cni_plugins": Table(
        "reference CNI plugins",
        cni.PLUGINS_SOURCE,
        cni.PLUGINS_FIELDS,
        cni.PLUGINS_RELEASES,
        cni.PLUGINS_FEATURES,
        cni.PLUGINS_CHANGES,
        cni.PLUGINS_FAULTS,
    ),
    "calico": Table("Calico", calico.SOURCE, calico.FIELDS, calico.RELEASES, calico.FEATURES, calico.CHANGES),
    "kube_network_policies": Table(
        "kube-network-policies",
        kube_network_policies.SOURCE,
        kube_network_policies.FIELDS,
        kube_network_policies.RELEASES,
        kube_network_policies.FEATURES,
        kube_network_policies.CHANGES,
        kube_network_policies.FAULTS,
    ),
}
