# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways between hosts: which are measured, and what the measurements say.

Private to podnet.cni: may change in any release.

A way has a source, a target, an address family and a layer: the underlay, the overlay from host to host, or from pod to
pod. What nobody measured is not measured, whatever else is known.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import network_of
from ansible_collections.podnet.cni.plugins.module_utils._status.hosts import HEARD, LEFT_OUT

UNDERLAY, OVERLAY, POD = LAYERS = ("underlay", "overlay", "pod")
FINE, LOSSY, CUT, NONE, NOT_MEASURED = STATES = ("fine", "lossy", "cut", "none", "not_measured")
"""All packets answered; some lost; small ones pass and full-size ones do not; no answer; nobody measured."""
TUNNELS = ("vxlan", "wireguard", "ipip")
"""Backends with a link of their own, whose address is the first of the lease's subnet."""
# Octets of the IP and ICMP headers in front of the payload of an echo request (RFC 791, RFC 8200, RFC 792, RFC 4443).
HEADERS = {4: 28, 6: 48}
SMALL = 56
# A way on which no full-size packet was answered does not carry them, unless that comes to pass once in so many times
# where as many packets are lost as of the small ones.
CHANCE = 1000
# Parts of a host without which nothing is measured, in words.
_TROUBLE = {"measurements": "its measurements", "pod": "a pod"}


def families(config: NetworkConfig | None) -> tuple[int, ...]:
    """Return the address families of the network; none where its config is not known."""
    if config is None:
        return ()
    return tuple(family for family, on in ((4, config.enable_ipv4), (6, config.enable_ipv6)) if on)


def addresses(host: Mapping[str, Any], config: NetworkConfig | None) -> dict[str, dict[int, str]]:
    """Return where a host is reached, by layer and family."""
    found: dict[str, dict[int, str]] = {layer: {} for layer in LAYERS}
    for family in families(config):
        subnet = network_of(host["subnets"].get(str(family)))
        if host["public_ips"].get(str(family)):
            found[UNDERLAY][family] = host["public_ips"][str(family)]
        if subnet is not None and config is not None and config.backend.type in TUNNELS:
            found[OVERLAY][family] = str(subnet.network_address)
        if host["pod"].get(str(family)):
            found[POD][family] = host["pod"][str(family)]
    return found


