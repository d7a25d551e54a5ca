# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A subnet lease, and the bytes that stand for it in etcd.

Private to podnet.cni: may change in any release.

Key and value are those of flannel v0.28.9: pkg/subnet/subnet.go (MakeSubnetKey, ParseSubnetKey) and
pkg/lease/lease.go (LeaseAttrs). A key or value that does not parse makes every running flanneld drop all its peers,
so the encoders here refuse whatever the decoders would not read back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, go_json

# As upstream's: anchored at the end only, and only the first dot is literal. Longer lengths overflow there as well.
_KEY = re.compile(r"([0-9]+\.[0-9]+.[0-9]+.[0-9]+)-0*([0-9]{1,3})(?:&([a-f0-9:]+)-0*([0-9]{1,3}))?\Z")
_VALUE_FIELDS = ("PublicIP", "PublicIPv6", "BackendType", "BackendData", "BackendV6Data")
_NO_SUBNET = "0.0.0.0-0"
_UNSPECIFIED = IPv4Address(0)
_READERS: dict[str, tuple[Callable[[object], Any], str]] = {
    "subnet": (addresses.parse_subnet, "IPv4 subnet in CIDR notation"),
    "ipv6_subnet": (addresses.parse_subnet, "IPv6 subnet in CIDR notation"),
    "public_ip": (addresses.parse_ipv4, "IPv4 address"),
    "public_ipv6": (addresses.parse_ipv6, "IPv6 address"),
}


@dataclass(frozen=True)
class Lease:
    """One node's lease.

    C(backend_data) and C(backend_v6_data) are upstream's JSON as it stands, like
    C({"VNI": 1, "VtepMAC": "02:42:ac:14:00:07"}), C(None) when the backend has none. C(ttl) is in seconds,
    C(None) for a key without an etcd lease. C(name) is the node's, empty when it is not known: etcd does not hold it.
    """

    subnet: IPv4Network | None
    ipv6_subnet: IPv6Network | None = None
    public_ip: IPv4Address | None = None
    public_ipv6: IPv6Address | None = None
    backend_type: str = ""
    backend_data: Any = None
    backend_v6_data: Any = None
    ttl: int | None = None
    name: str = ""


def encode_key(lease: Lease) -> str:
    """Return the last element of the lease's etcd key, like C(10.5.52.0-24&fd00:12:13::-56)."""
    if lease.subnet is None and lease.ipv6_subnet is None:
        raise InputError(f"lease of {_owner(lease)} has no subnet in either family; it needs one to be stored")
    key = _NO_SUBNET
    if lease.subnet is not None:
        if lease.subnet.prefixlen > 31:
            raise InputError(f"lease {lease.subnet} of {_owner(lease)}: no flanneld reads a /32 from a key; use /30")
        if lease.subnet.prefixlen == 0:
            raise InputError(f"lease {lease.subnet} of {_owner(lease)}: flanneld takes it for no subnet; use /30 to /2")
        key = f"{lease.subnet.network_address}-{lease.subnet.prefixlen}"
    if lease.ipv6_subnet is not None:
        if lease.ipv6_subnet.prefixlen > 127:
            raise InputError(
                f"lease {lease.ipv6_subnet} of {_owner(lease)}: no flanneld reads a /128 from a key; use /126"
            )
        if int(lease.ipv6_subnet.network_address) >> 32 == 0 or lease.ipv6_subnet.network_address.ipv4_mapped:
            raise InputError(
                f"lease {lease.ipv6_subnet} of {_owner(lease)}: flanneld prints this prefix like an IPv4 address; "
                "use another one"
            )
        key += f"&{lease.ipv6_subnet.network_address}-{lease.ipv6_subnet.prefixlen}"
    return key


def decode_key(key: str) -> tuple[IPv4Network | None, IPv6Network | None] | None:
    """Return the subnets that flanneld reads from an etcd key, C(None) where it reads none.

    Host bits are dropped: flanneld keeps them, but routes such a subnet by its prefix all the same.
    """
    match = _KEY.search(key)
    if match is None:
        return None
    text4, length4, text6, length6 = match.groups()
    if int(length4) > 31 or int(length6 or 0) > 127:
        return None
    try:
        subnet = IPv4Network((addresses.parse_ipv4(text4), int(length4)), strict=False)
        ipv6_subnet = IPv6Network((addresses.parse_ipv6(text6), int(length6)), strict=False) if text6 else None
    except ValueError:
        return None
    return (None if ipv6_subnet is not None and subnet.prefixlen == 0 else subnet), ipv6_subnet


