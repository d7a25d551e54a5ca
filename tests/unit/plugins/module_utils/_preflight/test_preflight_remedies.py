# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Do what a remedy says, with the names and numbers that it says, and see whether the finding is gone.

What a remedy does is written here once for its wording, so a remedy that is reworded, or new, has to come here too.
Where it has alternatives, each is tried.
"""

from __future__ import annotations

import copy
import re

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import rank
from ansible_collections.podnet.cni.tests.unit.plugins.module_utils._preflight.test_preflight_host_checks import (
    FAULTS,
    failed,
    healthy,
    put,
    wanted_for,
)

OTHER_RANGE = "100.64.0.0/16"


def sysctl(facts, wanted, name, value):
    facts["sysctls"][name] = value


def load_bridge_filter(facts, wanted):
    facts["modules"]["br_netfilter"] = "loaded"
    # The module brings its settings, which begin with 1.
    facts["sysctls"].update(
        dict.fromkeys(("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"), "1")
    )


def install_module(facts, wanted, kind):
    facts["kinds"][kind] = True


def other_backend(facts, wanted, kind):
    # The kernel is asked after the links of the new backend.
    del facts["kinds"][kind]
    wanted["network_config"] = {**wanted["network_config"], "Backend": {"Type": "host-gw"}}


def take_flag_out(facts, wanted, name, _where):
    del facts["kubelet"]["flags"][name]


def newer_runtime(facts, wanted, version):
    facts["runtime"]["version"] = f"{version}.0"


def main_table_first(facts, wanted, target):
    for way in facts["pod_routes"]:
        if way["target"] == target:
            way.update(dev=way["main"], problem="")


def no_shadow(facts, wanted, destination, link):
    for way in facts["pod_routes"]:
        if (way["route"], way["main"]) == (destination, link):
            way.update(route="10.244.12.0/24", dev="flannel.1", main="flannel.1")


def loose_filter(facts, wanted, _link):
    for way in facts["pod_routes"]:
        way.update(rp_filter="2", problem="")


def right_clock(facts, wanted):
    facts["clock"] = facts["reference_clock"]


def unmanage(facts, wanted, patterns):
    for name in facts["network_manager"]["unmanaged"]:
        if any(re.fullmatch(each.split(":")[1].replace("*", ".*"), name) for each in patterns.split(";")):
            facts["network_manager"]["unmanaged"][name] = True


def network_file(facts, wanted, patterns):
    for name in facts["networkd"]["links"]:
        if any(re.fullmatch(each.replace("*", ".*"), name) for each in patterns.split()):
            facts["networkd"]["links"][name] = {"managed": False}


def keep_routes(facts, wanted):
    facts["networkd"]["foreign_routes"] = False


def link_file(facts, wanted, pattern, policy):
    for name, link in facts["mac_policy"]["links"].items():
        if re.fullmatch(pattern.replace("*", ".*"), name):
            link["policy"] = policy


def no_offload(facts, wanted, name):
    facts["checksum_offload"][name] = False
    # Nothing is counted any more in the next measurement.
    facts["udp_checksum_errors"] = facts["udp_checksum_errors_later"]


def more_neighbours(facts, wanted, name):
    facts["sysctls"][name + "3"] = "8192"


def enable_cri(facts, wanted):
    facts["runtime"]["cri_disabled"] = False


def install_plugins(facts, wanted):
    facts["cni"]["plugins"] = {name: f"/opt/cni/bin/{name}" for name in ("bridge", "flannel", "host-local", "portmap")}


def install_plugin(facts, wanted, name, _file):
    facts["cni"]["plugins"][name] = f"/opt/cni/bin/{name}"


def remove_file(facts, wanted, name, *_more):
    facts["cni"]["files"] = [each for each in facts["cni"]["files"] if each["file"] != name]


def remove_calling_file(facts, wanted, name, file):
    remove_file(facts, wanted, file)
    # Only what some configuration calls is looked for.
    del facts["cni"]["plugins"][name]


def repair_file(facts, wanted, name):
    for each in facts["cni"]["files"]:
        if each["file"] == name:
            each.update({"problem": "", "network": "cbr0", "plugins": ["flannel", "portmap"]})


def multus_delegate(facts, wanted, file):
    network = next(each["network"] for each in facts["cni"]["files"] if each["file"] == file)
    for each in facts["cni"]["files"]:
        if "delegate" in each:
            each["delegate"] = network


def restart_flannel(facts, wanted, *_more):
    """flanneld and the role overlay write the subnet file and make the link as the lease says."""
    well = healthy()
    facts["subnet_file"] = well["subnet_file"]
    facts["cni"]["plugins"].setdefault("flannel", None)
    facts["cni"]["plugins"]["flannel"] = "/opt/cni/bin/flannel"
    others = [each for each in facts["links"] if not each["name"].startswith(("flannel", "dummy"))]
    facts["links"] = [well["links"][1], *others]


def remove_links(facts, wanted, plugin, *_more):
    facts["links"] = [each for each in facts["links"] if each.get("cni") != plugin]
    facts["routes"] = [each for each in facts["routes"] if each.get("cni") != plugin]


def delete_bridge(facts, wanted):
    facts["links"] = [each for each in facts["links"] if each["name"] != "cni0"]
    facts["pod_addresses"] = []


def no_addresses(facts, wanted):
    facts["pod_addresses"] = []


def name_interface(facts, wanted, *_more):
    facts["underlay"] = healthy()["underlay"]


def link_up(facts, wanted, name):
    if facts["underlay"]["name"] == name:
        facts["underlay"]["up"] = True
    for each in facts["links"]:
        if each["name"] == name:
            each["up"] = True


def give_address(facts, wanted, _name):
    facts["underlay"]["public_ip"] = "198.18.0.11"


def without_ipv4(facts, wanted, _name):
    wanted["network_config"] = {
        "EnableIPv4": False,
        "EnableIPv6": True,
        "IPv6Network": "fd00:244::/48",
        "Backend": {"Type": "vxlan"},
    }
    facts["underlay"]["public_ipv6"] = "fd00:18::11"


def other_range(facts, wanted, *_more):
    wanted["network_config"] = {**wanted["network_config"], "Network": OTHER_RANGE}


def remove_route(facts, wanted, destination):
    facts["routes"] = [each for each in facts["routes"] if each["dst"] != destination]


def stop_process(facts, wanted, name):
    for ports in facts["ports"].values():
        for port, holder in ports.items():
            if holder and holder.get("process") == name:
                ports[port] = None


def other_port(facts, wanted, *_more):
    backend = {**wanted["network_config"]["Backend"], "Port": 4789}
    wanted["network_config"] = {**wanted["network_config"], "Backend": backend}
    facts["ports"]["udp"]["4789"] = None


def other_health_port(facts, wanted, *_more):
    wanted["health_port"] = 8085
    # The port that is to be used is the one that is looked at.
    facts["ports"]["tcp"] = {"8085": None}


def remove_link(facts, wanted, name):
    facts["links"] = [each for each in facts["links"] if each["name"] != name]
    if name.startswith("flannel"):
        wanted["leases"] = []


def open_port(facts, wanted, *_more):
    for each in facts["udp_probes"]:
        each["open"] = True
    for each in facts["overlay_probes"]:
        each["reachable"] = True


def let_pods_through(facts, wanted):
    """Whatever the named finding or the doctor found in the way."""
    for each in facts["pod_probes"]:
        each["reachable"] = True


def firewalld_zone(facts, wanted, interfaces):
    """What firewalld makes of a zone that accepts: jumps for its interfaces, before the reject at the end."""
    names = re.findall(r"--add-interface=(\S+)", interfaces)
    accepts = [
        [
            {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": name}},
            {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": {"set": names}}},
            {"accept": None},
        ]
        for name in names
    ]
    for chain in facts["forward_rules"]:
        chain["rules"] = [*accepts, *chain["rules"]]


def smaller_packets(facts, wanted, size):
    backend = {**wanted["network_config"]["Backend"], "MTU": int(size)}
    wanted["network_config"] = {**wanted["network_config"], "Backend": backend}
    inside = int(size) - 50
    facts["links"][1]["mtu"] = inside
    facts["subnet_file"]["values"]["FLANNEL_MTU"] = str(inside)


def mend_link(facts, wanted, name):
    assert facts["underlay"]["name"] == name
    for each in facts["path_probes"]:
        each["loss"] = 0.0


def raise_way(facts, wanted, *_more):
    for each in facts["path_probes"]:
        each["largest_packet"] = 1500


def raise_link(facts, wanted, _size, name):
    assert facts["underlay"]["name"] == name
    facts["underlay"]["mtu"] = 1500


def make_link_anew(facts, wanted):
    well = healthy()
    facts["links"][1] = well["links"][1]
    facts["subnet_file"] = well["subnet_file"]


def load_modules(facts, wanted, names):
    facts["modules"].update(dict.fromkeys(names.split(", "), "loaded"))


def use_nftables(facts, wanted, _names):
    wanted["network_config"] = {**wanted["network_config"], "EnableNFTables": True}


def one_mode(facts, wanted):
    facts["firewall"]["ip6tables"]["mode"] = facts["firewall"]["iptables"]["mode"]


def flush_legacy(facts, wanted):
    facts["firewall"]["legacy_tables"] = []


def clear_leftovers(facts, wanted):
    facts["firewall"]["flannel"] = facts["firewall"]["flannel"][:1]


def new_machine_id(facts, wanted):
    facts["identity"]["machine_id"] = "m-new"


def cgroup_two(facts, wanted):
    facts["cgroup_version"] = 2


def bear_cgroup_one(facts, wanted):
    facts["kubelet"]["config"]["failCgroupV1"] = "false"


DOING = [
    (r"Set (net\.\S+) to (\d)", [sysctl]),
    (r"Load br_netfilter now", [load_bridge_filter]),
    (r"Install and load the kernel module (\w+) .* or choose another backend", [install_module, other_backend]),
    (r"Take --(\S+) out of (\S+) before the kubelet", [take_flag_out]),
    (r"Move the node to cgroup v2, or set failCgroupV1 to false", [cgroup_two, bear_cgroup_one]),
    (r"Run containerd (\d+\.\d+) or newer", [newer_runtime]),
    (r"Set the clock by NTP", [right_clock]),
    (r"Name them in unmanaged-devices .*, as (\S+)\.$", [unmanage]),
    (r"Put a \.network file before all others that matches Name=(.+) and says Unmanaged=yes", [network_file]),
    (r"Say ManageForeignRoutes=no", [keep_routes]),
    (r"Put a \.link file before it that matches OriginalName=(\S+) and says MACAddressPolicy=(\w+)", [link_file]),
    (r"ethtool -K (\S+) tx-checksum-ip-generic off", [no_offload]),
    (r"Raise (net\.\S+thresh)1, 2 and 3", [more_neighbours]),
    (r"Take cri out of disabled_plugins", [enable_cri]),
    (r"Install the reference plugins", [install_plugins]),
    (r"Install (\S+), or take the configuration away that calls it \((\S+)\)", [install_plugin, remove_calling_file]),
    (r"Restart the flannel pod of this node", [restart_flannel]),
    (r"Move /etc/cni/net\.d/(\S+) away", [remove_file]),
    (r"Repair /etc/cni/net\.d/(\S+) or move it out", [repair_file, remove_file]),
    (r"Set Multus's clusterNetwork to the network of (\S+) and", [multus_delegate]),
    (r"Remove /etc/cni/net\.d/(\S+) if", [remove_file]),
    (r"If (\w+) is gone, restart the host, or remove its links .* and routes", [remove_links]),
    (r"Drain the node, delete cni0 and the files below", [delete_bridge]),
    (r"Restart those pods; where they are gone, remove their files", [no_addresses]),
    (r"Name the host's interface or public IP", [name_interface]),
    (r"Name each host's interface or public IP", [name_interface]),
    (r"Bring (\S+) up, or name another interface", [link_up, name_interface]),
    (r"Bring it up \(ip link set (\S+) up\), or", [link_up, restart_flannel]),
    (r"Give (\S+) an IPv4 address, or disable IPv4", [give_address, without_ipv4]),
    (r"Choose another range for pods; it must not", [other_range]),
    (r"Choose a range for pods outside of", [other_range]),
    (r"Remove the route \((\S+)\) if it is left over; else choose another range", [remove_route, other_range]),
    (r"Remove it \(ip route del blackhole (\S+)\)", [remove_route]),
    (r"Stop (\S+), or choose another port", [stop_process, other_port]),
    (r"Remove (\S+) if it is left over; else choose another port", [remove_link, other_port]),
    (r"Open UDP \d+ between the hosts", [open_port]),
    (r"ip -4 rule add to (\S+) lookup main", [main_table_first]),
    (r"ip -4 route del (\S+) dev (\S+)\. Remove its link", [no_shadow]),
    (r"net\.ipv4\.conf\.(\S+)\.rp_filter=2", [loose_filter]),
    (r"Correct what host.forward_rules and host.udp_open of both hosts say", [let_pods_through]),
    (r"(?:If that flannel is gone, remove|Remove it) \S* ?\(ip link del (\S+)\)", [remove_link]),
    (r"See why flanneld is not ready .* Where flannel was removed, remove the file too", [restart_flannel]),
    (r"Delete flannel's link and restart flanneld", [make_link_anew]),
    (r"[Rr]estart flanneld on this host|Run podnet\.cni\.overlay", [restart_flannel]),
    (r"--zone=trusted (.+), then firewall-cmd --reload", [firewalld_zone]),
    (r"Look at load and errors of (\S+) on both ends", [mend_link]),
    (r"Set Backend\.MTU to (\d+) or less on all hosts", [smaller_packets, raise_way]),
    (
        r"Set Backend\.MTU to (\d+) or less, or raise the MTU of (\S+)\.$",
        [lambda f, w, size, _n: smaller_packets(f, w, size), raise_link],
    ),
    (r"Choose another health port for flannel .*, or move (\S+) elsewhere", [other_health_port, stop_process]),
    (r"Install the kernel modules ([\w, ]+) \(.*\)\. Or set EnableNFTables", [load_modules, use_nftables]),
    (r"Choose one for both", [one_mode]),
    (r"Find out who writes the legacy rules", [flush_legacy]),
    (r"Remove what flanneld left from its other mode", [clear_leftovers]),
    (r"Make a new one on the clone: rm /etc/machine-id", [new_machine_id]),
]


@pytest.mark.parametrize(("name", "path", "value", "says", "changes"), FAULTS)
def test_who_does_what_the_remedy_says_is_rid_of_the_finding(name, path, value, says, changes):
    before, wanted_before = put(healthy(), path, value), wanted_for(**changes)
    (found, *_others) = [one for one in failed(name, before, wanted_before) if says in one.seen]
    doing = [(re.search(pattern, found.remedy), ways) for pattern, ways in DOING]
    matched, ways = next((each for each in doing if each[0]), (None, None))
    assert matched, f"nobody has tried this remedy: {found.remedy}"
    for way in ways:
        facts, wanted = copy.deepcopy(before), copy.deepcopy(wanted_before)
        way(facts, wanted, *matched.groups())
        left = [
            one
            for one in failed(name, facts, wanted)
            if (one.seen == found.seen or says in one.seen) and rank(one.severity) >= rank(found.severity)
        ]
        assert left == [], f"{way.__name__} did not help against: {found.seen}. {found.remedy}"


def test_every_remedy_that_is_tried_here_is_given():
    given = [
        one.remedy
        for name, path, value, says, changes in FAULTS
        for one in failed(name, put(healthy(), path, value), wanted_for(**changes))
    ]
    assert [pattern for pattern, _ways in DOING if not any(re.search(pattern, each) for each in given)] == []
