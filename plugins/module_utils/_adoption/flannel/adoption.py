# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a network that a cluster has already, when flannel is to be installed: decisions, no requests.

Private to podnet.cni: may change in any release.

Facts: a DaemonSet's selector cannot be changed (https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/);
a new DaemonSet takes over running pods only when its selector matches them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._adoption import ownership
from ansible_collections.podnet.cni.plugins.module_utils._adoption.changes import network_changes
from ansible_collections.podnet.cni.plugins.module_utils._adoption.decision import (
    CARRIES_NO_PODS,
    INSTALL,
    MOVE,
    REMOVE,
    REPLACE,
    UPGRADE,
    Decision,
    Found,
    refuse_unknown,
    refuse_unread,
)
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel import architectures, takeover
from ansible_collections.podnet.cni.plugins.module_utils._adoption.flannel.values import Value, compare, from_pod
from ansible_collections.podnet.cni.plugins.module_utils._adoption.ownership import full_name
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import Place
from ansible_collections.podnet.cni.plugins.module_utils._adoption.place import to_dict as place_to_dict
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError
from ansible_collections.podnet.cni.plugins.module_utils._flannel import network_config as config_codec
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields, selectors
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar import plan as sidecar

POLICIES = ("in_place", "replace", "never")
METHODS = ("manifest", "helm")
# What the templates put on their pods, and what they select by when nothing else is there.
LABELS = {"tier": "node", "app": "flannel", "k8s-app": "flannel"}
SELECTOR = {"matchLabels": {"app": "flannel"}}

_HARMLESS = ("flannel", "generic", "unknown")
_NAMED = 5
"""So many namespaces are named where policies stop acting."""
_NOT_ALL_SEEN = "DaemonSets of all namespaces may not be listed."


def new_place(namespace: str = "kube-flannel") -> Place:
    """Where a new installation goes, with upstream's names."""
    return Place(namespace, "kube-flannel-ds", "kube-flannel-cfg", "flannel", dict(SELECTOR))


@dataclass(frozen=True)
class Remains:
    """A flannel whose DaemonSet is gone: where it was, its ConfigMap and the pods that run on without an owner."""

    namespace: str
    service_account: str
    config_map: Mapping[str, Any] | None = None
    pods: Sequence[Mapping[str, Any]] = ()

    def place(self, new: Place) -> Place:
        """Where it was, with the names of a new installation as far as its own are not known."""
        makers = {fields.text(pod, "metadata", "generateName").rstrip("-") for pod in self.pods}
        return replace(
            new,
            namespace=self.namespace,
            daemonset=(makers.pop() if len(makers) == 1 else "") or new.daemonset,
            config_map=fields.text(self.config_map, "metadata", "name") or new.config_map,
            service_account=self.service_account or new.service_account,
        )


@dataclass(frozen=True)
class Wanted:
    """What the role is asked for.

    C(network_policy) None leaves the policy sidecar as it is. C(objects) are those that would be applied, without
    what is taken over; C(adopt_drop) names values of the old installation that may go.
    """

    place: Place
    network_config: Mapping[str, Any]
    method: str = "manifest"
    policy: str = "in_place"
    allow_network_change: bool = False
    allow_unknown_network: bool = False
    network_policy: bool | None = None
    objects: Sequence[Mapping[str, Any]] = ()
    adopt_values: str = takeover.KEEP
    adopt_drop: Sequence[str] = ()


@dataclass(frozen=True)
class FlannelFound(Found):
    """What the cluster has of a flannel.

    C(policies) are the namespaces of the cluster's NetworkPolicies, one entry for each policy, None where they may not
    be listed.

    C(remains) is what is left of a flannel without a DaemonSet, or with one for some architectures only, C(announced)
    the backends in the Node annotations where no DaemonSet is seen. C(all_seen) is false when DaemonSets may not be
    listed in all namespaces.
    """

    remains: Remains | None = None
    announced: Sequence[str] = ()
    all_seen: bool = True
    policies: Sequence[str] | None = None


