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
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._network_policy import admission
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.model import (
    Address,
    AdminPolicy,
    Node,
    Pod,
    Policy,
)
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_admin import KINDS as ADMIN_KINDS
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_admin import parse_admin_policy
from ansible_collections.podnet.cni.plugins.module_utils._network_policy.parse_policy import mapping, parse_policy

NAME_LABEL = "kubernetes.io/metadata.name"
"""Every namespace has it with its own name; manifests need not say so."""

_BACKEND_KEY = "/backend-type"
_FINISHED = ("Succeeded", "Failed")
_SERVICE_OF_SLICE = "kubernetes.io/service-name"

_JUDGED = ("NetworkPolicy", "Pod", "Namespace")
"""Kinds without which a verdict is not known. A policy that the server refuses does not exist there."""


class Source(NamedTuple):
    """An object and where it came from; C(group) is the API group, empty for the core one."""

    group: str
    kind: str
    item: Any
    where: str


class Service(NamedTuple):
    """A Service: the labels it selects (empty: none), its cluster addresses, and port -> target port.

    C(names) maps port and protocol to the name that its EndpointSlices have the port under.
    """

    label: str
    selector: Mapping[str, str]
    addresses: tuple[Address, ...]
    ports: Mapping[int, Any]
    names: Mapping[tuple[int, str], str] = {}


class Slice(NamedTuple):
    """An EndpointSlice: (name, protocol) -> port, and the addresses of the endpoints that get new connections."""

    ports: Mapping[tuple[str, str], int]
    addresses: tuple[Address, ...]


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
    """What was left out and why; C(doubt) when a verdict could be another one with it."""

    source: str
    message: str
    doubt: bool = False


@dataclass
class Inventory:
    """Everything that was found. C(namespaces) maps a name to its labels, C(services) a label to the Service.

    C(slices) are those of a Service, by its label. C(admin_policies) maps a label to the policy. C(hidden) are the
    kinds of admin policies of which there may be more: they may not be listed, or one of them could not be read.
    """

    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    slices: dict[str, list[Slice]] = field(default_factory=dict)
    callbacks: list[Callback] = field(default_factory=list)
    api_servers: list[ApiServer] = field(default_factory=list)
    admin_policies: dict[str, AdminPolicy] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
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
            unseen = not isinstance(error, admission.Refused)
            doubt = source.kind in _JUDGED and unseen
            if source.kind in ADMIN_KINDS and unseen:
                found.hidden |= {source.kind}
            found.unreadable.append(Unreadable(f"{source.where}: {source.kind} {_label(source.item)}", reason, doubt))
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
    name = str(metadata.get("name"))
    if item.get("kind") in ADMIN_KINDS:
        return name
    return f"{metadata.get('namespace') or 'default'}/{name}"


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
    item = mapping(source.item, "the object")
    if not mapping(item.get("metadata"), "metadata").get("uid"):
        # No server has it yet. What one has stored keeps what was valid then.
        admission.check(item)
    policy = parse_policy(item)
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


def _ports(containers: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[int, ...]]:
    """Every number of a name counts: containers of one Pod may give it to different ports."""
    ports: dict[tuple[str, str], tuple[int, ...]] = {}
    for container in containers:
        for port in container.get("ports") or []:
            if port.get("name"):
                key = (port["name"], port.get("protocol") or "TCP")
                ports[key] = (*ports.get(key, ()), int(port["containerPort"]))
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
        _labels(metadata),
    )


def _service(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    spec = source.item.get("spec") or {}
    label = f"{metadata.get('namespace') or 'default'}/{metadata['name']}"
    ports = spec.get("ports") or []
    addresses = spec.get("clusterIPs") or [spec.get("clusterIP")]
    found.services[label] = Service(
        label,
        {str(key): str(value) for key, value in (spec.get("selector") or {}).items()},
        tuple(Address.parse(text) for text in addresses if text not in (None, "", "None")),
        {int(port["port"]): port.get("targetPort") or int(port["port"]) for port in ports},
        {(int(port["port"]), port.get("protocol") or "TCP"): str(port.get("name") or "") for port in ports},
    )


def _slice(found: Inventory, source: Source) -> None:
    metadata = _metadata(source)
    service = _labels(metadata).get(_SERVICE_OF_SLICE)
    if not service:
        return
    label = f"{metadata.get('namespace') or 'default'}/{service}"
    ports = {
        (str(port.get("name") or ""), str(port.get("protocol") or "TCP")): int(port["port"])
        for port in source.item.get("ports") or []
        if port.get("port")
    }
    # A condition that is not there counts as ready.
    ready = [
        endpoint
        for endpoint in source.item.get("endpoints") or []
        if fields.at(endpoint, "conditions", "ready") is not False
    ]
    is_address = source.item.get("addressType") in (None, "IPv4", "IPv6")
    addresses = [Address.parse(text) for each in ready for text in each.get("addresses") or [] if is_address]
    found.slices.setdefault(label, []).append(Slice(ports, tuple(addresses)))
    if label == "default/kubernetes":
        port = next(iter(ports.values()), 6443)
        found.api_servers += [ApiServer(address, port) for address in addresses]


def _webhooks(found: Inventory, source: Source) -> None:
    name = str(_metadata(source)["name"])
    for webhook in source.item.get("webhooks") or []:
        _callback(found, source.kind, f"{name}/{webhook.get('name')}", fields.at(webhook, "clientConfig", "service"))


def _api_service(found: Inventory, source: Source) -> None:
    _callback(found, source.kind, str(_metadata(source)["name"]), fields.at(source.item, "spec", "service"))


def _callback(found: Inventory, kind: str, name: str, service: Mapping[str, Any] | None) -> None:
    if service:
        label = f"{service['namespace']}/{service['name']}"
        found.callbacks.append(Callback(kind, name, label, int(service.get("port") or 443)))


def _admin(found: Inventory, source: Source) -> None:
    item = mapping(source.item, "the object")
    try:
        policy = parse_admin_policy(item, source.kind)
    except InputError as error:
        if mapping(item.get("metadata"), "metadata").get("uid"):
            raise
        # No server has it yet, and none would take it.
        raise admission.Refused(str(error)) from error
    _once(found, found.admin_policies, policy.label, source)
    found.admin_policies[policy.label] = policy


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
