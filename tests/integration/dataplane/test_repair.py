# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever happened to a host, one run brings it back, says what it found, and leaves everything else alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration.dataplane._leases import config, lease, options

DAMAGE = {
    "device deleted": (["ip link del flannel.1"], "add link flannel.1"),
    "device down": (["ip link set flannel.1 down"], "change link flannel.1 up down -> up"),
    "MAC changed": (
        ["ip link set flannel.1 address 02:ff:ff:ff:ff:ff"],
        "change link flannel.1 address 02:ff:ff:ff:ff:ff -> 02:00:00:04:00:01",
    ),
    "MTU changed": (["ip link set flannel.1 mtu 1280"], "change link flannel.1 mtu 1280 -> 1450"),
    "learning on": (
        ["ip link set flannel.1 type vxlan learning"],
        "change link flannel.1 learning learning -> nolearning",
    ),
    "router advertisements accepted": (
        ["echo 1 > /proc/sys/net/ipv6/conf/flannel.1/accept_ra"],
        "change link flannel.1 accept_ra 1 -> 0",
    ),
    "routes flushed": (["ip route flush dev flannel.1"], "set route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink"),
    "route to the underlay": (
        ["ip route replace 10.5.2.0/24 via 198.18.0.2"],
        "set route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
    ),
    "neighbour lost": (
        ["ip neigh del 10.5.2.0 dev flannel.1"],
        "set neighbour 10.5.2.0 lladdr 02:00:00:04:00:02 dev flannel.1 nud permanent",
    ),
    "neighbour no longer permanent": (
        ["ip neigh replace 10.5.2.0 lladdr 02:00:00:04:00:02 dev flannel.1 nud reachable"],
        "set neighbour 10.5.2.0 lladdr 02:00:00:04:00:02 dev flannel.1 nud permanent",
    ),
    "FDB entry to the wrong host": (
        ["bridge fdb replace 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.9 self permanent"],
        "set FDB entry 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.2 self permanent",
    ),
    "FDB entry with another port": (
        [
            "bridge fdb del 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.2 self",
            "bridge fdb add 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.2 port 4444 self permanent",
        ],
        "set FDB entry 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.2 self permanent",
    ),
    "a dead node's leftovers": (
        [
            "ip neigh add 10.5.99.0 lladdr 02:00:00:04:00:63 dev flannel.1 nud permanent",
            "bridge fdb add 02:00:00:04:00:63 dev flannel.1 dst 198.18.0.99 self permanent",
            "ip route add 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink",
        ],
        "remove route 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink",
    ),
    "a route that shadows our own pods": (
        ["ip route add 10.5.1.0/24 via 10.5.9.0 dev flannel.1 onlink"],
        "remove route 10.5.1.0/24 via 10.5.9.0 dev flannel.1 onlink",
    ),
    "a dead node's route with metrics": (
        ["ip route add 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink mtu 1000"],
        "remove route 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink",
    ),
    "a dead node's route with a source": (
        ["ip route add 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink src 198.18.0.1"],
        "remove route 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink",
    ),
    "a dead node's route with two next hops": (
        [
            "ip route add 10.5.99.0/24 nexthop via 10.5.99.0 dev flannel.1 onlink "
            "nexthop via 10.5.98.0 dev flannel.1 onlink"
        ],
        "remove route 10.5.99.0/24 via 10.5.99.0 dev flannel.1 onlink",
    ),
    "a route for one kind of traffic": (
        ["ip route add tos 0x10 10.5.2.0/24 via 10.5.9.0 dev flannel.1 onlink"],
        "remove route 10.5.2.0/24 via 10.5.9.0 dev flannel.1 tos 0x10 onlink",
    ),
    "a route that was given an MTU": (
        ["ip route replace 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink mtu 1000"],
        "set route 10.5.2.0/24 via 10.5.2.0 dev flannel.1 onlink",
    ),
    "an old address": (["ip address add 10.5.77.0/32 dev flannel.1"], "remove address 10.5.77.0/32 dev flannel.1"),
    "address lost": (["ip address flush dev flannel.1 scope global"], "add address 10.5.1.0/32 dev flannel.1"),
    "another VNI": (
        [
            "ip link del flannel.1",
            "ip link add flannel.1 type vxlan id 9 dev eth0 local 198.18.0.1 dstport 8472 nolearning",
        ],
        "remove link flannel.1 (VNI is 9, not 1)",
    ),
    "another local address": (
        [
            "ip link del flannel.1",
            "ip address add 198.18.0.77/24 dev eth0",
            "ip link add flannel.1 type vxlan id 1 dev eth0 local 198.18.0.77 dstport 8472 nolearning",
        ],
        "remove link flannel.1 (local address is 198.18.0.77, not 198.18.0.1)",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_one_run_repairs(host: Host, damage: str) -> None:
    lines, finding = DAMAGE[damage]
    arguments = options(1, [2, 3])
    host.module(**arguments)
    healthy = host.state()
    host.shell(*lines)
    predicted = host.module(check=True, **arguments)
    repaired = host.module(**arguments)
    assert finding in [line[: len(finding)] for line in repaired["actions"]]
    assert predicted["actions"] == repaired["actions"]
    assert repaired["diff"]["before"] + repaired["diff"]["after"]
    state = host.state()
    if damage == "address lost":
        # Flushing took the link-local address too, which is the kernel's own affair.
        state["addresses"] = [entry for entry in state["addresses"] if entry[3] == "global"]
        healthy["addresses"] = [entry for entry in healthy["addresses"] if entry[3] == "global"]
    assert state == healthy
    assert host.module(**arguments)["actions"] == []


def test_ipv6_routes_with_two_next_hops_go(host: Host) -> None:
    arguments = options(1, [2], ipv6=True)
    host.module(**arguments)
    healthy = host.state()
    hops = [f"nexthop via fd00:10:5:{hop}:: dev flannel-v6.1 onlink" for hop in (98, 99)]
    host.shell(
        f"ip -6 route add fd00:10:5:99::/64 {' '.join(hops)}",
        f"ip -6 route replace fd00:10:5:2::/64 {' '.join(hops)}",
    )
    repaired = host.module(**arguments)
    assert len([line for line in repaired["actions"] if line.startswith("remove route fd00:10:5:99::/64 via")]) == 2
    assert host.state() == healthy
    assert host.module(**arguments)["actions"] == []


def test_leaving_by_name_of_the_link(host: Host) -> None:
    arguments = options(1, [2], "host-gw")
    host.module(**arguments)
    host.shell(
        "ip link add eth1 type veth peer name end1",
        "ip link set eth1 up",
        "ip address add 172.20.0.1/24 dev eth1",
        "ip route add 10.5.200.0/24 via 172.20.0.9 dev eth1",
    )
    arguments.update(state="absent", interface="eth0")
    assert host.module(**arguments)["actions"] == ["remove route 10.5.2.0/24 via 198.18.0.2 dev eth0"]
    assert host.module(**arguments)["actions"] == []


def test_strangers_are_left_alone(host: Host) -> None:
    arguments = options(1, [2])
    host.module(**arguments)
    host.shell(
        "ip link add eth1 type veth peer name end1",
        "ip link set eth1 up",
        "ip address add 172.21.0.1/24 dev eth1",
        "ip route add 10.5.200.0/24 via 172.21.0.9 dev eth1",
        "ip route add 192.168.7.0/24 dev flannel.1",
        "ip route add 10.5.1.0/24 dev eth0 scope link",
        "ip route add 10.5.1.128/25 via 198.18.0.9",
        "ip route add 10.5.1.64/26 via 10.5.1.5",
        "ip route add 10.5.201.0/24 via 10.5.1.5",
        "ip route add 10.5.192.0/18 via 198.18.0.9",
        "ip route add 10.5.202.0/24 via 198.18.0.9 metric 50",
        "ip route add blackhole 10.5.88.0/24",
        "ip route add 10.5.89.0/24 via 198.18.0.9 proto static",
        "ip route add 10.6.1.0/24 via 198.18.0.9",
        "ip address add 172.20.0.1/24 dev flannel.1",
        "ip neigh add 192.168.7.9 lladdr 02:00:00:00:00:09 dev flannel.1 nud permanent",
        "bridge fdb append 00:00:00:00:00:00 dev flannel.1 dst 198.18.0.9 self permanent",
        "ip link add flannel.9 type vxlan id 9 dev eth0 local 198.18.0.1 dstport 8473 nolearning",
        "ip address add 10.99.1.0/32 dev flannel.9",
        "ip link add flannel-wg type bridge",
    )
    before = host.shell("ip route show", "ip neigh show nud permanent", "bridge fdb show", "ip -br link")
    seen = host.module(**arguments)
    assert seen["actions"] == []
    (named,) = [text for text in host.warnings(seen) if "are not the overlay's" in text]
    assert "10.5.192.0/18 via 198.18.0.9 dev eth0" in named
    assert "10.5.202.0/24 via 198.18.0.9 dev eth0 metric 50" in named
    host.module(**options(1, [2, 3]))
    host.module(**arguments)
    assert host.shell("ip route show", "ip neigh show nud permanent", "bridge fdb show", "ip -br link") == before


SWITCHES = [
    ("vxlan", "host-gw", False),
    ("vxlan", "host-gw", True),
    ("host-gw", "vxlan", False),
    ("host-gw", "vxlan", True),
    ("vxlan", "alloc", False),
    ("host-gw", "alloc", False),
]


@pytest.mark.parametrize(("old", "new", "ipv6"), SWITCHES)
def test_backend_switch_leaves_nothing(host: Host, old: str, new: str, ipv6: bool) -> None:
    host.module(**options(1, [2, 3], old, ipv6=ipv6))
    switched = host.module(**options(1, [2, 3], new, ipv6=ipv6))
    assert switched["changed"], switched
    state = host.state()
    assert len(state["links"]) == {"vxlan": 1 + ipv6}.get(new, 0)
    made = [route for route in map(json.loads, state["routes"]) if route["protocol"] == "boot"]
    assert len(made) == (0 if new == "alloc" else 2 + 2 * ipv6)
    assert {route["dev"] for route in made} <= ({"flannel.1", "flannel-v6.1"} if new == "vxlan" else {"eth0"})
    assert host.module(**options(1, [2, 3], new, ipv6=ipv6))["actions"] == []


def test_family_switched_off(host: Host) -> None:
    host.module(**options(1, [2], ipv6=True))
    result = host.module(**options(1, [2]))
    assert result["actions"] == ["remove link flannel-v6.1 (left over from another backend or family)"]


def test_what_an_earlier_run_made_goes_whatever_the_network_was(host: Host, tmp_path: Path) -> None:
    """Its own files say what that was; an administrator's route of the same kind is in none of them."""
    files = {"restore_dir": str(tmp_path / "restore")}
    host.module(**{**options(1, [2, 3], "host-gw", ipv6=True), **files})
    host.shell("ip -6 route add fd00:10:5:77::/64 via fd00:18::9")
    left = {**options(1, [2, 3], "host-gw"), **files}
    predicted = host.module(check=True, **left)
    result = host.module(**left)
    assert predicted["actions"] == result["actions"]
    assert [line for line in result["actions"] if "fd00:" in line] == [
        "remove route fd00:10:5:2::/64 via fd00:18::2 dev eth0",
        "remove route fd00:10:5:3::/64 via fd00:18::3 dev eth0",
    ]
    assert "fd00:10:5:77::/64" in host.shell("ip -6 route show")
    assert host.module(**left)["actions"] == []
    # Another network altogether, and then none: nothing of either stays.
    host.module(**{**options(1, [2, 3]), **files})
    other = {**options(1, []), **files, "network_config": {"Network": "10.6.0.0/16", "Backend": {"Type": "vxlan"}}}
    other["lease"] = {**other["lease"], "subnet": "10.6.1.0/24"}
    host.module(**other)
    assert "10.5." not in host.shell("ip route show; ip address show flannel.1; ip neigh show dev flannel.1")
    assert host.module(**other)["actions"] == []
    host.module(**{**options(1, [2, 3], "host-gw", ipv6=True), **files})
    host.module(**files, state="absent", network_config=left["network_config"], firewall="none", subnet_file="")
    assert "fd00:10:5:" not in host.shell("ip -6 route show")


def test_vni_changed(host: Host) -> None:
    host.module(**options(1, [2]))
    result = host.module(**options(1, [2], VNI=7))
    assert "remove link flannel.1 (left over from another backend or family)" in result["actions"]
    assert [link["ifname"] for link in host.state()["links"]] == ["flannel.7"]


def test_a_lease_that_moves_loses_no_route(host: Host) -> None:
    host.module(**options(1, [2, 3]))
    host.shell("ip link add cni0 type bridge", "ip address add 10.5.1.1/24 dev cni0", "ip link set cni0 up")
    moved = options(1, [2, 3])
    moved["lease"]["subnet"] = "10.5.9.0/24"
    before = host.state()
    result = host.module(**moved)
    assert result["actions"][:2] == [
        "add address 10.5.9.0/32 dev flannel.1",
        "remove address 10.5.1.0/32 dev flannel.1",
    ]
    assert any("link cni0 has 10.5.1.1/24" in text for text in host.warnings(result))
    after = host.state()
    assert [after[what] for what in ("links", "routes", "neighbours", "fdb")] == [
        before[what] for what in ("links", "routes", "neighbours", "fdb")
    ]
    assert host.module(**moved)["actions"] == []
    moved["move_bridge"] = "cni0"
    predicted = host.module(check=True, **moved)
    result = host.module(**moved)
    assert predicted["actions"] == result["actions"]
    assert result["actions"] == ["add address 10.5.9.1/24 dev cni0", "remove address 10.5.1.1/24 dev cni0"]
    assert not any("link cni0" in text for text in host.warnings(result))
    assert "10.5.9.0/24 dev cni0" in host.shell("ip route show")
    assert host.module(**moved)["actions"] == []


def test_the_address_of_another_network_is_not_the_first(host: Host) -> None:
    """Packets to remote pods would carry it."""
    host.shell(
        "ip link add flannel.1 type vxlan id 1 dev eth0 local 198.18.0.1 dstport 8472 nolearning",
        "ip address add 10.42.0.0/32 dev flannel.1",
        "ip link set flannel.1 up",
    )
    arguments = options(1, [2])
    predicted = host.module(check=True, **arguments)
    result = host.module(**arguments)
    assert "change address 10.42.0.0/32 dev flannel.1: behind the lease's" in result["actions"]
    assert predicted["actions"] == result["actions"]
    assert "src 10.5.1.0" in host.shell("ip route get 10.5.2.7")
    assert "10.42.0.0/32" in host.shell("ip address show dev flannel.1")
    assert host.module(**arguments)["actions"] == []


def test_peer_with_a_new_mac_or_address(host: Host) -> None:
    arguments = options(1, [2, 3])
    host.module(**arguments)
    moved = options(1, [2, 3])
    moved["peers"][0]["backend_data"]["VtepMAC"] = "02:00:00:04:00:aa"
    moved["peers"][1]["public_ip"] = "198.18.0.33"
    assert host.module(**moved)["actions"] == [
        "remove FDB entry 02:00:00:04:00:02 dev flannel.1 dst 198.18.0.2 self permanent",
        "set FDB entry 02:00:00:04:00:aa dev flannel.1 dst 198.18.0.2 self permanent",
        "set FDB entry 02:00:00:04:00:03 dev flannel.1 dst 198.18.0.33 self permanent",
        "set neighbour 10.5.2.0 lladdr 02:00:00:04:00:aa dev flannel.1 nud permanent",
    ]
    assert host.module(**moved)["actions"] == []


def test_direct_routing_follows_the_route(host: Host) -> None:
    arguments = options(1, [2, 3], DirectRouting=True)
    arguments["peers"][1]["public_ip"] = "198.19.0.3"
    host.module(**arguments)
    routes = {route["dst"]: route for route in host.json("ip -j -4 route show")}
    assert (routes["10.5.2.0/24"]["dev"], routes["10.5.2.0/24"]["gateway"]) == ("eth0", "198.18.0.2")
    assert (routes["10.5.3.0/24"]["dev"], routes["10.5.3.0/24"]["gateway"]) == ("flannel.1", "10.5.3.0")
    assert [entry[0] for entry in host.state()["fdb"]] == ["02:00:00:04:00:03"]
    host.shell("ip address add 198.19.0.1/24 dev eth0")
    assert host.module(**arguments)["actions"] == [
        "remove neighbour 10.5.3.0 lladdr 02:00:00:04:00:03 dev flannel.1 nud permanent",
        "remove FDB entry 02:00:00:04:00:03 dev flannel.1 dst 198.19.0.3 self permanent",
        "set route 10.5.3.0/24 via 198.19.0.3 dev eth0",
    ]
    host.shell("ip address del 198.19.0.1/24 dev eth0")
    assert host.module(**arguments)["actions"] == [
        "set FDB entry 02:00:00:04:00:03 dev flannel.1 dst 198.19.0.3 self permanent",
        "set neighbour 10.5.3.0 lladdr 02:00:00:04:00:03 dev flannel.1 nud permanent",
        "set route 10.5.3.0/24 via 10.5.3.0 dev flannel.1 onlink",
    ]


REWRITE = """
import subprocess
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.kernel import Kernel
from ansible_collections.podnet.cni.plugins.modules.flannel_dataplane import main
bring_up = Kernel._bring_up
def then_rewrite(self, links):
    bring_up(self, links)
    subprocess.run(["ip", "link", "set", "flannel.1", "address", "02:66:66:66:66:66"], check=True)
Kernel._bring_up = then_rewrite
main()
"""


def test_something_rewrites_the_mac(host: Host) -> None:
    """As systemd-udevd does under its default policy: the run says so instead of leaving a node that drops packets.

    The rewrite sits where udevd's comes, between making the link and the end of the run: a process beside it would not
    hit that moment every time.
    """
    done = subprocess.run(
        host.enter(sys.executable, "-c", REWRITE),
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options(1, [2, 3])}),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    result = json.loads(done.stdout)
    assert result["failed"]
    assert "link flannel.1 was given MAC 02:00:00:04:00:01 but has 02:66:66:66:66:66" in result["msg"]
    assert "MACAddressPolicy=none" in result["msg"]
    assert host.module(**options(1, [2, 3]))["changed"]


def test_two_modules_at_once(host: Host) -> None:
    """Two runs that want different peers: whichever comes last wins, and nothing of the other is left."""
    both = [options(1, list(range(2, 202))), options(1, list(range(102, 242)))]
    with _background(host, both[0]) as first, _background(host, both[1]) as second:
        assert first.wait() == 0
        assert second.wait() == 0
    changed = [bool(host.module(check=True, **arguments)["actions"]) for arguments in both]
    assert sorted(changed) == [False, True]


def _background(host: Host, arguments: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        host.enter(sys.executable, "-m", "ansible_collections.podnet.cni.plugins.modules.flannel_dataplane"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode())
    process.stdin.close()
    return process


HOLD = """
import sys, time
from ansible_collections.podnet.cni.plugins.module_utils._dataplane.lock import Lock
with Lock("holder", 1):
    print("held", flush=True)
    time.sleep(60)
"""


def test_waiting_ends_with_the_name_of_the_holder(host: Host) -> None:
    with subprocess.Popen(host.enter(sys.executable, "-c", HOLD), stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        result = host.module(**options(1, [2]), lock_timeout=0.3)
        assert result["failed"]
        assert f"process {holder.pid} is changing this host's data plane" in result["msg"]
        assert host.state()["links"] == []
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        # The lock went with its holder.
        assert host.module(**options(1, [2]), lock_timeout=0.3)["changed"]


def test_underlay_that_flaps(hosts: list[Host]) -> None:
    """The underlay goes down and up all the time while runs are made; afterwards one run is enough."""
    host = hosts[0]
    flap = subprocess.Popen(
        host.enter("sh", "-c", "while :; do ip link set eth0 down; sleep 0.1; ip link set eth0 up; sleep 0.1; done")
    )
    try:
        for backend in ("vxlan", "host-gw"):
            for _round in range(4):
                result = host.module(**options(1, list(range(2, 60)), backend))
                assert "msg" not in result or "host " in result["msg"]
    finally:
        flap.kill()
        flap.wait()
    host.shell("ip link set eth0 up", "ip address replace 198.18.0.1/24 dev eth0")
    arguments = options(1, list(range(2, 60)), "host-gw")
    last = host.module(**arguments)
    assert "msg" not in last, last
    assert len(host.state()["routes"]) == 58
    assert host.module(**arguments)["actions"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_an_underlay_that_goes_and_returns(backend: str) -> None:
    """With its link go the routes, and with vxlan the overlay's own link; one run afterwards makes all of it anew."""
    arguments = options(1, list(range(2, 20)), backend)
    with Segment(1) as segment:
        (host,) = segment.hosts
        assert host.module(**arguments)["changed"]
        before = host.state()
        number = host.json("ip -j link show dev eth0")[0]["ifindex"]
        host.shell("ip link del eth0")
        gone = host.module(**arguments)
        assert gone["failed"], gone
        assert host.public_ip in gone["msg"] or "default route" in gone["msg"], gone["msg"]
        assert host.state()["routes"] == []
        host.shell(
            f"ip link add eth0 index {number + 7} type veth peer name p1 netns {segment.switch}",
            f"ip address add {host.public_ip}/24 dev eth0",
            f"ip address add {host.public_ipv6}/64 dev eth0 nodad",
            "ip link set eth0 up",
            "ip route add default via 198.18.0.254",
            "ip -6 route add default via fd00:18::254",
        )
        Host(segment.switch, 0).shell("ip link set p1 up")
        returned = host.module(**arguments)
        assert not returned.get("failed"), returned
        assert host.state() == before
        assert host.module(**arguments)["actions"] == []


def _pods(hosts: list[Host], backend: str = "vxlan") -> None:
    """Program all hosts and give each a pod address, 10.5.<number>.5."""
    numbers = [host.number for host in hosts]
    for host in hosts:
        host.shell("sysctl -qw net.ipv4.ip_forward=1", f"ip address add 10.5.{host.number}.5/32 dev lo")
        result = host.module(**options(host.number, [number for number in numbers if number != host.number], backend))
        assert result["changed"], result


def _flood(host: Host, target: str, seconds: float) -> subprocess.Popen[str]:
    count = int(seconds * 500)
    return subprocess.Popen(
        host.enter("ping", "-q", "-i", "0.002", "-c", str(count), "-W", "1", "-I", f"10.5.{host.number}.5", target),
        stdout=subprocess.PIPE,
        text=True,
    )


def _lost(flood: subprocess.Popen[str]) -> tuple[int, int]:
    out = flood.communicate()[0]
    line = next(line for line in out.splitlines() if "transmitted" in line)
    sent, received = int(line.split()[0]), int(line.split()[3])
    return sent, sent - received


@pytest.mark.parametrize("backend", ["vxlan", "host-gw"])
def test_no_packet_is_lost(hosts: list[Host], backend: str) -> None:
    """A ping flood to a healthy peer continues while the module re-applies, adds, moves and removes other peers."""
    _pods(hosts, backend)
    host = hosts[0]
    flood = _flood(host, "10.5.2.5", 6)
    time.sleep(0.2)
    for peers in ([2, 3], [2, 3, *range(10, 200)], [2], [2, 3]):
        host.module(**options(1, peers, backend))
    moved = options(1, [2, 3], backend)
    moved["peers"][1]["public_ip"] = "198.18.0.33"
    host.module(**moved)
    host.shell("ip route del 10.5.3.0/24")
    host.module(**options(1, [2, 3], backend))
    sent, lost = _lost(flood)
    assert (sent, lost) == (3000, 0)


def test_no_packet_is_lost_while_leftovers_go(hosts: list[Host]) -> None:
    _pods(hosts)
    host = hosts[0]
    host.shell(
        *(
            line
            for number in range(50, 90)
            for line in (
                f"ip neigh add 10.5.{number}.0 lladdr 02:00:00:04:00:{number:02x} dev flannel.1 nud permanent",
                f"bridge fdb add 02:00:00:04:00:{number:02x} dev flannel.1 dst 198.18.0.{number} self permanent",
                f"ip route add 10.5.{number}.0/24 via 10.5.{number}.0 dev flannel.1 onlink",
            )
        )
    )
    flood = _flood(host, "10.5.3.5", 3)
    time.sleep(0.2)
    result = host.module(**options(1, [2, 3]))
    assert len(result["actions"]) == 3 * 40
    sent, lost = _lost(flood)
    assert (sent, lost) == (1500, 0)


def test_peers_of_another_backend_are_named(host: Host) -> None:
    arguments = options(1, [2])
    arguments["peers"].append(lease(3, "host-gw"))
    result = host.module(**arguments)
    assert result["peers"] == 1
    assert host.warnings(result) == ["1 peers are ignored because their backend is not vxlan: node-3 (host-gw)"]


def test_absent_needs_only_the_config(host: Host) -> None:
    host.module(**options(1, [2, 3], ipv6=True))
    result = host.module(state="absent", network_config=config(ipv6=True), firewall="none", subnet_file="")
    assert result["actions"] == [
        "remove link flannel-v6.1 (not wanted any more)",
        "remove link flannel.1 (not wanted any more)",
    ]
    assert result["mtu"] is None
