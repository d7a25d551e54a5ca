# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release manifest made into the objects of one cluster; no I/O.

Private to podnet.cni: may change in any release.

Sources: calico v3.32 manifests/canal.yaml and cni-plugin/pkg/install/install.go; flannel v0.28.9 main.go, where a flag
on the command line wins over its environment variable, and Documentation/kube-flannel.yml for the probes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import images, pod_config
from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal.manifest import Manifest, plain_copy
from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal.settings import (
    UPSTREAM_OLD_CONF,
    Settings,
)
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

CHECKSUM = "podnet.cni/config-sha256"
"""Annotation of the pods that makes a changed ConfigMap restart them."""
_SYSTEM_NAMESPACES = ("default", "kube-system")
_CONFIG = "canal_iface_regex"
_LIVENESS = {"initialDelaySeconds": 10, "periodSeconds": 30}
_READINESS = {"initialDelaySeconds": 5, "periodSeconds": 10}


@dataclass(frozen=True)
class Result:
    """The objects in the manifest's order, C(flannel) the version that runs, C(warnings) what a person should know."""

    objects: tuple[dict[str, Any], ...]
    flannel: str
    warnings: tuple[str, ...]


def place_of(manifest: Manifest) -> Place:
    """Where the manifest puts Canal itself."""
    return Place(
        namespace=manifest.namespace,
        daemonset=str(manifest.daemonset["metadata"]["name"]),
        config_map=str(manifest.config_map["metadata"]["name"]),
        service_account=manifest.service_account,
        selector=manifest.daemonset["spec"]["selector"],
    )


def transform(manifest: Manifest, settings: Settings, place: Place) -> Result:
    """The objects for a cluster. Raises InputError for what the manifest's release, or the image, cannot do."""
    choice = images.choose(manifest, settings)
    made = []
    for item in manifest.objects:
        kind = item["kind"]
        copied = plain_copy(item)
        if item is manifest.config_map:
            _config_map(copied, settings)
        elif item is manifest.daemonset:
            _daemonset(copied, manifest, settings, choice)
        elif kind == "Deployment":
            images.replace(copied, settings, choice)
        elif kind == "ClusterRole":
            _role(copied)
        made.append(copied)
    _move(made, manifest, place)
    _annotate(made, place)
    return Result((*_namespace(manifest, place), *made), choice.flannel, choice.warnings)


def _namespace(manifest: Manifest, place: Place) -> tuple[dict[str, Any], ...]:
    """A namespace of its own, in which privileged pods may run; those of the system are somebody else's."""
    if place.namespace in _SYSTEM_NAMESPACES or any(item["kind"] == "Namespace" for item in manifest.objects):
        return ()
    labels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "audit", "warn")}
    return ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place.namespace, "labels": labels}},)


def _config_map(item: dict[str, Any], settings: Settings) -> None:
    data = item["data"]
    data["canal_iface"] = settings.interface
    data["masquerade"] = "true" if settings.masquerade else "false"
    data["veth_mtu"] = str(settings.mtu)
    data["net-conf.json"] = json.dumps(dict(settings.network_config), indent=2) + "\n"
    data["cni_network_config"] = pod_config.change(
        data["cni_network_config"], settings.network_name, settings.parsed.enable_ipv6
    )
    if settings.interface_regex:
        data[_CONFIG] = settings.interface_regex


def _daemonset(item: dict[str, Any], manifest: Manifest, settings: Settings, choice: images.Choice) -> None:
    images.replace(item, settings, choice)
    spec = item["spec"]["template"]["spec"]
    by_name = {each["name"]: each for each in spec["containers"]}
    node, flannel = by_name[manifest.node_container], by_name[manifest.flannel_container]
    if settings.parsed.enable_ipv6:
        _set_environment(node, "FELIX_IPV6SUPPORT", "true")
    if settings.parsed.enable_nftables:
        _set_environment(node, "FELIX_NFTABLESMODE", "Enabled")
    for each in spec.get("initContainers") or []:
        if any(entry["name"] == "CNI_CONF_NAME" for entry in each.get("env") or []):
            _old_conf(each, settings)
    _flannel(flannel, manifest, settings, choice)
    if settings.subnet_file:
        flannel.setdefault("volumeMounts", []).append({"name": "run-flannel", "mountPath": "/run/flannel"})
        volume = {"name": "run-flannel", "hostPath": {"path": "/run/flannel", "type": "DirectoryOrCreate"}}
        spec.setdefault("volumes", []).append(volume)


def _old_conf(container: dict[str, Any], settings: Settings) -> None:
    if settings.old_conf_name != UPSTREAM_OLD_CONF:
        _set_environment(container, "CNI_OLD_CONF_NAME", settings.old_conf_name)


