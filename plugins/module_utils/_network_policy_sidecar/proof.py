# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pods and a policy that show whether a denied connection is denied, in a namespace of their own.

No program has to answer in the pods: a port at which nobody listens refuses the connection, which shows that the packet
came through. So a pod counts as soon as it has an address, whether or not its container runs.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import Conflict, Forbidden, NotFound, Unreachable
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import objects

LABEL = "podnet.cni/policy-proof"
CLIENT, OPEN, CLOSED = "client", "open", "closed"
ROLES = (CLIENT, OPEN, CLOSED)
"""Who asks, who may be asked, and whom the policy closes."""
PORT = 9
"""Nobody listens there in a pod that runs none of inetd's services (discard, RFC 863)."""
DEADLINE = 900
"""Seconds after which kubelet ends the pods, should nobody remove them."""
_PAUSE = 1.0
_EVERYONE = 65534


def start(
    client: KubeClient, params: Mapping[str, Any], check_mode: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Make namespace, pods and policy, wait for the addresses, and return what has to be measured.

    Raises InputError for nodes that do not exist and for a namespace that is somebody else's, KubeError, and
    Unreachable naming the pods that got no address in time; then everything is removed again.
    """
    names = _nodes(client, params["nodes"])
    _check_namespace(client, params["namespace"])
    diff = _diff(params["namespace"], names, there=False)
    if check_mode:
        return {"changed": True, "probes": [], "diff": diff}
    try:
        _make(client, params, names, sleep)
        pods = _addresses(client, params, names, sleep)
    except BaseException:
        # What went wrong first is what has to be told.
        with contextlib.suppress(PodnetError):
            remove(client, params, check_mode=False, sleep=sleep)
        raise
    return {"changed": True, "probes": probes(names, pods), "diff": diff}


def remove(
    client: KubeClient, params: Mapping[str, Any], check_mode: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Remove the namespace with everything in it, and wait until it is gone. Raises KubeError."""
    path = f"/api/v1/namespaces/{params['namespace']}"
    if not _check_namespace(client, params["namespace"]):
        return {"changed": False, "probes": []}
    diff = _diff(params["namespace"], [], there=True)
    if check_mode:
        return {"changed": True, "probes": [], "diff": diff}
    deadline = time.monotonic() + params["wait_timeout"]
    client.delete(path)
    while True:
        try:
            client.get(path)
        except NotFound:
            return {"changed": True, "probes": [], "diff": diff}
        if time.monotonic() > deadline:
            raise Unreachable(
                f"Namespace {params['namespace']} is not gone after {params['wait_timeout']:g} s. Its conditions say "
                "what holds it: look at them, then run this again with state absent."
            )
        sleep(_PAUSE)


def _diff(namespace: str, nodes: Sequence[str], *, there: bool) -> dict[str, str]:
    """What comes, or goes: the namespace with its pods and its policy."""
    pods = "".join(f"three pods on {node}\n" for node in nodes)
    text = (
        f"Namespace {namespace}, with\nNetworkPolicy deny\n{pods}"
        if nodes
        else f"Namespace {namespace}, with all in it\n"
    )
    return {"before": text if there else "", "after": "" if there else text}


def _nodes(client: KubeClient, wanted: Sequence[str]) -> list[str]:
    found = [str(item["metadata"]["name"]) for item in client.list("/api/v1/nodes", {}, metadata_only=True).items]
    unknown = sorted(set(wanted) - set(found))
    if unknown:
        raise InputError(f"nodes: there is no Node {', '.join(unknown)}. Give names of Nodes.")
    if not wanted:
        raise InputError("nodes is empty, so nothing would be shown. Give the Nodes on which policies are to hold.")
    return sorted(set(wanted))


def _check_namespace(client: KubeClient, name: str) -> bool:
    """Whether the namespace is there. Raises InputError for one that is not ours."""
    try:
        found = client.get(f"/api/v1/namespaces/{name}")
    except NotFound:
        return False
    if LABEL not in (found["metadata"].get("labels") or {}):
        raise InputError(f"namespace {name} lacks the label {LABEL}, so it is someone else's. Give another name.")
    return True


def _make(client: KubeClient, params: Mapping[str, Any], names: Sequence[str], sleep: Callable[[float], None]) -> None:
    if _check_namespace(client, params["namespace"]):
        remove(client, params, check_mode=False, sleep=sleep)
    client.create("/api/v1/namespaces", namespace(params["namespace"]))
    inside = f"/api/v1/namespaces/{params['namespace']}"
    policies = f"/apis/networking.k8s.io/v1/namespaces/{params['namespace']}/networkpolicies"
    client.create(policies, policy())
    deadline = time.monotonic() + params["wait_timeout"]
    for number, node in enumerate(names):
        for role in ROLES:
            while True:
                try:
                    client.create(f"{inside}/pods", pod(role, number, node, params["image"], params["command"]))
                    break
                except (Conflict, Forbidden):
                    # Pods are refused until the controller manager has made the namespace's service account.
                    if time.monotonic() > deadline:
                        raise
                    sleep(_PAUSE)


def namespace(name: str) -> dict[str, Any]:
    """The namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true", **_owner()}}}


def _owner() -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": objects.LABELS["app.kubernetes.io/managed-by"]}


def policy() -> dict[str, Any]:
    """The policy that lets nothing in to the closed pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "labels": _owner()},
        "spec": {"podSelector": {"matchLabels": {LABEL: CLOSED}}, "policyTypes": ["Ingress"]},
    }


