# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of all hosts together and of the cluster: what servers disagree about, and who owns the charts; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    command_line,
    helm,
    k3s,
    kubeadm,
    releases,
    rke2,
    sources,
)
from ansible_collections.podnet.cni.plugins.module_utils._distributions.checks_host import inside, normal
from ansible_collections.podnet.cni.plugins.module_utils._distributions.evidence import Evidence
from ansible_collections.podnet.cni.plugins.module_utils._distributions.yaml_text import as_text
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import go_json, overhead
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Check,
    Verdict,
    check,
    failed,
    ok,
    unknown,
)

Facts = Mapping[str, Any]

VXLAN_VNI, VXLAN_PORT = 4096, 4789
"""What Windows agents have built in (rke2 pkg/windows/flannel.go, k3s pkg/agent/flannel/setup_windows.go)."""

VETH_MTU = 1450
"""Default of calico.vethuMTU (chart rke2-canal)."""

ETHERNET_MTU = 1500
"""What interfaces have that nobody has set."""

GRANT = "Grant the right (docs/manifests/distribution-rbac.yaml), and run this again."

_MISSPELT = {
    "calico.vethMTU": "calico.vethuMTU",
    "calico.mtu": "calico.vethuMTU",
    "flannel.MTU": "flannel.mtu",
    "flannel.interface": "flannel.iface",
    "flannel.backendType": "flannel.backend",
    "flannel.port": "flannel.backendPort",
    "flannel.nftables": "flannel.enableNFTables",
}
"""Names that the charts do not know -> those that they do."""


def _evidence(wanted: Facts) -> Evidence:
    found: Evidence = wanted["evidence"]
    return found


def differing(values: Mapping[str, str]) -> str:
    """The hosts by their values, where these differ; empty where they agree."""
    groups: dict[str, list[str]] = {}
    for host, value in sorted(values.items()):
        groups.setdefault(value, []).append(host)
    if len(groups) < 2:
        return ""
    return "; ".join(f"{value or 'not set'} on {', '.join(names)}" for value, names in sorted(groups.items()))


