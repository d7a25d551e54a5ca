# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Peers of wireguard that change: another key or preshared key, another address, NAT on the way, a peer removed."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host, Segment
from ansible_collections.podnet.cni.tests.integration.dataplane.test_moves import captured
from ansible_collections.podnet.cni.tests.integration.dataplane.test_tunnels import PSK, Case, arguments_of

pytestmark = needs("wireguard")

PLAIN = Case("wireguard", ["flannel-wg"], {})
KEEPALIVE = Case("wireguard", ["flannel-wg"], {"PersistentKeepaliveInterval": 1})
OTHER_PSK = base64.b64encode(b"another key of 32 octets as well").decode()


def programmed(hosts: list[Host], case: Case, directory: Path) -> list[dict[str, Any]]:
    """Program each host as the case says, with a pod's address, and return the options."""
    everything = arguments_of(hosts, case, directory)
    for host, arguments in zip(hosts, everything, strict=True):
        host.shell("sysctl -qw net.ipv4.ip_forward=1", f"ip address replace 10.5.{host.number}.5/32 dev lo")
        assert host.module(**arguments)["devices"] == case.links
    return everything


def reached(source: Host, target: Host, seconds: int = 15) -> bool:
    """Whether a pod of one host reaches one of the other within so many seconds."""
    ping = f"ping -q -c 1 -w {seconds} -I 10.5.{source.number}.5 10.5.{target.number}.5"
    return source.shell(f"{ping} >/dev/null && echo yes || echo no") == "yes\n"


def peers(host: Host) -> dict[str, dict[str, Any]]:
    """The peers that the kernel of a host has, by the subnet that is sent to them."""
    found = host.module(module="flannel_dataplane_info", diff=False)["wireguard_peers"]
    return {"".join(peer["allowed_ips"]): peer for peer in found}


def test_another_key_and_another_preshared_key(tmp_path: Path) -> None:
    """Nobody is reached with a former key, and everybody once all hosts have the new one."""
    with Segment(2) as segment:
        first, second = segment.hosts
        before = programmed(segment.hosts, PLAIN, tmp_path)
        assert reached(first, second)
        (tmp_path / "key2").unlink()
        after = arguments_of(segment.hosts, PLAIN, tmp_path)
        old, new = (each[0]["peers"][0]["backend_data"]["PublicKey"] for each in (before, after))
        assert old != new
        assert second.module(**after[1])["changed"]
        assert not reached(first, second, 3)
        assert first.module(**after[0])["changed"]
        assert reached(first, second) and reached(second, first)
        assert {peer["public_key"] for peer in peers(first).values()} == {new}

        for psk, former in ((PSK, None), (OTHER_PSK, PSK)):
            wanted = arguments_of(segment.hosts, Case("wireguard", ["flannel-wg"], {"PSK": psk}), tmp_path)
            assert first.module(**wanted[0])["changed"], former
            # A session goes on with the keys that it has; without one there is a new handshake.
            for host in segment.hosts:
                host.shell("ip link set flannel-wg down", "ip link set flannel-wg up")
            first.module(**wanted[0])
            second.shell("ip route replace 10.5.0.0/16 dev flannel-wg scope link")
            assert not reached(second, first, 3), former
            assert second.module(**wanted[1])["changed"], former
            assert reached(first, second) and reached(second, first), former
            for host, arguments in zip(segment.hosts, wanted, strict=True):
                assert host.module(**arguments)["actions"] == []


def test_a_peer_that_is_elsewhere(hosts: list[Host], tmp_path: Path) -> None:
    """Another address, then behind NAT: it is followed, and a run of the module that has other work leaves it there."""
    first, gateway, roamer = hosts
    everything = programmed(hosts, KEEPALIVE, tmp_path)
    subnet = f"10.5.{roamer.number}.0/24"
    assert reached(first, roamer) and reached(gateway, roamer)

    roamer.shell(
        "ip address del 198.18.0.3/24 dev eth0",
        "ip address add 198.18.0.33/24 dev eth0",
        "ip route replace default via 198.18.0.254",
    )
    # It speaks first, if only by its keepalives.
    assert reached(roamer, first) and reached(first, roamer)
    assert peers(first)[subnet]["endpoint"] == "198.18.0.33"

    gateway.shell(
        "ip address add 198.18.1.2/24 dev eth0",
        "sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0",
        "nft -f - <<END\ntable ip nat { chain c { type nat hook postrouting priority 100; "
        "ip saddr 198.18.1.0/24 ip daddr != 198.18.1.0/24 masquerade random; }; }\nEND",
    )
    roamer.shell(
        "ip address flush dev eth0 scope global",
        "ip address add 198.18.1.3/24 dev eth0",
        "ip route replace default via 198.18.1.2",
    )
    assert reached(roamer, first) and reached(first, roamer)
    seen = peers(first)[subnet]
    assert seen["endpoint"] == gateway.public_ip and seen["port"] != 51820, seen

    # Work on another peer, and what must not be touched meanwhile.
    arguments = everything[0]
    left = {**arguments, "peers": [peer for peer in arguments["peers"] if peer["name"] != "node-2"]}
    for wanted in (left, arguments):
        assert first.module(**wanted)["changed"]
        assert peers(first)[subnet] == seen
        assert reached(first, roamer, 3)
    assert first.module(**arguments)["actions"] == []


def test_a_peer_that_is_removed_is_sent_nothing(tmp_path: Path) -> None:
    with Segment(2) as segment:
        first, second = segment.hosts
        (arguments, _others) = programmed(segment.hosts, KEEPALIVE, tmp_path)
        assert reached(first, second)
        assert first.module(**{**arguments, "peers": []})["changed"]
        assert peers(first) == {}
        with captured(segment, first) as frames:
            assert not reached(first, second, 3)
        assert [frame for frame in frames.all if frame[12:14] == b"\x08\x00"] == []
