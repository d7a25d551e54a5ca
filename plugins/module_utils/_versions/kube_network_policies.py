# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of kube-network-policies, the policy sidecar; literals only.

Private to podnet.cni: may change in any release.

Source of a row: https://github.com/kubernetes-sigs/kube-network-policies at the row's tag, files go.mod, install.yaml,
cmd/main.go or pkg/cmd/cmd.go, and the packages of the data plane.
"""

from __future__ import annotations

SOURCE = "https://github.com/kubernetes-sigs/kube-network-policies/blob/v{version}/install.yaml"

FIELDS = ("version", "released", "client_go", "manifest_names")
"""C(manifest_names): the image in the release's own install.yaml, which lags behind its tag since v0.5.1."""

RELEASES = (
    ("0.1.0", "2024-04-20", "0.30.0", "0.1.0"),
    ("0.2.0", "2024-04-25", "0.30.0", "0.2.0"),
    ("0.3.0", "2024-06-24", "0.30.2", "0.2.0"),
    ("0.4.0", "2024-06-26", "0.30.2", "0.4.0"),
    ("0.5.0", "2024-07-19", "0.30.2", "0.5.0"),
    ("0.5.1", "2024-07-23", "0.30.3", "0.5.0"),
    ("0.6.0", "2024-10-07", "0.31.1", "0.5.0"),
    ("0.6.1", "2024-10-25", "0.31.1", "0.6.0"),
    ("0.7.0", "2025-01-10", "0.32.0", "0.6.0"),
    ("0.8.0", "2025-04-11", "0.32.3", "0.7.0"),
    ("0.8.1", "2025-08-06", "0.33.3", "0.8.0"),
    ("0.9.0", "2025-08-27", "0.33.4", "0.8.0"),
    ("0.9.1", "2025-08-28", "0.33.4", "0.8.0"),
    ("0.9.2", "2025-09-13", "0.33.4", "0.9.1"),
    ("1.0.0", "2025-10-29", "0.34.1", "0.9.2"),
    ("1.1.0", "2026-06-28", "0.36.2", "1.0.0"),
    ("1.1.1", "2026-07-28", "0.36.3", "1.1.0"),
)

FEATURES = (
    ("repository", "0.1.0", "", "registry.k8s.io/networking/kube-network-policies", "install.yaml"),
    ("hostname-override", "0.4.0", "", True, "cmd/main.go"),
    ("netfilter-bug-1766-fix", "0.6.0", "", True, "cmd/main.go"),
    ("disable-nri", "0.8.0", "", True, "cmd/main.go"),
    ("strict-mode", "1.0.0", "", True, "pkg/cmd/cmd.go"),
    ("fails_open", "0.9.2", "", True, "pkg/cmd/cmd.go"),
    ("mounts_modules", "0.1.0", "0.8.0", True, "install.yaml"),
    ("mounts_nri", "0.8.0", "", True, "install.yaml"),
    ("mounts_netns", "0.8.0", "", True, "install.yaml"),
    ("admin_policy_flags", "0.2.0", "0.9.0", True, "cmd/main.go"),
    ("cluster_network_policy", "0.9.0", "", True, "install-cnp.yaml"),
    ("ip_tracker", "0.9.0", "", True, "install-iptracker.yaml"),
)
"""The names with a hyphen are flags of the program."""

CHANGES = (
    {
        "version": "0.5.0",
        "id": "postrouting",
        "text": "Packets are judged after routing, so Services of an IPVS proxy are seen.",
        "impact": "none",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v0.5.0/pkg/networkpolicy/controller.go",
    },
    {
        "version": "0.8.0",
        "id": "nri",
        "text": "Addresses of pods come from the container runtime by NRI; /lib/modules is not mounted any more.",
        "action": "Mount /var/run/nri and /var/run/netns, or set --disable-nri.",
        "impact": "manual",
        "back": "The program does not know --disable-nri and does not start with it.",
        "back_action": "Take the flag out and mount /lib/modules.",
        "back_impact": "manual",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v0.8.0/install.yaml",
    },
    {
        "version": "0.9.0",
        "id": "admin-flags-gone",
        "text": "The flags --admin-network-policy and --baseline-admin-network-policy are gone; there are images for "
        "such policies.",
        "action": "Take the flags out; the program exits with an unknown flag.",
        "impact": "manual",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/releases/tag/v0.9.0",
    },
    {
        "version": "0.9.2",
        "id": "fail-open",
        "text": "Without --fail-open packets pass while the program does not run; before they were dropped.",
        "action": "Set --fail-open as you want it.",
        "impact": "manual",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v0.9.2/pkg/cmd/cmd.go",
    },
    {
        "version": "1.0.0",
        "id": "strict-mode",
        "text": "A changed policy also ends connections that it does not allow any more.",
        "action": "Check the policies first: connections that are open now can end.",
        "impact": "outage",
        "back": "The program does not know --strict-mode and does not start with it.",
        "back_action": "Take the flag out.",
        "back_impact": "manual",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.0.0/pkg/cmd/cmd.go",
    },
    {
        "version": "1.1.0",
        "id": "own-node",
        "text": "What a pod sends to its own node is judged too.",
        "action": "Check that egress policies allow what pods need of their node.",
        "impact": "manual",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.1.0/pkg/dataplane/controller.go",
    },
)

FAULTS = (
    {
        "since": "0.1.0",
        "until": "0.4.0",
        "id": "no-node-name",
        "text": "it cannot be told which node it is on, and enforces nothing where hostname and node name differ",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v0.4.0/cmd/main.go",
    },
    {
        "since": "0.1.0",
        "until": "0.5.0",
        "id": "ipvs-unseen",
        "text": "it misses traffic of Services where kube-proxy works in IPVS mode",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v0.5.0/pkg/networkpolicy/controller.go",
    },
    {
        "since": "0.1.0",
        "until": "0.5.1",
        "id": "probes-judged",
        "text": "it also judges the kubelet's own requests, so a policy that denies all ingress breaks probes",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/releases/tag/v0.5.1",
    },
    {
        "since": "0.1.0",
        "until": "1.1.0",
        "id": "own-node-unseen",
        "text": "it does not see what a pod sends to its own node",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/blob/v1.1.0/pkg/dataplane/controller.go",
    },
    {
        "since": "1.0.0",
        "until": "1.1.1",
        "id": "host-network-judged",
        "text": "a policy that selects a hostNetwork pod makes it judge the traffic of the node itself, replies "
        "included",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies/issues/380",
    },
)
