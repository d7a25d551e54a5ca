# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of the network that k3s runs: keys in a drop-in of its own, and a file of flannel's network config; no I/O.

Files of others are never written. A key that a file of a later order or the command line sets stays what that says, so
such a change is refused (k3s pkg/configfilearg/parser.go).
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import json
import posixpath
import re
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    config_file,
    k3s,
    redact,
    sources,
    yaml_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.change import (
    PSK,
    Change,
    File,
    Plan,
    Wanted,
    expected,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_cluster import VXLAN_PORT, VXLAN_VNI
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_host import STOPS, normal
from ansible_collections.podnet.cni.plugins.module_utils._distributions.evidence import Evidence
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Flag
from ansible_collections.podnet.cni.plugins.module_utils._distributions.service import Service
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import backend_options, go_json, network_config
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

DROPIN = "60-podnet-network.yaml"
CONF = "podnet-flannel.json"
HEADER = "# Written by the role podnet.cni.distribution_network, which keeps what else is here.\n"

_OWN_NAME = {"wireguard": "wireguard-native"}
_FLANNELS_NAME = {own: name for name, own in _OWN_NAME.items()}
_KEEPALIVE = 25
"""What k3s gives wireguard-native (k3s pkg/agent/flannel/setup.go)."""
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*")


def with_keys(text: str, path: str, keys: Mapping[str, str]) -> str:
    """A drop-in with these keys, each in the line in which it stands or at the end; every other line stays.

    Raises InputError for a text that is not a flat mapping of keys, and for one whose own lines cannot be told apart.
    """
    document = yaml_text.load(text, path)
    bad = next((each for each in document.problems if each.kind != "merge_key"), None)
    if bad is not None:
        raise InputError(f"{bad.place}: {bad.text}. {bad.remedy}")
    lines = (text or HEADER).splitlines()
    left = dict(keys)
    for entry in document.entries:
        if entry.key in left:
            lines[entry.line - 1] = f"{entry.key}: {_value(left.pop(entry.key))}"
    made = "\n".join([*lines, *(f"{key}: {_value(value)}" for key, value in left.items())]) + "\n"
    after = {entry.key: yaml_text.as_text(entry.value) for entry in yaml_text.load(made, path).entries}
    before = {entry.key: yaml_text.as_text(entry.value) for entry in document.entries}
    if after != {**before, **keys}:
        raise InputError(f"{path} is written in a way that leaves no line to change: write one key a line.")
    return made


def _value(value: str) -> str:
    """A value as YAML has it, read again as the same text."""
    if value in ("true", "false") or (_PLAIN.fullmatch(value) and value.lower() not in WORDS):
        return value
    return json.dumps(value)


WORDS = ("yes", "no", "on", "off", "y", "n", "true", "false", "null")


def overridden(item: Service, own: str, key: str) -> str:
    """What sets a key after the file C(own): a drop-in of a later order, or the unit. Empty for nothing."""
    later = [
        (path, item.host.text(path) or "")
        for path in item.host.paths(item.dropins, (".yaml", ".yml"))
        if posixpath.basename(path).encode("utf-8", "surrogateescape")
        > posixpath.basename(own).encode("utf-8", "surrogateescape")
    ]
    if key in item.arguments:
        return str(item.arguments[key].places[-1])
    flag = config_file.merge(later).flags.get(key)
    return str(flag.places[-1]) if flag is not None else ""


class _Planner:
    """One plan for all hosts with k3s."""

    def __init__(self, evidence: Evidence, wanted: Wanted, dropin: str) -> None:
        self.evidence = evidence
        self.wanted = wanted
        self.dropin = dropin
        self.plan = Plan("k3s", "k3s")
        items = evidence.of_product("k3s")
        self.servers = [item for item in items if item.is_server]
        self.agents = [item for item in items if item.command == "agent"]
        self.flags: Mapping[str, Flag] = next(iter(evidence.servers("k3s").values()), {})
        for item in items:
            if not item.command:
                self.plan.problems.append(
                    f"{item.host.name}: no unit tells whether k3s is a server or an agent there: install k3s as a "
                    "service"
                )
            self.plan.problems += [
                f"{item.host.name}: {each.place}: {each.text}. {each.remedy}"
                for each in evidence.problems[item.host.name]
                if each.kind in STOPS
            ]

    def make(self) -> Plan:
        """The whole plan."""
        plan = self.plan
        plan.servers = [item.host.name for item in self.servers]
        plan.agents = [item.host.name for item in self.agents]
        plan.units = {item.host.name: item.unit for item in (*self.servers, *self.agents)}
        plan.data = {item.host.name: item.data for item in (*self.servers, *self.agents)}
        ranges = normal("cluster-cidr", self.flags, k3s.DEFAULTS)
        plan.network = [each for each in ranges.split(",") if each]
        self._refuse()
        self._nodes()
        backends = set()
        for item in (*self.servers, *self.agents):
            backends.add(self._host(item))
        if len(backends) > 1:
            plan.problems.append(
                "hosts have different network configs now, by flannel-conf; see "
                "distribution.flannel_conf_differs of the "
                "audit, and make them the same first"
            )
        self._order()
        return plan

    def _refuse(self) -> None:
        wanted, problems = self.wanted, self.plan.problems
        if not self.servers:
            problems.append("no server of k3s is among the hosts: keys of the network belong to servers")
        if wanted.nftables is not None:
            problems.append(
                "nftables: k3s makes flannel's rules with iptables in every case; leave "
                "distribution_network_nftables out "
                f"({sources.K3S_NFTABLES})"
            )
        if normal("flannel-backend", self.flags, k3s.DEFAULTS) == "none" and wanted.backend:
            problems.append(
                f"flannel-backend is none, so another network runs here: change that one ({sources.K3S_NETWORK})"
            )
        if wanted.backend and wanted.backend != "vxlan" and self.evidence.has_windows:
            problems.append(f"the cluster has Windows nodes, which know vxlan alone ({sources.K3S_WINDOWS})")
        differs = (wanted.vni, wanted.port) != (VXLAN_VNI, VXLAN_PORT) and (wanted.vni or wanted.port) is not None
        if self.evidence.has_windows and differs and not wanted.accept_unsupported:
            problems.append(
                f"the cluster has Windows nodes, which have VNI {VXLAN_VNI} and port {VXLAN_PORT} built in "
                f"({sources.K3S_WINDOWS})"
            )

    def _nodes(self) -> None:
        """Every node has to be a host of the play: a network that differs on one is cut in two."""
        plan = self.plan
        plan.nodes, missing = self.evidence.nodes_of("k3s")
        if missing:
            plan.problems.append(
                f"Nodes that are not among the hosts: {', '.join(missing)}. Name all servers and agents of the cluster"
            )

    def _host(self, item: Service) -> tuple[str, int]:
        """Plan the files of one host; the backend and VNI that it has now."""
        wanted, plan = self.wanted, self.plan
        own = f"{item.dropins}/{self.dropin}"
        keys: dict[str, str] = {}
        if item.is_server:
            if wanted.backend:
                keys["flannel-backend"] = _OWN_NAME.get(wanted.backend, wanted.backend)
            if wanted.external_ip is not None:
                keys["flannel-external-ip"] = _yes(wanted.external_ip)
            if wanted.policy is not None:
                keys["disable-network-policy"] = _yes(not wanted.policy)
        if wanted.interface:
            keys["flannel-iface"] = wanted.interface
            links = [str(name) for name in fields.sequence(item.host.facts, "links")]
            if wanted.interface not in links:
                plan.problems.append(
                    f"{item.host.name} has no link called {wanted.interface}, without which k3s does not start: it has "
                    f"{', '.join(name for name in links if name != 'lo')} ({sources.K3S_AGENT})"
                )
        if wanted.external_ip and not item.value("node-external-ip"):
            plan.problems.append(
                f"{item.host.name} has no node-external-ip, which flannel-external-ip announces ({sources.K3S_SERVER})"
            )
        now, conf = self._conf(item)
        if conf is not None:
            keys["flannel-conf"] = conf
        # What k3s has already is not written again.
        keys = {key: value for key, value in keys.items() if normal(key, item.flags, k3s.DEFAULTS) != value}
        for key, value in keys.items():
            later = overridden(item, own, key)
            if later:
                plan.problems.append(
                    f"{item.host.name}: {later} sets {key} after {own} and wins: take it out there, or change it there "
                    f"({sources.K3S_PARSER})"
                )
            plan.changes.append(Change(item.host.name, key, normal(key, item.flags, k3s.DEFAULTS), value, own))
        if keys:
            before = item.host.text(own)
            try:
                plan.files.setdefault(item.host.name, []).append(File(own, with_keys(before or "", own, keys), before))
            except InputError as error:
                plan.problems.append(f"{item.host.name}: {error}")
        return now

    def _conf(self, item: Service) -> tuple[tuple[str, int], str | None]:
        """The backend and VNI now, and the path of the network config that the host needs; None for none of its own."""
        wanted, plan = self.wanted, self.plan
        given = normal("flannel-backend", self.flags, k3s.DEFAULTS)
        path = item.value("flannel-conf")
        own = f"{posixpath.dirname(item.dropins)}/{CONF}"
        try:
            config = go_json.load_object(item.host.text(path) or "{}", path) if path else self._generated(given)
        except InputError as error:
            plan.problems.append(f"{item.host.name}: {error}")
            return ("", 0), None
        backend = fields.mapping(config, "Backend")
        kind = fields.text(backend, "Type").lower()
        now = (kind, fields.number(backend, "VNI") or 1)
        made = {**config, "Backend": self._backend(item.host.name, backend, kind)}
        plan.former = _expect(backend)
        plan.expect = _expect(made["Backend"])
        if not path and not wanted.in_network_config:
            return now, None
        if _same(config, made) and not wanted.wireguard_psk:
            return now, None
        self._write_conf(item, path, own, config, made)
        return now, own

    def _write_conf(self, item: Service, path: str, own: str, before: Any, made: dict[str, Any]) -> None:
        plan = self.plan
        hidden = (PSK, redact.MASK)
        checked = {**made, "Backend": {key: value for key, value in made["Backend"].items() if value not in hidden}}
        try:
            network_config.parse(checked, check_ranges=False)
        except InputError as error:
            plan.problems.append(f"{item.host.name}: {error}")
            return
        if redact.MASK in json.dumps(made):
            # The real key is on the host alone.
            plan.problems.append(
                f"{item.host.name}: {path} holds a preshared key, which is not read: give "
                "distribution_network_wireguard_psk"
            )
        if not _same(before, made):
            for key in sorted(set(before["Backend"]) | set(made["Backend"])):
                old, new = before["Backend"].get(key), made["Backend"].get(key)
                if old != new:
                    plan.changes.append(
                        Change(
                            item.host.name,
                            f"Backend.{key}",
                            yaml_text.as_text(old),
                            "********" if new == PSK else yaml_text.as_text(new),
                            own,
                        )
                    )
        text = json.dumps(made, indent=2) + "\n"
        plan.files.setdefault(item.host.name, []).append(File(own, text, item.host.text(own)))

    def _generated(self, given: str) -> dict[str, Any]:
        """What k3s makes itself, from the ranges of the servers (k3s pkg/agent/flannel/setup.go)."""
        four = next((each for each in self.plan.network if ":" not in each), "")
        six = next((each for each in self.plan.network if ":" in each), "")
        kind = _FLANNELS_NAME.get(given, given)
        backend: dict[str, Any] = {"Type": kind}
        if kind == "wireguard":
            backend["PersistentKeepaliveInterval"] = _KEEPALIVE
        config: dict[str, Any] = {"EnableIPv4": bool(four), "EnableIPv6": bool(six)}
        if four:
            config["Network"] = four
        if six:
            config["IPv6Network"] = six
        return {**config, "Backend": backend}

    def _backend(self, host: str, backend: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """The member Backend as it is wanted. Options that the new backend does not have are left out."""
        wanted = self.wanted
        new = wanted.backend or kind
        made = dict(backend)
        if new != kind:
            made = {"Type": new, **({"MTU": backend["MTU"]} if backend.get("MTU") else {})}
            if new == "wireguard":
                made["PersistentKeepaliveInterval"] = _KEEPALIVE
        port = "ListenPort" if new == "wireguard" else "Port"
        asked = {
            "MTU": wanted.mtu,
            "VNI": wanted.vni,
            port: wanted.port,
            "Mode": wanted.wireguard_mode or None,
            "PSK": PSK if wanted.wireguard_psk else None,
        }
        spec = backend_options.BACKENDS[new].linux if new in backend_options.BACKENDS else None
        for key, value in asked.items():
            if value is None:
                continue
            if key not in (spec or {}):
                problem = f"the backend {new} has no {key}: leave it out, or choose another backend"
                if problem not in self.plan.problems:
                    self.plan.problems.append(problem)
            elif made.get(key, (spec or {})[key].default) != value:
                made[key] = value
        made = {key: value for key, value in made.items() if key == "Type" or spec is None or key in spec}
        if new != kind and new not in k3s.BACKENDS:
            self.plan.problems.append(f"{host}: k3s does not have the backend {new} ({sources.K3S_BACKENDS})")
        return made

    def _order(self) -> None:
        """Who restarts, what is lost meanwhile, and whether pods have to move."""
        plan, names = self.plan, {change.name for change in self.plan.changes}
        of_servers = bool(names & set(k3s.SERVER_KEYS))
        unfinished = [
            item.host.name for item in (*self.servers, *self.agents) if item.host.facts.get("unfinished") is True
        ]
        everyone = [*plan.servers, *plan.agents]
        touched = {host for host in plan.files if any(change.on == host for change in plan.changes)}
        plan.restart = [host for host in everyone if of_servers or host in touched or host in unfinished]
        moved = {name for name in names if name.startswith("Backend.") or name in ("flannel-backend", "flannel-iface")}
        plan.renew = bool(moved) or bool(unfinished)
        plan.drain = bool(moved - {"flannel-iface"}) or bool(unfinished)
        if "flannel-backend" in names or moved & {"Backend.Type", "Backend.VNI", "Backend.Port", "Backend.ListenPort"}:
            plan.lost.append("pods of nodes that are done and of nodes that are not do not reach each other")
            plan.warnings.append(
                "k3s asks for a reboot of all nodes after such a change; here links and routes of the former "
                "backend are "
                f"removed instead ({sources.K3S_NETWORK})"
            )
        if plan.restart:
            plan.lost.append("while k3s restarts on a server, its API server does not answer; pods keep running")
        if "Backend.MTU" in names:
            plan.lost.append("pods have their former MTU until they are made anew, which draining does")
        if plan.expect.get("backend") == "host-gw" and plan.former.get("backend") != "host-gw":
            plan.warnings.append("host-gw needs all nodes on one segment: routers between them do not know pods")
        if "disable-network-policy" in names and self.wanted.policy is False:
            plan.warnings.append(
                f"the rules of NetworkPolicies stay on each node until its next reboot ({sources.K3S_SERVICES})"
            )


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two network configs are the same, as far as it can be seen: a preshared key is masked in what was "
    "read."""
    first, second = (json.dumps(each, sort_keys=True).replace(redact.MASK, PSK) for each in (one, other))
    return first == second


def _expect(backend: Mapping[str, Any]) -> dict[str, Any]:
    """What a node with this backend shows."""
    return expected(
        fields.text(backend, "Type").lower(),
        vni=fields.number(backend, "VNI") or 1,
        port=fields.number(backend, "Port"),
        mtu=fields.number(backend, "MTU"),
        direct=backend.get("DirectRouting") is True,
    )


def plan(evidence: Evidence, wanted: Wanted, dropin: str = DROPIN) -> Plan:
    """The plan for a cluster of k3s. What stands in its way is among its problems."""
    return _Planner(evidence, wanted, dropin).make()
