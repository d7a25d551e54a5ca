# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of the network is to bring about, and the plan of it, which all owners share; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import backend_options, overhead

PSK = "@wireguard-psk@"
"""Stands for the preshared key in a planned text: the key itself is put in where the file is written."""

BACKENDS = ("vxlan", "host-gw", "wireguard")
_PORT = 8472
_MAX_MTU = 65535
"""What the kernel takes for vxlan where no port is given (drivers/net/vxlan)."""
_TRUE, _FALSE = ("true", "yes", "on", "1", "y", "t"), ("false", "no", "off", "0", "n", "f")


@dataclass(frozen=True)
class Wanted:
    """What is asked for. None, and an empty text, leave a setting as it is.

    C(backend) has flannel's name, C(mtu) is that of the underlay, C(policy) whether the owner enforces NetworkPolicies.
    """

    backend: str = ""
    mtu: int | None = None
    interface: str = ""
    vni: int | None = None
    port: int | None = None
    external_ip: bool | None = None
    wireguard_mode: str = ""
    wireguard_psk: bool = False
    nftables: bool | None = None
    policy: bool | None = None
    accept_unsupported: bool = False

    @property
    def in_network_config(self) -> bool:
        """Whether something is asked for that only flannel's network config can say."""
        return any(each is not None for each in (self.mtu, self.vni, self.port)) or bool(
            self.wireguard_mode or self.wireguard_psk
        )


def revision(found: Wanted) -> str:
    """A short name of what is wanted, the same for the same wish."""
    given = {key: value for key, value in asdict(found).items() if key != "accept_unsupported"}
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:12]


def wanted(options: Mapping[str, Any], *, nothing: bool = False) -> Wanted:
    """Read what is wanted out of options, whose booleans and numbers may be texts. Raises InputError.

    What nobody sets is absent, null, 0 or an empty text. C(nothing) tells that nothing at all may be set.
    """
    unknown = sorted(set(options) - set(Wanted.__dataclass_fields__))
    if unknown:
        raise InputError(f"{unknown[0]} is not a setting of the network")
    given = {name: value for name, value in options.items() if value is not None and str(value) not in ("", "0")}
    found = Wanted(
        backend=str(given.get("backend", "")),
        mtu=_number(given, "mtu", 576, _MAX_MTU),
        interface=str(given.get("interface", "")),
        vni=_number(given, "vni", 1, backend_options.MAX_VNI),
        port=_number(given, "port", 1, backend_options.MAX_PORT),
        external_ip=_switch(given, "external_ip"),
        wireguard_mode=str(given.get("wireguard_mode", "")),
        wireguard_psk=bool(_switch(given, "wireguard_psk")),
        nftables=_switch(given, "nftables"),
        policy=_switch(given, "policy"),
        accept_unsupported=bool(_switch(given, "accept_unsupported")),
    )
    if found.backend and found.backend not in BACKENDS:
        raise InputError(f"backend is {found.backend!r}: choose one of {', '.join(BACKENDS)}")
    if found.wireguard_mode and found.wireguard_mode not in backend_options.WIREGUARD_MODES:
        raise InputError(
            f"wireguard_mode is {found.wireguard_mode!r}: choose one of {', '.join(backend_options.WIREGUARD_MODES)}"
        )
    if not nothing and found == Wanted(accept_unsupported=found.accept_unsupported):
        raise InputError(
            "nothing is asked for: set distribution_network_backend, distribution_network_mtu or another, or "
            "distribution_network_prove to prove the network as it is"
        )
    return found


