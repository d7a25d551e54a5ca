# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of an upgrade from what is wanted and what is there; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import network, versions
from ansible_collections.podnet.cni.plugins.module_utils._upgrade.waves import Choice, divide, selects
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

NET_CONF = "net-conf.json"


def plan(wanted: Mapping[str, Any], observed: Mapping[str, Any]) -> dict[str, Any]:
    """The plan as plain data.

    C(wanted) has C(network), C(install_method), C(choice) (a Choice), C(soak) (seconds), C(features) (for the version
    matrix, in place of what nodes and network config say) and C(node_files) (nodes whose files are kept). C(observed)
    has C(kubernetes) (a version), C(nodes) (by name: labels, ready) and C(daemonsets): for each the live pod template
    C(before), what it would become C(after), the live C(config) and the wanted C(config_after) of its ConfigMap,
    C(running) (nodes with a pod), C(outdated) (those whose pod is of another template), its C(place), C(os) and
    C(kept), names of what a backup holds.
    Raises InputError for waves that cannot be.
    """
    _check_canaries(wanted["choice"], observed)
    items = [_daemonset(item, observed["nodes"], wanted["choice"]) for item in observed["daemonsets"]]
    before = {"kubernetes": observed["kubernetes"], **_merged(observed["daemonsets"], "before")}
    after = {"kubernetes": observed["kubernetes"], **_merged(observed["daemonsets"], "after")}
    changes, unknown = _changes(before, after)
    support = question.support(after, _features(wanted, observed, "config_after"))
    # What the releases that run need is there already.
    met = {each.id for each in question.support(before, _features(wanted, observed, "config")).needs}
    if _probed(observed["daemonsets"], "before") & _probed(observed["daemonsets"], "after"):
        # Its pods hold the port of the probes already.
        met.add("port-8081")
        changes = [{**each, "action": "", "impact": "none"} if each["id"] == "probes" else each for each in changes]
    waves: list[dict[str, Any]] = []
    for item in items:
        for number, (kind, names) in enumerate(item.pop("waves"), 1):
            waves.append(
                {
                    "number": len(waves) + 1,
                    "daemonset": item["place"],
                    "daemonset_wave": number,
                    "os": item["os"],
                    "kind": kind,
                    "nodes": names,
                }
            )
    return {
        "network": wanted["network"],
        "install_method": wanted["install_method"],
        "action": "upgrade" if waves else "none",
        "current": before,
        "target": after,
        "changes": changes,
        "daemonsets": items,
        "waves": waves,
        "nodes": sum(len(wave["nodes"]) for wave in waves),
        "least_seconds": int(len(waves) * wanted["soak"]),
        "left_out": sorted(name for item in items for name in item["left_out"]),
        "backup": _backup(observed["daemonsets"], wanted["node_files"]) if waves else [],
        "not_reversible": _not_reversible(observed["daemonsets"], changes) if waves else [],
        "problems": [*(_statement(each) for each in support.problems), *([] if waves else _without_pods(items))],
        "needs": [_statement(each) for each in support.needs if each.id not in met],
        "warnings": list(dict.fromkeys([*unknown, *support.unknown])),
    }


def _features(wanted: Mapping[str, Any], observed: Mapping[str, Any], which: str) -> dict[str, Any]:
    """What the version matrix judges by: what is there, then what the user says."""
    found: dict[str, Any] = {
        "nodes": len(observed["nodes"]),
        "windows": any(node["labels"].get("kubernetes.io/os") == "windows" for node in observed["nodes"].values()),
    }
    for item in reversed(observed["daemonsets"]):
        found.update(network.features({**item["config"], **item[which]}.get(NET_CONF) or ""))
    return {**found, **wanted["features"]}


def _check_canaries(choice: Choice, observed: Mapping[str, Any]) -> None:
    """Each canary has to be a canary of some DaemonSet; another one may not know it."""
    nodes = observed["nodes"]
    ready = {name for item in observed["daemonsets"] for name in item["running"] if fields.at(nodes, name, "ready")}
    lost = sorted(set(choice.canary_nodes) - ready)
    if lost:
        raise InputError(f"canary_nodes: {lost[0]} runs no pod of the network or is not ready. Name a node that does.")
    if choice.canary_selector and not selects({name: nodes[name]["labels"] for name in ready}, choice.canary_selector):
        raise InputError("canary_selector selects no node that runs a pod of the network. Correct it or leave it out.")


