# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which Kube-OVN annotations a namespace may hand to its pods, what they look like and when Kube-OVN acts on them.

Private to podnet.cni: may change in any release.

Facts are those of Kube-OVN's pkg/util/const.go, pkg/util/validator.go, pkg/controller/pod.go, pkg/daemon/handler.go and
pkg/request/cniserver.go (branch master, August 2026).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError

LIVE = "live"
"""Kube-OVN follows a change of the annotation on a running pod."""
SANDBOX = "sandbox"
"""Read in CNI ADD only: a change needs a new pod sandbox."""
CREATION = "creation"
"""Read when the pod's port is made: a change needs a new pod."""

PRIMARY_PROVIDER = "ovn"
ANY_PROVIDER = "*"

_SPACE = r"[ \t\r\n]*"
_ADDRESS = r'"[0-9A-Fa-f:./]+"'
_MEMBER = rf'"(?:dst|gw)"{_SPACE}:{_SPACE}{_ADDRESS}'
_ENTRY = rf"\{{{_SPACE}(?:{_MEMBER}{_SPACE},{_SPACE})?{_MEMBER}{_SPACE}\}}"
ROUTES_PATTERN = rf"{_SPACE}\[{_SPACE}(?:{_ENTRY}{_SPACE}(?:,{_SPACE}{_ENTRY}{_SPACE})*)?\]{_SPACE}"
"""A JSON array of objects with the keys dst and gw; no escapes, so that CEL can read it without a JSON parser."""

ROUTES_LIMIT = 8192
"""Octets of routes that are inherited. An expression of an admission policy may cost 1,000,000 units (k8s.io/apiserver
pkg/apis/cel/config.go, PerCallLimit), and judging these costs a quarter of it for the shortest entries. Past that the
whole policy fails, with every other annotation. One decision holds for all engines."""

_NAME = r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"
_BOOLEAN = "true|false"
_INTEGER = "[0-9]{1,9}"


@dataclass(frozen=True)
class Annotation:
    """One inheritable annotation.

    C(name) stands behind C(<provider>.kubernetes.io/). C(kind) is boolean, integer, text, list, address,
    addresses or routes.
    C(pattern) matches every usable value as a whole, in the syntax that Python and RE2 share. C(form) describes it.
    """

    name: str
    kind: str
    acts: str
    pattern: str
    form: str


def _entry(name: str, kind: str, acts: str, pattern: str, form: str) -> Annotation:
    return Annotation(name, kind, acts, pattern, form)


_TRUE_FALSE = "the text true or false"
_WHOLE = "a whole number of at most nine digits"

