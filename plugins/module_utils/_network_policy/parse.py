# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes objects, from a cluster or from manifests, as one inventory.

Private to podnet.cni: may change in any release.

An object that cannot be read is named in C(Inventory.unreadable) and left out; the others still count.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import Address, Node, Pod, Policy
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_policy import mapping, parse_policy

NAME_LABEL = "kubernetes.io/metadata.name"
"""Every namespace has it with its own name; manifests need not say so."""

_BACKEND_KEY = "/backend-type"
_FINISHED = ("Succeeded", "Failed")
_SERVICE_OF_SLICE = "kubernetes.io/service-name"

ADMIN_KINDS = ("AdminNetworkPolicy", "BaselineAdminNetworkPolicy", "ClusterNetworkPolicy")


class Source(NamedTuple):
    """An object and where it came from; C(group) is the API group, empty for the core one."""

    group: str
    kind: str
    item: Any
    where: str


class Service(NamedTuple):
    """A Service: the labels it selects (empty: none), its cluster addresses, and port -> target port."""

    label: str
    selector: Mapping[str, str]
    addresses: tuple[Address, ...]
    ports: Mapping[int, Any]


class Callback(NamedTuple):
    """Something that the API server calls inside the cluster: a webhook or an aggregated API."""

    kind: str
    name: str
    service: str
    port: int


class ApiServer(NamedTuple):
    """Where pods reach the API server once the Service's address was replaced."""

    address: Address
    port: int


class Unreadable(NamedTuple):
    """What was left out and why."""

    source: str
    message: str


@dataclass
class Inventory:
    """Everything that was found. C(namespaces) maps a name to its labels, C(services) a label to the Service."""

    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    callbacks: list[Callback] = field(default_factory=list)
    api_servers: list[ApiServer] = field(default_factory=list)
    admin_policies: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


def inventory(sources: Iterable[Source]) -> Inventory:
    """Sort objects into an inventory. Kinds that policy does not look at are skipped."""
    found = Inventory()
    for source in sources:
        reader = _READERS.get((source.group, source.kind))
        if reader is None:
            continue
        try:
            reader(found, source)
        except (InputError, AttributeError, TypeError, ValueError, KeyError) as error:
            reason = str(error) if isinstance(error, InputError) else "it has not the shape of its kind"
            found.unreadable.append(Unreadable(f"{source.where}: {source.kind} {_label(source.item)}", reason))
    for namespace in {pod.namespace for pod in found.pods.values()} | {
        policy.namespace for policy in found.policies.values()
    }:
        found.namespaces.setdefault(namespace, {NAME_LABEL: namespace})
    for pod in found.pods.values():
        # Without the right to read Nodes their Pods still tell the address.
        if pod.node and pod.host_addresses and pod.node not in found.nodes:
            found.nodes[pod.node] = Node(pod.node, pod.host_addresses)
    return found


def _label(item: Any) -> str:
    metadata = item.get("metadata") if isinstance(item, Mapping) else None
    if not isinstance(metadata, Mapping):
        return "without metadata"
    return f"{metadata.get('namespace') or 'default'}/{metadata.get('name')}"


def _labels(metadata: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in mapping(metadata.get("labels"), "metadata.labels").items()}


def _metadata(source: Source) -> Mapping[str, Any]:
    metadata = mapping(mapping(source.item, "the object").get("metadata"), "metadata")
    if not metadata.get("name"):
        raise InputError("metadata.name is missing.")
    return metadata


def _once(found: Inventory, table: Mapping[str, Any], key: str, source: Source) -> None:
    if key in table:
        found.unreadable.append(
            Unreadable(f"{source.where}: {source.kind} {key}", "it is there twice; the last counts")
        )


