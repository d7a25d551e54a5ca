# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of an overlay of three lab hosts: how each is seeded, and what its finding says to do about it."""

from __future__ import annotations

from typing import NamedTuple

ETCDCTL = "ETCDCTL_API=3 etcdctl --endpoints=http://198.18.0.10:2379"
LEASES = "/coreos.com/network/subnets"


class Fault(NamedTuple):
    """What the doctor has to call C(finding) on C(host) after the shell lines C(seed) ran there, and its repair.

    Without C(says) the doctor repairs it. Else C(says) is a pattern of what the finding says (seen and remedy), and
    C(mend) the shell lines that do it, with the groups of the pattern in the place of {0} and so on.
    """

    finding: str
    host: str
    seed: str
    says: str = ""
    mend: str = ""
    subject: str = ""

    @property
    def name(self) -> tuple[str, str]:
        """Finding and subject."""
        return self.finding, self.subject or self.host


OTHER_CNI = """
echo '{"cniVersion": "1.0.0", "name": "other", "plugins": [{"type": "nothere"}]}' > /etc/cni/net.d/00-other.conflist
"""
TAKEN_ELSEWHERE = """
ip link add up1 type veth peer name up2
ip link set up1 up
ip link set up2 up
ip route add default dev up1 table 100
ip rule add iif cni0 lookup 100 pref 500
"""
LEFT_OF_A_HOST = """
ip route add 10.244.77.0/24 via 10.244.77.0 dev flannel.1 onlink
ip neigh add 10.244.77.0 lladdr 02:00:00:00:00:77 dev flannel.1 nud permanent
bridge fdb append 02:00:00:00:00:77 dev flannel.1 dst 198.18.0.77
"""
DOCKER = """
iptables-nft -N DOCKER-USER
iptables-nft -A DOCKER-USER -j RETURN
iptables-nft -A FORWARD -j DOCKER-USER
iptables-nft -P FORWARD DROP
"""
HOLE = "nft 'table inet hole { chain in { type filter hook input priority 0; udp dport 8472 drop; }; }'"
LOSSY = "nft 'table inet lossy { chain in { type filter hook input priority 0; udp dport 8472 %s drop; }; }'"
APART = "nft 'table inet apart { chain in { type filter hook input priority 0; ip6 saddr fd00:18::c drop; }; }'"
# An address that every virtual machine of one kind has, and the default route over it.
SAME_ADDRESS = """
ip link add nat0 type veth peer name nat1
ip link set nat0 up
ip link set nat1 up
ip address add 10.0.2.15/24 dev nat0
ip route replace default via 10.0.2.2 dev nat0
"""
ANOTHER_ADDRESS = """
ip address del 198.18.0.13/24 dev eth0
ip address add 198.18.0.93/24 dev eth0
"""

