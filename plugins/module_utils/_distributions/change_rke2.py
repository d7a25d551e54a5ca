# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A change of the network that RKE2's charts rke2-canal and rke2-flannel make, as values of a HelmChartConfig; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    helm,
    redact,
    rke2,
    sources,
    values_text,
    yaml_text,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.change import (
    Change,
    File,
    Plan,
    Wanted,
    expected,
    revision,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_cluster import (
    ETHERNET_MTU,
    VETH_MTU,
    VXLAN_PORT,
    VXLAN_VNI,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_host import normal
from ansible_collections.podnet.cni.plugins.module_utils._distributions.evidence import Evidence
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import overhead
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    rke2.CANAL: {
        "flannel.backend": "vxlan",
        "flannel.vni": 1,
        "flannel.backendPort": 0,
        "flannel.enableNFTables": False,
        "calico.vethuMTU": VETH_MTU,
    },
    rke2.FLANNEL: {
        "flannel.backend": "vxlan",
        "flannel.vni": VXLAN_VNI,
        "flannel.backendPort": VXLAN_PORT,
        "flannel.enableNFTables": False,
    },
}
"""What the charts have where nobody sets a value (https://github.com/rancher/rke2-charts)."""

CHARTS = {"canal": rke2.CANAL, "flannel": rke2.FLANNEL}


class _Planner:
    """One plan for the chart of a cluster."""

    def __init__(self, evidence: Evidence, wanted: Wanted) -> None:
        self.evidence = evidence
        self.wanted = wanted
        self.plan = Plan("rke2", "RKE2")
        servers = evidence.servers("rke2")
        kinds = {normal("cni", flags, rke2.DEFAULTS) for flags in servers.values()}
        self.plan.chart = CHARTS.get(next(iter(kinds), ""), "") if len(kinds) == 1 else ""
        if not self.plan.chart:
            self.plan.problems.append(
                f"cni of the servers is {', '.join(sorted(kinds)) or 'not known'}: only canal and flannel, the "
                "same on all "
                f"servers, are changed here ({sources.RKE2_NETWORK})"
            )
        self.ranges = normal("cluster-cidr", next(iter(servers.values()), {}), rke2.DEFAULTS)

    def make(self) -> Plan:
        """The whole plan."""
        plan = self.plan
        if not plan.chart:
            return plan
        plan.daemonset = rke2.workload(plan.chart)
        plan.network = [each for each in self.ranges.split(",") if each]
        plan.nodes, missing = self.evidence.nodes_of("rke2")
        if missing:
            plan.warnings.append(f"nothing is proved on Nodes that are not among the hosts: {', '.join(missing)}")
        given = self.evidence.values(plan.chart)
        now = {**DEFAULTS[plan.chart], **dict(helm.flat(given))}
        target = {name: value for name, value in self._target(now).items() if now.get(name) != value}
        config = next(iter(self.evidence.configs(plan.chart)), {})
        plan.object = f"HelmChartConfig kube-system/{plan.chart}"
        where = self._owner(config, target)
        for name, value in target.items():
            before = now.get(name)
            plan.changes.append(
                Change("cluster", f"{plan.chart}: {name}", yaml_text.as_text(before), yaml_text.as_text(value), where)
            )
        plan.values, plan.flat = nested(target), target
        there = dict(helm.flat(helm.of_object(fields.mapping(config, "spec"), plan.object).values))
        plan.seen = {name: there.get(name) for name in target}
        plan.revision = revision(self.wanted)
        plan.unfinished = config.get("unfinished") is True or any(
            item.host.facts.get("unfinished") is True for item in self.evidence.of_product("rke2")
        )
        plan.former = _expect(plan.chart, now)
        plan.expect = _expect(plan.chart, {**now, **target})
        self._say(target)
        return plan

    def _target(self, now: Mapping[str, Any]) -> dict[str, Any]:
        """The values that say what is wanted, by their dotted names."""
        wanted, plan = self.wanted, self.plan
        canal = plan.chart == rke2.CANAL
        backend = wanted.backend or str(now.get("flannel.backend") or "vxlan")
        asked = {
            "flannel.backend": wanted.backend or None,
            "flannel.mtu": wanted.mtu,
            "flannel.vni": wanted.vni,
            "flannel.backendPort": wanted.port,
            "flannel.iface": wanted.interface if wanted.interface and canal else None,
            "flannel.tunnelMode": wanted.wireguard_mode or None,
            "flannel.enableNFTables": wanted.nftables,
        }
        made = {name: value for name, value in asked.items() if value is not None}
        if canal and wanted.nftables is not None:
            made["calico.felixIptablesBackend"] = "nft" if wanted.nftables else "auto"
        if canal and (wanted.backend or wanted.mtu is not None):
            made.update(self._pods_mtu(now, backend))
        if "flannel.iface" in made and not now.get("calico.ipAutoDetectionMethod"):
            plan.warnings.append(
                "calico.ipAutoDetectionMethod is not set: Felix finds the address of a node by itself, whatever "
                f"flannel.iface says ({sources.RKE2_CANAL})"
            )
        self._consents(now, made, canal)
        self._refuse(canal, backend)
        return made

    def _consents(self, now: Mapping[str, Any], made: Mapping[str, Any], canal: bool) -> None:
        """What the owner calls unsupported."""
        backend = made.get("flannel.backend", now.get("flannel.backend"))
        self._needs_consent(
            backend != now.get("flannel.backend"),
            "RKE2 does not support another backend in a running cluster",
            sources.RKE2_NETWORK,
        )
        self._needs_consent(
            not canal and made.get("flannel.backend", "vxlan") != "vxlan",
            "rke2-flannel supports vxlan alone",
            sources.RKE2_NETWORK,
        )
        moved = any(made.get(name, now.get(name)) != now.get(name) for name in ("flannel.vni", "flannel.backendPort"))
        self._needs_consent(
            moved and not canal and self.evidence.has_windows,
            f"Windows nodes have VNI {VXLAN_VNI} and port {VXLAN_PORT} built in",
            sources.RKE2_WINDOWS,
        )
        self._needs_consent(
            made.get("flannel.enableNFTables") is True and now.get("flannel.enableNFTables") is not True,
            "nftables is experimental in RKE2, and kube-proxy has to run with proxy-mode=nftables",
            sources.RKE2_NETWORK,
        )

    def _pods_mtu(self, now: Mapping[str, Any], backend: str) -> dict[str, Any]:
        """calico.vethuMTU that goes with flannel.mtu; nothing where it fits."""
        outer = self.wanted.mtu or _whole(now.get("flannel.mtu"))
        room = (outer or ETHERNET_MTU) - overhead.RESERVED.get(backend, 0)
        pods = _whole(now.get("calico.vethuMTU")) or VETH_MTU
        # Without an MTU of its own flannel follows the interface, which may have more than Ethernet's.
        return {"calico.vethuMTU": room} if pods > room or self.wanted.mtu is not None else {}

    def _needs_consent(self, counts: bool, what: str, source: str) -> None:
        if counts and self.wanted.accept_unsupported:
            self.plan.warnings.append(f"{what} ({source})")
        elif counts:
            self.plan.problems.append(f"{what}: set distribution_network_accept_unsupported to do it anyway ({source})")

    def _refuse(self, canal: bool, backend: str) -> None:
        wanted, problems = self.wanted, self.plan.problems
        if backend == "host-gw" and wanted.mtu is not None:
            problems.append("the backend host-gw has no MTU: leave it out, or choose another backend")
        if backend != "vxlan" and wanted.vni is not None:
            problems.append(f"the backend {backend} has no VNI: leave it out, or choose another backend")
        if backend != "wireguard" and wanted.wireguard_mode:
            problems.append(f"wireguard_mode: the backend is {backend}")
        if wanted.external_ip is not None:
            problems.append(f"external_ip: no chart of RKE2 has it, and k3s's key is dropped ({sources.RKE2_NETWORK})")
        if wanted.policy is not None:
            why = "Felix, which is a part of Canal, always enforces" if canal else "rke2-flannel enforces none"
            problems.append(f"policy: {why} NetworkPolicies ({sources.RKE2_NETWORK})")
        if wanted.wireguard_psk:
            problems.append(
                "wireguard_psk: the chart writes flannel.psk without quotes, which breaks the network config "
                f"({sources.RKE2_CANAL})"
            )
        if wanted.interface and not canal:
            problems.append(
                "interface: the chart rke2-flannel has no value for it; add --iface to flannel.args in its "
                "HelmChartConfig, "
                f"and keep the other arguments ({sources.RKE2_NETWORK})"
            )

    def _owner(self, config: Mapping[str, Any], target: Mapping[str, Any]) -> str:
        """Where the values are written: the file on servers that the object was applied from, or the object."""
        plan, evidence = self.plan, self.evidence
        files: dict[str, list[str]] = {}
        for found in evidence.services.values():
            for item in found:
                for path in item.manifests:
                    configs = helm.configs_in(item.host.text(path) or "", path)[0]
                    if any(each["name"] == plan.chart for each in configs):
                        files.setdefault(path, []).append(item.host.name)
        named = helm.source_file(config, evidence.addons) if config else ""
        if config and helm.is_of_rancher(config, evidence.addons):
            # Its cluster's object is changed, whatever file the values came from.
            return plan.object
        if len(files) > 1:
            plan.problems.append(
                f"{', '.join(sorted(files))} all hold {plan.object}: keep one, as distribution.chart_owner of the "
                "audit says "
                f"({sources.RKE2_PACKAGED})"
            )
        elif named and named not in files:
            plan.problems.append(
                f"{plan.object} comes from {named}, which was found on no host: name the servers that have it "
                f"({sources.RKE2_PACKAGED})"
            )
        elif files and not named and config:
            plan.problems.append(
                f"{next(iter(files))} holds {plan.object}, and the object does not say that it comes from there: "
                "remove the "
                f"file, or have RKE2 apply it ({sources.RKE2_PACKAGED})"
            )
        if not files:
            return plan.object
        path, hosts = next(iter(files.items()))
        for host in hosts:
            self._file(host, path, target)
        plan.object = ""
        return f"{path} on {', '.join(hosts)}"

    def _file(self, host: str, path: str, target: Mapping[str, Any]) -> None:
        before = self.evidence.hosts[host].text(path) or ""
        if redact.MASK in before and target:
            self.plan.problems.append(
                f"{host}: {path} holds a secret, so it is not rewritten here: move the secret to valuesSecrets, "
                "or change the "
                f"file by hand ({sources.RKE2_HELM})"
            )
            return
        try:
            text = values_text.manifest_with(before, self.plan.chart, paths(target), path)
        except InputError as error:
            self.plan.problems.append(f"{host}: {error}")
            return
        if text != before:
            self.plan.files[host] = [File(path, text, before)]
            if "#" in before:
                self.plan.warnings.append(f"{host}: comments in the HelmChartConfig of {path} are not kept")

    def _say(self, target: Mapping[str, Any]) -> None:
        plan = self.plan
        if {"flannel.backend", "flannel.vni", "flannel.backendPort"} & set(target):
            plan.lost.append("pods of nodes that are done and of nodes that are not do not reach each other")
            plan.renew = True
        if "calico.vethuMTU" in target:
            plan.lost.append("pods have their former MTU until they are made anew; nothing here restarts workloads")
        if target:
            plan.lost.append("on a node whose flannel restarts no pod starts; pods that run keep their routes")
        chart = self.evidence.chart(plan.chart)
        config = next(iter(self.evidence.configs(plan.chart)), {})
        policy = fields.text(config, "spec", "failurePolicy") or fields.text(chart or {}, "spec", "failurePolicy")
        if target and policy in ("", "reinstall"):
            plan.warnings.append(
                f"failurePolicy of {plan.chart} is reinstall: a chart that fails is taken away and installed "
                "anew; set abort "
                f"({sources.RANCHER_REINSTALL})"
            )


def _whole(value: Any) -> int:
    text = str(value)
    return int(text) if text.isdigit() else 0


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by their dotted names as Helm takes them."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        node = made
        *above, last = name.split(".")
        for key in above:
            node = node.setdefault(key, {})
        node[last] = value
    return made


def paths(values: Mapping[str, Any]) -> dict[values_text.Path, Any]:
    """Values by their dotted names with the names taken apart."""
    return {tuple(name.split(".")): value for name, value in values.items()}


def _expect(chart: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What a node of a cluster with these values shows."""
    return expected(
        str(values.get("flannel.backend") or "vxlan"),
        vni=_whole(values.get("flannel.vni")) or _whole(DEFAULTS[chart]["flannel.vni"]),
        port=_whole(values.get("flannel.backendPort")),
        mtu=_whole(values.get("flannel.mtu")),
        direct=values.get("flannel.directRouting") is True,
    )


def plan(evidence: Evidence, wanted: Wanted) -> Plan:
    """The plan for a cluster of RKE2. What stands in its way is among its problems."""
    return _Planner(evidence, wanted).make()
