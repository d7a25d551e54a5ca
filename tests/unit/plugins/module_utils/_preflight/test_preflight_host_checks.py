# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every check with a host that is well, one that is not, and one of which nothing is known."""

from __future__ import annotations

import copy
import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.podnet.cni.plugins.module_utils._preflight import report
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import SEVERITIES, STATUSES
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_checks import HOST_CHECKS

CONFIG = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan"}}
BY_ID = {check.id: check for check in HOST_CHECKS}


ANSWERS = {"reachable": True, "sent": 10, "received": 10, "loss": 0.0}


def healthy(name="node1", last=11):
    """The facts of a node that runs flannel, and nothing is wrong with it."""
    return {
        "subject": name,
        "clock": 1000.0,
        "reference_clock": 999.8,
        "root": True,
        "programs": {"ping": True},
        "identity": {"hostname": name, "machine_id": f"m-{name}", "boot_id": f"b-{name}"},
        "kernel": "6.12.9",
        "sysctls": {
            "net.bridge.bridge-nf-call-iptables": "1",
            "net.bridge.bridge-nf-call-ip6tables": "1",
            "net.ipv4.ip_forward": "1",
            "net.ipv6.conf.all.forwarding": "1",
            "net.ipv4.neigh.default.gc_thresh3": "1024",
            "net.ipv6.neigh.default.gc_thresh3": "1024",
        },
        "modules": dict.fromkeys(
            ("br_netfilter", "nf_tables", "nft_compat", "ip_tables", "xt_comment", "xt_MASQUERADE", "xt_mark"), "loaded"
        ),
        "kinds": {"vxlan": True, "bridge": True, "veth": True},
        "links": [
            {"name": "eth0", "kind": None, "mtu": 1500, "up": True, "addresses": [f"198.18.0.{last}/24"], "cni": None},
            {
                "name": "flannel.1",
                "kind": "vxlan",
                "mtu": 1450,
                "up": True,
                "addresses": [f"10.244.{last}.0/32"],
                "cni": None,
                "mac": "0a:00:00:00:00:01",
                "vxlan": {"id": 1, "port": 8472, "link": "eth0", "local": f"198.18.0.{last}"},
            },
            {"name": "cni0", "kind": "bridge", "mtu": 1450, "up": True, "addresses": [f"10.244.{last}.1/24"]},
        ],
        "routes": [{"dst": "0.0.0.0/0", "dev": "eth0", "gateway": "198.18.0.1"}],
        "underlay": {
            "name": "eth0",
            "mtu": 1500,
            "mac": f"02:00:00:00:00:{last}",
            "up": True,
            "addresses": [f"198.18.0.{last}"],
            "public_ip": f"198.18.0.{last}",
            "public_ipv6": None,
        },
        "pod_routes": [
            {
                "source": f"10.244.{last}.2",
                "target": "10.244.12.2",
                "iif": "cni0",
                "dev": "flannel.1",
                "main": "flannel.1",
                "problem": "",
                "rp_filter": "1",
            }
        ],
        "checksum_offload": {"flannel.1": True},
        "udp_checksum_errors": 3,
        "udp_checksum_errors_later": 3,
        "forward_rules": [],
        "ports": {"udp": {"8472": {"process": None, "pid": None}}, "tcp": {"8081": None}},
        "firewall": {
            "iptables": {"version": "1.8.9", "mode": "nf_tables"},
            "ip6tables": {"version": "1.8.9", "mode": "nf_tables"},
            "nft": "nftables v1.0.6",
            "legacy_tables": [],
            "legacy_forward": [],
            "legacy_tables_ipv6": [],
            "tables": ["ip nat", "ip filter"],
            "flannel": ["iptables-nft chain FLANNEL-POSTRTG in table nat, jumps to it: 1"],
        },
        "runtime": {
            "name": "containerd",
            "version": "2.1.4",
            "config_file": "/etc/containerd/config.toml",
            "default_network": None,
            "cri_disabled": False,
        },
        "cni": {
            "conf_dir": "/etc/cni/net.d",
            "plugin_dirs": ["/opt/cni/bin"],
            "files": [
                {"file": "10-flannel.conflist", "network": "cbr0", "problem": "", "plugins": ["flannel", "portmap"]}
            ],
            "winner": "10-flannel.conflist",
            "plugins": {"bridge": "/opt/cni/bin/bridge", "flannel": "/opt/cni/bin/flannel"},
            "elsewhere": {},
        },
        "subnet_file": {
            "path": "/run/flannel/subnet.env",
            "present": True,
            "problem": "",
            "directory": False,
            "values": {
                "FLANNEL_NETWORK": "10.244.0.0/16",
                "FLANNEL_SUBNET": f"10.244.{last}.1/24",
                "FLANNEL_MTU": "1450",
                "FLANNEL_IPMASQ": "true",
            },
        },
        "pod_addresses": [f"10.244.{last}.2"],
        "kubelet": {
            "running": True,
            "version": "v1.36.2",
            "flags": {"config": {"value": "/var/lib/kubelet/config.yaml", "source": "the running kubelet"}},
            "config": {},
        },
        "cgroup_version": 2,
        "network_manager": {"running": True, "unmanaged": {"flannel.1": True, "cni0": True}},
        "networkd": {
            "running": True,
            "foreign_routes": True,
            "links": {
                "flannel.1": {"managed": False},
                "cni0": {"managed": False},
                "eth0": {"managed": True, "file": "/run/systemd/network/10-netplan-eth0.network"},
            },
        },
        "mac_policy": {
            "running": True,
            "links": {"flannel.1": {"file": "/etc/systemd/network/10-podnet-cni.link", "policy": "none"}},
        },
        "udp_listeners": [{"address": f"198.18.0.{last}", "port": 8472, "state": "held", "reason": ""}],
        "udp_probes": [{"target": "node2", "address": "198.18.0.12", "port": 8472, "open": False, "error": "x"}],
        "overlay_probes": [{"target": "node2", "address": "10.244.12.0", "reachable": True}],
        "pod_probes": [{"target": "node2", "address": "10.244.12.2", "reachable": True, "sent": 2, "received": 2}],
        "pod_problem": "",
        "path_probes": [{**ANSWERS, "target": "node2", "address": "198.18.0.12", "largest_packet": 1500}],
        "reasons": {},
    }