# Those of one round do not hide each other.
HOSTS_AND_FILES = (
    Fault("host.conflist", "node1", OTHER_CNI, r"Move (\S+) away once nothing needs it", "rm {0}"),
    Fault("host.cni_plugins", "node1", "", r"take the configuration away that calls it \(00-other\.conflist\)"),
    Fault(
        "host.leftovers",
        "node1",
        "ip link add cilium_host type veth peer name cilium_net",
        r"links of cilium: (cilium_\w+).*remove its links \((ip link del)\)",
        "{1} {0}",
    ),
    Fault(
        "host.pod_addresses",
        "node1",
        "mkdir -p /var/lib/cni/networks/cbr0; touch /var/lib/cni/networks/cbr0/10.9.9.9",
        r"^(\S+) given out.*where they are gone, remove their files below (\S+)\.",
        "rm {1}/{0}",
    ),
    Fault(
        "host.pod_routes",
        "node2",
        TAKEN_ELSEWHERE,
        r"(ip -4 rule add to )\S+( lookup main pref 100), with the pods' range in place of the address",
        "{0}10.244.0.0/16{1}",
    ),
    Fault(
        "host.range_overlap",
        "node2",
        "ip route add 10.244.99.0/24 dev eth0",
        r"Remove the route \((\S+)\) if it is left over",
        "ip route del {0}",
    ),
    Fault(
        "host.firewall_mixture",
        "node2",
        "iptables-legacy -A FORWARD -j ACCEPT; iptables-nft -A FORWARD -j ACCEPT",
        r"iptables-legacy has filter and nf_tables has ip filter",
        # The kernel lists a table of iptables-legacy until the next boot, so the other one goes here.
        "iptables-legacy -F FORWARD; nft delete table ip filter",
    ),
    Fault("dataplane.mac", "node3", "ip link set flannel.1 address 02:00:00:00:00:99"),
    Fault("dataplane.file", "node3", "rm /run/flannel/subnet.env"),
    Fault("dataplane.boot", "node3", "rm /etc/podnet-cni/ip.batch"),
    Fault("dataplane.firewall", "node3", "nft flush ruleset"),
    Fault("dataplane.stale", "node3", LEFT_OF_A_HOST),
    Fault("way.dataplane", "node3", ""),
    Fault(
        "network.leases",
        "store1",
        f'{ETCDCTL} put {LEASES}/10.244.7.0-24-x \'{{"PublicIP":"198.18.0.99"}}\'',
        r"'(\S+)' is not a subnet key.*delete it with (etcdctl del)",
        f"{ETCDCTL} del {{0}}",
        "network",
    ),
)
LINK_AND_TUNNEL = (
    Fault(
        "host.udp_port",
        "node1",
        "ip link del flannel.1; ip link add vx0 type vxlan id 7 dev eth0 dstport 8472; ip link set vx0 up",
        r"link vx0 holds UDP 8472.*Remove (vx0) if it is left over",
        "ip link del {0}",
    ),
    # The doctor says what is in its way, and repairs it in the next run.
    Fault("dataplane.link", "node1", "", r"needs: add link flannel\.1"),
    Fault(
        "way.tunnel",
        "node3",
        HOLE,
        r"UDP 8472 from node\d.* arrives at node3: its firewall drops it \(by chain inet hole in: udp dport 8472 drop\)"
        r".*On node3: (nft insert rule inet hole in udp dport 8472 accept)\.",
        "{0}",
    ),
)
FORWARDING = (
    Fault("dataplane.link", "node1", ""),
    Fault(
        "host.cni0_address",
        "node2",
        "ip address add 10.244.200.1/24 dev cni0",
        r"delete cni0 and the files below (\S+) and (\S+), and restart its pods",
        "ip link del cni0; rm -rf {0} {1}",
    ),
    Fault(
        "host.forward_rules",
        "node3",
        DOCKER,
        r"Let (10\S+) through .*: (iptables -I DOCKER-USER -s )RANGE( -j ACCEPT), and -d",
        "iptables-nft -I DOCKER-USER -s {0}{2}; iptables-nft -I DOCKER-USER -d {0}{2}",
    ),
    Fault("way.pods", "node3", "", r"every forward chain \(see host\.forward_rules\)"),
    Fault(
        "way.lossy",
        "node1",
        LOSSY % "numgen random mod 4 == 0",
        r"errors of the links on both ends",
        "nft delete table inet lossy",
    ),
    Fault(
        "host.checksum_offload",
        "node2",
        "",
        r"Try on all hosts: ethtool -K flannel\.1 tx-checksum-ip-generic off",
    ),
)
ADDRESSES = (
    # As a backend that is not used any more leaves it.
    Fault(
        "host.pod_routes",
        "node1",
        "ip route add $(ip -4 route show proto boot | sed -n 's|/24 via .* dev flannel.*|/25|p' | head -n 1) dev eth0",
        r"by the route to \S+.*(ip -4 route del \S+ dev eth0)",
        "{0}",
    ),
    Fault(
        "host.lease",
        "node3",
        ANOTHER_ADDRESS,
        r"correct overlay_public_ip, release the lease with podnet\.cni\.flannel_lease "
        r"\(state=absent, nodes=(\[\{name: node3, subnet: \S+\}\])\), and run podnet\.cni\.overlay",
    ),
    Fault(
        "way.underlay",
        "node1",
        APART,
        r"Look at links, routes and firewalls between the hosts themselves",
        "nft delete table inet apart",
        "node1 -> node2",
    ),
)
