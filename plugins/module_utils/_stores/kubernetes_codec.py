# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a Node object to a lease and back.

Private to podnet.cni: may change in any release. Pure: no input or output.

Names and values of the annotations, and which of them a backend writes, are those of flannel v0.28.9
pkg/subnet/kube/annotations.go and pkg/subnet/kube/kube.go (AcquireLease, nodeToLease).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Callable, Mapping, Optional, Tuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json
from ansible_collections.podnet.cni.plugins.module_utils._flannel.lease import Lease
from ansible_collections.podnet.cni.plugins.module_utils._flannel.network_config import NetworkConfig
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._stores.kubernetes_options import DEFAULT_PREFIX

EXTERNAL = "podnet.cni/external-node"
"""Label and taint of the Node objects that stand for hosts outside the cluster; those we may delete."""

# Backends whose peers cannot be reached without the data in the annotation.
_NEEDS_DATA = ("vxlan", "wireguard")
_PREFIX = re.compile(r"(?:[a-z0-9_-]+\.)+[a-z0-9_-]+/(?:[a-z0-9_-]+-)?\Z")

Subnets = Tuple[Optional[IPv4Network], Optional[IPv6Network]]


@dataclass(frozen=True)
class Keys:
    """Full annotation names under one prefix."""

    managed: str
    backend_type: str
    backend_data: str
    public_ip: str
    backend_v6_data: str
    public_ipv6: str
    public_ip_overwrite: str
    public_ipv6_overwrite: str

    @property
    def written(self) -> tuple[str, ...]:
        """What flanneld writes; the overwrites are the operator's."""
        return (
            self.managed,
            self.backend_type,
            self.backend_data,
            self.public_ip,
            self.backend_v6_data,
            self.public_ipv6,
        )


class NoPodCidr(InputError):
    """A Node lacks the podCIDR of a family that the network has, which no restart of flannel can correct."""


def annotation_keys(prefix: str = DEFAULT_PREFIX) -> Keys:
    """Return the annotation names for flanneld's C(--kube-annotation-prefix); InputError for one it refuses."""
    full = prefix if "/" in prefix else f"{prefix}/"
    if not full.endswith(("/", "-")):
        full += "-"
    # flanneld leaves the start open; the API server then refuses what it let pass, so it is closed here.
    if not _PREFIX.match(full):
        raise InputError(
            f"kube_annotation_prefix {prefix!r} is not a lower-case domain with an optional name behind one slash, "
            f"like {DEFAULT_PREFIX} or example.org/edge"
        )
    return Keys(
        managed=f"{full}kube-subnet-manager",
        backend_type=f"{full}backend-type",
        backend_data=f"{full}backend-data",
        public_ip=f"{full}public-ip",
        backend_v6_data=f"{full}backend-v6-data",
        public_ipv6=f"{full}public-ipv6",
        public_ip_overwrite=f"{full}public-ip-overwrite",
        public_ipv6_overwrite=f"{full}public-ipv6-overwrite",
    )


def name_of(node: Mapping[str, Any]) -> str:
    """The Node's name."""
    return str(node["metadata"]["name"])


def annotations_of(node: Mapping[str, Any]) -> Mapping[str, str]:
    """The Node's annotations; an empty mapping where it has none."""
    return fields.mapping(node, "metadata", "annotations")


def is_external(node: Mapping[str, Any]) -> bool:
    """Whether the Node object was made for a host outside the cluster."""
    return EXTERNAL in fields.mapping(node, "metadata", "labels")


def pod_cidrs(node: Mapping[str, Any]) -> Subnets:
    """Return the Node's pod CIDR of each family; InputError for more than two, or for an invalid one."""
    spec = node.get("spec") or {}
    texts = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    if len(texts) > 2:
        raise InputError(f"node {name_of(node)} has {len(texts)} podCIDRs; flannel reads one for each IP family")
    subnet: IPv4Network | None = None
    ipv6_subnet: IPv6Network | None = None
    for text in texts:
        try:
            network = addresses.parse_cidr(text)
        except ValueError as error:
            raise InputError(f"node {name_of(node)}: podCIDR {text!r} is not a subnet: {error}") from error
        if isinstance(network, IPv4Network):
            subnet = subnet or network
        else:
            ipv6_subnet = ipv6_subnet or network
    return subnet, ipv6_subnet


def decode(node: Mapping[str, Any], keys: Keys, config: NetworkConfig | None = None) -> Lease | None:
    """Return the Node's lease, None for a Node that flanneld ignores.

    C(config) says which families the network has; without it every family counts that the Node is annotated for.
    Raises InputError where flanneld skips the Node, or could not reach it.
    """
    found = annotations_of(node)
    if found.get(keys.managed) != "true":
        return None
    subnet, ipv6_subnet = pod_cidrs(node)
    if config is None:
        want4 = keys.public_ip in found and (subnet is not None or ipv6_subnet is None)
        want6 = keys.public_ipv6 in found and (ipv6_subnet is not None or subnet is None)
        if not want4 and not want6:
            raise InputError(f"node {name_of(node)} has {keys.managed} but neither {keys.public_ip} nor an IPv6 one")
    else:
        want4, want6 = config.enable_ipv4, config.enable_ipv6
    return Lease(
        name=name_of(node),
        subnet=_required(node, subnet, "IPv4") if want4 else None,
        ipv6_subnet=_required(node, ipv6_subnet, "IPv6") if want6 else None,
        public_ip=_address(node, keys.public_ip, addresses.parse_ipv4) if want4 else None,
        public_ipv6=_address(node, keys.public_ipv6, addresses.host_ipv6) if want6 else None,
        backend_type=found.get(keys.backend_type, ""),
        backend_data=_data(node, keys, keys.backend_data) if want4 else None,
        backend_v6_data=_data(node, keys, keys.backend_v6_data) if want6 else None,
    )


