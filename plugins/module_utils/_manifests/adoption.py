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
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils import _network_config
from ansible_collections.podnet.cni.plugins.module_utils._errors import ConflictError, PodnetError

INSTALL = "install"
UPGRADE = "upgrade"
REPLACE = "replace"
MOVE = "move"
POLICIES = ("in_place", "replace", "never")
METHODS = ("manifest", "helm")
# What the templates put on their pods, and what they select by when nothing else is there.
LABELS = {"tier": "node", "app": "flannel", "k8s-app": "flannel"}
SELECTOR = {"matchLabels": {"app": "flannel"}}

_CARRIES_NO_PODS = ("policy", "chained", "meta", "leftover")
_HARMLESS = ("flannel", "generic", "unknown")
_ALL_NODES = "until every flanneld has restarted, nodes with the old and with the new setting do not reach each other"


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
class Wanted:
    """What the role is asked for."""

    place: Place
    network_config: Mapping[str, Any]
    method: str = "manifest"
    policy: str = "in_place"
    allow_network_change: bool = False


@dataclass(frozen=True)
class Found:
    """What the cluster has: discovery records, and of the flannel among them the DaemonSets and its ConfigMap."""

    records: Sequence[Mapping[str, Any]] = ()
    daemonsets: Sequence[Mapping[str, Any]] = ()
    configmap: Mapping[str, Any] | None = None


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
    _refuse_others(found)
    if not found.daemonsets:
        return Decision(INSTALL, wanted.place)
    main = found.daemonsets[0]
    where = _where(main)
    if wanted.policy == "never" and not is_ours(main, manager):
        raise ConflictError(
            f"flannel is installed already: DaemonSet {where}, which this role did not make. Adopt it with "
            "flannel_adopt in_place or replace, or remove it."
        )
    changes, warnings = network_changes(found.configmap, wanted.network_config)
    if changes and not wanted.allow_network_change:
        raise ConflictError(
            f"The network of {where} would change: " + "; ".join(changes) + ". Set the variables to what the cluster "
            "has, or plan an interruption and set flannel_allow_network_change."
        )
    return _how(wanted, found, manager, changes, warnings)


def _how(wanted: Wanted, found: Found, manager: str, changes: Sequence[str], warnings: list[str]) -> Decision:
    main = found.daemonsets[0]
    ours = is_ours(main, manager)
    release = str(_annotations(main).get("meta.helm.sh/release-name") or "")
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
    places = sorted({str(item["metadata"]["namespace"]) for item in found.daemonsets})
    if len(places) > 1:
        raise ConflictError(
            f"flannel is installed more than once, in the namespaces {', '.join(places)}. They share links, files and "
            "the ClusterRoleBinding: delete the DaemonSets of all but one, then run again."
        )
    unknown = [item for item in found.records if item["plugin"] == "unknown"]
    if unknown and not found.daemonsets:
        raise ConflictError(
            "Not everything may be read, so a network that is installed already could be overlooked: "
            + " ".join(unknown[0].get("warnings") or [])
        )


def network_changes(configmap: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Changes of the network that interrupt it, each with what breaks, and what is only worth a warning."""
    text = ((configmap or {}).get("data") or {}).get("net-conf.json")
    if text is None:
        return [], ["The network config of the installation could not be read, so it was not compared."]
    try:
        old = _network_config.parse(text, check_ranges=False)
    except PodnetError as error:
        return [], [f"The network config of the installation is not valid and is replaced: {error}"]
    new = _network_config.parse(wanted, check_ranges=False)
    changes, warnings = [], []
    for name, before, after in (
        ("Network", old.network, new.network),
        ("IPv6Network", old.ipv6_network, new.ipv6_network),
    ):
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
    if old.backend.type != new.backend.type:
        changes.append(
            f"backend {old.backend.type} -> {new.backend.type}: {_ALL_NODES}, and old links and routes stay there"
        )
    else:
        changes += _option_changes(old.backend, new.backend)
    if old.enable_nftables != new.enable_nftables:
        warnings.append("EnableNFTables changes: each node's rules are rewritten when its flanneld restarts.")
    return changes, warnings


def _option_changes(old: _network_config.Backend, new: _network_config.Backend) -> list[str]:
    changes = []
    for name in ("VNI", "Port", "GBP", "ListenPort", "ListenPortV6", "Mode"):
        before, after = old.options.get(name), new.options.get(name)
        if before != after:
            changes.append(f"{name} {before} -> {after}: {_ALL_NODES}")
    if old.options.get("PSK") != new.options.get("PSK"):
        changes.append(f"the preshared key: {_ALL_NODES}")
    return changes


def _contains(outer: Any, inner: Any) -> bool:
    return bool(outer.version == inner.version and inner.subnet_of(outer))


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
