# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of Calico, as far as its Canal manifest is concerned; literals only.

Private to podnet.cni: may change in any release.

Source of a row: https://github.com/projectcalico/calico at the row's tag, files manifests/canal.yaml and metadata.mk.
3.33 is not released: its row is the branch release-v3.33 of 2026-08-21.
"""

from __future__ import annotations

SOURCE = "https://github.com/projectcalico/calico/blob/v{version}/manifests/canal.yaml"
BRANCH_SOURCE = "https://github.com/projectcalico/calico/blob/release-v{minor}/manifests/canal.yaml"

FIELDS = ("version", "released", "kubernetes", "cni_version")
"""C(kubernetes): the release that it is built and tested with. C(cni_version): of the CNI configuration in Canal."""

RELEASES = (
    ("3.26.0", "2023-05-27", "1.24", "0.3.1"),
    ("3.26.1", "2023-06-16", "1.24", "0.3.1"),
    ("3.26.2", "2023-10-02", "1.26", "0.3.1"),
    ("3.26.3", "2023-10-05", "1.26", "0.3.1"),
    ("3.26.4", "2023-11-16", "1.26", "0.3.1"),
    ("3.26.5", "2024-08-29", "1.26", "0.3.1"),
    ("3.27.0", "2023-12-15", "1.27", "0.3.1"),
    ("3.27.1", "2024-02-16", "1.27", "0.3.1"),
    ("3.27.2", "2024-02-16", "1.27", "0.3.1"),
    ("3.27.3", "2024-04-01", "1.27", "0.3.1"),
    ("3.27.4", "2024-07-08", "1.27", "0.3.1"),
    ("3.27.5", "2024-11-28", "1.27", "0.3.1"),
    ("3.28.0", "2024-05-10", "1.28", "0.3.1"),
    ("3.28.1", "2024-07-30", "1.28", "0.3.1"),
    ("3.28.2", "2024-09-18", "1.28", "0.3.1"),
    ("3.28.3", "2025-02-20", "1.28", "0.3.1"),
    ("3.28.4", "2025-04-15", "1.29", "0.3.1"),
    ("3.28.5", "2025-06-11", "1.29", "0.3.1"),
    ("3.29.0", "2024-10-29", "1.29", "0.3.1"),
    ("3.29.1", "2024-11-20", "1.29", "0.3.1"),
    ("3.29.2", "2025-02-06", "1.30", "0.3.1"),
    ("3.29.3", "2025-03-24", "1.30", "0.3.1"),
    ("3.29.4", "2025-05-20", "1.30", "0.3.1"),
    ("3.29.5", "2025-07-17", "1.30", "0.3.1"),
    ("3.29.6", "2025-09-18", "1.30", "0.3.1"),
    ("3.29.7", "2025-11-19", "1.30", "0.3.1"),
    ("3.30.0", "2025-05-05", "1.32", "0.3.1"),
    ("3.30.1", "2025-05-29", "1.32", "0.3.1"),
    ("3.30.2", "2025-06-19", "1.32", "0.3.1"),
    ("3.30.3", "2025-08-22", "1.32", "0.3.1"),
    ("3.30.4", "2025-10-15", "1.32", "0.3.1"),
    ("3.30.5", "2025-11-26", "1.32", "0.3.1"),
    ("3.30.6", "2026-01-22", "1.32", "0.3.1"),
    ("3.30.7", "2026-03-18", "1.32", "0.3.1"),
    ("3.31.0", "2025-10-21", "1.33", "0.3.1"),
    ("3.31.1", "2025-11-14", "1.33", "0.3.1"),
    ("3.31.2", "2025-11-17", "1.33", "0.3.1"),
    ("3.31.3", "2025-12-18", "1.33", "0.3.1"),
    ("3.31.4", "2026-02-19", "1.33", "0.3.1"),
    ("3.31.5", "2026-04-14", "1.33", "0.3.1"),
    ("3.31.6", "2026-06-18", "1.33", "0.3.1"),
    ("3.31.7", "2026-08-20", "1.33", "1.0.0"),
    ("3.32.0", "2026-04-30", "1.35", "0.3.1"),
    ("3.32.1", "2026-06-24", "1.35", "0.3.1"),
    ("3.33.0", "", "1.37", "1.0.0"),
)

FEATURES = (
    ("repository", "3.26.0", "3.31.0", "docker.io/calico", "manifests/canal.yaml"),
    ("repository", "3.31.0", "", "quay.io/calico", "manifests/canal.yaml"),
    ("images", "3.26.0", "3.33.0", ("cni", "kube-controllers", "node"), "manifests/canal.yaml"),
    ("images", "3.33.0", "", ("calico", "node"), "manifests/canal.yaml"),
    ("flannel_image", "3.26.0", "3.28.0", "docker.io/flannel/flannel:v0.21.3", "manifests/canal.yaml"),
    ("flannel_image", "3.28.0", "3.29.0", "docker.io/flannel/flannel:v0.24.3", "manifests/canal.yaml"),
    ("flannel_image", "3.29.0", "", "docker.io/flannel/flannel:v0.24.4", "manifests/canal.yaml"),
    ("crd_count", "3.26.0", "3.29.0", 18, "manifests/canal.yaml"),
    ("crd_count", "3.29.0", "3.30.0", 20, "manifests/canal.yaml"),
    ("crd_count", "3.30.0", "3.32.0", 24, "manifests/canal.yaml"),
    ("crd_count", "3.32.0", "", 23, "manifests/canal.yaml"),
    ("crds_tier", "3.29.0", "", ("tiers.crd.projectcalico.org",), "manifests/canal.yaml"),
    (
        "crds_staged",
        "3.30.0",
        "",
        (
            "stagedglobalnetworkpolicies.crd.projectcalico.org",
            "stagedkubernetesnetworkpolicies.crd.projectcalico.org",
            "stagednetworkpolicies.crd.projectcalico.org",
        ),
        "manifests/canal.yaml",
    ),
    (
        "crds_admin_policy",
        "3.29.0",
        "3.30.0",
        ("adminnetworkpolicies.policy.networking.k8s.io",),
        "manifests/canal.yaml",
    ),
    (
        "crds_admin_policy",
        "3.30.0",
        "3.32.0",
        (
            "adminnetworkpolicies.policy.networking.k8s.io",
            "baselineadminnetworkpolicies.policy.networking.k8s.io",
        ),
        "manifests/canal.yaml",
    ),
    (
        "crds_cluster_policy",
        "3.32.0",
        "",
        ("clusternetworkpolicies.policy.networking.k8s.io",),
        "manifests/canal.yaml",
    ),
    ("bandwidth_plugin", "3.26.0", "3.30.0", True, "manifests/canal.yaml"),
    ("felix_nftables", "3.29.0", "", True, "felix/config/config_params.go"),
    ("ebpf_init_container", "3.31.0", "", True, "manifests/canal.yaml"),
)
"""C(crds_*) are those that come or go between releases; C(crd_count) is the number of all."""

CHANGES = (
    {
        "version": "3.28.0",
        "id": "canal-flannel",
        "text": "The manifest names flannel v0.24.3 instead of v0.21.3.",
        "impact": "restart",
        "source": "https://github.com/projectcalico/calico/blob/v3.28.0/manifests/canal.yaml",
    },
    {
        "version": "3.29.0",
        "id": "canal-flannel",
        "text": "The manifest names flannel v0.24.4 instead of v0.24.3.",
        "impact": "restart",
        "source": "https://github.com/projectcalico/calico/blob/v3.29.0/manifests/canal.yaml",
    },
    {
        "version": "3.29.0",
        "id": "crds-tiers",
        "text": "CRDs for tiers and AdminNetworkPolicy are new; every policy belongs to a tier.",
        "action": "Apply the CRDs and wait until they are established before calico-node starts.",
        "impact": "manual",
        "back": "Tiers and AdminNetworkPolicy are ignored; their CRDs and objects stay behind.",
        "back_action": "Do not delete the CRDs: that deletes their objects.",
        "back_impact": "manual",
        "source": "https://github.com/projectcalico/calico/blob/v3.29.0/manifests/canal.yaml",
    },
    {
        "version": "3.30.0",
        "id": "crds-staged",
        "text": "CRDs for staged policies and BaselineAdminNetworkPolicy are new.",
        "action": "Apply the CRDs and wait until they are established before calico-node starts.",
        "impact": "manual",
        "source": "https://github.com/projectcalico/calico/blob/v3.30.0/manifests/canal.yaml",
    },
    {
        "version": "3.30.0",
        "id": "bandwidth-gone",
        "text": "The CNI configuration has no plugin bandwidth any more: limits of bandwidth of new pods are not set.",
        "action": "Keep the plugin in the configuration where pods have annotations of bandwidth.",
        "impact": "manual",
        "source": "https://github.com/projectcalico/calico/blob/v3.30.0/manifests/canal.yaml",
    },
    {
        "version": "3.31.0",
        "id": "calico-registry",
        "text": "The images of Calico come from quay.io/calico.",
        "action": "Let nodes reach quay.io, or mirror the images.",
        "impact": "manual",
        "back": "The images of Calico come from docker.io/calico.",
        "back_action": "Let nodes reach docker.io, or mirror the images.",
        "back_impact": "manual",
        "source": "https://github.com/projectcalico/calico/blob/v3.31.0/manifests/canal.yaml",
    },
    {
        "version": "3.31.0",
        "id": "ebpf-init",
        "text": "The init container ebpf-bootstrap replaces mount-bpffs; /sys/kernel/security of the node is mounted.",
        "impact": "none",
        "source": "https://github.com/projectcalico/calico/blob/v3.31.0/manifests/canal.yaml",
    },
    {
        "version": "3.32.0",
        "id": "crds-admin-gone",
        "text": "ClusterNetworkPolicy replaces AdminNetworkPolicy and BaselineAdminNetworkPolicy, which are enforced "
        "no more. Their CRDs stay in the cluster.",
        "action": "Translate these policies to ClusterNetworkPolicy first, then delete the two CRDs.",
        "impact": "manual",
        "back": "ClusterNetworkPolicy is enforced no more.",
        "back_action": "Apply the CRDs of the older release and your AdminNetworkPolicy objects again.",
        "back_impact": "manual",
        "source": "https://github.com/projectcalico/calico/blob/v3.32.0/manifests/canal.yaml",
    },
    {
        "version": "3.33.0",
        "id": "single-image",
        "text": "One image, quay.io/calico/calico, replaces those of cni and kube-controllers.",
        "action": "Mirror the new image where nodes have a mirror.",
        "impact": "manual",
        "source": "https://github.com/projectcalico/calico/blob/release-v3.33/manifests/canal.yaml",
    },
)
