# Copyright: (c) 2026, podnet.cni contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that the module programs hold what hosts of a real flanneld hold, object by object."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import decode, to_dict
from ansible_collections.podnet.cni.plugins.module_utils._stores import kubernetes_codec
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import agent
from ansible_collections.podnet.cni.tests.integration._kernel import needs
from ansible_collections.podnet.cni.tests.integration._netns import Host, overlay

FIXTURES = Path(__file__).parents[2] / "fixtures" / "flanneld"
DEVICE_WORDS = 5
PODS = sorted(path.stem for path in (FIXTURES / "pod").glob("*.json"))
CAPTURES = [
    pytest.param(path.stem, marks=needs(backend) if backend in ("ipip", "wireguard") else ())
    for path in sorted(FIXTURES.glob("*.json"))
    for backend in [path.stem.partition("-")[0]]
]


def read(name: str, directory: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A capture, and the module's options for its host 1, whose wireguard key is written into the directory."""
    capture = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    leases = [to_dict(decode(key.rsplit("/", 1)[1], value)) for key, value in capture["leases"].items()]
    (own,) = [lease for lease in leases if lease["public_ip"] == "198.18.0.1"]
    key = directory / "wireguard.key"
    if "wireguard_key" in capture:
        key.write_text(capture["wireguard_key"], encoding="ascii")
        key.chmod(0o400)
    return capture, {
        "network_config": capture["config"],
        "lease": own,
        "peers": [lease for lease in leases if lease is not own],
        "firewall": "none",
        "ip_masq": "FLANNEL_IPMASQ=true" in capture["subnet_env"],
        "wireguard_key_file": str(key),
    }


@pytest.mark.parametrize("name", CAPTURES)
def test_equal_to_flanneld(host: Host, tmp_path: Path, name: str) -> None:
    capture, options = read(name, tmp_path)
    subnet_file = tmp_path / "subnet.env"
    result = host.module(**options, subnet_file=str(subnet_file))
    assert result["changed"], result
    assert host.state() == overlay(capture)
    assert subnet_file.read_text(encoding="ascii") == capture["subnet_env"]
    again = host.module(**options, subnet_file=str(subnet_file))
    assert (again["changed"], again["actions"]) == (False, [])


def rebuild(host: Host, capture: dict[str, Any], accept_ra: str) -> None:
    """Give a host what flanneld left on the one that was captured."""
    for link in capture["links"]:
        name = link["ifname"]
        # flanneld writes it for vxlan alone.
        value = accept_ra if link["linkinfo"]["info_kind"] == "vxlan" else "1"
        host.shell(
            link_command(link), f"echo {value} > /proc/sys/net/ipv6/conf/{name}/accept_ra", f"ip link set {name} up"
        )
    rebuild_wireguard(host, capture.get("wireguard", ()))
    for address in capture["addresses"]:
        for item in address["addr_info"]:
            if address["ifname"].startswith("flannel") and item["scope"] == "global":
                host.shell(f"ip address add {item['local']}/{item['prefixlen']} dev {address['ifname']}")
    mac_links = {}
    for entry in capture["neighbours"]:
        # iproute2 names no link where it was asked for those of one.
        mac_links[entry["lladdr"]] = dev = entry.get("dev", capture["links"][0]["ifname"])
        host.shell(f"ip neigh add {entry['dst']} lladdr {entry['lladdr']} dev {dev} nud permanent")
    for entry in capture["fdb"]:
        host.shell(f"bridge fdb add {entry['mac']} dev {mac_links[entry['mac']]} dst {entry['dst']} self permanent")
    for route in [*capture["routes4"], *capture["routes6"]]:
        if route["dst"] != "default" and route.get("protocol", "boot") == "boot":
            via = f"via {route['gateway']}" if "gateway" in route else ""
            host.shell(f"ip route add {route['dst']} {via} dev {route['dev']} proto boot " + " ".join(route["flags"]))


def link_command(link: dict[str, Any]) -> str:
    """The command that makes a link as it was captured."""
    kind, data = link["linkinfo"]["info_kind"], link["linkinfo"].get("info_data", {})
    more = ""
    if kind == "ipip":
        more = (
            f"mode {data['proto']} local {data['local']} ttl {data['ttl'] or 'inherit'} "
            f"{'' if data['pmtudisc'] else 'no'}pmtudisc"
        )
    elif kind == "vxlan":
        more = (
            f"id {data['id']} dev eth0 local {data.get('local') or data['local6']} dstport {data['port']} "
            f"{'' if data['learning'] else 'no'}learning {'gbp' if data.get('gbp') else ''}"
        )
    address = f"address {link['address']} txqueuelen 0" if kind == "vxlan" else ""
    return f"ip link add {link['ifname']} {address} mtu {link['mtu']} type {kind} {more}"


def rebuild_wireguard(host: Host, lines: list[list[str]]) -> None:
    """Give devices their keys and peers; the lines are a capture's, which have a word more for a peer."""
    for line in lines:
        if len(line) == DEVICE_WORDS:
            device, private, _public, port, _mark = line
            host.shell(f"echo {private} | wg set {device} listen-port {port} private-key /dev/stdin")
            continue
        device, peer, preshared, endpoint, allowed, keepalive = line
        secret = "" if preshared == "(none)" else "preshared-key /dev/stdin"
        host.shell(
            f"echo '{preshared}' | wg set {device} peer {peer} {secret} endpoint {endpoint} "
            f"allowed-ips {allowed} persistent-keepalive {keepalive}"
        )


@pytest.mark.parametrize("name", CAPTURES)
def test_takes_over_from_flanneld(host: Host, tmp_path: Path, name: str) -> None:
    """A host whose kernel already holds what flanneld made needs no change, and leaving removes all of it."""
    capture, options = read(name, tmp_path)
    rebuild(host, capture, "0")
    assert host.state() == overlay(capture)
    options["subnet_file"] = ""
    assert host.module(**options)["actions"] == []
    leave = {
        "state": "absent",
        "network_config": options["network_config"],
        "firewall": "none",
        "subnet_file": "",
        "wireguard_key_file": options["wireguard_key_file"],
    }
    assert host.module(**leave)["changed"]
    assert {kind: found for kind, found in host.state().items() if found} == {}
    assert host.module(**leave)["actions"] == []


@pytest.mark.parametrize("name", PODS)
def test_of_what_flanneld_leaves_in_its_pod_nothing_is_its_fault(host: Host, name: str) -> None:
    """An unprivileged container cannot write sysctls; all else is as a process of the host leaves it."""
    capture = json.loads((FIXTURES / "pod" / f"{name}.json").read_text(encoding="utf-8"))
    own, *others = [pod_lease(node, node_object) for node, node_object in sorted(capture["nodes"].items())]
    addresses = [
        own[family] + length for family, length in (("public_ip", "/24"), ("public_ipv6", "/64")) if own[family]
    ]
    host.shell(*(f"ip address add {address} dev eth0" for address in addresses))
    links = {link["ifname"] for link in capture["links"]}
    for link in links:
        accept_ra = capture["sysctls"][f"net.ipv6.conf.{link}.accept_ra"]
        assert accept_ra == "1", "a capture of a pod that could write it would prove nothing"
    rebuild(host, capture, "1")
    options = {"network_config": capture["config"], "lease": own, "foreign_peers": others}
    found = host.module(**options, firewall="none", subnet_file="", check=True)["operations"]
    assert {(each["kind"], each["attribute"]) for each in found} == ({("link", "accept_ra")} if links else set())
    assert len(found) == len(links)
    (container, root) = (capture["container"], {"securityContext": {"privileged": True}})
    assert agent.texts(found, agent.writes_sysctls(container), agent.FAULT) == []
    assert agent.texts(found, agent.writes_sysctls(root), agent.FAULT) == [each["text"] for each in found]

    host.shell("ip route del " + capture["routes4"][0]["dst"])
    found = host.module(**options, firewall="none", subnet_file="", check=True)["operations"]
    (fault,) = agent.texts(found, agent.writes_sysctls(container), agent.FAULT)
    assert fault.startswith(f"set route {capture['routes4'][0]['dst']} ")


def pod_lease(name: str, node: dict[str, Any]) -> dict[str, Any]:
    """The lease in a captured Node."""
    item = {"metadata": {"name": name, "annotations": node["annotations"]}, "spec": {"podCIDRs": node["podCIDRs"]}}
    lease = kubernetes_codec.decode(item, kubernetes_codec.annotation_keys())
    assert lease is not None
    return {**to_dict(lease), "name": name}
