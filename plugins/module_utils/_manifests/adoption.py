# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about a network that a cluster has already, when flannel is to be installed: decisions, no requests.

Private to podnet.cni: may change in any release.

Facts: a DaemonSet's selector cannot be changed (https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/);
a new DaemonSet takes over running pods only when its selector matches them. What may change while flanneld runs:
flannel v0.28.9 Documentation/running.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, PodnetError
from ansible_collections.podnet.cni.plugins.module_utils._manifests import architectures, loose_config
from ansible_collections.podnet.cni.plugins.module_utils._network_policy_sidecar.plan import RESTORE as SIDECAR

INSTALL = "install"
UPGRADE = "upgrade"
REPLACE = "replace"
MOVE = "move"
REMOVE = "remove"
POLICIES = ("in_place", "replace", "never")
METHODS = ("manifest", "helm")
# What the templates put on their pods, and what they select by when nothing else is there.
LABELS = {"tier": "node", "app": "flannel", "k8s-app": "flannel"}
SELECTOR = {"matchLabels": {"app": "flannel"}}

_CARRIES_NO_PODS = ("policy", "chained", "meta", "leftover")
_HARMLESS = ("flannel", "generic", "unknown")
_RELEASE = "meta.helm.sh/release-name"
_IDENTIFYING = ("VNI", "Port", "GBP", "ListenPort", "ListenPortV6", "Mode")
_NOT_ALL_SEEN = "DaemonSets of all namespaces may not be listed."
_ALL_NODES = "until every flanneld has restarted, nodes with the old and with the new setting do not reach each other"
_KEY_CHANGE = f"the preshared key: {_ALL_NODES}"


@dataclass(frozen=True)
class Place:
    """Where the objects are to go and their names."""

    namespace: str = "kube-flannel"
    daemonset: str = "kube-flannel-ds"
    configmap: str = "kube-flannel-cfg"
    service_account: str = "flannel"
    selector: Mapping[str, Any] = field(default_factory=lambda: dict(SELECTOR))
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Remains:
    """A flannel whose DaemonSet is gone: where it was, its ConfigMap and the pods that go on without an owner."""

    namespace: str
    service_account: str
    configmap: Mapping[str, Any] | None = None
    pods: Sequence[Mapping[str, Any]] = ()

    def place(self, new: Place) -> Place:
        """Where it was, with the names of a new installation as far as its own are not known."""
        makers = {str((pod.get("metadata") or {}).get("generateName") or "").rstrip("-") for pod in self.pods}
        return replace(
            new,
            namespace=self.namespace,
            daemonset=(makers.pop() if len(makers) == 1 else "") or new.daemonset,
            configmap=str(((self.configmap or {}).get("metadata") or {}).get("name") or new.configmap),
            service_account=self.service_account or new.service_account,
        )


@dataclass(frozen=True)
class Wanted:
    """What the role is asked for."""

    place: Place
    network_config: Mapping[str, Any]
    method: str = "manifest"
    policy: str = "in_place"
    allow_network_change: bool = False
    network_policy: bool = False


@dataclass(frozen=True)
class Found:
    """What the cluster has: discovery records, and of the flannel among them the DaemonSets and its ConfigMap.

    ``remains`` is what is left of a flannel without a DaemonSet, or with one for some architectures only, ``announced``
    the backends in the Node annotations where no DaemonSet is seen. ``all_seen`` is false when DaemonSets may not be
    listed in all namespaces.
    """

    records: Sequence[Mapping[str, Any]] = ()
    daemonsets: Sequence[Mapping[str, Any]] = ()
    configmap: Mapping[str, Any] | None = None
    remains: Remains | None = None
    announced: Sequence[str] = ()
    all_seen: bool = True


@dataclass(frozen=True)
class Decision:
    """What is to be done.

    ``remove`` are DaemonSets to delete before the new one is made, with ``orphan`` leaving their pods for it;
    ``leftovers`` objects to delete afterwards; ``take_over`` says that fields of other writers become ours;
    ``release`` is the Helm release that owns what is there.
    """

    action: str
    place: Place
    remove: Sequence[str] = ()
    orphan: bool = False
    leftovers: Sequence[Mapping[str, Any]] = ()
    take_over: bool = False
    release: str = ""
    changes: Sequence[str] = ()
    warnings: Sequence[str] = ()


