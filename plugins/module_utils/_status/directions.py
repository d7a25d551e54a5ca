# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which direction of a tunnel is blocked, where, and by which rule, of what UDP probes and the hosts' firewalls told.

Private to podnet.cni: may change in any release.

A host that gave it has C(udp) among what was gathered: C(asked) and C(heard), as preflight_udp_probe returns them as
C(probes) and C(heard), its C(rules) and C(rules_problem).
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import texts

PASSES, KEPT, LOST, DROPPED = ("passes", "kept", "lost", "dropped")
"""It gets past the firewalls of both hosts; its own host does not let it out; it leaves and does not arrive; it arrives
and the firewall there drops it."""
MOST = 10
"""So many others are asked by each host at most: what blocks one way blocks others."""
SHOWN = 3
_UFW = {"in": "ufw allow {port}/udp", "out": "ufw allow out {port}/udp"}
_FIREWALLD = {
    "in": "firewall-cmd --permanent --add-port={port}/udp && firewall-cmd --reload",
    "out": "firewall-cmd --permanent --direct --add-rule {ip} filter OUTPUT 0 -p udp --dport {port} -j ACCEPT && "
    "firewall-cmd --reload",
}
_KEEP = "Write it where the rules are loaded from at boot, too."


class Hop(NamedTuple):
    """One direction between two hosts: its state, and the rules of the host that drops it."""

    source: str
    target: str
    family: int
    state: str
    rules: tuple[Mapping[str, Any], ...] = ()

    @property
    def at(self) -> str:
        """The host whose firewall drops it, or ""."""
        return {KEPT: self.source, DROPPED: self.target}.get(self.state, "")


def questions(hosts: Sequence[Mapping[str, Any]], ports: Sequence[int], ways: Sequence[Mapping[str, Any]]) -> Any:
    """Return what each host of the ways is to ask: its C(addresses), the C(ports) and the C(targets)."""
    by_name = {host["name"]: host for host in hosts}
    found: dict[str, dict[str, Any]] = {}
    for way in ways:
        family = str(way["family"])
        pair = [by_name[name] for name in (way["source"], way["target"])]
        if not all(host["public_ips"].get(family) for host in pair):
            continue
        for here, there in (pair, pair[::-1]):
            addresses = list(here["public_ips"].values())
            own = found.setdefault(here["name"], {"addresses": addresses, "ports": list(ports), "targets": []})
            target = {"name": there["name"], "address": there["public_ips"][family]}
            if target not in own["targets"] and len(own["targets"]) < MOST:
                own["targets"].append(target)
    return found


def of(gathered: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str, int], Hop]:
    """Return what is known of each direction that was asked, by source, target and family."""
    told = {str(name): at(entry, "udp") or {} for name, entry in (gathered.get("hosts") or {}).items()}
    addresses = {host["name"]: host["public_ips"] for host in hosts}
    found = {}
    for source, own in told.items():
        for probe in mappings(own.get("asked")):
            target, family = str(probe.get("target")), 6 if ":" in str(probe.get("address")) else 4
            there = told.get(target) or {}
            if "heard" not in there or there.get("problem"):
                continue
            heard = [
                each
                for each in mappings(there.get("heard"))
                if (each.get("source"), each.get("family")) == (source, family)
                and each.get("port") == probe.get("port")
            ]
            state = _state(probe, heard)
            at_host, other = (own, target) if state == KEPT else (there, source)
            direction = {KEPT: "out", DROPPED: "in"}.get(state, "")
            of_other = addresses.get(other, {})
            rules = _for(at_host, direction, of_other.get(str(family)))
            found[source, target, family] = Hop(source, target, family, state, rules)
    return found


def _state(probe: Mapping[str, Any], heard: Sequence[Mapping[str, Any]]) -> str:
    if any(each.get("passed") for each in heard):
        return PASSES
    if any(each.get("arrived") for each in heard):
        return DROPPED
    return KEPT if probe.get("refused") else LOST


def _for(told: Mapping[str, Any], direction: str, peer: str | None) -> tuple[Mapping[str, Any], ...]:
    return tuple(
        rule
        for rule in mappings(told.get("rules"))
        if rule.get("direction") == direction and peer in texts(rule.get("peers"))
    )