def _number(given: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    if name not in given:
        return None
    text = str(given[name]).strip()
    if not text.isdigit() or not low <= int(text) <= high:
        raise InputError(f"{name} is {given[name]!r}: give a whole number from {low} to {high}")
    return int(text)


def _switch(given: Mapping[str, Any], name: str) -> bool | None:
    if name not in given:
        return None
    text = str(given[name]).strip().lower()
    if text not in _TRUE + _FALSE:
        raise InputError(f"{name} is {given[name]!r}: give true or false")
    return text in _TRUE


@dataclass(frozen=True)
class Change:
    """One setting that becomes another one. C(where) is the file or object in which it is written."""

    on: str
    name: str
    before: str
    after: str
    where: str


@dataclass(frozen=True)
class File:
    """A file of a host. C(before) is its text now without secrets, None for none; C(text) may hold C(PSK)."""

    path: str
    text: str
    before: str | None


@dataclass
class Plan:
    """What would be done.

    C(files) are those to write on each host. C(values) is what is merged into a chart's values, C(flat) the same by
    dotted names, C(seen) what the object that owns them has there now; C(object) is that object, of C(kind).
    C(unfinished) tells that a change was cut off, and C(revision) names what is wanted. C(servers) and C(agents) are
    hosts in the order in which they are restarted, and C(restart) those of them that need it whatever their files.
    C(units), C(nodes) and C(data) have the service, the Node and the folder of data of each host. C(renew) tells that
    flannel's links are made anew, C(drain) that pods of a node move before. C(expect) is what a node shows afterwards,
    and C(former) what it shows now.
    """

    owner: str
    title: str
    changes: list[Change] = field(default_factory=list)
    files: dict[str, list[File]] = field(default_factory=dict)
    chart: str = ""
    object: str = ""
    kind: str = "HelmChartConfig"
    values: dict[str, Any] = field(default_factory=dict)
    flat: dict[str, Any] = field(default_factory=dict)
    seen: dict[str, Any] = field(default_factory=dict)
    unfinished: bool = False
    revision: str = ""
    daemonset: str = ""
    servers: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    restart: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)
    network: list[str] = field(default_factory=list)
    renew: bool = False
    drain: bool = False
    expect: dict[str, Any] = field(default_factory=dict)
    former: dict[str, Any] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return asdict(self)


def expected(backend: str, *, vni: int, port: int, mtu: int, direct: bool) -> dict[str, Any]:
    """What a node shows of a network with this backend, as M(podnet.cni.distribution_network_info) takes it.

    C(mtu) is that of the underlay and C(port) that of vxlan, 0 for the default of each.
    """
    vxlan = backend == "vxlan"
    return {
        "backend": backend,
        "device": device(backend, vni),
        "vni": vni if vxlan else 0,
        "port": (port or _PORT) if vxlan else 0,
        "mtu": mtu,
        "pods_mtu": mtu - overhead.RESERVED.get(backend, 0) if mtu else 0,
        "direct": direct,
    }


def device(backend: str, vni: int) -> str:
    """The link over which packets to other nodes leave; empty where it is the underlay's own.

    flannel v0.28.9 pkg/backend/vxlan/vxlan.go and pkg/backend/wireguard/wireguard.go.
    """
    return {"vxlan": f"flannel.{vni}", "wireguard": "flannel-wg"}.get(backend, "")


def text(plan: Mapping[str, Any], batch: Sequence[Sequence[str]]) -> str:
    """The plan for people: what changes where, who restarts in which order, and what is lost meanwhile.

    C(batch) are the waves.
    """
    lines = [f"Owner of the network: {plan['title']}"]
    for problem in plan["problems"]:
        lines.append(f"Refused: {problem}")
    if not plan["changes"] and not batch and not plan["problems"]:
        lines.append("Nothing differs from what is wanted.")
    for each in plan["changes"]:
        lines.append(f"{each['on']}: {each['name']}: {each['before'] or 'not set'} -> {each['after'] or 'not set'}")
        lines.append(f"    in {each['where']}")
    for number, names in enumerate(batch, 1):
        what = ", ".join(f"{name} ({plan['units'][name]})" if name in plan["units"] else name for name in names)
        how = "drain, restart, prove" if plan["drain"] else "restart, prove"
        lines.append(f"Wave {number} of {len(batch)}: {how}: {what}")
    if plan["object"] and plan["unfinished"]:
        lines.append(f"A change of {plan['object']} was cut off, and is finished.")
    if plan["daemonset"] and (plan["changes"] or plan["unfinished"]):
        lines.append(f"Then DaemonSet kube-system/{plan['daemonset']} is restarted, wave by wave.")
    if plan["changes"] or batch:
        lines += [f"Meanwhile: {each}" for each in plan["lost"]]
    lines += [f"Note: {each}" for each in plan["warnings"]]
    return "\n".join(lines)
