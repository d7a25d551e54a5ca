# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network config: what flanneld reads from C(<prefix>/config) or C(net-conf.json).

Private to podnet.cni: may change in any release.

Names, defaults and bounds are those of flannel v0.28.9: pkg/subnet/config.go for the ranges, pkg/backend/*/ for the
options of each backend. Where flanneld silently builds something that cannot work, this module refuses it instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import addresses, backend_options, go_json

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
_RANGES = {4: '"10.244.0.0/16"', 6: '"fd00:10:244::/48"'}
# Pointers in upstream's Config: null takes an earlier value away instead of leaving it alone.
_POINTERS = ("IPv6SubnetMin", "IPv6SubnetMax")
_SECRETS = frozenset(name.lower() for name in backend_options.SECRET_OPTIONS)


@dataclass(frozen=True)
class Backend:
    """The backend's type in lower case and its options by upstream's names, with every default filled in."""

    type: str
    options: Mapping[str, Any]


@dataclass(frozen=True)
class NetworkConfig:
    """A checked network config.

    Ranges of a disabled family are C(None) and its length is 0. C(given) holds the members that were written, by
    their canonical names and with unknown ones kept, C(ignored) the names that flanneld does not know.
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
    """Return the checked config in C(source), a JSON text or its object.

    C(platform) C(linux) or C(windows) selects the defaults and bounds of the backend. C(check_ranges) off leaves the
    subnet ranges unset and unchecked, as flanneld does when its leases come from Kubernetes Nodes.
    Raises InputError, which names the member, its value and the rule.
    """
    if isinstance(source, str):
        data = go_json.load_object(source, WHAT, secret=True)
    else:
        # It may become a text in other places than render.
        go_json.check(source, WHAT)
        data = dict(source)
    known, other = go_json.fold(data, FIELDS)
    enable_ipv4 = go_json.read_bool(known, "EnableIPv4", True, WHAT)
    enable_ipv6 = go_json.read_bool(known, "EnableIPv6", False, WHAT)
    if not enable_ipv4 and not enable_ipv6:
        raise InputError(f"{WHAT}: EnableIPv4 and EnableIPv6 are both false; enable at least one family")
    backend, given_backend, ignored = _parse_backend(known, platform, enable_ipv6)
    ranges4 = _parse_range(4, known, enable_ipv4, check_ranges)
    ranges6 = _parse_range(6, known, enable_ipv6, check_ranges)
    given = {field: go_json.last(known, field) for field in FIELDS if field in known}
    given = {field: value for field, value in given.items() if value is not None}
    for field in _POINTERS:
        if known.get(field) is None:
            given.pop(field, None)
    if given_backend is not None:
        given["Backend"] = given_backend
    given.update(other)
    return NetworkConfig(
        enable_ipv4=enable_ipv4,
        enable_ipv6=enable_ipv6,
        enable_nftables=go_json.read_bool(known, "EnableNFTables", False, WHAT),
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
    return go_json.dump(dict(config.given), WHAT)


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


def without_secrets(source: Mapping[str, Any], where: str = "") -> tuple[dict[str, Any], list[str]]:
    """Return a config as it is written, without its secrets, and the place of each, like C(Backend.PSK)."""
    kept: dict[str, Any] = {}
    places: list[str] = []
    for key, member in source.items():
        place = f"{where}{key}"
        if str(key).lower() in _SECRETS:
            places += [place] if member else []
            continue
        kept[str(key)] = member
        if isinstance(member, Mapping):
            kept[str(key)], found = without_secrets(member, f"{place}.")
            places += found
    return kept, places


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


def _parse_backend(
    known: go_json.Fields, platform: str, ipv6: bool
) -> tuple[Backend, dict[str, Any] | None, tuple[str, ...]]:
    if "Backend" not in known:
        # flanneld falls back to udp only when the member is missing altogether.
        options, _none = backend_options.read("udp", {}, platform, ipv6)
        return Backend("udp", options), None, ()
    value = known["Backend"]
    if not isinstance(value, Mapping):
        # What it holds may be a secret.
        raise InputError(f'{WHAT}: Backend must be an object like {{"Type": "vxlan"}}, not {go_json.kind_of(value)}')
    known, rest = go_json.fold(value, ("Type",))
    name = go_json.read_str(known, "Type", "", f"{WHAT}: Backend").lower()
    options, unknown = backend_options.read(name, rest, platform, ipv6)
    given = {"Type": name}
    canonical = {key.lower(): key for key in options}
    for key, member in go_json.members(rest):
        name_of_option = canonical.get(key.lower(), key)
        # flanneld takes a written MTU of 0 for the MTU itself and gives pods one below zero, so 0 is never written.
        if member is not None and (name_of_option, member) != ("MTU", 0):
            given[name_of_option] = member
    return Backend(name, options), given, tuple(f"Backend.{key}" for key in unknown)


def _parse_range(family: int, known: go_json.Fields, enabled: bool, check: bool) -> _Range:
    prefix = "IPv6" if family == 6 else ""
    bits, widest, default_length = (128, 126, 64) if family == 6 else (32, 30, 24)
    network = _read_network(known, f"{prefix}Network", family)
    length = go_json.read_uint(known, f"{prefix}SubnetLen", 0, WHAT)
    first = _read_address(known, f"{prefix}SubnetMin", family)
    last = _read_address(known, f"{prefix}SubnetMax", family)
    if not enabled:
        return _Range(None, 0, None, None)
    if network is None:
        raise InputError(f"{WHAT}: {prefix}Network is missing; write the range of all pods, like {_RANGES[family]}")
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


def _read_network(known: go_json.Fields, field: str, family: int) -> Any:
    found = [(_cidr(text, field, family), text) for text in go_json.every(known, field)]
    return _usable(*found[-1], field, family) if found else None


def _cidr(text: Any, field: str, family: int) -> Any:
    try:
        network = addresses.parse_cidr(go_json.raw(text))
    except ValueError as error:
        raise InputError(
            f"{WHAT}: {field} {text!r} is not a network in CIDR notation: {error}; write one like {_RANGES[family]}"
        ) from error
    if family == 4 and network.version == 6 and not network.network_address.ipv4_mapped:
        raise _other_family(text, field, family)
    return network


def _other_family(text: Any, field: str, family: int) -> InputError:
    return InputError(
        f"{WHAT}: {field} {text!r} is an IPv{10 - family} network; it must be IPv{family}, like {_RANGES[family]}"
    )


def _usable(network: Any, text: Any, field: str, family: int) -> Any:
    """Return the C(network) that was read from C(text); refuse one that flanneld reads and can do nothing with."""
    if network.version != family or (isinstance(network, IPv6Network) and network.network_address.ipv4_mapped):
        raise _other_family(text, field, family)
    if network.is_multicast:
        raise InputError(f"{WHAT}: {field} {text!r} is multicast, which no pod can have; write a unicast range")
    if network.is_loopback:
        raise InputError(
            f"{WHAT}: {field} {text!r} is loopback, to which no route leads to another host; write a unicast range"
        )
    if family == 4 and network.prefixlen == 0:
        raise InputError(
            f"{WHAT}: {field} {text!r} is the whole of IPv4, which flanneld takes for no network at all; write the "
            f"range of all pods, like {_RANGES[family]}"
        )
    if family == 6 and int(network.network_address) >> 32 == 0:
        # flanneld prints such a value like an IPv4 address, so neither key nor routes would be what was meant.
        raise InputError(
            f"{WHAT}: {field} {text!r} lies in ::/96, which flanneld cannot tell from IPv4; use another prefix"
        )
    return network


def _read_address(known: go_json.Fields, field: str, family: int) -> Any:
    found = [_address(text, field, family) for text in go_json.every(known, field)]
    return found[-1] if found else None


def _address(text: Any, field: str, family: int) -> Any:
    if text is None and field in _POINTERS:
        return None
    parse_family = addresses.parse_ipv4 if family == 4 else addresses.parse_ipv6
    try:
        address = parse_family(go_json.raw(text))
    except ValueError as error:
        raise InputError(
            f"{WHAT}: {field} {text!r} is not an IPv{family} address: {error}; write the first address of a subnet, or "
            "leave it out"
        ) from error
    # The unspecified address means the same as leaving the member out.
    return address if int(address) else None
