# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster still lacks before the next part of an installation can be started: one look, no waiting.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence, Union

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import causes, crds, fields, rollout
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    KubeError,
    NotFound,
    Unreachable,
)

ANSWER_TIMEOUT = 10.0
"""Seconds for one request: a look has to end so that it can be repeated and its news shown."""

REJOIN = "Delete and join such a node anew."

FAMILIES = ("ipv4", "ipv6")
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "ready": {"type": "bool", "default": True},
    "crds": {"type": "list", "elements": "str", "default": []},
    "pod_cidrs": {"type": "list", "elements": "str", "choices": list(FAMILIES), "default": []},
    "networks": {"type": "list", "elements": "str", "default": []},
    "nodes_ready": {"type": "bool", "default": False},
    "node_selector": {"type": "dict", "default": {}},
    "rollouts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "kind": {"type": "str", "choices": list(rollout.KINDS), "default": "DaemonSet"},
            "namespace": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "left_out": {"type": "list", "elements": "str", "default": []},
        },
    },
    "timeout": {"type": "float", "default": 300.0},
    "poll": {"type": "float", "default": 2.0},
}
TOLD: dict[str, dict[str, Any]] = {
    "explain": {"type": "bool", "default": False},
    "patience": {"type": "float", "default": 0.0},
}
"""What the action plugin says: whether to look for the causes of what is missing, which is too much for every look, and
seconds for which to look again, C(poll) seconds apart, as long as the same is missing."""

Obj = Mapping[str, Any]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
_VERSION = {"ipv4": 4, "ipv6": 6}
_NAME = {4: "IPv4", 6: "IPv6"}


@dataclass(frozen=True)
class Missing:
    """What is missing on which object. C(remedy) says what helps where waiting does not.

    C(awaits_cidr) tells that it is a podCIDR, C(is_cause) that it is why what stands before it is missing.
    """

    object: str
    problem: str
    remedy: str = ""
    awaits_cidr: bool = False
    is_cause: bool = False

    def __str__(self) -> str:
        return f"{self.object}: {self.problem}"


def look(client: KubeClient, params: Obj, remarks: list[str]) -> list[Missing]:
    """Everything that is missing now, in the order in which a cluster starts.

    What is not missing and yet not as one would think is added to C(remarks).
    Nothing but the API server itself is asked for while that is not ready. Raises InputError and KubeError, for what
    waiting does not help, like a missing right.
    """
    networks = parse_networks(params["networks"])
    try:
        found = list(_server(client)) if params["ready"] else []
        if not found:
            found += _definitions(client, params["crds"])
            found += _nodes(client, params, networks)
            found += _allocator(client, found) if params["explain"] else []
            found += _workloads(client, params["rollouts"], params["explain"], remarks)
    except Unreachable as error:
        found = [Missing(f"API server {client.target.label}", str(error))]
    return found


def _server(client: KubeClient) -> Iterator[Missing]:
    where = f"API server {client.target.label}"
    try:
        client.request("GET", "/readyz", query={"verbose": "true"})
    except Unreachable as error:
        yield Missing(where, str(error))
    except KubeError as error:
        # 403 too: while a server starts, it does not know its own rules yet.
        yield Missing(where, unready(error.text) or str(error))


def unready(text: str) -> str:
    """The failing checks in the verbose answer of C(/readyz), empty when it names none.

    Its lines are C([+]name ok) and C([-]name failed: reason) (k8s.io/apiserver v0.36 pkg/server/healthz/healthz.go).
    """
    failing = [line[3:].strip() for line in text.splitlines() if line.startswith("[-]")]
    return f"/readyz: {', '.join(failing)}" if failing else ""


def _definitions(client: KubeClient, names: Sequence[str]) -> Iterator[Missing]:
    for name in names:
        problem = crds.missing(client, name)
        if problem:
            yield Missing(f"{crds.KIND} {name}", problem)


def _nodes(client: KubeClient, params: Obj, networks: Sequence[Network]) -> Iterator[Missing]:
    if not params["pod_cidrs"] and not params["nodes_ready"]:
        return
    terms = ["kubernetes.io/os!=windows", *(f"{key}={value}" for key, value in params["node_selector"].items())]
    for node in client.list("/api/v1/nodes", {"labelSelector": ",".join(terms)}).items:
        where = f"Node {fields.at(node, 'metadata', 'name')}"
        for text, final in lacking_cidrs(node, params["pod_cidrs"], networks):
            yield Missing(where, text, REJOIN if final else "", awaits_cidr=not final)
        problem = crds.condition_text(node, "Ready") if params["nodes_ready"] else ""
        if problem:
            yield Missing(where, problem)


def _allocator(client: KubeClient, found: Sequence[Missing]) -> Iterator[Missing]:
    """That nobody is there who gives podCIDRs, where some are awaited."""
    if any(item.awaits_cidr for item in found):
        problem = causes.leader(client, "kube-controller-manager")
        if problem:
            yield Missing("kube-controller-manager", problem, is_cause=True)