def decide(wanted: Wanted, found: Found, manager: str) -> Decision:
    """Decide; ``manager`` is the name under which our writes are recorded. Raises ConflictError with the reason."""
    found = _of_linux(found)
    _refuse_others(found)
    if not found.daemonsets:
        return _install(wanted, found)
    architectures.check(found.daemonsets)
    main = found.daemonsets[0]
    where = _where(main)
    if wanted.policy == "never" and not is_ours(main, manager):
        raise ConflictError(
            f"flannel is installed already: DaemonSet {where}, which this role did not make. Adopt it with "
            "flannel_adopt in_place or replace, or remove it."
        )
    changes, warnings = _changes(wanted, found.configmap, where)
    decision = _how(wanted, found, manager, changes, warnings)
    if found.remains:
        _refuse_strangers(found.remains.pods, decision.place)
    return replace(decision, warnings=[*decision.warnings, *_sidecar(wanted, found, decision)])


def _of_linux(found: Found) -> Found:
    """Without the DaemonSets for Windows, which the role neither makes nor replaces."""
    return replace(found, daemonsets=[item for item in found.daemonsets if not architectures.of_windows(item)])


def _changes(wanted: Wanted, configmap: Mapping[str, Any] | None, where: str) -> tuple[list[str], list[str]]:
    changes, warnings = network_changes(configmap, wanted.network_config)
    if changes and not wanted.allow_network_change:
        raise ConflictError(
            f"The network of {where} would change: " + "; ".join(changes) + ". Set the variables to what the cluster "
            "has, or plan an interruption and set flannel_allow_network_change."
        )
    return changes, warnings


def _install(wanted: Wanted, found: Found) -> Decision:
    """Without a DaemonSet: in the place of an installation that lost it, so that its pods are adopted."""
    warnings = list(_announced(wanted, found.announced))
    remains = found.remains
    if remains is None or (not remains.pods and wanted.policy == "replace"):
        return Decision(INSTALL, wanted.place, warnings=warnings)
    place = remains.place(wanted.place)
    if wanted.policy == "replace":
        place = wanted.place
    elif wanted.method == "helm":
        place = Place(namespace=remains.namespace)
    _refuse_strangers(remains.pods, place)
    changes, more = _changes(wanted, remains.configmap, f"the flannel that was in namespace {place.namespace}")
    left = "its pods are adopted" if remains.pods else "none of its pods is left"
    warnings.append(
        f"flannel in namespace {place.namespace} has lost its DaemonSet, which is made anew there; {left}. When that "
        "installation was given up, delete its ConfigMap and the ClusterRoleBinding flannel first."
    )
    return Decision(REPLACE, place, changes=changes, warnings=warnings + more)


def _refuse_strangers(pods: Sequence[Mapping[str, Any]], place: Place) -> None:
    strangers = [pod for pod in pods if not _taken_in(pod, place)]
    if strangers:
        names = ", ".join(sorted(map(_where, strangers)))
        raise ConflictError(
            f"flanneld runs in pods without a DaemonSet, which the one in namespace {place.namespace} would not "
            f"adopt: {names}. A second flanneld on the same nodes breaks the network. Delete those pods, or run again "
            "with the settings of the run that was interrupted."
        )


def _taken_in(pod: Mapping[str, Any], place: Place) -> bool:
    """Whether a DaemonSet in that place adopts a pod that nothing owns."""
    metadata = pod.get("metadata") or {}
    return metadata.get("namespace") == place.namespace and matches(place.selector, metadata.get("labels") or {})


def _announced(wanted: Wanted, backends: Sequence[str]) -> Iterator[str]:
    if not backends:
        return
    new = _network_config.parse(wanted.network_config, check_ranges=False).backend.type
    other = [backend for backend in backends if backend not in ("", new)]
    differs = f", with backend {', '.join(other)} instead of {new}" if other else ""
    yield (
        f"Nodes say that flanneld runs on them{differs}, but no DaemonSet does it. It may run as a service of the "
        "hosts: stop it there before its node gets a pod. Annotations of a flannel that was removed say the same."
    )


