# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of what an API server asks before it lets the network's own objects in; no I/O.

Which requests a webhook gets: https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import at, mapping, mappings
from ansible_collections.podnet.cni.plugins.module_utils._kube.selectors import parse as parse_selector
from ansible_collections.podnet.cni.plugins.module_utils._preflight.cluster_checks_nodes import GRANT
from ansible_collections.podnet.cni.plugins.module_utils._preflight.finding import (
    Verdict,
    check,
    failed,
    ok,
    skipped,
    unknown,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight.host_wanted import reason, texts

Facts = Mapping[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"
ENFORCE = "pod-security.kubernetes.io/enforce"
POD_LABELS: Mapping[str, Mapping[str, str]] = {
    "flannel": {"app": "flannel", "tier": "node", "k8s-app": "flannel"},
    "canal": {"k8s-app": "canal"},
}
"""Labels of the network's pods by plugin (flannel v0.28.9 Documentation/kube-flannel.yml, Calico v3.32
manifests/canal.yaml)."""


class Request(NamedTuple):
    """A request that has to be let in: group, version and name of the resource, the operation, and whether the object
    is in the network's namespace."""

    group: str
    version: str
    resource: str
    operation: str
    namespaced: bool


REQUESTS = (
    Request("", "v1", "pods", "CREATE", True),
    Request("apps", "v1", "daemonsets", "CREATE", True),
    Request("apps", "v1", "daemonsets", "UPDATE", True),
    Request("", "v1", "nodes", "UPDATE", False),
    Request("", "v1", "nodes/status", "UPDATE", False),
)
"""What a network needs to start: its DaemonSet, the pods of it, and what flanneld writes on its Node."""


def namespace_of(facts: Facts, wanted: Facts) -> str:
    """The namespace that the network is to be in."""
    return str(wanted.get("namespace") or at(facts, "namespace", "name") or "kube-flannel")


@check("cluster.pod_security", "error", "The network's namespace lets privileged pods in")
def pod_security(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """flannel's and Canal's pods use the host's network and directories, which only the level privileged allows."""
    name = namespace_of(facts, wanted)
    where, expected = f"Namespace/{name}", f"{ENFORCE}=privileged"
    if not isinstance(facts.get("namespace"), Mapping):
        yield unknown(f"the namespace was not read: {reason(facts, 'namespace')}", expected, GRANT, where)
        return
    if at(facts, "namespace", "exists") is not True:
        yield skipped("it is not there yet; the roles of this collection make it with the label", where)
        return
    level = at(facts, "namespace", "labels", ENFORCE)
    remedy = f"Label the namespace with {expected}; the roles of this collection do."
    if level == "privileged":
        yield ok(expected, expected, where)
    elif level:
        yield failed(f"{ENFORCE}={level}", expected, remedy, where)
    elif name == "kube-system":
        yield ok("no label; kube-system is what clusters exempt from their own default", expected, where)
    else:
        yield failed("no label, so the cluster's own default counts", expected, remedy, where, "warning")


@check("cluster.webhooks", "warning", "No admission webhook can keep the network from starting")
def webhooks(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """A webhook that fails closed and runs as a pod needs the network that it may keep out."""
    expected = "none that fails closed and asks a pod"
    if facts.get("webhooks") is None:
        yield unknown(f"webhooks were not read: {reason(facts, 'webhooks')}", expected, GRANT)
        return
    found = [
        verdict
        for hook in mappings(facts.get("webhooks"))
        if hook.get("failure_policy") == "Fail"
        for verdict in _judge_webhook(hook, _asked(hook, facts, wanted))
    ]
    yield from found or [ok(f"{len(mappings(facts.get('webhooks')))} webhooks, none can", expected)]


def _judge_webhook(hook: Facts, asked: list[str]) -> Iterator[Verdict]:
    if not asked:
        return
    subject = f"{hook.get('kind')}/{hook.get('configuration')}"
    target = str(hook.get("service") or hook.get("url") or "no address")
    seen = f"{hook.get('name')} fails closed for {', '.join(asked)}, and asks {target}"
    expected = "a namespaceSelector that leaves the network's namespace out, or failurePolicy Ignore"
    remedy = "Exclude the namespace by its label kubernetes.io/metadata.name in the webhook's namespaceSelector."
    conditions = texts(hook.get("match_conditions"))
    if conditions:
        text = f"{seen}, unless its matchConditions keep it away: {' && '.join(conditions)}"
        yield unknown(text, expected, "Read the conditions: they are not evaluated here.", subject)
    elif not hook.get("service"):
        yield failed(
            seen, expected, "Make sure that the address answers without the cluster's network.", subject, "info"
        )
    elif at(hook, "backend", "ready") == 0:
        yield failed(f"{seen}, which has no ready endpoint now", expected, remedy, subject, "error")
    elif at(hook, "backend", "host_network") is True:
        yield ok(f"{seen}, whose pods are in the network of their nodes", expected, subject)
    else:
        yield failed(f"{seen}, whose pods need the network", expected, remedy, subject)


@check("cluster.admission_policies", "info", "No admission policy judges the network's pods")
def admission_policies(facts: Facts, wanted: Facts) -> Iterator[Verdict]:
    """The API server evaluates these itself, so they cannot hang; but they can refuse."""
    expected = "none that matches, or one that allows them"
    if facts.get("policies") is None:
        yield unknown(f"policies were not read: {reason(facts, 'policies')}", expected, GRANT)
        return
    found = []
    for policy in mappings(facts.get("policies")):
        asked = _asked(policy, facts, wanted)
        bindings = [each for each in mappings(policy.get("bindings")) if _binds(each, policy, facts, wanted)]
        if asked and bindings:
            names = ", ".join(str(each.get("name")) for each in bindings)
            found.append(
                failed(
                    f"judges {', '.join(asked)} through {names}; what it says is not evaluated here",
                    expected,
                    "Try it with a dry run: kube_apply in check mode.",
                    f"{policy.get('kind')}/{policy.get('name')}",
                )
            )
    yield from found or [ok(f"{len(mappings(facts.get('policies')))} policies, none does", expected)]


def _binds(binding: Facts, policy: Facts, facts: Facts, wanted: Facts) -> bool:
    """Whether a binding puts its policy into force, with the power to refuse, in the network's namespace."""
    if policy.get("kind") == "ValidatingAdmissionPolicy" and "Deny" not in texts(binding.get("actions")):
        return False
    return _selected(binding, facts, wanted)


def _asked(item: Facts, facts: Facts, wanted: Facts) -> list[str]:
    """The requests, in words, that a webhook or policy is asked about; a selector that does not parse selects."""
    matching = [
        each
        for each in REQUESTS
        if any(_covers(rule, each, item.get("match_policy") != "Exact") for rule in mappings(item.get("rules")))
        and not any(_covers(rule, each, True) for rule in mappings(item.get("excluded")))
        and (_selected(item, facts, wanted) if each.namespaced else not item.get("object_selector"))
    ]
    return [f"{each.operation} {each.resource}" for each in matching]


def _covers(rule: Facts, request: Request, equivalent: bool) -> bool:
    """Whether a rule of a webhook or policy holds for a request; by equivalence other versions of it too."""
    resources = texts(rule.get("resources"))
    main, _slash, sub = request.resource.partition("/")
    matching = {request.resource, f"*/{sub}", f"{main}/*", "*/*"} if sub else {main, "*", "*/*"}
    scope = str(rule.get("scope") or "*")
    return (
        bool({request.group, "*"} & set(texts(rule.get("apiGroups"))))
        and (equivalent or bool({request.version, "*"} & set(texts(rule.get("apiVersions")))))
        and bool({request.operation, "*"} & set(texts(rule.get("operations"))))
        and bool(matching & set(resources))
        and scope in ("*", "Namespaced" if request.namespaced else "Cluster")
    )


def _selected(item: Facts, facts: Facts, wanted: Facts) -> bool:
    """Whether the selectors let the network's namespace and pods through."""
    name = namespace_of(facts, wanted)
    labels = mapping(facts, "namespace", "labels")
    if at(facts, "namespace", "exists") is not True:
        labels[ENFORCE] = "privileged"
    labels[NAME_LABEL] = name
    own = wanted.get("pod_labels")
    pods = own if isinstance(own, Mapping) else POD_LABELS.get(str(wanted.get("plugin")), POD_LABELS["flannel"])
    return _matches(item.get("namespace_selector"), labels) and _matches(item.get("object_selector"), pods)


def _matches(selector: Any, labels: Mapping[str, str]) -> bool:
    try:
        return parse_selector(selector, "selector").matches(labels)
    except InputError:
        return True