def _namespace(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    name = str(metadata["name"])
    _once(found, found.namespaces, name, source)
    found.namespaces[name] = {**_labels(metadata), NAME_LABEL: name}


def _policy(found: Inventory, source: Source) -> None:
    policy = parse_policy(mapping(source.item, "the object"))
    _once(found, found.policies, policy.label, source)
    found.policies[policy.label] = policy


def _pod(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    spec, status = source.item.get("spec") or {}, source.item.get("status") or {}
    containers = spec.get("containers") or []
    texts = [entry["ip"] for entry in status.get("podIPs") or []] or [status.get("podIP")]
    hosts = [entry["ip"] for entry in status.get("hostIPs") or []] or [status.get("hostIP")]
    pod = Pod(
        namespace=str(metadata.get("namespace") or "default"),
        name=str(metadata["name"]),
        labels=_labels(metadata),
        node=str(spec.get("nodeName") or ""),
        addresses=tuple(Address.parse(text) for text in texts if text),
        host_network=bool(spec.get("hostNetwork")),
        finished=status.get("phase") in _FINISHED,
        ports=_ports(containers),
        init_ports=_ports(spec.get("initContainers") or []),
        images=tuple(str(container.get("image") or "") for container in containers),
        host_addresses=tuple(Address.parse(text) for text in hosts if text),
    )
    _once(found, found.pods, pod.label, source)
    found.pods[pod.label] = pod


def _ports(containers: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], int]:
    ports: dict[tuple[str, str], int] = {}
    for container in containers:
        for port in container.get("ports") or []:
            if port.get("name"):
                ports.setdefault((port["name"], port.get("protocol") or "TCP"), int(port["containerPort"]))
    return ports


def _node(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    spec, status = source.item.get("spec") or {}, source.item.get("status") or {}
    subnets = spec.get("podCIDRs") or [spec.get("podCIDR")]
    networks = [ipaddress.ip_network(text) for text in subnets if text]
    annotations = mapping(metadata.get("annotations"), "metadata.annotations")
    own = [
        entry["address"] for entry in status.get("addresses") or [] if entry.get("type") in ("InternalIP", "ExternalIP")
    ]
    name = str(metadata["name"])
    found.nodes[name] = Node(
        name,
        tuple(Address.parse(text) for text in own),
        tuple(Address.parse(str(network.network_address)) for network in networks),
        tuple(Address.parse(str(network.network_address + 1)) for network in networks),
        next((str(value) for key, value in annotations.items() if key.endswith(_BACKEND_KEY)), ""),
    )


def _service(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    spec = source.item.get("spec") or {}
    label = f"{metadata.get('namespace') or 'default'}/{metadata['name']}"
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    found.services[label] = Service(
        label,
        {str(key): str(value) for key, value in (spec.get("selector") or {}).items()},
        tuple(Address.parse(text) for text in addresses if text not in (None, "", "None")),
        {int(port["port"]): port.get("targetPort") or int(port["port"]) for port in spec.get("ports") or []},
    )


def _slice(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    belongs = (metadata.get("namespace") or "default", _labels(metadata).get(_SERVICE_OF_SLICE))
    if belongs != ("default", "kubernetes"):
        return
    ports = [int(port["port"]) for port in source.item.get("ports") or [] if port.get("port")]
    for endpoint in source.item.get("endpoints") or []:
        for text in endpoint.get("addresses") or []:
            found.api_servers.append(ApiServer(Address.parse(text), ports[0] if ports else 6443))


def _webhooks(found: Inventory, source: Source) -> None:
    name = str(_metadata(source)["name"])
    for webhook in source.item.get("webhooks") or []:
        _callback(
            found, source.kind, f"{name}/{webhook.get('name')}", (webhook.get("clientConfig") or {}).get("service")
        )


def _api_service(found: Inventory, source: Source) -> None:
    _callback(found, source.kind, str(_metadata(source)["name"]), (source.item.get("spec") or {}).get("service"))


def _callback(found: Inventory, kind: str, name: str, service: Mapping[str, Any] | None) -> None:
    if service:
        label = f"{service['namespace']}/{service['name']}"
        found.callbacks.append(Callback(kind, name, label, int(service.get("port") or 443)))


def _admin(found: Inventory, source: Source) -> None:
    found.admin_policies.append(f"{source.kind} {_metadata(source)['name']}")


_READERS: dict[tuple[str, str], Callable[[Inventory, Source], None]] = {
    ("", "Namespace"): _namespace,
    ("", "Pod"): _pod,
    ("", "Node"): _node,
    ("", "Service"): _service,
    ("networking.k8s.io", "NetworkPolicy"): _policy,
    ("discovery.k8s.io", "EndpointSlice"): _slice,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
    ("apiregistration.k8s.io", "APIService"): _api_service,
    **{("policy.networking.k8s.io", kind): _admin for kind in ADMIN_KINDS},
}
