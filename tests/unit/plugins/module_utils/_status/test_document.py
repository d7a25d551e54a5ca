# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document of a network: healthy ones, and every fault found by name, in the family and on the host that has it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ansible_collections.podnet.cni.plugins.module_utils._dataplane.model import Address, FdbEntry, Link, Neighbour
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.plan import LinkChange, Plan
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._preflight import report
from ansible_collections.podnet.cni.plugins.module_utils._status import (
    checks,
    document,
    explain,
    hosts,
    repairs,
    saved,
)
from ansible_collections.podnet.cni.tests.unit._gathered import (
    differs,
    failed,
    measured,
    network,
    open_questions,
    route,
)

SCHEMA = json.loads((Path(__file__).parents[5] / "docs" / "status.schema.json").read_text(encoding="utf-8"))


def build(gathered: dict[str, Any]) -> dict[str, Any]:
    """The document, which is of the published shape."""
    made = document.build(gathered)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(made)))
    return made


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
@pytest.mark.parametrize("ipv6", [False, True])
def test_a_healthy_network_has_no_finding(backend: str, ipv6: bool) -> None:
    made = build(measured(network(backend=backend, ipv6=ipv6)))
    assert (made["verdict"]["state"], failed(made), open_questions(made)) == ("well", set(), set())
    assert [pairs["fine"] for pairs in made["pairs"]] == [6] * (1 + ipv6)
    assert made["network"]["families"] == ([4, 6] if ipv6 else [4])


def test_one_family_that_is_lost_is_found() -> None:
    """The old report said "6 of 6 pairs" of a network that had lost all IPv4."""
    made = build(
        measured(network(pods=False), lambda _from, _to, layer, family, _size: layer == "underlay" or family == 6)
    )
    assert made["verdict"]["state"] == "broken"
    assert [(each["family"], each["fine"], each["none"]) for each in made["pairs"]] == [(4, 0, 6), (6, 6, 0)]
    seen = {each["seen"] for each in made["findings"] if each["id"] == "way.tunnel"}
    assert seen and all("over IPv4" in text for text in seen)
    assert "8472/udp" in next(each["remedy"] for each in made["findings"] if each["id"] == "way.tunnel")


def test_host_gw_without_pods_is_not_known() -> None:
    """The old report measured nothing there, and passed."""
    made = build(measured(network(backend="host-gw", pods=False)))
    assert made["verdict"]["state"] == "not_known"
    assert [(each["fine"], each["not_measured"]) for each in made["pairs"]] == [(0, 6), (0, 6)]
    assert ("way.not_measured", "network") in open_questions(made)


def test_a_silent_host_is_in_it_and_the_verdict_is_not_known() -> None:
    gathered = network()
    gathered["hosts"]["node2"] = {"reason": "Failed to connect to the host via ssh", "public_ips": ["198.18.0.3"]}
    made = build(measured(gathered))
    assert made["verdict"]["state"] == "not_known"
    assert [(host["name"], host["state"]) for host in made["hosts"]][1] == ("node2", "silent")
    assert open_questions(made) == {("host.silent", "node2")}
    ways = {(way["source"], way["state"]) for way in made["links"] if way["layer"] == "overlay"}
    assert ways == {("node1", "fine"), ("node3", "fine"), ("node2", "not_measured")}


def test_a_lease_of_no_host_of_the_inventory_is_a_silent_host_unless_left_out() -> None:
    gathered = network()
    del gathered["hosts"]["node3"]
    made = build(measured(gathered))
    assert made["hosts"][2]["name"] == "198.18.0.4"
    assert made["hosts"][2]["expected_by"] == "lease"
    assert made["verdict"]["state"] == "not_known"
    gathered["left_out"] = ["198.18.0.4"]
    made = build(measured(gathered))
    assert (made["verdict"]["state"], made["hosts"][2]["state"]) == ("well", "left_out")
    assert [pairs["possible"] for pairs in made["pairs"]] == [2, 2]