def take_over(wanted: Wanted, found: FlannelFound, manager: str) -> tuple[Decision, takeover.Takeover]:
    """Decide, with what becomes of the values of the old installation. Raises ConflictError for what would be lost."""
    values, where = _values(wanted, _of_linux(found), manager)
    chart, drop = wanted.method == "helm", wanted.adopt_drop

    def settled(anew: bool) -> takeover.Takeover:
        return takeover.settle(values, adopt=wanted.adopt_values, drop=drop, chart=chart, anew=anew)

    config = settled(True).network_config(wanted.network_config)
    decision = decide(replace(wanted, network_config=config), found, manager)
    taken = settled(decision.action != UPGRADE)
    takeover.refuse_loss(taken, where, drop)
    return replace(decision, warnings=[*decision.warnings, *taken.warnings(where)]), taken


def _values(wanted: Wanted, found: FlannelFound, manager: str) -> tuple[list[Value], str]:
    """What an old installation has that the wanted objects lack, and what to call that installation."""
    if found.daemonsets:
        values = takeover.foreign_values(found.daemonsets, found.config_map, wanted.objects, manager)
        return values, f"DaemonSet {full_name(found.daemonsets[0])}"
    if found.remains and found.remains.pods:
        pod = found.remains.pods[0]
        return compare(from_pod(pod), found.remains.config_map, wanted.objects), f"pod {full_name(pod)}"
    return [], ""


def decide(wanted: Wanted, found: FlannelFound, manager: str) -> Decision:
    """Decide; C(manager) is the name under which our writes are recorded. Raises ConflictError with the reason."""
    found = _of_linux(found)
    _refuse_others(found)
    if not wanted.allow_unknown_network and found.remains is None:
        refuse_unknown(found, plugin="flannel", option="flannel_allow_unknown_network")
    if not found.daemonsets:
        enabled = bool(wanted.network_policy)
        return replace(_install(wanted, found), network_policy=enabled, sidecar_added=enabled)
    architectures.check(found.daemonsets)
    main = found.daemonsets[0]
    where = full_name(main)
    if wanted.policy == "never" and not ownership.is_ours(main, manager):
        raise ConflictError(
            f"flannel is installed already: DaemonSet {where}, which this role did not make. Adopt it with "
            "flannel_adopt in_place or replace, or remove it."
        )
    changes, warnings = _changes(wanted, found.config_map, where)
    decision = _how(wanted, found, manager, changes, warnings)
    if found.remains:
        _refuse_foreign_pods(found.remains.pods, decision.place)
    return _sidecar(wanted, found, decision)


def _of_linux(found: FlannelFound) -> FlannelFound:
    """Without the DaemonSets for Windows, which the role neither makes nor replaces."""
    return replace(found, daemonsets=[item for item in found.daemonsets if not architectures.of_windows(item)])


def _changes(wanted: Wanted, config_map: Mapping[str, Any] | None, where: str) -> tuple[list[str], list[str]]:
    changes, warnings = network_changes(config_map, wanted.network_config)
    if changes and not wanted.allow_network_change:
        raise ConflictError(
            f"The network of {where} would change: " + "; ".join(changes) + ". Set the variables to what the cluster "
            "has, or plan an interruption and set flannel_allow_network_change."
        )
    return changes, warnings


def _install(wanted: Wanted, found: FlannelFound) -> Decision:
    """Without a DaemonSet: in the place of an installation that lost it, so that its pods are adopted."""
    warnings = list(_announced(wanted, found.announced))
    remains = found.remains
    if remains is None or (not remains.pods and wanted.policy == "replace"):
        return Decision(INSTALL, wanted.place, warnings=warnings)
    place = remains.place(wanted.place)
    if wanted.policy == "replace":
        place = wanted.place
    elif wanted.method == "helm":
        place = new_place(remains.namespace)
    _refuse_foreign_pods(remains.pods, place)
    changes, more = _changes(wanted, remains.config_map, f"the flannel that was in namespace {place.namespace}")
    left = "its pods are adopted" if remains.pods else "none of its pods is left"
    warnings.append(
        f"flannel in namespace {place.namespace} has lost its DaemonSet, which is made anew there; {left}. When that "
        "installation was given up, delete its ConfigMap and the ClusterRoleBinding flannel first."
    )
    return Decision(REPLACE, place, changes=changes, warnings=warnings + more)