def wanted_for(**changes):
    return {
        "network_config": CONFIG,
        "leases": [
            {
                "public_ip": "198.18.0.11",
                "subnet": "10.244.11.0/24",
                "backend_data": {"VNI": 1, "VtepMAC": "0a:00:00:00:00:01"},
            }
        ],
        "hosts": {"node1": healthy(), "node2": healthy("node2", 12)},
        **changes,
    }


def put(facts, path, value):
    """A copy of the facts in which the member under a dotted path (slashes part it) has another value."""
    changed = copy.deepcopy(facts)
    *way, last = path.split("/")
    target = changed
    for name in way:
        target = target[int(name)] if isinstance(target, list) else target[name]
    target[int(last) if isinstance(target, list) else last] = value
    return changed


def failed(name, facts, wanted=None):
    return [one for one in BY_ID[name](facts, wanted if wanted is not None else wanted_for()) if one.status == "failed"]


def test_nothing_is_found_on_a_healthy_host():
    for check in HOST_CHECKS:
        for finding in check(healthy(), wanted_for()):
            assert finding.status in ("ok", "skipped"), finding


def test_ids_are_unique_and_titled():
    assert len(BY_ID) == len(HOST_CHECKS)
    for check in HOST_CHECKS:
        assert check.id.startswith("host.")
        assert check.title