def test_a_host_that_the_run_leaves_out_has_its_name_and_is_not_said_to_be_in_no_inventory() -> None:
    gathered = network()
    del gathered["hosts"]["node3"]
    gathered["unasked"] = {"node3": ["198.18.0.4", "", "node3.example.org"], "store1": ["", "", ""]}
    made = build(measured(gathered))
    assert made["hosts"][2]["name"] == "node3"
    assert "not among the hosts of this run" in made["hosts"][2]["reason"]
    [silent] = [each for each in made["findings"] if each["id"] == "host.silent"]
    assert silent["remedy"].startswith("Run without --limit")
    assert (made["verdict"]["state"], made["hosts"][2]["state"]) == ("not_known", "silent")


@pytest.mark.parametrize("number", [0, 1])
def test_an_empty_set_proves_nothing(number: int) -> None:
    made = build(measured(network(number)))
    assert made["verdict"]["state"] == "not_known"


def test_a_store_that_is_away_leaves_what_hosts_tell() -> None:
    gathered = network()
    gathered["store"] = {"state": "away", "kind": "etcd", "reason": "etcd is unreachable", "leases": [], "problems": []}
    made = build(measured(gathered))
    assert made["verdict"]["state"] == "not_known"
    assert ("network.store", "network") in open_questions(made)
    assert {host["state"] for host in made["hosts"]} == {"heard"}
    assert {way["state"] for way in made["links"] if way["layer"] == "pod"} == {"fine"}


def test_a_store_that_is_away_leaves_the_ways_that_the_hosts_files_tell() -> None:
    gathered = network(pods=False)
    for number, entry in enumerate(gathered["hosts"].values(), start=1):
        values = {"FLANNEL_SUBNET": f"10.244.{number}.1/24", "FLANNEL_IPV6_SUBNET": f"fd00:10:244:{number}::1/64"}
        entry["facts"]["subnet_file"] = {"path": "/run/flannel/subnet.env", "present": True, "values": values}
        entry["facts"]["underlay"].update(public_ip=f"198.18.0.{number + 1}", public_ipv6=f"fd00:18::{number}")
        entry["dataplane"] = {"msg": "the leases were not read"}
    gathered["store"] = {"state": "away", "kind": "etcd", "reason": "etcd is unreachable", "leases": [], "problems": []}
    made = build(measured(gathered))
    assert [pairs["fine"] for pairs in made["pairs"]] == [6, 6]
    assert (made["verdict"]["state"], {host["has_lease"] for host in made["hosts"]}) == ("not_known", {False})


def test_without_a_network_config_nothing_is_known() -> None:
    gathered = network()
    gathered["network_config"] = None
    assert build(gathered)["verdict"]["state"] == "not_known"
    gathered["network_config"] = {"Network": "nothing", "Backend": {"Type": "vxlan"}}
    made = build(gathered)
    assert any("nothing" in each["seen"] for each in made["findings"] if each["id"] == "network.config")


VTEP = Link("flannel.1", "vxlan", 1450, mac=bytes.fromhex("020000000001"), vni=1)
PEER = socket.inet_aton("198.18.0.3")
NODE3_V6 = socket.inet_pton(socket.AF_INET6, "fd00:10:244:3::")
NEIGHBOUR_V6 = Neighbour("flannel-v6.1", NODE3_V6, bytes.fromhex("020000000003"))
# Name of a check, what differs on node1, and a word of what it says.
DRIFT = [
    ("dataplane.peers_missing", Plan(set_routes=[route(2)]), "node2 over IPv4"),
    ("dataplane.peers_missing", Plan(set_neighbours=[NEIGHBOUR_V6]), "node3 over IPv6"),
    (
        "dataplane.wrong_vtep",
        Plan(
            remove_fdb=[FdbEntry("flannel.1", bytes.fromhex("020000000099"), PEER)],
            set_fdb=[FdbEntry("flannel.1", bytes.fromhex("020000000002"), PEER)],
        ),
        "node2 over IPv4 carry the MAC 02:00:00:00:00:99, its lease has 02:00:00:00:00:02",
    ),
    ("dataplane.stale", Plan(remove_routes=[route(9)]), "10.244.9.0/24"),
    ("dataplane.link", Plan(create_links=[VTEP]), "flannel.1"),
    ("dataplane.link", Plan(add_addresses=[Address("flannel.1", socket.inet_aton("10.244.1.0"), 32)]), "10.244.1.0/32"),
]