def _refuse_foreign_pods(pods: Sequence[Mapping[str, Any]], place: Place) -> None:
    foreign = [pod for pod in pods if not _taken_in(pod, place)]
    if foreign:
        names = ", ".join(sorted(map(full_name, foreign)))
        raise ConflictError(
            f"flanneld runs in pods without a DaemonSet, which the one in namespace {place.namespace} would not "
            f"adopt: {names}. A second flanneld on the same nodes breaks the network. Delete those pods, or run again "
            "with the settings of the run that was interrupted."
        )


def _taken_in(pod: Mapping[str, Any], place: Place) -> bool:
    """Whether a DaemonSet in that place adopts a pod that nothing owns."""
    metadata = pod.get("metadata") or {}
    return metadata.get("namespace") == place.namespace and selectors.matches(
        place.selector, metadata.get("labels") or {}
    )


def _announced(wanted: Wanted, backends: Sequence[str]) -> Iterator[str]:
    if not backends:
        return
    new = config_codec.parse(wanted.network_config, check_ranges=False).backend.type
    other = [backend for backend in backends if backend not in ("", new)]
    differs = f", with backend {', '.join(other)} instead of {new}" if other else ""
    yield (
        f"Nodes say that flanneld runs on them{differs}, but no DaemonSet does it. It may run as a service of the "
        "hosts: stop it there before its node gets a pod. Annotations of a flannel that was removed say the same."
    )


def _sidecar(wanted: Wanted, found: FlannelFound, decision: Decision) -> Decision:
    """The decision with what becomes of the policy sidecar. One that runs is kept unless its end is asked for.

    Whoever installed it: what is there counts.
    """
    running = [item for item in found.daemonsets if sidecar.has_sidecar(item)]
    if not running:
        enabled = bool(wanted.network_policy)
        return replace(decision, network_policy=enabled, sidecar_added=enabled)
    where = full_name(running[0])
    by_module = sidecar.RESTORE in (running[0]["metadata"].get("annotations") or {})
    if wanted.network_policy is False:
        if by_module and wanted.method == "helm" and decision.action == UPGRADE:
            # What a Helm chart does not name, an upgrade of its release leaves in the pod template.
            return decision
        if by_module:
            raise ConflictError(
                f"DaemonSet {where} has the sidecar of the module flannel_network_policy, which would be removed. "
                f"{_impact(found.policies)} Remove it with flannel_network_policy and state absent first, or leave "
                "flannel_netpol_enabled out to keep it."
            )
        ends = f"The policy sidecar of DaemonSet {where} is removed. {_impact(found.policies)}"
        return replace(decision, warnings=[*decision.warnings, ends])
    if by_module and wanted.method == "helm" and decision.action == UPGRADE:
        return replace(decision, network_policy=bool(wanted.network_policy))
    warnings = list(decision.warnings)
    if by_module:
        warnings.append(
            f"The sidecar that flannel_network_policy added to DaemonSet {where} becomes the role's, with the role's "
            "arguments. flannel_network_policy with state absent removes the ClusterRole that is not needed any more."
        )
    elif wanted.network_policy is None:
        warnings.append(
            f"DaemonSet {where} has a policy sidecar, which is kept, with the role's image and arguments "
            "(flannel_netpol_*). Set flannel_netpol_enabled to true to say so, or to false to remove it."
        )
    return replace(decision, network_policy=True, warnings=warnings)


def _impact(policies: Sequence[str] | None) -> str:
    """What the end of enforcement means here."""
    if policies is None:
        return "Network policies stop acting; how many there are is not known, because they may not be listed."
    if not policies:
        return "The cluster has no NetworkPolicy that would stop acting."
    namespaces = sorted(set(policies))
    more = f" and {len(namespaces) - _NAMED} more" if len(namespaces) > _NAMED else ""
    count = "1 NetworkPolicy stops" if len(policies) == 1 else f"{len(policies)} NetworkPolicies stop"
    return f"{count} acting, in {', '.join(namespaces[:_NAMED])}{more}."


