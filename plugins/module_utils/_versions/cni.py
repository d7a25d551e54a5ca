# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of flannel's CNI plugin and of the reference CNI plugins; literals only.

Private to podnet.cni: may change in any release.

Sources of a row: https://github.com/flannel-io/cni-plugin and https://github.com/containernetworking/plugins, file
go.mod at the row's tag. 1.9.1-flannel2 and -flannel3 are known from the manifests of flannel v0.28.6 and v0.28.9.
"""

from __future__ import annotations

FLANNEL_PLUGIN_SOURCE = "https://github.com/flannel-io/cni-plugin/blob/v{version}/go.mod"
FLANNEL_PLUGIN_FIELDS = ("version", "released", "cni_plugins")
"""C(cni_plugins): the reference plugins that it is built with."""

FLANNEL_PLUGIN_RELEASES = (
    ("1.0.0", "2021-10-26", "1.0.0"),
    ("1.0.1", "2022-01-19", "1.0.0"),
    ("1.1.0", "2022-05-20", "1.1.1"),
    ("1.1.2", "2022-12-05", "1.1.1"),
    ("1.2.0", "2023-07-21", "1.3.0"),
    ("1.2.0-flannel1", "2023-11-24", "1.3.0"),
    ("1.2.0-flannel2", "2023-11-29", "1.3.0"),
    ("1.2.0-flannel3", "2024-01-04", "1.3.0"),
    ("1.4.0-flannel1", "2024-01-18", "1.4.0"),
    ("1.4.1-flannel1", "2024-04-17", "1.4.1"),
    ("1.5.1-flannel1", "2024-06-24", "1.5.1"),
    ("1.5.1-flannel2", "2024-08-27", "1.5.1"),
    ("1.5.1-flannel3", "2024-09-10", "1.5.1"),
    ("1.6.0-flannel1", "2024-10-21", "1.6.0"),
    ("1.6.2-flannel1", "2025-01-31", "1.6.2"),
    ("1.7.1-flannel1", "2025-05-12", "1.7.1"),
    ("1.7.1-flannel2", "2025-07-22", "1.7.1"),
    ("1.8.0-flannel1", "2025-09-08", "1.8.0"),
    ("1.8.0-flannel2", "2025-10-24", "1.8.0"),
    ("1.9.0-flannel1", "2025-12-09", "1.9.0"),
    ("1.9.1-flannel1", "2026-04-15", "1.9.1"),
    ("1.9.1-flannel2", "2026-07-06", "1.9.1"),
    ("1.9.1-flannel3", "2026-08-07", "1.9.1"),
)
"""For the last two the date is that of the flannel commit that names them first."""

FLANNEL_PLUGIN_FEATURES = (
    ("repository", "1.0.0", "1.1.2", "docker.io/rancher/mirrored-flannelcni-flannel-cni-plugin", "README.md"),
    ("repository", "1.1.2", "1.6.2-flannel1", "docker.io/flannel/flannel-cni-plugin", ".github/workflows"),
    ("repository", "1.6.2-flannel1", "", "ghcr.io/flannel-io/flannel-cni-plugin", ".github/workflows"),
    ("several_networks", "1.1.2", "", True, "flannel.go"),
    ("forgiving_delete", "1.1.2", "", True, "flannel.go"),
    ("synced_state", "1.2.0", "", True, "flannel.go"),
)

FLANNEL_PLUGIN_CHANGES = (
    {
        "version": "1.6.2-flannel1",
        "id": "plugin-registry",
        "text": "The image comes from ghcr.io/flannel-io.",
        "action": "Let nodes reach ghcr.io, or mirror the image.",
        "impact": "manual",
        "back": "The image comes from docker.io/flannel.",
        "back_action": "Let nodes reach docker.io, or mirror the image.",
        "back_impact": "manual",
        "source": "https://github.com/flannel-io/cni-plugin/commit/ed95d6d",
    },
    {
        "version": "1.7.1-flannel2",
        "id": "clear-message",
        "text": "The plugin says clearly when subnet.env is missing, as it is while flanneld is not ready.",
        "impact": "none",
        "source": "https://github.com/flannel-io/cni-plugin/pull/125",
    },
)

PLUGINS_SOURCE = "https://github.com/containernetworking/plugins/blob/v{version}/go.mod"
PLUGINS_FIELDS = ("version", "released", "cni_library")
"""C(cni_library): release of github.com/containernetworking/cni."""

PLUGINS_RELEASES = (
    ("0.8.7", "2020-08-26", "0.8.0"),
    ("0.9.0", "2020-12-09", "0.8.0"),
    ("0.9.1", "2021-02-05", "0.8.1"),
    ("1.0.0", "2021-08-11", "1.0.0"),
    ("1.0.1", "2021-09-07", "1.0.1"),
    ("1.1.0", "2022-02-23", "1.0.1"),
    ("1.1.1", "2022-03-09", "1.0.1"),
    ("1.2.0", "2023-01-16", "1.1.2"),
    ("1.3.0", "2023-05-03", "1.1.2"),
    ("1.4.0", "2023-12-04", "1.1.2"),
    ("1.4.1", "2024-03-12", "1.1.2"),
    ("1.5.0", "2024-05-20", "1.1.2"),
    ("1.5.1", "2024-06-17", "1.1.2"),
    ("1.6.0", "2024-10-15", "1.2.3"),
    ("1.6.1", "2024-12-02", "1.2.3"),
    ("1.6.2", "2024-12-02", "1.2.3"),
    ("1.7.0", "2025-04-25", "1.3.0"),
    ("1.7.1", "2025-04-25", "1.3.0"),
    ("1.8.0", "2025-09-01", "1.3.0"),
    ("1.9.0", "2025-11-13", "1.3.0"),
    ("1.9.1", "2026-02-19", "1.3.0"),
)

PLUGINS_FEATURES = (
    ("flannel", "0.8.7", "1.0.0", True, "plugins/meta/flannel"),
    ("cni_version_1_0", "1.0.0", "", True, "go.mod"),
    ("nftables", "1.6.0", "", True, "plugins/meta/portmap/main.go"),
)

PLUGINS_CHANGES = (
    {
        "version": "1.0.0",
        "id": "flannel-plugin-gone",
        "text": "The package has no plugin flannel any more; it is a project of its own.",
        "action": "Install the plugin flannel from its own image or release before the old file goes.",
        "impact": "manual",
        "source": "https://github.com/containernetworking/plugins/releases/tag/v1.0.0",
    },
    {
        "version": "1.0.0",
        "id": "cni-version",
        "text": "The plugins know cniVersion 1.0.0.",
        "impact": "none",
        "back": "A configuration with cniVersion 1.0.0 is refused.",
        "back_action": "Set cniVersion to 0.4.0 or older in every configuration first.",
        "back_impact": "manual",
        "source": "https://github.com/containernetworking/plugins/releases/tag/v1.0.0",
    },
    {
        "version": "1.6.0",
        "id": "plugins-nftables",
        "text": "portmap and the masquerading of bridge and ptp use nftables where there is no iptables.",
        "impact": "none",
        "back": "portmap needs iptables; port mappings made with nftables stay behind.",
        "source": "https://github.com/containernetworking/plugins/releases/tag/v1.6.0",
    },
)

PLUGINS_FAULTS = (
    {
        "since": "1.0.0",
        "until": "1.0.1",
        "id": "cni-version-dropped",
        "text": "some plugins refuse cniVersion 0.4.0 or 1.0.0",
        "source": "https://github.com/containernetworking/plugins/commit/ba48f8a6",
    },
    {
        "since": "1.6.0",
        "until": "1.6.1",
        "id": "portmap-nftables-broken",
        "text": "portmap's nftables backend makes wrong rules",
        "source": "https://github.com/containernetworking/plugins/commit/9296c5f8",
    },
    {
        "since": "1.6.0",
        "until": "1.9.0",
        "id": "portmap-takes-foreign-traffic",
        "text": "portmap's nftables backend also redirects traffic to a mapped port that is not for the node",
        "source": "https://github.com/containernetworking/plugins/commit/9b3772e1",
    },
)
