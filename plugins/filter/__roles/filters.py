# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that the roles of this collection use, and nobody else.

Private to podnet.cni: may change in any release. Ansible lists no plugin of a directory whose name begins with two
underscores (ansible-core 2.18 to 2.21, ansible/plugins/list.py), so ansible-doc and the documentation leave them out.
Galaxy refuses such a name of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.podnet.cni.plugins.module_utils._errors import PodnetError

_CONFUSED = (TypeError, ValueError, KeyError, AttributeError)
_Functions = Mapping[str, Callable[..., Any]]

# Ansible reads this file anew for each task of each host that uses one of its filters, and compiles what it imports. So
# each family of filters imports what it needs when one of them is called.


def _canal() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import manifest, transform
    from ansible_collections.podnet.cni.plugins.module_utils._adoption.canal import settings as canal_settings
    from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import from_dict as place_from
    from ansible_collections.podnet.cni.plugins.plugin_utils import _canal_manifest

    def objects(
        documents: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any], place: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The objects of a cluster out of the documents of Canal's manifest, with its settings, and what is known of
        them. Without C(place) they go where the manifest has them.
        """
        found = manifest.read(documents)
        where = place_from(place) if place else transform.place_of(found)
        return transform.to_dict(found, transform.transform(found, canal_settings.parse(wanted), where), where)

    return {"canal_documents": _canal_manifest.read, "canal_objects": objects}


def _distribution_network() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._distributions import change, network_change, proof

    return {
        "distribution_network_announced": proof.announced,
        "distribution_network_order": network_change.order,
        "distribution_network_plan": network_change.plan,
        "distribution_network_proof": proof.text,
        "distribution_network_text": change.text,
        "distribution_network_unlike": proof.unlike,
    }


def _distribution_upgrade() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._distributions import release_change

    return {"distribution_upgrade": release_change.plan, "distribution_upgrade_text": release_change.text}


def _flannel() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import patch, settings

    return {
        "flannel_chart_values": settings.chart_values,
        "flannel_network_config": settings.network_config,
        "flannel_patched": patch.into_daemonsets,
    }


def _kube_ovn() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import config

    def checked(document: Any) -> dict[str, Any]:
        """Which annotations pods inherit, checked, with every default filled in."""
        return config.parse(document).to_dict()

    return {"kube_ovn_config": checked}


def _network_status() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._status import document

    return {
        "network_status": document.build,
        "network_status_questions": document.questions,
        "network_status_targets": document.targets,
    }


def _network_status_leases() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._status.hosts import own_leases

    return {"network_status_leases": own_leases}


def _network_status_saved() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._status import bundle, saved

    return {"network_status_bundle": bundle.files, "network_status_named": saved.named}


def _paths() -> _Functions:
    from ansible_collections.podnet.cni.plugins.plugin_utils import _paths as paths

    return {"absolute_kubeconfig": paths.absolute_kubeconfig, "absolute_path": paths.absolute_path}


def _preflight() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._preflight.sources import from_cluster

    def wanted(facts: Mapping[str, Any]) -> dict[str, Any]:
        """What hosts are compared with, as far as the facts of preflight_cluster_info tell it."""
        if not isinstance(facts, Mapping):
            raise TypeError("it needs the facts of preflight_cluster_info")
        return from_cluster(facts)

    return {"preflight_wanted": wanted}


def _preflight_subnets() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._preflight import pod_routes

    return {"preflight_some_subnets": pod_routes.some}


def _preflight_ways() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._preflight import ways

    return {"preflight_ways": ways.shared_out}


def _probe() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._probe import measure

    return {"probe_shares": measure.shares}


def _submariner() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._discovery import submariner

    return {"submariner_plan": submariner.plan}


def _upgrade() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._upgrade import text, wave
    from ansible_collections.podnet.cni.plugins.plugin_utils import _upgrade_gates

    return {
        "upgrade_gate_problems": _upgrade_gates.judge,
        "upgrade_looked_at": wave.looked_at,
        "upgrade_plan_text": text.lines,
        "upgrade_rollouts": _upgrade_gates.rollouts,
    }


def _upgrade_overlay() -> _Functions:
    from ansible_collections.podnet.cni.plugins.module_utils._upgrade import hosts

    def plan(names: Sequence[str], before: Any = None, after: Any = None, **options: Any) -> dict[str, Any]:
        """The plan for hosts of the role overlay, from the network config that is there and the wanted one."""
        return hosts.plan(names, before or None, after or None, **options)

    return {"upgrade_overlay_plan": plan, "upgrade_overlay_targets": hosts.near}


# The family of each filter, and what to do where it is handed something else than it takes.
_FILTERS: Mapping[str, tuple[Callable[[], _Functions], str]] = {
    "absolute_kubeconfig": (_paths, "Give it a path."),
    "absolute_path": (_paths, "Give it a path."),
    "canal_documents": (_canal, "Correct canal_manifest."),
    "canal_objects": (_canal, "Correct canal_manifest."),
    "distribution_network_order": (_distribution_network, "Correct distribution_network_batch."),
    "distribution_network_plan": (_distribution_network, "Report it."),
    "distribution_network_proof": (_distribution_network, "Report it."),
    "distribution_network_announced": (_distribution_network, "Report it."),
    "distribution_network_unlike": (_distribution_network, "Report it."),
    "distribution_network_text": (_distribution_network, "Report it."),
    "distribution_upgrade": (_distribution_upgrade, "Correct distribution_upgrade_to."),
    "distribution_upgrade_text": (_distribution_upgrade, "Report it."),
    "flannel_chart_values": (_flannel, "Correct the variables of the role."),
    "flannel_network_config": (_flannel, "Correct the variables of the role."),
    "flannel_patched": (_flannel, "Correct flannel_daemonset_patch."),
    "kube_ovn_config": (_kube_ovn, "Correct kube_ovn_inheritance_annotations."),
    "network_status": (_network_status, "Report it."),
    "network_status_bundle": (_network_status_saved, "Report it."),
    "network_status_leases": (_network_status_leases, "Report it."),
    "network_status_named": (_network_status_saved, "Report it."),
    "network_status_questions": (_network_status, "Report it."),
    "network_status_targets": (_network_status, "Report it."),
    "preflight_some_subnets": (_preflight_subnets, "Report it."),
    "preflight_wanted": (_preflight, "Report it."),
    "preflight_ways": (_preflight_ways, "Report it."),
    "probe_shares": (_probe, "Give it targets with names, and a number of them."),
    "submariner_plan": (_submariner, "Give it the records of podnet.cni.cni."),
    "upgrade_gate_problems": (_upgrade, "Give it the variables of hosts."),
    "upgrade_looked_at": (_upgrade, "Report it."),
    "upgrade_overlay_plan": (_upgrade_overlay, "Correct overlay_network_config."),
    "upgrade_overlay_targets": (_upgrade_overlay, "Correct upgrade_overlay_probe_sample."),
    "upgrade_plan_text": (_upgrade, "Give it what pod_network_upgrade_plan returned as plan: this is not a plan."),
    "upgrade_rollouts": (_upgrade, "Correct upgrade_daemonsets."),
}


def _told(name: str, family: Callable[[], _Functions], remedy: str) -> Callable[..., Any]:
    """The function with its errors as Ansible takes them: ours as they are, those of Python with the remedy."""

    def called(*values: Any, **options: Any) -> Any:
        function = family()[name]
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
        return {name: _told(name, family, remedy) for name, (family, remedy) in _FILTERS.items()}
