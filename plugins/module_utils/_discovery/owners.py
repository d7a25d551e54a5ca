# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where k3s and RKE2 want the settings of the network that they bring; no I/O.

Private to podnet.cni: may change in any release. Sources: https://docs.k3s.io/installation/configuration and
https://docs.rke2.io/add-ons/helm.
"""

from __future__ import annotations

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Record

_RELEASE = "meta.helm.sh/release-name"


def of(record: Record) -> str | None:
    """The file or object that decides about a network of k3s or RKE2; None for one that its users installed."""
    if record.distribution == "k3s" and record.install_method == "embedded":
        return "k3s: /etc/rancher/k3s/config.yaml and config.yaml.d on every node"
    if record.distribution != "rke2" or record.role == "leftover":
        return None
    release = record.annotations.get(_RELEASE, "")
    if not release and record.install_method == "distro":
        release = f"rke2-{record.plugin}"
    return f"RKE2: HelmChartConfig kube-system/{release}" if release.startswith("rke2-") else None