@pytest.mark.parametrize(("name", "plan", "words"), DRIFT)
def test_what_differs_from_the_leases_is_found(name: str, plan: Plan, words: str) -> None:
    gathered = network()
    differs(gathered, "node1", plan)
    made = build(measured(gathered))
    assert failed(made) == {(name, "node1")}
    [finding] = [each for each in made["findings"] if each["status"] == "failed"]
    assert words in finding["seen"]
    assert finding["repair"] == repairs.DATAPLANE
    assert [host["verdict"] for host in made["hosts"]][1:] == ["well", "well"]


def test_a_link_with_another_mac_is_found() -> None:
    gathered = network()
    change = LinkChange(VTEP, "address", "02:00:00:00:00:77", "02:00:00:00:00:01")
    differs(gathered, "node1", Plan(change_links=[change]))
    assert failed(build(measured(gathered))) == {("dataplane.mac", "node1")}


@pytest.mark.parametrize(
    ("part", "action", "name", "verdict"),
    [
        ("subnet_file", "write /run/flannel/subnet.env", "dataplane.file", "broken"),
        ("boot", "write /etc/podnet-cni/ip.batch", "dataplane.boot", "impaired"),
        ("firewall", "add table inet podnet-cni", "dataplane.firewall", "broken"),
        ("kernel", "set 4999 routes", "dataplane.peers_missing", "broken"),
    ],
)
def test_files_firewall_and_long_lists_are_found(part: str, action: str, name: str, verdict: str) -> None:
    gathered = network()
    gathered["hosts"]["node2"]["facts"]["subnet_file"] = {
        "path": "/run/flannel/subnet.env",
        "present": True,
        "values": {},
    }
    gathered["hosts"]["node2"]["dataplane"]["parts"] = {part: [action]}
    made = build(measured(gathered))
    assert failed(made) == {(name, "node2")}
    assert made["verdict"]["state"] == verdict


def test_a_host_that_could_not_be_compared_is_not_known() -> None:
    gathered = network()
    gathered["hosts"]["node1"]["dataplane"] = {"msg": "pyroute2 is missing"}
    made = build(measured(gathered))
    assert made["verdict"]["state"] == "not_known"
    assert ("dataplane.compared", "node1") in open_questions(made)
    assert made["hosts"][0]["verdict"] == "not_known"
    assert made["hosts"][0]["not_known"] == [{"part": "dataplane", "reason": "pyroute2 is missing"}]


def test_a_host_without_a_lease_is_found() -> None:
    gathered = network(pods=False)
    del gathered["store"]["leases"][0]
    gathered["hosts"]["node1"]["dataplane"] = {"msg": "it has no lease to compare with"}
    assert ("host.lease", "node1") in failed(build(measured(gathered)))


def moved_host() -> dict[str, Any]:
    """The network, node1 of which has another address than its lease, and a link that would be made for it."""
    gathered = network(ipv6=False)
    facts = gathered["hosts"]["node1"]["facts"]
    facts["links"] = [{"name": "eth0", "addresses": ["198.18.0.93/24"]}]
    facts["underlay"]["public_ip"] = "198.18.0.93"
    differs(gathered, "node1", Plan(create_links=[VTEP]))
    return gathered


def test_a_lease_with_an_address_that_the_host_has_not_is_not_programmed() -> None:
    """The link would get the new address, and peers would go on to send to the old one."""
    made = build(measured(moved_host()))
    found = {(each["id"], each["subject"]): each for each in made["findings"] if each["status"] == "failed"}
    assert set(found) == {("host.lease", "node1"), ("dataplane.link", "node1")}
    assert "peers send to 198.18.0.2" in found["host.lease", "node1"]["seen"]
    assert "nodes=[{name: node1, subnet: 10.244.1.0/24}]" in found["host.lease", "node1"]["remedy"]
    assert found["dataplane.link", "node1"]["repair"] == ""
    assert "host.lease" in found["dataplane.link", "node1"]["remedy"]