def lacking_cidrs(node: Obj, families: Sequence[str], networks: Sequence[Network]) -> Iterator[tuple[str, bool]]:
    """What a Node lacks of its podCIDRs, and whether that is final: a podCIDR never changes once it is set."""
    spec = node.get("spec") or {}
    texts = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    held = [ipaddress.ip_network(str(text), strict=False) for text in texts]
    for family in families:
        version = _VERSION[family]
        own = [each for each in held if each.version == version]
        if not own:
            # The controller gives all families at once, so one of another family is all there will ever be.
            text = f"it has no podCIDR of {_NAME[version]}"
            yield (f"{text}, only {texts[0]}", True) if held else (f"{text} yet", False)
        around = [each for each in networks if each.version == version]
        for each in own:
            if around and not any(_inside(each, network) for network in around):
                inside = " or ".join(map(str, around))
                yield f"its podCIDR {each} is not inside {inside}, and it cannot be changed", True


def _inside(inner: Network, outer: Network) -> bool:
    return inner.prefixlen >= outer.prefixlen and inner.network_address in outer


def parse_networks(texts: Sequence[str]) -> list[Network]:
    """Networks from their texts. Raises InputError."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise InputError(f"networks: {text} is not a network ({error}). Give one like 10.244.0.0/16.") from None
    return found


def check(params: Obj) -> None:
    """Refuse options that cannot be meant. Raises InputError."""
    for name in ("timeout", "poll"):
        if params[name] <= 0:
            raise InputError(f"{name} is {params[name]:g}: give seconds above 0.")
    given = {_VERSION[family] for family in params["pod_cidrs"]}
    for network in parse_networks(params["networks"]):
        if network.version not in given:
            raise InputError(
                f"networks holds {network}, but no podCIDRs of {_NAME[network.version]} are awaited: add "
                f"{'ipv4' if network.version == 4 else 'ipv6'} to pod_cidrs, or leave it out."
            )


def describe(missing: Sequence[Missing]) -> str:
    """The first that is missing, with the first of its causes, and how many more things are."""
    if not missing:
        return ""
    cause = next((item for item in missing if item.is_cause), None)
    said = [missing[0], *([cause] if cause else [])]
    more = len(missing) - len(said)
    return f"waiting for {'; '.join(map(str, said))}" + (f" (and {more} more)" if more else "")


def watch(client: KubeClient, params: Obj, remarks: list[str], sleep: Callable[[float], None]) -> list[Missing]:
    """Look again and again while the same is missing, for C(patience) seconds; ask for causes once, in the end."""
    plain = {**params, "explain": False}
    until = time.monotonic() + params["patience"]
    first = look(client, plain, remarks)
    missing = first
    while missing and missing == first and not any(item.remedy for item in missing):
        left = until - time.monotonic()
        if left <= 0:
            break
        sleep(min(params["poll"], left))
        remarks.clear()
        missing = look(client, plain, remarks)
    if missing and params["explain"]:
        remarks.clear()
        missing = look(client, params, remarks)
    return missing


def run(
    client: KubeClient, params: Obj, check_mode: bool, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """The module kube_wait: one look, or more with patience.

    Raises InputError and KubeError, also for what waiting does not help.
    """
    check(params)
    remarks: list[str] = []
    patient = params["patience"] > 0 and not check_mode
    missing = watch(client, params, remarks, sleep) if patient else look(client, params, remarks)
    hopeless = [item for item in missing if item.remedy]
    if hopeless and not check_mode:
        remedies = " ".join(dict.fromkeys(item.remedy for item in hopeless))
        raise InputError(f"{'; '.join(map(str, hopeless[:5]))}. Waiting does not help. {remedies}")
    return {
        "changed": False,
        "missing": [{"object": item.object, "problem": item.problem} for item in missing],
        "done": check_mode or not missing,
        "progress": {"text": describe(missing)},
        "warnings": [] if missing else remarks,
    }


def _workloads(client: KubeClient, wanted: Sequence[Obj], explain: bool, remarks: list[str]) -> Iterator[Missing]:
    for item in wanted:
        where = f"{item['kind']} {item['namespace']}/{item['name']}"
        path = f"/apis/apps/v1/namespaces/{item['namespace']}/{item['kind'].lower()}s/{item['name']}"
        try:
            found = client.get(path)
            problem = rollout.missing(found)
        except NotFound:
            found, problem = {}, "it does not exist"
        old = rollout.outdated(found)
        if old:
            remarks.append(f"{where}: {old}")
        if not problem:
            continue
        lack = causes.shortage(client, found, item["left_out"]) if found and explain else causes.Shortage()
        if lack.excused:
            why = "; ".join(f"{cause.object}: {cause.problem}" for cause in lack.causes)
            nodes = ", ".join(lack.excused)
            remarks.append(f"{where} is not awaited on {nodes}: {why or 'the node does not report any more'}.")
            continue
        yield Missing(where, problem)
        if lack.remedy:
            yield from (Missing(cause.object, cause.problem, lack.remedy, is_cause=True) for cause in lack.causes)
            continue
        yield from (Missing(cause.object, cause.problem, is_cause=True) for cause in lack.causes)