def decide_removal(wanted: Wanted, found: FlannelFound, manager: str, *, allow_foreign: bool = False) -> Decision:
    """Where the flannel is that is to be removed. Raises ConflictError for one that is somebody else's.

    C(leftovers) are further DaemonSets of it.
    """
    found = _of_linux(found)
    _refuse_twice(found)
    if not found.all_seen:
        raise ConflictError(f"{_NOT_ALL_SEEN} Give the rights to list DaemonSets, then run again.")
    if not found.daemonsets:
        canal = [item for item in found.records if item["plugin"] == "canal" and item["role"] != "leftover"]
        if canal:
            raise ConflictError(
                f"There is no flannel here but the one of Canal in namespace {canal[0]['namespace']}, whose pods use "
                "the same ClusterRole. Remove it with the role canal."
            )
        return Decision(REMOVE, found.remains.place(wanted.place) if found.remains else wanted.place)
    main = found.daemonsets[0]
    release = ownership.release(main)
    ours = bool(release) if wanted.method == "helm" else not release and ownership.is_ours(main, manager)
    if not ours and not allow_foreign:
        who = f"belongs to the Helm release {release}" if release else "was not made by this role and method"
        raise ConflictError(
            f"flannel is not removed: DaemonSet {full_name(main)} {who}. Remove it the way it was installed, or set "
            "flannel_uninstall_foreign."
        )
    if not allow_foreign:
        architectures.check(found.daemonsets)
    place = _same_place(replace(wanted, method="manifest"), found)
    place = replace(place, daemonset=str(main["metadata"]["name"]))
    others = [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": place.namespace}}
        for name in (str(item["metadata"]["name"]) for item in found.daemonsets[1:])
    ]
    running = [item for item in found.daemonsets if sidecar.has_sidecar(item)]
    ends = (
        [f"The policy sidecar of DaemonSet {full_name(running[0])} goes too. {_impact(found.policies)}"]
        if running
        else []
    )
    return Decision(REMOVE, place, leftovers=others, release=release, warnings=ends)


def _how(wanted: Wanted, found: FlannelFound, manager: str, changes: Sequence[str], warnings: list[str]) -> Decision:
    main = found.daemonsets[0]
    ours = ownership.is_ours(main, manager)
    release = ownership.release(main)
    # Helm leaves fields alone that its last release did not set. A manifest sets args, the chart only command.
    keeps = bool(release and not ours)
    takes_over = False
    if wanted.method == "manifest":
        keeps, takes_over = True, not ours or bool(release) or ownership.written_otherwise(main, manager)
    if takes_over and release:
        namespace = str(main["metadata"]["namespace"])
        warnings.append(
            f"The Helm release {release} is taken over. Its record stays: delete it with `kubectl -n {namespace} "
            f"delete secret -l owner=helm,name={release}`; `helm uninstall` would delete the network."
        )
    names = tuple(str(item["metadata"]["name"]) for item in found.daemonsets)
    place = _same_place(wanted, found) if wanted.policy != "replace" else wanted.place
    moved = place.namespace != main["metadata"]["namespace"]
    if keeps and not moved and len(names) == 1 and names[0] == place.daemonset and _fits(place, main):
        return Decision(UPGRADE, place, take_over=takes_over, release=release, changes=changes, warnings=warnings)
    adopts = not moved and all(selectors.matches(place.selector, _pod_labels(item)) for item in found.daemonsets)
    return Decision(
        MOVE if moved else REPLACE,
        place,
        remove=names,
        orphan=adopts,
        leftovers=_leftovers(main, found.config_map, place),
        take_over=takes_over and not moved,
        release=release,
        changes=changes,
        warnings=warnings,
    )