def _sidecar(wanted: Wanted, found: Found, decision: Decision) -> Iterator[str]:
    """Refuse to drop the sidecar that the module flannel_network_policy added, and with it all enforcement."""
    added = [item for item in found.daemonsets if SIDECAR in _annotations(item)]
    # What a Helm chart does not name, an upgrade of its release leaves in the pod template.
    if not added or (wanted.method == "helm" and decision.action == UPGRADE):
        return
    where = _where(added[0])
    if not wanted.network_policy:
        raise ConflictError(
            f"DaemonSet {where} has the sidecar of the module flannel_network_policy, which would be removed, so that "
            "network policies stop acting. Set flannel_netpol_enabled to have the role run the sidecar, or remove it "
            "before, with flannel_network_policy and state absent."
        )
    yield (
        f"The sidecar that flannel_network_policy added to DaemonSet {where} becomes the role's, with the role's "
        "arguments. flannel_network_policy with state absent removes the ClusterRole that is not needed any more."
    )


def decide_removal(wanted: Wanted, found: Found, manager: str, *, allow_foreign: bool = False) -> Decision:
    """Where the flannel is that is to be removed. Raises ConflictError for one that is somebody else's.

    ``leftovers`` are further DaemonSets of it.
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
    release = str(_annotations(main).get(_RELEASE) or "")
    ours = bool(release) if wanted.method == "helm" else not release and is_ours(main, manager)
    if not ours and not allow_foreign:
        who = f"belongs to the Helm release {release}" if release else "was not made by this role and method"
        raise ConflictError(
            f"flannel is not removed: DaemonSet {_where(main)} {who}. Remove it the way it was installed, or set "
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
    return Decision(REMOVE, place, leftovers=others, release=release)


def _how(wanted: Wanted, found: Found, manager: str, changes: Sequence[str], warnings: list[str]) -> Decision:
    main = found.daemonsets[0]
    ours = is_ours(main, manager)
    release = str(_annotations(main).get(_RELEASE) or "")
    # Helm leaves fields alone that its last release did not set. A manifest sets args, the chart only command.
    keeps = bool(release and not _writes_template(main, manager))
    takes_over = False
    if wanted.method == "manifest":
        keeps, takes_over = True, not ours or bool(release) or _written_otherwise(main, manager)
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
    adopts = not moved and all(matches(place.selector, _pod_labels(item)) for item in found.daemonsets)
    return Decision(
        MOVE if moved else REPLACE,
        place,
        remove=names,
        orphan=adopts,
        leftovers=_leftovers(main, found.configmap, place),
        take_over=takes_over and not moved,
        release=release,
        changes=changes,
        warnings=warnings,
    )


def _same_place(wanted: Wanted, found: Found) -> Place:
    """The place of what is there, with its selector, as far as the method can keep it."""
    main = found.daemonsets[0]
    if wanted.method == "helm":
        return Place(namespace=str(main["metadata"]["namespace"]))
    spec = main.get("spec") or {}
    pod = (spec.get("template") or {}).get("spec") or {}
    selector = spec.get("selector") or {}
    labels = dict(selector.get("matchLabels") or {})
    several = len(found.daemonsets) > 1
    if several or not matches(selector, {**LABELS, **labels}):
        selector, labels = dict(SELECTOR), {}
    return Place(
        namespace=str(main["metadata"]["namespace"]),
        daemonset=wanted.place.daemonset if several else str(main["metadata"]["name"]),
        configmap=str(((found.configmap or {}).get("metadata") or {}).get("name") or wanted.place.configmap),
        service_account=str(pod.get("serviceAccountName") or wanted.place.service_account),
        selector=selector,
        labels={key: value for key, value in labels.items() if LABELS.get(key) != value},
    )


def _fits(place: Place, daemonset: Mapping[str, Any]) -> bool:
    """Whether the DaemonSet can stay: its selector is the one we would write."""
    return _normal((daemonset.get("spec") or {}).get("selector") or {}) == _normal(place.selector)


def _normal(selector: Mapping[str, Any]) -> Any:
    return dict(selector.get("matchLabels") or {}), list(selector.get("matchExpressions") or [])


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects a pod with these labels."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for rule in selector.get("matchExpressions") or []:
        has, value, values = rule["key"] in labels, labels.get(rule["key"]), rule.get("values") or []
        good = {
            "In": has and value in values,
            "NotIn": value not in values,
            "Exists": has,
            "DoesNotExist": not has,
        }
        if not good.get(rule["operator"], False):
            return False
    return True


def is_ours(item: Mapping[str, Any], manager: str) -> bool:
    """Whether an object was applied by us before."""
    entries = (item.get("metadata") or {}).get("managedFields") or []
    return any(entry.get("manager") == manager and entry.get("operation") == "Apply" for entry in entries)


def _writes_template(item: Mapping[str, Any], manager: str) -> bool:
    """Whether what we applied holds a part of the pod template, not only the update strategy, say."""
    entries = (item.get("metadata") or {}).get("managedFields") or []
    applied = [entry for entry in entries if entry.get("manager") == manager and entry.get("operation") == "Apply"]
    return any("f:template" in ((entry.get("fieldsV1") or {}).get("f:spec") or {}) for entry in applied)


def _written_otherwise(item: Mapping[str, Any], manager: str) -> bool:
    """Whether we changed an object by other means than apply, as a rollout does; apply alone could not undo that."""
    entries = (item.get("metadata") or {}).get("managedFields") or []
    return any(
        entry.get("manager") == manager and entry.get("operation") == "Update" and not entry.get("subresource")
        for entry in entries
    )


def _refuse_others(found: Found) -> None:
    flannels = [item for item in found.records if item["plugin"] == "flannel" and item["role"] != "leftover"]
    embedded = [item for item in flannels if item["install_method"] == "embedded"]
    if embedded:
        raise ConflictError(
            f"{embedded[0].get('distribution') or 'k3s'} runs flannel inside its own process. Start its servers with "
            "--flannel-backend=none before you install flannel yourself."
        )
    others = [
        item for item in found.records if item["plugin"] not in _HARMLESS and item["role"] not in _CARRIES_NO_PODS
    ]
    if others:
        other = others[0]
        raise ConflictError(
            f"{other['plugin']} in namespace {other['namespace'] or '-'} carries the pods of this cluster. Two "
            "networks under the same pods break both: remove it first, or leave flannel out."
        )
    _refuse_twice(found)
    if found.daemonsets and not found.all_seen:
        raise ConflictError(
            f"{_NOT_ALL_SEEN} Another network, or a second flannel beside DaemonSet {_where(found.daemonsets[0])}, "
            "could be overlooked. Give the rights to list DaemonSets, then run again."
        )
    unknown = [item for item in found.records if item["plugin"] == "unknown"]
    if unknown and not found.daemonsets:
        raise ConflictError(
            "Not everything may be read, so a network that is installed already could be overlooked: "
            + " ".join(unknown[0].get("warnings") or [])
        )


def _refuse_twice(found: Found) -> None:
    places = sorted({str(item["metadata"]["namespace"]) for item in found.daemonsets})
    if len(places) > 1:
        raise ConflictError(
            f"flannel is installed more than once, in the namespaces {', '.join(places)}. They share links, files and "
            "the ClusterRoleBinding: delete the DaemonSets of all but one, then run again."
        )


def network_changes(configmap: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Changes of the network that interrupt it, each with what breaks, and what is only worth a warning."""
    text = ((configmap or {}).get("data") or {}).get("net-conf.json")
    if text is None:
        return ["its network config cannot be read, so what would change is not known"], []
    new = _network_config.parse(wanted, check_ranges=False)
    try:
        old = _network_config.parse(text, check_ranges=False)
    except PodnetError as error:
        return _changes_of_invalid(str(text), new, str(error))
    changes, warnings = _range_changes((old.network, old.ipv6_network), new)
    if old.backend.type != new.backend.type:
        changes.append(_backend_change(old.backend.type, new))
    else:
        changes += _option_changes(old.backend, new.backend)
    if old.enable_nftables != new.enable_nftables:
        warnings.append("EnableNFTables changes: each node's rules are rewritten when its flanneld restarts.")
    return changes, warnings