def pod(role: str, number: int, node: str, image: str, command: Sequence[str]) -> dict[str, Any]:
    """A pod that does nothing, bound to its node so that no scheduler and no taint keeps it from there."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{role}-{number}", "labels": {LABEL: role, **_owner()}},
        "spec": {
            "nodeName": node,
            "activeDeadlineSeconds": DEADLINE,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _EVERYONE,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "idle",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": list(command),
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


def _addresses(
    client: KubeClient, params: Mapping[str, Any], names: Sequence[str], sleep: Callable[[float], None]
) -> dict[tuple[str, int], list[str]]:
    """The addresses of each pod. Raises Unreachable for those that get none."""
    path = f"/api/v1/namespaces/{params['namespace']}/pods"
    wanted = {f"{role}-{number}": (role, number) for number in range(len(names)) for role in ROLES}
    deadline = time.monotonic() + params["wait_timeout"]
    while True:
        items = client.list(path, {}).items
        found = {}
        for item in items:
            key = wanted.get(item["metadata"]["name"])
            addresses = [entry["ip"] for entry in fields.sequence(item, "status", "podIPs")]
            if key is not None and addresses:
                found[key] = addresses
        if len(found) == len(wanted):
            return found
        if time.monotonic() > deadline:
            without = sorted(name for name, key in wanted.items() if key not in found)
            raise Unreachable(
                f"The pods {', '.join(without)} have no address after {params['wait_timeout']:g} s, so nothing is "
                "shown. " + " ".join(_why(item) for item in items if item["metadata"]["name"] in without)
            )
        sleep(_PAUSE)


def _why(item: Mapping[str, Any]) -> str:
    status = item.get("status") or {}
    waiting = [
        f"{state.get('reason')}: {state.get('message') or 'no message'}"
        for state in (fields.mapping(each, "state", "waiting") for each in status.get("containerStatuses") or [])
        if state
    ]
    node = fields.at(item, "spec", "nodeName")
    words = waiting or [str(status.get("message") or status.get("reason") or f"phase {status.get('phase')}")]
    return f"{item['metadata']['name']} on {node}: {'; '.join(words)}."


def probes(names: Sequence[str], pods: Mapping[tuple[str, int], Sequence[str]]) -> list[dict[str, Any]]:
    """For each node and address of its client, the targets: on the same node and on the next, open and closed."""
    found = []
    for number, node in enumerate(names):
        for address in pods[CLIENT, number]:
            targets = []
            for other in sorted({number, (number + 1) % len(names)}, key=lambda each: each != number):
                for role, expect in ((OPEN, "reachable"), (CLOSED, "unreachable")):
                    same = [each for each in pods[role, other] if (":" in each) == (":" in address)]
                    targets += [
                        {
                            "name": f"{role} pod on {names[other]}",
                            "address": each,
                            "protocol": "tcp",
                            "port": PORT,
                            "expect": expect,
                        }
                        for each in same[:1]
                    ]
            source = f"client pod on {node}"
            found.append({"node": node, "source": source, "source_address": address, "targets": targets})
    return found
