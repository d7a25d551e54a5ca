# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read once what the checks of a cluster judge: few requests, each answer cut down to what is looked at.

What may not be read, or is not answered, is left out of the facts; C(reasons) says why, and which right is missing.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._discovery import (
    cluster,
    flannel_nodes,
    nodes,
    objects,
    recognisers,
)
from ansible_collections.podnet.cni.plugins.module_utils._discovery.objects import Obj
from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import to_dict
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, wait
from ansible_collections.podnet.cni.plugins.module_utils._kube.client import KubeClient
from ansible_collections.podnet.cni.plugins.module_utils._kube.errors import (
    Forbidden,
    InvalidAuth,
    KubeError,
    MissingLibrary,
    NotFound,
    Unreachable,
)
from ansible_collections.podnet.cni.plugins.module_utils._preflight import network_pods

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
POLICIES = ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy")
CONTROLLER_FLAGS = (
    "allocate-node-cidrs",
    "cluster-cidr",
    "node-cidr-mask-size",
    "node-cidr-mask-size-ipv4",
    "node-cidr-mask-size-ipv6",
)
RIGHTS: Mapping[str, str] = {
    "nodes": "list nodes",
    "namespace": "get namespaces",
    "webhooks": "list validatingwebhookconfigurations and mutatingwebhookconfigurations (admissionregistration.k8s.io)",
    "backends": "list endpointslices (discovery.k8s.io) in the namespaces of webhooks",
    "policies": "list validatingadmissionpolicies, mutatingadmissionpolicies and their bindings "
    "(admissionregistration.k8s.io)",
    "controller_manager": "list pods in kube-system",
    "events": "list events in default",
    "kube_proxy": "get configmaps kube-proxy in kube-system",
    "host_ports": "list daemonsets (apps)",
    "components": "what docs/manifests/discovery-rbac.yaml grants",
    "network_pods": "get daemonsets (apps), list pods and get pods/log in the network's namespace",
    "sidecar": "create subjectaccessreviews (authorization.k8s.io)",
    "kinds": "get the list of kinds of an API group (ClusterRole system:discovery has it)",
}
"""Name of a fact to the right it needs."""


