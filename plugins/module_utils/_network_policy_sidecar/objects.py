# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sidecar container, its volumes and its RBAC objects; no I/O.

Source: https://github.com/kubernetes-sigs/kube-network-policies install.yaml at main of 2026-08.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import versions

CONTAINER = "kube-network-policies"
PROGRAM = "netpol"
VOLUME_PREFIX = f"{CONTAINER}-"
NODE_NAME = "MY_NODE_NAME"
LABELS = {"app.kubernetes.io/managed-by": "podnet.cni", "app.kubernetes.io/component": "network-policy-sidecar"}
RBAC_API = "rbac.authorization.k8s.io/v1"
RULES = (
    {"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["list", "watch"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["list", "watch"]},
)
"""Without all three of them, and what its flavour reads besides, the sidecar waits for ever and enforces nothing."""

_OPTIONAL_FLAGS = (
    ("strict_mode", "strict-mode"),
    ("dns_workaround", "netfilter-bug-1766-fix"),
    ("nri", "disable-nri"),
)


def container(options: Mapping[str, Any]) -> dict[str, Any]:
    """The container from the module's options. Raises InputError for what the release cannot do."""
    mounts = versions.release(options["version"]).mounts
    return {
        "name": CONTAINER,
        "image": f"{options['image_repository']}:{options['version']}",
        "command": ["/bin/netpol"],
        "args": arguments(options),
        "env": [{"name": NODE_NAME, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
        "resources": options["resources"],
        "securityContext": {"privileged": True, "capabilities": {"add": ["NET_ADMIN"]}},
        "volumeMounts": [_mount(*each) for each in mounts],
    }


def arguments(options: Mapping[str, Any]) -> list[str]:
    """The arguments of the sidecar. Raises InputError naming the option that its release does not know."""
    if not 0 <= options["nfqueue_id"] <= 65535:
        raise InputError(f"nfqueue_id is {options['nfqueue_id']}: give a number from 0 to 65535.")
    flags = versions.release(options["version"]).flags
    words = [
        f"--hostname-override=$({NODE_NAME})",
        f"--nfqueue-id={options['nfqueue_id']}",
        f"--fail-open={_text(options['fail_open'])}",
        f"--metrics-bind-address={options['metrics_address']}",
        f"--v={options['verbosity']}",
    ]
    if options["logging_format"] != "text":
        words.append(f"--logging-format={options['logging_format']}")
    for option, flag in _OPTIONAL_FLAGS:
        value = options.get(option)
        if value is None:
            continue
        if flag not in flags:
            raise InputError(
                f"{option} is {value}: kube-network-policies {options['version']} has no flag --{flag}. "
                f"Leave {option} out, or use {versions.DEFAULT}."
            )
        words.append(f"--{flag}={_text(not value if option == 'nri' else value)}")
    return words + list(options["extra_args"])


def volumes(options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The volumes that the container mounts; their names start with VOLUME_PREFIX."""
    found = []
    for name, path, kind, _propagation, _read_only in versions.release(options["version"]).mounts:
        host_path = {"path": path, "type": kind} if kind else {"path": path}
        found.append({"name": VOLUME_PREFIX + name, "hostPath": host_path})
    return found


def _mount(name: str, path: str, _kind: str, propagation: str, read_only: bool) -> dict[str, Any]:
    mount: dict[str, Any] = {"name": VOLUME_PREFIX + name, "mountPath": path}
    if propagation:
        mount["mountPropagation"] = propagation
    if read_only:
        mount["readOnly"] = True
    return mount


def _text(value: bool) -> str:
    return "true" if value else "false"


def rbac_name(namespace: str, name: str) -> str:
    """Name of the ClusterRole and the ClusterRoleBinding for a DaemonSet."""
    return f"podnet-network-policy:{namespace}:{name}"


def cluster_role(namespace: str, name: str, tag: str) -> dict[str, Any]:
    """The role with exactly what the sidecar of this image tag reads. Raises InputError for a tag that is refused."""
    return {
        "apiVersion": RBAC_API,
        "kind": "ClusterRole",
        "metadata": {"name": rbac_name(namespace, name), "labels": dict(LABELS)},
        "rules": rules(tag),
    }


def rules(tag: str) -> list[dict[str, Any]]:
    """The rules of that role."""
    found = [{key: list(value) for key, value in rule.items()} for rule in RULES]
    flavour = versions.flavour(tag)
    if flavour.kinds:
        found[0]["resources"].append("nodes")
        group = flavour.group_version.split("/", 1)[0]
        found.append({"apiGroups": [group], "resources": list(flavour.kinds), "verbs": ["list", "watch"]})
    return found


def cluster_role_binding(namespace: str, name: str, account: str) -> dict[str, Any]:
    """The binding of that role to the service account that the DaemonSet's pods run as."""
    role = rbac_name(namespace, name)
    return {
        "apiVersion": RBAC_API,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role, "labels": dict(LABELS)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }
