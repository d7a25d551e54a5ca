# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From discovered clusters to what Submariner wants to know of them: ranges, overlaps, warnings, commands. No requests.

Private to podnet.cni: may change in any release.

Sources, as last read: https://submariner.io/getting-started/ (ports, versions, networks, addresses),
https://submariner.io/operations/deployment/subctl/ (options),
https://submariner.io/operations/deployment/helm/ (values),
https://submariner.io/operations/known-issues/ (IPv4 only, kube-proxy),
https://submariner.io/getting-started/architecture/globalnet/ and .../gateway-engine/ (MSS).
"""

from __future__ import annotations

import itertools
import re
import shlex
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery.cidr_sources import minor_version
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel.addresses import parse_cidr4, parse_ip, parse_subnet
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

Data = Mapping[str, Any]

CABLE_DRIVERS = ("libreswan", "wireguard", "vxlan")
GLOBALNET = ("auto", "on", "off")
OLDEST = 19
OLDEST_FOR_DISCOVERY = 21
TESTED = ("openshift-sdn", "weave", "flannel", "canal", "calico", "ovn-kubernetes")
NODE_PORT = 4800
NAT_DISCOVERY_PORT = 4490
NATT_PORT = 4500
GLOBALNET_RANGE = "242.0.0.0/8"
GLOBALNET_SIZE = 65536
_BACKEND_PORTS: Mapping[str, tuple[tuple[str, int], ...]] = {
    # flannel v0.28.9 pkg/backend: what each listens on unless the network config says otherwise.
    "vxlan": (("port", 8472),),
    "wireguard": (("listen_port", 51820), ("listen_port_v6", 51821)),
    "udp": (("port", 8285),),
}
_LONGEST_ID = 63


@dataclass(frozen=True)
class Wanted:
    """What is asked of Submariner. C(globalnet) is C(auto), C(on) or C(off); C(broker) is a cluster's name."""

    broker: str = ""
    broker_file: str = "broker-info.subm"
    globalnet: str = "auto"
    globalnet_range: str = GLOBALNET_RANGE
    globalnet_size: int = GLOBALNET_SIZE
    cable_driver: str = "libreswan"
    natt: bool = True
    natt_port: int = NATT_PORT


@dataclass
class _Cluster:
    """A cluster on its way: what Submariner is told of it, and what speaks against it."""

    name: str
    identity: str
    primary: Data | None
    summary: Data
    pods: str = ""
    services: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan(records: Sequence[Data], **options: Any) -> dict[str, Any]:
    """The whole answer for the records of several clusters, with their summaries. Raises InputError for bad options.

    C(problems) are what a join fails on or breaks by; C(notes) what has to be done or known; nothing is run.
    """
    wanted = _checked(Wanted(**options))
    clusters = [_cluster(summary, records) for summary in records if summary["kind"] == "summary"]
    if not clusters:
        raise InputError("There is no summary of a cluster among the records: ask the lookup with summary=true.")
    for cluster in clusters:
        _judge(cluster, wanted)
    problems = [f"{cluster.name}: {text}" for cluster in clusters for text in cluster.problems]
    overlapping = list(_overlaps(clusters))
    globalnet = wanted.globalnet == "on" or (wanted.globalnet == "auto" and bool(overlapping))
    problems += _between(clusters, wanted, overlapping, globalnet)
    broker = wanted.broker or clusters[0].name
    if broker not in [cluster.name for cluster in clusters]:
        raise InputError(f"submariner_broker is {broker}, which is none of the clusters; there are {_names(clusters)}.")
    commands = [_deploy(broker, wanted, globalnet)] + [_join(cluster, wanted) for cluster in clusters]
    return {
        "clusters": [_told(cluster) for cluster in clusters],
        "globalnet": globalnet,
        "overlaps": overlapping,
        "problems": problems,
        "commands": commands,
        "checks": [
            f"subctl diagnose {what} --context {shlex.quote(cluster.name)}"
            for cluster in clusters
            for what in ("k8s-version", "cni", "kube-proxy-mode")
        ],
        "values": {cluster.name: _values(cluster, wanted, globalnet) for cluster in clusters},
    }


def _checked(wanted: Wanted) -> Wanted:
    for name, value, choices in (
        ("submariner_globalnet", wanted.globalnet, GLOBALNET),
        ("submariner_cable_driver", wanted.cable_driver, CABLE_DRIVERS),
    ):
        if value not in choices:
            raise InputError(f"{name} is {value}: use one of {', '.join(choices)}.")
    try:
        parse_cidr4(wanted.globalnet_range)
        network = parse_subnet(wanted.globalnet_range)
    except ValueError:
        raise InputError(
            f"submariner_globalnet_range is {wanted.globalnet_range}, not an IPv4 network like {GLOBALNET_RANGE}."
        ) from None
    if not 0 < wanted.globalnet_size <= network.num_addresses:
        raise InputError(
            f"submariner_globalnet_size is {wanted.globalnet_size}: {wanted.globalnet_range} has "
            f"{network.num_addresses} addresses."
        )
    if not 0 < wanted.natt_port < 65536:
        raise InputError(f"submariner_natt_port is {wanted.natt_port}: use 1 to 65535.")
    return wanted


def _cluster(summary: Data, records: Sequence[Data]) -> _Cluster:
    name = str(summary["cluster"])
    primary = next(
        (
            item
            for item in records
            if item["kind"] == "component" and item["cluster"] == name and item["role"] == "primary"
        ),
        None,
    )
    return _Cluster(name, cluster_id(name), primary, summary)


def cluster_id(name: str) -> str:
    """A name as Submariner takes a cluster's: a DNS label (RFC 1123)."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower())[:_LONGEST_ID].strip("-") or "cluster"


def _judge(cluster: _Cluster, wanted: Wanted) -> None:
    if cluster.identity != cluster.name:
        cluster.notes.append(f"its cluster ID becomes {cluster.identity}, because an ID is a DNS label.")
    if cluster.summary["scope"] != "cluster":
        cluster.problems.append(
            "it was not read wholly, so what carries its pods may be something else: " + _joined(cluster.summary)
        )
    cluster.pods = _range(cluster, "pod_cidrs", "pod", "--clustercidr")
    cluster.services = _range(cluster, "service_cidrs", "service", "--servicecidr")
    _version(cluster)
    _network(cluster, wanted)


def _joined(summary: Data) -> str:
    return " ".join(summary["warnings"]) or "see its warnings."


def _range(cluster: _Cluster, key: str, what: str, option: str) -> str:
    """The one range that Submariner takes: the first of IPv4, as it knows no other family."""
    found = cluster.summary[key]
    fit = [item for item in found if item["family"] == 4]
    if not fit:
        others = ", ".join(item["cidr"] for item in found)
        known = f"only {others} is known, and Submariner connects IPv4 alone" if others else "none is known"
        cluster.problems.append(f"no {what} range for {option}: {known}.")
        return ""
    if len(found) > 1:
        left = ", ".join(item["cidr"] for item in found if item is not fit[0])
        cluster.notes.append(f"Submariner takes one {what} range, {fit[0]['cidr']}; {left} is not connected.")
    if fit[0]["confidence"] != "high":
        cluster.notes.append(
            f"the {what} range {fit[0]['cidr']} is of confidence {fit[0]['confidence']} ({fit[0]['source']}): check it."
        )
    return str(fit[0]["cidr"])


def _version(cluster: _Cluster) -> None:
    version = cluster.summary["server_version"]
    minor = minor_version(version)
    if not minor:
        cluster.notes.append("its Kubernetes version is not known.")
    elif minor < OLDEST:
        cluster.problems.append(
            f"Kubernetes {version} is older than 1.{OLDEST}, the oldest that Submariner works with."
        )
    elif minor < OLDEST_FOR_DISCOVERY:
        cluster.notes.append(f"service discovery needs Kubernetes 1.{OLDEST_FOR_DISCOVERY}; this is {version}.")


def _network(cluster: _Cluster, wanted: Wanted) -> None:
    primary = cluster.primary
    if primary is None or primary["plugin"] in ("generic", "unknown"):
        cluster.problems.append("what carries its pods is not known.")
        return
    plugin = primary["plugin"]
    if plugin not in TESTED:
        cluster.notes.append(f"Submariner is not tested with {plugin}, but with {', '.join(TESTED)}.")
    if plugin == "calico":
        cluster.notes.append(
            "Calico needs IPPools for the ranges of the other clusters: "
            "https://submariner.io/operations/deployment/calico/."
        )
    if primary["health"]["state"] not in ("healthy", "unknown"):
        cluster.problems.append(
            f"its network is {primary['health']['state']} ({', '.join(primary['health']['reasons'])}): repair it first."
        )
    if plugin != "ovn-kubernetes":
        cluster.notes.append(f"firewalls between all its nodes have to let UDP {NODE_PORT} pass, both ways.")
    nat = f", and the protocol ESP where no NAT is in between ({wanted.cable_driver})" if _esp(wanted) else ""
    cluster.notes.append(
        f"its gateway nodes need UDP {wanted.natt_port} (tunnel) and UDP {NAT_DISCOVERY_PORT} (discovery of NAT) from "
        f"those of the other clusters{nat}."
    )
    if plugin in ("flannel", "canal"):
        _flannel(cluster, primary, wanted)


def _esp(wanted: Wanted) -> bool:
    return wanted.cable_driver == "libreswan"


def _flannel(cluster: _Cluster, primary: Data, wanted: Wanted) -> None:
    backend = primary["networking"]["backend"] or {}
    kind = str(backend.get("type") or "")
    taken = {NODE_PORT: "between nodes", NAT_DISCOVERY_PORT: "to discover NAT", wanted.natt_port: "for its tunnels"}
    ports = [int(backend.get(name) or usual) for name, usual in _BACKEND_PORTS.get(kind, ())]
    for port in ports:
        if port in taken:
            cluster.problems.append(f"flannel's {kind} uses UDP {port}, which Submariner needs {taken[port]}.")
    if ports:
        listed = " and ".join(f"UDP {port}" for port in ports)
        cluster.notes.append(f"flannel's own {listed} stays open between its nodes.")
    if kind == "host-gw":
        cluster.notes.append(
            "host-gw sends packets between nodes as they are: the network between them has to let addresses of the "
            "other clusters' pods pass, which protection against spoofing in clouds and switches does not."
        )
    mtu = primary["networking"]["mtu"]
    inner = f"pods have an MTU of {mtu}" if mtu else "pods have the MTU that flannel works out from the node's link"
    cluster.notes.append(
        f"{inner}; a packet to another cluster is wrapped twice more, towards the gateway and in the tunnel. Where "
        "large ones are lost, annotate gateway nodes with submariner.io/tcp-clamp-mss=1300 and restart route agents."
    )


def _overlaps(clusters: Sequence[_Cluster]) -> Iterator[str]:
    """Pairs of ranges that two clusters share, among those that Submariner gets."""
    for one, other in itertools.combinations(clusters, 2):
        for mine, theirs in itertools.product(_ranges(one), _ranges(other)):
            if mine[1].overlaps(theirs[1]):
                yield f"{mine[0]} range {mine[1]} of {one.name} and {theirs[0]} range {theirs[1]} of {other.name}"


def _ranges(cluster: _Cluster) -> list[tuple[str, IPv4Network]]:
    named = (("pod", cluster.pods), ("service", cluster.services))
    return [(what, parse_cidr4(text)) for what, text in named if text]


def _between(clusters: Sequence[_Cluster], wanted: Wanted, overlapping: Sequence[str], globalnet: bool) -> list[str]:
    found = []
    if overlapping and not globalnet:
        found.append(
            f"ranges overlap, and Globalnet is off: {'; '.join(overlapping)}. Set submariner_globalnet to auto or "
            "on, or give the clusters ranges of their own."
        )
    same = [cluster.name for cluster in clusters if [one.identity for one in clusters].count(cluster.identity) > 1]
    if same:
        found.append(f"{', '.join(same)} get the same cluster ID: rename their contexts.")
    for cluster in clusters:
        for what, address, other in _inside(cluster, clusters):
            found.append(
                f"{cluster.name}: the node address {address} is in the {what} range of {other}; addresses of nodes "
                "have to be outside of all pod and service ranges."
            )
    if globalnet:
        whole = parse_cidr4(wanted.globalnet_range)
        for cluster in clusters:
            for what, network in _ranges(cluster):
                if network.overlaps(whole):
                    found.append(
                        f"{cluster.name}: its {what} range {network} overlaps Globalnet's {whole}: choose another "
                        "submariner_globalnet_range."
                    )
        if len(clusters) * wanted.globalnet_size > whole.num_addresses:
            found.append(f"{whole} has no room for {len(clusters)} clusters of {wanted.globalnet_size} addresses.")
    return found


def _inside(cluster: _Cluster, clusters: Sequence[_Cluster]) -> Iterator[tuple[str, str, str]]:
    sample = fields.sequence(cluster.primary, "nodes", "sample")
    addresses = sorted({str(node["public_ip"]) for node in sample if node.get("public_ip")})
    for address, other in itertools.product(addresses, clusters):
        try:
            parsed = parse_ip(address)
        except ValueError:
            continue
        for what, network in _ranges(other):
            if parsed.version == 4 and parsed in network:
                yield what, address, other.name


def _names(clusters: Sequence[_Cluster]) -> str:
    return ", ".join(cluster.name for cluster in clusters)


def _told(cluster: _Cluster) -> dict[str, Any]:
    return {
        "cluster": cluster.name,
        "cluster_id": cluster.identity,
        "plugin": (cluster.primary or {}).get("plugin") or "-",
        "cluster_cidr": cluster.pods,
        "service_cidr": cluster.services,
        "problems": list(cluster.problems),
        "notes": list(cluster.notes),
    }


def _deploy(broker: str, wanted: Wanted, globalnet: bool) -> str:
    words = ["subctl", "deploy-broker", "--context", broker]
    if globalnet:
        words += ["--globalnet", "--globalnet-cidr-range", wanted.globalnet_range]
        words += ["--globalnet-cluster-size", str(wanted.globalnet_size)]
    return shlex.join(words)


def _join(cluster: _Cluster, wanted: Wanted) -> str:
    words = ["subctl", "join", wanted.broker_file, "--context", cluster.name, "--clusterid", cluster.identity]
    # Without a range subctl looks for one itself, and asks.
    for option, value in (("--clustercidr", cluster.pods), ("--servicecidr", cluster.services)):
        words += [option, value] if value else []
    words += ["--cable-driver", wanted.cable_driver]
    if not wanted.natt:
        words.append("--natt=false")
    if wanted.natt_port != NATT_PORT:
        words += ["--nattport", str(wanted.natt_port)]
    return shlex.join(words)


def _values(cluster: _Cluster, wanted: Wanted, globalnet: bool) -> dict[str, Any]:
    """Values of the chart submariner-operator for the cluster, without the broker's secrets."""
    return {
        "broker": {"globalnet": globalnet},
        "submariner": {
            "clusterId": cluster.identity,
            "clusterCidr": cluster.pods,
            "serviceCidr": cluster.services,
            "cableDriver": wanted.cable_driver,
            "natEnabled": wanted.natt,
            "serviceDiscovery": True,
        },
        "serviceAccounts": {
            "globalnet": {"create": globalnet},
            "lighthouseAgent": {"create": True},
            "lighthouseCoreDns": {"create": True},
        },
    }