def encode(lease: Lease, keys: Keys) -> dict[str, str]:
    """Return the annotations that stand for C(lease), byte for byte as flanneld writes them."""
    backend = lease.backend_type
    result = {keys.managed: "true", keys.backend_type: backend}
    if backend != "vxlan" or lease.backend_data is not None:
        result[keys.backend_data] = go_json.dump(lease.backend_data, f"lease of {lease.name}: backend_data")
        result[keys.public_ip] = str(lease.public_ip or IPv4Address(0))
    if _writes_ipv6(lease):
        if lease.public_ipv6 is None:
            raise InputError(f"lease of {lease.name} has IPv6 backend data but no public_ipv6; give both or none")
        if lease.public_ipv6.ipv4_mapped is not None:
            # Go reads it as an IPv4 address (net.ParseIP); no IPv6 link of a peer could use it.
            raise InputError(f"lease of {lease.name}: public_ipv6 {lease.public_ipv6} is an IPv4 address")
        result[keys.backend_v6_data] = go_json.dump(lease.backend_v6_data, f"lease of {lease.name}: backend_v6_data")
        result[keys.public_ipv6] = str(lease.public_ipv6)
    return result


def overwrites(node: Mapping[str, Any], keys: Keys) -> tuple[IPv4Address | None, IPv6Address | None]:
    """Return the public addresses that the operator has set on the Node in place of the detected ones."""
    found = annotations_of(node)
    public_ip = public_ipv6 = None
    if found.get(keys.public_ip_overwrite):
        public_ip = _address(node, keys.public_ip_overwrite, addresses.parse_ipv4)
    if found.get(keys.public_ipv6_overwrite):
        public_ipv6 = _address(node, keys.public_ipv6_overwrite, addresses.host_ipv6)
    return public_ip, public_ipv6


def internal_addresses(node: Mapping[str, Any]) -> tuple[IPv4Address | None, IPv6Address | None]:
    """Return the Node's first InternalIP of each family, which the kubelet or the cloud has found."""
    first: dict[int, Any] = {}
    for entry in fields.sequence(node, "status", "addresses"):
        if entry.get("type") == "InternalIP":
            address = addresses.parse_ip(entry["address"])
            first.setdefault(address.version, address)
    return first.get(4), first.get(6)


def external_node(name: str, subnets: Subnets, annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the Node object of a host that joins the network but runs no kubelet.

    Upstream's dist/fake-node.yaml is the model. Beyond it, the Node takes no Pods: it is unschedulable, both taints
    keep DaemonSets off that tolerate only one effect (flannel's own tolerates NoSchedule), and it lacks the label
    kubernetes.io/os, which flannel's and kube-proxy's DaemonSets select. The other label keeps load balancers off.
    """
    texts = [str(subnet) for subnet in subnets if subnet is not None]
    spec: dict[str, Any] = {
        "unschedulable": True,
        "taints": [{"key": EXTERNAL, "effect": "NoSchedule"}, {"key": EXTERNAL, "effect": "NoExecute"}],
    }
    if texts:
        spec.update(podCIDR=texts[0], podCIDRs=texts)
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {EXTERNAL: "true", "node.kubernetes.io/exclude-from-external-load-balancers": "true"},
            "annotations": dict(annotations),
        },
        "spec": spec,
    }


def check_contained(name: str, subnets: Subnets, config: NetworkConfig) -> None:
    """Raise InputError unless each pod CIDR lies in the network (kube.go AcquireLease) and each family has one."""
    for family, subnet, network, enabled in (
        ("IPv4", subnets[0], config.network, config.enable_ipv4),
        ("IPv6", subnets[1], config.ipv6_network, config.enable_ipv6),
    ):
        if not enabled:
            continue
        if subnet is None:
            if config.backend.type in _NEEDS_DATA:
                raise InputError(
                    f"node {name} has no {family} podCIDR, but the network config enables {family}; "
                    "give the Node one or disable the family"
                )
            continue
        inside: Any = network
        if inside is None or not subnet.subnet_of(inside):
            raise InputError(
                f"node {name}: podCIDR {subnet} is not inside {network or 'any network'} of the network config; "
                "correct the config or the cluster's pod CIDR"
            )


def _writes_ipv6(lease: Lease) -> bool:
    if lease.backend_type == "vxlan":
        return lease.backend_v6_data is not None
    if lease.backend_type == "wireguard":
        return lease.backend_v6_data is not None and lease.public_ipv6 is not None
    return lease.backend_type in ("host-gw", "extension") and lease.public_ipv6 is not None


def _required(node: Mapping[str, Any], subnet: Any, family: str) -> Any:
    if subnet is None:
        raise NoPodCidr(f"node {name_of(node)} has no {family} podCIDR")
    return subnet


def _address(node: Mapping[str, Any], key: str, read: Callable[[object], Any]) -> Any:
    text = annotations_of(node).get(key)
    if text is None:
        raise InputError(f"node {name_of(node)} has no annotation {key}")
    try:
        return read(text)
    except ValueError as error:
        raise InputError(
            f"node {name_of(node)}: {key} {text!r} is not an address that flanneld reads: {error}"
        ) from error


def _data(node: Mapping[str, Any], keys: Keys, key: str) -> Any:
    found = annotations_of(node)
    text = found.get(key, "")
    data = go_json.load(text, f"node {name_of(node)}: {key}") if text else None
    backend = found.get(keys.backend_type, "")
    if data is None and backend in _NEEDS_DATA:
        raise InputError(f"node {name_of(node)} has no {key}, which peers of the backend {backend} need")
    return data
