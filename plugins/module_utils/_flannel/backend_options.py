# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of each flannel backend: names, types, defaults and bounds.

Private to podnet.cni: may change in any release.

Source: the C(RegisterNetwork) function of each backend in flannel v0.28.9, pkg/backend/<type>/.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json

WHAT = "network config: Backend"
# IFNAMSIZ leaves 15 characters: "flannel." and seven digits, "flannel-v6." and four.
MAX_VNI = 9999999
MAX_VNI_IPV6 = 9999
MAX_PORT = 65535
WIREGUARD_MODES = ("separate", "auto", "ipv4", "ipv6")


@dataclass(frozen=True)
class Option:
    """One option: its default, whose type is the option's, and a check that returns what is wrong or C("")."""

    default: Any
    check: Callable[[Any], str]


@dataclass(frozen=True)
class BackendSpec:
    """A backend flanneld knows: its options on Linux and on Windows (C(None): not available there)."""

    linux: Mapping[str, Option] | None
    windows: Mapping[str, Option] | None = None
    ipv6: bool = False


def _anything(_value: Any) -> str:
    return ""


def _between(low: int, high: int) -> Callable[[Any], str]:
    return lambda value: "" if low <= value <= high else f"must be from {low} to {high}"


def _exactly(wanted: int) -> Callable[[Any], str]:
    return lambda value: "" if value == wanted else f"must be {wanted}"


def _off_on_windows(value: Any) -> str:
    return "is not available on Windows; write false" if value else ""


def _mtu(value: Any) -> str:
    return (
        "" if value == 0 or 576 <= value <= MAX_PORT else f"must be 0 (that of the underlay) or from 576 to {MAX_PORT}"
    )


def _mode(value: Any) -> str:
    return "" if value in WIREGUARD_MODES else f"must be one of {', '.join(WIREGUARD_MODES)}"


def _psk(value: Any) -> str:
    try:
        length = len(base64.b64decode(value, validate=True)) if value else 32
    except (ValueError, binascii.Error):
        length = 0
    return "" if length == 32 else "must be 32 octets in base64, as `wg genpsk` prints them"


def _mac_prefix(value: Any) -> str:
    return "" if len(value) == 5 and value[2] == "-" else "must be two octets like 0E-2A"


def _ipsec_psk(value: Any) -> str:
    return "" if len(value) >= 96 else "must have at least 96 characters"


_PORT = Option(0, _between(0, MAX_PORT))

BACKENDS: dict[str, BackendSpec] = {
    "vxlan": BackendSpec(
        linux={
            "VNI": Option(1, _between(0, MAX_VNI)),
            "Port": _PORT,
            "MTU": Option(0, _mtu),
            "GBP": Option(False, _anything),
            "Learning": Option(False, _anything),
            "DirectRouting": Option(False, _anything),
        },
        windows={
            "Name": Option("", _anything),
            "MacPrefix": Option("0E-2A", _mac_prefix),
            "VNI": Option(4096, _between(4096, MAX_VNI)),
            "Port": Option(4789, _exactly(4789)),
            "MTU": Option(0, _anything),
            "Learning": Option(False, _anything),
            "GBP": Option(False, _off_on_windows),
            "DirectRouting": Option(False, _off_on_windows),
        },
        ipv6=True,
    ),
    "host-gw": BackendSpec(
        linux={},
        windows={"Name": Option("cbr0", _anything), "DNSServerList": Option("", _anything)},
        ipv6=True,
    ),
    "wireguard": BackendSpec(
        linux={
            "ListenPort": Option(51820, _between(1, MAX_PORT)),
            "ListenPortV6": Option(51821, _between(1, MAX_PORT)),
            "MTU": Option(0, _mtu),
            "PSK": Option("", _psk),
            "PersistentKeepaliveInterval": Option(0, _between(0, MAX_PORT)),
            "Mode": Option("separate", _mode),
        },
        ipv6=True,
    ),
    "ipip": BackendSpec(linux={"DirectRouting": Option(False, _anything)}),
    "alloc": BackendSpec(linux={}, windows={}),
    "udp": BackendSpec(linux={"Port": Option(8285, _between(1, MAX_PORT))}),
    "extension": BackendSpec(
        linux=dict.fromkeys(
            ("PreStartupCommand", "PostStartupCommand", "SubnetAddCommand", "SubnetRemoveCommand"),
            Option("", _anything),
        ),
        windows=dict.fromkeys(
            ("PreStartupCommand", "PostStartupCommand", "SubnetAddCommand", "SubnetRemoveCommand"),
            Option("", _anything),
        ),
        ipv6=True,
    ),
    "ipsec": BackendSpec(
        linux={
            "PSK": Option("", _ipsec_psk),
            "UDPEncap": Option(False, _anything),
            "ESPProposal": Option("aes128gcm16-sha256-prfsha256-ecp256", _anything),
        }
    ),
    "tencent-vpc": BackendSpec(linux={"AccessKeyID": Option("", _anything), "AccessKeySecret": Option("", _anything)}),
}
# Last present in flannel v0.19.
REMOVED = ("ali-vpc", "aws-vpc", "gce")
SECRET_OPTIONS = frozenset({"PSK", "AccessKeySecret"})


def read(name: str, members: Mapping[str, Any], platform: str, ipv6: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return (the options of backend C(name) with defaults filled in, the members flanneld does not know).

    C(members) are the backend's JSON members without C(Type). Raises InputError for an unknown backend, one that the
    C(platform) (C(linux) or C(windows)) or the address family lacks, and for a value of the wrong type or out of
    bounds.
    """
    spec = BACKENDS.get(name)
    if spec is None:
        raise InputError(
            f"{WHAT}.Type {name!r} is unknown; write one of {', '.join(sorted(BACKENDS))}"
            if name
            else f'{WHAT} has no Type, which flanneld refuses to start with; write one, like "Type": "vxlan"'
        )
    options = spec.windows if platform == "windows" else spec.linux
    if options is None:
        raise InputError(f"{WHAT}.Type {name!r} is not available on {platform}")
    if ipv6 and not spec.ipv6:
        raise InputError(f"{WHAT}.Type {name!r} carries IPv4 only; write EnableIPv6: false or choose vxlan")
    known, unknown = go_json.fold(members, options)
    values: dict[str, Any] = {}
    for key, option in options.items():
        values[key] = _read_one(known, key, option.default)
        problem = option.check(values[key])
        if problem:
            shown = "(hidden)" if key in SECRET_OPTIONS else values[key]
            raise InputError(f"{WHAT}.{key} {shown} {problem}")
    if name == "vxlan" and ipv6 and values["VNI"] > MAX_VNI_IPV6:
        raise InputError(
            f"{WHAT}.VNI {values['VNI']} makes the link name flannel-v6.{values['VNI']} longer than the kernel's "
            f"15 characters; write at most {MAX_VNI_IPV6}"
        )
    return values, tuple(sorted(unknown))


def _read_one(known: go_json.Fields, key: str, default: Any) -> Any:
    if isinstance(default, bool):
        return go_json.read_bool(known, key, default, WHAT)
    if isinstance(default, int):
        return go_json.read_int(known, key, default, WHAT)
    return go_json.read_str(known, key, default, WHAT, secret=key in SECRET_OPTIONS)
