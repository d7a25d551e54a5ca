# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network config: what flanneld reads from ``<prefix>/config`` or ``net-conf.json``.

Private to podnet.cni: may change in any release.

Names, defaults and bounds are those of flannel v0.28.9: pkg/subnet/config.go for the ranges, pkg/backend/*/ for the
options of each backend. Where flanneld silently builds something that cannot work, this module refuses it instead.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils import _backend_options, _go_json
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

FIELDS = (
    "EnableIPv4",
    "EnableIPv6",
    "EnableNFTables",
    "Network",
    "IPv6Network",
    "SubnetMin",
    "SubnetMax",
    "IPv6SubnetMin",
    "IPv6SubnetMax",
    "SubnetLen",
    "IPv6SubnetLen",
    "Backend",
)
WHAT = "network config"
_LONG_NUMBER = 10**7
_SECRETS = frozenset(name.lower() for name in _backend_options.SECRET_OPTIONS)


@dataclass(frozen=True)
class Backend:
    """The backend's type in lower case and its options by upstream's names, with every default filled in."""

    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class NetworkConfig:
    """A checked network config.

    Ranges of a disabled family are ``None`` and its length is 0. ``given`` holds the members that were written, by
    their canonical names and with unknown ones kept, ``ignored`` the names that flanneld does not know.
    """

    enable_ipv4: bool
    enable_ipv6: bool
    enable_nftables: bool
    network: IPv4Network | None
    subnet_len: int
    subnet_min: IPv4Address | None
    subnet_max: IPv4Address | None
    ipv6_network: IPv6Network | None
    ipv6_subnet_len: int
    ipv6_subnet_min: IPv6Address | None
    ipv6_subnet_max: IPv6Address | None
    backend: Backend
    given: Mapping[str, Any]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class _Range:
    network: Any
    length: int
    first: Any
    last: Any


def parse(source: str | Mapping[str, Any], *, platform: str = "linux", check_ranges: bool = True) -> NetworkConfig:
    """Return the checked config in *source*, a JSON text or its object.

    *platform* ``linux`` or ``windows`` selects the defaults and bounds of the backend. *check_ranges* off leaves the
    subnet ranges unset and unchecked, as flanneld does when its leases come from Kubernetes Nodes.
    Raises InputError, which names the member, its value and the rule.
    """
    data = _go_json.load_object(source, WHAT, secret=True) if isinstance(source, str) else dict(source)
    known, other = _go_json.fold(data, FIELDS)
    enable_ipv4 = _go_json.read_bool(known, "EnableIPv4", True, WHAT)
    enable_ipv6 = _go_json.read_bool(known, "EnableIPv6", False, WHAT)
    if not enable_ipv4 and not enable_ipv6:
        raise InputError(f"{WHAT}: EnableIPv4 and EnableIPv6 are both false; enable at least one family")
    backend, given_backend, ignored = _parse_backend(known.get("Backend"), platform, enable_ipv6)
    ranges4 = _parse_range(4, known, enable_ipv4, check_ranges)
    ranges6 = _parse_range(6, known, enable_ipv6, check_ranges)
    given = {field: known[field] for field in FIELDS if field in known and known[field] is not None}
    if given_backend is not None:
        given["Backend"] = given_backend
    given.update(other)
    return NetworkConfig(
        enable_ipv4=enable_ipv4,
        enable_ipv6=enable_ipv6,
        enable_nftables=_go_json.read_bool(known, "EnableNFTables", False, WHAT),
        network=ranges4.network,
        subnet_len=ranges4.length,
        subnet_min=ranges4.first,
        subnet_max=ranges4.last,
        ipv6_network=ranges6.network,
        ipv6_subnet_len=ranges6.length,
        ipv6_subnet_min=ranges6.first,
        ipv6_subnet_max=ranges6.last,
        backend=backend,
        given=given,
        ignored=tuple(sorted(other)) + ignored,
    )


def render(config: NetworkConfig) -> str:
    """Return the config as flanneld's JSON: what was given, by canonical names, without the computed defaults."""
    return _go_json.dump(dict(config.given))


def to_dict(config: NetworkConfig) -> dict[str, Any]:
    """Return the config by upstream's names with every default filled in, as plain strings, numbers and booleans."""
    result: dict[str, Any] = {
        "EnableIPv4": config.enable_ipv4,
        "EnableIPv6": config.enable_ipv6,
        "EnableNFTables": config.enable_nftables,
    }
    if config.network is not None:
        result["Network"] = str(config.network)
    if config.subnet_len:
        result.update(SubnetLen=config.subnet_len, SubnetMin=str(config.subnet_min), SubnetMax=str(config.subnet_max))
    if config.ipv6_network is not None:
        result["IPv6Network"] = str(config.ipv6_network)
    if config.ipv6_subnet_len:
        result.update(
            IPv6SubnetLen=config.ipv6_subnet_len,
            IPv6SubnetMin=str(config.ipv6_subnet_min),
            IPv6SubnetMax=str(config.ipv6_subnet_max),
        )
    result["Backend"] = {"Type": config.backend.type, **config.backend.options}
    return result


def secret_texts(source: Any) -> list[str]:
    """Return the secrets in a config as the user wrote it, valid or not: a module keeps them out of its log."""
    if isinstance(source, (list, tuple)):
        return [text for member in source for text in secret_texts(member)]
    found: list[str] = []
    for key, member in source.items() if isinstance(source, Mapping) else ():
        if str(key).lower() in _SECRETS and _is_secret(member):
            found.append(str(member))
        found += secret_texts(member)
    return found


def _is_secret(member: Any) -> bool:
    # Blanking out a short number would make the rest of the result unreadable.
    return bool(member) if isinstance(member, str) else isinstance(member, int) and member >= _LONG_NUMBER


def warnings(config: NetworkConfig) -> list[str]:
    """Return what flanneld accepts in the config although some traffic cannot work with it, each with the remedy."""
    options = config.backend.options
    # flanneld publishes ListenPortV6 for IPv6 in every mode, but only mode separate makes a device that listens there
    # (flannel v0.28.9 pkg/backend/wireguard/wireguard.go).
    if (
        config.backend.type == "wireguard"
        and options["Mode"] in ("ipv6", "auto")
        and options["ListenPort"] != options["ListenPortV6"]
    ):
        return [
            f"{WHAT}: with Backend.Mode {options['Mode']} nodes listen on ListenPort {options['ListenPort']} only, but "
            f"are reached by IPv6 at ListenPortV6 {options['ListenPortV6']}, so packets to them are lost; set "
            "ListenPortV6 to the value of ListenPort"
        ]
    return []


def mixed_cluster_problems(config: NetworkConfig) -> list[str]:
    """Return why Windows nodes could not share this network with Linux nodes; empty when they can.

    Rules: flannel v0.28.9 pkg/backend/vxlan/vxlan_windows.go.
    """
    try:
        parse(config.given, platform="windows", check_ranges=False)
    except InputError as error:
        return [str(error)]
    if config.backend.type != "vxlan":
        return []
    wanted = {"VNI": 4096, "Port": 4789}
    return [
        f"{WHAT}: Backend.{key} is {config.backend.options[key]}; write {value}, which Windows nodes need"
        for key, value in wanted.items()
        if config.backend.options[key] < value
    ]


def _parse_backend(value: Any, platform: str, ipv6: bool) -> tuple[Backend, dict[str, Any] | None, tuple[str, ...]]:
    if value is None:
        # flanneld falls back to udp only when the member is missing altogether.
        options, _none = _backend_options.read("udp", {}, platform, ipv6)
        return Backend("udp", options), None, ()
    if not isinstance(value, Mapping):
        # What it holds may be a secret.
        raise InputError(f'{WHAT}: Backend must be an object like {{"Type": "vxlan"}}, not {_go_json.kind_of(value)}')
    known, rest = _go_json.fold(value, ("Type",))
    name = _go_json.read_str(known, "Type", "", f"{WHAT}: Backend").lower()
    options, unknown = _backend_options.read(name, rest, platform, ipv6)
    given = {"Type": name}
    canonical = {key.lower(): key for key in options}
    for key, member in rest.items():
        if member is not None:
            given[canonical.get(key.lower(), key)] = member
    return Backend(name, options), given, tuple(f"Backend.{key}" for key in unknown)


def _parse_range(family: int, known: Mapping[str, Any], enabled: bool, check: bool) -> _Range:
    prefix = "IPv6" if family == 6 else ""
    bits, widest, default_length = (128, 126, 64) if family == 6 else (32, 30, 24)
    network = _read_network(known, f"{prefix}Network", family)
    length = _go_json.read_int(known, f"{prefix}SubnetLen", 0, WHAT)
    first = _read_address(known, f"{prefix}SubnetMin", family)
    last = _read_address(known, f"{prefix}SubnetMax", family)
    if length < 0:
        raise InputError(f"{WHAT}: {prefix}SubnetLen {length} is negative; write a prefix length, or leave it out")
    if not enabled:
        return _Range(None, 0, None, None)
    if network is None:
        raise InputError(
            f"{WHAT}: {prefix}Network is missing; write the range of all pods, like "
            + ('"fd00:10:244::/48"' if family == 6 else '"10.244.0.0/16"')
        )
    if not check:
        return _Range(network, 0, None, None)
    if length > widest:
        raise InputError(f"{WHAT}: {prefix}SubnetLen {length} is too long; at most {widest} leaves room for pods")
    if length and length < network.prefixlen + 2:
        raise InputError(
            f"{WHAT}: {prefix}SubnetLen {length} gives {prefix}Network {network} fewer than four subnets; "
            f"write at least {network.prefixlen + 2}, or a larger {prefix}Network"
        )
    if not length:
        if network.prefixlen > bits - 4:
            raise InputError(
                f"{WHAT}: {prefix}Network {network} is too small for four subnets; write /{bits - 4} or larger"
            )
        length = default_length if network.prefixlen <= default_length - 2 else network.prefixlen + 2
    step = 1 << (bits - length)
    # The first subnet is skipped: its network address is that of the whole network.
    first = network.network_address + step if first is None else first
    last = network.broadcast_address - step + 1 if last is None else last
    for name, address in (("SubnetMin", first), ("SubnetMax", last)):
        if address not in network:
            raise InputError(f"{WHAT}: {prefix}{name} {address} lies outside {prefix}Network {network}")
        if int(address) % step:
            raise InputError(f"{WHAT}: {prefix}{name} {address} is not the first address of a /{length} subnet")
    if first > last:
        raise InputError(
            f"{WHAT}: {prefix}SubnetMin {first} is above {prefix}SubnetMax {last}, which leaves no subnet to lease"
        )
    return _Range(network, length, first, last)


def _read_network(known: Mapping[str, Any], field: str, family: int) -> Any:
    if field not in known:
        return None
    text = known[field]
    try:
        if not isinstance(text, str) or "/" not in text:
            raise ValueError("a prefix length is missing")
        network = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InputError(f"{WHAT}: {field} {text!r} is no network in CIDR notation: {error}") from error
    if network.version != family:
        raise InputError(f"{WHAT}: {field} {text!r} is an IPv{network.version} network; it must be IPv{family}")
    if family == 6 and int(network.network_address) >> 32 == 0:
        # flanneld prints such a value like an IPv4 address, so neither key nor routes would be what was meant.
        raise InputError(
            f"{WHAT}: {field} {text!r} lies in ::/96, which flanneld cannot tell from IPv4; use another prefix"
        )
    return network


def _read_address(known: Mapping[str, Any], field: str, family: int) -> Any:
    if field not in known or (family == 6 and known[field] is None):
        return None
    text = known[field]
    try:
        if not isinstance(text, str):
            raise ValueError("a quoted address is needed")
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InputError(f"{WHAT}: {field} {text!r} is no IP address: {error}") from error
    if address.version != family:
        raise InputError(f"{WHAT}: {field} {text!r} is an IPv{address.version} address; it must be IPv{family}")
    # The unspecified address means the same as leaving the member out.
    return address if int(address) else None