class Reader:
    """One run over one cluster."""

    def __init__(self, client: KubeClient, namespace: str, annotation_prefix: str, pods: bool = False) -> None:
        self.client = client
        self.pods = pods
        self.namespace = namespace
        self.prefix = flannel_nodes.annotation_prefix(annotation_prefix)
        self.facts: dict[str, Any] = {"subject": "cluster"}
        self.reasons: dict[str, str] = {}

    def read(self) -> dict[str, Any]:
        """All facts. Raises InvalidAuth and MissingLibrary."""
        self._api()
        if self.facts["api"]["answers"]:
            self._ask("version", self._version)
            self._ask("nodes", self._nodes)
            self._ask("namespace", self._namespace)
            self._ask("components", self._components)
            self._ask("webhooks", self._webhooks)
            self._ask("policies", self._policies)
            self._ask("controller_manager", self._controller_manager)
            if any(not node["pod_cidrs"] for node in self.facts.get("nodes") or []):
                self._ask("events", self._events)
            self._ask("kube_proxy", self._kube_proxy)
            self._ask("host_ports", self._host_ports)
            if self.pods and self.facts.get("components") is not None:
                self._ask("kinds", lambda: network_pods.kinds(self.client, self.facts["components"]))
                self._ask("sidecar", lambda: network_pods.sidecar_rights(self.client, self.facts["components"]))
                self._ask("network_pods", lambda: network_pods.read(self.client, self.facts["components"], self.prefix))
        else:
            self.reasons.update((name, "the API server does not answer") for name in ("version", *RIGHTS))
        return {**self.facts, "reasons": self.reasons}

    def _ask(self, name: str, question: Callable[[], Any]) -> None:
        try:
            self.facts[name] = question()
        except (InvalidAuth, MissingLibrary):
            raise
        except Forbidden as error:
            self.reasons[name] = f"the right to {RIGHTS[name]} is missing ({error})"
        except KubeError as error:
            self.reasons[name] = str(error)

    def _api(self) -> None:
        found: dict[str, Any] = {"answers": True, "ready": True, "problem": ""}
        try:
            self.client.request("GET", "/readyz", query={"verbose": "true"})
        except (InvalidAuth, MissingLibrary):
            raise
        except Unreachable as error:
            found = {"answers": False, "ready": False, "problem": str(error)}
        except Forbidden:
            found["ready"] = None
            self.reasons["api"] = "the right to get /readyz is missing (ClusterRole system:public-info-viewer has it)"
        except KubeError as error:
            found.update(ready=False, problem=wait.unready(error.text) or str(error))
        self.facts["api"] = found

    def _version(self) -> str:
        return fields.text(self.client.get("/version"), "gitVersion")

    def _nodes(self) -> list[dict[str, Any]]:
        return [describe_node(node, self.prefix) for node in self.client.list("/api/v1/nodes").items]

    def _namespace(self) -> dict[str, Any]:
        try:
            found = self.client.get(f"/api/v1/namespaces/{self.namespace}")
        except NotFound:
            return {"name": self.namespace, "exists": False, "labels": {}}
        return {"name": self.namespace, "exists": True, "labels": objects.labels(found)}

    def _components(self) -> list[dict[str, Any]]:
        # In mode full it is one list of DaemonSets, where a search by labels would take several.
        return [
            to_dict(record)
            for record in cluster.discover(self.client, cluster.Scope(mode="full"), recognisers.load_all())
        ]

    def _list(self, plural: str) -> list[dict[str, Any]]:
        """Objects for admission; none where the server does not know the kind."""
        try:
            return self.client.list(f"{_ADMISSION}/{plural}").items
        except NotFound:
            return []

    def _webhooks(self) -> list[dict[str, Any]]:
        found = []
        for kind in WEBHOOKS:
            for configuration in self._list(f"{kind.lower()}s"):
                for hook in fields.sequence(configuration, "webhooks"):
                    found.append(describe_webhook(kind, objects.name(configuration), hook))
        self._backends([hook for hook in found if hook["failure_policy"] == "Fail" and hook["service"]])
        return found

    def _backends(self, hooks: list[dict[str, Any]]) -> None:
        """How many ready endpoints the services have, and whether they are in the network of their nodes."""
        hosts = {address for node in self.facts.get("nodes") or [] for address in node["internal_ips"]}
        answers: dict[str, Any] = {}
        for hook in hooks:
            service = hook["service"]
            if service not in answers:
                namespace, name = service.split("/", 1)
                path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                try:
                    slices = self.client.list(path, {"labelSelector": f"kubernetes.io/service-name={name}"}).items
                except KubeError as error:
                    if isinstance(error, Forbidden):
                        self.reasons["backends"] = f"the right to {RIGHTS['backends']} is missing"
                    answers[service] = None
                    continue
                addresses = ready_addresses(slices)
                answers[service] = {
                    "ready": len(addresses),
                    "host_network": bool(addresses) and bool(hosts) and addresses <= hosts,
                }
            hook["backend"] = answers[service]

    def _policies(self) -> list[dict[str, Any]]:
        found = []
        for kind in POLICIES:
            policies = self._list(f"{kind.lower()[:-1]}ies")
            bindings = self._list(f"{kind.lower()}bindings") if policies else []
            found += [describe_policy(kind, policy, bindings) for policy in policies]
        return found

    def _controller_manager(self) -> dict[str, Any]:
        query = {"labelSelector": "component=kube-controller-manager"}
        for pod in self.client.list("/api/v1/namespaces/kube-system/pods", query).items:
            for container in fields.sequence(pod, "spec", "containers"):
                words = objects.arguments(container)
                given = {name: objects.flag(words, name) for name in CONTROLLER_FLAGS}
                if objects.switch(words, "allocate-node-cidrs"):
                    given["allocate-node-cidrs"] = "true"
                return {"visible": True, "flags": {name: value for name, value in given.items() if value is not None}}
        return {"visible": False, "flags": {}}

    def _events(self) -> list[dict[str, str]]:
        query = {"fieldSelector": "reason=CIDRNotAvailable,involvedObject.kind=Node"}
        return [
            {"node": fields.text(event, "involvedObject", "name"), "message": fields.text(event, "message")}
            for event in self.client.list("/api/v1/namespaces/default/events", query).items
        ]

    def _kube_proxy(self) -> dict[str, Any]:
        try:
            found = self.client.get("/api/v1/namespaces/kube-system/configmaps/kube-proxy")
        except NotFound:
            return {"found": False, "mode": ""}
        document = fields.text(found, "data", "config.conf")
        # An empty mode is iptables on Linux (k8s.io/kubernetes v1.36 cmd/kube-proxy/app/server_linux.go).
        return {"found": True, "mode": objects.yaml_value(document, "mode") or "iptables"}

    def _host_ports(self) -> list[dict[str, Any]]:
        found = []
        for daemonset in self.client.list("/apis/apps/v1/daemonsets").items:
            on_host = fields.at(daemonset, "spec", "template", "spec", "hostNetwork") is True
            for container in objects.containers(daemonset):
                for port in fields.sequence(container, "ports"):
                    number = fields.number(port, "hostPort") or (fields.number(port, "containerPort") if on_host else 0)
                    if number and fields.at(port, "protocol") in (None, "TCP"):
                        owner = f"{objects.namespace(daemonset)}/{objects.name(daemonset)}"
                        found.append({"daemonset": owner, "container": fields.text(container, "name"), "port": number})
        return found


