# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a cluster: the API server, what runs there, versions and settings; no I/O.

Beside what C(host_wanted) lists, C(wanted) may have:

* C(namespace): where the network is to be; kube-flannel when it is missing.
* C(pod_labels): labels of the network's pods, for webhooks with an objectSelector.
* C(health_port): the port on which flannel answers probes on every node; 0 or missing for none.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight import cluster_checks_admission as admission
from ansible_collections.podnet.cni.plugins.module_utils._preflight import cluster_checks_nodes as on_nodes
from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks_nodes import (
    GRANT,
    NO_NETWORK,
    is_windows,
    name_of,
    nodes_of,
    running_network,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Check,
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import (
    config_of,
    families,
    items,
    number,
    reason,
    texts,
)
from ansible_collections.podnet.cni.plugins.module_utils._versions import question

Facts = Mapping[str, Any]
SKEW = 3
"""Minor releases a kubelet may be older than the API server (https://kubernetes.io/releases/version-skew-policy/)."""
WINDOWS_BACKENDS = ("vxlan", "host-gw")


@check("cluster.gathered", "info", "Everything about the cluster could be found out")
def gathered(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Name what was not found out, since other checks cannot judge it."""
    reasons = [f"{name}: {text}" for name, text in items(facts.get("reasons"))]
    partial = [each for each in mappings(facts.get("components")) if each.get("scope") != "cluster"]
    reasons += [f"components: {text}" for each in partial[:1] for text in texts(each.get("warnings"))]
    if reasons:
        yield unknown("; ".join(reasons), "all facts", GRANT)
    else:
        yield ok("all facts were gathered", "all facts")


@check("cluster.api", "error", "The API server is ready")
def api(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """What its /readyz says."""
    state = at(facts, "api", "ready")
    if state is True:
        yield ok("/readyz is good", "/readyz is good")
    elif state is False:
        yield failed(
            str(at(facts, "api", "problem") or "it is not ready"),
            "/readyz is good",
            "Repair what the named check reports, or correct the address. podnet.cni.kube_wait waits for it.",
        )
    else:
        yield unknown(f"/readyz was not read: {reason(facts, 'api')}", "/readyz is good", GRANT)


@check("cluster.network", "error", "No other network runs in the cluster, and none twice")
def network(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """By discovery, in whatever namespace."""
    plugin = str(wanted.get("plugin") or "flannel")
    expected = f"{plugin}, or no network yet"
    if facts.get("components") is None:
        yield unknown(f"the cluster was not searched: {reason(facts, 'components')}", expected, GRANT)
        return
    found = [each for each in mappings(facts.get("components")) if each.get("plugin") not in NO_NETWORK]
    bad = [verdict for each in found for verdict in _judge_component(each, plugin, expected)]
    ready = [node for node in nodes_of(facts) if node.get("ready") == "True"]
    incomplete = any(each.get("scope") == "partial" for each in mappings(facts.get("components")))
    if bad:
        yield from bad
    elif incomplete:
        yield unknown("not everything could be searched, so a network may be hidden", expected, GRANT)
    elif ready and not found:
        seen = f"{len(ready)} of {len(nodes_of(facts))} nodes are Ready: something unknown serves their pods"
        remedy = "Find out what writes the nodes' CNI configuration (preflight of the hosts names the file); remove it."
        yield failed(seen, expected, remedy)
    else:
        names = ", ".join(f"{each.get('plugin')} ({each.get('role')})" for each in found)
        yield ok(names or "no network", expected)


def _judge_component(each: Facts, plugin: str, expected: str) -> Iterator[Verdict]:
    name, role = str(each.get("plugin")), each.get("role")
    workloads = [f"{item.get('namespace')}/{item.get('name')}" for item in mappings(each.get("workloads"))]
    seen = f"{name} is {role}, " + (", ".join(workloads) or str(each.get("install_method") or "without a DaemonSet"))
    if role == "leftover" or each.get("stale_suspected") is True:
        yield failed(
            f"{seen}: left by an installation that is gone",
            expected,
            "Remove what is left of it, also its files on the nodes: the runtime takes the first conflist by name.",
            severity="warning",
        )
    elif role == "duplicate":
        yield failed(f"{seen}: a second one", expected, "Remove one of them before anything else is changed.")
    elif role == "primary" and each.get("install_method") == "embedded":
        yield failed(
            f"{seen}: it belongs to the distribution ({each.get('settings_owner') or each.get('distribution')})",
            expected,
            "Configure it through the distribution: podnet.cni.distribution names the file that decides, and "
            "podnet.cni.distribution_network changes it. Or switch its own network off there.",
        )
    elif role == "primary" and name != plugin:
        yield failed(
            seen,
            expected,
            f"Keep {name}, or plan a migration: two networks at once give pods addresses of either.",
        )
    elif role == "primary":
        yield from _judge_health(each, seen, expected)


def _judge_health(each: Facts, seen: str, expected: str) -> Iterator[Verdict]:
    """One truth: the health that discovery has found."""
    state = at(each, "health", "state")
    reasons = ", ".join(texts(at(each, "health", "reasons"))) or "no reason given"
    if state in ("broken", "disabled", "degraded"):
        # An upgrade may be what repairs it, so it is not an error.
        remedy = "See why (docs/discovery.md says what each reason means), and bring it to health before it is changed."
        yield failed(f"{seen}: it is {state} ({reasons})", expected, remedy, severity="warning")
    elif state == "unknown":
        yield unknown(f"{seen}: its health is not known ({reasons})", expected, "See whether its pods run.")


@check("cluster.windows", "error", "Windows nodes can join the overlay")
def windows(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """What flannel refuses on Windows (flannel v0.28.9 pkg/backend/vxlan/vxlan_windows.go)."""
    if facts.get("nodes") is None:
        yield unknown(f"Nodes were not read: {reason(facts, 'nodes')}", remedy=GRANT)
        return
    found = [node for node in nodes_of(facts) if is_windows(node)]
    config = config_of(wanted)
    if not found or config is None:
        yield skipped("no network config was given" if found else "there are no Windows nodes")
        return
    kind, options = config.backend.type, config.backend.options
    expected = "vxlan with VNI 4096 or above and Port 4789, without DirectRouting and GBP; or host-gw"
    wrong = []
    if kind not in WINDOWS_BACKENDS:
        wrong.append(f"backend {kind}")
    if kind == "vxlan":
        wrong += [f"VNI {options.get('VNI')}"] if (number(options.get("VNI")) or 0) < 4096 else []
        wrong += [f"Port {options.get('Port') or 8472}"] if options.get("Port") != 4789 else []
        wrong += [name for name in ("DirectRouting", "GBP") if options.get(name)]
    if wrong:
        remedy = (
            "Set them for all nodes, Linux too (flannel_windows_nodes of the role flannel); nodes are cut off from "
        )
        remedy += "each other until all are restarted."
        yield failed(f"{len(found)} Windows nodes; {', '.join(wrong)}", expected, remedy)
    else:
        yield ok(f"{len(found)} Windows nodes; the backend suits them", expected)


@check("cluster.versions", "error", "The version matrix allows the combination")
def versions(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Every kubelet's release with what is to be installed."""
    products = {
        name: str(wanted[name])
        for name in ("flannel", "flannel_cni_plugin", "calico", "kube_network_policies")
        if wanted.get(name)
    }
    running = {str(node.get("kubelet")) for node in nodes_of(facts) if node.get("kubelet")}
    running |= {str(each) for each in (wanted.get("kubernetes"), facts.get("version")) if each}
    if not running:
        yield unknown(f"no version of Kubernetes is known: {reason(facts, 'version')}", remedy=GRANT)
        return
    bad: dict[tuple[str, str], tuple[Verdict, list[str]]] = {}
    for version in sorted(running):
        for key, verdict in _judge_version(version, products, _features(facts, wanted)):
            bad.setdefault((verdict.status, key), (verdict, []))[1].append(version)
    for verdict, where in bad.values():
        yield Verdict(
            verdict.status, f"Kubernetes {', '.join(where)}: {verdict.seen}", verdict.expected, verdict.remedy
        )
    if not bad:
        texts_of = ", ".join([f"Kubernetes {', '.join(sorted(running))}", *(f"{k} {v}" for k, v in products.items())])
        yield ok(f"{texts_of}: supported", "a combination of the matrix")


def _judge_version(version: str, products: Facts, features: Facts) -> Iterator[tuple[str, Verdict]]:
    expected = "a combination of the matrix"
    try:
        answer = question.support({"kubernetes": version, **products}, features)
    except InputError as error:
        yield str(error), unknown(str(error), expected, "Look at the release notes.")
        return
    for problem in answer.problems:
        yield problem.id, failed(problem.text, expected, problem.remedy)
    for text in answer.unknown:
        yield text, unknown(text, expected, "Try it on a node that you can spare.")


def _features(facts: Facts, wanted: Facts) -> dict[str, Any]:
    config = config_of(wanted)
    found: dict[str, Any] = {"windows": any(map(is_windows, nodes_of(facts)))}
    if nodes_of(facts):
        found["nodes"] = len(nodes_of(facts))
    if config is not None:
        found.update(backend=config.backend.type, enable_nftables=config.enable_nftables)
        found["dual_stack"] = len(families(wanted)) == 2
    mode = at(facts, "kube_proxy", "mode")
    if isinstance(mode, str) and mode:
        found["kube_proxy_mode"] = mode
    return found


@check("cluster.version_skew", "warning", "No kubelet is newer than the API server, or much older")
def version_skew(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A cluster in the middle of an upgrade is not the time for another one."""
    server = _minor(facts.get("version"))
    if server is None or not nodes_of(facts):
        yield skipped("the versions of API server and kubelets are not both known")
        return
    expected = f"not newer than the API server, at most {SKEW} minor releases older"
    bad = [
        failed(f"kubelet {node.get('kubelet')}, API server {facts.get('version')}", expected, remedy, name_of(node))
        for node in nodes_of(facts)
        for remedy in ["Finish the upgrade of Kubernetes before the network is changed."]
        if _skewed(_minor(node.get("kubelet")), server)
    ]
    yield from bad or [ok(f"{len(nodes_of(facts))} kubelets beside API server {facts.get('version')}", expected)]


def _skewed(kubelet: int | None, server: int) -> bool:
    return kubelet is not None and not 0 <= server - kubelet <= SKEW


def _minor(version: Any) -> int | None:
    try:
        return question.key(str(version))[1] if version else None
    except InputError:
        return None


@check("cluster.kube_proxy", "warning", "kube-proxy and flannel use one kind of firewall rules")
def kube_proxy(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """Rules of nftables and iptables beside each other are evaluated in turns that nobody planned."""
    config = config_of(wanted)
    if not isinstance(facts.get("kube_proxy"), Mapping):
        yield unknown(f"kube-proxy's ConfigMap was not read: {reason(facts, 'kube_proxy')}", remedy=GRANT)
        return
    if at(facts, "kube_proxy", "found") is not True or config is None:
        yield skipped("there is no kube-proxy with a ConfigMap" if config else "no network config was given")
        return
    mode = str(at(facts, "kube_proxy", "mode"))
    seen = f"kube-proxy in mode {mode}, EnableNFTables {str(config.enable_nftables).lower()}"
    if mode == "nftables" and not config.enable_nftables:
        yield failed(seen, "EnableNFTables true", "Set EnableNFTables (flannel_enable_nftables of the role flannel).")
    else:
        yield ok(seen, "EnableNFTables where kube-proxy uses nftables")


@check("cluster.health_port", "error", "No other DaemonSet uses flannel's health port on the nodes")
def health_port(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flannel's probes open the port on the node's own network; a clash is a crash loop."""
    port = number(wanted.get("health_port"))
    if not port:
        yield skipped("flannel has no health port")
        return
    unread = [name for name in ("host_ports", "components") if facts.get(name) is None]
    if unread:
        yield unknown(f"DaemonSets were not read: {reason(facts, unread[0])}", f"port {port:g} is free", GRANT)
        return
    running = running_network(facts)
    own = {f"{item.get('namespace')}/{item.get('name')}" for item in mappings(at(running, "workloads"))}
    clashes = [
        f"container {each.get('container')} of DaemonSet {each.get('daemonset')}"
        for each in mappings(facts.get("host_ports"))
        if number(each.get("port")) == port and str(each.get("daemonset")) not in own
    ]
    if clashes:
        remedy = "Choose another port (flannel_health_port of the role flannel)."
        yield failed(f"port {port:g} is used by {', '.join(clashes)}", f"port {port:g} is free", remedy)
    else:
        yield ok(f"no other DaemonSet names port {port:g}", f"port {port:g} is free")


CLUSTER_CHECKS: tuple[Check, ...] = (
    gathered,
    api,
    versions,
    version_skew,
    network,
    on_nodes.pod_cidr,
    on_nodes.pod_cidr_range,
    on_nodes.pod_cidr_unique,
    on_nodes.network_overlap,
    on_nodes.capacity,
    on_nodes.allocate_node_cidrs,
    admission.pod_security,
    admission.webhooks,
    admission.admission_policies,
    windows,
    kube_proxy,
    health_port,
    on_nodes.public_ip,
    on_nodes.backend_type,
    on_nodes.vtep_mac,
    on_nodes.network_unavailable,
)