def pairs(hosts: Sequence[Mapping[str, Any]], sample: int) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Yield source and target of each pair to measure: all, or the next C(sample) hosts of each in a ring."""
    there = [host for host in hosts if host["state"] != LEFT_OUT]
    number = min(sample, len(there) - 1) if sample else len(there) - 1
    for place, source in enumerate(there):
        for step in range(1, number + 1):
            yield source, there[(place + step) % len(there)]


def largest(host: Mapping[str, Any], layer: str, family: int) -> int:
    """Return the largest packet that a host may send on a layer, in octets with the IP header; 0 when not known."""
    sizes = [int(host["mtu"])] if host["mtu"] else []
    for link in host["links"]:
        if any((":" in address) == (family == 6) for address in link["addresses"]) and link["mtu"]:
            sizes.append(int(link["mtu"]))
    return min(sizes, default=0) if layer != UNDERLAY else 0


def targets(
    hosts: Sequence[Mapping[str, Any]], config: NetworkConfig | None, sample: int
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return what each host has to measure, for the module pod_network_probe: by source, then from its host or pod."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for source, target in pairs(hosts, sample):
        if source["state"] != HEARD:
            continue
        own = found.setdefault(source["name"], {"host": [], "pod": []})
        there, here = addresses(target, config), addresses(source, config)
        for layer in LAYERS:
            for family, address in there[layer].items():
                if family not in here[layer]:
                    continue
                wanted = [SMALL]
                full = min(largest(source, layer, family), largest(target, layer, family) or 1 << 16)
                if full:
                    wanted.append(full - HEADERS[family])
                own["pod" if layer == POD else "host"] += [
                    {
                        "name": _key(layer, family, size, target["name"]),
                        "address": address,
                        "size": size,
                        "search": size != SMALL,
                    }
                    for size in wanted
                ]
    return found


def _key(layer: str, family: int, size: int, target: str) -> str:
    return f"{layer} {family} {size} {target}"


def links_of(
    gathered: Mapping[str, Any], hosts: Sequence[Mapping[str, Any]], config: NetworkConfig | None, sample: int
) -> list[dict[str, Any]]:
    """Return the ways that were to be measured, each with what came of it."""
    measured = _probes(gathered)
    found = []
    for source, target in pairs(hosts, sample):
        there, here = addresses(target, config), addresses(source, config)
        for family in families(config):
            for layer in LAYERS:
                sizes = measured.get((source["name"], target["name"], layer, family), {})
                # Pods are made for the measurement alone: without one on both sides there is no such way.
                if sizes or layer == OVERLAY or (family in there[layer] and family in here[layer]):
                    entry = _link(source, target, family, layer, sizes)
                    if entry["state"] != NOT_MEASURED or not _by_pods(measured, source, target, family, layer):
                        found.append(entry)
    return found


def _by_pods(measured: Mapping[Any, Any], source: Any, target: Any, family: int, layer: str) -> bool:
    """Whether a way that has no address between hosts, as with host-gw, was measured from pod to pod."""
    return layer == OVERLAY and (source["name"], target["name"], POD, family) in measured


def _probes(gathered: Mapping[str, Any]) -> dict[tuple[str, str, str, int], dict[int, Mapping[str, Any]]]:
    found: dict[tuple[str, str, str, int], dict[int, Mapping[str, Any]]] = {}
    for name, entry in (gathered.get("hosts") or {}).items():
        for probe in mappings(at(entry, "probes")):
            words = str(probe.get("target")).split(" ", 3)
            if len(words) == 4 and words[0] in LAYERS and words[1].isdigit() and words[2].isdigit():
                way = (str(name), words[3], words[0], int(words[1]))
                found.setdefault(way, {})[int(words[2])] = probe
    return found


def _link(
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    family: int,
    layer: str,
    sizes: Mapping[int, Mapping[str, Any]],
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "source": source["name"],
        "target": target["name"],
        "family": family,
        "layer": layer,
        "state": NOT_MEASURED,
        "reason": "",
        "loss": None,
        "rtt_avg": None,
        "rtt_max": None,
        "full_size": None,
        "full_loss": None,
        "largest": None,
    }
    small = sizes.get(SMALL)
    if small is None or not small.get("sent"):
        silent = source["name"] if source["state"] != HEARD else ""
        trouble = [
            f"{_TROUBLE[each['part']]}: {each['reason']}"
            for host in (source, target)
            for each in host["not_known"]
            if each["part"] in _TROUBLE
        ]
        entry["reason"] = (
            f"{silent} is silent"
            if silent
            else str(small.get("error") or "no packet was sent")
            if small is not None
            else trouble[0]
            if trouble
            else "neither side has an address to measure by"
        )
        # ping itself says that there is no way: that was measured, and nothing came through.
        if small is not None and small.get("error"):
            entry.update(state=NONE, loss=100.0)
        return entry
    entry.update(
        loss=float(small.get("loss") or 0), rtt_avg=small.get("rtt_avg"), rtt_max=small.get("rtt_max"), state=FINE
    )
    full = next(((size, probe) for size, probe in sizes.items() if size != SMALL), None)
    if not small.get("received") and not (full and full[1].get("received")):
        entry.update(state=NONE, reason=str(small.get("error") or ""))
    elif full is not None:
        size, probe = full
        sent = int(probe.get("sent") or 0)
        loss = float(probe.get("loss") or 0) if sent else 100.0
        entry.update(full_size=size + HEADERS[family], full_loss=loss, largest=probe.get("largest_packet") or None)
        passes = probe.get("received") or int(entry["largest"] or 0) >= entry["full_size"]
        # Where small ones are lost, too, it need not be their size.
        if not passes and (entry["loss"] / 100) ** sent < 1 / CHANCE:
            entry.update(state=CUT, reason=str(probe.get("error") or ""))
        elif loss or entry["loss"]:
            entry["state"] = LOSSY
    elif entry["loss"]:
        entry["state"] = LOSSY
    return entry


def summary(links: Sequence[Mapping[str, Any]], hosts: Sequence[Mapping[str, Any]], of: Sequence[int]) -> list[Any]:
    """Return for each family how many pairs of hosts there are, how many were to be measured, and their states.

    A pair counts with the worst of its ways over the overlay and between pods.
    """
    number = sum(1 for host in hosts if host["state"] != LEFT_OUT)
    found = []
    for family in of:
        worst: dict[tuple[str, str], str] = {}
        times: list[float] = []
        for link in links:
            if link["family"] == family and link["layer"] != UNDERLAY:
                pair = (link["source"], link["target"])
                worst[pair] = max(worst.get(pair, FINE), link["state"], key=STATES.index)
                times += [link["rtt_avg"]] if link["rtt_avg"] is not None else []
        entry: dict[str, Any] = {"family": family, "possible": number * (number - 1), "planned": len(worst)}
        entry.update({state: sum(1 for each in worst.values() if each == state) for state in STATES})
        entry["rtt_mean"] = round(sum(times) / len(times), 3) if times else None
        found.append(entry)
    return found
