# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Releases of Kubernetes, as far as the network under pods is concerned; literals only.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

SOURCE = "https://github.com/kubernetes/kubernetes/blob/master/CHANGELOG/CHANGELOG-{version}.md"

FIELDS = ("version",)
RELEASES = (
    ("1.20",),
    ("1.21",),
    ("1.22",),
    ("1.23",),
    ("1.24",),
    ("1.25",),
    ("1.26",),
    ("1.27",),
    ("1.28",),
    ("1.29",),
    ("1.30",),
    ("1.31",),
    ("1.32",),
    ("1.33",),
    ("1.34",),
    ("1.35",),
    ("1.36",),
    ("1.37",),
)
"""A row holds for every patch release."""

REMOVED_KUBELET_FLAGS = (
    ("1.24", "network-plugin", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "network-plugin-mtu", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "cni-bin-dir", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "cni-conf-dir", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "cni-cache-dir", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "docker-endpoint", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "image-pull-progress-deadline", "https://github.com/kubernetes/kubernetes/issues/106893"),
    ("1.24", "non-masquerade-cidr", "https://github.com/kubernetes/kubernetes/pull/107096"),
    ("1.24", "dynamic-config-dir", "https://github.com/kubernetes/kubernetes/pull/106932"),
    ("1.26", "add-dir-header", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "alsologtostderr", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "log-backtrace-at", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "log-dir", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "log-file", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "log-file-max-size", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "logtostderr", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "one-output", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "skip-headers", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "skip-log-headers", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.26", "stderrthreshold", "https://github.com/kubernetes/kubernetes/pull/112120"),
    ("1.27", "container-runtime", "https://github.com/kubernetes/kubernetes/pull/114017"),
    ("1.30", "azure-container-registry-config", "https://github.com/Azure/karpenter-provider-azure/pull/338"),
    ("1.31", "keep-terminated-pod-volumes", "https://github.com/kubernetes/kubernetes/pull/122082"),
    ("1.31", "iptables-masquerade-bit", "https://github.com/kubernetes/kubernetes/pull/122363"),
    ("1.31", "iptables-drop-bit", "https://github.com/kubernetes/kubernetes/pull/122363"),
    ("1.34", "cloud-config", "https://github.com/kubernetes/kubernetes/pull/130161"),
    ("1.35", "pod-infra-container-image", "https://github.com/kubernetes/kubernetes/pull/133779"),
)
"""Release that removed a flag of the kubelet, the flag without its hyphens, source. A kubelet does not start with a
flag that it does not know."""

_GUIDE = "https://kubernetes.io/docs/reference/using-api/deprecation-guide/"
_GATES = "https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/"
_CGROUP = "https://github.com/kubernetes/enhancements/issues/5573"
_RUNTIME_CONFIG = "https://github.com/kubernetes/kubernetes/pull/139121"

FEATURES = (
    ("pod_security_policy", "1.20", "1.25", True, _GUIDE),
    ("pod_security_admission", "1.22", "1.23", "alpha", _GATES),
    ("pod_security_admission", "1.23", "1.25", "beta", _GATES),
    ("pod_security_admission", "1.25", "", "stable", _GATES),
    ("dual_stack", "1.20", "1.21", "alpha", _GATES),
    ("dual_stack", "1.21", "1.23", "beta", _GATES),
    ("dual_stack", "1.23", "", "stable", _GATES),
    ("nftables_proxy", "1.29", "1.31", "alpha", _GATES),
    ("nftables_proxy", "1.31", "1.33", "beta", _GATES),
    ("nftables_proxy", "1.33", "", "stable", _GATES),
    ("sidecar_containers", "1.28", "1.29", "alpha", _GATES),
    ("sidecar_containers", "1.29", "1.33", "beta", _GATES),
    ("sidecar_containers", "1.33", "", "stable", _GATES),
    ("windows_host_process", "1.22", "1.23", "alpha", _GATES),
    ("windows_host_process", "1.23", "1.26", "beta", _GATES),
    ("windows_host_process", "1.26", "", "stable", _GATES),
    ("validating_admission_policy", "1.26", "1.28", "alpha", _GATES),
    ("validating_admission_policy", "1.28", "1.30", "beta, off", _GATES),
    ("validating_admission_policy", "1.30", "", "stable", _GATES),
    ("mutating_admission_policy", "1.32", "1.34", "alpha", _GATES),
    ("mutating_admission_policy", "1.34", "1.36", "beta, off", _GATES),
    ("mutating_admission_policy", "1.36", "", "stable", _GATES),
    ("service_cidr", "1.27", "1.31", "alpha", _GATES),
    ("service_cidr", "1.31", "1.33", "beta, off", _GATES),
    ("service_cidr", "1.33", "", "stable", _GATES),
    ("dockershim", "1.20", "1.24", True, "https://github.com/kubernetes/kubernetes/pull/97252"),
    ("kubeadm_checks_br_netfilter", "1.20", "1.30", True, "https://github.com/kubernetes/kubernetes/pull/123464"),
    ("master_taint", "1.20", "1.25", True, "https://github.com/kubernetes/enhancements/issues/2067"),
    ("control_plane_taint", "1.24", "", True, "https://github.com/kubernetes/enhancements/issues/2067"),
    ("control_plane_label", "1.20", "", True, "https://github.com/kubernetes/enhancements/issues/2067"),
    ("fails_on_cgroup_v1", "1.35", "", True, _CGROUP),
    ("needs_cri_v1", "1.26", "", True, "https://github.com/kubernetes/kubernetes/pull/110618"),
)

CHANGES = (
    {
        "version": "1.22",
        "id": "beta-apis-gone",
        "text": "v1beta1 of RBAC, CRDs, admission webhooks and PriorityClass is not served any more.",
        "action": "Bring the network's manifests to rbac.authorization.k8s.io/v1 and apiextensions.k8s.io/v1 first.",
        "impact": "manual",
        "source": "https://kubernetes.io/docs/reference/using-api/deprecation-guide/#v1-22",
    },
    {
        "version": "1.24",
        "id": "dockershim-gone",
        "text": "The kubelet has no dockershim: the container runtime reads the directories of CNI configurations and "
        "plugins.",
        "action": "Set both directories in the container runtime.",
        "impact": "manual",
        "source": "https://github.com/kubernetes/kubernetes/pull/97252",
    },
    {
        "version": "1.24",
        "id": "control-plane-taint",
        "text": "Control plane nodes have the taint node-role.kubernetes.io/control-plane too.",
        "action": "Have the network's pods tolerate it, best by the operator Exists.",
        "impact": "manual",
        "source": "https://github.com/kubernetes/enhancements/issues/2067",
    },
    {
        "version": "1.24",
        "id": "token-secrets-gone",
        "text": "A ServiceAccount gets no Secret with a token of its own accord.",
        "action": "Have what reads such a Secret ask for a token by the TokenRequest API.",
        "impact": "manual",
        "source": "https://github.com/kubernetes/kubernetes/blob/master/CHANGELOG/CHANGELOG-1.24.md",
    },
    {
        "version": "1.25",
        "id": "pod-security",
        "text": "PodSecurityPolicy and policy/v1beta1 are not served any more; Pod Security labels on namespaces hold.",
        "action": "Label the network's namespace pod-security.kubernetes.io/enforce=privileged and take the "
        "PodSecurityPolicy out of its manifests.",
        "impact": "manual",
        "source": "https://kubernetes.io/docs/reference/using-api/deprecation-guide/#v1-25",
    },
    {
        "version": "1.25",
        "id": "master-taint-gone",
        "text": "Control plane nodes do not have the taint node-role.kubernetes.io/master any more.",
        "impact": "none",
        "source": "https://github.com/kubernetes/enhancements/issues/2067",
    },
    {
        "version": "1.26",
        "id": "cri-v1",
        "text": "The kubelet speaks only v1 of the runtime's API.",
        "action": "Run containerd 1.6 or newer, or a CRI-O of the same age.",
        "impact": "manual",
        "source": "https://github.com/kubernetes/kubernetes/pull/110618",
    },
    {
        "version": "1.29",
        "id": "cluster-cidr-api-gone",
        "text": "The API ClusterCIDR is withdrawn.",
        "action": "Take the rule on clustercidrs out of ClusterRoles.",
        "impact": "none",
        "source": "https://github.com/kubernetes/enhancements/issues/2593",
    },
    {
        "version": "1.30",
        "id": "kubeadm-br-netfilter",
        "text": "kubeadm does not check any more that br_netfilter is loaded.",
        "action": "Load br_netfilter on every node, now and at boot.",
        "impact": "manual",
        "source": "https://github.com/kubernetes/kubernetes/pull/123464",
    },
    {
        "version": "1.33",
        "id": "nftables-proxy",
        "text": "kube-proxy's nftables mode is stable; iptables stays the default.",
        "impact": "none",
        "source": "https://github.com/kubernetes/enhancements/issues/3866",
    },
    {
        "version": "1.35",
        "id": "cgroup-v1",
        "text": "The kubelet does not start on a node with cgroup v1, unless its failCgroupV1 is false.",
        "action": "Move the nodes to cgroup v2.",
        "impact": "manual",
        "source": "https://github.com/kubernetes/enhancements/issues/5573",
    },
    {
        "version": "1.35",
        "id": "ipvs-deprecated",
        "text": "kube-proxy's ipvs mode is deprecated.",
        "action": "Plan to move to nftables.",
        "impact": "none",
        "source": "https://github.com/kubernetes/enhancements/issues/5495",
    },
    {
        "version": "1.37",
        "id": "containerd-2",
        "text": "The last kubelet that starts with a runtime without the call RuntimeConfig, like containerd 1.x.",
        "action": "Move to containerd 2.0 or newer, or CRI-O 1.28 or newer, before 1.38.",
        "impact": "none",
        "source": _RUNTIME_CONFIG,
    },
    {
        "version": "1.37",
        "id": "ipvs-gate",
        "text": "kube-proxy's ipvs mode has a feature gate, KubeProxyIPVS, by which it is going to be switched off.",
        "action": "Move to nftables, or to iptables on old kernels.",
        "impact": "none",
        "source": "https://github.com/kubernetes/kubernetes/pull/139397",
    },
)
