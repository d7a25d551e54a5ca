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
from ansible_collections.podnet.cni.tests.integration._netns import Host, overlay

FIXTURES = Path(__file__).parents[2] / "fixtures" / "flanneld"
PODS = sorted(path.stem for path in (FIXTURES / "pod").glob("*.json"))
CAPTURES = sorted(path.stem for path in FIXTURES.glob("*.json"))


def read(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A capture, and the module's options for its host 1."""
    capture = json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))
    leases = [to_dict(decode(key.rsplit("/", 1)[1], value)) for key, value in capture["leases"].items()]
    (own,) = [lease for lease in leases if lease["public_ip"] == "198.18.0.1"]
    return capture, {
        "network_config": capture["config"],
        "lease": own,
        "peers": [lease for lease in leases if lease is not own],
        "firewall": "none",
    }


@pytest.mark.parametrize("name", CAPTURES)
def test_equal_to_flanneld(host: Host, tmp_path: Path, name: str) -> None:
    capture, options = read(name)
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
        data = link["linkinfo"]["info_data"]
        host.shell(
            f"ip link add {link['ifname']} address {link['address']} mtu {link['mtu']} txqueuelen 0 type vxlan "
            f"id {data['id']} dev eth0 local {data.get('local') or data['local6']} dstport {data['port']} "
            + ("learning" if data["learning"] else "nolearning")
            + (" gbp" if data.get("gbp") else ""),
            f"echo {accept_ra} > /proc/sys/net/ipv6/conf/{link['ifname']}/accept_ra",
            f"ip link set {link['ifname']} up",
        )
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
            host.shell(
                f"ip route add {route['dst']} via {route['gateway']} dev {route['dev']} proto boot "
                + " ".join(route["flags"])
            )


@pytest.mark.parametrize("name", CAPTURES)
def test_takes_over_from_flanneld(host: Host, name: str) -> None:
    """A host whose kernel already holds what flanneld made needs no change, and leaving removes all of it."""
    capture, options = read(name)
    rebuild(host, capture, "0")
    assert host.state() == overlay(capture)
    options["subnet_file"] = ""
    assert host.module(**options)["actions"] == []
    gone = host.module(state="absent", network_config=options["network_config"], firewall="none", subnet_file="")
    assert gone["changed"]
    assert host.state() == {"links": [], "addresses": [], "routes": [], "neighbours": [], "fdb": []}
    assert (
        host.module(state="absent", network_config=options["network_config"], firewall="none", subnet_file="")[
            "actions"
        ]
        == []
    )


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
