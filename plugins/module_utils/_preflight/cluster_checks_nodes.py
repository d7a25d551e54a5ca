# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a cluster's Nodes: podCIDRs, the range they come from, and what flannel wrote on them; no I/O.

Facts are those of C(cluster_facts), C(wanted) is that of C(host_wanted). Private to podnet.cni: may change in any
release.
"""

from __future__ import annotations

import collections
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json, vtep
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    config_of,
    families,
    inside,
    network_of,
    networks,
    number,
    reason,
    texts,
)

Facts = Mapping[str, Any]
FAMILY = {4: "IPv4", 6: "IPv6"}
DEFAULT_MASK = {4: 24, 6: 64}
"""What the controller manager gives each node unless told otherwise (k8s.io/kubernetes v1.36
cmd/kube-controller-manager/app/core.go)."""
NEARLY_FULL = 0.9
"""Share of the range's subnets from which on it is said that they run out."""
NO_NETWORK = (None, "generic", "unknown")
"""What discovery calls it when it knows of no network."""
NO_NODES = "the cluster has no nodes yet"
GRANT = "Grant the right (docs/manifests/preflight-rbac.yaml), or look at it by hand."


def nodes_of(facts: Facts) -> list[Facts]:
    """The Nodes of the facts."""
    return mappings(facts.get("nodes"))


def name_of(node: Facts) -> str:
    """How findings name a Node."""
    return f"Node/{node.get('name')}"


def cidrs_of(node: Facts) -> list[Any]:
    """The podCIDRs of a Node as objects of ipaddress."""
    return [each for each in map(network_of, texts(node.get("pod_cidrs"))) if each is not None]


def note_of(node: Facts, name: str) -> str:
    """An annotation of flannel's on a Node, empty without it."""
    value = at(node, "annotations", name)
    return value if isinstance(value, str) else ""


def is_windows(node: Facts) -> bool:
    """Whether the Node runs Windows."""
    return str(node.get("os")).lower() == "windows"


def running_network(facts: Facts) -> Facts | None:
    """The component that carries the pods, as discovery found it; None without one."""
    for each in mappings(facts.get("components")):
        if each.get("role") == "primary" and each.get("plugin") not in NO_NETWORK:
            return each
    return None


def _no_nodes(facts: Facts) -> Iterator[Verdict]:
    """What a check says that has no Nodes to look at."""
    if facts.get("nodes") is None:
        yield unknown(f"Nodes were not read: {reason(facts, 'nodes')}", remedy=GRANT)
    else:
        yield skipped(NO_NODES)


