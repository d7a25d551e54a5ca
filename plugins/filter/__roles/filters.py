# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that the roles of this collection use, and nobody else.

Private to podnet.cni: may change in any release. Ansible lists no plugin of a directory whose name begins with two
underscores (ansible-core 2.18 to 2.21, ansible/plugins/list.py), so ansible-doc and the documentation leave them out.
Galaxy refuses such a name of a file.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import manifest, transform
from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import settings as canal_settings
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import patch, settings
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import from_dict as place_from
from ansible_collections.podnet.cni.plugins.module_utils._discovery import submariner
from ansible_collections.podnet.cni.plugins.module_utils._distributions import (
    change,
    network_change,
    proof,
    release_change,
)
from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config
from ansible_collections.podnet.cni.plugins.module_utils._preflight.sources import from_cluster
from ansible_collections.podnet.cni.plugins.module_utils._status import bundle
from ansible_collections.podnet.cni.plugins.module_utils._status import document as status
from ansible_collections.podnet.cni.plugins.module_utils._status.hosts import own_lease
from ansible_collections.podnet.cni.plugins.module_utils._upgrade import hosts, text, wave
from ansible_collections.podnet.cni.plugins.plugin_utils import _canal_manifest, _upgrade_gates

_CONFUSED = (TypeError, ValueError, KeyError, AttributeError)


def _canal_objects(
    documents: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any], place: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The objects of a cluster out of the documents of Canal's manifest, with its settings, and what is known of them.

    Without C(place) they go where the manifest has them.
    """
    found = manifest.read(documents)
    where = place_from(place) if place else transform.place_of(found)
    return transform.to_dict(found, transform.transform(found, canal_settings.parse(wanted), where), where)


def _kube_ovn_config(document: Any) -> dict[str, Any]:
    """Which annotations pods inherit, checked, with every default filled in."""
    return config.parse(document).to_dict()


def _network_status_lease(leases: Sequence[Any], name: str, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The lease of a host, empty where it has none."""
    return own_lease(name, entry, leases) or {}


def _preflight_wanted(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What hosts are compared with, as far as the facts of preflight_cluster_info tell it."""
    if not isinstance(facts, Mapping):
        raise TypeError("it needs the facts of preflight_cluster_info")
    return from_cluster(facts)


def _upgrade_overlay_plan(
    names: Sequence[str], before: Any = None, after: Any = None, **options: Any
) -> dict[str, Any]:
    """The plan for hosts that the role overlay programs, from the network config that is there and the wanted one."""
    return hosts.plan(names, before or None, after or None, **options)


# The function of each filter, and what to do where it is handed something else than it takes.
_FILTERS: Mapping[str, tuple[Callable[..., Any], str]] = {
    "canal_documents": (_canal_manifest.read, "Correct canal_manifest."),
    "canal_objects": (_canal_objects, "Correct canal_manifest."),
    "distribution_network_order": (network_change.order, "Correct distribution_network_batch."),
    "distribution_network_plan": (network_change.plan, "Report it."),
    "distribution_network_proof": (proof.text, "Report it."),
    "distribution_network_announced": (proof.announced, "Report it."),
    "distribution_network_unlike": (proof.unlike, "Report it."),
    "distribution_network_text": (change.text, "Report it."),
    "distribution_upgrade": (release_change.plan, "Correct distribution_upgrade_to."),
    "distribution_upgrade_text": (release_change.text, "Report it."),
    "flannel_chart_values": (settings.chart_values, "Correct the variables of the role."),
    "flannel_network_config": (settings.network_config, "Correct the variables of the role."),
    "flannel_patched": (patch.into_daemonsets, "Correct flannel_daemonset_patch."),
    "kube_ovn_config": (_kube_ovn_config, "Correct kube_ovn_inheritance_annotations."),
    "network_status": (status.build, "Report it."),
    "network_status_bundle": (bundle.files, "Report it."),
    "network_status_lease": (_network_status_lease, "Report it."),
    "network_status_named": (status.named, "Report it."),
    "network_status_questions": (status.questions, "Report it."),
    "network_status_targets": (status.targets, "Report it."),
    "preflight_wanted": (_preflight_wanted, "Report it."),
    "submariner_plan": (submariner.plan, "Give it the records of podnet.cni.cni."),
    "upgrade_gate_problems": (_upgrade_gates.judge, "Give it the variables of hosts."),
    "upgrade_looked_at": (wave.looked_at, "Report it."),
    "upgrade_overlay_plan": (_upgrade_overlay_plan, "Correct overlay_network_config."),
    "upgrade_overlay_targets": (hosts.near, "Correct upgrade_overlay_probe_sample."),
    "upgrade_plan_text": (text.lines, "Give it what pod_network_upgrade_plan returned as plan: this is not a plan."),
    "upgrade_rollouts": (_upgrade_gates.rollouts, "Correct upgrade_daemonsets."),
}


def _told(name: str, function: Callable[..., Any], remedy: str) -> Callable[..., Any]:
    """The function with its errors as Ansible takes them: ours as they are, those of Python with the remedy."""

    @functools.wraps(function)
    def called(*values: Any, **options: Any) -> Any:
        try:
            return function(*values, **options)
        except PodnetError as error:
            raise AnsibleFilterError(str(error)) from error
        except _CONFUSED as error:
            raise AnsibleFilterError(f"{name}: {type(error).__name__}: {error}. {remedy}") from error

    return called


class FilterModule:
    """Names the filters to Ansible."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {name: _told(name, function, remedy) for name, (function, remedy) in _FILTERS.items()}
