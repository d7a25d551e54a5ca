# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a pod inherits: the one decision that policy, server, modules and the sync of existing pods share.

Private to podnet.cni: may change in any release.

Precedence of mode default: the pod's own value, even an empty one; then the namespace's; then the cluster-wide default.
In mode enforce the pod's own value does not count. An empty value on the namespace says that nothing is inherited, not
even the default.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from ansible_collections.podnet.cni.plugins.module_utils._kube import fields
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn import catalogue, lint
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.catalogue import ANY_PROVIDER
from ansible_collections.podnet.cni.plugins.module_utils._kube_ovn.config import DEFAULT, Config, Rule

MIRROR_KEY = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Namespace:
    """What we need of a Namespace object."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_object(cls, item: Mapping[str, Any]) -> Namespace:
        """Read an object of the API; the text maps may be missing or null."""
        metadata = fields.mapping(item, "metadata")
        return cls(str(metadata.get("name") or ""), texts(metadata.get("labels")), texts(metadata.get("annotations")))


@dataclass(frozen=True)
class Decision:
    """What a pod inherits.

    C(inherited) holds every key that counts for the pod, C(writes) those of them that the pod does not carry yet,
    C(unusable) the values that were passed over, by key. C(skipped) says why the pod takes no part, else it is empty.
    """

    inherited: Mapping[str, str] = field(default_factory=dict)
    writes: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""


def texts(value: Any) -> dict[str, str]:
    """A map of texts as the API has it; whatever else comes in is left out."""
    return {str(key): item for key, item in fields.mapping(value).items() if isinstance(item, str)}


def annotations_of(item: Mapping[str, Any]) -> dict[str, str]:
    """Annotations of an object of the API."""
    return texts(fields.at(item, "metadata", "annotations"))


def decide(pod: Mapping[str, Any], namespace: Namespace, config: Config, owned: Iterable[str] = ()) -> Decision:
    """What a pod object inherits from its namespace. Keys in C(owned) on the pod are ours, not the pod's own."""
    annotations = annotations_of(pod)
    if not config.takes_part(namespace.name, namespace.labels):
        return Decision(skipped="the namespace takes no part")
    if fields.at(pod, "spec", "hostNetwork") is True:
        return Decision(skipped="the pod uses the host's network")
    if MIRROR_KEY in annotations:
        return Decision(skipped="the pod is a mirror of a static one")
    labels = texts(fields.at(pod, "metadata", "labels"))
    own = set(annotations) - set(owned)
    opted_out = annotations.get(config.opt_out_key) == "false"
    inherited: dict[str, str] = {}
    unusable: dict[str, str] = {}
    for key, rule in _candidates(namespace, config):
        if rule.mode == DEFAULT and (opted_out or key in own):
            continue
        if not (rule.pods.matches(labels) and rule.namespaces.matches(namespace.labels)):
            continue
        value = namespace.annotations.get(key, rule.default or "")
        if value == "":
            continue
        if lint.usable(rule.annotation, value):
            inherited[key] = value
        else:
            unusable[key] = value
    writes = {key: value for key, value in inherited.items() if annotations.get(key) != value}
    return Decision(inherited, writes, unusable)


def _candidates(namespace: Namespace, config: Config) -> list[tuple[str, Rule]]:
    found = []
    for rule in config.rules:
        if rule.provider != ANY_PROVIDER:
            found.append((rule.key, rule))
    for key in sorted(namespace.annotations):
        wildcard = config.rule_for(key)
        if wildcard is not None and wildcard.provider == ANY_PROVIDER:
            found.append((key, wildcard))
    return found


def digest(value: str) -> str:
    """The short hash of a value in the record."""
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]


def read_record(text: str | None) -> dict[str, str]:
    """The record of inherited keys: key -> hash, or C(=) and the value where a policy wrote it; CEL has no hash."""
    try:
        return texts(json.loads(text or "{}"))
    except (ValueError, RecursionError):
        return {}


def recorded(entry: str, value: str) -> bool:
    """Whether a value is the one that a record's entry stands for."""
    return entry == "=" + value or entry == digest(value)


def write_record(entries: Mapping[str, str]) -> str:
    """The text of a record."""
    return json.dumps(dict(sorted(entries.items())), separators=(",", ":"))


def ours(annotations: Mapping[str, str], config: Config) -> dict[str, str]:
    """Keys that a pod inherited and nobody edited since, with their entry in the record.

    A key that is on no list of annotations is never ours, whatever a record says.
    """
    record = read_record(annotations.get(config.record_key))
    return {
        key: entry
        for key, entry in record.items()
        if catalogue.find(key) is not None and key in annotations and recorded(entry, annotations[key])
    }


def build_patch(pod: Mapping[str, Any], decision: Decision, config: Config) -> list[dict[str, Any]]:
    """The JSON patch (RFC 6902) that gives a new pod what it inherits; empty when there is nothing to do."""
    metadata = pod.get("metadata")
    if not decision.writes or not isinstance(metadata, Mapping):
        return []
    annotations = metadata.get("annotations")
    entries = ours(texts(annotations), config)
    entries.update({key: digest(value) for key, value in decision.writes.items()})
    patch: list[dict[str, Any]] = []
    if not isinstance(annotations, Mapping):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    for key, value in [*sorted(decision.writes.items()), (config.record_key, write_record(entries))]:
        patch.append({"op": "add", "path": f"/metadata/annotations/{escape(key)}", "value": value})
    return patch


def escape(key: str) -> str:
    """A key as a segment of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