def _flannel(container: dict[str, Any], manifest: Manifest, settings: Settings, choice: images.Choice) -> None:
    where = "args" if container.get("args") else "command"
    words = [str(word) for word in container.get(where) or []]
    if not settings.masquerade:
        # The flag would win over the variable that the ConfigMap sets.
        words = [word for word in words if word.lstrip("-").split("=")[0] != "ip-masq"]
    if settings.health_port and choice.probes:
        words.append(f"--healthz-port={settings.health_port}")
        for name, path, times in (("livenessProbe", "/healthz", _LIVENESS), ("readinessProbe", "/readyz", _READINESS)):
            container[name] = {"httpGet": {"path": path, "port": settings.health_port}, **times}
    container[where] = words
    if settings.interface_regex:
        name = str(manifest.config_map["metadata"]["name"])
        reference = {"configMapKeyRef": {"name": name, "key": _CONFIG}}
        container.setdefault("env", []).append({"name": "FLANNELD_IFACE_REGEX", "valueFrom": reference})


def _set_environment(container: dict[str, Any], name: str, value: str) -> None:
    for entry in container.setdefault("env", []):
        if entry["name"] == name:
            entry.clear()
            entry.update(name=name, value=value)
            return
    container["env"].append({"name": name, "value": value})


def _role(item: dict[str, Any]) -> None:
    """flanneld gets its own Node, to keep its VTEP's MAC address; the role itself allows to list and watch only."""
    if item["metadata"]["name"] != "flannel":
        return
    for rule in item.get("rules") or []:
        if "nodes" in (rule.get("resources") or []) and "get" not in rule["verbs"]:
            rule["verbs"] = ["get", *rule["verbs"]]


def _move(items: list[dict[str, Any]], manifest: Manifest, place: Place) -> None:
    """Put namespace and names of an installation that is there in the place of the manifest's."""
    here = place_of(manifest)
    for item in items:
        metadata, kind = item["metadata"], item["kind"]
        if metadata.get("namespace") == here.namespace:
            metadata["namespace"] = place.namespace
        for subject in item.get("subjects") or []:
            if subject.get("namespace") == here.namespace:
                subject["namespace"] = place.namespace
            if subject.get("kind") == "ServiceAccount" and subject.get("name") == here.service_account:
                subject["name"] = place.service_account
        for rule in (item.get("rules") or []) if kind == "ClusterRole" else []:
            names = rule.get("resourceNames") or []
            if here.service_account in names and place.service_account not in names:
                rule["resourceNames"] = [place.service_account if n == here.service_account else n for n in names]
        renamed = {"ServiceAccount": (here.service_account, place.service_account)}
        renamed.update(ConfigMap=(here.config_map, place.config_map), DaemonSet=(here.daemonset, place.daemonset))
        before, after = renamed.get(kind, ("", ""))
        if metadata["name"] == before:
            metadata["name"] = after
        if kind == "Deployment":
            item["spec"]["template"].get("metadata", {}).pop("namespace", None)
        if kind == "DaemonSet":
            _rename_inside(item, here, place)


def _rename_inside(daemonset: dict[str, Any], here: Place, place: Place) -> None:
    spec, template = daemonset["spec"], daemonset["spec"]["template"]
    template["spec"]["serviceAccountName"] = place.service_account
    if place.selector:
        spec["selector"] = plain_copy(place.selector)
    template.setdefault("metadata", {}).setdefault("labels", {}).update(place.labels)
    for volume in template["spec"].get("volumes") or []:
        if fields.at(volume, "configMap", "name") == here.config_map:
            volume["configMap"]["name"] = place.config_map
    for container in [*(template["spec"].get("initContainers") or []), *template["spec"]["containers"]]:
        for entry in container.get("env") or []:
            if fields.at(entry, "valueFrom", "configMapKeyRef", "name") == here.config_map:
                entry["valueFrom"]["configMapKeyRef"]["name"] = place.config_map


def _annotate(items: list[dict[str, Any]], place: Place) -> None:
    by_kind: dict[tuple[str, str], dict[str, Any]] = {(item["kind"], item["metadata"]["name"]): item for item in items}
    digest = pod_config.digest(by_kind["ConfigMap", place.config_map]["data"])
    metadata = by_kind["DaemonSet", place.daemonset]["spec"]["template"]["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), CHECKSUM: digest}


def to_dict(manifest: Manifest, result: Result, place: Place) -> dict[str, Any]:
    """The result as the filter gives it."""
    return {
        "calico": manifest.calico,
        "flannel": result.flannel,
        "place": {
            "namespace": place.namespace,
            "daemonset": place.daemonset,
            "config_map": place.config_map,
            "service_account": place.service_account,
            "selector": plain_copy(place.selector),
            "labels": dict(place.labels),
        },
        "containers": {"calico": manifest.node_container, "flannel": manifest.flannel_container},
        "crds": list(manifest.crds),
        "needed_crds": list(manifest.needed),
        "objects": [dict(item) for item in result.objects],
        "warnings": list(result.warnings),
    }