def _daemonset(item: Mapping[str, Any], nodes: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    running = {name: nodes[name]["labels"] for name in item["running"] if name in nodes and nodes[name]["ready"]}
    config = {
        key: network.differences(item["config"].get(key) or "", value)
        for key, value in item["config_after"].items()
        if item["config"].get(key) != value
    }
    images = versions.images(item["before"])
    new = versions.images(item["after"])
    differs = item["before"] != item["after"] or bool(config) or bool(set(item["outdated"]) & set(running))
    here = Choice(
        canary_nodes=[name for name in choice.canary_nodes if name in running],
        canary_selector=choice.canary_selector if selects(running, choice.canary_selector) else "",
        batch=choice.batch,
    )
    return {
        "place": item["place"],
        "os": item["os"],
        "images": [
            {"container": name, "before": images.get(name, ""), "after": new.get(name, "")}
            for name in {**images, **new}
            if images.get(name) != new.get(name)
        ],
        "template_changes": item["before"] != item["after"],
        "config_changes": [f"{key}: {line}" for key, lines in sorted(config.items()) for line in lines],
        "left_out": sorted(name for name in item["running"] if name not in running) if differs else [],
        "waves": divide(running, here) if differs else [],
    }


def _probed(items: Sequence[Mapping[str, Any]], which: str) -> set[str]:
    """The ports at which the pods answer probes."""
    found = set()
    for item in items:
        for container in fields.sequence(item[which], "spec", "containers"):
            for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
                port = fields.at(container, probe, "httpGet", "port")
                found.update([str(port)] if port else [])
    return found


def _without_pods(items: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """A problem for each DaemonSet that changes and has no pod on any node: nothing could show that it works."""
    return [
        {
            "id": "no-pods",
            "source": "",
            "text": f"No node has a pod of {item['place']} that could be replaced, and it changes.",
            "remedy": "See why it has none (kubectl describe daemonset), or apply it with the role of the network.",
        }
        for item in items
        if item["template_changes"] or item["config_changes"]
    ]


def _merged(items: Sequence[Mapping[str, Any]], which: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        for product, version in versions.of_template(item[which]).items():
            found.setdefault(product, version)
    return found


def _changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[list[dict[str, str]], list[str]]:
    found: list[dict[str, str]] = []
    unknown = []
    for product, version in after.items():
        if product not in before or before[product] == version:
            continue
        try:
            for change in question.changes(product, before[product], version):
                found.append({"product": product, **asdict(change)})
        except question.UnknownVersion as error:
            unknown.append(f"{error} What changes on the way from {before[product]} to {version} is not known.")
    return found, unknown


def _not_reversible(items: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, str]]) -> list[str]:
    found = []
    for item in items:
        old, new = item["config"].get(NET_CONF) or "", item["config_after"].get(NET_CONF)
        if new is None:
            continue
        lost = network.not_reversible(old, new)
        found += [lost] if lost else []
    found.append(
        "CNI plugins on the nodes: init containers of the old release write theirs again, and remove no new ones"
    )
    found.append("files on nodes outside of the inventory, but for those that the old init containers write again")
    found.append("CustomResourceDefinitions: a backup keeps them, a rollback never writes them")
    found += [f"{each['product']} {each['version']}: {each['text']}" for each in changes if each["impact"] == "outage"]
    return found


def _backup(items: Sequence[Mapping[str, Any]], hosts: Sequence[str]) -> list[str]:
    found = list(dict.fromkeys(name for item in items for name in item["kept"]))
    found.append("annotations of all Nodes")
    found.append(f"files of {len(hosts)} nodes" if hosts else "no files of nodes, because none is in the inventory")
    return found


def _statement(each: question.Statement) -> dict[str, str]:
    return asdict(each)
