# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of a cluster whose network runs in pods: what the preflight does not look at, in the manner of C(checks).

Private to podnet.cni: may change in any release.

C(facts["cluster"]) are those of preflight_cluster_info with its option network_pods; empty where no cluster was asked.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mappings
from ansible_collections.podnet.cni.plugins.module_utils._preflight import network_pods
from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks_nodes import (
    is_windows,
    name_of,
    nodes_of,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import Verdict, check, failed, ok, unknown
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import items, reason, texts
from ansible_collections.podnet.cni.plugins.module_utils._status import repairs

Facts = Mapping[str, Any]


@check("cluster.asked", "error", "The cluster tells about itself")
def asked(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    if facts["cluster"].get("msg"):
        remedy = "Correct doctor_kubeconfig or doctor_cluster_host."
        yield unknown(str(facts["cluster"]["msg"]), "an API server that answers", remedy)
    elif facts["cluster"] and at(facts["cluster"], "api", "answers") is not True:
        yield unknown(str(at(facts["cluster"], "api", "problem") or "it does not answer"), "an API server", "Start it.")
    elif facts["cluster"] and not network_pods.primary(facts["cluster"].get("components")):
        yield unknown("no flannel or Canal was found that carries the pods", "a network in pods", _NO_NETWORK)


@check("cluster.nodes", "error", "Every node is ready")
def nodes(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for node in nodes_of(facts["cluster"]):
        if node.get("ready") == "True" or is_windows(node):
            yield ok("it is", subject=name_of(node))
        else:
            silent = node.get("ready") == "Unknown"
            seen = "its kubelet does not report any more" if silent else "the condition Ready is not True"
            yield failed(seen, "Ready", _NODE, name_of(node))


@check("cluster.pods", "error", "The network's pod runs on every node")
def pods(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for entry in _pods(facts):
        if entry.get("cause") not in ("", network_pods.NOT_PROGRAMMED):
            yield failed(f"{entry.get('reason')}{_log(entry)}", "a pod that is ready", _pod_remedy(entry), _node(entry))
        else:
            yield ok("it does", subject=_node(entry))
    if facts["cluster"] and not facts["cluster"].get("msg") and facts["cluster"].get("network_pods") is None:
        remedy = "Grant the rights that preflight_cluster_info names."
        yield unknown(reason(facts["cluster"], "network_pods"), "the pods of the network", remedy)


@check("cluster.programmed", "error", "Every pod of the network that is ready has programmed its node")
def programmed(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flanneld writes annotations and condition of its Node last (flannel v0.28.9 pkg/subnet/kube/kube.go)."""
    for entry in _pods(facts):
        if entry.get("cause") == network_pods.NOT_PROGRAMMED:
            seen = f"the pod is ready, and {entry.get('reason')}{_log(entry)}"
            yield failed(seen, "what its daemon writes when it has started", repairs.DRIFT, _node(entry))
        elif not entry.get("cause"):
            yield ok("it has", subject=_node(entry))


@check("cluster.logs", "warning", "The API server reaches the kubelets: logs and exec work")
def logs(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for entry in _pods(facts):
        if entry.get("log_problem"):
            remedy = _RIGHT if entry.get("log_refused") else _KUBELET
            yield failed(f"the log of {entry.get('pod')}: {entry['log_problem']}", "its log", remedy, _node(entry))
        elif entry.get("pod"):
            yield ok("they do", subject=_node(entry))


@check("cluster.kinds", "error", "The API server serves every kind that the network needs")
def kinds(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    for group, found in items(facts["cluster"].get("kinds")):
        missing = texts(at(found, "missing"))
        if missing:
            seen = f"of {group} it does not serve {', '.join(missing)}"
            yield failed(seen, f"{len(texts(at(found, 'needed')))} kinds of {group}", _CRDS, "cluster")
        else:
            yield ok(f"all kinds of {group}", subject="cluster")


@check("cluster.sidecar_rights", "error", "The policy sidecar may read what it enforces")
def sidecar_rights(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    found = facts["cluster"].get("sidecar")
    if not found:
        return
    missing = texts(at(found, "missing"))
    if missing:
        seen = f"the account {at(found, 'account')} may not {', '.join(missing)}"
        yield failed(seen, "list and watch for pods, namespaces and networkpolicies", _SIDECAR, "cluster")
    else:
        yield ok("it may", subject="cluster")


@check("host.policy_sidecar", "error", "The policy sidecar enforces on every node")
def policy_sidecar(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """What network_policy_host_info says of a node on which a sidecar is to run."""
    for host in facts["hosts"]:
        told = host["sidecar"]
        if told.get("msg"):
            yield unknown(str(told["msg"]), "what the kernel can do", "Remove what is in the way.", host["name"])
        if "findings" not in told:
            continue
        grave = [str(each.get("text")) for each in mappings(told["findings"]) if each.get("level") == "error"]
        for text in grave:
            yield failed(text, "policies hold", _SIDECAR, host["name"])
        if told.get("running") is not True and not grave:
            seen = "its table is not there, or nobody listens on its queue: it enforces nothing"
            yield failed(seen, "policies hold", _SIDECAR, host["name"])
        if told.get("running") is True and not grave:
            yield ok("it does", subject=host["name"])


_SIDECAR = (
    "See docs/network-policy.md for the kernel, the release and the mode that it needs; run podnet.cni.flannel again "
    "for its rights. network_policy_proof shows whether a denied connection is denied."
)
_NO_NETWORK = "Install it with podnet.cni.flannel or podnet.cni.canal; what else was found is in docs/discovery.md."
_NODE = "Look at the kubelet of the node: systemctl status kubelet, journalctl -u kubelet."
_KUBELET = (
    "Let the API server reach TCP port 10250 of the node, and sign the kubelet's serving certificate: kubectl get csr. "
    "Until then leave the gate out by name: flannel_rollout_gates=[node]."
)
_RIGHT = "Grant get for pods/log, or leave the gate out by name: flannel_rollout_gates=[node]."
_CRDS = (
    "Apply the CustomResourceDefinitions of the release first: podnet.cni.canal does, and waits until they are served."
)


def _pods(facts: Facts) -> list[Facts]:
    return mappings(facts["cluster"].get("network_pods"))


def _node(entry: Facts) -> str:
    return f"Node/{entry.get('node')}"


def _log(entry: Facts) -> str:
    lines = texts(entry.get("log"))
    return f"; its log: {' | '.join(lines)}" if lines else ""


def _pod_remedy(entry: Facts) -> str:
    target = (
        f"{entry.get('pod')}" if entry.get("pod") else f"daemonset/{str(entry.get('daemonset')).rsplit('/', 1)[-1]}"
    )
    kind = f"pod {target}" if entry.get("pod") else target
    return f"See why: kubectl -n {entry.get('namespace')} describe {kind}."


CLUSTER_CHECKS = (asked, nodes, pods, programmed, logs, kinds, sidecar_rights, policy_sidecar)
