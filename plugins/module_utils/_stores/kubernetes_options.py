# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of the lease store on Kubernetes Nodes.

Private to podnet.cni: may change in any release.

The fragment podnet.cni._kubernetes documents them. Every module that can use the store has them; the store itself is
another file, because most runs do not need it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import argument_spec

DEFAULT_PREFIX = "flannel.alpha.coreos.com"
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Settings:
    """Where flannel keeps its things in this cluster.

    C(network_config) replaces the ConfigMap for clusters that have none (flannel embedded in k3s). C(create_nodes)
    lets acquire() make Node objects for hosts outside the cluster; C(assign_timeout) is how many seconds such a Node
    may wait for the cluster to give it a pod CIDR.
    """

    namespace: str = "kube-flannel"
    config_map: str = "kube-flannel-cfg"
    annotation_prefix: str = DEFAULT_PREFIX
    network_config: Mapping[str, Any] | None = None
    create_nodes: bool = False
    assign_timeout: float = 30.0


KUBERNETES_ARGUMENT_SPEC: Mapping[str, Mapping[str, Any]] = {
    **argument_spec.ARGUMENT_SPEC,
    "kube_namespace": {"type": "str", "default": Settings.namespace},
    "kube_config_map": {"type": "str", "default": Settings.config_map},
    "kube_annotation_prefix": {"type": "str", "default": DEFAULT_PREFIX},
    "kube_timeout": {"type": "float", "default": DEFAULT_TIMEOUT},
    "network_config": {"type": "dict"},
}


def timeout(params: Mapping[str, Any]) -> float:
    """Seconds that a request may take. Raises InputError."""
    given = params.get("kube_timeout")
    seconds = DEFAULT_TIMEOUT if given is None else float(given)
    if not 0 < seconds <= 3600:
        raise InputError(f"kube_timeout {seconds:g} must be more than 0 and at most 3600 seconds")
    return seconds


def settings(params: Mapping[str, Any]) -> Settings:
    """The settings among the options; one that is not given has its default."""
    return Settings(
        namespace=params.get("kube_namespace") or Settings.namespace,
        config_map=params.get("kube_config_map") or Settings.config_map,
        annotation_prefix=params.get("kube_annotation_prefix") or Settings.annotation_prefix,
        network_config=params.get("network_config"),
        create_nodes=bool(params.get("create_nodes")),
    )
