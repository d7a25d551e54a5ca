# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What belongs to a DaemonSet, and what of an object is kept; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")

RUNTIME = ("blockaffinities", "ipamblocks", "ipamhandles", "caliconodestatuses")
"""Custom resources of Calico that say what is, not what is wanted (projectcalico/calico v3.31 api/pkg/lib)."""

Obj = Mapping[str, Any]


def kept(item: Obj) -> dict[str, Any]:
    """An object without what the server adds to it."""
    found = {key: value for key, value in item.items() if key != "status"}
    found["metadata"] = {key: value for key, value in (item.get("metadata") or {}).items() if key not in NOISE}
    return found


def file_name(item: Obj) -> str:
    """Where an object is kept: kind, namespace and name; a name of the API holds no slash."""
    metadata = item["metadata"]
    parts = [str(item["kind"]).lower(), str(metadata.get("namespace") or "_"), str(metadata["name"])]
    # Names of roles may hold a colon (k8s.io/apimachinery pkg/api/validation/path).
    return "objects/" + "/".join(part.replace(":", "%3a") for part in parts) + ".json"


def config_maps(daemonset: Obj) -> list[str]:
    """Names of the ConfigMaps that the pods mount or read variables from, in the order of the template."""
    return list(dict.fromkeys(_config_maps(daemonset["spec"]["template"]["spec"])))


def _config_maps(pod: Obj) -> Iterator[str]:
    for volume in pod.get("volumes") or []:
        sources = [volume, *fields.sequence(volume, "projected", "sources")]
        for source in sources:
            name = fields.at(source, "configMap", "name")
            if name:
                yield str(name)
    for container in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        for variable in container.get("env") or []:
            name = fields.at(variable, "valueFrom", "configMapKeyRef", "name")
            if name:
                yield str(name)
        for source in container.get("envFrom") or []:
            name = fields.at(source, "configMapRef", "name")
            if name:
                yield str(name)


def account(daemonset: Obj) -> str:
    """Name of the ServiceAccount of the pods."""
    return str(daemonset["spec"]["template"]["spec"].get("serviceAccountName") or "default")


def bindings(items: Iterable[Obj], namespace: str, name: str) -> list[Obj]:
    """The bindings that give an account rights of its own, not by its group."""

    def is_ours(subject: Obj) -> bool:
        return (subject.get("kind"), subject.get("namespace"), subject.get("name")) == (
            "ServiceAccount",
            namespace,
            name,
        )

    return [item for item in items if any(is_ours(subject) for subject in item.get("subjects") or [])]


def node_notes(nodes: Iterable[Obj], prefixes: Iterable[str]) -> dict[str, dict[str, str]]:
    """The annotations below the prefixes, by Node; a Node without any is not in it."""
    wanted = tuple(f"{prefix.rstrip('/')}/" for prefix in prefixes)
    found = {}
    for node in nodes:
        notes = node["metadata"].get("annotations") or {}
        some = {key: value for key, value in notes.items() if key.startswith(wanted)}
        if some:
            found[str(node["metadata"]["name"])] = some
    return found


def missing(before: Mapping[str, Mapping[str, str]], nodes: Iterable[Obj]) -> dict[str, dict[str, str]]:
    """The annotations that a Node had and lacks; what is there belongs to the daemon that runs."""
    found = {}
    for node in nodes:
        name, notes = str(node["metadata"]["name"]), node["metadata"].get("annotations") or {}
        lacking = {key: value for key, value in before.get(name, {}).items() if key not in notes}
        if lacking:
            found[name] = lacking
    return found


def network_config_map(names: Iterable[str], items: Iterable[Obj]) -> Obj | None:
    """Of the ConfigMaps with these names the one that holds the network config, or else the first."""
    by_name = {item["metadata"]["name"]: item for item in items if item["kind"] == "ConfigMap"}
    found = [by_name[name] for name in names if name in by_name]
    return next((item for item in found if "net-conf.json" in (item.get("data") or {})), found[0] if found else None)