def test_behind_a_nat_a_flanneld_has_a_lease_with_an_address_of_another() -> None:
    gathered = moved_host()
    gathered["hosts"]["node1"]["daemon"] = {"problems": [], "unit": {"load": "loaded"}}
    assert ("host.lease", "node1") not in failed(build(measured(gathered)))


def test_the_store_s_own_words_say_where_no_config_is() -> None:
    gathered = network()
    gathered["network_config"] = {}
    gathered["store"].update(
        leases=[], problems=[{"kind": "no_network_config", "message": "there is no /nothing/config", "remedy": "a"}]
    )
    made = build(gathered)
    assert [each["seen"] for each in made["findings"] if each["id"] == "network.config"] == [
        "there is no /nothing/config"
    ]
    assert failed(made) == set(), "no host is told to lease a subnet at the wrong place"


def test_problems_of_leases_weigh_what_they_do() -> None:
    gathered = network()
    problem = {"key": "10.244.1.0/24", "message": "a", "remedy": "release it"}
    gathered["store"]["problems"] = [{**problem, "kind": "expiring"}]
    assert build(measured(gathered))["verdict"]["state"] == "impaired"
    gathered["store"]["problems"] = [{**problem, "kind": "hangs_flanneld"}]
    made = build(measured(gathered))
    assert made["verdict"]["state"] == "broken"
    assert [each["remedy"] for each in made["findings"] if each["id"] == "network.leases"] == ["Release it"]


# What answers, and the check that says why it does not.
WAYS = [
    (lambda _from, to, layer, _family, _size: "node3" not in (_from, to), {("way.underlay", "node3")}),
    (
        lambda _from, to, layer, _family, _size: layer == "underlay" or "node3" not in (_from, to),
        {("way.tunnel", "node3")},
    ),
    (lambda _from, to, layer, _family, _size: layer != "pod" or "node3" not in (_from, to), {("way.pods", "node3")}),
    (lambda _from, to, _layer, _family, size: "node3" not in (_from, to) or size < 1300, {("way.mtu", "node3")}),
    (
        lambda _from, to, layer, _family, _size: layer != "overlay" or (_from, to) != ("node1", "node2"),
        {("way.tunnel", "node1 -> node2")},
    ),
]


@pytest.mark.parametrize(("answers", "found"), WAYS)
def test_a_way_that_is_broken_is_found_with_its_cause(answers: Any, found: set[tuple[str, str]]) -> None:
    assert failed(build(measured(network(4), answers))) == found


def test_a_way_that_a_wrong_entry_breaks_is_put_down_to_it() -> None:
    gathered = network(4, pods=False)
    differs(gathered, "node1", Plan(set_routes=[route(2)]))
    made = build(
        measured(
            gathered,
            lambda one, to, layer, family, _size: layer == "underlay" or family == 6 or {one, to} != {"node1", "node2"},
        )
    )
    assert failed(made) == {
        ("dataplane.peers_missing", "node1"),
        ("way.dataplane", "node1 -> node2"),
        ("way.dataplane", "node2 -> node1"),
    }


def test_a_way_to_a_host_that_was_not_compared_is_not_put_down_to_what_lies_between() -> None:
    gathered = network(4, pods=False)
    gathered["hosts"]["node1"]["dataplane"] = {"msg": "pyroute2 is missing"}
    made = build(
        measured(gathered, lambda one, to, layer, _family, _size: layer == "underlay" or "node1" not in (one, to))
    )
    assert failed(made) == {("way.unexplained", "node1")}


def test_a_firewall_that_drops_echo_below_a_good_overlay_is_no_fault() -> None:
    made = build(measured(network(), lambda _from, _to, layer, _family, _size: layer != "underlay"))
    assert made["verdict"]["state"] == "well"


def test_lost_packets_impair() -> None:
    gathered = measured(network())
    probe = next(each for each in gathered["hosts"]["node1"]["probes"] if each["target"].startswith("pod 4 56"))
    probe.update(received=2, loss=33.3)
    made = build(gathered)
    assert (made["verdict"]["state"], failed(made)) == ("impaired", {("way.lossy", "node1 -> node2")})


