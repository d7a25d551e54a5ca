# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which rules of a host's own firewall drop the UDP packets of a backend, as far as they can be read.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._host import forward_rules
from ansible_collections.podnet.cni.plugins.module_utils._host.command import Run, checked
from ansible_collections.podnet.cni.plugins.module_utils._host.forward_rules import DROP, Datagram

IN, OUT = "in", "out"
_COUNTER = re.compile(r" counter packets \d+ bytes \d+")
HOOKS: Mapping[str, tuple[str, ...]] = {IN: ("ingress", "prerouting", "input"), OUT: ("output", "postrouting")}
_LEGACY = {4: "iptables-legacy", 6: "ip6tables-legacy"}
_LEGACY_TABLES = {4: "/proc/net/ip_tables_names", 6: "/proc/net/ip6_tables_names"}


@dataclass(frozen=True)
class Ways:
    """The link of a host to others, its own addresses, those of the others, and the ports of the backend."""

    link: str
    own: Sequence[str]
    peers: Sequence[str]
    ports: Sequence[int]

    def datagrams(self) -> Iterator[tuple[str, Datagram, str]]:
        """Yield a packet of each direction, peer and port, with its direction and peer."""
        for peer in self.peers:
            there = ipaddress.ip_network(peer)
            here = next((each for each in map(ipaddress.ip_network, self.own) if each.version == there.version), None)
            for port in self.ports if here is not None else ():
                yield IN, Datagram(self.link, "", there, here, port), peer
                yield OUT, Datagram("", self.link, here, there, port), peer


def read(run: Run, ways: Ways) -> tuple[list[dict[str, Any]], str]:
    """Return the rules that may drop packets at these ports from and to peers, and why some could not be read, or "".

    Each has C(direction), C(program) (nft, iptables, firewalld, ufw or iptables-legacy), C(family), C(chain), C(rule),
    C(sure), and C(peers). Where a rule surely drops the packets of a direction and peer, those that may are left out.
    """
    reasons = []
    found: list[dict[str, Any]] = []
    try:
        every = [hook for hooks in HOOKS.values() for hook in hooks]
        chains = forward_rules.read(run, every)
        for direction, datagram, peer in ways.datagrams():
            for each in forward_rules.judge(chains, datagram, HOOKS[direction]):
                if DROP in each.outcomes:
                    common = {"direction": direction, "sure": each.outcomes == {DROP}}
                    found += [{**common, **_entry(chains, *rule), "peers": [peer]} for rule in each.by]
        _add_texts(run, found)
    except PodnetError as error:
        reasons.append(str(error))
    for family, program in _LEGACY.items():
        if _has_filter(family):
            try:
                out = checked(run, [program, "-S"], missing=f"install {program}")
            except PodnetError as error:
                reasons.append(str(error))
                continue
            found += list(legacy(out.splitlines(), program, ways))
    return _joined(found), "; ".join(reasons)


def _entry(chains: Sequence[Mapping[str, Any]], key: tuple[str, str, str], handle: int | None) -> dict[str, Any]:
    """What is said of a rule: whose it is, and where."""
    family, table, _name = key
    names = [str(each.get("name")) for each in chains if (each.get("family"), each.get("table")) == (family, table)]
    program = "nft"
    if table == "firewalld":
        program = "firewalld"
    elif any(each.startswith("ufw") for each in names):
        program = "ufw"
    elif family in ("ip", "ip6") and table in ("filter", "raw", "mangle", "nat") and {"INPUT", "OUTPUT"} & set(names):
        program = "iptables"
    version = {"ip": 4, "ip6": 6}.get(family, 0)
    return {"program": program, "family": version, "chain": " ".join(key), "rule": "", "handle": handle}


