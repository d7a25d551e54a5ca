# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of what a host's firewall does to packets between pods of two hosts.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._host.forward_rules import DROP, Packet, judge
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
    inside,
    is_kubernetes,
    link_names,
    network_of,
    networks,
    own_links,
    reason,
    routes_over_underlay,
    texts,
    uses_nftables,
)

Facts = Mapping[str, Any]
# What Linux answers when rp_filter refuses: EXDEV, and EINVAL from 6.14 on (net/ipv4/fib_frontend.c).
_REFUSED = ("cross-device", "Invalid argument")
_PLANNED = {"wireguard": ("flannel-wg", "flannel-wg-v6"), "ipip": ("flannel.ipip", ""), "udp": ("flannel0", "")}


@check("host.forward_rules", "error", "The firewall lets packets between pods of two hosts through")
def forward_rules(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Docker sets the policy of FORWARD to drop, firewalld rejects what no zone takes, ufw drops by default.

    flanneld in iptables mode lets its range through in FORWARD itself, so there its rules to come are counted in.
    """
    ranges = networks(wanted)
    if not ranges:
        yield skipped("the network config is not known")
        return
    expected = f"packets from and to {', '.join(str(each) for each in ranges)} pass every chain of the forward hook"
    chains = facts.get("forward_rules")
    if not isinstance(chains, (list, tuple)):
        yield unknown(f"the rules were not read: {reason(facts, 'forward_rules')}", expected, "Install nftables.")
        return
    legacy = at(facts, "firewall", "legacy_forward")
    if legacy is None or any(not text.startswith("-P FORWARD ACCEPT") for text in texts(legacy)):
        yield unknown(
            "iptables-legacy has rules in FORWARD, which are not judged here",
            expected,
            "Look: iptables-legacy -S FORWARD.",
        )
    judged = _with_flannels_own(facts, wanted, mappings(chains))
    dropped: dict[str, str] = {}
    unsure: dict[str, str] = {}
    for packet in _packets(facts, wanted, ranges):
        for each in judge(judged, packet):
            if each.outcomes == {DROP}:
                dropped.setdefault(each.chain, f"{packet.iifname} to {packet.oifname}")
            elif DROP in each.outcomes:
                unsure.setdefault(each.chain, f"{packet.iifname} to {packet.oifname}")
    for chain, way in dropped.items():
        seen = f"chain {chain} drops packets between pods ({way})"
        yield failed(seen, expected, _remedy(chain, mappings(chains), ranges, own_links(facts)))
    for chain, way in unsure.items():
        if chain not in dropped:
            remedy = "Reach a pod from a pod of another host (podnet.cni.pod_network_probe), or read the chain."
            yield unknown(f"whether chain {chain} lets packets between pods through ({way})", expected, remedy)
    if not dropped and not unsure:
        yield ok("no chain drops them", expected)


@check("host.pods_reach", "error", "Pods of the host reach pods of the other hosts")
def pods_reach(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """What a pod made through the host's own CNI configuration reached; a host that made none proves nothing."""
    probes = facts.get("pod_probes")
    if not isinstance(probes, (list, tuple)):
        yield skipped("no pod was made to find out (preflight_pods)")
        return
    expected = "answers of the pods of the other hosts"
    problem = facts.get("pod_problem")
    if problem:
        yield unknown(f"no pod could measure: {problem}", expected, "See to the CNI configuration of this host.")
    elif not probes:
        yield unknown("there was no pod on another host", expected, "Two hosts that can make a pod are needed.")
    for probe in mappings(probes):
        target = f"the pod of {probe.get('target')} ({probe.get('address')})"
        if not probe.get("reachable"):
            remedy = "Correct what host.forward_rules and host.udp_open of both hosts say, then podnet.cni.doctor."
            yield failed(f"{target} does not answer a pod of this host", expected, remedy)
        else:
            yield ok(f"{target} answers {probe.get('received')} of {probe.get('sent')} packets", expected)


@check("host.pod_routes", "error", "Packets between pods of two hosts take the routes of the main table")
def pod_routes(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A rule of policy routing may take them elsewhere; with rp_filter 1 what would return another way is dropped.

    A route that is narrower than the backend's, as another backend left it, takes them past its link.

    Source: https://docs.kernel.org/networking/ip-sysctl.html (rp_filter).
    """
    ways = facts.get("pod_routes")
    if not isinstance(ways, (list, tuple)):
        yield unknown(f"the ways were not read: {reason(facts, 'pod_routes')}", "", "Install iproute2.")
        return
    if not ways:
        yield skipped("no pod was started here yet, or no route leads to the subnet of another host")
        return
    good = True
    ranges = networks(wanted)
    for way in mappings(ways):
        seen = f"a packet from {way.get('source')} to {way.get('target')} that arrives on {way.get('iif')}"
        expected = f"it leaves on {way.get('main')}"
        if way.get("problem") and not _forwards(facts, str(way.get("source"))):
            # What is wrong then is told by host.forwarding.
            continue
        if way.get("rp_filter") == "1" and any(words in str(way.get("problem")) for words in _REFUSED):
            good = False
            yield failed(f"{seen} is dropped ({way['problem']}): rp_filter is 1", expected, _rp_filter(way))
        elif way.get("problem") or way.get("dev") != way.get("main"):
            good = False
            where = f"is not forwarded ({way['problem']})" if way.get("problem") else f"leaves on {way.get('dev')}"
            yield failed(f"{seen} {where}", expected, _policy(way))
        elif inside(network_of(way.get("route")), ranges) and _passes_by(wanted, str(way.get("main"))):
            good = False
            past = f"it leaves on {' or '.join(link_names(wanted))}"
            yield failed(f"{seen} leaves on {way.get('main')} by the route to {way['route']}", past, _shadow(way))
    if good:
        yield ok(f"{len(ways)} ways are those of the main table")


def _forwards(facts: Facts, address: str) -> bool:
    name = "net.ipv6.conf.all.forwarding" if ":" in address else "net.ipv4.ip_forward"
    return at(facts, "sysctls", name) != "0"


def _rp_filter(way: Facts) -> str:
    # sysctl takes a dot for the end of a name.
    link = str(way.get("iif")).replace(".", "/")
    return (
        f"Let replies take another way: sysctl -w net.ipv4.conf.all.rp_filter=2 net.ipv4.conf.{link}.rp_filter=2, "
        "also in /etc/sysctl.d; or take the rule or route away that leads the way back elsewhere (ip rule)."
    )


def _policy(way: Facts) -> str:
    family = 6 if ":" in str(way.get("source")) else 4
    return (
        f"Put a rule before the one that takes it: ip -{family} rule add to {way.get('target')} lookup main pref 100, "
        f"with the pods' range in place of the address; ip -{family} rule shows all."
    )


def _with_flannels_own(facts: Facts, wanted: Facts, chains: list[Facts]) -> list[Facts]:
    """The chains as they will be when flanneld runs: in iptables mode its rules come before the policy of FORWARD."""
    there = any(chain.get("name") == "FLANNEL-FWD" for chain in chains)
    if there or uses_nftables(wanted) or not is_kubernetes(facts, wanted):
        return chains
    return [
        {**chain, "policy": "accept"} if (chain.get("table"), chain.get("name")) == ("filter", "FORWARD") else chain
        for chain in chains
    ]


def _passes_by(wanted: Facts, link: str) -> bool:
    """Whether packets to another host that leave over this link pass the backend's own by."""
    names = link_names(wanted)
    return bool(names) and link not in names and not routes_over_underlay(wanted)


def _shadow(way: Facts) -> str:
    family = 6 if ":" in str(way.get("source")) else 4
    return (
        f"Remove the route, which another backend or program left: ip -{family} route del {way['route']} dev "
        f"{way.get('main')}. Remove its link, too, if nothing else uses it."
    )


def _packets(facts: Facts, wanted: Facts, ranges: list[Any]) -> Iterator[Packet]:
    """A packet that arrives for a pod of this host and one that leaves for another, of each family."""
    config = config_of(wanted)
    kind = config.backend.type if config is not None else ""
    pods = "cali0" if wanted.get("plugin") == "canal" else "cni0"
    for each in ranges:
        vni = config.backend.options.get("VNI") or 1 if config is not None else 1
        planned = (f"flannel.{vni}", f"flannel-v6.{vni}") if kind == "vxlan" else _PLANNED.get(kind, ("", ""))
        way = planned[0 if each.version == 4 else 1] or str(at(facts, "underlay", "name") or "")
        if way:
            yield Packet(way, pods, each)
            yield Packet(pods, way, each)


def _remedy(chain: str, chains: list[Facts], ranges: list[Any], links: list[Facts]) -> str:
    """How to let the pods through, in the words of who wrote the chain."""
    family, table, _name = chain.split(" ", 2)
    names = [str(each.get("name")) for each in chains if (each.get("family"), each.get("table")) == (family, table)]
    ranges = [each for each in ranges if family not in ("ip", "ip6") or each.version == (4 if family == "ip" else 6)]
    text = ", ".join(str(each) for each in ranges)
    if table == "firewalld":
        sources = " ".join(f"--add-source={each}" for each in ranges)
        interfaces = "".join(f" --add-interface={each.get('name')}" for each in links)
        zone = f"firewall-cmd --permanent --zone=trusted {sources}{interfaces} --add-interface=cni0"
        return f"Put the pods into a zone that forwards: {zone}, then firewall-cmd --reload."
    if any(name.startswith("ufw") for name in names):
        return f"Let them through: ufw route allow from {ranges[0]}, and ufw route allow to {ranges[0]}."
    if "DOCKER-USER" in names:
        return f"Let {text} through as source and as destination: iptables -I DOCKER-USER -s RANGE -j ACCEPT, and -d."
    return f"Let packets from and to {text} through in chain {chain}, before what drops them."


FORWARDING_CHECKS = (forward_rules, pods_reach, pod_routes)
