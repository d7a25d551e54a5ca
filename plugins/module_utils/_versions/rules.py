# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a combination of releases and features cannot do, needs, or has to be told; literals only.

Private to podnet.cni: may change in any release.

A rule holds where every condition does. C(versions): product to the first release that it holds for and the first that
it holds for no longer; empty is open. C(features): a value that is equal, or a pair of the least and the most number,
None being open. A rule on a feature that the asker did not give does not hold.
"""

from __future__ import annotations

_ANY = ("", "")
_FLANNEL = "https://github.com/flannel-io/flannel"
_KUBERNETES = "https://github.com/kubernetes/kubernetes"

PROBLEMS = (
    {
        "id": "nftables-unknown",
        "versions": {"flannel": ("", "0.25.0")},
        "features": {"enable_nftables": True},
        "text": "This flannel has no nftables mode and ignores EnableNFTables.",
        "remedy": "Use flannel 0.25.0 or newer, or leave EnableNFTables out.",
        "source": f"{_FLANNEL}/blob/v0.25.0/pkg/trafficmngr/nftables/nftables.go",
    },
    {
        "id": "windows-check",
        "versions": {"flannel": ("0.26.0", "0.26.1")},
        "features": {"windows": True},
        "text": "This flannel asks for br_netfilter on Windows too, and does not start there.",
        "remedy": "Use flannel 0.26.1 or newer.",
        "source": f"{_FLANNEL}/pull/2102",
    },
    {
        "id": "windows-wireguard",
        "versions": {"flannel": _ANY},
        "features": {"windows": True, "backend": "wireguard"},
        "text": "flannel has no backend wireguard on Windows.",
        "remedy": "Use vxlan or host-gw.",
        "source": f"{_FLANNEL}/tree/v0.28.9/pkg/backend/wireguard",
    },
    {
        "id": "more-nodes-than-events",
        "versions": {"flannel": ("", "0.27.1")},
        "features": {"nodes": (5001, None)},
        "text": "With more nodes than its event queue holds, 5000 by default, this flannel blocks at its start.",
        "remedy": "Use flannel 0.27.1 or newer, or set EVENT_QUEUE_DEPTH above the number of nodes.",
        "source": f"{_FLANNEL}/releases/tag/v0.27.1",
    },
    {
        "id": "proxy-without-nftables",
        "versions": {"kubernetes": ("", "1.29")},
        "features": {"kube_proxy_mode": "nftables"},
        "text": "kube-proxy of this Kubernetes has no nftables mode.",
        "remedy": "Use iptables, or Kubernetes 1.33 or newer, where the mode is stable.",
        "source": "https://github.com/kubernetes/enhancements/issues/3866",
    },
    {
        "id": "cgroup-v1",
        "versions": {"kubernetes": ("1.35", "")},
        "features": {"cgroup_version": 1},
        "text": "The kubelet does not start on a node with cgroup v1.",
        "remedy": "Move the node to cgroup v2, or set failCgroupV1 to false in the kubelet's configuration for now.",
        "source": "https://github.com/kubernetes/enhancements/issues/5573",
    },
    {
        "id": "two-policy-engines",
        "versions": {"calico": _ANY, "kube_network_policies": _ANY},
        "features": {},
        "text": "Calico and kube-network-policies both enforce NetworkPolicy, with different results for one packet.",
        "remedy": "Leave kube-network-policies out: Calico enforces the policies in Canal.",
        "source": "https://github.com/kubernetes-sigs/kube-network-policies",
    },
    {
        "id": "iptables-missing",
        "versions": {"flannel": _ANY},
        "features": {"iptables": False, "enable_nftables": False},
        "text": "The nodes have no iptables, and flannel would write iptables rules.",
        "remedy": "Set EnableNFTables to true, with flannel 0.25.0 or newer.",
        "source": "https://github.com/kubernetes-sigs/kubespray/pull/13291",
    },
    {
        "id": "portmap-without-iptables",
        "versions": {"cni_plugins": ("", "1.6.0")},
        "features": {"iptables": False},
        "text": "The nodes have no iptables, and portmap of these reference plugins knows nothing else.",
        "remedy": "Use reference plugins 1.6.1 or newer.",
        "source": "https://github.com/containernetworking/plugins/releases/tag/v1.6.0",
    },
    {
        "id": "conflist-too-new",
        "versions": {"cni_plugins": ("", "1.0.0")},
        "features": {"cni_version": "1.0.0"},
        "text": "These reference plugins refuse cniVersion 1.0.0.",
        "remedy": "Use reference plugins 1.0.1 or newer, or cniVersion 0.4.0.",
        "source": "https://github.com/containernetworking/plugins/releases/tag/v1.0.0",
    },
)

NEEDS = (
    {
        "id": "br-netfilter",
        "versions": {"flannel": ("0.26.0", "")},
        "features": {"enable_nftables": False},
        "text": "flannel does not start on a node without br_netfilter.",
        "remedy": "Load br_netfilter on every node, now and at boot, and set net.bridge.bridge-nf-call-iptables (dual "
        "stack: -ip6tables too) to 1.",
        "source": f"{_FLANNEL}/pull/2082",
    },
    {
        "id": "br-netfilter-in-nftables-mode",
        "versions": {"flannel": ("0.26.0", "0.28.0")},
        "features": {"enable_nftables": True},
        "text": "This flannel asks for br_netfilter in nftables mode too.",
        "remedy": "Load br_netfilter on every node, now and at boot, or use flannel 0.28.0 or newer.",
        "source": f"{_FLANNEL}/blob/v0.28.0/main.go",
    },
    {
        "id": "br-netfilter-unchecked",
        "versions": {"kubernetes": ("1.30", "")},
        "features": {},
        "text": "kubeadm does not check br_netfilter any more.",
        "remedy": "Load br_netfilter on every node, now and at boot.",
        "source": f"{_KUBERNETES}/pull/123464",
    },
    {
        "id": "nftables-both",
        "versions": {"flannel": ("0.25.0", "")},
        "features": {"kube_proxy_mode": "nftables", "enable_nftables": False},
        "text": "kube-proxy writes nftables rules and flannel would write iptables rules beside them.",
        "remedy": "Set EnableNFTables to true in flannel's network config.",
        "source": f"{_FLANNEL}/blob/v0.28.9/Documentation/configuration.md",
    },
    {
        "id": "windows-vxlan",
        "versions": {"flannel": _ANY},
        "features": {"windows": True, "backend": "vxlan"},
        "text": "Windows knows only port 4789 and VNI 4096 or above, and neither DirectRouting nor GBP.",
        "remedy": "Set VNI 4096 and Port 4789 for all nodes, Linux too, and leave DirectRouting and GBP out.",
        "source": f"{_FLANNEL}/blob/v0.28.9/pkg/backend/vxlan/vxlan_windows.go",
    },
    {
        "id": "windows-host-process",
        "versions": {"kubernetes": ("", "1.26")},
        "features": {"windows": True},
        "text": "HostProcess containers of Windows are not stable before Kubernetes 1.26.",
        "remedy": "Run flannel on Windows as a service.",
        "source": "https://github.com/kubernetes/enhancements/issues/1981",
    },
    {
        "id": "pod-security",
        "versions": {"kubernetes": ("1.23", "")},
        "features": {},
        "text": "Pod Security can refuse the network's own pods: they use the host's network and directories.",
        "remedy": "Label their namespace pod-security.kubernetes.io/enforce=privileged before the DaemonSet comes.",
        "source": f"{_FLANNEL}/blob/v0.28.9/README.md",
    },
    {
        "id": "control-plane-taint",
        "versions": {"kubernetes": ("1.24", "")},
        "features": {},
        "text": "Control plane nodes have the taint node-role.kubernetes.io/control-plane.",
        "remedy": "Have the network's pods tolerate it, best by the operator Exists.",
        "source": "https://github.com/kubernetes/enhancements/issues/2067",
    },
    {
        "id": "dual-stack-ranges",
        "versions": {"kubernetes": _ANY},
        "features": {"dual_stack": True},
        "text": "Each node needs a podCIDR of both families.",
        "remedy": "Give controller-manager --cluster-cidr with two ranges, and Network, IPv6Network, EnableIPv4 and "
        "EnableIPv6 to flannel.",
        "source": f"{_FLANNEL}/blob/v0.28.9/Documentation/configuration.md",
    },
    {
        "id": "dual-stack-gate",
        "versions": {"kubernetes": ("", "1.21")},
        "features": {"dual_stack": True},
        "text": "Dual stack is alpha.",
        "remedy": "Switch the feature gate IPv6DualStack on in every component, or use Kubernetes 1.23 or newer.",
        "source": "https://github.com/kubernetes/enhancements/issues/563",
    },
    {
        "id": "nftables-proxy-gate",
        "versions": {"kubernetes": ("1.29", "1.31")},
        "features": {"kube_proxy_mode": "nftables"},
        "text": "kube-proxy's nftables mode is alpha.",
        "remedy": "Switch the feature gate NFTablesProxyMode on.",
        "source": "https://github.com/kubernetes/enhancements/issues/3866",
    },
    {
        "id": "cgroup-v2",
        "versions": {"kubernetes": ("1.35", "")},
        "features": {},
        "text": "The kubelet starts only where cgroup v2 is in use.",
        "remedy": "See to it that every node has cgroup v2.",
        "source": "https://github.com/kubernetes/enhancements/issues/5573",
    },
    {
        "id": "cri-v1",
        "versions": {"kubernetes": ("1.26", "")},
        "features": {},
        "text": "The runtime has to speak v1 of its API; containerd does from 1.6 on.",
        "remedy": "Upgrade the runtime before the kubelet.",
        "source": f"{_KUBERNETES}/pull/110618",
    },
    {
        "id": "port-8081",
        "versions": {"flannel": ("0.28.9", "")},
        "features": {},
        "text": "The probes of manifest and chart open port 8081 on the network of every node.",
        "remedy": "See to it that the port is free, or choose another one.",
        "source": f"{_FLANNEL}/pull/2523",
    },
    {
        "id": "flannel-plugin",
        "versions": {"cni_plugins": ("1.0.0", ""), "flannel": _ANY},
        "features": {},
        "text": "The reference plugins do not contain the plugin flannel.",
        "remedy": "Install it from flannel's own image or release, beside bridge, host-local, portmap and loopback.",
        "source": "https://github.com/flannel-io/cni-plugin",
    },
    {
        "id": "canal-br-netfilter",
        "versions": {"calico": _ANY, "flannel": ("0.26.0", "")},
        "features": {},
        "text": "Canal's manifest names a flannel without the check for br_netfilter; this one has it.",
        "remedy": "Load br_netfilter on every node, now and at boot, before the image is exchanged.",
        "source": f"{_FLANNEL}/pull/2082",
    },
    {
        "id": "wireguard-kernel",
        "versions": {"flannel": _ANY},
        "features": {"backend": "wireguard"},
        "text": "The backend wireguard needs WireGuard in the kernel, which Linux has from 5.6 on.",
        "remedy": "See to it that the module wireguard can be loaded on every node.",
        "source": f"{_FLANNEL}/blob/v0.28.9/Documentation/backends.md",
    },
)

NOTES = (
    {
        "id": "ipvs-deprecated",
        "versions": {"kubernetes": ("1.35", "")},
        "features": {"kube_proxy_mode": "ipvs"},
        "text": "kube-proxy's ipvs mode is deprecated.",
        "remedy": "Plan to move to nftables.",
        "source": "https://github.com/kubernetes/enhancements/issues/5495",
    },
    {
        # It was to be 1.36 (pull 133774), was put off to 1.37 (pull 136846), then to 1.38.
        "id": "containerd-1",
        "versions": {"kubernetes": ("1.36", "")},
        "features": {"containerd": (0, 1)},
        "text": "containerd 1.x does not tell the kubelet its cgroup driver, and the kubelet does not start with such "
        "a runtime from 1.38 on.",
        "remedy": "Run containerd 2.0 or newer before Kubernetes 1.38.",
        "source": f"{_KUBERNETES}/pull/139121",
    },
    {
        "id": "large-cluster",
        "versions": {"flannel": ("", "0.27.1")},
        "features": {"nodes": (100, 5000)},
        "text": "In large clusters this flannel can be slow to start while the API server is busy.",
        "remedy": "Use flannel 0.27.1 or newer.",
        "source": f"{_FLANNEL}/releases/tag/v0.27.1",
    },
    {
        "id": "ready-is-not-working",
        "versions": {"flannel": ("", "0.28.9")},
        "features": {},
        "text": "The manifest has no probes: a pod is ready as soon as its process runs.",
        "remedy": "Judge a rollout by the Node's annotations and by log lines, not by ready pods alone.",
        "source": f"{_FLANNEL}/pull/2523",
    },
    {
        "id": "canal-flannel-old",
        "versions": {"calico": _ANY, "flannel": ("", "0.25.0")},
        "features": {},
        "text": "The flannel of Canal's manifest has no nftables mode and no probes, and can block in large clusters.",
        "remedy": "Exchange its image for a newer one.",
        "source": "https://github.com/projectcalico/calico/blob/v3.32.1/manifests/canal.yaml",
    },
    {
        "id": "canal-subnet-file",
        "versions": {"calico": _ANY},
        "features": {},
        "text": "Canal's manifest does not mount /run/flannel, so no subnet.env is on the host.",
        "remedy": "Add the mount where something on the host reads the file.",
        "source": "https://github.com/projectcalico/calico/blob/v3.32.1/manifests/canal.yaml",
    },
    {
        "id": "clustercidrs-right",
        "versions": {"kubernetes": ("1.29", ""), "flannel": ("0.21.0", "0.25.0")},
        "features": {},
        "text": "flannel's ClusterRole has a rule on clustercidrs, which Kubernetes does not have any more.",
        "remedy": "Take the rule out.",
        "source": "https://github.com/kubernetes/enhancements/issues/2593",
    },
)
