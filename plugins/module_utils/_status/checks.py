# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the picture of a network says is wrong: checks over its hosts and ways, in the manner of the preflight's.

Private to podnet.cni: may change in any release.

C(facts) are the parts of the document that C(document.build) has put together: C(hosts), C(links), C(store),
C(backend) and C(families), and C(by_name), C(by_way), C(directions), C(differing) and C(compared), made of them once.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Check,
    Verdict,
    check,
    failed,
    ok,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._status import directions, ways
from ansible_collections.podnet.cni.plugins.module_utils._status.checks_cluster import CLUSTER_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._status.checks_flanneld import FLANNELD_CHECKS
from ansible_collections.podnet.cni.plugins.module_utils._status.hosts import (
    DATAPLANE,
    HEARD,
    NOT_ASKED,
    OVERLAY,
    SILENT,
)
from ansible_collections.podnet.cni.plugins.module_utils._status.repairs import DRIFT as REPAIR

Facts = Mapping[str, Any]
SHOWN = 3
NAMES = {4: "IPv4", 6: "IPv6"}
GRAVE = ("hangs_flanneld", "stalls_flanneld", "unreadable_key", "unreadable_value", "overlap", "duplicate_public_ip")
"""Problems of the lease store that cost traffic now; others are warnings."""


@check("network.config", "error", "The network config is known")
def config(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    if facts.get("families"):
        yield ok(f"backend {facts.get('backend')}")
    else:
        missing = [
            str(each.get("message"))
            for each in mappings(at(facts, "store", "problems"))
            if each.get("kind") == "no_network_config"
        ]
        seen = next(iter(missing), str(facts.get("config_reason") or "no network config was found"))
        yield unknown(seen, "a network config", _CONFIG)


@check("network.store", "warning", "The lease store answers")
def store(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    state = at(facts, "store", "state")
    if state == "read":
        yield ok("it was read")
    else:
        remedy = "Look at the store; see docs/leases.md for what each error means. What hosts told is still shown."
        yield unknown(str(at(facts, "store", "reason") or "it was not asked"), "network config and leases", remedy)


@check("network.leases", "error", "Leases can be read by flanneld and belong to one host each")
def leases(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    problems = mappings(at(facts, "store", "problems"))
    for problem in problems:
        if problem.get("kind") != "no_network_config":
            severity = "error" if problem.get("kind") in GRAVE else "warning"
            yield failed(str(problem.get("message")), "a sound lease", _sentence(problem.get("remedy")), "", severity)
    if not problems and at(facts, "store", "state") == "read":
        yield ok("nothing is wrong with them")


@check("host.silent", "error", "Every host that is expected tells about itself")
def silent(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host in facts["hosts"]:
        if host["state"] == SILENT:
            remedy = _WIDER if host["reason"] == NOT_ASKED else _REACH
            yield unknown(host["reason"], "facts of this host", remedy, host["name"])
        elif host["state"] == HEARD:
            yield ok("it answered", subject=host["name"])


@check("host.lease", "error", "Every host of the network has a lease")
def lease(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    # Without a network config it is more likely the wrong prefix than hosts that all lost their leases.
    if at(facts, "store", "state") != "read" or not facts["families"]:
        return
    for host in _heard(facts):
        if host["gone"] and host["runs"] == OVERLAY:
            seen = (
                f"peers send to {', '.join(host['gone'])}, as its lease says, and no link of the host has that address"
            )
            subnet = next(iter(host["subnets"].values()), "")
            remedy = _MOVED.format(name=host["name"], subnet=subnet)
            yield failed(seen, "a lease with an address of the host", remedy, host["name"])
        elif host["has_lease"]:
            yield ok("it has one", subject=host["name"])
        else:
            held = ", ".join(host["public_ips"].values()) or "unknown"
            seen = f"no lease has its name, its public IP ({held}) or the subnet in its subnet file"
            remedy = REPAIR if host["runs"] != OVERLAY else "Run podnet.cni.overlay, which leases a subnet."
            yield failed(seen, "one lease", remedy, host["name"])


@check("dataplane.compared", "error", "The kernel of every host was compared with the leases")
def compared(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host in _heard(facts):
        if host["compared"]:
            yield ok("it was", subject=host["name"])
        else:
            reasons = [each["reason"] for each in host["not_known"] if each["part"] == DATAPLANE]
            yield unknown("".join(reasons[:1]) or "it was not", "", "Remove what is in the way.", host["name"])


def _drift(
    part: str, wanted: Callable[[Mapping[str, Any]], bool]
) -> Callable[[Facts], Iterator[tuple[str, list[Any]]]]:
    def found(facts: Facts) -> Iterator[tuple[str, list[Any]]]:
        for host in _heard(facts):
            if host["compared"]:
                yield host["name"], [each for each in host["drift"] if each["part"] == part and wanted(each)]

    return found


@check("dataplane.peers_missing", "error", "The kernel has every peer of every address family")
def peers_missing(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("peer", lambda each: each["action"] != "remove")(facts):
        wrong = _wrong_vteps(facts, host)
        named: dict[tuple[str, int | None], list[str]] = {}
        for each in entries:
            if (each["peer"], each["family"]) not in wrong:
                named.setdefault((each["peer"], each["family"]), []).append(each["kind"])
        if not named:
            yield ok("none is missing", subject=host)
        for (peer, family), kinds in list(named.items())[:SHOWN]:
            what = ", ".join(sorted(set(kinds)))
            over = f" over {NAMES[family]}" if family else ""
            yield failed(
                f"peer {peer or '(several)'}{over}: {what} missing or different", "as the leases say", REPAIR, host
            )
        if len(named) > SHOWN:
            yield failed(f"{len(named) - SHOWN} more peers are missing or different", "as the leases say", REPAIR, host)


@check("dataplane.wrong_vtep", "error", "Forwarding entries have the MAC address of each peer's lease")
def wrong_vtep(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host in _heard(facts):
        for (peer, family), (have, want) in _wrong_vteps(facts, host["name"]).items():
            over = NAMES.get(family or 0, "the tunnel")
            seen = f"packets for {peer} over {over} carry the MAC {have}, its lease has {want}"
            yield failed(seen, "the MAC of the lease", REPAIR, host["name"])


def _wrong_vteps(facts: Facts, name: str) -> dict[tuple[str, int | None], tuple[str, str]]:
    """Peers whose forwarding entry has another MAC than their lease: one entry goes and another one comes."""
    host = facts["by_name"][name]
    found: dict[str, dict[tuple[str, int | None], str]] = {"remove": {}, "set": {}}
    for each in host["drift"]:
        if each["kind"] == "FDB entry" and each["peer"]:
            found.setdefault(each["action"], {})[each["peer"], each["family"]] = each["mac"]
    return {key: (found["remove"][key], mac) for key, mac in found["set"].items() if key in found["remove"]}


@check("dataplane.stale", "warning", "The kernel has nothing of hosts that have left")
def stale(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("peer", lambda each: each["action"] == "remove")(facts):
        wrong = _wrong_vteps(facts, host)
        left = [each for each in entries if (each["peer"], each["family"]) not in wrong]
        if left:
            yield failed(_several(left), "no such entry", REPAIR, host)
        else:
            yield ok("there is nothing", subject=host)


@check("dataplane.mac", "error", "Each VTEP has the MAC address of its lease")
def mac(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("link", lambda each: each["attribute"] == "address")(facts):
        for each in entries:
            remedy = f"{REPAIR} Keep udev away: role node writes the .link file."
            yield failed(each["text"].replace("change ", "needs: "), "the MAC of the lease", remedy, host)


@check("dataplane.link", "error", "The overlay's links are as network config and lease say")
def link(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("link", lambda each: each["attribute"] != "address")(facts):
        if entries:
            yield failed(_several(entries), "as the lease says", REPAIR, host)
        else:
            yield ok("they are", subject=host)


@check("dataplane.file", "error", "The subnet file is that of the lease")
def files(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("file", lambda each: True)(facts):
        if entries:
            yield failed(_several(entries), "as the lease says", REPAIR, host)
        else:
            yield ok("they are", subject=host)


@check("dataplane.boot", "warning", "The files that bring the overlay back at boot are those of the leases")
def boot(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("boot", lambda each: True)(facts):
        if entries:
            yield failed(_several(entries), "as the leases say", REPAIR, host)
        else:
            yield ok("they are", subject=host)


@check("dataplane.firewall", "error", "The overlay's own firewall rules are there")
def firewall(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for host, entries in _drift("firewall", lambda each: True)(facts):
        if entries:
            yield failed(_several(entries), "as the network config says", REPAIR, host)
        else:
            yield ok("they are", subject=host)


@check("way.underlay", "error", "Hosts reach each other below the overlay")
def underlay(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    yield from _broken(facts, lambda way: _cause(facts, way) == "underlay", _UNDERLAY)


@check("way.dataplane", "error", "What the kernels hold leads from host to host")
def dataplane(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    yield from _broken(facts, lambda way: _cause(facts, way) == "dataplane", REPAIR)


@check("way.tunnel", "error", "Packets of the backend get from host to host")
def tunnel(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    def told(bad: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
        both = {key for way in bad for key in (_key(way), (way["target"], way["source"], way["family"]))}
        hops = [hop for key, hop in facts["directions"].items() if key in both]
        seen, remedy = directions.said(hops)
        return seen, remedy or _opening(facts)

    yield from _broken(facts, lambda way: tunnelled(facts, way), "", told)


@check("way.unexplained", "error", "Ways that fail can be explained")
def unexplained(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    yield from _broken(facts, lambda way: _cause(facts, way) == "unexplained", _UNEXPLAINED)


@check("way.pods", "error", "Pods reach pods of other hosts")
def pods(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    yield from _broken(facts, lambda way: _cause(facts, way) == "pods", _PODS)


@check("way.mtu", "error", "Full-size packets get through")
def mtu(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    yield from _broken(facts, lambda way: way["state"] == ways.CUT, _fitting(facts))


@check("way.lossy", "warning", "No packets are lost")
def lossy(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    yield from _broken(facts, lambda way: way["state"] == ways.LOSSY, _LOSSY)


@check("way.not_measured", "error", "Every way that was to be measured was")
def not_measured(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for family in facts["families"]:
        groups: dict[str, list[str]] = {}
        for way in facts["links"]:
            # That a silent host measures nothing is told by its own finding.
            judged = way["layer"] != ways.UNDERLAY and not way["reason"].endswith(" is silent")
            if judged and way["family"] == family and way["state"] == ways.NOT_MEASURED:
                groups.setdefault(way["reason"], []).append(f"{way['source']} -> {way['target']}")
        for reason, names in groups.items():
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            seen = f"{NAMES[family]}: {', '.join(names[:SHOWN])}{more} not measured: {reason}"
            yield unknown(seen, "", "Measure from pod to pod (doctor_pods=always), and make silent hosts answer.")
    if not facts["links"]:
        yield unknown("nothing was measured", "a way from host to host", "Two hosts that answer are needed.")


_REACH = "Reach it (SSH, Python, root), or name it in doctor_left_out if nobody has to look at it."
_WIDER = "Run without --limit, or with a wider pattern: the picture is whole only with all hosts."
_CONFIG = (
    "Name the etcd and the prefix that hold it (overlay_etcd_endpoints, overlay_etcd_prefix), set "
    "overlay_network_config, or write it with flannel_network."
)
_MOVED = (
    "Give the host that address back, or move its lease: correct overlay_public_ip, release the lease with "
    "podnet.cni.flannel_lease (state=absent, nodes=[{{name: {name}, subnet: {subnet}}}]), and run podnet.cni.overlay "
    "at once, which leases the same subnet for the new address."
)
_UNDERLAY = "Look at links, routes and firewalls between the hosts themselves: the overlay needs these ways."
_UNEXPLAINED = "Find out first why a data plane was not compared (finding dataplane.compared, or a silent host)."
_PODS = (
    "Let the pods through: sysctl net.ipv4.ip_forward and net.ipv6.conf.all.forwarding, every forward chain (see "
    "host.forward_rules) and the routes between pods (see host.pod_routes). Docker, firewalld and ufw drop by default."
)
_LOSSY = (
    "Measure again with more packets (doctor_count=100). Look at the load and the errors of the links on both ends "
    "(ip -s link, ethtool -S), first of all where packets are lost without the overlay, too."
)


def tunnelled(facts: Facts, way: Mapping[str, Any]) -> bool:
    """Whether a way fails since packets of the backend do not get from host to host."""
    return _cause(facts, way) == "tunnel"


def _key(way: Mapping[str, Any]) -> tuple[str, str, int]:
    return (way["source"], way["target"], way["family"])


def _opening(facts: Facts) -> str:
    ports = at(facts, "ports") or []
    if ports:
        text = ", ".join(f"{port}/udp" for port in ports)
        lines = " ".join(f"firewall-cmd --permanent --add-port={port}/udp" for port in ports)
        return f"Open {text} in both directions on both hosts and between them: {lines}; ufw allow {ports[0]}/udp."
    if at(facts, "backend") == "ipip":
        return "Let IP protocol 4 (IPIP) through in both directions on both hosts and between them."
    return "Let the backend's packets through in both directions on both hosts and between them."


def _fitting(facts: Facts) -> str:
    """What to set to which size, by the largest packet that any way carries which does not carry all."""
    sizes = [int(way["largest"]) for way in facts["links"] if way["state"] == ways.CUT and way["largest"]]
    backend = str(at(facts, "backend") or "")
    if not sizes:
        return (
            "Set the backend's option MTU in the network config to what the path carries less the encapsulation, then "
            "run podnet.cni.overlay."
        )
    size = min(sizes) + overhead.RESERVED.get(backend, 0)
    what = (
        f"Set the backend's option MTU in the network config to {size}"
        if backend in ("vxlan", "wireguard")
        else f"Set the MTU of the underlay's links to {size}"
    )
    return f"{what} or less, so that pods get MTU {min(sizes)}, and run podnet.cni.overlay; then restart the pods."


def _cause(facts: Facts, way: Mapping[str, Any]) -> str:
    """Why a way gives no answer: the first thing that is broken of data plane, underlay, tunnel and forwarding."""
    if way["state"] != ways.NONE or way["layer"] == ways.UNDERLAY:
        return ""
    index = facts["by_way"]
    key = _key(way)
    over = at(index.get((*key, ways.OVERLAY)), "state")
    below = at(index.get((*key, ways.UNDERLAY)), "state")
    if way["layer"] == ways.POD and over in (ways.NONE, ways.FINE):
        return "pods" if over == ways.FINE else ""
    if {key, (way["target"], way["source"], way["family"])} & facts["differing"]:
        return "dataplane"
    if below == ways.NONE:
        return "underlay"
    if not {way["source"], way["target"]} <= facts["compared"]:
        return "unexplained"
    return "tunnel" if way["layer"] == ways.OVERLAY else "pods"


def _broken(
    facts: Facts,
    wanted: Callable[[Mapping[str, Any]], bool],
    remedy: str,
    told: Callable[[Sequence[Mapping[str, Any]]], tuple[str, str]] | None = None,
) -> Iterator[Verdict]:
    """A verdict for each host that none of its ways leads to or from, then one for each other way of the kind.

    C(told) adds to what is seen of some ways, and has the remedy.
    """

    def verdict(seen: str, some: Sequence[Mapping[str, Any]], name: str = "") -> Verdict:
        more, what = told(some) if told is not None else ("", remedy)
        return failed(f"{seen}: {more}" if more else seen, "", what, name)

    for family in facts["families"]:
        for layer in (ways.OVERLAY, ways.POD):
            judged = [way for way in facts["links"] if way["family"] == family and way["layer"] == layer]
            bad = [way for way in judged if wanted(way)]
            if not bad:
                continue
            lonely = _lonely(judged, bad)
            for name in lonely:
                its = [way for way in bad if name in (way["source"], way["target"])]
                yield verdict(f"{_how(facts, its)} on all {len(its)} ways to and from it", its, name)
            left = [way for way in bad if not {way["source"], way["target"]} & set(lonely)]
            for way in left[:SHOWN]:
                yield verdict(_how(facts, [way]), [way], f"{way['source']} -> {way['target']}")
            if len(left) > SHOWN:
                yield verdict(f"{_how(facts, left[SHOWN:])} on {len(left) - SHOWN} more ways", left[SHOWN:])


def _lonely(judged: Sequence[Mapping[str, Any]], bad: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hosts all of whose measured ways are bad, where they have several and other hosts have ways of their own."""
    measured = [way for way in judged if way["state"] != ways.NOT_MEASURED]
    all_of, bad_of = (
        Counter(name for way in some for name in (way["source"], way["target"])) for some in (measured, bad)
    )
    return [name for name, number in bad_of.items() if 2 < number == all_of[name] < len(measured)]


def _how(facts: Facts, bad: Sequence[Mapping[str, Any]]) -> str:
    """What is wrong with ways of one layer, family and state."""
    way = bad[0]
    where = f"over {NAMES[way['family']]} from {'pod to pod' if way['layer'] == ways.POD else 'host to host'}"
    if way["state"] == ways.CUT:
        sizes = [int(each["largest"]) for each in bad if each["largest"]]
        largest = f", the largest that does has {min(sizes)}" if sizes else ""
        return f"{where} small packets pass and those of {way['full_size']} octets do not{largest}"
    if way["state"] == ways.LOSSY:
        loss = max(max(each["loss"] or 0, each["full_loss"] or 0) for each in bad)
        up_to = "up to " if len(bad) > 1 else ""
        return f"{where} {up_to}{loss:g} % of packets are lost{_below(facts, bad)}"
    return f"{where} nothing answers"


def _below(facts: Facts, bad: Sequence[Mapping[str, Any]]) -> str:
    """What the hosts themselves lose, without the overlay, where that was measured."""
    keys = [(way["source"], way["target"], way["family"], ways.UNDERLAY) for way in bad]
    losses = [loss for key in keys for loss in [at(facts["by_way"].get(key), "loss")] if loss is not None]
    return f" ({max(losses):g} % without the overlay)" if losses else ""


def _several(entries: Sequence[Mapping[str, Any]]) -> str:
    texts = [each["text"] for each in entries]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return f"needs: {'; '.join(texts[:SHOWN])}{more}"


def _heard(facts: Facts) -> list[Mapping[str, Any]]:
    return [host for host in facts["hosts"] if host["state"] == HEARD]


def _sentence(text: Any) -> str:
    words = str(text or "")
    return words[:1].upper() + words[1:]


CHECKS: tuple[Check, ...] = (
    config,
    store,
    leases,
    silent,
    lease,
    compared,
    peers_missing,
    wrong_vtep,
    stale,
    mac,
    link,
    files,
    boot,
    firewall,
    *FLANNELD_CHECKS,
    *CLUSTER_CHECKS,
    underlay,
    dataplane,
    tunnel,
    unexplained,
    pods,
    mtu,
    lossy,
    not_measured,
)