def _add_texts(run: Run, found: Sequence[dict[str, Any]]) -> None:
    """Give each rule its text as nft prints it; a policy has that of its chain."""
    texts: dict[str, dict[int, str]] = {}
    for entry in found:
        handle = entry.pop("handle")
        chain = entry["chain"]
        if handle is None:
            entry["rule"] = "policy drop"
            continue
        if chain not in texts:
            listing = checked(run, ["nft", "-a", "list", "chain", *chain.split(" ", 2)], missing="install nftables")
            texts[chain] = {
                int(number): _COUNTER.sub("", text).strip()
                for text, mark, number in (line.rpartition(" # handle ") for line in listing.splitlines())
                if mark and number.isdigit()
            }
        entry["rule"] = texts[chain].get(handle, "")


def _has_filter(family: int) -> bool:
    try:
        with open(_LEGACY_TABLES[family], encoding="ascii") as names:
            return "filter" in names.read().split()
    except OSError:
        return False


def legacy(lines: Sequence[str], program: str, ways: Ways) -> Iterator[dict[str, Any]]:
    """Yield the rules of iptables-legacy that may drop the packets, of what C(-S) prints.

    What leads to a chain of its own is not followed, so that only a rule without a condition that is not known here, in
    a chain of the kernel, is sure.
    """
    family = 6 if program.startswith("ip6") else 4
    hooks = {IN: ("INPUT",), OUT: ("OUTPUT",)}
    for direction, datagram, peer in ways.datagrams():
        if datagram.family != family:
            continue
        base = hooks[direction][0]
        for line in lines:
            words = shlex.split(line)
            entry = {"direction": direction, "program": program, "family": family, "peers": [peer]}
            if words[:3] == ["-P", base, "DROP"]:
                yield {**entry, "chain": base, "rule": "policy DROP", "sure": False}
            elif words[:1] == ["-A"] and words[-1:] and _target(words) in ("DROP", "REJECT"):
                matches = _matches(words[2:], datagram)
                other = words[1] in ("INPUT", "OUTPUT", "FORWARD") and words[1] != base
                if matches is not False and not other:
                    sure = matches is True and words[1] == base
                    yield {**entry, "chain": words[1], "rule": " ".join(words[2:]), "sure": sure}


def _target(words: Sequence[str]) -> str:
    return words[words.index("-j") + 1] if "-j" in words[:-1] else ""


def _matches(words: Sequence[str], datagram: Datagram) -> bool | None:
    """Whether the options of a rule match, None where that is not known; of a rule of iptables -S each has a value."""
    known = True
    place = 0
    while place < len(words):
        option, value = words[place], words[place + 1] if place + 1 < len(words) else ""
        if option == "-j":
            break
        if option == "-p":
            answer: bool | None = value in ("udp", "all")
        elif option in ("--dport", "--dports"):
            answer = any(_in_range(each, datagram.dport) for each in value.split(","))
        elif option in ("-s", "-d"):
            answer = ipaddress.ip_network(value, strict=False).overlaps(
                datagram.address("saddr" if option == "-s" else "daddr")
            )
        elif option in ("-i", "-o"):
            name = datagram.iifname if option == "-i" else datagram.oifname
            answer = name.startswith(value[:-1]) if value.endswith("+") else name == value
        elif option == "--comment" or (option == "-m" and value in ("udp", "multiport", "comment")):
            answer = True
        else:
            answer = None
        if answer is False:
            return False
        known = known and answer is True
        place += 2
    return True if known else None


def _in_range(text: str, port: int) -> bool:
    low, _colon, high = text.partition(":")
    return low.isdigit() and int(low) <= port <= int(high if high.isdigit() else low)


def _joined(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each rule with all its peers; what only may drop is left out where another surely does."""
    sure = {(each["direction"], peer) for each in found if each["sure"] for peer in each["peers"]}
    joined: dict[str, dict[str, Any]] = {}
    for each in found:
        if not each["sure"] and (each["direction"], each["peers"][0]) in sure:
            continue
        name = json.dumps([each[part] for part in ("direction", "program", "chain", "rule", "sure")])
        entry = joined.setdefault(name, {**each, "peers": []})
        entry["peers"] += [peer for peer in each["peers"] if peer not in entry["peers"]]
    return list(joined.values())