def test_full_size_packets_that_are_lost_among_small_ones_are_no_mtu() -> None:
    gathered = measured(network())
    for probe in gathered["hosts"]["node1"]["probes"]:
        layer, _family, size, target = probe["target"].split(" ", 3)
        if (layer, target) == ("overlay", "node2"):
            probe.update(received=2, loss=33.3) if size == "56" else probe.update(received=0, loss=100.0)
    assert failed(build(gathered)) == {("way.lossy", "node1 -> node2")}


def put(gathered: dict[str, Any], way: str, **result: Any) -> None:
    """Change what node1 measured of a way, as "overlay 4 56 node2"; "full" is the other size."""
    layer, family, wanted, target = way.split(" ")
    for probe in gathered["hosts"]["node1"]["probes"]:
        have = probe["target"].split(" ", 3)
        if (have[0], have[1], have[3]) == (layer, family, target) and (have[2] == "56") == (wanted == "56"):
            probe.update(result)


NOTHING = {"sent": 13, "received": 0, "loss": 100.0}


def test_all_full_size_packets_lost_where_few_small_ones_are_is_an_mtu_and_its_size_is_named() -> None:
    gathered = measured(network(pods=False, ipv6=False))
    put(gathered, "overlay 4 56 node2", received=2, loss=33.3)
    put(gathered, "overlay 4 full node2", **NOTHING, largest_packet=1280)
    made = build(gathered)
    [found] = [each for each in made["findings"] if each["status"] == "failed"]
    assert (found["id"], found["subject"]) == ("way.mtu", "node1 -> node2")
    assert found["seen"].endswith("those of 1450 octets do not, the largest that does has 1280")
    assert "option MTU in the network config to 1330 or less, so that pods get MTU 1280" in found["remedy"]
    # The search says that they pass: then it is loss.
    put(gathered, "overlay 4 full node2", **NOTHING, largest_packet=1450)
    assert failed(build(gathered)) == {("way.lossy", "node1 -> node2")}


def test_an_mtu_of_a_backend_without_that_option_is_one_of_links() -> None:
    gathered = measured(network(backend="host-gw", ipv6=False))
    put(gathered, "pod 4 full node2", **NOTHING, largest_packet=1280)
    [found] = [each for each in build(gathered)["findings"] if each["id"] == "way.mtu"]
    assert found["remedy"].startswith("Set the MTU of the underlay's links to 1280 or less")


def test_lost_packets_are_told_with_what_the_hosts_themselves_lose() -> None:
    gathered = measured(network(pods=False, ipv6=False))
    put(gathered, "overlay 4 56 node2", received=1, loss=66.7)
    put(gathered, "underlay 4 56 node2", received=2, loss=33.3)
    [found] = [each for each in build(gathered)["findings"] if each["id"] == "way.lossy"]
    assert found["seen"] == "over IPv4 from host to host 66.7 % of packets are lost (33.3 % without the overlay)"


def test_small_packets_that_are_all_lost_where_large_ones_pass_are_loss() -> None:
    gathered = measured(network(pods=False, ipv6=False))
    put(gathered, "overlay 4 56 node2", **NOTHING)
    put(gathered, "overlay 4 full node2", sent=3, received=1, loss=66.7)
    assert failed(build(gathered)) == {("way.lossy", "node1 -> node2")}


def test_the_words_of_ping_are_kept() -> None:
    gathered = measured(network())
    for probe in gathered["hosts"]["node1"]["probes"]:
        if probe["target"] == "overlay 4 56 node2":
            probe.update(sent=0, received=0, loss=100.0, rtt_avg=None, error="ping: connect: Network is unreachable")
    [way] = [each for each in build(gathered)["links"] if each["state"] == "none"]
    assert way["reason"] == "ping: connect: Network is unreachable"


def test_a_sample_measures_a_ring_and_says_so() -> None:
    gathered = network(20, sample=3)
    assert {len(targets["host"]) for targets in document.targets(gathered).values()} == {3 * 2 * 3}
    made = build(measured(gathered))
    assert made["verdict"]["state"] == "well"
    assert "60 of 60 pairs fine (a sample of 380)" in made["verdict"]["sentence"]