CATALOGUE: Mapping[str, Annotation] = {
    entry.name: entry
    for entry in (
        _entry("routes", "routes", SANDBOX, ROUTES_PATTERN, "a JSON array of objects with only the keys dst and gw"),
        _entry("port_security", "boolean", LIVE, _BOOLEAN, _TRUE_FALSE),
        _entry("security_groups", "list", LIVE, rf"{_NAME}(?: *, *{_NAME})*", "names joined by commas"),
        _entry("port_vips", "addresses", LIVE, r"[0-9A-Fa-f:.]+(?:,[0-9A-Fa-f:.]+)*", "addresses joined by commas"),
        _entry("aaps", "list", LIVE, rf"{_NAME}(?: *, *{_NAME})*", "names of Vip objects joined by commas"),
        _entry("ingress_rate", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("egress_rate", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("ingress_burst", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("egress_burst", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("latency", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("limit", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("jitter", "integer", LIVE, _INTEGER, _WHOLE),
        _entry("loss", "text", LIVE, r"100(?:\.0{1,9})?|[0-9]{1,2}(?:\.[0-9]{1,9})?", "a percentage between 0 and 100"),
        _entry("mirror", "boolean", LIVE, _BOOLEAN, _TRUE_FALSE),
        _entry("dhcp-v4-options", "text", LIVE, r"[ -~]{1,1024}", "printable ASCII text of at most 1024 characters"),
        _entry("dhcp-v6-options", "text", LIVE, r"[ -~]{1,1024}", "printable ASCII text of at most 1024 characters"),
        _entry("bgp", "text", LIVE, "true|cluster|local", "the text true, cluster or local"),
        _entry("default_route", "boolean", CREATION, _BOOLEAN, _TRUE_FALSE),
        _entry("layer2_forward", "boolean", CREATION, _BOOLEAN, _TRUE_FALSE),
        _entry("north_gateway", "address", CREATION, "[0-9A-Fa-f:.]+", "an IPv4 or IPv6 address"),
        _entry("snat", "address", CREATION, "[0-9A-Fa-f:.]+", "an IPv4 or IPv6 address"),
    )
}

_FROZEN = "Kube-OVN's controller writes it to the namespace itself; a copy on the pod would freeze the subnet choice"
_OWN = "it belongs to one pod alone"
_STATUS = "Kube-OVN writes it to the pod"
DENIED: Mapping[str, str] = {
    **dict.fromkeys(("logical_switch", "ip_pool", "cidr", "exclude_ips"), _FROZEN),
    **dict.fromkeys(("ip_address", "mac_address", "vip", "eip", "ip_family"), _OWN),
    **dict.fromkeys(("allocated", "routed", "gateway", "logical_router", "pod_nic_type", "vlan_id"), _STATUS),
    **dict.fromkeys(("provider_network", "virtualmachine"), _STATUS),
}
"""Names that are never inherited, and why."""

# The provider is ovn for the pod's own network, <attachment>.<namespace>[.ovn] for further ones.
PROVIDER_PATTERN = r"ovn|[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)+"
_KEY = re.compile(rf"({PROVIDER_PATTERN})\.kubernetes\.io/([A-Za-z0-9_.-]+)")


def key_of(name: str, provider: str = PRIMARY_PROVIDER) -> str:
    """The annotation key of a name for a provider."""
    return f"{provider}.kubernetes.io/{name}"


def split_key(key: str) -> tuple[str, str] | None:
    """Provider and name of a key, None when it has not the form of a Kube-OVN annotation."""
    found = _KEY.fullmatch(key)
    return (found.group(1), found.group(2)) if found else None


def find(key: str) -> Annotation | None:
    """The inheritable annotation behind a key, None when there is none."""
    parts = split_key(key)
    return CATALOGUE.get(parts[1]) if parts else None


def require(name: str) -> Annotation:
    """The annotation of this name. Raises InputError for a denied and for an unknown one."""
    if name in DENIED:
        raise InputError(f"annotation {name} is never inherited: {DENIED[name]}. Take it off the list.")
    if name not in CATALOGUE:
        raise InputError(f"annotation {name!r} is unknown. Known are {', '.join(sorted(CATALOGUE))}.")
    return CATALOGUE[name]


def resolve(name_or_key: str, provider: str = PRIMARY_PROVIDER) -> str:
    """The full key of a short name or of a full key. Raises InputError when it is not an inheritable annotation."""
    if "/" not in name_or_key:
        require(name_or_key)
        return check_provider(provider) and key_of(name_or_key, provider)
    parts = split_key(name_or_key)
    if parts is None:
        raise InputError(
            f"annotation key {name_or_key!r} is not one of Kube-OVN's. Write it as <provider>.kubernetes.io/<name>, "
            "with the provider ovn or <attachment>.<namespace>.ovn."
        )
    require(parts[1])
    return name_or_key


def check_provider(provider: str) -> str:
    """The provider itself. Raises InputError when no key can be made of it."""
    if re.fullmatch(PROVIDER_PATTERN, provider):
        return provider
    raise InputError(f"provider {provider!r} is neither ovn nor <attachment>.<namespace>.ovn in lower case.")


def render(annotation: Annotation, value: Any, where: str) -> str:
    """The annotation's text for a value as people write it in YAML: boolean, number, list, or the text itself.

    Raises InputError naming C(where) for a value of another type.
    """
    if isinstance(value, str):
        return value
    if annotation.kind == "boolean" and isinstance(value, bool):
        return "true" if value else "false"
    if annotation.kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if annotation.name == "loss" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}"
    if annotation.kind in ("list", "addresses") and isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    if annotation.kind == "routes" and isinstance(value, (list, tuple)):
        return _render_routes(value, where)
    raise InputError(f"{where} is {value!r}, a {type(value).__name__}: give {annotation.form}.")


def _render_routes(routes: Any, where: str) -> str:
    entries = []
    for index, route in enumerate(routes):
        if not isinstance(route, Mapping):
            raise InputError(f"{where}[{index}] is {route!r}: give a dictionary with dst, gw or both.")
        unknown = sorted(str(key) for key in route if key not in ("dst", "gw"))
        if unknown:
            raise InputError(f"{where}[{index}] has the unknown key {unknown[0]!r}: only dst and gw are known.")
        members = [(key, route[key]) for key in ("dst", "gw") if route.get(key) is not None]
        if not members:
            raise InputError(f"{where}[{index}] has neither dst nor gw: give one of them, or both.")
        for key, value in members:
            if not isinstance(value, str) or not re.fullmatch("[0-9A-Fa-f:./]+", value):
                raise InputError(f"{where}[{index}].{key} is {value!r}: give an address as text.")
        entries.append("{" + ",".join(f'"{key}":"{value}"' for key, value in members) + "}")
    return "[" + ",".join(entries) + "]"