def _same_place(wanted: Wanted, found: FlannelFound) -> Place:
    """The place of what is there, with its selector, as far as the method can keep it."""
    main = found.daemonsets[0]
    if wanted.method == "helm":
        return new_place(str(main["metadata"]["namespace"]))
    spec = main.get("spec") or {}
    pod = fields.mapping(spec, "template", "spec")
    selector = spec.get("selector") or {}
    labels = dict(selector.get("matchLabels") or {})
    several = len(found.daemonsets) > 1
    if several or not selectors.matches(selector, {**LABELS, **labels}):
        selector, labels = dict(SELECTOR), {}
    return Place(
        namespace=str(main["metadata"]["namespace"]),
        daemonset=wanted.place.daemonset if several else str(main["metadata"]["name"]),
        config_map=fields.text(found.config_map, "metadata", "name") or wanted.place.config_map,
        service_account=str(pod.get("serviceAccountName") or wanted.place.service_account),
        selector=selector,
        labels={key: value for key, value in labels.items() if LABELS.get(key) != value},
    )


def _fits(place: Place, daemonset: Mapping[str, Any]) -> bool:
    """Whether the DaemonSet can stay: its selector is the one we would write."""
    return _normal(fields.mapping(daemonset, "spec", "selector")) == _normal(place.selector)


def _normal(selector: Mapping[str, Any]) -> Any:
    return dict(selector.get("matchLabels") or {}), list(selector.get("matchExpressions") or [])


def _refuse_others(found: FlannelFound) -> None:
    flannels = [item for item in found.records if item["plugin"] == "flannel" and item["role"] != "leftover"]
    embedded = [item for item in flannels if item["install_method"] == "embedded"]
    if embedded:
        raise ConflictError(
            f"{embedded[0].get('distribution') or 'k3s'} runs flannel inside its own process. Start its servers with "
            "--flannel-backend=none before you install flannel yourself. The playbook podnet.cni.distribution "
            "shows which file decides, and podnet.cni.distribution_network changes backend, MTU and more there: "
            "docs/distributions.md."
        )
    others = [item for item in found.records if item["plugin"] not in _HARMLESS and item["role"] not in CARRIES_NO_PODS]
    if others:
        other = others[0]
        raise ConflictError(
            f"{other['plugin']} in namespace {other['namespace'] or '-'} carries the pods of this cluster. Two "
            "networks under the same pods break both: remove it first, or leave flannel out."
        )
    _refuse_twice(found)
    if found.daemonsets and not found.all_seen:
        raise ConflictError(
            f"{_NOT_ALL_SEEN} Another network, or a second flannel beside DaemonSet {full_name(found.daemonsets[0])}, "
            "could be overlooked. Give the rights to list DaemonSets, then run again."
        )
    refuse_unread(found)


def _refuse_twice(found: FlannelFound) -> None:
    places = sorted({str(item["metadata"]["namespace"]) for item in found.daemonsets})
    if len(places) > 1:
        raise ConflictError(
            f"flannel is installed more than once, in the namespaces {', '.join(places)}. They share links, files and "
            "the ClusterRoleBinding: delete the DaemonSets of all but one, then run again."
        )


def _leftovers(
    main: Mapping[str, Any], config_map: Mapping[str, Any] | None, place: Place
) -> Sequence[Mapping[str, Any]]:
    """The ConfigMap that nothing reads any more once the DaemonSet uses another one."""
    if config_map is None:
        return ()
    metadata = config_map["metadata"]
    if (metadata["namespace"], metadata["name"]) == (place.namespace, place.config_map):
        return ()
    identity = {"name": str(metadata["name"]), "namespace": str(main["metadata"]["namespace"])}
    return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": identity},)


def to_dict(decision: Decision) -> dict[str, Any]:
    """The decision as a module returns it."""
    return {
        "action": decision.action,
        "place": place_to_dict(decision.place),
        "release": decision.release,
        "leftovers": [dict(item) for item in decision.leftovers],
        "interruptions": list(decision.changes),
        "network_policy": decision.network_policy,
    }


def _pod_labels(daemonset: Mapping[str, Any]) -> Mapping[str, str]:
    return fields.mapping(daemonset, "spec", "template", "metadata", "labels")