@check("cluster.pod_cidr", "error", "Every node has a podCIDR of each family")
def pod_cidr(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flannel exits on a node without one (flannel v0.28.9 pkg/subnet/kube/kube.go)."""
    if not nodes_of(facts):
        yield from _no_nodes(facts)
        return
    good = True
    for node in nodes_of(facts):
        held = cidrs_of(node)
        absent = [FAMILY[family] for family in families(wanted) if family not in {each.version for each in held}]
        if not absent:
            continue
        good = False
        if held:
            remedy = (
                "podCIDRs never change. Give the controller manager a range of each family in --cluster-cidr, then "
                "delete the Node and let it register again; or disable the family in the network config."
            )
        else:
            remedy = (
                "Run the controller manager with --allocate-node-cidrs=true and --cluster-cidr, and see whether the "
                "range is used up."
            )
        yield failed(f"no podCIDR of {' and '.join(absent)}", "one podCIDR of each family", remedy, name_of(node))
    if good:
        yield ok(f"{len(nodes_of(facts))} nodes have one", "one podCIDR of each family")


@check("cluster.pod_cidr_range", "error", "Every podCIDR is inside the network")
def pod_cidr_range(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flannel exits with "specified in the flannel net config doesn't contain" otherwise."""
    ranges = networks(wanted)
    if not ranges:
        yield skipped("no network config was given")
        return
    if not nodes_of(facts):
        yield from _no_nodes(facts)
        return
    text = " and ".join(map(str, ranges))
    outside = [(node, each) for node in nodes_of(facts) for each in cidrs_of(node) if _is_outside(each, ranges)]
    for node, each in outside:
        yield failed(
            f"podCIDR {each}",
            f"inside {text}",
            "Make Network the controller manager's --cluster-cidr. A podCIDR never changes: delete the Node and let it "
            "register again if the network is right.",
            name_of(node),
        )
    if not outside:
        yield ok(f"all podCIDRs are inside {text}", f"inside {text}")


def _is_outside(each: Any, ranges: Sequence[Any]) -> bool:
    """Only a range of the same family can be missed."""
    return each.version in {one.version for one in ranges} and not inside(each, ranges)


@check("cluster.pod_cidr_unique", "error", "No podCIDR overlaps another")
def pod_cidr_unique(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Two controllers that allocate, or podCIDRs written by hand, give one range twice."""
    if not nodes_of(facts):
        yield from _no_nodes(facts)
        return
    held = sorted(
        ((each, node) for node in nodes_of(facts) for each in cidrs_of(node)),
        key=lambda pair: (pair[0].version, int(pair[0].network_address), pair[0].prefixlen),
    )
    good, widest = True, None
    for each, node in held:
        if widest is not None and widest[0].version == each.version and each.subnet_of(widest[0]):
            good = False
            yield failed(
                f"podCIDR {each} overlaps {widest[0]} of {name_of(widest[1])}",
                "a range of its own",
                "See that only one controller allocates podCIDRs, delete one of the Nodes and let it register again.",
                name_of(node),
            )
        else:
            widest = (each, node)
    if good:
        yield ok(f"{len(held)} podCIDRs, none overlaps", "a range for each node")


@check("cluster.network_overlap", "error", "The network overlaps neither Services nor the nodes' own addresses")
def network_overlap(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A route to a peer's subnet would take packets away from Services or nodes."""
    ranges = networks(wanted)
    if not ranges:
        yield skipped("no network config was given")
        return
    good = True
    for each in sorted({str(item) for item in _service_ranges(facts)}):
        for network in ranges:
            other = network_of(each)
            if other is not None and other.version == network.version and other.overlaps(network):
                good = False
                yield failed(
                    f"{network} overlaps the Service range {other}",
                    "ranges that do not overlap",
                    "Choose another Network; it has to be the controller manager's --cluster-cidr.",
                )
    for node in nodes_of(facts):
        within = [text for text in texts(node.get("internal_ips")) if _address_in(text, ranges)]
        for text in within:
            good = False
            yield failed(
                f"its address {text} is inside the network",
                "an address outside of the pods' range",
                "Choose another Network, or other addresses for the nodes.",
                name_of(node),
            )
    unread = [name for name in ("components", "nodes") if facts.get(name) is None]
    if unread:
        yield unknown(f"{unread[0]} were not read: {reason(facts, unread[0])}", "ranges that do not overlap", GRANT)
    elif good:
        yield ok("no overlap was found", "ranges that do not overlap")


def _service_ranges(facts: Facts) -> Iterator[Any]:
    for component in mappings(facts.get("components")):
        for each in mappings(at(component, "networking", "service_cidrs")):
            if each.get("cidr"):
                yield each["cidr"]


def _address_in(text: str, ranges: Sequence[Any]) -> bool:
    try:
        address = addresses.parse_ip(text)
    except ValueError:
        return False
    return any(address in network for network in ranges)


@check("cluster.capacity", "error", "The range has a subnet for every node, and some to spare")
def capacity(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A node that joins when the range is used up never gets a podCIDR."""
    planned = number(wanted.get("nodes")) or 0
    count = max(len(nodes_of(facts)), int(planned) if 0 < planned < 1e9 else 0)
    if not count:
        yield from _no_nodes(facts)
        return
    for network in _allocated_ranges(facts, wanted):
        mask = _mask(facts, network.version)
        if mask < network.prefixlen:
            yield failed(
                f"the mask /{mask} of a node is wider than {network}",
                f"a mask longer than /{network.prefixlen}",
                "Set --node-cidr-mask-size of the controller manager.",
            )
            continue
        room = 2 ** (mask - network.prefixlen)
        seen = f"{network} has {room} subnets of /{mask} for {count} nodes"
        remedy = (
            "Plan a larger range: it cannot be changed for nodes that are there. A longer --node-cidr-mask-size gives "
            "more subnets with fewer pods each, to new clusters."
        )
        if count > room:
            yield failed(seen, f"at least {count} subnets", remedy)
        elif count >= room * NEARLY_FULL:
            yield failed(seen, f"less than {NEARLY_FULL:.0%} of them in use", remedy, severity="warning")
        else:
            yield ok(seen, f"at least {count} subnets")


def _allocated_ranges(facts: Facts, wanted: Facts) -> list[Any]:
    """The ranges podCIDRs are taken from: what the controller manager says, otherwise the network."""
    given = str(at(facts, "controller_manager", "flags", "cluster-cidr") or "")
    found = [each for each in map(network_of, filter(None, given.split(","))) if each is not None]
    return found or networks(wanted)


def _mask(facts: Facts, version: int) -> int:
    """The length of a node's subnet: what nodes have, or what the controller manager says, or its default."""
    held = collections.Counter(
        each.prefixlen for node in nodes_of(facts) for each in cidrs_of(node) if each.version == version
    )
    if held:
        return held.most_common(1)[0][0]
    flags = at(facts, "controller_manager", "flags")
    for name in (f"node-cidr-mask-size-ipv{version}", "node-cidr-mask-size"):
        value = number(at(flags, name))
        if value is not None and 0 < value <= (32 if version == 4 else 128):
            return int(value)
    return DEFAULT_MASK[version]


@check("cluster.allocate_node_cidrs", "error", "The cluster gives its nodes podCIDRs")
def allocate_node_cidrs(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """From the controller manager's command where its pod can be seen, otherwise from what Nodes and events show."""
    events = mappings(facts.get("events"))
    for event in events:
        yield failed(
            # Without the name, so that many nodes say the same.
            f"event CIDRNotAvailable: {str(event.get('message')).replace(str(event.get('node')), '...')}",
            "free subnets in --cluster-cidr",
            "The range is used up: delete Nodes that are gone, or plan a larger range.",
            f"Node/{event.get('node')}",
        )
    having = [node for node in nodes_of(facts) if cidrs_of(node)]
    expected = "--allocate-node-cidrs=true"
    if at(facts, "controller_manager", "visible") is True:
        yield from _by_flags(at(facts, "controller_manager", "flags") or {}, bool(having), wanted)
    elif events:
        return
    elif nodes_of(facts) and len(having) == len(nodes_of(facts)):
        yield ok(f"all {len(having)} nodes have podCIDRs, so something gives them out", expected)
    elif nodes_of(facts) and not having:
        yield failed(
            "no node has a podCIDR, and the controller manager's pod cannot be seen",
            expected,
            "Run the controller manager with --allocate-node-cidrs=true and --cluster-cidr=<Network>.",
        )
    else:
        seen = [f"{len(having)} of {len(nodes_of(facts))} nodes have podCIDRs" if having else NO_NODES]
        if facts.get("nodes") is None:
            seen = [f"Nodes were not read: {reason(facts, 'nodes')}"]
        if facts.get("controller_manager") is None:
            seen.append(reason(facts, "controller_manager"))
        yield unknown("; ".join(seen), expected, "Look at the controller manager's command.")


def _by_flags(flags: Any, having: bool, wanted: Facts) -> Iterator[Verdict]:
    """The verdict where the controller manager's command is known."""
    text = " ".join(f"--{name}={value}" for name, value in sorted(flags.items())) if isinstance(flags, Mapping) else ""
    expected = "--allocate-node-cidrs=true, and --cluster-cidr equal to the network"
    if str(at(flags, "allocate-node-cidrs")).lower() not in ("true", "1", "t"):
        yield failed(
            f"controller manager with {text or 'none of its flags'}",
            expected,
            "Set --allocate-node-cidrs=true and --cluster-cidr=<Network>, unless something else gives out podCIDRs.",
            severity="warning" if having else "error",
        )
        return
    given = {each for each in map(network_of, str(at(flags, "cluster-cidr") or "").split(",")) if each is not None}
    missing = [each for each in networks(wanted) if not any(inside(one, [each]) for one in given)]
    if given and missing:
        yield failed(
            f"controller manager with {text}",
            f"--cluster-cidr inside {', '.join(map(str, missing))}",
            "Make Network and --cluster-cidr the same; flannel exits on nodes whose podCIDR is outside of Network.",
        )
    else:
        yield ok(f"controller manager with {text}", expected)


@check("cluster.public_ip", "error", "Every node announces an address of its own to its peers")
def public_ip(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Peers send to the annotation public-ip; twice the same one makes one of two nodes unreachable."""
    if facts.get("nodes") is None:
        yield from _no_nodes(facts)
        return
    owners = [(key, _by_value(nodes_of(facts), key)) for key in ("public-ip", "public-ipv6")]
    if not any(found for _key, found in owners):
        yield skipped("no node has flannel's annotations")
        return
    bad = [each for key, found in owners for each in _shared_or_foreign(key, found)]
    yield from bad or [ok("all addresses that peers send to differ", "an address of its own for each node")]


def _shared_or_foreign(key: str, owners: Mapping[str, Sequence[Facts]]) -> Iterator[Verdict]:
    """Addresses that several nodes announce, and those that are not among the node's own."""
    for value, holders in owners.items():
        if len(holders) > 1:
            yield failed(
                f"{key} {value} on {_few(holders)}",
                "an address of its own for each node",
                "Give flanneld the right interface (--iface), or the annotation public-ip-overwrite.",
            )
        for node in holders:
            own = [*texts(node.get("internal_ips")), *texts(node.get("external_ips"))]
            same = [each for each in own if (":" in each) == (":" in value)]
            if same and value not in same and note_of(node, f"{key}-overwrite") != value:
                yield failed(
                    f"{key} {value}, the Node's addresses are {', '.join(same)}",
                    "one of the Node's addresses",
                    "Check that peers reach this address; otherwise choose the interface with --iface.",
                    name_of(node),
                    "warning",
                )


def _by_value(nodes: Iterable[Facts], key: str) -> dict[str, list[Facts]]:
    """Nodes by the value of an annotation of flannel's; those without it left out."""
    found: dict[str, list[Facts]] = {}
    for node in nodes:
        value = note_of(node, key)
        if value:
            found.setdefault(value, []).append(node)
    return found


@check("cluster.backend_type", "error", "All nodes use one backend, the one that is wanted")
def backend_type(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Nodes with another backend ignore each other."""
    if facts.get("nodes") is None:
        yield from _no_nodes(facts)
        return
    kinds = _by_value(nodes_of(facts), "backend-type")
    if not kinds:
        yield skipped("no node has flannel's annotations")
        return
    seen = "; ".join(f"{kind} on {_few(nodes)}" for kind, nodes in sorted(kinds.items()))
    config = config_of(wanted)
    if len(kinds) > 1:
        yield failed(seen, "one backend", "Restart flannel on the nodes that have not read the network config.")
    elif config is not None and config.backend.type not in kinds:
        yield failed(
            seen,
            config.backend.type,
            "Changing the backend cuts the pods off until flannel is restarted on every node: plan for an outage, or "
            "keep the backend.",
            severity="warning",
        )
    else:
        yield ok(seen, "one backend")


def _few(nodes: Sequence[Facts]) -> str:
    names = [str(node.get("name")) for node in nodes]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


@check("cluster.vtep_mac", "error", "Every node has a VTEP MAC of its own")
def vtep_mac(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Hosts that were cloned with systemd's machine-id have one MAC twice; peers then send to one of them only."""
    if facts.get("nodes") is None:
        yield from _no_nodes(facts)
        return
    bad = []
    announced = 0
    for key in ("backend-data", "backend-v6-data"):
        owners: dict[str, list[Facts]] = {}
        for value, holders in _by_value(nodes_of(facts), key).items():
            if _mac(value):
                owners.setdefault(_mac(value), []).extend(holders)
        announced += len(owners)
        bad += [
            failed(
                f"VTEP MAC {mac} on {_few(holders)}",
                "a MAC for each node",
                "Give each host a machine-id of its own, set MACAddressPolicy=none for flannel's links, delete the "
                "link and restart flannel there.",
            )
            for mac, holders in owners.items()
            if len(holders) > 1
        ]
    if announced:
        yield from bad or [ok(f"{announced} VTEP MACs, all different", "a MAC for each node")]
    else:
        yield skipped("no node announces a VTEP MAC")


def _mac(text: str) -> str:
    try:
        return vtep.mac_text(addresses.parse_mac(go_json.member(go_json.load(text, "backend data"), "VtepMAC")))
    except (InputError, ValueError):
        return ""


@check("cluster.network_unavailable", "warning", "No node says that its network is unavailable")
def network_unavailable(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A cloud sets the condition until a network is there; with one that runs, nobody has cleared it."""
    if not nodes_of(facts):
        yield from _no_nodes(facts)
        return
    if facts.get("components") is None:
        yield unknown(f"whether a network runs was not read: {reason(facts, 'components')}", "False", GRANT)
        return
    if running_network(facts) is None:
        yield skipped("no network runs yet that could clear the condition")
        return
    lacking = [node for node in nodes_of(facts) if node.get("network_unavailable") == "True"]
    for node in lacking:
        yield failed(
            f"NetworkUnavailable is True, reason {node.get('network_reason') or 'none'}",
            "False",
            "Look at the network's pod on this node: its daemon clears the condition when it has started.",
            name_of(node),
        )
    if not lacking:
        yield ok("no node says so", "False")
