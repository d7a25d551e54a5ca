# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsed documents of a release manifest, checked: is it Canal's, whole, and of which release; no I/O.

Private to podnet.cni: may change in any release.

Source: calico v3.26 to v3.32 manifests/canal.yaml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery import objects
from ansible_collections.podnet.cni.plugins.module_utils._discovery.recognisers import calico, flannel
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

Obj = Mapping[str, Any]
CRD = "CustomResourceDefinition"
KINDS = (
    "Namespace",
    "PodDisruptionBudget",
    "ServiceAccount",
    "ConfigMap",
    CRD,
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "DaemonSet",
    "Deployment",
)
"""What a release manifest is made of. Custom resources of Calico may be added to a directory of files."""

CONFIG_KEYS = ("net-conf.json", "cni_network_config", "canal_iface", "masquerade", "veth_mtu")
_KUBERNETES_ROLES = ("cluster-admin", "admin", "edit", "view")
_GROUPS = ("crd.projectcalico.org", "projectcalico.org")
_KINDS_OF = ("crd.projectcalico.org", "policy.networking.k8s.io")
_LEGACY = ("globalfelixconfigs", "globalbgpconfigs")
"""Kinds of Calico 2 that calico-node still has a right to and no release defines (v3.32 manifests/canal.yaml)."""
_SINCE = (
    ("tiers.crd.projectcalico.org", (3, 29)),
    ("clusternetworkpolicies.policy.networking.k8s.io", (3, 32)),
)
_WORKLOADS = ("DaemonSet", "Deployment", "StatefulSet", "Job", "CronJob", "Pod")
_RELEASE = re.compile(r"v?(\d+\.\d+\.\d+)(?:[-.].*)?")


@dataclass(frozen=True)
class Manifest:
    """The objects in the manifest's order, with those that are going to be changed.

    C(calico) and C(flannel) are versions without their v, from the tags of the images; C(flannel) may be empty.
    """

    objects: tuple[Obj, ...]
    daemonset: Obj
    config_map: Obj
    node_container: str
    flannel_container: str
    calico: str
    flannel: str

    @property
    def namespace(self) -> str:
        """Where the manifest puts Canal."""
        return str(self.daemonset["metadata"]["namespace"])

    @property
    def service_account(self) -> str:
        """The account of Canal's pods."""
        return str(_pod_spec(self.daemonset).get("serviceAccountName") or "default")

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the CustomResourceDefinitions without which its pods do not work, whoever brings them.

        Calico's accounts have a right to each kind that it reads; what a release has brought besides tells an older
        file whose image tags were changed.
        """
        found: dict[str, None] = {}
        for item in self.objects:
            for rule in fields.sequence(item, "rules") if item["kind"] == "ClusterRole" else ():
                for group in set(fields.sequence(rule, "apiGroups")).intersection(_KINDS_OF):
                    for name in fields.sequence(rule, "resources"):
                        if "/" not in str(name) and name not in (*_LEGACY, "*"):
                            found[f"{name}.{group}"] = None
        release = question.key(self.calico)[:2]
        found.update((name, None) for name, since in _SINCE if release >= since)
        return tuple(found)

    @property
    def crds(self) -> tuple[str, ...]:
        """Names of the CustomResourceDefinitions."""
        return tuple(str(item["metadata"]["name"]) for item in self.objects if item["kind"] == CRD)


def read(documents: Sequence[Obj]) -> Manifest:
    """Check the documents; each is a dictionary with C(file), C(line) and C(object), what stands there.

    Raises InputError, which names the place, for anything but the manifest of one Canal.
    """
    found = _objects(documents)
    daemonset = _daemonset(found)
    items = tuple(item for item, _where in found)
    _whole(items)
    flannels = [each for each in objects.containers(daemonset) if flannel.is_flanneld(each)]
    nodes = [each for each in objects.containers(daemonset) if calico.is_calico(each)]
    return Manifest(
        objects=items,
        daemonset=daemonset,
        config_map=_config_map(items, daemonset),
        node_container=str(nodes[0]["name"]),
        flannel_container=str(flannels[0]["name"]),
        calico=_release(items, daemonset, str(flannels[0]["name"])),
        flannel=release_of(str(flannels[0].get("image"))),
    )


def plain_copy(value: Any) -> Any:
    """A deep copy of JSON data in plain dictionaries and lists.

    Containers that Ansible hands to a filter template themselves when they are read, and copy.deepcopy() copies the
    template engine along with each.
    """
    if isinstance(value, Mapping):
        return {key: plain_copy(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_copy(each) for each in value]
    return value


def _objects(documents: Sequence[Obj]) -> list[tuple[Obj, str]]:
    """The objects with the place of each, lists taken apart."""
    found: list[tuple[Obj, str]] = []
    seen: dict[tuple[str, str, str], str] = {}
    for document in documents:
        where = f"{document['file']}, line {document['line']}"
        for item in _items(document["object"], where):
            metadata = item["metadata"]
            group = str(item["apiVersion"]).rpartition("/")[0]
            identity = (f"{group}/{item['kind']}", str(metadata.get("namespace") or ""), str(metadata["name"]))
            if identity in seen:
                raise InputError(
                    f"{item['kind']} {metadata['name']} stands twice, in {seen[identity]} and in {where}: keep one."
                )
            seen[identity] = where
            if item["kind"] not in KINDS and group not in _GROUPS:
                raise InputError(
                    f"{where}: {item['kind']} {metadata['name']} is nothing that Canal's manifest holds. Take it out, "
                    "and apply it by other means."
                )
            found.append((item, where))
    if not found:
        raise InputError("canal_manifest holds no object: name the file canal.yaml of a Calico release.")
    return found


def _items(item: Any, where: str) -> list[Obj]:
    if not isinstance(item, Mapping):
        raise InputError(f"{where}: there is a {type(item).__name__} where an object should be. The file is damaged.")
    if str(item.get("kind") or "").endswith("List") and isinstance(item.get("items"), list):
        return [each for child in item["items"] for each in _items(child, where)]
    metadata = item.get("metadata")
    for name, value in (
        ("apiVersion", item.get("apiVersion")),
        ("kind", item.get("kind")),
        ("metadata.name", metadata.get("name") if isinstance(metadata, Mapping) else None),
    ):
        if not isinstance(value, str) or not value:
            raise InputError(
                f"{where}: the object has no {name}. The file is damaged, or is not a Kubernetes manifest."
            )
    return [item]


def _daemonset(found: Sequence[tuple[Obj, str]]) -> Obj:
    """The DaemonSet with both containers, which is what makes a manifest Canal's."""
    workloads = [(item, where) for item, where in found if item["kind"] in _WORKLOADS]
    canals = []
    for item, where in workloads:
        containers = objects.containers(item)
        has_flannel = any(flannel.is_flanneld(each) for each in containers)
        has_calico = any(calico.is_calico(each) for each in containers)
        name = f"{where}: {item['kind']} {item['metadata']['name']}"
        if item["kind"] == "DaemonSet" and has_flannel and has_calico:
            canals.append(item)
        elif has_flannel:
            raise InputError(
                f"{name} is flannel without Calico: this is not a manifest of Canal. Use the role flannel."
            )
        elif item["kind"] == "DaemonSet" and has_calico:
            raise InputError(
                f"{name} is Calico without flannel: this is not a manifest of Canal. Take manifests/canal.yaml."
            )
        elif not any("calico" in str(each.get("image")) for each in containers):
            raise InputError(
                f"{name} is nothing that Canal's manifest holds. Take it out, and apply it by other means."
            )
    if len(canals) != 1:
        raise InputError(
            f"canal_manifest holds {len(canals) or 'no'} DaemonSet{'s' if canals else ''} with both flannel and "
            "Calico: name the file canal.yaml of one Calico release."
        )
    if not canals[0]["metadata"].get("namespace"):
        raise InputError(f"DaemonSet {canals[0]['metadata']['name']} has no metadata.namespace: the file is damaged.")
    return canals[0]