@check("distribution.shared_keys", "error", "All servers agree in the keys that they must share")
def shared_keys(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """With embedded etcd a server that differs does not join; with an external database nothing is compared."""
    del facts
    evidence = _evidence(wanted)
    for product, keys, defaults, source in (
        ("k3s", k3s.SHARED, k3s.DEFAULTS, sources.K3S_SERVER),
        ("rke2", rke2.SHARED, rke2.DEFAULTS, sources.RKE2_SERVER),
    ):
        servers = evidence.servers(product)
        outside = any("datastore-endpoint" in flags for flags in servers.values())
        agree = True
        for key in keys:
            said = differing({name: normal(key, flags, defaults) for name, flags in servers.items()})
            if said:
                agree = False
                more = (
                    "With a database outside of the cluster nothing else compares them"
                    if outside
                    else "A server that differs does not join"
                )
                yield failed(
                    f"{key}: {said}",
                    "one value on all servers",
                    f"Give {key} one value in the files of all servers and restart them one by one. {more} ({source}).",
                )
        if agree and len(servers) > 1:
            yield ok(f"{len(servers)} servers of {product} agree")


@check("distribution.cni", "error", "All servers of RKE2 name the same cni")
def cni(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """RKE2 does not compare it, and each server uninstalls what it does not name."""
    del facts
    servers = _evidence(wanted).servers("rke2")
    values = {name: normal("cni", flags, rke2.DEFAULTS) for name, flags in servers.items()}
    said = differing(values)
    if said:
        yield failed(
            f"cni: {said}",
            "one value on all servers",
            "Give cni the value that the cluster was made with on all servers, before any of them is "
            "restarted: RKE2 does "
            f"not compare it, and a server uninstalls the network that it does not name ({sources.RKE2_PACKAGED}).",
        )
    elif len(values) > 1:
        yield ok(f"cni is {_first(values.values())} on all servers")


@check("distribution.flannel_conf_differs", "error", "flannel-conf is the same on all nodes")
def flannel_conf_differs(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """A file decides on its node alone: VNI, port and backend have to be those of its peers."""
    del facts
    contents: dict[str, str] = {}
    for item in _evidence(wanted).of_product("k3s"):
        path = item.value("flannel-conf")
        text = item.host.text(path) if path else None
        if command_line.is_on(item.flags.get("disable-agent")):
            continue
        if not path:
            contents[item.host.name] = "no file"
        elif text is not None:
            contents[item.host.name] = _canonical(text, path)
    groups: dict[str, list[str]] = {}
    for host, content in sorted(contents.items()):
        groups.setdefault(content, []).append(host)
    if len(groups) > 1:
        yield failed(
            "; ".join(f"{content} on {', '.join(names)}" for content, names in sorted(groups.items())),
            "one file on all nodes",
            f"Give every node the same file, agents too: nodes with different ones do not reach each other's pods "
            f"({sources.K3S_FLAGS}).",
        )
    elif len(contents) > 1 and "no file" not in groups:
        yield ok(f"the same on {len(contents)} nodes")


def _canonical(text: str, path: str) -> str:
    try:
        members = sorted((name, as_text(value)) for name, value in helm.flat(go_json.load_object(text, path)))
    except InputError:
        return "a file that is not JSON"
    return ", ".join(f"{name} {value}" for name, value in members if not name.lower().endswith("psk"))


@check("distribution.backend_types", "error", "flannel has announced one backend on all Nodes")
def backend_types(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Nodes with different backends do not reach each other's pods."""
    del facts
    values = {
        f"Node/{fields.text(node, 'name')}": fields.text(node, "flannel", "backend-type")
        for node in _evidence(wanted).nodes
        if fields.text(node, "flannel", "backend-type")
    }
    said = differing(values)
    if said:
        yield failed(
            f"backend-type: {said}",
            "one backend",
            "Restart the service, or flannel's pod, on the nodes that have the former backend, servers first "
            f"({sources.K3S_WIREGUARD}).",
        )
    elif values:
        yield ok(f"{_first(values.values())} on {len(values)} Nodes")


@check("distribution.chart_values", "error", "The values of a HelmChartConfig can be read")
def chart_values(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Helm fails with values that are not YAML, and the network stays what it was."""
    del facts
    evidence = _evidence(wanted)
    for config in fields.mappings(evidence.cluster, "helm_chart_configs"):
        where = helm.title(config, "HelmChartConfig")
        problems = helm.of_object(fields.mapping(config, "spec"), f"{where} valuesContent").problems
        for problem in problems:
            # Helm takes the last of two, and follows merge keys.
            if problem.kind != "merge_key":
                yield failed(
                    f"{problem.place}: {problem.text}",
                    "a mapping of values",
                    f"{problem.remedy} Owner: {_owner(config, evidence)} ({sources.RKE2_HELM}).",
                    severity="" if problem.kind == "unreadable" else "warning",
                )
        if not problems:
            yield ok("its values can be read", subject=where)


def _owner(config: Mapping[str, Any], evidence: Evidence) -> str:
    """Where a HelmChartConfig has to be changed."""
    name = fields.text(config, "name")
    if helm.is_of_rancher(config, evidence.addons):
        return f"spec.rkeConfig.chartValues.{name} of the cluster's object in Rancher"
    return helm.source_file(config, evidence.addons) or helm.title(config, "HelmChartConfig")


@check("distribution.values_no_effect", "warning", "Every value of a network's chart has an effect")
def values_no_effect(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """What RKE2 sets itself wins, and Helm takes names that no chart knows."""
    del facts
    evidence = _evidence(wanted)
    for name in rke2.CHARTS:
        for config in evidence.configs(name):
            where = helm.title(config, "HelmChartConfig")
            if not fields.mapping(config, "spec"):
                yield failed(
                    "it has no spec, and so no value",
                    "spec.valuesContent",
                    f"Write spec at the top of the object in {_owner(config, evidence)}, beside metadata "
                    f"({sources.RKE2_HELM}).",
                    subject=where,
                )
            given = dict(helm.flat(helm.of_object(fields.mapping(config, "spec"), where).values))
            change = f"in {_owner(config, evidence)}"
            for key in sorted(given):
                if key in ("podCidr", "podCidrv6"):
                    yield failed(
                        f"{key} is {given[key]}",
                        "cluster-cidr",
                        f"Take it out {change}: RKE2 sets global.clusterCIDRv4 and global.clusterCIDRv6 out of "
                        "cluster-cidr, "
                        f"which win ({sources.RKE2_CANAL}).",
                        subject=where,
                    )
                elif key in _MISSPELT:
                    yield failed(
                        f"{key} is not a value of {name}",
                        _MISSPELT[key],
                        f"Call it {_MISSPELT[key]} {change} ({sources.RKE2_CANAL}).",
                        subject=where,
                    )
            masquerades = given.get("flannel.args") is None or "--ip-masq" in given["flannel.args"]
            if name == rke2.CANAL and given.get("calico.masquerade") is False and masquerades:
                yield failed(
                    "calico.masquerade is false",
                    "flannel.args without --ip-masq",
                    f"Set flannel.args without --ip-masq {change}, and keep its other arguments: the argument "
                    "wins over the "
                    f"variable that this value sets ({sources.RKE2_CANAL}).",
                    subject=where,
                )


@check("distribution.mtu_pair", "warning", "Canal's two MTUs fit each other")
def mtu_pair(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """flannel.mtu is that of the underlay, calico.vethuMTU that of pods, and neither follows the other."""
    del facts
    evidence = _evidence(wanted)
    configs = evidence.configs(rke2.CANAL)
    if not configs:
        return
    values = evidence.values(rke2.CANAL)
    backend = fields.text(values, "flannel", "backend") or "vxlan"
    outer, inner = _number(fields.at(values, "flannel", "mtu"), 0), _number(fields.at(values, "calico", "vethuMTU"), 0)
    where = helm.title(configs[0], "HelmChartConfig")
    pods = inner or VETH_MTU
    room = outer - overhead.RESERVED.get(backend, 0)
    under = pods + overhead.RESERVED.get(backend, 0)
    if not outer and (under == ETHERNET_MTU or (not inner and under < ETHERNET_MTU)):
        return
    if not outer:
        yield failed(
            f"calico.vethuMTU is {pods}, and flannel.mtu is not set, so flannel follows the interface of each node",
            f"interfaces with MTU {under}",
            f"Where an interface has another MTU than {under}, set flannel.mtu, too, in "
            f"{_owner(configs[0], evidence)}, restart the DaemonSet rke2-canal, then the pods ({sources.RKE2_CANAL}).",
            subject=where,
            severity="info",
        )
    elif pods > room or (pods < room and not inner):
        given = f"calico.vethuMTU is {inner}" if inner else f"calico.vethuMTU is not set, so {VETH_MTU}"
        yield failed(
            f"flannel.mtu is {outer}, and {given}",
            f"calico.vethuMTU {room}",
            f"Set calico.vethuMTU to {room} in {_owner(configs[0], evidence)}, restart the DaemonSet "
            "rke2-canal, then the "
            f"pods ({sources.RKE2_CANAL}).",
            subject=where,
        )
    else:
        yield ok(f"flannel.mtu {outer}, calico.vethuMTU {pods}", subject=where)


def _number(value: Any, other: int) -> int:
    text = str(value)
    return int(text) if text.isdigit() else other


@check("distribution.windows", "error", "VNI and port are those that Windows nodes have")
def windows(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Windows agents have both built in."""
    del facts
    evidence = _evidence(wanted)
    if not evidence.has_windows:
        return
    expected = f"VNI {VXLAN_VNI}, port {VXLAN_PORT}"
    for item in evidence.of_product("k3s"):
        path = item.value("flannel-conf")
        try:
            config = go_json.load_object(item.host.text(path) or "", path) if path else {}
        except InputError:
            continue
        vni, port = fields.number(config, "Backend", "VNI") or 1, fields.number(config, "Backend", "Port") or 8472
        if (vni, port) == (VXLAN_VNI, VXLAN_PORT):
            yield ok(expected, subject=item.host.name)
        else:
            yield failed(
                f"VNI {vni}, port {port}",
                expected,
                f"Give every Linux node a flannel-conf with VNI {VXLAN_VNI} and Port {VXLAN_PORT} "
                f"({sources.K3S_WINDOWS}).",
                subject=item.host.name,
            )
    for item_of_chart in evidence.configs(rke2.FLANNEL):
        values = evidence.values(rke2.FLANNEL)
        vni = _number(fields.at(values, "flannel", "vni"), VXLAN_VNI)
        port = _number(fields.at(values, "flannel", "backendPort"), VXLAN_PORT)
        if (vni, port) != (VXLAN_VNI, VXLAN_PORT):
            yield failed(
                f"flannel.vni {vni}, flannel.backendPort {port}",
                expected,
                f"Take both values out of {_owner(item_of_chart, evidence)}, and restart the DaemonSet kube-flannel-ds "
                f"({sources.RKE2_WINDOWS}).",
                subject=helm.title(item_of_chart, "HelmChartConfig"),
            )


@check("distribution.chart_owner", "error", "Each HelmChartConfig has one owner")
def chart_owner(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Files on servers are not compared: of two that hold the same object the last that was applied wins."""
    del facts
    evidence = _evidence(wanted)
    owners: dict[str, dict[str, set[str]]] = {}
    for found in evidence.services.values():
        for item in found:
            for path in item.manifests:
                for config in helm.configs_in(item.host.text(path) or "", path)[0]:
                    values = sorted((key, str(value)) for key, value in helm.flat(helm.effective({}, config["spec"])))
                    files = owners.setdefault(helm.title(config, "HelmChartConfig"), {})
                    files.setdefault(path, set()).add(str(values))
    for made in fields.mappings(evidence.cluster, "helm_chart_configs"):
        file = helm.source_file(made, evidence.addons)
        if helm.is_of_rancher(made, evidence.addons):
            file = file or f"manifests/rancher/{helm.MANAGED_MANIFEST}"
        place = owners.get(helm.title(made, "HelmChartConfig"), {})
        if place and file and not any(path.endswith(file) for path in place):
            place[file] = set()
    for title, place in sorted(owners.items()):
        rancher = [path for path in place if path.endswith(f"/{helm.MANAGED_MANIFEST}")]
        if len(place) > 1:
            keep = rancher[0] if rancher else sorted(place)[0]
            how = "into spec.rkeConfig.chartValues of the cluster's object in Rancher" if rancher else f"into {keep}"
            yield failed(
                f"{', '.join(sorted(place))} all hold it",
                "one file",
                f"Move the values {how}, then remove the other files on all servers: the last one that is applied wins "
                f"({sources.RKE2_PACKAGED}).",
                subject=title,
            )
        elif any(len(values) > 1 for values in place.values()):
            yield failed(
                f"{_first(place)} differs between servers",
                "the same on all servers that have it",
                "Make it the same everywhere, or keep it on one server: nobody synchronises it "
                f"({sources.RKE2_PACKAGED}).",
                subject=title,
            )
        else:
            yield ok(_first(place), subject=title)


@check("distribution.failure_policy", "warning", "A chart that fails does not take the network away")
def failure_policy(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """The controller's default uninstalls a release whose upgrade hangs (helm-controller doc/helmchart.md)."""
    del facts
    evidence = _evidence(wanted)
    for name in rke2.CHARTS:
        chart = evidence.chart(name)
        if chart is None:
            continue
        config = next(iter(evidence.configs(name)), {})
        policy = (
            fields.text(config, "spec", "failurePolicy") or fields.text(chart, "spec", "failurePolicy") or "reinstall"
        )
        where = helm.title(chart, "HelmChart")
        if policy == "reinstall":
            yield failed(
                "failurePolicy is reinstall",
                "retry or abort",
                f"Before the next upgrade set failurePolicy: abort in a HelmChartConfig called {name}, or go to "
                f"a release whose charts say retry ({', '.join(releases.RETRIES)}): an upgrade that hangs is "
                f"uninstalled, and all pods lose their network ({sources.RANCHER_REINSTALL}).",
                subject=where,
            )
        else:
            yield ok(f"failurePolicy is {policy}", subject=where)


@check("distribution.chart_failed", "error", "No chart of a network has failed")
def chart_failed(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """What the controller says of its job."""
    del facts
    for chart in fields.mappings(_evidence(wanted).cluster, "helm_charts"):
        if not fields.text(chart, "name").startswith(rke2.NETWORK_CHARTS):
            continue
        for condition in fields.mappings(chart, "conditions"):
            if condition.get("type") == "Failed" and condition.get("status") == "True":
                job = fields.text(chart, "job") or f"helm-install-{fields.text(chart, 'name')}"
                yield failed(
                    f"{fields.text(condition, 'reason')}: {fields.text(condition, 'message')}".strip(": "),
                    "a chart that is installed",
                    f"Read the log of job {job} in {fields.text(chart, 'namespace')}, and correct the values "
                    f"({sources.RKE2_HELM}).",
                    subject=helm.title(chart, "HelmChart"),
                )


@check("distribution.pod_range", "error", "kubeadm, controller manager and flannel have the same range of pods")
def pod_range(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """The flags are what Nodes get their ranges by; flannel ends on a Node whose range is outside of its own."""
    del facts
    evidence = _evidence(wanted)
    # Other networks may hand out ranges themselves.
    has_flannel = any(
        fields.text(data, "net-conf.json") for data in fields.mapping(evidence.cluster, "config_maps").values()
    )
    stored = kubeadm.pod_subnet(evidence.cluster)
    found = {f"ConfigMap {kubeadm.CONFIG_MAP} podSubnet": stored} if stored else {}
    for name, host in evidence.hosts.items():
        text = host.text(kubeadm.MANIFEST)
        flags = kubeadm.manager_flags(text) if text is not None else {}
        if flags.get("cluster-cidr"):
            found[f"{kubeadm.MANIFEST} on {name}"] = flags["cluster-cidr"]
        if text is not None and has_flannel and flags.get("allocate-node-cidrs") != "true":
            yield failed(
                f"{name}: {kubeadm.MANIFEST} does not have --allocate-node-cidrs=true",
                "the flag, with --cluster-cidr",
                "Set networking.podSubnet in kubeadm-config and both flags: Nodes get no range, and flannel "
                "waits for it "
                f"({sources.KUBEADM}).",
            )
    said = differing({place: _sorted(value) for place, value in found.items()})
    if said:
        yield failed(
            said,
            "one range",
            f"Trust the running flags, and correct kubeadm-config before the next kubeadm upgrade writes the other "
            f"({sources.KUBEADM}).",
        )
    for name, data in fields.mapping(evidence.cluster, "config_maps").items():
        try:
            network = fields.text(go_json.load_object(fields.text(data, "net-conf.json") or "{}", name), "Network")
        except InputError as error:
            yield failed(f"ConfigMap {name}: {error}", "a network config", "Have its owner write it again.")
            continue
        for place, value in found.items():
            first = value.split(",")[0].strip()
            if network and not inside(first, network):
                yield failed(
                    f"ConfigMap {name} has Network {network}, and {place} has {value}",
                    f"a Network that contains {first}",
                    "Give flannel the range of the cluster: it ends on a Node whose range is outside "
                    f"({sources.KUBEADM}).",
                )
    if len(found) > 1 and not said:
        yield ok(f"{_first(found.values())} in {len(found)} places")


def _first(values: Iterable[str]) -> str:
    return next(iter(values))


def _sorted(ranges: str) -> str:
    return ",".join(sorted(each.strip() for each in ranges.split(",")))


_STARTING = ("PodInitializing", "ContainerCreating")


@check("distribution.network_waits", "error", "flannel's daemon is ready on every node")
def network_waits(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """A cluster of Rancher waits for ever when flannel's pods end at each start."""
    del facts
    evidence = _evidence(wanted)
    lacking = {
        name.lower()
        for host in evidence.hosts.values()
        for name in (host.name, host.hostname)
        if fields.mapping(host.facts, "br_netfilter") and not fields.text(host.facts, "br_netfilter", "setting")
    }
    for pod in fields.mappings(evidence.cluster, "pods"):
        where = f"Pod kube-system/{fields.text(pod, 'name')}"
        if pod.get("ready") is True:
            yield ok("ready", subject=where)
            continue
        message = " ".join(fields.text(pod, "message").split())
        state = fields.text(pod, "waiting") or "not ready"
        seen = f"{state} on {fields.text(pod, 'node')}, {pod.get('restarts')} restarts"
        if fields.text(pod, "node").lower() in lacking:
            remedy = f"br_netfilter is missing on {fields.text(pod, 'node')}: load it there and at boot."
        elif pod.get("restarts"):
            remedy = "Look whether br_netfilter is loaded on the node, without which flannel 0.26.0 and later ends; "
            remedy += "otherwise read the log of the pod."
        else:
            remedy = "It has not run yet: read its events (kubectl describe), and run this again."
        yield failed(
            f"{seen}{': ' + message if message else ''}",
            "a daemon that runs",
            f"{remedy} A cluster that Rancher makes waits for it for ever "
            f"({sources.RANCHER_WAITS}, {sources.FLANNEL_BRIDGE}).",
            subject=where,
            severity="warning" if state in _STARTING and not pod.get("restarts") else "",
        )


@check("distribution.cluster_read", "error", "The cluster could be read")
def cluster_read(facts: Facts, wanted: Facts) -> Iterable[Verdict]:
    """Each right that is missing."""
    del facts
    for name, reason in fields.mapping(_evidence(wanted).cluster, "reasons").items():
        yield unknown(f"{name}: {reason}", "the right to read it", GRANT)


CLUSTER_CHECKS: tuple[Check, ...] = (
    shared_keys,
    cni,
    flannel_conf_differs,
    backend_types,
    chart_values,
    values_no_effect,
    mtu_pair,
    windows,
    chart_owner,
    failure_policy,
    chart_failed,
    pod_range,
    network_waits,
    cluster_read,
)