HOST_GW = {"Network": "10.244.0.0/16", "Backend": {"Type": "host-gw"}}
DIRECT = {"Network": "10.244.0.0/16", "Backend": {"Type": "vxlan", "DirectRouting": True}}
FILTER = "sysctls/net.bridge.bridge-nf-call-iptables"
FOREIGN = {"file": "05-cilium.conflist", "network": "cilium", "problem": "", "plugins": ["cilium-cni"]}
OURS = healthy()["cni"]["files"][0]
REJECTS = {
    "family": "inet",
    "table": "firewalld",
    "name": "filter_FORWARD",
    "hook": "forward",
    "policy": "accept",
    "rules": [[{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]],
}
DROPS = {**REJECTS, "family": "ip", "table": "filter", "name": "FORWARD", "policy": "drop", "rules": []}
MULTUS = {"file": "00-multus.conf", "network": "multus", "problem": "", "plugins": ["multus"], "delegate": "cbr0"}
LISTENING = {"node1": healthy(), "node2": put(healthy("node2", 12), "udp_listeners/0/state", "listening")}

# id of the check, path of the fact, its value, what the finding says, what is wanted
# A route that another backend left is narrower than the one of this backend.
SHADOWED = {
    "source": "10.244.11.2",
    "target": "10.244.12.2",
    "iif": "cni0",
    "dev": "eth0",
    "main": "eth0",
    "route": "10.244.12.0/25",
    "problem": "",
    "rp_filter": "1",
}
FAULTS = [
    ("host.br_netfilter", FILTER, "0", "bridge-nf-call-iptables is 0", {}),
    ("host.br_netfilter", FILTER, None, "br_netfilter is not loaded", {}),
    ("host.br_netfilter", FILTER, None, "not loaded", {"network_config": {**CONFIG, "EnableNFTables": True}}),
    ("host.forwarding", "sysctls/net.ipv4.ip_forward", "0", "ip_forward is 0", {}),
    ("host.kernel_links", "kinds/vxlan", False, "cannot make links of kind vxlan", {}),
    ("host.kubelet_flags", "kubelet/flags", {"network-plugin": {"source": "/etc/x"}}, "--network-plugin in /etc/x", {}),
    ("host.cgroup", "cgroup_version", 1, "cgroup v1", {}),
    ("host.runtime_version", "runtime/version", "1.7.27", "containerd 1.7.27", {}),
    ("host.clock", "clock", 1060.0, "60 s ahead", {}),
    ("host.clock", "clock", 900.0, "100 s behind", {}),
    ("host.network_manager", "network_manager/unmanaged/cni0", False, "manages cni0", {}),
    ("host.networkd", "networkd/links/cni0", {"managed": True, "file": "/x/all.network"}, "cni0 by /x/all.network", {}),
    ("host.networkd", "networkd/foreign_routes", True, "it manages eth0, over which", {"network_config": HOST_GW}),
    ("host.networkd", "networkd/foreign_routes", True, "ManageForeignRoutes is on", {"network_config": DIRECT}),
    ("host.mac_policy", "mac_policy/links/flannel.1/policy", "persistent", "MACAddressPolicy=persistent", {}),
    ("host.checksum_offload", "udp_checksum_errors_later", 10, "7 UDP packets", {}),
    ("host.neighbour_table", "sysctls/net.ipv4.neigh.default.gc_thresh3", "128", "128 for 100 nodes", {"nodes": 100}),
    ("host.runtime", "runtime/cri_disabled", True, "cri in disabled_plugins", {}),
    ("host.cni_plugins", "cni/plugins/bridge", None, "bridge is not an executable file", {}),
    ("host.cni_plugins", "cni/plugins", {"cilium-cni": None}, "cilium-cni is not an executable file", {}),
    ("host.cni_plugins", "cni/plugins/flannel", None, "flannel is not an executable file", {}),
    ("host.conflist", "cni/files", [FOREIGN, OURS], "05-cilium.conflist of cilium wins", {}),
    ("host.conflist", "cni/files", [{"file": "00-x.conf", "problem": "no JSON"}, OURS], "00-x.conf is not valid", {}),
    ("host.conflist", "cni/files", [{"file": "99-x.conf", "plugins": ["ptp"]}], "99-x.conf of kindnet wins", {}),
    ("host.conflist", "cni/files", [{**MULTUS, "delegate": "cilium"}, OURS], "hands pods on to cilium", {}),
    ("host.subnet_file", "subnet_file/problem", "line 1: x", "refuses /run/flannel/subnet.env: line 1: x", {}),
    ("host.leftovers", "cni/files", [OURS, {**FOREIGN, "file": "10-weave.conflist"}], "10-weave.conflist of weave", {}),
    ("host.leftovers", "links/2", {"name": "weave", "cni": "weave"}, "links of weave: weave", {}),
    ("host.leftovers", "links/2", {"name": "cali0123456789a", "cni": "calico"}, "links of calico", {}),
    ("host.cni0_address", "links/2/addresses", ["10.244.77.1/24"], "cni0 has 10.244.77.1/24", {}),
    ("host.cni0_address", "links/2/addresses", ["10.244.11.1/24", "10.9.0.1/24"], "10.9.0.1/24", {}),
    ("host.cni0_address", "subnet_file/values/FLANNEL_SUBNET", "10.244.5.1/24", "says 10.244.5.1/24, the lease", {}),
    ("host.subnet_file", "subnet_file/present", False, "there is 10-flannel.conflist, but no", {}),
    ("host.subnet_file", "subnet_file/values/FLANNEL_NETWORK", "10.42.0.0/16", "FLANNEL_NETWORK=10.42.0.0/16", {}),
    ("host.pod_addresses", "pod_addresses", ["10.244.9.9"], "10.244.9.9 given out", {}),
    ("host.underlay", "underlay", None, "it was not gathered", {}),
    ("host.underlay", "underlay/up", False, "eth0 is down", {}),
    ("host.underlay", "underlay/public_ip", None, "no IPv4 address", {}),
    ("host.range_overlap", "links/0/addresses", ["10.244.200.5/24"], "eth0 has 10.244.200.5/24", {}),
    ("host.range_overlap", "routes/0", {"dst": "10.244.9.0/24", "dev": "eth0"}, "route to 10.244.9.0/24", {}),
    ("host.range_overlap", "links/0/addresses", ["10.3.2.4/8"], "the network 10.0.0.0/8 of eth0 contains it", {}),
    ("host.range_overlap", "routes/0", {"dst": "10.0.0.0/8", "dev": "eth0"}, "route to 10.0.0.0/8 over eth0", {}),
    ("host.range_overlap", "links/0", {"name": "docker0", "addresses": ["10.244.77.1/24"]}, "docker0 has", {}),
    ("host.range_overlap", "routes/0", {"dst": "10.244.9.0/26", "type": "blackhole"}, "a blackhole route to", {}),
    ("host.udp_port", "ports/udp/8472", {"process": "dnsmasq", "pid": 7}, "dnsmasq (pid 7) holds UDP 8472", {}),
    ("host.udp_port", "links/1", {"name": "vx0", "kind": "vxlan", "vxlan": {"port": 8472}}, "link vx0 holds", {}),
    ("host.udp_port", "links/2", {"name": "vx0", "kind": "vxlan", "vxlan": {"port": 8472}}, "link vx0 holds", {}),
    ("host.udp_open", "overlay_probes/0/reachable", False, "does not answer over the overlay", {}),
    ("host.udp_open", "udp_probes/0/error", "no answer", "UDP 8472 of node2", {"hosts": LISTENING}),
    ("host.overlay_link", "links/1", {"name": "dummy0"}, "there is no flannel.1, but a lease", {}),
    ("host.overlay_link", "links/1/up", False, "flannel.1 is down", {}),
    ("host.overlay_link", "links/1/mac", "0a:00:00:00:00:99", "and the lease says 0a:00:00:00:00:01", {}),
    ("host.overlay_link", "links/1/vxlan/local", "198.18.0.99", "198.18.0.99, which is on no link", {}),
    ("host.overlay_link", "links/1/vxlan/link", "eth1", "flannel.1 is on eth1, and eth0 is wanted", {}),
    ("host.overlay_link", "links/1/addresses", ["10.42.1.0/32"], "of another network: a flannel of somebody else", {}),
    ("host.overlay_link", "links/1/kind", "bridge", "flannel.1 is a link of kind bridge, not vxlan", {}),
    ("host.forward_rules", "forward_rules", [REJECTS], "chain inet firewalld filter_FORWARD drops packets", {}),
    ("host.pods_reach", "pod_probes/0/reachable", False, "the pod of node2 (10.244.12.2) does not answer", {}),
    ("host.pod_routes", "pod_routes/0/dev", "wg0", "to 10.244.12.2 that arrives on cni0 leaves on wg0", {}),
    ("host.pod_routes", "pod_routes/0/problem", "Invalid cross-device link", "device link): rp_filter is 1", {}),
    ("host.pod_routes", "pod_routes/0/problem", "No route to host", "is not forwarded (No route to host)", {}),
    ("host.pod_routes", "pod_routes/0", SHADOWED, "leaves on eth0 by the route to 10.244.12.0/25", {}),
    ("host.path_loss", "path_probes/0/loss", 30.0, "30 % of 10 packets to node2 are lost", {}),
    ("host.path_mtu", "path_probes/0/largest_packet", 1400, "1400 octets to node2", {}),
    ("host.link_mtu", "links/1/mtu", 1400, "flannel.1 has MTU 1400", {}),
    ("host.link_mtu", "subnet_file/values/FLANNEL_MTU", "1500", "says 1500", {}),
    (
        "host.link_mtu",
        "underlay/mtu",
        1400,
        "pods would get MTU 1450",
        {"network_config": {**CONFIG, "Backend": {"Type": "vxlan", "MTU": 1500}}},
    ),
    ("host.health_port", "ports/tcp/8081", {"process": "nginx", "pid": 8}, "nginx (pid 8) holds TCP 8081", {}),
    ("host.firewall", "modules/xt_comment", "missing", "no xt_comment", {}),
    ("host.firewall_mixture", "firewall/ip6tables/mode", "legacy", "ip6tables is legacy", {}),
    ("host.firewall_mixture", "firewall/legacy_tables", ["nat"], "iptables-legacy has nat", {}),
    ("host.firewall_mixture", "firewall/flannel", ["nftables table ip x", "iptables-nft chain"], "rules are in", {}),
    ("host.duplicates", "underlay/public_ip", "198.18.0.12", "public IP 198.18.0.12 is that of node2", {}),
    ("host.duplicates", "identity/machine_id", "m-node2", "machine id m-node2 is that of node2", {}),
]


@pytest.mark.parametrize(("name", "path", "value", "says", "changes"), FAULTS)
def test_a_fault_is_found(name, path, value, says, changes):
    facts = put(healthy(), path, value)
    found = failed(name, facts, wanted_for(**changes))
    assert [one for one in found if says in one.seen], found
    for one in found:
        assert one.subject == "node1"
        assert one.expected
        assert one.remedy.endswith(".")


def test_every_check_that_can_fail_is_tried():
    assert {fault[0] for fault in FAULTS} == set(BY_ID) - {"host.answers", "host.gathered"}


def test_of_a_host_that_did_not_answer_nothing_else_is_said():
    found = report.findings({"node1": healthy(), "node2": {"lost": True}}, None, wanted_for())
    assert [(one.id, one.status) for one in found if one.subject == "node2"] == [("host.answers", "failed")]
    assert [one.status for one in found if one.id == "host.answers" and one.subject == "node1"] == ["ok"]


def test_what_was_not_gathered_is_named():
    (one,) = BY_ID["host.gathered"]({**healthy(), "root": False, "reasons": {"links": "no ip"}}, {})
    assert one.status == "unknown"
    assert "not root" in one.seen
    assert "links: no ip" in one.seen


@pytest.mark.parametrize(
    ("name", "facts", "changes", "status"),
    [
        ("host.br_netfilter", {"kubelet": {}}, {}, "skipped"),
        ("host.kubelet_flags", {"kubelet": {"version": "v9.9.9", "flags": {"v": {}}}}, {}, "unknown"),
        ("host.kubelet_flags", {"kubelet": {"version": "v1.30.0", "flags": {}}}, {}, "unknown"),
        ("host.cgroup", {"kubelet": {}}, {}, "skipped"),
        ("host.cgroup", {"kubelet": {"running": True, "version": None}}, {}, "unknown"),
        ("host.runtime_version", {"kubelet": {"running": True, "version": None}}, {}, "unknown"),
        ("host.kubelet_flags", {"kubelet": {"running": True, "version": None}}, {}, "unknown"),
        ("host.firewall", {"modules": {}, "firewall_trial": {"iptables": ""}}, {"kubernetes": "1.36"}, "ok"),
        (
            "host.firewall",
            {"modules": {}, "firewall_trial": {"iptables": "no match"}},
            {"kubernetes": "1.36"},
            "failed",
        ),
        ("host.firewall", {"modules": {}, "firewall_trial": {"iptables": None}}, {"kubernetes": "1.36"}, "unknown"),
        ("host.cgroup", {"cgroup_version": 1, "kubelet": {"version": "v1.34.1"}}, {}, "ok"),
        ("host.conflist", {"cni": {"files": [], "conf_dir": "/x"}}, {}, "ok"),
        ("host.conflist", {"cni": {"files": [MULTUS, OURS], "conf_dir": "/x"}}, {}, "ok"),
        ("host.conflist", {"cni": {"files": [{**MULTUS, "delegate": ""}, OURS], "conf_dir": "/x"}}, {}, "unknown"),
        ("host.udp_port", {"ports": {"udp": {"8472": {"process": "flanneld", "pid": 1}}}}, {}, "ok"),
        ("host.udp_port", {}, {"network_config": {"Network": "10.0.0.0/8", "Backend": {"Type": "host-gw"}}}, "skipped"),
        ("host.mac_policy", {}, {"network_config": {"Network": "10.0.0.0/8", "Backend": {"Type": "ipip"}}}, "skipped"),
        ("host.networkd", {"networkd": {"running": False}}, {}, "ok"),
        ("host.networkd", {"networkd": {"running": True, "links": {"cni0": {"managed": None}}}}, {}, "unknown"),
        (
            "host.networkd",
            {"networkd": {"running": True, "foreign_routes": True, "links": {"eth0": {"managed": None}}}},
            {"network_config": HOST_GW},
            "unknown",
        ),
        (
            "host.networkd",
            {"networkd": {"running": True, "foreign_routes": False, "links": {"eth0": {"managed": True}}}},
            {"network_config": HOST_GW},
            "ok",
        ),
        ("host.subnet_file", {"subnet_file": {"present": False}}, {"plugin": "canal"}, "skipped"),
        ("host.path_mtu", {"path_probes": [{"target": "b", "reachable": False}]}, {}, "unknown"),
        ("host.udp_open", {"udp_probes": None}, {}, "skipped"),
        ("host.pods_reach", {"pod_probes": None}, {}, "skipped"),
        ("host.pods_reach", {"pod_probes": []}, {}, "unknown"),
        ("host.pods_reach", {"pod_probes": [], "pod_problem": "no plugin bridge"}, {}, "unknown"),
        ("host.health_port", {}, {"flannel": "0.27.0"}, "skipped"),
        ("host.health_port", {}, {"health_port": 0}, "skipped"),
        ("host.firewall", {"modules": {}}, {}, "unknown"),
        ("host.checksum_offload", {"links": []}, {}, "skipped"),
        ("host.checksum_offload", {"udp_checksum_errors_later": None}, {}, "skipped"),
        ("host.pod_routes", {"pod_routes": None}, {}, "unknown"),
        ("host.pod_routes", {"pod_routes": []}, {}, "skipped"),
        ("host.forward_rules", {"forward_rules": None}, {}, "unknown"),
        ("host.forward_rules", {"forward_rules": [DROPS]}, {}, "ok"),
        ("host.forward_rules", {"forward_rules": [DROPS], "kubelet": {}}, {}, "failed"),
        ("host.overlay_link", {"links": []}, {"leases": []}, "ok"),
    ],
)
def test_what_is_no_fault(name, facts, changes, status):
    found = BY_ID[name]({**healthy(), **facts}, wanted_for(**changes))
    assert {one.status for one in found} == {status}, found


def test_a_host_that_does_not_forward_is_told_of_once():
    facts = put(put(healthy(), "pod_routes/0/problem", "No route to host"), "sysctls/net.ipv4.ip_forward", "0")
    assert failed("host.pod_routes", facts) == []
    assert failed("host.forwarding", facts)


def test_what_another_cni_left_has_one_remedy():
    facts = put(healthy(), "links/2", {"name": "cali0123456789a", "cni": "calico", "addresses": ["10.244.9.9/32"]})
    facts["routes"] += [
        {"dst": "10.244.9.0/26", "type": "blackhole", "protocol": "80", "cni": "calico"},
        {"dst": "10.244.9.9/32", "dev": "cali0123456789a", "cni": "calico"},
    ]
    assert failed("host.range_overlap", facts) == []
    (one,) = failed("host.leftovers", facts)
    assert one.seen == "links of calico: cali0123456789a; routes of calico: 10.244.9.0/26, 10.244.9.9/32"
    assert failed("host.leftovers", facts, wanted_for(plugin="canal")) == []


def test_what_overlaps_no_route_that_leads_everywhere_is_well():
    for target in ("0.0.0.0/0", "0.0.0.0/1", "10.96.0.0/12", "192.168.0.0/16"):
        facts = put(healthy(), "routes/0", {"dst": target, "dev": "eth0", "gateway": "198.18.0.1"})
        assert failed("host.range_overlap", facts) == []
    assert {one.status for one in BY_ID["host.range_overlap"]({**healthy(), "routes": None}, wanted_for())} == {
        "unknown"
    }


def test_bridges_with_addresses_of_the_own_subnet_are_the_pods():
    facts = put(healthy(), "links/0", {"name": "docker0", "addresses": ["10.244.11.1/24"]})
    assert failed("host.range_overlap", facts) == []


@given(
    st.integers(min_value=2, max_value=30).flatmap(
        lambda length: st.tuples(st.just(length), st.integers(min_value=0, max_value=2**length - 1))
    )
)
def test_overlap_is_found_in_both_directions(drawn):
    length, number = drawn
    lan = ipaddress.ip_network((number << (32 - length), length))
    address = f"{lan[1]}/{length}"
    facts = put(healthy(), "links/0/addresses", [address])
    overlaps = lan.overlaps(ipaddress.ip_network(CONFIG["Network"]))
    assert bool(failed("host.range_overlap", facts)) is overlaps


def test_cgroup_v1_is_a_warning_where_the_kubelet_bears_it():
    facts = {**healthy(), "cgroup_version": 1}
    facts["kubelet"] = {**facts["kubelet"], "config": {"failCgroupV1": "false"}}
    assert [one.severity for one in failed("host.cgroup", facts)] == ["warning"]


def test_a_removed_flag_is_found_for_the_version_that_is_to_run():
    facts = healthy()
    facts["kubelet"] = {"version": "v1.34.1", "flags": {"pod-infra-container-image": {"source": "/etc/x"}}}
    assert failed("host.kubelet_flags", facts) == []
    assert failed("host.kubelet_flags", facts, wanted_for(kubernetes="1.35"))


def test_nftables_mode_does_not_demand_br_netfilter_of_a_new_flannel():
    facts = put(healthy(), FILTER, None)
    config = {**CONFIG, "EnableNFTables": True}
    assert [f.severity for f in failed("host.br_netfilter", facts, wanted_for(network_config=config))] == ["warning"]
    old = wanted_for(network_config=config, flannel="0.27.0")
    assert [f.severity for f in failed("host.br_netfilter", facts, old)] == ["error"]


def test_both_families_are_judged():
    config = {**CONFIG, "EnableIPv6": True, "IPv6Network": "fd00::/48"}
    facts = put(healthy(), "sysctls/net.ipv6.conf.all.forwarding", "0")
    assert failed("host.forwarding", facts, wanted_for(network_config=config))
    assert failed("host.forwarding", facts) == []


def test_canal_has_calico_links_and_no_other_file():
    facts = put(healthy(), "links/2", {"name": "cali0123456789a", "cni": "calico"})
    facts["cni"]["files"] = [{"file": "10-canal.conflist", "plugins": ["calico"], "problem": ""}, OURS]
    found = failed("host.leftovers", facts, wanted_for(plugin="canal"))
    assert [one.seen for one in found] == ["10-flannel.conflist of flannel"]
    assert failed("host.conflist", facts, wanted_for(plugin="canal")) == []


def test_crio_goes_by_the_name_of_the_network():
    facts = put(healthy(), "cni/files", [FOREIGN, OURS])
    facts["runtime"]["default_network"] = "cbr0"
    assert failed("host.conflist", facts) == []
    facts["runtime"]["default_network"] = "cilium"
    assert "CRI-O is set" in failed("host.conflist", facts)[0].seen


def test_hosts_of_one_machine_are_no_clones():
    facts = put(healthy(), "identity", {"hostname": "node2", "machine_id": "m-node2", "boot_id": "b-node2"})
    assert failed("host.duplicates", facts) == []


def test_a_task_that_starts_late_is_no_clock_that_is_ahead():
    late = {**healthy(), "clock": 1020.0, "clock_end": 1021.0, "reference_clock": 1000.0, "reference_clock_end": 1022.0}
    assert failed("host.clock", late) == []
    ahead = {**late, "clock": 1120.0, "clock_end": 1121.0}
    assert "99 s ahead" in failed("host.clock", ahead)[0].seen
    behind = {**late, "clock": 940.0, "clock_end": 941.0}
    assert "60 s behind" in failed("host.clock", behind)[0].seen


def test_an_overlay_that_does_not_answer_is_blamed_on_the_link_that_is_wrong():
    facts = put(healthy(), "overlay_probes/0/reachable", False)
    hosts = {"node1": facts, "node2": put(healthy("node2", 12), "links/1/up", False)}
    (one,) = failed("host.udp_open", facts, wanted_for(hosts=hosts))
    assert "on node2: flannel.1 is down" in one.seen
    assert "Open UDP" not in one.remedy
    (one,) = failed("host.udp_open", facts)
    assert "Open UDP 8472" in one.remedy


def test_what_runs_over_another_link_tells_nothing_of_the_one_that_is_wanted():
    facts = put(healthy(), "underlay/name", "eth1")
    assert [one.status for one in BY_ID["host.udp_open"](facts, wanted_for())] == ["unknown"]
    facts["path_probes"][0]["reachable"] = False
    (one,) = failed("host.udp_open", facts)
    assert "does not answer over eth1, which is wanted" in one.seen


def test_a_clock_is_compared_with_the_other_hosts_where_the_controller_is_wrong():
    hosts = {name: {**healthy(name), "clock": 5000.0} for name in ("node1", "node2", "node3")}
    assert failed("host.clock", hosts["node1"], wanted_for(hosts=hosts)) == []


def test_links_over_ipv6_carry_less():
    config = {"EnableIPv6": True, "IPv6Network": "fd00::/48", **CONFIG}
    facts = healthy()
    facts["links"].append({**facts["links"][1], "name": "flannel-v6.1", "mtu": 1430})
    facts["path_probes"] = [{"target": "b", "address": "fd00:18::2", "reachable": True, "largest_packet": 1500}]
    for network in (config, {**config, "EnableIPv4": False}):
        assert failed("host.link_mtu", facts, wanted_for(network_config=network)) == []
        assert failed("host.path_mtu", facts, wanted_for(network_config=network)) == []
    facts["links"][-1]["mtu"] = 1200
    assert [one.expected for one in failed("host.link_mtu", facts, wanted_for(network_config=config))] == ["MTU 1430"]
    facts["path_probes"][0]["largest_packet"] = 1480
    (one,) = failed("host.path_mtu", facts, wanted_for(network_config=config))
    assert "pods get MTU 1410" in one.remedy


def test_the_remedy_of_a_small_path_mtu_is_a_number():
    facts = put(healthy(), "path_probes/0/largest_packet", 1400)
    (one,) = failed("host.path_mtu", facts)
    assert "Set Backend.MTU to 1400 or less" in one.remedy
    assert "MTU 1350" in one.remedy


def paths_in(value, way=()):
    yield way
    if isinstance(value, dict):
        for name, member in value.items():
            yield from paths_in(member, (*way, name))
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from paths_in(member, (*way, number))


PATHS = [way for way in paths_in(healthy()) if way]
JUNK = st.sampled_from(
    [None, "", "x", 0, -1, 1.5, True, [], {}, [None], ["x"], {"x": None}, [[]], [{}], {"a": {"b": 1}}]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), JUNK, st.booleans()), max_size=6), st.booleans(), st.booleans())
