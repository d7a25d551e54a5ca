# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the parts of Kubernetes objects that discovery needs; no I/O.

Objects are the plain mappings of the API's JSON. Missing parts read as empty.
Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
import shlex
from typing import Any, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._discovery.record import Container, Workload
from ansible_collections.podnet.cni.plugins.module_utils._kube.fields import (
    at,
    mapping,
    mappings,
    number,
    sequence,
    text,
)

Obj = Mapping[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_VERSION = re.compile(r"^(v?\d+(?:\.\d+)+)(.*)$")


def name(obj: Obj) -> str:
    return text(obj, "metadata", "name")


def namespace(obj: Obj) -> str:
    return text(obj, "metadata", "namespace")


def labels(obj: Obj) -> dict[str, str]:
    return mapping(obj, "metadata", "labels")


def template_labels(daemonset: Obj) -> dict[str, str]:
    return mapping(daemonset, "spec", "template", "metadata", "labels")


def notes(obj: Obj) -> dict[str, str]:
    """The object's annotations."""
    return mapping(obj, "metadata", "annotations")


def containers(daemonset: Obj) -> list[Obj]:
    return mappings(daemonset, "spec", "template", "spec", "containers")


def init_containers(daemonset: Obj) -> list[Obj]:
    return mappings(daemonset, "spec", "template", "spec", "initContainers")


def split_image(image: str) -> tuple[str, str, str]:
    """Repository path, its last segment and the tag; a digest is dropped, an absent tag is empty."""
    without_digest = image.split("@", 1)[0]
    head, _slash, last = without_digest.rpartition("/")
    base, _colon, tag = last.partition(":")
    return (f"{head}/{base}" if head else base), base, tag


def image_is(container: Obj, *names: str) -> bool:
    """Whether the image's last path segment is one of the names, or ends with C(-name) as re-packagers do."""
    base = split_image(text(container, "image"))[1]
    return any(base == wanted or base.endswith(f"-{wanted}") for wanted in names)


def version_of(container: Obj) -> tuple[str | None, str | None]:
    """Version and build suffix out of the image tag: C(v0.28.9-build20260101) gives both parts."""
    matched = _VERSION.match(split_image(text(container, "image"))[2])
    if not matched:
        return None, None
    return matched.group(1), matched.group(2).lstrip("-_+.") or None


def arguments(container: Obj) -> list[str]:
    """Command and args as words; an element that is a shell line is split like a shell would."""
    words: list[str] = []
    for element in sequence(container, "command") + sequence(container, "args"):
        if not isinstance(element, str):
            continue
        if not any(char.isspace() for char in element):
            words.append(element)
            continue
        try:
            words.extend(shlex.split(element, comments=True))
        except ValueError:
            words.extend(element.split())
    return words


def flags(words: Sequence[str], wanted: str) -> list[str]:
    """Every value of a flag, in C(--flag=value) or C(--flag value) form; the name must match wholly."""
    values = []
    for position, word in enumerate(words):
        head, equals, tail = word.partition("=")
        if not head.startswith("-") or head.lstrip("-") != wanted:
            continue
        if equals:
            values.append(tail.strip("\"'"))
        elif position + 1 < len(words) and not words[position + 1].startswith("-"):
            values.append(words[position + 1].strip("\"'"))
    return values


def flag(words: Sequence[str], wanted: str) -> str | None:
    """The last value of a flag, as flag parsers take it; None when it is not given."""
    values = flags(words, wanted)
    return values[-1] if values else None


def switch(words: Sequence[str], wanted: str) -> bool:
    """Whether a boolean flag is on: C(--flag), C(--flag=true)."""
    state = False
    for word in words:
        head, equals, tail = word.partition("=")
        if head.startswith("-") and head.lstrip("-") == wanted:
            state = not equals or tail.strip("\"'").lower() in ("1", "t", "true")
    return state


def environment(container: Obj) -> dict[str, str]:
    """The container's literal environment; values taken from elsewhere are left out."""
    return {
        item["name"]: item["value"]
        for item in sequence(container, "env")
        if isinstance(item, Mapping) and isinstance(item.get("name"), str) and isinstance(item.get("value"), str)
    }


def config_map_volumes(daemonset: Obj) -> list[str]:
    """Names of the ConfigMaps the pods mount, in order, each once; optional ones and projections included."""
    names: list[str] = []
    for volume in sequence(daemonset, "spec", "template", "spec", "volumes"):
        found = [text(volume, "configMap", "name")]
        found.extend(text(source, "configMap", "name") for source in sequence(volume, "projected", "sources"))
        names.extend(item for item in found if item and item not in names)
    return names


def workload(daemonset: Obj, daemon: Obj | None = None) -> Workload:
    """The record's view of a DaemonSet; C(daemon) names the container that is the network daemon."""
    rolling = at(daemonset, "spec", "updateStrategy", "rollingUpdate", "maxUnavailable")
    listed = [
        Container(text(item, "name"), text(item, "image"), "daemon" if item is daemon else "sidecar")
        for item in containers(daemonset)
    ]
    listed += [Container(text(item, "name"), text(item, "image"), "init") for item in init_containers(daemonset)]
    return Workload(
        kind="DaemonSet",
        namespace=namespace(daemonset),
        name=name(daemonset),
        uid=text(daemonset, "metadata", "uid"),
        generation=number(daemonset, "metadata", "generation"),
        observed_generation=number(daemonset, "status", "observedGeneration"),
        desired=number(daemonset, "status", "desiredNumberScheduled"),
        current=number(daemonset, "status", "currentNumberScheduled"),
        updated=number(daemonset, "status", "updatedNumberScheduled"),
        ready=number(daemonset, "status", "numberReady"),
        available=number(daemonset, "status", "numberAvailable"),
        update_strategy=text(daemonset, "spec", "updateStrategy", "type"),
        max_unavailable=None if rolling is None else str(rolling),
        selector=mapping(daemonset, "spec", "selector"),
        containers=listed,
    )


def install_method(daemonset: Obj) -> str:
    """C(helm) where Helm left its mark, else C(manifest)."""
    if labels(daemonset).get("app.kubernetes.io/managed-by") == "Helm":
        return "helm"
    return "helm" if "meta.helm.sh/release-name" in notes(daemonset) else "manifest"


def visible_annotations(obj: Obj) -> dict[str, str]:
    """Annotations without the copy of the whole object that C(kubectl apply) leaves."""
    return {key: value for key, value in notes(obj).items() if key != LAST_APPLIED}


def yaml_value(document: str, key: str) -> str:
    """The value of a key that occurs once in a flat YAML text, a list as comma separated text; empty when unset.

    For the configuration texts that network plugins keep in ConfigMaps, where a commented line stands for a default.
    """
    matched = re.search(rf"^[ \t]*{re.escape(key)}:[ \t]*([^#\n]*)((?:\n[ \t]*-[ \t]+[^\n]+)*)", document, re.MULTILINE)
    if not matched:
        return ""
    inline, block = matched.groups()
    parts = [line.strip()[1:] for line in block.splitlines() if line.strip()] or inline.strip(" \t[]").split(",")
    return ",".join(part.strip(" \t\"'") for part in parts)
