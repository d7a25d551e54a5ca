# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of k3s and RKE2: the network that each brings, and what changes for it; literals only.

A change reaches several minors at once, so it names a release of each: the first that has it, and, where it was a
fault, the first without it again.

Source of rows: https://docs.k3s.io/release-notes and charts/chart_versions.yaml of https://github.com/rancher/rke2 at
the release's tag; of a change, its own C(source). Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

FLANNEL_OF_K3S: Mapping[str, tuple[str, ...]] = {
    "0.25.7": ("1.31.6", "1.31.7"),
    "0.26.7": ("1.31.8", "1.31.9"),
    "0.27.0": ("1.31.10", "1.31.11", "1.31.12", "1.31.13", "1.34.1"),
    "0.27.4": ("1.31.14", "1.34.2", "1.35.0+k3s1"),
    "0.28.0": ("1.35.0+k3s3",),
    "0.28.4": ("1.36.0", "1.36.1", "1.37.0", "1.37.1"),
}
"""flannel inside k3s: its release to those of k3s that have it. A release of k3s that is not here is not known."""

CHARTS_OF_RKE2: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("1.30.0",), "v3.27.3-build2024042301", "v0.25.102"),
    (("1.30.4",), "v3.28.1-build2024080600", "v0.25.501"),
    (("1.30.6", "1.31.2"), "v3.28.2-build2024101601", "v0.25.704"),
    (("1.30.7", "1.31.3"), "v3.29.0-build2024110400", "v0.26.100"),
    (("1.31.4", "1.32.0"), "v3.29.1-build2024121100", "v0.26.101"),
    (("1.32.2",), "v3.29.2-build2025021800", "v0.26.403"),
    (("1.32.4", "1.33.0"), "v3.29.3-build2025040801", "v0.26.601"),
    (("1.32.6", "1.33.2"), "v3.30.1-build2025061101", "v0.27.001"),
    (("1.33.3",), "v3.30.2-build2025071100", "v0.27.100"),
    (("1.34.1",), "v3.30.3-build2025090900", "v0.27.302"),
    (("1.34.2",), "v3.30.3-build2025101500", "v0.27.401"),
    (("1.35.0+rke2r1",), "v3.31.2-build2025120500", "v0.27.403"),
    (("1.35.0+rke2r2",), "v3.31.3-build2026011900", "v0.28.002"),
    (("1.35.3",), "v3.31.4-build2026032700", "v0.28.200"),
    (("1.35.5", "1.36.0", "1.36.1"), "v3.32.0-build2026051100", "v0.28.402"),
    (("1.36.2",), "v3.32.0-build2026060401", "v0.28.502"),
    (("1.34.10", "1.35.7", "1.36.3"), "v3.32.1-build2026072200", "v0.28.800"),
)
"""Releases of RKE2, its chart rke2-canal (Calico and a date), its chart rke2-flannel (flannel and two digits)."""

RETRIES = ("1.33.13+rke2r2", "1.34.10", "1.35.7", "1.36.3")
"""The first releases of RKE2 whose charts say C(failurePolicy: retry)."""

