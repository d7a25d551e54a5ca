# Copyright: (c) 2026, podnet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the version matrix answers: is it supported, what does it need, what changes; pure functions.

Private to podnet.cni: may change in any release.

A version is text as people and clusters write it: with or without a leading v, a minor (C(1.36)), a patch (C(1.36.2)),
or a distribution's build (C(v1.32.4+k3s1), C(v0.28.9-build20260812)). A minor stands for its newest release in the
matrix; rows of Kubernetes hold for every patch. Whatever is wrong with the input is an InputError.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.podnet.cni.plugins.module_utils._errors import InputError
from ansible_collections.podnet.cni.plugins.module_utils._versions import calico, kubernetes, rules
from ansible_collections.podnet.cni.plugins.module_utils._versions.matrix import TABLES, Table

PRODUCTS = tuple(TABLES)
IMPACTS = ("none", "restart", "outage", "manual")
"""Nothing to do; other pods or processes restart; traffic is interrupted; somebody has to do something first."""

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?(?:-flannel(\d{1,6}))?(?:[-+@].*)?", re.ASCII)
_LEADING_NUMBER = re.compile(r"v?(\d{1,9})(?![0-9])", re.ASCII)

_DERIVED = {
    "flannel": (
        ("flannel_cni_plugin", "cni-plugin-image", "The manifest installs the CNI plugin {after} instead of {before}."),
        ("chart_sidecar", "chart-sidecar-image", "The chart's policy sidecar is {after} instead of {before}."),
    ),
    "calico": (("cni_version", "cni-version", "The CNI configuration has cniVersion {after} instead of {before}."),),
}
"""Product to the fields whose change from row to row is a change of its own: field, id, text."""


@dataclass(frozen=True)
class Statement:
    """Something to know about a combination: what it is, what to do, and the address that says so."""

    id: str
    text: str
    remedy: str
    source: str


