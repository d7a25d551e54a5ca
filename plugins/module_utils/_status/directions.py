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
from ansible_collections.podnet.cni.plugins.module_utils._preflight.ways import end_of, family_of, named

PASSES, KEPT, LOST, DROPPED = ("passes", "kept", "lost", "dropped")
"""It gets past the firewalls of both hosts; its own host does not let it out; it leaves and does not arrive; it arrives
and the firewall there drops it."""
MOST = 10
"""So many others are asked by each host at most, over each family: what blocks one way blocks others."""
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
    port: int
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
            name = named(there["name"], way["family"], [4] if there["public_ips"].get("4") else [])
            target = {"name": name, "address": there["public_ips"][family]}
            same = [each for each in own["targets"] if family_of(each["address"]) == way["family"]]
            if target not in same and len(same) < MOST:
                own["targets"].append(target)
    return found


def of(
    gathered: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]], ports: Mapping[int, int]
) -> dict[tuple[str, str, int], Hop]:
    """Return what is known of each direction that was asked, by source, target and family.

    C(ports) are those of the families: what was told of another port is not of that way.
    """
    told = {str(name): at(entry, "udp") or {} for name, entry in (gathered.get("hosts") or {}).items()}
    addresses = {host["name"]: host["public_ips"] for host in hosts}
    found = {}
    for source, own in told.items():
        for probe in mappings(own.get("asked")):
            target, family = end_of(probe)
            there = told.get(target) or {}
            if "heard" not in there or there.get("problem") or probe.get("port") != ports.get(family):
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
            found[source, target, family] = Hop(source, target, family, ports[family], state, rules)
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


def said(hops: Sequence[Hop]) -> tuple[str, str]:
    """Return what is seen of these directions and what to do about it; empty where nothing was found out."""
    port = ", ".join(dict.fromkeys(str(hop.port) for hop in hops))
    seen = [text for text in _seen(hops, port) if text]
    if not hops:
        return "", ""
    if all(hop.state == PASSES for hop in hops):
        return f"UDP {port} gets through in both directions: something drops the tunnel's own packets", _INSIDE
    remedies = [*dict.fromkeys(_remedies(hops))]
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


def _remedies(hops: Sequence[Hop]) -> Iterator[str]:
    for name in dict.fromkeys(hop.at for hop in hops if hop.at):
        own = [hop for hop in hops if hop.at == name]
        commands = list(dict.fromkeys(_command(hop, rule) for hop in own for rule in hop.rules))
        if commands:
            yield f"On {name}: {'; '.join(commands[:SHOWN])}. {_KEEP}"
        else:
            wanted = sorted({("out" if hop.state == KEPT else "in", hop.port, hop.family) for hop in own})
            words = [
                each[way].format(port=port, ip=f"ipv{family}")
                for way, port, family in wanted
                for each in (_FIREWALLD, _UFW)
            ]
            ports = ", ".join(dict.fromkeys(f"{port}/udp" for _way, port, _family in wanted))
            yield f"On {name} let {ports} through, as with firewalld or ufw: {'; '.join(dict.fromkeys(words))}."


def _command(hop: Hop, rule: Mapping[str, Any]) -> str:
    """The command that lets the port through, in the words of who wrote the rule."""
    direction, program, chain = str(rule["direction"]), str(rule["program"]), str(rule["chain"])
    ip, port = f"ipv{hop.family}", hop.port
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
