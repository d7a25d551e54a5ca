# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kubeadm, which owns the range of pods and nothing else of the network; no I/O.

https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/. The running flags of the controller manager are
what counts: C(kubeadm-config) says what kubeadm would write at the next upgrade.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._distributions import yaml_text
from ansible_collections.podnet.cni.plugins.module_utils._distributions.model import Reading, Setting
from ansible_collections.podnet.cni.plugins.module_utils._distributions.view import Host
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

CONFIG_MAP = "kube-system/kubeadm-config"
MANIFEST = "/etc/kubernetes/manifests/kube-controller-manager.yaml"
FLAGS = ("allocate-node-cidrs", "cluster-cidr", "service-cluster-ip-range", "node-cidr-mask-size")
_CHANGE = "It holds for the life of a cluster: the ranges of its Nodes cannot be changed."


def pod_subnet(facts: Mapping[str, Any]) -> str:
    """C(networking.podSubnet) of the stored ClusterConfiguration; empty without one."""
    text = fields.text(facts, "config_maps", CONFIG_MAP, "ClusterConfiguration")
    return fields.text(yaml_text.load(text, CONFIG_MAP).mapping, "networking", "podSubnet")


def of_cluster(facts: Mapping[str, Any]) -> Reading:
    """The ranges by the stored ClusterConfiguration."""
    where = f"ConfigMap {CONFIG_MAP}"
    document = yaml_text.load(fields.text(facts, "config_maps", CONFIG_MAP, "ClusterConfiguration"), where)
    found = Reading(problems=list(document.problems))
    for name, value in fields.mapping(document.mapping, "networking").items():
        change = "Keep it in step with the flags of kube-controller-manager. " + _CHANGE
        found.settings.append(
            Setting("kubeadm", "cluster", f"networking.{name}", str(value), where, change, "kubeadm upgrade")
        )
    return found


def manager_flags(text: str) -> dict[str, str]:
    """The flags of the controller manager that concern ranges, from the text of its manifest."""
    spec = fields.mapping(yaml_text.load(text, MANIFEST).mapping, "spec")
    found: dict[str, str] = {}
    for container in fields.mappings(spec, "containers"):
        for word in [*fields.sequence(container, "command"), *fields.sequence(container, "args")]:
            name, separator, value = str(word).lstrip("-").partition("=")
            if separator and name.startswith(FLAGS):
                found[name] = value
    return found


def of_host(host: Host) -> Reading:
    """The ranges by the manifest of the controller manager on a control plane."""
    text = host.text(MANIFEST)
    if text is None:
        return Reading()
    return Reading(
        settings=[
            Setting(
                "kubeadm", host.name, f"--{name}", value, MANIFEST, _CHANGE, "kubeadm upgrade, out of kubeadm-config"
            )
            for name, value in manager_flags(text).items()
        ],
        problems=list(yaml_text.load(text, MANIFEST).problems),
    )
