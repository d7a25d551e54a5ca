# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The document: what hosts, lease store and measurements told, put together and judged.

Private to podnet.cni: may change in any release.

Its shape is docs/status.schema.json.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config, udp_ports
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mapping, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight import report, sources
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import FAILED, UNKNOWN, Finding, rank
from ansible_collections.podnet.cni.plugins.module_utils._status import checks, directions, explain, hosts, ways
from ansible_collections.podnet.cni.plugins.module_utils._status.saved import SCHEMA, VERSION

WELL, IMPAIRED, NOT_KNOWN, BROKEN = ("well", "impaired", "not_known", "broken")
"""From good to bad. A network of which something is not known may be broken, and is never better than that."""

# The picture measures the ways between hosts itself, and has a finding of its own for a silent host.
MEASURED_HERE = ("host.answers", "host.udp_open", "host.path_loss", "host.path_mtu", "host.pods_reach")
# What the comparison with the leases found is not told a second time: the preflight's check, and that of the picture.
SUPERSEDED = {
    "host.subnet_file": ("dataplane.file", "flanneld.unit"),
    "host.overlay_link": ("dataplane.link", "dataplane.mac", "host.lease"),
    "host.link_mtu": ("dataplane.link",),
}


def build(gathered: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document for what was C(gathered) (see the package). Raises InputError where hosts are not mapping."""
    _require(gathered)
    config, config_reason = config_of(gathered)
    sample = int(gathered.get("sample") or 0)
    found = hosts.hosts_of(gathered)
    links = ways.links_of(gathered, found, config, sample)
    facts = _facts(gathered, config, config_reason, found, links)
    judged = [finding for check in checks.CHECKS for finding in check(facts, {})]
    judged += _of_preflight(gathered, judged)
    # What is said of a Node is said of its host.
    names = {f"Node/{host['node']}": host["name"] for host in found if host["node"]}
    judged = [replace(each, subject=names.get(each.subject, each.subject)) for each in judged]
    judged.sort(key=lambda each: (each.status != FAILED, -rank(each.severity), each.id, each.subject))
    summary = ways.summary(links, found, ways.families(config))
    of_host: dict[str, list[Finding]] = {}
    for finding in judged:
        for name in finding.subject.split(" -> "):
            of_host.setdefault(name, []).append(finding)
    runs = {host["name"]: host["runs"] for host in found}
    moved = {host["name"] for host in found if host["gone"] and host["runs"] == hosts.OVERLAY}
    for host in found:
        host["verdict"] = _of_host(host, of_host.get(host["name"], []))
        del host["daemon"], host["sidecar"], host["node"], host["gone"]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "taken": str(gathered.get("taken") or ""),
        "verdict": _verdict(found, judged, summary),
        "network": _network(config, gathered),
        "store": {key: str(at(gathered, "store", key) or "") for key in ("state", "kind", "reason")},
        "sample": sample,
        "hosts": found,
        "links": links,
        "pairs": summary,
        "findings": [
            explain.explained(
                each,
                [runs[name] for name in each.subject.split(" -> ") if name in runs],
                bool(moved.intersection(each.subject.split(" -> "))),
            )
            for each in judged
            if each.status in (FAILED, UNKNOWN)
        ],
    }


def _facts(
    gathered: Mapping[str, Any],
    config: NetworkConfig | None,
    config_reason: str,
    found: list[dict[str, Any]],
    links: list[dict[str, Any]],
) -> dict[str, Any]:
    """What the checks of the picture judge."""
    return {
        "subject": "network",
        "hosts": found,
        "by_name": {host["name"]: host for host in found},
        "links": links,
        "store": gathered.get("store") or {},
        "cluster": gathered.get("cluster") or {},
        "families": ways.families(config),
        "backend": config.backend.type if config is not None else None,
        "ports": udp_ports.of(config),
        "config_reason": config_reason,
        "by_way": {(way["source"], way["target"], way["family"], way["layer"]): way for way in links},
        "directions": directions.of(gathered, found, udp_ports.by_family(config)),
        "compared": {host["name"] for host in found if host["compared"]},
        "differing": {
            (host["name"], peer, family)
            for host in found
            for each in host["drift"]
            if each["part"] in ("peer", "link")
            for peer in ([each["peer"]] if each["peer"] else [other["name"] for other in found])
            for family in ([each["family"]] if each["family"] else (4, 6))
        },
    }


def questions(gathered: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each host has to ask by UDP to find out which direction of a tunnel is blocked, by its name."""
    _require(gathered)
    config, reason = config_of(gathered)
    found = hosts.hosts_of(gathered)
    links = ways.links_of(gathered, found, config, int(gathered.get("sample") or 0))
    facts = _facts(gathered, config, reason, found, links)
    blocked = [way for way in links if checks.tunnelled(facts, way)] if facts["ports"] else []
    asked: dict[str, Any] = directions.questions(found, facts["ports"], blocked)
    return asked


def config_of(gathered: Mapping[str, Any]) -> tuple[NetworkConfig | None, str]:
    """Return the network config, or None and why there is none."""
    given = gathered.get("network_config")
    if not given:
        return None, "no network config was found"
    try:
        return network_config.parse(given, check_ranges=False), ""
    except InputError as error:
        return None, str(error)


def targets(gathered: Mapping[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return what each host has to measure, by the name of the host, then C(host) or C(pod) where it measures from."""
    _require(gathered)
    config, _reason = config_of(gathered)
    return ways.targets(hosts.hosts_of(gathered), config, int(gathered.get("sample") or 0))


def _require(gathered: Mapping[str, Any]) -> None:
    given = gathered.get("hosts") or {}
    if not isinstance(given, Mapping) or not all(isinstance(entry, Mapping) for entry in given.values()):
        raise InputError("hosts has to be a mapping: names of hosts to what was gathered of each")


def _of_preflight(gathered: Mapping[str, Any], judged: list[Finding]) -> list[Finding]:
    """The preflight's findings on the hosts that gave facts: what both look at is one check."""
    facts = {
        str(name): entry["facts"]
        for name, entry in (gathered.get("hosts") or {}).items()
        if isinstance(entry.get("facts"), Mapping) and entry["facts"]
    }
    wanted: dict[str, Any] = {
        "leases": mappings(at(gathered, "store", "leases")),
        "skip": [*MEASURED_HERE, *(gathered.get("skip") or ())],
    }
    cluster = mapping(gathered, "cluster")
    asked = cluster if at(cluster, "api", "answers") is True else None
    if asked is not None:
        wanted.update({name: value for name, value in sources.from_cluster(asked).items() if name != "leases"})
    if config_of(gathered)[0] is not None:
        wanted["network_config"] = gathered["network_config"]
    told = {(each.id, each.subject) for each in judged if each.status == FAILED}
    return [
        each
        for each in report.findings(facts, asked, wanted)
        if not any((name, each.subject) in told for name in SUPERSEDED.get(each.id, ()))
    ]


def _of_host(host: Mapping[str, Any], own: list[Finding]) -> str:
    if host["state"] != hosts.HEARD:
        return NOT_KNOWN
    if any(each.status == FAILED and each.severity == "error" for each in own):
        return BROKEN
    if not host["compared"]:
        return NOT_KNOWN
    return IMPAIRED if any(each.status == FAILED and each.severity == "warning" for each in own) else WELL


def _network(config: NetworkConfig | None, gathered: Mapping[str, Any]) -> dict[str, Any]:
    if config is None:
        return {"families": [], "ranges": [], "backend": None, "options": {}}
    return {
        "families": list(ways.families(config)),
        "ranges": [str(each) for each in (config.network, config.ipv6_network) if each is not None],
        "backend": config.backend.type,
        "options": {
            str(name): value
            for name, value in (at(gathered, "network_config", "Backend") or {}).items()
            if name not in ("Type", "PSK") and isinstance(value, (bool, int, str)) and value
        },
    }


def _verdict(found: list[dict[str, Any]], judged: list[Finding], summary: list[Any]) -> dict[str, Any]:
    counts = {state: sum(1 for host in found if host["state"] == state) for state in hosts.STATES}
    errors = [each for each in judged if each.status == FAILED and each.severity == "error"]
    warnings = [each for each in judged if each.status == FAILED and each.severity == "warning"]
    ours = {check.id for check in checks.CHECKS}
    open_questions = [each for each in judged if each.status == UNKNOWN and each.id in ours]
    measured = [family for family in summary if family["planned"] > family[ways.NOT_MEASURED]]
    if errors:
        state = BROKEN
    elif open_questions or not summary or len(measured) < len(summary):
        state = NOT_KNOWN
    else:
        state = IMPAIRED if warnings else WELL
    expected = len(found) - counts[hosts.LEFT_OUT]
    parts = [f"{counts[hosts.HEARD]} of {_many(expected, 'host')} heard"]
    for family in summary:
        fine, planned = family[ways.FINE], family["planned"]
        text = f"{checks.NAMES[family['family']]}: {fine} of {_many(planned, 'pair')} fine"
        text += f", {family[ways.NOT_MEASURED]} not measured" if family[ways.NOT_MEASURED] else ""
        text += f" (a sample of {family['possible']})" if planned < family["possible"] else ""
        parts.append(text)
    parts.append(f"{_many(len(errors), 'error')}, {_many(len(warnings), 'warning')}")
    return {
        "state": state,
        "sentence": "; ".join(parts),
        "hosts": counts,
        "errors": len(errors),
        "warnings": len(warnings),
        "not_known": len(open_questions),
    }


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