def encode_value(lease: Lease) -> str:
    """Return the lease's etcd value, byte for byte as Go encodes upstream's LeaseAttrs."""
    value: dict[str, Any] = {
        "PublicIP": str(lease.public_ip or _UNSPECIFIED),
        "PublicIPv6": None if lease.public_ipv6 is None else str(lease.public_ipv6),
    }
    if lease.backend_type:
        value["BackendType"] = lease.backend_type
    if lease.backend_data is not None:
        value["BackendData"] = lease.backend_data
    if lease.backend_v6_data is not None:
        value["BackendV6Data"] = lease.backend_v6_data
    return go_json.dump(value, f"lease {_subnets(lease)} of {_owner(lease)}")


def decode(key: str, value: str, ttl: int | None = None) -> Lease:
    """Return the lease that an etcd C(key) and its C(value) stand for.

    Raises InputError, which names the key, where flanneld would read no lease.
    """
    subnets = decode_key(key)
    if subnets is None:
        raise InputError(f"key {key!r} is not a subnet key like 10.5.52.0-24")
    what = f"lease {key}"
    known, _other = go_json.fold(go_json.load_object(value, what), _VALUE_FIELDS)
    public_ip = _read_ip(known, "PublicIP", what, addresses.parse_ipv4)
    return Lease(
        subnet=subnets[0],
        ipv6_subnet=subnets[1],
        public_ip=public_ip if public_ip is not None and int(public_ip) else None,
        public_ipv6=_read_ip(known, "PublicIPv6", what, addresses.parse_ipv6),
        backend_type=go_json.read_str(known, "BackendType", "", what),
        backend_data=known.get("BackendData"),
        backend_v6_data=known.get("BackendV6Data"),
        ttl=ttl,
    )


def to_dict(lease: Lease) -> dict[str, Any]:
    """Return the lease as modules return and accept it: texts for addresses, C(None) for what it has not."""
    return {
        "name": lease.name,
        "subnet": _text(lease.subnet),
        "ipv6_subnet": _text(lease.ipv6_subnet),
        "public_ip": _text(lease.public_ip),
        "public_ipv6": _text(lease.public_ipv6),
        "backend_type": lease.backend_type,
        "backend_data": lease.backend_data,
        "backend_v6_data": lease.backend_v6_data,
        "ttl": lease.ttl,
    }


def from_dict(data: Mapping[str, Any], where: str = "lease") -> Lease:
    """Return the lease in C(data), which has the shape of C(to_dict); members may be missing.

    C(where) names the place in the request, like C(peers[3]), in the InputError for a member that is wrong.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{where} must be a dictionary like flannel_lease returns, not {data!r}")
    name = data.get("name") or ""
    what = f"{where} ({name})" if name else where
    try:
        return Lease(
            subnet=_convert(data, "subnet"),
            ipv6_subnet=_convert(data, "ipv6_subnet"),
            public_ip=_convert(data, "public_ip"),
            public_ipv6=_convert(data, "public_ipv6"),
            backend_type=_backend_type(data),
            backend_data=data.get("backend_data") or None,
            backend_v6_data=data.get("backend_v6_data") or None,
            ttl=data.get("ttl"),
            name=name,
        )
    except ValueError as error:
        raise InputError(f"{what}: {error}") from error


def _backend_type(data: Mapping[str, Any]) -> str:
    found = data.get("backend_type") or ""
    if not isinstance(found, str):
        raise ValueError(f"backend_type {found!r} is not text; write the backend's name, like vxlan")
    return found


def _convert(data: Mapping[str, Any], field: str) -> Any:
    text = data.get(field)
    if text in (None, ""):
        return None
    read, kind = _READERS[field]
    try:
        value = read(text)
    except ValueError as error:
        raise ValueError(f"{field} {text!r} is not an {kind}: {error}; write it as flannel_lease returns it") from error
    if f"IPv{value.version}" != kind[:4]:
        raise ValueError(f"{field} {text!r} is not an {kind}")
    return value


def _read_ip(known: go_json.Fields, field: str, what: str, read: Callable[[str], Any]) -> Any:
    found = None
    for value in go_json.every(known, field):
        # Upstream's PublicIPv6 is a pointer, which null resets; PublicIP is none.
        if value is None and field == "PublicIPv6":
            found = None
            continue
        try:
            found = read(go_json.raw(value))
        except ValueError as error:
            raise InputError(f"{what}: {field} {value!r} is not an address that flanneld reads: {error}") from error
    return found


def _subnets(lease: Lease) -> str:
    return " and ".join(str(subnet) for subnet in (lease.subnet, lease.ipv6_subnet) if subnet is not None)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _owner(lease: Lease) -> str:
    return lease.name or _text(lease.public_ip) or _text(lease.public_ipv6) or "an unnamed node"