def test_no_check_fails_on_partial_or_strange_facts(changes, with_config, kubernetes):
    facts = copy.deepcopy(healthy())
    for way, value, drop in changes:
        target = facts
        for name in way[:-1]:
            try:
                target = target[name]
            except (KeyError, IndexError, TypeError):
                target = None
                break
        try:
            if drop:
                del target[way[-1]]
            else:
                target[way[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue
    wanted = {"hosts": {"node1": facts, "node2": healthy("node2", 12), "node3": None}}
    if with_config:
        wanted.update(network_config=CONFIG, leases=[{"name": "node1", "subnet": "10.244.11.0/24"}])
    if kubernetes:
        wanted["kubernetes"] = "1.36"
    for check in HOST_CHECKS:
        for one in check(facts, wanted):
            assert one.status in STATUSES
            assert one.severity in SEVERITIES
            assert one.seen
            assert (one.status == "failed") <= bool(one.remedy)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(list(healthy())), JUNK),
    st.dictionaries(
        st.sampled_from(
            ["network_config", "plugin", "kubernetes", "flannel", "hosts", "leases", "nodes", "clock_skew"]
        ),
        JUNK,
    ),
)
def test_no_check_fails_on_nonsense(facts, wanted):
    for check in HOST_CHECKS:
        check(facts, wanted)


@pytest.mark.parametrize(
    ("route", "backend"),
    [
        # No route of the overlay's leads there: that is told by the comparison with the leases.
        ("0.0.0.0/0", {"Type": "vxlan"}),
        # These lead over the underlay's own link.
        ("10.244.12.0/24", {"Type": "host-gw"}),
        ("10.244.12.0/24", {"Type": "vxlan", "DirectRouting": True}),
    ],
)
def test_routes_over_the_underlay_that_are_right_are_no_fault(route, backend):
    facts = put(healthy(), "pod_routes/0", {**SHADOWED, "route": route})
    assert failed("host.pod_routes", facts, wanted_for(network_config={**CONFIG, "Backend": backend})) == []


def test_a_second_link_at_the_port_is_a_warning_while_the_overlays_is_there():
    [found] = failed(
        "host.udp_port",
        put(healthy(), "links/2", {"name": "vx0", "kind": "vxlan", "vxlan": {"port": 8472}}),
        wanted_for(),
    )
    assert found.severity == "warning"