def _range_changes(old: tuple[Any, Any], new: _network_config.NetworkConfig) -> tuple[list[str], list[str]]:
    changes, warnings = [], []
    for name, before, after in zip(("Network", "IPv6Network"), old, (new.network, new.ipv6_network)):
        if before == after:
            continue
        if before is not None and after is not None and _contains(after, before):
            warnings.append(
                f"{name} grows from {before} to {after}: change it in kube-proxy and controller-manager too."
            )
        else:
            changes.append(
                f"{name} {before or 'none'} -> {after or 'none'}: flanneld exits on every node whose podCIDR is not in "
                "the new range, and running pods keep their old addresses"
            )
    return changes, warnings


def _backend_change(before: str, new: _network_config.NetworkConfig) -> str:
    return f"backend {before} -> {new.backend.type}: {_ALL_NODES}, and old links and routes stay there"


def _changes_of_invalid(text: str, new: _network_config.NetworkConfig, error: str) -> tuple[list[str], list[str]]:
    """The same for a network config that this collection refuses, although an older flanneld may run with it."""
    try:
        old = loose_config.read(text)
    except ValueError:
        return [f"its network config cannot be compared, because it is not valid: {error}"], []
    changes, warnings = _range_changes((old.network, old.ipv6_network), new)
    if old.backend != new.backend.type:
        changes.append(_backend_change(old.backend, new))
    else:
        for name in _IDENTIFYING:
            before, after = old.options.get(name.lower()), new.backend.options.get(name)
            if before is not None and str(before) != str(after):
                changes.append(f"{name} {before} -> {after}: {_ALL_NODES}")
        if str(old.options.get("psk") or "") != str(new.backend.options.get("PSK") or ""):
            changes.append(_KEY_CHANGE)
    warnings.append(f"The network config of the installation is not valid and is replaced: {error}")
    return changes, warnings