def test_full_size_is_that_of_the_smaller_end() -> None:
    gathered = network(2, pods=False, ipv6=False)
    gathered["hosts"]["node2"]["dataplane"]["mtu"] = 1200
    sizes = [target["size"] for target in document.targets(gathered)["node1"]["host"] if "overlay" in target["name"]]
    assert sizes == [56, 1200 - 28]


def test_findings_of_the_preflight_are_those_of_the_picture() -> None:
    gathered = network()
    gathered["hosts"]["node1"]["facts"]["sysctls"] = {"net.ipv4.ip_forward": "0", "net.ipv6.conf.all.forwarding": "1"}
    made = build(measured(gathered))
    assert failed(made) == {("host.forwarding", "node1")}
    gathered["skip"] = ["host.forwarding"]
    assert failed(build(measured(gathered))) == set()


def test_what_the_comparison_found_is_not_told_twice() -> None:
    gathered = network()
    facts = gathered["hosts"]["node1"]["facts"]
    facts["subnet_file"] = {"path": "/run/flannel/subnet.env", "present": True, "values": {}, "problem": "not readable"}
    facts["links"] = [{"name": "flannel.1", "kind": "vxlan", "addresses": [], "vxlan": {}}]
    alone = failed(build(measured(gathered)))
    assert ("host.subnet_file", "node1") in alone
    gathered["hosts"]["node1"]["dataplane"]["parts"] = {"subnet_file": ["write /run/flannel/subnet.env"]}
    assert alone - failed(build(measured(gathered))) == {("host.subnet_file", "node1")}


def test_every_check_is_explained() -> None:
    names = {check.id for check in (*checks.CHECKS, *report.CHECKS)} - set(document.MEASURED_HERE)
    assert names == set(explain.EXPLANATIONS), "module_utils/_status/explain.py says of each check what it means"
    for name, each in explain.EXPLANATIONS.items():
        assert each.effect.endswith(".") and each.cause.endswith("."), name
        assert each.source.startswith("https://"), name
        assert each.repair in ("", *repairs.REPAIRS), name


@pytest.mark.parametrize("hosts", [[], {"node1": "x"}])
def test_hosts_of_another_kind_are_refused(hosts: Any) -> None:
    with pytest.raises(InputError, match="hosts has to be a mapping"):
        document.build({"hosts": hosts or ["x"]})


def test_why_nothing_was_measured_is_told() -> None:
    gathered = measured(network(2, backend="host-gw", pods=False))
    gathered["hosts"]["node2"]["not_known"] = {"pod": "there is no CNI configuration"}
    [finding] = [
        each for each in build(gathered)["findings"] if each["id"] == "way.not_measured" and "IPv4" in each["seen"]
    ]
    assert finding["seen"].endswith("not measured: a pod: there is no CNI configuration")


def test_what_failed_is_named_once() -> None:
    gathered = network()
    for peer in (2, 3):
        differs(gathered, "node1", Plan(set_routes=[route(peer)]))
    assert saved.named(build(measured(gathered))) == ["dataplane.peers_missing on node1"]


def test_each_host_has_the_lease_of_its_name_its_address_or_its_subnet_file() -> None:
    named = {"name": "b", "public_ip": "198.18.0.2", "subnet": "10.5.2.0/24"}
    nameless = {"name": "", "public_ip": "198.18.0.1", "subnet": "10.5.1.0/24"}
    by_file = {"name": "", "public_ip": "198.18.0.9", "subnet": "10.5.3.0/24"}
    entries = {
        "a": {"node_name": "a", "public_ips": ["198.18.0.1"], "facts": {}},
        "alias": {"node_name": "b", "public_ips": ["198.18.0.7"], "facts": {}},
        "c": {"facts": {"subnet_file": {"values": {"FLANNEL_SUBNET": "10.5.3.1/24"}}}},
        "none": {"public_ips": ["198.18.0.4"], "facts": {}},
        "lost": {"reason": "it was not reached"},
    }
    found = hosts.own_leases(entries, [nameless, named, by_file])
    assert found == {"a": nameless, "alias": named, "c": by_file}
    assert hosts.own_leases(entries, []) == {}