@dataclass(frozen=True)
class Support:
    """The answer about a combination.

    C(problems) are what does not work, C(needs) what has to be set or there, C(notes) what is good to know, C(unknown)
    a message for each version that the matrix does not have. C(supported) is whether every version is known and there
    is no problem.
    """

    supported: bool
    problems: tuple[Statement, ...]
    needs: tuple[Statement, ...]
    notes: tuple[Statement, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What is different from a release on, or, on the way back, what is lost below it. C(impact) is one of IMPACTS."""

    version: str
    id: str
    text: str
    action: str
    impact: str
    source: str


class UnknownVersion(InputError):
    """A version that the matrix does not have; C(nearest) holds the row below and the row above, where there is one."""

    def __init__(self, product: str, version: str, nearest: Sequence[str]) -> None:
        rows = f"row is {nearest[0]}" if len(nearest) == 1 else f"rows are {' and '.join(nearest)}"
        super().__init__(f"{product} {version} is not in the matrix; the nearest {rows}.")
        self.product = product
        self.version = version
        self.nearest = tuple(nearest)


def support(versions: Mapping[str, Any], features: Mapping[str, Any] | None = None) -> Support:
    """Whether the releases work together with these features, and what they need.

    C(versions) maps products to versions. C(features) may have nodes (number), backend, enable_nftables, windows,
    dual_stack, iptables (bool: whether nodes have it), kube_proxy_mode, cgroup_version (1 or 2), containerd (version),
    cni_version (of a conflist); what is not given is not judged, and other keys are of no account.

    Raises InputError for an unknown product, an invalid version, and a feature that should be a number.
    """
    known: dict[str, str] = {}
    unknown = []
    for product in versions:
        try:
            known[_product(product)] = resolve(product, versions[product])
        except UnknownVersion as error:
            unknown.append(str(error))
    given = dict(features or {})
    problems = _that_hold(rules.PROBLEMS, known, given)
    return Support(
        supported=not problems and not unknown,
        problems=problems,
        needs=_that_hold(rules.NEEDS, known, given),
        notes=(*_that_hold(rules.NOTES, known, given), *_pairings(known), *_faulty(known)),
        unknown=tuple(unknown),
    )


def changes(product: str, before: str, after: str) -> tuple[Change, ...]:
    """What is different in C(after), in the order in which it comes; for an older C(after), what is lost.

    The changes from A to C are those from A to B and then those from B to C, for each B between them. Raises
    UnknownVersion, and InputError.
    """
    start, end = key(resolve(product, before)), key(resolve(product, after))
    every = sorted(_all_changes(product), key=lambda change: key(change["version"]))
    if start <= end:
        return tuple(_forward(each) for each in every if start < key(each["version"]) <= end)
    return tuple(_back(each) for each in reversed(every) if end < key(each["version"]) <= start)


def removed_kubelet_flags(version: str) -> dict[str, str]:
    """The kubelet's flags that a Kubernetes has no more, written with hyphens, to the release that removed each."""
    release = key(resolve("kubernetes", version))
    return {
        f"--{flag}": removed for removed, flag, _source in kubernetes.REMOVED_KUBELET_FLAGS if key(removed) <= release
    }


def newest(product: str) -> str:
    """The newest published release that the matrix has, without a leading v."""
    table = TABLES[_product(product)]
    return [row[0] for row in table.rows if _is_published(table, row)][-1]


def images(product: str, version: str) -> dict[str, str]:
    """The images of a release, as its manifest and its chart name them; empty for what has no images."""
    row = features_of(product, version)
    if product == "flannel":
        found = {
            "flannel": f"{row['repository']}:v{row['version']}",
            **images("flannel_cni_plugin", row["flannel_cni_plugin"]),
        }
        if row["chart_sidecar"]:
            found.update(images("kube_network_policies", row["chart_sidecar"]))
        return found
    if product == "calico":
        found = {name: f"{row['repository']}/{name}:v{row['version']}" for name in row["images"]}
        return {**found, "flannel": row["flannel_image"]}
    return {product: f"{row['repository']}:v{row['version']}"} if "repository" in row else {}


def features_of(product: str, version: str) -> dict[str, Any]:
    """The row of a release and its features; a feature that it has not is false."""
    table = TABLES[_product(product)]
    release = resolve(product, version)
    row = next(row for row in table.rows if row[0] == release)
    found: dict[str, Any] = {span[0]: False for span in table.spans}
    found.update((span[0], span[3]) for span in table.spans if _within(release, span[1], span[2]))
    found.update(zip(table.fields, row))
    return found


def faults_of(product: str, version: str) -> tuple[Mapping[str, str], ...]:
    """What is known to be wrong with a release: since, until (the first without it), id, text, source."""
    release = resolve(product, version)
    return tuple(fault for fault in TABLES[product].faults if _within(release, fault["since"], fault["until"]))


def source_of(product: str, version: str) -> str:
    """The address that shows the row of a release."""
    table = TABLES[_product(product)]
    release = resolve(product, version)
    row = next(row for row in table.rows if row[0] == release)
    if _is_published(table, row):
        return table.source.format(version=release)
    return calico.BRANCH_SOURCE.format(minor=release.rpartition(".")[0])


def resolve(product: str, version: Any) -> str:
    """The version of the row that holds for a version. Raises UnknownVersion, and InputError for an invalid one."""
    rows = [row[0] for row in TABLES[_product(product)].rows]
    numbers = _numbers(product, version)
    wanted = key(version)
    if numbers[2] is None or product == "kubernetes":
        found = [row for row in rows if key(row)[:2] == wanted[:2]]
    else:
        found = [row for row in rows if key(row) == wanted]
        if not found and numbers[3] is None:
            found = [row for row in rows if key(row)[:3] == wanted[:3]]
    if found:
        return found[-1]
    below = [row for row in rows if key(row) < wanted][-1:]
    above = [row for row in rows if key(row) > wanted][:1]
    raise UnknownVersion(product, version, below + above)


def not_newer(product: str, version: str) -> str | None:
    """The row of a version, or the newest row below it where the matrix does not have it; None below the oldest."""
    wanted = key(version)
    found = [row[0] for row in TABLES[_product(product)].rows if key(row[0]) <= wanted]
    return found[-1] if found else None


def key(version: str) -> tuple[int, int, int, int]:
    """Numbers by which versions sort. Raises InputError for a value that is not a version."""
    major, minor, patch, build = _numbers("version", version)
    return major, minor, patch or 0, build or 0


def _numbers(product: str, version: Any) -> tuple[int, int, int | None, int | None]:
    numbers = _read(version) if isinstance(version, str) else None
    if numbers is None:
        raise InputError(f"{product} is {version!r}: give a version as text, like '1.36' or 'v1.36.2'.")
    return numbers


@functools.lru_cache(maxsize=1024)
def _read(text: str) -> tuple[int, int, int | None, int | None] | None:
    """Major, minor, patch and number of the build; None for a value that is not a version."""
    matched = _VERSION.fullmatch(text.strip())
    if matched is None:
        return None
    major, minor, patch, build = (None if group is None else int(group) for group in matched.groups())
    return major or 0, minor or 0, patch, build


def _product(name: str) -> str:
    if name not in TABLES:
        raise InputError(f"{name!r} is not a product of the matrix: give one of {', '.join(PRODUCTS)}.")
    return name


def _is_published(table: Table, row: Sequence[str]) -> bool:
    return "released" not in table.fields or bool(row[table.fields.index("released")])


def _within(release: str, since: str, until: str) -> bool:
    at = key(release)
    return (not since or at >= key(since)) and (not until or at < key(until))


def _that_hold(
    candidates: Sequence[Mapping[str, Any]], known: Mapping[str, str], given: Mapping[str, Any]
) -> tuple[Statement, ...]:
    return tuple(
        Statement(rule["id"], rule["text"], rule["remedy"], rule["source"])
        for rule in candidates
        if all(product in known and _within(known[product], *span) for product, span in rule["versions"].items())
        and all(name in given and _is(name, given[name], wanted) for name, wanted in rule["features"].items())
    )


def _is(name: str, value: Any, wanted: Any) -> bool:
    if not isinstance(wanted, tuple):
        return bool(value == wanted)
    least, most = wanted
    number = _number(name, value)
    return (least is None or number >= least) and (most is None or number <= most)


def _number(name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    matched = _LEADING_NUMBER.match(value) if isinstance(value, str) else None
    if matched is None:
        raise InputError(f"{name} is {value!r}: give a number.")
    return int(matched.group(1))


def _pairings(known: Mapping[str, str]) -> Iterator[Statement]:
    """Notes on releases that were not made for one another."""
    if "calico" in known and "kubernetes" in known:
        tested = features_of("calico", known["calico"])["kubernetes"]
        if tested != known["kubernetes"]:
            yield Statement(
                "calico-tested",
                f"Calico {known['calico']} is tested with Kubernetes {tested}, not {known['kubernetes']}.",
                _tested_with(known["kubernetes"]),
                source_of("calico", known["calico"]),
            )
    if "flannel" in known and "flannel_cni_plugin" in known:
        made_for = features_of("flannel", known["flannel"])["flannel_cni_plugin"]
        if made_for != known["flannel_cni_plugin"]:
            yield Statement(
                "plugin-pairing",
                f"flannel {known['flannel']} comes with the CNI plugin {made_for}, not {known['flannel_cni_plugin']}.",
                f"Use v{made_for}.",
                source_of("flannel", known["flannel"]),
            )


def _tested_with(release: str) -> str:
    table = TABLES["calico"]
    column = table.fields.index("kubernetes")
    tested = [row[0] for row in table.rows if row[column] == release and _is_published(table, row)]
    if tested:
        return f"Use Calico {tested[-1]}, which is tested with it."
    return "No published Calico in the matrix is tested with it: try the combination on canary nodes first."


def _faulty(known: Mapping[str, str]) -> Iterator[Statement]:
    for product, release in known.items():
        for fault in faults_of(product, release):
            text = f"{TABLES[product].title} {release}: {fault['text']}."
            yield Statement(fault["id"], text, f"Use {fault['until']} or newer.", fault["source"])


def _all_changes(product: str) -> Iterator[Mapping[str, str]]:
    table = TABLES[product]
    yield from table.changes
    for field, name, text in _DERIVED.get(product, ()):
        column = table.fields.index(field)
        for older, newer in zip(table.rows, table.rows[1:]):
            if older[column] and older[column] != newer[column]:
                yield {
                    "version": newer[0],
                    "id": name,
                    "text": text.format(before=older[column], after=newer[column]),
                    "impact": "none",
                    "back": text.format(before=newer[column], after=older[column]),
                    "source": source_of(product, newer[0]),
                }
    if product == "kubernetes":
        yield from _flag_changes()


def _flag_changes() -> Iterator[Mapping[str, str]]:
    """A change for each release that removed flags of the kubelet."""
    removed: dict[str, list[str]] = {}
    sources: dict[str, str] = {}
    for release, flag, source in kubernetes.REMOVED_KUBELET_FLAGS:
        removed.setdefault(release, []).append(f"--{flag}")
        sources.setdefault(release, source)
    for release, flags in removed.items():
        yield {
            "version": release,
            "id": "kubelet-flags",
            "text": f"The kubelet does not start with a flag that it does not know any more: {', '.join(flags)}.",
            "action": f"Take {', '.join(flags)} out of the kubelet's arguments before its upgrade.",
            "impact": "manual",
            "back": f"The kubelet knows {', '.join(flags)} again.",
            "source": sources[release],
        }


def _forward(change: Mapping[str, str]) -> Change:
    return Change(
        change["version"], change["id"], change["text"], change.get("action", ""), change["impact"], change["source"]
    )


def _back(change: Mapping[str, str]) -> Change:
    return Change(
        change["version"],
        change["id"],
        change.get("back", f"No longer so: {change['text']}"),
        change.get("back_action", ""),
        change.get("back_impact", "none"),
        change["source"],
    )