def _option_changes(old: _network_config.Backend, new: _network_config.Backend) -> list[str]:
    changes = []
    for name in _IDENTIFYING:
        before, after = old.options.get(name), new.options.get(name)
        if before != after:
            changes.append(f"{name} {before} -> {after}: {_ALL_NODES}")
    if old.options.get("PSK") != new.options.get("PSK"):
        changes.append(_KEY_CHANGE)
    return changes


def _contains(outer: Any, inner: Any) -> bool:
    return not isinstance(inner, str) and bool(outer.version == inner.version and inner.subnet_of(outer))


def _leftovers(
    main: Mapping[str, Any], configmap: Mapping[str, Any] | None, place: Place
) -> Sequence[Mapping[str, Any]]:
    """The ConfigMap that nothing reads any more once the DaemonSet uses another one."""
    if configmap is None:
        return ()
    metadata = configmap["metadata"]
    if (metadata["namespace"], metadata["name"]) == (place.namespace, place.configmap):
        return ()
    identity = {"name": str(metadata["name"]), "namespace": str(main["metadata"]["namespace"])}
    return ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": identity},)


def owned_fields(entries: Sequence[Mapping[str, Any]], manager: str) -> list[Mapping[str, Any]]:
    """managedFields in which everything that other writers set is ours, so that the next apply removes what it lacks.

    What is recorded for the status, and by the controller itself, stays as it is.
    """
    ours: dict[str, Any] = {}
    kept, version, time = [], "apps/v1", None
    for entry in entries:
        if entry.get("subresource"):
            kept.append(entry)
            continue
        ours = _merge(ours, entry.get("fieldsV1") or {})
        version, time = entry.get("apiVersion", version), entry.get("time", time)
    own = {"manager": manager, "operation": "Apply", "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": ours}
    return [{**own, "time": time} if time else own, *kept]


def _merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(one)
    for key, value in other.items():
        result[key] = _merge(result.get(key) or {}, value)
    return result


def to_dict(decision: Decision) -> dict[str, Any]:
    """The decision as a module returns it."""
    place = decision.place
    return {
        "action": decision.action,
        "place": {
            "namespace": place.namespace,
            "daemonset": place.daemonset,
            "configmap": place.configmap,
            "service_account": place.service_account,
            "selector": json.loads(json.dumps(dict(place.selector))),
            "labels": dict(place.labels),
        },
        "release": decision.release,
        "leftovers": [dict(item) for item in decision.leftovers],
        "interruptions": list(decision.changes),
    }


def _where(item: Mapping[str, Any]) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _annotations(item: Mapping[str, Any]) -> Mapping[str, str]:
    return dict((item.get("metadata") or {}).get("annotations") or {})


def _pod_labels(daemonset: Mapping[str, Any]) -> Mapping[str, str]:
    template = (daemonset.get("spec") or {}).get("template") or {}
    return dict((template.get("metadata") or {}).get("labels") or {})
