# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What another release of k3s or RKE2 changes for the network; no I/O.

Private to podnet.cni: may change in any release.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, NamedTuple, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._distributions import releases, rke2
from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._kube import fields

_TITLES = {"k3s": "k3s", "rke2": "RKE2"}
_RELEASE = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-rc\d+)?\+(k3s|rke2r)(\d+)")
_ROW = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\+(?:k3s|rke2r)(\d+))?")
_SKEW = "https://kubernetes.io/releases/version-skew-policy/"


class Release(NamedTuple):
    """A release of k3s or RKE2, in the order in which they sort."""

    major: int
    minor: int
    patch: int
    build: int


@dataclass(frozen=True)
class Change:
    """What a release brings. C(since) is the first of its minor that does, C(impact) as in C(_versions.question)."""

    id: str
    since: str
    text: str
    action: str
    impact: str
    source: str


def parse(version: str) -> tuple[str, Release]:
    """Product (k3s or rke2) and release of a version like C(v1.36.3+rke2r1). Raises InputError for another text."""
    matched = _RELEASE.fullmatch(version.strip())
    if matched is None:
        raise InputError(
            f"{version!r} is not a release of k3s or RKE2: give one like 'v1.36.3+k3s1' or 'v1.36.3+rke2r1'."
        )
    major, minor, patch, product, build = matched.groups()
    name = "k3s" if product == "k3s" else "rke2"
    return name, Release(int(major), int(minor), int(patch), int(build))


def plan(cluster: Mapping[str, Any] | None, target: str) -> dict[str, Any]:
    """What it means for the network to bring the Nodes of a cluster to C(target), as plain data.

    C(cluster) has the facts of C(distribution_cluster_info). C(current) are the releases that Nodes run, the oldest
    first, C(components) what the network is made of (name, before, after; an empty text is not known), C(changes) what
    to know, in the order in which it comes, C(notes) what to know of the way itself. Raises InputError.
    """
    product, after = parse(target)
    running: dict[Release, str] = {}
    for node in fields.mappings(cluster, "nodes"):
        text = fields.text(node, "kubelet")
        if fields.text(node, "distribution") == product and _RELEASE.fullmatch(text):
            running[parse(text)[1]] = text
    if not running:
        raise InputError(
            f"No Node runs {_TITLES[product]}, so what {target} changes is not known: read its cluster "
            "(distribution_cluster), and give a release of what it runs."
        )
    found: list[Change] = []
    for release in sorted(running):
        found += [each for each in _changes(product, release, after, _charts(cluster)) if each not in found]
    oldest = min(running)
    return {
        "product": _TITLES[product],
        "current": [running[each] for each in sorted(running)],
        "target": target,
        "components": _components(product, oldest, after, _charts(cluster)),
        "changes": [asdict(each) for each in found],
        "notes": list(_notes(oldest, max(running), after)),
    }


def text(made: Mapping[str, Any]) -> str:
    """The plan for people."""
    lines = [f"{made['product']} {', '.join(made['current'])} -> {made['target']}: what that changes for the network"]
    lines += [
        f"  {each['name']}: {each['before'] or 'not known'} -> {each['after'] or 'not known'}"
        for each in made["components"]
    ]
    for each in made["changes"]:
        action = f" {each['action']}" if each["action"] else ""
        impact = f" [{each['impact']}]" if each["impact"] != "none" else ""
        lines.append(f"  {each['since']}: {each['text']}{action}{impact} ({each['source']})")
    if not made["changes"]:
        lines.append("  Nothing that is known.")
    return "\n".join([*lines, *(f"  {each}" for each in made["notes"])])


def _charts(cluster: Mapping[str, Any] | None) -> list[str]:
    """The charts of RKE2 that make a network in this cluster."""
    names = {fields.text(each, "name") for each in fields.mappings(cluster, "helm_charts")}
    return [name for name in rke2.CHARTS if name in names]


def _changes(product: str, before: Release, after: Release, charts: Sequence[str]) -> Iterable[Change]:
    """What is so in C(after) and not in C(before), or, on the way back, what is lost."""
    rows = [row for row in releases.CHANGES[product] if row.get("chart") in (None, *charts)]
    if after >= before:
        for row in sorted(rows, key=lambda each: _row(_of_minor(each["since"], after))):
            if _has(row, after) and not _has(row, before):
                yield _change(row, _of_minor(row["since"], after), row["text"], row.get("action"), row["impact"])
        return
    for row in sorted(rows, key=lambda each: _row(_of_minor(each["since"], before)), reverse=True):
        since = _of_minor(row["since"], before)
        if _has(row, before) and not _has(row, after) and "back" in row:
            impact = row["impact"] if row.get("back_action") else "none"
            yield _change(row, since, row["back"], row.get("back_action"), impact)
        elif _has(row, after) and not _has(row, before):
            yield _change(row, _of_minor(row["since"], after), row["text"], row.get("action"), row["impact"])


def _change(row: Mapping[str, Any], since: str, words: Any, action: Any, impact: Any) -> Change:
    return Change(row["id"], since, words, action or "", impact, row["source"])


def _has(row: Mapping[str, Any], release: Release) -> bool:
    return _reached(row["since"], release) and not _reached(row.get("until", ()), release)


def _reached(rows: Sequence[str], release: Release) -> bool:
    """Whether a release has what came with C(rows), one of each minor; minors after the last of them have it, too."""
    of_minor = [_row(each) for each in rows if _row(each)[:2] == release[:2]]
    if of_minor:
        return release >= of_minor[0]
    return bool(rows) and release[:2] > max(_row(each)[:2] for each in rows)


def _of_minor(rows: Sequence[str], release: Release) -> str:
    """The row of a release's minor, or else the last."""
    return next((each for each in rows if _row(each)[:2] == release[:2]), rows[-1])


def _row(version: str) -> Release:
    matched = _ROW.fullmatch(version)
    if matched is None:
        raise ValueError(version)
    major, minor, patch, build = matched.groups()
    return Release(int(major), int(minor), int(patch), int(build or 0))


def _components(product: str, before: Release, after: Release, charts: Sequence[str]) -> list[dict[str, str]]:
    if product == "k3s":
        found = [("flannel", _flannel(before), _flannel(after))]
    else:
        found = [(name, _chart(name, before), _chart(name, after)) for name in charts]
    return [{"name": name, "before": old, "after": new} for name, old, new in found]


def _flannel(release: Release) -> str:
    return next((name for name, rows in releases.FLANNEL_OF_K3S.items() if _is_one_of(release, rows)), "")


def _chart(name: str, release: Release) -> str:
    for rows, canal, flannel in releases.CHARTS_OF_RKE2:
        if _is_one_of(release, rows):
            return canal if name == "rke2-canal" else flannel
    return ""


def _is_one_of(release: Release, rows: Sequence[str]) -> bool:
    """A row without a build stands for every build of it."""
    return any(_row(each) == release if "+" in each else _row(each)[:3] == release[:3] for each in rows)


def _notes(oldest: Release, newest: Release, after: Release) -> Iterable[str]:
    if after.minor - oldest.minor > 1:
        steps = ", ".join(f"{after.major}.{minor}" for minor in range(oldest.minor + 1, after.minor + 1))
        yield f"Go one minor at a time: {steps} ({_SKEW})."
    if after[:2] < newest[:2]:
        yield (
            "A server of an older minor does not read what a newer one has stored: go back with a "
            f"snapshot of the store that was made before ({_SKEW})."
        )
