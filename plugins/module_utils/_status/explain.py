# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each finding means: what it does to traffic, what causes it, where one can read about it.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Collection, Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Finding
from ansible_collections.podnet.cni.plugins.module_utils._status import repairs
from ansible_collections.podnet.cni.plugins.module_utils._status.repairs import DATAPLANE, FLANNELD, NODE, POD

_ISSUES = "https://github.com/flannel-io/flannel/issues/"
_GUIDE = "https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/troubleshooting.md"
_KUBERNETES = "https://kubernetes.io/docs/"
_SYSCTL = "https://docs.kernel.org/networking/ip-sysctl.html"


class Explanation(NamedTuple):
    """Effect on traffic and cause, a sentence each; an upstream issue or page; what doctor repairs it with, or ""."""

    effect: str
    cause: str
    source: str
    repair: str = ""


EXPLANATIONS: Mapping[str, Explanation] = {
    "network.config": Explanation(
        "Nobody can say what the hosts should hold.",
        "The key <prefix>/config is missing or wrong, or the store was not reached.",
        "https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/configuration.md",
    ),
    "network.store": Explanation(
        "Traffic continues as the kernels have it; no host learns of a change, and nothing could be compared.",
        "etcd is down, or endpoint, prefix, certificate or user are not those of the store.",
        _ISSUES + "904",
    ),
    "network.leases": Explanation(
        "Pods of the subnet may be cut off, on every host where the lease is bad for flanneld.",
        "Two hosts took one lease, a host left without releasing it, or something else wrote below the prefix.",
        _ISSUES + "1240",
    ),
    "host.silent": Explanation(
        "Whether its pods reach others is not known.",
        "The host is down, or cannot be reached or read by Ansible.",
        "https://docs.ansible.com/ansible/latest/playbook_guide/playbooks_error_handling.html",
    ),
    "host.lease": Explanation(
        "No peer has a way to its pods.",
        "The host never joined, its lease ended, or its public IP changed since.",
        _ISSUES + "621",
        FLANNELD,
    ),
    "dataplane.compared": Explanation(
        "Differences from the leases would not be seen.",
        "The module could not run, or something on the host is in its way.",
        _GUIDE,
    ),
    "dataplane.peers_missing": Explanation(
        "Packets for the pods of these peers are dropped, or leave by the default route.",
        "The host did not learn of the peer, or something removed the entries.",
        _ISSUES + "1759",
        DATAPLANE,
    ),
    "dataplane.wrong_vtep": Explanation(
        "The peer drops every packet: it is for a MAC address that it does not have.",
        "The peer's link was made anew or renamed by udev, and this host kept the old address.",
        _ISSUES + "1155",
        DATAPLANE,
    ),
    "dataplane.stale": Explanation(
        "Packets for a reused subnet go to a host that has left.",
        "The host left while nobody here was told.",
        _ISSUES + "2554",
        DATAPLANE,
    ),
    "dataplane.mac": Explanation(
        "Packets arrive and are dropped: peers send to the MAC address of the lease.",
        "systemd-udevd gave the link another address after it was made.",
        _ISSUES + "1155",
        DATAPLANE,
    ),
    "dataplane.link": Explanation(
        "The host's pods may be cut off from all others, or lose large packets.",
        "A restart of the host's network service, another tool, or a changed network config.",
        _ISSUES + "869",
        DATAPLANE,
    ),
    "dataplane.file": Explanation(
        "New pods do not start, or get an address or MTU of another network.",
        "The file was removed or written by something else; /run is empty after a boot.",
        _ISSUES + "2253",
        DATAPLANE,
    ),
    "dataplane.boot": Explanation(
        "Nothing now; the next boot brings back an older state, or none.",
        "Leases changed and the role did not run on this host since, or the files were removed.",
        _ISSUES + "1155",
        DATAPLANE,
    ),
    "dataplane.firewall": Explanation(
        "Packets between pods may be dropped, and those that leave the network keep addresses that nobody answers to.",
        "A firewall service flushed all tables when it started or reloaded.",
        _ISSUES + "1317",
        DATAPLANE,
    ),
    "flanneld.installed": Explanation(
        "Traffic continues as the kernel has it; the host learns of no change, and its lease ends.",
        "The role flanneld did not run on this host, or the unit has another name.",
        _GUIDE,
    ),
    "flanneld.unit": Explanation(
        "Traffic continues as the kernel has it; the host learns of no change, and its lease ends.",
        "flanneld ended or does not come up; its own log says why.",
        _GUIDE,
        FLANNELD,
    ),
    "flanneld.outdated": Explanation(
        "Nothing now; the next restart brings another release or other settings.",
        "A file was changed and flanneld was not restarted.",
        _GUIDE,
    ),
    "flanneld.others": Explanation(
        "Links and lease change from one state to the other and back.",
        "flanneld was installed twice, or the host was taken over by hand.",
        _GUIDE,
    ),
    "flanneld.lease": Explanation(
        "Peers send packets for its pods elsewhere, or stop to send them when the lease ends.",
        "Something else wrote the lease, or flanneld lost it and did not take a new one.",
        _ISSUES + "1240",
        FLANNELD,
    ),
    "cluster.gathered": Explanation(
        "None is known.",
        "A right is missing.",
        _KUBERNETES + "reference/access-authn-authz/rbac/",
    ),
    "cluster.api": Explanation(
        "Traffic continues; nothing in the cluster is changed or healed, and flanneld learns of no node.",
        "etcd or a part of the API server is not ready; its /readyz says which.",
        _KUBERNETES + "reference/using-api/health-checks/",
    ),
    "cluster.network": Explanation(
        "Pods get addresses of one network or of the other, and do not reach each other.",
        "A second installation in another namespace, or what is left of an earlier one.",
        _ISSUES + "1702",
    ),
    "cluster.versions": Explanation(
        "What the matrix says of the combination.",
        "Kubernetes or flannel was upgraded without the other.",
        "https://github.com/flannel-io/flannel/releases",
    ),
    "cluster.version_skew": Explanation(
        "What Kubernetes says of such nodes: it is not supported.",
        "An upgrade of Kubernetes was not finished.",
        "https://kubernetes.io/releases/version-skew-policy/",
    ),
    "cluster.pod_cidr": Explanation(
        "flannel does not start on the node.",
        "The controller manager gives out no podCIDRs, or the range is used up.",
        _ISSUES + "728",
    ),
    "cluster.pod_cidr_range": Explanation(
        "flannel ends on the node.",
        "The controller manager's --cluster-cidr and Network differ.",
        _ISSUES + "728",
    ),
    "cluster.pod_cidr_unique": Explanation(
        "Packets for pods of one node get to the other one.",
        "Two controllers give out podCIDRs, or one was written by hand.",
        _ISSUES + "1240",
    ),
    "cluster.network_overlap": Explanation(
        "Packets for Services or nodes are taken for packets to pods.",
        "The ranges were not planned together.",
        _KUBERNETES + "concepts/cluster-administration/networking/",
    ),
    "cluster.capacity": Explanation(
        "A node that joins gets no podCIDR.",
        "The range is small for the number of nodes.",
        _KUBERNETES + "concepts/cluster-administration/networking/",
    ),
    "cluster.allocate_node_cidrs": Explanation(
        "flannel does not start on new nodes.",
        "The controller manager runs without --allocate-node-cidrs=true.",
        _ISSUES + "728",
    ),
    "cluster.pod_security": Explanation(
        "The network's pods are refused.",
        "The namespace does not allow privileged pods.",
        _KUBERNETES + "concepts/security/pod-security-admission/",
    ),
    "cluster.webhooks": Explanation(
        "Pods of the network are not made while the webhook is away, and it may need the network itself.",
        "It fails closed and does not leave the network's namespace out.",
        _KUBERNETES + "reference/access-authn-authz/extensible-admission-controllers/",
    ),
    "cluster.admission_policies": Explanation(
        "Pods of the network may be refused.",
        "A policy matches them.",
        _KUBERNETES + "reference/access-authn-authz/validating-admission-policy/",
    ),
    "cluster.windows": Explanation(
        "Windows nodes do not join the overlay.",
        "The backend's options are those of Linux alone.",
        "https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/running.md",
    ),
    "cluster.kube_proxy": Explanation(
        "Rules are evaluated in an order that nobody planned; Services or pods may not be reached.",
        "kube-proxy changed to nftables and flannel did not.",
        _KUBERNETES + "reference/networking/virtual-ips/",
    ),
    "cluster.health_port": Explanation(
        "The network's pod crashes on every node.",
        "Another DaemonSet of the nodes' network has the port.",
        _GUIDE,
    ),
    "cluster.public_ip": Explanation(
        "Peers send packets for one node to another one, or nowhere.",
        "flannel chose the wrong interface, as where every host has the same private address.",
        _ISSUES + "51",
    ),
    "cluster.backend_type": Explanation(
        "Nodes with another backend are left out by their peers.",
        "The network config changed and not every pod of flannel was restarted.",
        _ISSUES + "1515",
    ),
    "cluster.vtep_mac": Explanation(
        "Two nodes get each other's packets.",
        "Hosts were cloned with their machine-id.",
        _ISSUES + "1155",
    ),
    "cluster.network_unavailable": Explanation(
        "The scheduler puts no pods on the node.",
        "The network's daemon did not start there, or may not write the Node's status.",
        _KUBERNETES + "concepts/architecture/nodes/#condition",
    ),
    "cluster.asked": Explanation(
        "None of the cluster is known.",
        "The API server is away or refuses the user, or nothing of flannel runs there.",
        "https://kubernetes.io/docs/tasks/debug/debug-cluster/",
    ),
    "cluster.nodes": Explanation(
        "Its pods are moved to other nodes after some minutes, and no new ones start.",
        "The kubelet does not run, has no CNI configuration, or does not reach the API server.",
        "https://kubernetes.io/docs/concepts/architecture/nodes/#condition",
    ),
    "cluster.pods": Explanation(
        "The node learns of no change of the network; a new node carries no packets.",
        "An image that is not there, a flag that the release does not know, missing rights; the pod's log says which.",
        _GUIDE,
    ),
    "cluster.programmed": Explanation(
        "Pods start there and do not reach pods of other nodes.",
        "The daemon hangs after its start, or something else removed what it wrote on its Node.",
        _ISSUES + "1759",
        POD,
    ),
    "cluster.logs": Explanation(
        "None for traffic; gates that read logs are blind, and kubectl logs and exec fail.",
        "A firewall between API server and node, a certificate that nobody signed, or a proxy in between.",
        "https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/#certificate-rotation",
    ),
    "cluster.kinds": Explanation(
        "Canal's pods never become ready, and policies are not enforced.",
        "Its objects were applied without the CustomResourceDefinitions, or before these were served.",
        "https://docs.tigera.io/calico/latest/getting-started/kubernetes/flannel/install-for-flannel",
    ),
    "cluster.sidecar_rights": Explanation(
        "The sidecar waits for ever and lets everything through.",
        "The role of its account was not applied, or another tool removed it.",
        "https://github.com/kubernetes-sigs/kube-network-policies",
    ),
    "host.policy_sidecar": Explanation(
        "Connections that a NetworkPolicy denies get through, or new ones hang.",
        "The kernel lacks the queue, another program has it, or something flushed the sidecar's table.",
        "https://github.com/kubernetes-sigs/kube-network-policies",
    ),
    "way.underlay": Explanation(
        "No packet of the overlay gets there.",
        "A link, route or firewall between the hosts themselves.",
        _GUIDE,
    ),
    "way.dataplane": Explanation(
        "Pods of the two hosts do not reach each other.",
        "The kernel of one of them differs from the leases; the findings on its data plane say how.",
        _ISSUES + "1155",
        DATAPLANE,
    ),
    "way.tunnel": Explanation(
        "Pods of the two hosts do not reach each other, though the hosts do.",
        "Both kernels are as they should be, so something drops the backend's packets: the firewall of one of them, "
        "or, between them, a security group or a hypervisor that uses the same port.",
        _ISSUES + "2388",
    ),
    "way.unexplained": Explanation(
        "Pods of the two hosts do not reach each other.",
        "Not known: one of the kernels could not be compared with the leases.",
        _GUIDE,
    ),
    "way.pods": Explanation(
        "Pods do not reach pods, though the overlay works from host to host.",
        "A host does not forward: a forward chain drops, a sysctl is off, or the way from bridge to tunnel is another.",
        _ISSUES + "2055",
    ),
    "way.mtu": Explanation(
        "Connections open and then hang: TLS handshakes, downloads, image pulls.",
        "Some link on the path carries less than the overlay's MTU plus its headers, and nobody says so.",
        _ISSUES + "841",
    ),
    "way.lossy": Explanation(
        "Connections stall and are slow.",
        "Load, a bad link, or full neighbour or connection tables on the path.",
        _GUIDE,
    ),
    "way.not_measured": Explanation(
        "Whether pods reach each other there is not known.",
        "A host is silent, or has no address that only the overlay leads to, as with host-gw without pods.",
        _GUIDE,
    ),
    "host.gathered": Explanation("None is known.", "A program is missing, or the run was not root's.", _GUIDE),
    "host.br_netfilter": Explanation(
        "Services are not reached from pods of the same host, and flanneld in iptables mode does not start.",
        "The kernel module is not loaded.",
        _ISSUES + "2068",
    ),
    "host.forwarding": Explanation(
        "Packets to and from pods are dropped by this host.",
        "A sysctl is off, often set by a hardening profile or by a tool that manages links.",
        _SYSCTL,
        NODE,
    ),
    "host.kernel_links": Explanation(
        "The overlay's link cannot be made.", "The kernel lacks the module, as on cloud and edge images.", _GUIDE
    ),
    "host.kubelet_flags": Explanation(
        "The kubelet does not start.",
        "A flag of an older release.",
        "https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/",
    ),
    "host.cgroup": Explanation(
        "The kubelet does not start.",
        "The host boots with the older cgroup version.",
        "https://kubernetes.io/docs/concepts/architecture/cgroups/",
    ),
    "host.runtime_version": Explanation(
        "Pods do not start.",
        "The runtime is older than its Kubernetes allows.",
        "https://kubernetes.io/docs/setup/production-environment/container-runtimes/",
    ),
    "host.clock": Explanation(
        "TLS fails and leases seem to end early.",
        "No time service runs.",
        "https://etcd.io/docs/v3.6/op-guide/hardware/",
    ),
    "host.network_manager": Explanation(
        "Addresses and routes of the overlay vanish when NetworkManager manages its links.",
        "NetworkManager takes every link that it is not told to leave alone.",
        "https://docs.rke2.io/known_issues#networkmanager",
        NODE,
    ),
    "host.networkd": Explanation(
        "Routes and addresses of the overlay vanish when systemd-networkd starts or is reloaded.",
        "systemd-networkd removes what it did not make from links that it manages.",
        "https://www.freedesktop.org/software/systemd/man/latest/networkd.conf.html",
        NODE,
    ),
    "host.mac_policy": Explanation(
        "After a boot the link may have another MAC address than its lease, and peers' packets are dropped.",
        "A .link file with MACAddressPolicy=persistent applies to it.",
        _ISSUES + "1155",
        NODE,
    ),
    "host.checksum_offload": Explanation(
        "Pods answer pings, and TCP or DNS over Services stalls.",
        "Kernel or network card write wrong checksums into encapsulated packets.",
        _ISSUES + "1279",
    ),
    "host.neighbour_table": Explanation(
        "Some peers are not reached, at random.",
        "The kernel's neighbour table is smaller than the number of peers.",
        _SYSCTL,
    ),
    "host.runtime": Explanation("Pods do not start.", "The container runtime does not run.", _GUIDE),
    "host.cni_plugins": Explanation(
        "Pods do not start: failed to find plugin.",
        "A CNI plugin is missing from the runtime's own directory.",
        _ISSUES + "1730",
    ),
    "host.conflist": Explanation(
        "New pods join another network, or none.",
        "Another CNI configuration sorts before this network's.",
        _ISSUES + "1850",
    ),
    "host.leftovers": Explanation(
        "Packets may take the old network's routes or rules.",
        "Another CNI was removed without its files and links.",
        _ISSUES + "836",
    ),
    "host.cni0_address": Explanation(
        "New pods fail (already has an IP address different from ...), running ones are cut off.",
        "The host's subnet changed and the bridge stayed.",
        _ISSUES + "1437",
    ),
    "host.subnet_file": Explanation(
        "New pods do not start, or get an address of another network.",
        "The file is missing, or of another network.",
        _ISSUES + "2253",
        DATAPLANE,
    ),
    "host.pod_addresses": Explanation(
        "Pods with addresses outside of the subnet are not reached from other hosts.",
        "They were started before the subnet changed.",
        _ISSUES + "1437",
    ),
    "host.forward_rules": Explanation(
        "Pods do not reach pods of other hosts; hosts reach each other.",
        "Docker sets the policy of FORWARD to drop; firewalld and ufw drop what no rule takes.",
        _ISSUES + "2055",
    ),
    "host.pod_routes": Explanation(
        "Packets between pods leave by another link, or are dropped without a word.",
        "A rule of policy routing, as for several uplinks or a VPN, rp_filter 1 set by a hardening profile, or a route "
        "that another backend left.",
        _SYSCTL,
    ),
    "host.underlay": Explanation(
        "Peers do not reach this host.",
        "The link has no address, is down, or is not the one that peers use.",
        _ISSUES + "98",
    ),
    "host.range_overlap": Explanation(
        "Packets for pods leave for the other network, or the other way round.",
        "The range of pods is also that of a LAN, a bridge or another network of the host.",
        "https://kubernetes.io/docs/concepts/cluster-administration/networking/",
    ),
    "host.udp_port": Explanation(
        "The overlay's link cannot be made, or gets packets of something else.",
        "Another program or link holds the port.",
        _ISSUES + "1515",
    ),
    "host.overlay_link": Explanation(
        "Packets of peers do not arrive.",
        "The link is another one's, or of an earlier lease.",
        _ISSUES + "869",
        DATAPLANE,
    ),
    "host.link_mtu": Explanation(
        "Large packets are lost or fragmented.",
        "The network config changed and the link or the subnet file did not.",
        _ISSUES + "841",
        DATAPLANE,
    ),
    "host.health_port": Explanation("flanneld does not start.", "Another program holds the port.", _GUIDE),
    "host.firewall": Explanation(
        "flannel's rules cannot be written.",
        "nftables or iptables, or its kernel module, is missing.",
        _ISSUES + "2145",
    ),
    "host.firewall_mixture": Explanation(
        "A rule in one place lets through what another place drops.",
        "Programs on the host use iptables-legacy and nftables at once.",
        _ISSUES + "1317",
    ),
    "host.duplicates": Explanation(
        "Two hosts get each other's packets.",
        "Hosts were cloned, or every host has the same private address.",
        _ISSUES + "51",
    ),
}


def explained(finding: Finding, runs: Collection[str] = (), moved: bool = False) -> dict[str, Any]:
    """Return a finding with its explanation, as JSON can hold it; C(runs) is what its hosts run.

    C(moved): a host's lease has an address that the host has not. Its data plane waits for a lease that fits.
    """
    found = EXPLANATIONS.get(finding.id, Explanation("", "", ""))
    remedy, repair = repairs.settle(finding.id, finding.remedy, found.repair, runs)
    if moved and repair == DATAPLANE:
        remedy, repair = "Give the host a lease that fits first: finding host.lease says how.", ""
    return {**asdict(finding), **found._asdict(), "remedy": remedy, "repair": repair}