def _whole(items: Sequence[Obj]) -> None:
    """Raise InputError where an object refers to another one of the manifest that is not there."""
    there = {(item["kind"], str(item["metadata"]["name"])) for item in items}
    for item in items:
        wanted = []
        if item["kind"] in _WORKLOADS:
            wanted.append(("ServiceAccount", fields.text(_pod_spec(item), "serviceAccountName") or "default"))
        if item["kind"] in ("ClusterRoleBinding", "RoleBinding"):
            wanted.append((fields.text(item, "roleRef", "kind"), fields.text(item, "roleRef", "name")))
        for kind, name in wanted:
            # Every cluster has an account called default, and the roles of Kubernetes itself.
            known = name == "default" or name.startswith("system:") or name in _KUBERNETES_ROLES
            if (kind, name) not in there and not known:
                raise InputError(
                    f"{item['kind']} {item['metadata']['name']} needs {kind} {name}, which the manifest does not hold: "
                    "the file is not whole."
                )


def _config_map(items: Sequence[Obj], daemonset: Obj) -> Obj:
    """The ConfigMap that flanneld reads its network config from, with all keys that a release has."""
    namespace = daemonset["metadata"]["namespace"]
    names = objects.config_map_volumes(daemonset)
    for item in items:
        metadata = item["metadata"]
        if item["kind"] != "ConfigMap" or metadata["name"] not in names or metadata.get("namespace") != namespace:
            continue
        data = item.get("data") or {}
        if data.get("etcd_endpoints"):
            raise InputError(
                f"ConfigMap {metadata['name']} keeps Calico's data in etcd: take the manifest that uses the Kubernetes "
                "API, manifests/canal.yaml."
            )
        absent = [key for key in CONFIG_KEYS if not isinstance(data.get(key), str)]
        if absent:
            raise InputError(
                f"ConfigMap {metadata['name']} has no {', '.join(absent)}: this is not a release's manifest."
            )
        return item
    raise InputError(
        f"DaemonSet {daemonset['metadata']['name']} reads ConfigMap {', '.join(names) or '(none)'}, which the manifest "
        "does not hold: the file is not whole."
    )


def _release(items: Sequence[Obj], daemonset: Obj, flannel_container: str) -> str:
    """The version of Calico, which all its images share."""
    found: dict[str, str] = {}
    for item in items:
        if item is not daemonset and item["kind"] != "Deployment":
            continue
        for each in [*objects.init_containers(item), *objects.containers(item)]:
            if not (item is daemonset and each["name"] == flannel_container):
                found.setdefault(release_of(str(each.get("image"))), str(each.get("image")))
    if "" in found:
        raise InputError(f"image {found['']} has no release as its tag: take the manifest of a Calico release.")
    if len(found) != 1:
        raise InputError(f"the images are of different releases: {', '.join(sorted(found.values()))}.")
    return next(iter(found))


def release_of(image: str) -> str:
    """The version in an image's tag without v and suffix, empty when the tag is none."""
    _registry, _repository, tag = objects.split_image(image)
    matched = _RELEASE.fullmatch(tag.split("@")[0])
    return matched.group(1) if matched else ""


def _pod_spec(workload: Obj) -> Obj:
    return fields.mapping(workload, "spec", "template", "spec")