def said(hops: Sequence[Hop], ports: Sequence[int]) -> tuple[str, str]:
    """Return what is seen of these directions and what to do about it; empty where nothing was found out."""
    port = ", ".join(map(str, ports))
    seen = [text for text in _seen(hops, port) if text]
    if not hops:
        return "", ""
    if all(hop.state == PASSES for hop in hops):
        return f"UDP {port} gets through in both directions: something drops the tunnel's own packets", _INSIDE
    remedies = [*dict.fromkeys(_remedies(hops, ports[0]))]
    lost = [hop for hop in hops if hop.state == LOST]
    if lost:
        names = _some([f"from {hop.source} to {hop.target}" for hop in lost])
        remedies.append(
            f"Open {port}/udp {names} in what is between them, as security groups, the hypervisor's filters and "
            "routers are: no rule of these hosts drops it."
        )
    return "; ".join(seen), " ".join(remedies)


_INSIDE = (
    "Look for a filter between the hosts that looks into packets, and for wrong checksums: "
    "ethtool -K LINK tx-checksum-ip-generic off on both hosts, as with host.checksum_offload."
)


def _seen(hops: Sequence[Hop], port: str) -> Iterator[str]:
    for name in dict.fromkeys(hop.at for hop in hops if hop.at):
        for state in (DROPPED, KEPT):
            own = [hop for hop in hops if hop.at == name and hop.state == state]
            if own:
                others = _some([hop.source if state == DROPPED else hop.target for hop in own])
                what = (
                    f"from {others} arrives at {name}"
                    if state == DROPPED
                    else f"from {name} to {others} does not leave it"
                )
                yield f"UDP {port} {what}: {_by(own)}"
    for state, text in ((LOST, "leaves and does not arrive: it is dropped between them"), (PASSES, "gets through")):
        own = [hop for hop in hops if hop.state == state]
        if own:
            names = _some([f"{hop.source} -> {hop.target}" for hop in own])
            yield f"UDP {port} {names} {text}"


def _by(hops: Sequence[Hop]) -> str:
    rules = list({f"chain {rule['chain']}: {rule['rule']}": rule for hop in hops for rule in hop.rules}.items())
    if not rules:
        return "its firewall drops it, by a rule that cannot be seen here"
    names = _some([text for text, _rule in rules])
    return f"its firewall drops it ({'' if all(rule['sure'] for _text, rule in rules) else 'perhaps '}by {names})"


def _remedies(hops: Sequence[Hop], port: int) -> Iterator[str]:
    for name in dict.fromkeys(hop.at for hop in hops if hop.at):
        own = [hop for hop in hops if hop.at == name]
        commands = list(dict.fromkeys(_command(hop, rule, port) for hop in own for rule in hop.rules))
        if commands:
            yield f"On {name}: {'; '.join(commands[:SHOWN])}. {_KEEP}"
        else:
            names = {"out" if hop.state == KEPT else "in" for hop in own}
            words = [each[name].format(port=port, ip="ipv4") for name in sorted(names) for each in (_FIREWALLD, _UFW)]
            yield f"On {name} let {port}/udp through, as with firewalld or ufw: {'; '.join(words)}."


def _command(hop: Hop, rule: Mapping[str, Any], port: int) -> str:
    """The command that lets the port through, in the words of who wrote the rule."""
    direction, program, chain = str(rule["direction"]), str(rule["program"]), str(rule["chain"])
    ip = "ipv6" if hop.family == 6 else "ipv4"
    if program in ("firewalld", "ufw"):
        return (_FIREWALLD if program == "firewalld" else _UFW)[direction].format(port=port, ip=ip)
    if program == "nft":
        return f"nft insert rule {chain} udp dport {port} accept"
    # Other commands than that of its kind would write a rule that stands elsewhere.
    name = program if program.endswith("-legacy") else "ip6tables" if rule["family"] == 6 else "iptables"
    return f"{name} -I {chain.rsplit(' ', maxsplit=1)[-1]} -p udp --dport {port} -j ACCEPT"


def _some(names: Sequence[str]) -> str:
    each = list(dict.fromkeys(names))
    more = f" and {len(each) - SHOWN} more" if len(each) > SHOWN else ""
    return ", ".join(each[:SHOWN]) + more