# Members of a change: C(since) and C(until) as above, C(chart) where only users of that chart of RKE2 are concerned,
# C(back) and C(back_action) for the way back.
CHANGES: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "k3s": (
        {
            "id": "backend-names",
            "since": ("1.26.0",),
            "text": "flannel-backend does not take no-flannel any more, and wireguard ends the start.",
            "action": "Write none in place of no-flannel, and wireguard-native in place of wireguard, on all servers.",
            "impact": "manual",
            "source": "https://docs.k3s.io/networking/basic-network-options",
        },
        {
            "id": "backend-options",
            "since": ("1.27.1",),
            "text": "flannel-backend with options behind a = ends the start, and ipsec is gone.",
            "action": "Move the options to a file that flannel-conf names, on every node.",
            "impact": "manual",
            "source": "https://github.com/k3s-io/k3s/pull/7311",
        },
        {
            "id": "mac-of-ipv6",
            "since": ("1.27.14", "1.28.10", "1.29.5", "1.30.1"),
            "text": "flannel-v6.1 keeps its MAC address when a node boots; before, peers lost the node for a while.",
            "impact": "none",
            "back": "flannel-v6.1 gets another MAC address at each boot.",
            "source": "https://github.com/k3s-io/k3s/issues/9957",
        },
        {
            "id": "cni-directory",
            "since": ("1.28.15", "1.29.10", "1.30.6", "1.31.2"),
            "text": "CNI plugins are in /var/lib/rancher/k3s/data/cni; before, the directory moved with each release.",
            "action": "Have Multus, and whatever else installs or reads plugins, use /var/lib/rancher/k3s/data/cni.",
            "impact": "manual",
            "back": "The directory of CNI plugins moves with each release.",
            "back_action": "Have Multus, and whatever else reads plugins, use /var/lib/rancher/k3s/data/current/bin.",
            "source": "https://docs.k3s.io/networking/multus-ipams",
        },
        {
            "id": "policy-address",
            "since": ("1.34.2",),
            "text": "Network policies survive a change of the node's address; before, k3s ended with a fatal error.",
            "impact": "none",
            "back": "k3s ends when the node's address changes while it enforces network policies.",
            "source": "https://docs.k3s.io/release-notes/v1.34.X",
        },
        {
            "id": "vpn",
            "since": ("1.36.0",),
            "text": "vpn-auth is followed again: earlier releases with the embedded executor had lost it.",
            "impact": "none",
            "source": "https://github.com/k3s-io/k3s/pull/13920",
        },
        {
            "id": "cni-conf",
            "since": ("1.37.1",),
            "text": "flannel-cni-conf is followed again. Earlier releases from 1.34 on read it in vain, up to a patch "
            "of September 2026.",
            "action": "Read the file that it names once more: it takes effect now.",
            "impact": "manual",
            "back": "flannel-cni-conf is read in vain, up to a patch of September 2026.",
            "source": "https://github.com/k3s-io/k3s/issues/14597",
        },
    ),
    "rke2": (
        {
            "id": "iptables-loop",
            "since": ("1.27.12", "1.28.8"),
            "until": ("1.27.13", "1.28.9", "1.29.3"),
            "chart": "rke2-canal",
            "text": "flannel writes its rules in a loop of iptables-restore errors.",
            "action": "Skip these releases.",
            "impact": "outage",
            "source": "https://github.com/rancher/rke2/issues/5650",
        },
        {
            "id": "vni-4096",
            "since": ("1.27.15", "1.28.11", "1.29.6", "1.30.2"),
            "chart": "rke2-flannel",
            "text": "The VNI is 4096, not 1: nodes that are done do not reach those that are not.",
            "action": "Keep the time short, and delete the link flannel.1 on each node afterwards: its routes stay.",
            "impact": "outage",
            "back": "The VNI is 1 in place of 4096: nodes that are done do not reach those that are not.",
            "back_action": "Delete the link flannel.4096 on each node afterwards.",
            "source": "https://github.com/rancher/rke2/issues/5952",
        },
        {
            "id": "br-netfilter",
            "since": ("1.30.7", "1.31.3"),
            "chart": "rke2-flannel",
            "text": "flannel ends at its start without br_netfilter. RKE2 loads it; a kernel may lack it.",
            "action": "Check with the audit that every node's kernel has br_netfilter.",
            "impact": "manual",
            "source": "https://github.com/flannel-io/flannel/pull/2082",
        },
        {
            "id": "forward-rules",
            "since": ("1.30.14", "1.31.10", "1.32.6", "1.33.2"),
            "chart": "rke2-canal",
            "text": "flannel.args has --iptables-forward-rules=false: Calico alone decides about forwarding.",
            "action": "Where you set flannel.args, add it: your list replaces the chart's.",
            "impact": "manual",
            "source": "https://github.com/rancher/rke2-charts/tree/main-source/packages/rke2-canal",
        },
        {
            "id": "blackhole-route",
            "since": ("1.31.11", "1.32.7", "1.33.3"),
            "chart": "rke2-canal",
            "text": "flannel.args has --ip-blackhole-route: packets to addresses without a pod are dropped.",
            "action": "Where you set flannel.args, add it: your list replaces the chart's.",
            "impact": "manual",
            "source": "https://github.com/rancher/rke2-charts/tree/main-source/packages/rke2-canal",
        },
        {
            "id": "canal-rights",
            "since": ("1.33.12", "1.34.8", "1.35.5", "1.36.0"),
            "until": ("1.33.13", "1.34.9", "1.35.6", "1.36.2"),
            "chart": "rke2-canal",
            "text": "Canal's CRDs and the rights of Calico's controllers are not complete.",
            "action": "Skip these releases where calico.calicoKubeControllers is true.",
            "impact": "manual",
            "source": "https://github.com/rancher/rke2/issues/10540",
        },
        {
            "id": "charts-retry",
            "since": RETRIES,
            "text": "Charts say failurePolicy: retry. Before, a chart whose upgrade hung was uninstalled.",
            "action": "For the way there set failurePolicy: abort in the HelmChartConfig of the network's chart.",
            "impact": "manual",
            "back": "A chart whose upgrade hangs is uninstalled, and pods lose their network.",
            "back_action": "Set failurePolicy: abort in the HelmChartConfig of the network's chart first.",
            "source": "https://github.com/rancher/rancher/issues/50921",
        },
        {
            "id": "health-port",
            "since": ("1.36.4",),
            "chart": "rke2-canal",
            "text": "flannel listens on port 8081 of every node, for its health.",
            "action": "Set flannel.healthz.port where something else has that port.",
            "impact": "manual",
            "source": "https://github.com/rancher/rke2-charts/tree/main-source/packages/rke2-canal",
        },
    ),
}
"""What is different from a release on, for the network and those who rely on it."""