def describe_node(node: Obj, prefix: str) -> dict[str, Any]:
    """What is looked at of a Node; C(prefix) is that of flannel's annotations."""
    notes = objects.notes(node)
    addresses = fields.mappings(node, "status", "addresses")
    status, reason = nodes.condition(node, "NetworkUnavailable")
    return {
        "name": objects.name(node),
        "os": objects.labels(node).get("kubernetes.io/os")
        or fields.text(node, "status", "nodeInfo", "operatingSystem")
        or "linux",
        "kubelet": nodes.kubelet_version(node),
        "pod_cidrs": nodes.pod_cidrs(node),
        "internal_ips": [fields.text(item, "address") for item in addresses if item.get("type") == "InternalIP"],
        "external_ips": [fields.text(item, "address") for item in addresses if item.get("type") == "ExternalIP"],
        "ready": nodes.condition(node, "Ready")[0],
        "network_unavailable": status,
        "network_reason": reason,
        "annotations": {
            name[len(prefix) :]: value
            for name, value in notes.items()
            if name.startswith(prefix) and isinstance(value, str)
        },
    }


def describe_webhook(kind: str, configuration: str, hook: Obj) -> dict[str, Any]:
    """What is looked at of a webhook."""
    service = fields.mapping(hook, "clientConfig", "service")
    return {
        "kind": kind,
        "configuration": configuration,
        "name": fields.text(hook, "name"),
        "failure_policy": fields.text(hook, "failurePolicy") or "Fail",
        "match_policy": fields.text(hook, "matchPolicy") or "Equivalent",
        "rules": fields.sequence(hook, "rules"),
        "namespace_selector": fields.mapping(hook, "namespaceSelector"),
        "object_selector": fields.mapping(hook, "objectSelector"),
        "match_conditions": [fields.text(item, "expression") for item in fields.sequence(hook, "matchConditions")],
        "service": f"{service.get('namespace')}/{service.get('name')}" if service else "",
        "url": fields.text(hook, "clientConfig", "url"),
        "backend": None,
    }


def describe_policy(kind: str, policy: Obj, bindings: list[dict[str, Any]]) -> dict[str, Any]:
    """What is looked at of an admission policy and its bindings."""
    constraints = fields.mapping(policy, "spec", "matchConstraints")
    own = [item for item in bindings if fields.text(item, "spec", "policyName") == objects.name(policy)]
    return {
        "kind": kind,
        "name": objects.name(policy),
        "failure_policy": fields.text(policy, "spec", "failurePolicy") or "Fail",
        "rules": fields.sequence(constraints, "resourceRules"),
        "excluded": fields.sequence(constraints, "excludeResourceRules"),
        "match_policy": fields.text(constraints, "matchPolicy") or "Equivalent",
        "namespace_selector": fields.mapping(constraints, "namespaceSelector"),
        "object_selector": fields.mapping(constraints, "objectSelector"),
        "bindings": [
            {
                "name": objects.name(item),
                "actions": fields.sequence(item, "spec", "validationActions"),
                "namespace_selector": fields.mapping(item, "spec", "matchResources", "namespaceSelector"),
                "object_selector": fields.mapping(item, "spec", "matchResources", "objectSelector"),
            }
            for item in own
        ],
    }


def ready_addresses(slices: list[dict[str, Any]]) -> set[str]:
    """Addresses of the endpoints that are ready; one that does not say counts as ready, as the API has it."""
    return {
        str(address)
        for each in slices
        for endpoint in fields.sequence(each, "endpoints")
        if fields.at(endpoint, "conditions", "ready") is not False
        for address in fields.sequence(endpoint, "addresses")
    }


def gather(client: KubeClient, namespace: str, annotation_prefix: str, pods: bool = False) -> dict[str, Any]:
    """The facts about a cluster, and how many requests they took. Raises InvalidAuth and MissingLibrary.

    With C(pods) they have those of C(network_pods), too.
    """
    before = client.requests
    facts = Reader(client, namespace, annotation_prefix, pods).read()
    return {**facts, "requests": client.requests - before}
